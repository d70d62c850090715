"""Static files and their cache headers.

The content of a URL that contains the digest never changes: `immutable`. Browsers check a URL without the
digest with the server each time: `revalidated`.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Any

from litestar import Request, Response

from oneself.web.gzip import accepts_gzip

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


def immutable(request: Request[Any, Any, Any], content: bytes, media_type: str) -> Response[bytes]:
    """Return a file whose URL contains its version. Browsers cache it for a year."""
    headers = {
        "Cache-Control": f"public, max-age={YEAR_S}, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return _encoded(request, content, media_type, headers)


def revalidated(request: Request[Any, Any, Any], content: bytes, media_type: str) -> Response[bytes]:
    """Return the content, or 304 if the browser has the current version."""
    # Weak: the same for every encoding.
    headers = {"ETag": f'W/"{digest_of(content)}"', "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(b"", status_code=304, headers=headers)
    return _encoded(request, content, media_type, headers)


def _encoded(
    request: Request[Any, Any, Any], content: bytes, media_type: str, headers: Mapping[str, str]
) -> Response[bytes]:
    """The content, compressed for browsers that accept it."""
    headers = {**headers, "Vary": "Accept-Encoding"}
    if accepts_gzip(request.headers.get("accept-encoding", "").encode("latin-1")):
        content, headers["Content-Encoding"] = _compressed(content), "gzip"
    return Response(content, media_type=media_type, headers=headers)


@cache
def _compressed(content: bytes) -> bytes:
    """As small as it gets: each file is compressed once in a process."""
    return gzip.compress(content, mtime=0)
