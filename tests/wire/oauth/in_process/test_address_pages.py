"""Verification of e-mail addresses: the mail, its link, the password, and “this was not me”.

Source: docs/guides/anonymous-to-registered.md, "Verified addresses".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from oneself.service.context import DatasetRef
from oneself.service.delivery.outbox import MailText
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from support.tunables import tuned
from support.visitor import PASSWORD, Application, Page, Visitor, claims_of, heading

EMAIL = "vera@acme.example"
STRANGERS_PASSWORD = "the stranger's own secret"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

NewVisitor = Callable[..., Visitor]


async def mails_of(services: Services, dataset_ref: DatasetRef) -> list[str]:
    """The texts in the development outbox, the newest first."""
    await services.directory.postman.deliver_due()
    letters = await services.directory.outbox.list_delivered(dataset_ref)
    return [letter.content.text for letter in letters if isinstance(letter.content, MailText)]


async def newest_link(services: Services, dataset_ref: DatasetRef) -> str:
    return link_in((await mails_of(services, dataset_ref))[0])


def link_in(text: str) -> str:
    found = re.search(r"^http\S+$", text, re.MULTILINE)
    assert found, text
    parts = urlsplit(found[0])
    return f"{parts.path}?{parts.query}"


async def is_verified(services: Services, dataset_ref: DatasetRef, password: str = PASSWORD) -> bool:
    account = await services.directory.accounts.authenticate(dataset_ref, EMAIL, password)
    return account is not None and "emailaddress" in account.verified


async def prove(visitor: Visitor, link: str, password: str = PASSWORD) -> httpx.Response:
    return await visitor.submit(await visitor.http.get(link), password=password)


async def withdraw(visitor: Visitor, link: str) -> httpx.Response:
    return await visitor.submit(await visitor.http.get(link), "withdraw")


async def test_the_link_and_the_password_prove_the_address(
    services: Services, dataset_ref: DatasetRef, shop: Application, visitor: Visitor
) -> None:
    visitor.http.headers["User-Agent"] = FIREFOX
    before = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    assert claims_of(before["id_token"])["email_verified"] is False

    link = await newest_link(services, dataset_ref)
    page = await visitor.http.get(link)
    assert page.status_code == 200
    assert EMAIL in page.text
    assert "Ann Archer" in page.text
    assert "Firefox on Linux" in page.text
    assert not await is_verified(services, dataset_ref)

    wrong = await prove(visitor, link, "not the password")
    assert wrong.status_code == 401
    assert Page(wrong.text).fields["password"]["aria-invalid"] == "true"
    assert not await is_verified(services, dataset_ref)

    proved = await prove(visitor, link)
    assert heading(proved) == "Your address is confirmed"
    after = await shop.tokens(await shop.authorize())
    assert claims_of(after["id_token"])["email_verified"] is True
    assert claims_of(after["id_token"])["sub"] == claims_of(before["id_token"])["sub"]


async def test_opening_the_link_proves_nothing_and_uses_nothing_up(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL)
    link, scanner = await newest_link(services, dataset_ref), new_visitor()
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        await scanner.http.request(method, link)
    assert not await is_verified(services, dataset_ref)
    assert heading(await prove(visitor, link)) == "Your address is confirmed"


async def test_a_record_with_the_address_is_hers_when_the_page_is_answered(
    services: Services, dataset_ref: DatasetRef, shop: Application, system: Application, visitor: Visitor
) -> None:
    scope = "internal_cds_profile_create internal_cds_unification_rule_create"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]

    async def create(path: str, document: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await visitor.http.post(visitor.at(f"cds/api/v1/{path}"), json=document, headers=headers)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    address = "identity_attributes.emailaddress"
    rule = {"rule_name": "address", "property_name": address, "priority": 1, "is_active": True}
    await create("unification-rules", rule)
    record = await create("profiles?tracker=false", {"identity_attributes": {"emailaddress": EMAIL}})
    tokens = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))

    async def record_is_hers() -> bool:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        me = (await visitor.http.get(visitor.at("cds/api/v1/profiles/Me"), headers=headers)).json()
        merged = [entry["profile_id"] for entry in me.get("merged_from", [])]
        return record["profile_id"] in (me["profile_id"], *merged)

    assert not await record_is_hers()
    await prove(visitor, await newest_link(services, dataset_ref))
    assert await record_is_hers()


async def test_somebody_who_registers_first_cannot_prove_the_address_of_another(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    stranger = new_visitor()
    await stranger.register(EMAIL, password=STRANGERS_PASSWORD)
    strangers_link = await newest_link(services, dataset_ref)
    # Vera opens the link in her mailbox and enters the password that she knows.
    assert (await prove(visitor, strangers_link)).status_code == 401
    assert not await is_verified(services, dataset_ref, STRANGERS_PASSWORD)

    await visitor.register(EMAIL)
    await prove(visitor, await newest_link(services, dataset_ref))
    assert await is_verified(services, dataset_ref)
    # From now on the address is hers: no sign-in and no older link of the stranger works.
    assert (await stranger.sign_in(EMAIL, STRANGERS_PASSWORD)).status_code == 401
    assert heading(await stranger.http.get(strangers_link)) == "This link was used already"


async def test_this_was_not_me_takes_the_address_from_the_account(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    stranger = new_visitor()
    await stranger.register(EMAIL, password=STRANGERS_PASSWORD)
    link = await newest_link(services, dataset_ref)
    assert heading(await withdraw(visitor, link)) == "Thank you"
    assert (await stranger.sign_in(EMAIL, STRANGERS_PASSWORD)).status_code == 401
    account = (await services.directory.accounts.list(dataset_ref))[0]
    assert "emailaddress" not in account.claims
    assert account.username == account.claims["username"] == str(account.user_id)
    # It still is an account, whose owner may have misspelled an address.
    assert (await stranger.sign_in(str(account.user_id), STRANGERS_PASSWORD)).status_code == 303
    assert heading(await visitor.http.get(link)) == "This link was used already"


async def test_a_link_works_once(services: Services, dataset_ref: DatasetRef, visitor: Visitor) -> None:
    await visitor.register(EMAIL)
    link = await newest_link(services, dataset_ref)
    page = await visitor.http.get(link)
    assert (await visitor.submit(page, password=PASSWORD)).status_code == 200
    again = await visitor.submit(page, password=PASSWORD)
    assert (again.status_code, heading(again)) == (410, "This link was used already")


@pytest.mark.parametrize("link", ["", "?link=", "?link=nonsense", "?link=" + "x" * 5000, "?link=%00"])
async def test_a_link_that_nobody_sent_is_explained(
    visitor: Visitor, dataset_ref: DatasetRef, link: str
) -> None:
    answer = await visitor.http.get(visitor.at("accounts/verify") + link)
    assert answer.status_code in (400, 404)
    assert heading(answer) == "This link does not work"


async def test_a_link_of_another_organisation_does_not_work(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await services.setup.provisioning.create("other", client_id="b", client_secret="another secret, long")
    await visitor.register(EMAIL)
    link = await newest_link(services, dataset_ref)
    answer = await visitor.http.get(link.replace("/t/acme/", "/t/other/"))
    assert (answer.status_code, heading(answer)) == (404, "This link does not work")


async def test_a_form_of_another_browser_is_rejected(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL)
    link, other = await newest_link(services, dataset_ref), new_visitor()
    foreign = Page((await other.http.get(link)).text)
    for action, fields in zip(foreign.actions, ({"password": PASSWORD}, {}), strict=True):
        answer = await visitor.http.post(action, data={"csrf": foreign.csrf, **fields})
        assert answer.status_code == 403
    assert not await is_verified(services, dataset_ref)
    assert await services.directory.accounts.authenticate(dataset_ref, EMAIL, PASSWORD)


async def test_whoever_is_signed_in_gets_another_mail(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    await visitor.register(EMAIL)
    account_page = await visitor.open("accounts")
    assert "not confirmed" in account_page.text
    sent = await visitor.submit(account_page)
    assert heading(sent) == "Look into your mailbox"
    first, second = [link_in(text) for text in await mails_of(services, dataset_ref)]
    assert first != second
    await prove(visitor, first)
    assert heading(await visitor.http.get(second)) == "This link was used already"
    assert "not confirmed" not in (await visitor.open("accounts")).text


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(recipient=AttemptLimit(2, 3600)))])
async def test_an_address_gets_few_mails_whoever_asks(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    for _ in range(4):
        assert (await new_visitor().register(EMAIL)).status_code == 303
    await visitor.register(EMAIL.upper())
    assert len(await mails_of(services, dataset_ref)) == 2
    refused = await visitor.submit(await visitor.open("accounts"))
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    # Other addresses get theirs.
    await new_visitor().register("ben@acme.example")
    assert len(await mails_of(services, dataset_ref)) == 3


async def test_a_mail_contains_nothing_that_a_stranger_typed(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor
) -> None:
    visitor.http.headers["User-Agent"] = "Buy-at-evil.example"
    await visitor.register(EMAIL, given_name="Visit", last_name="evil.example", mobile="+44 20 7946 0018")
    await services.directory.postman.deliver_due()
    (mail,) = await services.directory.outbox.list_delivered(dataset_ref)
    for text in (mail.content.subject, mail.content.text, mail.content.html):
        assert "evil" not in text
        assert "7946" not in text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "acme.example"},
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=192.0.2.7"},
        {"Host": "localhost.evil.example"},
        {"Host": ""},
    ],
)
async def test_the_outbox_is_for_this_machine(
    visitor: Visitor, dataset_ref: DatasetRef, headers: dict[str, str]
) -> None:
    await visitor.register(EMAIL)
    here = await visitor.open("accounts/outbox")
    assert (here.status_code, heading(here)) == (200, "Development outbox")
    answer = await visitor.http.get(visitor.at("accounts/outbox"), headers=headers)
    assert answer.status_code == 404
    assert "accounts/outbox" not in (await visitor.http.get(visitor.at("accounts"), headers=headers)).text


async def test_another_machine_does_not_see_the_outbox(app: Any, dataset_ref: DatasetRef) -> None:
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8700") as http:
        assert (await http.get("/t/acme/accounts/outbox")).status_code == 404


async def test_nobody_is_locked_out_by_strangers_who_guess(
    services: Services, dataset_ref: DatasetRef, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register(EMAIL)
    guesser = new_visitor()
    for _ in range(11):
        answer = await guesser.sign_in(EMAIL, "a wrong guess")
    assert answer.status_code == 429
    assert (await visitor.sign_in(EMAIL)).status_code == 303
    # The cookie counts for the account that was signed in to, and does not sign in.
    assert (await visitor.sign_in(EMAIL, "a wrong guess")).status_code == 401
    assert (await new_visitor().sign_in(EMAIL)).status_code == 429
