"""Plans: the decision on an observation as a value, or why the observation is rejected.

`resolve` makes a plan and `fold` applies it. The log stores plans, so that they can be applied again.

Invariants: values are frozen; stored names never change.

Source: docs/concepts/resolution.md, docs/concepts/log-and-fold.md.
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
    "tracker_not_active",
    "erased",
    "opted_out",
]


class Merge(msgspec.Struct, frozen=True, omit_defaults=True):
    """A merge of one profile into the survivor of the plan (docs/concepts/resolution.md, rule 9)."""

    #: The profile that is merged into the survivor.
    absorbed_id: UUID
    #: Why: `system:user_id_match`, `identity:<type>`, `anonymous`, `manual` or the name of a rule.
    reason: str
    #: The identifier that caused it; None: no identifier did, or it was erased.
    identifier: Identifier | None = None


class Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A merge or claim that was indicated and must not happen (docs/concepts/resolution.md, rule 6)."""

    code: RefusalCode
    #: The profile that is not merged; None: the refusal is about a value.
    other_id: UUID | None = None
    #: The namespace of the value that caused it.
    namespace: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one observation does."""

    #: The profile that it is attached to.
    profile_id: UUID
    #: The profile that represents the person afterwards. It differs from `profile_id` only if the
    #: observation creates a profile that is absorbed at once.
    survivor_id: UUID
    #: Whether it creates `profile_id`.
    creates: bool = False
    #: Whether an anonymous profile becomes known.
    promotes: bool = False
    #: The user id that the survivor gets; None: no change.
    user_id: str | None = None
    #: The merges into the survivor, in the order in which they are applied.
    merges: tuple[Merge, ...] = ()
    #: Person identifiers that `profile_id` claims.
    claims: tuple[Identifier, ...] = ()
    #: Browsers that point at `profile_id` from now on.
    devices: tuple[Identifier, ...] = ()
    #: Identifiers that the survivor no longer holds. Those also in `claims` are released, then claimed again.
    releases: tuple[Identifier, ...] = ()
    #: Merges and claims that were indicated and must not happen.
    refusals: tuple[Refusal, ...] = ()
    #: Identifiers of the observation that were not used.
    dropped: tuple[Dropped, ...] = ()
    #: Whether a replay applies this plan as recorded: the decision depended on a profile that no other log
    #: entry mentions and that may have been erased. The log stores it as `pinned`.
    replays_as_recorded: bool = msgspec.field(default=False, name="pinned")

    @property
    def unified_ids(self) -> tuple[UUID, ...]:
        """The profiles that it makes one: the survivor, then the absorbed ones, in the order of merges."""
        return (self.survivor_id, *(merge.absorbed_id for merge in self.merges))

    @property
    def keeps_apart(self) -> bool:
        """Whether a merge was refused."""
        return bool(self.refusals) and any(refusal.other_id is not None for refusal in self.refusals)

    @property
    def is_attachment(self) -> bool:
        """Whether it only attaches the observation to a profile. Then the log stores no plan."""
        if self.creates or self.promotes or self.merges or self.claims or self.devices or self.releases:
            return False
        if self.refusals or self.dropped or self.replays_as_recorded or self.user_id is not None:
            return False
        return self.profile_id == self.survivor_id


class Rejection(msgspec.Struct, frozen=True):
    """Why an observation is rejected. Nothing of a rejected observation is stored."""

    code: RejectionCode
    #: For the sender, in English.
    description: str
