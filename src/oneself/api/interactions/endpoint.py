"""The event endpoints as one ASGI application, in front of the router: the hot path (DESIGN §11).

    POST, GET /api2/event/{dataset}      anybody; allowed origins if the dataset lists any
    POST /api2/authevent/{dataset}       Basic credentials; the trusted channel `Server`
    anything else under /api2            404, as JSON
    side beacons                         200, empty; they never touch identity
    everything else                      the router's business

All of them also under `/t/{org}`; without it the deployment's default organisation is meant.
Law of this module: decode, one use-case, render; every answer is JSON and says what to do.
Source: wire/interactions §4 (endpoints, channels), §6 (answers, headers), §14 (limits).
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import msgspec
import structlog

from oneself.api.http.metrics import Metrics
from oneself.api.http.rate_limit import RateLimiter
from oneself.api.http.transport import App, Headers, Receive, Scope, Send
from oneself.api.interactions.decode.encodings import InvalidEvent, decode_form, decode_json, decode_query
from oneself.api.interactions.decode.event import Event, decode_event
from oneself.api.interactions.decode.extract import extract
from oneself.api.interactions.render import (
    ANONYMOUS_ID_CORRECTED,
    BUSY,
    INVALID,
    SUCCESS,
    UNREADABLE_TOKEN,
    gzipped,
    render_failure,
    render_result,
)
from oneself.core.config.configuration import Config
from oneself.core.identity.blocklist import is_blocked
from oneself.core.identity.identifier import DEVICE_NAMESPACE
from oneself.errors import ServiceError, Unauthenticated
from oneself.service.context import DatasetRef
from oneself.service.events.interactions import EventResult, EventSource, IncomingEvent, new_event_id

if TYPE_CHECKING:
    from oneself.services import Services

BODY_BYTES_MAX = 256 * 1024
URL_CHARS_MAX = 16_384
EVENT_CREATE = "internal_cds_event_create"
SERVER_CHANNEL = "Server"
BEACONS = frozenset({"/msreceiver", "/pr", "/er", "/twreceiver", "/jsreceiver"})
#: Answered with a body longer than this, a client that takes gzip gets it.
GZIP_BYTES_MIN = 1
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
NOT_A_PATH = ("", "", "")
_TEMPLATES = {
    "event": "/api2/event/{dataset}",
    "authevent": "/api2/authevent/{dataset}",
    "beacon": "/beacon",
    "nothing": "/api2",
}
#: What a client that counts the weights of encodings does not want.
_NO_GZIP = re.compile(rb"gzip *; *q=0(\.0*)? *(,|$)")

log = structlog.get_logger("oneself.events")


class EventResponse(msgspec.Struct, frozen=True):
    """What is sent. `retry_after_s`: when trying again makes sense."""

    status: int
    body: bytes
    outcome: str
    retry_after_s: int | None = None


class EventRejected(Exception):
    """A request that is not an event for us."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.answer = EventResponse(status, render_failure(INVALID, sentence), "refused")


class RateLimited(EventRejected):
    """An event too many from one address."""

    def __init__(self, wait_s: int) -> None:
        sentence = f"Too many events from one address. Send the event again in {wait_s} s."
        super().__init__(429, sentence)
        self.answer = EventResponse(429, render_failure(BUSY, sentence), "limited", wait_s)


class EventEndpoint:
    """Answers events, and passes every other request on to `following`. `per_address_s`: how many events a
    second one address may send without credentials; 0: any number."""

    def __init__(self, services: Services, following: App, metrics: Metrics, per_address_s: int = 0) -> None:
        self._services = services
        self._following = following
        self._metrics = metrics
        self._addresses = RateLimiter(per_address_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            org, face, dataset = _parts(scope["path"])
            if face:
                await self._answer(scope, receive, send, org, face, dataset)
                return
        await self._following(scope, receive, send)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, org: str, face: str, dataset: str
    ) -> None:
        started_s = time.perf_counter()
        headers = dict(scope["headers"])
        if face == "beacon":
            answer = EventResponse(200, b"", "beacon")
        elif scope["method"] == "OPTIONS":
            answer = EventResponse(204, b"", "preflight")
        else:
            answer = await self._take(scope, receive, headers, org, face, dataset)
        await _send(send, answer, headers)
        scope["path_template"] = _TEMPLATES[face]
        self._metrics.observe(scope, answer.status, time.perf_counter() - started_s)
        self._metrics.observe_event(answer.outcome)

    async def _take(
        self,
        scope: Scope,
        receive: Receive,
        headers: dict[bytes, bytes],
        org: str,
        face: str,
        dataset: str,
    ) -> EventResponse:
        try:
            if face == "nothing":
                raise EventRejected(404, "There is nothing here. Send events to /api2/event/{dataset}.")
            dataset_ref = await self._tenant(org, dataset)
            source = await self._source(dataset_ref, face, scope, headers)
            document = await _document(scope, receive, headers, face)
            event = decode_event(document)
            if event.do_not_track:
                return EventResponse(200, _untracked(), "do_not_track")
            origin = headers.get(b"origin") if face == "event" else None
            return await self._process(dataset_ref, source, event, origin)
        except InvalidEvent as invalid:
            return EventResponse(400, render_failure(INVALID, invalid.sentence), "invalid")
        except EventRejected as refused:
            return refused.answer
        except ServiceError as error:
            log.warning("event_not_taken", cause=type(error).__name__)
            sentence = "The service is busy. Send the event again later."
            return EventResponse(503, render_failure(BUSY, sentence), "busy", error.retry_after_s)
        except Exception as error:
            log.error("event_failed", exc_info=error)
            return EventResponse(
                500, render_failure(BUSY, "The event was not taken, by a fault of ours."), "failed"
            )

    async def _process(
        self, dataset_ref: DatasetRef, source: EventSource, event: Event, origin: bytes | None
    ) -> EventResponse:
        warnings: list[str] = []

        is_unfit = _is_unfit(event)

        def read(config: Config) -> IncomingEvent:
            _demand_welcome(origin, config)
            incoming, found = read_event(event, config, is_unfit=is_unfit)
            warnings[:] = found
            return incoming

        # Only `/authevent` on the channel `Server` is trusted (wire/interactions §4).
        is_server = event.channel == SERVER_CHANNEL and source.application is not None
        evidence = source if is_server else EventSource()
        taken = await self._services.events.interactions.take(dataset_ref, evidence, read)
        for warning in (*warnings, *taken.warnings):
            self._metrics.observe_warning(warning)
        explains = event.explains and source.application is not None
        body = render_result(taken, _code(taken, is_unfit=is_unfit), tuple(warnings), explains=explains)
        return EventResponse(200, body, _outcome(taken))

    async def _tenant(self, org: str, dataset: str) -> DatasetRef:
        handle = org or self._services.settings.organisation or ""
        dataset_ref = await self._services.directory.organisations.find(handle)
        found = (
            None if dataset_ref is None else await self._services.schema.datasets.find(dataset_ref, dataset)
        )
        if found is None:
            raise EventRejected(
                404, "There is no such dataset here. Check the names of organisation and dataset."
            )
        return found

    async def _source(
        self, dataset_ref: DatasetRef, face: str, scope: Scope, headers: dict[bytes, bytes]
    ) -> EventSource:
        """Who sends; raises Refused."""
        if face == "event":
            self._check_address(_address(scope))
            await self._check_origin(dataset_ref, headers.get(b"origin"))
            if scope["method"] not in ("GET", "POST"):
                raise EventRejected(405, "Send an event by GET or POST.")
            return EventSource()
        if scope["method"] != "POST":
            raise EventRejected(405, "Send a trusted event by POST.")
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        try:
            caller = await self._services.callers.client_basic.authenticate(
                dataset_ref, authorization, _address(scope)
            )
        except Unauthenticated:
            raise EventRejected(
                401, "Send Basic credentials of an application of this organisation."
            ) from None
        if not caller.holds(EVENT_CREATE):
            raise EventRejected(403, f"The application lacks the permission {EVENT_CREATE}.")
        return EventSource("server", caller.application)

    def _check_address(self, address: str) -> None:
        wait_s = self._addresses.wait_s(address)
        if wait_s:
            raise RateLimited(wait_s)

    async def _check_origin(self, dataset_ref: DatasetRef, origin: bytes | None) -> None:
        """Pages of other sites are kept out where the dataset says which are its own. Nobody is kept out by a
        configuration that may be of yesterday."""
        configurations = self._services.configurations
        config = configurations.known(dataset_ref.dataset_id)
        if config is None or not _is_welcome(origin, config):
            config = await configurations.current(dataset_ref.dataset_id)
        _demand_welcome(origin, config)


def _is_welcome(origin: bytes | None, config: Config) -> bool:
    allowed = config.dataset.allowed_origins
    return origin is None or not allowed or origin.decode("latin-1") in allowed


def _demand_welcome(origin: bytes | None, config: Config) -> None:
    if not _is_welcome(origin, config):
        raise EventRejected(403, "This page's origin is not among the allowed origins of the dataset.")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


def _parts(path: str) -> tuple[str, str, str]:
    """Organisation, face and dataset of a path; an empty face if it is not ours."""
    org = ""
    if path.startswith("/t/"):
        org, slash, rest = path[3:].partition("/")
        path = slash + rest
    if path.startswith("/api2/"):
        face, _, dataset = path[6:].partition("/")
        dataset = dataset.rstrip("/")
        is_event = face in ("event", "authevent") and dataset and "/" not in dataset
        return org, face if is_event else "nothing", dataset
    elif path in BEACONS:
        return org, "beacon", ""
    return NOT_A_PATH


async def _document(
    scope: Scope, receive: Receive, headers: dict[bytes, bytes], face: str
) -> dict[str, object]:
    """The event's JSON object, in whichever encoding it comes (wire/interactions §4). Raises Refused,
    InvalidEvent."""
    if len(scope["raw_path"]) + len(scope["query_string"]) + 1 > URL_CHARS_MAX:
        raise EventRejected(
            413, f"The URL is longer than {URL_CHARS_MAX} characters. Send the event by POST."
        )
    if scope["method"] == "GET":
        return decode_query(scope["query_string"])
    body = await _body(receive)
    kind = headers.get(b"content-type", JSON).partition(b";")[0].strip().lower()
    if kind == FORM and face == "event":
        return decode_form(body)
    # Beacons send JSON as text/plain, so that no preflight is needed.
    return decode_json(body)


async def _body(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > BODY_BYTES_MAX:
            break
        message = await receive()
        if message["type"] == "http.disconnect":
            raise EventRejected(400, "The event broke off.")
        body += message.get("body", b"")
    if len(body) > BODY_BYTES_MAX:
        raise EventRejected(413, f"The event is larger than {BODY_BYTES_MAX // 1024} KiB.")
    return body


def read_event(
    event: Event, config: Config, *, is_unfit: bool = False
) -> tuple[IncomingEvent, tuple[str, ...]]:
    """The event by a configuration, and what is worth a warning about it. `is_unfit`: its anonymous id names
    no one browser."""
    found = extract(event, config)
    occurred_at, warnings = event.occurred_at, found.warnings
    if occurred_at is not None and occurred_at > time.time_ns() // 1000:
        occurred_at, warnings = None, (*warnings, "time_in_future")
    incoming = IncomingEvent(
        name=event.name,
        channel=event.channel,
        anonymous_id=None if is_unfit else event.anonymous_id,
        must_name_browser=is_unfit,
        identifiers=found.identifiers,
        values=found.values,
        body=event.body,
        token=event.token,
        tracker=event.tracker,
        occurred_at=occurred_at,
        is_interactive=event.is_interactive,
        choices={(each.purpose, each.provider): each.status == "Opt In" for each in event.consents},
        names_default=found.names_default,
        objects=event.profile_objects,
    )
    return incoming, warnings


def _is_unfit(event: Event) -> bool:
    """Whether the browser was named by what is no acceptable id, or by what many browsers are named by."""
    named = event.anonymous_id
    return event.anonymous_id_unfit or (named is not None and is_blocked(named, DEVICE_NAMESPACE))


def _code(taken: EventResult, *, is_unfit: bool) -> int:
    """An id to be corrected is told before a token that does not open (wire/interactions §6)."""
    if is_unfit:
        return ANONYMOUS_ID_CORRECTED
    return UNREADABLE_TOKEN if taken.token_unreadable and taken.token is None else SUCCESS


def _outcome(taken: EventResult) -> str:
    if taken.resolved_id is None:
        return "not_processed"
    if taken.plan is not None and taken.plan.merges:
        return "merged"
    kind = "anonymous" if taken.token is None else "named"
    return f"created_{kind}" if taken.plan is not None and taken.plan.creates else kind


def _untracked() -> bytes:
    return render_result(EventResult(event_id=new_event_id()), SUCCESS, (), explains=False)


async def _send(send: Send, answer: EventResponse, headers: dict[bytes, bytes]) -> None:
    body, more = answer.body, _headers(headers)
    if len(body) >= GZIP_BYTES_MIN and _takes_gzip(headers.get(b"accept-encoding", b"")):
        body = gzipped(body)
        more.append((b"content-encoding", b"gzip"))
    if answer.retry_after_s is not None:
        more.append((b"retry-after", str(answer.retry_after_s).encode()))
    if answer.status == 401:
        more.append((b"www-authenticate", b'Basic realm="events"'))
    if answer.status != 204:
        more.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": more})
    await send({"type": "http.response.body", "body": body})


def _takes_gzip(encodings: bytes) -> bool:
    return b"gzip" in encodings and _NO_GZIP.search(encodings) is None


_HEADERS: Headers = [
    (b"content-type", b"application/json;charset=UTF-8"),
    (b"cache-control", b"no-cache,no-store"),
    (b"timing-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"Origin, Accept-Encoding"),
]
_ALLOWED: Headers = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"Content-Type, Authorization"),
    (b"access-control-max-age", b"600"),
]


def _headers(headers: dict[bytes, bytes]) -> Headers:
    """What every answer carries: a page of any origin may read it (wire/interactions §6)."""
    more = list(_HEADERS)
    origin = headers.get(b"origin")
    if origin is not None:
        more += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-credentials", b"true"),
            *_ALLOWED,
        ]
    return more
