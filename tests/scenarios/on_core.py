"""The core as an engine of the scenarios: every step is folded into one working set, without a database."""

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
    """Keeps everything in one working set. The seq of an entry is a counter, not a clock."""

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
        """Remove all state and apply the set-up."""
        self.__init__()  # type: ignore[misc]
        for change in changes(setup):
            self.seq += 1
            self.config = configure(self.config, change, self.seq)
        for line in setup.rules:
            self._change_rule(line)

    def observe(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        """Fold one step into the state."""
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
        """The observation id, in provenance, of the step that may create the profile `new_id`."""
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
        except RuleRejected as rejected:
            return Outcome(rejected=rejected.reason)
        except UnknownName:
            return Outcome(rejected="unknown")
        if change is not None:
            self.config = configure(before, change, self.seq)
            started = required_reindexing(before, self.config)
            self._to_index = [rule_id for rule_id in self._to_index if rule_id not in started] + started
        return Outcome()

    def _index(self, new_id: UUID) -> Outcome:
        """Apply every waiting rule, in the order in which they were activated."""
        waiting, self._to_index = self._to_index, []
        active = {matcher.source_id: matcher for matcher in self.config.identifier_sources}
        indexed = [
            outcome_of_one
            for rule_id in waiting
            if rule_id in active
            for outcome_of_one in self._index_by(active[rule_id], new_id)
        ]
        return Outcome(indexed=tuple(indexed))

    def _index_by(self, matcher: IdentifierSource, new_id: UUID) -> list[Outcome]:
        """Index by one rule. All profiles are read before the first is indexed, as in a page."""
        unindexed = [
            (profile.profile_id, identifiers)
            for profile in self._to_be_indexed(matcher)
            if (
                identifiers := unindexed_identifiers(
                    profile.record, profile.identities, profile.created_at, matcher, self.config
                )
            )
            is not None
        ]
        outcomes = []
        for profile_id, identifiers in unindexed:
            self.seq += 1
            plan = fold(self.state, match(profile_id, identifiers, new_id), self.config, self.seq)
            assert not isinstance(plan, Rejection)
            outcomes.append(outcome(plan))
        return outcomes

    def _to_be_indexed(self, matcher: IdentifierSource) -> list[Profile]:
        """The survivors of all profiles, in the order in which their values were first stored. Profiles that
        were absorbed before the rule was activated do not count."""
        since = self.config.indexed_since[matcher.name]

        def position(profile: Profile) -> tuple[int, UUID]:
            first = first_recorded(profile.record, matcher)
            return (profile.created_at if first is None else first), profile.profile_id

        profiles = sorted(self.state.profiles.values(), key=position)
        counted = [profile for profile in profiles if not profile.is_absorbed or profile.seq >= since]
        survivors = (self.state.survivor(profile.profile_id) for profile in counted if not profile.erased)
        return list({profile.profile_id: profile for profile in survivors if profile is not None}.values())

    def see(self) -> World:
        """The current world, read from profiles and claims."""
        roots = {profile_id: self._root(profile_id) for profile_id in self.state.profiles}
        profiles = {
            profile_id: facts(self.state.profiles[profile_id], None if root == profile_id else root)
            for profile_id, root in roots.items()
            if root is not None
        }
        return World(profiles, self._devices())

    def _root(self, profile_id: UUID) -> UUID | None:
        own = self.state.profiles[profile_id]
        survivor = None if own.erased else self.state.survivor(profile_id)
        return None if survivor is None else survivor.profile_id

    def _devices(self) -> dict[str, UUID]:
        claims_by_device = {
            identifier.value: self.state.claims_of(identifier)
            for identifier in self.state.claims
            if identifier.namespace == ANONYMOUS_ID
        }
        assert all(len(claims) <= 1 for claims in claims_by_device.values()), (
            "a device points at two profiles"
        )
        return {device: claims[0][1].profile_id for device, claims in claims_by_device.items() if claims}
