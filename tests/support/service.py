"""A running `oneself serve` in a separate process, for black-box tests."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from support.commands import clean_environment, run_command

START_DEADLINE_S = 60.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.02
GREETING = re.compile(r"answers at (http://\S+)")

ORG = "acme"
CLIENT_ID = "acme-backend"
CLIENT_SECRET = "acme-backend-secret"
ADMIN_PASSWORD = "correct horse battery staple"
SYNC = ("sync-administrator", "sync-password")
SECRET_KEY = "a secret key for tests that is long enough"

BOOTSTRAP = {
    "ONESELF_BOOTSTRAP_ORG": ORG,
    "ONESELF_BOOTSTRAP_CLIENT_ID": CLIENT_ID,
    "ONESELF_BOOTSTRAP_CLIENT_SECRET": CLIENT_SECRET,
    "ONESELF_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
    "ONESELF_SYNC_USERNAME": SYNC[0],
    "ONESELF_SYNC_PASSWORD": SYNC[1],
    "ONESELF_SECRET_KEY": SECRET_KEY,
}


class RunningService:
    """`oneself serve` on a free port, with the organisation `acme` and its system application.

    `database_url=None` runs the embedded server in `data_dir`. Use `start` after `stop` or `kill` to run it
    again on the same data and the same port.
    """

    org = ORG
    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET
    admin_password = ADMIN_PASSWORD
    sync_username, sync_password = SYNC

    def __init__(
        self,
        data_dir: Path,
        database_url: str | None = None,
        environment: dict[str, str] | None = None,
        workers: int = 1,
        bootstrap: bool = True,
    ) -> None:
        self.data_dir = data_dir
        self.database_url = database_url
        self.base_url = ""
        self._port = 0
        self._log_file = data_dir.parent / f"{data_dir.name}.log"
        self._environment = {
            **clean_environment(),
            **(BOOTSTRAP if bootstrap else {}),
            "ONESELF_DATA_DIR": str(data_dir),
            "ONESELF_WORKERS": str(workers),
            **({"ONESELF_DATABASE_URL": database_url} if database_url else {}),
            **(environment or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RunningService:
        """Start the service and wait until it answers. Raises AssertionError with its log if it does not."""
        self.launch()
        self.wait_until_ready()
        return self

    def launch(self) -> None:
        """Start without waiting."""
        self._log_from = self._log_file.stat().st_size if self._log_file.exists() else 0
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "oneself", "serve"],
                env={**self._environment, "ONESELF_PORT": str(self._port)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_DEADLINE_S
        while not (greeting := GREETING.search(self._new_log())):
            assert self._running.poll() is None, f"the service ended:\n{self._new_log()}"
            assert time.monotonic() < deadline, f"the service did not start in time:\n{self._new_log()}"
            time.sleep(POLL_S)
        self.base_url = greeting[1]
        self._port = httpx.URL(self.base_url).port or 80

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Send a signal and wait. Returns the exit code; 0 if the service is not running."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signum)
        return self.wait()

    def kill(self) -> None:
        """Kill the process with SIGKILL, so that it cannot clean up."""
        self._running.kill()
        self._running.wait()
        self.process = None

    def wait(self, deadline_s: float = STOP_DEADLINE_S) -> int:
        code = self._running.wait(deadline_s)
        self.process = None
        return code

    def log(self) -> str:
        """Everything that the service printed, in all its starts."""
        return self._log_file.read_text("utf-8", "replace")

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.base_url, timeout=30.0, **options)  # type: ignore[arg-type]

    def token(self, *permissions: str) -> str:
        """An access token of the system application with these permissions (default: all its own)."""
        form = {"grant_type": "client_credentials"}
        if permissions:
            form["scope"] = " ".join(permissions)
        url = f"{self.base_url}/t/{self.org}/oauth2/token"
        answer = httpx.post(url, data=form, auth=(self.client_id, self.client_secret), timeout=30.0)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    def command(self, *arguments: str, deadline_s: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run `oneself …` with the settings of this service."""
        return run_command(*arguments, environment=self._environment, deadline_s=deadline_s)

    def _new_log(self) -> str:
        with self._log_file.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode("utf-8", "replace")

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "the service is not running"
        return self.process
