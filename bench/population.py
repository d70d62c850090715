"""Generates the persons of the benchmarks: their browsers, user ids, histories and new events.

All data of a person is derived from its number `i`, so a load generator needs no list. To fill a database,
the histories run through `core.fold`, and COPY writes the resulting rows.

    every person      one event on the first browser                 an anonymous profile
    every third       sign-in on it                                  an identified profile with a user id
    every tenth       an event on a second browser, sign-in on it    a profile merged into the first
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
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import Observation, PageEvent, SignIn
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.store import identity_graph, rows
from oneself.store.database import JSONB_VERSION, connect
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.queries import Queries
from oneself.store.tables.log import NewEntry
from oneself.store.transaction import Transaction

from .stage import Progress

PERSONS_PER_CHUNK = 4_000
_NAMES = uuid.UUID("5e1f0000-0000-4000-8000-000000000000")
_PAGES = ("/", "/shop", "/shop/shoes/trail-runner-42", "/cart", "/account/orders?page=2", "/blog/how-to-lace")


def device(person: int, number: int = 0) -> Identifier:
    """Return the identifier of a browser of a person."""
    return Identifier(ANONYMOUS_ID, f"{uuid.UUID(int=(person << 8) + number + (0xD << 120))}")


def user(person: int) -> Identifier:
    """Return the user id of a person; only those with `is_known` have one."""
    return Identifier(USER_ID, f"user-{person:09}")


def is_known(person: int) -> bool:
    """Whether the person has signed in once."""
    return person % 3 == 0


def profile_id(person: int) -> UUID:
    """Return the id of the first profile of a person in a filled database."""
    return UUID(int=_NAMES.int + (person * 0x9E3779B97F4A7C15 << 8) % (1 << 60))


def observe(
    kind: Callable[..., Observation] = PageEvent, *, new_profile_id: UUID | None = None, **fields: Any
) -> Observation:
    """Create an observation of a server, with new ids."""
    fields.setdefault("name", "Page Viewed" if kind is PageEvent else None)
    return kind(
        observation_id=uuid.uuid4(),
        new_profile_id=new_profile_id or uuid.uuid4(),
        interface="bench",
        application="bench-backend",
        **fields,
    )


def page_view(rng: random.Random, identifiers: tuple[Identifier, ...], **fields: Any) -> Observation:
    """Create an event with a body as a web library sends it."""
    body = {
        "url": f"https://shop.example{rng.choice(_PAGES)}",
        "title": "Trail Runner 42, light and grippy",
        "referrer": "https://search.example/?q=shoes",
        "agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0",
        "session": rng.getrandbits(48),
    }
    return observe(identifiers=identifiers, body=body, **fields)


def arrivals(persons: int, seed: int = 1) -> Iterator[Observation]:
    """Generate endless traffic for a database with this number of persons.

    70 % are events of known browsers, 10 % of signed-in users on known browsers, 20 % of new browsers.
    """
    rng = random.Random(seed)
    new_person = persons + seed * 100_000_000
    while True:
        person = rng.randrange(persons)
        dice = rng.random()
        if dice < 0.2:
            new_person += 1
            yield page_view(rng, (device(new_person),))
        elif dice < 0.3:
            yield page_view(rng, (device(person - person % 3), user(person - person % 3)))
        else:
            yield page_view(rng, (device(person),))


def history(person: int) -> Iterator[Observation]:
    """Generate the observations of a person in a filled database."""
    rng = random.Random(person)
    trait = {"values": {"traits": {"plan": "premium"}}} if person % 4 == 0 else {}
    yield page_view(rng, (device(person),), new_profile_id=profile_id(person), **trait)
    if is_known(person):
        yield observe(SignIn, identifiers=(user(person), device(person)))
    if person % 10 == 0:
        second = device(person, 1)
        yield page_view(rng, (second,))
        yield observe(SignIn, identifiers=(user(person), second))


async def fill(
    url: str,
    dataset_id: int,
    config: Config,
    persons: range,
    progress: Progress,
    history_of: Callable[[int], Iterator[Observation]] = history,
) -> tuple[int, int]:
    """Fill a database with the folded histories of persons.

    `history_of`: person → observations. Returns the numbers of log entries and profiles.
    """
    connection = await _connection(url)
    entries = profiles = 0
    try:
        for start in range(persons.start, persons.stop, PERSONS_PER_CHUNK):
            chunk = range(start, min(start + PERSONS_PER_CHUNK, persons.stop))
            state, graph, log = _fold(chunk, config, history_of)
            transaction = Transaction(connection, dataset_id)
            async with connection.transaction():
                await transaction.log.append(log)
                await _copy(connection, dataset_id, state)
                await identity_graph.save(transaction, graph)
            entries, profiles = entries + len(log), profiles + len(state.profiles)
            progress(chunk.stop - persons.start, len(persons))
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    return entries, profiles


def _fold(
    persons: range, config: Config, history_of: Callable[[int], Iterator[Observation]]
) -> tuple[WorkingSet, LoadedGraph, list[NewEntry]]:
    state, log = WorkingSet(), []
    rules = graph_rules(config)
    graph = LoadedGraph(rules, with_records=True)
    seq = time.time_ns() // 1000
    for person in persons:
        for observation in history_of(person):
            seq += 1
            plan = fold(state, observation, config, seq)
            assert isinstance(plan, Plan), plan
            evidence = extract_evidence(observation, config)
            observed = Observed(observation, evidence, seq, config, rules)
            fragment = graph.observe(observed, plan.profile_id, state.unified_ids)
            log.append(NewEntry(seq, observation, plan, config.version, fragment))
    return state, graph, log


async def _copy(connection: "asyncpg.Connection[asyncpg.Record]", dataset_id: int, state: WorkingSet) -> None:
    changes = state.changes
    assert not changes.released
    profiles = [state.profiles[profile_id] for profile_id in changes.profiles]
    for statement, columns in (
        (Queries("profile").put, rows.profile_columns(profiles)),
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


#: Finds table and columns in the statements of the write path, so that COPY writes the same columns in the
#: same order.
_TARGET = re.compile(r"INSERT INTO (?P<table>\w+) \((?P<columns>[^)]*)\)")


async def _connection(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect as the write path does. JSON columns also accept encoded text."""
    connection = await connect(url)
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_jsonb, decoder=msgspec.json.decode
    )
    return connection


def _jsonb(value: object) -> bytes:
    return JSONB_VERSION + (value.encode() if isinstance(value, str) else msgspec.json.encode(value))
