"""Reads the query, form and IP address of a request."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from litestar import Request

from oneself.web.networks import network_of

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 65_536
FIELDS_MAX = 100

AnyRequest = Request[Any, Any, Any]
Parameters = dict[str, list[str]]


class InvalidForm(Exception):
    """The form or query is invalid. The message contains the reason."""


def query_of(request: AnyRequest) -> Parameters:
    """Return the query parameters. Raises InvalidForm."""
    return _parse(request.scope["query_string"].decode("latin-1"))


async def form_of(request: AnyRequest) -> Parameters:
    """Return the form parameters; empty if the body has another content type. Raises InvalidForm."""
    body = await request.body()
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return {}
    try:
        return _parse(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidForm("The form is not UTF-8 text.") from None


def sender_of(request: AnyRequest) -> str:
    """Return the caller's network; behind a trusted proxy, that of the address that the proxy reports."""
    return network_of(request.client.host) if request.client else "unknown"


def _parse(text: str) -> Parameters:
    try:
        parameters = parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise InvalidForm(f"The request has more than {FIELDS_MAX} parameters.") from None
    if any("\0" in part for name, values in parameters.items() for part in (name, *values)):
        raise InvalidForm("A parameter contains a NUL character.")
    return parameters
