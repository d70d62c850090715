"""The profile schema of an organisation: defining, redefining and removing attributes.

Invariants: a change is decided on the current configuration and becomes its next version in one transaction,
by the rules of `core.values.definition`. Before that, only the existence of the applications is looked up, so
that no attribute is defined for an unknown application. Source: docs/wire/cds.md §7.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec

from oneself.core.config.changes import ConfigChange, DropAttributes, PutAttributes
from oneself.core.config.configuration import Config
from oneself.core.values.attribute import APPLICATION_DATA, Attribute
from oneself.core.values.definition import AttributeChange, define, redefine, undefine
from oneself.core.values.definition_rules import AttributeReason, AttributeRejected
from oneself.core.values.schema import Schema
from oneself.errors import PreconditionFailed
from oneself.service.configuration import Configurations, Decide
from oneself.service.context import Actor, DatasetRef
from oneself.service.schema.identity_bindings import bound_sentence, broken_binding

#: Who acts unless the caller says otherwise.
_CLIENT = Actor("cds")
VERSION_BYTES = 12


class ApplicationDirectory(Protocol):
    """Finds the applications of an organisation."""

    async def find(self, dataset_ref: DatasetRef, client_id: str) -> object | None: ...


class Schemas:
    """Changes profile schemas. An invalid change raises AttributeRejected."""

    def __init__(self, configurations: Configurations, applications: ApplicationDirectory) -> None:
        self._configurations = configurations
        self._applications = applications

    async def define(
        self,
        dataset_ref: DatasetRef,
        scope: str,
        drafts: Sequence[Attribute],
        child_names: Sequence[Mapping[str, str]] = (),
        actor: Actor = _CLIENT,
    ) -> list[Attribute]:
        """Add attributes, all or none. Drafts have their ids; see `core.values.definition.define`."""
        unknown = await self._unknown_applications(dataset_ref, drafts)
        defined: list[Attribute] = []

        def decide(config: Config) -> ConfigChange:
            defined[:] = define(config.schema, scope, drafts, child_names=child_names)
            _check_ids_free(config.schema, defined)
            _check_applications(defined, unknown)
            return PutAttributes(tuple(defined))

        await self._change(dataset_ref, actor, decide)
        return defined

    async def redefine(
        self,
        dataset_ref: DatasetRef,
        scope: str,
        attribute_id: str,
        change: AttributeChange,
        child_names: Mapping[str, str] | None = None,
        *,
        actor: Actor = _CLIENT,
        version: str | None = None,
    ) -> Attribute:
        """Change one attribute; see `core.values.definition.redefine`. Raises AttributeRejected.

        `version`: the attribute as the caller knows it. Raises PreconditionFailed if it is another by now.
        """
        unknown = await self._unknown(dataset_ref, [change.application_identifier])
        redefined: list[Attribute] = []

        def decide(config: Config) -> ConfigChange | None:
            _check_version(config.schema, attribute_id, version)
            changed = redefine(config.schema, scope, attribute_id, change, child_names=child_names)
            _check_applications([changed], unknown)
            _check_bindings(config, config.schema.with_([changed]), "bound_to_identity_type")
            redefined[:] = [changed]
            return None if changed == config.schema.get(attribute_id) else PutAttributes((changed,))

        await self._change(dataset_ref, actor, decide)
        return redefined[0]

    async def undefine(
        self,
        dataset_ref: DatasetRef,
        scope: str | None = None,
        attribute_id: str | None = None,
        *,
        actor: Actor = _CLIENT,
        version: str | None = None,
    ) -> None:
        """Remove one attribute, a scope, or all but the identity attributes; values on profiles stay.

        `version`: of the one attribute, as for `redefine`.
        """

        def decide(config: Config) -> ConfigChange | None:
            if attribute_id is not None:
                _check_version(config.schema, attribute_id, version)
            ids = undefine(config.schema, scope, attribute_id)
            _check_bindings(config, config.schema.without(ids), "needed_by_identity_type")
            return DropAttributes(ids) if ids else None

        await self._change(dataset_ref, actor, decide)

    async def _change(self, dataset_ref: DatasetRef, actor: Actor, decide: Decide) -> None:
        await self._configurations.change(dataset_ref.dataset_id, decide, **actor.author)

    async def _unknown_applications(
        self, dataset_ref: DatasetRef, drafts: Iterable[Attribute]
    ) -> frozenset[str]:
        in_data = (draft.application_identifier for draft in drafts if draft.scope == APPLICATION_DATA)
        return await self._unknown(dataset_ref, in_data)

    async def _unknown(self, dataset_ref: DatasetRef, identifiers: Iterable[object]) -> frozenset[str]:
        named = {identifier for identifier in identifiers if isinstance(identifier, str) and identifier}
        return frozenset([name for name in named if await self._applications.find(dataset_ref, name) is None])


def version_of(attribute: Attribute) -> str:
    """A text that is another one as soon as anything of the attribute is."""
    return blake2b(msgspec.json.encode(attribute), digest_size=VERSION_BYTES).hexdigest()


def _check_version(schema: Schema, attribute_id: str, version: str | None) -> None:
    """What the caller knows must be what is stored now."""
    if version is None:
        return
    attribute = schema.get(attribute_id)
    if attribute is None or version_of(attribute) != version:
        raise PreconditionFailed("The attribute was changed in the meantime.")


def _check_ids_free(schema: Schema, drafts: Iterable[Attribute]) -> None:
    """An id that the caller chose must not be that of another attribute."""
    for draft in drafts:
        if schema.get(draft.attribute_id) is not None:
            raise AttributeRejected("duplicate_id", f"Attribute id '{draft.attribute_id}' already exists.")


def _check_bindings(config: Config, schema: Schema, reason: AttributeReason) -> None:
    """An attribute that is bound to an identity type stays as it is."""
    binding = broken_binding(config, schema)
    if binding is not None:
        raise AttributeRejected(reason, bound_sentence(binding))


def _check_applications(attributes: Iterable[Attribute], unknown: Collection[str]) -> None:
    for attribute in attributes:
        if attribute.application_identifier in unknown:
            sentence = f"Application '{attribute.application_identifier}' does not exist."
            raise AttributeRejected("unknown_application", sentence)
