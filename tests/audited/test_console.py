"""Every form of the console with which a user changes something is audited."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec

from audited.recorder import Reasons, Recorder, assert_listed, routes
from oneself.api.app import create_app
from support.caller import Cds
from support.console_browser import ADMIN, ADMIN_PASSWORD, ConsoleBrowser, new_console_user

HOME = "/console/o/{org}"
NEW_PASSWORD = "another good password"


class Change(msgspec.Struct, frozen=True):
    """A form that changes something. `path`: that accepts it. `page`: that has it, with ids in braces.

    `finds`: a text of the form, if the page has several. `confirms`: a page asks before anything changes.
    """

    path: str
    page: str
    kind: str = "configure"
    fields: dict[str, str] = {}
    finds: str = ""
    confirms: bool = False


def of_page(path: str, query: str = "", kind: str = "configure", **options: Any) -> Change:
    """A form that is sent to the page that has it. Other options are its fields."""
    special = {name: options.pop(name) for name in ("finds", "confirms", "page") if name in options}
    return Change(path, f"{special.pop('page', path)}{query}", kind, options, **special)


#: In an order in which each finds what it changes.
CHANGES = (
    of_page("/applications/new", kind="application", name="Shop", redirect_uris=""),
    of_page("/applications/application", "?id={application}", "application", name="Shop 2"),
    of_page("/applications/secret", "?id={application}", "application"),
    of_page("/applications/delete", "?id={application}", "application"),
    of_page("/members", kind="console_user", username="eve", role="analyst"),
    of_page("/members/member", "?name=eve", "console_user", role="privacy_officer"),
    of_page("/webhooks/new", kind="webhook", url="https://crm.example"),
    of_page("/webhooks/edit", "?id={webhook}", "webhook", view="all"),
    of_page("/webhooks/rotate", "?id={webhook}", "webhook", page="/webhooks/webhook", finds="rotate"),
    of_page("/webhooks/delete", "?id={webhook}", "webhook"),
    of_page("/attributes/new", "?scope=traits", name="plan"),
    of_page("/attributes/attribute", "?id={attribute}", display_name="Plan"),
    of_page("/rules/new", "?attribute=traits.plan&name=Plan", active=""),
    of_page("/rules/new", "?attribute=identity_attributes.mobile&name=Mobile", active=""),
    of_page("/rules/rule", "?id={rule}", name="Plan 2"),
    of_page("/rules/move", page="/rules", finds="Move Plan 2 down"),
    of_page("/rules/switch", "?id={rule}"),
    of_page("/rules/delete", "?id={rule}"),
    of_page("/attributes/delete", "?id={attribute}"),
    of_page("/types/new", id="loyalty"),
    of_page("/types/type", "?id=loyalty", label="Loyalty"),
    of_page(
        "/identities/new",
        name="loyalty",
        identity_type="loyalty",
        attribute="traits.loyalty",
        confirms=True,
    ),
    of_page("/identities/identity", "?name=loyalty", attribute="identity_attributes.mobile", confirms=True),
    of_page("/channels", Web="loyalty", confirms=True),
    of_page("/channels", Web="", confirms=True),
    of_page(
        "/identities/remove", "?name=loyalty", page="/identities/identity", finds="remove", confirms=True
    ),
    of_page("/types/delete", "?id=loyalty"),
    of_page("/blocked/add", page="/blocked", finds="<textarea", entries="desk@x.example"),
    of_page("/blocked/remove", "?q=desk", page="/blocked", finds="desk@x.example"),
    of_page("/limits", profiles_per_merge_max="7", confirms=True),
    of_page("/datasets/new", kind="dataset", name="web", label="Web"),
    of_page("/datasets/dataset", "?dataset=web", label="Website"),
    of_page("/datasets/delete", "?dataset=web", "dataset"),
    of_page("/datasets/new", kind="dataset", name="old", resolves=""),
    of_page("/identities/new", "?dataset=old", name="customerId", identity_type="customerId", confirms=True),
    of_page("/datasets/resolution", "?dataset=old", attribute="customerId", confirms=True),
    of_page("/sample/add", kind="dataset", page="/sample"),
    of_page("/sample/remove", kind="dataset", page="/sample"),
    of_page("/profiles/merge", "?id={one}&with={other}", "merge", finds="reason"),
    of_page("/profiles/split", "?id={one}&what=everything", "split", finds="reason"),
    of_page("/profiles/erase", "?id={one}", "erase", typed="{typed}"),
)
NO_ENTRY: Reasons = {
    "It sends what was to be sent, and changes no setting.": (
        f"POST {HOME}/webhooks/test",
        f"POST {HOME}/webhooks/again",
    ),
    "It reads.": (f"POST {HOME}/profiles/export",),
    "Users sign in or out.": ("POST /console/oauth2/authorize", "POST /console/sign-out"),
    "It belongs to no organisation; test_the_own_password carries it out.": ("POST /console/password",),
}


def test_every_form_is_audited_or_has_a_reason() -> None:
    listed = {operation for operation in routes() if " /console/" in operation}
    assert_listed(listed, {f"POST {HOME}{change.path}" for change in CHANGES}, NO_ENTRY)


async def test_every_change_has_an_entry_with_its_user_and_no_secret(cds: Cds) -> None:
    browser, recorder = await signed_in(cds), Recorder(cds.services, cds.dataset_ref)
    one, other = [(await cds.create(traits={}))["profile_id"] for _ in range(2)]
    secrets: list[str] = [ADMIN_PASSWORD]
    await recorder.new()
    for change in CHANGES:
        known = {**await ids(cds), "one": one, "other": other, "typed": one[:8]}
        await browser.open(f"{HOME.format(org='acme')}{change.page.format(**known)}")
        fields = {name: text.format(**known) for name, text in change.fields.items()}
        await browser.submit(form_with(browser.page, change.finds.format(**known)), **fields)
        if change.confirms:
            await browser.submit()
        assert browser.page.status_code == 200, (change.path, browser.text)
        secrets += re.findall(r'id="secret">([^<]+)', browser.page.text)
        await recorder.assert_recorded(change.path, change.kind, interface="console", console_user=ADMIN)
    stored = await recorder.stored()
    assert len(secrets) >= 5
    assert [secret for secret in secrets if secret in stored] == []


async def test_the_own_password(cds: Cds) -> None:
    browser, recorder = await signed_in(cds), Recorder(cds.services, cds.dataset_ref)
    await recorder.new()
    await browser.open("/console/password")
    await browser.submit(current=ADMIN_PASSWORD, new=NEW_PASSWORD, again=NEW_PASSWORD)
    await recorder.assert_recorded("password", "console_user", interface="console", console_user=ADMIN)
    assert NEW_PASSWORD not in await recorder.stored()


async def signed_in(cds: Cds) -> ConsoleBrowser:
    await new_console_user(cds.services, ADMIN, "administrator", "acme")
    browser = ConsoleBrowser(create_app(cds.services, cds.services.settings))
    await browser.sign_in()
    return browser


async def ids(cds: Cds) -> dict[str, Any]:
    """What stands in braces, as far as there is such a thing now."""
    services, dataset_ref = cds.services, cds.dataset_ref
    config = await services.configurations.current(dataset_ref.dataset_id)
    plan = config.schema.find("traits.plan")
    rules = {rule.property_name: rule.rule_id for rule in config.rules.values()}
    return {
        "application": next(
            (
                item.client_id
                for item in await services.directory.applications.list(dataset_ref)
                if item.client_id != "crm"
            ),
            "",
        ),
        "webhook": next(
            (item.row.webhook_id for item in await services.feed.webhooks.find_all(dataset_ref)), ""
        ),
        "attribute": plan.attribute_id if plan else "",
        "rule": rules.get("traits.plan", ""),
    }


def form_with(page: httpx.Response, text: str) -> httpx.Response:
    """The page, cut to the first form that changes something and contains a text."""
    forms = re.findall(r"<form.*?</form>", page.text, re.DOTALL)
    changing = [form for form in forms if "csrf" in form and "/console/sign-out" not in form]
    form = next((form for form in changing if text in form), None)
    assert form is not None, (text, page.url, page.status_code)
    return httpx.Response(200, text=form, request=page.request)
