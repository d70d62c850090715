"""Whether the users of tokens hold all that their events name, so that nothing else is looked up."""

from __future__ import annotations

from itertools import permutations
from uuid import UUID

import pytest

from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.resolution.footprint import Footprint, ObservationFootprint
from oneself.core.resolution.reachability import is_covered_by_tokens
from oneself.core.values.record import EMPTY

ADDRESS = Identifier("emailAddress", "info@acme.example")
ANN, BEN, OLD = UUID(int=1 << 64), UUID(int=2 << 64), UUID(int=3 << 64)
USER = Profile(
    profile_id=ANN,
    created_at=1,
    updated_at=1,
    active_at=1,
    seq=1,
    primary_id=primary_id(ANN, anonymous=False),
    record=EMPTY,
    identities={ADDRESS.namespace: (ADDRESS.value,)},
)
FOOTPRINT = Footprint(
    identifiers=frozenset([ADDRESS]),
    profile_ids=frozenset(),
    parts=(ObservationFootprint((ADDRESS,), USER.primary_id),),
)


def claim(profile_id: UUID) -> Claim:
    return Claim(ADDRESS, profile_id, seq=1, trust="browser", at=1, since=1)


@pytest.mark.parametrize(
    ("holders", "is_covered"),
    [
        ({}, False),
        ({ANN: ANN}, True),
        ({BEN: BEN}, False),
        ({ANN: ANN, OLD: ANN}, True),
        ({ANN: ANN, BEN: BEN}, False),
        ({ANN: ANN, OLD: ANN, BEN: BEN}, False),
    ],
    ids=str,
)
def test_users_of_tokens_hold_alone_what_the_events_name(holders: dict[UUID, UUID], is_covered: bool) -> None:
    """In whichever order the database returns the claims."""
    for ordered in permutations(holders):
        claims = [claim(profile_id) for profile_id in ordered]
        assert is_covered_by_tokens(FOOTPRINT, [USER], claims, holders) is is_covered
