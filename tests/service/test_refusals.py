"""Refusals and what sets the limits: counted, listed, and acting at once (DESIGN §4.6)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from oneself.core.resolution.footprint import Footprint
from oneself.service.profiles.refusals import FIRST, ListedRefusal
from oneself.services import Services
from oneself.store import working_set
from service.crowd import Crowd

pytestmark = pytest.mark.postgres


@pytest.fixture
async def crowd(services: Services) -> Crowd:
    crowd = await Crowd(services).begin()
    await crowd.rule("mail")
    return crowd


async def _all(crowd: Crowd, size: int, code: str | None = None) -> list[ListedRefusal]:
    """Every refusal, read page by page."""
    found: list[ListedRefusal] = []
    before = FIRST
    while page := await crowd.services.profiles.refusals.list_refusals(
        crowd.dataset_ref, size, before=before, code=code
    ):
        found += page
        before = page[-1].place
    return found


async def test_a_refusal_names_the_two_and_counts(crowd: Crowd) -> None:
    one, two = [await crowd.person(user, mail="a1") for user in ("u1", "u2")]
    await crowd.write(two, mail="a1", card="x1")
    await crowd.write(two, mail=None)
    await crowd.write(two, mail="a1")
    (refused,) = await _all(crowd, 10)
    assert (refused.code, {refused.profile_id, refused.other_id}) == ("different_user", {one, two})
    assert refused.times >= 2
    assert refused.first_seq < refused.last_seq
    assert await crowd.services.profiles.refusals.count(crowd.dataset_ref) == {
        "different_user": refused.times
    }


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_pages_leave_nothing_out(crowd: Crowd, size: int) -> None:
    for number in range(7):
        for user in ("a", "b"):
            await crowd.person(f"{user}{number}", mail=f"m{number}")
    found = await _all(crowd, size)
    assert len({each.place for each in found}) == len(found) == 7
    assert found == sorted(found, key=lambda each: msgspec.structs.astuple(each.place), reverse=True)


@pytest.mark.parametrize("size", [1, 2, 50])
async def test_pages_leave_out_nothing_of_one_moment(crowd: Crowd, size: int) -> None:
    """One write, two attributes, each refused: the same profile, the same moment."""
    await crowd.rule("card", 2)
    await crowd.rule("plan", 3)
    await crowd.person(mail="null", card="null", plan="null")
    found = await _all(crowd, size)
    assert len({(each.last_seq, each.profile_id, each.other_id) for each in found}) == 1
    assert sorted(each.namespace for each in found) == ["traits.card", "traits.mail", "traits.plan"]


async def test_the_log_has_the_order_in_which_people_were_kept(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for somebody that another write only looks at is recorded after that write, not before."""
    one, two = await crowd.person("u1", mail="a1"), await crowd.person("u2")
    monkeypatch.setattr("oneself.service.ingest.batcher.ITEMS_PER_SECOND_BATCH_MIN", 1)
    gather = working_set.gather
    met = False

    async def meanwhile(connection: Any, dataset_id: int, wanted: Footprint) -> Any:
        nonlocal met
        if one in wanted.profile_ids and not met:
            met = True
            await crowd.write(two, mail="a1")
        return await gather(connection, dataset_id, wanted)

    with monkeypatch.context() as patch:
        patch.setattr(working_set, "gather", meanwhile)
        await crowd.write(one, mail="b1")
    assert met
    assert [each.times for each in await _all(crowd, 10)] == [1]
    await crowd.verified()


async def test_a_code_selects(crowd: Crowd) -> None:
    await crowd.person(mail="null")
    for user in ("u1", "u2"):
        await crowd.person(user, mail="a1")
    codes = {each.code for each in await _all(crowd, 10)}
    assert codes == {"blocked_value", "different_user"}
    for code in codes:
        assert {each.code for each in await _all(crowd, 10, code)} == {code}


async def test_a_dataset_sees_its_own(crowd: Crowd, services: Services) -> None:
    other = await Crowd(services).begin()
    for user in ("u1", "u2"):
        await crowd.person(user, mail="a1")
    assert await _all(other, 10) == []
    assert await services.profiles.refusals.count(other.dataset_ref) == {}


async def test_protection_changes_field_by_field(crowd: Crowd) -> None:
    refusals = crowd.services.profiles.refusals
    await refusals.protect(crowd.dataset_ref, blocked_values=("B", "a", "A"), profiles_per_merge_max=3)
    changed = await refusals.protect(crowd.dataset_ref, blocked_patterns=("*@x.example",))
    assert changed == await refusals.protection(crowd.dataset_ref)
    assert changed.blocked_values == ("a", "b")
    assert changed.blocked_patterns == ("*@x.example",)
    assert changed.profiles_per_merge_max == 3
    assert (await refusals.protect(crowd.dataset_ref, blocked_values=())).blocked_values == ()


async def test_a_blocked_value_joins_nobody_and_is_counted(crowd: Crowd) -> None:
    await crowd.services.profiles.refusals.protect(
        crowd.dataset_ref, blocked_values=("Shop@Acme.example",), blocked_patterns=("*@TEST.example",)
    )
    for mail in ("shop@acme.example ", "SHOP@ACME.EXAMPLE", "a@test.example", "A@test.example"):
        await crowd.person(mail=mail)
    assert await crowd.groups() == {}
    assert await crowd.services.profiles.refusals.count(crowd.dataset_ref) == {"blocked_value": 4}
    await crowd.verified()


async def test_a_value_that_is_no_longer_blocked_matches_again(crowd: Crowd) -> None:
    await crowd.services.profiles.refusals.protect(crowd.dataset_ref, blocked_values=("a1",))
    await crowd.person(mail="a1")
    await crowd.services.profiles.refusals.protect(crowd.dataset_ref, blocked_values=())
    pair = [await crowd.person(mail="a1") for _ in range(2)]
    assert len(set(await crowd.survivors(*pair))) == 1
    await crowd.verified()


async def test_a_merge_joins_no_more_than_the_limit(crowd: Crowd) -> None:
    await crowd.rule("tags", 5)
    for number in range(5):
        await crowd.person(tags=[f"t{number}"])
    await crowd.services.profiles.refusals.protect(crowd.dataset_ref, profiles_per_merge_max=2)
    bridge = await crowd.person(tags=[f"t{number}" for number in range(5)])
    ((survivor, absorbed),) = (await crowd.groups()).items()
    assert bridge in {survivor, *absorbed}
    assert len(absorbed) == 2
    assert (await crowd.services.profiles.refusals.count(crowd.dataset_ref))["limit_exceeded"] == 3
    await crowd.verified()


async def test_a_profile_holds_no_more_values_than_the_limit(crowd: Crowd) -> None:
    await crowd.services.profiles.refusals.protect(crowd.dataset_ref, values_per_namespace_max=2)
    await crowd.rule("tags", 5)
    await crowd.person(tags=["t1", "t2", "t3"])
    found = [await crowd.person(tags=[f"t{number}"]) for number in (1, 2, 3)]
    assert (
        sum(survivor != own for survivor, own in zip(await crowd.survivors(*found), found, strict=True)) == 2
    )
    assert (await crowd.services.profiles.refusals.count(crowd.dataset_ref))["limit_exceeded"] >= 1
    await crowd.verified()
