"""How an identity document differs from what is there, for people: one line for each thing that would change.

    + comes   - goes   ~ is another

Pure. A line begins with what it is about, so that lines can be searched and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from oneself.core.identity.identity_type import DEFAULT_CHANNELS
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES

if TYPE_CHECKING:
    from oneself.service.identity.manifest.document import DatasetEntry, Document, TypeEntry

_SECTIONS = ("user_attributes", "identity_attributes", "channel_identities")


def lines(
    wanted: Document,
    types: Mapping[str, TypeEntry],
    gone: Sequence[str],
    datasets: Mapping[str, DatasetEntry | None],
) -> list[str]:
    """Every difference. `types`: those that are there. `gone`: types that would go, or be as built in again.
    `datasets`: those that the document names, None for one that is not there."""
    return [*_types(wanted, types, gone), *_datasets(wanted, datasets)]


def _types(wanted: Document, types: Mapping[str, TypeEntry], gone: Sequence[str]) -> Iterator[str]:
    entries = msgspec.to_builtins(wanted).get("identity_types", {})
    for type_id, given in entries.items():
        if type_id not in types:
            yield f"+ identity type {type_id}{_said(given)}"
        else:
            yield from _changed(f"identity type {type_id}", msgspec.to_builtins(types[type_id]), given)
    yield from (f"- identity type {type_id}" for type_id in gone)


def _datasets(wanted: Document, datasets: Mapping[str, DatasetEntry | None]) -> Iterator[str]:
    for name, given in msgspec.to_builtins(wanted)["datasets"].items():
        entry = datasets[name]
        place = f"dataset {name}"
        before = msgspec.to_builtins(entry) if entry is not None else {}
        settings = {field: value for field, value in given.items() if field not in _SECTIONS}
        if entry is None:
            yield f"+ {place}{_said(settings)}"
        else:
            yield from _changed(place, before, settings)
        yield from _user_attributes(place, before, given)
        yield from _bindings(place, before, given)
        yield from _channels(place, before, given)


def _user_attributes(place: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    held = before.get("user_attributes", {})
    for name, change in given.get("user_attributes", {}).items():
        about = f"{place} user attribute {name}"
        if change is None:
            yield from [f"- {about}"] if name in held else []
        elif name not in held:
            yield f"+ {about}{_said(change)}"
        else:
            yield from _changed(about, held[name], change)


def _bindings(place: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    if "identity_attributes" not in given:
        return
    held, wanted = before.get("identity_attributes", {}), given["identity_attributes"]
    for name, binding in wanted.items():
        whole = {"identity_type": name, "attribute": f"{IDENTITY_ATTRIBUTES}.{name}", **binding}
        about = f"{place} identity attribute {name}"
        if name not in held:
            yield f"+ {about}{_said(whole)}"
        else:
            yield from _changed(about, held[name], whole)
    yield from (f"- {place} identity attribute {name}" for name in held if name not in wanted)


def _channels(place: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """What a channel is as it was at first is not in what is there."""
    if "channel_identities" not in given:
        return
    for channel, default in DEFAULT_CHANNELS.items():
        held = before.get("channel_identities", {}).get(channel, default)
        wanted = given["channel_identities"].get(channel) or default
        if held != wanted:
            yield f"~ {place} channel {channel}: {held} → {wanted}"


def _changed(about: str, before: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for field, value in given.items():
        if before.get(field) != value:
            yield f"~ {about}: {field} {_text(before.get(field))} → {_text(value)}"


def _said(given: Mapping[str, Any]) -> str:
    said = ", ".join(f"{field} {_text(value)}" for field, value in given.items())
    return f": {said}" if said else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
