"""The history of a person: every identifier that was ever theirs, and the merges, promotions, refusals and
verifications.

Invariants: it reads what the claims, merges, refusals, aliases and reports of provider claims record, and
derives nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.service.context import DatasetRef
from oneself.service.profiles.lookup import AliasedProfile
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.tables.claim import ClaimPosition, RecordedClaim
from oneself.store.tables.log import ClaimReport
from oneself.store.transaction import Tables

#: Before every claim.
BEGINNING = ClaimPosition(0, "", "", UUID(int=0))


class ClaimRecord(msgspec.Struct, frozen=True):
    """An identifier that a profile of the person holds or held. Instants in µs since 1970."""

    identifier: Identifier
    profile_id: UUID
    since: int
    #: None while the profile holds it.
    until: int | None
    trust: str

    @property
    def position(self) -> ClaimPosition:
        """Its position in the list."""
        return ClaimPosition(self.since, self.identifier.namespace, self.identifier.value, self.profile_id)


class HistoryMerge(msgspec.Struct, frozen=True, tag="merge"):
    """A profile was absorbed by another."""

    #: In µs since 1970.
    at: int
    survivor_id: UUID
    absorbed_id: UUID
    reason: str
    #: The identifier that caused it.
    identifier: Identifier | None
    #: The primary id of the absorbed profile.
    alias: str | None


class Promotion(msgspec.Struct, frozen=True, tag="promotion"):
    """An anonymous profile became known and got another primary id."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    #: The primary id before.
    alias: str


class HistoryRefusal(msgspec.Struct, frozen=True, tag="refusal"):
    """A merge or a claim that was indicated and must not happen. Instants in µs since 1970."""

    #: The first time.
    at: int
    last_at: int
    times: int
    code: str
    profile_id: UUID
    #: None if no other profile is concerned.
    other_id: UUID | None
    namespace: str


class Verification(msgspec.Struct, frozen=True, tag="verification"):
    """A provider claim became verified, or it ended: by a withdrawal or with a new value."""

    #: In µs since 1970.
    at: int
    profile_id: UUID
    claim: str
    is_verified: bool


HistoryEntry = HistoryMerge | Promotion | HistoryRefusal | Verification


class ProfileHistory:
    """Reads the history of a person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identifiers(
        self, dataset_ref: DatasetRef, view: ProfileView, *, after: ClaimPosition = BEGINNING, limit: int
    ) -> list[ClaimRecord]:
        """The identifiers after a position, the oldest first."""
        claims = Tables(self._database, dataset_ref.dataset_id).claims
        return [_record(claim) for claim in await claims.list_of_profiles(view.profile_ids, after, limit)]

    async def history(
        self, dataset_ref: DatasetRef, view: ProfileView, person: AliasedProfile
    ) -> list[HistoryEntry]:
        """Merges, promotions, refusals and verifications in the order of time."""
        tables, ids = Tables(self._database, dataset_ref.dataset_id), view.profile_ids
        merges = await tables.merges.find_of_profiles(ids)
        refusals = await tables.refusals.find_of_profiles(ids)
        reports = await tables.log.find_claim_reports(ids)
        promotions = (
            Promotion(alias.at, alias.profile_id, alias.id)
            for alias in person.former_ids
            if alias.by == "promotion"
        )
        return sorted(
            (*_merges(merges, person), *promotions, *map(_refusal, refusals), *verifications(reports)),
            key=lambda entry: (entry.at, type(entry).__name__),
        )


def verifications(reports: Iterable[ClaimReport]) -> Iterable[Verification]:
    """The steps of claims from unverified to verified and back, from reports in the order of the log.

    A verified claim without a reported value is verified with the value that the provider reported last.
    """
    known: dict[str, Any] = {}
    verified: dict[str, Any] = {}
    for report in reports:
        known |= report.claims
        for claim in sorted(report.claims.keys() & verified.keys()):
            if claim not in report.verified or verified[claim] != known[claim]:
                del verified[claim]
                yield Verification(report.at, report.profile_id, claim, False)
        for claim in report.verified:
            if claim not in verified:
                verified[claim] = known.get(claim)
                yield Verification(report.at, report.profile_id, claim, True)


def _record(recorded: RecordedClaim) -> ClaimRecord:
    claim = recorded.claim
    return ClaimRecord(claim.identifier, claim.profile_id, claim.seq, recorded.until_seq, claim.trust)


def _merges(found: Iterable[Mapping[str, Any]], person: AliasedProfile) -> Iterable[HistoryMerge]:
    aliases = {alias.profile_id: alias.id for alias in person.former_ids if alias.by == "merge"}
    for row in found:
        via = Identifier(row["namespace"], row["value"]) if row["namespace"] is not None else None
        absorbed_id = row["absorbed_id"]
        yield HistoryMerge(
            row["seq"], row["survivor_id"], absorbed_id, row["reason"], via, aliases.get(absorbed_id)
        )


def _refusal(row: Mapping[str, Any]) -> HistoryRefusal:
    other_id = row["other_id"] if row["other_id"] != row["profile_id"] else None
    return HistoryRefusal(
        row["first_seq"],
        row["last_seq"],
        row["times"],
        row["code"],
        row["profile_id"],
        other_id,
        row["namespace"],
    )
