"""GET /profiles — pages, cursors, attribute selection, filters (docs/wire/cds.md §5.2)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import Cds, assert_error, draft, fresh

PROFILES = 7


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    """An organisation with seven profiles and an absorbed one, which is not listed."""
    org = new_org()
    org.define(
        "traits",
        draft("traits.plan"),
        draft("traits.note"),
        draft("traits.interests", multi_valued=True),
        draft("traits.lucky", "integer", multi_valued=True),
        draft("traits.age", "integer"),
        draft("traits.ratio", "decimal"),
        draft("traits.member", "boolean"),
        draft("traits.born", "date"),
        draft("traits.seen", "date_time"),
        draft("traits.tick", "epoch"),
        draft("traits.secret", mutability="writeOnly"),
        draft("traits.rank", "integer"),
    )
    defined = org.define("traits", draft("traits.address.city"), draft("traits.address.floor", "integer"))
    entries = [{key: a[key] for key in ("attribute_id", "attribute_name")} for a in defined]
    org.define("traits", draft("traits.address", "complex", sub_attributes=entries))
    org.define(
        "application_data", draft("application_data.score", "integer", application_identifier=org.client_id)
    )
    for rank in range(PROFILES - 3):
        org.create({"traits": {"rank": rank, "plan": "trial"}})
    org.create(ALL_TYPES)
    org.create({"traits": {"plan": "100% sure", "note": "a_b"}})
    org.create({"user_id": "u-1001", "traits": {"plan": "gold", "note": "Axb", "secret": "swordfish"}})
    org.absorbed = org.create({"user_id": "u-1001"})["profile_id"]  # type: ignore[attr-defined]
    return org


ALL_TYPES: dict[str, Any] = {
    "traits": {
        "plan": "Platinum Plus",
        "interests": ["chess", "go"],
        "lucky": [7, 13],
        "age": 42,
        "ratio": 2.5,
        "member": True,
        "born": "1990-02-03",
        "seen": "2026-06-05T03:38:04Z",
        "tick": 1780630684000,
        "address": {"city": "London", "floor": 3},
        "rank": 90,
    }
}


@pytest.fixture(scope="module")
def with_all_types(org: Cds) -> str:
    """The id of the profile with a value of every type, and application data."""
    (found,) = _listed(org, filter="traits.rank eq 90")
    org.write(found["profile_id"], {"application_data": {org.client_id: {"score": 77}}})
    return str(found["profile_id"])


def _page(org: Cds, **params: Any) -> dict[str, Any]:
    answer = org.get("/profiles", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _listed(org: Cds, **params: Any) -> list[dict[str, Any]]:
    return list(_page(org, page_size=200, **params)["profiles"])


def _ids(org: Cds, **params: Any) -> set[str]:
    return {item["profile_id"] for item in _listed(org, **params)}


# -- pages ------------------------------------------------------------------------------------------


def test_the_default_page_size_is_5(org: Cds) -> None:
    page = _page(org)
    assert len(page["profiles"]) == 5
    assert page["pagination"]["count"] == 5
    assert page["pagination"]["page_size"] == 5


def test_the_answer_has_profiles_and_pagination(org: Cds) -> None:
    page = _page(org, page_size=200)
    assert set(page) == {"pagination", "profiles"}
    assert page["pagination"] == {"count": PROFILES, "page_size": 200}


def test_the_newest_profile_comes_first(org: Cds) -> None:
    keys = [(p["meta"]["created_at"], p["profile_id"]) for p in _listed(org)]
    assert keys == sorted(keys, reverse=True)
    assert len(keys) == PROFILES


def test_without_attributes_an_item_has_none(org: Cds, with_all_types: str) -> None:
    for item in _listed(org):
        assert set(item) <= {"profile_id", "user_id", "meta", "merged_from"}
        assert set(item["meta"]) == {"created_at", "updated_at", "location"}


def test_an_item_has_its_user_and_its_absorbed_profiles(org: Cds) -> None:
    (item,) = [p for p in _listed(org) if p.get("user_id")]
    assert item["user_id"] == "u-1001"
    assert item["merged_from"] == [{"profile_id": org.absorbed, "reason": "system:user_id_match"}]  # type: ignore[attr-defined]


def test_absorbed_profiles_are_never_listed(org: Cds) -> None:
    absorbed = org.absorbed  # type: ignore[attr-defined]
    assert absorbed not in _ids(org)
    assert _ids(org, filter=f"profile_id eq {absorbed}") == set()


@pytest.mark.parametrize(("requested", "actual"), [("200", 200), ("201", 200), ("1000000", 200), ("1", 1)])
def test_the_page_size_is_at_most_two_hundred(org: Cds, requested: str, actual: int) -> None:
    page = _page(org, page_size=requested)
    assert page["pagination"]["page_size"] == actual
    assert len(page["profiles"]) == min(actual, PROFILES)


def test_a_page_size_of_zero_is_an_empty_page(org: Cds) -> None:
    page = _page(org, page_size=0)
    assert page["profiles"] == []
    assert page["pagination"]["count"] == 0
    assert page["pagination"]["page_size"] == 0


@pytest.mark.parametrize("requested", ["-1", "five", "1.5", "1e1", "0x5", "9" * 400, " ", "٣"])
def test_an_invalid_page_size_is_rejected(org: Cds, requested: str) -> None:
    assert_error(org.get("/profiles", params={"page_size": requested}), 400, "CDS-11003", "invalid page size")


def test_forward_pages_list_every_profile_once(org: Cds) -> None:
    all_ids = [p["profile_id"] for p in _listed(org)]
    found, sizes, page = [], [], _page(org, page_size=3)
    assert "previous_cursor" not in page["pagination"]
    while True:
        found += [p["profile_id"] for p in page["profiles"]]
        sizes.append(page["pagination"]["count"])
        if "next_cursor" not in page["pagination"]:
            break
        page = _page(org, page_size=3, cursor=page["pagination"]["next_cursor"])
        assert page["pagination"]["previous_cursor"]
    assert found == all_ids
    assert sizes == [3, 3, 1]


def test_pages_backward_are_the_same_pages(org: Cds) -> None:
    first = _page(org, page_size=3)
    second = _page(org, page_size=3, cursor=first["pagination"]["next_cursor"])
    third = _page(org, page_size=3, cursor=second["pagination"]["next_cursor"])
    back_to_second = _page(org, page_size=3, cursor=third["pagination"]["previous_cursor"])
    assert back_to_second["profiles"] == second["profiles"]
    assert back_to_second["pagination"]["next_cursor"]
    assert back_to_second["pagination"]["previous_cursor"]
    back_to_first = _page(org, page_size=3, cursor=back_to_second["pagination"]["previous_cursor"])
    assert back_to_first["profiles"] == first["profiles"]
    assert back_to_first["pagination"]["next_cursor"]
    assert "previous_cursor" not in back_to_first["pagination"]
    forward_to_second = _page(org, page_size=3, cursor=back_to_first["pagination"]["next_cursor"])
    assert forward_to_second["profiles"] == second["profiles"]


def test_a_full_last_page_has_no_next_cursor(org: Cds) -> None:
    page = _page(org, page_size=PROFILES)
    assert page["pagination"]["count"] == PROFILES
    assert "next_cursor" not in page["pagination"]


def test_a_filter_applies_to_every_page(org: Cds) -> None:
    first = _page(org, page_size=3, filter="traits.plan eq trial")
    assert first["pagination"]["count"] == 3
    second = _page(org, page_size=3, filter="traits.plan eq trial", cursor=first["pagination"]["next_cursor"])
    assert second["pagination"]["count"] == 1
    assert "next_cursor" not in second["pagination"]


def _cursor_parts(org: Cds) -> tuple[list[str], str]:
    """The parts of a valid cursor and their separator, to build invalid cursors from."""
    cursor = _page(org, page_size=1)["pagination"]["next_cursor"]
    text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    separator = re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}(.)", text)
    assert separator, text
    return text.split(separator[1]), separator[1]


def _cursor(parts: list[str], separator: str) -> str:
    return base64.urlsafe_b64encode(separator.join(parts).encode()).decode()


@pytest.mark.parametrize("cursor", ["!!!", "%%%%", "a", "é"])
def test_a_cursor_with_invalid_encoding_is_rejected(org: Cds, cursor: str) -> None:
    assert_error(org.get("/profiles", params={"cursor": cursor}), 400, "CDS-11003", "invalid cursor encoding")


def test_a_cursor_without_its_parts_is_rejected(org: Cds) -> None:
    cursor = base64.urlsafe_b64encode(b"nonsense").decode()
    assert_error(org.get("/profiles", params={"cursor": cursor}), 400, "CDS-11003", "invalid cursor format")


@pytest.mark.parametrize(("part", "name"), [(0, "timestamp"), (1, "profile_id"), (2, "direction")])
def test_the_invalid_part_of_a_cursor_is_named(org: Cds, part: int, name: str) -> None:
    parts, separator = _cursor_parts(org)
    parts[part] = "sideways"
    answer = org.get("/profiles", params={"cursor": _cursor(parts, separator)})
    assert_error(answer, 400, "CDS-11003", f"invalid cursor {name}")


# -- attributes -------------------------------------------------------------------------------------


def _selected(org: Cds, profile_id: str, attributes: str) -> dict[str, Any]:
    (item,) = _listed(org, filter=f"profile_id eq {profile_id}", attributes=attributes)
    return {key: item[key] for key in item if key not in ("profile_id", "meta", "user_id", "merged_from")}


def test_a_scope_selects_all_its_attributes(org: Cds, with_all_types: str) -> None:
    assert _selected(org, with_all_types, "traits") == ALL_TYPES


def test_a_key_selects_one_attribute(org: Cds, with_all_types: str) -> None:
    assert _selected(org, with_all_types, "traits.plan") == {"traits": {"plan": "Platinum Plus"}}
    assert _selected(org, with_all_types, "traits.plan,traits.age") == {
        "traits": {"plan": "Platinum Plus", "age": 42}
    }


def test_a_complex_key_selects_the_whole_object(org: Cds, with_all_types: str) -> None:
    assert _selected(org, with_all_types, "traits.address") == {
        "traits": {"address": {"city": "London", "floor": 3}}
    }


def test_the_text_after_the_first_dot_is_one_name(org: Cds, with_all_types: str) -> None:
    assert _selected(org, with_all_types, "traits.address.city") == {}


def test_application_data_is_looked_up_in_every_application(org: Cds, with_all_types: str) -> None:
    assert _selected(org, with_all_types, "application_data.score") == {
        "application_data": {org.client_id: {"score": 77}}
    }
    assert _selected(org, with_all_types, f"application_data.{org.client_id}.score") == {}
    assert _selected(org, with_all_types, "application_data") == {
        "application_data": {org.client_id: {"score": 77}}
    }


def test_several_scopes_are_selected_together(org: Cds, with_all_types: str) -> None:
    found = _selected(org, with_all_types, "traits.plan,application_data.score,identity_attributes")
    assert set(found) == {"traits", "application_data"}


@pytest.mark.parametrize(
    "attributes", ["nonsense", "nonsense.plan", "traits.nothing", "meta", ",", "traits."]
)
def test_unknown_fields_are_ignored(org: Cds, with_all_types: str, attributes: str) -> None:
    assert _selected(org, with_all_types, attributes) == {}


def test_a_write_only_value_is_never_selected(org: Cds) -> None:
    (item,) = _listed(org, filter="user_id eq u-1001", attributes="traits")
    assert item["traits"] == {"plan": "gold", "note": "Axb"}


# -- filters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "traits.plan eq Platinum Plus",
        "traits.age eq 42",
        "traits.ratio eq 2.5",
        "traits.member eq true",
        "traits.born eq 1990-02-03",
        "traits.seen eq 2026-06-05T03:38:04Z",
        "traits.tick eq 1780630684000",
        "traits.interests eq go",
        "traits.lucky eq 13",
        "traits.address.city eq London",
        "traits.address.floor eq 3",
        "application_data.score eq 77",
        "application_data.{client}.score eq 77",
        "traits.plan sw plat",
        "traits.plan co NUM PL",
        "traits.age co 4",
        "traits.age sw 4",
        "traits.address.city co OND",
        "traits.born sw 1990",
        "application_data.score sw 7",
        "profile_id eq {with_all_types}",
        "traits.plan sw Plat and traits.age eq 42",
    ],
)
def test_the_filter_finds_the_profile(org: Cds, with_all_types: str, condition: str) -> None:
    assert _ids(org, filter=condition.format(client=org.client_id, with_all_types=with_all_types)) == {
        with_all_types
    }


@pytest.mark.parametrize(
    "condition",
    [
        "traits.plan eq platinum plus",
        'traits.plan eq "Platinum Plus"',
        "traits.plan eq Platinum",
        "traits.age eq 4",
        "traits.age eq forty",
        "traits.member eq false",
        "traits.interests eq che",
        "traits.lucky eq 1",
        "traits.address.city eq london",
        "traits.plan sw Plus",
        "application_data.{org}.score eq 77",
        "application_data.unknown.score eq 77",
        "traits.plan sw Plat and traits.age eq 41",
        "traits.undefined eq x",
        "identity_attributes.undefined co x",
        "application_data.undefined sw x",
        "user_id eq unknown",
        "profile_id eq unknown",
    ],
)
def test_the_filter_finds_no_profile(org: Cds, with_all_types: str, condition: str) -> None:
    assert _ids(org, filter=condition.format(org=org.org)) == set()


@pytest.mark.parametrize("condition", ["traits.secret eq x", "traits.secret co x and traits.rank eq 1"])
def test_a_write_only_attribute_cannot_be_filtered_on(org: Cds, condition: str) -> None:
    answer = org.get("/profiles", params={"filter": condition})
    message = "Write-only attribute 'traits.secret' cannot be used in a filter."
    assert_error(answer, 400, "CDS-11010", message)


def test_a_user_is_found_by_id_and_by_parts_of_the_id(org: Cds) -> None:
    for condition in ("user_id eq u-1001", "user_id sw U-10", "user_id co 001"):
        (item,) = _listed(org, filter=condition)
        assert item["user_id"] == "u-1001"


def test_a_profile_is_found_by_parts_of_its_id(org: Cds, with_all_types: str) -> None:
    assert _ids(org, filter=f"profile_id sw {with_all_types[:13].upper()}") == {with_all_types}
    assert _ids(org, filter=f"profile_id co {with_all_types[9:]}") == {with_all_types}


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("traits.plan co %", 1),
        ("traits.plan co 0%", 1),
        ("traits.plan sw %", 0),
        ("traits.plan co 1%s", 0),
        ("traits.note co _", 1),
        ("traits.note co a_b", 1),
        ("traits.note sw a", 2),
        ("traits.note eq a_b", 1),
        ("traits.plan eq 100%", 0),
        ("traits.plan co \\", 0),
        ("traits.plan co '", 0),
    ],
)
def test_percent_and_underscore_are_literal(org: Cds, condition: str, matches: int) -> None:
    assert len(_ids(org, filter=condition)) == matches


def test_filters_are_combined_with_and(org: Cds, with_all_types: str) -> None:
    assert _ids(org, filter=["traits.plan sw plat", "traits.age eq 42"]) == {with_all_types}
    assert _ids(org, filter=["traits.plan sw plat", "traits.age eq 41"]) == set()
    assert _ids(org, filter=["traits.plan sw plat and traits.member eq true", "traits.lucky eq 7"]) == {
        with_all_types
    }


def test_identity_attributes_can_be_filtered(org: Cds) -> None:
    name = fresh("Given")
    profile_id = org.create({"identity_attributes": {"givenname": name}})["profile_id"]
    try:
        assert _ids(org, filter=f"identity_attributes.givenname eq {name}") == {profile_id}
        assert _ids(org, filter=f"identity_attributes.givenname sw {name.upper()}") == {profile_id}
    finally:
        org.delete(f"/profiles/{profile_id}")


@pytest.mark.parametrize(
    "text",
    ["traits.plan", "traits.plan eq", "", "eq", "nonsense", "traits.plan eq x and y"],
)
def test_a_filter_without_three_parts_is_rejected(org: Cds, text: str) -> None:
    answer = org.get("/profiles", params={"filter": text})
    assert_error(answer, 400, "CDS-11010", "Invalid filter format when filtering profiles.")


@pytest.mark.parametrize("operator", ["ne", "EQ", "=", "ew", "gt"])
def test_an_unsupported_operator_is_named(org: Cds, operator: str) -> None:
    answer = org.get("/profiles", params={"filter": f"traits.plan {operator} gold"})
    assert_error(answer, 400, "CDS-11010", f"Unsupported operator: {operator}")


@pytest.mark.parametrize(
    "key",
    [
        "plan",
        "meta.created_at",
        "merged_from",
        "traits",
        "traits.",
        "traits..plan",
        "traits.plan.",
        ".plan",
        "traits.pl'an",
        "traits.pl$an",
        "traits.plän",
        "nonsense.plan",
        "application_data",
        "application_data.",
        "user_id.x",
        "Traits.plan",
    ],
)
def test_an_invalid_filter_key_is_named(org: Cds, key: str) -> None:
    answer = org.get("/profiles", params={"filter": f"{key} eq gold"})
    assert_error(answer, 400, "CDS-11010", f"Invalid filter key: {key}")


def test_one_invalid_filter_rejects_the_request(org: Cds) -> None:
    answer = org.get("/profiles", params={"filter": ["traits.plan eq gold", "nonsense eq 1"]})
    assert_error(answer, 400, "CDS-11010", "Invalid filter key: nonsense")


def test_a_regular_application_can_filter_and_select(cds: Cds, regular: Cds) -> None:
    key = cds.trait()
    profile_id = cds.create({"traits": {key: "shared"}})["profile_id"]
    category = cds.category(f"traits.{key}")
    cds.consent(profile_id, **{category: True})
    ask = {"filter": f"traits.{key} eq shared", "attributes": "traits"}
    assert _listed(regular, **ask) == []
    (item,) = _listed(regular, **ask, consentCategoryId=category)
    assert item["profile_id"] == profile_id
    assert item["traits"] == {key: "shared"}
