"""The cookie that connects a browser with its profile.

Everywhere except on localhost it is `SameSite=None; Secure`, so that browsers send it with requests of other
sites. On `http://localhost` it is `Lax` and not `Secure`: browsers reject a `SameSite=None` cookie that is
not secure, and all ports of localhost are one site.
Source: docs/wire/cds.md §5.1.4, docs/decisions/0003.
"""

from __future__ import annotations

from litestar import Request

from oneself.service.directory.sign_in import well_formed_trackers

NAME = "cds_profile"


def render_cookie(tracker: str, host: str, domain: str | None) -> str:
    """The `Set-Cookie` header for a tracker; a session cookie, without `Max-Age` and `Expires`."""
    if host.lower().startswith("localhost"):
        return f"{NAME}={tracker}; Path=/; HttpOnly; SameSite=Lax"
    of = f" Domain={domain};" if domain else ""
    return f"{NAME}={tracker}; Path=/;{of} HttpOnly; Secure; SameSite=None"


def tracker_in(request: Request[object, object, object]) -> str | None:  # type: ignore[type-var]
    """The tracker that the browser sent, if any. It need not be active; what cannot be a tracker is none."""
    return next(iter(well_formed_trackers([request.cookies.get(NAME, "")])), None)
