"""Rate limits per IP address: a number of requests in a window, counted by each process for itself.

Invariants: counts live in memory and are dropped with their window, because they only delay requests. A
request that is rejected here left no trace, so the client can send it again.
Source: docs/concepts/trust.md.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

from oneself.web.networks import network_of

#: Longer than the bursts of visitors that share one address.
WINDOW_S = 10


class RateLimiter:
    """At most `per_s` requests per second from each address, averaged over a window; 0 is no limit.

    `clock`: seconds, monotonic.
    """

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count_max = per_s * WINDOW_S
        self._clock = clock
        self._window = 0
        self._counts: Counter[str] = Counter()

    def acquire(self, address: str) -> int:
        """Count a request of the address. Returns 0 if it is within the limit, else the seconds to wait."""
        if not self._count_max:
            return 0
        now_s = self._clock()
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window, self._counts = window, Counter()
        sender = network_of(address)
        self._counts[sender] += 1
        if self._counts[sender] <= self._count_max:
            return 0
        return math.ceil((window + 1) * WINDOW_S - now_s)
