"""Filters and attribute selections, read from the query (docs/wire/cds.md §5.2, §7).

    filter = field op value [ and field op value … ]        repeatable; all must hold
    field  = user_id | profile_id | identity_attributes.K | traits.K | application_data.[app.]K
    op     = eq | co | sw

Reading only: `service.profiles.listing` looks up what a field means, and the database finds what matches.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from oneself.api.documents.profile import APPLICATION
from oneself.core.values.attribute import SCOPES, Attribute
from oneself.service.profiles.listing import OPERATORS, Condition

CORE_FIELDS = ("user_id", "profile_id")
SCHEMA_FIELDS = ("attribute_name", "application_identifier")
_KEY = re.compile(r"[a-zA-Z0-9._-]+")


class InvalidFilter(ValueError):
    """A filter that is not valid; `str(error)` is the wire's sentence."""


def decode_filters(texts: Iterable[str]) -> tuple[Condition, ...]:
    """The conditions in all `filter` parameters; raises InvalidFilter."""
    return tuple(_condition(part) for text in texts for part in text.split(" and "))


def _condition(text: str) -> Condition:
    parts = text.strip().split(None, 2)
    if len(parts) != len(("field", "operator", "value")):
        raise InvalidFilter("Invalid filter format when filtering profiles.")
    field, operator, value = parts
    for known in OPERATORS:
        if operator == known:
            return Condition(_field(field), known, value)
    raise InvalidFilter(f"Unsupported operator: {operator}")


def _field(field: str) -> str:
    scope, dot, key = field.partition(".")
    if field in CORE_FIELDS or (scope in SCOPES and dot and _is_key(key)):
        return field
    raise InvalidFilter(f"Invalid filter key: {field}")


def _is_key(key: str) -> bool:
    return _KEY.fullmatch(key) is not None and all(key.split("."))


class Selection(msgspec.Struct, frozen=True):
    """Which attributes of an item the list returns: scope → first-level keys, None for all of them."""

    keys: dict[str, frozenset[str] | None] = {}

    def of(self, values: dict[str, Any]) -> dict[str, Any]:
        """The selected part of profile values."""
        chosen = {scope: self._chosen(scope, values.get(scope, {})) for scope in self.keys}
        return {scope: part for scope, part in chosen.items() if part}

    def _chosen(self, scope: str, section: dict[str, Any]) -> dict[str, Any]:
        keys = self.keys[scope]
        if keys is None:
            return section
        if scope != APPLICATION:
            return _only(section, keys)
        buckets = {application: _only(bucket, keys) for application, bucket in section.items()}
        return {application: bucket for application, bucket in buckets.items() if bucket}


def decode_attributes(texts: Iterable[str]) -> Selection:
    """The selection in all `attributes` parameters. Names without a scope are ignored."""
    keys: dict[str, frozenset[str] | None] = {}
    for name in (part.strip() for text in texts for part in text.split(",")):
        scope, dot, key = name.partition(".")
        if scope not in SCOPES or (dot and not key):
            continue
        known = keys.get(scope, frozenset())
        keys[scope] = None if not dot or known is None else known | {key}
    return Selection(keys)


def _only(section: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key in keys}


def decode_schema_filter(texts: Iterable[str]) -> Callable[[Attribute], bool]:
    """Whether an attribute definition matches all `filter` parameters; raises InvalidFilter."""
    checks = [_schema_check(part) for text in texts for part in text.split(" and ")]
    return lambda attribute: all(check(attribute) for check in checks)


def _schema_check(text: str) -> Callable[[Attribute], bool]:
    parts = text.strip().split(None, 2)
    if len(parts) != len(("field", "operator", "value")):
        raise InvalidFilter("Invalid filter format. Expected: <field> <operator> <value>.")
    field, operator, value = parts
    if field not in SCHEMA_FIELDS:
        raise InvalidFilter(f"Unsupported filter field: {field}")
    if operator not in OPERATORS:
        raise InvalidFilter(f"Unsupported operator: {operator}")
    return lambda attribute: _holds(operator, getattr(attribute, field) or "", value)


def _holds(operator: str, text: str, value: str) -> bool:
    if operator == "eq":
        return text == value
    folded, part = text.casefold(), value.casefold()
    return part in folded if operator == "co" else folded.startswith(part)
