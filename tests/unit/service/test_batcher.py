"""Batches form while others commit, never share a name, and return a result to every caller."""

from __future__ import annotations

import asyncio
import random

import pytest

from oneself.errors import Contended
from oneself.service.ingest.batcher import Batcher, BatchLimits

LIMITS = BatchLimits(
    items_per_batch_max=200, keys_per_batch_max=400, items_per_second_batch_min=10, items_waiting_max=3_000
)


class Log:
    """Records committed batches. Commits finish while `go` is set. An item is a name and a number."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[str, int]]] = []
        self.in_flight: list[set[str]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.batcher = Batcher(self._commit, lambda item: frozenset([item[0]]), LIMITS)

    async def _commit(self, batch: list[tuple[str, int]]) -> list[int]:
        names = {name for name, _ in batch}
        assert not any(names & batch_names for batch_names in self.in_flight)
        self.in_flight.append(names)
        self.batches.append(batch)
        await self.go.wait()
        await asyncio.sleep(random.random() / 1000)
        self.in_flight.remove(names)
        return [number for _, number in batch]


async def _begin(log: Log, items: list[tuple[str, int]]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(log.batcher.submit(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_single_item_is_committed_immediately() -> None:
    log = Log()
    assert await log.batcher.submit(("a", 7)) == 7
    assert log.batches == [[("a", 7)]]


async def test_items_that_arrive_during_a_commit_form_the_next_batch() -> None:
    log = Log()
    log.go.clear()
    first = await _begin(log, [("a", 1)])
    rest = await _begin(log, [("b", 2), ("c", 3)])
    log.go.set()
    assert await asyncio.gather(*first, *rest) == [1, 2, 3]
    assert log.batches == [[("a", 1)], [("b", 2), ("c", 3)]]


async def test_many_items_form_two_concurrent_batches() -> None:
    log = Log()
    log.go.clear()
    count = 2 * LIMITS.items_per_second_batch_min
    tasks = await _begin(log, [(f"name {number}", number) for number in range(count)])
    assert [len(batch) for batch in log.batches] == [count // 2, count // 2]
    log.go.set()
    assert await asyncio.gather(*tasks) == list(range(count))


async def test_items_that_all_share_a_name_form_one_batch() -> None:
    log = Log()
    log.go.clear()
    count = 2 * LIMITS.items_per_second_batch_min
    tasks = await _begin(log, [("one name", number) for number in range(count)])
    assert [len(batch) for batch in log.batches] == [count]
    log.go.set()
    assert await asyncio.gather(*tasks) == list(range(count))


@pytest.mark.parametrize("names", [1, 3, 40, 5_000])
async def test_the_same_name_is_never_in_two_batches_and_keeps_its_order(names: int) -> None:
    log = Log()
    chance = random.Random(names)
    items = [(f"name {chance.randrange(names)}", number) for number in range(3_000)]
    tasks = []
    for start in range(0, len(items), 300):
        tasks += await _begin(log, items[start : start + 300])
    assert await asyncio.gather(*tasks) == list(range(len(items)))
    assert all(len(batch) <= LIMITS.items_per_batch_max for batch in log.batches)
    for name in {name for name, _ in items}:
        numbers = [number for batch in log.batches for item_name, number in batch if item_name == name]
        assert numbers == sorted(numbers)


async def test_an_item_above_the_limit_is_contended() -> None:
    log = Log()
    log.go.clear()
    first = await _begin(log, [("a", 0)])
    waiting = await _begin(log, [("a", number) for number in range(1, LIMITS.items_waiting_max + 1)])
    with pytest.raises(Contended):
        await log.batcher.submit(("b", 0))
    log.go.set()
    assert await asyncio.gather(*first, *waiting) == list(range(LIMITS.items_waiting_max + 1))


async def test_a_failed_outcome_is_raised_only_to_its_caller() -> None:
    async def commit(batch: list[int]) -> list[int | Exception]:
        return [Contended("odd") if number % 2 else number for number in batch]

    batcher: Batcher[int, int] = Batcher(commit, lambda number: frozenset([number]))
    outcomes = await asyncio.gather(*(batcher.submit(n) for n in range(4)), return_exceptions=True)
    assert [getattr(outcome, "message", outcome) for outcome in outcomes] == [0, "odd", 2, "odd"]


async def test_an_exception_for_one_item_does_not_fail_the_others() -> None:
    async def commit(batch: list[int]) -> list[int]:
        return [10 // number for number in batch]

    batcher: Batcher[int, int] = Batcher(commit, lambda number: frozenset([number]))
    outcomes = await asyncio.gather(*(batcher.submit(n) for n in (5, 0, 2)), return_exceptions=True)
    assert outcomes[0] == 2
    assert isinstance(outcomes[1], ZeroDivisionError)
    assert outcomes[2] == 5


@pytest.mark.parametrize("shared", [frozenset[str](), frozenset({"a job"})])
async def test_a_batch_has_a_limited_number_of_keys(shared: frozenset[str]) -> None:
    batches: list[list[range]] = []

    async def commit(batch: list[range]) -> list[range]:
        batches.append(batch)
        return batch

    def keys(item: range) -> frozenset[int | str]:
        return frozenset(item) | shared

    batcher: Batcher[range, range] = Batcher(commit, keys, LIMITS)
    third, large = LIMITS.keys_per_batch_max // 3, LIMITS.keys_per_batch_max + 1
    sizes = [third] * 7 + [large] + [third] * 2
    items = [range(number * large, number * large + size) for number, size in enumerate(sizes)]
    assert await asyncio.gather(*(batcher.submit(item) for item in items)) == items
    for batch in batches:
        count = len(frozenset().union(*map(keys, batch)))
        assert count <= LIMITS.keys_per_batch_max or len(batch) == 1
    assert len(batches) < len(items)
    if shared:
        assert [item for batch in batches for item in batch] == items, "a job keeps its order"
