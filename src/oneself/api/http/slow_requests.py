"""The slowest requests of the last hour, for each organisation.

Invariants: routes, never paths: a path may name a person. Bounded in organisations and requests. They are
those of this process, and gone when it ends.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

#: Callers observe requests that took at least so long.
SLOW_S = 0.01
WINDOW_S = 3600.0
REQUESTS_MAX = 10
ORGANISATIONS_MAX = 1_000
_ORGANISATION = re.compile(r"/(?:t|console/o)/([^/]+)(?:/|$)")
_STREAM = b"text/event-stream"


class SlowRequest(msgspec.Struct, frozen=True):
    """One request. `at`: when it was answered, in s since 1970."""

    duration_s: float
    at: float
    method: str
    route: str
    status: int


class SlowRequests:
    """Remembers the slowest requests."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._slowest: OrderedDict[str, list[SlowRequest]] = OrderedDict()

    def observe(self, scope: Mapping[str, Any], route: str, status: int, duration_s: float) -> None:
        """Remember a request if it is one of the slowest of its organisation. A stream is none."""
        found = _ORGANISATION.match(scope["path"])
        if found is None or any(name == b"accept" and _STREAM in value for name, value in scope["headers"]):
            return
        at, organisation = self._now(), found[1]
        listed = [*self.list(organisation), SlowRequest(duration_s, at, scope["method"], route, status)]
        listed.sort(key=lambda request: -request.duration_s)
        self._slowest[organisation] = listed[:REQUESTS_MAX]
        self._slowest.move_to_end(organisation)
        if len(self._slowest) > ORGANISATIONS_MAX:
            self._slowest.popitem(last=False)

    def list(self, organisation: str) -> list[SlowRequest]:
        """The slowest requests of an organisation in the last hour, the slowest first."""
        earliest = self._now() - WINDOW_S
        return [request for request in self._slowest.get(organisation, ()) if request.at >= earliest]
