"""Requests that get no answer say why, in words."""

from __future__ import annotations

import httpx
import pytest

from oneself.adapters.http import LimitedHttpClient
from oneself.errors import IdentityServerFailed

CAUSES = {
    "it did not answer in time": httpx.ReadTimeout("x"),
    "its name is unknown": httpx.ConnectError("the name was not found"),
    "it accepted no connection": httpx.ConnectError("All connection attempts failed"),
    "TLS failed": httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"),
    "it ended the connection": httpx.ReadError("x"),
}


@pytest.mark.parametrize(("words", "error"), CAUSES.items())
async def test_why_there_was_no_answer_is_said_in_words(words: str, error: Exception) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    client = LimitedHttpClient("It", timeout_s=1, response_bytes_max=1, transport=httpx.MockTransport(fail))
    with pytest.raises(IdentityServerFailed, match=words):
        await client.status_of("POST", "https://crm.example/")
