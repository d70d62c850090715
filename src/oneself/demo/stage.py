"""The environment of the demo: a data folder, the process `oneself serve`, and the shop's two applications.

Invariants: it stops everything that it starts. It empties a folder only if an earlier demo created it.
Settings in the caller's environment do not affect the demo.
"""

from __future__ import annotations

import os
import re
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

import msgspec

from oneself.data_folder import explained_folder_errors, make_data_folder
from oneself.demo.narrator import Narrator
from oneself.errors import Fatal, SettingsError

ORG = "bookshop"
BACKEND = "bookshop-backend"
WEB = "bookshop-web"
SHOP_NAME = "Paper & Ink"
#: The dataset of the events of its pages.
DATASET = "web"
MARKER_FILE = "made-by-oneself-demo"
DEFAULT_PORT = 8700
LOG_FILE = "service.log"
GREETING = re.compile(r"answers at (http://\S+)")
READY_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
POLL_S = 0.05
LOG_LINES = 15
#: The permissions of the web application, for users who signed in.
WEB_PERMISSIONS = ("internal_cds_profile_view", "internal_cds_profile_update")


class Stage(msgspec.Struct, frozen=True):
    """URLs and credentials of a running demo. `service` and `shop`: URLs without a trailing slash."""

    folder: Path
    service: str
    shop: str
    backend_secret: str
    web_secret: str
    admin_password: str

    @property
    def api(self) -> str:
        """The path of the customer data service."""
        return f"/t/{ORG}/cds/api/v1"

    @property
    def event_path(self) -> str:
        """The path for events of the bookshop's pages."""
        return f"/t/{ORG}/api2/event/{DATASET}"

    @property
    def callback(self) -> str:
        """The redirect URI after sign-in."""
        return f"{self.shop}/signed-in"


@contextmanager
def shop_socket(port: int | None) -> Iterator[socket.socket]:
    """Open the socket of the shop, on the port after the service's port if it is free, else on any port.

    The socket listens at once, because a bound socket alone does not reserve the port. Visitors wait until
    the shop accepts requests.
    """
    listener = _listening((port or DEFAULT_PORT) + 1) or _listening(0)
    if listener is None:
        raise SettingsError("No port is free on this machine.")
    with listener:
        yield listener


def _listening(port: int) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        return None
    return listener


@contextmanager
def running_stage(
    data_dir: Path | None, port: int | None, listener: socket.socket, narrator: Narrator
) -> Iterator[Stage]:
    """Start the service and stop it at the end.

    `data_dir`: None for a temporary folder, which is removed at the end. `port` of the service: None for the
    default port, or a free one if it is in use. `listener`: the socket of the shop.
    """
    with _folder(data_dir) as folder:
        stage = Stage(
            folder=folder,
            service="",
            shop=f"http://localhost:{listener.getsockname()[1]}",
            backend_secret=secrets.token_urlsafe(18),
            web_secret=secrets.token_urlsafe(18),
            admin_password=secrets.token_urlsafe(12),
        )
        with _service(stage, port) as address:
            opened = msgspec.structs.replace(stage, service=address)
            _create_web_application(opened, narrator)
            yield opened


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is None:
        temporary = Path(tempfile.mkdtemp(prefix="oneself-demo-"))
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return
    folder = data_dir.expanduser().absolute()
    make_data_folder(folder)
    with explained_folder_errors(folder):
        _empty(folder)
    yield folder


def _empty(folder: Path) -> None:
    """Empty the folder of an earlier demo. Raises SettingsError if it contains other files."""
    if any(folder.iterdir()):
        if not (folder / MARKER_FILE).exists():
            raise SettingsError(f"{folder} is not empty and no demo made it. Choose another --data-dir.")
        shutil.rmtree(folder)
        folder.mkdir()
    (folder / MARKER_FILE).touch()


@contextmanager
def _service(stage: Stage, port: int | None) -> Iterator[str]:
    """Start the service and stop it at the end. Yields its URL."""
    process, address = _start(stage, port or DEFAULT_PORT)
    if process.poll() is not None and port is None:
        # The default port is in use.
        process, address = _start(stage, 0)
    try:
        if not address:
            raise Fatal(f"The service did not start. The end of its log:\n{_end_of_log(stage)}")
        yield address
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(stage: Stage, port: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start the service. Returns the process and the URL that it printed; empty if it ended without one."""
    with (stage.folder / LOG_FILE).open("wb") as log:
        # In a session of its own, because the demo handles Ctrl-C and stops the service itself.
        process = subprocess.Popen(
            [sys.executable, "-m", "oneself", "serve"],
            env={**environment(stage), "ONESELF_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        return process, _greeting(stage, process)
    except BaseException:
        process.terminate()
        raise


def _greeting(stage: Stage, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + READY_DEADLINE_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        if greeting := GREETING.search((stage.folder / LOG_FILE).read_text("utf-8", "replace")):
            return greeting[1]
        if ended:
            break
        time.sleep(POLL_S)
    return ""


def _end_of_log(stage: Stage) -> str:
    return "\n".join((stage.folder / LOG_FILE).read_text("utf-8", "replace").splitlines()[-LOG_LINES:])


def environment(stage: Stage) -> dict[str, str]:
    """Return the environment variables of the service and of commands."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ONESELF_")}
    inherited.pop("FORCE_COLOR", None)
    return {
        **inherited,
        "NO_COLOR": "1",
        "ONESELF_DATA_DIR": str(stage.folder),
        "ONESELF_BOOTSTRAP_ORG": ORG,
        "ONESELF_BOOTSTRAP_CLIENT_ID": BACKEND,
        "ONESELF_BOOTSTRAP_CLIENT_SECRET": stage.backend_secret,
        "ONESELF_BOOTSTRAP_ADMIN_PASSWORD": stage.admin_password,
    }


def run_command(stage: Stage, *arguments: str) -> str:
    """Run `oneself …` and return its output. Raises Fatal with the error output if it failed."""
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


def _create_web_application(stage: Stage, narrator: Narrator) -> None:
    permissions = [part for name in WEB_PERMISSIONS for part in ("--permission", name)]
    addresses = ["--redirect-uri", stage.callback, "--post-logout-redirect-uri", f"{stage.shop}/"]
    arguments = ["app", "create", SHOP_NAME, "--kind", "web", "--client-id", WEB, *addresses, *permissions]
    command = (
        f"oneself app create '{SHOP_NAME}' --kind web --client-id {WEB} --redirect-uri {stage.callback} …"
    )
    narrator.command(command)
    run_command(stage, *arguments, "--client-secret", stage.web_secret)
