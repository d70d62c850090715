"""Background work that goes step by step, beside the requests of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from oneself.errors import OneselfError


async def run_steps(
    step: Callable[[], Awaitable[bool]], poll_s: float, interrupted: Callable[[OneselfError], None]
) -> None:
    """Take steps until cancelled; after one that found nothing to do, or was `interrupted`, wait `poll_s`."""
    while True:
        try:
            busy = await step()
        except OneselfError as error:
            interrupted(error)
            busy = False
        if not busy:
            await asyncio.sleep(poll_s)
