"""Sends codes and changes to the webhooks of organisations, signed as Standard Webhooks (https://www.standardwebhooks.com).

    POST {url}
    webhook-id: {delivery id, the same at each attempt}
    webhook-timestamp: {seconds since 1970, of this attempt}
    webhook-signature: v1,{base64 of HMAC-SHA256 over "{id}.{timestamp}.{body}"}, one for each secret

    2xx                               accepted; the body of the answer is not read
    4xx but 408, 409, 425, 429        rejected for good
    anything else, and no answer      tried again; redirects are not followed

Invariants: a secret signs and is never sent. An error names the status alone, because a URL may be secret.
Source: docs/guides/mobile-numbers.md, docs/guides/change-feed.md.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import httpx
import msgspec

from oneself.adapters.http import LimitedHttpClient
from oneself.adapters.outgoing import OutgoingPolicy
from oneself.errors import DeliveryDeferred, DeliveryRejected, IdentityServerFailed, InvalidInput

#: For each network operation, and for an attempt.
TIMEOUT_S = 10.0
ATTEMPT_S = 10.0
SECRET_PREFIX = "whsec_"  # noqa: S105
#: What Standard Webhooks recommends.
SECRET_BYTES_MIN, SECRET_BYTES_MAX = 24, 64
#: Answers of 400 and more that say "not now": timeout, conflict, too early, too many requests.
_LATER = (408, 409, 425, 429)


class OutgoingCode(msgspec.Struct, frozen=True):
    """A code as it is sent."""

    #: Unique, the same at each attempt.
    delivery_id: str
    #: The handle and the name of the organisation.
    organisation: str
    organisation_name: str
    #: What the code is for.
    purpose: str
    #: In E.164.
    mobile: str
    code: str
    #: In µs since 1970.
    expires_at: int
    #: The language that the browser asks for (BCP 47); empty: unknown.
    locale: str = ""


class WebhookClient:
    """Sends to webhooks. `policy`: where they may be. `now`: seconds since 1970."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        attempt_s: float = ATTEMPT_S,
        policy: OutgoingPolicy | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.policy = policy or OutgoingPolicy()
        self._http = LimitedHttpClient(
            "The webhook",
            timeout_s=timeout_s,
            response_bytes_max=0,
            policy=self.policy,
            transport=transport,
        )
        self._attempt_s = attempt_s
        self._now = now

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def send(self, url: str, secret: str, outgoing: OutgoingCode) -> None:
        """Send a code to a webhook. Raises DeliveryDeferred, DeliveryRejected."""
        await self.post(url, (secret,), outgoing.delivery_id, msgspec.json.encode(_document(outgoing)))

    async def post(self, url: str, secrets: Sequence[str], message_id: str, body: bytes) -> None:
        """Send JSON to a webhook, signed with each secret. Raises DeliveryDeferred, DeliveryRejected."""
        headers = signed_headers(secrets, message_id, int(self._now()), body)
        try:
            async with asyncio.timeout(self._attempt_s):
                status = await self._http.status_of("POST", url, content=body, headers=headers)
        except TimeoutError:
            raise DeliveryDeferred(
                f"The webhook did not answer within {self._attempt_s:g} seconds."
            ) from None
        except IdentityServerFailed as error:
            raise DeliveryDeferred(error.message) from error
        if not httpx.codes.is_success(status):
            sentence = f"The webhook answered {status}."
            is_final = httpx.codes.is_client_error(status) and status not in _LATER
            raise DeliveryRejected(sentence) if is_final else DeliveryDeferred(sentence)


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a request, with a signature for each secret."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key_of(secret), signed, hashlib.sha256) for secret in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": "Oneself",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(item).decode()}" for item in digests),
    }


def key_of(secret: str) -> bytes:
    """The key of a secret such as whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw. Raises InvalidInput."""
    text = secret.removeprefix(SECRET_PREFIX)
    try:
        key = base64.b64decode(text, validate=True) if text.isascii() else b""
    except binascii.Error:
        key = b""
    if text == secret or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        sentence = f"{SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes in base64 after {SECRET_PREFIX}"
        raise InvalidInput("secret", f"The secret must be {sentence}.")
    return key


def secret_of(key: bytes) -> str:
    """The secret with a key."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def _document(outgoing: OutgoingCode) -> dict[str, str]:
    expires = datetime.fromtimestamp(outgoing.expires_at // 1_000_000, UTC)
    document = {
        "delivery_id": outgoing.delivery_id,
        "organisation": outgoing.organisation,
        "organisation_name": outgoing.organisation_name,
        "purpose": outgoing.purpose,
        "mobile": outgoing.mobile,
        "code": outgoing.code,
        "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {**document, "locale": outgoing.locale} if outgoing.locale else document
