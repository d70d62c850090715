"""Objects that a person owns, by type and id: leases, cars, policies (wire/interactions §5, §9.2 MERGE)."""

from collections.abc import Mapping
from typing import Any

import msgspec

#: Of each type a person keeps the newest (wire/interactions §14).
OBJECTS_PER_TYPE_MAX = 100
#: Types per person (§14); more are not taken.
TYPES_MAX = 50


class ProfileObject(msgspec.Struct, frozen=True):
    """An object as it was last said, when that was, and when it was first said (µs)."""

    attributes: dict[str, Any]
    related: dict[str, Any]
    created_at: int
    reported_at: int = msgspec.field(name="said_at")


#: Type → id → object.
Objects = dict[str, dict[str, ProfileObject]]


def upsert(objects: Objects, reported: Mapping[str, list[dict[str, Any]]], at: int) -> Objects:
    """The objects with those that an event tells of; one that is known takes the new attributes."""
    after = dict(objects)
    for kind, entries in sorted(reported.items()):
        if kind not in after and len(after) >= TYPES_MAX:
            continue
        known = dict(after.get(kind, {}))
        for entry in entries:
            object_id = str(entry.get("id", ""))
            if object_id:
                known[object_id] = _updated(known.get(object_id), entry, at)
        after[kind] = _newest(known)
    return {kind: known for kind, known in after.items() if known}


def merge_objects(objects: Objects, others: Objects) -> Objects:
    """The objects of two profiles that are one person: of the same one, that which was made last."""
    after = dict(objects)
    for kind, theirs in sorted(others.items()):
        if kind not in after and len(after) >= TYPES_MAX:
            continue
        known = dict(after.get(kind, {}))
        for object_id, theirs_one in theirs.items():
            mine = known.get(object_id)
            if mine is None or mine.created_at < theirs_one.created_at:
                known[object_id] = theirs_one
        after[kind] = _newest(known)
    return after


def _updated(before: ProfileObject | None, entry: dict[str, Any], at: int) -> ProfileObject:
    if before is not None and before.reported_at > at:
        return before
    created_at = at if before is None else before.created_at
    return ProfileObject(
        entry.get("attributes") or {}, entry.get("relatedCatalogObjects") or {}, created_at, at
    )


def _newest(known: dict[str, ProfileObject]) -> dict[str, ProfileObject]:
    if len(known) <= OBJECTS_PER_TYPE_MAX:
        return known
    ordered = sorted(known.items(), key=lambda each: (each[1].created_at, each[0]))
    return dict(ordered[-OBJECTS_PER_TYPE_MAX:])
