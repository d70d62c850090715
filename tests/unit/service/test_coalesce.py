"""Concurrent callers share a call, and never get an answer that is older than their own request."""

from __future__ import annotations

import asyncio

import pytest

from oneself.service.coalesce import Coalesced


class Oracle:
    """Answers with the number of the question, when it is allowed to."""

    def __init__(self) -> None:
        self.asked = 0
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def __call__(self) -> int:
        self.asked += 1
        number = self.asked
        self.begun.set()
        await self.go.wait()
        return number


async def test_concurrent_callers_share_one_call() -> None:
    oracle = Oracle()
    oracle.go.set()
    shared = Coalesced(oracle)
    assert await asyncio.gather(*(shared() for _ in range(100))) == [1] * 100
    assert await shared() == 2


async def test_a_question_on_its_way_is_not_joined() -> None:
    oracle = Oracle()
    shared = Coalesced(oracle)
    early = asyncio.create_task(shared())
    await oracle.begun.wait()
    late = [asyncio.create_task(shared()) for _ in range(3)]
    await asyncio.sleep(0)
    oracle.go.set()
    assert await early == 1
    assert await asyncio.gather(*late) == [2] * 3


async def test_join_shares_the_call_that_is_running() -> None:
    oracle = Oracle()
    shared = Coalesced(oracle)
    early = asyncio.create_task(shared())
    await oracle.begun.wait()
    late = [asyncio.create_task(shared.join()) for _ in range(3)]
    await asyncio.sleep(0)
    oracle.go.set()
    assert await asyncio.gather(early, *late) == [1] * 4
    assert await shared.join() == 2


async def test_a_failure_reaches_only_the_callers_that_share_it() -> None:
    failures = [RuntimeError("away")]

    async def ask() -> str:
        if failures:
            raise failures.pop()
        return "here"

    shared = Coalesced(ask)
    outcomes = await asyncio.gather(shared(), shared(), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["away", "away"]
    assert await shared() == "here"


async def test_a_cancelled_caller_does_not_cancel_the_others() -> None:
    oracle = Oracle()
    shared = Coalesced(oracle)
    impatient, patient = asyncio.create_task(shared()), asyncio.create_task(shared())
    await oracle.begun.wait()
    impatient.cancel()
    oracle.go.set()
    assert await patient == 1
    with pytest.raises(asyncio.CancelledError):
        await impatient
