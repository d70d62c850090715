"""State that an earlier version folded differently is rebuilt at the upgrade, before anything uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oneself.errors import UnsupportedDatabase
from oneself.service.log.verify import verify
from oneself.service.setup.upgrade import Upgraded, upgrade
from oneself.store.database import Database, connect
from oneself.store.migrate import LOCK_KEY, migrate, outdated_datasets
from oneself.store.rows import config_hash
from support.commands import clean_environment, run_command
from support.databases import Databases
from support.earlier_version import DATASETS, SECRET_KEY, restore_database
from support.service import RunningService
from support.verifying import assert_log_folds
from support.waiting import until_async

if TYPE_CHECKING:
    from oneself.store.database import Connection

pytestmark = pytest.mark.xdist_group("upgrade")


@pytest.fixture
async def earlier(made_databases: Databases) -> str:
    return await restore_database(made_databases)


@pytest.fixture
def service(earlier: str, data_dir: Path) -> Iterator[RunningService]:
    """Not started yet."""
    service = RunningService(data_dir, earlier, {"ONESELF_SECRET_KEY": SECRET_KEY}, bootstrap=False)
    yield service
    service.stop()


@contextmanager
def unwatched() -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def ignored() -> None:
    pass


async def test_migrations_alone_leave_outdated_state(earlier: str) -> None:
    await migrate(earlier)
    assert len(await outdated_datasets(earlier)) == DATASETS
    async with await Database.open(earlier) as database:
        assert (await verify(database, lambda done, total: None)).difference is not None


async def test_a_start_of_the_service_rebuilds_it(earlier: str, service: RunningService) -> None:
    await asyncio.to_thread(service.start)
    await assert_log_folds(earlier)
    assert await outdated_datasets(earlier) == []
    assert "state_rebuild_started" in service.log()
    assert "state_rebuilt" in service.log()


async def test_every_other_dataset_copies_who_verified_what(earlier: str, service: RunningService) -> None:
    await migrate(earlier)
    async with await Database.open(earlier) as database:
        queued = await database.fetch("SELECT dataset_id, change FROM verification_queue ORDER BY dataset_id")
        others = await database.fetch(
            "SELECT dataset_id, 'all' FROM dataset WHERE name <> 'default' ORDER BY dataset_id"
        )
        assert [tuple(row) for row in queued] == [tuple(row) for row in others] != []
        await asyncio.to_thread(service.start)

        async def is_copied() -> bool:
            return await database.fetchval("SELECT count(*) FROM verification_queue") == 0

        await until_async(is_copied, "the copy is done")


async def test_the_next_start_rebuilds_nothing(earlier: str, service: RunningService) -> None:
    await asyncio.to_thread(service.start)
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(service.start)
    assert service.log().count("state_rebuilt") == 1


async def test_the_command_rebuilds_it(earlier: str, data_dir: Path) -> None:
    first, second = [await asyncio.to_thread(_command, "upgrade", earlier, data_dir) for _ in range(2)]
    await assert_log_folds(earlier)
    assert "0014_pending_rebuild" in first
    assert "State rebuilt:" in first
    assert second == "Migrations applied: none.\nThe state is up to date.\n"


async def test_any_command_rebuilds_it_first(earlier: str, data_dir: Path) -> None:
    await asyncio.to_thread(_command, "org", earlier, data_dir, "list")
    await assert_log_folds(earlier)


async def test_the_doctor_reports_it_and_changes_nothing(earlier: str, data_dir: Path) -> None:
    await migrate(earlier)
    found = await asyncio.to_thread(_command, "doctor", earlier, data_dir, code=1)
    assert f"! state        written by an earlier version in datasets: {DATASETS};" in found
    assert len(await outdated_datasets(earlier)) == DATASETS


async def test_a_new_database_has_nothing_to_rebuild(made_databases: Databases) -> None:
    url = await made_databases.empty_one()
    upgraded = await upgrade(url, unwatched, ignored)
    assert upgraded.migrations
    assert upgraded.rebuilt is None


async def test_an_interrupted_rebuild_is_continued(earlier: str) -> None:
    await migrate(earlier)
    _, second = await outdated_datasets(earlier)

    @contextmanager
    def interrupted() -> Iterator[Callable[[int, int], None]]:
        def report(done: int, total: int) -> None:
            if done == total:
                raise KeyboardInterrupt

        yield report

    with pytest.raises(KeyboardInterrupt):
        await upgrade(earlier, interrupted, ignored)
    assert await outdated_datasets(earlier) == [second]
    continued = await upgrade(earlier, unwatched, ignored)
    assert continued.rebuilt is not None
    assert continued.rebuilt.entries == await _count_entries(earlier, second)
    await assert_log_folds(earlier)


async def test_a_killed_start_is_continued_by_the_next(earlier: str, service: RunningService) -> None:
    await migrate(earlier)
    _, second = await outdated_datasets(earlier)
    async with _locked_configuration(earlier, second) as connection:
        service.launch()
        await until_async(lambda: _is_waited_for(connection), service.log)
        assert await outdated_datasets(earlier) == [second], "the first dataset is committed"
        service.kill()
    await asyncio.to_thread(service.start)
    assert await outdated_datasets(earlier) == []
    await assert_log_folds(earlier)


async def test_another_process_waits_and_says_so(earlier: str) -> None:
    waits = asyncio.Event()
    connection = await connect(earlier)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        waiting = asyncio.create_task(upgrade(earlier, unwatched, waits.set))
        await asyncio.wait_for(waits.wait(), 60)
        assert not waiting.done()
    finally:
        await connection.close()
    assert (await waiting).rebuilt is not None


async def test_of_many_processes_one_rebuilds(earlier: str) -> None:
    upgraded: list[Upgraded] = await asyncio.gather(*(upgrade(earlier, unwatched, ignored) for _ in range(3)))
    assert sum(done.rebuilt is not None for done in upgraded) == 1


async def test_a_log_that_cannot_be_folded_is_an_error_of_one_sentence(earlier: str) -> None:
    await migrate(earlier)
    connection = await connect(earlier)
    try:
        await connection.execute("DELETE FROM log WHERE kind = 'write'")
        await connection.execute("UPDATE log SET replay = 'apply' WHERE plan IS NOT NULL")
    finally:
        await connection.close()
    with pytest.raises(UnsupportedDatabase, match=r"cannot be rebuilt from the log: Entry \d+ needs profile"):
        await upgrade(earlier, unwatched, ignored)
    assert await outdated_datasets(earlier), "the next start refuses it too"


def _command(name: str, database_url: str, data_dir: Path, *arguments: str, code: int = 0) -> str:
    """The output of a command on a database."""
    environment = clean_environment() | {
        "ONESELF_DATA_DIR": str(data_dir),
        "ONESELF_DATABASE_URL": database_url,
        "ONESELF_SECRET_KEY": SECRET_KEY,
    }
    result = run_command(name, *arguments, environment=environment)
    assert result.returncode == code, result.stdout + result.stderr
    return result.stdout


@asynccontextmanager
async def _locked_configuration(url: str, dataset_id: int) -> AsyncIterator[Connection]:
    """A connection that holds the lock which the rebuild of a dataset takes first."""
    connection = await connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", config_hash(dataset_id))
        yield connection
    finally:
        await connection.close()


async def _is_waited_for(connection: Connection) -> bool:
    count = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = "
    current = "(SELECT oid FROM pg_database WHERE datname = current_database())"
    return bool(await connection.fetchval(count + current))


async def _count_entries(url: str, dataset_id: int) -> int:
    connection = await connect(url)
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM log WHERE dataset_id = $1", dataset_id)
        return count
    finally:
        await connection.close()
