"""How long does each page of the console take on the server, in an organisation with many profiles?

Method: 100 000 persons (quick: 2 000), and one of 10 000 fragments (quick: 100), written into the tables as
the write path leaves them. The application in this process answers an administrator; each page five times,
one request at a time, as rendered HTML without a network. A page that a list of queries here does not name
fails the run, so a new page is measured too. "Large person" is the person of many fragments in the view all.
Units: ms, the median of five; the slowest answer of all.
"""

import time
from collections.abc import Iterator

import httpx
from litestar.routes import HTTPRoute

from bench import population
from bench.questions.explain_cost import LargePeople, bind_addresses
from bench.results import Figure, median
from bench.stage import ORG, Bench, Stage
from oneself.api.app import create_app, create_framework
from oneself.console.context import SESSION_COOKIE
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityType
from oneself.service.crypto import new_token
from oneself.service.feed.webhooks import NewWebhook
from oneself.settings import Settings

REPEATS = 5
TARGET = "≤ 300 ms"
HOME = f"/console/o/{ORG}"
#: Pages of one profile; each is asked for of three profiles.
OF_PROFILES = (
    "profile",
    "events",
    "identifiers",
    "joins",
    "graph",
    "history",
    "split",
    "merge",
    "export",
    "erase",
)
#: The other pages, with their queries; `{attribute}` and so on are filled in.
QUERIES: dict[str, tuple[str, ...]] = {
    "": ("",),
    "/applications": ("",),
    "/applications/new": ("",),
    "/applications/application": ("?id=bench-backend",),
    "/applications/delete": ("?id=bench-backend",),
    "/applications/secret": ("?id=bench-backend",),
    "/attributes": ("", "?scope=identity_attributes", "?scope=application_data", "?q=plan"),
    "/attributes/new": ("",),
    "/attributes/attribute": ("?id={attribute}",),
    "/attributes/count": ("?id={attribute}",),
    "/attributes/check": ("", "?after={person}"),
    "/attributes/delete": ("?id={attribute}",),
    "/rules": ("",),
    "/rules/new": ("", "?property_name={attribute_name}&rule_name=Plan"),
    "/rules/rule": ("?id={rule}",),
    "/rules/switch": ("?id={rule}",),
    # A script asks for it behind its page; it reads every profile (`rule_match`).
    "/rules/preview": (),
    "/rules/delete": ("?id={rule}",),
    "/webhooks": ("",),
    "/webhooks/new": ("",),
    "/webhooks/webhook": ("?id={webhook}",),
    "/webhooks/edit": ("?id={webhook}",),
    "/webhooks/delete": ("?id={webhook}",),
    "/members": ("",),
    "/members/member": ("?name=bob",),
    "/sample": ("",),
    "/overview": ("",),
    "/overview/numbers": ("",),
    "/overview/stream": ("",),
    "/datasets": ("",),
    "/datasets/new": ("",),
    "/datasets/dataset": ("",),
    "/datasets/resolution": ("?dataset=web",),
    "/datasets/delete": ("?dataset=web",),
    "/types": ("",),
    "/types/new": ("",),
    "/types/type": ("?id=emailAddress",),
    "/types/delete": ("?id=loyaltyId",),
    "/identities": ("",),
    "/identities/new": ("",),
    "/identities/identity": ("?name=emailAddress",),
    "/channels": ("",),
    "/blocked": ("",),
    "/limits": ("",),
    "/erasures": ("",),
    # Nobody was erased here.
    "/erasures/receipt": (),
    "/audit": ("",),
    "/profiles": ("", "?q={user}", "?q={device}", "?q=absent"),
    "/profiles/values": ("?q=absent",),
    "/profiles/compare": ("?id={person}&with={device}", "?id={person}&with={other}"),
}


async def measure(stage: Stage) -> tuple[Figure, ...]:
    persons = stage.size(2_000, 100_000)
    async with stage.bench() as bench:
        await population.fill(bench.url, bench.dataset_id, bench.config, range(persons), stage.progress)
        await bind_addresses(bench)
        large = LargePeople(bench, stage.size(100, 10_000), base=10_000_000)
        await large.write()
        filled = await _settings(bench)
        async with _administrator(bench, await _session(bench)) as browser:
            found = {
                name: [await _timed(browser, path) for _ in range(REPEATS)]
                for name, path in _pages(filled, large)
            }
    slowest = max(time for times in found.values() for time in times)
    figures = (Figure(name, median(times), "ms", target=TARGET) for name, times in found.items())
    return *figures, Figure("slowest answer of all", slowest, "ms")


def _pages(filled: dict[str, str], large: LargePeople) -> Iterator[tuple[str, str]]:
    """Every page of an organisation: its name and its path."""
    framework = create_framework(Settings(), {})
    routes = {
        route.path for route in framework.routes if isinstance(route, HTTPRoute) and "GET" in route.methods
    }
    start = "/console/o/{org:str}"
    pages = {path.removeprefix(start) for path in routes if path.startswith(start)}
    unmeasured = pages - QUERIES.keys() - {f"/profiles/{name}" for name in OF_PROFILES}
    assert not unmeasured, f"pages without a query: {unmeasured}"
    for page, queries in QUERIES.items():
        for query in queries:
            yield f"{page or '/'}{query}", HOME + page + query.format_map(filled)
    believed, owned = (str(item) for item in large.heads)
    for who, query in (
        ("", f"?id={filled['person']}"),
        (" of a large person", f"?id={believed}"),
        (" of a large person in proven", f"?id={believed}&view=proven"),
        (" of a large user in proven", f"?id={owned}&view=proven"),
    ):
        for page in OF_PROFILES:
            yield f"/profiles/{page}{who}", f"{HOME}/profiles/{page}{query}"


async def _settings(bench: Bench) -> dict[str, str]:
    """What the pages are about: an attribute, a rule, a webhook, two persons."""
    ref = await bench.services.directory.organisations.get(ORG)
    attribute = next(item for item in bench.config.schema.attributes if item.attribute_name == "traits.plan")
    rule = await bench.services.rules.rules.create(ref, UnificationRule("", "plan", "traits.plan", 1, False))
    await bench.services.schema.datasets.create(ref, "web", {"pipeline_identity_resolution": False})
    await bench.services.schema.identity_types.create(ref, IdentityType("loyaltyId", "Loyalty"))
    webhook = await bench.services.feed.webhooks.create(ref, NewWebhook("https://shop.example/changes"))
    return {
        "attribute": attribute.attribute_id,
        "attribute_name": attribute.attribute_name,
        "rule": rule.rule_id,
        "webhook": str(webhook.row.webhook_id),
        "person": str(population.profile_id(0)),
        "other": str(population.profile_id(7)),
        "device": population.device(0).value,
        "user": population.user(0).value,
    }


async def _session(bench: Bench) -> str:
    """The cookie of an administrator's session."""
    ref, users = await bench.services.directory.organisations.get(ORG), bench.services.directory.console_users
    await users.create("ada", new_token(), {ref: "administrator"})
    await users.create("bob", new_token(), {ref: "analyst"})
    user_id = await users.find("ada")
    assert user_id is not None
    token = new_token()
    await bench.services.directory.console_sessions.create(user_id, token)
    return token


def _administrator(bench: Bench, token: str) -> httpx.AsyncClient:
    app = create_app(bench.services, bench.services.settings)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://localhost:8700",
        cookies={SESSION_COOKIE: token},
        timeout=600,
    )


async def _timed(browser: httpx.AsyncClient, path: str) -> float:
    started = time.perf_counter()
    answer = await browser.get(path)
    took = (time.perf_counter() - started) * 1000
    assert answer.status_code == 200, (path, answer.status_code, answer.text[-500:])
    return took
