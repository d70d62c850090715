"""The audit trail in the table `log`: configuration, erasures, verifications, splits and merges by hand."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("audit")


class AuditRow(msgspec.Struct, frozen=True):
    """A change of configuration, an erasure, a verification or a decision by hand, as it is logged."""

    dataset: str
    #: In µs since 1970.
    seq: int
    observation_id: UUID
    kind: Literal["configure", "erase", "claims", "split", "merge"]
    config_version: int
    content: dict[str, Any]


class AuditTable(OrganisationTable):
    """The audit trail of an organisation."""

    __slots__ = ()

    async def list(self, since: int, until: int, *, limit: int, offset: int) -> list[AuditRow]:
        """A page of the entries between two instants in µs, the last first."""
        found = await self._executor.fetch(_sql.list, self._org_id, since, until, limit, offset)
        return [
            AuditRow(
                row["dataset"],
                row["seq"],
                row["observation_id"],
                row["kind"],
                row["config_version"],
                msgspec.json.decode(row["content"], type=dict[str, Any]),
            )
            for row in found
        ]
