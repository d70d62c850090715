"""Refusals and limits: counted, listed and applied immediately (docs/concepts/resolution.md, rule 6)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.resolution.footprint import Footprint
from oneself.service.context import Actor
from oneself.service.ingest.batcher import BatchLimits
from oneself.services import Services
from oneself.store import working_set
from oneself.store.tables.profile_listing import ListView
from oneself.store.tables.refusal import FIRST, ListedRefusal, RefusalPosition
from support.profiles_harness import ProfilesHarness
from support.tunables import tuned

pytestmark = pytest.mark.postgres


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    harness = await ProfilesHarness(services).begin()
    await harness.rule("mail")
    return harness


async def _list_all(
    harness: ProfilesHarness, size: int, code: str | None = None, view: ListView = "all"
) -> list[ListedRefusal]:
    """Every refusal, read page by page."""
    found: list[ListedRefusal] = []
    refusals = harness.services.profiles.refusals
    following: RefusalPosition | None = FIRST
    while following is not None:
        page = await refusals.page(harness.dataset_ref, size, before=following, code=code, view=view)
        found += page.refusals
        following = page.next_position
    return found


async def test_a_refusal_names_both_profiles_and_is_counted(harness: ProfilesHarness) -> None:
    one, two = [await harness.person(user, mail="a1") for user in ("u1", "u2")]
    await harness.write(two, mail="a1", card="x1")
    await harness.write(two, mail=None)
    await harness.write(two, mail="a1")
    (refused,) = await _list_all(harness, 10)
    assert (refused.code, {refused.profile_id, refused.other_id}) == ("different_user", {one, two})
    assert refused.times >= 2
    assert refused.first_seq < refused.last_seq
    assert await harness.services.profiles.refusals.count(harness.dataset_ref) == {
        "different_user": refused.times
    }


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_pages_together_contain_every_refusal(harness: ProfilesHarness, size: int) -> None:
    for number in range(7):
        for user in ("a", "b"):
            await harness.person(f"{user}{number}", mail=f"m{number}")
    found = await _list_all(harness, size)
    assert len({refusal.position for refusal in found}) == len(found) == 7
    assert found == sorted(found, key=lambda refusal: msgspec.structs.astuple(refusal.position), reverse=True)


@pytest.mark.parametrize("size", [1, 2, 50])
async def test_pages_contain_every_refusal_of_one_write(harness: ProfilesHarness, size: int) -> None:
    """One write causes three refusals with the same profile and the same seq."""
    await harness.rule("card", 2)
    await harness.rule("plan", 3)
    await harness.person(mail="null", card="null", plan="null")
    found = await _list_all(harness, size)
    assert len({(refusal.last_seq, refusal.profile_id, refusal.other_id) for refusal in found}) == 1
    assert sorted(refusal.namespace for refusal in found) == ["traits.card", "traits.mail", "traits.plan"]


@pytest.mark.parametrize("tunables", [tuned(batches=BatchLimits(items_per_second_batch_min=1))])
async def test_log_entries_are_in_the_order_of_commits(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that waits for a profile that another write only reads is recorded after that write."""
    one, two = await harness.person("u1", mail="a1"), await harness.person("u2")
    gather = working_set.gather
    is_written = False

    async def write_then_gather(transaction: Any, footprint: Footprint) -> Any:
        nonlocal is_written
        if one in footprint.profile_ids and not is_written:
            is_written = True
            await harness.write(two, mail="a1")
        return await gather(transaction, footprint)

    with monkeypatch.context() as patch:
        patch.setattr(working_set, "gather", write_then_gather)
        await harness.write(one, mail="b1")
    assert is_written
    assert [refusal.times for refusal in await _list_all(harness, 10)] == [1]
    await harness.verified()


async def test_refusals_are_filtered_by_code(harness: ProfilesHarness) -> None:
    await harness.person(mail="null")
    for user in ("u1", "u2"):
        await harness.person(user, mail="a1")
    codes = {refusal.code for refusal in await _list_all(harness, 10)}
    assert codes == {"blocked_value", "different_user"}
    for code in codes:
        assert {refusal.code for refusal in await _list_all(harness, 10, code)} == {code}


async def test_a_dataset_lists_only_its_own_refusals(harness: ProfilesHarness, services: Services) -> None:
    other = await ProfilesHarness(services).begin()
    for user in ("u1", "u2"):
        await harness.person(user, mail="a1")
    assert await _list_all(other, 10) == []
    assert await services.profiles.refusals.count(other.dataset_ref) == {}


async def test_protection_settings_can_change_separately(harness: ProfilesHarness) -> None:
    refusals = harness.services.profiles.refusals
    await refusals.protect(harness.dataset_ref, blocked_values=("B", "a", "A"), profiles_per_merge_max=3)
    changed = await refusals.protect(harness.dataset_ref, blocked_patterns=("*@x.example",))
    assert changed == await refusals.protection(harness.dataset_ref)
    assert changed.blocked_values == ("a", "b")
    assert changed.blocked_patterns == ("*@x.example",)
    assert changed.profiles_per_merge_max == 3
    assert (await refusals.protect(harness.dataset_ref, blocked_values=())).blocked_values == ()


async def test_a_blocked_value_merges_nothing_and_is_counted(harness: ProfilesHarness) -> None:
    await harness.services.profiles.refusals.protect(
        harness.dataset_ref, blocked_values=("Shop@Acme.example",), blocked_patterns=("*@TEST.example",)
    )
    for mail in ("shop@acme.example ", "SHOP@ACME.EXAMPLE", "a@test.example", "A@test.example"):
        await harness.person(mail=mail)
    assert await harness.groups() == {}
    assert await harness.services.profiles.refusals.count(harness.dataset_ref) == {"blocked_value": 4}
    await harness.verified()


async def test_a_value_that_is_no_longer_blocked_matches_again(harness: ProfilesHarness) -> None:
    await harness.services.profiles.refusals.protect(harness.dataset_ref, blocked_values=("a1",))
    await harness.person(mail="a1")
    await harness.services.profiles.refusals.protect(harness.dataset_ref, blocked_values=())
    pair = [await harness.person(mail="a1") for _ in range(2)]
    assert len(set(await harness.survivors(*pair))) == 1
    await harness.verified()


async def test_a_merge_joins_no_more_than_the_limit(harness: ProfilesHarness) -> None:
    await harness.rule("tags", 5)
    for number in range(5):
        await harness.person(tags=[f"t{number}"])
    await harness.services.profiles.refusals.protect(harness.dataset_ref, profiles_per_merge_max=2)
    joining = await harness.person(tags=[f"t{number}" for number in range(5)])
    ((survivor, absorbed),) = (await harness.groups()).items()
    assert joining in {survivor, *absorbed}
    assert len(absorbed) == 2
    assert (await harness.services.profiles.refusals.count(harness.dataset_ref))["limit_exceeded"] == 3
    await harness.verified()


async def test_a_profile_holds_no_more_values_than_the_limit(harness: ProfilesHarness) -> None:
    await harness.services.profiles.refusals.protect(harness.dataset_ref, values_per_namespace_max=2)
    await harness.rule("tags", 5)
    await harness.person(tags=["t1", "t2", "t3"])
    found = [await harness.person(tags=[f"t{number}"]) for number in (1, 2, 3)]
    assert (
        sum(survivor != own for survivor, own in zip(await harness.survivors(*found), found, strict=True))
        == 2
    )
    assert (await harness.services.profiles.refusals.count(harness.dataset_ref))["limit_exceeded"] >= 1
    await harness.verified()


# -- the view `proven` --------------------------------------------------------------------------------------

PERSON = Actor("test", "shop", trust="browser")


async def _assert_mail(harness: ProfilesHarness, profile_id: UUID, mail: str) -> None:
    """The signed-in person says an address of themselves."""
    values = {"traits": {"mail": mail}}
    await harness.services.profiles.profiles.patch(harness.dataset_ref, PERSON, profile_id, values)


async def test_profiles_that_servers_say_one_value_of_are_refused_as_proven(harness: ProfilesHarness) -> None:
    one, two = [await harness.person(user, mail="a1") for user in ("u1", "u2")]
    (refused,) = await _list_all(harness, 10, view="proven")
    heads = [await _head(harness, profile_id) for profile_id in (two, one)]
    assert (refused.code, [refused.profile_id, refused.other_id]) == ("different_user", heads)
    assert (refused.times, refused.namespace) == (1, "")
    assert refused.first_seq == refused.last_seq
    assert await _list_all(harness, 10, "limit_exceeded", view="proven") == []


async def test_what_was_only_asserted_neither_adds_nor_hides_a_proven_refusal(
    harness: ProfilesHarness,
) -> None:
    ann, ben, eve = [await harness.person(user, plan="x") for user in ("u1", "u2", "u3")]
    await harness.write(ann, mail="a1")
    await _assert_mail(harness, ben, "a1")
    await _assert_mail(harness, eve, "a1")
    assert await _list_all(harness, 10)
    assert await _list_all(harness, 10, view="proven") == []
    await harness.write(ben, mail="a1")
    shown = await _list_all(harness, 10, view="proven")
    assert [refused.code for refused in shown] == ["different_user"]
    await _assert_mail(harness, eve, "a2")
    await _assert_mail(harness, eve, "a1")
    assert await _list_all(harness, 10, view="proven") == shown


@pytest.mark.parametrize("size", [1, 2, 3, 50])
@pytest.mark.parametrize("profiles_per_page", [2, 3, 100])
async def test_pages_of_the_view_proven_contain_every_refusal(
    harness: ProfilesHarness, size: int, profiles_per_page: int
) -> None:
    for number in range(4):
        for user in ("a", "b", "c"):
            await harness.person(f"{user}{number}", mail=f"m{number}")
            await harness.person(mail=f"alone {user}{number}")
    harness.examine(profiles_per_page)
    found = await _list_all(harness, size, view="proven")
    pairs = {frozenset((refused.profile_id, refused.other_id)) for refused in found}
    assert len(found) == len(pairs) == 12


async def _head(harness: ProfilesHarness, profile_id: UUID) -> UUID:
    """The profile that an id means in the view `proven`."""
    found = await harness.services.profiles.lookup.find(harness.dataset_ref, str(profile_id), "proven")
    assert found is not None
    return found.survivor.profile_id
