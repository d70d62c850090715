"""The identity system of an organisation as one document, to be kept in a file: exported, compared, applied.

    document ─▶ differences, line by line ─▶ previews of what would join people ─▶ applied

Law of this module: everything is done by the use-cases that the REST resources call, in an order in which
each step finds what it needs; a repeat does what is left to do, and nothing if that is nothing. What a
document does not name stays, except identity types where it lists any, and bindings where it lists a
dataset's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oneself.core.config.changes import PutIdentityType
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identity_type import BUILT_IN_TYPES, IdentityType
from oneself.errors import Conflict, InvalidInput
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.identity.attributes import TOLERANCE, ConfirmationRequired, IdentityBindings
from oneself.service.identity.manifest.lines import lines
from oneself.service.rules.preview import Preview
from oneself.service.schema.dataset_settings import FIELDS, checked
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_bindings import Binding
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.schema.user_attributes import read_changes, user_attributes

UNIQUENESS = {"Identity Namespace": True, "Not Unique": False}
WORDS: dict[bool, Literal["Identity Namespace", "Not Unique"]] = {
    True: "Identity Namespace",
    False: "Not Unique",
}


class TypeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An identity type; what is absent stays, or is as POST makes it."""

    label: str | UnsetType = UNSET
    uniqueness: Literal["Identity Namespace", "Not Unique"] | UnsetType = UNSET
    case_sensitive: bool | UnsetType = UNSET
    trusted_only: bool | UnsetType = UNSET
    conflict_blocks_merge: bool | UnsetType = UNSET
    blocked_values: tuple[str, ...] | UnsetType = UNSET
    blocks_default_values: bool | UnsetType = UNSET


class BindingEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An identity attribute; `identity_type` is its name unless it says otherwise."""

    identity_type: str | UnsetType = UNSET
    attribute: str | UnsetType = UNSET


class DatasetEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset; what is absent stays. `user_attributes`: null removes one."""

    label: str | UnsetType = UNSET
    pipeline_identity_resolution: bool | UnsetType = UNSET
    identity_trust: Literal["timestamp", "tiered"] | UnsetType = UNSET
    merged_anonymous: Literal["follow", "fresh"] | UnsetType = UNSET
    visit_timeout_millis: int | UnsetType = UNSET
    enable_remember_me_user_ids: bool | UnsetType = UNSET
    remember_me_user_ids_millis: int | UnsetType = UNSET
    allowed_origins: tuple[str, ...] | UnsetType = UNSET
    user_attributes: dict[str, Any] | UnsetType = UNSET
    identity_attributes: dict[str, BindingEntry] | UnsetType = UNSET
    channel_identities: dict[str, str | None] | UnsetType = UNSET


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """Identity types by id, those that are not as built in; datasets by name."""

    identity_types: dict[str, TypeEntry] | UnsetType = UNSET
    datasets: dict[str, DatasetEntry] = {}


def read_document(raw: Any) -> Document:
    """What a file holds, as decoded; raises InvalidInput saying where it is wrong."""
    try:
        return msgspec.convert(_without_empty(raw), Document)
    except msgspec.ValidationError as error:
        raise InvalidInput("document", f"{error}.") from None


class IdentityDocuments:
    """Exports, compares and applies documents."""

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
        types = {each.type_id: _type_entry(each) for each in await self._own_types(dataset_ref)}
        names = [each.name for each in await self._datasets.list(dataset_ref)]
        datasets = {name: await self._dataset_entry(dataset_ref, name) for name in names}
        exported: dict[str, Any] = msgspec.to_builtins(Document(types, datasets))
        return exported

    async def diff(self, dataset_ref: DatasetRef, wanted: Document) -> list[str]:
        """What applying the document would change, a line each."""
        known = {each.type_id: _type_entry(each) for each in await self._types.list(dataset_ref)}
        gone = [each.type_id for each in await self._left_out(dataset_ref, wanted)]
        found = {each.name for each in await self._datasets.list(dataset_ref)}
        datasets = {
            name: await self._dataset_entry(dataset_ref, name) if name in found else None
            for name in wanted.datasets
        }
        return lines(wanted, known, gone, datasets)

    async def previews(self, dataset_ref: DatasetRef, wanted: Document) -> dict[str, Preview]:
        """Dataset → what its bindings would do; only those that would move people.

        Raises InvalidInput, Conflict for most of what `apply` would refuse.
        """
        for left_out in await self._left_out(dataset_ref, wanted):
            if not left_out.built_in:
                await self._types.check_unused(dataset_ref, left_out.type_id)
        types = tuple(map(PutIdentityType, (await self._wanted_types(dataset_ref, wanted)).values()))
        found: dict[str, Preview] = {}
        for name, entry in wanted.datasets.items():
            settings, _ = _settings(entry)
            at = await self._datasets.find(dataset_ref, name)
            checked(DatasetSettings(**settings))
            if at is not None:
                preview = await self._attributes.preview(at, _bindings(entry), _channels(entry), types)
                found |= {name: preview} if preview is not None else {}
        return found

    async def apply(self, dataset_ref: DatasetRef, wanted: Document, shown: Mapping[str, Preview]) -> None:
        """Make it so. `shown`: the previews that were agreed to; Conflict where there is more to it by now.

        Raises InvalidInput, Conflict, Contended; what was done until then is found done by a repeat.
        """
        left_out = await self._left_out(dataset_ref, wanted)
        known = {each.type_id: each for each in await self._types.list(dataset_ref)}
        for type_id, identity_type in (await self._wanted_types(dataset_ref, wanted)).items():
            if type_id not in known:
                await self._types.create(dataset_ref, identity_type)
            else:
                await self._types.change(dataset_ref, type_id, _changes(identity_type))
        for name, entry in wanted.datasets.items():
            await self._apply_dataset(dataset_ref, name, entry, shown.get(name))
        for each in left_out:
            if each.built_in:
                await self._types.change(dataset_ref, each.type_id, _changes(BUILT_IN_TYPES[each.type_id]))
            else:
                await self._types.delete(dataset_ref, each.type_id)

    async def _apply_dataset(
        self, dataset_ref: DatasetRef, name: str, entry: DatasetEntry, shown: Preview | None
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
            absorbed = shown.profiles_absorbed if shown is not None else 0
            if unconfirmed.preview.profiles_absorbed > absorbed * (1 + TOLERANCE):
                sentence = (
                    f"More people of {name!r} would be joined by now than the preview said; look again."
                )
                raise Conflict(sentence, code="unconfirmed") from None
            await self._attributes.change(at, bindings, channels, unconfirmed.confirmation)

    async def _own_types(self, dataset_ref: DatasetRef) -> list[IdentityType]:
        """The types that are not as built in."""
        found = await self._types.list(dataset_ref)
        return [each for each in found if each != BUILT_IN_TYPES.get(each.type_id)]

    async def _left_out(self, dataset_ref: DatasetRef, wanted: Document) -> list[IdentityType]:
        if isinstance(wanted.identity_types, UnsetType):
            return []
        own = await self._own_types(dataset_ref)
        return [each for each in own if each.type_id not in wanted.identity_types]

    async def _wanted_types(self, dataset_ref: DatasetRef, wanted: Document) -> dict[str, IdentityType]:
        known = {each.type_id: each for each in await self._types.list(dataset_ref)}
        entries = {} if isinstance(wanted.identity_types, UnsetType) else wanted.identity_types
        return {
            type_id: _with(known.get(type_id) or IdentityType(type_id, type_id), entry)
            for type_id, entry in entries.items()
        }

    async def _dataset_entry(self, dataset_ref: DatasetRef, name: str) -> DatasetEntry:
        at = await self._datasets.get(dataset_ref, name)
        config = await self._configurations.current(at.dataset_id)
        bound = sorted(config.identity_attributes.values(), key=lambda each: each.name)
        return DatasetEntry(
            **{field: getattr(config.dataset, field) for field in FIELDS},
            user_attributes={
                each: msgspec.to_builtins(found) for each, found in user_attributes(config).items()
            },
            identity_attributes={each.name: BindingEntry(each.type_id, each.attribute) for each in bound},
            channel_identities=dict(config.channels),
        )


def _without_empty(raw: Any) -> Any:
    """An entry that is only named says nothing more."""
    if not isinstance(raw, dict):
        return {} if raw is None else raw
    whole = {key: {} if value is None else value for key, value in raw.items()}
    for section in ("identity_types", "datasets"):
        entries = whole.get(section)
        if isinstance(entries, dict):
            whole[section] = {key: {} if entry is None else entry for key, entry in entries.items()}
    for entry in (whole.get("datasets") or {}).values() if isinstance(whole.get("datasets"), dict) else ():
        if isinstance(entry, dict) and isinstance(bound := entry.get("identity_attributes"), dict):
            entry["identity_attributes"] = {key: {} if e is None else e for key, e in bound.items()}
    return whole


def _type_entry(identity_type: IdentityType) -> TypeEntry:
    return TypeEntry(
        label=identity_type.label,
        uniqueness=WORDS[identity_type.is_unique],
        case_sensitive=identity_type.case_sensitive,
        trusted_only=identity_type.trusted_only,
        conflict_blocks_merge=identity_type.conflict_blocks_merge,
        blocked_values=identity_type.blocked_values,
        blocks_default_values=identity_type.blocks_default_values,
    )


def _with(identity_type: IdentityType, entry: TypeEntry) -> IdentityType:
    given = {name: value for name in entry.__struct_fields__ if (value := getattr(entry, name)) is not UNSET}
    if "uniqueness" in given:
        given["is_unique"] = UNIQUENESS[given.pop("uniqueness")]
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
            name if isinstance(each.identity_type, UnsetType) else each.identity_type,
            None if isinstance(each.attribute, UnsetType) else each.attribute,
        )
        for name, each in entry.identity_attributes.items()
    ]


def _channels(entry: DatasetEntry) -> dict[str, str | None] | None:
    return None if isinstance(entry.channel_identities, UnsetType) else entry.channel_identities
