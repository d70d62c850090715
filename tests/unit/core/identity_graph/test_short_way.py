"""Events that only act are folded the short way, which comes to the same as the long one."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Identifier
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.observe import Observed, observe
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import Observation, PageEvent, SignIn, SignOut

CONFIG = Config()
RULES = graph_rules(CONFIG)
DEVICES = (
    *(Identifier(ANONYMOUS_ID, f"visitor-{n}") for n in "abc"),
    *(Identifier(TRACKER, f"t-{n}") for n in "de"),
)
USERS = (Identifier(USER_ID, "ann"), Identifier(USER_ID, "ben"))
SHORT_WAY = "oneself.core.identity_graph.observe.device_that_only_acts"


@st.composite
def events(draw: st.DrawFn) -> list[Observation]:
    found: list[Observation] = []
    for number in range(draw(st.integers(1, 25))):
        kind = draw(st.sampled_from((PageEvent, PageEvent, PageEvent, PageEvent, SignIn, SignOut)))
        named = draw(st.lists(st.sampled_from(DEVICES), min_size=1, max_size=2, unique=True))
        if kind is not PageEvent or draw(st.integers(0, 4)) == 0:
            named.append(draw(st.sampled_from(USERS)))
        made = {}
        if kind is PageEvent:
            made["new_tracker"] = draw(st.sampled_from((None, None, f"made-{number}")))
            made["new_anonymous_id"] = draw(st.sampled_from((None, f"new-{number}")))
            made["values"] = draw(st.sampled_from(({}, {}, {"traits": {"plan": "gold"}})))
        found.append(
            kind(
                observation_id=UUID(int=1000 + number),
                new_profile_id=UUID(int=10 + number),
                interface="test",
                trust=draw(st.sampled_from(("browser", "server"))) if kind is PageEvent else "server",
                identifiers=tuple(named),
                **made,
            )
        )
    return found


def fold(observations: Iterable[Observation]) -> tuple[IdentityGraph, list[UUID | None]]:
    graph = IdentityGraph()
    return graph, [
        observe(graph, Observed(item, extract_evidence(item, CONFIG), seq, CONFIG, RULES))
        for seq, item in enumerate(observations, 1)
    ]


@settings(max_examples=300, deadline=None)
@given(events())
def test_the_short_way_equals_the_long_way(observations: list[Observation]) -> None:
    short, fragments = fold(observations)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SHORT_WAY, lambda *_: None)
        long, expected = fold(observations)
    assert fragments == expected
    assert (short.fragments, short.browsers, short.own) == (long.fragments, long.browsers, long.own)
    assert (short.claimants, short.waiting) == (long.claimants, long.waiting)
