"""Forgotten passwords: a mail, its link, and a new password or a new account.

Source: docs/guides/anonymous-to-registered.md, "Forgotten passwords".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from oneself.service.context import DatasetRef
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.service.log.verify import verify
from oneself.services import Services
from support.tunables import tuned
from support.visitor import PASSWORD, Application, Page, Visitor, claims_of, heading
from wire.oauth.in_process.test_address_pages import link_in, mails_of, newest_link, prove

EMAIL = "vera@acme.example"
STRANGERS_PASSWORD = "the stranger's own secret"
NEW_PASSWORD = "another password, as long"
SCOPE = "openid email offline_access"

NewVisitor = Callable[..., Visitor]


async def ask(visitor: Visitor, email: str = EMAIL) -> httpx.Response:
    return await visitor.submit(await visitor.open("accounts/recover"), email=email)


async def registered(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, email: str = EMAIL
) -> None:
    """Register and prove the address."""
    await visitor.register(email)
    await prove(visitor, await newest_link(services, dataset_ref))


async def recovery_link(services: Services, dataset_ref: DatasetRef, visitor: Visitor) -> str:
    await ask(visitor)
    return await newest_link(services, dataset_ref)


async def test_a_proved_account_gets_a_new_password_and_keeps_its_user_id(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    before = await shop.tokens(await visitor.register(EMAIL, await shop.registration(scope=SCOPE)))
    await prove(visitor, await newest_link(services, dataset_ref))
    phone = new_visitor()
    link = await recovery_link(services, dataset_ref, phone)
    page = await phone.http.get(link)
    assert heading(page) == "Choose a new password"
    assert EMAIL in page.text

    short = await phone.submit(page, password="short")
    assert (short.status_code, Page(short.text).fields["password"]["aria-invalid"]) == (400, "true")
    done = await phone.submit(page, password=NEW_PASSWORD)
    assert heading(done) == "Your password is changed"
    assert (await phone.sign_in(EMAIL, PASSWORD)).status_code == 401
    assert (await phone.sign_in(EMAIL, NEW_PASSWORD)).status_code == 303

    # Sessions, grants and tokens from before have ended.
    assert (await visitor.open("accounts")).headers["location"].endswith("/accounts/login")
    assert (await shop.refresh(before["refresh_token"])).status_code == 400
    headers = {"Authorization": f"Bearer {before['access_token']}"}
    me = await visitor.http.get(visitor.at("cds/api/v1/profiles/Me"), headers=headers)
    assert me.status_code == 401
    await visitor.sign_in(EMAIL, NEW_PASSWORD)
    after = await shop.tokens(await shop.authorize())
    assert claims_of(after["id_token"])["sub"] == claims_of(before["id_token"])["sub"]
    assert any("was changed" in text for text in await mails_of(services, dataset_ref))


async def test_nothing_tells_whether_an_account_exists(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await registered(services, dataset_ref, visitor)
    await new_visitor().register("ben@acme.example")
    await mails_of(services, dataset_ref)
    answers = {}
    for email in (EMAIL, "ben@acme.example", "nobody@acme.example"):
        answer = await ask(new_visitor(), email)
        answers[answer.status_code, answer.text.replace(email, "")] = email
    assert len(answers) == 1
    # The request stores the same for each; only what is sent afterwards differs.
    waiting = "SELECT kind, user_id IS NULL, content IS NULL FROM delivery WHERE delivered_at IS NULL"
    rows = await services.database.fetch(waiting)
    assert [tuple(row) for row in rows] == [("recovery", True, True)] * 3
    texts = await mails_of(services, dataset_ref)
    assert sum("forgot the password" in text for text in texts) == 2


async def test_whoever_has_none_of_the_accounts_begins_with_a_new_one(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    stranger = new_visitor()
    await stranger.register(EMAIL, password=STRANGERS_PASSWORD)
    stranger_id = (await services.directory.accounts.list(dataset_ref))[0].user_id
    link = await recovery_link(services, dataset_ref, visitor)
    page = await visitor.http.get(link)
    assert heading(page) == "Whose account is it?"
    undecided = await visitor.submit(page, password=PASSWORD, given_name="Vera", last_name="Archer")
    assert (undecided.status_code, "#account" in Page(undecided.text).links) == (400, True)
    incomplete = await visitor.submit(
        page, account="none", password=PASSWORD, given_name="Vera", last_name=""
    )
    assert Page(incomplete.text).fields["last_name"]["aria-invalid"] == "true"
    assert Page(incomplete.text).fields["given_name"]["value"] == "Vera"
    vera = {"password": PASSWORD, "given_name": "Vera", "last_name": "Archer"}
    done = await visitor.submit(page, account="none", **vera)
    assert heading(done) == "Your account is ready"

    assert (await stranger.sign_in(EMAIL, STRANGERS_PASSWORD)).status_code == 401
    await visitor.sign_in(EMAIL)
    claims = claims_of((await shop.tokens(await shop.authorize(scope=SCOPE)))["id_token"])
    assert (claims["email_verified"], claims["sub"] == str(stranger_id)) == (True, False)
    await assert_has_no_address(services, dataset_ref, stranger_id)


async def test_a_link_ends_when_somebody_proves_the_address(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    verification = await newest_link(services, dataset_ref)
    recovery = await recovery_link(services, dataset_ref, visitor)
    await prove(visitor, verification)
    assert heading(await visitor.http.get(recovery)) == "This link is for another address"


async def test_every_link_of_an_account_ends_with_the_first(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await registered(services, dataset_ref, visitor)
    first, second = [await recovery_link(services, dataset_ref, visitor) for _ in range(2)]
    await visitor.submit(await visitor.http.get(second), password=NEW_PASSWORD)
    for link in (first, second):
        answer = await visitor.http.get(link)
        assert (answer.status_code, heading(answer)) == (410, "This link was used already")
    assert (await visitor.sign_in(EMAIL, NEW_PASSWORD)).status_code == 303


async def test_a_link_for_one_thing_does_not_do_another(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    verification = await newest_link(services, dataset_ref)
    misused = verification.replace("accounts/verify", "accounts/recover/link")
    assert (await visitor.http.get(misused)).status_code == 404
    await prove(visitor, verification)
    recovery = await recovery_link(services, dataset_ref, visitor)
    misused = recovery.replace("accounts/recover/link", "accounts/verify")
    assert (await visitor.http.get(misused)).status_code == 404


async def test_a_mailbox_whose_address_looks_the_same_gets_no_mail(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """Case folding makes faß.de and fass.de equal; they are different domains."""
    await registered(services, dataset_ref, visitor, "vera@fass.de")
    other = new_visitor()
    await ask(other, "vera@faß.de")
    assert not any("forgot" in text for text in await mails_of(services, dataset_ref))
    await other.register("vera@faß.de", password=STRANGERS_PASSWORD)
    await prove(other, await newest_link(services, dataset_ref), STRANGERS_PASSWORD)
    assert (await visitor.sign_in("vera@fass.de")).status_code == 303
    account = await services.directory.accounts.authenticate(dataset_ref, "vera@fass.de", PASSWORD)
    assert account is not None
    assert "emailaddress" in account.verified


async def test_the_mail_goes_to_the_address_that_the_account_has(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await registered(services, dataset_ref, visitor)
    await ask(visitor, "VERA@acme.example")
    await services.directory.postman.deliver_due()
    mail = (await services.directory.outbox.list_delivered(dataset_ref))[0]
    assert mail.recipient == EMAIL


@pytest.mark.parametrize("email", ["", "vera", "vera@", "vera@acme.example\r\nBcc: x@y.example", "x" * 300])
async def test_an_invalid_address_is_an_error_at_its_field(
    visitor: Visitor, dataset_ref: DatasetRef, email: str
) -> None:
    answer = await ask(visitor, email)
    assert answer.status_code == 400
    assert Page(answer.text).fields["email"]["aria-invalid"] == "true"


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(mail_sender=AttemptLimit(2, 3600)))])
async def test_one_network_does_not_send_many_mails(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, app: Any
) -> None:
    for number in range(2):
        assert (await ask(visitor, f"{number}@acme.example")).status_code == 200
    limited = await ask(visitor, "3@acme.example")
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 4711))
    elsewhere = Visitor(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8700") as elsewhere.http:
        assert (await ask(elsewhere, EMAIL)).status_code == 200


async def test_the_sign_in_page_leads_there_and_back_with_the_request_of_the_application(
    shop: Application, visitor: Visitor
) -> None:
    login = await shop.authorize()
    link = next(link for link in Page(login.text).links if "recover" in link)
    page = await visitor.http.get(link)
    back = next(link for link in Page(page.text).links if "login" in link)
    assert "client_id=" in back
    assert heading(await visitor.http.get(back)) == heading(login)


async def test_the_links_in_the_mails_differ(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    for _ in range(3):
        await ask(visitor)
    links = [link_in(text) for text in await mails_of(services, dataset_ref)]
    assert len(set(links)) == len(links) == 4


async def test_an_account_that_nobody_proved_is_handed_over_without_what_it_said(
    services: Services,
    dataset_ref: DatasetRef,
    shop: Application,
    system: Application,
    visitor: Visitor,
    new_visitor: NewVisitor,
) -> None:
    """A stranger registers with Vera's address, plants values, and waits. She says the account is hers."""
    names = ("plan", "street", "orders")
    every = " ".join(
        f"internal_cds_{name}"
        for name in (
            "profile_create",
            "profile_update",
            "profile_view",
            "profile_view_all",
            "profile_schema_create",
        )
    )
    token = (await system.token(grant_type="client_credentials", scope=every)).json()["access_token"]

    async def call(method: str, path: str, body: Any = None, bearer: str = token, **headers: str) -> Any:
        headers = {"Authorization": f"Bearer {bearer}", **headers}
        url = visitor.at(f"cds/api/v1/{path}")
        answer = await visitor.http.request(method, url, json=body, headers=headers)
        return answer if answer.status_code >= 400 else answer.json()

    fixed = {"value_type": "string", "merge_strategy": "overwrite", "mutability": "readWrite"}
    await call("POST", "profile-schema/traits", [{"attribute_name": f"traits.{n}", **fixed} for n in names])
    begun = await call("POST", "profiles", {"traits": {"plan": "the stranger's"}})
    tracker = begun["anonymous_profile_tracker"]
    scope = f"{SCOPE} internal_cds_profile_view internal_cds_profile_update"
    page = await shop.registration(scope=scope, anonymous_profile_tracker=tracker)
    before = await shop.tokens(await visitor.register(EMAIL, page, mobile="+44 20 7946 0018"))
    user_id = claims_of(before["id_token"])["sub"]
    await call("PATCH", "profiles/Me", {"traits": {"street": "the stranger's"}}, before["access_token"])
    await call("PATCH", f"profiles/{begun['profile_id']}", {"traits": {"orders": "one"}})

    vera = new_visitor()
    link = await recovery_link(services, dataset_ref, vera)
    fields = {"password": NEW_PASSWORD, "given_name": "Vera", "last_name": "Archer"}
    done = await vera.submit(await vera.http.get(link), account=user_id, **fields)
    assert heading(done) == "Your account is ready"

    # Nobody who used the account before is in it.
    assert (await visitor.open("accounts")).status_code == 303
    assert (await shop.refresh(before["refresh_token"])).status_code == 400
    assert (await call("GET", "profiles/Me", bearer=before["access_token"])).status_code == 401
    assert (await visitor.sign_in(EMAIL, PASSWORD)).status_code == 401
    again = await call("POST", "profiles", {}, Cookie=f"cds_profile={tracker}")
    assert "user_id" not in again
    assert again["profile_id"] != begun["profile_id"]

    # She has the account, and what servers said of it.
    shop.visitor = vera
    await vera.sign_in(EMAIL, NEW_PASSWORD)
    after = await shop.tokens(await shop.authorize(scope=scope))
    assert claims_of(after["id_token"])["sub"] == user_id
    me = await call("GET", "profiles/Me", bearer=after["access_token"])
    for view in ("own", "proven", "all"):
        seen = await call("GET", f"profiles/{me['profile_id']}?view={view}")
        assert seen["traits"] == {"orders": "one"}, view
        assert (seen["user_id"], seen["identity_attributes"]["givenname"]) == (user_id, "Vera"), view
        assert "mobile" not in seen["identity_attributes"], view
    for old in (link, link.replace("recover/link", "verify")):
        assert (await vera.http.get(old)).status_code in (404, 410)
    report = await verify(services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def test_the_other_accounts_lose_the_address(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await shop.tokens(await visitor.register(EMAIL, await shop.registration(scope=SCOPE), password=PASSWORD))
    other_id = (await services.directory.accounts.list(dataset_ref))[0].user_id
    await new_visitor().register(EMAIL, password=STRANGERS_PASSWORD)
    ids = {account.user_id for account in await services.directory.accounts.list(dataset_ref)}
    (hers,) = ids - {other_id}
    vera = new_visitor()
    page = await vera.http.get(await recovery_link(services, dataset_ref, vera))
    fields = {"password": NEW_PASSWORD, "given_name": "Vera", "last_name": "Archer"}
    assert heading(await vera.submit(page, account=str(hers), **fields)) == "Your account is ready"

    await assert_has_no_address(services, dataset_ref, other_id)
    assert EMAIL not in (await visitor.open("accounts")).text
    assert (await new_visitor().sign_in(str(other_id), PASSWORD)).status_code == 303
    assert (await new_visitor().sign_in(EMAIL, NEW_PASSWORD)).status_code == 303


async def assert_has_no_address(services: Services, dataset_ref: DatasetRef, user_id: UUID) -> None:
    """Neither the account nor the profile of a user has an e-mail address."""
    account = await services.directory.accounts.find(dataset_ref, user_id)
    assert account is not None
    assert (account.username, account.claims.get("emailaddress")) == (str(user_id), None)
    view = await services.profiles.profiles.find_own(dataset_ref, str(user_id))
    assert view is None or EMAIL not in repr(view.survivor.record)


async def test_only_an_account_with_the_address_is_handed_over(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL)
    await new_visitor().register("ben@acme.example")
    ben = await services.directory.accounts.find_by_name(dataset_ref, "ben@acme.example")
    page = await visitor.http.get(await recovery_link(services, dataset_ref, visitor))
    fields = {"password": NEW_PASSWORD, "given_name": "Vera", "last_name": "Archer"}
    for choice in (str(ben.user_id), "", "nonsense"):
        assert (await visitor.submit(page, account=choice, **fields)).status_code == 400
    assert (await new_visitor().sign_in("ben@acme.example", PASSWORD)).status_code == 303
