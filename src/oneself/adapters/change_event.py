"""A change of a profile as other systems receive it: the same on every way.

    {"type": "profile.merged", "profile_id": …, "before": [A, B], "after": [A], "reason": …, "cursor": …}

Invariants: ids, names of attributes and reasons; no value.

Source: docs/guides/change-feed.md.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.fold.profile_changes import ProfileChange
from oneself.core.identity_graph.joins import View
from oneself.store.tables.profile_change import ChangePosition

EventType = Literal["profile.created", "profile.updated", "profile.merged", "profile.split", "profile.erased"]
_TYPES: dict[str, EventType] = {
    "created": "profile.created",
    "updated": "profile.updated",
    "merged": "profile.merged",
    "split": "profile.split",
    "erased": "profile.erased",
}
EVENT_TYPES: tuple[str, ...] = tuple(_TYPES.values())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ChangeDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of a profile, as one view has it.

    `profile_id`: the profile that was created, updated, split or erased; the survivor of a merge. `before`,
    `after`: the current profiles before and after the change. `moved`: of a split: ids with another current
    profile, each with this. `changed`: of an update: names of attributes, `user_id`, `primary_id` or
    `consents`. `reason`: of a merge or split. `observation_id`: what caused it. `cursor`: the position after
    it.
    """

    type: EventType
    cursor: str
    recorded_at: str
    organisation: str
    dataset: str
    view: View
    observation_id: UUID
    profile_id: UUID
    before: list[UUID]
    after: list[UUID]
    moved: dict[str, UUID] | None = None
    changed: list[str] | None = None
    reason: str | None = None


class _Rendered(msgspec.Struct, frozen=True):
    """What a rendered change says of its position."""

    cursor: str


class FeedSource(msgspec.Struct, frozen=True):
    """Where changes come from: handle and name, and the view that has them."""

    organisation: str
    dataset: str
    view: View


def render_change(
    change: ProfileChange, position: ChangePosition, observation_id: UUID, source: FeedSource
) -> ChangeDocument:
    """A change as other systems receive it. `position`: after it."""
    return ChangeDocument(
        type=_TYPES[change.kind],
        cursor=encode_position(position),
        recorded_at=instant(position.recorded_at),
        organisation=source.organisation,
        dataset=source.dataset,
        view=source.view,
        observation_id=observation_id,
        profile_id=change.profile_id,
        before=ids_before(change),
        after=ids_after(change),
        moved={str(item): head for item, head in change.moved} if change.kind == "split" else None,
        changed=list(change.paths) if change.kind == "updated" else None,
        reason=change.reason,
    )


def ids_before(change: ProfileChange) -> list[UUID]:
    """The current profiles before a change; of a merge, the survivor may be new."""
    if change.kind == "created":
        return []
    return [change.profile_id] if change.absorbed_id is None else [change.profile_id, change.absorbed_id]


def ids_after(change: ProfileChange) -> list[UUID]:
    """The current profiles after a change."""
    if change.kind == "split":
        return list(change.parts)
    return [] if change.kind == "erased" else [change.profile_id]


def profile_ids(change: ProfileChange) -> list[UUID]:
    """Every id that a change is about."""
    moved = (item for pair in change.moved for item in pair)
    return list(dict.fromkeys((change.profile_id, *ids_before(change), *ids_after(change), *moved)))


def encode_position(position: ChangePosition) -> str:
    """The cursor of a position, as lists have them: base64url of its fields as a JSON array."""
    fields = msgspec.json.encode(msgspec.structs.astuple(position))
    return urlsafe_b64encode(fields).decode().rstrip("=")


def decode_position(cursor: str) -> ChangePosition | None:
    """The position that `encode_position` encoded; None: it is none."""
    try:
        fields = msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list)
        return msgspec.convert(
            dict(zip(ChangePosition.__struct_fields__, fields, strict=True)), ChangePosition
        )
    except ValueError:  # msgspec's and binascii's errors are ValueErrors
        return None


def position_of(body: bytes) -> ChangePosition | None:
    """The position after a change that was rendered; None: it is none."""
    try:
        return decode_position(msgspec.json.decode(body, type=_Rendered).cursor)
    except ValueError:  # msgspec's errors are ValueErrors
        return None


def instant(at: int) -> str:
    """An instant, in µs since 1970, in RFC 3339."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")
