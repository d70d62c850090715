"""Properties of every history, checked on random ones.

`pytest -m soak` checks many more and longer histories than the default run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.core.profiles.profile import ANONYMOUS_PRIMARY_CHARS, PRIMARY_CHARS
from oneself.core.resolution.evidence import identities_of
from oneself.core.values.record import leaves
from scenarios.engine import Outcome, World, one_guard
from scenarios.histories import DEVICES, UNTIMED, History, histories
from scenarios.on_core import Core
from scenarios.play import Numbered, new_id
from scenarios.rendering import render_history, render_step
from scenarios.words import IdentityType, Step
from unit.core.oracle import Oracle

Check = Callable[[History], None]
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SOAK = settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))


class PlayedStep(msgspec.Struct, frozen=True):
    """One step of a history on the core: the addressed profile, the outcome and the state after it."""

    step: Step
    addressed: UUID | None
    new_id: UUID
    outcome: Outcome
    world: World
    names: Numbered


def play_on_core(core: Core, history: History) -> Iterator[PlayedStep]:
    """Play the history on the core; P1, P2, … are the profiles that the core created."""
    note(render_history(history.setup, history.steps))
    core.start(history.setup)
    names = Numbered()
    for number, step in enumerate(history.steps):
        addressed, created_id = names.addressed(step), new_id("history", number)
        outcome = core.observe(step, addressed, created_id)
        names.learn(outcome)
        yield PlayedStep(step, addressed, created_id, outcome, core.see(), names)


def check_core_equals_oracle(history: History) -> None:
    oracle = Oracle()
    oracle.start(history.setup)
    for played in play_on_core(Core(), history):
        note(f"after: {render_step(played.step)}")
        expected = oracle.observe(played.step, played.addressed, played.new_id)
        names = played.names
        assert names.describe(one_guard(played.outcome)) == names.describe(one_guard(expected))
        assert names.describe(played.world) == names.describe(oracle.see())


def check_two_users_never_share_a_profile(history: History) -> None:
    """A profile keeps the user that signed in; two users never share a profile."""
    bound: dict[UUID, str] = {}
    for played in play_on_core(Core(), history):
        person, user = played.outcome.attached, played.step.user
        if person and user and played.step.trust == "server" and not played.outcome.drops:
            bound[person] = user
        world = played.world
        existing = {profile: user for profile, user in bound.items() if profile in world.profiles}
        assert all(world.profiles[world.root(profile)].user == user for profile, user in existing.items())
        users = [facts.user for facts in world.profiles.values() if facts.user is not None]
        assert len(users) == len(set(users))


def check_no_profile_is_lost(history: History) -> None:
    """Every accepted observation belongs to one profile, and every created profile still exists."""
    attached: list[UUID] = []
    created: list[UUID] = []
    for played in play_on_core(Core(), history):
        if played.outcome.rejected is None and played.step.act not in UNTIMED:
            assert played.outcome.attached in played.world.profiles
            attached += [played.outcome.attached]
        created += [played.outcome.created] if played.outcome.created else []
        assert set(attached) <= set(created) == played.world.profiles.keys()
        assert all(played.world.root(root) == root for root in map(played.world.root, created))


def check_every_value_has_a_source(history: History) -> None:
    """The sources of a value are accepted observations that wrote a value at this path."""
    core = Core()
    writers_by_path: dict[str, set[str]] = {}
    for played in play_on_core(core, history):
        for scope, values in played.step.values.items():
            for path in leaves(values, scope):
                writers_by_path.setdefault(path, set()).add(core.observation_id(played.new_id))
        for name, _ in played.step.identities:
            writers_by_path.setdefault(f"identity_attributes.{name}", set()).add(
                core.observation_id(played.new_id)
            )
        for profile_id, facts in played.world.profiles.items():
            record = core.state.profiles[profile_id].record
            paths = {path for scope, values in record.values.items() for path in leaves(values, scope)}
            assert paths == record.provenance.keys() or facts.survivor is not None
            for path, sources in record.provenance.items():
                assert sources
                assert {source.observation_id for source in sources} <= writers_by_path[path]


def check_promotion_keeps_the_profile(history: History) -> None:
    """The primary id is the id of the browser or 16 hex digits while the profile is anonymous, then 24
    (docs/concepts/resolution.md, rule 5, docs/wire/interactions.md §3). A profile does not become anonymous
    again, unless it loses a value that a rule read."""
    core = Core()
    promoted: set[UUID] = set()
    for played in play_on_core(core, history):
        for profile_id, facts in played.world.profiles.items():
            if facts.survivor is not None:
                continue
            assert not (profile_id in promoted and facts.kind == "anonymous" and not history.setup.rules)
            promoted |= {profile_id} if facts.kind != "anonymous" else set()
            primary_id = core.state.profiles[profile_id].primary_id
            if profile_id in promoted:
                assert primary_id == profile_id.hex[:PRIMARY_CHARS]
            else:
                assert primary_id in (profile_id.hex[:ANONYMOUS_PRIMARY_CHARS], *DEVICES)


def check_a_rejection_changes_nothing(history: History) -> None:
    before = World({}, {})
    for played in play_on_core(Core(), history):
        assert played.outcome.rejected is None or played.world == before
        before = played.world


def check_folding_is_deterministic(history: History) -> None:
    first, second = Core(), Core()
    assert [played.outcome for played in play_on_core(first, history)] == [
        played.outcome for played in play_on_core(second, history)
    ]
    assert (first.state.profiles, first.state.claims) == (second.state.profiles, second.state.claims)


def check_the_short_way_equals_the_long_way(history: History) -> None:
    """An observation that says nothing of its profile does what it does without the short cut."""
    short, long = Core(), Core()
    outcomes = [played.outcome for played in play_on_core(short, history)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("oneself.core.fold.apply.act", lambda *_: False)
        assert outcomes == [played.outcome for played in play_on_core(long, history)]
    assert (short.state.profiles, short.state.claims) == (long.state.profiles, long.state.claims)
    for profile_id, profile in short.state.profiles.items():
        instants = range(profile.first_active_at, profile.seq, 1_000_000)
        assert [short.state.active_by(profile, at) for at in instants] == [
            long.state.active_by(long.state.profiles[profile_id], at) for at in instants
        ]


def check_shared_values_are_merged(history: History) -> None:
    """After indexing without guards and limits, only different users keep profiles with one value apart."""
    core = Core()
    for played in play_on_core(core, _unguarded(history)):
        if played.step.act != "index":
            continue
        holders: dict[tuple[str, str], set[UUID]] = {}
        survivors = [id_ for id_, facts in played.world.profiles.items() if facts.survivor is None]
        for profile_id in survivors:
            identities = identities_of(core.state.profiles[profile_id].record, core.config)
            for pair in ((name, value) for name, values in identities.items() for value in values):
                holders.setdefault(pair, set()).add(profile_id)
        for sharing in holders.values():
            users = [played.world.profiles[profile_id].user for profile_id in sharing]
            assert len(sharing) == 1 or (None not in users and len(set(users)) == len(users))


def _unguarded(history: History) -> History:
    types = tuple(IdentityType(kind.name) for kind in history.setup.identity_types)
    limits = {"profiles_per_merge_max": None, "values_per_namespace_max": None}
    setup = msgspec.structs.replace(history.setup, identity_types=types, **limits)
    return History(setup, history.steps)


CHECKS: list[Check] = [
    check_core_equals_oracle,
    check_two_users_never_share_a_profile,
    check_no_profile_is_lost,
    check_every_value_has_a_source,
    check_promotion_keeps_the_profile,
    check_a_rejection_changes_nothing,
    check_folding_is_deterministic,
    check_the_short_way_equals_the_long_way,
]
CHECKS_WITH_RULES: list[Check] = [*CHECKS, check_shared_values_are_merged]
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
each_check_with_rules = pytest.mark.parametrize(
    "check", CHECKS_WITH_RULES, ids=lambda check: check.__name__.removeprefix("check_")
)


@each_check
@QUICK
@given(history=histories())
def test_a_property_holds_on_short_histories(check: Check, history: History) -> None:
    check(history)


@each_check_with_rules
@QUICK
@given(history=histories(steps_max=16, rules=True))
def test_a_property_holds_on_short_histories_with_rules(check: Check, history: History) -> None:
    check(history)


@pytest.mark.soak
@each_check_with_rules
@SOAK
@given(history=histories(steps_max=40, rules=True))
def test_a_property_holds_on_long_histories_with_rules(check: Check, history: History) -> None:
    check(history)


@pytest.mark.soak
@each_check
@SOAK
@given(history=histories(steps_max=40))
def test_a_property_holds_on_long_histories(check: Check, history: History) -> None:
    check(history)


@QUICK
@given(histories(steps_max=8), st.data())
def test_a_repeated_event_merges_nothing(history: History, data: st.DataObject) -> None:
    """An event with a new id but the same identifiers merges no profiles."""
    core = Core()
    last = [*play_on_core(core, history)][-1]
    if last.step.act != "event" or last.outcome.rejected:
        return
    again = core.observe(last.step, None, new_id("again", data.draw(st.integers(0, 3))))
    assert again.merges == frozenset()
    existing = frozenset(last.world.profiles)
    after = {group & existing for group in core.see().partition()} - {frozenset()}
    assert after == last.world.partition()
