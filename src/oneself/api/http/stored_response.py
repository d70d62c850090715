"""Responses that are stored, so that a repeat of the request gets them again.

The service and the store keep the bytes and never open them. Their form: the status, a space, the headers as
JSON, a line feed, and the body. Migration 0013 writes the same.
"""

from __future__ import annotations

import msgspec

from oneself.service.ingest.submission import ReplayableResponse, Resolution

_headers = msgspec.json.Decoder(tuple[tuple[str, str], ...])


class StoredResponse(msgspec.Struct, frozen=True):
    """A rendered response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def encode_response(response: StoredResponse) -> ReplayableResponse:
    """The bytes of a response."""
    head = b"%d %s\n" % (response.status, msgspec.json.encode(response.headers))
    return ReplayableResponse(head + response.body)


def decode_response(stored: ReplayableResponse) -> StoredResponse:
    """The response from its bytes."""
    head, _, body = stored.partition(b"\n")
    status, _, headers = head.partition(b" ")
    return StoredResponse(int(status), _headers.decode(headers), body)


def first_response(resolution: Resolution) -> StoredResponse | None:
    """The stored response of a keyed request, which its first attempt got; None if it has none."""
    return None if resolution.response is None else decode_response(resolution.response)
