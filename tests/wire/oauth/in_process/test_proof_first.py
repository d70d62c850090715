"""Organisations that ask for a verified address before the first sign-in.

Source: docs/guides/anonymous-to-registered.md, "Verified addresses first".
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from oneself.core.config.changes import PutSettings
from oneself.service.context import DatasetRef
from oneself.services import Services
from support.visitor import CALLBACK, PASSWORD, Application, Page, Visitor, arrived, claims_of, heading
from wire.oauth.in_process.test_address_pages import newest_link, prove, withdraw

EMAIL = "vera@acme.example"

NewVisitor = Callable[..., Visitor]


@pytest.fixture(autouse=True)
async def verified_address_first(services: Services, dataset_ref: DatasetRef) -> None:
    await services.setup.activation.change(dataset_ref, PutSettings(verified_address_first=True))


async def begin_visit(visitor: Visitor, system: Application) -> tuple[str, str]:
    """Begin a visit, as the shop's back end does; profile id and tracker."""
    scope = "internal_cds_profile_create"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    begun = await visitor.http.post(visitor.at("cds/api/v1/profiles"), json={}, headers=headers)
    assert begun.status_code == 201, begun.text
    return begun.json()["profile_id"], begun.json()["anonymous_profile_tracker"]


async def test_the_registration_goes_on_in_its_browser_with_its_tracker(
    services: Services, dataset_ref: DatasetRef, shop: Application, system: Application, visitor: Visitor
) -> None:
    profile_id, tracker = await begin_visit(visitor, system)
    waiting = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    assert (waiting.status_code, heading(waiting)) == (200, "Confirm your e-mail address")
    assert (await visitor.open("accounts")).status_code == 303

    back = await prove(visitor, await newest_link(services, dataset_ref))
    assert arrived(back)["state"] == "the state"
    tokens = await shop.tokens(back)
    assert claims_of(tokens["id_token"])["email_verified"] is True
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    me = (await visitor.http.get(visitor.at("cds/api/v1/profiles/Me"), headers=headers)).json()
    assert me["profile_id"] == profile_id
    assert "oneself_request" not in visitor.http.cookies


async def test_a_link_on_another_device_leaves_the_request_to_the_first_browser(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    waiting = await visitor.register(EMAIL, await shop.registration())
    phone = new_visitor()
    elsewhere = await prove(phone, await newest_link(services, dataset_ref))
    assert elsewhere.headers["location"] == "/t/acme/accounts"
    sign_in = next(link for link in Page(waiting.text).links if "login" in link)
    back = await visitor.sign_in(EMAIL, PASSWORD, await visitor.http.get(sign_in))
    assert arrived(back)["state"] == "the state"


async def test_nobody_signs_in_before(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    waiting = await visitor.sign_in(EMAIL, PASSWORD, await shop.authorize())
    assert (waiting.status_code, heading(waiting)) == (200, "Confirm your e-mail address")
    assert not waiting.headers.get("location", "").startswith(CALLBACK)
    assert (await visitor.sign_in(EMAIL, "not the password")).status_code == 401
    # The attempt sent another link, and kept the request of the application.
    assert arrived(await prove(visitor, await newest_link(services, dataset_ref)))["state"] == "the state"
    assert arrived(await shop.authorize())["state"] == "the state"


async def test_an_account_without_an_address_is_told_what_to_do(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL)
    await withdraw(new_visitor(), await newest_link(services, dataset_ref))
    account = (await services.directory.accounts.list(dataset_ref))[0]
    answer = await visitor.sign_in(str(account.user_id))
    assert heading(answer) == "Confirm your e-mail address"
    assert any("register" in link for link in Page(answer.text).links)


async def test_sessions_from_before_stay(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await services.setup.activation.change(dataset_ref, PutSettings(verified_address_first=False))
    await visitor.register(EMAIL)
    await services.setup.activation.change(dataset_ref, PutSettings(verified_address_first=True))
    assert (await visitor.open("accounts")).status_code == 200


async def test_an_application_reads_and_sets_it(
    services: Services, dataset_ref: DatasetRef, system: Application, visitor: Visitor
) -> None:
    scope = "internal_cds_admin_config_view internal_cds_admin_config_update"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    url = visitor.at("cds/api/v1/config")
    assert (await visitor.http.get(url, headers=headers)).json()["verified_address_first"] is True
    changed = await visitor.http.patch(url, json={"verified_address_first": False}, headers=headers)
    assert "verified_address_first" not in changed.json()
    assert (await visitor.register(EMAIL)).status_code == 303
