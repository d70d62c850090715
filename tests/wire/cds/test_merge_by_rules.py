"""What rules do to profiles, as a client sees it in the answer of the very request (docs/wire/cds.md §9)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import Cds, draft, fresh, refused
from wire.person import is_one, refusals_of

VALUE = "Ann-17"


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _create(org: Cds, user_id: str | None = None, **traits: Any) -> dict[str, Any]:
    return org.create({"traits": traits, **({"user_id": user_id} if user_id else {})})


# -- two profiles -------------------------------------------------------------------------------------------


def test_two_temporaries_are_one_in_the_answer(org: Cds) -> None:
    key = org.trait()
    reason = org.rule(f"traits.{key}")["rule_name"]
    one = _create(org, **{key: VALUE})
    two = _create(org, **{key: VALUE})
    assert two["merged_to"] == {"profile_id": one["profile_id"], "reason": reason}
    survivor = org.read(one["profile_id"])
    assert survivor["merged_from"] == [{"profile_id": two["profile_id"], "reason": reason}]
    assert "merged_to" not in survivor


def test_a_temporary_that_matches_a_permanent_one_is_absorbed(org: Cds) -> None:
    key = org.matched()
    permanent = _create(org, fresh("u"), **{key: VALUE})
    temporary = _create(org, **{key: VALUE})
    assert temporary["merged_to"]["profile_id"] == permanent["profile_id"]
    assert temporary["user_id"] == permanent["user_id"]


def test_a_permanent_that_matches_a_temporary_one_survives(org: Cds) -> None:
    key = org.matched()
    temporary = _create(org, **{key: VALUE})
    permanent = _create(org, fresh("u"), **{key: VALUE})
    assert "merged_to" not in permanent
    assert [entry["profile_id"] for entry in permanent["merged_from"]] == [temporary["profile_id"]]
    assert org.read(temporary["profile_id"])["user_id"] == permanent["user_id"]


def test_an_update_that_adds_the_value_joins_in_its_answer(org: Cds) -> None:
    key = org.matched()
    one, two = _create(org, fresh("u"), **{key: VALUE}), _create(org)
    assert "merged_to" not in two
    answer = org.write(two["profile_id"], {"traits": {key: VALUE}})
    assert answer["merged_to"]["profile_id"] == one["profile_id"]


def test_an_update_that_changes_the_value_no_longer_matches_the_old_one(org: Cds) -> None:
    key = org.matched()
    one = _create(org, **{key: VALUE})
    org.write(one["profile_id"], {"traits": {key: "other"}})
    stranger = _create(org, **{key: VALUE})
    assert "merged_to" not in stranger
    assert is_one(org, one, _create(org, **{key: "other"}))


def test_an_unset_value_matches_nothing(org: Cds) -> None:
    key = org.matched()
    one = _create(org, **{key: VALUE})
    org.write(one["profile_id"], {"traits": {key: None}})
    assert "merged_to" not in _create(org, **{key: VALUE})


def test_a_profile_that_matches_itself_is_one(org: Cds) -> None:
    key = org.matched()
    one = _create(org, **{key: VALUE})
    assert "merged_from" not in org.write(one["profile_id"], {"traits": {key: VALUE}})


# -- chains and groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [3, 4])
def test_a_chain_is_joined_by_its_last_link(org: Cds, length: int) -> None:
    """Neighbours share a value each; the link in the middle comes last and brings both of its values."""
    keys = [org.matched() for _ in range(length - 1)]
    traits: list[dict[str, str]] = [dict.fromkeys(keys[max(n - 1, 0) : n + 1], VALUE) for n in range(length)]
    middle = traits.pop(length // 2)
    ends = [_create(org, **each) for each in traits]
    last = _create(org, **middle)
    assert is_one(org, last, *ends)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5], ids=str)
def test_a_chain_of_four_in_any_order(org: Cds, order: tuple[int, ...]) -> None:
    keys = [org.matched() for _ in range(3)]
    chain: list[dict[str, str]] = [dict.fromkeys(keys[max(n - 1, 0) : n + 1], VALUE) for n in range(4)]
    assert is_one(org, *[_create(org, **chain[n]) for n in order])


def test_two_groups_bridged_by_one_profile(org: Cds) -> None:
    left, right = org.matched(), org.matched()
    groups = [_create(org, **{key: VALUE}) for key in (left, right) for _ in range(3)]
    assert not is_one(org, *groups)
    assert is_one(org, _create(org, **{left: VALUE, right: VALUE}), *groups)


def test_two_groups_bridged_by_an_update_of_an_absorbed_member(org: Cds) -> None:
    left, right = org.matched(), org.matched()
    groups = [_create(org, **{key: VALUE}) for key in (left, right) for _ in range(2)]
    org.write(groups[1]["profile_id"], {"traits": {right: VALUE}})
    assert is_one(org, *groups)


# -- rules --------------------------------------------------------------------------------------------------


def test_the_rule_that_goes_first_is_the_reason(org: Cds) -> None:
    keys = [org.trait(), org.trait()]
    second = org.rule(f"traits.{keys[0]}", priority=50_002)
    first = org.rule(f"traits.{keys[1]}", priority=50_001)
    both = dict.fromkeys(keys, VALUE)
    _create(org, **both)
    assert _create(org, **both)["merged_to"]["reason"] == first["rule_name"]
    org.patch(f"/unification-rules/{first['rule_id']}", {"priority": 50_003})
    assert _create(org, **both)["merged_to"]["reason"] == second["rule_name"]


def test_the_user_id_goes_before_every_rule(org: Cds) -> None:
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
    assert is_one(org, _create(org, **{key: "new"}), _create(org, **{key: "new"}))
    org.patch(path, {"is_active": False})
    assert "merged_to" not in _create(org, **{key: "newer"})
    assert "merged_to" not in _create(org, **{key: "newer"})
    org.patch(path, {"is_active": True})
    assert is_one(org, _create(org, **{key: VALUE}), org.write(one["profile_id"], {"traits": {key: VALUE}}))


def test_without_its_rule_what_was_joined_stays_joined(org: Cds) -> None:
    key = org.trait()
    rule = org.rule(f"traits.{key}")
    pair = [_create(org, **{key: VALUE}) for _ in range(2)]
    org.patch(f"/unification-rules/{rule['rule_id']}", {"is_active": False})
    assert is_one(org, *pair)
    assert org.delete(f"/unification-rules/{rule['rule_id']}").status_code == 204
    assert is_one(org, *pair)
    assert org.read(pair[1]["profile_id"])["merged_to"]["reason"] == rule["rule_name"]
    assert "merged_to" not in _create(org, **{key: VALUE})


def test_a_renamed_rule_leaves_the_reasons_that_were_given(org: Cds) -> None:
    key = org.trait()
    rule = org.rule(f"traits.{key}")
    _create(org, **{key: VALUE})
    before = _create(org, **{key: VALUE})
    org.patch(f"/unification-rules/{rule['rule_id']}", {"rule_name": "renamed"})
    assert org.read(before["profile_id"])["merged_to"]["reason"] == rule["rule_name"]
    assert _create(org, **{key: VALUE})["merged_to"]["reason"] == "renamed"


# -- values -------------------------------------------------------------------------------------------------

SAME = {
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


@pytest.mark.parametrize(("value_type", "one", "two"), SAME.values(), ids=SAME)
def test_scalars_are_compared_normalised_and_answered_as_written(
    org: Cds, value_type: str, one: Any, two: Any
) -> None:
    key = org.matched(value_type)
    first, second = _create(org, **{key: one}), _create(org, **{key: two})
    assert is_one(org, first, second)
    answered = org.read(first["profile_id"])["traits"][key]
    assert answered == (int(two) if value_type == "epoch" else two)


OTHER = {
    "integers": ("integer", 417, 418),
    "decimals": ("decimal", 41.5, 41.25),
    "dates": ("date", "2026-06-05", "2026-06-06"),
    "instants": ("date_time", "2026-06-05T03:38:04Z", "2026-06-05T03:38:04+02:00"),
    "words": ("string", "ann", "anna"),
    "inner blanks": ("string", "a b", "ab"),
    "empty": ("string", "", ""),
    "blanks": ("string", "   ", "   "),
    "what stands for nothing": ("string", "null", "null"),
    "truth": ("boolean", True, True),
}


@pytest.mark.parametrize(("value_type", "one", "two"), OTHER.values(), ids=OTHER)
def test_different_values_do_not_match(org: Cds, value_type: str, one: Any, two: Any) -> None:
    key = org.matched(value_type)
    _create(org, **{key: one})
    assert "merged_to" not in _create(org, **{key: two})


def test_a_value_too_long_for_an_identifier_is_stored_and_unmatched(org: Cds) -> None:
    key = org.matched()
    pair = [_create(org, **{key: "x9" * 400}) for _ in range(2)]
    assert not is_one(org, *pair)
    assert org.read(pair[0]["profile_id"])["traits"][key] == "x9" * 400


def test_a_sub_attribute(org: Cds) -> None:
    key = org.address(city="string", street="string")
    org.rule(f"traits.{key}.city")
    one = _create(org, **{key: {"city": "Colombo", "street": "1"}})
    assert "merged_to" not in _create(org, **{key: {"city": "Kandy", "street": "1"}})
    assert is_one(org, one, _create(org, **{key: {"city": "colombo", "street": "2"}}))


@pytest.mark.parametrize("strategy", ["overwrite", "combine"])
def test_any_element_of_a_multi_valued_attribute(org: Cds, strategy: str) -> None:
    key = org.matched(multi_valued=True, merge_strategy=strategy)
    one, two = _create(org, **{key: ["a1", "b1"]}), _create(org, **{key: ["c1", "d1"]})
    assert not is_one(org, one, two)
    assert is_one(org, _create(org, **{key: ["x1", "b1", "d1"]}), one, two)


def test_a_combined_value_matches_by_every_element(org: Cds) -> None:
    key = org.matched("integer", multi_valued=True, merge_strategy="combine")
    one = _create(org, **{key: [101, 102]})
    two = _create(org, **{key: [102, 103]})
    assert org.read(one["profile_id"])["traits"][key] == [101, 102, 103]
    for value in (101, 103):
        assert is_one(org, one, two, _create(org, **{key: [value]}))


def test_parts_of_lists_of_objects(org: Cds) -> None:
    key = fresh("phones")
    (number,) = org.define("traits", draft(f"traits.{key}.number"))
    listed = [{"attribute_id": number["attribute_id"], "attribute_name": number["attribute_name"]}]
    org.define("traits", draft(f"traits.{key}", "complex", multi_valued=True, sub_attributes=listed))
    org.rule(f"traits.{key}.number")
    one = _create(org, **{key: [{"number": "+94 1"}, {"number": "+94 2"}]})
    assert is_one(org, one, _create(org, **{key: [{"number": "+94 3"}, {"number": "+94 2"}]}))
    assert "merged_to" not in _create(org, **{key: [{"number": "+94 9"}]})


def test_the_same_value_of_another_attribute_is_not_a_match(org: Cds) -> None:
    one, two = org.matched(), org.matched()
    _create(org, **{one: VALUE})
    assert "merged_to" not in _create(org, **{two: VALUE})


def test_two_organisations_stay_separate(org: Cds, other: Cds) -> None:
    key = fresh()
    profiles = []
    for each in (org, other):
        each.define("traits", draft(f"traits.{key}"))
        each.rule(f"traits.{key}")
        profiles.append(_create(each, **{key: VALUE}))
    assert all("merged_to" not in profile for profile in profiles)
    refused(other.get(f"/profiles/{profiles[0]['profile_id']}"), 404, "CDS-11001")


# -- what becomes of the values -----------------------------------------------------------------------------


def test_values_of_the_incoming_profile_replace_or_combine(org: Cds) -> None:
    key, plan = org.matched(), org.trait()
    tags = org.trait(multi_valued=True, merge_strategy="combine")
    one = _create(org, fresh("u"), **{key: VALUE, plan: "trial", tags: ["a", "b"]})
    _create(org, **{key: VALUE, plan: "gold", tags: ["b", "c"]})
    assert org.read(one["profile_id"])["traits"] == {key: VALUE, plan: "gold", tags: ["a", "b", "c"]}
    org.write(one["profile_id"], {"traits": {plan: "none"}})
    assert org.read(one["profile_id"])["traits"][plan] == "none"


def test_a_join_moves_the_version(org: Cds) -> None:
    key = org.matched()
    path = f"/profiles/{_create(org, **{key: VALUE})['profile_id']}"
    before = org.get(path)
    _create(org, **{key: VALUE})
    after = org.get(path)
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["meta"]["updated_at"] > before.json()["meta"]["updated_at"]
    stale = {"If-Match": before.headers["etag"]}
    refused(org.patch(path, {"traits": {key: "x"}}, headers=stale), 412, "CDS-11011")


# -- two users ----------------------------------------------------------------------------------------------


def test_two_users_are_never_joined_and_the_refusal_is_listed(org: Cds) -> None:
    key = org.matched()
    one, two = (_create(org, fresh("u"), **{key: VALUE}) for _ in range(2))
    assert not is_one(org, one, two)
    assert refusals_of(org, one, two) == {"different_user"}


def test_an_update_does_not_join_two_users(org: Cds) -> None:
    key = org.matched()
    one, two = _create(org, fresh("u"), **{key: VALUE}), _create(org, fresh("u"))
    answer = org.write(two["profile_id"], {"traits": {key: VALUE}})
    assert "merged_to" not in answer
    assert answer["traits"][key] == VALUE
    assert "different_user" in refusals_of(org, one, two)


def test_a_match_with_two_users_uses_the_rule_of_higher_priority(org: Cds) -> None:
    later, earlier = org.trait(), org.trait()
    org.rule(f"traits.{later}", priority=40_002)
    org.rule(f"traits.{earlier}", priority=40_001)
    one = _create(org, fresh("u"), **{later: VALUE})
    two = _create(org, fresh("u"), **{earlier: VALUE})
    both = _create(org, **{later: VALUE, earlier: VALUE})
    assert both["merged_to"]["profile_id"] == two["profile_id"]
    assert not is_one(org, one, two)


def test_a_match_with_two_users_by_one_rule_uses_the_older_claim(org: Cds) -> None:
    key = org.matched(multi_valued=True)
    older = _create(org, fresh("u"), **{key: ["one1"]})
    newer = _create(org, fresh("u"), **{key: ["two2"]})
    both = _create(org, **{key: ["two2", "one1"]})
    assert both["merged_to"]["profile_id"] == older["profile_id"]
    assert not is_one(org, older, newer)


def test_a_bridge_between_two_users_joins_what_is_not_anothers(org: Cds) -> None:
    left, right = org.matched(), org.matched()
    one, two = _create(org, fresh("u"), **{left: VALUE}), _create(org, fresh("u"), **{right: VALUE})
    bridge = _create(org, **{left: VALUE, right: VALUE})
    assert is_one(org, bridge, one)
    assert not is_one(org, one, two)
