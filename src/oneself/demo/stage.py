"""The stage: a folder of its own, `oneself serve` as a process in it, and the shop's two applications.

Law of this module: everything it starts it also stops; a folder is emptied only if an earlier demo made it.
No setting of the surrounding environment reaches the demo.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from oneself.demo.tell import Teller
from oneself.errors import Fatal, SettingsError

ORG = "bookshop"
BACKEND = "bookshop-backend"
WEB = "bookshop-web"
SHOP_NAME = "Paper & Ink"
MARK = "made-by-oneself-demo"
READY_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.05
LOG_LINES = 15
#: What the web application may do in the name of a person who signed in.
WEB_PERMISSIONS = ("internal_cds_profile_view", "internal_cds_profile_update")


class Stage(msgspec.Struct, frozen=True):
    """Addresses and credentials of a running demo. `service` and `shop` are without a trailing slash."""

    folder: Path
    service: str
    shop: str
    backend_secret: str
    web_secret: str

    @property
    def api(self) -> str:
        """Where the customer data service of the bookshop is."""
        return f"/t/{ORG}/cds/api/v1"

    @property
    def callback(self) -> str:
        """Where the browser returns to after signing in."""
        return f"{self.shop}/signed-in"

    @property
    def shop_port(self) -> int:
        return httpx.URL(self.shop).port or 80


@contextmanager
def staged(data_dir: Path | None, port: int | None, teller: Teller) -> Iterator[Stage]:
    """A running stage. `data_dir`: None takes a temporary folder, which is removed at the end."""
    service_port = _free_port(port, 8700)
    shop_port = _free_port(None, service_port + 1)
    with _folder(data_dir) as folder:
        stage = Stage(
            folder=folder,
            service=f"http://localhost:{service_port}",
            shop=f"http://localhost:{shop_port}",
            backend_secret=secrets.token_urlsafe(18),
            web_secret=secrets.token_urlsafe(18),
        )
        with _service(stage, service_port):
            _make_web_application(stage, teller)
            yield stage


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is None:
        made = Path(tempfile.mkdtemp(prefix="oneself-demo-"))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)
        return
    folder = data_dir.expanduser().absolute()
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARK).exists():
            raise SettingsError(f"{folder} is not empty and no demo made it. Give another --data-dir.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    yield folder


@contextmanager
def _service(stage: Stage, port: int) -> Iterator[None]:
    log_file = stage.folder / "service.log"
    with log_file.open("wb") as log:
        # A session of its own: Ctrl-C is for us, we stop the service ourselves.
        process = subprocess.Popen(
            [sys.executable, "-m", "oneself", "serve"],
            env={**environment(stage), "ONESELF_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_until_ready(stage, process, log_file)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment(stage: Stage) -> dict[str, str]:
    """The environment of the service and of commands beside it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ONESELF_")}
    return {
        **inherited,
        "ONESELF_DATA_DIR": str(stage.folder),
        "ONESELF_BOOTSTRAP_ORG": ORG,
        "ONESELF_BOOTSTRAP_CLIENT_ID": BACKEND,
        "ONESELF_BOOTSTRAP_CLIENT_SECRET": stage.backend_secret,
    }


def run_command(stage: Stage, *arguments: str) -> str:
    """Run `oneself …` beside the service; what it printed. Raises Fatal with what it said when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "oneself", *arguments],
        env=environment(stage),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise Fatal(f"oneself {arguments[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout.strip()


def _wait_until_ready(stage: Stage, process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{stage.service}/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(POLL_S)
    last = "\n".join(log_file.read_text("utf-8", "replace").splitlines()[-LOG_LINES:])
    raise Fatal(f"The service did not start. The end of its log:\n{last}")


def _make_web_application(stage: Stage, teller: Teller) -> None:
    permissions = [part for name in WEB_PERMISSIONS for part in ("--permission", name)]
    addresses = ["--redirect-uri", stage.callback, "--post-logout-redirect-uri", f"{stage.shop}/"]
    arguments = ["app", "create", SHOP_NAME, "--kind", "web", "--client-id", WEB, *addresses, *permissions]
    told = f"oneself app create '{SHOP_NAME}' --kind web --client-id {WEB} --redirect-uri {stage.callback} …"
    teller.command(told)
    run_command(stage, *arguments, "--client-secret", stage.web_secret)


def _free_port(wanted: int | None, usual: int) -> int:
    """The wanted port, else the usual one if nobody has it, else any. Raises SettingsError."""
    if wanted is not None:
        if not _is_free(wanted):
            raise SettingsError(f"Port {wanted} is in use. Choose another with --port.")
        return wanted
    if _is_free(usual):
        return usual
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
