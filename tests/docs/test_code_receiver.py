"""The example receiver of the guide about mobile numbers accepts what the service sends, and nothing else."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from oneself.adapters.webhook import OutgoingCode, WebhookClient, secret_of, signed_headers
from oneself.errors import DeliveryRejected
from support.waiting import until

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "mobile-numbers.md"
SECRET = secret_of(bytes(range(32)))
CODE = OutgoingCode(
    delivery_id="a1",
    organisation="acme",
    organisation_name="Acme",
    purpose="verify_mobile",
    mobile="+447700900123",
    code="012345",
    expires_at=1_796_000_600_000_000,
)


class Example:
    """The receiver, running."""

    def __init__(self, folder: Path) -> None:
        found = re.search(r"^```python\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
        assert found is not None
        script = folder / "receive_codes.py"
        script.write_text(found[1])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process = subprocess.Popen(
            [sys.executable, str(script), str(self.port)],
            env={**os.environ, "CODE_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        until(self._is_listening, "the example receiver does not listen")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> str:
        """Stop, and return what was printed."""
        self.kill()
        return self._process.communicate()[0]

    def kill(self) -> None:
        """Stop; again is fine."""
        self._process.kill()
        self._process.wait()

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    running = Example(tmp_path)
    yield running
    running.kill()


async def test_the_example_prints_each_code_once(example: Example) -> None:
    client = WebhookClient()
    for code in (CODE, CODE, msgspec.structs.replace(CODE, delivery_id="b2", code="999999")):
        await client.send(example.url, SECRET, code)
    await client.close()
    assert example.stop().splitlines() == [
        "To +447700900123: your code is 012345",
        "To +447700900123: your code is 999999",
    ]


async def test_the_example_rejects_what_is_not_signed_by_the_service(example: Example) -> None:
    strangers = WebhookClient()
    with pytest.raises(DeliveryRejected, match="401"):
        await strangers.send(example.url, secret_of(bytes(32)), CODE)
    await strangers.close()
    late = WebhookClient(now=lambda: 1_700_000_000)
    with pytest.raises(DeliveryRejected, match="401"):
        await late.send(example.url, SECRET, CODE)
    await late.close()
    body = b'{"delivery_id": "c3", "mobile": "+447700900123", "code": "1"}'
    signed = signed_headers((SECRET,), "c3", 1_700_000_000, body)
    for headers in ({}, {**signed, "webhook-timestamp": "soon"}, {**signed, "webhook-signature": "v1,ü"}):
        encoded = {name: value.encode() for name, value in headers.items()}
        async with httpx.AsyncClient() as http:
            answer = await http.post(example.url, content=body, headers=encoded)
        assert answer.status_code == 401
    assert example.stop() == ""
