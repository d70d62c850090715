"""A value is read again before it is too old, and nobody is given one that is."""

from __future__ import annotations

import asyncio

import pytest

from oneself.service.refreshed import Refreshed

LIFE_S = 30.0


class Source:
    """A clock, and a source whose reads end when they are allowed to."""

    def __init__(self) -> None:
        self.now, self.reads = 0.0, 0
        self.failure: Exception | None = None
        self.begun, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.value = Refreshed(self.read, LIFE_S, clock=lambda: self.now)

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        self.begun.set()
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return number

    def hold(self) -> None:
        """Let the next read begin and not end."""
        self.begun.clear()
        self.go.clear()

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_callers_of_one_instant_and_late_ones_share_one_read(source: Source) -> None:
    source.hold()
    early = [asyncio.create_task(source.value()) for _ in range(100)]
    await source.begun.wait()
    late = [asyncio.create_task(source.value()) for _ in range(100)]
    await source.settle()
    source.go.set()
    assert await asyncio.gather(*early, *late) == [1] * 200
    assert source.reads == 1


async def test_a_young_value_is_not_read_again(source: Source) -> None:
    assert await source.value() == 1
    source.now = 19.9
    assert await source.value() == 1
    await source.settle()
    assert source.reads == 1


async def test_an_old_value_is_replaced_in_the_background(source: Source) -> None:
    await source.value()
    source.now = 20.0
    source.hold()
    assert await asyncio.gather(*(source.value() for _ in range(100))) == [1] * 100
    await source.begun.wait()
    assert await source.value() == 1, "nobody waits for it"
    source.go.set()
    await source.settle()
    assert await source.value() == 2
    assert source.reads == 2


async def test_a_value_that_is_too_old_is_never_returned(source: Source) -> None:
    await source.value()
    source.now = 20.0
    source.hold()
    await source.value()
    await source.begun.wait()
    source.now = LIFE_S
    waiting = asyncio.create_task(source.value())
    await source.settle()
    assert not waiting.done()
    source.go.set()
    assert await waiting == 2
    source.now = 2 * LIFE_S + 20
    assert await source.value() == 3
    assert source.reads == 3


async def test_the_age_counts_from_when_the_read_began(source: Source) -> None:
    source.hold()
    slow = asyncio.create_task(source.value())
    await source.begun.wait()
    source.now = LIFE_S
    source.go.set()
    assert await slow == 1
    assert await source.value() == 2


async def test_a_failed_read_is_tried_again_while_the_value_is_good(source: Source) -> None:
    await source.value()
    source.now, source.failure = 20.0, ConnectionError("away")
    for _ in range(5):
        assert await source.value() == 1
        await source.settle()
    assert source.reads == 2, "not with every request"
    source.now = LIFE_S
    with pytest.raises(ConnectionError):
        await source.value()
    source.failure = None
    assert await source.value() == 4


async def test_the_newest_value_is_of_a_read_that_begins_now(source: Source) -> None:
    await source.value()
    assert await source.value.newest() == 2
    assert await source.value() == 2
