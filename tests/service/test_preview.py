"""A preview predicts the activation of a rule and changes nothing (docs/concepts/log-and-fold.md)."""

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
from support.effort import examples
from support.profiles_harness import ProfilesHarness
from support.tunables import tuned

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(40),
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
    return {merge.survivor: frozenset(merge.absorbed) for merge in preview.merges}


def _new_merges(
    before: dict[UUID, frozenset[UUID]], after: dict[UUID, frozenset[UUID]]
) -> dict[UUID, frozenset[UUID]]:
    """The profiles that each survivor absorbed, without those that were already absorbed before."""
    absorbed_before = {member: survivor for survivor, members in before.items() for member in members}
    new = {
        survivor: frozenset(m for m in members if m not in absorbed_before)
        for survivor, members in after.items()
    }
    return {survivor: members for survivor, members in new.items() if members}


async def _state(harness: ProfilesHarness) -> tuple[Any, ...]:
    return await harness.groups(), await harness.values(), await harness.refusals()


@QUICK
@given(people=st.lists(PERSON, max_size=10), first=st.sampled_from([None, 1, 3]), tags=st.booleans())
async def test_a_preview_equals_the_activation(
    services: Services, people: list[dict[str, Any]], first: int | None, tags: bool
) -> None:
    harness = await ProfilesHarness(services).begin()
    if first is not None:
        await harness.rule("card", first)
    for person in people:
        await harness.person(**person)
    rule = UnificationRule("", "by tags", "traits.tags", 2, True) if tags else MAIL
    groups, values, refusals = await _state(harness)
    preview = await services.rules.previews.preview(harness.dataset_ref, rule)
    assert await _state(harness) == (groups, values, refusals)
    await services.rules.rules.create(harness.dataset_ref, rule)
    await harness.index()
    groups_after, values_after, refusals_after = await _state(harness)
    assert _merges(preview) == _new_merges(groups, groups_after)
    assert preview.profiles_absorbed == sum(map(len, _new_merges(groups, groups_after).values()))
    changed = {
        (survivor, f"traits.{key}")
        for survivor in _merges(preview)
        for key in values[survivor].keys() | values_after[survivor].keys()
        if values[survivor].get(key) != values_after[survivor].get(key)
    }
    assert {(change.profile, change.path) for change in preview.values_changed} == changed
    assert {refusal for refusal in preview.refusals if refusal[0] != "blocked_value"} >= {
        refusal for refusal in refusals_after - refusals if refusal[0] != "blocked_value"
    }
    largest = max(
        (len(members) + 1 for s, members in groups_after.items() if s in _merges(preview)), default=1
    )
    assert preview.largest_group == largest


async def test_a_preview_names_survivor_absorbed_and_identifier(harness: ProfilesHarness) -> None:
    user = await harness.person("u1", mail="Ann@acme.example", plan="trial")
    other = await harness.person(mail="ann@acme.example ", plan="gold")
    await harness.person(mail="bob@acme.example")
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    (merge,) = preview.merges
    assert (merge.survivor, merge.absorbed) == (user, (other,))
    assert merge.identifier is not None
    assert (merge.identifier.namespace, merge.identifier.value) == ("traits.mail", "ann@acme.example")
    assert (preview.profiles_indexed, preview.profiles_absorbed, preview.groups) == (3, 1, 1)
    assert preview.largest_group == 2
    assert {change.path for change in preview.values_changed} == {"traits.mail", "traits.plan"}


async def test_a_preview_lists_the_refusal_between_two_users(harness: ProfilesHarness) -> None:
    pair = {await harness.person(user, mail="a1") for user in ("u1", "u2")}
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    assert preview.merges == ()
    ((code, one, other),) = preview.refusals
    assert (code, {one, other}) == ("different_user", pair)


async def test_the_preview_of_an_inactive_rule_is_empty(harness: ProfilesHarness) -> None:
    for _ in range(2):
        await harness.person(mail="a1")
    inactive = msgspec.structs.replace(MAIL, is_active=False)
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, inactive)
    assert (preview.merges, preview.separated, preview.largest_group) == ((), (), 1)


async def test_an_invalid_rule_is_rejected_in_a_preview(harness: ProfilesHarness) -> None:
    await harness.rule("mail")
    with pytest.raises(RuleRejected):
        await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)


async def test_deactivation_lists_profiles_that_a_rebuild_would_separate(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail")
    both = [await harness.person(mail="a1") for _ in range(2)]
    by_user = [await harness.person("u9") for _ in range(2)]
    inactive = msgspec.structs.replace(rule, is_active=False)
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, inactive)
    assert (preview.separated_count, preview.merges) == (1, ())
    (separated_person,) = preview.separated
    assert separated_person.survivor == both[0]
    assert sorted(separated_person.groups) == sorted((profile_id,) for profile_id in both)
    assert await harness.survivors(*both, *by_user) == [both[0], both[0], by_user[0], by_user[0]]


async def test_deactivation_separates_nothing_that_another_rule_joins(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail", 1)
    await harness.rule("card", 2)
    for _ in range(2):
        await harness.person(mail="a1", card="c1")
    inactive = msgspec.structs.replace(rule, is_active=False)
    assert (await harness.services.rules.previews.preview(harness.dataset_ref, inactive)).separated == ()


async def test_deactivation_separates_profiles_that_indexing_merged(harness: ProfilesHarness) -> None:
    people = [await harness.person(mail="a1") for _ in range(3)]
    rule = await harness.rule("mail")
    await harness.index()
    assert len(set(await harness.survivors(*people))) == 1
    inactive = msgspec.structs.replace(rule, is_active=False)
    (separated_person,) = (
        await harness.services.rules.previews.preview(harness.dataset_ref, inactive)
    ).separated
    assert sorted(separated_person.groups) == sorted((profile_id,) for profile_id in people)


@pytest.mark.parametrize("tunables", [tuned(preview_entries_max=2)])
async def test_long_lists_are_truncated_and_counts_are_complete(harness: ProfilesHarness) -> None:
    for number in range(5):
        for _ in range(2):
            await harness.person(mail=f"m{number}")
    preview = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    assert (len(preview.merges), preview.groups, preview.profiles_absorbed) == (2, 5, 5)
