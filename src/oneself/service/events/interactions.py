"""Events of the interactions wire: one event in, whose it is and a token out (wire/interactions §6, §7,
§9.2).

    open the token ─▶ one observation ─▶ ingest ─▶ seal what the visit knows by now

Law of this module: it decides nothing about people. A token that does not open is no token; what a token is
worth is judged with the event. Ids are drawn here.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.profiles.consent import event_category
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import Observation, PageEvent, SenderTrust, TokenClaims, consent_of
from oneself.core.resolution.plan import Plan
from oneself.core.units import MILLISECOND_US
from oneself.errors import Contended
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.events.persisted_token import (
    TokenKeyRing,
    TokenPayload,
    decrypt_token,
    encrypt_token,
    truncate_to_limit,
)
from oneself.service.events.token_keys import TokenKeys
from oneself.service.ingest.ingest import (
    ConfigurationChanged,
    Ingest,
    ObservationRejected,
    Resolution,
    Submission,
)

FACE = "interactions"
ANONYMOUS_ID_BYTES = 8
EVENT_ID_CHARS = 24
#: A configuration that changes more often than this while one event waits will not settle.
READINGS_MAX = 5


class IncomingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a face read it.

    `must_name_browser`: the anonymous id that was sent is not acceptable. `tracker`: "" asks for one.
    `choices`: (purpose, provider) → consented. `names_default`: whether it says who is the user of its
    channel. `occurred_at`: µs since 1970, None = now.
    """

    name: str | None
    channel: str
    anonymous_id: str | None
    must_name_browser: bool
    identifiers: tuple[Identifier, ...]
    values: dict[str, Any]
    body: dict[str, Any]
    token: str | None = None
    tracker: str | None = None
    occurred_at: int | None = None
    is_interactive: bool = True
    choices: dict[tuple[str, str], bool] = {}
    names_default: bool = False
    objects: dict[str, list[Any]] = {}


class EventSource(msgspec.Struct, frozen=True):
    """Who sent an event: `trust` of its evidence, and the application behind it."""

    trust: SenderTrust = "browser"
    application: str | None = None


class EventResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event.

    `resolved_id`: the primary id, of an anonymous visitor the browser's; None: nothing was processed.
    `matched`: whom the event led to, `merges`: who is one with them now and why, by their ids on this wire.
    `token`: None while nobody is identified. `anonymous_id`, `tracker`: those of the browser from now on,
    `anonymous_id` only if the service made one. `token_unreadable`: one was sent that does not open.
    """

    event_id: str
    resolved_id: str | None = None
    token: str | None = None
    token_unreadable: bool = False
    anonymous_id: str | None = None
    tracker: str | None = None
    plan: Plan | None = None
    identities: dict[str, str] = {}
    matched: tuple[str, ...] = ()
    merges: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()


class Interactions:
    """Takes events in."""

    def __init__(
        self, ingest: Ingest, configurations: Configurations, keys: TokenKeys, vault: SecretBox
    ) -> None:
        self._vault = vault
        self._ingest = ingest
        self._configurations = configurations
        self._keys = keys

    async def take(
        self, dataset_ref: DatasetRef, source: EventSource, read: Callable[[Config], IncomingEvent]
    ) -> EventResult:
        """Put an event where it belongs; answered when that is durable. `read`: by a configuration.

        Raises Contended, Unavailable.
        """
        config = self._configurations.known(dataset_ref.dataset_id)
        for _ in range(READINGS_MAX):
            config = config or await self._configurations.current(dataset_ref.dataset_id)
            try:
                return await self._take(dataset_ref, source, read(config), config)
            except ConfigurationChanged:
                config = None
        raise Contended("The configuration changes too fast.")

    async def _take(
        self, dataset_ref: DatasetRef, source: EventSource, incoming: IncomingEvent, config: Config
    ) -> EventResult:
        ring = await self._keys.ring(dataset_ref)
        opened = _opened(ring, dataset_ref, incoming)
        remembered = _remembered(opened, config)
        observation = _observation(source, incoming, remembered, partial(self._tracker_of, dataset_ref))
        event_id = observation.observation_id.hex[:EVENT_ID_CHARS]
        try:
            resolution = await self._submit(dataset_ref, observation, config.version)
        except ObservationRejected as rejected:
            if rejected.rejection.code == "opted_out":
                await self._keep_choices(dataset_ref, observation, config.version)
            named = observation.new_anonymous_id if incoming.must_name_browser else None
            return EventResult(event_id=event_id, anonymous_id=named, warnings=(rejected.rejection.code,))
        token, is_full = _sealed(ring, dataset_ref, incoming, opened, resolution)
        return EventResult(
            event_id=event_id,
            resolved_id=_wire_id(observation, resolution.survivor),
            token=token,
            token_unreadable=incoming.token is not None and opened is None,
            anonymous_id=_new_anonymous_id(observation, incoming, resolution),
            tracker=resolution.tracker,
            plan=resolution.plan,
            identities=resolution.identities,
            matched=_matched(observation, resolution),
            merges=_merges(observation, resolution),
            warnings=("token_full",) if is_full else (),
        )

    def _tracker_of(self, dataset_ref: DatasetRef, browser: str) -> str:
        """The tracker of a browser: always the same, and nobody else can make it."""
        digest = self._vault.keyed_digest("tracker", dataset_ref.handle, dataset_ref.dataset, browser)
        return str(uuid.UUID(bytes=digest[:16], version=4))

    async def _submit(self, dataset_ref: DatasetRef, observation: Observation, version: int) -> Resolution:
        return await self._ingest.submit(dataset_ref.dataset_id, Submission(observation, read_by=version))

    async def _keep_choices(self, dataset_ref: DatasetRef, event: PageEvent, version: int) -> None:
        """Of somebody who does not want to be tracked, only the consent is stored (wire/interactions
        §9.5)."""
        if not event.choices:
            return
        devices = tuple(each for each in event.identifiers if each.namespace == ANONYMOUS_ID)
        consent = consent_of(event, uuid.uuid4(), devices or event.identifiers)
        await self._submit(dataset_ref, consent, version)


def new_event_id() -> str:
    """An id for an event that is answered and not kept."""
    return uuid.uuid4().hex[:EVENT_ID_CHARS]


def _opened(ring: TokenKeyRing, dataset_ref: DatasetRef, incoming: IncomingEvent) -> TokenPayload | None:
    if incoming.token is None:
        return None
    return decrypt_token(ring, dataset_ref.handle, dataset_ref.dataset, incoming.token)


def _observation(
    source: EventSource,
    incoming: IncomingEvent,
    remembered: TokenClaims | None,
    tracker_of: Callable[[str], str],
) -> PageEvent:
    """The event as an observation. A browser without an acceptable id gets one, unless the visitor is known
    otherwise; one that asks for a tracker gets the same one each time."""
    anonymous_id, made_id = incoming.anonymous_id, None
    if anonymous_id is None:
        made_id = secrets.token_hex(ANONYMOUS_ID_BYTES)
        anonymous_id = made_id if incoming.must_name_browser else None
    browser = anonymous_id or made_id
    new_tracker = None if incoming.tracker is None or browser is None else tracker_of(browser)
    devices = [] if anonymous_id is None else [Identifier(ANONYMOUS_ID, anonymous_id)]
    if incoming.tracker:
        devices.append(Identifier(TRACKER, incoming.tracker))
    now = time.time_ns() // 1000
    happened = incoming.occurred_at
    return PageEvent(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface=FACE,
        trust=source.trust,
        application=source.application,
        occurred_at=happened,
        received_at=now,
        identifiers=(*devices, *incoming.identifiers),
        values=incoming.values,
        choices={
            event_category(*asked): (given, happened or now) for asked, given in incoming.choices.items()
        },
        channel=incoming.channel,
        token=remembered,
        is_interactive=incoming.is_interactive,
        new_anonymous_id=made_id,
        objects=incoming.objects,
        new_tracker=new_tracker,
        name=incoming.name,
        body=incoming.body,
    )


def _remembered(opened: TokenPayload | None, config: Config) -> TokenClaims | None:
    """What a token says; where identity resolution is off it names nobody but its user, and such a token is
    void once it is on (wire/interactions §11)."""
    if opened is None or (opened.identities is None) == config.dataset.pipeline_identity_resolution:
        return None
    return TokenClaims(opened.primary_id, opened.identities or {}, opened.sealed_at_ms * MILLISECOND_US)


def _wire_id(observation: Observation, profile: Profile) -> str:
    """An anonymous visitor is called as their browser (wire/interactions §6)."""
    sent = next((each.value for each in observation.identifiers if each.namespace == ANONYMOUS_ID), None)
    device = sent or observation.new_anonymous_id
    return device if profile.is_anonymous and device else profile.primary_id


def _matched(observation: Observation, resolution: Resolution) -> tuple[str, ...]:
    plan = resolution.plan
    is_new = plan is None or (plan.creates and plan.profile_id == plan.survivor_id)
    people = resolution.joined if is_new else (resolution.survivor, *resolution.joined)
    return tuple(_wire_id(observation, each) for each in people)


def _merges(observation: Observation, resolution: Resolution) -> tuple[tuple[str, str], ...]:
    if resolution.plan is None or not resolution.joined:
        return ()
    both = zip(resolution.joined, resolution.plan.merges, strict=True)
    return tuple((_wire_id(observation, profile), merge.reason) for profile, merge in both)


def _new_anonymous_id(
    observation: Observation, incoming: IncomingEvent, resolution: Resolution
) -> str | None:
    """The id that the browser has from now on, if it had none that could be used."""
    moved = resolution.plan.devices if resolution.plan is not None else ()
    is_used = any(each.value == observation.new_anonymous_id for each in moved)
    return observation.new_anonymous_id if is_used or incoming.must_name_browser else None


def _sealed(
    ring: TokenKeyRing,
    dataset_ref: DatasetRef,
    incoming: IncomingEvent,
    opened: TokenPayload | None,
    resolution: Resolution,
) -> tuple[str | None, bool]:
    """The token of the visit as it is by now, the one that came where that is the same; whether it is
    full."""
    config, primary_id = resolution.config, resolution.survivor.primary_id
    if not resolution.identities:
        return None, False
    if not config.dataset.pipeline_identity_resolution:
        return _sealed_legacy(ring, dataset_ref, incoming, opened, resolution), False
    default = config.channel_identity(incoming.channel)
    identities, is_full = truncate_to_limit(
        resolution.identities, default.type_id if default is not None else ""
    )
    if opened is not None and incoming.token is not None and resolution.remembers:
        is_same = (opened.primary_id, opened.identities, opened.key_id) == (
            primary_id,
            identities,
            ring.active_id,
        )
        if is_same and not _is_of_an_earlier_visit(opened, resolution):
            return incoming.token, is_full
    return encrypt_token(
        ring, dataset_ref.handle, dataset_ref.dataset, primary_id, identities, _now_ms()
    ), is_full


def _is_of_an_earlier_visit(opened: TokenPayload, resolution: Resolution) -> bool:
    """Where users are remembered, each visit has a token of its own (wire/interactions §7)."""
    if not resolution.config.dataset.enable_remember_me_user_ids:
        return False
    return opened.sealed_at_ms * MILLISECOND_US < resolution.survivor.visit_at


def _sealed_legacy(
    ring: TokenKeyRing,
    dataset_ref: DatasetRef,
    incoming: IncomingEvent,
    opened: TokenPayload | None,
    resolution: Resolution,
) -> str | None:
    """Only the first answer of a visit to an event that names the user has a token (wire/interactions
    §11)."""
    primary_id = resolution.survivor.primary_id
    is_known = opened is not None and opened.primary_id == primary_id and resolution.remembers
    if not incoming.names_default or is_known or not _is_first_of_visit(incoming, resolution):
        return None
    return encrypt_token(ring, dataset_ref.handle, dataset_ref.dataset, primary_id, None, _now_ms())


def _is_first_of_visit(incoming: IncomingEvent, resolution: Resolution) -> bool:
    """Whether the event began the user's visit, or is the first that brings the user to this browser."""
    plan = resolution.plan
    if plan is not None and (plan.creates or plan.promotes or plan.merges or plan.devices):
        return True
    return resolution.survivor.visit_at >= (incoming.occurred_at or resolution.seq)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
