"""The errors of undecodable bodies, for every operation with a body (docs/wire/cds.md §4)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, assert_error_b, assert_error_text, draft, fresh


class Operation(NamedTuple):
    method: str
    path: str
    resource: str
    code: str
    check: Callable[..., str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, cds: Cds, content: bytes | str) -> httpx.Response:
        return cds.raw(self.method, self.path, content)


POST_PROFILE = Operation("POST", "/profiles", "profile", "CDS-11002", assert_error)
POST_SCHEMA = Operation(
    "POST", "/profile-schema/traits", "profile schema attributes", "CDS-13001", assert_error_b
)
PATCH_CONFIG = Operation("PATCH", "/config", "admin configuration", "CDS-16002", assert_error)

OPERATIONS = (POST_PROFILE, POST_SCHEMA, PATCH_CONFIG)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@each_operation
@pytest.mark.parametrize("content", ["", " \n\t "], ids=["empty", "blanks"])
def test_an_empty_body_is_reported(cds: Cds, operation: Operation, content: str) -> None:
    operation.check(
        operation.send(cds, content), 400, operation.code, f"Request body for {operation.resource} is empty."
    )


@each_operation
@pytest.mark.parametrize("cut", ['{"traits": {"a": 1', '{"a"', "[", '[{"attribute_name": "tr', "{"])
def test_a_truncated_body_is_reported(cds: Cds, operation: Operation, cut: str) -> None:
    description = f"Malformed JSON in {operation.resource} request body (unexpected end of input)."
    operation.check(operation.send(cds, cut), 400, operation.code, description)


@each_operation
@pytest.mark.parametrize("broken", ["{broken}", '{"a": }', "[,]", "{'a': 1}", '{"a": 01}', "nonsense"])
def test_invalid_syntax_is_reported(cds: Cds, operation: Operation, broken: str) -> None:
    operation.check(
        operation.send(cds, broken),
        400,
        operation.code,
        f"Malformed JSON in {operation.resource} request body.",
    )


@each_operation
def test_text_after_the_json_is_rejected(cds: Cds, operation: Operation) -> None:
    valid = json.dumps([draft(f"traits.{fresh('tail')}")]) if operation is POST_SCHEMA else "{}"
    answer = operation.send(cds, valid + " {} trailing")
    operation.check(answer, 400, operation.code)


def test_an_unknown_field_of_a_profile_is_named(cds: Cds) -> None:
    answer = cds.post("/profiles", {"colour": "red"})
    assert_error(answer, 400, "CDS-11002", 'Unknown field "colour" in profile request body.')


@pytest.mark.parametrize("field", ["profile_id", "meta", "merged_to", "anonymous_profile_tracker"])
def test_response_only_fields_are_unknown_in_a_request(cds: Cds, field: str) -> None:
    answer = cds.post("/profiles", {field: "x"})
    assert_error(answer, 400, "CDS-11002", f'Unknown field "{field}" in profile request body.')


def test_an_unknown_field_of_an_attribute_is_named(cds: Cds) -> None:
    answer = cds.post("/profile-schema/traits", [draft(f"traits.{fresh()}", colour="red")])
    assert_error_b(
        answer, 400, "CDS-13001", 'Unknown field "colour" in profile schema attributes request body.'
    )


def test_an_unknown_field_of_the_configuration_is_named(cds: Cds) -> None:
    answer = cds.patch("/config", {"colour": "red"})
    assert_error(answer, 400, "CDS-16002", 'Unknown field "colour" in admin configuration request body.')


def _assert_names_field(description: str, field: str, resource: str) -> None:
    pattern = rf"Invalid type for field '(.*\.)?{field}'\. Expected .+ in {resource} request body\."
    assert re.fullmatch(pattern, description), description


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("user_id", 7),
        ("user_id", {"a": 1}),
        ("traits", "x"),
        ("traits", [1]),
        ("identity_attributes", 5),
        ("application_data", True),
        ("application_data", ["x"]),
    ],
)
def test_a_field_of_a_profile_of_the_wrong_type_is_named(cds: Cds, field: str, value: Any) -> None:
    description = assert_error(cds.post("/profiles", {field: value}), 400, "CDS-11002")
    _assert_names_field(description, field, "profile")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("attribute_name", 7),
        ("value_type", ["string"]),
        ("multi_valued", "yes"),
        ("canonical_values", "a"),
        ("mutability", 1),
    ],
)
def test_a_field_of_an_attribute_of_the_wrong_type_is_named(cds: Cds, field: str, value: Any) -> None:
    body = [{**draft(f"traits.{fresh()}"), field: value}]
    description = assert_error_b(cds.post("/profile-schema/traits", body), 400, "CDS-13001")
    _assert_names_field(description, field, "profile schema attributes")


@pytest.mark.parametrize(
    ("field", "value"), [("cds_enabled", "yes"), ("system_applications", "crm"), ("detach_on_sign_out", 1)]
)
def test_a_field_of_the_configuration_of_the_wrong_type_is_named(cds: Cds, field: str, value: Any) -> None:
    description = assert_error(cds.patch("/config", {field: value}), 400, "CDS-16002")
    _assert_names_field(description, field, "admin configuration")


@pytest.mark.parametrize("content", ["{}", '"x"', "7", '{"attribute_name": "traits.a"}'])
def test_attributes_must_be_an_array(cds: Cds, content: str) -> None:
    answer = cds.raw("POST", "/profile-schema/traits", content)
    assert_error_b(
        answer, 400, "CDS-13001", "Request body for profile schema attributes must be a JSON array."
    )


@pytest.mark.parametrize("operation", [POST_PROFILE, PATCH_CONFIG], ids=str)
@pytest.mark.parametrize("content", ["[]", '"x"', "7", "true"])
def test_a_body_of_another_type_is_reported(cds: Cds, operation: Operation, content: str) -> None:
    operation.check(
        operation.send(cds, content),
        400,
        operation.code,
        f"Invalid JSON type for {operation.resource} request body.",
    )


@pytest.mark.parametrize("content", ["", "{broken", '{"traits": {', "[]", "7"])
def test_an_undecodable_patch_of_a_profile_changes_nothing(cds: Cds, content: str) -> None:
    created = cds.create()
    answer = cds.raw("PATCH", f"/profiles/{created['profile_id']}", content)
    assert_error(answer, 400, "CDS-11011")
    assert cds.get(f"/profiles/{created['profile_id']}").json()["meta"] == created["meta"]


@pytest.mark.parametrize("content", ["", "{broken", "["])
def test_an_undecodable_put_of_an_attribute_is_a_text_error(cds: Cds, content: str) -> None:
    (created,) = cds.define("traits", draft(f"traits.{fresh()}"))
    answer = cds.raw("PUT", f"/profile-schema/traits/{created['attribute_id']}", content)
    assert_error_text(answer, 400, "Invalid request payload")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/profile-schema/nonsense"),
        ("POST", "/profile-schema/nonsense"),
        ("DELETE", "/profile-schema/nonsense"),
        ("GET", f"/profile-schema/nonsense/{UNKNOWN_ID}"),
        ("PUT", f"/profile-schema/nonsense/{UNKNOWN_ID}"),
        ("DELETE", f"/profile-schema/nonsense/{UNKNOWN_ID}"),
    ],
)
def test_an_unknown_scope_is_rejected_in_shape_b(cds: Cds, method: str, path: str) -> None:
    body = {"POST": [draft("nonsense.x")], "PUT": draft("nonsense.x", mutability="readWrite")}.get(method)
    answer = cds.request(method, path, **({"json": body} if body else {}))
    assert_error_b(answer, 400, "CDS-13001")
