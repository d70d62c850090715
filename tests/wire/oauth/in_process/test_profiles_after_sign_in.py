"""The effect of registration and sign-in on profiles (docs/wire/cds.md §12)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from oneself.core.config.changes import PutSettings
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account
from oneself.service.ingest.trackers import new_tracker
from oneself.service.profiles.profiles import ProfileView
from oneself.services import Services
from oneself.store.database import Database
from support.visitor import Application, Visitor, arrived, claims_of

pytestmark = pytest.mark.postgres

EMAIL = "ann@acme.example"
NewVisitor = Callable[..., Visitor]


async def _temporary(services: Services, dataset_ref: DatasetRef) -> tuple[str, str]:
    """Create a temporary profile as POST /profiles does; its id and its tracker."""
    tracker = new_tracker()
    created = await services.profiles.profiles.create(
        dataset_ref, Actor("cds", "acme-backend"), {}, tracker=tracker
    )
    return str(created.profile.profile_id), tracker


async def _profile(services: Services, dataset_ref: DatasetRef, profile_id: str) -> ProfileView:
    view = await services.profiles.profiles.find(dataset_ref, UUID(profile_id))
    assert view is not None
    return view


async def _user_id(shop: Application, answer: object) -> str:
    tokens = await shop.tokens(answer)  # type: ignore[arg-type]
    return str(claims_of(tokens["access_token"])["sub"])


@pytest.mark.parametrize("source", ["parameter", "cookie"])
async def test_registration_gives_the_temporary_profile_the_user_id(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, source: str
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    if source == "cookie":
        visitor.http.cookies.set("cds_profile", tracker)
    parameters = {"anonymous_profile_tracker": tracker} if source == "parameter" else {}
    redirect = await visitor.register(EMAIL, await shop.registration(**parameters), mobile="+44 20 7946 0958")
    user_id = await _user_id(shop, redirect)
    # The profile is updated before the tokens are sent.
    view = await _profile(services, dataset_ref, profile_id)
    assert view.survivor.user_id == user_id
    assert view.profile == view.survivor
    assert view.survivor.record.values["identity_attributes"] == {
        "userid": view.survivor.user_id,
        "username": EMAIL,
        "emailaddress": EMAIL,
        "givenname": "Ann",
        "lastname": "Archer",
        "mobile": "+44 20 7946 0958",
    }


async def test_a_sign_in_merges_the_temporary_profile(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    permanent, tracker = await _temporary(services, dataset_ref)
    page = await shop.registration(anonymous_profile_tracker=tracker)
    await shop.tokens(await visitor.register(EMAIL, page))
    temporary, second = await _temporary(services, dataset_ref)
    shop.visitor = new_visitor()
    login = await shop.authorize(anonymous_profile_tracker=second)
    await shop.tokens(await shop.visitor.sign_in(EMAIL, page=login))
    view = await _profile(services, dataset_ref, temporary)
    assert str(view.survivor.profile_id) == permanent
    assert [(str(a.profile_id), a.reason) for a in view.absorbed] == [(temporary, "system:user_id_match")]


async def test_a_sign_in_uses_two_database_connections(
    services: Services, dataset_ref: DatasetRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    connection, connections = Database.connection, 0

    @asynccontextmanager
    async def counted(self: Database) -> AsyncIterator[Any]:
        nonlocal connections
        connections += 1
        async with connection(self) as open_connection:
            yield open_connection

    monkeypatch.setattr(Database, "connection", counted)
    account = Account(uuid.uuid4(), EMAIL, {"username": EMAIL})
    await services.directory.sign_ins.record_sign_in(dataset_ref, None, account, [tracker])
    assert connections == 2
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id == str(account.user_id)


async def test_single_sign_on_merges_the_temporary_profile(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    permanent, tracker = await _temporary(services, dataset_ref)
    await shop.tokens(
        await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    )
    temporary, second = await _temporary(services, dataset_ref)
    await shop.tokens(await visitor.open("oauth2/authorize", **shop.query(anonymous_profile_tracker=second)))
    assert str((await _profile(services, dataset_ref, temporary)).survivor.profile_id) == permanent


async def test_the_cookie_takes_precedence_over_the_parameter(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    by_cookie, cookie = await _temporary(services, dataset_ref)
    by_parameter, parameter = await _temporary(services, dataset_ref)
    visitor.http.cookies.set("cds_profile", cookie)
    redirect = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=parameter))
    await shop.tokens(redirect)
    assert (await _profile(services, dataset_ref, by_cookie)).survivor.user_id
    assert (await _profile(services, dataset_ref, by_parameter)).survivor.user_id is None


@pytest.mark.parametrize("cookie", ["unknown", "x" * 5000, "%00", "-"])
async def test_with_an_unknown_cookie_the_parameter_is_used(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, cookie: str
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    page = await shop.registration(anonymous_profile_tracker=tracker)
    visitor.http.cookies.set("cds_profile", cookie)
    await shop.tokens(await visitor.register(EMAIL, page))
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id


async def test_a_second_user_of_a_browser_does_not_change_the_first_profile(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    first, tracker = await _temporary(services, dataset_ref)
    redirect = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    ann = await _user_id(shop, redirect)
    before = await _profile(services, dataset_ref, first)
    page = await shop.authorize(prompt="create", anonymous_profile_tracker=tracker)
    bob = await _user_id(shop, await visitor.register("bob@acme.example", page, given_name="Bob"))
    after = await _profile(services, dataset_ref, first)
    assert after.survivor.user_id == ann
    assert after.survivor.record == before.survivor.record
    of_tracker = await services.profiles.profiles.find_by_tracker(dataset_ref, tracker)
    assert of_tracker is not None
    assert of_tracker.survivor.user_id == bob


async def test_a_tracker_of_another_organisation_is_ignored(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    other = (await services.setup.provisioning.create("other")).dataset_ref
    other_profile_id, tracker = await _temporary(services, other)
    await shop.tokens(
        await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    )
    view = await services.profiles.profiles.find_by_tracker(other, tracker)
    assert view is not None
    assert str(view.profile.profile_id) == other_profile_id
    assert view.survivor.user_id is None


async def test_registering_without_an_application_uses_no_tracker(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    """Without an application nothing proves that the link was opened in the browser of the tracker."""
    profile_id, tracker = await _temporary(services, dataset_ref)
    page = await visitor.open("accounts/register", anonymous_profile_tracker=tracker)
    answer = await visitor.follow(await visitor.register(EMAIL, page))
    assert "You are signed in" in answer.text
    assert EMAIL in answer.text
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id is None
    account = await services.directory.accounts.find_by_name(dataset_ref, EMAIL)
    own = await services.profiles.profiles.find_by_user(dataset_ref, str(account.user_id))
    assert own is not None
    assert own.survivor.record.values["identity_attributes"]["emailaddress"] == EMAIL


async def test_a_sign_in_while_the_service_is_disabled_changes_no_profile(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    await services.configurations.change(dataset_ref.dataset_id, lambda _: PutSettings(cds_enabled=False))
    page = await shop.registration(anonymous_profile_tracker=tracker)
    await shop.tokens(await visitor.register(EMAIL, page))
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id is None


async def test_a_tracker_in_a_link_has_no_effect_until_the_code_is_exchanged(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """An attacker sends a link with the tracker of another browser.

    The application did not start this sign-in: it has no `state` for it and does not exchange the code.
    """
    attackers_profile_id, tracker = await _temporary(services, dataset_ref)
    link = await shop.registration(anonymous_profile_tracker=tracker)
    redirect = await visitor.register(EMAIL, link)
    assert arrived(redirect)["code"]
    assert (await _profile(services, dataset_ref, attackers_profile_id)).survivor.user_id is None
    wrong = await shop.exchange(redirect, code_verifier="a" * 43)
    assert wrong.status_code == 400
    assert (await _profile(services, dataset_ref, attackers_profile_id)).survivor.user_id is None


async def test_a_code_that_is_sent_again_records_one_sign_in(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    _, tracker = await _temporary(services, dataset_ref)
    redirect = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    assert [(await shop.exchange(redirect)).status_code for _ in range(2)] == [200, 400]
    count = "select count(*) from log where dataset_id = $1 and kind = 'sign_in'"
    assert await services.database.fetchval(count, dataset_ref.dataset_id) == 1
