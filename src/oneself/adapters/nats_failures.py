"""What the client library of NATS raises, and what a server answers, as `BrokerFailed` without addresses.

The library is imported when something failed, because it is loaded then.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from oneself.errors import BrokerFailed

NO_TLS = "nats: the server does not offer TLS"
#: The codes of a message that another one has to come before or has come before.
_OVERTAKEN = (10070, 10071)


@asynccontextmanager
async def broker_failures() -> AsyncIterator[None]:
    """Turns whatever the library raises into BrokerFailed."""
    try:
        yield
    except BrokerFailed:
        raise
    except Exception as error:
        raise broker_failure(error) from error


def broker_failure(error: BaseException) -> BrokerFailed:
    """What went wrong."""
    from nats.errors import MaxPayloadError, NoRespondersError
    from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

    match error:
        case BrokerFailed():
            return error
        case ServiceUnavailableError() | NoStreamResponseError() | NoRespondersError():
            return no_stream()
        case APIError():
            return answered(error.err_code or 0, error.description or "")
        case MaxPayloadError():
            sentence = "A change is larger than the NATS server accepts. Raise max_payload."
            return BrokerFailed(sentence, "max_payload")
        case TimeoutError():
            return BrokerFailed("The NATS server did not answer in time.", "timeout")
        case ssl.SSLError():
            return BrokerFailed(f"TLS with the NATS server failed: {error.reason}.", "tls")
    text = str(error)
    if "Authorization" in text or "Authentication" in text:
        return BrokerFailed("The NATS server rejects the credentials.", "authorization")
    if text == NO_TLS:
        return BrokerFailed("The NATS server does not offer TLS, which tls:// requires.", "tls")
    return BrokerFailed(f"The NATS server cannot be reached: {type(error).__name__}.", "unreachable")


def answered(code: int, description: str) -> BrokerFailed:
    """An error that JetStream answered."""
    if code in _OVERTAKEN:
        return BrokerFailed("Another publisher has written to the stream.", "overtaken")
    return BrokerFailed(f"JetStream answered: {description}.", f"code_{code}")


def no_stream() -> BrokerFailed:
    """Nothing takes a message."""
    sentence = "The NATS server has no JetStream, or no stream that takes the subjects."
    return BrokerFailed(sentence, "no_stream")


def disconnected() -> BrokerFailed:
    """The connection cannot be used any more."""
    return BrokerFailed("The connection to the NATS server broke.", "disconnected")
