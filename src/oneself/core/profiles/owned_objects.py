"""Objects that a person owns, by type and id: leases, cars, policies.

Invariants: a profile holds at most `TYPES_MAX` types, and the newest `OBJECTS_PER_TYPE_MAX` objects of each.

Source: docs/wire/interactions.md §5, §9.2 MERGE, §14.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

#: Objects per type; the oldest are dropped.
OBJECTS_PER_TYPE_MAX = 100
#: Types per profile; further types are ignored.
TYPES_MAX = 50


class ProfileObject(msgspec.Struct, frozen=True):
    """An object as it was last reported."""

    attributes: dict[str, Any]
    #: Related catalog objects.
    related: dict[str, Any]
    #: When it was first reported, in µs since 1970.
    created_at: int
    #: When it was last reported, in µs since 1970.
    reported_at: int = msgspec.field(name="said_at")


#: Type → id → object.
Objects = dict[str, dict[str, ProfileObject]]


def upsert(objects: Objects, reported: Mapping[str, list[dict[str, Any]]], at: int) -> Objects:
    """The objects with those that an event reports.

    `reported`: type → objects with an `id`. `at`: when the event occurred, in µs since 1970. A later report
    replaces the attributes of an object; an earlier one changes nothing.
    """
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
    """The objects of two merged profiles. If both have an object, the one created later wins."""
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
