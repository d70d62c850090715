"""Events that only act are folded the short way, which comes to the same as the long one."""

from __future__ import annotations

from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneself.core.config.configuration import Config
from oneself.core.fold.activity import fold_activity, fold_new_visitor
from oneself.core.fold.apply import fold
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, USER_ID, Identifier
from oneself.core.identity_graph.observe import device_that_only_acts
from oneself.core.profiles.profile import primary_id
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import (
    ConsentChange,
    Observation,
    PageEvent,
    SignIn,
    SignOut,
    TokenClaims,
    TrackerEnd,
)
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.token_evidence import read_token
from oneself.core.resolution.working_set import WorkingSet

DEVICES = (
    *(Identifier(ANONYMOUS_ID, f"visitor-{n}") for n in "ab"),
    *(Identifier(TRACKER, f"t-{n}") for n in "d"),
)
MINUTE = 60_000_000
BEGUN = 10**15
USERS = (Identifier(USER_ID, "ann"), Identifier(USER_ID, "ben"))
CONFIGS = (
    Config(),
    Config(dataset=DatasetSettings(merged_anonymous="fresh")),
    Config(dataset=DatasetSettings(resolves_identities=False)),
    Config(dataset=DatasetSettings(resolves_since=1)),
)


@st.composite
def observations(draw: st.DrawFn) -> list[Observation]:
    kinds = (*[PageEvent] * 12, SignIn, SignOut, TrackerEnd, ConsentChange)
    found: list[Observation] = []
    for number in range(draw(st.integers(8, 25))):
        kind = draw(st.sampled_from(kinds))
        named = [draw(st.sampled_from(DEVICES))]
        if kind in (SignIn, SignOut) or draw(st.integers(0, 9)) == 0:
            named.append(draw(st.sampled_from(USERS)))
        made: dict[str, object] = {}
        if kind is PageEvent:
            made["new_tracker"] = draw(st.sampled_from((None, None, None, "t-d")))
            made["new_anonymous_id"] = draw(st.sampled_from((None, None, f"new-{number}")))
            made["values"] = draw(st.sampled_from((*[{}] * 8, {"traits": {"plan": "gold"}})))
            made["objects"] = draw(st.sampled_from((*[{}] * 8, {"carts": [{"id": "1"}]})))
            made["is_interactive"] = draw(st.sampled_from((True, True, False)))
            made["occurred_at"] = draw(st.sampled_from((None, number * 10**9)))
            made["token"] = draw(st.sampled_from((None, None, None, *_tokens(min(number, 3)))))
        if kind is ConsentChange:
            made["choices"] = {"tracking": (draw(st.booleans()), number)}
        found.append(
            kind(
                observation_id=UUID(int=1000 + number),
                new_profile_id=_profile_id(number),
                interface="interactions",
                trust=draw(st.sampled_from(("browser", "server"))) if kind is PageEvent else "server",
                identifiers=tuple(named),
                **made,
            )
        )
    return found


def _profile_id(number: int) -> UUID:
    return UUID(int=10 + number << 100)


def _tokens(number: int) -> list[TokenClaims]:
    """Tokens of users who began before."""
    return [TokenClaims(primary_id(_profile_id(item), anonymous=False)) for item in range(number)]


def folded(history: list[Observation], config: Config, *, is_short: bool) -> tuple[WorkingSet, list[object]]:
    """Fold a history; each observation with the plan that was applied, or why it was rejected."""
    state, outcomes = WorkingSet(), list[object]()
    for seq, observation in enumerate(history, 10**12):
        evidence = extract_evidence(observation, config)
        device = device_that_only_acts(observation, evidence) if is_short else None
        if device is not None and not evidence.dropped:
            token_evidence = read_token(state, observation, (), config)
            profile = fold_activity(state, observation, device, token_evidence, config, seq)
            if profile is not None:
                assert profile is state.profiles[profile.profile_id]
                outcomes.append(Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id))
                continue
            if (plan := fold_new_visitor(state, observation, device, seq)) is not None:
                outcomes.append(plan)
                continue
        outcomes.append(fold(state, observation, config, seq, evidence))
    return state, outcomes


@settings(max_examples=200, deadline=None)
@given(observations(), st.sampled_from(CONFIGS))
def test_the_short_way_equals_the_long_way(history: list[Observation], config: Config) -> None:
    short, outcomes = folded(history, config, is_short=True)
    long, expected = folded(history, config, is_short=False)
    assert outcomes == expected
    assert (short.profiles, short.claims, short.members) == (long.profiles, long.claims, long.members)
    assert msgspec.json.encode(short.profiles) == msgspec.json.encode(long.profiles)
    assert short.changes.profiles == long.changes.profiles
    assert short.changes.claimed == long.changes.claimed
    for profile in short.profiles.values():
        assert short.active_by(profile, 0) == long.active_by(profile, 0)


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_most_events_take_it(device: Identifier) -> None:
    state, config = WorkingSet(), Config()
    begun = PageEvent(
        observation_id=UUID(int=1),
        new_profile_id=UUID(int=10),
        interface="interactions",
        identifiers=(device,),
        new_tracker=device.value if device.namespace == TRACKER else None,
    )
    fold(state, begun, config, 1)
    again = msgspec.structs.replace(begun, new_tracker=None)
    profile = fold_activity(state, again, device, None, config, 2)
    assert profile is not None
    assert (profile.active_at, profile.seq) == (2, 2)
    assert state.extent_of_change(profile.profile_id) == "everything", "It was created in this batch."


@pytest.mark.parametrize(
    ("at", "is_only_touched"),
    [
        pytest.param(BEGUN + MINUTE, True, id="the same visit"),
        pytest.param(BEGUN + 60 * MINUTE, False, id="a new visit"),
        pytest.param(BEGUN - MINUTE, False, id="before the first activity"),
        pytest.param(None, True, id="no activity"),
    ],
)
def test_a_new_visit_is_more_than_activity(at: int | None, is_only_touched: bool) -> None:
    device, config, begun = DEVICES[0], Config(), WorkingSet()
    event = PageEvent(
        observation_id=UUID(int=1),
        new_profile_id=UUID(int=10),
        interface="interactions",
        identifiers=(device,),
        occurred_at=BEGUN,
    )
    fold(begun, event, config, BEGUN)
    state = WorkingSet(begun.profiles.values(), begun.changes.claimed)
    again = msgspec.structs.replace(event, occurred_at=at, is_interactive=at is not None)
    profile = fold_activity(state, again, device, None, config, BEGUN + 90 * MINUTE)
    assert profile is not None
    extent = state.extent_of_change(profile.profile_id)
    assert extent == ("activity" if is_only_touched else "everything")
    if not is_only_touched:
        assert profile.first_active_at == min(BEGUN, at or BEGUN)
