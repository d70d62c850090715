"""A system that keeps a table of ids from the changes in a stream of NATS alone."""

from __future__ import annotations

import msgspec
import nats
from nats.errors import TimeoutError as NothingToFetch
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from oneself.adapters.change_event import ChangeDocument
from support.feed_consumer import FeedConsumer

_decode = msgspec.json.Decoder(ChangeDocument).decode
BATCH = 200


class StreamMessage(msgspec.Struct, frozen=True):
    """A message of the stream."""

    subject: str
    message_id: str
    document: ChangeDocument


async def read_stream(url: str, subject: str = "oneself.>", stream: str = "oneself") -> list[StreamMessage]:
    """Everything in the stream whose subject matches, in order."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, deliver_policy=DeliverPolicy.ALL)
    found: list[StreamMessage] = []
    async with await nats.connect(url) as client:
        jetstream = client.jetstream()
        if not await _length(jetstream, stream):
            return found
        following = await jetstream.pull_subscribe(subject, stream=stream, config=config)
        info = await following.consumer_info()
        missing = info.num_pending
        while missing > 0:
            try:
                fetched = await following.fetch(min(BATCH, missing), timeout=10)
            except NothingToFetch:
                raise AssertionError(f"{missing} messages are missing") from None
            missing -= len(fetched)
            for message in fetched:
                message_id = (message.headers or {})["Nats-Msg-Id"]
                found.append(StreamMessage(message.subject, message_id, _decode(message.data)))
    return found


async def table_of(url: str, subject: str = "oneself.>") -> FeedConsumer:
    """The table of whoever applies everything in the stream in order."""
    consumer = FeedConsumer()
    for message in await read_stream(url, subject):
        consumer.apply(message.document)
    return consumer


async def _length(jetstream: nats.js.JetStreamContext, stream: str) -> int:
    try:
        return (await jetstream.stream_info(stream)).state.messages
    except nats.js.errors.NotFoundError:
        return 0
