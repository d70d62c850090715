"""Limits, times and costs of the services in tests.

`FAST` is what the fixture `services` is built with. A test that needs another limit replaces the fixture:
`@pytest.mark.parametrize("tunables", [tuned(preview_entries_max=2)])`.
"""

from __future__ import annotations

import functools
import time
from functools import partial
from typing import Any

import msgspec
from argon2.profiles import CHEAPEST
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from joserfc.jwk import RSAKey

from oneself.service.overview.counts import CountLimits
from oneself.tunables import Tunables


class SettableClock:
    """The time of the system, until a test sets another one, which stands still."""

    def __init__(self) -> None:
        self.now_s: float | None = None

    def __call__(self) -> float:
        return time.time() if self.now_s is None else self.now_s


_key = functools.cache(partial(generate_private_key, 65537, 2048))


def same_key(bits: int, parameters: Any) -> RSAKey:
    """One key under every id: making a key takes most of the time of creating an organisation."""
    return RSAKey.import_key(_key(), parameters)


#: Weak hashes and one private key for all, so that a test takes milliseconds; and numbers that are counted.
FAST = Tunables(hash_parameters=CHEAPEST, generate_key=same_key, count_limits=CountLimits(wait_s=60))


def tuned(**changes: Any) -> Tunables:
    """`FAST` with other values."""
    return msgspec.structs.replace(FAST, **changes)
