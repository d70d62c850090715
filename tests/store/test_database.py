"""Connections: how values are decoded, and which errors a failing database raises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from oneself.errors import Contended, Unavailable, UnsupportedDatabase
from oneself.store.database import Database, wait_until_ready
from oneself.store.errors import classify, constraint_of
from oneself.store.queries import Queries
from oneself.store.shadow import open_shadow
from support.databases import Databases

UNREACHABLE_URL = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize("instant", [0, 1_700_000_000_000_001, -1, 253_402_300_799_999_999])
async def test_an_instant_is_an_int_of_microseconds_both_ways(database: Database, instant: int) -> None:
    assert await database.fetchval("select $1::timestamptz", instant) == instant
    expected = await database.fetchval(
        "select (extract(epoch from $1::timestamptz) * 1000000)::bigint", instant
    )
    assert expected == instant


async def test_arrays_of_instants_are_encoded_and_decoded(database: Database) -> None:
    assert await database.fetchval("select $1::timestamptz[]", [1, None, 3]) == [1, None, 3]


@pytest.mark.parametrize(
    "value", [{"a": [1, 2.5, None, True, "é"]}, [], "text", 0, None, {"deep": {"er": {}}}]
)
async def test_json_is_decoded(database: Database, value: object) -> None:
    assert await database.fetchval("select $1::jsonb", value) == value


async def test_unqualified_names_use_the_schema_oneself(database: Database) -> None:
    assert await database.fetchval("select 'organisation'::regclass::oid") is not None
    assert await database.fetchval("select current_schema()") == "oneself"


async def test_a_transaction_that_raises_stores_nothing(database: Database) -> None:
    insert = "insert into organisation (handle, name, created_at) values ($1, $1, now())"
    with pytest.raises(KeyError):
        async with database.transaction() as connection:
            await connection.execute(insert, "rolled-back")
            raise KeyError
    async with database.transaction() as connection:
        await connection.execute(insert, "committed")
    assert [row["handle"] for row in await database.fetch("select handle from organisation")] == ["committed"]


async def test_a_violated_constraint_is_recognised_by_its_name(database: Database) -> None:
    insert = "insert into organisation (handle, name, created_at) values ('twice', '', now())"
    await database.execute(insert)
    with pytest.raises(asyncpg.UniqueViolationError) as caught:
        await database.execute(insert)
    assert constraint_of(caught.value) == "organisation_handle_key"
    assert classify(caught.value) == "constraint"


async def test_a_deadlock_is_contended(database: Database) -> None:
    one, two = asyncio.Event(), asyncio.Event()

    async def lock(first: int, second: int, locked: asyncio.Event, other_locked: asyncio.Event) -> None:
        async with database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock($1)", first)
            locked.set()
            await other_locked.wait()
            await connection.execute("select pg_advisory_xact_lock($1)", second)

    outcomes = await asyncio.gather(lock(1, 2, one, two), lock(2, 1, two, one), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Contended", "NoneType"]
    assert any(isinstance(outcome, Contended) for outcome in outcomes)


async def test_a_broken_connection_is_unavailable_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(Unavailable):
        async with database.transaction() as connection:
            backend = await connection.fetchval("select pg_backend_pid()")
            await database.execute("select pg_terminate_backend($1)", backend)
            await connection.fetchval("select 1")
    assert await database.fetchval("select 1") == 1


async def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await Database.open(UNREACHABLE_URL)
    with pytest.raises(Unavailable):
        await wait_until_ready(UNREACHABLE_URL)


async def test_a_refused_connection_reports_the_reason(made_databases: Databases, server_url: str) -> None:
    wrong = server_url.replace("/postgres?", "/no_such_database?")
    if wrong == server_url:
        pytest.skip("the address of the configured server has another form")
    with pytest.raises(UnsupportedDatabase, match="no_such_database"):
        await wait_until_ready(wrong)
    with pytest.raises(UnsupportedDatabase, match="no_such_database"):
        await Database.open(wrong)


def test_named_statements_are_attributes() -> None:
    queries = Queries("profile")
    assert "FROM profile" in queries.find
    assert "{" not in queries.find, "a fragment was not inserted"
    assert "find" in queries.names()
    with pytest.raises(AttributeError, match=r"profile.sql has no statement named no_such"):
        _ = queries.no_such


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("-- name: one\n-- It does.\nSELECT $1, $2;", r"other parameters than it uses: \$2"),
        ("-- name: one\n-- It does.\n-- $3: a value\nSELECT $1;", r"other parameters than it uses: \$3"),
        ("-- name: one\n-- It does.\nSELECT {no_such};", "no fragment of this name"),
    ],
)
def test_a_statement_with_other_parameters_than_declared_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, problem: str
) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "table.sql").write_text(statement, "utf-8")
    monkeypatch.setattr("oneself.store.queries.resources.files", lambda _: tmp_path)
    with pytest.raises(ValueError, match=problem):
        Queries("table")


PLANNER = "SELECT name, setting FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_hashjoin')"


async def test_only_scans_use_the_default_planner_settings(database: Database) -> None:
    """Without statistics, PostgreSQL would keep a plan with a scan while a table grows. Reading a whole
    dataset needs scans and joins."""
    point = {row["name"]: row["setting"] for row in await database.fetch(PLANNER)}
    assert point == {"enable_seqscan": "off", "enable_hashjoin": "off"}
    async with database.scan() as connection:
        scan = {row["name"]: row["setting"] for row in await connection.fetch(PLANNER)}
    assert scan == {"enable_seqscan": "on", "enable_hashjoin": "on"}


async def test_scratch_tables_are_filled_by_lookups_and_compared_by_scans(database: Database) -> None:
    async with open_shadow(database) as shadow, shadow.snapshot():
        connection = shadow.dataset(1).connection
        assert {row["setting"] for row in await connection.fetch(PLANNER)} == {"off"}
        await shadow.begin_comparison()
        assert {row["setting"] for row in await connection.fetch(PLANNER)} == {"on"}
