"""How many events per second does the interactions endpoint answer with a database of a million users?

Method, bare figure and units: as in `http_events`, on a database with 1 000 000 users (quick: 4 000).
"""

from bench.questions.http_events import ask
from bench.results import Figure
from bench.stage import Stage


async def measure(stage: Stage) -> tuple[Figure, ...]:
    return tuple(await ask(stage, stage.size(4_000, 1_000_000)))
