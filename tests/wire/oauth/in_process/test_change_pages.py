"""What people change of their own accounts with the password: password, mobile number, deletion.

Source: docs/guides/anonymous-to-registered.md, "Changes".
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from uuid import UUID

import pytest

from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account, Registration
from oneself.service.directory.address_proofs import Asker
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from support.tunables import tuned
from support.visitor import PASSWORD, Application, Page, Visitor, claims_of, heading
from wire.oauth.in_process.test_address_pages import link_in, mails_of, newest_link, prove

EMAIL, NEW_PASSWORD = "vera@acme.example", "another long password"
PAGES = ["accounts/password", "accounts/email", "accounts/mobile", "accounts/delete"]
ASKER = Asker("Firefox on Linux", "192.0.2.7")

NewVisitor = Callable[..., Visitor]


async def change_password(visitor: Visitor, new: str = NEW_PASSWORD, current: str = PASSWORD) -> str:
    page = await visitor.open("accounts/password")
    answer = await visitor.submit(page, password=current, new_password=new)
    return f"{answer.status_code} {heading(answer)}"


async def is_signed_in(visitor: Visitor) -> bool:
    return heading(await visitor.open("accounts")) == "You are signed in"


async def verified(services: Services, dataset_ref: DatasetRef, visitor: Visitor) -> None:
    """Register the visitor, who proves the address."""
    await visitor.register(EMAIL)
    await prove(visitor, await newest_link(services, dataset_ref))


async def subjects_of(services: Services, dataset_ref: DatasetRef) -> list[str]:
    await services.directory.postman.deliver_due()
    mails = await services.directory.outbox.list_delivered(dataset_ref)
    return [f"{mail.recipient}: {mail.content.subject}" for mail in mails]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_is_for_whoever_is_signed_in(
    visitor: Visitor, dataset_ref: DatasetRef, path: str
) -> None:
    for answer in (await visitor.open(path), await visitor.http.post(visitor.at(path))):
        assert (answer.status_code, answer.headers["location"]) == (303, "/t/acme/accounts/login")


@pytest.mark.parametrize("path", PAGES)
async def test_the_account_page_leads_to_each_page_and_back(
    visitor: Visitor, dataset_ref: DatasetRef, path: str
) -> None:
    await visitor.register(EMAIL)
    assert visitor.at(path) in Page((await visitor.open("accounts")).text).links
    answer = await visitor.open(path)
    page = Page(answer.text)
    assert page.links == [visitor.at("accounts")]
    visible = {name: field for name, field in page.fields.items() if field["type"] != "hidden"}
    assert set(visible) == page.labels
    assert all(field["autocomplete"] for field in visible.values())
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert not page.inline


@pytest.mark.parametrize("path", PAGES)
async def test_a_form_of_another_browser_changes_nothing(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor, path: str
) -> None:
    await visitor.register(EMAIL)
    other = new_visitor()
    await other.register("ben@acme.example")
    csrf = Page((await other.open(path)).text).csrf
    form = {"csrf": csrf, "password": PASSWORD, "new_password": NEW_PASSWORD, "email": "new@acme.example"}
    answer = await visitor.http.post(visitor.at(path), data=form)
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text
    assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, PASSWORD)
    assert len(await mails_of(services, dataset_ref)) == 2


@pytest.mark.parametrize("path", PAGES)
async def test_a_wrong_password_is_an_error_at_its_field_and_keeps_what_was_typed(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, path: str
) -> None:
    await visitor.register(EMAIL)
    typed = {"email": "new@acme.example", "mobile": "+44 20 7946 0018"}
    answer = await visitor.submit(
        await visitor.open(path), password="not the password", new_password=NEW_PASSWORD, **typed
    )
    page = Page(answer.text)
    assert answer.status_code == 401
    assert page.fields["password"]["aria-invalid"] == "true"
    assert all(field["value"] == "" for field in page.fields.values() if field["type"] == "password")
    assert NEW_PASSWORD not in answer.text
    for name, value in typed.items():
        if name in page.labels:
            assert page.fields[name]["value"] == value
    assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, PASSWORD)
    assert len(await mails_of(services, dataset_ref)) == 1


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(account=AttemptLimit(2, 900)))])
@pytest.mark.parametrize("path", PAGES)
async def test_wrong_passwords_are_limited_as_those_of_sign_ins(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor, path: str
) -> None:
    await visitor.register(EMAIL)
    forms = {"new_password": NEW_PASSWORD, "email": "new@acme.example"}
    # Strangers who guess at the sign-in, and what is invalid for another reason, use up nothing.
    for _ in range(3):
        await new_visitor().sign_in(EMAIL, "a guess")
        invalid = {"new_password": "short", "email": "new@", "mobile": "call me"}
        if path != "accounts/delete":
            answer = await visitor.submit(await visitor.open(path), password=PASSWORD, **invalid)
            assert answer.status_code == 400
    for _ in range(2):
        answer = await visitor.submit(await visitor.open(path), password="a guess", **forms)
        assert answer.status_code == 401
    limited = await visitor.submit(await visitor.open(path), password=PASSWORD, **forms)
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0
    assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, PASSWORD)


async def test_a_new_password_signs_out_everybody_but_this_browser(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    scope = "openid offline_access"
    tokens = await shop.tokens(await visitor.register(EMAIL, await shop.registration(scope=scope)))
    elsewhere = new_visitor()
    await elsewhere.sign_in(EMAIL)
    before = visitor.http.cookies["oneself_session"]

    assert await change_password(visitor) == "200 Your password is changed"
    assert await is_signed_in(visitor)
    assert visitor.http.cookies["oneself_session"] != before
    assert not await is_signed_in(elsewhere)
    assert (await shop.refresh(tokens["refresh_token"])).status_code == 400
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert (await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)).status_code == 401
    visitor.http.cookies.set("oneself_session", before)
    assert not await is_signed_in(visitor)
    assert (await elsewhere.sign_in(EMAIL)).status_code == 401
    assert (await elsewhere.sign_in(EMAIL, NEW_PASSWORD)).status_code == 303


async def test_the_address_is_told_without_a_link_that_acts(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    await change_password(visitor)
    notice = (await mails_of(services, dataset_ref))[0]
    assert "password of your account" in notice
    assert NEW_PASSWORD not in notice
    assert link_in(notice).startswith("/t/acme/accounts/recover")
    assert "link=" not in notice


@pytest.mark.parametrize("new", ["short", "password123", EMAIL.upper(), "x" * 2000])
async def test_a_new_password_has_to_be_a_good_one(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new: str
) -> None:
    await visitor.register(EMAIL)
    answer = await visitor.submit(
        await visitor.open("accounts/password"), password=PASSWORD, new_password=new
    )
    assert answer.status_code == 400
    assert Page(answer.text).fields["new_password"]["aria-invalid"] == "true"
    assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, PASSWORD)


async def test_of_two_changes_at_once_the_second_finds_its_password_wrong(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    account = (await services.directory.accounts.list(dataset_ref))[0]
    changes = services.directory.account_changes
    outcomes = await asyncio.gather(
        *(
            changes.change_password(dataset_ref, account, PASSWORD, f"password {n} of six", ASKER)
            for n in range(6)
        )
    )
    assert sum(outcome is not None for outcome in outcomes) == 1


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(recipient=AttemptLimit(2, 3600)))])
async def test_a_verified_address_gets_few_notices_because_few_changes_are_accepted(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await verified(services, dataset_ref, visitor)
    # A stranger who registers with the address uses up nothing of this.
    stranger, strangers = (
        new_visitor(),
        ["the stranger's own", "the stranger's second", "the stranger's third"],
    )
    await stranger.register(EMAIL, password=strangers[0])
    for current, new in itertools.pairwise(strangers):
        assert await change_password(stranger, new, current) == "200 Your password is changed"
    for current, new in ((PASSWORD, "password number 1"), ("password number 1", "password number 2")):
        assert await change_password(visitor, new, current) == "200 Your password is changed"
    assert (await change_password(visitor, PASSWORD, "password number 2")).startswith("429")
    assert await is_signed_in(visitor)


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(recipient=AttemptLimit(2, 3600)))])
async def test_changes_that_arrive_together_send_no_more_notices_than_others(
    services: Services, dataset_ref: DatasetRef
) -> None:
    """Several accounts have an address that nobody has verified: it may be a stranger's."""
    directory = services.directory
    registered = [
        await directory.accounts.register(
            dataset_ref, Registration(EMAIL, f"{PASSWORD} {n}", "Vera", "Vance")
        )
        for n in range(5)
    ]
    changed = await asyncio.gather(
        *(
            directory.account_changes.change_password(
                dataset_ref, account, f"{PASSWORD} {n}", f"{NEW_PASSWORD} {n}", ASKER
            )
            for n, account in enumerate(registered)
        )
    )
    assert changed == registered
    assert await subjects_of(services, dataset_ref) == [f"{EMAIL}: Your password at acme was changed"] * 2


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(recipient=AttemptLimit(2, 3600)))])
async def test_a_change_that_fails_uses_up_no_notice(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await verified(services, dataset_ref, visitor)
    account = (await services.directory.accounts.list(dataset_ref))[0]
    changes = services.directory.account_changes
    asked = [
        changes.change_password(dataset_ref, account, PASSWORD, f"number {n} of two", ASKER) for n in (1, 2)
    ]
    assert sorted(outcome is None for outcome in await asyncio.gather(*asked)) == [False, True]
    known = "number 1 of two"
    if not await services.directory.accounts.is_password(dataset_ref, account.user_id, known):
        known = "number 2 of two"
    assert isinstance(
        await changes.change_password(dataset_ref, account, known, "the second change", ASKER), Account
    )
    refused = await changes.change_password(dataset_ref, account, "the second change", "the third", ASKER)
    assert isinstance(refused, int)


async def test_another_mobile_number_is_not_verified(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL, mobile="+44 20 7946 0018")
    account = (await services.directory.accounts.list(dataset_ref))[0]
    await services.directory.users.change(dataset_ref, Actor("admin"), account.user_id, {}, {"mobile": True})
    page = await visitor.open("accounts/mobile")
    assert Page(page.text).fields["mobile"]["value"] == "+44 20 7946 0018"
    changed = await visitor.submit(page, password=PASSWORD, mobile=" +44 20 7946 0019 ")
    assert heading(changed) == "Your mobile number is changed"
    after = await services.directory.users.get(dataset_ref, account.user_id)
    assert (after.claims["mobile"], after.verified) == ("+44 20 7946 0019", {})
    view = await services.profiles.profiles.find_own(dataset_ref, str(account.user_id))
    assert view is not None
    assert view.survivor.record.values["identity_attributes"]["mobile"] == "+44 20 7946 0019"

    wrong = await visitor.submit(await visitor.open("accounts/mobile"), password=PASSWORD, mobile="call me")
    assert (wrong.status_code, Page(wrong.text).fields["mobile"]["value"]) == (400, "call me")
    removed = await visitor.submit(await visitor.open("accounts/mobile"), password=PASSWORD, mobile="")
    assert "no mobile number" in removed.text
    assert await is_signed_in(visitor)


async def test_a_deleted_account_is_erased_signed_out_and_gets_a_receipt(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await verified(services, dataset_ref, visitor)
    user_id = (await services.directory.accounts.list(dataset_ref))[0].user_id
    assert await services.profiles.profiles.find_own(dataset_ref, str(user_id))
    deleted = await visitor.submit(await visitor.open("accounts/delete"), password=PASSWORD)
    assert (deleted.status_code, heading(deleted)) == (200, "Your account is deleted")
    assert await services.profiles.profiles.find_own(dataset_ref, str(user_id)) is None
    assert await services.directory.accounts.list(dataset_ref) == []
    assert not await is_signed_in(visitor)
    assert (await new_visitor().sign_in(EMAIL)).status_code == 401

    assert await subjects_of(services, dataset_ref) == [f"{EMAIL}: Your account at acme was deleted"]
    receipt = (await mails_of(services, dataset_ref))[0]
    found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", receipt)
    assert found
    assert found[0] in deleted.text
    assert await services.privacy.erasure.find_receipt(dataset_ref, UUID(found[0]))
    assert "http" not in receipt


async def test_an_address_that_nobody_proved_gets_no_receipt(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    deleted = await visitor.submit(await visitor.open("accounts/delete"), password=PASSWORD)
    assert "Receipt" in deleted.text
    # The mail with the link of its registration went with the account.
    assert await subjects_of(services, dataset_ref) == []


async def test_what_a_browser_said_before_the_sign_in_is_erased_too(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, system: Application
) -> None:
    scope = "internal_cds_profile_create internal_cds_profile_view"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    created = await visitor.http.post(visitor.at("cds/api/v1/profiles"), json={}, headers=headers)
    tokens = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    profile = visitor.at(f"cds/api/v1/profiles/{created.json()['profile_id']}")
    assert (await visitor.http.get(profile, headers=headers)).status_code == 200
    await visitor.submit(await visitor.open("accounts/delete"), password=PASSWORD)
    assert (await visitor.http.get(profile, headers=headers)).status_code == 404
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert claims_of(tokens["access_token"])["sub"]
    assert (await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)).status_code == 401
