"""The environment of a question: a new database, the services in this process, or a service process.

The server is an embedded one, durable as in production, in a temporary folder; or any server whose role may
create databases (`--database-url`).
"""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from oneself.bootstrap import build_services
from oneself.core.config.configuration import Config
from oneself.processes.worker import tune_garbage_collector
from oneself.service.configuration import Configurations
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.migrate import migrate

Progress = Callable[[int, int], None]

ORG = "bench"
CLIENT_ID = "bench-backend"
CLIENT_SECRET = "bench-backend-secret"
SECRET_KEY = "a secret key for measurements, long enough"
GREETING = re.compile(r"answers at (http://\S+)")
START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0


class Stage(msgspec.Struct, frozen=True):
    """Server, folder and size of a run.

    `is_full`: False for small sizes, which only show that a question runs.
    """

    server_url: str
    folder: Path
    is_full: bool
    progress: Progress

    def size(self, quick: int, full: int) -> int:
        """Return the value for the size of this run."""
        return full if self.is_full else quick

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Create a migrated database, yield its URL, and drop it afterwards."""
        name = f"bench_{os.getpid()}_{time.monotonic_ns()}"
        await self._command(f"CREATE DATABASE {name}")
        try:
            parts = urlsplit(self.server_url)
            url = urlunsplit(parts._replace(path=f"/{name}"))
            await migrate(url)
            yield url
        finally:
            await self._command(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def bench(self) -> AsyncIterator["Bench"]:
        """Open the services on a new database with one organisation."""
        async with self.database() as url, await Database.open(url, max_size=10) as database:
            services = build_services(Settings(data_dir=self.folder, secret_key=SECRET_KEY), database)
            await services.setup.provisioning.create(ORG, client_id=CLIENT_ID, client_secret=CLIENT_SECRET)
            dataset_ref = await services.directory.organisations.get(ORG)
            config = await services.configurations.current(dataset_ref.dataset_id)
            config = await _with_trait(services.configurations, dataset_ref.dataset_id, config)
            tune_garbage_collector()
            yield Bench(url, services, dataset_ref.dataset_id, config)

    @contextmanager
    def service(self, database_url: str, workers: int = 1) -> Iterator["Service"]:
        """Run `oneself serve` on a database in a process of its own."""
        service = Service(
            self.folder, {"ONESELF_DATABASE_URL": database_url, "ONESELF_WORKERS": str(workers)}
        )
        service.start()
        try:
            yield service
        finally:
            service.stop()

    async def version(self) -> str:
        """Return the version of the PostgreSQL server."""
        connection = await asyncpg.connect(self.server_url)
        try:
            return str(await connection.fetchval("SHOW server_version"))
        finally:
            await connection.close()

    async def _command(self, sql: str) -> None:
        connection = await asyncpg.connect(self.server_url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


class Bench(msgspec.Struct, frozen=True):
    """The services in this process, and one dataset."""

    url: str
    services: Services
    dataset_id: int
    config: Config


class Service:
    """A process of `oneself serve`. `url`: set once it accepts requests."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.url = ""
        self._log = folder / "service.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ONESELF_")},
            "ONESELF_PORT": "0",
            "ONESELF_EVENTS_PER_ADDRESS_S": "0",
            "ONESELF_DATA_DIR": str(folder),
            "ONESELF_SECRET_KEY": SECRET_KEY,
            "ONESELF_BOOTSTRAP_ORG": ORG,
            "ONESELF_BOOTSTRAP_CLIENT_ID": CLIENT_ID,
            "ONESELF_BOOTSTRAP_CLIENT_SECRET": CLIENT_SECRET,
            **environment,
        }

    def start(self) -> float:
        """Start the service. Returns the seconds until it was ready."""
        started = time.perf_counter()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oneself", "serve"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while not (found := GREETING.search(self._log.read_text())):
            if self.process.poll() is not None or time.perf_counter() - started > START_DEADLINE_S:
                raise RuntimeError(f"The service did not start:\n{self._log.read_text()}")
            time.sleep(0.005)
        self.url = found[1]
        with urllib.request.urlopen(f"{self.url}/ready") as answer:
            assert answer.status == 200
        return time.perf_counter() - started

    def stop(self) -> None:
        """Stop the service and wait until it has ended."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_DEADLINE_S)

    def token(self, client_id: str = CLIENT_ID, client_secret: str = CLIENT_SECRET) -> str:
        """Return an access token of an application; by default, of the system application."""
        basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        scope = " ".join(f"internal_cds_profile_{verb}" for verb in ("create", "view", "update", "delete"))
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope}).encode()
        request = urllib.request.Request(
            f"{self.url}/t/{ORG}/oauth2/token", form, {"Authorization": f"Basic {basic}"}
        )
        with urllib.request.urlopen(request) as answer:
            return str(json.load(answer)["access_token"])


async def _with_trait(configurations: Configurations, dataset_id: int, config: Config) -> Config:
    from oneself.core.config.changes import PutAttributes
    from oneself.core.values.attribute import Attribute

    plan = Attribute(
        attribute_id="00000000-0000-4000-8000-000000000001",
        attribute_name="traits.plan",
        value_type="string",
        merge_strategy="overwrite",
    )
    return await configurations.change(dataset_id, lambda _: PutAttributes((plan,)))
