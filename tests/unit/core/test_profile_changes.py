"""Changes of who is with whom: whoever applies them in order knows the current profile of every id."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from oneself.adapters.change_event import FeedSource, render_change
from oneself.core.fold import profile_changes
from oneself.core.fold.profile_changes import (
    ChangeReasons,
    ProfileChange,
    VisibleState,
    changed_paths,
    membership_changes,
    update_of,
)
from oneself.store.tables.profile_change import BEGINNING
from support.feed_consumer import FeedConsumer

IDS = [UUID(int=number) for number in range(1, 8)]
A, B, C, D = IDS[:4]
ORDER = ("created", "split", "merged", "erased", "updated")


@st.composite
def memberships(draw: st.DrawFn) -> dict[UUID, UUID]:
    """Some ids, each with its current profile, which is an id of the same profile."""
    numbers = draw(st.lists(st.integers(0, 3), min_size=len(IDS), max_size=len(IDS)))
    present = [item for item in IDS if draw(st.booleans())]
    groups: dict[int, list[UUID]] = {}
    for item, number in zip(IDS, numbers, strict=True):
        if item in present:
            groups.setdefault(number, []).append(item)
    return {item: head for ids in groups.values() for head in [draw(st.sampled_from(ids))] for item in ids}


def applied(consumer: FeedConsumer, changes: list[ProfileChange]) -> None:
    for change in sorted(changes, key=lambda item: ORDER.index(item.kind)):
        consumer.apply(render_change(change, BEGINNING, A, FeedSource("acme", "default", "proven")))


@given(states=st.lists(memberships(), min_size=1, max_size=6), knows_all=st.booleans())
def test_a_table_that_follows_is_right(states: list[dict[UUID, UUID]], knows_all: bool) -> None:
    consumer, before, known = FeedConsumer(), dict[UUID, UUID](), set[UUID]()
    for after in states:
        # An id that was erased is never issued again.
        after = {item: head for item, head in after.items() if item in before or item not in known}
        after = {item: head if head in after else item for item, head in after.items()}
        after = _with_heads(after)
        reasons = ChangeReasons(dict.fromkeys(after, "a rule") if knows_all else {})
        applied(consumer, membership_changes(before, after, reasons).changes)
        assert {item: after.get(item) for item in consumer.current} == consumer.current
        assert set(after.values()) <= consumer.current.keys()
        if knows_all:
            assert after.keys() <= consumer.current.keys()
        known |= after.keys()
        before = after


def _with_heads(membership: dict[UUID, UUID]) -> dict[UUID, UUID]:
    """The same; a head is its own profile."""
    return {item: head if membership[head] == head else item for item, head in membership.items()}


@given(before=memberships(), after=memberships())
def test_ids_that_move_with_their_profile_can_be_left_out(
    before: dict[UUID, UUID], after: dict[UUID, UUID]
) -> None:
    after = {item: after.get(item, head) for item, head in before.items()}
    after = _with_heads({item: head if head in after else item for item, head in after.items()})
    heads = {*before.values(), *after.values()}
    left = {item for item in before if item in heads or before[item] != after[item]}
    moved = [item for item in before if after[item] == after.get(before[item]) and item not in heads]
    some = left - set(moved)
    found = membership_changes(
        {item: before[item] for item in some}, {item: after[item] for item in some}
    ).changes
    every = membership_changes(before, after).changes
    one, other = FeedConsumer(), FeedConsumer()
    for consumer, changes in ((one, found), (other, every)):
        consumer.current = dict(before)
        applied(consumer, changes)
    assert one.current == other.current == after


def test_a_profile_that_is_absorbed_is_named_with_the_reason() -> None:
    found = membership_changes(
        {A: A, B: B}, {A: A, B: A, C: A}, ChangeReasons({B: "by mail", C: "anonymous"})
    )
    assert found.changes == [
        ProfileChange(kind="merged", profile_id=A, absorbed_id=B, reason="by mail"),
        ProfileChange(kind="merged", profile_id=A, absorbed_id=C, reason="anonymous"),
    ]
    assert found.unmoved == set()


def test_what_begins_inside_a_profile_is_no_change() -> None:
    found = membership_changes({A: A}, {A: A, B: A})
    assert (found.changes, found.unmoved) == ([], {A})


def test_an_erased_part_leaves_the_others() -> None:
    erasure = ChangeReasons(otherwise="erasure")
    assert membership_changes({A: A, B: A, C: A}, {B: B, C: B}, erasure).changes == [
        ProfileChange(kind="split", profile_id=A, parts=(B,), moved=((B, B), (C, B)), reason="erasure"),
        ProfileChange(kind="erased", profile_id=A),
    ]
    assert membership_changes({A: A, B: A}, {A: A}).changes == [ProfileChange(kind="erased", profile_id=B)]


def test_a_large_split_is_several_changes(monkeypatch: object) -> None:
    ids = [UUID(int=number) for number in range(1, profile_changes.MOVED_MAX + 12)]
    found = membership_changes(dict.fromkeys(ids, ids[0]), {ids[0]: ids[0]} | dict.fromkeys(ids[1:], ids[1]))
    assert [len(change.moved) for change in found.changes] == [profile_changes.MOVED_MAX, 10]
    assert {change.parts for change in found.changes} == {(ids[0], ids[1])}


def test_a_large_split_names_in_each_change_the_parts_that_it_moves_to() -> None:
    ids = [UUID(int=number) for number in range(1, profile_changes.MOVED_MAX + 12)]
    found = membership_changes(dict.fromkeys(ids, ids[0]), {item: item for item in ids})
    assert [len(change.parts) for change in found.changes] == [profile_changes.MOVED_MAX + 1, 11]
    assert {part for change in found.changes for part in change.parts} == set(ids)


def test_an_update_names_attributes_and_no_value() -> None:
    before = VisibleState(
        {"traits": {"plan": "trial", "tags": ["a"]}, "application_data": {"shop": {"x": 1}}}
    )
    after = VisibleState(
        {"traits": {"plan": "gold", "tags": ["a"]}, "application_data": {"shop": {"x": 2}, "till": {"y": 3}}},
        "ann",
        {"news": True},
        "known",
    )
    assert update_of(A, before, before) is None
    update = update_of(A, before, after)
    assert update is not None
    assert update.paths == (
        "application_data.shop.x", "application_data.till.y", "traits.plan", "user_id", "primary_id",
        "consents",
    )  # fmt: skip
    assert sorted(changed_paths({}, {"traits": {"address": {"city": "Bonn"}}})) == ["traits.address"]
