"""What the repositories of the tables of a dataset have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

    #: What runs statements: a connection in its transaction, or a database, where each statement is its own.
    Executor: TypeAlias = Connection | Database


class Table:
    """The rows of one dataset in one table."""

    __slots__ = ("_dataset_id", "_executor")

    def __init__(self, executor: Executor, dataset_id: int) -> None:
        self._executor = executor
        self._dataset_id = dataset_id
