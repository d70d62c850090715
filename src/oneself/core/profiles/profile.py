"""A profile as the fold builds it.

Invariants: a profile is never rewritten into another. An absorbed profile points at its survivor and keeps
its values and identities of that moment.

Source: docs/concepts/merging.md, "Ids after a merge".
"""

from uuid import UUID

import msgspec

from oneself.core.profiles.consent import Choices
from oneself.core.profiles.owned_objects import Objects
from oneself.core.values.record import Record

#: Hex digits of a primary id: 16 while the profile is anonymous, 24 after its promotion.
ANONYMOUS_PRIMARY_CHARS = 16
PRIMARY_CHARS = 24


#: The start and the last activity of a visit, in µs since 1970.
Visit = tuple[int, int]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is stored about one person. Instants are in µs since 1970."""

    profile_id: UUID
    created_at: int
    #: The seq of the last change that is visible in an answer; it is the version of the profile.
    updated_at: int
    #: The last activity.
    active_at: int
    #: The last observation that touched the profile, by its place in the log.
    seq: int
    primary_id: str
    record: Record
    #: The profile that the person has now; set if this one is absorbed.
    survivor_id: UUID | None = None
    #: The reason of the merge that first absorbed it.
    reason: str | None = None
    user_id: str | None = None
    #: Person namespace → values.
    identities: dict[str, tuple[str, ...]] = {}
    #: The start of the visit that `active_at` belongs to.
    visit_at: int = 0
    #: The visits before that one, the oldest first (see `visits`).
    visits: tuple[Visit, ...] = ()
    first_active_at: int = 0
    #: The objects that the person owns.
    objects: Objects = {}
    #: Former primary ids, each with the seq at which it was replaced.
    aliases: tuple[tuple[str, int], ...] = ()
    consents: Choices = {}
    #: Whether everything except the id was erased.
    erased: bool = False

    @property
    def is_identified(self) -> bool:
        """Whether the profile has a `user_id`."""
        return self.user_id is not None

    @property
    def is_anonymous(self) -> bool:
        """Whether the profile has no person identifier."""
        return self.user_id is None and not self.identities

    @property
    def is_absorbed(self) -> bool:
        """Whether the profile was merged into another."""
        return self.survivor_id is not None


class Absorbed(msgspec.Struct, frozen=True):
    """A profile that was merged into another."""

    profile_id: UUID
    #: The reason of the merge.
    reason: str
    #: The observation that absorbed it, by its place in the log.
    seq: int


def is_primary_id(text: str) -> bool:
    """Whether a text has the form of a generated primary id."""
    return len(text) == PRIMARY_CHARS and not text.strip("0123456789abcdef")


def primary_id(profile_id: UUID, *, anonymous: bool) -> str:
    """The primary id of a profile when it is created or promoted: the first digits of its own id in hex."""
    return profile_id.hex[: ANONYMOUS_PRIMARY_CHARS if anonymous else PRIMARY_CHARS]
