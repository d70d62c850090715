"""The answers of JetStream to messages that are published without waiting for each.

`publish_async` of the library leaves a message unanswered that the server rejects.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from oneself.adapters.nats_failures import answered, disconnected, no_stream
from oneself.errors import BrokerFailed

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

#: The position in the stream at which a message is stored, or why it is not.
PublishOutcome = int | BrokerFailed


class _Error(msgspec.Struct, frozen=True):
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct, frozen=True):
    seq: int = 0
    error: _Error | None = None


class PublishAnswers:
    """Collects the answers of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._number = 0
        self._expected: dict[str, asyncio.Future[PublishOutcome]] = {}

    async def begin(self) -> None:
        """Receive answers from now on."""
        await self._client.subscribe(f"{self._inbox}.*", cb=self._receive)

    def expect(self) -> tuple[str, asyncio.Future[PublishOutcome]]:
        """The subject of an answer, and the answer when it arrives."""
        self._number += 1
        subject = f"{self._inbox}.{self._number}"
        future = self._expected[subject] = asyncio.get_running_loop().create_future()
        return subject, future

    def abandon(self) -> None:
        """Expect no further answer."""
        expected, self._expected = self._expected, {}
        for future in expected.values():
            if not future.done():
                future.set_result(disconnected())

    async def _receive(self, message: Msg) -> None:
        future = self._expected.pop(message.subject, None)
        if future is not None and not future.done():
            future.set_result(_outcome(message))


def _outcome(message: Msg) -> PublishOutcome:
    if not message.data:
        return no_stream()
    try:
        answer = msgspec.json.decode(message.data, type=_Answer)
    except msgspec.DecodeError:
        return BrokerFailed("The answer of the NATS server is not valid JSON.", "answer")
    if answer.error is not None:
        return answered(answer.error.err_code, answer.error.description)
    return answer.seq
