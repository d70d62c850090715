"""What a page says after a change: the console alone can cause it, and it is said once."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from oneself.console import flash
from oneself.console.flash import COOKIE_PREFIX, LIFE_S
from oneself.core.values.attribute import Attribute
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import NewApplication
from oneself.service.feed.webhooks import NewWebhook
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.code_receiver import CodeReceiver
from support.console_browser import ConsoleBrowser, new_console_user
from support.console_routes import ORGANISATION, console_routes
from support.interactions_harness import InteractionsHarness, customer

HOME = "/console/o/acme"
FLASH = re.compile(r'<div class="alert[^>]* data-flash>(.*?)</div>', re.DOTALL)
#: The answer to these forms is a page or a file of its own: a secret, a password, an export.
ANSWERED_AT_ONCE = {
    "/webhooks/new",
    "/webhooks/rotate",
    "/applications/new",
    "/applications/secret",
    "/members",
    "/profiles/export",
}
#: The page that follows is the message: the overview of the sample, its removal, the receipt.
SHOWN_BY_THE_PAGE = {"/sample/add", "/sample/remove", "/profiles/erase"}
#: What a page is about.
OF_ADDRESSES = {"id", "dataset", "scope", "type"}


class Changes:
    """Sends forms as an administrator, and notes what each one led to."""

    def __init__(self, browser: ConsoleBrowser) -> None:
        self.browser = browser
        self.redirects: dict[str, str] = {}
        browser.http.event_hooks["response"].append(self._note)

    async def _note(self, answer: httpx.Response) -> None:
        if answer.request.method == "POST" and answer.status_code == 303:
            path = answer.request.url.path.removeprefix(HOME)
            self.redirects[path] = answer.headers["location"]

    async def make(self, path: str, *, open_at: str = "", **fields: Any) -> str:
        """Send the form of a page to a path, confirm its preview, and return what the next page says."""
        ada = self.browser
        await ada.open(HOME + (open_at or path))
        action = urlsplit(path).path
        await ada.submit(form_of(ada.page, f"{HOME}{action}"), to=f"{HOME}{path}", **fields)
        if action not in self.redirects:
            await ada.submit()
        assert ada.page.status_code == 200, ada.text
        (said,) = FLASH.findall(ada.page.text) or [""]
        await ada.open(str(ada.page.url))
        assert FLASH.findall(ada.page.text) == [], f"{path} says it twice"
        return str(said)


def form_of(page: httpx.Response, action: str) -> httpx.Response:
    """The page, cut to the first form that is sent there; else to the first one that changes something."""
    forms = re.findall(r'<form[^>]* method="post".*?</form>', page.text, re.DOTALL)
    own = [form for form in forms if 'action="/console/sign-out"' not in form]
    found = [form for form in own if f'action="{action}' in form] or own
    return httpx.Response(200, text=found[0], request=page.request)


async def change_identity(changes: Changes, services: Services, acme: DatasetRef) -> None:
    said = await changes.make("/types/new", id="loyaltyId")
    assert said.startswith("The identity type was created.")
    assert "changed" in await changes.make("/types/type?id=loyaltyId", label="Loyalty number")
    assert "deleted" in await changes.make("/types/delete?id=loyaltyId")
    assert "created" in await changes.make("/identities/new", name="customerId", identity_type="customerId")
    changed = await changes.make("/identities/identity?name=customerId", attribute="traits.number")
    assert "changed" in changed
    assert "channel" in await changes.make("/channels", Web="customerId")
    await services.identity.attributes.change(acme, None, {})
    removed = await changes.make(
        "/identities/remove?name=customerId", open_at="/identities/identity?name=customerId"
    )
    assert "removed" in removed
    assert "identify nobody" in await changes.make("/blocked/add", open_at="/blocked", entries="a@b.example")
    assert "no longer blocked" in await changes.make("/blocked/remove", open_at="/blocked")
    assert "limits" in await changes.make("/limits", profiles_per_merge_max="200")


async def change_datasets(changes: Changes, services: Services, acme: DatasetRef) -> None:
    assert "created" in await changes.make("/datasets/new", name="web", resolves="")
    assert "changed" in await changes.make("/datasets/dataset?dataset=web", label="Shop")
    web = await services.schema.datasets.get(acme, "web")
    await services.identity.attributes.put(web, [Binding("customerId", "customerId")])
    resolved = await changes.make("/datasets/resolution?dataset=web", attribute="customerId")
    assert "Identity resolution is on" in resolved
    assert "deleted" in await changes.make("/datasets/delete?dataset=web")


async def change_attributes_and_rules(changes: Changes, services: Services, acme: DatasetRef) -> None:
    for name in ("plan", "number"):
        assert f"The attribute {name} was created" in await changes.make("/attributes/new", name=name)
    known = {item.attribute_name: item for item in await attributes(services, acme)}
    plan = known["traits.plan"].attribute_id
    assert "changed" in await changes.make(f"/attributes/attribute?id={plan}", display_name="Plan")
    assert "deleted" in await changes.make(f"/attributes/delete?id={plan}")
    made = await changes.make("/rules/new", open_at="/rules/new?attribute=traits.number", active="yes")
    assert "created" in made
    (rule,) = await services.rules.rules.list_rules(acme)
    assert "renamed" in await changes.make(f"/rules/rule?id={rule.rule_id}", name="Number")
    assert "moved" in await changes.make(f"/rules/move?id={rule.rule_id}", open_at="/rules")
    assert "switched off" in await changes.make(f"/rules/switch?id={rule.rule_id}")
    assert "deleted" in await changes.make(f"/rules/delete?id={rule.rule_id}")


async def attributes(services: Services, acme: DatasetRef) -> tuple[Attribute, ...]:
    return (await services.configurations.current(acme.dataset_id)).schema.attributes


async def change_profiles(changes: Changes, services: Services, acme: DatasetRef) -> None:
    site = await InteractionsHarness(services, acme).begin()
    for number in ("C-7", "C-8"):
        await site.event(customer(number), device=f"browser-{number}", trust="server")
    one, other = [await site.found(f"customerId:{number}") for number in ("C-7", "C-8")]
    split = await changes.make(f"/profiles/split?id={one}&what=browser:browser-C-7", reason="A shared laptop")
    assert "The profile was split" in split
    assert "merged" in await changes.make(f"/profiles/merge?id={one}&with={other}", reason="Called us")
    both = await site.found("customerId:C-7")
    assert await changes.make(f"/profiles/erase?id={both}", typed=str(both)[:8]) == ""


async def change_organisation(
    changes: Changes, services: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    known = await services.feed.webhooks.create(acme, NewWebhook(receiver.url))
    webhook = f"id={known.row.webhook_id}"
    page = f"/webhooks/webhook?{webhook}"
    assert "accepted" in await changes.make(f"/webhooks/test?{webhook}", open_at=page)
    receiver.behaviour = "fails"
    rejected = await changes.make(f"/webhooks/test?{webhook}", open_at=page)
    assert "not accepted" in rejected
    assert "The webhook answered 5" in rejected
    assert "0 deliveries are sent again" in await changes.make(f"/webhooks/again?{webhook}", open_at=page)
    assert "changed" in await changes.make(f"/webhooks/edit?{webhook}", view="own")
    assert "deleted" in await changes.make(f"/webhooks/delete?{webhook}")
    application, _ = await services.directory.applications.create(acme, NewApplication("CRM"))
    asked = f"id={application.client_id}"
    assert "changed" in await changes.make(f"/applications/application?{asked}", name="Sales")
    assert "deleted" in await changes.make(f"/applications/delete?{asked}")
    await new_console_user(services, "eve", "analyst", "acme")
    assert "no role" in await changes.make("/members/member?name=eve", role="none")
    assert await changes.make("/sample/add", open_at="/sample") == ""
    assert await changes.make("/sample/remove", open_at="/sample") == ""


async def test_every_change_is_said_once_and_in_no_address(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    changes, receiver = Changes(ada), CodeReceiver()
    try:
        await change_attributes_and_rules(changes, services, acme)
        await change_identity(changes, services, acme)
        await change_datasets(changes, services, acme)
        await change_profiles(changes, services, acme)
        await change_organisation(changes, services, acme, receiver)
    finally:
        receiver.stop()
    forms = {
        path.removeprefix(ORGANISATION)
        for method, path, _ in console_routes()
        if method == "POST" and path.startswith(ORGANISATION)
    }
    assert set(changes.redirects) == forms - ANSWERED_AT_ONCE
    for path, location in changes.redirects.items():
        assert parse_qs(urlsplit(location).query).keys() <= OF_ADDRESSES, path


@pytest.mark.parametrize(
    "address",
    [
        "/datasets?done=deleted",
        "/datasets/dataset?done=changed",
        "/rules?done=created",
        "/attributes?done=deleted&name=everything",
        "/members?done=removed",
        "/sample?done=removed",
        "/applications?done=changed",
        "/webhooks?done=deleted",
    ],
)
async def test_a_link_says_nothing(ada: ConsoleBrowser, address: str) -> None:
    await ada.open(HOME + address)
    assert ada.page.status_code == 200
    assert "alert-success" not in ada.page.text


async def follow(browser: ConsoleBrowser) -> httpx.Response:
    return await browser.open(f"{HOME}/datasets/dataset")


async def send(browser: ConsoleBrowser, label: str) -> httpx.Response:
    """Change the label of the dataset, and do not follow the redirect."""
    form = await browser.http.get(f"{HOME}/datasets/dataset")
    fields = dict(re.findall(r'name="(csrf|form|version)" value="([^"]*)"', form.text))
    return await browser.http.post(f"{HOME}/datasets/dataset", data={**fields, "label": label})


async def test_another_page_and_a_part_of_a_page_leave_the_message(ada: ConsoleBrowser) -> None:
    await send(ada, "Shop")
    await ada.open(f"{HOME}/limits")
    assert "The dataset was changed" not in ada.text
    part = await ada.http.get(f"{HOME}/datasets/dataset", headers={"HX-Request": "true"})
    assert "The dataset was changed" not in part.text
    await follow(ada)
    assert "The dataset was changed" in ada.text
    assert not [name for name in ada.http.cookies if name.startswith(COOKIE_PREFIX)]


async def test_a_repeated_form_says_so_and_the_message_of_the_first_one_stays(ada: ConsoleBrowser) -> None:
    sent = (await send(ada, "Shop")).request
    again = await ada.http.send(sent)
    assert (again.status_code, "You have sent this form already" in again.text) == (409, True)
    await follow(ada)
    assert "The dataset was changed" in ada.text


async def test_two_tabs_say_what_each_did(ada: ConsoleBrowser) -> None:
    await send(ada, "Shop")
    await ada.open(f"{HOME}/limits")
    await ada.submit(profiles_per_merge_max="200")
    await ada.submit()
    assert FLASH.findall(ada.page.text) == ["The limits were changed."]
    await follow(ada)
    assert FLASH.findall(ada.page.text) == ["The dataset was changed."]


async def message_cookie(browser: ConsoleBrowser) -> tuple[str, str]:
    """The name and value of the cookie that a change sets."""
    cookies = (await send(browser, "Shop")).cookies.items()
    ((name, value),) = [item for item in cookies if item[0].startswith(COOKIE_PREFIX)]
    return name, value


async def test_a_message_appears_in_its_session_alone(
    ada: ConsoleBrowser, app: Any, services: Services
) -> None:
    name, value = await message_cookie(ada)
    assert "changed" not in value
    await new_console_user(services, "eve", "administrator", "acme")
    eve = ConsoleBrowser(app)
    await eve.sign_in("eve")
    for forged in (value, "nonsense", value[:-8]):
        eve.http.cookies.set(name, forged)
        await follow(eve)
        assert (eve.page.status_code, FLASH.findall(eve.page.text)) == (200, [])
    await follow(ada)
    assert FLASH.findall(ada.page.text) == ["The dataset was changed."]


async def test_a_message_expires(ada: ConsoleBrowser, monkeypatch: pytest.MonkeyPatch) -> None:
    await send(ada, "Shop")
    later = time.time() + LIFE_S + 1
    monkeypatch.setattr(flash, "time", SimpleNamespace(time=lambda: later))
    await follow(ada)
    assert FLASH.findall(ada.page.text) == []
