"""`email_verified` and `phone_number_verified` in ID tokens and userinfo (OpenID Connect Core §5.1)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from oneself.service.context import Actor, DatasetRef
from oneself.services import Services
from support.visitor import Application, Visitor, claims_of

pytestmark = pytest.mark.postgres

EMAIL, MOBILE = "ann@acme.example", "+44 20 7946 0958"
SCOPE = "openid email phone offline_access"
FLAGS = ("email_verified", "phone_number_verified")


def _flags(claims: dict[str, Any]) -> tuple[Any, Any]:
    email, phone = (claims.get(name) for name in FLAGS)
    return email, phone


async def _verify(
    services: Services, dataset_ref: DatasetRef, tokens: dict[str, Any], **claims: bool
) -> None:
    user_id = UUID(claims_of(tokens["access_token"])["sub"])
    await services.directory.users.change(dataset_ref, Actor("admin"), user_id, {}, claims)


async def _registered(shop: Application, visitor: Visitor, scope: str, **fields: str) -> dict[str, Any]:
    return await shop.tokens(await visitor.register(EMAIL, await shop.registration(scope=scope), **fields))


async def _userinfo(visitor: Visitor, tokens: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)
    return dict(answer.json())


async def test_registered_claims_are_not_verified(shop: Application, visitor: Visitor) -> None:
    tokens = await _registered(shop, visitor, SCOPE, mobile=MOBILE)
    for claims in (claims_of(tokens["id_token"]), await _userinfo(visitor, tokens)):
        assert (claims["email"], claims["phone_number"]) == (EMAIL, MOBILE)
        assert _flags(claims) == (False, False)


async def test_a_verified_address_is_in_userinfo_at_once_and_in_the_next_id_token(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    tokens = await _registered(shop, visitor, SCOPE, mobile=MOBILE)
    await _verify(services, dataset_ref, tokens, emailaddress=True)
    assert _flags(await _userinfo(visitor, tokens)) == (True, False)
    refreshed = (await shop.refresh(tokens["refresh_token"])).json()
    assert _flags(claims_of(refreshed["id_token"])) == (True, False)
    await _verify(services, dataset_ref, tokens, emailaddress=False, mobile=True)
    again = await shop.tokens(await visitor.open("oauth2/authorize", **shop.query(scope=SCOPE)))
    assert _flags(claims_of(again["id_token"])) == (False, True)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("openid", (None, None)), ("openid email", (True, None)), ("openid phone", (None, None))],
)
async def test_a_flag_is_returned_only_with_its_claim(
    services: Services,
    dataset_ref: DatasetRef,
    shop: Application,
    visitor: Visitor,
    scope: str,
    expected: tuple[Any, Any],
) -> None:
    tokens = await _registered(shop, visitor, scope)
    await _verify(services, dataset_ref, tokens, emailaddress=True)
    assert _flags(await _userinfo(visitor, tokens)) == expected


async def test_discovery_lists_both_flags(visitor: Visitor) -> None:
    answer = await visitor.open("oauth2/token/.well-known/openid-configuration")
    assert set(FLAGS) <= set(answer.json()["claims_supported"])
