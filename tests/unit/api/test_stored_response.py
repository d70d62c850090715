"""Stored responses decode to themselves, and migration 0013 writes the same format."""

from __future__ import annotations

import pytest

from oneself.api.http.stored_response import StoredResponse, decode_response, encode_response
from oneself.service.ingest.submission import ReplayableResponse


@pytest.mark.parametrize(
    "response",
    [
        StoredResponse(200, (), b""),
        StoredResponse(201, (("Location", "https://a.example/1"), ("ETag", '"1"')), b'{"a":"line\\n"}'),
        StoredResponse(204, (("X", "é \u2028"),), "first\nsecond é".encode()),
    ],
)
def test_an_encoded_response_decodes_to_itself(response: StoredResponse) -> None:
    assert decode_response(encode_response(response)) == response


def test_a_response_that_the_migration_wrote_is_decoded() -> None:
    stored = ReplayableResponse('201 [["ETag", "\\"7\\""], ["X", "é"]]\n{"a": 1}\n'.encode())
    assert decode_response(stored) == StoredResponse(201, (("ETag", '"7"'), ("X", "é")), b'{"a": 1}\n')
