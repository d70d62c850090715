"""How an identity document differs from the current configuration: one line per change.

    + added   - removed   ~ changed

Pure. A line begins with its subject, so that lines can be searched and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from oneself.core.identity.identity_type import DEFAULT_CHANNELS
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.service.identity.manifest.document import DatasetEntry, Document, TypeEntry

_SECTIONS = ("user_attributes", "identity_attributes", "channel_identities")


def lines(
    document: Document,
    types: Mapping[str, TypeEntry],
    left_out: Sequence[str],
    datasets: Mapping[str, DatasetEntry | None],
) -> list[str]:
    """Every difference.

    `types`: the current ones by id. `left_out`: types that would be deleted, or reset to the built-in ones.
    `datasets`: those that the document names; None for one that does not exist.
    """
    return [*_types(document, types, left_out), *_datasets(document, datasets)]


def _types(document: Document, types: Mapping[str, TypeEntry], left_out: Sequence[str]) -> Iterator[str]:
    entries = msgspec.to_builtins(document).get("identity_types", {})
    for type_id, entry_after in entries.items():
        if type_id not in types:
            yield f"+ identity type {type_id}{_fields(entry_after)}"
        else:
            yield from _changed(f"identity type {type_id}", msgspec.to_builtins(types[type_id]), entry_after)
    yield from (f"- identity type {type_id}" for type_id in left_out)


def _datasets(document: Document, datasets: Mapping[str, DatasetEntry | None]) -> Iterator[str]:
    for name, entry_after in msgspec.to_builtins(document)["datasets"].items():
        entry = datasets[name]
        dataset = f"dataset {name}"
        before = msgspec.to_builtins(entry) if entry is not None else {}
        settings = {field: value for field, value in entry_after.items() if field not in _SECTIONS}
        if entry is None:
            yield f"+ {dataset}{_fields(settings)}"
        else:
            yield from _changed(dataset, before, settings)
        yield from _user_attributes(dataset, before, entry_after)
        yield from _bindings(dataset, before, entry_after)
        yield from _channels(dataset, before, entry_after)


def _user_attributes(
    dataset: str, before: Mapping[str, Any], entry_after: Mapping[str, Any]
) -> Iterator[str]:
    current = before.get("user_attributes", {})
    for name, change in entry_after.get("user_attributes", {}).items():
        about = f"{dataset} user attribute {name}"
        if change is None:
            yield from [f"- {about}"] if name in current else []
        elif name not in current:
            yield f"+ {about}{_fields(change)}"
        else:
            yield from _changed(about, current[name], change)


def _bindings(dataset: str, before: Mapping[str, Any], entry_after: Mapping[str, Any]) -> Iterator[str]:
    if "identity_attributes" not in entry_after:
        return
    current, bindings = before.get("identity_attributes", {}), entry_after["identity_attributes"]
    for name, binding in bindings.items():
        binding_after = {"identity_type": name, "attribute": f"{IDENTITY_ATTRIBUTES}.{name}", **binding}
        about = f"{dataset} identity attribute {name}"
        if name not in current:
            yield f"+ {about}{_fields(binding_after)}"
        else:
            yield from _changed(about, current[name], binding_after)
    yield from (f"- {dataset} identity attribute {name}" for name in current if name not in bindings)


def _channels(dataset: str, before: Mapping[str, Any], entry_after: Mapping[str, Any]) -> Iterator[str]:
    """Channels left at their default are absent from the export."""
    if "channel_identities" not in entry_after:
        return
    for channel, default in DEFAULT_CHANNELS.items():
        current = before.get("channel_identities", {}).get(channel, default)
        after = entry_after["channel_identities"].get(channel) or default
        if current != after:
            yield f"~ {dataset} channel {channel}: {current} → {after}"


def _changed(about: str, before: Mapping[str, Any], entry_after: Mapping[str, Any]) -> Iterator[str]:
    for field, value in entry_after.items():
        if before.get(field) != value:
            yield f"~ {about}: {field} {_text(before.get(field))} → {_text(value)}"


def _fields(entry_after: Mapping[str, Any]) -> str:
    text = ", ".join(f"{field} {_text(value)}" for field, value in entry_after.items())
    return f": {text}" if text else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
