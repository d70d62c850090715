"""What the repositories of tables have in common: an executor, and whose rows they see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import msgspec

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

    #: What runs statements: a connection in its transaction, or a database, where each statement is its own.
    Executor: TypeAlias = Connection | Database

StructT = TypeVar("StructT", bound=msgspec.Struct)


class Table:
    """The rows of one dataset in one table."""

    __slots__ = ("_dataset_id", "_executor")

    def __init__(self, executor: Executor, dataset_id: int) -> None:
        self._executor = executor
        self._dataset_id = dataset_id


class OrganisationTable:
    """The rows of one organisation in one table."""

    __slots__ = ("_executor", "_org_id")

    def __init__(self, executor: Executor, org_id: int) -> None:
        self._executor = executor
        self._org_id = org_id


def struct_of(kind: type[StructT], row: Any) -> StructT | None:
    """A row as a struct whose fields are called as the columns; None for no row."""
    return None if row is None else kind(*(row[name] for name in kind.__struct_fields__))


def structs_of(kind: type[StructT], rows: Iterable[Any]) -> list[StructT]:
    """Rows as structs, as `struct_of`."""
    return [kind(*(row[name] for name in kind.__struct_fields__)) for row in rows]
