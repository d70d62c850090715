"""The sides of separations in a working set."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.fold.replay import tombstone
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.plan import Merge
from oneself.core.resolution.working_set import MergeRecord, WorkingSet

ONE, OTHER, THIRD, SPLIT = (UUID(int=number) for number in range(1, 5))


def profile(profile_id: UUID) -> Profile:
    return msgspec.structs.replace(tombstone(profile_id, 1), erased=False)


def test_a_survivor_is_on_the_sides_of_what_it_absorbed() -> None:
    state = WorkingSet([profile(ONE), profile(OTHER), profile(THIRD)])
    state.add_sides(ONE, {SPLIT: (0,)})
    state.add_sides(THIRD, {SPLIT: (1,)})
    assert state.are_separated(ONE, THIRD)
    assert not state.are_separated(OTHER, THIRD)
    state.absorb(MergeRecord(Merge(ONE, "manual"), OTHER, 1, SPLIT))
    assert state.are_separated(OTHER, THIRD)
