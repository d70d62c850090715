"""Rebuild: replace the live state by what the log folds to.

Invariants: one transaction per dataset, which keeps its writers out; readers see the old state until the
new one is committed. Only rows that differ are written. The same transaction removes the mark of an outdated
dataset, so a rebuild that is interrupted is continued. The log itself never changes. Source:
docs/concepts/log-and-fold.md.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from oneself.service.log.verify import Progress, fold_dataset
from oneself.store.shadow import CHANGES_RECORDED_MAX, TABLES, Shadow, open_shadow
from oneself.store.wide_lock import wait_until_released

if TYPE_CHECKING:
    from oneself.store.database import Database


class Rebuilt(msgspec.Struct, frozen=True):
    """What a rebuild did."""

    #: Entries of the log that were folded.
    entries: int
    profiles: int
    #: Table → rows that differed from what the log folds to.
    corrected: dict[str, int]


async def rebuild(
    database: "Database", progress: Progress, *, changes_max: int = CHANGES_RECORDED_MAX
) -> Rebuilt:
    """Fold every dataset's log and replace its state by the outcome. Calls `progress(done, total)`.

    `changes_max`: of a dataset in which more ids differ, no changes are recorded.
    Raises replay.Diverged if an entry that was once accepted is rejected now; that dataset keeps its state.
    """
    async with open_shadow(database) as shadow:
        return await _rebuild(database, shadow, await shadow.find_datasets(), progress, changes_max)


async def rebuild_outdated(database: "Database", progress: Progress) -> Rebuilt:
    """The same for the datasets whose state an earlier version folded in another way."""
    async with open_shadow(database) as shadow:
        return await _rebuild(database, shadow, await shadow.pending_rebuilds.list(), progress)


async def _rebuild(
    database: "Database",
    shadow: Shadow,
    dataset_ids: list[int],
    progress: Progress,
    changes_max: int = CHANGES_RECORDED_MAX,
) -> Rebuilt:
    total = await shadow.count_entries(dataset_ids)
    corrected = dict.fromkeys(TABLES, 0)
    done = 0
    for dataset_id in dataset_ids:
        await wait_until_released(database, dataset_id)
        async with shadow.replacing():
            done = await _fold_locked(shadow, dataset_id, lambda n: progress(n, max(n, total)), done)
            await shadow.record_changes(dataset_id, changes_max)
            for table in TABLES:
                corrected[table] += await shadow.replace(table, dataset_id)
            await shadow.pending_rebuilds.remove(dataset_id)
    return Rebuilt(done, await shadow.count_profiles(), corrected)


async def _fold_locked(shadow: Shadow, dataset_id: int, progress: Callable[[int], None], done: int) -> int:
    """Fold a dataset's log into the scratch tables; returns `done` plus the entries folded."""
    # Every batch and every erasure holds this lock shared: writers wait until this transaction is committed.
    transaction = shadow.dataset(dataset_id)
    await transaction.lock_config()
    done = await fold_dataset(transaction, progress, done)
    await shadow.begin_comparison()
    return done
