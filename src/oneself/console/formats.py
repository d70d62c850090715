"""Instants, values and API requests as pages show them.

Invariants: instants are UTC.
"""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

from oneself.console.context import ConsoleContext
from oneself.core.identity.identifier import Identifier, visible_value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALUE_CHARS_MAX = 500


def when(instant: int) -> str:
    """An instant in µs since 1970, such as `5 June 2026, 03:38:04`."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return f"{moment.day} {moment:%B %Y, %H:%M:%S}"


def iso(instant: int) -> str:
    """An instant in µs since 1970 as the REST interface writes it."""
    return (_EPOCH + timedelta(microseconds=instant)).isoformat(timespec="microseconds")[:-6] + "Z"


def value_text(value: Any) -> str:
    """A value for people: texts as they are, lists of texts with commas, everything else as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        text = ", ".join(value)
    else:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} …"


def identifier_text(identifier: Identifier) -> str:
    """Namespace and value of an identifier; of a tracker its digest."""
    return f"{identifier.namespace} {visible_value(identifier)}"


def as_json(value: Any) -> str:
    """A JSON document with indentation."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def base_url(context: ConsoleContext) -> str:
    """The address of the service without a slash at its end: the configured one, else the request's."""
    request, settings = context.request, context.services.settings
    base = settings.public_url or f"{request.scope['scheme']}://{request.headers.get('host', 'localhost')}"
    return base.rstrip("/")


def api_request(context: ConsoleContext, path: str, body: Any = None, **query: str) -> str:
    """The request of the REST interface that answers the same, as a command for a terminal."""
    asked = {name: value for name, value in query.items() if value}
    url = f"{base_url(context)}/t/{context.dataset_ref.handle}/api/v1/{path}"
    url += f"?{urlencode(asked)}" if asked else ""
    command = f'curl -H "Authorization: Bearer $TOKEN" {shlex.quote(url)}'
    if body is None:
        return command
    sent = shlex.quote(msgspec.json.encode(body).decode())
    return f"{command} \\\n  -H 'Content-Type: application/json' -d {sent}"
