"""Reads tables of events: scenarios of the event wire, and the expected outcome of each event.

    spelling {"user": {"anonymousId": "0123456789abcdef", "id": "abc123"}}
    spelling {"user": {"anonId": "0123456789abcdef", "id": "abc123"}}

    case no user has the id, and the visitor was here before
    {"user": {"anonymousId": "0123456789abcdef"}}   -> anonymous
    the event                                       -> creates U1, anonymous activity merged
    the record                                      -> U1 {"webId": "abc123"}

Each case runs once for every spelling, in a new dataset. The spelling replaces `the event`. A line is an
event (JSON on one line), `->` and clauses. `10m ago` before an event sets its time of occurrence.

Clauses: `anonymous` (the id of the visitor is that of the browser), `creates U1`, `tracked against U1`,
`keeps U1` (several users matched, this one survives), `deletes U2` (it was absorbed; its id leads to the
survivor), `anonymous activity merged` (all earlier events of the browser now belong to the user).
`the record` lists the identities of a user at that point. `#` at the beginning of a line begins a comment.
Every mistake in a file is a `TableError` with file, line and message.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent / "events"
FILES = sorted(FOLDER.glob("*.table"))
MINUTE_MS = 60_000

_AGO = re.compile(r"([0-9]+)m ago\s+")
_ABOUT_A_USER = re.compile(r"(creates|tracked against|keeps|deletes) (U[1-9][0-9]*)")
_RECORD = re.compile(r"(U[1-9][0-9]*)\s+(\{.*\})")
_ANONYMOUS = "anonymous"
_MERGED = "anonymous activity merged"


class TableError(ValueError):
    """A table has a mistake."""


class Clause(msgspec.Struct, frozen=True):
    """One expected outcome. `user`: U1, U2, … if the outcome is about a user."""

    what: str
    user: str = ""


class Send(msgspec.Struct, frozen=True):
    """An event and its expected outcome. `event`: None is the spelling. `ago_ms`: None is now."""

    number: int
    event: dict[str, Any] | None
    ago_ms: int | None
    clauses: tuple[Clause, ...]


class Record(msgspec.Struct, frozen=True):
    """The expected identities of a user, name → value."""

    number: int
    user: str
    identities: dict[str, str]


class Case(msgspec.Struct, frozen=True):
    """The lines of a case: earlier events, the event, the expected records."""

    number: int
    title: str
    steps: tuple[Send | Record, ...]


class Table(msgspec.Struct, frozen=True):
    """A scenario: its spellings, each with its line number, and its cases."""

    name: str
    spellings: tuple[tuple[int, dict[str, Any]], ...]
    cases: tuple[Case, ...]


def load(path: Path) -> Table:
    """The table in the file `path`, named after it."""
    return parse(path.read_text("utf-8"), path.name)


def parse(text: str, name: str = "table") -> Table:
    """The table in `text`; errors and reports use `name`."""
    spellings: list[tuple[int, dict[str, Any]]] = []
    cases: list[Case] = []
    for number, line in enumerate(text.splitlines(), start=1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        try:
            _read(number, content, spellings, cases)
        except TableError as error:
            raise TableError(f"{name}:{number}: {error}\n    {content}") from error
    if not spellings or not cases:
        raise TableError(f"{name}: a table has spellings and cases")
    for case in cases:
        if not any(isinstance(step, Send) and step.event is None for step in case.steps):
            raise TableError(f"{name}:{case.number}: `the event` is missing in this case")
    return Table(name, tuple(spellings), tuple(cases))


def _read(number: int, text: str, spellings: list[tuple[int, dict[str, Any]]], cases: list[Case]) -> None:
    word, _, rest = text.partition(" ")
    if word == "spelling":
        if cases:
            raise TableError("spellings come before the first case")
        spellings.append((number, _object(rest)))
    elif word == "case":
        cases.append(Case(number, rest.strip(), ()))
    elif not cases:
        raise TableError("a line begins with `spelling` or `case` until there is a case")
    else:
        cases[-1] = msgspec.structs.replace(cases[-1], steps=(*cases[-1].steps, _step(number, text)))


def _step(number: int, text: str) -> Send | Record:
    observed, arrow, expected = text.partition(" -> ")
    if not arrow:
        raise TableError("` -> ` and the expected outcome are missing")
    observed = observed.strip()
    if observed == "the record":
        found = _RECORD.fullmatch(expected.strip())
        if found is None:
            raise TableError("a record is a user like U1 and a JSON object")
        return Record(number, found[1], _object(found[2]))
    ago = _AGO.match(observed)
    event_text = observed[ago.end() :] if ago else observed
    event = None if event_text == "the event" else _object(event_text)
    clauses = tuple(_clause(clause.strip()) for clause in expected.split(","))
    return Send(number, event, int(ago[1]) * MINUTE_MS if ago else None, clauses)


def _clause(text: str) -> Clause:
    if text in (_ANONYMOUS, _MERGED):
        return Clause(text)
    found = _ABOUT_A_USER.fullmatch(text)
    if found is None:
        raise TableError(f"unknown clause {text!r}")
    return Clause(found[1], found[2])


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise TableError(f"invalid JSON: {error}") from error
    if not isinstance(found, dict):
        raise TableError("not a JSON object")
    return found
