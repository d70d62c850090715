"""Attributes whose values are identifiers.

A unification rule makes an attribute a source of identifiers ("same value of attribute X, same person").
So does a binding to an identity type. Both make a namespace; one index serves the identifiers of both.

Invariants: this module finds the values and spells them as text. It does not know the effect of a value that
two profiles share (`resolve`).

Source: docs/wire/cds.md §9 (rules); docs/wire/interactions.md §3 (bindings).
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

#: The default for how many values of one attribute a profile may hold as identifiers.
VALUES_PER_NAMESPACE_MAX = 100


class UnificationRule(msgspec.Struct, frozen=True):
    """Profiles with the same value of an attribute are the same person."""

    rule_id: str
    rule_name: str
    #: The attribute's full name (`traits.loyalty_id`).
    property_name: str
    #: Lower goes first.
    priority: int
    is_active: bool
    #: A user of whom a server said a value owns what servers began with it.
    proves_identity: bool = False


class IdentifierSource(msgspec.Struct, frozen=True):
    """An attribute that makes a namespace, compiled against the schema."""

    #: The namespace's name: the attribute's full name for a rule, the identity type for a binding.
    name: str
    #: The id of the rule, or of the reindexing job of the binding.
    source_id: str
    namespace: Namespace
    #: The attribute's scope.
    scope: str
    #: The keys from the scope to the attribute.
    keys: tuple[str, ...]
    #: The field at each of the keys.
    fields: tuple[Field, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """The path of the value in a record."""
        return (self.scope, *self.keys)

    @property
    def read_signature(self) -> tuple[Any, ...]:
        """Everything that determines how stored values are read; if it changes, profiles need reindexing.

        Holds the keys, the shape of valid values, whether only servers are trusted, and what a value proves.
        """
        namespace = self.namespace
        return (*self.keys, _shape(self.fields[0]), namespace.trusted_only, namespace.proves_identity)


def _shape(field: Field) -> tuple[Any, ...]:
    """Everything that determines which values of an attribute are valid."""
    attribute = field.attribute
    children = {key: _shape(child) for key, child in field.children.items()}
    return attribute.value_type, attribute.multi_valued, attribute.canonical_values, children


def rule_source(rule: UnificationRule, schema: Schema, values_max: int) -> IdentifierSource | None:
    """The source that a rule makes; None while its attribute is undefined or complex."""
    namespace = Namespace(
        reason=rule.rule_name,
        priority=rule.priority,
        values_max=values_max,
        proves_identity=rule.proves_identity,
    )
    return _source(rule.property_name, rule.property_name, rule.rule_id, namespace, schema)


def binding_source(binding: IdentityBinding, namespace: Namespace, schema: Schema) -> IdentifierSource | None:
    """The source that a binding makes; None while its attribute cannot hold identities (`can_bind`)."""
    if not can_bind(schema, binding.attribute):
        return None
    return _source(binding.attribute, binding.type_id, job_id_of(binding.name), namespace, schema)


def job_id_of(name: str) -> str:
    """The id of the job that reindexes an identity attribute; the id of a rule has no colon."""
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
    """The keys and fields from a scope to an attribute; empty if the schema does not have it.

    A key is the complete name if there is such a field, else the name of the complex attribute above it.
    """
    level, way, rest = schema.fields(scope), list[tuple[str, Field]](), name
    while rest:
        key = rest if rest in level else rest.partition(".")[0]
        if key not in level:
            return []
        way.append((key, level[key]))
        level, rest = level[key].children, rest[len(key) + 1 :]
    return way


def identifiers_in_values(values: dict[str, Any], match: IdentifierSource) -> list[Identifier]:
    """The identifiers that stored values hold in a source's namespace, not normalised.

    Invalid values are hidden from matching (docs/wire/cds.md §8).
    """
    section = values.get(match.scope)
    value = section.get(match.keys[0]) if isinstance(section, dict) else None
    if value is None or not is_valid(match.fields[0], value):
        return []
    return [Identifier(match.name, text) for text in _texts(value, match.keys[1:], match.fields[-1])]


def identifiers_in_patch(patch: dict[str, Any], match: IdentifierSource) -> list[Identifier]:
    """The identifiers that a patch may add in a source's namespace, not normalised.

    Identity servers name nested values by dotted keys, so dotted keys are read too.
    """
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
    """True if a patch sets or unsets a source's attribute, or a part of it."""
    section = patch.get(match.scope)
    if not isinstance(section, dict):
        return False
    return any(key == match.keys[0] or key.startswith(match.keys[0] + ".") for key in section)


def _texts(value: Any, keys: tuple[str, ...], field: Field) -> Iterator[str]:
    """The scalars at the end of the keys, through lists and objects, as text."""
    if isinstance(value, list):
        for element in value:
            yield from _texts(element, keys, field)
    elif keys:
        if isinstance(value, dict) and (inner := value.get(keys[0])) is not None:
            yield from _texts(inner, keys[1:], field)
    elif (text := _text(value, field)) is not None:
        yield text


def _text(value: Any, field: Field) -> str | None:
    """One spelling for equal values of the attribute's type; None for an invalid value."""
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
    """The instant in UTC; the text itself where UTC would be outside the years 1 to 9999."""
    try:
        return instant(text).astimezone(UTC).isoformat()
    except OverflowError:
        return text
