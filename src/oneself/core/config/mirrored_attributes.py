"""Mirrors the claims of an identity server as identity attributes of the schema.

    local claims + claims of the SCIM dialects ─▶ required attributes ─▶ reconcile with the schema ─▶ change

An attribute is identified by its name. It keeps its id while a claim requires that name, so the rules and
consents on it stay. An attribute that no claim requires is dropped; profiles keep its values.

Invariants: pure functions. This module does not know how claims are fetched.

Source: docs/wire/cds.md §13 (claims, names, types), §7 (effects of dropping an attribute).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from oneself.core.config.changes import ConfigChange, DropAttributes, PutAttributes, Several
from oneself.core.values.attribute import (
    IDENTITY_ATTRIBUTES,
    NAME_PARTS_MAX,
    NAME_PARTS_MIN,
    READ_ONLY,
    READ_WRITE,
    VALUE_TYPES,
    Attribute,
    CanonicalValue,
)
from oneself.core.values.definition_rules import CANONICAL_VALUES_MAX, NAME_LENGTH_MAX
from oneself.core.values.schema import Schema

COMPLEX = "complex"
#: The only claim that has a value of its own when dotted names start with its name (docs/wire/cds.md §13).
NEVER_A_PARENT = f"{IDENTITY_ATTRIBUTES}.emailaddress"

SCIM_DIALECTS = ("urn:scim:", "urn:ietf:")
#: The dialect of SCIM 1; later dialects repeat its claims.
SCIM_1 = "urn:scim:schemas:core:1.0"

#: Type name in a claim, in lower case → value type.
_TYPES = {word: word for word in VALUE_TYPES} | {
    "datetime": "date_time",
    "int": "integer",
    "double": "decimal",
}


class RequiredAttribute(Struct, frozen=True):
    """An attribute that a claim requires. The names of children start with the name of their parent."""

    #: The full name, with its scope.
    name: str
    value_type: str = "string"
    multi_valued: bool = False
    read_only: bool = False
    display_name: str = ""
    canonical_values: tuple[CanonicalValue, ...] = ()

    @property
    def parent(self) -> str:
        """The name of the parent; the scope for a first-level name."""
        return self.name.rpartition(".")[0]


class MirroredAttributes(Struct, frozen=True):
    """The names of the attributes that a synchronisation with the identity server changed."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    #: Claims without an attribute, because their names differ only in case from another one.
    skipped: tuple[str, ...] = ()


def is_scim(dialect_uri: str) -> bool:
    """Whether the claims of a dialect are mirrored."""
    return dialect_uri.startswith(SCIM_DIALECTS) and dialect_uri != SCIM_1


def claim_key(uri: str) -> str:
    """The key of a claim: the last part of its URI."""
    return uri.rpartition("/")[2]


def required_attributes(
    local: Iterable[Mapping[str, Any]], dialects: Iterable[Iterable[Mapping[str, Any]]]
) -> tuple[RequiredAttribute, ...]:
    """One attribute for each local claim that a SCIM claim maps to, with its missing parents.

    `local`, `dialects`: claims as the identity server describes them. A claim whose key is not valid as an
    attribute name is skipped.
    """
    known = {uri: claim for claim in local if type(uri := claim.get("claimURI")) is str}
    mapped = (claim.get("mappedLocalClaimURI") for dialect in dialects for claim in dialect)
    found: dict[str, RequiredAttribute] = {}
    for uri in dict.fromkeys(uri for uri in mapped if type(uri) is str and uri in known):
        name = f"{IDENTITY_ATTRIBUTES}.{claim_key(uri)}"
        if is_name(name):
            found.setdefault(name, _required(name, known[uri]))
    return with_parents(found.values())


def is_name(name: str) -> bool:
    """Whether a name is valid for an identity attribute (docs/wire/cds.md §7)."""
    parts = name.split(".")
    is_name_shaped = (
        NAME_PARTS_MIN <= len(parts) <= NAME_PARTS_MAX and len(name) <= NAME_LENGTH_MAX and name.isprintable()
    )
    return is_name_shaped and parts[0] == IDENTITY_ATTRIBUTES and all(map(str.strip, parts))


def with_parents(required: Iterable[RequiredAttribute]) -> tuple[RequiredAttribute, ...]:
    """The required attributes with the complex parents of dotted names, created where they are missing.

    A parent is a single object, because a dotted claim cannot name an element of a list.
    """
    found = {item.name: item for item in required}
    for name in list(found):
        above = found[name].parent
        while above != IDENTITY_ATTRIBUTES and above != NEVER_A_PARENT:
            parent = found.get(above) or RequiredAttribute(above)
            found[above] = replace(parent, value_type=COMPLEX, multi_valued=False, canonical_values=())
            above = parent.parent
    return tuple(found.values())


def required_attribute(schema: Schema) -> tuple[RequiredAttribute, ...]:
    """The identity attributes of a schema, as if claims required them."""
    return tuple(map(as_required, schema.in_scope(IDENTITY_ATTRIBUTES)))


def as_required(attribute: Attribute) -> RequiredAttribute:
    """An attribute, as if a claim required it."""
    return RequiredAttribute(
        name=attribute.attribute_name,
        value_type=attribute.value_type,
        multi_valued=attribute.multi_valued,
        read_only=attribute.mutability == READ_ONLY,
        display_name=attribute.display_name,
        canonical_values=attribute.canonical_values,
    )


def reconcile(
    schema: Schema, required: Sequence[RequiredAttribute], new_id: Callable[[str], str]
) -> tuple[ConfigChange | None, MirroredAttributes]:
    """The change that makes the identity attributes of a schema equal to the required ones; None if they are.

    `required` contains each attribute once, and its parents (`with_parents`). `new_id`: attribute name → id,
    for names that the schema does not have. A new name that differs only in case from another required one is
    skipped, with its members.
    """
    required, skipped = _without_alike(schema, required)
    present = {item.attribute_name: item for item in schema.in_scope(IDENTITY_ATTRIBUTES)}
    ids = {
        item.name: present[item.name].attribute_id if item.name in present else new_id(item.name)
        for item in required
    }
    attributes = [
        _attribute(item, ids, _children(item, required), present.get(item.name)) for item in required
    ]
    put = tuple(item for item in attributes if item != present.get(item.attribute_name))
    dropped = tuple(item for name, item in present.items() if name not in ids)
    return _change(put, dropped), MirroredAttributes(
        added=tuple(item.attribute_name for item in put if item.attribute_name not in present),
        changed=tuple(item.attribute_name for item in put if item.attribute_name in present),
        removed=tuple(item.attribute_name for item in dropped),
        skipped=skipped,
    )


def _without_alike(
    schema: Schema, required: Sequence[RequiredAttribute]
) -> tuple[Sequence[RequiredAttribute], tuple[str, ...]]:
    """The required attributes without the new ones that differ only in case from another, and their names."""
    new = {item.name for item in required if schema.find(item.name) is None}
    kept_name = {item.name.casefold(): item.name for item in required if item.name not in new}
    for item in required:
        kept_name.setdefault(item.name.casefold(), item.name)
    skipped = {name for name in new if kept_name[name.casefold()] != name}
    above = tuple(f"{name}." for name in skipped)
    skipped |= {item.name for item in required if item.name.startswith(above)}
    kept = [item for item in required if item.name not in skipped]
    return kept, tuple(item.name for item in required if item.name in skipped)


def missing_names(schema: Schema, required: Iterable[RequiredAttribute]) -> tuple[str, ...]:
    """The names for which `reconcile` needs new ids."""
    return tuple(item.name for item in required if schema.find(item.name) is None)


def _change(put: tuple[Attribute, ...], dropped: tuple[Attribute, ...]) -> ConfigChange | None:
    drop = DropAttributes(tuple(item.attribute_id for item in dropped))
    if put and dropped:
        return Several((PutAttributes(put), drop))
    return PutAttributes(put) if put else drop if dropped else None


def _children(parent: RequiredAttribute, required: Iterable[RequiredAttribute]) -> tuple[str, ...]:
    if parent.value_type != COMPLEX:
        return ()
    return tuple(item.name for item in required if item.parent == parent.name)


def _attribute(
    required: RequiredAttribute, ids: Mapping[str, str], children: Collection[str], before: Attribute | None
) -> Attribute:
    return Attribute(
        attribute_id=ids[required.name],
        attribute_name=required.name,
        value_type=required.value_type,
        merge_strategy=before.merge_strategy if before is not None else "overwrite",
        mutability=READ_ONLY if required.read_only else READ_WRITE,
        display_name=required.display_name or required.name.rpartition(".")[2],
        multi_valued=required.multi_valued,
        canonical_values=required.canonical_values if required.value_type == "string" else (),
        sub_attributes=tuple(ids[name] for name in children),
    )


def _required(name: str, local: Mapping[str, Any]) -> RequiredAttribute:
    declared = local.get("dataType")
    value_type = _TYPES.get(declared.lower(), "string") if type(declared) is str else "string"
    return RequiredAttribute(
        name=name,
        value_type=value_type,
        multi_valued=_properties(local).get("multiValued") == "true",
        read_only=local.get("readOnly") is True,
        display_name=_text(local.get("displayName")),
        canonical_values=_canonical_values(local.get("canonicalValues")) if value_type == "string" else (),
    )


def _properties(local: Mapping[str, Any]) -> dict[Any, Any]:
    entries = local.get("properties")
    if type(entries) is not list:
        return {}
    return {e.get("key"): e.get("value") for e in entries if type(e) is dict and type(e.get("key")) is str}


def _canonical_values(entries: object) -> tuple[CanonicalValue, ...]:
    if not isinstance(entries, list) or len(entries) > CANONICAL_VALUES_MAX:
        return ()
    found = {
        value: CanonicalValue(value, _text(item.get("label")) or None)
        for item in entries
        if type(item) is dict and (value := _text(item.get("value")))
    }
    return tuple(found.values())


def _text(value: object) -> str:
    """The text if it is printable and not too long, else ''."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= NAME_LENGTH_MAX else ""
