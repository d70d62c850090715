"""Does it take longer to read a profile as it was in a longer log, and what does a long history cost?

Method: one log with 10 000, then 100 000 and 1 000 000 entries of other profiles, ten per profile (quick:
10 000 and 100 000), filled by one INSERT. Two people are in it: an ordinary one with a browser, a sign-in and
thirty entries, and one with 2 000 entries. Each is read as of the middle of the history, in the views proven
and all. There is no other load; the median of 9 reads (of the long history 3).
Units: ms from the call to the profile; the ratio of the longest log to the shortest.
"""

import random
import time

from bench.population import observe, page_view
from bench.questions.late_event import ADD_PROFILES, HOUR_US
from bench.results import Figure, figures_by_size, median
from bench.stage import Bench, Stage
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.resolution.observation import SignIn
from oneself.service.context import DatasetRef
from oneself.service.ingest.submission import Submission

SIZES_QUICK = (10_000, 100_000)
SIZES_FULL = (10_000, 100_000, 1_000_000)
HISTORIES = {"ordinary person": (30, 9), "2 000 entries": (2_000, 3)}
VIEWS: tuple[View, ...] = ("proven", "all")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    found: dict[int, list[float]] = {}
    filled = 0
    acts = tuple(f"{name}, {view}" for name in HISTORIES for view in VIEWS)
    async with stage.bench() as bench:
        people = {name: await _person(bench, name, entries) for name, (entries, _) in HISTORIES.items()}
        for number, entries in enumerate(sizes, 1):
            await _add(bench, (entries - filled) // 10)
            filled = entries
            found[entries] = [
                await _cost(bench, *people[name], view, repeats)
                for name, (_, repeats) in HISTORIES.items()
                for view in VIEWS
            ]
            stage.progress(number, len(sizes))
    return figures_by_size(acts, found, what="entries")


async def _add(bench: Bench, profiles: int) -> None:
    """Add other people's entries, which are older."""
    earlier = time.time_ns() // 1000 - HOUR_US
    async with bench.services.database.connection() as connection:
        await connection.execute(ADD_PROFILES, bench.dataset_id, None, profiles, earlier, timeout=3600)
        await connection.execute("VACUUM ANALYZE", timeout=3600)


async def _person(bench: Bench, name: str, entries: int) -> tuple[str, int]:
    """A person's browser, and an instant in the middle of the history."""
    browser = Identifier(ANONYMOUS_ID, f"browser of {name}")
    at, rng = 0, random.Random(name)
    for number in range(entries):
        if number == entries // 3:
            user = Identifier(USER_ID, f"user of {name}")
            observation = observe(SignIn, identifiers=(user, browser))
        else:
            observation = page_view(rng, (browser,))
        await bench.services.ingest.submit(bench.dataset_id, Submission(observation))
        if number == entries // 2:
            at = time.time_ns() // 1000
    return browser.value, at


async def _cost(bench: Bench, browser: str, at: int, view: View, repeats: int) -> float:
    ref = DatasetRef(bench.dataset_id, "bench", bench.dataset_id)
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        async with bench.services.as_of.read(ref, [browser], view, at) as earlier:
            assert earlier.profiles[0].view.survivor.created_at <= at
        spent.append((time.perf_counter() - started) * 1000)
    return median(spent)
