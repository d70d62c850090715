"""The errors of the event endpoints: the one table from error to response.

    InvalidEvent          400  the document is not an event
    RequestRejected       its status and sentence
    IdempotencyKeyReused  422
    RateLimited           429  with Retry-After
    UrlTooLong            413
    BodyTooLarge          413
    BodyIncomplete        400
    ServiceError          503  with Retry-After
    anything else         500  the log has the traceback

Source: docs/wire/interactions.md §6.
"""

from __future__ import annotations

import structlog

from oneself.api.http.raw import (
    BodyIncomplete,
    BodyTooLarge,
    ErrorTable,
    RateLimited,
    RawResponse,
    UrlTooLong,
)
from oneself.api.interactions.decode.encodings import InvalidEvent
from oneself.api.interactions.render import BUSY, INVALID, render_failure
from oneself.errors import ServiceError
from oneself.service.ingest.submission import IdempotencyKeyReused

log = structlog.get_logger("oneself.events")
BASIC_CHALLENGE = b'Basic realm="events"'


class RequestRejected(Exception):
    """A request of this wire that is not accepted.

    `sentence`: what is wrong, and what to do. `code`: a word for programs. `challenge`: what a 401 asks for.
    """

    def __init__(
        self, status: int, sentence: str, *, code: str | None = None, challenge: bytes = BASIC_CHALLENGE
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.code = code
        self.challenge = challenge


def render_invalid(error: InvalidEvent) -> RawResponse:
    return RawResponse(400, render_failure(INVALID, error.sentence), "invalid")


def render_rejected(error: RequestRejected) -> RawResponse:
    headers = ((b"www-authenticate", error.challenge),) if error.status == 401 else ()
    return RawResponse(error.status, render_failure(INVALID, error.sentence, error.code), "refused", headers)


def render_key_reused(error: IdempotencyKeyReused) -> RawResponse:
    sentence = f"{error} Send another event with another key."
    return render_rejected(RequestRejected(422, sentence, code="idempotency_key_reused"))


def render_rate_limited(error: RateLimited) -> RawResponse:
    sentence = f"Too many events from one address. Send the event again in {error.retry_after_s} s."
    return RawResponse(429, render_failure(BUSY, sentence), "limited", _retry_after(error.retry_after_s))


def render_url_too_long(error: UrlTooLong) -> RawResponse:
    sentence = f"The URL is longer than {error.chars_max} characters. Send the event by POST."
    return render_rejected(RequestRejected(413, sentence))


def render_body_too_large(error: BodyTooLarge) -> RawResponse:
    return render_rejected(RequestRejected(413, f"The event is larger than {error.bytes_max // 1024} KiB."))


def render_body_incomplete(_: BodyIncomplete) -> RawResponse:
    return render_rejected(RequestRejected(400, "The connection closed before the end of the event."))


def render_service_error(error: ServiceError) -> RawResponse:
    log.warning("event_not_stored", cause=type(error).__name__)
    sentence = "The service is busy. Send the event again later."
    return RawResponse(503, render_failure(BUSY, sentence), "busy", _retry_after(error.retry_after_s))


def render_bug(error: Exception) -> RawResponse:
    log.error("event_failed", exc_info=error)
    sentence = "Internal error; the event may not have been stored. Send it again."
    return RawResponse(500, render_failure(BUSY, sentence), "failed")


def _retry_after(seconds: int) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"retry-after", b"%d" % seconds),)


EVENT_ERRORS: ErrorTable = {
    InvalidEvent: render_invalid,
    RequestRejected: render_rejected,
    IdempotencyKeyReused: render_key_reused,
    RateLimited: render_rate_limited,
    UrlTooLong: render_url_too_long,
    BodyTooLarge: render_body_too_large,
    BodyIncomplete: render_body_incomplete,
    ServiceError: render_service_error,
    Exception: render_bug,
}
