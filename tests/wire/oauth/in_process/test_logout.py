"""Sign-out (`/oauth2/logout`)."""

from __future__ import annotations

import pytest

from oneself.core.config.changes import PutSettings
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.trackers import new_tracker
from oneself.services import Services
from support.visitor import CALLBACK, Application, Page, Visitor, arrived, heading

EMAIL = "ann@acme.example"


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
    assert Page(page.text).actions == ["/t/acme/oauth2/logout"]
    await visitor.submit(page)
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
