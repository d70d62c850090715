"""The identity manifest of an organisation: its document exported, compared and applied.

    document ─▶ differences, line by line ─▶ previews of what would merge profiles ─▶ applied

Invariants: every step is a use-case of the admin interface, in an order in which each step finds what it
needs. Applying a document again does what is left to do. What a document does not name stays, except identity
types if it lists any, and the bindings of a dataset if it lists those.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from oneself.core.config.changes import PutIdentityType
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import NEW_DATASET
from oneself.core.identity.identity_type import BUILT_IN_TYPES, IdentityType
from oneself.errors import Conflict
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.identity.attributes import TOLERANCE, ConfirmationRequired, IdentityBindings
from oneself.service.identity.manifest.diff import lines
from oneself.service.identity.manifest.document import BindingEntry, DatasetEntry, Document, TypeEntry
from oneself.service.rules.preview import Preview
from oneself.service.schema.dataset_settings import FIELDS, change_settings, list_settings, validated_settings
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_bindings import Binding, default_attribute
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.schema.user_attributes import read_changes, user_attributes


class IdentityManifest:
    """Exports, compares and applies the document of an organisation."""

    def __init__(
        self,
        configurations: Configurations,
        datasets: Datasets,
        types: IdentityTypes,
        attributes: IdentityBindings,
    ) -> None:
        self._configurations = configurations
        self._datasets = datasets
        self._types = types
        self._attributes = attributes

    async def export(self, dataset_ref: DatasetRef) -> dict[str, Any]:
        """The organisation's document, as plain values."""
        types = {
            identity_type.type_id: _type_entry(identity_type)
            for identity_type in await self._own_types(dataset_ref)
        }
        names = [dataset.name for dataset in await self._datasets.list(dataset_ref)]
        datasets = {name: await self._dataset_entry(dataset_ref, name) for name in names}
        exported: dict[str, Any] = msgspec.to_builtins(Document(types, datasets))
        return exported

    async def diff(self, dataset_ref: DatasetRef, document: Document) -> list[str]:
        """What applying the document would change, one line per difference."""
        known = {
            identity_type.type_id: _type_entry(identity_type)
            for identity_type in await self._types.list(dataset_ref)
        }
        type_ids_left_out = [
            identity_type.type_id for identity_type in await self._types_left_out(dataset_ref, document)
        ]
        found = {dataset.name for dataset in await self._datasets.list(dataset_ref)}
        datasets = {
            name: await self._dataset_entry(dataset_ref, name) if name in found else None
            for name in document.datasets
        }
        return lines(
            await self._with_attributes(dataset_ref, document, found), known, type_ids_left_out, datasets
        )

    async def previews(self, dataset_ref: DatasetRef, document: Document) -> dict[str, Preview]:
        """Dataset → what its bindings would do; only datasets in which profiles would be merged.

        Raises InvalidInput, Conflict for most of what `apply` would reject.
        """
        for left_out in await self._types_left_out(dataset_ref, document):
            if not left_out.built_in:
                await self._types.check_unused(dataset_ref, left_out.type_id)
        types = tuple(map(PutIdentityType, (await self._types_after(dataset_ref, document)).values()))
        found: dict[str, Preview] = {}
        for name, entry in document.datasets.items():
            settings, _ = _settings(entry)
            at = await self._datasets.find(dataset_ref, name)
            validated_settings(change_settings(NEW_DATASET, settings))
            if at is not None:
                preview = await self._attributes.preview(at, _bindings(entry), _channels(entry), types)
                found |= {name: preview} if preview is not None else {}
        return found

    async def apply(
        self, dataset_ref: DatasetRef, document: Document, previews_agreed_to: Mapping[str, Preview]
    ) -> None:
        """Apply the document.

        `previews_agreed_to`: of `previews`; Conflict if more profiles would be merged now. Raises
        InvalidInput, Conflict, Contended; the next call continues after what is done until then.
        """
        left_out = await self._types_left_out(dataset_ref, document)
        known = {
            identity_type.type_id: identity_type for identity_type in await self._types.list(dataset_ref)
        }
        for type_id, identity_type in (await self._types_after(dataset_ref, document)).items():
            if type_id not in known:
                await self._types.create(dataset_ref, identity_type)
            else:
                await self._types.change(dataset_ref, type_id, _changes(identity_type))
        for name, entry in document.datasets.items():
            await self._apply_dataset(dataset_ref, name, entry, previews_agreed_to.get(name))
        for identity_type in left_out:
            if identity_type.built_in:
                await self._types.change(
                    dataset_ref, identity_type.type_id, _changes(BUILT_IN_TYPES[identity_type.type_id])
                )
            else:
                await self._types.delete(dataset_ref, identity_type.type_id)

    async def _apply_dataset(
        self, dataset_ref: DatasetRef, name: str, entry: DatasetEntry, previews_agreed_to: Preview | None
    ) -> None:
        settings, attributes = _settings(entry)
        if await self._datasets.find(dataset_ref, name) is None:
            await self._datasets.create(dataset_ref, name, settings, attributes)
        else:
            await self._datasets.change(dataset_ref, name, settings, attributes)
        at = await self._datasets.get(dataset_ref, name)
        bindings, channels = _bindings(entry), _channels(entry)
        try:
            await self._attributes.change(at, bindings, channels)
        except ConfirmationRequired as unconfirmed:
            absorbed = previews_agreed_to.profiles_absorbed if previews_agreed_to is not None else 0
            if unconfirmed.preview.profiles_absorbed > absorbed * (1 + TOLERANCE):
                sentence = (
                    f"More profiles of {name!r} would be merged now than in the preview. Preview it again."
                )
                raise Conflict(sentence, code="unconfirmed") from None
            await self._attributes.change(at, bindings, channels, unconfirmed.confirmation)

    async def _with_attributes(
        self, dataset_ref: DatasetRef, document: Document, found: Collection[str]
    ) -> Document:
        """The document with the default attributes of its bindings filled in. `found`: existing datasets."""
        configs = {
            name: await self._configurations.current((await self._datasets.get(dataset_ref, name)).dataset_id)
            for name in document.datasets
            if name in found
        }
        datasets = {
            name: _filled(entry, configs[name]) if name in configs else entry
            for name, entry in document.datasets.items()
        }
        return msgspec.structs.replace(document, datasets=datasets)

    async def _own_types(self, dataset_ref: DatasetRef) -> list[IdentityType]:
        """The types that differ from the built-in ones."""
        found = await self._types.list(dataset_ref)
        return [
            identity_type
            for identity_type in found
            if identity_type != BUILT_IN_TYPES.get(identity_type.type_id)
        ]

    async def _types_left_out(self, dataset_ref: DatasetRef, document: Document) -> list[IdentityType]:
        if isinstance(document.identity_types, UnsetType):
            return []
        own = await self._own_types(dataset_ref)
        return [
            identity_type for identity_type in own if identity_type.type_id not in document.identity_types
        ]

    async def _types_after(self, dataset_ref: DatasetRef, document: Document) -> dict[str, IdentityType]:
        known = {
            identity_type.type_id: identity_type for identity_type in await self._types.list(dataset_ref)
        }
        entries = {} if isinstance(document.identity_types, UnsetType) else document.identity_types
        return {
            type_id: _with(known.get(type_id) or IdentityType(type_id, type_id), entry)
            for type_id, entry in entries.items()
        }

    async def _dataset_entry(self, dataset_ref: DatasetRef, name: str) -> DatasetEntry:
        at = await self._datasets.get(dataset_ref, name)
        config = await self._configurations.current(at.dataset_id)
        bound = sorted(config.identity_attributes.values(), key=lambda binding: binding.name)
        return DatasetEntry(
            **list_settings(config.dataset),
            user_attributes={
                name: msgspec.to_builtins(found) for name, found in user_attributes(config).items()
            },
            identity_attributes={b.name: BindingEntry(b.type_id, b.attribute) for b in bound},
            channel_identities=dict(config.channels),
        )


def _type_entry(identity_type: IdentityType) -> TypeEntry:
    return TypeEntry(
        label=identity_type.label,
        is_unique=identity_type.is_unique,
        case_sensitive=identity_type.case_sensitive,
        trusted_only=identity_type.trusted_only,
        proves_identity=identity_type.proves_identity,
        conflict_blocks_merge=identity_type.conflict_blocks_merge,
        blocked_values=identity_type.blocked_values,
        blocks_default_values=identity_type.blocks_default_values,
    )


def _with(identity_type: IdentityType, entry: TypeEntry) -> IdentityType:
    given = {name: value for name in entry.__struct_fields__ if (value := getattr(entry, name)) is not UNSET}
    return msgspec.structs.replace(identity_type, **given)


def _changes(identity_type: IdentityType) -> dict[str, Any]:
    changes: dict[str, Any] = msgspec.structs.asdict(identity_type)
    return {name: value for name, value in changes.items() if name not in ("type_id", "built_in")}


def _settings(entry: DatasetEntry) -> tuple[dict[str, Any], Any]:
    given = {name: value for name in FIELDS if (value := getattr(entry, name)) is not UNSET}
    attributes = {} if isinstance(entry.user_attributes, UnsetType) else entry.user_attributes
    return given, read_changes(attributes)


def _bindings(entry: DatasetEntry) -> list[Binding] | None:
    if isinstance(entry.identity_attributes, UnsetType):
        return None
    return [
        Binding(
            name,
            name if isinstance(binding.identity_type, UnsetType) else binding.identity_type,
            None if isinstance(binding.attribute, UnsetType) else binding.attribute,
        )
        for name, binding in entry.identity_attributes.items()
    ]


def _filled(entry: DatasetEntry, config: Config) -> DatasetEntry:
    """The entry with the default attributes of its bindings."""
    bindings = _bindings(entry)
    if bindings is None:
        return entry
    filled = {
        binding.name: BindingEntry(
            binding.identity_type, binding.attribute or default_attribute(config, binding)
        )
        for binding in bindings
    }
    return msgspec.structs.replace(entry, identity_attributes=filled)


def _channels(entry: DatasetEntry) -> dict[str, str | None] | None:
    return None if isinstance(entry.channel_identities, UnsetType) else entry.channel_identities
