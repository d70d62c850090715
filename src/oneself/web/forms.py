"""Reads what a browser sends: the query of a URL, the fields of a form, the caller's address."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from litestar import Request

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 65_536
FIELDS_MAX = 100

AnyRequest = Request[Any, Any, Any]
Parameters = dict[str, list[str]]


class InvalidForm(Exception):
    """A form or query cannot be read; the message says why."""


def query_of(request: AnyRequest) -> Parameters:
    """The parameters of the URL. Raises InvalidForm."""
    return _parse(request.scope["query_string"].decode("latin-1"))


async def form_of(request: AnyRequest) -> Parameters:
    """The fields of a form; empty if the body has another type. Raises InvalidForm."""
    body = await request.body()
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return {}
    try:
        return _parse(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidForm("The form is not UTF-8 text.") from None


def address_of(request: AnyRequest) -> str:
    """The caller's IP address; behind a trusted proxy, the address that the proxy reports."""
    return request.client.host if request.client else "unknown"


def _parse(text: str) -> Parameters:
    try:
        parameters = parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise InvalidForm(f"There are more than {FIELDS_MAX} parameters.") from None
    if any("\0" in part for name, values in parameters.items() for part in (name, *values)):
        raise InvalidForm("A parameter contains a NUL character.")
    return parameters
