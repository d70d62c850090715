"""The event endpoints, as one raw endpoint beside the framework: the hot path.

    POST, GET /api2/event/{dataset}      no credentials, or a browser key; only from allowed origins, if the
                                         dataset or the key lists any
    POST /api2/authevent/{dataset}       Basic credentials, or a server key; the trusted channel `Server`
    anything else under /api2            404, as JSON
    side beacons                         200, empty; they never touch identity

All of them also under `/t/{org}`; without it the deployment's default organisation is used.

    decode_target ─▶ find_dataset ─▶ rate limit, credentials, admission ─▶ decode_request ─▶ ingest ─▶ render

Invariants: decode, one use-case, render; every response is JSON and says what to do.
Source: docs/wire/interactions.md §4 (endpoints, channels), §6 (responses, headers), §14 (limits).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.api.http.asgi import Headers
from oneself.api.http.cors import CorsPolicy
from oneself.api.http.metrics import Metrics
from oneself.api.http.paths import split_organisation
from oneself.api.http.rate_limit import RateLimiter
from oneself.api.http.raw import RateLimited, RawEndpoint, RawRequest, RawResponse
from oneself.api.interactions.admission import Admission, Sender, SenderAdmission, page_sender, server_sender
from oneself.api.interactions.credentials import authenticate_sender
from oneself.api.interactions.decode.encodings import decode_form, decode_json, decode_query
from oneself.api.interactions.decode.event import Event, decode_event
from oneself.api.interactions.decode.incoming import decode_incoming
from oneself.api.interactions.errors import EVENT_ERRORS, RequestRejected
from oneself.api.interactions.render import render_do_not_track, render_result
from oneself.api.interactions.repeats import decode_repeatable, render_repeated
from oneself.core.config.configuration import Config
from oneself.errors import Contended
from oneself.service.context import DatasetRef
from oneself.service.events.incoming import EventSource
from oneself.service.events.interactions import Repeatable
from oneself.service.events.result import EventResult
from oneself.service.ingest.submission import ConfigurationChanged

if TYPE_CHECKING:
    from oneself.services import Services

BODY_BYTES_MAX = 256 * 1024
URL_CHARS_MAX = 16_384
#: Attempts to decode one event while the configuration changes; it is a rare and short race.
DECODE_ATTEMPTS_MAX = 5
SERVER_CHANNEL = "Server"
#: How the log names a write key as the sender of an event. No client id has a colon.
KEY_APPLICATION = "write_key:"
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
BEACONS = ("/msreceiver", "/pr", "/er", "/twreceiver", "/jsreceiver")
#: The patterns of `api.dispatch` that this endpoint answers.
PATTERNS = ("/api2/", *BEACONS)
HEADERS: Headers = [
    (b"content-type", b"application/json;charset=UTF-8"),
    (b"cache-control", b"no-cache,no-store"),
    (b"timing-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Origin, Accept-Encoding"),
]
#: A page of any origin may read a response; which origins may send events is a setting of the dataset.
CORS = CorsPolicy(methods=b"GET, POST", headers=b"Content-Type, Authorization, Idempotency-Key")

Interface = Literal["event", "authevent", "beacon", "unknown"]
#: The route in metrics.
TEMPLATES: dict[Interface, str] = {
    "event": "/api2/event/{dataset}",
    "authevent": "/api2/authevent/{dataset}",
    "beacon": "/beacon",
    "unknown": "/api2",
}
#: First step below `/api2` → interface.
INTERFACES: dict[str, Interface] = {"event": "event", "authevent": "authevent"}
BEACON = RawResponse(200, b"", "beacon")
PREFLIGHT = RawResponse(204, b"", "preflight")


class EventTarget(msgspec.Struct, frozen=True):
    """What a path names. `org` is empty for the default organisation."""

    org: str
    interface: Interface
    dataset: str


class EventEndpoint:
    """Answers requests to the paths of PATTERNS.

    `per_address_s`: events per second that one address may send without credentials; 0 is no limit.
    """

    def __init__(self, services: Services, metrics: Metrics, per_address_s: int = 0) -> None:
        self._services = services
        self._metrics = metrics
        self._limiter = RateLimiter(per_address_s)
        self._admission = SenderAdmission(services)
        #: The endpoint as an ASGI application.
        self.endpoint = RawEndpoint(
            self._handle, errors=EVENT_ERRORS, headers=HEADERS, cors=CORS, metrics=metrics
        )

    async def _handle(self, request: RawRequest) -> RawResponse:
        target = decode_target(request.path)
        request.scope["path_template"] = TEMPLATES[target.interface]
        if target.interface == "beacon":
            return BEACON
        if request.method == "OPTIONS":
            return PREFLIGHT
        if target.interface == "unknown":
            raise RequestRejected(404, "There is nothing here. Send events to /api2/event/{dataset}.")
        dataset_ref = await self._find_dataset(target)
        if target.interface == "event":
            return await self._handle_event(request, dataset_ref)
        return await self._handle_trusted_event(request, dataset_ref)

    async def _handle_event(self, request: RawRequest, dataset_ref: DatasetRef) -> RawResponse:
        """An event of a browser, without credentials."""
        self._limit_rate(request.address)
        sender = page_sender(request)
        admission = await self._admission.admit(dataset_ref, sender)
        if request.method not in ("GET", "POST"):
            raise RequestRejected(405, "Send an event by GET or POST.")
        event = decode_event(await decode_request(request, accepts_forms=True))
        repeatable = decode_repeatable(request, _key_application(admission), event, is_public=True)
        return await self._ingest(dataset_ref, sender, EventSource(), event, admission.config, repeatable)

    async def _handle_trusted_event(self, request: RawRequest, dataset_ref: DatasetRef) -> RawResponse:
        """An event of a server, with credentials. Only the channel `Server` is trusted (§4)."""
        if request.method != "POST":
            raise RequestRejected(405, "Send a trusted event by POST.")
        sender = server_sender(request)
        if sender.key is not None:
            return await self._handle_keyed_event(request, dataset_ref, sender)
        authorization = request.headers.get(b"authorization", b"").decode("latin-1")
        caller = await authenticate_sender(self._services, dataset_ref, authorization, request.address)
        event = decode_event(await decode_request(request, accepts_forms=False))
        config = (await self._admission.admit(dataset_ref, sender)).config
        repeatable = decode_repeatable(request, caller.application, event, explains=event.explains)
        source = _source(event, caller.application)
        return await self._ingest(
            dataset_ref, sender, source, event, config, repeatable, explains=event.explains
        )

    async def _handle_keyed_event(
        self, request: RawRequest, dataset_ref: DatasetRef, sender: Sender
    ) -> RawResponse:
        """An event with a server key. It reads nothing, so the response has no explanations."""
        admission = await self._admission.admit(dataset_ref, sender)
        event = decode_event(await decode_request(request, accepts_forms=False))
        application = _key_application(admission)
        repeatable = decode_repeatable(request, application, event)
        source = _source(event, application)
        return await self._ingest(dataset_ref, sender, source, event, admission.config, repeatable)

    async def _ingest(
        self,
        dataset_ref: DatasetRef,
        sender: Sender,
        source: EventSource,
        event: Event,
        config: Config,
        repeatable: Repeatable | None,
        *,
        explains: bool = False,
    ) -> RawResponse:
        if event.do_not_track:
            return render_do_not_track()
        result = await self._submit(dataset_ref, sender, source, event, config, repeatable)
        if result.first_response is not None:
            return render_repeated(result.first_response)
        for warning in result.warnings:
            self._metrics.observe_warning(warning)
        return render_result(result, explains=explains)

    async def _submit(
        self,
        dataset_ref: DatasetRef,
        sender: Sender,
        source: EventSource,
        event: Event,
        config: Config,
        repeatable: Repeatable | None,
    ) -> EventResult:
        """Ingest the event; admit and decode it again whenever its configuration has changed meanwhile."""
        for _ in range(DECODE_ATTEMPTS_MAX):
            incoming = decode_incoming(event, config)
            try:
                return await self._services.events.interactions.ingest(
                    dataset_ref, source, incoming, config, repeatable
                )
            except ConfigurationChanged:
                config = (await self._admission.admit_now(dataset_ref, sender)).config
        raise Contended("The configuration of the dataset changes too fast.")

    async def _find_dataset(self, target: EventTarget) -> DatasetRef:
        handle = target.org or self._services.settings.organisation or ""
        organisation = await self._services.directory.organisations.find(handle)
        if organisation is not None:
            found = await self._services.schema.datasets.find(organisation, target.dataset)
            if found is not None:
                return found
        raise RequestRejected(
            404, "There is no such dataset here. Check the names of organisation and dataset."
        )

    def _limit_rate(self, address: str) -> None:
        retry_after_s = self._limiter.acquire(address)
        if retry_after_s:
            raise RateLimited(retry_after_s)


def decode_target(path: str) -> EventTarget:
    """What a path that matches PATTERNS names."""
    org, path = split_organisation(path)
    if path in BEACONS:
        return EventTarget(org, "beacon", "")
    name, _, dataset = path.removeprefix("/api2/").partition("/")
    dataset = dataset.rstrip("/")
    if not dataset or "/" in dataset:
        return EventTarget(org, "unknown", dataset)
    return EventTarget(org, INTERFACES.get(name, "unknown"), dataset)


async def decode_request(request: RawRequest, *, accepts_forms: bool) -> dict[str, object]:
    """The JSON object of the event, in whichever encoding it comes (docs/wire/interactions.md §4).

    Raises InvalidEvent, UrlTooLong, BodyTooLarge, BodyIncomplete.
    """
    request.check_url(URL_CHARS_MAX)
    if request.method == "GET":
        return decode_query(request.query)
    body = await request.read_body(BODY_BYTES_MAX)
    kind = request.headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if accepts_forms and kind == FORM:
        return decode_form(body)
    # Beacons send JSON as text/plain, so that no preflight is needed.
    return decode_json(body)


def _key_application(admission: Admission) -> str | None:
    """How the log names the write key of a sender; None without one."""
    return None if admission.key is None else f"{KEY_APPLICATION}{admission.key.key_id}"


def _source(event: Event, application: str | None) -> EventSource:
    """Who sent an event with credentials; on other channels it is as if it had none."""
    return EventSource("server", application) if event.channel == SERVER_CHANNEL else EventSource()
