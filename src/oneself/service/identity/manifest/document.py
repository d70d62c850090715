"""The identity configuration of an organisation as one document: its fields, and how a file is decoded.

Lives here: values alone. Must not know: use-cases. Absent fields mean "as it is", or the default of a new
entry.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from oneself.errors import InvalidInput


class TypeEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An identity type."""

    label: str | UnsetType = UNSET
    is_unique: bool | UnsetType = UNSET
    case_sensitive: bool | UnsetType = UNSET
    trusted_only: bool | UnsetType = UNSET
    proves_identity: bool | UnsetType = UNSET
    conflict_blocks_merge: bool | UnsetType = UNSET
    blocked_values: tuple[str, ...] | UnsetType = UNSET
    blocks_default_values: bool | UnsetType = UNSET


class BindingEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """An identity attribute."""

    #: Absent: the type of the attribute's name.
    identity_type: str | UnsetType = UNSET
    attribute: str | UnsetType = UNSET


class DatasetEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A dataset."""

    label: str | UnsetType = UNSET
    pipeline_identity_resolution: bool | UnsetType = UNSET
    identity_trust: Literal["timestamp", "tiered"] | UnsetType = UNSET
    merged_anonymous: Literal["follow", "fresh"] | UnsetType = UNSET
    channel_identity_conflict: Literal["keep_apart", "replace"] | UnsetType = UNSET
    default_view: Literal["own", "proven", "all"] | UnsetType = UNSET
    asserted_merges: Literal["unprotected", "all", "unrestricted"] | UnsetType = UNSET
    report_joins: Literal["at_once", "confirmed"] | UnsetType = UNSET
    visit_timeout_millis: int | UnsetType = UNSET
    enable_remember_me_user_ids: bool | UnsetType = UNSET
    remember_me_user_ids_millis: int | UnsetType = UNSET
    allowed_origins: tuple[str, ...] | UnsetType = UNSET
    #: By name; null removes one.
    user_attributes: dict[str, Any] | UnsetType = UNSET
    identity_attributes: dict[str, BindingEntry] | UnsetType = UNSET
    channel_identities: dict[str, str | None] | UnsetType = UNSET


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """The identity configuration of an organisation."""

    #: By id; types that are as built in are absent.
    identity_types: dict[str, TypeEntry] | UnsetType = UNSET
    #: By name.
    datasets: dict[str, DatasetEntry] = {}


def read_document(raw: Any) -> Document:
    """The document of a decoded file; raises InvalidInput with the place of the first error."""
    try:
        return msgspec.convert(_without_empty(raw), Document)
    except msgspec.ValidationError as error:
        raise InvalidInput("document", f"{error}.") from None


def _without_empty(raw: Any) -> Any:
    """The same, with an empty object for every entry that has a name only."""
    if not isinstance(raw, dict):
        return {} if raw is None else raw
    filled = {key: {} if value is None else value for key, value in raw.items()}
    for section in ("identity_types", "datasets"):
        entries = filled.get(section)
        if isinstance(entries, dict):
            filled[section] = {key: {} if entry is None else entry for key, entry in entries.items()}
    for entry in (filled.get("datasets") or {}).values() if isinstance(filled.get("datasets"), dict) else ():
        if isinstance(entry, dict) and isinstance(bound := entry.get("identity_attributes"), dict):
            entry["identity_attributes"] = {key: {} if e is None else e for key, e in bound.items()}
    return filled
