"""Decisions as values: what an observation does, or why it does nothing.

A plan can be printed, stored in the log and carried out again; `resolve` makes it, `fold` carries it out.
"""

from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Dropped, Identifier

RefusalCode = Literal[
    "different_user",
    "blocked_value",
    "limit_exceeded",
    "untrusted_evidence",
    "split_kept_apart",
    "conflicting_identity",
]
RejectionCode = Literal[
    "profile_not_found",
    "invalid_value",
    "user_id_write_once",
    "stale",
    "not_signed_in",
    "erased",
    "opted_out",
]


class Merge(msgspec.Struct, frozen=True, omit_defaults=True):
    """`absorbed_id` is the same person as the plan's survivor, because of `reason`
    (docs/concepts/resolution.md)."""

    absorbed_id: UUID
    reason: str
    identifier: Identifier | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A merge (or a claim) that was indicated and must not happen (docs/concepts/resolution.md)."""

    code: RefusalCode
    other_id: UUID | None = None
    namespace: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one observation does."""

    #: The profile that the observation is attached to.
    profile_id: UUID
    #: The profile that represents the person afterwards; another one only if a created profile is absorbed at
    #: once.
    survivor_id: UUID
    #: Whether `profile_id` is created.
    creates: bool = False
    #: Whether an anonymous profile becomes known.
    promotes: bool = False
    #: The user that the profile gets.
    user_id: str | None = None
    merges: tuple[Merge, ...] = ()
    #: Person identifiers that `profile_id` holds from now on.
    claims: tuple[Identifier, ...] = ()
    #: Devices that point at `profile_id` from now on.
    devices: tuple[Identifier, ...] = ()
    #: Identifiers that the person no longer holds; one that is also in `claims` is claimed anew.
    releases: tuple[Identifier, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    #: The decision depended on a profile that no other log entry mentions. Replay applies this plan as
    #: recorded, because that profile may have been erased.
    pinned: bool = False

    @property
    def unified_ids(self) -> tuple[UUID, ...]:
        """The profiles that the plan unifies: the survivor, then the absorbed ones in order."""
        return (self.survivor_id, *(merge.absorbed_id for merge in self.merges))

    @property
    def is_attachment(self) -> bool:
        """True if the observation is only attached to a profile, so that the plan need not be stored."""
        return self == Plan(profile_id=self.profile_id, survivor_id=self.profile_id)


class Rejection(msgspec.Struct, frozen=True):
    """Why an observation is not accepted at all; it leaves no trace."""

    code: RejectionCode
    description: str
