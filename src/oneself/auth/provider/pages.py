"""What people see: HTML that needs no script, and the headers that keep it to itself (DESIGN §8).

Law of this module: nothing is decided here. Every page forbids scripts, frames and caching; a form may go to
us, and after that only where the application's registered redirect URI is (browsers check `form-action` for
the redirect that follows a form, too).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib import resources
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader
from litestar import Response

from oneself.service.directory.accounts import Account

STYLESHEET = "pages.css"
_environment = Environment(
    loader=PackageLoader("oneself.auth.provider", "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_css = resources.files("oneself.web").joinpath("static", STYLESHEET).read_bytes()
_css_version = hashlib.sha256(_css).hexdigest()[:12]
_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

Html = Response[str]


def page(
    template: str,
    handle: str,
    *,
    status: int = 200,
    redirect_uri: str | None = None,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Html:
    """A page of an organisation. `redirect_uri`: where its form may lead in the end."""
    values.setdefault("application", None)
    values.setdefault("problems", {})
    stylesheet = f"/t/{handle}/accounts/{STYLESHEET}?v={_css_version}"
    text = _environment.get_template(template).render(organisation=handle, stylesheet=stylesheet, **values)
    return Response(
        text,
        status_code=status,
        media_type="text/html",
        headers={**_guards(redirect_uri), **(headers or {})},
    )


def message(
    handle: str,
    heading: str,
    sentence: str,
    *,
    status: int = 200,
    detail: str = "",
    link: tuple[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Html:
    """A page that says one thing. `link`: address and words of the way on."""
    address, words = link or ("", "")
    return page(
        "message.html", handle, status=status, headers=headers,
        heading=heading, sentence=sentence, detail=detail, link=address, link_text=words,
    )  # fmt: skip


def stylesheet() -> Response[bytes]:
    """The one stylesheet; its address changes when it does."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_css, media_type="text/css", headers=headers)


def facts(account: Account) -> list[tuple[str, str]]:
    """What the account page tells a person about themselves."""
    words = {"emailaddress": "E-mail", "givenname": "First name", "lastname": "Last name", "mobile": "Mobile"}
    return [(label, account.claims[claim]) for claim, label in words.items() if account.claims.get(claim)]


def name_of(account: Account) -> str:
    """What to call a person."""
    given, last = account.claims.get("givenname", ""), account.claims.get("lastname", "")
    return f"{given} {last}".strip() or account.username


def _guards(redirect_uri: str | None) -> dict[str, str]:
    targets = " ".join(filter(None, ("'self'", _form_target(redirect_uri))))
    policy = (
        "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action {targets}"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }


def _form_target(redirect_uri: str | None) -> str | None:
    """The redirect URI as a CSP source: its origin, or its scheme where it has no host that CSP can name."""
    if redirect_uri is None:
        return None
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else None
