"""Does the cost of a sign-in, an event or a read depend on the number of fragments of the person?

Method: a user who signed in on 10, 1 000 and 10 000 browsers, each with an event before (quick: 10 and 300).
Then, without other load, 15 times each: an event and a sign-in on a new browser, an event with a value on a
known browser, and a read of the views `own` and `proven`.
Units: ms, the median; the ratio of the most fragments to the fewest.
"""

import random
import time
from collections.abc import Awaitable, Iterator
from uuid import UUID

from bench import population
from bench.population import observe, page_view
from bench.results import Figure, figures_by_size, median
from bench.stage import Bench, Stage
from oneself.core.identity.identifier import TRACKER, USER_ID, Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.resolution.observation import Observation, SignIn
from oneself.service.ingest.submission import Submission
from oneself.store.transaction import Tables
from oneself.store.view_reader import read_view

SIZES_QUICK = (10, 300)
SIZES_FULL = (10, 1_000, 10_000)
REPEATS = 15
ACTS = ("sign-in on a new browser", "event with a value", "read of own and proven")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    found: dict[int, list[float]] = {}
    async with stage.bench() as bench:
        for number, browsers in enumerate(sizes):
            await _fill(bench, number, browsers, stage)
            await _measured(bench, number, 3)
            found[browsers] = await _measured(bench, number, REPEATS)
            stage.progress(number + 1, len(sizes))
    return figures_by_size(ACTS, found, what="fragments")


def _browser(person: int, number: object) -> Identifier:
    return Identifier(TRACKER, f"browser-{person}-{number}")


def _user(person: int) -> Identifier:
    return Identifier(USER_ID, f"many-{person}")


async def _fill(bench: Bench, person: int, browsers: int, stage: Stage) -> None:
    def history(person: int) -> Iterator[Observation]:
        rng = random.Random(person)
        for number in range(browsers):
            yield page_view(rng, (), new_tracker=_browser(person, number).value)
            yield observe(SignIn, identifiers=(_user(person), _browser(person, number)))

    persons = range(person, person + 1)
    await population.fill(bench.url, bench.dataset_id, bench.config, persons, stage.progress, history)


async def _measured(bench: Bench, person: int, repeats: int) -> list[float]:
    """The medians of each act, in ms."""
    rng = random.Random(repeats)
    signs, events, reads = [], [], []
    for number in range(repeats):
        browser = _browser(person, f"{repeats}-{number}")
        began = await _submit(bench, page_view(rng, (), new_tracker=browser.value))
        sign_in = observe(SignIn, identifiers=(_user(person), browser))
        value = {"traits": {"plan": f"plan-{repeats}-{number}"}}
        event = page_view(rng, (_browser(person, 0),), values=value)
        signs.append(await _timed(_submit(bench, sign_in)))
        events.append(await _timed(_submit(bench, event)))
        reads.append(await _timed(_read(bench, began)))
    return [median(signs), median(events), median(reads)]


async def _submit(bench: Bench, observation: Observation) -> UUID:
    """Submit an observation; returns the id of its profile."""
    resolution = await bench.services.ingest.submit(bench.dataset_id, Submission(observation))
    return resolution.profile.profile_id


async def _read(bench: Bench, profile_id: UUID) -> None:
    tables = Tables(bench.services.database, bench.dataset_id)
    views: tuple[View, ...] = ("own", "proven")
    for view in views:
        await read_view(tables, view, profile_id, bench.config)


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000
