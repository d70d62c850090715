"""Token keys: the active one encrypts, all decrypt, a new one waits (docs/wire/interactions.md §7)."""

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


def new_process(database: Database, secret_key: str = SECRET_KEY) -> TokenKeys:
    """The token keys of a new process, with an empty cache."""
    return TokenKeys(database, SecretBox(secret_key))


async def _organisation(services: Services, handle: str) -> DatasetRef:
    await services.directory.organisations.put(handle, handle)
    return await services.directory.organisations.get(handle)


async def pass_time(database: Database, seconds: int) -> None:
    """Make every key older by `seconds`."""
    await database.execute(
        "UPDATE token_key SET created_at = created_at - $1 * interval '1 second',"
        " active_from = active_from - $1 * interval '1 second'",
        seconds,
    )


def encrypt_with(ring: TokenKeyRing) -> str:
    return encrypt_token(ring, "acme", "web", PRIMARY_ID, IDENTITIES, 1_760_000_000_000)


def decrypt_with(ring: TokenKeyRing, token: str) -> TokenPayload | None:
    return decrypt_token(ring, "acme", "web", token)


async def states(keys: TokenKeys, dataset_ref: DatasetRef) -> dict[int, str]:
    return {key.key_id: key.state for key in await keys.list(dataset_ref)}


async def test_concurrent_processes_create_one_first_key(database: Database, acme: DatasetRef) -> None:
    processes = [new_process(database) for _ in range(8)]
    assert await processes[0].list(acme) == [], "listing created a key"
    rings = await asyncio.gather(*(keys.key_ring(acme) for keys in processes for _ in range(5)))
    assert await states(processes[0], acme) == {1: "active"}
    token = encrypt_with(rings[0])
    assert all(decrypt_with(ring, token) for ring in rings)


async def test_concurrent_callers_share_a_ring_until_it_expires(database: Database, acme: DatasetRef) -> None:
    keys = TokenKeys(database, SecretBox(SECRET_KEY), reread_s=3600.0)
    first, *others = await asyncio.gather(*(keys.key_ring(acme) for _ in range(100)))
    assert all(ring is first for ring in others)
    assert await keys.key_ring(acme) is first
    keys = TokenKeys(database, SecretBox(SECRET_KEY), reread_s=0.0)
    first, *others = await asyncio.gather(*(keys.key_ring(acme) for _ in range(100)))
    assert all(ring is first for ring in others)
    assert await keys.key_ring(acme) is not first


async def test_a_new_key_decrypts_immediately_and_encrypts_later(
    database: Database, acme: DatasetRef
) -> None:
    keys = new_process(database)
    before = await keys.key_ring(acme)
    rotated = await keys.rotate(acme)
    assert (rotated.key_id, rotated.state) == (2, "waiting")
    assert rotated.active_from - rotated.created_at == SPREAD_S * 1_000_000
    waiting = await keys.key_ring(acme)
    assert waiting is not before, "the process that rotated did not read the ring again"
    assert waiting.active_id == 1

    await pass_time(database, SPREAD_S)
    assert await states(keys, acme) == {2: "active", 1: "retired"}
    after = await new_process(database).key_ring(acme)
    assert after.active_id == 2
    payload = decrypt_with(waiting, encrypt_with(after))
    assert payload is not None, "a process with an older ring cannot decrypt tokens of the new key"
    assert payload.key_id == 2


async def test_old_tokens_stay_readable_until_their_key_is_destroyed(
    database: Database, acme: DatasetRef
) -> None:
    keys = new_process(database)
    old = encrypt_with(await keys.key_ring(acme))
    await keys.rotate(acme)
    await pass_time(database, SPREAD_S)
    found = decrypt_with(await new_process(database).key_ring(acme), old)
    assert found == TokenPayload(PRIMARY_ID, IDENTITIES, 1_760_000_000_000, 1)

    assert await keys.destroy(acme, 1)
    assert decrypt_with(await keys.key_ring(acme), old) is None
    assert await states(keys, acme) == {2: "active"}
    assert not await keys.destroy(acme, 1), "a destroyed key was destroyed again"


async def test_the_active_key_is_not_destroyed_but_a_waiting_one_may_be(
    database: Database, acme: DatasetRef
) -> None:
    keys = new_process(database)
    await keys.rotate(acme)
    with pytest.raises(Conflict, match="active"):
        await keys.destroy(acme, 1)
    assert await keys.destroy(acme, 2)
    assert await states(keys, acme) == {1: "active"}
    assert [await keys.destroy(acme, unknown) for unknown in (0, -1, 2, KEY_ID_MAX + 1, 2**70)] == [False] * 5


async def test_organisations_have_separate_rings(
    services: Services, database: Database, acme: DatasetRef
) -> None:
    other = await _organisation(services, "other")
    keys = new_process(database)
    token = encrypt_with(await keys.key_ring(acme))
    assert (await keys.key_ring(other)).active_id == 1
    assert decrypt_with(await keys.key_ring(other), token) is None
    with pytest.raises(Conflict):
        await keys.destroy(other, 1)
    await keys.rotate(other)
    assert await keys.destroy(other, 2)
    assert await states(keys, acme) == {1: "active"}


async def test_a_key_copied_to_another_organisation_cannot_be_decrypted(
    services: Services, database: Database, acme: DatasetRef
) -> None:
    other = await _organisation(services, "other")
    await new_process(database).key_ring(acme)
    await database.execute(
        "INSERT INTO token_key SELECT $1, key_id, secret_sealed, created_at, active_from FROM token_key",
        other.org_id,
    )
    with pytest.raises(SettingsError):
        await new_process(database).key_ring(other)


async def test_another_secret_key_of_the_deployment_is_reported(database: Database, acme: DatasetRef) -> None:
    await new_process(database).key_ring(acme)
    with pytest.raises(SettingsError, match="ONESELF_SECRET_KEY"):
        await new_process(database, OTHER_KEY).key_ring(acme)


async def test_a_key_that_cannot_be_decrypted_is_skipped(database: Database, acme: DatasetRef) -> None:
    keys = new_process(database)
    old = encrypt_with(await keys.key_ring(acme))
    await new_process(database, OTHER_KEY).rotate(acme)
    await pass_time(database, SPREAD_S)
    assert await states(keys, acme) == {2: "active", 1: "retired"}

    reader = new_process(database)
    with structlog.testing.capture_logs() as logged:
        ring = await reader.key_ring(acme)
        reader._key_rings.clear()
        assert (await reader.key_ring(acme)).active_id == 1
    assert decrypt_with(ring, old) == decrypt_with(ring, encrypt_with(ring))
    assert [(entry["log_level"], entry["key"]) for entry in logged] == [("warning", "token key 2 of acme")]

    await keys.rotate(acme)
    assert (await new_process(database).key_ring(acme)).active_id == 1, "a waiting key became active"
    await pass_time(database, SPREAD_S)
    assert (await new_process(database).key_ring(acme)).active_id == 3


async def test_concurrent_rotations_create_separate_keys(database: Database, acme: DatasetRef) -> None:
    rotated = await asyncio.gather(*(new_process(database).rotate(acme) for _ in range(4)))
    assert sorted(key.key_id for key in rotated) == [2, 3, 4, 5]
    await pass_time(database, SPREAD_S)
    assert list((await states(new_process(database), acme)).values()) == ["active"] + ["retired"] * 4


async def test_only_ids_valid_in_a_header_are_reused(database: Database, acme: DatasetRef) -> None:
    await new_process(database).key_ring(acme)
    await database.execute("UPDATE token_key SET key_id = $1", KEY_ID_MAX)
    assert (await new_process(database).rotate(acme)).key_id == 1
    with pytest.raises(Exception, match="token_key_id_range"):
        await database.execute("UPDATE token_key SET key_id = 65536 WHERE key_id = 1")


def test_key_ids_increase_and_wrap_around() -> None:
    def keys(*ids: int) -> list[TokenKeyState]:
        """Keys with these ids, in order of creation."""
        return [TokenKeyState(key_id, "retired", age, age) for age, key_id in enumerate(ids)]

    assert free_id(keys(1)) == 2
    assert free_id(keys(7)) == 8
    assert free_id(keys(1, KEY_ID_MAX)) == 2
    assert free_id(keys(5, 4)) == 6
    with pytest.raises(Conflict):
        free_id(keys(*range(1, KEYS_MAX + 1)))
