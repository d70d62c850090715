"""Refresh tokens that are sent more than once.

Source: docs/decisions/0041-refresh-tokens-sent-twice.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest_asyncio

from oneself.services import Services
from support.visitor import Application, Visitor

SCOPE = "openid offline_access"


@pytest_asyncio.fixture
async def first(shop: Application, visitor: Visitor) -> str:
    """The refresh token of a sign-in."""
    signed_in = await visitor.register("vera@acme.example", await shop.registration(scope=SCOPE))
    return str((await shop.tokens(signed_in))["refresh_token"])


async def next_of(shop: Application, token: str) -> str:
    answer = await shop.refresh(token)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["refresh_token"])


async def is_rejected(shop: Application, token: str) -> bool:
    answer = await shop.refresh(token)
    return (answer.status_code, answer.json().get("error")) == (400, "invalid_grant")


async def pass_time(services: Services, seconds: int) -> None:
    """As if every refresh token had been used earlier."""
    sooner = "UPDATE refresh_token SET used_at = used_at - make_interval(secs => $1)"
    await services.database.execute(sooner, float(seconds))


async def test_requests_that_arrive_together_get_one_successor(shop: Application, first: str) -> None:
    answers = await asyncio.gather(*(shop.refresh(first) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 1
    assert len({answer.json()["access_token"] for answer in answers}) == 5
    assert await next_of(shop, successors.pop()) != first


async def test_a_token_that_comes_again_later_ends_the_grant(
    services: Services, shop: Application, first: str
) -> None:
    second = await next_of(shop, first)
    await pass_time(services, 6)
    assert await next_of(shop, first) == second
    # The repetition gave no more time.
    await pass_time(services, 6)
    assert await is_rejected(shop, first)
    assert await is_rejected(shop, second)


async def test_once_its_successor_was_used_a_token_ends_the_grant(shop: Application, first: str) -> None:
    second = await next_of(shop, first)
    third = await next_of(shop, second)
    assert await is_rejected(shop, first)
    assert await is_rejected(shop, third)


async def test_a_thief_who_is_fast_enough_shows_at_the_next_use(
    services: Services, shop: Application, first: str
) -> None:
    owners = await next_of(shop, first)
    stolen = await next_of(shop, first)
    third = await next_of(shop, stolen)
    await pass_time(services, 11)
    assert await is_rejected(shop, owners)
    assert await is_rejected(shop, third)


async def test_another_application_repeats_nothing(
    shop: Application, first: str, new_client: Callable[..., Awaitable[Application]]
) -> None:
    second = await next_of(shop, first)
    assert await is_rejected(await new_client("web"), first)
    assert await next_of(shop, first) == second


async def test_a_revoked_grant_repeats_nothing(shop: Application, visitor: Visitor, first: str) -> None:
    second = await next_of(shop, first)
    form = {"token": second}
    url = visitor.at("oauth2/revoke")
    revoked = await visitor.http.post(url, data=form, auth=(shop.client_id, shop.secret or ""))
    assert revoked.status_code == 200
    assert await is_rejected(shop, first)
