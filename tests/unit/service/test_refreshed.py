"""A cached value is refreshed before it expires; an expired value is never returned."""

from __future__ import annotations

import asyncio

import pytest

from oneself.service.refreshed import Refreshed

LIFETIME_S = 30.0


class Source:
    """A clock, and a source whose reads end as soon as `go` is set."""

    def __init__(self) -> None:
        self.now, self.reads = 0.0, 0
        self.failure: Exception | None = None
        self.started, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.value = Refreshed(self.read, LIFETIME_S, clock=lambda: self.now)

    async def read(self) -> int:
        self.reads += 1
        number = self.reads
        self.started.set()
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return number

    def hold(self) -> None:
        """Make the next read start and not end."""
        self.started.clear()
        self.go.clear()

    async def settle(self) -> None:
        """Let background tasks run."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_callers_before_and_during_a_read_share_it(source: Source) -> None:
    source.hold()
    early = [asyncio.create_task(source.value()) for _ in range(100)]
    await source.started.wait()
    late = [asyncio.create_task(source.value()) for _ in range(100)]
    await source.settle()
    source.go.set()
    assert await asyncio.gather(*early, *late) == [1] * 200
    assert source.reads == 1


async def test_a_fresh_value_is_not_read_again(source: Source) -> None:
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
    await source.started.wait()
    assert await source.value() == 1, "a caller waited for the refresh"
    source.go.set()
    await source.settle()
    assert await source.value() == 2
    assert source.reads == 2


async def test_a_value_that_is_too_old_is_never_returned(source: Source) -> None:
    await source.value()
    source.now = 20.0
    source.hold()
    await source.value()
    await source.started.wait()
    source.now = LIFETIME_S
    waiting = asyncio.create_task(source.value())
    await source.settle()
    assert not waiting.done()
    source.go.set()
    assert await waiting == 2
    source.now = 2 * LIFETIME_S + 20
    assert await source.value() == 3
    assert source.reads == 3


async def test_the_age_of_a_value_counts_from_the_start_of_its_read(source: Source) -> None:
    source.hold()
    slow = asyncio.create_task(source.value())
    await source.started.wait()
    source.now = LIFETIME_S
    source.go.set()
    assert await slow == 1
    assert await source.value() == 2


async def test_a_failed_refresh_is_retried_and_raises_only_after_expiry(source: Source) -> None:
    await source.value()
    source.now, source.failure = 20.0, ConnectionError("failed")
    for _ in range(5):
        assert await source.value() == 1
        await source.settle()
    assert source.reads == 2, "every caller retried the read"
    source.now = LIFETIME_S
    with pytest.raises(ConnectionError):
        await source.value()
    source.failure = None
    assert await source.value() == 4


async def test_newest_always_reads_again(source: Source) -> None:
    await source.value()
    assert await source.value.newest() == 2
    assert await source.value() == 2
