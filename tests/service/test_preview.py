"""A preview equals the later activation and changes nothing (docs/concepts/log-and-fold.md)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier_source import UnificationRule
from oneself.service.rules.preview import Preview
from oneself.services import Services
from support.profiles_harness import ProfilesHarness
from support.tunables import tuned

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

MAIL = UnificationRule("", "by mail", "traits.mail", 2, True)
WORD = st.sampled_from(["", "a1", "B1", "b1", "c1", "null"])
PERSON = st.fixed_dictionaries(
    {},
    optional={
        "user_id": st.sampled_from(["u1", "u2", "u3"]),
        "mail": WORD,
        "card": WORD,
        "plan": st.sampled_from(["gold", "trial"]),
        "tags": st.lists(st.sampled_from(["x1", "y1", "z1"]), max_size=3),
    },
)


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    return await ProfilesHarness(services).begin()


def _merges(preview: Preview) -> dict[UUID, frozenset[UUID]]:
    return {joined.survivor: frozenset(joined.absorbed) for joined in preview.merges}


def _new(
    before: dict[UUID, frozenset[UUID]], after: dict[UUID, frozenset[UUID]]
) -> dict[UUID, frozenset[UUID]]:
    """Whom each survivor absorbed itself, without those that came along with an absorbed one."""
    along = {member: survivor for survivor, members in before.items() for member in members}
    new = {survivor: frozenset(m for m in members if m not in along) for survivor, members in after.items()}
    return {survivor: members for survivor, members in new.items() if members}


async def _seen(harness: ProfilesHarness) -> tuple[Any, ...]:
    return await harness.groups(), await harness.values(), await harness.refusals()


@QUICK
@given(people=st.lists(PERSON, max_size=10), first=st.sampled_from([None, 1, 3]), tags=st.booleans())
async def test_a_preview_is_what_activation_does(
    services: Services, people: list[dict[str, Any]], first: int | None, tags: bool
) -> None:
    harness = await ProfilesHarness(services).begin()
    if first is not None:
        await harness.rule("card", first)
    for person in people:
        await harness.person(**person)
    rule = UnificationRule("", "by tags", "traits.tags", 2, True) if tags else MAIL
    groups, values, refusals = await _seen(harness)
    preview = await services.rules.previews.preview(harness.dataset_ref, rule)
    assert await _seen(harness) == (groups, values, refusals)
    await services.rules.rules.create(harness.dataset_ref, rule)
    await harness.index()
    groups_after, values_after, refusals_after = await _seen(harness)
    assert _merges(preview) == _new(groups, groups_after)
    assert preview.profiles_absorbed == sum(map(len, _new(groups, groups_after).values()))
    changed = {
        (survivor, f"traits.{key}")
        for survivor in _merges(preview)
        for key in values[survivor].keys() | values_after[survivor].keys()
        if values[survivor].get(key) != values_after[survivor].get(key)
    }
    assert {(each.profile, each.path) for each in preview.values_changed} == changed
    assert {each for each in preview.refusals if each[0] != "blocked_value"} >= {
        each for each in refusals_after - refusals if each[0] != "blocked_value"
    }
    largest = max(
        (len(members) + 1 for s, members in groups_after.items() if s in _merges(preview)), default=1
    )
    assert preview.largest_group == largest


async def test_a_preview_names_survivor_absorbed_and_identifier(harness: ProfilesHarness) -> None:
    known = await harness.person("u1", mail="Ann@acme.example", plan="trial")
    other = await harness.person(mail="ann@acme.example ", plan="gold")
    await harness.person(mail="bob@acme.example")
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    (joined,) = preview.merges
    assert (joined.survivor, joined.absorbed) == (known, (other,))
    assert joined.identifier is not None
    assert (joined.identifier.namespace, joined.identifier.value) == ("traits.mail", "ann@acme.example")
    assert (preview.profiles_indexed, preview.profiles_absorbed, preview.groups) == (3, 1, 1)
    assert preview.largest_group == 2
    assert {each.path for each in preview.values_changed} == {"traits.mail", "traits.plan"}


async def test_two_users_are_a_refusal_of_the_preview(harness: ProfilesHarness) -> None:
    pair = {await harness.person(user, mail="a1") for user in ("u1", "u2")}
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    assert preview.merges == ()
    ((code, one, other),) = preview.refusals
    assert (code, {one, other}) == ("different_user", pair)


async def test_an_inactive_rule_would_do_nothing(harness: ProfilesHarness) -> None:
    for _ in range(2):
        await harness.person(mail="a1")
    inactive = msgspec.structs.replace(MAIL, is_active=False)
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, inactive)
    assert (preview.merges, preview.separated, preview.largest_group) == ((), (), 1)


async def test_a_rule_that_is_refused_is_refused_in_a_preview(harness: ProfilesHarness) -> None:
    await harness.rule("mail")
    with pytest.raises(RuleRejected):
        await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)


async def test_deactivation_lists_whom_a_rebuild_would_separate(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail")
    both = [await harness.person(mail="a1") for _ in range(2)]
    by_user = [await harness.person("u9") for _ in range(2)]
    off = msgspec.structs.replace(rule, is_active=False)
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, off)
    assert (preview.separated_count, preview.merges) == (1, ())
    (apart,) = preview.separated
    assert apart.survivor == both[0]
    assert sorted(apart.groups) == sorted((each,) for each in both)
    assert await harness.survivors(*both, *by_user) == [both[0], both[0], by_user[0], by_user[0]]


async def test_deactivation_keeps_what_another_rule_joins_as_well(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail", 1)
    await harness.rule("card", 2)
    for _ in range(2):
        await harness.person(mail="a1", card="c1")
    off = msgspec.structs.replace(rule, is_active=False)
    assert (await harness.services.rules.previews.preview(harness.dataset_ref, off)).separated == ()


async def test_deactivation_of_a_rule_that_was_applied_in_the_background(harness: ProfilesHarness) -> None:
    people = [await harness.person(mail="a1") for _ in range(3)]
    rule = await harness.rule("mail")
    await harness.index()
    assert len(set(await harness.survivors(*people))) == 1
    off = msgspec.structs.replace(rule, is_active=False)
    (apart,) = (await harness.services.rules.previews.preview(harness.dataset_ref, off)).separated
    assert sorted(apart.groups) == sorted((each,) for each in people)


@pytest.mark.parametrize("tunables", [tuned(preview_entries_max=2)])
async def test_long_lists_are_cut_and_counts_are_complete(harness: ProfilesHarness) -> None:
    for number in range(5):
        for _ in range(2):
            await harness.person(mail=f"m{number}")
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    assert (len(preview.merges), preview.groups, preview.profiles_absorbed) == (2, 5, 5)
