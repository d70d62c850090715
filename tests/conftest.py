"""Fixtures for all tests: one database per worker, and running services for black-box tests.

database_url    a database with all migrations, one per worker
database        the same database, opened; empty at the start of every test
new_database    creates more databases
tunables        limits, times and costs of `services`: cheap hashes, one signing key
services        the use-cases on `database`, as `serve` puts them together
service         a running `oneself serve` with the organisation `acme`, shared by the tests of a worker
start_service   starts more services, with other settings, several workers, or the embedded database
data_dir        a data folder for an embedded database that only one test uses
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from oneself.bootstrap import build_services
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.tunables import Tunables
from support import databases
from support.databases import Databases
from support.service import SECRET_KEY, RunningService
from support.tunables import FAST
from support.verifying import assert_log_folds, assert_log_of_service_folds

NewDatabase = Callable[[], Awaitable[str]]
StartService = Callable[..., RunningService]
RUN_ID = "ONESELF_TEST_RUN_ID"
TESTS = Path(__file__).parent

# A slow machine must not make a test fail.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    # The controller sets the id of the run; its xdist workers inherit it.
    if not hasattr(config, "workerinput"):
        os.environ[RUN_ID] = uuid.uuid4().hex[:8]


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        databases.remove_run_folder(os.environ[RUN_ID])


# Tests whose result can depend on the PostgreSQL version: SQL, the write path, a running service.
ON_EVERY_POSTGRESQL = {"store", "service", "wire"}
IN_PROCESS = "in_process"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folders = item.path.relative_to(TESTS).parts[:-1]
        uses_database = "made_databases" in getattr(item, "fixturenames", ())
        if uses_database and folders and folders[0] in ON_EVERY_POSTGRESQL and IN_PROCESS not in folders:
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The database server of this run."""
    with databases.server(os.environ[RUN_ID]) as url:
        yield url


@pytest_asyncio.fixture(scope="session")
async def made_databases(server_url: str) -> AsyncIterator[Databases]:
    await databases.disable_fsync(server_url)
    made = Databases(server_url, os.environ[RUN_ID], os.environ.get("PYTEST_XDIST_WORKER", "main"))
    yield made
    await made.drop_all()


@pytest.fixture(scope="session")
def new_database(made_databases: Databases) -> NewDatabase:
    return made_databases.clone


@pytest_asyncio.fixture(scope="session")
async def database_url(made_databases: Databases) -> str:
    return await made_databases.clone()


@pytest_asyncio.fixture(scope="session")
async def opened_database(database_url: str) -> AsyncIterator[Database]:
    async with await Database.open(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def database(opened_database: Database) -> Database:
    await databases.empty(opened_database)
    return opened_database


@pytest.fixture
def tunables() -> Tunables:
    """The limits, times and costs of `services`; a test that needs others replaces this fixture."""
    return FAST


@pytest.fixture
def services(database: Database, tmp_path: Path, tunables: Tunables) -> Services:
    settings = Settings(data_dir=tmp_path, secret_key=SECRET_KEY)
    return build_services(settings, database, tunables=tunables)


@pytest_asyncio.fixture(scope="session")
async def service_database_url(made_databases: Databases) -> AsyncIterator[str]:
    """The database of `service`. After the last test of the worker, its log must fold to its state."""
    url = await made_databases.clone()
    yield url
    await assert_log_folds(url)


@pytest.fixture(scope="session")
def run_folder() -> Path:
    """The parent of all data folders. The system user of an embedded server cannot read folders of pytest."""
    folder = databases.run_folder(os.environ[RUN_ID]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def data_dir(run_folder: Path) -> Path:
    """A data folder that does not exist yet."""
    return Path(tempfile.mkdtemp(dir=run_folder)) / "data"


@pytest.fixture(scope="session")
def service(service_database_url: str, run_folder: Path) -> Iterator[RunningService]:
    running = RunningService(run_folder / "service", service_database_url).start()
    yield running
    running.stop()


@pytest.fixture
def start_service(data_dir: Path, request: pytest.FixtureRequest) -> Iterator[StartService]:
    """`start_service(database_url=None, environment={}, workers=1, bootstrap=True, name="data")`.

    `name` is the data folder, a sibling of `data_dir`; the embedded database runs there unless one is given.
    After the test, the log of every database that a service used must fold to its state. A test that damages
    a database on purpose is marked `damages_database`.
    """
    started: list[RunningService] = []

    def start(
        *,
        database_url: str | None = None,
        environment: dict[str, str] | None = None,
        workers: int = 1,
        bootstrap: bool = True,
        name: str = "data",
    ) -> RunningService:
        running = RunningService(data_dir.with_name(name), database_url, environment, workers, bootstrap)
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.stop()
    if request.node.get_closest_marker("damages_database") is None:
        by_database = {
            running.database_url or running.data_dir: running for running in started if running.base_url
        }
        for running in by_database.values():
            assert_log_of_service_folds(running)
