"""A profile and its claims, as the fold keeps them.

A profile row is never rewritten into another: an absorbed one points at its survivor (DESIGN §2) and keeps
what it held when it was absorbed.
"""

from uuid import UUID

import msgspec

from oneself.core.profiles.consent import Choices
from oneself.core.profiles.owned_objects import Objects
from oneself.core.values.record import Record

#: Hex digits of a primary id: 16 while anonymous, 24 from promotion on (DESIGN §3).
ANONYMOUS_PRIMARY_CHARS = 16
PRIMARY_CHARS = 24


#: When a visit began and when its last activity was, in µs since 1970.
Visit = tuple[int, int]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one person.

    Instants are µs since 1970. `survivor_id`: set once absorbed, always the profile that stands for the
    person now. `reason`: why it was first absorbed. `updated_at`: seq of the last change that an answer
    shows, hence the version. `seq`: of the last observation that touched it.
    `identities`: person namespace → values held. `visit_at`: when the visit of `active_at` began.
    `visits`: those before it, the oldest first (see `visits`). `objects`: what the person owns.
    `aliases`: the primary ids that it had before, each with the seq at which it got another.
    `erased`: only the id is left.
    """

    profile_id: UUID
    created_at: int
    updated_at: int
    active_at: int
    seq: int
    primary_id: str
    record: Record
    survivor_id: UUID | None = None
    reason: str | None = None
    user_id: str | None = None
    identities: dict[str, tuple[str, ...]] = {}
    visit_at: int = 0
    visits: tuple[Visit, ...] = ()
    first_active_at: int = 0
    objects: Objects = {}
    aliases: tuple[tuple[str, int], ...] = ()
    consents: Choices = {}
    erased: bool = False

    @property
    def is_identified(self) -> bool:
        """Has a `user_id`."""
        return self.user_id is not None

    @property
    def is_anonymous(self) -> bool:
        """Holds no person identifier of any kind."""
        return self.user_id is None and not self.identities

    @property
    def is_absorbed(self) -> bool:
        """Another profile stands for this one."""
        return self.survivor_id is not None


class Absorbed(msgspec.Struct, frozen=True):
    """A profile that another one stands for. `seq`: when it was absorbed."""

    profile_id: UUID
    reason: str
    seq: int


def is_primary_id(text: str) -> bool:
    """Whether a text may be a generated primary id."""
    return len(text) == PRIMARY_CHARS and not text.strip("0123456789abcdef")


def primary_id(profile_id: UUID, *, anonymous: bool) -> str:
    """The primary id that a profile gets when it is made or promoted: the head of its own id in hex."""
    return profile_id.hex[: ANONYMOUS_PRIMARY_CHARS if anonymous else PRIMARY_CHARS]
