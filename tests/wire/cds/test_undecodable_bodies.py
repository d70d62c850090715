"""What an undecodable body is told, on every operation that takes one (docs/wire/cds.md §4)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from wire.client import UNKNOWN_ID, Cds, draft, fresh, refused, refused_b, refused_text


class Operation(NamedTuple):
    method: str
    path: str
    what: str
    code: str
    check: Callable[..., str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, cds: Cds, content: bytes | str) -> httpx.Response:
        return cds.raw(self.method, self.path, content)


POST_PROFILE = Operation("POST", "/profiles", "profile", "CDS-11002", refused)
POST_SCHEMA = Operation("POST", "/profile-schema/traits", "profile schema attributes", "CDS-13001", refused_b)
PATCH_CONFIG = Operation("PATCH", "/config", "admin configuration", "CDS-16002", refused)

OPERATIONS = (POST_PROFILE, POST_SCHEMA, PATCH_CONFIG)
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=str)


@each_operation
@pytest.mark.parametrize("content", ["", " \n\t "], ids=["nothing", "blanks"])
def test_an_empty_body_is_called_empty(cds: Cds, operation: Operation, content: str) -> None:
    operation.check(
        operation.send(cds, content), 400, operation.code, f"Request body for {operation.what} is empty."
    )


@each_operation
@pytest.mark.parametrize("cut", ['{"traits": {"a": 1', '{"a"', "[", '[{"attribute_name": "tr', "{"])
def test_a_body_cut_off_is_called_so(cds: Cds, operation: Operation, cut: str) -> None:
    said = f"Malformed JSON in {operation.what} request body (unexpected end of input)."
    operation.check(operation.send(cds, cut), 400, operation.code, said)


@each_operation
@pytest.mark.parametrize("broken", ["{broken}", '{"a": }', "[,]", "{'a': 1}", '{"a": 01}', "nonsense"])
def test_other_bad_syntax_is_called_malformed(cds: Cds, operation: Operation, broken: str) -> None:
    operation.check(
        operation.send(cds, broken), 400, operation.code, f"Malformed JSON in {operation.what} request body."
    )


@each_operation
def test_text_after_the_json_is_rejected(cds: Cds, operation: Operation) -> None:
    fine = json.dumps([draft(f"traits.{fresh('tail')}")]) if operation is POST_SCHEMA else "{}"
    answer = operation.send(cds, fine + " {} trailing")
    operation.check(answer, 400, operation.code)


def test_an_unknown_field_of_a_profile_is_named(cds: Cds) -> None:
    answer = cds.post("/profiles", {"colour": "red"})
    refused(answer, 400, "CDS-11002", 'Unknown field "colour" in profile request body.')


@pytest.mark.parametrize("field", ["profile_id", "meta", "merged_to", "anonymous_profile_tracker"])
def test_response_only_fields_are_unknown_in_a_request(cds: Cds, field: str) -> None:
    answer = cds.post("/profiles", {field: "x"})
    refused(answer, 400, "CDS-11002", f'Unknown field "{field}" in profile request body.')


def test_an_unknown_field_of_an_attribute_is_named(cds: Cds) -> None:
    answer = cds.post("/profile-schema/traits", [draft(f"traits.{fresh()}", colour="red")])
    refused_b(answer, 400, "CDS-13001", 'Unknown field "colour" in profile schema attributes request body.')


def test_an_unknown_field_of_the_configuration_is_named(cds: Cds) -> None:
    answer = cds.patch("/config", {"colour": "red"})
    refused(answer, 400, "CDS-16002", 'Unknown field "colour" in admin configuration request body.')


def _names_field(said: str, field: str, what: str) -> None:
    pattern = rf"Invalid type for field '(.*\.)?{field}'\. Expected .+ in {what} request body\."
    assert re.fullmatch(pattern, said), said


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
    said = refused(cds.post("/profiles", {field: value}), 400, "CDS-11002")
    _names_field(said, field, "profile")


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
    said = refused_b(cds.post("/profile-schema/traits", body), 400, "CDS-13001")
    _names_field(said, field, "profile schema attributes")


@pytest.mark.parametrize(
    ("field", "value"), [("cds_enabled", "yes"), ("system_applications", "crm"), ("detach_on_sign_out", 1)]
)
def test_a_field_of_the_configuration_of_the_wrong_type_is_named(cds: Cds, field: str, value: Any) -> None:
    said = refused(cds.patch("/config", {field: value}), 400, "CDS-16002")
    _names_field(said, field, "admin configuration")


@pytest.mark.parametrize("content", ["{}", '"x"', "7", '{"attribute_name": "traits.a"}'])
def test_attributes_come_in_an_array(cds: Cds, content: str) -> None:
    answer = cds.raw("POST", "/profile-schema/traits", content)
    refused_b(answer, 400, "CDS-13001", "Request body for profile schema attributes must be a JSON array.")


@pytest.mark.parametrize("operation", [POST_PROFILE, PATCH_CONFIG], ids=str)
@pytest.mark.parametrize("content", ["[]", '"x"', "7", "true"])
def test_another_outermost_type_is_called_invalid(cds: Cds, operation: Operation, content: str) -> None:
    operation.check(
        operation.send(cds, content),
        400,
        operation.code,
        f"Invalid JSON type for {operation.what} request body.",
    )


@pytest.mark.parametrize("content", ["", "{broken", '{"traits": {', "[]", "7"])
def test_patch_of_a_profile_with_a_bad_body_stops(cds: Cds, content: str) -> None:
    made = cds.create()
    answer = cds.raw("PATCH", f"/profiles/{made['profile_id']}", content)
    refused(answer, 400, "CDS-11011")
    assert cds.get(f"/profiles/{made['profile_id']}").json()["meta"] == made["meta"]


@pytest.mark.parametrize("content", ["", "{broken", "["])
def test_put_of_an_attribute_with_bad_json_says_it_in_one_line(cds: Cds, content: str) -> None:
    (made,) = cds.define("traits", draft(f"traits.{fresh()}"))
    answer = cds.raw("PUT", f"/profile-schema/traits/{made['attribute_id']}", content)
    refused_text(answer, 400, "Invalid request payload")


def test_an_unknown_profile_is_explained(cds: Cds) -> None:
    answer = cds.get(f"/profiles/{UNKNOWN_ID}")
    refused(answer, 404, "CDS-11001", "No user profile record found for the given profile_id")


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
    refused_b(answer, 400, "CDS-13001")
