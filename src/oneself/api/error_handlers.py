"""From errors to HTTP: the one table of the REST wires. `oneself.errors` draws the tree of errors.

    WireError             its status and document            a response of a wire that is not a success
    RequestError          its status, shape A                errors of use-cases that all interfaces share
    IdempotencyKeyReused  422, shape A
    AttributeRejected     400 / 404 / 405 / 409, shape A or B
    ServiceError          503 with Retry-After
    IdentityServerFailed  500; nothing was changed
    no such path          404, text/plain
    wrong method          405 with Allow
    too large             413, shape A
    other client errors   400, shape A
    anything else         500; the log has the traceback

Invariants: only the last row is a bug. Nothing that a client can cause is logged with a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.types import ExceptionHandlersMap

from oneself.api.cds.profile_responses import render_key_reused
from oneself.api.documents.rejections import attribute_error
from oneself.api.http.errors import INVALID_REQUEST, ErrorDocument, FailureDocument, WireError, wire_error
from oneself.api.http.status import status_of
from oneself.core.values.definition_rules import AttributeRejected
from oneself.errors import IdentityServerFailed, RequestError, ServiceError
from oneself.service.ingest.submission import IdempotencyKeyReused

AnyRequest = Request[Any, Any, Any]
log = structlog.get_logger("oneself.api")

#: Errors of the framework before any route sees the request.
TOO_LARGE = 413
SENTENCES = {TOO_LARGE: "The request body is larger than 1 MiB."}


def _answer(status: int, document: object, headers: Mapping[str, str] | None = None) -> Response[Any]:
    if isinstance(document, str):
        return Response(document, status_code=status, media_type=MediaType.TEXT, headers=headers)
    body = msgspec.json.encode(document)
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=headers)


def answer_wire_error(_: AnyRequest, error: WireError) -> Response[Any]:
    return _answer(error.status, error.document, error.headers)


def answer_refusal(_: AnyRequest, error: RequestError) -> Response[Any]:
    return _answer(status_of(error), ErrorDocument(error.code, error.message, error.description))


def answer_attribute_rejected(request: AnyRequest, error: AttributeRejected) -> Response[Any]:
    return answer_wire_error(request, attribute_error(error))


def answer_key_reused(request: AnyRequest, error: IdempotencyKeyReused) -> Response[Any]:
    return answer_wire_error(request, render_key_reused(error))


def answer_world_error(request: AnyRequest, error: ServiceError) -> Response[Any]:
    log.warning("not_answered", route=request.scope.get("path_template"), cause=type(error).__name__)
    headers = {"Retry-After": str(error.retry_after_s)}
    return _answer(503, FailureDocument("Service temporarily unavailable"), headers)


def answer_identity_server_failed(request: AnyRequest, error: IdentityServerFailed) -> Response[Any]:
    log.warning("identity_server_failed", route=request.scope.get("path_template"), cause=error.message)
    return _answer(500, FailureDocument())


def answer_http_exception(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """An error of the router or of reading the body."""
    headers = dict(error.headers or {})
    if isinstance(error, NotFoundException):
        return _answer(404, "404 page not found")
    if isinstance(error, MethodNotAllowedException):
        return _answer(405, "405 method not allowed", {"Allow": _allowed(headers.get("allow", ""))})
    if isinstance(error, InternalServerException):  # the client went away while it was sending
        return _answer(500, FailureDocument())
    sentence = SENTENCES.get(error.status_code, "The request could not be read.")
    closing = {"Connection": "close"} if error.status_code == TOO_LARGE else {}
    return answer_wire_error(
        request, wire_error(INVALID_REQUEST, sentence, error.status_code, headers=closing)
    )


def answer_bug(request: AnyRequest, error: Exception) -> Response[Any]:
    log.error("failed", route=request.scope.get("path_template"), exc_info=error)
    return _answer(500, FailureDocument())


def _allowed(methods: str) -> str:
    """GET routes also answer HEAD, and every path OPTIONS."""
    named = {method for method in methods.split(", ") if method} | {"OPTIONS"}
    return ", ".join(sorted(named | ({"HEAD"} if "GET" in named else set())))


TABLE: ExceptionHandlersMap = {
    WireError: answer_wire_error,
    RequestError: answer_refusal,
    AttributeRejected: answer_attribute_rejected,
    IdempotencyKeyReused: answer_key_reused,
    ServiceError: answer_world_error,
    IdentityServerFailed: answer_identity_server_failed,
    HTTPException: answer_http_exception,
    Exception: answer_bug,
}
