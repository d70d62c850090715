"""Token keys: one encrypts, all decrypt, and a new one waits (docs/wire/interactions.md §7)."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from oneself.errors import Conflict, SettingsError
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.events.persisted_token import (
    KEY_ID_MAX,
    TokenKeyRing,
    TokenPayload,
    decrypt_token,
    encrypt_token,
)
from oneself.service.events.token_keys import KEYS_MAX, SPREAD_S, TokenKeys, TokenKeyState, free_id
from oneself.services import Services
from oneself.store.database import Database
from support.service import SECRET_KEY

PRIMARY_ID = "8675309abacab5551212acdc"
IDENTITIES = {"webId": "abc123"}
OTHER_KEY = "another secret key that is long enough"


@pytest.fixture
async def acme(services: Services) -> DatasetRef:
    return await _organisation(services, "acme")


def process(database: Database, secret_key: str = SECRET_KEY) -> TokenKeys:
    """The keys as another process sees them."""
    return TokenKeys(database, SecretBox(secret_key))


async def _organisation(services: Services, handle: str) -> DatasetRef:
    await services.directory.organisations.put(handle, handle)
    return await services.directory.organisations.get(handle)


async def pass_time(database: Database, seconds: int) -> None:
    """Let every key be older by so much."""
    await database.execute(
        "UPDATE token_key SET created_at = created_at - $1 * interval '1 second',"
        " active_from = active_from - $1 * interval '1 second'",
        seconds,
    )


def sealed_with(ring: TokenKeyRing) -> str:
    return encrypt_token(ring, "acme", "web", PRIMARY_ID, IDENTITIES, 1_760_000_000_000)


def opened_with(ring: TokenKeyRing, token: str) -> TokenPayload | None:
    return decrypt_token(ring, "acme", "web", token)


async def states(keys: TokenKeys, dataset_ref: DatasetRef) -> dict[int, str]:
    return {key.key_id: key.state for key in await keys.list(dataset_ref)}


async def test_the_first_key_is_made_once_whoever_asks(database: Database, acme: DatasetRef) -> None:
    processes = [process(database) for _ in range(8)]
    assert await processes[0].list(acme) == [], "looking makes none"
    rings = await asyncio.gather(*(each.key_ring(acme) for each in processes for _ in range(5)))
    assert await states(processes[0], acme) == {1: "active"}
    token = sealed_with(rings[0])
    assert all(opened_with(ring, token) for ring in rings)


async def test_a_ring_is_read_once_for_many_and_again_when_it_is_old(
    database: Database, acme: DatasetRef
) -> None:
    keys = TokenKeys(database, SecretBox(SECRET_KEY), reread_s=3600.0)
    first, *others = await asyncio.gather(*(keys.key_ring(acme) for _ in range(100)))
    assert all(ring is first for ring in others)
    assert await keys.key_ring(acme) is first
    keys = TokenKeys(database, SecretBox(SECRET_KEY), reread_s=0.0)
    first, *others = await asyncio.gather(*(keys.key_ring(acme) for _ in range(100)))
    assert all(ring is first for ring in others)
    assert await keys.key_ring(acme) is not first


async def test_a_new_key_opens_at_once_and_seals_when_all_know_it(
    database: Database, acme: DatasetRef
) -> None:
    keys = process(database)
    before = await keys.key_ring(acme)
    made = await keys.rotate(acme)
    assert (made.key_id, made.state) == (2, "waiting")
    assert made.active_from - made.created_at == SPREAD_S * 1_000_000
    waiting = await keys.key_ring(acme)
    assert waiting is not before, "who rotated knows it at once"
    assert waiting.active_id == 1

    await pass_time(database, SPREAD_S)
    assert await states(keys, acme) == {2: "active", 1: "retired"}
    after = await process(database).key_ring(acme)
    assert after.active_id == 2
    by_new = opened_with(waiting, sealed_with(after))
    assert by_new is not None, "a process that has not read again opens what others seal already"
    assert by_new.key_id == 2


async def test_old_tokens_stay_readable_until_their_key_is_destroyed(
    database: Database, acme: DatasetRef
) -> None:
    keys = process(database)
    old = sealed_with(await keys.key_ring(acme))
    await keys.rotate(acme)
    await pass_time(database, SPREAD_S)
    found = opened_with(await process(database).key_ring(acme), old)
    assert found == TokenPayload(PRIMARY_ID, IDENTITIES, 1_760_000_000_000, 1)

    assert await keys.destroy(acme, 1)
    assert opened_with(await keys.key_ring(acme), old) is None
    assert await states(keys, acme) == {2: "active"}
    assert not await keys.destroy(acme, 1), "it is gone already"


async def test_the_active_key_is_not_destroyed_but_a_waiting_one_may_be(
    database: Database, acme: DatasetRef
) -> None:
    keys = process(database)
    await keys.rotate(acme)
    with pytest.raises(Conflict, match="active"):
        await keys.destroy(acme, 1)
    assert await keys.destroy(acme, 2)
    assert await states(keys, acme) == {1: "active"}
    assert [await keys.destroy(acme, odd) for odd in (0, -1, 2, KEY_ID_MAX + 1, 2**70)] == [False] * 5


async def test_rings_of_organisations_are_apart(
    services: Services, database: Database, acme: DatasetRef
) -> None:
    other = await _organisation(services, "other")
    keys = process(database)
    token = sealed_with(await keys.key_ring(acme))
    assert (await keys.key_ring(other)).active_id == 1
    assert opened_with(await keys.key_ring(other), token) is None
    with pytest.raises(Conflict):
        await keys.destroy(other, 1)
    await keys.rotate(other)
    assert await keys.destroy(other, 2)
    assert await states(keys, acme) == {1: "active"}


async def test_a_row_that_was_copied_elsewhere_opens_nothing(
    services: Services, database: Database, acme: DatasetRef
) -> None:
    other = await _organisation(services, "other")
    await process(database).key_ring(acme)
    await database.execute(
        "INSERT INTO token_key SELECT $1, key_id, secret_sealed, created_at, active_from FROM token_key",
        other.org_id,
    )
    with pytest.raises(SettingsError):
        await process(database).key_ring(other)


async def test_another_secret_key_of_the_deployment_is_reported(database: Database, acme: DatasetRef) -> None:
    await process(database).key_ring(acme)
    with pytest.raises(SettingsError, match="ONESELF_SECRET_KEY"):
        await process(database, OTHER_KEY).key_ring(acme)


async def test_keys_that_cannot_be_opened_do_not_close_the_ring(database: Database, acme: DatasetRef) -> None:
    keys = process(database)
    old = sealed_with(await keys.key_ring(acme))
    await process(database, OTHER_KEY).rotate(acme)
    await pass_time(database, SPREAD_S)
    assert await states(keys, acme) == {2: "active", 1: "retired"}

    others = process(database)
    with structlog.testing.capture_logs() as logged:
        ring = await others.key_ring(acme)
        others._key_rings.clear()
        assert (await others.key_ring(acme)).active_id == 1
    assert opened_with(ring, old) == opened_with(ring, sealed_with(ring))
    assert [(entry["log_level"], entry["key"]) for entry in logged] == [("warning", "token key 2 of acme")]

    await keys.rotate(acme)
    assert (await process(database).key_ring(acme)).active_id == 1, "one that waits seals last"
    await pass_time(database, SPREAD_S)
    assert (await process(database).key_ring(acme)).active_id == 3


async def test_concurrent_rotations_create_separate_keys(database: Database, acme: DatasetRef) -> None:
    made = await asyncio.gather(*(process(database).rotate(acme) for _ in range(4)))
    assert sorted(key.key_id for key in made) == [2, 3, 4, 5]
    await pass_time(database, SPREAD_S)
    assert list((await states(process(database), acme)).values()) == ["active"] + ["retired"] * 4


async def test_only_ids_valid_in_a_header_are_reused(database: Database, acme: DatasetRef) -> None:
    await process(database).key_ring(acme)
    await database.execute("UPDATE token_key SET key_id = $1", KEY_ID_MAX)
    assert (await process(database).rotate(acme)).key_id == 1
    with pytest.raises(Exception, match="token_key_id_range"):
        await database.execute("UPDATE token_key SET key_id = 65536 WHERE key_id = 1")


def test_ids_go_round_and_are_used_again_late() -> None:
    def kept(*ids: int) -> list[TokenKeyState]:
        """Keys in the order in which they were made."""
        return [TokenKeyState(key_id, "retired", age, age) for age, key_id in enumerate(ids)]

    assert free_id(kept(1)) == 2
    assert free_id(kept(7)) == 8
    assert free_id(kept(1, KEY_ID_MAX)) == 2
    assert free_id(kept(5, 4)) == 6
    with pytest.raises(Conflict):
        free_id(kept(*range(1, KEYS_MAX + 1)))
