"""The embedded directory's provider claims: add, change and delete them.

Invariants: the directory's claims are the identity attributes themselves, so the two cannot differ. A change
is reconciled by the same function as an identity server's claims, in one change of the configuration. Where
an identity server has the claims, they are changed there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import (
    COMPLEX,
    RequiredAttribute,
    is_name,
    reconcile,
    required_attribute,
    with_parents,
)
from oneself.core.values.attribute import (
    IDENTITY_ATTRIBUTES,
    READ_ONLY,
    VALUE_TYPES,
    Attribute,
    CanonicalValue,
)
from oneself.core.values.definition_rules import CANONICAL_VALUES_MAX, DISPLAY_NAME_BYTES_MAX
from oneself.core.values.schema import Schema
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.claim_sync import INTERFACE, ClaimSync
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.schema.identity_bindings import check_required

#: More than any identity server has; every profile write looks at the schema.
CLAIMS_MAX = 2_000


class DirectoryClaim(msgspec.Struct, frozen=True):
    """A provider claim of the directory."""

    #: Without the scope; a dotted one is a member of a complex claim.
    name: str
    value_type: str = "string"
    multi_valued: bool = False
    read_only: bool = False
    display_name: str = ""
    canonical_values: tuple[CanonicalValue, ...] = ()
    attribute_id: str = ""


class DirectoryClaims:
    """The use-cases of the directory's claims."""

    def __init__(
        self, configurations: Configurations, servers: IdentityServers, claim_sync: ClaimSync
    ) -> None:
        self._configurations = configurations
        self._servers = servers
        self._claim_sync = claim_sync

    async def list(self, dataset_ref: DatasetRef) -> list[DirectoryClaim]:
        """Every mirrored claim, of the directory or an identity server, by name."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        found = map(_claim, config.schema.in_scope(IDENTITY_ATTRIBUTES))
        return sorted(found, key=lambda claim: claim.name)

    async def find(self, dataset_ref: DatasetRef, name: str) -> DirectoryClaim:
        """One claim; raises NotFound."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return _claim(_known(config.schema, name))

    async def add(self, dataset_ref: DatasetRef, claim: DirectoryClaim) -> DirectoryClaim:
        """Add a claim; a name that a claim had before gets the same attribute id again.

        Raises InvalidInput, Conflict.
        """
        _check(claim)

        def add(schema: Schema) -> Sequence[RequiredAttribute]:
            if schema.find(_full(claim.name)) is not None:
                raise Conflict(f"A claim {claim.name!r} already exists.", code="taken")
            if len(schema.in_scope(IDENTITY_ATTRIBUTES)) >= CLAIMS_MAX:
                raise InvalidInput("name", f"An organisation has at most {CLAIMS_MAX} claims.")
            return _with(schema, _required(claim))

        return await self._change(dataset_ref, claim.name, add)

    async def change(self, dataset_ref: DatasetRef, name: str, changes: Mapping[str, Any]) -> DirectoryClaim:
        """Change a claim by the field names of DirectoryClaim; its name stays.

        Raises NotFound, InvalidInput, Conflict.
        """

        def change(schema: Schema) -> Sequence[RequiredAttribute]:
            before = _claim(_known(schema, name))
            claim = msgspec.structs.replace(before, **changes)
            if claim.value_type != before.value_type and not changes.get("canonical_values"):
                claim = msgspec.structs.replace(claim, canonical_values=())
            _check(claim)
            if before.value_type == COMPLEX != claim.value_type and _members(schema, name):
                raise Conflict(f"{name!r} has members; delete them first.", code="has_members")
            return _with(schema, _required(claim))

        return await self._change(dataset_ref, name, change)

    async def delete(self, dataset_ref: DatasetRef, name: str) -> bool:
        """Delete a claim with its members; False if there was none. Values stay on profiles, hidden.

        Raises Conflict if an identity server has the claims.
        """
        present: list[Attribute | None] = []

        def without(schema: Schema) -> Sequence[RequiredAttribute]:
            present[:] = [schema.find(_full(name))]
            gone = {_full(name), *_members(schema, name)}
            return _pruned(
                [attribute for attribute in required_attribute(schema) if attribute.name not in gone]
            )

        await self._apply(dataset_ref, (), without)
        return present[0] is not None

    async def _change(
        self, dataset_ref: DatasetRef, name: str, decide: Callable[[Schema], Sequence[RequiredAttribute]]
    ) -> DirectoryClaim:
        config = await self._apply(dataset_ref, (name,), decide)
        return _claim(_known(config.schema, name))

    async def _apply(
        self,
        dataset_ref: DatasetRef,
        names: Sequence[str],
        decide: Callable[[Schema], Sequence[RequiredAttribute]],
    ) -> Config:
        if await self._servers.find(dataset_ref) is not None:
            raise Conflict("The identity server has the claims; change them there.", code="mirrored")
        new_id = await self._claim_sync.attribute_ids(
            dataset_ref, with_parents(RequiredAttribute(_full(n)) for n in names)
        )

        def change(config: Config) -> ConfigChange | None:
            required = decide(config.schema)
            check_required(config, required)
            reconciled, mirrored = reconcile(config.schema, required, new_id)
            if mirrored.skipped:
                sentence = f"{mirrored.skipped[0][:100]!r} differs only in case from another attribute."
                raise Conflict(sentence, code="taken")
            return reconciled

        return await self._configurations.change(dataset_ref.dataset_id, change, interface=INTERFACE)


def _full(name: str) -> str:
    return f"{IDENTITY_ATTRIBUTES}.{name}"


def _known(schema: Schema, name: str) -> Attribute:
    attribute = schema.find(_full(name))
    if attribute is None:
        raise NotFound(f"There is no claim {name[:100]!r}.")
    return attribute


def _members(schema: Schema, name: str) -> set[str]:
    """The names of the members of a complex claim, at any depth."""
    attribute = schema.find(_full(name))
    if attribute is None or attribute.value_type != COMPLEX:
        return set()
    below = attribute.attribute_name + "."
    return {a.attribute_name for a in schema.attributes if a.attribute_name.startswith(below)}


def _with(schema: Schema, required: RequiredAttribute) -> Sequence[RequiredAttribute]:
    others = [attribute for attribute in required_attribute(schema) if attribute.name != required.name]
    return _checked_parents(schema, with_parents([*others, required]))


def _checked_parents(schema: Schema, required: Sequence[RequiredAttribute]) -> Sequence[RequiredAttribute]:
    """Rejects a dotted claim that would make an object of a claim with a value."""
    for attribute in required:
        before = schema.find(attribute.name)
        if (
            before is not None
            and before.value_type != COMPLEX == attribute.value_type
            and _has_members(attribute, required)
        ):
            plain = attribute.name.partition(".")[2]
            raise Conflict(f"{plain!r} has a value of its own and cannot have members.", code="no_members")
    return required


def _has_members(parent: RequiredAttribute, required: Sequence[RequiredAttribute]) -> bool:
    return any(attribute.parent == parent.name for attribute in required)


def _pruned(required: list[RequiredAttribute]) -> Sequence[RequiredAttribute]:
    """The same without complex claims that have no member left: they could not hold a value."""
    while True:
        remaining = [
            attribute
            for attribute in required
            if attribute.value_type != COMPLEX or _has_members(attribute, required)
        ]
        if len(remaining) == len(required):
            return required
        required = remaining


def _check(claim: DirectoryClaim) -> None:
    """Raise InvalidInput for the first invalid field."""
    if not is_name(_full(claim.name)) or "/" in claim.name:
        raise InvalidInput(
            "name", "The name must have one to four printable parts, separated by dots, without a slash."
        )
    if claim.value_type not in VALUE_TYPES:
        raise InvalidInput("value_type", f"The value type must be one of: {', '.join(VALUE_TYPES)}.")
    if claim.value_type == COMPLEX and not claim.attribute_id:
        raise InvalidInput("value_type", "To create a complex claim, add its members, such as address.city.")
    if len(claim.display_name.encode()) > DISPLAY_NAME_BYTES_MAX or not claim.display_name.isprintable():
        raise InvalidInput(
            "display_name", f"The display name must have at most {DISPLAY_NAME_BYTES_MAX} printable bytes."
        )
    if claim.canonical_values and claim.value_type != "string":
        raise InvalidInput("canonical_values", "Only strings have canonical values.")
    values = [attribute.value for attribute in claim.canonical_values]
    if len(values) > CANONICAL_VALUES_MAX or len(set(values)) != len(values) or not all(values):
        raise InvalidInput(
            "canonical_values",
            f"A claim has at most {CANONICAL_VALUES_MAX} canonical values, all different and not empty.",
        )


def _claim(attribute: Attribute) -> DirectoryClaim:
    return DirectoryClaim(
        name=attribute.key,
        value_type=attribute.value_type,
        multi_valued=attribute.multi_valued,
        read_only=attribute.mutability == READ_ONLY,
        display_name=attribute.display_name,
        canonical_values=attribute.canonical_values,
        attribute_id=attribute.attribute_id,
    )


def _required(claim: DirectoryClaim) -> RequiredAttribute:
    return RequiredAttribute(
        name=_full(claim.name),
        value_type=claim.value_type,
        multi_valued=claim.multi_valued,
        read_only=claim.read_only,
        display_name=claim.display_name,
        canonical_values=claim.canonical_values,
    )
