"""People for the measurements: who owns which browser, who signed in, and what they do next.

Everything about person `i` follows from `i`, so that a load generator needs no list. A filled database holds
what the fold makes of these histories: each runs through `core.fold`, and the rows go in by COPY.

    every person      one event on the first browser                 an anonymous profile
    every third       sign-in on it                                  promoted, holds a user id
    every tenth       an event on a second browser, sign-in on it    a profile absorbed by the first
    every fourth      a trait
"""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import fold
from oneself.core.identity.identifier import ANONYMOUS_ID, USER_ID, Identifier
from oneself.core.resolution.observation import Observation, PageEvent, SignIn
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.store import rows
from oneself.store.database import JSONB_VERSION, connect
from oneself.store.queries import Queries
from oneself.store.tables import log as log_table
from oneself.store.tables.log import NewEntry

from .stage import Progress

PERSONS_PER_CHUNK = 4_000
_NAMES = uuid.UUID("5e1f0000-0000-4000-8000-000000000000")
_PAGES = ("/", "/shop", "/shop/shoes/trail-runner-42", "/cart", "/account/orders?page=2", "/blog/how-to-lace")


def device(person: int, number: int = 0) -> Identifier:
    """A person's browser."""
    return Identifier(ANONYMOUS_ID, f"{uuid.UUID(int=(person << 8) + number + (0xD << 120))}")


def user(person: int) -> Identifier:
    """A person's user id, if the person is `known`."""
    return Identifier(USER_ID, f"user-{person:09}")


def is_known(person: int) -> bool:
    """Whether the person has signed in once."""
    return person % 3 == 0


def profile_id(person: int) -> UUID:
    """The id of the first profile of a person in a filled database."""
    return UUID(int=_NAMES.int + (person * 0x9E3779B97F4A7C15 << 8) % (1 << 60))


def observe(
    kind: Callable[..., Observation] = PageEvent, *, new_profile_id: UUID | None = None, **fields: Any
) -> Observation:
    """An observation from a server, with new ids."""
    fields.setdefault("name", "Page Viewed" if kind is PageEvent else None)
    return kind(
        observation_id=uuid.uuid4(),
        new_profile_id=new_profile_id or uuid.uuid4(),
        interface="bench",
        application="bench-backend",
        **fields,
    )


def page_view(chance: random.Random, identifiers: tuple[Identifier, ...], **fields: Any) -> Observation:
    """An event with the body that a web library sends."""
    body = {
        "url": f"https://shop.example{chance.choice(_PAGES)}",
        "title": "Trail Runner 42, light and grippy",
        "referrer": "https://search.example/?q=shoes",
        "agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        "session": chance.getrandbits(48),
    }
    return observe(identifiers=identifiers, body=body, **fields)


def arrivals(persons: int, seed: int = 1) -> Iterator[Observation]:
    """Endless traffic on a database of this size: 70 % known browsers, 10 % signed-in users on them,
    20 % new browsers."""
    chance = random.Random(seed)
    newcomer = persons + seed * 100_000_000
    while True:
        person = chance.randrange(persons)
        dice = chance.random()
        if dice < 0.2:
            newcomer += 1
            yield page_view(chance, (device(newcomer),))
        elif dice < 0.3:
            yield page_view(chance, (device(person - person % 3), user(person - person % 3)))
        else:
            yield page_view(chance, (device(person),))


def history(person: int) -> Iterator[Observation]:
    """The history of a person in a filled database."""
    chance = random.Random(person)
    trait = {"values": {"traits": {"plan": "premium"}}} if person % 4 == 0 else {}
    yield page_view(chance, (device(person),), new_profile_id=profile_id(person), **trait)
    if is_known(person):
        yield observe(SignIn, identifiers=(user(person), device(person)))
    if person % 10 == 0:
        second = device(person, 1)
        yield page_view(chance, (second,))
        yield observe(SignIn, identifiers=(user(person), second))


async def fill(
    url: str,
    dataset_id: int,
    config: Config,
    persons: range,
    progress: Progress,
    lived: Callable[[int], Iterator[Observation]] = history,
) -> tuple[int, int]:
    """Put people into a database, as the fold would have; returns the log entries and profiles made. `lived`:
    what a person did."""
    connection = await _connection(url)
    entries = profiles = 0
    try:
        for start in range(persons.start, persons.stop, PERSONS_PER_CHUNK):
            chunk = range(start, min(start + PERSONS_PER_CHUNK, persons.stop))
            state, log = _folded(chunk, config, lived)
            async with connection.transaction():
                await _copy(connection, dataset_id, state, log)
            entries, profiles = entries + len(log), profiles + len(state.profiles)
            progress(chunk.stop - persons.start, len(persons))
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return entries, profiles


def _folded(
    persons: range, config: Config, lived: Callable[[int], Iterator[Observation]]
) -> tuple[WorkingSet, list[NewEntry]]:
    state, log = WorkingSet(), []
    seq = time.time_ns() // 1000
    for person in persons:
        for observation in lived(person):
            seq += 1
            plan = fold(state, observation, config, seq)
            assert isinstance(plan, Plan), plan
            log.append(NewEntry(seq, observation, plan, config.version))
    return state, log


async def _copy(
    connection: "asyncpg.Connection[asyncpg.Record]", dataset_id: int, state: WorkingSet, log: list[NewEntry]
) -> None:
    changes = state.changes
    assert not changes.released
    made = [state.profiles[i] for i in changes.profiles]
    await connection.copy_records_to_table(
        "log",
        columns=log_table.COLUMNS,
        records=[log_table.log_row(dataset_id, entry) for entry in log],
    )
    for statement, columns in (
        (Queries("profile").put, rows.profile_columns(made)),
        (Queries("claim").put, rows.claim_columns(changes.claimed)),
        (Queries("merge").put, rows.merge_columns(changes.merged)),
        (Queries("refusal").put, rows.refusal_columns(changes.refused)),
    ):
        target = _TARGET.match(statement)
        assert target is not None
        await connection.copy_records_to_table(
            target["table"],
            columns=target["columns"].replace(" ", "").replace("\n", "").split(","),
            records=[(dataset_id, *record) for record in zip(*columns, strict=True)],
        )


#: What the write path itself inserts into, so that both fill the same columns in the same order.
_TARGET = re.compile(r"INSERT INTO (?P<table>\w+) \((?P<columns>[^)]*)\)")


async def _connection(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """As the write path's, but columns that are JSON text already go as they are."""
    connection = await connect(url)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=msgspec.json.decode
    )
    return connection


def _jsonb(value: object) -> bytes:
    return JSONB_VERSION + (value.encode() if isinstance(value, str) else msgspec.json.encode(value))
