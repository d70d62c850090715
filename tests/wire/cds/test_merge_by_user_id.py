"""docs/wire/cds.md §9, without rules: equal `user_id` joins profiles, and their values become one."""

from __future__ import annotations

from typing import Any

from wire.client import Cds, draft, fresh


def _join(
    cds: Cds, permanent: dict[str, Any], visitor: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A permanent profile, a temporary one that gains its user; both as read afterwards."""
    user = fresh("user")
    one = cds.create({**permanent, "user_id": user})["profile_id"]
    two = cds.create(visitor)["profile_id"]
    cds.write(two, {"user_id": user})
    return cds.read(one), cds.read(two)


def test_a_permanent_profile_survives_a_more_active_temporary_one(cds: Cds) -> None:
    one, two = _join(cds, {}, {})
    assert two["merged_to"]["profile_id"] == one["profile_id"]
    assert "merged_to" not in one


def test_overwrite_takes_the_incoming_value(cds: Cds) -> None:
    key = cds.trait()
    one, _ = _join(cds, {"traits": {key: "old"}}, {"traits": {key: "new"}})
    assert one["traits"] == {key: "new"}


def test_overwrite_keeps_what_the_incoming_profile_does_not_have(cds: Cds) -> None:
    ours, theirs = cds.trait(), cds.trait()
    one, _ = _join(cds, {"traits": {ours: "a"}}, {"traits": {theirs: "b"}})
    assert one["traits"] == {ours: "a", theirs: "b"}


def test_an_empty_incoming_value_replaces_nothing(cds: Cds) -> None:
    text, many = cds.trait(), cds.trait(multi_valued=True)
    one, _ = _join(cds, {"traits": {text: "a", many: ["b"]}}, {"traits": {text: "", many: []}})
    assert one["traits"] == {text: "a", many: ["b"]}


def test_combine_is_the_union_with_the_survivors_values_first(cds: Cds) -> None:
    fields: dict[str, Any] = {"multi_valued": True, "merge_strategy": "combine"}
    text, number, day, tick = (cds.trait(kind, **fields) for kind in ("string", "integer", "date", "epoch"))
    one, _ = _join(
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


def test_complex_values_join_child_by_child(cds: Cds) -> None:
    key = cds.address(city="string", floor="integer")
    one, _ = _join(
        cds, {"traits": {key: {"city": "London", "floor": 3}}}, {"traits": {key: {"city": "Paris"}}}
    )
    assert one["traits"] == {key: {"city": "Paris", "floor": 3}}


def test_application_data_joins_application_by_application(cds: Cds, regular: Cds) -> None:
    ours, name = cds.application_attribute(), fresh("theirs")
    cds.define(
        "application_data", draft(f"application_data.{name}", application_identifier=regular.client_id)
    )
    one, _ = _join(
        cds,
        {"application_data": {cds.client_id: {ours: "old"}}},
        {"application_data": {cds.client_id: {ours: "new"}, regular.client_id: {name: "x"}}},
    )
    assert one["application_data"] == {cds.client_id: {ours: "new"}, regular.client_id: {name: "x"}}


def test_a_temporary_profile_fills_but_never_replaces_identity_attributes(cds: Cds) -> None:
    one, _ = _join(
        cds,
        {"identity_attributes": {"givenname": "Ann"}},
        {"identity_attributes": {"givenname": "Nobody", "lastname": "Archer"}},
    )
    assert one["identity_attributes"] == {"givenname": "Ann", "lastname": "Archer"}


def test_a_write_after_the_merge_is_newer_than_both(cds: Cds) -> None:
    key = cds.trait()
    one, two = _join(cds, {"traits": {key: "old"}}, {"traits": {key: "new"}})
    cds.write(one["profile_id"], {"traits": {key: "newest"}})
    assert cds.read(two["profile_id"])["traits"] == {key: "newest"}


def test_the_unified_profile_is_as_old_as_its_oldest_part(cds: Cds) -> None:
    user, visitor = fresh("user"), cds.create()
    permanent = cds.create({"user_id": user})
    cds.write(visitor["profile_id"], {"user_id": user})
    assert cds.read(permanent["profile_id"])["meta"]["created_at"] == visitor["meta"]["created_at"]


def test_a_join_is_seen_by_the_first_look_and_moves_the_last_update(cds: Cds) -> None:
    user = fresh("user")
    permanent = cds.create({"user_id": user})
    visitor = cds.create()
    answer = cds.write(visitor["profile_id"], {"user_id": user})
    assert answer["meta"]["updated_at"] > permanent["meta"]["updated_at"]
    assert cds.read(permanent["profile_id"])["meta"]["updated_at"] == answer["meta"]["updated_at"]


def test_numbers_that_look_like_a_user_id_merge_nothing(cds: Cds) -> None:
    key, user = cds.trait(), fresh("user")
    cds.create({"traits": {key: user}})
    assert "merged_to" not in cds.create({"user_id": user})


def test_user_ids_are_compared_exactly(cds: Cds) -> None:
    user = fresh("User")
    first = cds.create({"user_id": user})
    second = cds.create({"user_id": user.swapcase()})
    assert "merged_to" not in second
    assert first["profile_id"] != second["profile_id"]
