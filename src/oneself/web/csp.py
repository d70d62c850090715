"""Content Security Policies: one builder for every page that the project serves.

Invariants: a policy starts from `default-src 'none'`; a page lists what it needs. No framework is imported
here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")


def content_security_policy(**directives: str) -> str:
    """The header's value: `default-src 'none'`, then the directives in the order given.

    A keyword is a directive with underscores: `style_src="'self'"`.
    """
    named = ((name.replace("_", "-"), value) for name, value in directives.items())
    return "; ".join(f"{name} {value}" for name, value in (("default-src", "'none'"), *named))


def form_source(redirect_uri: str | None) -> str | None:
    """A redirect URI as a source of `form-action`: its origin, or its scheme if CSP cannot name its host.

    Browsers check `form-action` for the redirect that follows a form, too.
    """
    if redirect_uri is None:
        return None
    parts = urlsplit(redirect_uri)
    if parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}:" if _SCHEME.fullmatch(parts.scheme) else None
