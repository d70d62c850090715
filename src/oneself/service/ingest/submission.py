"""What the write path takes and gives: an observation with the options of its request, and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import NewType
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan, Rejection
from oneself.errors import OneselfError
from oneself.service.ingest.asked_view import AskedView

#: A rendered response, stored so that a repeat of the request gets it again. Only the interface that made
#: it opens it.
ReplayableResponse = NewType("ReplayableResponse", bytes)


class Resolution(msgspec.Struct, frozen=True):
    """The outcome of an observation that was accepted."""

    #: Its place in the log.
    seq: int
    #: The profile that it addressed, created or was attached to.
    profile: Profile
    #: The profile that remains of all profiles of the person.
    survivor: Profile
    #: The profiles that the survivor absorbed.
    absorbed: tuple[Absorbed, ...]
    #: The configuration by which it was decided.
    config: Config
    #: What it did; None for a repeat.
    plan: Plan | None = None
    #: The stored response of a request with an idempotency key.
    response: ReplayableResponse | None = None
    #: True if the request or event was answered before.
    repeated: bool = False
    #: The identities of an event's visit, type → key.
    identities: dict[str, str] = {}
    #: The profiles that an event merged into the survivor.
    merged: tuple[Profile, ...] = ()
    #: True if the persisted token of an event was valid.
    token_was_valid: bool = False
    #: The tracker of an event's browser, if it has one.
    tracker: str | None = None


class Submission(msgspec.Struct, frozen=True):
    """An observation to ingest, with the options of its request."""

    observation: Observation
    #: From `request_key`. A repeat with the same key and fingerprint gets the first response.
    idempotency_key: str | None = None
    fingerprint: str = ""
    #: The view in which the caller is answered, and in which `expected_versions` are judged.
    view: View = "all"
    #: The caller is answered with what this tracker shows, and `expected_versions` are judged by it. The view
    #: is a narrower one then.
    by_tracker: str | None = None
    #: Rejects the observation unless the `updated_at` of the unified profile is one of these.
    expected_versions: frozenset[int] | None = None
    #: Makes the response that is stored under the idempotency key; None: the key is not stored.
    render: Callable[[Resolution], ReplayableResponse | None] | None = None
    #: The version of the configuration by which an interface decoded it. If another version is current, the
    #: interface has to decode it again.
    decoded_by: int | None = None

    def asked(self, profile_id: UUID) -> AskedView:
        """What the caller sees of the profile that the observation addresses or creates."""
        return AskedView(self.view, profile_id, self.by_tracker)

    @property
    def key(self) -> str | None:
        """The key under which the first response is stored."""
        if self.idempotency_key is not None:
            return self.idempotency_key
        if self.observation.event_id is not None:
            return f"event:{self.observation.event_id}"
        return None


class ObservationRejected(OneselfError):
    """An observation was not accepted and left no trace. `rejection` says why."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.description)
        self.rejection = rejection


KEY_REUSED = "This idempotency key was used for another request."


class IdempotencyKeyReused(OneselfError):
    """The idempotency key belongs to another request."""


class ConfigurationChanged(OneselfError):
    """The interface decoded the observation by a configuration that is no longer the current one."""


Outcome = Resolution | OneselfError
