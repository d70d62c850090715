"""Random records of servers, some of which are erased: what is left stays with whom it was."""

from __future__ import annotations

from itertools import count
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.service.log.verify import verify
from oneself.services import Services
from oneself.store.component_union import ComponentUnions
from support import databases
from support.view_histories import PlayedHistory
from unit.core.identity_graph.steps import Server, Settings

pytestmark = pytest.mark.postgres
DATASETS = count(80_000)
VALUES = {"mail": ("a@", "b@", "m@"), "phone": ("1", "2", "3"), "card": ("c1", "c2", "c3")}
SAID = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in VALUES.items()})
RECORD = st.builds(Server, ids=SAID.filter(bool))
#: Each record is followed by the place of an older one that is erased, if there is one.
HISTORIES = st.lists(
    st.tuples(RECORD, st.none() | st.integers(0, 9), st.none() | st.integers(0, 9)), min_size=4, max_size=12
)


async def groups_of(played: PlayedHistory) -> dict[UUID, UUID]:
    """Fragment → the profile of the view `proven` that it belongs to."""
    rows = sorted(await played.fragments(), key=lambda row: row.fragment.began_at)
    return {row.fragment.fragment_id: row.proven_id for row in rows}


def together(groups: dict[UUID, UUID], left: set[UUID]) -> set[frozenset[UUID]]:
    """The fragments that are left, by profile."""
    heads = {groups[item] for item in left}
    return {frozenset(item for item in left if groups[item] == head) for head in heads}


@pytest.mark.parametrize("large", [1, 100])
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(history=HISTORIES)
async def test_who_was_one_person_through_erased_records_stays_one(
    services: Services, large: int, history: list[tuple[Server, int | None, int | None]]
) -> None:
    """`large`: from how many fragments on a profile is large, so that it is joined without a computation."""
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(Settings())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ComponentUnions, "computed_members_max", large)
        for number, (record, *erased) in enumerate(history):
            await played.play([(number, record)])
            for place in erased:
                before = await groups_of(played)
                if place is None or place >= len(before):
                    continue
                await played.erase_record(list(before)[place])
                after = await groups_of(played)
                assert len(after) == len(before) - 1
                assert together(after, set(after)) == together(before, set(after))
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference
