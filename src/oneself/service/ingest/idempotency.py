"""Idempotency keys: to whom a key belongs, and how long it is remembered.

Invariants: the same key of another owner is another key, so nobody gets the first response of somebody else.
What is stored is a digest: keys and trackers are secrets of their owners.
Source: docs/concepts/log-and-fold.md, exactly once.
"""

from __future__ import annotations

from hashlib import blake2b, sha256

import msgspec

#: Seven days: a job that stops on a Friday is repeated on Monday, and the responses do not pile up.
KEY_LIFE_US = 7 * 24 * 3600 * 1_000_000


class KeyOwner(msgspec.Struct, frozen=True, array_like=True):
    """To whom an idempotency key belongs."""

    #: The application or write key that sent the request.
    application: str | None
    #: The person whose token it is; None for an application that acts for itself.
    user_id: str | None
    #: The browser for which the request was sent, if the request names one.
    browser: str | None
    #: The operation: method and path template.
    route: str


def request_key(owner: KeyOwner, idempotency_key: str) -> str:
    """The key under which the first response to a request is stored. Migration 0018 writes the same."""
    named = msgspec.json.encode((*msgspec.structs.astuple(owner), idempotency_key))
    return f"request:{sha256(named).hexdigest()}"


def fingerprint(*parts: bytes) -> str:
    """Equal for requests with the same parts only."""
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
