"""Verifying tokens costs one read of public keys; a private key is imported once, to sign."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest
from joserfc.jwk import RSAKey

from oneself.service.context import DatasetRef
from oneself.service.directory import signing_keys
from oneself.service.directory.signing_keys import SigningKeys
from oneself.service.directory.tokens import AccessTokens, access_claims, sign_access_token
from oneself.services import Services
from oneself.store.tables.signing_key import SigningKeyTable
from support.tunables import same_key

VERIFICATIONS = 50


class Imports:
    """The imported keys, private and public, the threads of the public ones, and the number of reads."""

    def __init__(self) -> None:
        self.private: list[str] = []
        self.public: list[str] = []
        self.threads: set[int] = set()
        self.reads = 0

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.reads, len(self.public), len(self.private)


@pytest.fixture
def imports(services: Services, dataset_ref: DatasetRef, monkeypatch: pytest.MonkeyPatch) -> Imports:
    """Counts from here on; the organisation and its first key exist."""
    recorded, import_key, read = Imports(), RSAKey.import_key, SigningKeyTable.list
    import_private = signing_keys._import_private

    def counted(document: Any, *others: Any) -> RSAKey:
        if isinstance(document, dict):
            recorded.public.append(document["kid"])
            recorded.threads.add(threading.get_ident())
        return import_key(document, *others)

    def counted_private(private: bytes) -> RSAKey:
        key = import_private(private)
        recorded.private.append(key.kid)
        return key

    async def reading(self: SigningKeyTable, *values: Any) -> Any:
        recorded.reads += 1
        return await read(self, *values)

    monkeypatch.setattr(signing_keys.RSAKey, "import_key", counted)
    monkeypatch.setattr(signing_keys, "_import_private", counted_private)
    monkeypatch.setattr(SigningKeyTable, "list", reading)
    return recorded


def new_process(services: Services, **options: Any) -> SigningKeys:
    """The keys of a process that has just started."""
    return SigningKeys(
        services.directory.tokens._directory, services.secret_box, generate_key=same_key, **options
    )


async def token_of(services: Services, dataset_ref: DatasetRef) -> str:
    claims = access_claims("issuer", dataset_ref, "shop", "ann", "internal_cds_profile_view", None)
    return sign_access_token(await services.directory.signing_keys.signing_key(dataset_ref), claims)


async def verify_concurrently(tokens: AccessTokens, dataset_ref: DatasetRef, token: str) -> None:
    assert all(await asyncio.gather(*(tokens.verify(dataset_ref, token) for _ in range(VERIFICATIONS))))


async def test_concurrent_verifications_cause_one_read_and_no_private_import(
    services: Services, dataset_ref: DatasetRef, imports: Imports
) -> None:
    token = await token_of(services, dataset_ref)
    before = imports.counts
    tokens = AccessTokens(services.directory.tokens._directory, new_process(services, reread_s=0.0), "")
    await verify_concurrently(tokens, dataset_ref, token)
    assert imports.counts == (before[0] + 1, before[1] + 1, before[2])
    await verify_concurrently(tokens, dataset_ref, token)
    assert imports.counts == (before[0] + 2, before[1] + 1, before[2]), (
        "the key is read again, but not imported again"
    )
    assert threading.get_ident() not in imports.threads


async def test_a_private_key_is_imported_once(
    services: Services, dataset_ref: DatasetRef, imports: Imports
) -> None:
    keys = new_process(services, reread_s=0.0)
    signing = await asyncio.gather(*(keys.signing_key(dataset_ref) for _ in range(VERIFICATIONS)))
    assert all(key is signing[0] for key in signing)
    assert await keys.signing_key(dataset_ref) is signing[0]
    assert imports.private == [signing[0].kid]
    rotated = await keys.rotate(dataset_ref)
    assert (await keys.signing_key(dataset_ref)).kid == rotated
    assert imports.private == [signing[0].kid, rotated]


async def test_a_stored_key_is_the_one_that_was_made() -> None:
    made = RSAKey.generate_key(2048, {"kid": "k", "use": "sig", "alg": "RS256"}).as_dict(private=True)
    assert signing_keys._import_private(msgspec.json.encode(made)).as_dict(private=True) == made


async def test_a_retired_key_verifies_only_while_it_is_published(
    services: Services, dataset_ref: DatasetRef
) -> None:
    token = await token_of(services, dataset_ref)
    keys = new_process(services, reread_s=0.0)
    tokens = AccessTokens(services.directory.tokens._directory, keys, "")
    await keys.rotate(dataset_ref)
    await verify_concurrently(tokens, dataset_ref, token)
    await services.database.execute(
        "UPDATE signing_key SET retired_at = retired_at - interval '25 hours' WHERE retired_at IS NOT NULL"
    )
    assert await tokens.verify(dataset_ref, token) is None
