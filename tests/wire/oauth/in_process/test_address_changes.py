"""Another e-mail address: proved by its mailbox and the password, and taken back by the former mailbox.

Source: docs/decisions/0036-a-changed-address-can-be-taken-back.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Account
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from support.tunables import tuned
from support.visitor import PASSWORD, Application, Page, Visitor, claims_of, heading
from wire.oauth.in_process.test_address_pages import link_in, mails_of, prove

OLD, NEW, OTHER = "vera@acme.example", "vera@new.example", "vera@other.example"
NEW_PASSWORD = "another long password"

NewVisitor = Callable[..., Visitor]


class Story:
    """The mails and accounts of one test."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self.services, self.dataset_ref = services, dataset_ref

    async def mails(self) -> list[tuple[str, str]]:
        """Recipients and texts, the newest first."""
        await self.services.directory.postman.deliver_due()
        mails = await self.services.directory.outbox.list_delivered(self.dataset_ref)
        return [(mail.recipient, mail.content.text) for mail in mails]

    async def link_to(self, address: str) -> str:
        """The link of the newest mail to an address."""
        return link_in(next(text for recipient, text in await self.mails() if recipient == address))

    async def signs_in(self, address: str, password: str = PASSWORD) -> Account | None:
        accounts = self.services.directory.accounts
        return await accounts.authenticate(self.dataset_ref, address, password)

    async def is_of(self, address: str, password: str = PASSWORD) -> bool:
        """Whether somebody signs in with an address that is verified."""
        account = await self.signs_in(address, password)
        return account is not None and "emailaddress" in account.verified

    async def registered(self, visitor: Visitor, address: str = OLD, password: str = PASSWORD) -> None:
        """Register somebody who proves the address."""
        await visitor.register(address, password=password)
        await prove(visitor, await self.link_to(address), password)

    async def changed(self, visitor: Visitor, address: str = NEW, password: str = PASSWORD) -> httpx.Response:
        """Change the address of whoever is signed in."""
        await ask(visitor, address, password)
        return await prove(visitor, await self.link_to(address), password)


@pytest.fixture
def story(services: Services, dataset_ref: DatasetRef) -> Story:
    return Story(services, dataset_ref)


async def ask(visitor: Visitor, address: str = NEW, password: str = PASSWORD) -> httpx.Response:
    return await visitor.submit(await visitor.open("accounts/email"), email=address, password=password)


async def take_back(visitor: Visitor, link: str, password: str = NEW_PASSWORD) -> httpx.Response:
    return await visitor.submit(await visitor.http.get(link), password=password)


async def is_signed_in(visitor: Visitor) -> bool:
    return heading(await visitor.open("accounts")) == "You are signed in"


async def test_nothing_changes_before_the_new_address_is_proved_with_the_password(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    assert heading(await ask(visitor)) == "Look into your new mailbox"
    link, scanner = await story.link_to(NEW), new_visitor()
    for method in ("GET", "HEAD", "GET", "OPTIONS"):
        await scanner.http.request(method, link)
    page = await visitor.http.get(link)
    assert NEW in page.text
    assert "Ann Archer" in page.text
    wrong = await prove(visitor, link, "not the password")
    assert (wrong.status_code, Page(wrong.text).fields["password"]["aria-invalid"]) == (401, "true")
    assert await story.is_of(OLD)
    assert await story.signs_in(NEW) is None

    assert heading(await prove(visitor, link)) == "Your e-mail address is changed"
    assert await story.is_of(NEW)
    assert await story.signs_in(OLD) is None
    assert heading(await visitor.http.get(link)) == "This link was used already"


async def test_the_change_signs_out_everybody_but_the_browser_that_confirms_it(
    story: Story, shop: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    scope = "openid email offline_access"
    await visitor.register(OLD)
    await prove(visitor, await story.link_to(OLD))
    tokens = await shop.tokens(await shop.authorize(scope=scope))
    elsewhere = new_visitor()
    await elsewhere.sign_in(OLD)
    await story.changed(visitor)
    assert await is_signed_in(visitor)
    assert not await is_signed_in(elsewhere)
    assert (await shop.refresh(tokens["refresh_token"])).status_code == 400
    after = claims_of((await shop.tokens(await shop.authorize(scope=scope)))["id_token"])
    before = claims_of(tokens["id_token"])
    assert (after["email"], after["email_verified"], after["sub"]) == (NEW, True, before["sub"])


async def test_a_browser_that_is_not_signed_in_is_not_signed_in_by_the_link(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await ask(visitor)
    other = new_visitor()
    assert heading(await prove(other, await story.link_to(NEW))) == "Your e-mail address is changed"
    assert not await is_signed_in(other)
    assert not await is_signed_in(visitor)


async def test_the_former_address_takes_the_change_back_with_a_new_password(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    thief = new_visitor()
    await thief.sign_in(OLD)
    await story.changed(thief)
    link, scanner = await story.link_to(OLD), new_visitor()
    await scanner.http.get(link)
    assert await story.is_of(NEW)
    same = await take_back(visitor, link, PASSWORD)
    assert (same.status_code, Page(same.text).fields["password"]["aria-invalid"]) == (400, "true")
    assert (await take_back(visitor, link, "short")).status_code == 400
    assert await story.is_of(NEW)

    assert heading(await take_back(visitor, link)) == "The change is taken back"
    assert await story.is_of(OLD, NEW_PASSWORD)
    assert [await story.signs_in(address) for address in (OLD, NEW)] == [None, None]
    assert not await is_signed_in(thief)
    assert not await is_signed_in(visitor)
    again = await take_back(visitor, link) if Page((await visitor.http.get(link)).text).actions else None
    assert again is None
    assert heading(await visitor.http.get(link)) == "This link was used already"


async def test_a_mail_to_the_former_address_names_the_new_one_nowhere(story: Story, visitor: Visitor) -> None:
    await story.registered(visitor)
    await story.changed(visitor)
    recipient, text = (await story.mails())[0]
    assert recipient == OLD
    assert NEW not in text
    page = await visitor.http.get(link_in(text))
    assert NEW not in page.text


async def test_an_unverified_former_address_is_told_nothing(story: Story, visitor: Visitor) -> None:
    await visitor.register("misspelled@acme.example")
    await story.changed(visitor)
    assert await story.is_of(NEW)
    told = [recipient for recipient, _ in await story.mails()]
    assert told == [NEW, "misspelled@acme.example"]


async def test_an_account_whose_address_was_withdrawn_gets_another_one(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await visitor.register("misspelled@acme.example")
    link, stranger = await story.link_to("misspelled@acme.example"), new_visitor()
    await stranger.submit(await stranger.http.get(link), "withdraw")
    assert "Add an e-mail address" in (await visitor.open("accounts")).text
    await story.changed(visitor)
    account = await story.signs_in(NEW)
    assert account is not None
    assert account.claims["username"] == account.claims["emailaddress"] == account.username == NEW


async def test_whoever_took_an_account_over_cannot_keep_it_by_further_changes(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    thief = new_visitor()
    await thief.sign_in(OLD)
    await story.changed(thief, NEW)
    link = await story.link_to(OLD)
    await story.changed(thief, OTHER)
    thiefs_link = await story.link_to(NEW)
    await ask(thief, "vera@third.example")
    thiefs_request = await story.link_to("vera@third.example")
    assert heading(await take_back(visitor, link)) == "The change is taken back"
    for ended in (thiefs_link, thiefs_request):
        assert heading(await visitor.http.get(ended)) == "This link was used already"
    assert await story.is_of(OLD, NEW_PASSWORD)


async def test_a_later_change_can_be_taken_back_and_the_first_one_after_it(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await story.changed(visitor, NEW)
    first = await story.link_to(OLD)
    await story.changed(visitor, OTHER)
    second = await story.link_to(NEW)
    assert heading(await take_back(visitor, second)) == "The change is taken back"
    assert await story.is_of(NEW, NEW_PASSWORD)
    assert (
        heading(await take_back(visitor, first, "the third of the passwords")) == "The change is taken back"
    )
    assert await story.is_of(OLD, "the third of the passwords")


async def test_a_mail_that_waits_while_its_change_is_taken_back_has_no_link(
    services: Services, story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await story.changed(visitor, NEW)
    link = await story.link_to(OLD)
    await ask(visitor, OTHER)
    await prove(visitor, await story.link_to(OTHER))
    # The mail to NEW, and one for a further change, are in the outbox when the first change is taken back.
    await ask(visitor, "vera@third.example")
    await take_back(new_visitor(), link)
    assert NEW not in [recipient for recipient, _ in (await story.mails())[:2]]
    assert "vera@third.example" not in [recipient for recipient, _ in await story.mails()]
    # A change afterwards is told again.
    await visitor.sign_in(OLD, NEW_PASSWORD)
    await story.changed(visitor, NEW, NEW_PASSWORD)
    assert heading(await visitor.http.get(await story.link_to(OLD))) == "Take the change back?"


async def test_an_account_that_gets_the_new_address_does_not_keep_the_change(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    """The thief proves the new address for an account of their own, which ends the links of others for it."""
    await story.registered(visitor)
    thief, second = new_visitor(), new_visitor()
    await thief.sign_in(OLD)
    await story.changed(thief, NEW)
    link = await story.link_to(OLD)
    await story.registered(second, NEW, "a password of the thief")
    assert heading(await take_back(visitor, link)) == "The change is taken back"
    assert await story.is_of(OLD, NEW_PASSWORD)
    assert await story.is_of(NEW, "a password of the thief")


async def test_a_day_later_the_change_stays(services: Services, story: Story, visitor: Visitor) -> None:
    await story.registered(visitor)
    await story.changed(visitor)
    link = await story.link_to(OLD)
    await services.database.execute(
        "UPDATE account_link SET expires_at = expires_at - make_interval(days => 1)"
    )
    answer = await visitor.http.get(link)
    assert (answer.status_code, heading(answer)) == (410, "This link expired")
    assert await story.is_of(NEW)


async def test_the_page_does_not_tell_that_another_account_has_the_address(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(new_visitor(), NEW, "a password of another")
    await story.registered(visitor)
    known, unknown = await ask(visitor, NEW), await ask(visitor, OTHER)
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(NEW, "") == unknown.text.replace(OTHER, "")
    text = next(text for recipient, text in await story.mails() if recipient == NEW)
    assert "has this address" in text
    assert "link=" not in text
    assert await story.is_of(NEW, "a password of another")


async def test_an_account_that_proves_the_address_first_keeps_it(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await ask(visitor)
    link = await story.link_to(NEW)
    page = await visitor.http.get(link)
    await story.registered(new_visitor(), NEW, "a password of another")
    answer = await visitor.submit(page, password=PASSWORD)
    assert (answer.status_code, heading(answer)) == (410, "This link is for another address")
    assert await story.is_of(NEW, "a password of another")
    assert await story.is_of(OLD)


async def test_this_was_not_me_ends_the_link(story: Story, visitor: Visitor, new_visitor: NewVisitor) -> None:
    await story.registered(visitor)
    await ask(visitor)
    link, stranger = await story.link_to(NEW), new_visitor()
    assert heading(await stranger.submit(await stranger.http.get(link), "cancel")) == "Thank you"
    assert heading(await visitor.http.get(link)) == "This link was used already"
    assert await story.is_of(OLD)


@pytest.mark.parametrize("address", ["", "vera", "x" * 300 + "@acme.example", OLD, OLD.upper()])
async def test_an_invalid_address_is_an_error_at_its_field(
    story: Story, visitor: Visitor, dataset_ref: DatasetRef, address: str
) -> None:
    await visitor.register(OLD)
    answer = await ask(visitor, address)
    page = Page(answer.text)
    assert (answer.status_code, page.fields["email"]["aria-invalid"]) == (400, "true")
    assert page.fields["email"]["value"] == address
    assert page.fields["password"]["value"] == ""
    assert len(await story.mails()) == 1


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(recipient=AttemptLimit(2, 3600)))])
async def test_an_address_gets_few_links_whoever_asks(
    story: Story, visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    await visitor.register(OLD)
    for _ in range(2):
        assert (await ask(visitor)).status_code == 200
    limited = await ask(visitor)
    assert limited.status_code == 429
    assert int(limited.headers["retry-after"]) > 0
    assert Page(limited.text).fields["email"]["value"] == NEW
    assert (await ask(visitor, OTHER)).status_code == 200


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(account=AttemptLimit(2, 900)))])
async def test_guesses_are_counted_by_the_link(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await ask(visitor, NEW)
    first = await story.link_to(NEW)
    await ask(visitor, OTHER)
    second, guesser = await story.link_to(OTHER), new_visitor()
    for _ in range(2):
        assert (await prove(guesser, first, "a guess")).status_code == 401
    assert (await prove(guesser, first)).status_code == 429
    # Neither these nor guesses at the sign-in keep anybody from another link.
    for _ in range(3):
        await guesser.sign_in(OLD, "a guess")
    assert (await prove(visitor, second)).status_code == 200


@pytest.mark.parametrize("path", ["confirm", "return"])
@pytest.mark.parametrize("link", ["", "?link=", "?link=nonsense", "?link=" + "x" * 5000, "?link=%00"])
async def test_a_link_that_nobody_sent_is_explained(
    visitor: Visitor, dataset_ref: DatasetRef, path: str, link: str
) -> None:
    answer = await visitor.http.get(visitor.at(f"accounts/email/{path}") + link)
    assert answer.status_code in (400, 404)
    assert heading(answer) == "This link does not work"


async def test_a_link_works_on_its_own_page_and_in_its_own_organisation(
    services: Services, story: Story, visitor: Visitor
) -> None:
    await services.setup.provisioning.create("other", client_id="b", client_secret="another secret, long")
    await story.registered(visitor)
    verification = (await mails_of(services, story.dataset_ref))[0]
    await story.changed(visitor)
    await ask(visitor, OTHER)
    confirm, back = await story.link_to(OTHER), await story.link_to(OLD)
    foreign = [
        confirm.replace("/t/acme/", "/t/other/"),
        confirm.replace("/confirm", "/return"),
        back.replace("/return", "/confirm"),
        link_in(verification).replace("/verify", "/email/confirm"),
        confirm.replace("/email/confirm", "/verify"),
        back.replace("/email/return", "/recover/link"),
    ]
    for link in foreign:
        answer = await visitor.http.get(link)
        assert (answer.status_code, heading(answer)) == (404, "This link does not work"), link


async def test_a_form_of_another_browser_is_rejected(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    await story.changed(visitor)
    await ask(visitor, OTHER)
    other = new_visitor()
    for link in (await story.link_to(OTHER), await story.link_to(OLD)):
        foreign = Page((await other.http.get(link)).text)
        for action in foreign.actions:
            answer = await visitor.http.post(action, data={"csrf": foreign.csrf, "password": PASSWORD})
            assert answer.status_code == 403
    assert await story.is_of(NEW)


async def test_a_recovery_by_the_new_address_does_not_end_the_way_back(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    thief = new_visitor()
    await thief.sign_in(OLD)
    await story.changed(thief)
    link = await story.link_to(OLD)
    await thief.submit(await thief.open("accounts/recover"), email=NEW)
    recovered = await prove(thief, await story.link_to(NEW), "a password of the thief")
    assert heading(recovered) == "Your password is changed"
    assert heading(await take_back(visitor, link)) == "The change is taken back"
    assert await story.is_of(OLD, NEW_PASSWORD)


async def test_what_was_said_of_the_former_address_stays_and_it_begins_anew(
    story: Story, shop: Application, system: Application, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    scope = "internal_cds_profile_create internal_cds_unification_rule_create"
    token = (await system.token(grant_type="client_credentials", scope=scope)).json()["access_token"]

    async def create(path: str, document: dict[str, Any]) -> str:
        headers = {"Authorization": f"Bearer {token}"}
        answer = await visitor.http.post(visitor.at(f"cds/api/v1/{path}"), json=document, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json().get("profile_id"))

    async def record(address: str) -> str:
        return await create("profiles?tracker=false", {"identity_attributes": {"emailaddress": address}})

    async def mine(of: Application) -> list[str]:
        tokens = await of.tokens(await of.authorize())
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        me = (await of.visitor.http.get(visitor.at("cds/api/v1/profiles/Me"), headers=headers)).json()
        assert me["identity_attributes"]["emailaddress"] in (OLD, NEW)
        return [me["profile_id"], *(entry["profile_id"] for entry in me.get("merged_from", []))]

    address = "identity_attributes.emailaddress"
    await create(
        "unification-rules",
        {"rule_name": "address", "property_name": address, "priority": 1, "is_active": True},
    )
    before = await record(OLD)
    await story.registered(visitor)
    await story.changed(visitor)
    of_new = await record(NEW)
    after = await record(OLD)
    hers = await mine(shop)
    assert before in hers
    assert of_new in hers
    assert after not in hers

    somebody = new_visitor()
    await story.registered(somebody, OLD, "a password of another")
    theirs = Application(somebody, shop.client_id, shop.secret)
    found = await mine(theirs)
    assert before not in found
    assert (await record(OLD)) in await mine(theirs)
    assert before in await mine(shop)


async def recovered(story: Story, owner: Visitor, address: str = OLD, **fields: str) -> None:
    """Get another password by mail."""
    await owner.submit(await owner.open("accounts/recover"), email=address)
    page = await owner.http.get(await story.link_to(address))
    choices = re.findall(r'name="account" value="([^"]+)"', page.text)
    chosen = {"account": choices[0]} if choices else {}
    done = await owner.submit(page, password=NEW_PASSWORD, **chosen, **fields)
    assert done.status_code == 200, done.text


@pytest.mark.parametrize("way", ["changed", "recovered", "handed over", "set by an administrator"])
async def test_another_password_ends_the_changes_that_were_begun_with_the_former_one(
    way: str, story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    if way == "handed over":
        await visitor.register(OLD)
    else:
        await story.registered(visitor)
    stranger, owner = new_visitor(), new_visitor()
    await stranger.sign_in(OLD)
    await ask(stranger, OTHER)
    link = await story.link_to(OTHER)
    account = await story.signs_in(OLD)
    assert account is not None
    if way == "changed":
        page = await visitor.open("accounts/password")
        done = await visitor.submit(page, password=PASSWORD, new_password=NEW_PASSWORD)
        assert heading(done) == "Your password is changed"
    elif way == "set by an administrator":
        users = story.services.directory.users
        await users.change(story.dataset_ref, Actor("test"), account.user_id, {"password": NEW_PASSWORD})
    else:
        names = {"given_name": "Vera", "last_name": "Brown"} if way == "handed over" else {}
        await recovered(story, owner, **names)

    page = await stranger.http.get(link)
    assert (page.status_code, heading(page)) == (410, "This link was used already")
    # Nothing tells the stranger what the owner is called.
    assert "Brown" not in page.text
    after = await story.signs_in(OLD, NEW_PASSWORD)
    assert after is not None
    assert after.user_id == account.user_id


async def test_a_page_that_was_open_before_another_password_gives_the_address_to_nobody(
    story: Story, visitor: Visitor, new_visitor: NewVisitor
) -> None:
    await story.registered(visitor)
    stranger = new_visitor()
    await stranger.sign_in(OLD)
    await ask(stranger, OTHER)
    page = await stranger.http.get(await story.link_to(OTHER))
    # This one is not sent yet when the password is replaced.
    await ask(stranger, NEW)
    form = await visitor.open("accounts/password")
    await visitor.submit(form, password=PASSWORD, new_password=NEW_PASSWORD)
    assert (await stranger.submit(page, password=NEW_PASSWORD)).status_code == 410
    assert NEW not in {recipient for recipient, _ in await story.mails()}
    assert await story.is_of(OLD, NEW_PASSWORD)
