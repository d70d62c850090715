"""The history of a person: every identifier that was ever theirs, and the merges, promotions, refusals and
verifications.

Invariants: it reads what the claims, merges, refusals, aliases and reports of provider claims record, and
derives nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.service.context import DatasetRef
from oneself.service.explain.rendering import observation_about
from oneself.service.history import view_history
from oneself.service.history.decision_steps import find_decision_steps
from oneself.service.history.entries import (
    ClaimRecord,
    Creation,
    DecisionStep,
    HistoryEntry,
    HistoryMerge,
    HistoryRefusal,
    Promotion,
    StepPage,
    Verification,
)
from oneself.service.history.value_steps import find_creations, find_value_steps
from oneself.service.profiles.ids import AliasedProfile
from oneself.service.profiles.profiles import ProfileView
from oneself.store.database import Database
from oneself.store.tables.claim import RecordedClaim
from oneself.store.tables.log import ClaimReport
from oneself.store.transaction import Tables, snapshot

#: The code of a refusal because people split the profile.
KEPT_APART = "split_kept_apart"


class ProfileHistory:
    """Reads the history of a person."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def identifiers(
        self, dataset_ref: DatasetRef, view: ProfileView, *, offset: int = 0, limit: int
    ) -> list[ClaimRecord]:
        """The identifiers after the first `offset` ones, the oldest first."""
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            return await list_identifiers(tables, view, offset, limit)

    async def history(
        self, dataset_ref: DatasetRef, view: ProfileView, person: AliasedProfile
    ) -> list[HistoryEntry]:
        """Merges, promotions, refusals and verifications in the order of time."""
        promotions = (
            Promotion(alias.at, alias.profile_id, alias.id)
            for alias in person.former_ids
            if alias.by == "promotion"
        )
        steps = [*promotions, *await self._steps(dataset_ref, view, person)]
        return sorted(steps, key=lambda entry: (entry.at, type(entry).__name__))

    async def steps(
        self,
        dataset_ref: DatasetRef,
        view: ProfileView,
        person: AliasedProfile,
        *,
        offset: int = 0,
        limit: int,
        accepts: Callable[[HistoryEntry], bool] = lambda step: True,
    ) -> StepPage:
        """Everything that happened to a person after the first `offset` steps, the oldest first.

        `accepts`: whether the reader may see a step.
        """
        known = await self.history(dataset_ref, view, person)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            changed, is_complete = await find_value_steps(tables, view)
            known += [*await find_creations(tables, view), *changed]
            decisions, ended = await find_decision_steps(tables, view)
            known = [*_refused_since(known, decisions), *decisions, *ended]
            known.sort(key=lambda entry: (entry.at, not isinstance(entry, Creation)))
            page = [step for step in known if accepts(step)][offset : offset + limit]
            noted = await tables.explanations.find_observations(step.at for step in page)
        steps = ((step, observation_about(noted.get(step.at, ()), step.profile_id)) for step in page)
        return StepPage(tuple(steps), is_complete)

    async def _steps(
        self, dataset_ref: DatasetRef, view: ProfileView, person: AliasedProfile
    ) -> list[HistoryEntry]:
        """Merges, refusals and verifications."""
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if view.view != "all":
                reports = await view_history.find_claim_reports(tables, view)
                return [*view_history.merges(view, person), *verifications(reports)]
            ids = view.profile_ids
            merges = await tables.merges.find_of_profiles(ids)
            refusals = await tables.refusals.find_of_profiles(ids)
            reports = await tables.log.find_claim_reports(ids)
        return [*_merges(merges, person), *map(_refusal, refusals), *verifications(reports)]


async def list_identifiers(tables: Tables, view: ProfileView, offset: int, limit: int) -> list[ClaimRecord]:
    """The identifiers of a person after the first `offset` ones, the oldest first."""
    if view.view != "all":
        return (await view_history.find_identifiers(tables, view))[offset : offset + limit]
    return [_record(claim) for claim in await tables.claims.list_of_profiles(view.profile_ids, offset, limit)]


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


def _refused_since(
    known: Iterable[HistoryEntry], decisions: Iterable[DecisionStep]
) -> Iterator[HistoryEntry]:
    """The steps without refusals by a split before it: the fold reads the log as if it had always been."""
    first = min((step.at for step in decisions if step.is_split), default=0)
    for step in known:
        if isinstance(step, HistoryRefusal) and step.code == KEPT_APART and step.at < first:
            if step.last_at < first:
                continue
            step = msgspec.structs.replace(step, at=first)
        yield step


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
