"""Parameters in addresses: a wrong value answers 400, says what it can be, and links to the page without."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from oneself.console import query
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityType
from oneself.core.values.attribute import Attribute
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import NewApplication
from oneself.service.feed.webhooks import NewWebhook
from oneself.service.schema.identity_bindings import Binding
from oneself.services import Services
from support.console_browser import ConsoleBrowser, new_console_user
from support.console_routes import ORGANISATION, console_routes
from support.interactions_harness import InteractionsHarness, customer

CONSOLE = Path(query.__file__).parent
LONG = "x" * 513
#: Any text is right.
ANY = ""
DATASET = {"dataset": "missing"}
#: Parameters that name the thing that a page is about: the page cannot do without them.
NAMED = {"id", "name", "with", "attribute"}
ID, UUID_ID = {"id": LONG}, {"id": "x"}
PROFILE = {**DATASET, "id": "a\0b", "view": "everything", "at": "yesterday"}
JOINS = {**PROFILE, "kind": "10", "since": "-1", "skipped": "x", "after": "x"}
DRAFT = {"attribute": LONG, "name": LONG, "proves": "perhaps"}
#: By path of a page: its parameters, each with a value that it cannot have.
WRONG: Mapping[str, Mapping[str, str]] = {
    "": {},
    "/overview": {**DATASET, "stream": "stopped"},
    "/overview/numbers": DATASET,
    "/overview/stream": {**DATASET, "stream": "stopped"},
    "/sample": {},
    "/sample/add": {},
    "/sample/remove": {},
    "/attributes": {"scope": "everything", "q": ANY},
    "/attributes/new": {"scope": "identity_attributes"},
    "/attributes/attribute": ID,
    "/attributes/delete": ID,
    "/attributes/count": {**ID, "after": "x", "profiles": "-1", "seen": "x"},
    "/attributes/check": {"after": "x", "seen": "9" * 30, "found": "x"},
    "/rules": {},
    "/rules/new": DRAFT,
    "/rules/rule": ID,
    "/rules/move": ID,
    "/rules/switch": ID,
    "/rules/preview": {**ID, **DRAFT},
    "/rules/delete": ID,
    "/datasets": {},
    "/datasets/new": {},
    "/datasets/dataset": DATASET,
    "/datasets/resolution": DATASET,
    "/datasets/delete": DATASET,
    "/types": {},
    "/types/new": {},
    "/types/type": ID,
    "/types/delete": ID,
    "/identities": DATASET,
    "/identities/new": DATASET,
    "/identities/identity": {**DATASET, "name": LONG},
    "/identities/remove": {**DATASET, "name": LONG},
    "/channels": DATASET,
    "/blocked": {"type": "missing", "q": ANY},
    "/blocked/add": {"type": "missing", "q": ANY},
    "/blocked/remove": {"type": "missing"},
    "/limits": {},
    "/profiles": {**DATASET, "q": ANY, "after": "x", "created": "x"},
    "/profiles/values": {**DATASET, "q": ANY, "after": "x", "created": "x", "seen": "x"},
    "/profiles/profile": PROFILE,
    "/profiles/events": {
        **PROFILE,
        "name": LONG,
        "since": "x",
        "until": "9999-99-99",
        "after": "x",
        "seq": "1.5",
    },
    "/profiles/identifiers": {**PROFILE, "offset": "-1"},
    "/profiles/history": {**PROFILE, "offset": "x"},
    "/profiles/joins": JOINS,
    "/profiles/compare": {**PROFILE, "with": LONG},
    "/profiles/graph": JOINS,
    "/profiles/split": {**PROFILE, "what": "nonsense", "offset": "x"},
    "/profiles/merge": {**PROFILE, "with": LONG, "gives_up": LONG},
    "/profiles/export": PROFILE,
    "/profiles/erase": PROFILE,
    "/erasures": {**DATASET, "before": "x"},
    "/erasures/receipt": {**DATASET, **UUID_ID},
    "/webhooks": {},
    "/webhooks/new": {},
    "/webhooks/webhook": {**UUID_ID, "state": "lost", "before": "x"},
    "/webhooks/test": UUID_ID,
    "/webhooks/again": UUID_ID,
    "/webhooks/edit": UUID_ID,
    "/webhooks/rotate": UUID_ID,
    "/webhooks/delete": UUID_ID,
    "/applications": {},
    "/applications/new": {},
    "/applications/application": ID,
    "/applications/secret": ID,
    "/applications/delete": ID,
    "/members": {},
    "/members/member": {"name": LONG},
    "/audit": {"offset": "x"},
}
#: Parameters of the page that a form belongs to, which are not read before the form was accepted.
UNREAD_BY_FORMS = {("/rules/new", "attribute"), ("/rules/new", "name"), ("/rules/new", "proves")}
UNREAD_BY_FORMS |= {("/profiles/split", "offset"), ("/profiles/split", "what")}
ROUTES = [(method, path) for method, path, _ in console_routes() if path.startswith(ORGANISATION)]


@pytest.fixture
async def valid(services: Services, acme: DatasetRef) -> dict[str, dict[str, str]]:
    """By section or page: what names a thing that there is."""
    site = await InteractionsHarness(services, acme).begin()
    for number in ("C-7", "C-8"):
        await site.event(customer(number), trust="server")
    one, other = [str(await site.found(f"customerId:{number}")) for number in ("C-7", "C-8")]
    config = await services.configurations.current(acme.dataset_id)
    mail = next(item for item in config.schema.attributes if item.key == "emailaddress")
    rule = await services.rules.rules.create(acme, UnificationRule("", "Mail", mail.attribute_name, 1, False))
    card = Attribute("card", "traits.card", "string", "overwrite", "readWrite")
    await services.schema.schemas.define(acme, "traits", [card])
    await services.schema.identity_types.create(acme, IdentityType("clubId", "Club number"))
    await services.identity.attributes.put(acme, [Binding("customerId", "customerId")])
    webhook = await services.feed.webhooks.create(acme, NewWebhook("http://127.0.0.1:9/"))
    application, _ = await services.directory.applications.create(acme, NewApplication("CRM"))
    await new_console_user(services, "eve", "analyst", "acme")
    return {
        "attributes": {"id": mail.attribute_id},
        "rules": {"id": rule.rule_id},
        "/rules/preview": {"attribute": "traits.card"},
        "types": {"id": "clubId"},
        "identities": {"name": "customerId"},
        "profiles": {"id": one, "with": other},
        "webhooks": {"id": str(webhook.row.webhook_id)},
        "applications": {"id": application.client_id},
        "members": {"name": "eve"},
    }


def test_the_table_has_every_page() -> None:
    assert {path.removeprefix(ORGANISATION) for _, path in ROUTES} == set(WRONG)


def test_pages_read_their_query_in_one_way() -> None:
    """The sign-in has the query of OAuth."""
    readers = {path.name for path in CONSOLE.glob("*.py") if "query_params" in path.read_text("utf-8")}
    assert readers == {"query.py", "sign_in.py"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_wrong_value_is_said_with_a_link_to_the_page_without_it(
    ada: ConsoleBrowser, valid: dict[str, dict[str, str]], method: str
) -> None:
    for path in (path for known, path in ROUTES if known == method):
        page = path.removeprefix(ORGANISATION)
        named = valid.get(page) or valid.get(page.split("/")[1] if page else "", {})
        for name, value in WRONG[page].items():
            if value == ANY or (method == "POST" and (page, name) in UNREAD_BY_FORMS):
                continue
            sent = {**named, name: value}
            answer = await ada.http.request(method, f"/console/o/acme{page}", params=sent)
            assert answer.status_code == 400, (page, name)
            assert f"The parameter “{name}” is wrong. " in answer.text, (page, name)
            (link,) = re.findall(r'<p class="mb-0"><a href="([^"]*)"', answer.text)
            assert name not in parse_qs(urlsplit(link.replace("&amp;", "&")).query)
            if method == "GET" and name not in NAMED:
                assert urlsplit(link).path == f"/console/o/acme{page}"
            # Nobody was erased, so there is no receipt.
            if name not in NAMED and page != "/erasures/receipt":
                await ada.open(link.replace("&amp;", "&"))
                assert ada.page.status_code == 200, (page, name, link)


async def test_pages_read_what_the_table_has_and_ignore_the_rest(
    ada: ConsoleBrowser, valid: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[str] = set()
    value = query._value

    def noted(request: query.AnyRequest, name: str) -> str:
        asked.add(name)
        return value(request, name)

    monkeypatch.setattr(query, "_value", noted)
    for path in (path for method, path in ROUTES if method == "GET"):
        page = path.removeprefix(ORGANISATION)
        named = valid.get(page) or valid.get(page.split("/")[1] if page else "", {})
        asked.clear()
        await ada.open(f"/console/o/acme{page}", **named, unknown="x", done="created")
        assert ada.page.status_code != 400 or page in ("/rules/preview", "/erasures/receipt"), page
        assert asked <= set(WRONG[page]), page


@pytest.mark.parametrize("page", [page for page, names in WRONG.items() if NAMED & names.keys()])
async def test_a_page_that_needs_a_parameter_says_that_it_is_missing(ada: ConsoleBrowser, page: str) -> None:
    if ("GET", f"{ORGANISATION}{page}") not in ROUTES or page in ("/rules/new", "/rules/preview"):
        return
    await ada.open(f"/console/o/acme{page}")
    assert (ada.page.status_code, "is missing." in ada.text) == (400, True)
    (link,) = re.findall(r'<p class="mb-0"><a href="([^"]*)"', ada.page.text)
    assert (await ada.open(link)).status_code == 200


async def test_a_parameter_that_is_there_twice_has_no_value(ada: ConsoleBrowser) -> None:
    await ada.open("/console/o/acme/attributes?scope=traits&scope=application_data")
    assert (ada.page.status_code, "more than once" in ada.text) == (400, True)


async def test_the_sentence_says_what_is_allowed_and_repeats_nothing_of_the_address(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await services.schema.datasets.create(acme, "web", {})
    for address, sentence in (
        ("/profiles/profile?id=1&view=Call%20the%20bank", "It can be own, proven or all."),
        ("/overview?dataset=Call%20the%20bank", "It can be default or web."),
        ("/overview?stream=Call%20the%20bank", "It can be paused."),
        ("/audit?offset=Call%20the%20bank", "It is a whole number from 0"),
    ):
        await ada.open(f"/console/o/acme{address}")
        assert (ada.page.status_code, sentence in ada.text) == (400, True), ada.text
        assert "bank" not in ada.text
