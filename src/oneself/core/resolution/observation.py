"""Observations: what happened, as every interface hands it to the write path.

The log stores an observation as it is, and the fold reads nothing else. Ids and instants are drawn outside
`core` and carried here. What a kind of observation may do is in `kinds`; nothing else asks for the kind.

Invariants: values are frozen; stored names never change (`face`, `remembered`, the tags).

Source: docs/concepts/log-and-fold.md.
"""

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier

SenderTrust = Literal["server", "browser"]
Choices = dict[str, tuple[bool, int]]


class TokenClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a persisted token says. Source: docs/wire/interactions.md §7."""

    #: Of the user whose token it is.
    primary_id: str
    #: The identities of the visit, type → key, in the order in which they were sent.
    identities: dict[str, str] = {}
    #: When the token was encrypted, in µs since 1970.
    issued_at: int = msgspec.field(default=0, name="sealed_at")


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every observation has: its ids, who says it, when it happened, whom it names.

    The properties are what only some kinds have; each kind that has one declares a field in its place.
    """

    kind: ClassVar[str] = ""

    observation_id: UUID
    #: The id of the profile that the observation creates, if it creates one.
    new_profile_id: UUID
    #: The interface that it came through.
    interface: str = msgspec.field(name="face")
    #: Of its evidence.
    trust: SenderTrust = "server"
    #: The application that sent it.
    application: str | None = None
    #: When it happened, in µs since 1970; None: when it is recorded.
    occurred_at: int | None = None
    #: As sent, not normalised.
    identifiers: tuple[Identifier, ...] = ()
    #: The profile that it addresses.
    profile_id: UUID | None = None
    #: The sender's id of it; a repeated one is not recorded again.
    event_id: str | None = None
    #: The sender's name of it.
    name: str | None = None

    def effective_at(self, seq: int) -> int:
        """When it happened, in µs since 1970, if it is recorded at `seq`."""
        return seq if self.occurred_at is None else self.occurred_at

    @property
    def creates(self) -> bool:
        """Whether it always creates a profile, which may be absorbed at once (docs/wire/cds.md §5.1)."""
        return False

    @property
    def values(self) -> dict[str, Any]:
        """A patch in the three scopes; None unsets."""
        return {}

    @property
    def objects(self) -> dict[str, list[dict[str, Any]]]:
        """What the person owns: type → objects."""
        return {}

    @property
    def consents(self) -> Choices | None:
        """Category → (consented, when in µs): replaces all choices in categories; None: no change."""
        return None

    @property
    def choices(self) -> Choices:
        """Category → (consented, when in µs), each beside the choices in other categories."""
        return {}

    @property
    def received_at(self) -> int | None:
        """When the service received it, in µs since 1970."""
        return None

    @property
    def channel(self) -> str | None:
        """The channel of an event (docs/wire/interactions.md §4)."""
        return None

    @property
    def token(self) -> TokenClaims | None:
        """What the persisted token of the browser says."""
        return None

    @property
    def is_interactive(self) -> bool:
        """False if it happened without the person, who is not active by it."""
        return True

    @property
    def new_tracker(self) -> str | None:
        """Points at the profile unless the tracker that was sent does."""
        return None

    @property
    def new_anonymous_id(self) -> str | None:
        """Names the browser if nothing else identifies the visitor."""
        return None

    @property
    def body(self) -> Any:
        """The event as it was sent."""
        return None


class PageEvent(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="event"):
    """Something that a visitor did, reported by a page, an app or a server."""

    kind: ClassVar[str] = "event"

    values: dict[str, Any] = {}
    objects: dict[str, list[dict[str, Any]]] = {}
    choices: Choices = {}
    received_at: int | None = None
    channel: str | None = None
    token: TokenClaims | None = msgspec.field(default=None, name="remembered")
    is_interactive: bool = True
    new_tracker: str | None = None
    new_anonymous_id: str | None = None
    body: Any = None


class ProfileWrite(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="write"):
    """An application created a profile or changed its values."""

    kind: ClassVar[str] = "write"

    creates: bool = False
    values: dict[str, Any] = {}


class SignIn(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="sign_in"):
    """A user signed in, perhaps on a known browser. `values`: their provider claims."""

    kind: ClassVar[str] = "sign_in"

    values: dict[str, Any] = {}


class SignOut(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="sign_out"):
    """A user signed out on a browser."""

    kind: ClassVar[str] = "sign_out"


class ClaimsReport(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="claims"):
    """The identity provider reported claims of a user."""

    kind: ClassVar[str] = "claims"

    values: dict[str, Any] = {}


class ConsentChange(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="consent"):
    """A person gave or withdrew consent."""

    kind: ClassVar[str] = "consent"

    consents: Choices | None = None
    choices: Choices = {}
    received_at: int | None = None
    channel: str | None = None
    token: TokenClaims | None = msgspec.field(default=None, name="remembered")
    is_interactive: bool = True
    new_tracker: str | None = None
    new_anonymous_id: str | None = None


class Reindex(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="match"):
    """A profile holds these identifiers in values that were stored before they identified anybody."""

    kind: ClassVar[str] = "match"


Observation = PageEvent | ProfileWrite | SignIn | SignOut | ClaimsReport | ConsentChange | Reindex


def without_content(observation: Observation) -> Observation:
    """The observation without everything that it says about a person, its ids and instants excepted."""
    cleared = {name: empty for name, empty in _EMPTY.items() if name in observation.__struct_fields__}
    return msgspec.structs.replace(observation, **cleared)


def consent_of(event: PageEvent, observation_id: UUID, identifiers: tuple[Identifier, ...]) -> ConsentChange:
    """The consent that an event carries, as an observation of its own."""
    shared = (name for name in ConsentChange.__struct_fields__ if name in PageEvent.__struct_fields__)
    fields = {name: getattr(event, name) for name in shared}
    return ConsentChange(
        **fields | {"observation_id": observation_id, "identifiers": identifiers, "name": None}
    )


_EMPTY: dict[str, Any] = {
    "identifiers": (),
    "values": {},
    "consents": None,
    "choices": {},
    "token": None,
    "objects": {},
    "body": None,
    "name": None,
    "event_id": None,
    "application": None,
}
