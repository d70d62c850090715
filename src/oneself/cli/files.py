"""What commands read from files and standard input, and write to files.

Invariants: invalid UTF-8, NUL characters, and errors of the file system end as one sentence that names the
file. Text that passes can be stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oneself.core.text import is_storable
from oneself.errors import InvalidInput

STANDARD_INPUT = "-"
#: No document of ours is deeper; one that refers to itself has no end.
DEPTH_MAX = 50


def read_text(file: str) -> str:
    """The text of a file, or of standard input if it is called `-`. Raises InvalidInput."""
    try:
        with decoded_input(_name(file)):
            content = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
            text = content.decode("utf-8")
    except OSError as error:
        raise InvalidInput("file", f"{_name(file)} cannot be read: {error.strerror}.") from None
    if not is_storable(text):
        raise InvalidInput("file", f"{_name(file)} has a NUL character.")
    return text


def write_bytes(file: Path, content: bytes) -> None:
    """Write a file. Raises InvalidInput if that is not possible."""
    try:
        file.write_bytes(content)
    except OSError as error:
        raise InvalidInput("file", f"{file} cannot be written: {error.strerror}.") from None


@contextmanager
def decoded_input(name: str = "Standard input") -> Iterator[None]:
    """Raise InvalidInput if what is read is not valid UTF-8."""
    try:
        yield
    except UnicodeDecodeError:
        raise InvalidInput("file", f"{name} is not valid UTF-8.") from None


def check_texts(file: str, value: Any, depth: int = DEPTH_MAX) -> None:
    """Raise InvalidInput if a text in a decoded document cannot be stored: formats can spell such text."""
    if depth == 0:
        raise InvalidInput("file", f"{_name(file)} is nested more than {DEPTH_MAX} levels deep.")
    if isinstance(value, str) and not is_storable(value):
        raise InvalidInput("file", f"{_name(file)} has a NUL character or half a surrogate pair in a text.")
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        check_texts(file, part, depth - 1)


def _name(file: str) -> str:
    return "Standard input" if file == STANDARD_INPUT else file
