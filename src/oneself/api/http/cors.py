"""Cross-origin resource sharing: what a page of another origin may do with a response.

A policy is a value; each wire has one.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from oneself.api.http.asgi import Headers

#: Seconds that a browser may cache a preflight response. Browsers cap it at two hours or less.
PREFLIGHT_AGE_S = 600
_REQUESTED_HEADERS = b"access-control-request-headers"


class CorsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What pages of which origins may do."""

    #: Value of `Access-Control-Allow-Methods`.
    methods: bytes
    #: Value of `Access-Control-Allow-Headers`.
    headers: bytes
    #: Origins that may read responses; None allows every origin.
    origins: frozenset[bytes] | None = None
    #: True allows the headers that a preflight request asks for, whichever they are.
    allows_requested_headers: bool = False
    #: Value of `Access-Control-Expose-Headers`; None leaves the header out.
    exposed: bytes | None = None


def cors_headers(policy: CorsPolicy, request_headers: Mapping[bytes, bytes]) -> Headers:
    """The response headers for the origin of a request; none if the policy does not allow it."""
    origin = request_headers.get(b"origin")
    if origin is None or (policy.origins is not None and origin not in policy.origins):
        return []
    requested = request_headers.get(_REQUESTED_HEADERS) if policy.allows_requested_headers else None
    exposed = [] if policy.exposed is None else [(b"access-control-expose-headers", policy.exposed)]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-methods", policy.methods),
        (b"access-control-allow-headers", requested or policy.headers),
        *exposed,
        (b"access-control-max-age", b"%d" % PREFLIGHT_AGE_S),
    ]
