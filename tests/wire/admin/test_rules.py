"""`/t/{org}/api/v1`: preview and progress of rules, refusals, protection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire.client import TIMESTAMP, UNKNOWN_ID, Cds, assert_error, fresh
from wire.person import is_one_person, progress_of, wait_until_applied

#: What the business believes: the decisions that the write path made.
BELIEVED = {"view": "all"}
NOTHING = {"profiles": 0, "absorbed": 0, "groups": 0, "values_changed": 0, "refusals": 0, "separated": 0}


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _create(org: Cds, user_id: str | None = None, **traits: Any) -> dict[str, Any]:
    return org.create({"traits": traits, **({"user_id": user_id} if user_id else {})})


def _preview(org: Cds, **body: Any) -> dict[str, Any]:
    """The preview of a rule, the same in both views: all that these tests know, applications said."""
    believed, proven = (
        org.admin("POST", "/unification-rules/preview", body, params={"view": view})
        for view in ("all", "proven")
    )
    assert (believed.status_code, proven.status_code) == (200, 200), believed.text
    for part in ("counts", "largest_group", "merges"):
        assert believed.json()[part] == proven.json()[part]
    return dict(proven.json())


def _new(key: str, **fields: Any) -> dict[str, Any]:
    return {"rule_name": fresh("rule"), "property_name": f"traits.{key}", "priority": 90_001, **fields}


# -- preview and progress -----------------------------------------------------------------------------------


def test_activation_does_what_the_preview_shows(org: Cds) -> None:
    key, plan = org.trait(), org.trait()
    first = _create(org, fresh("u"), **{key: "a1", plan: "trial"})
    second = _create(org, **{key: "A1", plan: "gold"})
    other = _create(org, **{key: "b1"})
    preview = _preview(org, **_new(key))
    (merge,) = preview["merges"]
    assert merge == {
        "survivor": first["profile_id"],
        "absorbed": [second["profile_id"]],
        "identifier": {"namespace": f"traits.{key}", "value": "a1"},
    }
    assert {(c["profile"], c["path"]) for c in preview["values_changed"]} == {
        (first["profile_id"], f"traits.{name}") for name in (key, plan)
    }
    counts = {"profiles": 3, "absorbed": 1, "groups": 1, "values_changed": 2, "refusals": 0, "separated": 0}
    assert preview["counts"] == counts
    assert preview["largest_group"] == 2
    assert (preview["refusals"], preview["separated"]) == ([], [])
    assert not is_one_person(org, first, second)
    job = wait_until_applied(org, org.rule(f"traits.{key}"))
    assert (job["state"], job["merged"]) == ("done", 1)
    assert is_one_person(org, first, second)
    assert not is_one_person(org, first, other)


@pytest.mark.parametrize("view", ["proven", "all"])
def test_two_users_are_refused_in_the_preview_and_in_the_list(org: Cds, view: str) -> None:
    key = org.trait()
    pair = [_create(org, fresh("u"), **{key: "a1"}) for _ in range(2)]
    (refusal,) = _preview(org, **_new(key))["refusals"]
    assert refusal["code"] == "different_user"
    assert set(refusal["profiles"]) == {profile["profile_id"] for profile in pair}
    wait_until_applied(org, org.rule(f"traits.{key}"))
    params = {"code": "different_user", "view": view}
    listed = org.admin("GET", "/refusals", params=params).json()["refusals"]
    assert any(set(entry["profiles"]) == set(refusal["profiles"]) for entry in listed)
    assert not is_one_person(org, *pair)


def test_a_preview_of_activation(org: Cds) -> None:
    key = org.trait()
    pair = [_create(org, **{key: "a1"}) for _ in range(2)]
    rule = org.rule(f"traits.{key}", is_active=False)
    assert progress_of(org, rule) is None
    assert _preview(org, rule_id=rule["rule_id"])["counts"] == NOTHING
    assert _preview(org, rule_id=rule["rule_id"], is_active=True)["counts"]["absorbed"] == 1
    org.patch(f"/unification-rules/{rule['rule_id']}", {"is_active": True})
    assert wait_until_applied(org, rule)["merged"] == 1
    assert is_one_person(org, *pair)


def test_a_preview_of_deactivation_lists_separated_profiles(org: Cds) -> None:
    key = org.trait_with_rule()
    pair = [_create(org, **{key: "a1"})["profile_id"] for _ in range(2)]
    (rule,) = (r for r in org.get("/unification-rules").json() if r["property_name"] == f"traits.{key}")
    preview = _preview(org, rule_id=rule["rule_id"], is_active=False)
    assert preview["counts"] == {**NOTHING, "separated": 1}
    (separation,) = preview["separated"]
    assert separation["survivor"] == pair[0]
    assert sorted(separation["groups"]) == sorted([profile] for profile in pair)
    org.patch(f"/unification-rules/{rule['rule_id']}", {"is_active": False})
    assert org.read(pair[1])["merged_to"]["profile_id"] == pair[0]


def test_a_previewed_rule_is_active_by_default(org: Cds) -> None:
    key = org.trait()
    for _ in range(2):
        _create(org, **{key: "a1"})
    assert _preview(org, property_name=f"traits.{key}", priority=90_002)["counts"]["absorbed"] == 1
    assert _preview(org, **_new(key, is_active=False))["counts"] == NOTHING


def test_a_preview_is_limited_to_its_organisation(org: Cds, other: Cds) -> None:
    key = fresh()
    for caller in (org, other):
        caller.trait(key=key)
        _create(caller, **{key: "a1"})
    assert _preview(org, **_new(key))["counts"] == {**NOTHING, "profiles": 1}


def test_a_preview_rejects_invalid_requests(org: Cds) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    for body, status, code in (
        ({"rule_id": UNKNOWN_ID}, 404, "CDS-12001"),
        ({"rule_id": rule["rule_id"], "property_name": "traits.x"}, 400, "CDS-12002"),
        ({"property_name": "traits.nowhere"}, 400, "CDS-15201"),
        ({"property_name": "user_id"}, 400, "CDS-15201"),
        ({}, 400, "CDS-15201"),
        ({"property_name": rule["property_name"], "priority": 90_003}, 409, "CDS-12003"),
        (_new(org.trait(), priority=rule["priority"]), 400, "CDS-12004"),
        (_new("x", colour="red"), 400, "CDS-10001"),
        ({"property_name": 5}, 400, "CDS-10001"),
        ({"rule_id": 5}, 400, "CDS-10001"),
        ({"priority": "1"}, 400, "CDS-10001"),
    ):
        assert_error(org.admin("POST", "/unification-rules/preview", body), status, code)


def test_a_rule_of_another_organisation_has_no_preview_and_no_progress(org: Cds, other: Cds) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    assert_error(
        other.admin("POST", "/unification-rules/preview", {"rule_id": rule["rule_id"]}), 404, "CDS-12001"
    )
    assert progress_of(org, rule)
    assert progress_of(other, rule) is None


def test_progress_has_instants_and_counts(org: Cds) -> None:
    _create(org)
    job = wait_until_applied(org, org.rule(f"traits.{org.trait()}"))
    assert set(job) == {
        "rule_id", "state", "seen", "indexed", "merged", "total", "started_at", "updated_at"
    }  # fmt: skip
    assert TIMESTAMP.match(job["started_at"])
    assert job["started_at"] <= job["updated_at"]
    assert (job["indexed"], job["merged"]) == (0, 0)


def test_a_deactivated_rule_is_not_running(org: Cds) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    org.patch(f"/unification-rules/{rule['rule_id']}", {"is_active": False})
    job = progress_of(org, rule)
    assert job
    assert job["state"] in ("cancelled", "done")


# -- refusals -----------------------------------------------------------------------------------------------


def test_refusals_are_listed_newest_first_in_pages(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key = org.trait_with_rule()
    pairs = [{_create(org, fresh("u"), **{key: f"v{n}"})["profile_id"] for _ in range(2)} for n in range(5)]
    listed = org.admin("GET", "/refusals", params=BELIEVED).json()
    assert [set(entry["profiles"]) for entry in listed["refusals"]] == pairs[::-1]
    assert listed["counts"] == {"different_user": 5}
    assert listed["pagination"] == {"count": 5, "page_size": 50}
    for entry in listed["refusals"]:
        assert (entry["code"], entry["times"]) == ("different_user", 1)
        assert TIMESTAMP.match(entry["first_at"])
        assert entry["first_at"] <= entry["last_at"]
    found, params = [], {"page_size": "2", **BELIEVED}
    while True:
        page = org.admin("GET", "/refusals", params=params).json()
        found += page["refusals"]
        assert page["pagination"]["count"] == len(page["refusals"]) <= 2
        if "next_cursor" not in page["pagination"]:
            break
        params["cursor"] = page["pagination"]["next_cursor"]
    assert found == listed["refusals"]
    filtered = org.admin("GET", "/refusals", params={"code": "limit_exceeded", **BELIEVED}).json()
    assert (filtered["refusals"], filtered["counts"]) == ([], {"different_user": 5})


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "x"},
        {"cursor": "bnVsbA"},
        {"cursor": "WzEsMiwzXQ"},
        {"cursor": "e30"},
        {"code": "x"},
        {"code": ""},
    ],
    ids=str,
)
def test_invalid_parameters_of_refusals_are_rejected(org: Cds, params: dict[str, str]) -> None:
    assert_error(org.admin("GET", "/refusals", params=params), 400, "CDS-10001")


@pytest.mark.parametrize("size", ["-1", "0", "x", "1.5", "99999999999999999999"])
def test_a_page_size_must_be_a_positive_integer(org: Cds, size: str) -> None:
    answer = org.admin("GET", "/refusals", params={"page_size": size})
    assert_error(answer, 400, "CDS-10001", "page_size must be a positive integer.")


# -- protection ---------------------------------------------------------------------------------------------


def test_protection_is_read_and_changed_field_by_field(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    before = org.admin("GET", "/protection").json()
    assert (before["blocked_values"], before["blocked_patterns"]) == ([], [])
    assert before["profiles_per_merge_max"] >= 1
    assert before["values_per_namespace_max"] >= 1
    changes: list[dict[str, Any]] = [
        {"blocked_values": ["b", "a"]},
        {"blocked_patterns": ["*@test.example"]},
        {"profiles_per_merge_max": 7},
        {"values_per_namespace_max": 9},
        {"blocked_values": []},
        {},
    ]
    expected = before
    for change in changes:
        answer = org.admin("PATCH", "/protection", change)
        assert answer.status_code == 200, answer.text
        expected = {**expected, **change}
        assert {**answer.json(), "blocked_values": sorted(answer.json()["blocked_values"])} == {
            **expected,
            "blocked_values": sorted(expected["blocked_values"]),
        }
        assert org.admin("GET", "/protection").json() == answer.json()


def test_blocked_values_and_patterns_merge_nothing(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key = org.trait_with_rule()
    body = {"blocked_values": ["Shop@Acme.example"], "blocked_patterns": ["*@test.example"]}
    assert org.admin("PATCH", "/protection", body).status_code == 200
    for value in ("shop@acme.example", " SHOP@acme.EXAMPLE", "a@test.example", "A@TEST.example"):
        assert "merged_to" not in _create(org, **{key: value})
    assert org.admin("GET", "/refusals", params=BELIEVED).json()["counts"] == {"blocked_value": 4}
    org.admin("PATCH", "/protection", {"blocked_values": []})
    assert is_one_person(org, *(_create(org, **{key: "shop@acme.example"}) for _ in range(2)))


def test_a_merge_is_limited_to_the_configured_number_of_profiles(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key = org.trait_with_rule(multi_valued=True)
    org.admin("PATCH", "/protection", {"profiles_per_merge_max": 2})
    for number in range(4):
        _create(org, **{key: [f"v{number}"]})
    bridge = _create(org, **{key: [f"v{number}" for number in range(4)]})
    survivor = org.read(bridge.get("merged_to", bridge)["profile_id"])
    assert len(survivor["merged_from"]) == 2
    assert org.admin("GET", "/refusals", params=BELIEVED).json()["counts"]["limit_exceeded"] == 2


@pytest.mark.parametrize(
    "body",
    [
        {"colour": "red"},
        {"blocked_values": "x"},
        {"blocked_values": [5]},
        {"blocked_values": [""]},
        {"blocked_values": ["x" * 513]},
        {"blocked_patterns": {"a": 1}},
        {"profiles_per_merge_max": 0},
        {"profiles_per_merge_max": -1},
        {"profiles_per_merge_max": 1.5},
        {"profiles_per_merge_max": True},
        {"values_per_namespace_max": "5"},
        {"values_per_namespace_max": 10**7},
        {"profiles_per_merge_max": 5, "blocked_values": [None]},
    ],
    ids=lambda body: str(body)[:40],
)
def test_an_invalid_protection_changes_nothing(org: Cds, body: dict[str, Any]) -> None:
    before = org.admin("GET", "/protection").json()
    assert_error(org.admin("PATCH", "/protection", body), 400, "CDS-10001")
    assert org.admin("GET", "/protection").json() == before


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '"x"', "{,}", "\x00"])
@pytest.mark.parametrize("route", ["POST /unification-rules/preview", "PATCH /protection"])
def test_an_undecodable_body_is_rejected(org: Cds, route: str, raw: str) -> None:
    method, path = route.split()
    assert_error(org.raw(method, path, raw, face="/api/v1"), 400, "CDS-10001")
