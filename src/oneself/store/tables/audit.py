"""The audit trail: entries of the table `log` (configuration, erasures, verifications, splits and merges by
hand), and of the table `audit_entry`, which has what belongs to no dataset, and what was configured in
datasets that were deleted."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable

_sql = Queries("audit")
#: Kinds of entries that belong to no dataset: what was changed.
AuditedKind = Literal[
    "organisation",
    "dataset",
    "account",
    "console_user",
    "application",
    "issuer",
    "identity_server",
    "signing_key",
    "token_key",
    "webhook",
    "code_webhook",
]
AuditKind = Literal["configure", "erase", "claims", "split", "merge"] | AuditedKind


class AuditRow(msgspec.Struct, frozen=True):
    """A change of configuration, an erasure, a verification or a decision by hand, as it is logged; or a
    change of what belongs to no dataset, or of a dataset that was deleted."""

    #: Empty: it belongs to none.
    dataset: str
    #: In µs since 1970.
    seq: int
    observation_id: UUID
    kind: AuditKind
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

    async def put(self, seq: int, entry_id: UUID, kind: AuditedKind, content: dict[str, Any]) -> None:
        """Insert an entry that belongs to no dataset."""
        await self._executor.execute(_sql.put, self._org_id, seq, entry_id, kind, rows.encode_json(content))

    async def copy_configuration(self, dataset_id: int, name: str) -> None:
        """Copy what was configured in a dataset, whose log is deleted next."""
        await self._executor.execute(_sql.copy_configuration, self._org_id, dataset_id, name)
