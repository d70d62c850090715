"""PATCH /profiles/{profileId} (docs/wire/cds.md §5.4)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, draft, fresh

WRITE_ONCE = "write-once field cannot be changed after being set"


def test_a_patch_returns_the_whole_profile(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait()
    created = cds.create({"traits": {one: "x"}})
    written = cds.write(created["profile_id"], {"traits": {two: "y"}})
    assert written["profile_id"] == created["profile_id"]
    assert written["traits"] == {one: "x", two: "y"}
    assert written == cds.read(created["profile_id"])


def test_a_patch_changes_updated_at_only(cds: Cds) -> None:
    key, created = cds.trait(), cds.create()
    meta = cds.write(created["profile_id"], {"traits": {key: "x"}})["meta"]
    assert meta["created_at"] == created["meta"]["created_at"]
    assert meta["updated_at"] > created["meta"]["updated_at"]


def test_complex_values_are_merged_deeply(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    created = cds.create({"traits": {key: {"city": "London", "floor": 3}}})
    written = cds.write(created["profile_id"], {"traits": {key: {"floor": 4}}})
    assert written["traits"] == {key: {"city": "London", "floor": 4}}


def test_arrays_are_replaced_whatever_the_merge_strategy(cds: Cds) -> None:
    key = cds.trait(multi_valued=True, merge_strategy="combine")
    created = cds.create({"traits": {key: ["chess", "go"]}})
    assert cds.write(created["profile_id"], {"traits": {key: ["tennis"]}})["traits"] == {key: ["tennis"]}
    assert cds.write(created["profile_id"], {"traits": {key: []}}).get("traits", {key: []}) == {key: []}


def test_null_unsets_an_attribute(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait()
    created = cds.create({"traits": {one: "x", two: "y"}})
    assert cds.write(created["profile_id"], {"traits": {one: None}})["traits"] == {two: "y"}
    assert "traits" not in cds.write(created["profile_id"], {"traits": {two: None}})
    assert "traits" not in cds.read(created["profile_id"])


def test_null_unsets_a_child_of_a_complex_value(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    created = cds.create({"traits": {key: {"city": "London", "floor": 3}}})
    written = cds.write(created["profile_id"], {"traits": {key: {"floor": None}}})
    assert written["traits"] == {key: {"city": "London"}}


def test_null_unsets_an_identity_attribute(cds: Cds) -> None:
    created = cds.create({"identity_attributes": {"givenname": "Ann", "lastname": "Archer"}})
    written = cds.write(created["profile_id"], {"identity_attributes": {"givenname": None}})
    assert written["identity_attributes"] == {"lastname": "Archer"}


def test_null_unsets_application_data(cds: Cds) -> None:
    one, two = cds.application_attribute(), cds.application_attribute()
    created = cds.create({"application_data": {cds.client_id: {one: "x", two: "y"}}})
    written = cds.write(created["profile_id"], {"application_data": {cds.client_id: {one: None}}})
    assert written["application_data"] == {cds.client_id: {two: "y"}}
    assert "application_data" not in cds.write(
        created["profile_id"], {"application_data": {cds.client_id: {two: None}}}
    )


def test_unsetting_a_missing_attribute_changes_nothing(cds: Cds) -> None:
    key, created = cds.trait(), cds.create()
    written = cds.write(created["profile_id"], {"traits": {key: None}})
    assert "traits" not in written


def test_an_unset_attribute_can_be_set_again(cds: Cds) -> None:
    key = cds.trait()
    created = cds.create({"traits": {key: "x"}})
    cds.write(created["profile_id"], {"traits": {key: None}})
    assert cds.write(created["profile_id"], {"traits": {key: "z"}})["traits"] == {key: "z"}


def test_first_level_keys_of_application_data_are_replaced_and_others_stay(cds: Cds, regular: Cds) -> None:
    one, two, regular_key = cds.application_attribute(), cds.application_attribute(), fresh("theirs")
    cds.define(
        "application_data", draft(f"application_data.{regular_key}", application_identifier=regular.client_id)
    )
    created = cds.create(
        {"application_data": {cds.client_id: {one: "x", two: "y"}, regular.client_id: {regular_key: "z"}}}
    )
    written = cds.write(created["profile_id"], {"application_data": {cds.client_id: {one: "changed"}}})
    assert written["application_data"] == {
        cds.client_id: {one: "changed", two: "y"},
        regular.client_id: {regular_key: "z"},
    }


def test_a_complex_value_of_application_data_is_replaced_whole(cds: Cds) -> None:
    key = fresh("cart")
    parts = cds.define(
        "application_data",
        draft(f"application_data.{key}.item", application_identifier=cds.client_id),
        draft(f"application_data.{key}.count", "integer", application_identifier=cds.client_id),
    )
    entries = [{name: a[name] for name in ("attribute_id", "attribute_name")} for a in parts]
    parent = draft(
        f"application_data.{key}", "complex", sub_attributes=entries, application_identifier=cds.client_id
    )
    cds.define("application_data", parent)
    created = cds.create({"application_data": {cds.client_id: {key: {"item": "book", "count": 2}}}})
    written = cds.write(created["profile_id"], {"application_data": {cds.client_id: {key: {"count": 3}}}})
    assert written["application_data"] == {cds.client_id: {key: {"count": 3}}}


@pytest.mark.parametrize("section", ["traits", "identity_attributes", "application_data"])
@pytest.mark.parametrize("value", [None, 7, "x", ["a"], True])
def test_a_section_that_is_not_an_object_is_ignored(cds: Cds, section: str, value: Any) -> None:
    key = cds.trait()
    created = cds.create({"traits": {key: "x"}})
    assert cds.write(created["profile_id"], {section: value})["traits"] == {key: "x"}


@pytest.mark.parametrize("value", [None, 7, "x", ["a"]])
def test_an_application_that_is_not_an_object_is_ignored(cds: Cds, value: Any) -> None:
    key = cds.application_attribute()
    created = cds.create({"application_data": {cds.client_id: {key: "x"}}})
    written = cds.write(created["profile_id"], {"application_data": {cds.client_id: value}})
    assert written["application_data"] == {cds.client_id: {key: "x"}}


def test_unknown_fields_of_a_patch_are_ignored(cds: Cds) -> None:
    created = cds.create()
    body = {
        "profile_id": UNKNOWN_ID,
        "meta": {"created_at": "x"},
        "merged_to": {},
        "colour": "red",
        "consents": [1],
    }
    written = cds.write(created["profile_id"], body)
    assert written["profile_id"] == created["profile_id"]
    assert written["meta"]["created_at"] == created["meta"]["created_at"]


def test_a_read_document_can_be_sent_back(cds: Cds) -> None:
    key = cds.address(city="string")
    created = cds.create({"traits": {key: {"city": "London"}}, "user_id": fresh("user")})
    read = cds.read(created["profile_id"])
    written = cds.write(created["profile_id"], read)
    assert {k: v for k, v in written.items() if k != "meta"} == {k: v for k, v in read.items() if k != "meta"}


def test_one_invalid_value_rejects_the_whole_patch(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait("integer")
    created = cds.create({"traits": {one: "x"}})
    answer = cds.patch(f"/profiles/{created['profile_id']}", {"traits": {one: "changed", two: "no number"}})
    assert_error(answer, 400, "CDS-11011", f"trait '{two}': type mismatch")
    read = cds.read(created["profile_id"])
    assert read["traits"] == {one: "x"}
    assert read["meta"] == created["meta"]


@pytest.mark.parametrize("profile_id", [UNKNOWN_ID, "not-an-id"])
def test_an_unknown_profile_is_named_in_the_error(cds: Cds, profile_id: str) -> None:
    answer = cds.patch(f"/profiles/{profile_id}", {})
    assert_error(answer, 404, "CDS-11001", f"Profile {profile_id} not found")


def test_the_answer_to_a_patch_is_filtered_by_consent_and_application(cds: Cds, regular: Cds) -> None:
    key, system_key = cds.trait(), cds.application_attribute()
    body = {"traits": {key: "x"}, "application_data": {cds.client_id: {system_key: "y"}}}
    created = cds.create(body)
    category = cds.category(f"traits.{key}", f"application_data.{system_key}@{cds.client_id}")
    cds.consent(created["profile_id"], **{category: True})
    path = f"/profiles/{created['profile_id']}"
    assert not body.keys() & regular.patch(path, {}).json().keys()
    written = regular.patch(path, {}, params={"consentCategoryId": category}).json()
    assert {key: written[key] for key in body.keys() & written.keys()} == {"traits": {key: "x"}}
    written = cds.patch(path, {}).json()
    assert {key: written[key] for key in body} == body


# -- absorbed ids -----------------------------------------------------------------------------------


def test_a_patch_of_an_absorbed_id_writes_the_survivor(cds: Cds) -> None:
    key, user = cds.trait(), fresh("user")
    survivor = cds.create({"user_id": user})["profile_id"]
    absorbed = cds.create({"user_id": user})["profile_id"]
    written = cds.write(absorbed, {"traits": {key: "x"}})
    assert written["profile_id"] == absorbed
    assert written["merged_to"] == {"profile_id": survivor, "reason": "system:user_id_match"}
    assert written["traits"] == {key: "x"}
    assert cds.read(survivor)["traits"] == {key: "x"}


# -- user_id ----------------------------------------------------------------------------------------


def test_a_user_id_makes_a_temporary_profile_permanent(cds: Cds) -> None:
    user, created = fresh("user"), cds.create()
    written = cds.write(created["profile_id"], {"user_id": user})
    assert written["profile_id"] == created["profile_id"]
    assert written["user_id"] == user
    assert "merged_to" not in written


def test_a_user_id_that_has_a_profile_merges_the_two_at_once(cds: Cds) -> None:
    key, user = cds.trait(multi_valued=True, merge_strategy="combine"), fresh("user")
    permanent = cds.create({"user_id": user, "traits": {key: ["a"]}})["profile_id"]
    visitor = cds.create({"traits": {key: ["b"]}})["profile_id"]
    written = cds.write(visitor, {"user_id": user})
    assert written["profile_id"] == visitor
    assert written["user_id"] == user
    assert written["merged_to"] == {"profile_id": permanent, "reason": "system:user_id_match"}
    assert written["traits"] == {key: ["a", "b"]}


def test_the_same_user_id_again_is_not_a_change(cds: Cds) -> None:
    user = fresh("user")
    created = cds.create({"user_id": user})
    assert cds.write(created["profile_id"], {"user_id": user})["user_id"] == user


@pytest.mark.parametrize("value", ["another-user", "", None])
def test_a_user_id_is_never_changed_or_cleared(cds: Cds, value: str | None) -> None:
    user = fresh("user")
    created = cds.create({"user_id": user})
    answer = cds.patch(f"/profiles/{created['profile_id']}", {"user_id": value})
    assert WRITE_ONCE in assert_error(answer, 400, "CDS-11011")
    assert cds.read(created["profile_id"])["user_id"] == user


def test_a_user_id_is_never_changed_through_an_absorbed_id(cds: Cds) -> None:
    user = fresh("user")
    cds.create({"user_id": user})
    absorbed = cds.create({"user_id": user})["profile_id"]
    assert WRITE_ONCE in assert_error(
        cds.patch(f"/profiles/{absorbed}", {"user_id": fresh("user")}), 400, "CDS-11011"
    )


def test_profiles_of_two_users_never_merge(cds: Cds) -> None:
    first, second = fresh("user"), fresh("user")
    one, two = cds.create({"user_id": first}), cds.create({"user_id": second})
    assert cds.patch(f"/profiles/{one['profile_id']}", {"user_id": second}).status_code == 400
    assert "merged_from" not in cds.read(two["profile_id"])
    assert "merged_to" not in cds.read(one["profile_id"])


@pytest.mark.parametrize("value", [7, ["u"], {"a": 1}, True])
def test_a_user_id_that_is_not_a_string_is_rejected(cds: Cds, value: Any) -> None:
    created = cds.create()
    assert_error(cds.patch(f"/profiles/{created['profile_id']}", {"user_id": value}), 400, "CDS-11011")
    assert "user_id" not in cds.read(created["profile_id"])


@pytest.mark.parametrize("value", ["", None])
def test_a_missing_user_id_on_a_temporary_profile_is_not_a_change(cds: Cds, value: str | None) -> None:
    created = cds.create()
    assert "user_id" not in cds.write(created["profile_id"], {"user_id": value})
