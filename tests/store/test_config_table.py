"""The stored document of a configuration."""

from __future__ import annotations

from itertools import permutations

import msgspec

from oneself.core.config.changes import BlockList
from oneself.core.config.configuration import Config
from oneself.store.database import Database
from oneself.store.transaction import begin

DATASET = 93_001


async def test_blocked_values_are_written_in_order(database: Database) -> None:
    """The order of a set is another one in each process; a log that is folded later gives the same row."""
    names = ["Z", "a", "c1", "é"] + [f"value {number}" for number in range(4)]
    for values in (names, names[::-1], *permutations(["1", "c1", "2", "b"])):
        config = msgspec.structs.replace(Config(), blocked=BlockList(frozenset(values)))
        async with begin(database, DATASET) as transaction:
            await transaction.config.put(config)
            assert (await transaction.config.find()).blocked == config.blocked
        document = await database.fetchval("SELECT document FROM config WHERE dataset_id = $1", DATASET)
        assert document["blocked"]["values"] == sorted(values)
