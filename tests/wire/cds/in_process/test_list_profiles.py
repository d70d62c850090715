"""docs/wire/cds.md §5.2 on PostgreSQL: pages in both directions, filters by the attribute's own type."""

from __future__ import annotations

from typing import Any

import pytest

from support.caller import Cds

pytestmark = pytest.mark.postgres

CITY = {"attribute_name": "traits.address.city"}


async def ids(cds: Cds, *filters: str) -> set[str]:
    page = await cds.listed(page_size=200, filter=list(filters))
    return {item["profile_id"] for item in page["profiles"]}


async def walk(cds: Cds, size: int, key: str, cursor: str = "") -> tuple[list[list[str]], list[str]]:
    """Page after page in one direction: the ids of each, and the cursors that led there."""
    pages, cursors = [], [cursor]
    while True:
        page = await cds.listed(page_size=size, **({"cursor": cursors[-1]} if cursors[-1] else {}))
        assert page["pagination"]["count"] == len(page["profiles"])
        pages.append([item["profile_id"] for item in page["profiles"]])
        following = page["pagination"].get(key)
        if following is None:
            return pages, cursors
        cursors.append(following)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_lead_forth_and_back_through_every_profile_once(cds: Cds, size: int) -> None:
    made = [(await cds.create())["profile_id"] for _ in range(7)]
    # Profiles of one instant are told apart by their ids.
    await cds.services.database.execute(
        "UPDATE profile SET created_at = (SELECT max(created_at) FROM profile) WHERE profile_id = ANY ($1)",
        made[2:5],
    )
    forth, cursors = await walk(cds, size, "next_cursor")
    order = [profile_id for page in forth for profile_id in page]
    assert sorted(order) == sorted(made)
    assert order[:4] == sorted([*made[2:5], made[6]], reverse=True)
    if len(forth) > 1:
        last = await cds.listed(page_size=size, cursor=cursors[-1])
        back, _ = await walk(cds, size, "previous_cursor", last["pagination"]["previous_cursor"])
        assert list(reversed(back)) == forth[:-1]


async def test_a_page_turned_to_and_fro_is_the_same_page(cds: Cds) -> None:
    for _ in range(5):
        await cds.create()
    first = await cds.listed(page_size=2)
    assert "previous_cursor" not in first["pagination"]
    second = await cds.listed(page_size=2, cursor=first["pagination"]["next_cursor"])
    again = await cds.listed(page_size=2, cursor=second["pagination"]["previous_cursor"])
    assert again["profiles"] == first["profiles"]
    assert "next_cursor" in again["pagination"]
    assert "previous_cursor" not in again["pagination"]
    assert await cds.listed(page_size=2, cursor=again["pagination"]["next_cursor"]) == second


async def test_an_empty_page_reached_by_a_cursor_turns_round_at_its_edge(cds: Cds) -> None:
    made = [(await cds.create())["profile_id"] for _ in range(2)]
    first = await cds.listed(page_size=1)
    await cds("DELETE", f"/profiles/{made[0]}")
    empty = await cds.listed(page_size=1, cursor=first["pagination"]["next_cursor"])
    assert empty["profiles"] == []
    assert "next_cursor" not in empty["pagination"]
    back = await cds.listed(page_size=1, cursor=empty["pagination"]["previous_cursor"])
    assert [item["profile_id"] for item in back["profiles"]] == [made[1]]


ATTRIBUTES: list[dict[str, Any]] = [
    {"attribute_name": "traits.plan"},
    {"attribute_name": "traits.n", "value_type": "integer"},
    {"attribute_name": "traits.d", "value_type": "decimal"},
    {"attribute_name": "traits.b", "value_type": "boolean"},
    {"attribute_name": "traits.e", "value_type": "epoch"},
    {"attribute_name": "traits.day", "value_type": "date"},
    {"attribute_name": "traits.tags", "multi_valued": True, "merge_strategy": "combine"},
    {"attribute_name": "traits.numbers", "multi_valued": True, "value_type": "integer"},
    {"attribute_name": "traits.secret", "mutability": "writeOnly"},
    {"attribute_name": "traits.dotted.name"},
]
ONE = {
    "plan": "50% off_Žluť", "n": 12, "d": 1.50, "b": True, "e": 1780630684834, "day": "2026-06-05",
    "tags": ["Chess", "go"], "numbers": [1, 20], "secret": "x", "dotted.name": "deep",
}  # fmt: skip
OTHER = {
    "plan": "50x offx",
    "n": 13,
    "d": 2,
    "b": False,
    "e": 1,
    "day": "2026-06-06",
    "tags": ["poker"],
    "numbers": [2],
}


@pytest.mark.parametrize(
    "text",
    [
        "traits.plan eq 50% off_Žluť", "traits.plan co % OFF_", "traits.plan sw 50%", "traits.plan co ŽLUŤ",
        "traits.n eq 12", "traits.n sw 12", "traits.d eq 1.5", "traits.d eq 1.50", "traits.d eq 15e-1",
        "traits.b eq true", "traits.b sw TR", "traits.e eq 1780630684834", "traits.day eq 2026-06-05",
        "traits.day co 06-05", "traits.tags eq go", "traits.tags co HES", "traits.tags sw ch",
        "traits.numbers eq 20", "traits.numbers eq 1", "traits.dotted.name eq deep",
        "traits.dotted.name co EE",
    ],
)  # fmt: skip
async def test_a_filter_finds_by_the_attributes_own_type(cds: Cds, text: str) -> None:
    await cds.define("traits", *ATTRIBUTES)
    one = (await cds.create(traits=ONE))["profile_id"]
    await cds.create(traits=OTHER)
    assert await ids(cds, text) == {one}


@pytest.mark.parametrize(
    "text",
    [
        "traits.plan eq 50% off_žluť", "traits.plan eq 50", "traits.n eq 12.0", "traits.n eq twelve",
        "traits.b eq True", "traits.b eq 1", "traits.tags eq Chess,go", 'traits.tags eq ["Chess","go"]',
        "traits.plan sw %", "traits.plan co __",
        "traits.undefined eq x", "traits.n eq 1",
        "traits.day eq 2026-06-05T00:00:00Z", "traits.n eq 1e400", "traits.plan co traits",
        "traits.dotted eq deep",
        "identity_attributes.plan eq 50% off_Žluť", "application_data.plan eq 50% off_Žluť",
    ],
)  # fmt: skip
async def test_a_filter_finds_nothing_else(cds: Cds, text: str) -> None:
    await cds.define("traits", *ATTRIBUTES)
    await cds.create(traits=ONE)
    assert await ids(cds, text) == set()


async def test_all_filters_hold_at_once(cds: Cds) -> None:
    await cds.define("traits", *ATTRIBUTES)
    one = (await cds.create(traits=ONE))["profile_id"]
    two = (await cds.create(traits={**ONE, "n": 13}))["profile_id"]
    assert await ids(cds, "traits.b eq true") == {one, two}
    assert await ids(cds, "traits.b eq true and traits.n eq 12") == {one}
    assert await ids(cds, "traits.b eq true", "traits.n eq 13") == {two}
    assert await ids(cds, "traits.b eq true", "traits.n eq 14") == set()


async def test_values_below_a_complex_attribute_are_found(cds: Cds) -> None:
    (city,) = await cds.define("traits", CITY)
    parent = {"attribute_name": "traits.address", "value_type": "complex"}
    listed = [{"attribute_id": city["attribute_id"], "attribute_name": CITY["attribute_name"]}]
    await cds.define("traits", {**parent, "sub_attributes": listed})
    brno = (await cds.create(traits={"address": {"city": "Brno"}}))["profile_id"]
    assert await ids(cds, "traits.address.city eq Brno") == {brno}
    assert await ids(cds, "traits.address.city sw br") == {brno}
    assert await ids(cds, "traits.address eq Brno") == set()


async def test_application_data_is_found_in_one_application_or_in_any(cds: Cds, regular: Cds) -> None:
    for application in (cds.client_id, regular.client_id):
        draft = {"attribute_name": "application_data.score", "value_type": "integer"}
        await cds.define("application_data", {**draft, "application_identifier": application})
    mine = (await cds.create(application_data={cds.client_id: {"score": 1}}))["profile_id"]
    theirs = (await cds.create(application_data={regular.client_id: {"score": 1}}))["profile_id"]
    assert await ids(cds, "application_data.score eq 1") == {mine, theirs}
    assert await ids(cds, f"application_data.{regular.client_id}.score eq 1") == {theirs}
    assert await ids(cds, "application_data.nobody.score eq 1") == set()
    assert await ids(cds, "application_data.score eq 2") == set()


async def test_values_that_became_invalid_are_not_found(cds: Cds) -> None:
    (plan, tags) = await cds.define("traits", ATTRIBUTES[0], ATTRIBUTES[6])
    await cds.create(traits={"plan": "12", "tags": ["go"]})
    changes = {"attribute_name": "traits.plan", "value_type": "integer", "merge_strategy": "overwrite"}
    for attribute, changed in (
        (plan, changes),
        (tags, {**changes, "attribute_name": "traits.tags", "value_type": "string"}),
    ):
        body = {**changed, "mutability": "readWrite", "multi_valued": False}
        answer = await cds("PUT", f"/profile-schema/traits/{attribute['attribute_id']}", json=body)
        assert answer.status_code == 200, answer.text
    assert await ids(cds, "traits.plan eq 12") == set() == await ids(cds, "traits.plan sw 1")
    assert await ids(cds, "traits.tags eq go") == set() == await ids(cds, "traits.tags co g")


async def test_a_value_that_is_not_canonical_any_more_is_not_found(cds: Cds) -> None:
    (plan,) = await cds.define("traits", ATTRIBUTES[0])
    await cds.create(traits={"plan": "gold"})
    body = {
        "attribute_name": "traits.plan", "value_type": "string", "merge_strategy": "overwrite",
        "mutability": "readWrite", "canonical_values": [{"value": "silver"}],
    }  # fmt: skip
    await cds("PUT", f"/profile-schema/traits/{plan['attribute_id']}", json=body)
    assert await ids(cds, "traits.plan eq gold") == set() == await ids(cds, "traits.plan co o")


async def test_profiles_are_found_by_their_ids(cds: Cds) -> None:
    survivor = await cds.create(user_id="u-1001")
    absorbed = await cds.create(user_id="u-1001")
    await cds.create(user_id="U-1001")
    assert "merged_to" in absorbed
    one = survivor["profile_id"]
    assert await ids(cds, "user_id eq u-1001") == {one} == await ids(cds, f"profile_id eq {one}")
    assert len(await ids(cds, "user_id sw U-1")) == 2
    assert await ids(cds, f"profile_id co {one[5:20].upper()}") == {one}
    assert await ids(cds, f"profile_id eq {absorbed['profile_id']}") == set()
    assert await ids(cds, f"profile_id sw {absorbed['profile_id'][:8]}") == set()
    assert await ids(cds, "profile_id eq nonsense") == set()


@pytest.mark.parametrize("application", ["a.b", 'q"uote', "back\\slash", "' TABLE profile; --", "$", "*"])
async def test_names_of_applications_are_never_part_of_a_path(cds: Cds, application: str) -> None:
    from oneself.core.values.attribute import Attribute
    from oneself.core.values.schema import Schema
    from oneself.service.profiles.listing import Condition

    attribute = Attribute(
        "1", "application_data.score", "integer", "overwrite", application_identifier=application
    )
    mine = await cds.create()
    await cds.services.database.execute(
        "UPDATE profile SET record_values = $1",
        {"application_data": {application: {"score": 1}, "other": {"score": 2}}},
    )
    found = [
        await cds.services.profiles.listing.page(
            cds.dataset_ref.dataset_id,
            Schema((attribute,)),
            [Condition("application_data.score", "eq", text)],
            size=5,
        )
        for text in ("1", "2")
    ]
    assert [[str(item.profile_id) for item in page.items] for page in found] == [[mine["profile_id"]], []]
