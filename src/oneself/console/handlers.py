"""The handlers of pages and forms of an organisation, each with the permission that it needs.

Invariants: the guard reads the permission; no form is larger than FORM_BYTES_MAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import get, post
from litestar.handlers import HTTPRouteHandler

from oneself.web.forms import FORM_BYTES_MAX

ORGANISATION_PATH = "/console/o/{org:str}"
Handler = Callable[[Any], HTTPRouteHandler]


def page_at(path: str, needed: dict[str, Any]) -> Handler:
    """A page of an organisation. `path`: after that of the organisation. `needed`: of `requires`."""
    return get(f"{ORGANISATION_PATH}{path}", opt=needed, include_in_schema=False)


def form_at(path: str, needed: dict[str, Any]) -> Handler:
    """What accepts a form of an organisation. `path` and `needed` as for `page_at`."""
    return post(
        f"{ORGANISATION_PATH}{path}",
        opt=needed,
        request_max_body_size=FORM_BYTES_MAX,
        include_in_schema=False,
    )
