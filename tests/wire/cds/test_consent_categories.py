"""Consent categories (docs/wire/cds.md §10)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, draft, fresh, refused

PURPOSES = ["profiling", "personalization", "destination"]


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _draft(**fields: Any) -> dict[str, Any]:
    return {"category_name": fresh("category"), "purpose": "personalization", **fields}


def _mandatory(org: Cds) -> dict[str, Any]:
    found = [each for each in org.get("/consent-categories").json() if each["is_mandatory"]]
    assert len(found) == 1
    return dict(found[0])


def _made(org: Cds, **fields: Any) -> dict[str, Any]:
    answer = org.post("/consent-categories", _draft(**fields))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_the_mandatory_category_is_there_when_the_service_is_first_enabled(org: Cds) -> None:
    category = _mandatory(org)
    assert (category["category_name"], category["purpose"]) == ("Identity Data", "profiling")
    schema = org.get("/profile-schema/identity_attributes").json()
    names = {attribute["attribute_name"] for attribute in schema}
    assert names
    assert {entry["attribute_name"] for entry in category["attributes"]} == names
    assert {entry["scope"] for entry in category["attributes"]} == {"identityAttributes"}
    assert {entry["attribute_id"] for entry in category["attributes"]} == {""}


def test_enabling_again_makes_no_second_one(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    before = _mandatory(org)
    for enabled in (False, True, True):
        org.patch("/config", {"cds_enabled": enabled})
    assert _mandatory(org) == before


def test_the_wires_example(org: Cds) -> None:
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
def test_every_purpose(org: Cds, purpose: str) -> None:
    assert _made(org, purpose=purpose)["purpose"] == purpose


def test_destinations_stay_in_order(org: Cds) -> None:
    assert _made(org, purpose="destination", destinations=["b", "a"])["destinations"] == ["b", "a"]


def test_attributes_of_every_scope(org: Cds) -> None:
    app = org.application_attribute()
    trait = f"traits.{org.trait()}"
    identity = org.get("/profile-schema/identity_attributes").json()[0]["attribute_name"]
    entries = [
        {"attribute_name": trait},
        {"attribute_name": identity},
        {"attribute_name": f"application_data.{app}", "application_identifier": org.client_id},
    ]
    shown = _made(org, attributes=entries)["attributes"]
    assert [entry["scope"] for entry in shown] == ["traits", "identity_attributes", "application_data"]
    assert [entry["attribute_name"] for entry in shown] == [entry["attribute_name"] for entry in entries]
    assert shown[2]["application_identifier"] == org.client_id
    assert "application_identifier" not in shown[0]


def test_a_sub_attribute(org: Cds) -> None:
    name = f"traits.{org.address(city='string')}.city"
    assert _made(org, attributes=[{"attribute_name": name}])["attributes"][0]["attribute_name"] == name


def test_unknown_fields_are_ignored(org: Cds) -> None:
    category = _made(org, colour="red", is_mandatory=True, category_identifier=UNKNOWN_ID)
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
        attributes=[{"attribute_name": "application_data.x", "application_identifier": "nobody"}]
    ),
    "long name": _draft(category_name="x" * 256),
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID)
def test_an_invalid_category_is_refused_on_post_and_put(org: Cds, body: dict[str, Any]) -> None:
    before = org.get("/consent-categories").json()
    refused(org.post("/consent-categories", body), 400, "CDS-14001")
    assert org.get("/consent-categories").json() == before
    category = _made(org)
    path = f"/consent-categories/{category['category_identifier']}"
    refused(org.put(path, body), 400, "CDS-14001")
    assert org.get(path).json() == category


def test_application_data_of_another_application_or_of_none(org: Cds) -> None:
    name = f"application_data.{org.application_attribute()}"
    for entry in (
        {"attribute_name": name},
        {"attribute_name": name, "application_identifier": ""},
        {"attribute_name": name, "application_identifier": "another"},
    ):
        refused(org.post("/consent-categories", _draft(attributes=[entry])), 400, "CDS-14001")


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
def test_an_undecodable_body(org: Cds, body: str) -> None:
    path = f"/consent-categories/{_made(org)['category_identifier']}"
    before = org.get("/consent-categories").json()
    refused(org.raw("POST", "/consent-categories", body), 400, "CDS-15302")
    refused(org.raw("PUT", path, body), 400, "CDS-14005")
    assert org.get("/consent-categories").json() == before


def test_the_sentences_of_an_undecodable_body(org: Cds) -> None:
    for body, sentence in (
        ("", "Request body for consent category is empty."),
        ("{", "Malformed JSON in consent category request body (unexpected end of input)."),
        ("{,}", "Malformed JSON in consent category request body."),
        ("[]", "Invalid JSON type for consent category request body."),
    ):
        refused(org.raw("POST", "/consent-categories", body), 400, "CDS-15302", sentence)


def test_a_name_is_unique_in_an_organisation(org: Cds, other: Cds) -> None:
    one, two = _made(org), _made(org)
    refused(org.post("/consent-categories", _draft(category_name=one["category_name"])), 409, "CDS-14002")
    refused(org.post("/consent-categories", _draft(category_name="Identity Data")), 409, "CDS-14002")
    path = f"/consent-categories/{two['category_identifier']}"
    refused(org.put(path, _draft(category_name=one["category_name"])), 409, "CDS-14002")
    assert org.put(path, _draft(category_name=two["category_name"])).status_code == 200
    assert _made(other, category_name=one["category_name"])


def test_put_replaces_the_category(org: Cds) -> None:
    trait = f"traits.{org.trait()}"
    category = _made(org, destinations=["crm"], attributes=[{"attribute_name": trait}])
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
def test_an_unknown_category(org: Cds, category_id: str) -> None:
    path = f"/consent-categories/{category_id}"
    refused(org.get(path), 404, "CDS-14003")
    refused(org.put(path, _draft()), 404, "CDS-14003")
    assert org.delete(path).status_code == 204


def test_the_mandatory_category_is_fixed(org: Cds) -> None:
    before = _mandatory(org)
    path = f"/consent-categories/{before['category_identifier']}"
    refused(org.put(path, _draft()), 403, "CDS-14006")
    refused(org.delete(path), 403, "CDS-14006")
    assert _mandatory(org) == before == org.get(path).json()


def test_a_deleted_category_is_not_found_and_its_name_is_free(org: Cds) -> None:
    category = _made(org)
    path = f"/consent-categories/{category['category_identifier']}"
    for _ in range(2):
        answer = org.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
    refused(org.get(path), 404, "CDS-14003")
    assert _made(org, category_name=category["category_name"])


def test_a_foreign_category_is_unknown_and_not_listed(org: Cds, other: Cds) -> None:
    category = _made(org)
    path = f"/consent-categories/{category['category_identifier']}"
    refused(other.get(path), 404, "CDS-14003")
    refused(other.put(path, _draft()), 404, "CDS-14003")
    assert other.delete(path).status_code == 204
    mine = {each["category_identifier"] for each in org.get("/consent-categories").json()}
    theirs = {each["category_identifier"] for each in other.get("/consent-categories").json()}
    assert category["category_identifier"] in mine
    assert mine.isdisjoint(theirs)


def test_a_deleted_attribute_leaves_its_categories(org: Cds) -> None:
    (made,) = org.define("traits", draft(f"traits.{fresh()}"))
    stays = f"traits.{org.trait()}"
    entries = [{"attribute_name": name} for name in (made["attribute_name"], stays)]
    path = f"/consent-categories/{_made(org, attributes=entries)['category_identifier']}"
    org.delete(f"/profile-schema/traits/{made['attribute_id']}")
    assert [entry["attribute_name"] for entry in org.get(path).json()["attributes"]] == [stays]


def test_categories_are_not_gated(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    org.patch("/config", {"cds_enabled": False})
    path = f"/consent-categories/{_made(org)['category_identifier']}"
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
def test_each_operation_wants_its_own_permission(
    org: Cds, method: str, path: str, permission: str, status: int
) -> None:
    path = f"/consent-categories{path}"
    others = {"view", "create", "update", "delete"} - {permission}
    token = org.token(*(f"consent_category_{name}" for name in others))
    refused(org.raw(method, path, "{", token=token), 403, "CDS-10003")
    refused(org.raw(method, path, "{", anonymous=True), 401, "CDS-10002")
    token = org.token(f"consent_category_{permission}")
    assert org.raw(method, path, "{}", token=token).status_code == status
