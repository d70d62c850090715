"""What an explanation consists of.

Invariants: values only. Instants in µs since 1970. A browser is named by its identifier here; interfaces show
the digest of a tracker.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.units import SEQ_MAX

#: What supports a join, or one side of it; the first goes first.
EvidenceName = Literal["same_user", "verified", "proven", "asserted"]
#: What a part of a profile is: what a browser said, a record that a server began, a profile that an
#: application created, a user's own part; `profile`: of the view `all`, without a part that began it.
PartKind = Literal["browser", "server", "application", "user", "profile"]


class ExplainedPart(msgspec.Struct, frozen=True):
    """A fragment; in the view `all`, a profile of before."""

    part_id: UUID
    kind: PartKind
    browser: Identifier | None = None
    user_id: str | None = None


class SourceObservation(msgspec.Struct, frozen=True):
    """The observation that said something."""

    event_id: str
    kind: str
    name: str | None
    interface: str | None
    application: str | None
    #: When it happened.
    at: int


class ExplainedSide(msgspec.Struct, frozen=True):
    """One of two joined parts, and how it has what joins them."""

    part: ExplainedPart
    #: None: the observation was erased.
    observation: SourceObservation | None = None
    #: None: it is a user or a decision, not an identifier.
    evidence: EvidenceName | None = None


class ExplainedJoin(msgspec.Struct, frozen=True):
    """Two parts are one person."""

    #: As of merges: `system:user_id_match`, `identity:<type>`, the name of a rule, `anonymous`, `manual`,
    #: `bridge`.
    reason: str
    evidence: EvidenceName
    since: int
    #: What both have; None: no identifier.
    identifier: Identifier | None
    sides: tuple[ExplainedSide, ExplainedSide]


class ExplainedCause(msgspec.Struct, frozen=True):
    """Why two profiles are not one."""

    code: str
    #: What both have.
    identifier: Identifier | None = None
    #: Of the values that differ, or that are not used.
    namespace: str = ""
    #: The parts of either profile that it concerns.
    parts: tuple[ExplainedPart, ExplainedPart] | None = None
    #: Since when the join would count; 0: there is none.
    since: int = 0
    #: The name of a rule, or the id of an identity type.
    rule: str = ""
    #: Whether it is about an equal value that joins nobody.
    is_value: bool = False
    #: How often it happened, if it is recorded.
    times: int = 0


class JoinPosition(msgspec.Struct, frozen=True):
    """A position in the joins of a profile; a page begins after it."""

    #: The number of the kind of joins.
    kind: Annotated[int, msgspec.Meta(ge=0, le=9)]
    #: The seq of a claim.
    since: Annotated[int, msgspec.Meta(ge=-1, le=SEQ_MAX)]
    part_id: UUID
    #: How many joins after it are left out.
    skipped: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


#: Before every join.
FIRST_JOIN = JoinPosition(0, -1, UUID(int=0))


class JoinPage(msgspec.Struct, frozen=True):
    """Joins, those with the strongest evidence first."""

    joins: tuple[ExplainedJoin, ...]
    #: None at the end.
    next_position: JoinPosition | None


class ProfileRelation(msgspec.Struct, frozen=True):
    """How two parts belong together in a view."""

    view: View
    is_one_profile: bool
    #: The fewest joins that lead from the one to the other.
    path: tuple[ExplainedJoin, ...] = ()
    #: Whether there is no other path, or none at all, within what was looked at.
    is_complete: bool = True
    #: Why they are two profiles.
    causes: tuple[ExplainedCause, ...] = ()
    #: The other views in which they are one profile.
    one_in: tuple[View, ...] = ()
