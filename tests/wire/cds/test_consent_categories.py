"""Consent categories (docs/wire/cds.md §10)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, draft, fresh

PURPOSES = ["profiling", "personalization", "destination"]


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _draft(**fields: Any) -> dict[str, Any]:
    return {"category_name": fresh("category"), "purpose": "personalization", **fields}


def _mandatory_category(org: Cds) -> dict[str, Any]:
    found = [category for category in org.get("/consent-categories").json() if category["is_mandatory"]]
    assert len(found) == 1
    return dict(found[0])


def _create(org: Cds, **fields: Any) -> dict[str, Any]:
    answer = org.post("/consent-categories", _draft(**fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_enabling_creates_the_mandatory_category(org: Cds) -> None:
    category = _mandatory_category(org)
    assert (category["category_name"], category["purpose"]) == ("Identity Data", "profiling")
    schema = org.get("/profile-schema/identity_attributes").json()
    names = {attribute["attribute_name"] for attribute in schema}
    assert names
    assert {entry["attribute_name"] for entry in category["attributes"]} == names
    assert {entry["scope"] for entry in category["attributes"]} == {"identityAttributes"}
    assert {entry["attribute_id"] for entry in category["attributes"]} == {""}


def test_enabling_again_creates_no_second_mandatory_category(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    before = _mandatory_category(org)
    for enabled in (False, True, True):
        org.patch("/config", {"cds_enabled": enabled})
    assert _mandatory_category(org) == before


def test_the_example_of_the_contract(org: Cds) -> None:
    if not any(a["attribute_name"] == "traits.plan" for a in org.get("/profile-schema/traits").json()):
        org.define("traits", draft("traits.plan"))
    sent = {"category_name": "Offers", "purpose": "personalization"}
    answer = org.post("/consent-categories", {**sent, "attributes": [{"attribute_name": "traits.plan"}]})
    assert answer.status_code == 201
    category = answer.json()
    assert str(uuid.UUID(category["category_identifier"])) == category["category_identifier"]
    assert category == {
        **sent,
        "category_identifier": category["category_identifier"],
        "is_mandatory": False,
        "attributes": [{"scope": "traits", "attribute_name": "traits.plan", "attribute_id": ""}],
    }
    path = f"/consent-categories/{category['category_identifier']}"
    assert org.get(path).json() == category
    assert category in org.get("/consent-categories").json()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_every_purpose_is_accepted(org: Cds, purpose: str) -> None:
    assert _create(org, purpose=purpose)["purpose"] == purpose


def test_destinations_keep_their_order(org: Cds) -> None:
    assert _create(org, purpose="destination", destinations=["b", "a"])["destinations"] == ["b", "a"]


def test_attributes_of_every_scope_are_accepted(org: Cds) -> None:
    app = org.application_attribute()
    trait = f"traits.{org.trait()}"
    identity = org.get("/profile-schema/identity_attributes").json()[0]["attribute_name"]
    entries = [
        {"attribute_name": trait},
        {"attribute_name": identity},
        {"attribute_name": f"application_data.{app}", "application_identifier": org.client_id},
    ]
    shown = _create(org, attributes=entries)["attributes"]
    assert [entry["scope"] for entry in shown] == ["traits", "identity_attributes", "application_data"]
    assert [entry["attribute_name"] for entry in shown] == [entry["attribute_name"] for entry in entries]
    assert shown[2]["application_identifier"] == org.client_id
    assert "application_identifier" not in shown[0]


def test_a_sub_attribute_is_accepted(org: Cds) -> None:
    name = f"traits.{org.address(city='string')}.city"
    assert _create(org, attributes=[{"attribute_name": name}])["attributes"][0]["attribute_name"] == name


def test_unknown_fields_are_ignored(org: Cds) -> None:
    category = _create(org, colour="red", is_mandatory=True, category_identifier=UNKNOWN_ID)
    assert "colour" not in category
    assert category["is_mandatory"] is False
    assert category["category_identifier"] != UNKNOWN_ID


INVALID: dict[str, dict[str, Any]] = {
    "no name": {"purpose": "profiling"},
    "empty name": _draft(category_name=""),
    "blank name": _draft(category_name="  "),
    "null name": _draft(category_name=None),
    "no purpose": {"category_name": "x"},
    "empty purpose": _draft(purpose=""),
    "unknown purpose": _draft(purpose="curiosity"),
    "unknown attribute": _draft(attributes=[{"attribute_name": "traits.nowhere"}]),
    "no scope": _draft(attributes=[{"attribute_name": "plan"}]),
    "empty attribute": _draft(attributes=[{"attribute_name": ""}]),
    "nameless attribute": _draft(attributes=[{}]),
    "application data alone": _draft(attributes=[{"attribute_name": "application_data.x"}]),
    "unknown application": _draft(
        attributes=[{"attribute_name": "application_data.x", "application_identifier": "unknown"}]
    ),
    "long name": _draft(category_name="x" * 256),
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
def test_an_invalid_category_is_rejected(org: Cds, body: dict[str, Any]) -> None:
    before = org.get("/consent-categories").json()
    assert_error(org.post("/consent-categories", body), 400, "CDS-14001")
    assert org.get("/consent-categories").json() == before
    category = _create(org)
    path = f"/consent-categories/{category['category_identifier']}"
    assert_error(org.put(path, body), 400, "CDS-14001")
    assert org.get(path).json() == category


def test_application_data_needs_the_right_application(org: Cds) -> None:
    name = f"application_data.{org.application_attribute()}"
    for entry in (
        {"attribute_name": name},
        {"attribute_name": name, "application_identifier": ""},
        {"attribute_name": name, "application_identifier": "another"},
    ):
        assert_error(org.post("/consent-categories", _draft(attributes=[entry])), 400, "CDS-14001")


UNDECODABLE = {
    "empty": "",
    "cut off": '{"category_name": "x"',
    "syntax": "{,}",
    "array": "[]",
    "string": '"x"',
    "name": '{"category_name": 1}',
    "purpose": '{"purpose": []}',
    "destinations": '{"destinations": "x"}',
    "a destination": '{"destinations": [1]}',
    "attributes": '{"attributes": {}}',
    "an attribute": '{"attributes": ["traits.plan"]}',
    "its name": '{"attributes": [{"attribute_name": 5}]}',
}


@pytest.mark.parametrize("body", UNDECODABLE.values(), ids=UNDECODABLE)
def test_an_undecodable_body_changes_nothing(org: Cds, body: str) -> None:
    path = f"/consent-categories/{_create(org)['category_identifier']}"
    before = org.get("/consent-categories").json()
    assert_error(org.raw("POST", "/consent-categories", body), 400, "CDS-15302")
    assert_error(org.raw("PUT", path, body), 400, "CDS-14005")
    assert org.get("/consent-categories").json() == before


def test_the_descriptions_of_an_undecodable_body(org: Cds) -> None:
    for body, description in (
        ("", "Request body for consent category is empty."),
        ("{", "Malformed JSON in consent category request body (unexpected end of input)."),
        ("{,}", "Malformed JSON in consent category request body."),
        ("[]", "Invalid JSON type for consent category request body."),
    ):
        assert_error(org.raw("POST", "/consent-categories", body), 400, "CDS-15302", description)


def test_a_name_is_unique_in_an_organisation(org: Cds, other: Cds) -> None:
    one, two = _create(org), _create(org)
    assert_error(
        org.post("/consent-categories", _draft(category_name=one["category_name"])), 409, "CDS-14002"
    )
    assert_error(org.post("/consent-categories", _draft(category_name="Identity Data")), 409, "CDS-14002")
    path = f"/consent-categories/{two['category_identifier']}"
    assert_error(org.put(path, _draft(category_name=one["category_name"])), 409, "CDS-14002")
    assert org.put(path, _draft(category_name=two["category_name"])).status_code == 200
    assert _create(other, category_name=one["category_name"])


def test_put_replaces_the_category(org: Cds) -> None:
    trait = f"traits.{org.trait()}"
    category = _create(org, destinations=["crm"], attributes=[{"attribute_name": trait}])
    path = f"/consent-categories/{category['category_identifier']}"
    answer = org.put(path, _draft(category_name="renamed", purpose="profiling"))
    assert answer.status_code == 200
    replaced = answer.json()
    assert replaced == org.get(path).json()
    assert (replaced["category_name"], replaced["purpose"]) == ("renamed", "profiling")
    assert replaced["category_identifier"] == category["category_identifier"]
    assert not replaced.get("attributes")
    assert not replaced.get("destinations")
    answer = org.put(path, _draft(attributes=[{"attribute_name": trait}]))
    assert answer.json()["attributes"][0]["scope"] == "traits"


@pytest.mark.parametrize("category_id", [UNKNOWN_ID, "no-uuid", "%00", "a" * 300])
def test_an_unknown_category_is_404(org: Cds, category_id: str) -> None:
    path = f"/consent-categories/{category_id}"
    assert_error(org.get(path), 404, "CDS-14003")
    assert_error(org.put(path, _draft()), 404, "CDS-14003")
    assert org.delete(path).status_code == 204


def test_the_mandatory_category_cannot_be_changed_or_deleted(org: Cds) -> None:
    before = _mandatory_category(org)
    path = f"/consent-categories/{before['category_identifier']}"
    assert_error(org.put(path, _draft()), 403, "CDS-14006")
    assert_error(org.delete(path), 403, "CDS-14006")
    assert _mandatory_category(org) == before == org.get(path).json()


def test_a_deleted_category_is_not_found_and_its_name_is_free(org: Cds) -> None:
    category = _create(org)
    path = f"/consent-categories/{category['category_identifier']}"
    for _ in range(2):
        answer = org.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
    assert_error(org.get(path), 404, "CDS-14003")
    assert _create(org, category_name=category["category_name"])


def test_a_category_of_another_organisation_is_unknown(org: Cds, other: Cds) -> None:
    category = _create(org)
    path = f"/consent-categories/{category['category_identifier']}"
    assert_error(other.get(path), 404, "CDS-14003")
    assert_error(other.put(path, _draft()), 404, "CDS-14003")
    assert other.delete(path).status_code == 204
    own_ids = {category["category_identifier"] for category in org.get("/consent-categories").json()}
    other_ids = {category["category_identifier"] for category in other.get("/consent-categories").json()}
    assert category["category_identifier"] in own_ids
    assert own_ids.isdisjoint(other_ids)


def test_a_deleted_attribute_is_removed_from_its_categories(org: Cds) -> None:
    (deleted,) = org.define("traits", draft(f"traits.{fresh()}"))
    remaining = f"traits.{org.trait()}"
    entries = [{"attribute_name": name} for name in (deleted["attribute_name"], remaining)]
    path = f"/consent-categories/{_create(org, attributes=entries)['category_identifier']}"
    org.delete(f"/profile-schema/traits/{deleted['attribute_id']}")
    assert [entry["attribute_name"] for entry in org.get(path).json()["attributes"]] == [remaining]


def test_categories_are_available_while_the_service_is_disabled(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    org.patch("/config", {"cds_enabled": False})
    path = f"/consent-categories/{_create(org)['category_identifier']}"
    assert org.get("/consent-categories").status_code == 200
    assert org.put(path, _draft()).status_code == 200
    assert org.delete(path).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "permission", "status"),
    [
        ("GET", "", "view", 200),
        ("POST", "", "create", 400),
        ("GET", f"/{UNKNOWN_ID}", "view", 404),
        ("PUT", f"/{UNKNOWN_ID}", "update", 404),
        ("DELETE", f"/{UNKNOWN_ID}", "delete", 204),
    ],
)
def test_each_operation_requires_its_permission(
    org: Cds, method: str, path: str, permission: str, status: int
) -> None:
    path = f"/consent-categories{path}"
    others = {"view", "create", "update", "delete"} - {permission}
    token = org.token(*(f"consent_category_{name}" for name in others))
    assert_error(org.raw(method, path, "{", token=token), 403, "CDS-10003")
    assert_error(org.raw(method, path, "{", anonymous=True), 401, "CDS-10002")
    token = org.token(f"consent_category_{permission}")
    assert org.raw(method, path, "{}", token=token).status_code == status
