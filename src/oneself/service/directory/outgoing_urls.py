"""Which URLs an administrator may name for requests that this service sends."""

from __future__ import annotations

from urllib.parse import urlsplit

from oneself.adapters.outgoing import OutgoingPolicy

URL_CHARACTERS_MAX = 500
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def url_problem(url: str) -> str | None:
    """What is wrong with a URL, to follow its name in a sentence; None: nothing.

    What is received or sent decides who is trusted, so it travels over TLS, except on this machine.
    """
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be a URL of at most {URL_CHARACTERS_MAX} printable ASCII characters"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "must begin with https://"
    if parts.scheme == "http" and host not in LOOPBACK:
        return "must begin with https://, except on this machine"
    if parts.username or parts.password or "?" in url or "#" in url:
        return "must not contain a user, query or fragment"
    return None


async def outgoing_problem(url: str, policy: OutgoingPolicy) -> str | None:
    """What is wrong with a URL or with where it leads to, as `url_problem`."""
    return url_problem(url) or await policy.problem(url)
