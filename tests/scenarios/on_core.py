"""The core as an engine of the scenarios: one `State`, folded over step by step, no database."""

from __future__ import annotations

from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure, required_reindexing
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.fold.apply import fold
from oneself.core.fold.replay import erase
from oneself.core.identity.identifier import ANONYMOUS_ID
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import first_recorded, unindexed_identifiers
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.working_set import WorkingSet
from scenarios.engine import Outcome, World
from scenarios.translate import (
    UnknownName,
    changes,
    facts,
    match,
    observation,
    observation_id,
    outcome,
    rule_change,
)
from scenarios.words import START_US, RuleLine, Setup, Step


class Core:
    """Everything stays in one working set; instants of recording are counted, not read from a clock."""

    def __init__(self) -> None:
        self.state = WorkingSet()
        self.config = Config()
        self.seq = START_US
        self._to_index: list[str] = []

    async def begin(self, setup: Setup) -> None:
        self.start(setup)

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        return self.observe(step, addressed, new_id)

    async def world(self) -> World:
        return self.see()

    def start(self, setup: Setup) -> None:
        """Empty, configured as the set-up says."""
        self.__init__()  # type: ignore[misc]
        for change in changes(setup):
            self.seq += 1
            self.config = configure(self.config, change, self.seq)
        for line in setup.rules:
            self._change_rule(line)

    def observe(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        """Fold one step in."""
        self.seq += 1
        if step.act == "erase":
            return self._erase(addressed)
        if step.rule is not None:
            return self._change_rule(step.rule)
        if step.act == "index":
            return self._index(new_id)
        plan = fold(self.state, observation(step, addressed, new_id), self.config, self.seq)
        return Outcome(rejected=plan.code) if isinstance(plan, Rejection) else outcome(plan)

    def observation_id(self, new_id: UUID) -> str:
        """The name in provenance of the step that could have made the profile `new_id`."""
        return str(observation_id(new_id))

    def _erase(self, addressed: UUID | None) -> Outcome:
        root = None if addressed is None else self.state.survivor(addressed)
        if root is None:
            return Outcome(rejected="profile_not_found")
        group = [member.profile_id for member in self.state.members.get(root.profile_id, ())]
        erase(self.state, (root.profile_id, *group), self.seq)
        return Outcome()

    def _change_rule(self, line: RuleLine) -> Outcome:
        self.seq += 1
        before = self.config
        try:
            change = rule_change(before, line)
        except RuleRejected as invalid:
            return Outcome(rejected=invalid.reason)
        except UnknownName:
            return Outcome(rejected="unknown")
        if change is not None:
            self.config = configure(before, change, self.seq)
            begun = required_reindexing(before, self.config)
            self._to_index = [rule_id for rule_id in self._to_index if rule_id not in begun] + begun
        return Outcome()

    def _index(self, new_id: UUID) -> Outcome:
        """Apply every rule that waits, the longest waiting first."""
        waiting, self._to_index = self._to_index, []
        active = {matcher.source_id: matcher for matcher in self.config.identifier_sources}
        indexed = [
            one for rule_id in waiting if rule_id in active for one in self._index_by(active[rule_id], new_id)
        ]
        return Outcome(indexed=tuple(indexed))

    def _index_by(self, matcher: IdentifierSource, new_id: UUID) -> list[Outcome]:
        """All profiles are looked at before the first is indexed, as one page of the service is."""
        found = [
            (person.profile_id, held)
            for person in self._to_be_indexed(matcher)
            if (
                held := unindexed_identifiers(
                    person.record, person.identities, person.created_at, matcher, self.config
                )
            )
            is not None
        ]
        outcomes = []
        for profile_id, held in found:
            self.seq += 1
            plan = fold(self.state, match(profile_id, held, new_id), self.config, self.seq)
            assert not isinstance(plan, Rejection)
            outcomes.append(outcome(plan))
        return outcomes

    def _to_be_indexed(self, matcher: IdentifierSource) -> list[Profile]:
        """Whoever stands for each profile, in the order in which their values came; also for those absorbed
        since the rule was switched on."""
        since = self.config.indexed_since[matcher.name]

        def place(each: Profile) -> tuple[int, UUID]:
            first = first_recorded(each.record, matcher)
            return (each.created_at if first is None else first), each.profile_id

        profiles = sorted(self.state.profiles.values(), key=place)
        asked = [each for each in profiles if not each.is_absorbed or each.seq >= since]
        people = (self.state.survivor(each.profile_id) for each in asked if not each.erased)
        return list({person.profile_id: person for person in people if person is not None}.values())

    def see(self) -> World:
        """Everything there is, read from profiles and claims."""
        profiles = {profile_id: self._root(profile_id) for profile_id in self.state.profiles}
        known = {profile_id: root for profile_id, root in profiles.items() if root is not None}
        seen = {
            profile_id: facts(self.state.profiles[profile_id], None if root == profile_id else root)
            for profile_id, root in known.items()
        }
        return World(seen, self._devices())

    def _root(self, profile_id: UUID) -> UUID | None:
        own = self.state.profiles[profile_id]
        survivor = None if own.erased else self.state.survivor(profile_id)
        return None if survivor is None else survivor.profile_id

    def _devices(self) -> dict[str, UUID]:
        held = {
            identifier.value: self.state.claims_of(identifier)
            for identifier in self.state.claims
            if identifier.namespace == ANONYMOUS_ID
        }
        assert all(len(claims) <= 1 for claims in held.values()), "a device points at one profile"
        return {device: claims[0][1].profile_id for device, claims in held.items() if claims}
