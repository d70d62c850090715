"""From the reasons of `core` to the errors of the REST wires: one table for definitions, one for rules.

A row is code, status, shape and, where the wire has words of its own, the text; otherwise the sentence of the
rejection is sent.

Source: docs/wire/cds.md §4 (codes, shapes), §7, §9.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from oneself.api.http.errors import ErrorCode, WireError, wire_error
from oneself.core.config.rule_checks import RuleReason, RuleRejected
from oneself.core.values.definition_rules import AttributeReason, AttributeRejected

RULE_NOT_FOUND = ErrorCode("12001", "No unification rule found.")
INVALID_RULE_UPDATE = ErrorCode("12002", "Validation failed for unification rule update.")
DUPLICATE_RULE_ATTRIBUTE = ErrorCode("12003", "Unification rule with same attribute already exists.")
DUPLICATE_RULE_PRIORITY = ErrorCode("12004", "Unification rule priority already taken.")
INVALID_SCHEMA_PAYLOAD = ErrorCode("13001", "Invalid request payload.")
INVALID_ATTRIBUTE = ErrorCode("13002", "Invalid attribute.")
ATTRIBUTE_EXISTS = ErrorCode("13003", "Schema attribute already exists.")
ATTRIBUTE_NOT_FOUND = ErrorCode("13004", "Attribute not found.")
INVALID_APPLICATION = ErrorCode("13005", "Invalid application identifier.")
ATTRIBUTE_NOT_WRITABLE = ErrorCode("13006", "Attribute add/update not supported.")
ATTRIBUTE_DELETION_FAILED = ErrorCode("15104", "Attribute deletion failed.")
RULE_NOT_ALLOWED = ErrorCode("15201", "Unification rule is not allowed.")


class ErrorRow(Struct, frozen=True):
    """How one reason is answered."""

    code: ErrorCode
    status: int = 400
    shape: str = "A"
    #: `{subject}` is what the rejection is about.
    text: str | None = None
    headers: dict[str, str] | None = None


ATTRIBUTE_ERRORS: Mapping[AttributeReason, ErrorRow] = {
    "unknown_scope": ErrorRow(INVALID_SCHEMA_PAYLOAD, shape="B"),
    "scope_not_writable": ErrorRow(ATTRIBUTE_NOT_WRITABLE, shape="B"),
    "scope_not_deletable": ErrorRow(INVALID_ATTRIBUTE, 405, "B", headers={"Allow": "GET, HEAD"}),
    "no_attributes": ErrorRow(INVALID_SCHEMA_PAYLOAD, shape="B"),
    "application_not_allowed": ErrorRow(INVALID_SCHEMA_PAYLOAD, shape="B"),
    "application_required": ErrorRow(INVALID_APPLICATION),
    "unknown_application": ErrorRow(INVALID_APPLICATION),
    "unknown_attribute": ErrorRow(ATTRIBUTE_NOT_FOUND, 404),
    "duplicate_id": ErrorRow(ATTRIBUTE_EXISTS, 409),
    "duplicate_name": ErrorRow(ATTRIBUTE_EXISTS, 409),
    "sub_attributes_required": ErrorRow(INVALID_SCHEMA_PAYLOAD),
    "listed_by_parent": ErrorRow(ATTRIBUTE_DELETION_FAILED),
    "needed_by_identity_type": ErrorRow(ATTRIBUTE_DELETION_FAILED),
    "bound_to_identity_type": ErrorRow(INVALID_ATTRIBUTE),
    "invalid_attribute": ErrorRow(INVALID_ATTRIBUTE),
}
RULE_ERRORS: Mapping[RuleReason, ErrorRow] = {
    "user_id": ErrorRow(RULE_NOT_ALLOWED, text="user_id based unification rule can not be created."),
    "application_data": ErrorRow(RULE_NOT_ALLOWED),
    # The wire's own two blanks.
    "unknown_attribute": ErrorRow(RULE_NOT_ALLOWED, text="PropertyName  '{subject}' is not found in schema"),
    "complex_attribute": ErrorRow(
        RULE_NOT_ALLOWED,
        text="PropertyName '{subject}' is not allowed as it is a complex data type. "
        "Choose the sub-attribute instead.",
    ),
    "duplicate_attribute": ErrorRow(DUPLICATE_RULE_ATTRIBUTE, 409),
    "duplicate_priority": ErrorRow(DUPLICATE_RULE_PRIORITY),
}


def attribute_error(rejected: AttributeRejected) -> WireError:
    """The answer to a definition that is rejected."""
    return _error(ATTRIBUTE_ERRORS[rejected.reason], rejected.detail, "")


def rule_error(rejected: RuleRejected) -> WireError:
    """The answer to a unification rule that is rejected."""
    return _error(RULE_ERRORS[rejected.reason], rejected.detail, rejected.subject)


def _error(row: ErrorRow, detail: str, subject: str) -> WireError:
    text = detail if row.text is None else row.text.format(subject=subject)
    return wire_error(row.code, text, row.status, shape=row.shape, headers=row.headers)
