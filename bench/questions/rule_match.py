"""Does the cost of a match by a unification rule depend on the number of profiles, and how long does the
activation of a rule over a million profiles take?

Method: one database with 10 000, then 100 000, then 1 000 000 persons (quick: 1 000 and 10 000). At each
size, 2 000 writes one after another each create a profile with a loyalty number; every second one uses the
number of an existing profile, so it is merged at once. At the largest size, one UPDATE sets a second
attribute of the survivors; every tenth value is shared by two profiles. Then a rule on it is previewed,
created and applied to all profiles by one indexer in this process. Bare: the look-up of one claim by its key;
for the activation, one SELECT that reads the same values of all profiles.
Units: ms per write; ratio of largest to smallest; profiles per second; MiB of this process at its peak.
"""

import resource
import time
import uuid
from collections.abc import Iterator

import msgspec

from bench import population, pressure
from bench.questions.resolution_cost import SIZES_FULL, SIZES_QUICK, look_up
from bench.results import Figure
from bench.stage import ORG, Bench, Stage
from oneself.core.config.changes import PutAttributes
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.resolution.observation import Observation, ProfileWrite
from oneself.core.values.attribute import Attribute
from oneself.service.context import DatasetRef

LOYALTY, MEMBER = "traits.loyalty_id", "traits.member_id"
WRITES = 2_000
PUT_MEMBERS = """
UPDATE profile SET record_values = jsonb_set(
    CASE WHEN record_values ? 'traits' THEN record_values ELSE record_values || '{"traits": {}}' END,
    '{traits,member_id}', to_jsonb('m-' || place.number - CASE WHEN place.number % 10 = 0 THEN 1 ELSE 0 END))
FROM (SELECT profile_id, row_number() OVER (ORDER BY profile_id) AS number FROM profile
      WHERE dataset_id = $1 AND survivor_id IS NULL) AS place
WHERE profile.dataset_id = $1 AND profile.profile_id = place.profile_id
"""
READ_MEMBERS = """
SELECT count(record_values -> 'traits' ->> 'member_id')
FROM profile WHERE dataset_id = $1 AND survivor_id IS NULL
"""


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    costs: dict[int, tuple[pressure.Report, float]] = {}
    filled = 0
    async with stage.bench() as bench:
        dataset_ref = await bench.services.directory.organisations.get(ORG)
        await _define(bench)
        await bench.services.rules.rules.create(
            dataset_ref, UnificationRule("", "loyalty", LOYALTY, 1, is_active=True)
        )
        await _index(bench)
        config = await bench.services.configurations.current(bench.dataset_id)
        for persons in sizes:
            await population.fill(bench.url, bench.dataset_id, config, range(filled, persons), stage.progress)
            filled = persons
            costs[persons] = await _match(bench, persons), await look_up(bench, persons)
        activation = await _activate(bench, dataset_ref)
    first, last = costs[sizes[0]], costs[sizes[-1]]
    ratio, bare = last[0].p50_ms / first[0].p50_ms, last[1] / first[1]
    sized = [
        Figure(
            f"{persons:,} people: a write that matches, p50".replace(",", " "),
            cost.p50_ms,
            "ms",
            look,
            "look-up by key",
        )
        for persons, (cost, look) in costs.items()
    ]
    return (*sized, Figure("largest to smallest", ratio, "×", bare, "look-up by key", "≤ 1.5×"), *activation)


async def _define(bench: Bench) -> None:
    attributes = tuple(
        Attribute(str(uuid.uuid4()), name, value_type="string", merge_strategy="overwrite")
        for name in (LOYALTY, MEMBER)
    )
    await bench.services.configurations.change(bench.dataset_id, lambda _: PutAttributes(attributes))


def _joins(persons: int) -> Iterator[Observation]:
    """Generate new profiles in pairs: the second has the loyalty number of the first."""
    number = persons * 1_000_000
    while True:
        number += 1
        values = {"traits": {"loyalty_id": f"L-{number // 2}"}}
        yield population.observe(ProfileWrite, creates=True, values=values)


async def _match(bench: Bench, persons: int) -> pressure.Report:
    joins = _joins(persons)
    ingest = bench.services.ingest
    await pressure.at_full_speed(ingest, bench.dataset_id, joins, concurrency=1, burst=1, count=200)
    return await pressure.at_full_speed(ingest, bench.dataset_id, joins, concurrency=1, burst=1, count=WRITES)


async def _activate(bench: Bench, dataset_ref: DatasetRef) -> tuple[Figure, ...]:
    database = bench.services.database
    await database.execute(PUT_MEMBERS, bench.dataset_id)
    await database.execute("ANALYZE profile")
    started = time.perf_counter()
    profiles = await database.fetchval(READ_MEMBERS, bench.dataset_id)
    bare_s = time.perf_counter() - started
    rule = UnificationRule("", "member", MEMBER, 2, is_active=True)
    started = time.perf_counter()
    preview = await bench.services.rules.previews.preview(dataset_ref, rule)
    preview_s = time.perf_counter() - started
    await bench.services.rules.rules.create(dataset_ref, msgspec.structs.replace(rule))
    before = _peak_mib()
    started = time.perf_counter()
    await _index(bench)
    activation_s = time.perf_counter() - started
    merged = sum(work.merged for work in await bench.services.rules.rules.progress(dataset_ref))
    if merged < preview.profiles_absorbed:
        raise RuntimeError(
            f"{merged} profiles were merged, but the preview reported {preview.profiles_absorbed}."
        )
    means = "one SELECT of the values"
    return (
        Figure("profiles with a value", profiles, "profiles"),
        Figure("preview", profiles / preview_s, "profiles/s", profiles / bare_s, means),
        Figure("activation", profiles / activation_s, "profiles/s", profiles / bare_s, means),
        Figure("activation, all of them", activation_s, "s"),
        Figure("absorbed", preview.profiles_absorbed, "profiles"),
        Figure("memory before activation", before, "MiB"),
        Figure("memory at the peak", _peak_mib(), "MiB"),
    )


async def _index(bench: Bench) -> None:
    while await bench.services.rules.reindexer.step():
        pass


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
