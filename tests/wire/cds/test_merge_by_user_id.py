"""Merges by `user_id`, and the values of the unified profile (docs/wire/cds.md §9)."""

from __future__ import annotations

from typing import Any

from wire.client import Cds, draft, fresh


def _merge(
    cds: Cds, permanent: dict[str, Any], visitor: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Merge a temporary profile into a permanent one by `user_id`; both as read afterwards."""
    user = fresh("user")
    one = cds.create({**permanent, "user_id": user})["profile_id"]
    two = cds.create(visitor)["profile_id"]
    cds.write(two, {"user_id": user})
    return cds.read(one), cds.read(two)


def test_the_permanent_profile_survives(cds: Cds) -> None:
    one, two = _merge(cds, {}, {})
    assert two["merged_to"]["profile_id"] == one["profile_id"]
    assert "merged_to" not in one


def test_overwrite_takes_the_incoming_value(cds: Cds) -> None:
    key = cds.trait()
    one, _ = _merge(cds, {"traits": {key: "old"}}, {"traits": {key: "new"}})
    assert one["traits"] == {key: "new"}


def test_overwrite_keeps_values_that_the_incoming_profile_does_not_have(cds: Cds) -> None:
    permanent_key, temporary_key = cds.trait(), cds.trait()
    one, _ = _merge(cds, {"traits": {permanent_key: "a"}}, {"traits": {temporary_key: "b"}})
    assert one["traits"] == {permanent_key: "a", temporary_key: "b"}


def test_an_empty_incoming_value_replaces_nothing(cds: Cds) -> None:
    text, many = cds.trait(), cds.trait(multi_valued=True)
    one, _ = _merge(cds, {"traits": {text: "a", many: ["b"]}}, {"traits": {text: "", many: []}})
    assert one["traits"] == {text: "a", many: ["b"]}


def test_combine_appends_the_incoming_values(cds: Cds) -> None:
    fields: dict[str, Any] = {"multi_valued": True, "merge_strategy": "combine"}
    text, number, day, tick = (cds.trait(kind, **fields) for kind in ("string", "integer", "date", "epoch"))
    one, _ = _merge(
        cds,
        {"traits": {text: ["go", "chess"], number: [3, 1], day: ["2026-01-01"], tick: [5]}},
        {
            "traits": {
                text: ["tennis", "go"],
                number: [1, 2],
                day: ["2025-01-01", "2026-01-01"],
                tick: ["5", 6],
            }
        },
    )
    assert one["traits"] == {
        text: ["go", "chess", "tennis"],
        number: [3, 1, 2],
        day: ["2026-01-01", "2025-01-01"],
        tick: [5, 6],
    }


def test_complex_values_merge_per_child(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    one, _ = _merge(
        cds, {"traits": {key: {"city": "London", "floor": 3}}}, {"traits": {key: {"city": "Paris"}}}
    )
    assert one["traits"] == {key: {"city": "Paris", "floor": 3}}


def test_application_data_merges_per_application(cds: Cds, regular: Cds) -> None:
    system_key, regular_key = cds.application_attribute(), fresh("theirs")
    cds.define(
        "application_data", draft(f"application_data.{regular_key}", application_identifier=regular.client_id)
    )
    one, _ = _merge(
        cds,
        {"application_data": {cds.client_id: {system_key: "old"}}},
        {"application_data": {cds.client_id: {system_key: "new"}, regular.client_id: {regular_key: "x"}}},
    )
    assert one["application_data"] == {
        cds.client_id: {system_key: "new"},
        regular.client_id: {regular_key: "x"},
    }


def test_a_temporary_profile_adds_but_never_replaces_identity_attributes(cds: Cds) -> None:
    one, _ = _merge(
        cds,
        {"identity_attributes": {"givenname": "Ann"}},
        {"identity_attributes": {"givenname": "Anna", "lastname": "Archer"}},
    )
    assert one["identity_attributes"] == {"givenname": "Ann", "lastname": "Archer"}


def test_a_write_after_the_merge_replaces_both_values(cds: Cds) -> None:
    key = cds.trait()
    one, two = _merge(cds, {"traits": {key: "old"}}, {"traits": {key: "new"}})
    cds.write(one["profile_id"], {"traits": {key: "newest"}})
    assert cds.read(two["profile_id"])["traits"] == {key: "newest"}


def test_the_unified_profile_has_the_earliest_creation_time(cds: Cds) -> None:
    user, visitor = fresh("user"), cds.create()
    permanent = cds.create({"user_id": user})
    cds.write(visitor["profile_id"], {"user_id": user})
    assert cds.read(permanent["profile_id"])["meta"]["created_at"] == visitor["meta"]["created_at"]


def test_a_merge_updates_the_survivor_at_once(cds: Cds) -> None:
    user = fresh("user")
    permanent = cds.create({"user_id": user})
    visitor = cds.create()
    answer = cds.write(visitor["profile_id"], {"user_id": user})
    assert answer["meta"]["updated_at"] > permanent["meta"]["updated_at"]
    assert cds.read(permanent["profile_id"])["meta"]["updated_at"] == answer["meta"]["updated_at"]


def test_a_trait_equal_to_a_user_id_does_not_match(cds: Cds) -> None:
    key, user = cds.trait(), fresh("user")
    cds.create({"traits": {key: user}})
    assert "merged_to" not in cds.create({"user_id": user})


def test_user_ids_are_compared_exactly(cds: Cds) -> None:
    user = fresh("User")
    cds.create({"user_id": user})
    second = cds.create({"user_id": user.swapcase()})
    assert "merged_to" not in second
