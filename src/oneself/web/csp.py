"""Builds the Content Security Policy of the pages that the project serves, and their security headers.

Invariants: a policy starts with `default-src 'none'`; a page lists the sources that it needs. The module
imports no framework.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def content_security_policy(**directives: str) -> str:
    """Return the value of the header: `default-src 'none'`, then the directives in order.

    A keyword is a directive with underscores: `style_src="'self'"`.
    """
    named = ((name.replace("_", "-"), value) for name, value in directives.items())
    return "; ".join(f"{name} {value}" for name, value in (("default-src", "'none'"), *named))


def scripted_policy(form_action: str) -> str:
    """Return the policy of a page whose scripts, styles and data come from this service alone."""
    return content_security_policy(
        script_src="'self'",
        style_src="'self'",
        img_src="'self' data:",
        connect_src="'self'",
        base_uri="'none'",
        form_action=form_action,
        frame_ancestors="'none'",
    )


def page_headers(policy: str) -> dict[str, str]:
    """Return the headers of a page with this policy: no other page may frame it or learn its address."""
    return {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def form_source(redirect_uri: str | None) -> str | None:
    """Return the `form-action` source of a redirect URI: its origin, or its scheme if CSP cannot name the
    host.

    Browsers also check `form-action` for redirects of the response.
    """
    if redirect_uri is None:
        return None
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else None
