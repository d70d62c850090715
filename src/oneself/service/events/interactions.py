"""Events of the interactions wire: one event in, one result out, with the persisted token of the visit.

    decrypt the token ─▶ one observation ─▶ ingest ─▶ renew the token

Invariants: nothing here decides who is who. A token that cannot be decrypted is treated as absent; what a
valid one proves is decided with the event. All ids are generated here.
Source: docs/wire/interactions.md §6, §7, §9.2.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.profiles.consent import PERSONALIZATION, TRACKING, event_category
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import PageEvent, TokenClaims, consent_of
from oneself.core.resolution.token_evidence import names_no_browser, refuses
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.events.incoming import EventSource, IncomingEvent
from oneself.service.events.result import EventResult, resolved_users
from oneself.service.events.token_keys import TokenKeys
from oneself.service.events.visit_token import VisitToken
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.submission import ObservationRejected, ReplayableResponse, Resolution, Submission
from oneself.service.ingest.trackers import Trackers, new_fresh_tracker, new_tracker

INTERFACE = "interactions"
ANONYMOUS_ID_BYTES = 8
EVENT_ID_CHARS = 24
#: The warning for a choice that is not stored, because it names a person but no browser.
CONSENT_WITHOUT_BROWSER = "consent_without_browser"


class Repeatable(msgspec.Struct, frozen=True):
    """Makes an event repeatable: a repeat with the same key and fingerprint gets the first response."""

    #: From `request_key`.
    key: str
    fingerprint: str
    #: Makes the response that is stored under the key; None: a repeat must not get it, and is a new event.
    render: Callable[[EventResult], ReplayableResponse | None]


class Interactions:
    """Ingests events."""

    def __init__(self, ingest: Ingest, keys: TokenKeys, secret_box: SecretBox, trackers: Trackers) -> None:
        self._ingest = ingest
        self._keys = keys
        self._secret_box = secret_box
        self._trackers = trackers

    async def ingest(
        self,
        dataset_ref: DatasetRef,
        source: EventSource,
        incoming: IncomingEvent,
        config: Config,
        repeatable: Repeatable | None = None,
    ) -> EventResult:
        """Store an event and resolve whose it is; returns when that is durable.

        `config`: the configuration that the event was decoded with. Raises ConfigurationChanged if it is not
        the current one any more (decode the event again), IdempotencyKeyReused, Contended, Unavailable.
        """
        if incoming.tracker:
            await self._trackers.note_use(dataset_ref, incoming.tracker)
        token = VisitToken(await self._keys.key_ring(dataset_ref), dataset_ref, incoming)
        observation = self._observation(dataset_ref, source, incoming, token.claims(config))
        if is_unbound := _is_unbound(observation, config):
            observation, incoming = _without_choices(observation, incoming)
        elif _is_refusal_of_person(observation):
            await self._store_consents(dataset_ref, observation, config.version)
        results: list[EventResult] = []

        def resolved(resolution: Resolution) -> EventResult:
            # The token is renewed once: the stored response and the first one are the same.
            results[:] = [_resolved(observation, incoming, token, resolution)]
            return results[0]

        submission = Submission(observation, decoded_by=config.version)
        if repeatable is not None:
            submission = _repeatable(submission, repeatable, resolved)
        try:
            resolution = await self._ingest.submit(dataset_ref.dataset_id, submission)
        except ObservationRejected as error:
            code = error.rejection.code
            if code == "opted_out" and observation.choices and not is_unbound:
                await self._store_consents(dataset_ref, observation, config.version)
            return _rejected(observation, incoming, "erased" if code == "profile_not_found" else code)
        if resolution.repeated:
            return EventResult(event_id=_event_id(observation), first_response=resolution.response)
        return results[0] if repeatable is not None else resolved(resolution)

    async def _store_consents(self, dataset_ref: DatasetRef, event: PageEvent, version: int) -> None:
        """Store only the choices of an event: a server's for the person, a page's for its browser."""
        devices = tuple(identifier for identifier in event.identifiers if identifier.is_device)
        named = event.identifiers if event.trust == "server" else devices or event.identifiers
        consent = msgspec.structs.replace(consent_of(event, uuid.uuid4(), named), new_profile_id=uuid.uuid4())
        await self._ingest.submit(dataset_ref.dataset_id, Submission(consent, decoded_by=version))

    def _observation(
        self,
        dataset_ref: DatasetRef,
        source: EventSource,
        incoming: IncomingEvent,
        token: TokenClaims | None,
    ) -> PageEvent:
        """The event as an observation.

        A browser without an acceptable id gets a new one, which counts as evidence only if the browser sent
        an unacceptable one: otherwise it is used if nothing else identifies the visitor.
        """
        new_id = secrets.token_hex(ANONYMOUS_ID_BYTES) if incoming.anonymous_id is None else None
        anonymous_id = new_id if incoming.anonymous_id_invalid else incoming.anonymous_id
        fresh = self._fresh_tracker(dataset_ref, incoming)
        now, occurred_at = time.time_ns() // 1000, incoming.occurred_at
        return PageEvent(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface=INTERFACE,
            trust=source.trust,
            application=source.application,
            occurred_at=occurred_at,
            received_at=now,
            identifiers=(*_devices(anonymous_id, incoming.tracker, fresh), *incoming.identifiers),
            values=incoming.values,
            choices={
                event_category(*consent): (is_given, occurred_at or now)
                for consent, is_given in incoming.consents.items()
            },
            channel=incoming.channel,
            token=token,
            is_interactive=incoming.is_interactive,
            new_anonymous_id=new_id,
            objects=incoming.objects,
            new_tracker=None if incoming.tracker is None else fresh or new_tracker(),
            fresh_tracker=fresh,
            name=incoming.name,
            body=incoming.body,
        )

    def _fresh_tracker(self, dataset_ref: DatasetRef, incoming: IncomingEvent) -> str | None:
        """A tracker that replaces one that version 0.1.0 derived from the browser's anonymous id.

        Whoever knew that id could request it.
        """
        if incoming.tracker is None or incoming.anonymous_id is None:
            return None
        names = dataset_ref.handle, dataset_ref.dataset, incoming.anonymous_id
        digest = self._secret_box.keyed_digest("tracker", *names)
        is_derived = incoming.tracker == str(uuid.UUID(bytes=digest[:16], version=4))
        return new_fresh_tracker() if is_derived else None


def _repeatable(
    submission: Submission, repeatable: Repeatable, resolved: Callable[[Resolution], EventResult]
) -> Submission:
    return msgspec.structs.replace(
        submission,
        idempotency_key=repeatable.key,
        fingerprint=repeatable.fingerprint,
        render=lambda resolution: repeatable.render(resolved(resolution)),
    )


def new_event_id() -> str:
    """An id for an event that is answered and not stored."""
    return uuid.uuid4().hex[:EVENT_ID_CHARS]


def _is_unbound(event: PageEvent, config: Config) -> bool:
    """Whether the choices of an event bind nobody (docs/wire/interactions.md §9.5).

    The identities of an event that opts out of personalization are not used: without a token it is one of a
    new browser, and its choices are that browser's.
    """
    if not event.choices or (event.token is None and refuses(event, PERSONALIZATION)):
        return False
    return names_no_browser(event, extract_evidence(event, config).persons)


def _is_refusal_of_person(event: PageEvent) -> bool:
    """Whether a server opts a person out of personalization. The event is not the person's then."""
    is_named = any(not identifier.is_device for identifier in event.identifiers)
    if event.trust != "server" or not is_named or refuses(event, TRACKING):
        return False
    return refuses(event, PERSONALIZATION)


def _without_choices(event: PageEvent, incoming: IncomingEvent) -> tuple[PageEvent, IncomingEvent]:
    """The event without choices that bind nobody, with a warning. An opt-out still holds for the event:
    one of tracking rejects it, and one of personalization leaves its identities out.
    """
    warned = msgspec.structs.replace(incoming, warnings=(*incoming.warnings, CONSENT_WITHOUT_BROWSER))
    if refuses(event, TRACKING):
        return event, warned
    named = () if refuses(event, PERSONALIZATION) else event.identifiers
    return msgspec.structs.replace(event, choices={}, identifiers=named), warned


def _devices(anonymous_id: str | None, *trackers: str | None) -> list[Identifier]:
    named = ((ANONYMOUS_ID, anonymous_id), *((TRACKER, tracker) for tracker in trackers))
    return [Identifier(namespace, value) for namespace, value in named if value]


def _rejected(observation: PageEvent, incoming: IncomingEvent, code: str) -> EventResult:
    return EventResult(
        event_id=_event_id(observation),
        anonymous_id=observation.new_anonymous_id if incoming.anonymous_id_invalid else None,
        anonymous_id_invalid=incoming.anonymous_id_invalid,
        warnings=(*incoming.warnings, code),
    )


def _resolved(
    observation: PageEvent, incoming: IncomingEvent, token: VisitToken, resolution: Resolution
) -> EventResult:
    users = resolved_users(observation, resolution)
    text, is_full = token.renew(resolution)
    return EventResult(
        event_id=_event_id(observation),
        resolved_id=users.resolved,
        token=text,
        token_unreadable=token.is_unreadable,
        anonymous_id=_new_anonymous_id(observation, incoming, resolution),
        anonymous_id_invalid=incoming.anonymous_id_invalid,
        tracker=resolution.tracker,
        plan=resolution.plan,
        identities=resolution.identities,
        matched=users.matched,
        merges=users.merges,
        warnings=(*incoming.warnings, "token_full") if is_full else incoming.warnings,
    )


def _event_id(observation: PageEvent) -> str:
    return observation.observation_id.hex[:EVENT_ID_CHARS]


def _new_anonymous_id(observation: PageEvent, incoming: IncomingEvent, resolution: Resolution) -> str | None:
    """The id that was generated for the browser, if the browser has it from now on."""
    devices = resolution.plan.devices if resolution.plan is not None else ()
    is_used = any(device.value == observation.new_anonymous_id for device in devices)
    return observation.new_anonymous_id if is_used or incoming.anonymous_id_invalid else None
