"""Migrations are applied once and in order, also by concurrent processes; an edited one is refused."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import asyncpg
import pytest

from oneself.core.text import nfc
from oneself.errors import UnsupportedDatabase
from oneself.service.directory.usernames import username_key
from oneself.store.database import connect
from oneself.store.migrate import known, migrate, pending
from support.databases import Databases


async def test_every_migration_is_applied_once(made_databases: Databases) -> None:
    url = await made_databases.empty_one()
    names = [migration.name for migration in known()]
    assert await pending(url) == names
    assert await migrate(url) == names
    assert await migrate(url) == []
    assert await pending(url) == []


async def test_concurrent_starts_apply_each_migration_once(made_databases: Databases) -> None:
    url = await made_databases.empty_one()
    applied = await asyncio.gather(*(migrate(url) for _ in range(5)))
    assert sorted(len(names) for names in applied) == [0, 0, 0, 0, len(known())]


async def test_the_log_has_the_fragments_of_its_entries_and_states_leave_out_what_is_empty(
    made_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await made_databases.empty_one()
    every = known()
    before = [item for item in every if item.name < "0032"]
    monkeypatch.setattr("oneself.store.migrate.known", lambda: before)
    await migrate(url)
    connection = await connect(url)
    own, other, profile = (UUID(int=number) for number in (1, 2, 3))
    for seq, profile_id in ((1, own), (2, profile), (3, None)):
        await connection.execute(
            "INSERT INTO log (dataset_id, seq, observation_id, profile_id, kind, config_version, content) "
            "VALUES (1, $1, $2, $3, 'event', 0, '{}')",
            seq,
            UUID(int=seq),
            profile_id,
        )
    for fragment_id, seq, active_at in ((own, 1, 10), (other, 2, None)):
        await connection.execute(
            "INSERT INTO fragment_entry (dataset_id, fragment_id, seq, observation_id, active_at) "
            "VALUES (1, $1, $2, $3, $4)",
            fragment_id,
            seq,
            UUID(int=seq),
            active_at,
        )
    await connection.execute(
        "INSERT INTO fragment (dataset_id, fragment_id, believed_id, origin, state, own_id, proven_id, "
        "record_values, updated_at, created_at, seq) "
        "VALUES (1, $1, $1, 'browser', $2, $1, $1, '{}', 1, 1, 1)",
        own,
        {"origin": "browser", "claims": [], "owner": None, "named": [1], "record": {"values": {}}, "seq": 0},
    )
    monkeypatch.setattr("oneself.store.migrate.known", lambda: every)
    await migrate(url)
    assert json.loads(await connection.fetchval("SELECT state FROM fragment")) == {
        "origin": "browser",
        "named": [1],
    }
    found = await connection.fetch("SELECT fragment_id, active_at FROM log ORDER BY seq")
    assert [tuple(row) for row in found] == [(own, 10), (other, None), (None, None)]
    found = await connection.fetch("SELECT fragment_id, seq, active_at FROM fragment_entry ORDER BY seq")
    assert [tuple(row) for row in found] == [(own, 1, 10), (other, 2, None)]
    await connection.close()


async def test_usernames_that_case_folding_made_equal_are_told_apart(
    made_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, every = await made_databases.empty_one(), known()
    before = [migration for migration in every if migration.name < "0043"]
    monkeypatch.setattr("oneself.store.migrate.known", lambda: before)
    await migrate(url)
    names = ["Ann@faß.de", "ann@fass.de", "BEN@acme.example", "E\u0301va@acme.example"]
    connection = await connect(url)
    try:
        await connection.execute(
            "INSERT INTO organisation (handle, name, created_at) VALUES ('acme', 'a', now())"
        )
        for name in names:
            await connection.execute(
                """
                INSERT INTO account
                    (org_id, user_id, username, username_key, password_hash, claims, created_at, updated_at)
                SELECT org_id, gen_random_uuid(), $1, $2, 'hash', '{}', now(), now() FROM organisation
                """,
                name,
                nfc(name, 254).casefold(),
            )
        await connection.execute(
            "INSERT INTO login_failure SELECT org_id, 'subject', 3, now() FROM organisation"
        )
        monkeypatch.setattr("oneself.store.migrate.known", lambda: every)
        await migrate(url)
        rows = await connection.fetch("SELECT username, username_key, used_at FROM account")
        assert {row["username"]: row["username_key"] for row in rows} == {
            name: username_key(name) for name in names
        }
        assert all(row["used_at"] is not None for row in rows)
        assert await connection.fetchval("SELECT attempts FROM attempt_count") == 3
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update oneself.migration set sha256 = 'other' where name = $1", "other content"),
        ("update oneself.migration set name = '9999_future' where name = $1", "unknown"),
    ],
)
async def test_a_database_with_other_migrations_is_refused(
    made_databases: Databases, change: str, words: str
) -> None:
    url = await made_databases.clone()
    connection = await asyncpg.connect(url)
    await connection.execute(change, known()[0].name)
    await connection.close()
    with pytest.raises(UnsupportedDatabase, match=words):
        await migrate(url)


async def test_what_waits_to_be_sent_is_sent_by_mail(
    made_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await made_databases.empty_one()
    every = known()
    before = [item for item in every if item.name < "0046"]
    monkeypatch.setattr("oneself.store.migrate.known", lambda: before)
    await migrate(url)
    connection = await connect(url)
    await connection.execute(
        "INSERT INTO organisation (handle, name, created_at) VALUES ('acme', 'A', now())"
    )
    await connection.execute(
        "INSERT INTO mail (org_id, mail_id, kind, recipient, facts, content, created_at, due_at, expires_at) "
        "SELECT org_id, $1, 'recovery', 'ann@acme.example', '{}', 'text', now(), now(), now()"
        " FROM organisation",
        UUID(int=1),
    )
    monkeypatch.setattr("oneself.store.migrate.known", lambda: every)
    await migrate(url)
    row = await connection.fetchrow("SELECT delivery_id, channel, kind, content FROM delivery")
    await connection.close()
    assert tuple(row) == (UUID(int=1), "mail", "recovery", b"text")
