"""Writes whose results nobody reads, sent to the server as one statement: each message costs both sides more
than a row.

Invariants: the writes are to different tables, and none reads what another one writes: the parts of one
statement see the tables as they were before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneself.store.tables.table import Executor

_PARAMETER = re.compile(r"\$(\d+)")


class WriteQueue:
    """Takes the place of a connection for the repositories of one dataset, until `flush`."""

    def __init__(self) -> None:
        self._statements: list[str] = []
        self._parameters: list[object] = []
        self._dataset_id = 0

    async def execute(self, sql: str, dataset_id: int, *parameters: object) -> str:
        """Queue a statement. `dataset_id`: its first parameter, the same for all."""
        self._statements.append(sql)
        self._parameters.extend(parameters)
        self._dataset_id = dataset_id
        return ""

    async def flush(self, executor: Executor) -> None:
        """Send what is queued."""
        if self._statements:
            sql = _together(tuple(self._statements))
            parameters = self._parameters
            self._statements, self._parameters = [], []
            await executor.execute(sql, self._dataset_id, *parameters)


@lru_cache(maxsize=256)
def _together(statements: tuple[str, ...]) -> str:
    """Statements as one, with the parameters of each after those of the one before; all share the first."""
    if len(statements) == 1:
        return statements[0]
    parts: list[str] = []
    offset = 0
    for number, sql in enumerate(statements):
        last = max(int(found) for found in _PARAMETER.findall(sql))
        parts.append(f"write_{number} AS (\n{_PARAMETER.sub(_shifted(offset), sql)}\n)")
        offset += last - 1
    return f"WITH {', '.join(parts)}\nSELECT"


def _shifted(offset: int) -> Callable[[re.Match[str]], str]:
    return lambda found: found[0] if found[1] == "1" else f"${int(found[1]) + offset}"
