"""What `oneself doctor` says about NATS: whether the servers answer, and whether changes are published."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from oneself.cli.finding import Finding
from oneself.cli.output import timestamp
from oneself.errors import BrokerFailed
from oneself.settings import Settings

if TYPE_CHECKING:
    from oneself.adapters.nats import NatsBroker
    from oneself.store.directory import Directory

SUBJECT = "nats"
#: A service publishes a change within seconds.
BEHIND_MAX_S = 60.0
LISTED_MAX = 5


def check_nats(settings: Settings) -> list[Finding]:
    """Check that the servers answer, if there are any."""
    from oneself.adapters.nats import broker_of

    broker = broker_of(settings)
    return [] if broker is None else [asyncio.run(_connected(broker))]


async def _connected(broker: NatsBroker) -> Finding:
    try:
        await broker.connect(makes_stream=False)
    except BrokerFailed as error:
        advice = (
            "Changes wait until it answers. Check ONESELF_NATS_URL, its user, and that JetStream is enabled."
        )
        return Finding(SUBJECT, "bad", error.message, advice)
    finally:
        await broker.close()
    name = f"the stream {broker.stream}" if broker.stream else "the service will make the stream"
    return Finding(SUBJECT, "good", f"answers; {name}")


async def check_published(settings: Settings, directory: Directory) -> AsyncIterator[Finding]:
    """Check whether changes wait or were lost."""
    if not settings.nats_urls:
        return
    state = await directory.broker.find()
    if state.failing_since is not None:
        sentence = (
            f"The service has failed to publish since {timestamp(state.failing_since)}: {state.failure}"
        )
        yield Finding(SUBJECT, "warning", sentence, "It tries again at least once a minute.")
    behind = await directory.broker.list_behind(settings.published_views, 1)
    if behind and time.time() - behind[0].next_at / 1_000_000 > BEHIND_MAX_S:
        at = f"{behind[0].handle}/{behind[0].dataset}, view {behind[0].view}"
        sentence = f"Changes have not been published since {timestamp(behind[0].next_at)}: {at}."
        yield Finding(SUBJECT, "warning", sentence, "Check that the service runs, and read its log.")
    for lost in await directory.broker.list_lost(LISTED_MAX):
        at = f"{lost.handle}/{lost.dataset}, view {lost.view}"
        sentence = f"{at}: changes were deleted unpublished at {timestamp(lost.lost_at)}."
        yield Finding(SUBJECT, "warning", sentence, "Who follows this stream must read the profiles again.")
