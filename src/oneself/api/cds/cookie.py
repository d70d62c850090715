"""The cookie that ties a browser to its profile (wire/cds §5.1.4, decisions/0003).

Everywhere but on localhost it goes along when a page of another site asks us (`SameSite=None; Secure`). On
`http://localhost` `Secure` is left out, and a browser keeps no `SameSite=None` cookie without it; `Lax` is
kept, and pages on every port of localhost are the same site, so that it is sent all the same.
"""

from __future__ import annotations

from litestar import Request

NAME = "cds_profile"


def render_cookie(tracker: str, host: str, domain: str | None) -> str:
    """The `Set-Cookie` header for a tracker; a session cookie, without `Max-Age` and `Expires`."""
    if host.lower().startswith("localhost"):
        return f"{NAME}={tracker}; Path=/; HttpOnly; SameSite=Lax"
    of = f" Domain={domain};" if domain else ""
    return f"{NAME}={tracker}; Path=/;{of} HttpOnly; Secure; SameSite=None"


def tracker_in(request: Request[object, object, object]) -> str | None:  # type: ignore[type-var]
    """The tracker that the browser sent, if any; whether it is active is another question."""
    return request.cookies.get(NAME) or None
