"""How long does it take to split a person of many fragments, and whoever writes to them meanwhile waits?

Method: a person of 10, 1 000 and 100 000 fragments (quick: 10 and 300): browsers that had each sent an event,
of which servers then said one address. Then three times each, of 100 000 once: the dry run of taking one
browser out, the split itself, the merge by hand that takes it back, and the dry run of taking everything
apart. In the view `proven`; the view `all` follows in the same transaction. Meanwhile new visitors send
events to the same process, one at a time, 50 ms after the one before.
Units: ms, the median; of the events of others, the 99th percentile while the four are done; the ratio of the
most fragments to the fewest.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Iterator

from bench import population
from bench.population import page_view
from bench.results import Figure, figures_by_size, median, percentile
from bench.stage import Bench, Stage
from oneself.core.config.changes import PutIdentityAttributes
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.identity_type import IdentityBinding
from oneself.core.resolution.observation import Observation
from oneself.service.by_hand.asked import Decided, SplitAsked, SplitBrowser, SplitSources, Why
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.submission import Submission

SIZES_QUICK = (10, 300)
SIZES_FULL = (10, 1_000, 100_000)
REPEATS = 3
#: A person of more fragments is decided about once: it takes minutes.
REPEATED_MAX = 1_000
#: Between two events of others.
PAUSE_S = 0.05
ACTS = ("dry run of a browser", "split of a browser", "merge by hand", "dry run of everything",
        "events of others, p99")  # fmt: skip
ACTOR = Actor("cli")
_BINDINGS = (IdentityBinding("emailAddress", "emailAddress", "identity_attributes.emailaddress"),)


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    found: dict[int, list[float]] = {}
    async with stage.bench() as bench:
        await bench.services.configurations.change(
            bench.dataset_id, lambda _: PutIdentityAttributes(_BINDINGS)
        )
        for number, fragments in enumerate(sizes):
            await _fill(bench, number, fragments, stage)
            repeats = REPEATS if fragments <= REPEATED_MAX else 1
            found[fragments] = await _measured(bench, number, repeats)
            stage.progress(number + 1, len(sizes))
    return figures_by_size(ACTS, found, what="fragments")


def _address(person: int) -> str:
    return f"shared-{person}@shop.example"


def _browser(person: int, number: int) -> str:
    return f"{person:08x}-0000-4000-8000-{number:012x}"


async def _fill(bench: Bench, person: int, fragments: int, stage: Stage) -> None:
    def history(person: int) -> Iterator[Observation]:
        rng = random.Random(person)
        address = Identifier("emailAddress", _address(person))
        # What servers said is one fragment more.
        for number in range(fragments - 1):
            tracker = _browser(person, number)
            yield page_view(rng, (), new_tracker=tracker)
            yield page_view(rng, (address, Identifier(TRACKER, tracker)), trust="server")

    config = await bench.services.configurations.current(bench.dataset_id)
    persons = range(person, person + 1)
    await population.fill(bench.url, bench.dataset_id, config, persons, stage.progress, history)


async def _measured(bench: Bench, person: int, repeats: int) -> list[float]:
    """The medians of each act, and what others wait, in ms."""
    waited: list[float] = []
    others = asyncio.create_task(_send_others(bench, waited))
    taken: list[list[float]] = [[] for _ in ACTS[:-1]]
    for number in range(repeats):
        browser = SplitBrowser(_browser(person, number + 1))
        acts = (
            _split(bench, person, browser, dry_run=True),
            _split(bench, person, browser),
            _merge(bench, person, browser.name),
            _split(bench, person, SplitSources(), dry_run=True),
        )
        for times, act in zip(taken, acts, strict=True):
            times.append(await _timed(act))
    others.cancel()
    return [*map(median, taken), percentile(waited, 0.99)]


async def _send_others(bench: Bench, waited: list[float]) -> None:
    """Events of new visitors until cancelled. `waited`: gets how long each took, in ms."""
    rng = random.Random(len(waited))
    while True:
        started = time.perf_counter()
        visitor = Identifier(ANONYMOUS_ID, str(uuid.uuid4()))
        await bench.services.ingest.submit(bench.dataset_id, Submission(page_view(rng, (visitor,))))
        waited.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(PAUSE_S)


async def _split(bench: Bench, person: int, asked: SplitAsked, *, dry_run: bool = False) -> Decided | None:
    ref, text = DatasetRef(bench.dataset_id, "bench", bench.dataset_id), f"emailAddress:{_address(person)}"
    return await bench.services.decisions.split(ref, ACTOR, text, asked, Why("proven", dry_run=dry_run))


async def _merge(bench: Bench, person: int, browser: str) -> Decided | None:
    ref, text = DatasetRef(bench.dataset_id, "bench", bench.dataset_id), f"emailAddress:{_address(person)}"
    return await bench.services.decisions.merge(ref, ACTOR, text, f"tracker:{browser}", Why("proven"))


async def _timed(act: Awaitable[Decided | None]) -> float:
    started = time.perf_counter()
    decided = await act
    assert decided is not None
    return (time.perf_counter() - started) * 1000
