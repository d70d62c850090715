"""What signing in does to profiles: the story of the seed, at the authorization server's door."""

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
from oneself.service.profiles.profiles import ProfileView, new_tracker
from oneself.services import Services
from oneself.store.database import Database
from support.visitor import Application, Visitor, arrived, claims_of

pytestmark = pytest.mark.postgres

EMAIL = "ann@acme.example"
NewVisitor = Callable[..., Visitor]


async def _temporary(services: Services, dataset_ref: DatasetRef) -> tuple[str, str]:
    """A temporary profile as POST /profiles makes it: its id and its tracker."""
    tracker = new_tracker()
    made = await services.profiles.profiles.create(
        dataset_ref, Actor("cds", "acme-backend"), {}, tracker=tracker
    )
    return str(made.profile.profile_id), tracker


async def _profile(services: Services, dataset_ref: DatasetRef, profile_id: str) -> ProfileView:
    view = await services.profiles.profiles.find(dataset_ref, UUID(profile_id))
    assert view is not None
    return view


async def _user_id(shop: Application, answer: object) -> str:
    tokens = await shop.tokens(answer)  # type: ignore[arg-type]
    return str(claims_of(tokens["access_token"])["sub"])


@pytest.mark.parametrize("way", ["parameter", "cookie"])
async def test_the_temporary_profile_of_a_new_person_becomes_theirs(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, way: str
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    if way == "cookie":
        visitor.http.cookies.set("cds_profile", tracker)
    passed = {"anonymous_profile_tracker": tracker} if way == "parameter" else {}
    sent_back = await visitor.register(EMAIL, await shop.registration(**passed), mobile="+44 20 7946 0958")
    user_id = await _user_id(shop, sent_back)
    # Everything is there before the tokens are: nobody has to wait.
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


async def test_a_returning_persons_temporary_profile_is_absorbed(
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


async def test_a_sign_in_reads_configuration_and_tracker_once(
    services: Services, dataset_ref: DatasetRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    connection, opened = Database.connection, 0

    @asynccontextmanager
    async def counted(self: Database) -> AsyncIterator[Any]:
        nonlocal opened
        opened += 1
        async with connection(self) as open_connection:
            yield open_connection

    monkeypatch.setattr(Database, "connection", counted)
    account = Account(uuid.uuid4(), EMAIL, {"username": EMAIL})
    await services.directory.sign_ins.record_sign_in(dataset_ref, None, account, [tracker])
    assert opened == 2
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id == str(account.user_id)


async def test_single_sign_on_counts_as_a_sign_in(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    permanent, tracker = await _temporary(services, dataset_ref)
    await shop.tokens(
        await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    )
    temporary, second = await _temporary(services, dataset_ref)
    await shop.tokens(await visitor.open("oauth2/authorize", **shop.query(anonymous_profile_tracker=second)))
    assert str((await _profile(services, dataset_ref, temporary)).survivor.profile_id) == permanent


async def test_the_cookie_goes_before_the_parameter(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    by_cookie, cookie = await _temporary(services, dataset_ref)
    by_parameter, parameter = await _temporary(services, dataset_ref)
    visitor.http.cookies.set("cds_profile", cookie)
    sent_back = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=parameter))
    await shop.tokens(sent_back)
    assert (await _profile(services, dataset_ref, by_cookie)).survivor.user_id
    assert (await _profile(services, dataset_ref, by_parameter)).survivor.user_id is None


@pytest.mark.parametrize("cookie", ["unknown", "x" * 5000, "%00", "-"])
async def test_an_unknown_cookie_does_not_hide_the_parameter(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, cookie: str
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    page = await shop.registration(anonymous_profile_tracker=tracker)
    visitor.http.cookies.set("cds_profile", cookie)
    await shop.tokens(await visitor.register(EMAIL, page))
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id


async def test_a_second_person_on_the_same_browser_leaves_the_first_one_alone(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    first, tracker = await _temporary(services, dataset_ref)
    sent_back = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    ann = await _user_id(shop, sent_back)
    before = await _profile(services, dataset_ref, first)
    page = await shop.authorize(prompt="create", anonymous_profile_tracker=tracker)
    bob = await _user_id(shop, await visitor.register("bob@acme.example", page, given_name="Bob"))
    after = await _profile(services, dataset_ref, first)
    assert after.survivor.user_id == ann
    assert after.survivor.record == before.survivor.record
    theirs = await services.profiles.profiles.find_by_tracker(dataset_ref, tracker)
    assert theirs is not None
    assert theirs.survivor.user_id == bob


async def test_a_tracker_of_another_organisation_is_ignored(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    other = (await services.setup.provisioning.create("other")).dataset_ref
    foreign, tracker = await _temporary(services, other)
    await shop.tokens(
        await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    )
    view = await services.profiles.profiles.find_by_tracker(other, tracker)
    assert view is not None
    assert str(view.profile.profile_id) == foreign
    assert view.survivor.user_id is None


async def test_registering_without_an_application_uses_no_tracker(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    """Nobody has checked that the browser which opened the link is the one that it was made for."""
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


async def test_a_sign_in_before_activation_changes_no_profile(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    profile_id, tracker = await _temporary(services, dataset_ref)
    await services.configurations.change(dataset_ref.dataset_id, lambda _: PutSettings(cds_enabled=False))
    page = await shop.registration(anonymous_profile_tracker=tracker)
    await shop.tokens(await visitor.register(EMAIL, page))
    assert (await _profile(services, dataset_ref, profile_id)).survivor.user_id is None


async def test_a_planted_tracker_does_nothing_until_the_application_redeems_the_code(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """A stranger sends Ann a link with the tracker of his own browser.

    The application did not begin this sign-in: it has no `state` for it and redeems nothing.
    """
    planted, tracker = await _temporary(services, dataset_ref)
    link = await shop.registration(anonymous_profile_tracker=tracker)
    sent_back = await visitor.register(EMAIL, link)
    assert arrived(sent_back)["code"]
    assert (await _profile(services, dataset_ref, planted)).survivor.user_id is None
    wrong = await shop.exchange(sent_back, code_verifier="a" * 43)
    assert wrong.status_code == 400
    assert (await _profile(services, dataset_ref, planted)).survivor.user_id is None


async def test_a_code_that_is_sent_again_records_one_sign_in(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    _, tracker = await _temporary(services, dataset_ref)
    sent_back = await visitor.register(EMAIL, await shop.registration(anonymous_profile_tracker=tracker))
    assert [(await shop.exchange(sent_back)).status_code for _ in range(2)] == [200, 400]
    count = "select count(*) from log where dataset_id = $1 and kind = 'sign_in'"
    assert await services.database.fetchval(count, dataset_ref.dataset_id) == 1
