"""Does what joins two large profiles, or verifies an address of many, cost more with the number of fragments?

Method: profiles of 10, 1 000 and 3 000 fragments (quick: 10 and 100), each of a server's word with one more
browser beside the same address or card; and as many browsers whose pages named an address. Then, without
other load, each of 5 times on profiles of their own: a server's word that joins two large profiles, a
server's word about a user that joins a large one, the first verification of an address of a large one, and of
an address that only pages named.
Units: ms, the median; the ratio of the most fragments to the fewest.
"""

import random
import time
from collections.abc import Iterator

from bench import population
from bench.population import observe, page_view
from bench.results import Figure, figures_by_size, median
from bench.stage import Bench, Stage
from oneself.core.config.changes import PutIdentityAttributes, PutIdentityType, Several
from oneself.core.identity.identifier import TRACKER, USER_ID, Identifier
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.resolution.observation import ClaimsReport, Observation, PageEvent, SignIn
from oneself.service.ingest.submission import Submission

SIZES_QUICK = (10, 100)
SIZES_FULL = (10, 1_000, 3_000)
REPEATS = 5
ACTS = ("join of two profiles", "join with a user", "first verification", "verification of what pages named")
_BINDINGS = (
    IdentityBinding("emailAddress", "emailAddress", "identity_attributes.emailaddress"),
    IdentityBinding("card", "card", "traits.card"),
)
#: The profiles of each size: by address, by card, by address again, and by pages alone.
_KINDS = ("mail", "card", "user", "verified", "named")


async def measure(stage: Stage) -> tuple[Figure, ...]:
    sizes = SIZES_FULL if stage.is_full else SIZES_QUICK
    found: dict[int, list[float]] = {}
    async with stage.bench() as opened:
        bench = await _configured(opened)
        for number, size in enumerate(sizes):
            await _fill(bench, size, stage)
            found[size] = await _measured(bench, size)
            stage.progress(number + 1, len(sizes))
    return figures_by_size(ACTS, found, what="fragments")


async def _configured(bench: Bench) -> Bench:
    cards = PutIdentityType(IdentityType("card", "Card"))
    configurations = bench.services.configurations
    await configurations.change(
        bench.dataset_id, lambda _: Several((cards, PutIdentityAttributes(_BINDINGS)))
    )
    return Bench(bench.url, bench.services, bench.dataset_id, await configurations.current(bench.dataset_id))


def _identity(kind: str, size: int, number: int) -> Identifier:
    name = f"{kind}-{size}-{number}"
    by_card = kind in ("card", "user")
    return Identifier("card", name) if by_card else Identifier("emailAddress", f"{name}@shop.example")


async def _fill(bench: Bench, size: int, stage: Stage) -> None:
    def history(person: int) -> Iterator[Observation]:
        kind, number = _KINDS[person % len(_KINDS)], person // len(_KINDS)
        rng, identity = random.Random(person), _identity(kind, size, number)
        for browser in range(size):
            tracker = Identifier(TRACKER, f"{kind}-{size}-{number}-{browser}")
            trust = "browser" if kind == "named" else "server"
            named = (tracker, identity)
            yield page_view(rng, named, new_tracker=tracker.value, trust=trust, values={})

    persons = range(len(_KINDS) * REPEATS)
    await population.fill(bench.url, bench.dataset_id, bench.config, persons, stage.progress, history)


async def _measured(bench: Bench, size: int) -> list[float]:
    """The medians of each act, in ms."""
    found: list[list[float]] = [[], [], [], []]
    for number in range(REPEATS):
        user = Identifier(USER_ID, f"of-{size}-{number}")
        await _timed(bench, observe(SignIn, identifiers=(user,)))
        by_mail, by_card = _identity("mail", size, number), _identity("card", size, number)
        acts = (
            observe(PageEvent, identifiers=(by_mail, by_card)),
            observe(PageEvent, identifiers=(user, _identity("user", size, number))),
            _verification("verified", size, number),
            _verification("named", size, number),
        )
        for costs, act in zip(found, acts, strict=True):
            costs.append(await _timed(bench, act))
    return [median(costs) for costs in found]


def _verification(kind: str, size: int, number: int) -> Observation:
    user = Identifier(USER_ID, f"{kind}-{size}-{number}")
    values = {"identity_attributes": {"emailaddress": _identity(kind, size, number).value}}
    return observe(ClaimsReport, identifiers=(user,), values=values, verified=("emailaddress",))


async def _timed(bench: Bench, observation: Observation) -> float:
    started = time.perf_counter()
    await bench.services.ingest.submit(bench.dataset_id, Submission(observation))
    return (time.perf_counter() - started) * 1000
