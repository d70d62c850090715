"""The data folder: made when it is missing, and checked before anything is written to it.

Invariants: an error about the folder names the folder, the reason and what to do. It is an error of a
setting, never one of the database that is to be in the folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneself.errors import SettingsError


def make_data_folder(folder: Path) -> None:
    """Make the folder unless it exists. Raises SettingsError if this user cannot write files in it."""
    if reason := unusable_reason(folder):
        raise _unusable(folder, reason)
    with explained_folder_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def unusable_reason(folder: Path) -> str | None:
    """Why this user can keep no files in the folder; None if it seems possible. Changes nothing."""
    nearest = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not os.path.isdir(nearest):
        return f"{nearest} is {'not a folder' if os.path.exists(nearest) else 'a link to nothing'}"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"this user may not write in {nearest}"
    return None


@contextmanager
def explained_folder_errors(folder: Path) -> Iterator[None]:
    """Raise a SettingsError for an error of the file system."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        detail = f"{error.filename}: {reason}" if error.filename else reason
        raise _unusable(folder, detail) from error


def _unusable(folder: Path, reason: str) -> SettingsError:
    return SettingsError(
        f"The data folder {folder} cannot be used: {reason}. "
        "Give this user a folder that it may write, with --data-dir or ONESELF_DATA_DIR."
    )
