"""Events that repeat whom their browser is take a short way, which comes to the same as the long one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from oneself.core.config.changes import PutRule, Several
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.fold.apply import fold
from oneself.core.fold.repetition import fold_repetition
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Identifier
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.observe import Observed, observe
from oneself.core.identity_graph.repetition import repeated
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.profile import primary_id
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import (
    ConsentChange,
    Observation,
    PageEvent,
    ProfileWrite,
    SignIn,
    TokenClaims,
    TrackerEnd,
)
from oneself.core.resolution.plan import Plan, Rejection
from oneself.core.resolution.repetition import browser_that_repeats
from oneself.core.resolution.token_evidence import read_token
from oneself.core.resolution.working_set import WorkingSet
from support.interactions_harness import configuration

PREDICATE = "oneself.core.identity_graph.observe.browser_that_repeats"
BROWSERS = (
    *(Identifier(ANONYMOUS_ID, f"visitor-{n}") for n in "ab"),
    Identifier(TRACKER, "t-c"),
)
NAMED = (
    *(Identifier("emailAddress", value) for value in ("ann@x.example", " ANN@x.example", "ben@x.example")),
    *(Identifier("customerId", value) for value in ("c-1", "c-1", "c-2", "null")),
    Identifier("loyaltyId", "l-1"),
)
USER = Identifier(USER_ID, "ann")
BEGUN = 10**15
HOUR = 3_600_000_000
RULE = PutRule(UnificationRule("r1", "by mail", "identity_attributes.emailAddress", 1, is_active=True))


def config_of(*changes: Any, **dataset: Any) -> Config:
    config = configure(Config(), configuration(**dataset), 1)
    return configure(config, Several(changes), 2) if changes else config


CONFIGS = (
    config_of(),
    config_of(RULE),
    config_of(identity_trust="timestamp", asserted_merges="all"),
    config_of(resolves_since=1, merged_anonymous="fresh"),
    Config(),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    kinds = (*[PageEvent] * 14, SignIn, TrackerEnd, ConsentChange, ProfileWrite)
    people = draw(st.lists(st.sampled_from(NAMED), min_size=1, max_size=3, unique=True))
    found: list[Observation] = []
    for number in range(draw(st.integers(8, 25))):
        kind = draw(st.sampled_from(kinds))
        named = [draw(st.sampled_from(BROWSERS))]
        if kind in (PageEvent, ProfileWrite):
            named += draw(st.lists(st.sampled_from(people), max_size=2, unique=True))
        if kind is SignIn:
            named.append(USER)
        made: dict[str, object] = {"trust": "server"}
        if kind is PageEvent:
            made["trust"] = draw(st.sampled_from((*["browser"] * 7, "server")))
            made["new_tracker"] = draw(st.sampled_from((*[None] * 5, "t-c")))
            made["values"] = draw(st.sampled_from((*[{}] * 8, {"traits": {"plan": "gold"}})))
            made["objects"] = draw(st.sampled_from((*[{}] * 8, {"carts": [{"id": "1"}]})))
            made["is_interactive"] = draw(st.sampled_from((True, True, False)))
            made["occurred_at"] = draw(st.sampled_from((None, None, BEGUN + number * HOUR // 3)))
            tokens = [TokenClaims(primary_id(UUID(int=10 + item << 100), anonymous=False)) for item in (0, 1)]
            made["token"] = draw(st.sampled_from((*[None] * 6, *tokens)))
        if kind is ConsentChange:
            made["choices"] = {"tracking": (draw(st.booleans()), number)}
        if kind is ProfileWrite:
            made["values"] = {"identity_attributes": {"emailAddress": "ann@x.example"}}
        found.append(
            kind(
                observation_id=UUID(int=1000 + number),
                new_profile_id=UUID(int=10 + number << 100),
                interface="interactions",
                identifiers=tuple(named),
                **made,
            )
        )
    return found


def folded(
    history: list[Observation], config: Config, *, is_short: bool
) -> tuple[WorkingSet, list[Plan | Rejection], int]:
    """Fold a history of the believed state: the plans, and how many observations took the short way."""
    state, outcomes, short = WorkingSet(), list[Plan | Rejection](), 0
    for number, observation in enumerate(history):
        seq = BEGUN + number * HOUR // 2
        evidence = extract_evidence(observation, config)
        if is_short and browser_that_repeats(observation, evidence) is not None:
            token_evidence = read_token(state, observation, evidence.persons, config)
            profile = fold_repetition(state, observation, evidence, token_evidence, config, seq)
            if profile is not None:
                assert profile is state.profiles[profile.profile_id]
                outcomes.append(Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id))
                short += 1
                continue
        outcomes.append(fold(state, observation, config, seq, evidence))
    return state, outcomes, short


def observed(history: list[Observation], config: Config) -> tuple[IdentityGraph, list[UUID | None]]:
    """Fold a history into an identity graph."""
    graph, rules = IdentityGraph(), graph_rules(config)
    return graph, [
        observe(
            graph,
            Observed(item, extract_evidence(item, config), BEGUN + number * HOUR // 2, config, rules),
        )
        for number, item in enumerate(history)
    ]


@settings(max_examples=300, deadline=None)
@given(histories(), st.sampled_from(CONFIGS))
def test_the_short_way_equals_the_long_way(history: list[Observation], config: Config) -> None:
    short, outcomes, number = folded(history, config, is_short=True)
    long, expected, _ = folded(history, config, is_short=False)
    event(f"{min(number, 3)} or more short ways")
    assert outcomes == expected
    assert (short.profiles, short.claims, short.members) == (long.profiles, long.claims, long.members)
    assert short.changes.profiles == long.changes.profiles
    for profile in short.profiles.values():
        assert short.active_by(profile, BEGUN) == long.active_by(profile, BEGUN)


@settings(max_examples=300, deadline=None)
@given(histories(), st.sampled_from(CONFIGS))
def test_the_short_way_into_the_graph_equals_the_long_way(history: list[Observation], config: Config) -> None:
    short, fragments = observed(history, config)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PREDICATE, lambda *_: None)
        long, expected = observed(history, config)
    assert fragments == expected
    assert (short.fragments, short.browsers, short.own) == (long.fragments, long.browsers, long.own)
    assert (short.claimants, short.waiting) == (long.claimants, long.waiting)


@pytest.mark.parametrize("device", BROWSERS, ids=str)
def test_a_repeated_event_takes_it(device: Identifier) -> None:
    config, graph = CONFIGS[0], IdentityGraph()
    first = PageEvent(
        observation_id=UUID(int=1),
        new_profile_id=UUID(int=10),
        interface="interactions",
        trust="browser",
        identifiers=(device, *NAMED[:1], *NAMED[3:4]),
        new_tracker=device.value if device.namespace == TRACKER else None,
    )
    evidence, rules = extract_evidence(first, config), graph_rules(config)
    state = WorkingSet()
    fold(state, first, config, 1)
    observe(graph, Observed(first, evidence, 1, config, rules))
    again = msgspec.structs.replace(first, observation_id=UUID(int=2))
    assert browser_that_repeats(again, evidence) == device
    fragment = repeated(graph, device, again, evidence, config, rules.fold, 2)
    assert fragment is not None
    assert {(item.source.seq, item.source.first_seq) for item in fragment.writes} == {(2, 1)}
    profile = fold_repetition(state, again, evidence, None, config, 2)
    assert profile is not None
    sources = {item for found in profile.record.provenance.values() for item in found}
    assert {(item.seq, item.first_seq) for item in sources} == {(2, 1)}
    assert profile.updated_at == 1
