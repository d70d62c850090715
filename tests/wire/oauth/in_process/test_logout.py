"""Sign-out (`/oauth2/logout`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from oneself.core.config.changes import PutSettings
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.trackers import new_tracker
from oneself.services import Services
from oneself.store.directory import Directory
from support.visitor import CALLBACK, Application, Page, Visitor, arrived, heading

EMAIL = "ann@acme.example"
SCOPE = "openid email offline_access internal_cds_profile_view"


async def _signed_in(shop: Application, **changes: str) -> str:
    """Register a person; the ID token."""
    answer = await shop.visitor.register(EMAIL, await shop.registration(**changes))
    return str((await shop.tokens(answer))["id_token"])


async def _is_signed_in(shop: Application) -> bool:
    answer = await shop.visitor.open("oauth2/authorize", **shop.query(prompt="none"))
    return "code" in arrived(answer)


async def test_an_id_token_signs_its_user_out_and_redirects(shop: Application, visitor: Visitor) -> None:
    hint = await _signed_in(shop)
    answer = await visitor.open(
        "oauth2/logout", id_token_hint=hint, post_logout_redirect_uri=CALLBACK, state="bye"
    )
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{CALLBACK}?state=bye"
    assert not await _is_signed_in(shop)


async def test_logout_accepts_post(shop: Application, visitor: Visitor) -> None:
    hint = await _signed_in(shop)
    answer = await visitor.http.post(
        visitor.at("oauth2/logout"), data={"id_token_hint": hint, "post_logout_redirect_uri": CALLBACK}
    )
    assert answer.headers["location"] == CALLBACK
    assert not await _is_signed_in(shop)


async def test_without_an_id_token_the_user_has_to_confirm(shop: Application, visitor: Visitor) -> None:
    await _signed_in(shop)
    confirmation = await visitor.open("oauth2/logout")
    assert heading(confirmation) == "Sign out?"
    assert await _is_signed_in(shop)
    result = await visitor.submit(confirmation)
    assert heading(result) == "You are signed out"
    assert not await _is_signed_in(shop)


async def test_a_confirmed_logout_redirects_to_the_application(shop: Application, visitor: Visitor) -> None:
    await _signed_in(shop)
    confirmation = await visitor.open(
        "oauth2/logout", client_id=shop.client_id, post_logout_redirect_uri=CALLBACK
    )
    assert heading(confirmation) == "Sign out?"
    assert (await visitor.submit(confirmation)).headers["location"] == CALLBACK


async def test_logout_redirects_only_to_registered_addresses(shop: Application, visitor: Visitor) -> None:
    hint = await _signed_in(shop)
    answer = await visitor.open(
        "oauth2/logout", id_token_hint=hint, post_logout_redirect_uri="https://evil.example/"
    )
    assert heading(answer) == "You are signed out"


@pytest.mark.parametrize("hint", ["nonsense", "e30.e30.e30", "\u20ac"])
async def test_an_invalid_id_token_hint_is_rejected(shop: Application, visitor: Visitor, hint: str) -> None:
    await _signed_in(shop)
    answer = await visitor.open("oauth2/logout", id_token_hint=hint)
    assert answer.status_code == 400
    assert "The id_token_hint is not a valid ID token of this organisation." in answer.text
    assert await _is_signed_in(shop)


async def test_a_cross_site_form_does_not_sign_out(shop: Application, visitor: Visitor) -> None:
    await _signed_in(shop)
    answer = await visitor.http.post(visitor.at("oauth2/logout"), data={"csrf": "0" * 64})
    assert heading(answer) == "Sign out?"
    assert await _is_signed_in(shop)


async def test_an_id_token_of_another_user_does_not_sign_out(shop: Application, visitor: Visitor) -> None:
    hint = await _signed_in(shop)
    page = await shop.authorize(prompt="create")
    arrived(await visitor.register("bob@acme.example", page))
    await visitor.open("oauth2/logout", id_token_hint=hint)
    assert await _is_signed_in(shop)


async def test_the_account_page_has_a_sign_out_form(shop: Application, visitor: Visitor) -> None:
    await _signed_in(shop)
    page = await visitor.open("accounts")
    assert "Ann Archer" in page.text
    assert "/t/acme/oauth2/logout" in Page(page.text).actions
    await visitor.submit(page, "logout")
    assert (await visitor.open("accounts")).status_code == 303


@pytest.mark.parametrize("detach", [False, True])
async def test_a_sign_out_detaches_the_browser_only_if_configured(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, detach: bool
) -> None:
    await services.configurations.change(
        dataset_ref.dataset_id, lambda _: PutSettings(detach_on_sign_out=detach)
    )
    tracker = new_tracker()
    await services.profiles.profiles.create(dataset_ref, Actor("cds"), {}, tracker=tracker)
    visitor.http.cookies.set("cds_profile", tracker)
    hint = await _signed_in(shop)
    await visitor.open("oauth2/logout", id_token_hint=hint)
    assert (await services.profiles.profiles.find_by_tracker(dataset_ref, tracker) is None) is detach


async def _tokens(shop: Application, **changes: str) -> dict[str, Any]:
    """The tokens of a person who registers."""
    answer = await shop.visitor.register(EMAIL, await shop.registration(scope=SCOPE, **changes))
    return await shop.tokens(answer)


async def _more_tokens(shop: Application, **changes: str) -> dict[str, Any]:
    """The tokens of a person who is signed in already: single sign-on."""
    return await shop.tokens(await shop.authorize(scope=SCOPE, **changes))


async def _statuses(shop: Application, tokens: dict[str, Any]) -> list[int]:
    """How Me, userinfo and a refresh answer."""
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    http, at = shop.visitor.http, shop.visitor.at
    me = await http.get(at("cds/api/v1/profiles/Me"), headers=headers)
    userinfo = await http.get(at("oauth2/userinfo"), headers=headers)
    refreshed = await shop.refresh(tokens["refresh_token"])
    return [me.status_code, userinfo.status_code, refreshed.status_code]


async def _by_hint(visitor: Visitor, tokens: dict[str, Any]) -> None:
    await visitor.open("oauth2/logout", id_token_hint=tokens["id_token"])


async def _by_hint_without_cookies(visitor: Visitor, tokens: dict[str, Any]) -> None:
    visitor.http.cookies.clear()
    await visitor.open("oauth2/logout", id_token_hint=tokens["id_token"])


async def _by_confirmation(visitor: Visitor, _: dict[str, Any]) -> None:
    await visitor.submit(await visitor.open("oauth2/logout"))


async def _by_account_page(visitor: Visitor, _: dict[str, Any]) -> None:
    await visitor.submit(await visitor.open("accounts"), "logout")


@pytest.mark.parametrize("sign_out", [_by_hint, _by_hint_without_cookies, _by_confirmation, _by_account_page])
async def test_a_sign_out_ends_the_tokens_of_the_session(
    shop: Application, visitor: Visitor, sign_out: Callable[..., Awaitable[None]]
) -> None:
    tokens = await _tokens(shop)
    more = await _more_tokens(shop)
    redeemable = await shop.authorize(scope=SCOPE)
    await sign_out(visitor, tokens)
    for ended in (tokens, more):
        assert await _statuses(shop, ended) == [401, 401, 400]
    assert (await shop.exchange(redeemable)).status_code == 400


async def test_a_sign_out_keeps_the_tokens_of_other_sessions(
    shop: Application, visitor: Visitor, new_visitor: Callable[..., Visitor]
) -> None:
    tokens = await _tokens(shop)
    elsewhere = Application(new_visitor(), shop.client_id, shop.secret)
    page = await elsewhere.authorize(scope=SCOPE)
    others = await elsewhere.tokens(await elsewhere.visitor.sign_in(EMAIL, page=page))
    await _by_hint(visitor, tokens)
    assert await _statuses(elsewhere, others) == [200, 200, 200]


async def test_a_second_sign_in_in_the_browser_continues_the_session(
    shop: Application, visitor: Visitor
) -> None:
    """The tokens of the first one work until the user signs out, and no longer."""
    tokens = await _tokens(shop)
    page = await shop.authorize(scope=SCOPE, prompt="login")
    again = await shop.tokens(await visitor.sign_in(EMAIL, page=page))
    assert (await _statuses(shop, tokens))[:2] == [200, 200]
    await _by_confirmation(visitor, again)
    for ended in (tokens, again):
        assert (await _statuses(shop, ended))[:2] == [401, 401]


async def test_another_user_in_the_browser_ends_the_session(shop: Application, visitor: Visitor) -> None:
    tokens = await _tokens(shop)
    page = await shop.authorize(scope=SCOPE, prompt="create")
    bens = await shop.tokens(await visitor.register("ben@acme.example", page))
    assert await _statuses(shop, tokens) == [401, 401, 400]
    assert (await _statuses(shop, bens))[:2] == [200, 200]


async def test_a_later_revocation_of_the_same_user_counts(
    services: Services, dataset_ref: DatasetRef
) -> None:
    """Also for a process that starts afterwards and reads the table."""
    directory = Directory(services.database)
    revoked = []
    for _ in range(2):
        await services.directory.tokens.put_revoked(directory, dataset_ref, "user:ann")
        (row,) = await directory.revoked_tokens.list_since(0, 0)
        revoked.append((row.revoked_at, row.expires_at))
    assert revoked[0] < revoked[1]


async def test_an_access_token_is_no_hint(shop: Application, visitor: Visitor) -> None:
    """Applications send access tokens to others, who must not be able to end the session by them."""
    tokens = await shop.tokens(await visitor.register("vera@acme.example", await shop.registration()))
    answer = await visitor.open("oauth2/logout", id_token_hint=tokens["access_token"])
    assert answer.status_code == 400
    assert "The id_token_hint is not a valid ID token of this organisation." in answer.text
    assert heading(await visitor.open("accounts")) == "You are signed in"
