"""Codes to a real HTTP receiver: the signature, and receivers that refuse, hang, redirect or flood."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator

import msgspec
import pytest

from oneself.adapters.webhook import OutgoingCode, WebhookClient, key_of, secret_of
from oneself.errors import DeliveryDeferred, DeliveryRejected, InvalidInput
from support.code_receiver import Behaviour, CodeReceiver

KEY = bytes(range(32))
SECRET = secret_of(KEY)
CODE = OutgoingCode(
    delivery_id="a1b2",
    organisation="acme",
    organisation_name="Acme, Inc.",
    purpose="verify_mobile",
    mobile="+447700900123",
    code="012345",
    expires_at=1_796_000_600_000_000,
    locale="en-GB",
)
StartReceiver = Callable[..., CodeReceiver]


@pytest.fixture
def receiver() -> Iterator[StartReceiver]:
    """Starts receivers that behave in a given way."""
    started: list[CodeReceiver] = []

    def start(behaviour: Behaviour = "accepts") -> CodeReceiver:
        started.append(CodeReceiver(behaviour))
        return started[-1]

    yield start
    for one in started:
        one.stop()


async def send(receiver: CodeReceiver, code: OutgoingCode = CODE) -> None:
    client = WebhookClient(timeout_s=0.5, attempt_s=1.0, now=lambda: 1_796_000_000)
    try:
        await client.send(receiver.url, SECRET, code)
    finally:
        await client.close()


async def test_a_code_arrives_as_a_small_signed_document(receiver: StartReceiver) -> None:
    accepting = receiver()
    await send(accepting)
    (request,) = accepting.received
    assert request.document == {
        "delivery_id": "a1b2",
        "organisation": "acme",
        "organisation_name": "Acme, Inc.",
        "purpose": "verify_mobile",
        "mobile": "+447700900123",
        "code": "012345",
        "expires_at": "2026-11-30T01:03:20Z",
        "locale": "en-GB",
    }
    assert request.headers["webhook-id"] == "a1b2"
    assert request.headers["webhook-timestamp"] == "1796000000"
    assert request.headers["content-type"] == "application/json"
    signed = b"a1b2.1796000000." + request.body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert SECRET not in str(request)


async def test_a_language_that_nobody_knows_is_left_out(receiver: StartReceiver) -> None:
    accepting = receiver()
    await send(accepting, msgspec.structs.replace(CODE, locale=""))
    assert "locale" not in accepting.received[0].document


async def test_a_body_of_any_size_is_not_read(receiver: StartReceiver) -> None:
    await send(receiver("floods"))


async def test_a_refusal_is_final(receiver: StartReceiver) -> None:
    with pytest.raises(DeliveryRejected, match="401"):
        await send(receiver("refuses"))


@pytest.mark.parametrize("behaviour", ["fails", "is_busy", "redirects", "hangs", "drips", "drops"])
async def test_what_is_not_final_is_tried_again(receiver: StartReceiver, behaviour: Behaviour) -> None:
    broken = receiver(behaviour)
    with pytest.raises(DeliveryDeferred) as failure:
        await send(broken)
    assert [request.path for request in broken.received] == ["/codes"], "a redirect is not followed"
    assert "127.0.0.1" not in failure.value.message


async def test_a_receiver_that_is_away_is_tried_again(receiver: StartReceiver) -> None:
    away = receiver()
    away.stop()
    with pytest.raises(DeliveryDeferred):
        await send(away)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_is_that_of_standard_webhooks(length: int) -> None:
    assert key_of(secret_of(bytes(length))) == bytes(length)
    # The example of the specification.
    assert len(key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")) == 24


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "a secret of my own, long enough", base64.b64encode(KEY).decode(), secret_of(bytes(23)),
     secret_of(bytes(65)), SECRET + "!", "whsec_ünï" + SECRET[6:]],
)  # fmt: skip
def test_an_invalid_secret_is_explained(secret: str) -> None:
    with pytest.raises(InvalidInput, match="24 to 64 bytes in base64 after whsec_"):
        key_of(secret)
