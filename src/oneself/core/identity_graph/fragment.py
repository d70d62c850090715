"""Fragments: the smallest parts of a profile.

Every observation belongs to exactly one fragment, for ever. A merge joins fragments and moves nothing between
them, so that it can end.

Invariants: values are frozen. This module does not know which fragments are one person (`partition`).

Source: docs/concepts/trust.md, "Fragments" and "Owner".
"""

from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.values.record import EMPTY, Path, Record, ValueSource

#: What began a fragment: a browser's word; a server's word; an application that created a profile; a user.
Origin = Literal["browser", "server", "application", "user"]


class Tenure(msgspec.Struct, frozen=True, order=True):
    """An identifier during one tenure.

    A tenure ends when a user gives the identifier up, or another user proves it. What was said before stays
    with the former holder.
    """

    identifier: Identifier
    #: How often the identifier had changed hands.
    number: int = 0


class FragmentClaim(msgspec.Struct, frozen=True):
    """The record that a fragment holds an identifier."""

    tenure: Tenure
    level: EvidenceLevel
    #: The seq of the observation that made it.
    since: int
    #: The seq of the observation that ended it; None: present.
    until: int | None = None
    #: When the observation that made it happened, in µs since 1970.
    at: int = 0
    #: The seq since which it is known, if a rule or binding came after the value; 0: since `since`.
    known_since: int = 0

    @property
    def is_present(self) -> bool:
        """Whether the fragment holds the identifier now."""
        return self.until is None

    def overlaps(self, other: "FragmentClaim") -> bool:
        """Whether both were present at one time."""
        begin = max(self.since, other.since)
        return all(claim.until is None or begin < claim.until for claim in (self, other))


#: How a fragment came to its owner. `user`: it is the user's own fragment. `named`: the observation that
#: began it named the user. `sign_in`: the user brought its tracker. `confirmed`: so they did, after a report.
#: `identifier`: it began with an identifier that the user proved.
Proof = Literal["user", "named", "sign_in", "confirmed", "identifier"]


class Owner(msgspec.Struct, frozen=True):
    """The user that a fragment is proven to be of."""

    user_id: str
    since: int
    proof: Proof


class ReportedUser(msgspec.Struct, frozen=True):
    """The user whom an identity server's report, or a link without a tracker, names for a fragment."""

    user_id: str
    since: int


class Write(msgspec.Struct, frozen=True):
    """The last value that was written at a path of a fragment."""

    path: Path
    #: None: it was unset.
    value: object
    source: ValueSource
    #: Whether it is an identity that was only asserted. Such a value is shown in the view `all` alone.
    is_asserted_identity: bool = False
    #: The evidence for it, if it is an identity.
    level: EvidenceLevel = EvidenceLevel.PROVEN

    @property
    def seq(self) -> int:
        """The place of the observation in the log."""
        return self.source.seq


class ChoiceWrite(msgspec.Struct, frozen=True):
    """The last choice in a consent category that was written to a fragment."""

    category: str
    #: None: the choice was withdrawn, so that none is stored.
    is_consented: bool | None
    #: When the person chose, in µs since 1970.
    at: int
    seq: int


class Fragment(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest part of a profile. Instants are in µs since 1970."""

    #: Also the id of the profile that it heads.
    fragment_id: UUID
    origin: Origin
    #: The seq of the observation that began it.
    began_at: int
    #: The browser whose words it holds: a tracker, else an anonymous id.
    browser: Identifier | None = None
    #: What a server named when it began the fragment, unless it gave out a tracker.
    began_with: frozenset[Tenure] = frozenset()
    #: The identifiers that its browser itself named.
    named: frozenset[Identifier] = frozenset()
    claims: tuple[FragmentClaim, ...] = ()
    #: In the order of the log.
    writes: tuple[Write, ...] = ()
    #: In the order of the log, one for each category.
    choices: tuple[ChoiceWrite, ...] = ()
    #: What the writes amount to.
    record: Record = EMPTY
    owner: Owner | None = None
    reported: ReportedUser | None = None
    #: The last observation that changed it; of what a server began, the last one.
    seq: int = 0

    @property
    def user_id(self) -> str | None:
        """The owner, else the reported user."""
        if self.owner is not None:
            return self.owner.user_id
        return None if self.reported is None else self.reported.user_id

    @property
    def own_user(self) -> str | None:
        """The user whose own fragment it is; None: it is nobody's own."""
        return self.owner.user_id if self.origin == "user" and self.owner is not None else None

    @property
    def present_claims(self) -> tuple[FragmentClaim, ...]:
        """The claims that have not ended."""
        return tuple(claim for claim in self.claims if claim.is_present)
