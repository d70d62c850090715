"""Observations: what happened, as every interface hands it to the write path.

The log stores an observation as it is, and the fold reads nothing else. Ids and times are generated outside
`core` and stored here. `kinds` defines what each kind of observation may do; nothing else checks the kind.

Invariants: values are frozen; stored names never change (`face`, `remembered`, the tags).

Source: docs/concepts/log-and-fold.md.
"""

from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.values.record import ValueSource

SenderTrust = Literal["server", "browser"]
Choices = dict[str, tuple[bool, int]]


#: How much of the id of an observation names it in lists.
EVENT_ID_CHARS = 24


def event_id_of(observation_id: UUID) -> str:
    """The id by which lists name an observation."""
    return observation_id.hex[:EVENT_ID_CHARS]


class TokenClaims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of a persisted token. Source: docs/wire/interactions.md §7."""

    #: The primary id of the token's user.
    primary_id: str
    #: The identities of the visit, type → key, in the order in which they were sent.
    identities: dict[str, str] = {}
    #: When the token was encrypted, in µs since 1970.
    issued_at: int = msgspec.field(default=0, name="sealed_at")


class FormerTime(msgspec.Struct, frozen=True):
    """When a value stood that another one has replaced, or that was removed."""

    #: The seq of the observation that brought it.
    since: int
    #: The seq of the one that ended it.
    until: int
    #: When it was said, in µs since 1970.
    at: int


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """The fields that all observations have.

    The properties are defaults for what only some kinds have; such a kind declares a field of the same name.
    """

    kind: ClassVar[str] = ""

    observation_id: UUID
    #: The id of the profile that the observation creates, if it creates one.
    new_profile_id: UUID
    #: The interface that it came through.
    interface: str = msgspec.field(name="face")
    #: The trust of its evidence.
    trust: SenderTrust = "server"
    #: The application that sent it.
    application: str | None = None
    #: When it happened, in µs since 1970; None: when it is recorded.
    occurred_at: int | None = None
    #: The identifiers as sent, not normalised.
    identifiers: tuple[Identifier, ...] = ()
    #: The profile that it addresses.
    profile_id: UUID | None = None
    #: Where only the views `own` and `proven` have a profile with this id: the one that is believed to be it.
    believed_id: UUID | None = None
    #: The sender's id for it; an observation with a repeated id is not recorded again.
    event_id: str | None = None
    #: The sender's name for it.
    name: str | None = None

    def effective_at(self, seq: int) -> int:
        """When it happened, in µs since 1970, if it is recorded at `seq`."""
        return seq if self.occurred_at is None else self.occurred_at

    def source(self, seq: int) -> ValueSource:
        """The source that is recorded with the values that it writes, if it is recorded at `seq`."""
        return ValueSource(
            seq=seq,
            observation_id=str(self.observation_id),
            at=self.effective_at(seq),
            interface=self.interface,
            application=self.application,
            trust=self.trust,
        )

    @property
    def addressed_id(self) -> UUID | None:
        """The believed profile that it addresses."""
        return self.believed_id or self.profile_id

    @property
    def browser(self) -> Identifier | None:
        """The browser that it names or makes: a tracker, else an anonymous id."""
        named = {identifier.namespace: identifier for identifier in self.identifiers}
        if (sent := named.get(TRACKER) or named.get(ANONYMOUS_ID)) is not None:
            return sent
        return None if self.new_anonymous_id is None else Identifier(ANONYMOUS_ID, self.new_anonymous_id)

    @property
    def creates(self) -> bool:
        """Whether it always creates a profile, which may be absorbed at once (docs/wire/cds.md §5.1)."""
        return False

    @property
    def values(self) -> dict[str, Any]:
        """A patch in the three scopes; None unsets."""
        return {}

    @property
    def verified(self) -> tuple[str, ...]:
        """The provider claims that are verified (see `SignIn`)."""
        return ()

    @property
    def fragment_ids(self) -> tuple[UUID, ...] | None:
        """The fragments that a job indexed (see `Reindex`)."""
        return None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces in which a job indexes (see `Reindex`)."""
        return ()

    @property
    def former(self) -> FormerTime | None:
        """When a fragment had what a job indexed (see `Reindex`)."""
        return None

    @property
    def objects(self) -> dict[str, list[dict[str, Any]]]:
        """The objects of the person: type → objects."""
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
        """The content of the browser's persisted token."""
        return None

    @property
    def is_interactive(self) -> bool:
        """False if it happened without the person. Then it does not make them active."""
        return True

    @property
    def new_tracker(self) -> str | None:
        """A tracker that is used if the one sent points at no profile."""
        return None

    @property
    def fresh_tracker(self) -> str | None:
        """Which of its trackers takes the place of the browser's when it is first used."""
        return None

    @property
    def new_anonymous_id(self) -> str | None:
        """An anonymous id that is used if nothing else identifies the visitor."""
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
    fresh_tracker: str | None = None
    new_anonymous_id: str | None = None
    body: Any = None


class ProfileWrite(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="write"):
    """An application created a profile or changed its values."""

    kind: ClassVar[str] = "write"

    creates: bool = False
    values: dict[str, Any] = {}


class SignIn(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="sign_in"):
    """A user signed in, perhaps on a known browser."""

    kind: ClassVar[str] = "sign_in"

    #: The claims that the identity provider reported.
    values: dict[str, Any] = {}
    #: The claims that the provider says are verified. A reported claim that is not among them is unverified;
    #: one without a reported value is verified with the value that the provider reported last.
    verified: tuple[str, ...] = ()
    fresh_tracker: str | None = None


class SignOut(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="sign_out"):
    """A user signed out on a browser."""

    kind: ClassVar[str] = "sign_out"


class TrackerEnd(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="tracker_end"):
    """A tracker ended, because the browser uses the one that replaces it."""

    kind: ClassVar[str] = "tracker_end"


class ClaimsReport(Envelope, frozen=True, kw_only=True, omit_defaults=True, tag="claims"):
    """The identity provider reported claims of a user."""

    kind: ClassVar[str] = "claims"

    values: dict[str, Any] = {}
    #: As of `SignIn`.
    verified: tuple[str, ...] = ()


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
    """A profile has these identifiers in values that were stored before a rule or binding read them."""

    kind: ClassVar[str] = "match"

    #: The fragments that claim them since then; None: it was recorded before they were noted.
    fragment_ids: tuple[UUID, ...] | None = None
    #: The namespaces in which they do. The identifiers may be redacted.
    namespaces: tuple[str, ...] = ()
    #: When a server had said them of the one fragment; None: they are its values now.
    former: FormerTime | None = None


Observation = (
    PageEvent | ProfileWrite | SignIn | SignOut | TrackerEnd | ClaimsReport | ConsentChange | Reindex
)


def consent_of(event: PageEvent, observation_id: UUID, identifiers: tuple[Identifier, ...]) -> ConsentChange:
    """The consent of an event as a separate observation."""
    shared = (name for name in ConsentChange.__struct_fields__ if name in PageEvent.__struct_fields__)
    fields = {name: getattr(event, name) for name in shared}
    return ConsentChange(
        **fields | {"observation_id": observation_id, "identifiers": identifiers, "name": None}
    )
