"""The form of an attribute: what its fields mean, and what is wrong with them.

Invariants: no decisions about attributes; `core.values.definition` decides. What is checked here has a
plainer sentence on a page. Fields that the value type makes meaningless are ignored, because scripts hide
them.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from oneself.console.forms import first
from oneself.core.values.attribute import APPLICATION_DATA, Attribute, CanonicalValue
from oneself.core.values.definition import AttributeChange
from oneself.core.values.definition_rules import AttributeRejected
from oneself.core.values.schema import Schema
from oneself.web.forms import Parameters

#: Reason of a rejected definition → the field that it is about.
_FIELD_OF = {
    "duplicate_name": "name",
    "application_required": "application",
    "unknown_application": "application",
    "sub_attributes_required": "sub_attributes",
}


class AttributeFields(msgspec.Struct, frozen=True):
    """The form of an attribute as somebody filled it in, or as an attribute is stored."""

    scope: str
    name: str = ""
    value_type: str = "string"
    merge_strategy: str = "overwrite"
    mutability: str = "readWrite"
    display_name: str = ""
    multi_valued: bool = False
    application: str = ""
    #: One on each line: the value, and a label behind an equals sign.
    canonical_values: str = ""
    #: Names without their scope, one on each line.
    sub_attributes: str = ""

    @property
    def attribute_name(self) -> str:
        """The full name."""
        return f"{self.scope}.{self.name}"


class InvalidFields(Exception):
    """Fields that are not valid. `problems`: field → sentence; `form` for the form itself."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(", ".join(problems))
        self.problems = problems


def fields_of(schema: Schema, attribute: Attribute) -> AttributeFields:
    """The form that changes a stored attribute."""
    children = [child for child in map(schema.get, attribute.sub_attributes) if child is not None]
    return AttributeFields(
        scope=attribute.scope,
        name=attribute.key,
        value_type=attribute.value_type,
        merge_strategy=attribute.merge_strategy,
        mutability=attribute.mutability,
        display_name=attribute.display_name,
        multi_valued=attribute.multi_valued,
        application=attribute.application_identifier or "",
        canonical_values="\n".join(map(_canonical_line, attribute.canonical_values)),
        sub_attributes="\n".join(child.key for child in children),
    )


def read_fields(form: Parameters, scope: str) -> AttributeFields:
    """The fields of a form."""
    return AttributeFields(
        scope=scope,
        name=first(form, "name"),
        value_type=first(form, "value_type"),
        merge_strategy=first(form, "merge_strategy"),
        mutability=first(form, "mutability"),
        display_name=first(form, "display_name"),
        multi_valued=first(form, "multi_valued") == "yes",
        application=first(form, "application") if scope == APPLICATION_DATA else "",
        canonical_values=_lines(form, "canonical_values"),
        sub_attributes=_lines(form, "sub_attributes"),
    )


def check_fields(fields: AttributeFields) -> None:
    """Raise InvalidFields for what has a plainer sentence here than in the rules."""
    problems: dict[str, str] = {}
    if not fields.name:
        problems["name"] = "Enter a name."
    if fields.scope == APPLICATION_DATA and not fields.application:
        problems["application"] = "Choose the application whose data this is."
    if not fields.merge_strategy:
        problems["merge_strategy"] = "Choose what happens when two profiles are merged."
    if fields.merge_strategy == "combine" and not fields.multi_valued:
        problems["merge_strategy"] = "Only lists can be combined. Allow several values, or choose Overwrite."
    if fields.value_type == "complex" and not fields.sub_attributes:
        problems["sub_attributes"] = "Name the attributes that the object consists of. Define them first."
    if problems:
        raise InvalidFields(problems)


def draft_of(schema: Schema, fields: AttributeFields) -> Attribute:
    """A new attribute. Raises InvalidFields."""
    check_fields(fields)
    return Attribute(
        attribute_id=str(uuid.uuid4()),
        application_identifier=fields.application or None,
        **_properties(schema, fields),
    )


def change_of(schema: Schema, fields: AttributeFields) -> AttributeChange:
    """The change of an attribute to what the form says. Raises InvalidFields."""
    check_fields(fields)
    return AttributeChange(
        application_identifier=fields.application or msgspec.UNSET, **_properties(schema, fields)
    )


def problems_of(rejected: AttributeRejected) -> dict[str, str]:
    """What a rejected definition says to whom it may concern: field → sentence."""
    return {_FIELD_OF.get(rejected.reason, "form"): rejected.detail}


def _properties(schema: Schema, fields: AttributeFields) -> dict[str, Any]:
    """What the form says of a new attribute and of a stored one alike. Raises InvalidFields."""
    return {
        "attribute_name": fields.attribute_name,
        "value_type": fields.value_type,
        "merge_strategy": fields.merge_strategy,
        "mutability": fields.mutability,
        "display_name": fields.display_name,
        "multi_valued": fields.multi_valued,
        "canonical_values": _canonical_values(fields),
        "sub_attributes": _sub_attributes(schema, fields),
    }


def _lines(form: Parameters, name: str) -> str:
    stripped = (line.strip() for line in form.get(name, [""])[0].splitlines())
    return "\n".join(line for line in stripped if line)


def _canonical_values(fields: AttributeFields) -> tuple[CanonicalValue, ...]:
    if fields.value_type != "string":
        return ()
    pairs = (line.partition("=") for line in fields.canonical_values.splitlines())
    return tuple(CanonicalValue(value.strip(), label.strip() or None) for value, _, label in pairs)


def _canonical_line(canonical: CanonicalValue) -> str:
    return f"{canonical.value} = {canonical.label}" if canonical.label else canonical.value


def _sub_attributes(schema: Schema, fields: AttributeFields) -> tuple[str, ...]:
    if fields.value_type != "complex":
        return ()
    ids, unknown = [], []
    for name in fields.sub_attributes.splitlines():
        child = schema.find(f"{fields.scope}.{name}", fields.application or None)
        if child is None:
            unknown.append(name)
        else:
            ids.append(child.attribute_id)
    if unknown:
        sentence = f"There is no attribute {', '.join(unknown)[:200]} here. Define it first."
        raise InvalidFields({"sub_attributes": sentence})
    return tuple(ids)
