"""What holds for every history, tried on random ones.

`pytest -m soak` tries many more and longer histories than the default run.
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


class Happened(msgspec.Struct, frozen=True):
    """One step of a history on the core: who it addressed, what it did, what stood after it."""

    step: Step
    addressed: UUID | None
    new_id: UUID
    outcome: Outcome
    world: World
    names: Numbered


def unfold(core: Core, history: History) -> Iterator[Happened]:
    """Play the history on the core; P1, P2, … are what the core created."""
    note(render_history(history.setup, history.steps))
    core.start(history.setup)
    names = Numbered()
    for number, step in enumerate(history.steps):
        addressed, made = names.addressed(step), new_id("history", number)
        outcome = core.observe(step, addressed, made)
        names.learn(outcome)
        yield Happened(step, addressed, made, outcome, core.see(), names)


def the_core_equals_the_oracle(history: History) -> None:
    oracle = Oracle()
    oracle.start(history.setup)
    for happened in unfold(Core(), history):
        note(f"after: {render_step(happened.step)}")
        told = oracle.observe(happened.step, happened.addressed, happened.new_id)
        names = happened.names
        assert names.describe(one_guard(happened.outcome)) == names.describe(one_guard(told))
        assert names.describe(happened.world) == names.describe(oracle.see())


def two_users_are_never_one(history: History) -> None:
    """Whatever happens later, who signed in stays with the user that signed in."""
    bound: dict[UUID, str] = {}
    for happened in unfold(Core(), history):
        person, user = happened.outcome.attached, happened.step.user
        if person and user and happened.step.trust == "server" and not happened.outcome.drops:
            bound[person] = user
        world = happened.world
        alive = {profile: user for profile, user in bound.items() if profile in world.profiles}
        assert all(world.profiles[world.root(profile)].user == user for profile, user in alive.items())
        users = [facts.user for facts in world.profiles.values() if facts.user is not None]
        assert len(users) == len(set(users))


def nothing_is_lost(history: History) -> None:
    """An accepted observation belongs to one profile, which is never forgotten; what was made is known."""
    attached: list[UUID] = []
    created: list[UUID] = []
    for happened in unfold(Core(), history):
        if happened.outcome.rejected is None and happened.step.act not in UNTIMED:
            assert happened.outcome.attached in happened.world.profiles
            attached += [happened.outcome.attached]
        created += [happened.outcome.created] if happened.outcome.created else []
        assert set(attached) <= set(created) == happened.world.profiles.keys()
        assert all(happened.world.root(root) == root for root in map(happened.world.root, created))


def every_value_has_a_source(history: History) -> None:
    """The sources of a value are accepted observations that wrote there, of profiles that are this person."""
    core = Core()
    wrote: dict[str, set[str]] = {}
    for happened in unfold(core, history):
        for scope, values in happened.step.values.items():
            for path in leaves(values, scope):
                wrote.setdefault(path, set()).add(core.observation_id(happened.new_id))
        for name, _ in happened.step.identities:
            wrote.setdefault(f"identity_attributes.{name}", set()).add(core.observation_id(happened.new_id))
        for profile_id, facts in happened.world.profiles.items():
            record = core.state.profiles[profile_id].record
            paths = {path for scope, values in record.values.items() for path in leaves(values, scope)}
            assert paths == record.provenance.keys() or facts.survivor is not None
            for path, sources in record.provenance.items():
                assert sources
                assert {source.observation_id for source in sources} <= wrote[path]


def a_profile_is_promoted_not_replaced(history: History) -> None:
    """16 hex digits while anonymous, or the name of the browser that its first event came from; 24 ever after
    (docs/concepts/resolution.md, rule 5, docs/wire/interactions.md §3). Nobody who is known
    becomes anonymous again, except by giving up a value that a rule read."""
    core = Core()
    known: set[UUID] = set()
    for happened in unfold(core, history):
        for profile_id, facts in happened.world.profiles.items():
            if facts.survivor is not None:
                continue
            assert not (profile_id in known and facts.kind == "anonymous" and not history.setup.rules)
            known |= {profile_id} if facts.kind != "anonymous" else set()
            primary_id = core.state.profiles[profile_id].primary_id
            if profile_id in known:
                assert primary_id == profile_id.hex[:PRIMARY_CHARS]
            else:
                assert primary_id in (profile_id.hex[:ANONYMOUS_PRIMARY_CHARS], *DEVICES)


def a_rejection_changes_nothing(history: History) -> None:
    before = World({}, {})
    for happened in unfold(Core(), history):
        assert happened.outcome.rejected is None or happened.world == before
        before = happened.world


def the_same_history_folds_to_the_same_state(history: History) -> None:
    first, second = Core(), Core()
    assert [happened.outcome for happened in unfold(first, history)] == [
        happened.outcome for happened in unfold(second, history)
    ]
    assert (first.state.profiles, first.state.claims) == (second.state.profiles, second.state.claims)


def who_shares_a_value_is_one(history: History) -> None:
    """Once indexed, and where no guard and no limit is set, only users keep apart what a rule would join."""
    core = Core()
    for happened in unfold(core, _unguarded(history)):
        if happened.step.act != "index":
            continue
        holders: dict[tuple[str, str], set[UUID]] = {}
        alive = [who for who, facts in happened.world.profiles.items() if facts.survivor is None]
        for profile_id in alive:
            held = identities_of(core.state.profiles[profile_id].record, core.config)
            for pair in ((name, value) for name, values in held.items() for value in values):
                holders.setdefault(pair, set()).add(profile_id)
        for together in holders.values():
            users = [happened.world.profiles[profile_id].user for profile_id in together]
            assert len(together) == 1 or (None not in users and len(set(users)) == len(users))


def _unguarded(history: History) -> History:
    types = tuple(IdentityType(kind.name) for kind in history.setup.identity_types)
    limits = {"profiles_per_merge_max": None, "values_per_namespace_max": None}
    setup = msgspec.structs.replace(history.setup, identity_types=types, **limits)
    return History(setup, history.steps)


LAWS: list[Check] = [
    the_core_equals_the_oracle,
    two_users_are_never_one,
    nothing_is_lost,
    every_value_has_a_source,
    a_profile_is_promoted_not_replaced,
    a_rejection_changes_nothing,
    the_same_history_folds_to_the_same_state,
]
LAWS_WITH_RULES: list[Check] = [*LAWS, who_shares_a_value_is_one]
named = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
named_with_rules = pytest.mark.parametrize("law", LAWS_WITH_RULES, ids=lambda law: law.__name__)


@named
@QUICK
@given(history=histories())
def test_on_short_histories(law: Check, history: History) -> None:
    law(history)


@named_with_rules
@QUICK
@given(history=histories(steps_max=16, rules=True))
def test_on_short_histories_with_rules(law: Check, history: History) -> None:
    law(history)


@pytest.mark.soak
@named_with_rules
@SOAK
@given(history=histories(steps_max=40, rules=True))
def test_on_long_histories_with_rules(law: Check, history: History) -> None:
    law(history)


@pytest.mark.soak
@named
@SOAK
@given(history=histories(steps_max=40))
def test_on_long_histories(law: Check, history: History) -> None:
    law(history)


@QUICK
@given(histories(steps_max=8), st.data())
def test_a_repeated_report_merges_nothing(history: History, data: st.DataObject) -> None:
    """A repeated event moves nobody: the partition after it is the one before."""
    core = Core()
    happened = [*unfold(core, history)]
    last = happened[-1]
    if last.step.act != "event" or last.outcome.rejected:
        return
    again = core.observe(last.step, None, new_id("again", data.draw(st.integers(0, 3))))
    assert again.merges == frozenset()
    assert core.see().root(last.new_id if last.outcome.created else last.outcome.attached or last.new_id)
