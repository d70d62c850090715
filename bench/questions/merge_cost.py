"""Does the cost of a merge depend on the length of the history of the merged profile?

Method: an identified user and an anonymous profile with 10, 1 000, 100 000 and 1 000 000 events (quick: up to
1 000). The user signs in on the browser of the anonymous profile, without other load; the sign-in is answered
when the merge is durable. The median of nine pairs (three at the largest size). Bare: an UPDATE of the
profile id in the same log rows, committed, as a merge that rewrites history would need.
Units: ms from submit to answer; the ratio of the largest history to the smallest.
"""

import random
import time

from bench.population import observe, page_view
from bench.results import Figure, median
from bench.stage import Bench, Stage
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.resolution.observation import SignIn
from oneself.service.ingest.submission import Submission

SIZES_QUICK = (10, 1_000)
SIZES_FULL = (10, 1_000, 100_000, 1_000_000)

REPEAT_EVENT = """
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content)
SELECT dataset_id, seq - number, gen_random_uuid(), profile_id, kind, name, config_version, content
FROM log, generate_series(1, $3) AS number
WHERE dataset_id = $1 AND profile_id = $2
"""
REWRITE = "UPDATE log SET profile_id = $3 WHERE dataset_id = $1 AND profile_id = $2"


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    async with stage.bench() as bench:
        for warm_up in range(20):
            await _merge(bench, f"warm-{warm_up}", 10)
        costs = {}
        for number, events in enumerate(sizes):
            pairs = 3 if events == SIZES_FULL[-1] else 9
            costs[events] = [await _merge(bench, f"{events}-{pair}", events) for pair in range(pairs)]
            stage.progress(number + 1, len(sizes))
    merged = {events: median([cost for cost, _ in found]) for events, found in costs.items()}
    rewritten = {events: median([cost for _, cost in found]) for events, found in costs.items()}
    figures = [
        Figure(_name(events), merged[events], "ms", rewritten[events], "UPDATE of its rows")
        for events in sizes
    ]
    ratio = merged[sizes[-1]] / merged[sizes[0]]
    return (*figures, Figure("largest to smallest", ratio, "×", target="≤ 1.5×"))


def _name(events: int) -> str:
    return f"merge with {events:,} events".replace(",", " ")


async def _merge(bench: Bench, name: str, events: int) -> tuple[float, float]:
    """Return the ms of the merge and the ms of rewriting the same history."""
    ingest, dataset_id = bench.services.ingest, bench.dataset_id
    own, browser, user = (
        Identifier(ANONYMOUS_ID, f"own-{name}"),
        Identifier(ANONYMOUS_ID, f"browser-{name}"),
        Identifier(USER_ID, f"user-{name}"),
    )
    await ingest.submit(dataset_id, Submission(observe(SignIn, identifiers=(user, own))))
    anonymous = page_view(random.Random(1), (browser,))
    created = await ingest.submit(dataset_id, Submission(anonymous))
    absorbed_id = created.profile.profile_id
    async with bench.services.database.connection() as connection:
        await connection.execute(REPEAT_EVENT, dataset_id, absorbed_id, events - 1, timeout=600)
        await connection.execute("CHECKPOINT")
    sign_in = Submission(observe(SignIn, identifiers=(user, browser)))
    started = time.perf_counter()
    resolution = await ingest.submit(dataset_id, sign_in)
    cost = (time.perf_counter() - started) * 1000
    assert resolution.absorbed[-1].profile_id == absorbed_id, "nothing was merged"
    return cost, await _rewrite(bench, absorbed_id, resolution.survivor.profile_id)


async def _rewrite(bench: Bench, absorbed_id: object, survivor_id: object) -> float:
    async with bench.services.database.connection() as connection:
        started = time.perf_counter()
        await connection.execute(REWRITE, bench.dataset_id, absorbed_id, survivor_id, timeout=600)
        return (time.perf_counter() - started) * 1000
