"""The audit log: who changed settings and whatever else administrators change, erased a person, verified a
claim, or split and merged profiles by hand, and when, in every dataset of an organisation. It has what was
configured in a dataset that was deleted since, except for sample data.

Invariants: it says which settings were changed, from what to what. It has no secret, and nothing of a person:
blocked values are counted, and what was erased, split or merged is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec

from oneself.core.config.difference import SettingDifference
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.tables.audit import AuditedKind, AuditRow


class AuditEntry(msgspec.Struct, frozen=True):
    """Something that was done. `at`: µs since 1970. `changes`: the kinds of change of a configuration.
    `profiles`: how many were erased. `parts`: how many a person split or merged. `claims`: claim → whether
    it is verified from then on. `differences`: what was changed from what to what; empty for entries of
    earlier versions. `dataset`: empty for what belongs to none.
    """

    entry_id: UUID
    at: int
    dataset: str
    kind: Literal["configure", "erase", "verify", "split", "merge"] | AuditedKind
    interface: str
    application: str | None
    version: int
    changes: tuple[str, ...] = ()
    profiles: int = 0
    parts: int = 0
    claims: dict[str, bool] = {}
    console_user: str | None = None
    differences: tuple[SettingDifference, ...] = ()


class Audit:
    """Reads the audit log."""

    def __init__(self, database: Database) -> None:
        self._directory = Directory(database)

    async def list_entries(
        self, dataset_ref: DatasetRef, since: int, until: int, *, limit: int, offset: int
    ) -> list[AuditEntry]:
        """What was done between two instants in µs, the last first."""
        audit = self._directory.of(dataset_ref.org_id).audit
        return [_entry(row) for row in await audit.list(since, until, limit=limit, offset=offset)]


def _entry(row: AuditRow) -> AuditEntry:
    content = row.content
    return AuditEntry(
        entry_id=row.observation_id,
        at=row.seq,
        dataset=row.dataset,
        kind="verify" if row.kind == "claims" else row.kind,
        interface=content.get("face", ""),
        application=content.get("application"),
        version=row.config_version,
        changes=tuple(content["changes"]) if "changes" in content else _kinds(content.get("change", {})),
        profiles=len(content.get("profile_ids", ())),
        parts=len(content.get("fragment_ids", ())),
        claims=_claims(content),
        console_user=content.get("console_user"),
        differences=_differences(row),
    )


def _differences(row: AuditRow) -> tuple[SettingDifference, ...]:
    """What an entry changed from what to what."""
    content = row.content
    match row.kind:
        case "erase":
            number = len(content.get("profile_ids", ()))
            return (SettingDifference("profiles", "stored", number, 0),)
        case "split":
            return (SettingDifference("parts", "in one profile", "together", "apart"),)
        case "merge":
            return (SettingDifference("parts", "in one profile", "apart", "together"),)
        case "claims":
            claims = _claims(content).items()
            return tuple(
                SettingDifference(f"claim {claim}", "verified", not verified, verified)
                for claim, verified in claims
            )
        case _:
            return msgspec.convert(content.get("difference", ()), tuple[SettingDifference, ...])


def _claims(content: Mapping[str, Any]) -> dict[str, bool]:
    reported, verified = content.get("values", {}), content.get("verified", ())
    return {claim: claim in verified for claim in reported.get(IDENTITY_ATTRIBUTES, {})}


def _kinds(change: Mapping[str, Any]) -> tuple[str, ...]:
    parts = change.get("changes", (change,)) if change else ()
    return tuple(dict.fromkeys(str(part.get("type", "")) for part in parts))
