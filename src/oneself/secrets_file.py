"""Files that hold a secret: the secret key in the data folder, the password of the embedded database.

Invariants: a secret file is readable by its owner only, and it is written completely or not at all. An
existing file is never replaced.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from oneself.data_folder import explained_folder_errors, make_data_folder
from oneself.errors import SettingsError
from oneself.settings import Settings

SECRET_KEY_FILE = "secret.key"  # noqa: S105 a file name
#: Of a new database. A database that was made with a shorter key keeps it; `oneself doctor` reports it.
SECRET_KEY_CHARS_MIN = 32


def secret_key_file(settings: Settings) -> Path:
    """Where the secret key is read from if no setting contains it."""
    return settings.folder / SECRET_KEY_FILE


def find_secret_key(settings: Settings) -> str | None:
    """The secret key from the settings, else from the data folder; None if neither has one.

    Raises SettingsError if the file cannot be read or is empty.
    """
    if settings.secret_key:
        return settings.secret_key
    path = secret_key_file(settings)
    try:
        secret_key = path.read_text("ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise SettingsError(
            f"The secret key file {path} cannot be read: {reason}. "
            "Run as its owner, or set ONESELF_SECRET_KEY."
        ) from error
    if not secret_key:
        raise SettingsError(f"The secret key file {path} is empty. Restore it, or set ONESELF_SECRET_KEY.")
    return secret_key


def make_secret_key(settings: Settings) -> str:
    """Generate the secret key in the data folder; if the file exists, return the key in it.

    Only for a new database: another key decrypts nothing of an existing one. Raises SettingsError if the data
    folder cannot be used.
    """
    make_data_folder(settings.folder)
    with explained_folder_errors(settings.folder):
        write_secret_once(secret_key_file(settings), secrets.token_urlsafe(48))
    secret_key = find_secret_key(settings)
    assert secret_key is not None
    return secret_key


def write_secret_once(path: Path, secret: str) -> None:
    """Create `path` with mode 0600; an existing file stays as it is."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _write_synced(draft, secret)
    try:
        # A hard link fails if another process was first; a rename would replace its key.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync_folder(path.parent)


def _write_synced(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    # The file is on disk, but its name may not be. Without its key a database cannot be read.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
