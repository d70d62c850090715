"""Permissions, the `cds_enabled` setting and the separation of organisations (docs/wire/cds.md §3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from wire.client import PERMISSIONS, PREFIX, UNKNOWN_ID, Cds, assert_error, draft, fresh


class Operation(NamedTuple):
    method: str
    path: str
    permission: str
    body: Any = None
    success: tuple[int, ...] = (200,)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


# {profile} and {attribute} are replaced by existing ids. Client credentials have no user, hence no Me.
OPERATIONS = (
    Operation("GET", "/profiles", "profile_view"),
    Operation("POST", "/profiles", "profile_create", {}, (201,)),
    Operation("GET", "/profiles/Me", "profile_view", None, (401, 404)),
    Operation("PATCH", "/profiles/Me", "profile_update", {}, (401,)),
    Operation("GET", "/profiles/{profile}", "profile_view"),
    Operation("PATCH", "/profiles/{profile}", "profile_update", {}),
    Operation("DELETE", "/profiles/{profile}", "profile_delete", None, (204,)),
    Operation("GET", "/profile-schema", "profile_schema_view"),
    Operation("GET", "/profile-schema/traits", "profile_schema_view"),
    Operation("GET", "/profile-schema/traits/{attribute}", "profile_schema_view"),
    Operation("POST", "/profile-schema/traits", "profile_schema_create", [{"draft": True}], (201,)),
    Operation("PUT", "/profile-schema/traits/{attribute}", "profile_schema_update", {"draft": True}),
    Operation("DELETE", "/profile-schema/traits/{attribute}", "profile_schema_delete", None, (204,)),
    Operation("DELETE", "/profile-schema/application_data", "profile_schema_delete", None, (204,)),
    Operation("DELETE", "/profile-schema", "profile_schema_delete", None, (204,)),
    Operation("GET", "/config", "admin_config_view"),
    Operation("PATCH", "/config", "admin_config_update", {}),
)

NEED_ENABLED_SERVICE = tuple(
    operation for operation in OPERATIONS if not operation.path.startswith("/config")
)

each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _prepared(org: Cds, operation: Operation) -> tuple[str, Any]:
    """The path with existing ids, and a valid body."""
    path, body = operation.path, operation.body
    if "{profile}" in path:
        path = path.replace("{profile}", org.create()["profile_id"])
    name = f"traits.{fresh('walked')}"
    if "{attribute}" in path:
        (defined,) = org.define("traits", draft(name))
        path = path.replace("{attribute}", defined["attribute_id"])
    if body == [{"draft": True}]:
        body = [draft(name)]
    elif body == {"draft": True}:
        body = draft(name, mutability="readWrite")
    return path, body


def _send(org: Cds, operation: Operation, path: str, body: Any, **kwargs: Any) -> Any:
    if body is not None:
        kwargs["json"] = body
    return org.request(operation.method, path, **kwargs)


@each_operation
def test_an_operation_needs_only_its_permission(org: Cds, operation: Operation) -> None:
    path, body = _prepared(org, operation)
    answer = _send(org, operation, path, body, token=org.token(operation.permission))
    assert answer.status_code in operation.success, answer.text


@each_operation
def test_an_operation_is_403_with_all_other_permissions(org: Cds, operation: Operation) -> None:
    path, body = _prepared(org, operation)
    others = PERMISSIONS - {PREFIX + operation.permission}
    answer = _send(org, operation, path, body, token=org.token(*others))
    assert_error(answer, 403, "CDS-10003", "Do not have permission to perform this operation")


@each_operation
def test_an_operation_without_a_token_is_401(org: Cds, operation: Operation) -> None:
    path, body = _prepared(org, operation)
    answer = _send(org, operation, path, body, anonymous=True)
    if operation.path == "/profiles/Me":
        assert answer.status_code == 401
    else:
        assert_error(answer, 401, "CDS-10002", "Missing or invalid Authorization header")


@each_operation
def test_an_operation_with_a_token_of_another_organisation_is_401(
    org: Cds, other: Cds, operation: Operation
) -> None:
    path, body = _prepared(org, operation)
    answer = _send(org, operation, path, body, token=other.token())
    assert answer.status_code == 401, answer.text


def test_the_permission_is_checked_before_the_body_is_read(org: Cds) -> None:
    answer = org.raw("POST", "/profiles", "{broken", token=org.token("profile_view"))
    assert_error(answer, 403, "CDS-10003")


def test_head_needs_the_permission_of_get(org: Cds) -> None:
    assert org.request("HEAD", "/profiles", token=org.token("profile_create")).status_code == 403
    assert org.request("HEAD", "/profiles", token=org.token("profile_view")).status_code == 200


@pytest.mark.parametrize(
    "path", [f"/profiles/{UNKNOWN_ID}", "/profiles/not-an-id", f"/profile-schema/traits/{UNKNOWN_ID}"]
)
def test_deleting_unknown_resources_succeeds(org: Cds, path: str) -> None:
    answer = org.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")


# -- separation of organisations --------------------------------------------------------------------


def test_a_profile_is_unknown_in_another_organisation(cds: Cds, other: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    assert_error(other.get(f"/profiles/{profile_id}"), 404, "CDS-11001")
    assert_error(other.patch(f"/profiles/{profile_id}", {}), 404, "CDS-11001")
    assert other.delete(f"/profiles/{profile_id}").status_code == 204
    assert cds.get(f"/profiles/{profile_id}").status_code == 200


def test_an_attribute_is_unknown_in_another_organisation(cds: Cds, other: Cds) -> None:
    name = f"traits.{fresh('wall')}"
    (defined,) = cds.define("traits", draft(name))
    path = f"/profile-schema/traits/{defined['attribute_id']}"
    assert_error(other.get(path), 404, "CDS-13004")
    assert_error(other.put(path, draft(name, mutability="readWrite")), 404, "CDS-13004")
    assert other.delete(path).status_code == 204
    assert cds.get(path).status_code == 200


def test_a_trait_of_one_organisation_is_not_defined_in_another(cds: Cds, other: Cds) -> None:
    key = cds.trait()
    answer = other.post("/profiles", {"traits": {key: "x"}})
    assert_error(answer, 400, "CDS-11011", f"trait 'traits.{key}' not defined in schema")


def test_the_same_user_id_in_two_organisations_does_not_merge(cds: Cds, other: Cds) -> None:
    user = fresh("user")
    cds.create({"user_id": user})
    assert "merged_to" not in other.create({"user_id": user})


def test_a_tracker_of_another_organisation_finds_no_profile(cds: Cds, other: Cds) -> None:
    tracker = cds.create()["anonymous_profile_tracker"]
    answer = other.post("/profiles", {}, tracker=tracker)
    assert answer.status_code == 201
    assert answer.json()["anonymous_profile_tracker"] != tracker


def test_a_cursor_or_filter_shows_nothing_of_another_organisation(cds: Cds, other: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    listed = other.get("/profiles", params={"filter": f"profile_id eq {profile_id}"}).json()
    assert listed["profiles"] == []


# -- a disabled service -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disabled(new_org: Callable[[], Cds]) -> Cds:
    """An organisation that was disabled after a profile and an attribute were created."""
    org = new_org()
    org.profile = org.create()["profile_id"]  # type: ignore[attr-defined]
    (defined,) = org.define("traits", draft("traits.kept"))
    org.attribute = defined["attribute_id"]  # type: ignore[attr-defined]
    assert org.patch("/config", {"cds_enabled": False}).json().get("cds_enabled") is False
    return org


def _disabled_path(disabled: Cds, operation: Operation) -> str:
    return operation.path.format(profile=disabled.profile, attribute=disabled.attribute)  # type: ignore[attr-defined]


@pytest.mark.parametrize("operation", NEED_ENABLED_SERVICE, ids=str)
def test_a_disabled_service_rejects_the_operation(disabled: Cds, operation: Operation) -> None:
    body = [draft("traits.new")] if operation.body == [{"draft": True}] else operation.body
    answer = _send(disabled, operation, _disabled_path(disabled, operation), body)
    if (operation.method, operation.path) == ("POST", "/profiles"):
        assert_error(answer, 400, "CDS-16001", f"CDS is not enabled for organization: {disabled.org}")
    else:
        assert_error(answer, 400, "CDS-16001", "Customer data service is not enabled for the organization")


@pytest.mark.parametrize("operation", NEED_ENABLED_SERVICE, ids=str)
def test_authentication_is_checked_before_the_setting(disabled: Cds, operation: Operation) -> None:
    answer = _send(disabled, operation, _disabled_path(disabled, operation), operation.body, anonymous=True)
    assert answer.status_code == 401


def test_the_configuration_of_a_disabled_service_can_be_changed(disabled: Cds) -> None:
    assert disabled.get("/config").json()["cds_enabled"] is False
    assert disabled.patch("/config", {}).status_code == 200


def test_data_is_unchanged_after_disabling_and_enabling_the_service(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    key = org.trait()
    profile_id = org.create({"traits": {key: "x"}})["profile_id"]
    org.patch("/config", {"cds_enabled": False})
    assert org.patch("/config", {"cds_enabled": True}).json()["cds_enabled"] is True
    assert org.read(profile_id)["traits"] == {key: "x"}
