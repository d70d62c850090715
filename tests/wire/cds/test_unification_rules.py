"""The resource `/unification-rules`; `test_merge_by_rules` tests its effect (docs/wire/cds.md §9)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, assert_error_b, draft, fresh

NOT_ENABLED = "Customer data service is not enabled for the organization"


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


@pytest.fixture(scope="module")
def disabled(new_org: Callable[[], Cds]) -> Cds:
    """An organisation whose service is disabled."""
    org = new_org()
    assert org.patch("/config", {"cds_enabled": False}).status_code == 200
    return org


def _listed(org: Cds) -> dict[str, Any]:
    answer = org.get("/unification-rules")
    assert answer.status_code == 200
    return {rule["rule_id"]: rule for rule in answer.json()}


# -- creating and reading -----------------------------------------------------------------------------------


def test_a_new_organisation_has_no_rules(new_org: Callable[[], Cds]) -> None:
    answer = new_org().get("/unification-rules")
    assert (answer.status_code, answer.json()) == (200, [])


def test_the_example_of_the_contract(org: Cds) -> None:
    body = {
        "rule_name": "email_based",
        "property_name": "identity_attributes.emailaddress",
        "priority": 901,
        "is_active": True,
    }
    answer = org.post("/unification-rules", body)
    assert answer.status_code == 201, answer.text
    rule = answer.json()
    assert rule == {"rule_id": rule["rule_id"], **body}
    assert org.get(f"/unification-rules/{rule['rule_id']}").json() == rule
    assert _listed(org)[rule["rule_id"]] == rule


def test_only_an_existing_property_is_required(org: Cds) -> None:
    """The contract accepts an empty name and a priority of 0 or less."""
    trait = org.trait()
    rule = org.post("/unification-rules", {"property_name": f"traits.{trait}"}).json()
    assert (rule["rule_name"], rule["priority"], rule["is_active"]) == ("", 0, False)
    rule = org.rule(f"traits.{org.trait()}", rule_name="", priority=-7)
    assert (rule["rule_name"], rule["priority"]) == ("", -7)


def test_two_rules_can_have_the_same_name(org: Cds) -> None:
    one, two = (org.rule(f"traits.{org.trait()}", rule_name="same") for _ in range(2))
    assert one["rule_id"] != two["rule_id"]


def test_a_field_that_is_null_gets_its_default(org: Cds) -> None:
    body = {"property_name": f"traits.{org.trait()}", "priority": 950, "rule_name": None, "is_active": None}
    rule = org.post("/unification-rules", body).json()
    assert (rule["rule_name"], rule["is_active"]) == ("", False)


@pytest.mark.parametrize("value_type", ["string", "integer", "decimal", "boolean", "date", "epoch"])
def test_a_rule_accepts_every_scalar_type(org: Cds, value_type: str) -> None:
    assert org.rule(f"traits.{org.trait(value_type)}")["is_active"]


def test_a_rule_accepts_a_sub_attribute(org: Cds) -> None:
    name = f"traits.{org.address(city='string')}.city"
    assert org.rule(name)["property_name"] == name


def test_an_id_in_the_request_is_ignored(org: Cds) -> None:
    body = {"rule_id": UNKNOWN_ID, "property_name": f"traits.{org.trait()}", "priority": 960}
    assert org.post("/unification-rules", body).json()["rule_id"] != UNKNOWN_ID


# -- rejected rules -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["user_id", "identity_attributes.user_id"])
def test_a_rule_on_the_user_id_is_rejected(org: Cds, name: str) -> None:
    answer = org.post("/unification-rules", {"property_name": name, "priority": 801})
    assert_error(answer, 400, "CDS-15201", "user_id based unification rule can not be created.")


def test_a_rule_on_application_data_is_rejected(org: Cds) -> None:
    name = f"application_data.{org.application_attribute()}"
    assert_error(org.post("/unification-rules", {"property_name": name, "priority": 802}), 400, "CDS-15201")


@pytest.mark.parametrize("name", ["traits.nowhere", "traits", "", "nothing.at.all", "traits.", ".", "ü"])
def test_a_rule_on_an_undefined_property_is_rejected(org: Cds, name: str) -> None:
    answer = org.post("/unification-rules", {"property_name": name, "priority": 803})
    assert_error(answer, 400, "CDS-15201", f"PropertyName  '{name}' is not found in schema")


def test_a_rule_on_a_complex_property_is_rejected(org: Cds) -> None:
    name = f"traits.{org.address(city='string')}"
    answer = org.post("/unification-rules", {"property_name": name, "priority": 804})
    message = assert_error(answer, 400, "CDS-15201")
    assert message.endswith("not allowed as it is a complex data type. Choose the sub-attribute instead.")


def test_a_second_rule_on_a_property_is_rejected(org: Cds) -> None:
    name = f"traits.{org.trait()}"
    org.rule(name, is_active=False)
    assert_error(org.post("/unification-rules", {"property_name": name, "priority": 805}), 409, "CDS-12003")


def test_a_second_rule_with_a_priority_is_rejected(org: Cds) -> None:
    taken = org.rule(f"traits.{org.trait()}", is_active=False)["priority"]
    body = {"property_name": f"traits.{org.trait()}", "priority": taken}
    assert_error(org.post("/unification-rules", body), 400, "CDS-12004")


def test_another_organisation_can_use_the_same_property_and_priority(org: Cds, other: Cds) -> None:
    name = fresh()
    rules = []
    for caller in (org, other):
        caller.define("traits", draft(f"traits.{name}"))
        rules.append(caller.rule(f"traits.{name}", priority=777))
    assert rules[0]["rule_id"] != rules[1]["rule_id"]
    assert [rule["priority"] for rule in rules] == [777, 777]


def test_a_rule_of_another_organisation_is_unknown(org: Cds, other: Cds) -> None:
    path = f"/unification-rules/{org.rule(f'traits.{org.trait()}')['rule_id']}"
    assert_error(other.get(path), 404, "CDS-12001")
    assert_error(other.patch(path, {"is_active": False}), 404, "CDS-12001")
    assert other.delete(path).status_code == 204
    assert org.get(path).json()["is_active"] is True


@pytest.mark.parametrize("rule_id", [UNKNOWN_ID, "no-uuid", "0", "%00", "a" * 300])
def test_an_unknown_rule_is_404(org: Cds, rule_id: str) -> None:
    path = f"/unification-rules/{rule_id}"
    assert_error(org.get(path), 404, "CDS-12001")
    assert_error(org.patch(path, {"rule_name": "x"}), 404, "CDS-12001")
    assert org.delete(path).status_code == 204


# -- bodies -------------------------------------------------------------------------------------------------

UNDECODABLE = {
    "empty": ("", "Request body for unification rule is empty."),
    "cut off": (
        '{"rule_name": "x"',
        "Malformed JSON in unification rule request body (unexpected end of input).",
    ),
    "syntax": ("{,}", "Malformed JSON in unification rule request body."),
    "array": ("[]", "Invalid JSON type for unification rule request body."),
    "null": ("null", "Invalid JSON type for unification rule request body."),
    "unknown field": ('{"colour": 1}', 'Unknown field "colour" in unification rule request body.'),
    "name": (
        '{"rule_name": 5}',
        "Invalid type for field 'rule_name'. Expected string in unification rule request body.",
    ),
    "is_active": (
        '{"is_active": "yes"}',
        "Invalid type for field 'is_active'. Expected boolean in unification rule request body.",
    ),
    "priority": (
        '{"priority": 1.5}',
        "Invalid type for field 'priority'. Expected integer in unification rule request body.",
    ),
}


@pytest.mark.parametrize(("body", "description"), UNDECODABLE.values(), ids=UNDECODABLE)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_undecodable_body_is_rejected(org: Cds, method: str, body: str, description: str) -> None:
    rule = org.rule(f"traits.{org.trait()}") if method == "PATCH" else None
    path = f"/unification-rules/{rule['rule_id']}" if rule else "/unification-rules"
    before = _listed(org)
    assert_error_b(org.raw(method, path, body), 400, "CDS-10001", description)
    assert _listed(org) == before


@pytest.mark.parametrize(
    "body",
    [
        {"priority": 2**63},
        {"priority": -(2**63) - 1},
        {"rule_name": "x" * 256},
        {"property_name": "traits." + "x" * 512},
        {"rule_name": "a\x00b"},
    ],
    ids=["large", "small", "long name", "long property", "NUL"],
)
def test_a_value_that_cannot_be_stored_is_rejected(org: Cds, body: dict[str, Any]) -> None:
    assert_error_b(
        org.post("/unification-rules", {"property_name": f"traits.{org.trait()}", **body}), 400, "CDS-10001"
    )


def test_the_smallest_and_the_largest_priority_are_stored(org: Cds) -> None:
    for priority in (2**63 - 1, -(2**63)):
        rule = org.rule(f"traits.{org.trait()}", priority=priority)
        assert org.get(f"/unification-rules/{rule['rule_id']}").json()["priority"] == priority


def test_creating_a_rule_decodes_the_body_before_checking_the_service(disabled: Cds) -> None:
    assert_error_b(disabled.raw("POST", "/unification-rules", "{"), 400, "CDS-10001")
    assert_error(disabled.post("/unification-rules", {}), 400, "CDS-16001", NOT_ENABLED)


def test_a_disabled_service_rejects_all_other_operations(disabled: Cds) -> None:
    path = f"/unification-rules/{UNKNOWN_ID}"
    assert_error(disabled.get("/unification-rules"), 400, "CDS-16001", NOT_ENABLED)
    assert_error(disabled.get(path), 400, "CDS-16001", NOT_ENABLED)
    assert_error(disabled.raw("PATCH", path, "{"), 400, "CDS-16001", NOT_ENABLED)
    assert_error(disabled.delete(path), 400, "CDS-16001", NOT_ENABLED)


@pytest.mark.parametrize(
    ("method", "path", "permission", "status"),
    [
        ("GET", "", "view", 200),
        ("POST", "", "create", 400),
        ("GET", f"/{UNKNOWN_ID}", "view", 404),
        ("PATCH", f"/{UNKNOWN_ID}", "update", 400),
        ("DELETE", f"/{UNKNOWN_ID}", "delete", 204),
    ],
)
def test_each_operation_requires_its_permission(
    org: Cds, method: str, path: str, permission: str, status: int
) -> None:
    """Authentication is checked before the permission, and both before the body."""
    path = f"/unification-rules{path}"
    others = {"view", "create", "update", "delete"} - {permission}
    token = org.token(*(f"unification_rule_{name}" for name in others))
    assert_error(org.raw(method, path, "{", token=token), 403, "CDS-10003")
    assert_error(org.raw(method, path, "{", anonymous=True), 401, "CDS-10002")
    token = org.token(f"unification_rule_{permission}")
    answer = org.raw(method, path, json.dumps({"property_name": "x"}), token=token)
    assert answer.status_code == status, answer.text


# -- changing and deleting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change", [{"rule_name": "renamed"}, {"priority": 60_001}, {"is_active": False}, {}], ids=str
)
def test_a_patch_keeps_omitted_fields(org: Cds, change: dict[str, Any]) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    answer = org.patch(f"/unification-rules/{rule['rule_id']}", change)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {**rule, **change}
    assert _listed(org)[rule["rule_id"]] == {**rule, **change}


@pytest.mark.parametrize("field", ["property_name", "rule_id"])
def test_the_property_and_the_id_cannot_be_changed(org: Cds, field: str) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    path = f"/unification-rules/{rule['rule_id']}"
    description = f'Unknown field "{field}" in unification rule request body.'
    assert_error_b(org.patch(path, {field: rule[field]}), 400, "CDS-10001", description)


def test_a_change_to_a_priority_in_use_is_rejected(org: Cds) -> None:
    one, two = (org.rule(f"traits.{org.trait()}") for _ in range(2))
    path = f"/unification-rules/{two['rule_id']}"
    assert_error(org.patch(path, {"priority": one["priority"], "rule_name": "new"}), 400, "CDS-12004")
    assert org.get(path).json() == two
    assert org.patch(path, {"priority": two["priority"]}).json() == two


def test_a_deleted_rule_is_not_found_and_its_property_and_priority_are_free(org: Cds) -> None:
    rule = org.rule(f"traits.{org.trait()}")
    path = f"/unification-rules/{rule['rule_id']}"
    for _ in range(2):
        answer = org.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
    assert_error(org.get(path), 404, "CDS-12001")
    second = org.rule(rule["property_name"], priority=rule["priority"])
    assert second["rule_id"] != rule["rule_id"]


def test_deleting_an_attribute_deletes_its_rule(org: Cds) -> None:
    (rules,) = org.define("traits", draft(f"traits.{fresh()}"))
    rule = org.rule(rules["attribute_name"])
    assert org.delete(f"/profile-schema/traits/{rules['attribute_id']}").status_code == 204
    assert_error(org.get(f"/unification-rules/{rule['rule_id']}"), 404, "CDS-12001")
