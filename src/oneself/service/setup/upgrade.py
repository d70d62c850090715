"""Upgrade: bring a database to this version before anything uses it.

    1  take the lock of migrations         every other process waits for it
    2  apply the pending migrations        each is one transaction
    3  rebuild the outdated datasets       each is one transaction, which also removes its mark

Invariants: a dataset that an earlier version folded in another way is rebuilt from the log before this
version reads or writes it. An upgrade that is interrupted is continued by the next one. Source:
docs/decisions/0018-rebuild-at-upgrade.md.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from oneself.core.fold.replay import Diverged
from oneself.errors import UnsupportedDatabase
from oneself.service.log.rebuild import Rebuilt, rebuild_outdated
from oneself.service.log.verify import Progress
from oneself.store.database import Database
from oneself.store.migrate import apply_pending, migration_lock
from oneself.store.tables.pending_rebuild import PendingRebuildTable

#: Opened only if there is something to rebuild; yields a function that takes `(done, total)` log entries.
ShowRebuild = Callable[[], AbstractContextManager[Progress]]


class Upgraded(msgspec.Struct, frozen=True):
    """What an upgrade did."""

    #: The names of the migrations that were applied.
    migrations: list[str]
    #: None if no dataset was outdated.
    rebuilt: Rebuilt | None


async def upgrade(url: str, show_rebuild: ShowRebuild, on_wait: Callable[[], None]) -> Upgraded:
    """Apply pending migrations, then rebuild outdated datasets. Does nothing on an up-to-date database.

    Calls `on_wait` if another process upgrades the database at the moment.
    Raises UnsupportedDatabase if this version cannot use the database, or cannot fold its log.
    """
    async with migration_lock(url, on_wait) as connection:
        migrations = await apply_pending(connection)
        if not await PendingRebuildTable(connection).list():
            return Upgraded(migrations, None)
        async with await Database.open(url, max_size=1) as database:
            with show_rebuild() as progress:
                return Upgraded(migrations, await _rebuild(database, progress))


async def _rebuild(database: Database, progress: Progress) -> Rebuilt:
    try:
        return await rebuild_outdated(database, progress)
    except Diverged as problem:
        raise UnsupportedDatabase(
            f"The state cannot be rebuilt from the log: {problem} To go back, restore the backup from before "
            f"the upgrade and install the earlier version. Report this sentence as a bug."
        ) from problem
