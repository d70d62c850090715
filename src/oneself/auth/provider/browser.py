"""What we know of a browser: its cookies, and the proof that a form came from our own page.

    oneself_session   signed in here; HttpOnly, SameSite=Lax, below /t/{org}, ends with the browser
    oneself_csrf      random; a form carries its keyed digest, which only we can compute
    cds_profile       the profile tracker, set by the customer data service (wire/cds §5.1), only read here

`Secure` everywhere but on localhost, where browsers hold plain http for safe and other clients would lose
the cookie.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from litestar import Request, Response
from litestar.datastructures import Cookie

from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox, new_token

SESSION_COOKIE, CSRF_COOKIE, PROFILE_COOKIE = "oneself_session", "oneself_csrf", "cds_profile"
FORM_TYPE = "application/x-www-form-urlencoded"
FORM_BYTES_MAX = 65_536
FIELDS_MAX = 100
_CSRF = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?", re.IGNORECASE)

AnyRequest = Request[Any, Any, Any]
Parameters = dict[str, list[str]]


class BadForm(Exception):
    """A form or query that cannot be read; the message says why."""


def query_of(request: AnyRequest) -> Parameters:
    """The parameters of the URL. Raises BadForm for what no parameter can be."""
    return _parse(request.scope["query_string"].decode("latin-1"))


async def form_of(request: AnyRequest) -> Parameters:
    """The fields of a form; empty when the body is of another type. Raises BadForm."""
    body = await request.body()
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != FORM_TYPE:
        return {}
    try:
        return _parse(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadForm("The form is no UTF-8 text.") from None


def address_of(request: AnyRequest) -> str:
    """The network address of the caller, as far as the proxy in front tells it."""
    return request.client.host if request.client else "unknown"


def session_cookie(request: AnyRequest, dataset_ref: DatasetRef, token: str | None) -> Cookie:
    """The cookie of a session; None takes it away."""
    return Cookie(
        key=SESSION_COOKIE,
        value=token or "",
        path=f"/t/{dataset_ref.handle}",
        httponly=True,
        samesite="lax",
        secure=not _is_local(request),
        max_age=None if token else 0,
    )


class Forms:
    """Binds forms to the browser they were shown in."""

    def __init__(self, vault: SecretBox) -> None:
        self._vault = vault

    def prepare(self, request: AnyRequest, dataset_ref: DatasetRef) -> tuple[str, Cookie]:
        """The value a form carries and the cookie that it is checked against."""
        kept = request.cookies.get(CSRF_COOKIE, "")
        value = kept if _CSRF.fullmatch(kept) else new_token()
        cookie = Cookie(
            key=CSRF_COOKIE,
            value=value,
            path=f"/t/{dataset_ref.handle}",
            httponly=True,
            samesite="lax",
            secure=not _is_local(request),
        )
        return self._proof(dataset_ref, value), cookie

    def is_ours(self, request: AnyRequest, dataset_ref: DatasetRef, form: Mapping[str, list[str]]) -> bool:
        """Whether this browser was shown the form that it sends."""
        kept, sent = request.cookies.get(CSRF_COOKIE, ""), form.get("csrf", [""])[0]
        return bool(kept) and hmac.compare_digest(
            self._proof(dataset_ref, kept).encode(), sent.encode("utf-8")
        )

    def _proof(self, dataset_ref: DatasetRef, value: str) -> str:
        return self._vault.keyed_digest("csrf", dataset_ref.handle, value).hex()


def with_cookies(response: Response[Any], *cookies: Cookie) -> Response[Any]:
    """The response, setting these cookies."""
    for cookie in cookies:
        response.set_cookie(cookie)
    return response


def _is_local(request: AnyRequest) -> bool:
    is_plain = request.scope["scheme"] == "http"
    return is_plain and _LOOPBACK.fullmatch(request.headers.get("host", "")) is not None


def _parse(text: str) -> Parameters:
    try:
        parameters = parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError:
        raise BadForm(f"There are more than {FIELDS_MAX} parameters.") from None
    if any("\0" in part for name, values in parameters.items() for part in (name, *values)):
        raise BadForm("A parameter contains a NUL character.")
    return parameters
