"""PATCH /profiles/{profileId} (docs/wire/cds.md §5.4)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, draft, fresh, refused

WRITE_ONCE = "write-once field cannot be changed after being set"


def test_a_patch_answers_with_the_whole_profile(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait()
    made = cds.create({"traits": {one: "x"}})
    written = cds.write(made["profile_id"], {"traits": {two: "y"}})
    assert written["profile_id"] == made["profile_id"]
    assert written["traits"] == {one: "x", two: "y"}
    assert written == cds.read(made["profile_id"])


def test_a_patch_moves_the_time_of_the_last_update_only(cds: Cds) -> None:
    key, made = cds.trait(), cds.create()
    meta = cds.write(made["profile_id"], {"traits": {key: "x"}})["meta"]
    assert meta["created_at"] == made["meta"]["created_at"]
    assert meta["updated_at"] > made["meta"]["updated_at"]


def test_complex_values_are_merged_deeply(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    made = cds.create({"traits": {key: {"city": "London", "floor": 3}}})
    written = cds.write(made["profile_id"], {"traits": {key: {"floor": 4}}})
    assert written["traits"] == {key: {"city": "London", "floor": 4}}


def test_arrays_are_replaced_whatever_the_merge_strategy(cds: Cds) -> None:
    key = cds.trait(multi_valued=True, merge_strategy="combine")
    made = cds.create({"traits": {key: ["chess", "go"]}})
    assert cds.write(made["profile_id"], {"traits": {key: ["tennis"]}})["traits"] == {key: ["tennis"]}
    assert cds.write(made["profile_id"], {"traits": {key: []}}).get("traits", {key: []}) == {key: []}


def test_null_unsets_an_attribute(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait()
    made = cds.create({"traits": {one: "x", two: "y"}})
    assert cds.write(made["profile_id"], {"traits": {one: None}})["traits"] == {two: "y"}
    assert "traits" not in cds.write(made["profile_id"], {"traits": {two: None}})
    assert "traits" not in cds.read(made["profile_id"])


def test_null_unsets_a_part_of_a_complex_value(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    made = cds.create({"traits": {key: {"city": "London", "floor": 3}}})
    written = cds.write(made["profile_id"], {"traits": {key: {"floor": None}}})
    assert written["traits"] == {key: {"city": "London"}}


def test_null_unsets_an_identity_attribute(cds: Cds) -> None:
    made = cds.create({"identity_attributes": {"givenname": "Ann", "lastname": "Archer"}})
    written = cds.write(made["profile_id"], {"identity_attributes": {"givenname": None}})
    assert written["identity_attributes"] == {"lastname": "Archer"}


def test_null_unsets_application_data_at_that_place(cds: Cds) -> None:
    one, two = cds.application_attribute(), cds.application_attribute()
    made = cds.create({"application_data": {cds.client_id: {one: "x", two: "y"}}})
    written = cds.write(made["profile_id"], {"application_data": {cds.client_id: {one: None}}})
    assert written["application_data"] == {cds.client_id: {two: "y"}}
    assert "application_data" not in cds.write(
        made["profile_id"], {"application_data": {cds.client_id: {two: None}}}
    )


def test_unsetting_what_is_not_set_changes_nothing(cds: Cds) -> None:
    key, made = cds.trait(), cds.create()
    written = cds.write(made["profile_id"], {"traits": {key: None}})
    assert "traits" not in written


def test_an_unset_attribute_can_be_set_again(cds: Cds) -> None:
    key = cds.trait()
    made = cds.create({"traits": {key: "x"}})
    cds.write(made["profile_id"], {"traits": {key: None}})
    assert cds.write(made["profile_id"], {"traits": {key: "z"}})["traits"] == {key: "z"}


def test_first_level_keys_of_application_data_are_replaced_and_others_stay(cds: Cds, regular: Cds) -> None:
    one, two, theirs = cds.application_attribute(), cds.application_attribute(), fresh("theirs")
    cds.define(
        "application_data", draft(f"application_data.{theirs}", application_identifier=regular.client_id)
    )
    made = cds.create(
        {"application_data": {cds.client_id: {one: "x", two: "y"}, regular.client_id: {theirs: "z"}}}
    )
    written = cds.write(made["profile_id"], {"application_data": {cds.client_id: {one: "changed"}}})
    assert written["application_data"] == {
        cds.client_id: {one: "changed", two: "y"},
        regular.client_id: {theirs: "z"},
    }


def test_a_complex_value_of_application_data_is_replaced_whole(cds: Cds) -> None:
    key = fresh("cart")
    parts = cds.define(
        "application_data",
        draft(f"application_data.{key}.item", application_identifier=cds.client_id),
        draft(f"application_data.{key}.count", "integer", application_identifier=cds.client_id),
    )
    listed = [{name: a[name] for name in ("attribute_id", "attribute_name")} for a in parts]
    whole = draft(
        f"application_data.{key}", "complex", sub_attributes=listed, application_identifier=cds.client_id
    )
    cds.define("application_data", whole)
    made = cds.create({"application_data": {cds.client_id: {key: {"item": "book", "count": 2}}}})
    written = cds.write(made["profile_id"], {"application_data": {cds.client_id: {key: {"count": 3}}}})
    assert written["application_data"] == {cds.client_id: {key: {"count": 3}}}


@pytest.mark.parametrize("section", ["traits", "identity_attributes", "application_data"])
@pytest.mark.parametrize("value", [None, 7, "x", ["a"], True])
def test_a_section_that_is_not_an_object_is_ignored(cds: Cds, section: str, value: Any) -> None:
    key = cds.trait()
    made = cds.create({"traits": {key: "x"}})
    assert cds.write(made["profile_id"], {section: value})["traits"] == {key: "x"}


@pytest.mark.parametrize("value", [None, 7, "x", ["a"]])
def test_an_application_that_is_not_an_object_is_ignored(cds: Cds, value: Any) -> None:
    key = cds.application_attribute()
    made = cds.create({"application_data": {cds.client_id: {key: "x"}}})
    written = cds.write(made["profile_id"], {"application_data": {cds.client_id: value}})
    assert written["application_data"] == {cds.client_id: {key: "x"}}


def test_other_keys_are_ignored(cds: Cds) -> None:
    made = cds.create()
    body = {
        "profile_id": UNKNOWN_ID,
        "meta": {"created_at": "x"},
        "merged_to": {},
        "colour": "red",
        "consents": [1],
    }
    written = cds.write(made["profile_id"], body)
    assert written["profile_id"] == made["profile_id"]
    assert written["meta"]["created_at"] == made["meta"]["created_at"]


def test_a_read_document_can_be_sent_back(cds: Cds) -> None:
    key = cds.address(city="string")
    made = cds.create({"traits": {key: {"city": "London"}}, "user_id": fresh("user")})
    read = cds.read(made["profile_id"])
    written = cds.write(made["profile_id"], read)
    assert {k: v for k, v in written.items() if k != "meta"} == {k: v for k, v in read.items() if k != "meta"}


def test_one_value_refused_refuses_the_whole_patch(cds: Cds) -> None:
    one, two = cds.trait(), cds.trait("integer")
    made = cds.create({"traits": {one: "x"}})
    answer = cds.patch(f"/profiles/{made['profile_id']}", {"traits": {one: "changed", two: "no number"}})
    refused(answer, 400, "CDS-11011", f"trait '{two}': type mismatch")
    read = cds.read(made["profile_id"])
    assert read["traits"] == {one: "x"}
    assert read["meta"] == made["meta"]


@pytest.mark.parametrize("profile_id", [UNKNOWN_ID, "not-an-id"])
def test_an_unknown_profile_is_named(cds: Cds, profile_id: str) -> None:
    answer = cds.patch(f"/profiles/{profile_id}", {})
    refused(answer, 404, "CDS-11001", f"Profile {profile_id} not found")


def test_a_patch_is_neither_consent_nor_application_filtered(cds: Cds, regular: Cds) -> None:
    key, ours = cds.trait(), cds.application_attribute()
    body = {"traits": {key: "x"}, "application_data": {cds.client_id: {ours: "y"}}}
    made = cds.create(body)
    written = regular.write(made["profile_id"], {})
    assert {k: written[k] for k in body} == body


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
    user, made = fresh("user"), cds.create()
    written = cds.write(made["profile_id"], {"user_id": user})
    assert written["profile_id"] == made["profile_id"]
    assert written["user_id"] == user
    assert "merged_to" not in written


def test_a_user_id_that_has_a_profile_joins_the_two_at_once(cds: Cds) -> None:
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
    made = cds.create({"user_id": user})
    assert cds.write(made["profile_id"], {"user_id": user})["user_id"] == user


@pytest.mark.parametrize("value", ["somebody-else", "", None])
def test_a_user_id_is_never_changed_or_cleared(cds: Cds, value: str | None) -> None:
    user = fresh("user")
    made = cds.create({"user_id": user})
    answer = cds.patch(f"/profiles/{made['profile_id']}", {"user_id": value})
    assert WRITE_ONCE in refused(answer, 400, "CDS-11011")
    assert cds.read(made["profile_id"])["user_id"] == user


def test_a_user_id_is_never_changed_through_an_absorbed_id(cds: Cds) -> None:
    user = fresh("user")
    cds.create({"user_id": user})
    absorbed = cds.create({"user_id": user})["profile_id"]
    assert WRITE_ONCE in refused(
        cds.patch(f"/profiles/{absorbed}", {"user_id": fresh("user")}), 400, "CDS-11011"
    )


def test_two_users_profiles_are_never_joined(cds: Cds) -> None:
    first, second = fresh("user"), fresh("user")
    one, two = cds.create({"user_id": first}), cds.create({"user_id": second})
    assert cds.patch(f"/profiles/{one['profile_id']}", {"user_id": second}).status_code == 400
    assert "merged_from" not in cds.read(two["profile_id"])
    assert "merged_to" not in cds.read(one["profile_id"])


@pytest.mark.parametrize("value", [7, ["u"], {"a": 1}, True])
def test_a_user_id_is_a_string(cds: Cds, value: Any) -> None:
    made = cds.create()
    refused(cds.patch(f"/profiles/{made['profile_id']}", {"user_id": value}), 400, "CDS-11011")
    assert "user_id" not in cds.read(made["profile_id"])


@pytest.mark.parametrize("value", ["", None])
def test_a_missing_user_id_on_a_temporary_profile_is_not_a_change(cds: Cds, value: str | None) -> None:
    made = cds.create()
    assert "user_id" not in cds.write(made["profile_id"], {"user_id": value})
