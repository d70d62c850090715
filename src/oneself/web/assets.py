"""Static files and their cache headers.

The content of a URL that contains the digest never changes: `immutable`. Browsers check a URL without the
digest with the server each time: `revalidated`.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Any

from litestar import Request, Response

DIGEST_BYTES = 16
VERSION_CHARS = 12
YEAR_S = 31_536_000


@cache
def static_file(*path: str) -> bytes:
    """Return the content of a file in `web/static`."""
    return resources.files("oneself.web").joinpath("static", *path).read_bytes()


@cache
def digest_of(content: bytes) -> str:
    """Return the digest of the content, hexadecimal."""
    return blake2b(content, digest_size=DIGEST_BYTES).hexdigest()


def version_of(content: bytes) -> str:
    """Return a short digest for the query of a URL."""
    return digest_of(content)[:VERSION_CHARS]


def immutable(content: bytes, media_type: str) -> Response[bytes]:
    """Return a file whose URL contains its version. Browsers cache it for a year."""
    headers = {
        "Cache-Control": f"public, max-age={YEAR_S}, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=media_type, headers=headers)


def revalidated(request: Request[Any, Any, Any], content: bytes, media_type: str) -> Response[bytes]:
    """Return the content, or 304 if the browser has the current version."""
    headers = {"ETag": f'"{digest_of(content)}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(b"", status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
