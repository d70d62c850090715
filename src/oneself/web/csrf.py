"""Protects forms against cross-site request forgery: a form contains the keyed digest of a random cookie.

    oneself_csrf   random, HttpOnly, SameSite=Lax; only this service can compute its digest

Invariants: a form is accepted only from the browser that it was sent to, and not if the browser says that a
page of another origin sent it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping

from litestar.datastructures import Cookie

from oneself.service.crypto import SecretBox, new_token
from oneself.web.forms import AnyRequest
from oneself.web.sessions import browser_cookie

CSRF_COOKIE, CSRF_FIELD = "oneself_csrf", "csrf"
#: Values of `Sec-Fetch-Site` and `Origin`.
SAME_ORIGIN, BY_THE_USER, OPAQUE = "same-origin", "none", "null"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


class CsrfTokens:
    """Issues and checks CSRF tokens.

    `scope`: the pages that share tokens, such as those of an organisation.
    """

    def __init__(self, secret_box: SecretBox) -> None:
        self._secret_box = secret_box

    def issue(self, request: AnyRequest, scope: str, path: str) -> tuple[str, Cookie]:
        """Return a token and the cookie that it is checked against. `path`: the path of the cookie."""
        sent = request.cookies.get(CSRF_COOKIE, "")
        value = sent if _VALUE.fullmatch(sent) else new_token()
        return self._token(scope, value), browser_cookie(request, CSRF_COOKIE, value, path)

    def is_valid(self, request: AnyRequest, scope: str, form: Mapping[str, list[str]]) -> bool:
        """Whether the form was issued to this browser."""
        if not is_from_here(request):
            return False
        value, token = request.cookies.get(CSRF_COOKIE, ""), form.get(CSRF_FIELD, [""])[0]
        return bool(value) and hmac.compare_digest(self._token(scope, value).encode(), token.encode("utf-8"))

    def _token(self, scope: str, value: str) -> str:
        return self._secret_box.keyed_digest("csrf", scope, value).hex()


def is_from_here(request: AnyRequest) -> bool:
    """Whether nothing says that a page of another origin sent this form.

    Browsers say in `Sec-Fetch-Site` where a form comes from. In `Origin` ours have `null`, because the pages
    forbid a `Referer` (Fetch, "append a request `Origin` header"). Schemes are not compared: a proxy may have
    ended TLS.
    """
    if request.headers.get("sec-fetch-site", SAME_ORIGIN) not in (SAME_ORIGIN, BY_THE_USER):
        return False
    origin = request.headers.get("origin", OPAQUE)
    return origin == OPAQUE or _host(origin.partition("://")[2]) == _host(request.headers.get("host", ""))


def _host(netloc: str) -> str:
    return netloc.lower().removesuffix(":443").removesuffix(":80")
