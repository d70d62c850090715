"""What a transaction does that lost a race for the same rows: it is repeated, a bounded number of times."""

import asyncio
import random

#: After this many lost races, a request gets 503; with the pauses below, that is about a second.
ATTEMPTS_MAX = 8
#: Background work and erasures that lost this many races let nobody else write to the dataset meanwhile.
ATTEMPTS_BESIDE_WRITERS = 4
RETRY_DELAY_MS = 4


async def pause(attempt: int) -> None:
    """Wait a random time, which grows with each attempt. `attempt`: 0 for the first one."""
    await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
