"""What a profile of very many fragments costs does not grow faster than their number."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

import pytest

from oneself.core.identity_graph import partition as partitions
from oneself.core.identity_graph.partition import Component
from oneself.core.identity_graph.replay import MEMBERS_RANKED_MAX
from unit.core.identity_graph.steps import Page, Server, Settings, Step
from unit.core.identity_graph.world import World

FRAGMENTS = 2 * MEMBERS_RANKED_MAX


@pytest.fixture(scope="module")
def crowd() -> World:
    """A person whose address servers said of very many browsers."""
    steps: list[Step] = []
    for number in range(FRAGMENTS):
        tracker = f"browser {number}"
        steps.append(Page(tracker=tracker, values={"plan": tracker}))
        steps.append(Server(tracker=tracker, ids={"mail": "shared"}))
    return World(Settings()).play(steps)


def test_a_component_is_built_once(crowd: World, monkeypatch: pytest.MonkeyPatch) -> None:
    built: Counter[int] = Counter()

    def counted(members: frozenset[UUID], *rest: Any) -> Component:
        built[len(members)] += 1
        return Component(members, *rest)

    monkeypatch.setattr(partitions, "Component", counted)
    crowd.views().partition("proven")
    assert built == {len(crowd.graph.fragments): 1}


def test_only_activity_that_may_count_is_asked_for(crowd: World) -> None:
    every = crowd.views()
    component = next(iter(every.partition("proven").components.values()))
    asked = every.activity_that_ranks(("proven",))
    ends = {(end, join.since) for join in component.joins for end in (join.one, join.other)}
    assert asked < ends
    assert max(Counter(fragment_id for fragment_id, _ in asked).values()) <= MEMBERS_RANKED_MAX

    def known(among: set[tuple[UUID, int]]) -> Any:
        views = crowd.views(lambda *key: crowd.active_before(*key) if key in among else 0)
        return views.of("proven", next(iter(component.members)))

    assert known(asked) == known(ends)
    assert len(known(asked).absorbed) == FRAGMENTS - 1
