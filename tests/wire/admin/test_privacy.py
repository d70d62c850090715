"""`/t/{org}/api/v1`: export, erasure with its receipt, values that are no longer valid."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from support.service import RunningService
from wire.client import TIMESTAMP, UNKNOWN_ID, Cds, assert_error, fresh

BAD_IDS = [UNKNOWN_ID, "no-uuid", "%00", "a" * 300, "0" * 24, "user_id:unknown", "user_id:a%2Fb"]


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _export(org: Cds, profile_id: str) -> dict[str, Any]:
    answer = org.admin("GET", f"/profiles/{profile_id}/export")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _erase(org: Cds, profile_id: str) -> dict[str, Any]:
    answer = org.admin("POST", f"/profiles/{profile_id}/erase")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _unfit(org: Cds) -> list[dict[str, Any]]:
    answer = org.admin("GET", "/unfit-values")
    assert answer.status_code == 200, answer.text
    assert "next_cursor" not in answer.json()["pagination"]
    return list(answer.json()["unfit_values"])


# -- export -------------------------------------------------------------------------------------------------


def test_an_export_holds_everything_about_one_person(org: Cds) -> None:
    key = org.trait_with_rule()
    secret = org.trait(mutability="writeOnly")
    score = org.application_attribute("integer")
    category = org.category(f"traits.{key}")
    user, other_user = fresh("u"), fresh("u")
    created = org.post("/profiles", {"user_id": user, "traits": {key: "a1", secret: "hidden-word"}})
    survivor, tracker = created.json()["profile_id"], created.json()["anonymous_profile_tracker"]
    absorbed = org.create({"traits": {key: "a1"}, "application_data": {org.client_id: {score: 7}}})
    org.consent(survivor, **{category: True})
    org.create({"user_id": other_user, "traits": {key: "a1"}})
    for profile_id in (survivor, absorbed["profile_id"]):
        document = _export(org, profile_id)
        assert document["organisation"] == org.org
        assert document["profile"]["profile_id"] == survivor
        assert document["profile"]["user_id"] == user
        assert [absorbed_profile["profile_id"] for absorbed_profile in document["absorbed_profiles"]] == [
            absorbed["profile_id"]
        ]
        assert document["values"]["traits"] == {key: "a1", secret: "hidden-word"}
        assert document["values"]["application_data"] == {org.client_id: {score: 7}}
        assert f"traits.{key}" in document["provenance"]
        (stored_consent,) = document["consents"]
        assert (stored_consent["category_identifier"], stored_consent["is_consented"]) == (category, True)
        identifiers = {
            (identifier["namespace"], identifier["value"]) for identifier in document["identifiers"]
        }
        digest = f"sha256:{hashlib.sha256(tracker.encode()).hexdigest()[:32]}"
        assert {("user_id", user), ("tracker", digest), (f"traits.{key}", "a1")} <= identifiers
        assert tracker not in json.dumps(document)
        assert [merge["absorbed_id"] for merge in document["merges"]] == [absorbed["profile_id"]]
        assert {refusal["code"] for refusal in document["refusals"]} == {"different_user"}
        assert {"write", "consent"} <= {observation["kind"] for observation in document["observations"]}
        assert len(document["observations"]) >= 3
        assert other_user not in json.dumps(document)


def test_an_export_is_a_json_attachment(org: Cds) -> None:
    profile_id = org.create()["profile_id"]
    answer = org.admin("GET", f"/profiles/{profile_id}/export")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["content-disposition"] == f'attachment; filename="person-{profile_id}.json"'


@pytest.mark.parametrize("profile_id", BAD_IDS)
def test_exporting_or_erasing_an_unknown_person_is_404(org: Cds, profile_id: str) -> None:
    assert_error(org.admin("GET", f"/profiles/{profile_id}/export"), 404, "CDS-11001")
    assert_error(org.admin("POST", f"/profiles/{profile_id}/erase"), 404, "CDS-11001")
    answer = org.admin("GET", f"/erasures/{profile_id}")
    assert answer.status_code == 404


def test_a_person_of_another_organisation_is_404(org: Cds, other: Cds) -> None:
    profile_id = org.create()["profile_id"]
    assert_error(other.admin("GET", f"/profiles/{profile_id}/export"), 404, "CDS-11001")
    assert_error(other.admin("POST", f"/profiles/{profile_id}/erase"), 404, "CDS-11001")
    receipt = _erase(org, profile_id)
    assert other.admin("GET", f"/erasures/{receipt['receipt_id']}").status_code == 404
    assert receipt not in other.admin("GET", "/erasures").json()["erasures"]


def test_a_person_is_exported_and_erased_by_an_identity(org: Cds) -> None:
    user = f"crm/{fresh('u')}"
    ids = [org.create({"user_id": user})["profile_id"] for _ in range(2)]
    identity = f"user_id:{user.replace('/', '%2F')}"
    answer = org.admin("GET", f"/profiles/{identity}/export")
    assert answer.json()["profile"]["profile_id"] == ids[0]
    assert answer.headers["content-disposition"] == f'attachment; filename="person-{ids[0]}.json"'
    assert set(_erase(org, identity)["profile_ids"]) == set(ids)
    assert_error(org.admin("GET", f"/profiles/{identity}/export"), 404, "CDS-11001")


# -- erasure ------------------------------------------------------------------------------------------------


def test_an_erasure_returns_a_stored_receipt(org: Cds) -> None:
    user = fresh("u")
    ids = [org.create({"user_id": user})["profile_id"] for _ in range(3)]
    receipt = _erase(org, ids[0])
    assert set(receipt["profile_ids"]) == set(ids)
    assert TIMESTAMP.match(receipt["erased_at"])
    assert receipt["application"] == org.client_id
    assert receipt["entries"] == 3
    assert receipt["identifiers"] == 4
    assert org.admin("GET", f"/erasures/{receipt['receipt_id']}").json() == receipt
    assert org.admin("GET", "/erasures").json()["erasures"][0] == receipt
    for profile_id in ids:
        assert_error(org.get(f"/profiles/{profile_id}"), 404, "CDS-11001")
        assert_error(org.admin("GET", f"/profiles/{profile_id}/export"), 404, "CDS-11001")
        assert_error(org.admin("POST", f"/profiles/{profile_id}/erase"), 404, "CDS-11001")
    assert user not in org.admin("GET", "/erasures").text


def test_a_delete_on_the_cds_wire_stores_a_receipt(org: Cds) -> None:
    profile_id = org.create()["profile_id"]
    assert org.delete(f"/profiles/{profile_id}").status_code == 204
    receipt = org.admin("GET", "/erasures").json()["erasures"][0]
    assert receipt["profile_ids"] == [profile_id]
    assert org.delete(f"/profiles/{profile_id}").status_code == 204
    assert org.admin("GET", "/erasures").json()["erasures"][0] == receipt


def test_erasing_an_absorbed_profile_erases_it_alone(org: Cds) -> None:
    user = fresh("u")
    ids = [org.create({"user_id": user})["profile_id"] for _ in range(3)]
    assert _erase(org, ids[1])["profile_ids"] == [ids[1]]
    assert [entry["profile_id"] for entry in org.read(ids[0])["merged_from"]] == [ids[2]]
    assert ids[1] not in {
        absorbed_profile["profile_id"] for absorbed_profile in _export(org, ids[0])["absorbed_profiles"]
    }


def test_an_erased_person_can_return_as_a_new_profile(org: Cds) -> None:
    key, user = org.trait_with_rule(), fresh("u")
    body = {"user_id": user, "traits": {key: "back-again"}}
    first = org.create(body)["profile_id"]
    _erase(org, first)
    second = org.create(body)
    assert second["profile_id"] != first
    assert "merged_to" not in second
    assert "merged_from" not in second
    assert first not in json.dumps(_export(org, second["profile_id"]))


def test_receipts_are_listed_page_by_page(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    receipts = [_erase(org, org.create()["profile_id"]) for _ in range(5)]
    found: list[dict[str, Any]] = []
    params = {"page_size": "2"}
    while True:
        page = org.admin("GET", "/erasures", params=params).json()
        found += page["erasures"]
        assert page["pagination"]["count"] == len(page["erasures"]) <= 2
        if "next_cursor" not in page["pagination"]:
            break
        params["cursor"] = page["pagination"]["next_cursor"]
    assert found == receipts[::-1]


@pytest.mark.parametrize("path", ["/erasures", "/unfit-values"])
@pytest.mark.parametrize("cursor", ["x", "bnVsbA", "WyJ4Il0", "e30", "%00", "WzEsMl0", "a" * 600])
def test_an_invalid_cursor_is_rejected(org: Cds, path: str, cursor: str) -> None:
    assert_error(org.admin("GET", path, params={"cursor": cursor}), 400, "CDS-10001")


@pytest.mark.parametrize(
    ("path", "place"),
    [("/users", rb'["\u0000"]'), ("/claims", rb'["\u0000"]'), ("/erasures", b"[9223372036854775808]")],
)
def test_a_cursor_that_no_row_can_have_is_invalid(org: Cds, path: str, place: bytes) -> None:
    cursor = base64.urlsafe_b64encode(place).decode().rstrip("=")
    assert_error(org.admin("GET", path, params={"cursor": cursor}), 400, "CDS-10001")


# -- values that are no longer valid ------------------------------------------------------------------------


def _retype(org: Cds, key: str, value_type: str) -> None:
    """Change the type of a trait."""
    name = f"traits.{key}"
    (attribute,) = (a for a in org.get("/profile-schema/traits").json() if a["attribute_name"] == name)
    body = {
        **{f: attribute[f] for f in ("attribute_name", "merge_strategy", "mutability")},
        "value_type": value_type,
    }
    answer = org.put(f"/profile-schema/traits/{attribute['attribute_id']}", body)
    assert answer.status_code == 200, answer.text


def test_a_value_that_became_invalid_is_hidden_until_it_is_valid_again(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key, plan = org.trait(), org.trait()
    ids = [org.create({"traits": {key: f"word-{n}", plan: "gold"}})["profile_id"] for n in range(2)]
    assert _unfit(org) == []
    _retype(org, key, "integer")
    (found,) = _unfit(org)
    assert found["path"] == f"traits.{key}"
    assert found["problem"]
    assert found["profiles"] == 2
    assert found["example"] in ids
    assert "word-" not in json.dumps(found)
    assert org.read(ids[0])["traits"] == {plan: "gold"}
    params = {"filter": f"traits.{key} eq word-0"}
    assert org.get("/profiles", params=params).json()["profiles"] == []
    _retype(org, key, "string")
    assert _unfit(org) == []
    assert org.read(ids[0])["traits"] == {key: "word-0", plan: "gold"}


def test_values_of_a_deleted_attribute_are_hidden_until_it_is_defined_again(
    new_org: Callable[[], Cds],
) -> None:
    org = new_org()
    key = org.trait()
    profile_id = org.create({"traits": {key: "kept"}})["profile_id"]
    (attribute,) = org.get("/profile-schema/traits").json()
    org.delete(f"/profile-schema/traits/{attribute['attribute_id']}")
    assert "traits" not in org.read(profile_id)
    assert [value["path"] for value in _unfit(org)] == [f"traits.{key}"]
    org.trait(key=key)
    assert org.read(profile_id)["traits"] == {key: "kept"}
    assert _unfit(org) == []


def test_invalid_values_never_block_a_write(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key, plan = org.trait(), org.trait()
    profile_id = org.create({"user_id": "u", "traits": {key: "word"}})["profile_id"]
    _retype(org, key, "integer")
    assert org.write(profile_id, {"traits": {plan: "gold"}})["traits"] == {plan: "gold"}
    assert org.create({"user_id": "u", "traits": {plan: "silver"}})["merged_to"]["profile_id"] == profile_id
    assert len(_unfit(org)) == 1
    assert org.write(profile_id, {"traits": {key: 5}})["traits"] == {key: 5, plan: "silver"}
    assert _unfit(org) == []


def test_invalid_values_match_nothing(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key = org.trait()
    for _ in range(2):
        org.create({"traits": {key: "word"}})
    _retype(org, key, "integer")
    answer = org.admin(
        "POST", "/unification-rules/preview", {"property_name": f"traits.{key}", "priority": 1}
    )
    assert answer.json()["counts"]["absorbed"] == 0


def test_invalid_values_are_visible_only_in_their_organisation(
    new_org: Callable[[], Cds], other: Cds
) -> None:
    org = new_org()
    key = org.trait()
    org.create({"traits": {key: "word"}})
    _retype(org, key, "integer")
    assert all(value["path"] != f"traits.{key}" for value in _unfit(other))


def test_the_log_folds_to_the_state(org: Cds, service: RunningService) -> None:
    result = service.command("verify", deadline_s=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
