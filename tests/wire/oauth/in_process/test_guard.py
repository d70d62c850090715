"""Verification of access tokens: invalid tokens are rejected with one of two messages."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from oneself.auth.callers.guard import Guard, OwnKeys, basic_matches, require
from oneself.auth.callers.principal import Principal
from oneself.auth.callers.reach import Reach
from oneself.errors import Forbidden, Unauthenticated
from oneself.service.context import DatasetRef
from oneself.service.directory.tokens import Claims
from oneself.services import Services
from oneself.tunables import Tunables
from support.tunables import SettableClock, tuned
from support.visitor import Application

MISSING = "Missing or invalid Authorization header"
NO_SCOPE = "You do not have enough permission to access this resource."
NOT_IN_SCOPE = "Do not have permission to perform this operation"


async def _token(services: Services, dataset_ref: DatasetRef, key: Any = None, **changes: Any) -> str:
    """A token signed with the key of the organisation or with `key`; None omits a claim."""
    signing_key = await services.directory.signing_keys.signing_key(dataset_ref)
    claims = {
        "aud": "iam-cds",
        "org_handle": dataset_ref.handle,
        "scope": "internal_cds_profile_view",
        "exp": time.time() + 60,
        "azp": "shop",
        "client_id": "other",
        "sub": "ann",
        **changes,
    }
    header = {"alg": "RS256", "kid": signing_key.kid}
    payload = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(header, payload, key or signing_key)


async def test_a_valid_token_identifies_the_caller(services: Services, dataset_ref: DatasetRef) -> None:
    token = await _token(services, dataset_ref)
    expected = Principal("shop", "ann", frozenset({"internal_cds_profile_view"}), "acme", "person")
    for header in (f"Bearer {token}", f"bearer {token}", f"Bearer  {token} "):
        assert await services.callers.guard.authenticate(header, dataset_ref) == expected


@pytest.mark.parametrize(
    ("changes", "application"),
    [({"azp": None}, "other"), ({"aud": ["x", "iam-cds"]}, "shop"), ({"azp": None, "client_id": None}, None)],
)
async def test_the_application_is_the_azp_or_the_client_id(
    services: Services, dataset_ref: DatasetRef, changes: dict[str, Any], application: str | None
) -> None:
    token = await _token(services, dataset_ref, **changes)
    caller = await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    assert caller.application == application


@pytest.mark.parametrize(
    ("changes", "kind", "user_id"),
    [
        ({}, "person", "ann"),
        ({"sub": "other"}, "person", "other"),
        ({"aut": "APPLICATION_USER"}, "person", "ann"),
        ({"gty": "password", "idtyp": "user"}, "person", "ann"),
        ({"azp": None, "client_id": None}, "person", "ann"),
        ({"sub": "shop"}, "application", None),
        ({"azp": None, "sub": "other"}, "application", None),
        ({"aut": "APPLICATION"}, "application", None),
        ({"sub": "shop@clients", "gty": "client-credentials"}, "application", None),
        ({"sub": None, "idtyp": "app"}, "application", None),
        ({"sub": None}, "unnamed", None),
        ({"sub": ""}, "unnamed", None),
        ({"sub": 7}, "unnamed", None),
        ({"sub": None, "azp": None, "client_id": None}, "unnamed", None),
        ({"aut": ["APPLICATION"], "gty": True}, "person", "ann"),
    ],
    ids=str,
)
async def test_a_token_is_of_a_person_or_an_application(
    services: Services, dataset_ref: DatasetRef, changes: dict[str, Any], kind: str, user_id: str | None
) -> None:
    """A token is of an application only if a claim says so."""
    token = await _token(services, dataset_ref, **changes)
    caller = await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    assert (caller.kind, caller.user_id) == (kind, user_id)
    assert caller.reach == Reach(kind == "application", user_id)


def test_a_reach_covers_what_its_user_owns() -> None:
    of_ann, empty, complete = Reach(False, "ann"), Reach(False), Reach(True)
    owners = ("ann", "Ann", "vera", "", None)
    assert [of_ann.covers(owner) for owner in owners] == [True, False, False, False, False]
    assert not any(empty.covers(owner) for owner in owners)
    assert all(complete.covers(owner) for owner in owners)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "iam"},
        {"aud": ["iam", "cds"]},
        {"aud": {"iam-cds": 1}},
        {"org_handle": None},
        {"org_handle": "other"},
        {"org_handle": ["acme"]},
        {"exp": None},
        {"exp": 0},
        {"exp": "9999999999"},
        {"exp": True},
    ],
    ids=str,
)
async def test_a_token_with_an_invalid_claim_is_rejected(
    services: Services, dataset_ref: DatasetRef, changes: dict[str, Any]
) -> None:
    token = await _token(services, dataset_ref, **changes)
    with pytest.raises(Unauthenticated) as rejected:
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    assert (rejected.value.code, rejected.value.description) == ("CDS-10002", MISSING)


async def test_a_token_of_another_key_is_rejected(services: Services, dataset_ref: DatasetRef) -> None:
    other_key = RSAKey.import_key((await _new_key()).as_dict(private=True))
    token = await _token(services, dataset_ref, key=other_key)
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)


async def _new_key() -> RSAKey:
    return RSAKey.import_key(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer \u20ac"]
)
async def test_a_header_that_is_not_a_bearer_token_is_rejected(
    services: Services, dataset_ref: DatasetRef, header: str | None
) -> None:
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(header, dataset_ref)


@pytest.mark.parametrize("scope", [None, 7, ["internal_cds_profile_view"]])
async def test_a_token_without_a_scope_is_forbidden(
    services: Services, dataset_ref: DatasetRef, scope: object
) -> None:
    token = await _token(services, dataset_ref, scope=scope)
    with pytest.raises(Forbidden) as rejected:
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    assert (rejected.value.code, rejected.value.description) == ("CDS-10003", NO_SCOPE)


def test_a_permission_outside_the_scope_is_forbidden() -> None:
    caller = Principal("shop", None, frozenset({"internal_cds_profile_view"}), "acme", "application")
    require(caller, "internal_cds_profile_view")
    with pytest.raises(Forbidden) as rejected:
        require(caller, "internal_cds_profile")
    assert (rejected.value.code, rejected.value.description) == ("CDS-10003", NOT_IN_SCOPE)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock()


@pytest.fixture
def tunables(clock: SettableClock) -> Tunables:
    return tuned(now=clock)


async def test_a_cached_token_still_expires(
    services: Services, dataset_ref: DatasetRef, clock: SettableClock
) -> None:
    token = await _token(services, dataset_ref, exp=time.time() + 5)
    await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    clock.now_s = time.time() + 6
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)


class RecordingKeys(OwnKeys):
    """The keys of the organisation; records every token that they verify."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.directory.tokens)
        self.verified: list[str] = []

    async def claims_of(self, dataset_ref: DatasetRef, token: str) -> Claims | None:
        self.verified.append(token)
        return await super().claims_of(dataset_ref, token)


async def test_the_cache_of_tokens_has_a_limit(services: Services, dataset_ref: DatasetRef) -> None:
    keys = RecordingKeys(services)
    guard = Guard((keys,), cached_max=3)
    tokens = [await _token(services, dataset_ref, sub=str(number)) for number in range(5)]
    for token in (*tokens, *tokens[2:], tokens[0]):
        await guard.authenticate(f"Bearer {token}", dataset_ref)
    assert keys.verified == [*tokens, tokens[0]], "the cache holds the last three tokens"


async def test_an_id_token_is_not_an_access_token(
    shop: Application, services: Services, dataset_ref: DatasetRef
) -> None:
    redirect = await shop.visitor.register("ann@acme.example", await shop.registration())
    tokens = await shop.tokens(redirect)
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {tokens['id_token']}", dataset_ref)


def _basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (_basic("sync:secret"), True),
        (_basic("sync:secret").replace("Basic", "basic"), True),
        (_basic("sync:other"), False),
        (_basic("other:secret"), False),
        (_basic("sync"), False),
        (_basic("sync:secret:"), False),
        ("Basic !", False),
        ("Basic /w==", False),
        ("Bearer x", False),
        (None, False),
    ],
)
def test_basic_credentials_of_the_sync_operations(header: str | None, expected: bool) -> None:
    assert basic_matches(header, "sync", "secret") is expected
    assert basic_matches(header, None, None) is False
    assert basic_matches(_basic(":"), "", "") is False
