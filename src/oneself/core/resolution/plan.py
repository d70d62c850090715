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
    """`absorbed_id` is the same person as the plan's survivor, because of `reason` (DESIGN §4.9)."""

    absorbed_id: UUID
    reason: str
    identifier: Identifier | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A merge (or a claim) that was indicated and must not happen (DESIGN §4.6)."""

    code: RefusalCode
    other_id: UUID | None = None
    namespace: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one observation does.

    `profile_id`: the profile it is attached to. `survivor_id`: the profile that stands for the person
    afterwards (the same one, unless the observation's own new profile is absorbed at once).
    `creates`: `profile_id` is made. `promotes`: an anonymous profile becomes known. `user_id`: is stamped.
    `claims`: person identifiers that `profile_id` holds from now on. `devices`: browsers that point at it
    from now on. `releases`: identifiers that this person holds no more; what is in `claims` as well is held
    anew. `pinned`: what became of it hung on somebody whose part in it nothing else tells of, so it is not
    judged again: they may be erased.
    """

    profile_id: UUID
    survivor_id: UUID
    creates: bool = False
    promotes: bool = False
    user_id: str | None = None
    merges: tuple[Merge, ...] = ()
    claims: tuple[Identifier, ...] = ()
    devices: tuple[Identifier, ...] = ()
    releases: tuple[Identifier, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    pinned: bool = False

    @property
    def unified_ids(self) -> tuple[UUID, ...]:
        """The profiles that are one person by it: the survivor, then those that it absorbs, in that order."""
        return (self.survivor_id, *(merge.absorbed_id for merge in self.merges))

    @property
    def is_attachment(self) -> bool:
        """Nothing happens but that the observation belongs to a profile: no need to store the plan."""
        return self == Plan(profile_id=self.profile_id, survivor_id=self.profile_id)


class Rejection(msgspec.Struct, frozen=True):
    """Why an observation is not accepted at all; it leaves no trace."""

    code: RejectionCode
    description: str
