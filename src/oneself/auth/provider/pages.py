"""The HTML pages of sign-in and registration, and their security headers.

Invariants: no decisions. Every page works without scripts and forbids scripts, frames and caching. A form can
be sent only to this service, whose response can redirect only to the application's registered redirect URI.
"""

from __future__ import annotations

from collections.abc import Mapping

from litestar import Response

from oneself.auth.provider.rendering import render
from oneself.service.directory.accounts import ADDRESS_CLAIM, VERIFIABLE_CLAIMS, Account
from oneself.web.assets import immutable, static_file, version_of
from oneself.web.csp import content_security_policy, form_source, page_headers
from oneself.web.forms import AnyRequest

STYLESHEET = "pages.css"
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
    """Render a page of an organisation.

    `redirect_uri`: of the application, allowed as the target of the form.
    """
    values.setdefault("application", None)
    values.setdefault("problems", {})
    stylesheet = f"/t/{handle}/accounts/{STYLESHEET}?v={version_of(static_file(STYLESHEET))}"
    return Response(
        render(template, organisation=handle, stylesheet=stylesheet, **values),
        status_code=status,
        media_type="text/html",
        headers={**_security_headers(redirect_uri), **(headers or {})},
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
    """Render a page with one message. `link`: URL and text."""
    url, link_text = link or ("", "")
    return page(
        "message.html", handle, status=status, headers=headers,
        heading=heading, sentence=sentence, detail=detail, link=url, link_text=link_text,
    )  # fmt: skip


def stylesheet(request: AnyRequest) -> Response[bytes]:
    """Return the stylesheet of all pages. Its URL contains its version."""
    return immutable(request, static_file(STYLESHEET), "text/css")


def account_fields(account: Account) -> list[tuple[str, str, str]]:
    """Return the labels and values on the account page, and whether a value is confirmed."""
    labels = {
        "emailaddress": "E-mail",
        "givenname": "First name",
        "lastname": "Last name",
        "mobile": "Mobile",
    }
    notes = {claim: "confirmed" if claim in account.verified else "" for claim in labels}
    notes |= {claim: notes[claim] or "not confirmed" for claim in VERIFIABLE_CLAIMS}
    fields = [
        (label, account.claims[claim], notes[claim])
        for claim, label in labels.items()
        if account.claims.get(claim)
    ]
    if ADDRESS_CLAIM not in account.verified:
        # Another account may prove the address, and then this one is not signed in to with it.
        fields.append(("User id", str(account.user_id), "signs you in, too"))
    return fields


def name_of(account: Account) -> str:
    """Return the display name of a user."""
    given, last = account.claims.get("givenname", ""), account.claims.get("lastname", "")
    return f"{given} {last}".strip() or account.username


def _security_headers(redirect_uri: str | None) -> dict[str, str]:
    policy = content_security_policy(
        style_src="'self'",
        img_src="data:",
        base_uri="'none'",
        frame_ancestors="'none'",
        form_action=" ".join(filter(None, ("'self'", form_source(redirect_uri)))),
    )
    return {
        **page_headers(policy),
        "Cache-Control": "no-store",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    }
