"""Session cookies of browsers.

    oneself_session   after sign-in; HttpOnly, SameSite=Lax, deleted when the browser closes

Invariants: a cookie is `Secure` except on localhost. Browsers treat plain HTTP on localhost as secure, but
other clients would discard a `Secure` cookie there.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Response
from litestar.datastructures import Cookie

from oneself.web.forms import AnyRequest

SESSION_COOKIE = "oneself_session"
LOOPBACK_NAME = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?", re.IGNORECASE)


def session_cookie(request: AnyRequest, path: str, token: str | None) -> Cookie:
    """Return the session cookie; without a token, a cookie that deletes it."""
    return browser_cookie(request, SESSION_COOKIE, token or "", path, max_age_s=None if token else 0)


def browser_cookie(
    request: AnyRequest, name: str, value: str, path: str, *, max_age_s: int | None = None
) -> Cookie:
    """Return a cookie that scripts cannot read and that forms of other sites do not send."""
    return Cookie(
        key=name,
        value=value,
        path=path,
        httponly=True,
        samesite="lax",
        secure=not _is_local(request),
        max_age=max_age_s,
    )


def with_cookies(response: Response[Any], *cookies: Cookie) -> Response[Any]:
    """Set cookies on a response and return it."""
    for cookie in cookies:
        response.set_cookie(cookie)
    return response


def _is_local(request: AnyRequest) -> bool:
    is_plain = request.scope["scheme"] == "http"
    return is_plain and LOOPBACK_NAME.fullmatch(request.headers.get("host", "")) is not None
