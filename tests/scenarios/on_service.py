"""The service on PostgreSQL as an engine of the scenarios: one dataset, the write path, direct reads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier import ANONYMOUS_ID
from oneself.core.identity_graph.joins import View
from oneself.core.resolution.observation import Observation
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, Resolution, Submission
from oneself.service.privacy.erasure import Erasure
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.service.rules.rules import Reindexer, Rules, UnknownRule
from oneself.store.database import Database
from oneself.store.tombstones import Tombstones
from scenarios.engine import Outcome, ProfileFacts, World
from scenarios.translate import changes, observation, outcome, rule_fields, rule_of
from scenarios.words import HOUR_US, START_US, Kind, RuleLine, Setup, Step

_PROFILES = "select * from profile where dataset_id = $1 and not erased"
_DEVICES = """
    select claim.value, coalesce(profile.survivor_id, profile.profile_id) as survivor_id
    from claim join profile using (dataset_id, profile_id)
    where dataset_id = $1 and namespace = $2 and until_seq is null and not profile.erased
"""
_ACTOR = Actor(interface="test", application="shop", trust="server")


class _RecordingIngest(Ingest):
    """The write path, which also records the outcome of each submission, in order.

    But not of former values that are indexed: the view `all` does not depend on them.
    """

    def __init__(self, database: Database, configurations: Configurations) -> None:
        super().__init__(database, configurations)
        self.outcomes: list[tuple[int, Outcome]] = []

    async def submit(self, dataset_id: int, submission: Submission) -> Resolution:
        if submission.observation.former is not None:
            return await super().submit(dataset_id, submission)
        index = len(self.outcomes)
        self.outcomes.append((dataset_id, Outcome()))
        resolution = await super().submit(dataset_id, submission)
        self.outcomes[index] = (dataset_id, outcome_of(resolution))
        return resolution


class Service:
    """A new dataset of the database, with the id that the caller chooses."""

    def __init__(self, database: Database, dataset_id: int) -> None:
        self._database = database
        self._configurations = Configurations(database)
        self._dataset_ref = DatasetRef(
            org_id=dataset_id, handle=f"tenant-{dataset_id}", dataset_id=dataset_id
        )
        # Steps are in the future: after an erasure, the service refuses events that are older than it.
        self._start = time.time_ns() // 1000 + HOUR_US
        self.dataset_id = dataset_id
        self.ingest = Ingest(database, self._configurations)
        self._rules = Rules(database, self._configurations)
        self._rule_ids: dict[str, str] = {}

    async def begin(self, setup: Setup) -> None:
        for change in changes(setup):
            await self._configurations.change(self.dataset_id, _always(change))
        for line in setup.rules:
            await self._change_rule(line)

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        if step.act == "erase":
            return await self.erase(addressed)
        if step.rule is not None:
            return await self._change_rule(step.rule)
        if step.act == "index":
            return await self._index()
        step = msgspec.structs.replace(step, at=step.at - START_US + self._start)
        return await self.submit(observation(step, addressed, new_id))

    async def submit(self, submitted: Observation) -> Outcome:
        """Submit one observation to the write path."""
        try:
            return outcome_of(await self.ingest.submit(self.dataset_id, Submission(observation=submitted)))
        except ObservationRejected as rejected:
            return Outcome(rejected=rejected.rejection.code)

    async def world(self) -> World:
        rows = await self._database.fetch(_PROFILES, self.dataset_id)
        devices = await self._database.fetch(_DEVICES, self.dataset_id, ANONYMOUS_ID)
        assert len({row["value"] for row in devices}) == len(devices), "a device points at two profiles"
        return World(
            {row["profile_id"]: _facts(row) for row in rows},
            {row["value"]: row["survivor_id"] for row in devices},
        )

    async def _change_rule(self, line: RuleLine) -> Outcome:
        try:
            if line.attribute is not None:
                rule = await self._rules.create(self._dataset_ref, rule_of(line))
                self._rule_ids[line.name] = rule.rule_id
            elif line.gone:
                await self._rules.delete(self._dataset_ref, self._rule_ids.pop(line.name, ""))
            else:
                rule_id = self._rule_ids.get(line.name, "")
                await self._rules.change(self._dataset_ref, rule_id, **rule_fields(line))
        except RuleRejected as rejected:
            return Outcome(rejected=rejected.reason)
        except UnknownRule:
            return Outcome(rejected="unknown")
        return Outcome()

    async def _index(self) -> Outcome:
        """Run all waiting jobs, also of other datasets. Returns only the outcomes of this dataset."""
        recording = _RecordingIngest(self._database, self._configurations)
        indexer = Reindexer(
            self._database,
            self._configurations,
            recording,
            AdmittedLater(self._database, recording.tombstones),
        )
        while await indexer.step():
            pass
        return Outcome(
            indexed=tuple(one for dataset_id, one in recording.outcomes if dataset_id == self.dataset_id)
        )

    async def erase(self, addressed: UUID | None, view: View = "all") -> Outcome:
        """Erase a profile in a view, or the part of one that a profile brought."""
        assert addressed is not None
        target = ErasureTarget(view=view, profile_id=addressed)
        receipt = await Erasure(self._database, Tombstones("")).erase(self._dataset_ref, _ACTOR, target)
        return Outcome() if receipt else Outcome(rejected="profile_not_found")


def outcome_of(resolution: Resolution) -> Outcome:
    """The outcome of a resolution. A repeated observation has no plan, only the profile of the first one."""
    if resolution.plan is None:
        return Outcome(attached=resolution.survivor.profile_id)
    return outcome(resolution.plan)


def _always(change: ConfigChange) -> Callable[[Config], ConfigChange]:
    return lambda config: change


def _facts(row: Any) -> ProfileFacts:
    if row["survivor_id"] is not None:
        return ProfileFacts(survivor=row["survivor_id"], reason=row["reason"])
    identities = frozenset((name, value) for name, values in row["identities"].items() for value in values)
    kind: Kind = "identified" if row["user_id"] is not None else "named" if identities else "anonymous"
    return ProfileFacts(kind, row["user_id"], row["record_values"], identities)
