"""What holds for every history of fragments, joins and views, tried on random ones.

`pytest -m soak` tries many more and longer histories than the default run.

Source: docs/concepts/trust.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, example, given, note, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.views import TrackerView, ViewedProfile
from unit.core.identity_graph.histories import (
    MAILS,
    STRANGE_ANONYMOUS,
    STRANGER,
    History,
    histories,
    some_ids,
)
from unit.core.identity_graph.oracle import Name, Oracle, Profile, Tracked
from unit.core.identity_graph.steps import (
    CLAIMED,
    NAMESPACES,
    Confirm,
    Create,
    GiveUp,
    Ids,
    Link,
    Match,
    Me,
    Merge,
    Page,
    Report,
    Server,
    Settings,
    SignIn,
    Step,
    Verify,
    View,
)
from unit.core.identity_graph.world import STEP_US, World, seq_of, split, values_of

Check = Callable[[History], None]
Numbered = Iterable[tuple[int, Step]]

QUICK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
SOAK = settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
VIEWS: tuple[View, ...] = ("own", "proven", "all")
#: Steps that say something of somebody, each in one fragment.
WORDS = (Page, Server, Create, Me)


def played(history: History, steps: Numbered | None = None) -> World:
    """The world after the steps of a history, or after others; each keeps its place."""
    world = World(history.settings)
    for number, step in history.numbered if steps is None else steps:
        world.take(step, number)
    return world


def names(world: World) -> dict[UUID, Name]:
    """The names by which the oracle knows the fragments."""
    fragments = world.graph.fragments.values()
    return {
        fragment.fragment_id: Name(fragment.began_at // STEP_US - 1, fragment.origin)
        for fragment in fragments
    }


def profiles(world: World, view: View) -> dict[frozenset[UUID], ViewedProfile]:
    """The profiles of a view by their fragments."""
    views = world.views()
    found = (views.of(view, fragment_id) for fragment_id in world.graph.fragments)
    return {profile.members: profile for profile in found}


def everything(world: World) -> dict[tuple[View, frozenset[UUID]], ViewedProfile]:
    """The profiles of every view."""
    return {(view, members): item for view in VIEWS for members, item in profiles(world, view).items()}


def the_core_equals_the_oracle(history: History) -> None:
    world, oracle = played(history), Oracle(history.settings, history.steps)
    name_of, views = names(world), world.views()
    assert sorted(name_of.values()) == sorted(oracle.fragments)
    for view in VIEWS:
        for fragment_id, name in name_of.items():
            told = views.of(view, fragment_id)
            assert _as_oracle(told, name_of) == oracle.profile(view, name), (view, name)
    for tracker in _trackers(history.steps):
        assert _tracked_as_oracle(world.by_tracker(tracker), name_of) == oracle.by_tracker(tracker)


def _as_oracle(profile: ViewedProfile, name_of: dict[UUID, Name]) -> Profile:
    return Profile(
        name_of[profile.profile_id],
        frozenset(name_of[item] for item in profile.merged_from),
        values_of(profile),
        profile.user_id,
        frozenset(name_of[item] for item in profile.members),
    )


def _tracked_as_oracle(tracked: TrackerView, name_of: dict[UUID, Name]) -> Tracked:
    merged_from = tracked.own.merged_from if tracked.own is not None else ()
    profile_id = name_of[tracked.own.profile_id] if tracked.own is not None else None
    return Tracked(
        values_of(tracked), tracked.user_id, profile_id, frozenset(name_of[item] for item in merged_from)
    )


def _trackers(steps: Iterable[Step]) -> list[str]:
    return sorted({tracker for step in steps if (tracker := getattr(step, "tracker", None)) is not None})


def no_view_has_two_users(history: History) -> None:
    world = played(history)
    for view in VIEWS:
        for members, profile in profiles(world, view).items():
            fragments = [world.graph.fragments[item] for item in members]
            owners = {item.owner.user_id for item in fragments if item.owner is not None}
            users = owners if view == "own" else {item.user_id for item in fragments} - {None}
            assert len(users) <= 1
            assert profile.user_id == next(iter(users), None)


def each_view_is_within_the_wider(history: History) -> None:
    views = played(history).views()
    for inner, outer in (("own", "proven"), ("proven", "all")):
        wider = views.partition(outer).components
        for fragment_id, component in views.partition(inner).components.items():
            assert component.members <= wider[fragment_id].members


def what_others_assert_changes_nothing(history: History) -> None:
    """Without the stranger's words, or without the identities in them, everybody else reads the same.

    Where a dataset trusts the newest, a browser may replace what servers said of it, and then is not joined
    by that.
    """
    note(history)
    world = played(history)
    if history.settings.identity_trust == "timestamp" and _has_replaced_proof(world, history.asserted):
        return
    told = _read_by_others(world, history)
    assert told == _read_by_others(played(history, _without_asserted(history)), history)
    assert told == _read_by_others(played(history, _struck(history)), history)


def _has_replaced_proof(world: World, asserted: frozenset[int]) -> bool:
    """Whether one of these steps ended what a server had said of a fragment."""
    claims = (claim for item in world.graph.fragments.values() for claim in item.claims)
    return any(
        claim.level > EvidenceLevel.ASSERTED
        and claim.until is not None
        and claim.until // STEP_US - 1 in asserted
        for claim in claims
    )


def _without_asserted(history: History) -> list[tuple[int, Step]]:
    return [(number, step) for number, step in history.numbered if number not in history.asserted]


def _struck(history: History) -> list[tuple[int, Step]]:
    """The history without the identities in the stranger's words, and without words of no browser."""
    kept: list[tuple[int, Step]] = []
    for number, step in history.numbered:
        if number not in history.asserted:
            kept.append((number, step))
        elif isinstance(step, Me) or getattr(step, "tracker", None) or getattr(step, "anonymous_id", None):
            kept.append((number, replace(step, ids={})))
    return kept


def _read_by_others(world: World, history: History) -> dict[object, object]:
    """What honest trackers read, and the own and proven profiles without a fragment of the stranger."""
    found: dict[object, object] = {tracker: world.by_tracker(tracker) for tracker in history.honest_trackers}
    strange = {item for item in world.graph.fragments if _is_strange(world, item, history)}
    for view in ("own", "proven"):
        for members, profile in profiles(world, view).items():
            if members.isdisjoint(strange):
                found[view, members] = profile
    return found


def _is_strange(world: World, fragment_id: UUID, history: History) -> bool:
    fragment = world.graph.fragments[fragment_id]
    is_begun = fragment.began_at // STEP_US - 1 in history.asserted
    browser = fragment.browser.value if fragment.browser is not None else None
    strange = (*history.strange_trackers, *STRANGE_ANONYMOUS)
    return is_begun or browser in strange or fragment.user_id == STRANGER


def nothing_is_lost(history: History) -> None:
    """Each word is of a fragment for ever, and what stands in a fragment stands in its widest profile."""
    world = World(history.settings)
    begun: set[UUID] = set()
    for number, step in history.numbered:
        world.take(step, number)
        assert begun <= world.graph.fragments.keys()
        begun |= world.graph.fragments.keys()
        is_of_nobody = (
            isinstance(step, Server) and step.profile is not None and step.profile not in world.created
        )
        assert len(world.touched) in (1, 2) or not isinstance(step, WORDS) or is_of_nobody
    _all_values_are_shown(world)


def _all_values_are_shown(world: World) -> None:
    for members, profile in profiles(world, "all").items():
        fragments = [world.graph.fragments[item] for item in members]
        is_owned = any(fragment.owner is not None for fragment in fragments)
        shown = values_of(profile)
        for fragment in fragments:
            for item in fragment.writes:
                name = item.path[-1]
                is_hidden = item.is_asserted_identity and is_owned and name in CLAIMED
                is_unset = any(
                    other.path == item.path and other.value is None
                    for one in fragments
                    for other in one.writes
                )
                assert name in shown or item.value is None or is_hidden or is_unset


def a_view_whose_members_stay_is_stable(history: History) -> None:
    """A profile changes by a word in one of its fragments, or by a change of its fragments."""
    world = World(history.settings)
    before: dict[tuple[View, frozenset[UUID]], ViewedProfile] = {}
    for number, step in history.numbered:
        world.take(step, number)
        after = everything(world)
        for (view, members), profile in after.items():
            if (view, members) not in before or not members.isdisjoint(world.touched):
                continue
            assert _shown(before[view, members]) == _shown(profile)
            if _inner(before, view, members) == _inner(after, view, members):
                assert before[view, members].profile_id == profile.profile_id
                assert before[view, members].merged_from == profile.merged_from
        before = after


def _shown(profile: ViewedProfile) -> tuple[Any, ...]:
    return profile.record, profile.created_at


def _inner(
    found: dict[tuple[View, frozenset[UUID]], ViewedProfile], view: View, members: frozenset[UUID]
) -> set[tuple[View, frozenset[UUID]]]:
    """The profiles of the narrower views within a profile."""
    inner = VIEWS[: VIEWS.index(view)]
    return {(narrower, part) for narrower, part in found if narrower in inner and part <= members}


def no_two_views_merge_into_each_other(history: History) -> None:
    views = played(history).views()
    for inner, outer in combinations(VIEWS, 2):
        for fragment_id in views.partition("all").components:
            narrow, wide = views.of(inner, fragment_id), views.of(outer, fragment_id)
            assert wide.profile_id not in narrow.members or wide.profile_id == narrow.profile_id


def a_tracker_shows_a_user_only_after_the_users_act(history: History) -> None:
    world = played(history)
    acts = {
        (step.tracker, step.user)
        for step in history.steps
        if isinstance(step, SignIn | Link | Confirm | Create) and step.user is not None
    }
    for tracker in _trackers(history.steps):
        user = world.by_tracker(tracker).user_id
        assert user is None or (tracker, user) in acts


LAWS: list[Check] = [
    the_core_equals_the_oracle,
    no_view_has_two_users,
    each_view_is_within_the_wider,
    what_others_assert_changes_nothing,
    nothing_is_lost,
    a_view_whose_members_stay_is_stable,
    no_two_views_merge_into_each_other,
    a_tracker_shows_a_user_only_after_the_users_act,
]
named = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


#: A server names Ann's address and a card together, beside a browser that named the address before, and on
#: which another user signs in: of what holds the card, the record of the people goes before the browser.
TIED_BROWSER = History(
    Settings(),
    (
        Page(tracker="t9", ids={"mail": "a@"}),
        Verify(user="ann", namespace="mail", value="a@"),
        Create(name="p2", tracker="v2", ids={"card": "c1"}),
        Server(tracker="t9", ids={"mail": "a@", "card": "c1"}),
        SignIn(user="mal", tracker="t9"),
    ),
    asserted=frozenset({0}),
)
#: A report for Ben; then Ann signs in with the tracker, and a request brings it with Ben's token.
REPLACED_REPORT = History(
    Settings(),
    (
        Create(name="p0", tracker="v0"),
        Report(user="ben", tracker="v0"),
        Link(user="ann", tracker="v0"),
        Confirm(user="ben", tracker="v0"),
        Page(tracker="v0", values={"plan": "w4"}),
    ),
)


@named
@QUICK
@example(history=TIED_BROWSER)
@example(history=REPLACED_REPORT)
@given(history=histories())
def test_on_short_histories(law: Check, history: History) -> None:
    law(history)


def test_when_a_browser_began_does_not_decide_who_gets_a_contested_record() -> None:
    steps = TIED_BROWSER.steps
    for world in (played(TIED_BROWSER), World(Settings()).play(steps[1:])):
        assert world.of("p2").user_id == "ann"


def test_a_sign_in_of_another_user_replaces_a_report_that_waits() -> None:
    """The browser and what it says stay the user's who signed in; the user of the report confirms nothing."""
    assert played(REPLACED_REPORT).by_tracker("v0").user_id == "ann"


@pytest.mark.soak
@named
@SOAK
@given(history=histories(steps_max=40))
def test_on_long_histories(law: Check, history: History) -> None:
    law(history)


#: Histories without merges and splits by hand, which depend on what stands when they are made.
UNEDITED = histories(is_edited=False, has_matches=False)


@QUICK
@given(history=UNEDITED, namespace=st.sampled_from([*NAMESPACES]), data=st.data())
def test_a_rule_counts_alike_before_and_after_the_data(
    history: History, namespace: str, data: st.DataObject
) -> None:
    others = tuple(name for name in history.settings.active if name != namespace)
    history = replace(history, settings=replace(history.settings, active=others))
    place = data.draw(st.integers(0, len(history.steps)))
    rule = Match(namespace=namespace, is_active=True)
    steps = history.numbered
    worlds = [
        everything(played(history, [*steps[:at], (at, rule), *steps[at:]])) for at in (0, place, len(steps))
    ]
    assert worlds[0] == worlds[1] == worlds[2]


Placed = list[tuple[int, int, Step]]
"""Steps with the numbers by which they are known, and their places in the log."""


@QUICK
@given(history=histories(is_edited=False), data=st.data())
def test_proof_and_assertion_count_alike_in_any_order(history: History, data: st.DataObject) -> None:
    """A page may name somebody before or after others prove it: own and proven tie the same words."""
    movable = [number for number, step in history.numbered if isinstance(step, Page) and step.tracker]
    assume(movable)
    moved = data.draw(st.sampled_from(movable))
    others = [(number, 2 * number + 2, step) for number, step in history.numbered if number != moved]
    worlds = [
        _words(history.settings, [*others, (moved, 2 * place + 1, history.steps[moved])])
        for place in (moved, data.draw(st.integers(*_free_around(history, moved))))
    ]
    assert worlds[0] == worlds[1]


def _free_around(history: History, moved: int) -> tuple[int, int]:
    """The first and the last place of a page among steps that do not name its browser."""
    page = history.steps[moved]
    same = [
        number
        for number, step in history.numbered
        if number != moved
        and _names_browser(step, getattr(page, "tracker", None), getattr(page, "anonymous_id", None))
    ]
    first = max((number + 1 for number in same if number < moved), default=0)
    last = min((number - 1 for number in same if number > moved), default=len(history.steps) - 1)
    return first, last


def _names_browser(step: Step, tracker: str | None, anonymous_id: str | None) -> bool:
    if isinstance(step, Link | Server) and step.profile is not None:
        return True
    names_anonymous = anonymous_id is not None and getattr(step, "anonymous_id", None) == anonymous_id
    return getattr(step, "tracker", None) == tracker or names_anonymous


@QUICK
@given(history=histories(is_edited=False), data=st.data())
def test_a_verification_counts_alike_whenever_it_comes(history: History, data: st.DataObject) -> None:
    """The only verification of a user and an address may come at any time after the registration.

    It proves what is still held, by a rule that matches, and the first proof of an owner decides. So it is
    not moved over the end of a claim or a rule, and nobody else proves what servers began with the address.
    """
    verification = Verify(user="ann", namespace="mail", value=data.draw(st.sampled_from(MAILS)))
    others = [
        (number, 2 * number + 1, step)
        for number, step in history.numbered
        if not _ends_or_verifies(step, verification)
    ]
    registered = max((place for _, place, step in others if _registers(step, "ann")), default=-1)
    places = st.integers((registered + 1) // 2, len(history.steps))
    first, second = sorted(2 * data.draw(places) for _ in range(2))
    placed = [[*others, (len(history.steps), place, verification)] for place in (first, second)]
    worlds = [_placed_world(history.settings, order) for order in placed]
    ended = {place for world, _ in worlds for place in _ends_of_mail(world)}
    ended |= {place for _, place, step in others if step == Match(namespace="mail", is_active=False)}
    assume(not any(first <= place <= second for place in ended))
    assume(not any(_is_proved_by_others(world, verification) for world, _ in worlds))
    assert _words_of(*worlds[0]) == _words_of(*worlds[1])


def _ends_of_mail(world: World) -> set[int]:
    """The places of the steps that ended the claim on an address."""
    claims = (claim for item in world.graph.fragments.values() for claim in item.claims)
    return {
        claim.until // STEP_US - 1
        for claim in claims
        if claim.until is not None and claim.tenure.identifier.namespace == "mail"
    }


def _is_proved_by_others(world: World, verification: Verify) -> bool:
    """Whether another user owns what a server began with the address, by another identifier."""
    address = Identifier(verification.namespace, verification.value)
    return any(
        item.owner is not None
        and item.owner.user_id != verification.user
        and any(tenure.identifier == address for tenure in item.began_with)
        for item in world.graph.fragments.values()
    )


def _registers(step: Step, user: str) -> bool:
    return isinstance(step, SignIn | Report) and step.user == user and bool(step.claims)


def _ends_or_verifies(step: Step, verification: Verify) -> bool:
    if not isinstance(step, Verify | GiveUp):
        return False
    return step.user == verification.user or getattr(step, "value", None) == verification.value


def _words(told: Settings, placed: Placed) -> set[tuple[View, frozenset[int], str | None]]:
    """Which steps each profile of `own` and `proven` is made of, and its user."""
    return _words_of(*_placed_world(told, placed))


def _placed_world(told: Settings, placed: Placed) -> tuple[World, dict[UUID, set[int]]]:
    """The world after steps in another order, and which of them each fragment is made of."""
    world = World(told)
    of_fragment: dict[UUID, set[int]] = {}
    for number, place, step in sorted(placed, key=lambda item: item[1]):
        world.take(replace(step, at=None) if isinstance(step, Page | Server) else step, place)
        for fragment_id in world.touched:
            of_fragment.setdefault(fragment_id, set()).add(number)
    return world, of_fragment


def _words_of(
    world: World, of_fragment: dict[UUID, set[int]]
) -> set[tuple[View, frozenset[int], str | None]]:
    return {
        (view, words, profile.user_id)
        for view in ("own", "proven")
        for members, profile in profiles(world, view).items()
        if (words := frozenset(step for item in members for step in of_fragment.get(item, ())))
    }


@QUICK
@given(history=UNEDITED, first=some_ids(), second=some_ids(), data=st.data())
def test_merge_anything_split_equals_never_merged(
    history: History, first: Ids, second: Ids, data: st.DataObject
) -> None:
    one, other = Create(name="one", ids=first, values={"plan": "one"}), Create(name="other", ids=second)
    after = [(number + 2, step) for number, step in history.numbered]
    place, end = data.draw(st.integers(0, len(after))), len(after) + 2
    merge = (place + 2, Merge(one="one", other="other"))
    begun = [(0, one), (1, other)]
    apart = played(history, [*begun, *after])
    merged = played(history, [*begun, *after[:place], merge, *after[place:]])
    side = apart.of("one").members
    # The split must end the merge, and nothing but the merge must have joined the two.
    assume(side != apart.of("other").members)
    assume(merged.of("one").members == merged.of("other").members)
    split(merged.graph, side, merged.views().partition("proven"), seq_of(end))
    assert _by_proof(apart) == _by_proof(merged)


def _by_proof(world: World) -> dict[tuple[View, frozenset[UUID]], ViewedProfile]:
    return {key: profile for key, profile in everything(world).items() if key[0] != "all"}
