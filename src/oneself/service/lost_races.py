"""What a transaction does that lost a race for the same rows: it is repeated, a bounded number of times."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from oneself.errors import Contended, Occupied
from oneself.store.database import Database
from oneself.store.transaction import Transaction, begin
from oneself.store.wide_lock import wait_until_released

Outcome = TypeVar("Outcome")

#: After this many lost races, a request gets 503; with the pauses below, that is about a second.
ATTEMPTS_MAX = 8
#: Background work and erasures that lost this many races let nobody else write to the dataset meanwhile.
ATTEMPTS_BESIDE_WRITERS = 4
RETRY_DELAY_MS = 4


async def pause(attempt: int) -> None:
    """Wait a random time, which grows with each attempt. `attempt`: 0 for the first one."""
    await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)


async def repeat(
    database: Database,
    dataset_id: int,
    act: Callable[[Transaction], Awaitable[Outcome]],
    *,
    beside_writers: bool = True,
) -> Outcome:
    """What a transaction comes to that is repeated while it loses races. Raises Contended.

    It waits, without a connection, while a decision about very many profiles has locked what it names.

    `beside_writers`: False if nobody else may write to the dataset meanwhile.
    """
    attempt = 0
    while attempt < ATTEMPTS_MAX:
        try:
            async with begin(database, dataset_id) as transaction:
                if attempt >= ATTEMPTS_BESIDE_WRITERS or not beside_writers:
                    await transaction.lock_config()
                return await act(transaction)
        except Occupied:
            await wait_until_released(database, dataset_id)
        except Contended:
            await pause(attempt)
            attempt += 1
    raise Contended("Too many other requests write to the same person.")
