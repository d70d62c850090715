"""The core as an engine of the scenarios: one `State`, folded over step by step, no database."""

from __future__ import annotations

from uuid import UUID

from oneself.core.config import Config, configure
from oneself.core.fold import fold
from oneself.core.identifier import ANONYMOUS_ID
from oneself.core.plan import Rejection
from oneself.core.replay import erase
from oneself.core.state import State
from scenarios.engine import Outcome, World
from scenarios.translate import changes, facts, observation, observation_id, outcome
from scenarios.words import START_US, Setup, Step


class Core:
    """Everything stays in one working set; instants of recording are counted, not read from a clock."""

    def __init__(self) -> None:
        self.state = State()
        self.config = Config()
        self.seq = START_US

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

    def observe(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        """Fold one step in."""
        self.seq += 1
        if step.act == "erase":
            return self._erase(addressed)
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
            identifier.value: self.state.held(identifier)
            for identifier in self.state.claims
            if identifier.namespace == ANONYMOUS_ID
        }
        assert all(len(claims) <= 1 for claims in held.values()), "a device points at one profile"
        return {device: claims[0][1].profile_id for device, claims in held.items() if claims}
