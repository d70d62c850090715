"""The consents of a profile (docs/wire/cds.md §6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wire.client import TIMESTAMP, UNKNOWN_ID, Cds, assert_error, assert_error_text, fresh

PAYLOAD = "Invalid request body"
ZERO = "0001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _consent(category: str, yes: bool = True, **fields: Any) -> dict[str, Any]:
    return {"category_identifier": category, "is_consented": yes, **fields}


def _path(profile: dict[str, Any]) -> str:
    return f"/profiles/{profile['profile_id']}/consents"


def _consents(org: Cds, profile: dict[str, Any]) -> dict[str, bool]:
    answer = org.get(_path(profile))
    assert answer.status_code == 200, answer.text
    return {consent["category_identifier"]: consent["is_consented"] for consent in answer.json()}


def test_a_new_profile_has_no_consents(org: Cds) -> None:
    answer = org.get(_path(org.create()))
    assert (answer.status_code, answer.json()) == (200, [])


def test_the_example_of_the_contract(org: Cds) -> None:
    profile, category = org.create(), org.category()
    before = datetime.now(UTC)
    answer = org.put(_path(profile), [_consent(category)])
    assert answer.status_code == 200
    (stored,) = answer.json()
    assert TIMESTAMP.match(stored["consented_at"])
    at = datetime.fromisoformat(stored["consented_at"])
    assert before - timedelta(seconds=5) < at < datetime.now(UTC) + timedelta(seconds=5)
    assert stored == _consent(category, consented_at=stored["consented_at"])
    assert org.get(_path(profile)).json() == [stored]


@pytest.mark.parametrize("instant", [None, "", ZERO, "0001-01-01T00:00:00.000000Z"])
def test_a_missing_or_zero_instant_becomes_now(org: Cds, instant: str | None) -> None:
    profile, category = org.create(), org.category()
    (stored,) = org.put(_path(profile), [_consent(category, consented_at=instant)]).json()
    assert datetime.fromisoformat(stored["consented_at"]) > datetime.now(UTC) - timedelta(minutes=5)


def test_a_given_instant_is_stored(org: Cds) -> None:
    profile, category = org.create(), org.category()
    (stored,) = org.put(
        _path(profile), [_consent(category, False, consented_at="2025-01-02T05:04:05+02:00")]
    ).json()
    assert stored == _consent(category, False, consented_at="2025-01-02T03:04:05.000000Z")
    assert org.get(_path(profile)).json() == [stored]


@pytest.mark.parametrize("consents", [(True, False), (False, True), (False, True, True)])
def test_of_two_choices_in_one_category_the_refusal_applies(org: Cds, consents: tuple[bool, ...]) -> None:
    profile, category = org.create(), org.category()
    body = [_consent(category, consented) for consented in consents]
    assert org.put(_path(profile), body).status_code == 200
    assert _consents(org, profile) == {category: False}


def test_of_two_equal_choices_the_later_instant_applies(org: Cds) -> None:
    profile, category = org.create(), org.category()
    for hours in ((3, 5), (5, 3)):
        body = [_consent(category, consented_at=f"2025-01-02T0{hour}:00:00Z") for hour in hours]
        (stored,) = org.put(_path(profile), body).json()
        assert stored["consented_at"] == "2025-01-02T05:00:00.000000Z"


def test_put_replaces_all_consents(org: Cds) -> None:
    profile = org.create()
    one, two, three = (org.category() for _ in range(3))
    org.consent(profile["profile_id"], **{one: True, two: False})
    assert _consents(org, profile) == {one: True, two: False}
    org.consent(profile["profile_id"], **{three: True, two: True})
    assert _consents(org, profile) == {two: True, three: True}
    org.consent(profile["profile_id"])
    assert _consents(org, profile) == {}


def test_unknown_fields_of_a_consent_are_ignored(org: Cds) -> None:
    profile, category = org.create(), org.category()
    assert org.put(_path(profile), [_consent(category, colour="red")]).status_code == 200


UNDECODABLE = {
    "empty": "",
    "cut off": "[",
    "syntax": "[,]",
    "object": "{}",
    "null": "null",
    "no objects": '["x"]',
    "no category": '[{"is_consented": true}]',
    "no answer": '[{"category_identifier": "x"}]',
    "answer": '[{"category_identifier": "x", "is_consented": "yes"}]',
    "category": '[{"category_identifier": 5, "is_consented": true}]',
    "instant": '[{"category_identifier": "x", "is_consented": true, "consented_at": "yesterday"}]',
    "instant type": '[{"category_identifier": "x", "is_consented": true, "consented_at": 5}]',
}


@pytest.mark.parametrize("body", UNDECODABLE.values(), ids=UNDECODABLE)
def test_an_undecodable_body_is_a_text_error_and_changes_nothing(org: Cds, body: str) -> None:
    profile, category = org.create(), org.category()
    org.consent(profile["profile_id"], **{category: True})
    assert_error_text(org.raw("PUT", _path(profile), body), 400, PAYLOAD)
    assert _consents(org, profile) == {category: True}


@pytest.mark.parametrize("profile_id", [UNKNOWN_ID, "no-uuid", "%00"])
def test_an_unknown_profile_is_404(org: Cds, profile_id: str) -> None:
    path = f"/profiles/{profile_id}/consents"
    assert_error(org.get(path), 404, "CDS-11001")
    assert_error(org.put(path, []), 404, "CDS-11001")
    assert_error(org.put(path, [_consent(org.category())]), 404, "CDS-11001")


def test_profiles_and_categories_of_another_organisation_are_unknown(org: Cds, other: Cds) -> None:
    profile, other_profile = org.create(), other.create()
    assert_error(other.get(_path(profile)), 404, "CDS-11001")
    assert_error(other.put(_path(profile), []), 404, "CDS-11001")
    assert_error(other.put(_path(other_profile), [_consent(org.category())]), 404, "CDS-14003")


def test_an_unknown_category_changes_nothing(org: Cds) -> None:
    profile, category = org.create(), org.category()
    org.consent(profile["profile_id"], **{category: True})
    for unknown in (UNKNOWN_ID, "", "x" * 300):
        assert_error(
            org.put(_path(profile), [_consent(category, False), _consent(unknown)]), 404, "CDS-14003"
        )
    assert _consents(org, profile) == {category: True}


def test_consent_to_the_mandatory_category_is_rejected(org: Cds) -> None:
    profile = org.create()
    mandatory = next(c for c in org.get("/consent-categories").json() if c["is_mandatory"])
    for yes in (True, False):
        body = [_consent(mandatory["category_identifier"], yes)]
        assert_error(org.put(_path(profile), body), 403, "CDS-14006")
    assert _consents(org, profile) == {}


def test_a_deleted_category_is_removed_from_the_consents(org: Cds) -> None:
    profile, remaining, deleted = org.create(), org.category(), org.category()
    org.consent(profile["profile_id"], **{remaining: True, deleted: True})
    assert org.delete(f"/consent-categories/{deleted}").status_code == 204
    assert _consents(org, profile) == {remaining: True}


def test_a_changed_category_keeps_its_consents(org: Cds) -> None:
    profile, category = org.create(), org.category()
    org.consent(profile["profile_id"], **{category: False})
    org.put(f"/consent-categories/{category}", {"category_name": fresh("new"), "purpose": "profiling"})
    assert _consents(org, profile) == {category: False}


# -- one person ---------------------------------------------------------------------------------------------


def test_consents_are_read_and_written_through_any_id(org: Cds) -> None:
    user, one, two = fresh("u"), org.category(), org.category()
    survivor, absorbed = (org.create({"user_id": user}) for _ in range(2))
    assert absorbed["merged_to"]["profile_id"] == survivor["profile_id"]
    org.consent(absorbed["profile_id"], **{one: True})
    assert _consents(org, survivor) == _consents(org, absorbed) == {one: True}
    org.consent(survivor["profile_id"], **{two: False})
    assert _consents(org, survivor) == _consents(org, absorbed) == {two: False}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_a_merge_keeps_the_more_restrictive_consent(org: Cds, first: bool, second: bool) -> None:
    category, first_only, second_only = org.category(), org.category(), org.category()
    one, two = org.create({"user_id": fresh("u")}), org.create()
    org.consent(one["profile_id"], **{category: first, first_only: True})
    org.consent(two["profile_id"], **{category: second, second_only: True})
    org.write(two["profile_id"], {"user_id": one["user_id"]})
    assert (
        _consents(org, one)
        == _consents(org, two)
        == {category: first and second, first_only: True, second_only: True}
    )


def test_a_consent_after_a_merge_is_stored(org: Cds) -> None:
    category = org.category()
    one, two = org.create({"user_id": fresh("u")}), org.create()
    org.consent(one["profile_id"], **{category: False})
    org.consent(two["profile_id"], **{category: True})
    org.write(two["profile_id"], {"user_id": one["user_id"]})
    assert _consents(org, one) == {category: False}
    org.consent(two["profile_id"], **{category: True})
    assert _consents(org, one) == {category: True}


def test_a_restrictive_consent_keeps_its_instant(org: Cds) -> None:
    category = org.category()
    one, two = org.create({"user_id": fresh("u")}), org.create()
    at = "2024-05-06T07:08:09.000000Z"
    org.consent(one["profile_id"], **{category: True})
    org.put(_path(two), [_consent(category, False, consented_at=at)])
    org.write(two["profile_id"], {"user_id": one["user_id"]})
    assert org.get(_path(one)).json() == [_consent(category, False, consented_at=at)]


def test_a_consent_changes_the_version(org: Cds) -> None:
    profile, category = org.create(), org.category()
    path = f"/profiles/{profile['profile_id']}"
    before = org.get(path).headers["etag"]
    org.consent(profile["profile_id"], **{category: True})
    after = org.get(path).headers["etag"]
    assert after != before
    assert_error(org.patch(path, {}, headers={"If-Match": before}), 412, "CDS-11011")
    assert org.patch(path, {}, headers={"If-Match": after}).status_code == 200


def test_consents_require_profile_permissions(org: Cds) -> None:
    path = _path(org.create())
    assert_error(org.get(path, token=org.token("profile_update")), 403, "CDS-10003")
    assert_error(org.put(path, [], token=org.token("profile_view")), 403, "CDS-10003")
    assert_error(org.get(path, anonymous=True), 401, "CDS-10002")
    assert_error(org.raw("PUT", path, "{", anonymous=True), 401, "CDS-10002")


def test_consents_are_rejected_while_the_service_is_disabled(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    path = _path(org.create())
    org.patch("/config", {"cds_enabled": False})
    assert_error(org.get(path), 400, "CDS-16001")
    assert_error(org.raw("PUT", path, json.dumps([])), 400, "CDS-16001")
