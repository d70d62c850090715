"""Does the cost of a late event depend on the length of the log or on the number of the user's browsers?

Method: one log with 10 000, then 100 000, 1 000 000 and 10 000 000 entries of other profiles, ten per profile
(quick: 10 000 and 100 000), filled by one INSERT. At each size there are a user with one browser and a user
with 2 500 merged browsers, ten entries each. An event creates a new browser; then an event of that browser
from one hour ago identifies the user, so the service must find the profile that was active last at that time.
There is no other load; the median of 21 events. Bare: one look-up of the newest entry of a profile by the
index, as a prepared SELECT.
Units: ms from submit to answer, when it is durable; the ratio of the longest log to the shortest.
"""

import random
import time
from uuid import UUID

from bench.population import observe, page_view
from bench.results import Figure, median
from bench.stage import Bench, Stage
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.resolution.observation import SignIn
from oneself.service.ingest.submission import Submission

SIZES_QUICK = (10_000, 100_000)
SIZES_FULL = (10_000, 100_000, 1_000_000, 10_000_000)
BROWSERS = {"one browser": 0, "2 500 browsers": 2_500}
EVENTS, WARM_UP = 21, 5
HOUR_US = 3600 * 1_000_000

#: Adds $3 profiles with ten log entries each. If $2 is not null, they are merged into that profile.
ADD_PROFILES = """
WITH made AS (
    INSERT INTO profile (dataset_id, profile_id, survivor_id, reason, primary_id, seq, created_at,
                         updated_at, active_at, record_values, provenance, identities, consents, visit_at,
                         first_active_at)
    SELECT $1, gen_random_uuid(), $2::uuid, CASE WHEN $2::uuid IS NOT NULL THEN 'anonymous' END, '',
           $4::bigint, now(), now(), now(), '{}', '{}', '{}', '{}', now(), now()
    FROM generate_series(1, $3::integer)
    RETURNING profile_id
)
INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, name, config_version, content)
SELECT $1, $4 - 60000000 * number, gen_random_uuid(), profile_id, 'event', 'Page Viewed', 1,
       jsonb_build_object('kind', 'event', 'name', 'Page Viewed', 'body', repeat('page ', 40))
FROM made, generate_series(1, 10) AS number
"""
FIND_NEWEST = """
SELECT seq, content FROM log WHERE dataset_id = $1 AND profile_id = $2 AND profile_id IS NOT NULL
ORDER BY profile_id DESC, seq DESC LIMIT 1
"""


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    costs: dict[tuple[int, str], tuple[float, float]] = {}
    filled = 0
    async with stage.bench() as bench:
        persons = {name: await _person(bench, name, browsers) for name, browsers in BROWSERS.items()}
        for number, entries in enumerate(sizes, 1):
            await _add(bench, None, (entries - filled) // 10)
            filled = entries
            for name, profile_id in persons.items():
                costs[entries, name] = await _cost(bench, f"{entries}-{name}", name, profile_id)
            stage.progress(number, len(sizes))
    figures = [
        Figure(f"{entries:,} entries, {name}".replace(",", " "), *_values(cost))
        for (entries, name), cost in costs.items()
    ]
    ratios = [
        Figure(
            f"longest to shortest log, {name}",
            costs[sizes[-1], name][0] / costs[sizes[0], name][0],
            "×",
            target="≤ 1.5×",
        )
        for name in BROWSERS
    ]
    return (*figures, *ratios)


def _values(cost: tuple[float, float]) -> tuple[float, str, float, str]:
    return cost[0], "ms", cost[1], "newest entry by the index"


async def _person(bench: Bench, name: str, browsers: int) -> UUID:
    """Create a user with one browser and a number of merged ones. Returns the profile id."""
    resolution = await bench.services.ingest.submit(
        bench.dataset_id, Submission(observe(SignIn, identifiers=(_user(name), _browser(name))))
    )
    await _add(bench, resolution.survivor.profile_id, browsers)
    return resolution.survivor.profile_id


def _user(name: str) -> Identifier:
    return Identifier(USER_ID, f"user of {name}")


def _browser(name: str) -> Identifier:
    return Identifier(ANONYMOUS_ID, f"browser-{name}".replace(" ", "-"))


async def _add(bench: Bench, survivor_id: UUID | None, profiles: int) -> None:
    now = time.time_ns() // 1000
    async with bench.services.database.connection() as connection:
        await connection.execute(ADD_PROFILES, bench.dataset_id, survivor_id, profiles, now, timeout=3600)
        await connection.execute("VACUUM ANALYZE", timeout=3600)
        await connection.execute("CHECKPOINT", timeout=3600)


async def _cost(bench: Bench, run: str, name: str, profile_id: UUID) -> tuple[float, float]:
    """Return the ms of a late event and of one look-up."""
    costs = [await _late(bench, f"{run}-{number}", name) for number in range(WARM_UP + EVENTS)]
    return median(costs[WARM_UP:]), await _look_up(bench, profile_id)


async def _late(bench: Bench, run: str, name: str) -> float:
    ingest, dataset_id = bench.services.ingest, bench.dataset_id
    browser, rng = _browser(run), random.Random(run)
    await ingest.submit(dataset_id, Submission(page_view(rng, (browser,))))
    occurred_at_us = time.time_ns() // 1000 - HOUR_US
    late = Submission(page_view(rng, (browser, _user(name)), occurred_at=occurred_at_us))
    started = time.perf_counter()
    resolution = await ingest.submit(dataset_id, late)
    cost = (time.perf_counter() - started) * 1000
    assert resolution.merged, "the event must merge two profiles"
    return cost


async def _look_up(bench: Bench, profile_id: UUID) -> float:
    found = []
    async with bench.services.database.connection() as connection:
        statement = await connection.prepare(FIND_NEWEST)
        for _ in range(200):
            started = time.perf_counter()
            await statement.fetch(bench.dataset_id, profile_id)
            found.append((time.perf_counter() - started) * 1000)
    return median(found)
