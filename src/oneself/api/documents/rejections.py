"""From the reasons of `core` to the errors of the REST wires: one table for definitions, one for rules.

A row is code, status, shape and, where the wire has words of its own, the text; otherwise the sentence of the
rejection is sent.

Source: docs/wire/cds.md §4 (codes, shapes), §7, §9.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from oneself.api.http.errors import WireError, wire_error
from oneself.core.config.rule_checks import RuleReason, RuleRejected
from oneself.core.values.definition_rules import AttributeReason, AttributeRejected


class ErrorRow(Struct, frozen=True):
    """How one reason is answered."""

    code: str
    status: int = 400
    shape: str = "A"
    #: `{subject}` is what the rejection is about.
    text: str | None = None
    headers: dict[str, str] | None = None


ATTRIBUTE_ERRORS: Mapping[AttributeReason, ErrorRow] = {
    "unknown_scope": ErrorRow("13001", shape="B"),
    "scope_not_writable": ErrorRow("13006", shape="B"),
    "scope_not_deletable": ErrorRow("13002", 405, "B", headers={"Allow": "GET, HEAD"}),
    "no_attributes": ErrorRow("13001", shape="B"),
    "application_not_allowed": ErrorRow("13001", shape="B"),
    "application_required": ErrorRow("13005"),
    "unknown_application": ErrorRow("13005"),
    "unknown_attribute": ErrorRow("13004", 404),
    "duplicate_id": ErrorRow("13003", 409),
    "duplicate_name": ErrorRow("13003", 409),
    "sub_attributes_required": ErrorRow("13001"),
    "listed_by_parent": ErrorRow("15104"),
    "needed_by_identity_type": ErrorRow("15104"),
    "bound_to_identity_type": ErrorRow("13002"),
    "invalid_attribute": ErrorRow("13002"),
}
RULE_ERRORS: Mapping[RuleReason, ErrorRow] = {
    "user_id": ErrorRow("15201", text="user_id based unification rule can not be created."),
    "application_data": ErrorRow("15201"),
    # The wire's own two blanks.
    "unknown_attribute": ErrorRow("15201", text="PropertyName  '{subject}' is not found in schema"),
    "complex_attribute": ErrorRow(
        "15201",
        text="PropertyName '{subject}' is not allowed as it is a complex data type. "
        "Choose the sub-attribute instead.",
    ),
    "duplicate_attribute": ErrorRow("12003", 409),
    "duplicate_priority": ErrorRow("12004"),
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
