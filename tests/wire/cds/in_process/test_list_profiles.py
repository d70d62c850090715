"""The list of profiles (docs/wire/cds.md §5.2): pages in both directions, filters by value type."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.disclosure import Reader, ReaderAccess
from oneself.core.values.attribute import Attribute
from oneself.core.values.schema import Schema
from oneself.service.profiles.listing import Condition
from support.caller import Cds

pytestmark = pytest.mark.postgres

CITY = {"attribute_name": "traits.address.city"}


async def ids(cds: Cds, *filters: str) -> set[str]:
    page = await cds.listed(page_size=200, filter=list(filters))
    return {item["profile_id"] for item in page["profiles"]}


async def all_pages(cds: Cds, size: int, key: str, cursor: str = "") -> tuple[list[list[str]], list[str]]:
    """All pages in one direction: the ids of each page, and the cursors of the pages."""
    pages, cursors = [], [cursor]
    while True:
        page = await cds.listed(page_size=size, **({"cursor": cursors[-1]} if cursors[-1] else {}))
        assert page["pagination"]["count"] == len(page["profiles"])
        pages.append([item["profile_id"] for item in page["profiles"]])
        next_cursor = page["pagination"].get(key)
        if next_cursor is None:
            return pages, cursors
        cursors.append(next_cursor)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8])
async def test_pages_in_both_directions_contain_every_profile_once(cds: Cds, size: int) -> None:
    created = [(await cds.create())["profile_id"] for _ in range(7)]
    # Profiles that were created at the same instant are ordered by their ids.
    await cds.services.database.execute(
        "UPDATE fragment SET created_at = (SELECT max(created_at) FROM fragment)"
        " WHERE fragment_id = ANY ($1)",
        created[2:5],
    )
    forward, cursors = await all_pages(cds, size, "next_cursor")
    order = [profile_id for page in forward for profile_id in page]
    assert sorted(order) == sorted(created)
    assert order[:4] == sorted([*created[2:5], created[6]], reverse=True)
    if len(forward) > 1:
        last = await cds.listed(page_size=size, cursor=cursors[-1])
        backward, _ = await all_pages(cds, size, "previous_cursor", last["pagination"]["previous_cursor"])
        assert list(reversed(backward)) == forward[:-1]


async def test_the_previous_page_is_the_page_before(cds: Cds) -> None:
    for _ in range(5):
        await cds.create()
    first = await cds.listed(page_size=2)
    assert "previous_cursor" not in first["pagination"]
    second = await cds.listed(page_size=2, cursor=first["pagination"]["next_cursor"])
    returned = await cds.listed(page_size=2, cursor=second["pagination"]["previous_cursor"])
    assert returned["profiles"] == first["profiles"]
    assert "next_cursor" in returned["pagination"]
    assert "previous_cursor" not in returned["pagination"]
    assert await cds.listed(page_size=2, cursor=returned["pagination"]["next_cursor"]) == second


async def test_an_empty_page_has_a_previous_cursor(cds: Cds) -> None:
    created = [(await cds.create())["profile_id"] for _ in range(2)]
    first = await cds.listed(page_size=1)
    await cds("DELETE", f"/profiles/{created[0]}")
    empty = await cds.listed(page_size=1, cursor=first["pagination"]["next_cursor"])
    assert empty["profiles"] == []
    assert "next_cursor" not in empty["pagination"]
    previous = await cds.listed(page_size=1, cursor=empty["pagination"]["previous_cursor"])
    assert [item["profile_id"] for item in previous["profiles"]] == [created[1]]


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
FIRST_VALUES = {
    "plan": "50% off_Žluť", "n": 12, "d": 1.50, "b": True, "e": 1780630684834, "day": "2026-06-05",
    "tags": ["Chess", "go"], "numbers": [1, 20], "secret": "x", "dotted.name": "deep",
}  # fmt: skip
SECOND_VALUES = {
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
async def test_a_filter_compares_by_the_value_type(cds: Cds, text: str) -> None:
    await cds.define("traits", *ATTRIBUTES)
    one = (await cds.create(traits=FIRST_VALUES))["profile_id"]
    await cds.create(traits=SECOND_VALUES)
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
async def test_a_filter_does_not_match_other_values(cds: Cds, text: str) -> None:
    await cds.define("traits", *ATTRIBUTES)
    await cds.create(traits=FIRST_VALUES)
    assert await ids(cds, text) == set()


async def test_filters_are_combined_with_and(cds: Cds) -> None:
    await cds.define("traits", *ATTRIBUTES)
    one = (await cds.create(traits=FIRST_VALUES))["profile_id"]
    two = (await cds.create(traits={**FIRST_VALUES, "n": 13}))["profile_id"]
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
    own = (await cds.create(application_data={cds.client_id: {"score": 1}}))["profile_id"]
    regulars = (await cds.create(application_data={regular.client_id: {"score": 1}}))["profile_id"]
    assert await ids(cds, "application_data.score eq 1") == {own, regulars}
    assert await ids(cds, f"application_data.{regular.client_id}.score eq 1") == {regulars}
    assert await ids(cds, "application_data.unknown.score eq 1") == set()
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


async def test_a_value_that_is_no_longer_canonical_is_not_found(cds: Cds) -> None:
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
async def test_application_names_are_escaped_in_json_paths(cds: Cds, application: str) -> None:
    attribute = Attribute(
        "1", "application_data.score", "integer", "overwrite", application_identifier=application
    )
    created, system = await cds.create(), Reader("crm", is_system=True)
    await cds.services.database.execute(
        "UPDATE profile SET record_values = $1",
        {"application_data": {application: {"score": 1}, "other": {"score": 2}}},
    )
    found = [
        await cds.services.profiles.listing.page(
            cds.dataset_ref.dataset_id,
            Schema((attribute,)),
            [Condition("application_data.score", "eq", text)],
            ReaderAccess(await cds.services.configurations.current(cds.dataset_ref.dataset_id), system),
            size=5,
        )
        for text in ("1", "2")
    ]
    assert [[str(item.profile_id) for item in page.items] for page in found] == [[created["profile_id"]], []]
