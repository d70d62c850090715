"""Flash messages: what a page says once, because the console has just changed something.

    a form is accepted ─▶ a redirect with a cookie for its page ─▶ the page says it and deletes the cookie

Invariants: no address contains a message. A message appears in the session that caused it alone, on the page
that the redirect leads to. That page has a cookie of its own, so tabs do not show the messages of others.
"""

from __future__ import annotations

import hashlib
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from litestar.datastructures import Cookie

from oneself.console.context import COOKIE_PATH, ConsoleContext
from oneself.errors import SettingsError
from oneself.web.forms import AnyRequest
from oneself.web.sessions import browser_cookie

COOKIE_PREFIX = "oneself_console_flash_"
#: A browser follows a redirect at once. A message that no page showed by then is not shown any more.
LIFE_S = 60
#: A browser stores cookies of 4096 bytes, names and encryption included.
TEXT_BYTES_MAX = 1_000


class FlashMessage(msgspec.Struct, frozen=True):
    """What a page says. `problem`: why `text` is bad news; empty: it is good news."""

    text: str
    problem: str = ""


class _Stored(msgspec.Struct, frozen=True):
    message: FlashMessage
    expires_at: float


def flash_cookie(context: ConsoleContext, address: str, message: FlashMessage) -> Cookie:
    """The cookie that lets a page say something. `address`: path and query of the page, as it redirects."""
    cut = FlashMessage(_cut(message.text), _cut(message.problem))
    stored = msgspec.json.encode(_Stored(cut, time.time() + LIFE_S))
    encrypted = context.services.secret_box.encrypt(stored, _purpose(context))
    value = urlsafe_b64encode(encrypted).decode()
    return browser_cookie(context.request, _name(address), value, COOKIE_PATH, max_age_s=LIFE_S)


def take_flash(context: ConsoleContext) -> tuple[FlashMessage | None, list[Cookie]]:
    """What the page of a request says, and the cookies that delete it. A part of a page says nothing."""
    request = context.request
    name = _name(_address_of(request))
    if request.method != "GET" or context.is_part or name not in request.cookies:
        return None, []
    return _opened(context, request.cookies[name]), [
        browser_cookie(request, name, "", COOKIE_PATH, max_age_s=0)
    ]


def _opened(context: ConsoleContext, value: str) -> FlashMessage | None:
    """The message in a cookie; None if it is not one of this session, or expired."""
    try:
        encrypted = urlsafe_b64decode(value)
        plain = context.services.secret_box.decrypt(encrypted, _purpose(context))
        stored = msgspec.json.decode(plain, type=_Stored)
    except (ValueError, SettingsError, msgspec.DecodeError):
        return None
    return stored.message if stored.expires_at > time.time() else None


def _cut(text: str) -> str:
    return text.encode()[:TEXT_BYTES_MAX].decode(errors="ignore")


def _name(address: str) -> str:
    return COOKIE_PREFIX + hashlib.sha256(address.encode()).hexdigest()[:16]


def _address_of(request: AnyRequest) -> str:
    query = request.scope["query_string"].decode("latin-1")
    return request.scope["path"] + (f"?{query}" if query else "")


def _purpose(context: ConsoleContext) -> str:
    return f"console flash {context.session.session_id}"
