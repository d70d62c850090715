"""Attributes whose values are identifiers: by a unification rule ("same value of attribute X, same person",
DESIGN §3, wire/cds §9), or because they are bound to an identity type (wire/interactions §3).

Both make a namespace: the values that a profile holds there are found through the same index. Here: which
values those are, and how a value is spelled as text. What follows from a shared one is the business of
`resolve`.
"""

from collections.abc import Iterator
from datetime import UTC
from typing import Any

import msgspec

from oneself.core.identity.identifier import Identifier, Namespace
from oneself.core.identity.identity_type import IdentityBinding, can_bind
from oneself.core.values.attribute import Field
from oneself.core.values.schema import Schema
from oneself.core.values.validation import is_valid
from oneself.core.values.value_types import TypeMismatch, instant, parse_text

#: Values of one attribute that one profile may hold as identifiers, unless the organisation says otherwise.
VALUES_PER_NAMESPACE_MAX = 100


class UnificationRule(msgspec.Struct, frozen=True):
    """The lower `priority` goes first. `property_name`: the attribute's full name (`traits.loyalty_id`)."""

    rule_id: str
    rule_name: str
    property_name: str
    priority: int
    is_active: bool


class IdentifierSource(msgspec.Struct, frozen=True):
    """An attribute that makes a namespace, ready to be applied. `name`: of the namespace, the attribute's own
    for a rule, else the identity type. `source_id`: of the rule or binding. `scope`, `keys`, `fields`: the
    way to the attribute."""

    name: str
    source_id: str
    namespace: Namespace
    scope: str
    keys: tuple[str, ...]
    fields: tuple[Field, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """Where the value stands in a record."""
        return (self.scope, *self.keys)

    @property
    def read_signature(self) -> tuple[Any, ...]:
        """How stored values are read, to be compared: by which keys, what fits there, and whose word
        counts."""
        return (*self.keys, _shape(self.fields[0]), self.namespace.trusted_only)


def _shape(field: Field) -> tuple[Any, ...]:
    """Everything about an attribute that says which values fit it."""
    attribute = field.attribute
    children = {key: _shape(child) for key, child in field.children.items()}
    return attribute.value_type, attribute.multi_valued, attribute.canonical_values, children


def rule_source(rule: UnificationRule, schema: Schema, values_max: int) -> IdentifierSource | None:
    """The rule ready to be applied; None while the schema does not hold its attribute as a scalar."""
    namespace = Namespace(reason=rule.rule_name, priority=rule.priority, values_max=values_max)
    return _source(rule.property_name, rule.property_name, rule.rule_id, namespace, schema)


def binding_source(binding: IdentityBinding, namespace: Namespace, schema: Schema) -> IdentifierSource | None:
    """The identity attribute ready to be applied; None while the schema does not hold it as one string."""
    if not can_bind(schema, binding.attribute):
        return None
    return _source(binding.attribute, binding.type_id, job_id_of(binding.name), namespace, schema)


def job_id_of(name: str) -> str:
    """The id of the work that indexes an identity attribute; no rule's id has a colon."""
    return f"identity:{name}"


def _source(
    attribute: str, name: str, source_id: str, namespace: Namespace, schema: Schema
) -> IdentifierSource | None:
    scope, _, rest = attribute.partition(".")
    way = _read_signature(schema, scope, rest)
    if not way or way[-1][1].attribute.value_type == "complex":
        return None
    keys, fields = tuple(key for key, _ in way), tuple(field for _, field in way)
    return IdentifierSource(name, source_id, namespace, scope, keys, fields)


def _read_signature(schema: Schema, scope: str, name: str) -> list[tuple[str, Field]]:
    """From a scope to an attribute: by its whole name, else through the complex ones above; empty if none."""
    level, way, rest = schema.fields(scope), list[tuple[str, Field]](), name
    while rest:
        key = rest if rest in level else rest.partition(".")[0]
        if key not in level:
            return []
        way.append((key, level[key]))
        level, rest = level[key].children, rest[len(key) + 1 :]
    return way


def identifiers_in_values(values: dict[str, Any], match: IdentifierSource) -> list[Identifier]:
    """The identifiers that stored values hold in a matcher's namespace, not normalised. What does not fit its
    attribute is hidden from matching (wire/cds §8)."""
    section = values.get(match.scope)
    value = section.get(match.keys[0]) if isinstance(section, dict) else None
    if value is None or not is_valid(match.fields[0], value):
        return []
    return [Identifier(match.name, text) for text in _texts(value, match.keys[1:], match.fields[-1])]


def identifiers_in_patch(patch: dict[str, Any], match: IdentifierSource) -> list[Identifier]:
    """The identifiers that a patch may bring, not normalised; a claim may name a nested value by a dotted
    key."""
    section = patch.get(match.scope)
    if not isinstance(section, dict):
        return []
    texts = [
        text
        for depth in range(1, len(match.keys) + 1)
        if (key := ".".join(match.keys[:depth])) in section
        for text in _texts(section[key], match.keys[depth:], match.fields[-1])
    ]
    return [Identifier(match.name, text) for text in texts]


def touches(patch: dict[str, Any], match: IdentifierSource) -> bool:
    """True if a patch says anything about a matcher's attribute, or unsets it."""
    section = patch.get(match.scope)
    if not isinstance(section, dict):
        return False
    return any(key == match.keys[0] or key.startswith(match.keys[0] + ".") for key in section)


def _texts(value: Any, keys: tuple[str, ...], field: Field) -> Iterator[str]:
    """The scalars at the end of the way, through lists and objects, as text."""
    if isinstance(value, list):
        for element in value:
            yield from _texts(element, keys, field)
    elif keys:
        if isinstance(value, dict) and (inner := value.get(keys[0])) is not None:
            yield from _texts(inner, keys[1:], field)
    elif (text := _text(value, field)) is not None:
        yield text


def _text(value: Any, field: Field) -> str | None:
    """One spelling for equal values of the attribute's type; None if it is no such value."""
    value_type = field.attribute.value_type
    try:
        fitted = field.fit(parse_text(value_type, value) if isinstance(value, str) else value)
    except TypeMismatch:
        return None
    if isinstance(fitted, bool):
        return "true" if fitted else "false"
    if isinstance(fitted, float) and fitted.is_integer():
        return str(int(fitted))
    if value_type == "date_time":
        return _moment(fitted)
    return str(fitted)


def _moment(text: str) -> str:
    """The instant in UTC; the text itself at the ends of the calendar, where UTC has no such day."""
    try:
        return instant(text).astimezone(UTC).isoformat()
    except OverflowError:
        return text
