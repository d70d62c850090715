"""Every operation with which something can be changed, and what the audit log has of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from typer.main import get_command

from oneself.api.app import create_framework
from oneself.cli.main import app as commands
from oneself.core.units import SEQ_MAX
from oneself.service.context import DatasetRef
from oneself.service.log.audit import AuditEntry
from oneself.services import Services
from oneself.settings import Settings

READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: Reason → operations that write no entry.
Reasons = Mapping[str, tuple[str, ...]]


def routes() -> set[str]:
    """`METHOD /path` of every route of the application that can change something."""
    return {
        f"{method} {route.path_format}"
        for route in create_framework(Settings(), {}).routes
        for method in getattr(route, "methods", ())
        if method not in READING
    }


def all_commands() -> set[str]:
    """Every command, as it is typed after `oneself`."""
    return set(_commands(get_command(commands), ()))


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[str]:
    if not hasattr(command, "list_commands"):
        yield " ".join(path)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        yield from _commands(command.get_command(context, name), (*path, name))


def assert_listed(operations: set[str], carried_out: set[str], reasons: Reasons) -> None:
    """Every operation is carried out by a test, or has a reason why it writes no entry; none has both."""
    excused = [operation for listed in reasons.values() for operation in listed]
    assert len(excused) == len(set(excused))
    assert not carried_out & set(excused)
    missing = sorted(operations - carried_out - set(excused))
    assert not missing, f"without an entry in the audit log, and without a reason: {missing}"
    assert not sorted((carried_out | set(excused)) - operations), "there are no such operations"


class Recorder:
    """Reads the entries of an organisation that are new since it was asked last."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self._services = services
        self._dataset_ref = dataset_ref
        self._known: set[Any] = set()

    async def new(self) -> list[AuditEntry]:
        audit = self._services.log.audit
        listed = await audit.list_entries(self._dataset_ref, 0, SEQ_MAX, limit=1000, offset=0)
        found = [entry for entry in listed if entry.entry_id not in self._known]
        self._known |= {entry.entry_id for entry in listed}
        return found

    async def assert_recorded(self, operation: str, kind: str, **by: str | None) -> None:
        """The operation wrote an entry of a kind; each entry says who did it and what differs."""
        found = await self.new()
        assert kind in {entry.kind for entry in found}, (operation, found)
        for entry in found:
            assert entry.differences or entry.dataset, operation
            assert {name: getattr(entry, name) for name in by} == by, (operation, entry)

    async def stored(self) -> str:
        """The content of every entry, as it is stored."""
        query = (
            "SELECT content::text FROM audit_entry UNION ALL "
            "SELECT content::text FROM log WHERE kind IN ('configure', 'erase', 'split', 'merge')"
        )
        async with self._services.database.connection() as connection:
            return " ".join(row["content"] for row in await connection.fetch(query))
