"""Concurrent callers share a call, and never get a result of a call that began before their own."""

from __future__ import annotations

import asyncio

import pytest

from oneself.service.coalesce import Coalesced


class NumberedCall:
    """A call that returns its number as soon as `go` is set."""

    def __init__(self) -> None:
        self.count = 0
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> int:
        self.count += 1
        number = self.count
        self.started.set()
        await self.go.wait()
        return number


async def test_concurrent_callers_share_one_call() -> None:
    call = NumberedCall()
    call.go.set()
    shared = Coalesced(call)
    assert await asyncio.gather(*(shared() for _ in range(100))) == [1] * 100
    assert await shared() == 2


async def test_a_running_call_is_not_shared_with_later_callers() -> None:
    call = NumberedCall()
    shared = Coalesced(call)
    early = asyncio.create_task(shared())
    await call.started.wait()
    late = [asyncio.create_task(shared()) for _ in range(3)]
    await asyncio.sleep(0)
    call.go.set()
    assert await early == 1
    assert await asyncio.gather(*late) == [2] * 3


async def test_join_shares_the_call_that_is_running() -> None:
    call = NumberedCall()
    shared = Coalesced(call)
    early = asyncio.create_task(shared())
    await call.started.wait()
    late = [asyncio.create_task(shared.join()) for _ in range(3)]
    await asyncio.sleep(0)
    call.go.set()
    assert await asyncio.gather(early, *late) == [1] * 4
    assert await shared.join() == 2


async def test_a_failure_reaches_only_the_callers_that_share_it() -> None:
    failures = [RuntimeError("failed")]

    async def fail_once() -> str:
        if failures:
            raise failures.pop()
        return "result"

    shared = Coalesced(fail_once)
    outcomes = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["failed", "failed"]
    assert await shared() == "result"


async def test_a_cancelled_caller_does_not_cancel_the_others() -> None:
    call = NumberedCall()
    shared = Coalesced(call)
    cancelled, waiting = asyncio.create_task(shared()), asyncio.create_task(shared())
    await call.started.wait()
    cancelled.cancel()
    call.go.set()
    assert await waiting == 1
    with pytest.raises(asyncio.CancelledError):
        await cancelled
