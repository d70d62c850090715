"""Merges by unification rules, visible in the answer of their request (docs/wire/cds.md §9)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import Cds, assert_error, draft, fresh
from wire.person import is_one_person, refusals_of

VALUE = "Ann-17"


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _create(org: Cds, user_id: str | None = None, **traits: Any) -> dict[str, Any]:
    return org.create({"traits": traits, **({"user_id": user_id} if user_id else {})})


# -- two profiles -------------------------------------------------------------------------------------------


def test_two_temporary_profiles_with_the_same_value_merge(org: Cds) -> None:
    key = org.trait()
    reason = org.rule(f"traits.{key}")["rule_name"]
    one = _create(org, **{key: VALUE})
    two = _create(org, **{key: VALUE})
    assert two["merged_to"] == {"profile_id": one["profile_id"], "reason": reason}
    survivor = org.read(one["profile_id"])
    assert survivor["merged_from"] == [{"profile_id": two["profile_id"], "reason": reason}]
    assert "merged_to" not in survivor


def test_a_temporary_that_matches_a_permanent_one_is_absorbed(org: Cds) -> None:
    key = org.trait_with_rule()
    permanent = _create(org, fresh("u"), **{key: VALUE})
    temporary = _create(org, **{key: VALUE})
    assert temporary["merged_to"]["profile_id"] == permanent["profile_id"]
    assert temporary["user_id"] == permanent["user_id"]


def test_a_permanent_that_matches_a_temporary_one_survives(org: Cds) -> None:
    key = org.trait_with_rule()
    temporary = _create(org, **{key: VALUE})
    permanent = _create(org, fresh("u"), **{key: VALUE})
    assert "merged_to" not in permanent
    assert [entry["profile_id"] for entry in permanent["merged_from"]] == [temporary["profile_id"]]
    assert org.read(temporary["profile_id"])["user_id"] == permanent["user_id"]


def test_an_update_that_adds_the_value_merges(org: Cds) -> None:
    key = org.trait_with_rule()
    one, two = _create(org, fresh("u"), **{key: VALUE}), _create(org)
    assert "merged_to" not in two
    answer = org.write(two["profile_id"], {"traits": {key: VALUE}})
    assert answer["merged_to"]["profile_id"] == one["profile_id"]


def test_an_update_that_changes_the_value_no_longer_matches_the_old_one(org: Cds) -> None:
    key = org.trait_with_rule()
    one = _create(org, **{key: VALUE})
    org.write(one["profile_id"], {"traits": {key: "other"}})
    with_old_value = _create(org, **{key: VALUE})
    assert "merged_to" not in with_old_value
    assert is_one_person(org, one, _create(org, **{key: "other"}))


def test_an_unset_value_matches_nothing(org: Cds) -> None:
    key = org.trait_with_rule()
    one = _create(org, **{key: VALUE})
    org.write(one["profile_id"], {"traits": {key: None}})
    assert "merged_to" not in _create(org, **{key: VALUE})


def test_a_profile_does_not_merge_with_itself(org: Cds) -> None:
    key = org.trait_with_rule()
    one = _create(org, **{key: VALUE})
    assert "merged_from" not in org.write(one["profile_id"], {"traits": {key: VALUE}})


# -- chains and groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 4])
def test_a_chain_merges_with_its_last_link(org: Cds, length: int) -> None:
    """Adjacent profiles share one value; the middle profile is created last and has two values."""
    keys = [org.trait_with_rule() for _ in range(length - 1)]
    traits: list[dict[str, str]] = [dict.fromkeys(keys[max(n - 1, 0) : n + 1], VALUE) for n in range(length)]
    middle = traits.pop(length // 2)
    ends = [_create(org, **values) for values in traits]
    last = _create(org, **middle)
    assert is_one_person(org, last, *ends)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_a_chain_of_four_merges_in_any_order(org: Cds, order: tuple[int, ...]) -> None:
    keys = [org.trait_with_rule() for _ in range(3)]
    chain: list[dict[str, str]] = [dict.fromkeys(keys[max(n - 1, 0) : n + 1], VALUE) for n in range(4)]
    assert is_one_person(org, *[_create(org, **chain[n]) for n in order])


def test_one_profile_merges_two_groups(org: Cds) -> None:
    left, right = org.trait_with_rule(), org.trait_with_rule()
    groups = [_create(org, **{key: VALUE}) for key in (left, right) for _ in range(3)]
    assert not is_one_person(org, *groups)
    assert is_one_person(org, _create(org, **{left: VALUE, right: VALUE}), *groups)


def test_an_update_of_an_absorbed_profile_merges_two_groups(org: Cds) -> None:
    left, right = org.trait_with_rule(), org.trait_with_rule()
    groups = [_create(org, **{key: VALUE}) for key in (left, right) for _ in range(2)]
    org.write(groups[1]["profile_id"], {"traits": {right: VALUE}})
    assert is_one_person(org, *groups)


# -- rules --------------------------------------------------------------------------------------------------


def test_the_rule_with_the_highest_priority_is_the_reason(org: Cds) -> None:
    keys = [org.trait(), org.trait()]
    second = org.rule(f"traits.{keys[0]}", priority=50_002)
    first = org.rule(f"traits.{keys[1]}", priority=50_001)
    both = dict.fromkeys(keys, VALUE)
    _create(org, **both)
    assert _create(org, **both)["merged_to"]["reason"] == first["rule_name"]
    org.patch(f"/unification-rules/{first['rule_id']}", {"priority": 50_003})
    assert _create(org, **both)["merged_to"]["reason"] == second["rule_name"]


def test_the_user_id_takes_precedence_over_every_rule(org: Cds) -> None:
    key = org.trait()
    org.rule(f"traits.{key}", priority=-(2**62))
    user = fresh("u")
    _create(org, user, **{key: VALUE})
    assert _create(org, user, **{key: VALUE})["merged_to"]["reason"] == "system:user_id_match"


def test_an_inactive_rule_merges_nothing_until_it_is_active(org: Cds) -> None:
    key = org.trait()
    rule = org.rule(f"traits.{key}", is_active=False)
    path = f"/unification-rules/{rule['rule_id']}"
    one, two = (_create(org, **{key: VALUE}) for _ in range(2))
    assert "merged_to" not in two
    org.patch(path, {"is_active": True})
    assert is_one_person(org, _create(org, **{key: "new"}), _create(org, **{key: "new"}))
    org.patch(path, {"is_active": False})
    assert "merged_to" not in _create(org, **{key: "newer"})
    assert "merged_to" not in _create(org, **{key: "newer"})
    org.patch(path, {"is_active": True})
    assert is_one_person(
        org, _create(org, **{key: VALUE}), org.write(one["profile_id"], {"traits": {key: VALUE}})
    )


def test_profiles_stay_merged_without_their_rule(org: Cds) -> None:
    key = org.trait()
    rule = org.rule(f"traits.{key}")
    pair = [_create(org, **{key: VALUE}) for _ in range(2)]
    org.patch(f"/unification-rules/{rule['rule_id']}", {"is_active": False})
    assert is_one_person(org, *pair)
    assert org.delete(f"/unification-rules/{rule['rule_id']}").status_code == 204
    assert is_one_person(org, *pair)
    assert org.read(pair[1]["profile_id"])["merged_to"]["reason"] == rule["rule_name"]
    assert "merged_to" not in _create(org, **{key: VALUE})


def test_renaming_a_rule_keeps_earlier_reasons(org: Cds) -> None:
    key = org.trait()
    rule = org.rule(f"traits.{key}")
    _create(org, **{key: VALUE})
    before = _create(org, **{key: VALUE})
    org.patch(f"/unification-rules/{rule['rule_id']}", {"rule_name": "renamed"})
    assert org.read(before["profile_id"])["merged_to"]["reason"] == rule["rule_name"]
    assert _create(org, **{key: VALUE})["merged_to"]["reason"] == "renamed"


# -- values -------------------------------------------------------------------------------------------------

EQUAL_VALUES = {
    "case and blanks": ("string", " Ann@Acme.Example", "ann@acme.example "),
    "composed": ("string", "Ren\u00e9", "Rene\u0301"),
    "integer": ("integer", 417, 417),
    "decimal": ("decimal", 41.0, 41),
    "exponent": ("decimal", 1e3, 1000.0),
    "epoch": ("epoch", 1_780_000_000_000, "1780000000000"),
    "date": ("date", "2026-06-05", "2026-06-05"),
    "date_time": ("date_time", "2026-06-05T03:38:04Z", "2026-06-05T05:38:04+02:00"),
    "date_time fraction": ("date_time", "2026-06-05T03:38:04.000Z", "2026-06-05T03:38:04Z"),
}


@pytest.mark.parametrize(("value_type", "one", "two"), EQUAL_VALUES.values(), ids=EQUAL_VALUES)
def test_scalars_are_compared_normalised_and_answered_as_written(
    org: Cds, value_type: str, one: Any, two: Any
) -> None:
    key = org.trait_with_rule(value_type)
    first, second = _create(org, **{key: one}), _create(org, **{key: two})
    assert is_one_person(org, first, second)
    stored = org.read(first["profile_id"])["traits"][key]
    assert stored == (int(two) if value_type == "epoch" else two)


DIFFERENT_VALUES = {
    "integers": ("integer", 417, 418),
    "decimals": ("decimal", 41.5, 41.25),
    "dates": ("date", "2026-06-05", "2026-06-06"),
    "instants": ("date_time", "2026-06-05T03:38:04Z", "2026-06-05T03:38:04+02:00"),
    "strings": ("string", "ann", "anna"),
    "inner blanks": ("string", "a b", "ab"),
    "empty": ("string", "", ""),
    "blanks": ("string", "   ", "   "),
    "null": ("string", "null", "null"),
    "booleans": ("boolean", True, True),
}


@pytest.mark.parametrize(("value_type", "one", "two"), DIFFERENT_VALUES.values(), ids=DIFFERENT_VALUES)
def test_different_values_do_not_match(org: Cds, value_type: str, one: Any, two: Any) -> None:
    key = org.trait_with_rule(value_type)
    _create(org, **{key: one})
    assert "merged_to" not in _create(org, **{key: two})


def test_a_value_too_long_for_an_identifier_is_stored_and_unmatched(org: Cds) -> None:
    key = org.trait_with_rule()
    pair = [_create(org, **{key: "x9" * 400}) for _ in range(2)]
    assert not is_one_person(org, *pair)
    assert org.read(pair[0]["profile_id"])["traits"][key] == "x9" * 400


def test_a_rule_on_a_sub_attribute(org: Cds) -> None:
    key = org.address(city="string", street="string")
    org.rule(f"traits.{key}.city")
    one = _create(org, **{key: {"city": "Colombo", "street": "1"}})
    assert "merged_to" not in _create(org, **{key: {"city": "Kandy", "street": "1"}})
    assert is_one_person(org, one, _create(org, **{key: {"city": "colombo", "street": "2"}}))


@pytest.mark.parametrize("strategy", ["overwrite", "combine"])
def test_any_element_of_a_multi_valued_attribute_matches(org: Cds, strategy: str) -> None:
    key = org.trait_with_rule(multi_valued=True, merge_strategy=strategy)
    one, two = _create(org, **{key: ["a1", "b1"]}), _create(org, **{key: ["c1", "d1"]})
    assert not is_one_person(org, one, two)
    assert is_one_person(org, _create(org, **{key: ["x1", "b1", "d1"]}), one, two)


def test_a_combined_value_matches_by_every_element(org: Cds) -> None:
    key = org.trait_with_rule("integer", multi_valued=True, merge_strategy="combine")
    one = _create(org, **{key: [101, 102]})
    two = _create(org, **{key: [102, 103]})
    assert org.read(one["profile_id"])["traits"][key] == [101, 102, 103]
    for value in (101, 103):
        assert is_one_person(org, one, two, _create(org, **{key: [value]}))


def test_sub_attributes_of_lists_match(org: Cds) -> None:
    key = fresh("phones")
    (number,) = org.define("traits", draft(f"traits.{key}.number"))
    entries = [{"attribute_id": number["attribute_id"], "attribute_name": number["attribute_name"]}]
    org.define("traits", draft(f"traits.{key}", "complex", multi_valued=True, sub_attributes=entries))
    org.rule(f"traits.{key}.number")
    one = _create(org, **{key: [{"number": "+94 1"}, {"number": "+94 2"}]})
    assert is_one_person(org, one, _create(org, **{key: [{"number": "+94 3"}, {"number": "+94 2"}]}))
    assert "merged_to" not in _create(org, **{key: [{"number": "+94 9"}]})


def test_the_same_value_of_another_attribute_is_not_a_match(org: Cds) -> None:
    one, two = org.trait_with_rule(), org.trait_with_rule()
    _create(org, **{one: VALUE})
    assert "merged_to" not in _create(org, **{two: VALUE})


def test_two_organisations_stay_separate(org: Cds, other: Cds) -> None:
    key = fresh()
    profiles = []
    for caller in (org, other):
        caller.define("traits", draft(f"traits.{key}"))
        caller.rule(f"traits.{key}")
        profiles.append(_create(caller, **{key: VALUE}))
    assert all("merged_to" not in profile for profile in profiles)
    assert_error(other.get(f"/profiles/{profiles[0]['profile_id']}"), 404, "CDS-11001")


# -- values after a merge -----------------------------------------------------------------------------------


def test_values_of_the_incoming_profile_replace_or_combine(org: Cds) -> None:
    key, plan = org.trait_with_rule(), org.trait()
    tags = org.trait(multi_valued=True, merge_strategy="combine")
    one = _create(org, fresh("u"), **{key: VALUE, plan: "trial", tags: ["a", "b"]})
    _create(org, **{key: VALUE, plan: "gold", tags: ["b", "c"]})
    assert org.read(one["profile_id"])["traits"] == {key: VALUE, plan: "gold", tags: ["a", "b", "c"]}
    org.write(one["profile_id"], {"traits": {plan: "none"}})
    assert org.read(one["profile_id"])["traits"][plan] == "none"


def test_a_merge_changes_the_version(org: Cds) -> None:
    key = org.trait_with_rule()
    path = f"/profiles/{_create(org, **{key: VALUE})['profile_id']}"
    before = org.get(path)
    _create(org, **{key: VALUE})
    after = org.get(path)
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["meta"]["updated_at"] > before.json()["meta"]["updated_at"]
    stale = {"If-Match": before.headers["etag"]}
    assert_error(org.patch(path, {"traits": {key: "x"}}, headers=stale), 412, "CDS-11011")


# -- two users ----------------------------------------------------------------------------------------------


def test_two_users_never_merge_and_the_refusal_is_listed(org: Cds) -> None:
    key = org.trait_with_rule()
    one, two = (_create(org, fresh("u"), **{key: VALUE}) for _ in range(2))
    assert not is_one_person(org, one, two)
    assert refusals_of(org, one, two) == {"different_user"}


def test_an_update_does_not_merge_two_users(org: Cds) -> None:
    key = org.trait_with_rule()
    one, two = _create(org, fresh("u"), **{key: VALUE}), _create(org, fresh("u"))
    answer = org.write(two["profile_id"], {"traits": {key: VALUE}})
    assert "merged_to" not in answer
    assert answer["traits"][key] == VALUE
    assert "different_user" in refusals_of(org, one, two)


def test_a_match_with_two_users_uses_the_rule_of_higher_priority(org: Cds) -> None:
    low_priority, high_priority = org.trait(), org.trait()
    org.rule(f"traits.{low_priority}", priority=40_002)
    org.rule(f"traits.{high_priority}", priority=40_001)
    one = _create(org, fresh("u"), **{low_priority: VALUE})
    two = _create(org, fresh("u"), **{high_priority: VALUE})
    both = _create(org, **{low_priority: VALUE, high_priority: VALUE})
    assert both["merged_to"]["profile_id"] == two["profile_id"]
    assert not is_one_person(org, one, two)


def test_a_match_with_two_users_by_one_rule_uses_the_older_claim(org: Cds) -> None:
    key = org.trait_with_rule(multi_valued=True)
    older = _create(org, fresh("u"), **{key: ["one1"]})
    newer = _create(org, fresh("u"), **{key: ["two2"]})
    both = _create(org, **{key: ["two2", "one1"]})
    assert both["merged_to"]["profile_id"] == older["profile_id"]
    assert not is_one_person(org, older, newer)


def test_a_profile_that_matches_two_users_merges_with_one_only(org: Cds) -> None:
    left, right = org.trait_with_rule(), org.trait_with_rule()
    one, two = _create(org, fresh("u"), **{left: VALUE}), _create(org, fresh("u"), **{right: VALUE})
    bridge = _create(org, **{left: VALUE, right: VALUE})
    assert is_one_person(org, bridge, one)
    assert not is_one_person(org, one, two)
