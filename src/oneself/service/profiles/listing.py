"""The list of profiles: survivors page by page, the latest created first, filtered by conditions.

    condition (field, operator, text)  ──schema──▶  target (path, type, operand)  ──▶ SQL

The type of an attribute decides how a condition compares. A filter must not reveal more than a read: a
condition on a write-only attribute is an error, and values that are no longer valid, or that the reader may
not read, match nothing. In the view `proven`, an identity that a person gives themselves matches nothing.

Source: docs/wire/cds.md §5.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.disclosure import ReaderAccess
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.values.attribute import SCOPES, Attribute
from oneself.core.values.schema import Schema
from oneself.errors import OneselfError
from oneself.store.database import Database
from oneself.store.tables.profile_listing import (
    FIRST,
    CoreMatch,
    ListedProfile,
    ListView,
    Match,
    Operator,
    PagePosition,
    Target,
    ValueMatch,
)
from oneself.store.transaction import Tables

OPERATORS: tuple[Operator, ...] = ("eq", "co", "sw")
PAGE_SIZE_MAX = 200
_APPLICATION = SCOPES[2]
_JSON_TYPES = {
    "string": "string",
    "date": "string",
    "date_time": "string",
    "integer": "number",
    "decimal": "number",
    "epoch": "number",
    "boolean": "boolean",
}


class WriteOnlyField(OneselfError):
    """A condition on a write-only attribute; the message names it."""


class Condition(msgspec.Struct, frozen=True):
    """A condition that a profile has to meet."""

    #: `user_id`, `profile_id` or the name of an attribute.
    field: str
    operator: Operator
    #: The value as in the request.
    text: str


class ProfilePage(msgspec.Struct, frozen=True):
    """A page in the order of the list."""

    items: tuple[ListedProfile, ...]
    #: Whether more profiles follow in the direction of the request.
    has_more: bool


class ProfileListing:
    """Reads pages of profiles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        dataset_id: int,
        schema: Schema,
        conditions: Sequence[Condition],
        access: ReaderAccess,
        *,
        position: PagePosition = FIRST,
        size: int,
        with_values: bool = True,
        view: ListView = "all",
    ) -> ProfilePage:
        """Up to `size` profiles of a view that meet all conditions, beyond a position.

        Raises WriteOnlyField.
        """
        matches = [matching(schema, condition, access) for condition in conditions]
        if size == 0 or any(isinstance(match, ValueMatch) and not match.targets for match in matches):
            return ProfilePage((), False)
        table = Tables(self._database, dataset_id).profile_listing
        found = await table.list(
            matches, position=position, limit=size + 1, with_values=with_values, view=view
        )
        page = found[:size]
        if position.backwards:
            page.reverse()
        return ProfilePage(tuple(page), len(found) > size)


def matching(schema: Schema, condition: Condition, access: ReaderAccess) -> Match:
    """A condition of a reader as a match for the database; a `ValueMatch` without targets matches no profile.

    Raises WriteOnlyField.
    """
    if "\x00" in condition.text:  # PostgreSQL stores no text with it.
        return ValueMatch(condition.operator, ())
    if condition.field == "user_id":
        return CoreMatch("user_id", condition.operator, condition.text)
    if condition.field == "profile_id":
        return _profile_id_match(condition)
    readable = _readable(schema, condition.field)
    targets = (_target(schema, attribute, condition, access) for attribute in readable)
    return ValueMatch(condition.operator, tuple(target for target in targets if target is not None))


def _profile_id_match(condition: Condition) -> Match:
    if condition.operator != "eq":
        return CoreMatch("profile_id", condition.operator, condition.text)
    try:
        return CoreMatch("profile_id", "eq", str(UUID(condition.text)))
    except ValueError:
        return ValueMatch("eq", ())


def _readable(schema: Schema, field: str) -> list[Attribute]:
    """The attributes with this name that a response can contain.

    Raises WriteOnlyField if there are attributes, and all are write-only.
    """
    named = list(_attributes(schema, field))
    readable = [attribute for attribute in named if not _is_hidden(schema, attribute)]
    if named and not readable:
        raise WriteOnlyField(f"Write-only attribute '{field}' cannot be used in a filter.")
    return readable


def _attributes(schema: Schema, field: str) -> Iterator[Attribute]:
    """The attributes with this name; in application data of one application or, without its id, of all."""
    scope, _, key = field.partition(".")
    if scope != _APPLICATION:
        if (found := schema.find(field)) is not None:
            yield found
        return
    for attribute in schema.attributes:
        application, name = attribute.application_identifier, attribute.attribute_name
        if application and name in (field, f"{_APPLICATION}.{key.removeprefix(application + '.')}"):
            yield attribute


def _is_hidden(schema: Schema, attribute: Attribute) -> bool:
    """Whether the attribute or one that contains it is write-only. Source: docs/wire/cds.md §8."""
    parts = attribute.attribute_name.split(".")
    names = (".".join(parts[:count]) for count in range(2, len(parts) + 1))
    containing = (schema.find(name, attribute.application_identifier) for name in names)
    return any(outer is not None and outer.mutability == "writeOnly" for outer in containing)


def _target(
    schema: Schema, attribute: Attribute, condition: Condition, access: ReaderAccess
) -> Target | None:
    """Where to look for the value; None if it can match nothing, or is hidden from the reader."""
    json_type = _JSON_TYPES.get(attribute.value_type)
    operand = condition.text if condition.operator != "eq" else _operand(attribute.value_type, condition.text)
    path, application = _path(schema, attribute), attribute.application_identifier
    opening = access.opening(attribute.scope, path[2 if application else 1], application)
    if json_type is None or operand is None or opening == frozenset():
        return None
    canonical = tuple(value.value for value in attribute.canonical_values)
    categories = None if opening is None else tuple(sorted(opening))
    is_identity = ".".join(path) in graph_rules(access.config).fold.identity_paths
    return Target(path, attribute.multi_valued, json_type, operand, canonical, categories, is_identity)


def _path(schema: Schema, attribute: Attribute) -> tuple[str, ...]:
    """The keys to the value: a dotted name is one key, unless a complex attribute contains it."""
    name, application = attribute.attribute_name, attribute.application_identifier
    scope_path = (attribute.scope, application) if application else (attribute.scope,)
    above = schema.complex_above(name, application)
    if above is None:
        return (*scope_path, attribute.key)
    return (*scope_path, above.key, *name.removeprefix(f"{above.attribute_name}.").split("."))


def _operand(value_type: str, text: str) -> Any:
    """A text as a value of this type; None if it is not a valid value."""
    if _JSON_TYPES.get(value_type) == "string":
        return text
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
    if value_type == "boolean":
        return value if isinstance(value, bool) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and (value_type == "decimal" or isinstance(value, int)) else None
