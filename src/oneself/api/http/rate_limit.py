"""How many events one address may send (DESIGN §8): so many in a window, counted by each process for itself.

Law of this module: a count decides nothing but whether to wait, so it lives in memory and is forgotten with
its window; a page that is slowed down loses no event that was answered.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv6Network, ip_address

#: A site's visitors behind one address come in bursts: a window is longer than those.
WINDOW_S = 10
#: What one household or office gets of IPv6; the addresses in it are free to make up.
IPV6_PREFIX_BITS = 64


class RateLimiter:
    """At most `per_s` events per second on the average of a window from each address; 0: any number."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count_max = per_s * WINDOW_S
        self._clock = clock
        self._window = 0
        self._counts: Counter[str] = Counter()

    def wait_s(self, address: str) -> int:
        """Count an event of the address: 0 if it may be taken, else in how many seconds to send it again."""
        if not self._count_max:
            return 0
        now_s = self._clock()
        window = int(now_s // WINDOW_S)
        if window != self._window:
            self._window, self._counts = window, Counter()
        sender = _network(address) if ":" in address else address
        self._counts[sender] += 1
        if self._counts[sender] <= self._count_max:
            return 0
        return math.ceil((window + 1) * WINDOW_S - now_s)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), IPV6_PREFIX_BITS), strict=False))
