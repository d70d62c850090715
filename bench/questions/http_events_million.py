"""How many events of the interactions wire per second are resolved in a database of a million people?

Method, bare figure and units: as `http_events`, on a database of 1 000 000 people (quick: 4 000).
"""

from bench.questions.http_events import ask
from bench.results import Figure
from bench.stage import Stage


async def measure(stage: Stage) -> tuple[Figure, ...]:
    return tuple(await ask(stage, stage.size(4_000, 1_000_000)))
