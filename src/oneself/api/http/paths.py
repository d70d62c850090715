"""Slashes inside a step of a path: `%2F` is part of an id, `/` divides steps (RFC 3986 §2.2).

    sent        /profiles/legacy.id:a%2Fb
    routed      /profiles/legacy.id:a%2Fb    one step; the server alone would make two of it
    parameter   legacy.id:a/b

In a path with an encoded slash the router sees slashes and percent signs of a step encoded; `parameters`
decodes them. Every other path is left as the server decoded it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_SLASH = re.compile(rb"%2f", re.IGNORECASE)


def split_organisation(path: str) -> tuple[str, str]:
    """The organisation handle in front of a path (empty without one), and the rest of the path."""
    if not path.startswith("/t/"):
        return "", path
    handle, slash, rest = path[3:].partition("/")
    return handle, slash + rest


def has_encoded_slash(scope: Mapping[str, Any]) -> bool:
    """Whether the path, as it was sent, has a slash inside a step."""
    return _SLASH.search(scope["raw_path"]) is not None


def routed_path(scope: Mapping[str, Any]) -> str:
    """The path that the router divides into steps."""
    if not has_encoded_slash(scope):
        return str(scope["path"])
    kept = _SLASH.sub(rb"%252F", scope["raw_path"].replace(b"%25", b"%2525"))
    return unquote(kept.decode("ascii"))


def parameters(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """The path parameters that the router found, decoded."""
    found: Mapping[str, Any] = scope["path_params"]
    if not has_encoded_slash(scope):
        return found
    return {name: _decoded(value) if isinstance(value, str) else value for name, value in found.items()}


def _decoded(text: str) -> str:
    return text.replace("%2F", "/").replace("%25", "%")
