"""The preview of a rule in the view `proven` predicts what the activation does to that view."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from oneself.core.identity.identifier_source import UnificationRule
from oneself.service.context import Actor
from oneself.service.rules.preview import Preview
from oneself.services import Services
from support.effort import examples
from support.profiles_harness import ProfilesHarness

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
MAIL = UnificationRule("", "by mail", "traits.mail", 2, True)
TAGS = UnificationRule("", "by tags", "traits.tags", 2, True)
#: What a person says of themselves is asserted.
PERSON, SERVER = Actor("test", "shop", trust="browser"), Actor("test", "shop")
WORD = st.sampled_from(["", "a1", "B1", "b1", "c1", "null"])
TRAITS = {
    "mail": WORD,
    "card": WORD,
    "plan": st.sampled_from(["gold", "trial"]),
    "tags": st.lists(st.sampled_from(["x1", "y1", "z1"]), max_size=3),
}
USERS = st.sampled_from(["u1", "u2", "u3"])
STEP = st.tuples(
    st.sampled_from(["server", "person", "later"]),
    st.fixed_dictionaries({}, optional={"user_id": USERS, **TRAITS}),
)
Values = dict[UUID, dict[str, Any]]


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    return await ProfilesHarness(services).begin()


async def _write(harness: ProfilesHarness, actor: Actor, profile_id: UUID, said: dict[str, Any]) -> None:
    values = {"traits": {key: said[key] for key in said.keys() - {"user_id"}}}
    await harness.services.profiles.profiles.patch(harness.dataset_ref, actor, profile_id, values)


async def _play(harness: ProfilesHarness, steps: list[tuple[str, dict[str, Any]]]) -> None:
    """`server`: it creates a profile. `person`: somebody does, of themselves. `later`: a server writes to the
    first profile."""
    created: list[UUID] = []
    for speaker, said in steps:
        if speaker == "server":
            created.append(await harness.person(**said))
        elif speaker == "person":
            created.append(await harness.person(said.get("user_id")))
            await _write(harness, PERSON, created[-1], said)
        elif created:
            await _write(harness, SERVER, created[0], said)


async def _heads(harness: ProfilesHarness) -> dict[UUID, UUID]:
    """Fragment → the profile that it belongs to in the view `proven`."""
    select = "SELECT fragment_id, proven_id FROM fragment WHERE dataset_id = $1"
    found = await harness.database.fetch(select, harness.dataset_ref.dataset_id)
    return {row["fragment_id"]: row["proven_id"] for row in found}


async def _values(harness: ProfilesHarness, profile_ids: set[UUID]) -> Values:
    profiles, found = harness.services.profiles.profiles, {}
    for profile_id in profile_ids:
        view = await profiles.find_in(harness.dataset_ref, profile_id, "proven")
        assert view is not None
        found[profile_id] = view.survivor.record.values.get("traits", {})
    return found


async def _preview(harness: ProfilesHarness, rule: UnificationRule) -> Preview:
    return await harness.services.rules.proven_previews.preview(harness.dataset_ref, rule)


#: The believed profile has no value any more, but what a server said of a fragment identifies it.
HIDDEN = [
    ("server", {"user_id": "u2", "mail": "a1"}),
    ("person", {"user_id": "u2", "mail": ""}),
    ("server", {"mail": "a1"}),
]


#: What a server had said of a fragment, until something else took its place, identifies it for that time.
REPLACED = [
    ("server", {"mail": "a1"}),
    ("server", {"mail": "a1", "plan": "gold"}),
    ("later", {"mail": "c1"}),
]


@QUICK
@example(steps=HIDDEN, first=False, rule=MAIL)
@example(steps=REPLACED, first=False, rule=MAIL)
@given(steps=st.lists(STEP, max_size=10), first=st.booleans(), rule=st.sampled_from([MAIL, TAGS]))
async def test_a_preview_equals_the_activation(
    services: Services, steps: list[tuple[str, dict[str, Any]]], first: bool, rule: UnificationRule
) -> None:
    harness = await ProfilesHarness(services).begin()
    if first:
        await harness.rule("card")
    await _play(harness, steps)
    before = await _heads(harness)
    values = await _values(harness, set(before.values()))
    preview = await _preview(harness, rule)
    assert await _heads(harness) == before
    await services.rules.rules.create(harness.dataset_ref, rule)
    await harness.index()
    after = await _heads(harness)
    joined: dict[UUID, set[UUID]] = {}
    for fragment_id, head in after.items():
        joined.setdefault(head, set()).add(before[fragment_id])
    merged = {head: frozenset(parts - {head}) for head, parts in joined.items() if len(parts) > 1}
    assert {merge.survivor: frozenset(merge.absorbed) for merge in preview.merges} == merged
    assert preview.profiles_absorbed == sum(map(len, merged.values()))
    values_after = await _values(harness, set(merged))
    assert {(change.profile, change.path) for change in preview.values_changed} == {
        (head, f"traits.{key}")
        for head in merged
        for key in values[head].keys() | values_after[head].keys()
        if values[head].get(key) != values_after[head].get(key)
    }


async def test_a_preview_names_survivor_absorbed_and_identifier(harness: ProfilesHarness) -> None:
    user = await harness.person("u1", mail="Ann@acme.example", plan="trial")
    other = await harness.person(mail="ann@acme.example ", plan="gold")
    await harness.person(mail="bob@acme.example")
    preview = await _preview(harness, MAIL)
    (merge,) = preview.merges
    assert (merge.survivor, merge.absorbed) == (user, (other,))
    assert merge.identifier is not None
    assert (merge.identifier.namespace, merge.identifier.value) == ("traits.mail", "ann@acme.example")
    assert (preview.profiles_indexed, preview.profiles_absorbed, preview.groups) == (3, 1, 1)
    assert preview.largest_group == 2
    assert {change.path for change in preview.values_changed} == {"traits.mail", "traits.plan"}


async def test_a_value_that_an_empty_one_hides_matches_a_later_rule(harness: ProfilesHarness) -> None:
    await _play(harness, HIDDEN)
    await harness.services.rules.rules.create(harness.dataset_ref, MAIL)
    await harness.index()
    heads = await _heads(harness)
    found = await harness.services.profiles.lookup.find(harness.dataset_ref, "user_id:u2", "proven")
    assert found is not None
    assert set(heads.values()) == {found.survivor.profile_id}
    await harness.verified()


async def test_what_was_only_asserted_is_not_in_a_preview(harness: ProfilesHarness) -> None:
    await harness.person("u1", mail="a1")
    await _write(harness, PERSON, await harness.person(plan="gold"), {"mail": "a1"})
    believed = await harness.services.rules.previews.preview(harness.dataset_ref, MAIL)
    assert (believed.profiles_indexed, believed.groups) == (2, 1)
    preview = await _preview(harness, MAIL)
    assert (preview.profiles_indexed, preview.groups, preview.merges) == (1, 0, ())


async def test_a_preview_lists_the_refusal_between_two_users(harness: ProfilesHarness) -> None:
    pair = {await harness.person(user, mail="a1") for user in ("u1", "u2")}
    preview = await _preview(harness, MAIL)
    assert preview.merges == ()
    ((code, one, other),) = preview.refusals
    assert (code, {one, other}) == ("different_user", pair)


async def test_deactivation_lists_what_the_rule_alone_holds_together(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail")
    both = [await harness.person(mail="a1") for _ in range(2)]
    for _ in range(2):
        await harness.person("u9", mail="b1")
    preview = await _preview(harness, msgspec.structs.replace(rule, is_active=False))
    (separated,) = preview.separated
    assert {profile_id for group in separated.groups for profile_id in group} == set(both)
    assert sorted(map(len, separated.groups)) == [1, 1]
    assert preview.separated_count == 1


async def test_the_preview_of_an_inactive_rule_is_empty(harness: ProfilesHarness) -> None:
    for _ in range(2):
        await harness.person(mail="a1")
    preview = await _preview(harness, msgspec.structs.replace(MAIL, is_active=False))
    assert (preview.merges, preview.separated, preview.largest_group) == ((), (), 1)
