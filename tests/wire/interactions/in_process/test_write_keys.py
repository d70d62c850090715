"""Write keys on the event endpoints (docs/wire/interactions.md §4).

Each rejected request has a counterpart that is accepted: with the right key or from the right page.
"""

from __future__ import annotations

import asyncio
import base64
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from oneself.api.app import create_app, create_framework
from oneself.api.http.rate_limit import WINDOW_S, RateLimiter
from oneself.api.interactions.admission import GUESSES_PER_S
from oneself.bootstrap import build_services
from oneself.errors import Conflict, NotFound
from oneself.service.context import Actor, DatasetRef
from oneself.service.events.write_keys import NewWriteKey, WriteKey, WriteKeys
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from support.caller import Cds
from support.service import SECRET_KEY

SHOP, OTHER = "https://shop.example", "https://other.example"
ADMIN = Actor("admin", "crm")
HOME, OFFICE = "192.0.2.1", "192.0.2.2"
EVENT = {"interaction": {"name": "View"}, "user": {"anonymousId": "0123456789abcdef"}}
NOT_A_KEY = f"osk_{'0' * 64}"
NOT_A_BROWSER_KEY = f"obk_{'0' * 64}"


def basic(name: str, password: str = "") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


class Sites:
    """Pages and servers at several addresses that send to the datasets of one service."""

    def __init__(self, services: Services, dataset_ref: DatasetRef) -> None:
        self.services, self.dataset_ref = services, dataset_ref
        self._app = create_app(services, services.settings)

    async def request(self, method: str, path: str, address: str = HOME, **kwargs: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="https://cds.acme.example") as http:
            return await http.request(method, path, **kwargs)

    async def send(
        self,
        endpoint: str = "event",
        headers: dict[str, str] | None = None,
        *,
        origin: str | None = None,
        dataset: str = "default",
        query: str = "",
        **options: Any,
    ) -> httpx.Response:
        path = f"/t/{self.dataset_ref.handle}/api2/{endpoint}/{dataset}{query}"
        sent = {**(headers or {}), **({} if origin is None else {"Origin": origin})}
        return await self.request(
            "POST", path, headers=sent, json={**EVENT, **options.pop("event", {})}, **options
        )

    async def key(
        self, kind: str = "server", *origins: str, dataset: DatasetRef | None = None
    ) -> tuple[WriteKey, str]:
        new = NewWriteKey(kind, "a key", origins)
        return await self.services.events.write_keys.create(dataset or self.dataset_ref, new, ADMIN)

    async def stored(self) -> list[tuple[str, str | None]]:
        """Trust and application of every stored event."""
        rows = await self.services.database.fetch(
            "SELECT content FROM log WHERE kind = 'event' ORDER BY seq, observation_id"
        )
        return [(row["content"].get("trust", "server"), row["content"].get("application")) for row in rows]


@pytest.fixture
def sites(cds: Cds) -> Sites:
    return Sites(cds.services, cds.dataset_ref)


def rejected(answer: httpx.Response, status: int, code: str | None) -> None:
    assert answer.status_code == status, answer.text
    assert (answer.json()["errorCode"], answer.json().get("code")) == (5, code)
    assert answer.json()["message"]


# -- server keys --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [basic, bearer])
async def test_an_event_with_a_server_key_is_trusted_on_the_channel_server_alone(
    sites: Sites, header: Callable[[str], dict[str, str]]
) -> None:
    write_key, text = await sites.key()
    for channel in ("Server", "Web"):
        event = {"source": {"channel": channel}}
        assert (await sites.send("authevent", header(text), event=event)).status_code == 200
    assert await sites.stored() == [("server", f"write_key:{write_key.key_id}"), ("browser", None)]


async def test_a_server_key_gets_no_explanation_and_an_application_does(sites: Sites) -> None:
    _, text = await sites.key()
    event = {"explain": True, "source": {"channel": "Server"}}
    by_key = await sites.send("authevent", basic(text), event=event)
    by_application = await sites.send("authevent", basic("crm", "a secret of the tests"), event=event)
    assert (by_key.status_code, by_application.status_code) == (200, 200)
    assert "eventDetails" not in by_key.json()
    assert "eventDetails" in by_application.json()


@pytest.mark.parametrize("kind", ["server", "browser"])
async def test_a_key_opens_no_other_route(sites: Sites, kind: str) -> None:
    """Every route that requires a permission, and the look-ups of the event wire."""
    _, text = await sites.key(kind)
    paths = list(guarded_paths(sites.dataset_ref.handle))
    assert len(paths) > 80
    for method, path in paths:
        for header in (basic(text), bearer(text), basic("crm", text)):
            answer = await sites.request(method, path, headers=header)
            assert answer.status_code in (401, 403), (
                f"{method} {path}: {answer.status_code} {answer.text[:200]}"
            )


def guarded_paths(handle: str) -> list[tuple[str, str]]:
    values = {"org": handle, "dataset": "default"}
    found = []
    for route in create_framework(Settings(), {}).routes:
        if not isinstance(route, HTTPRoute):
            continue
        template = "/".join(_step(step, values) for step in route.path.split("/"))
        for method in route.route_handler_map.keys() - {"OPTIONS", "HEAD"}:
            handler = route.route_handler_map[method][0]
            if "permission" in handler.opt or "/api/dataset/" in template or "/api/audit/" in template:
                found.append((method, template))
    return sorted(pair for pair in found if pair[1].startswith("/t/"))


def _step(step: str, values: dict[str, str]) -> str:
    return values.get(step.strip("{}").partition(":")[0], "x") if step.startswith("{") else step


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: NOT_A_KEY,
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text.upper(),
        lambda text: "osk_" + text[4:].upper(),
        lambda text: text + " ",
        lambda text: "osk_",
        lambda text: text.replace("osk_", "obk_"),
        lambda text: "osk_" + "\u00e9" * 64,
    ],
)
async def test_a_wrong_server_key_is_401(sites: Sites, alter: Callable[[str], str]) -> None:
    _, text = await sites.key()
    answer = await sites.send("authevent", basic(alter(text)))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert await sites.stored() == []
    assert (await sites.send("authevent", basic(text))).status_code == 200


async def test_a_key_with_a_password_or_in_the_query_is_no_credential_of_authevent(sites: Sites) -> None:
    _, text = await sites.key()
    assert (await sites.send("authevent", basic(text, "x"))).status_code == 401
    assert (await sites.send("authevent", query=f"?writeKey={text}")).status_code == 401
    assert await sites.stored() == []


# -- browser keys -------------------------------------------------------------------------------------------


async def test_an_event_with_a_browser_key_is_trusted_like_one_without(sites: Sites) -> None:
    _, text = await sites.key("browser")
    event = {"source": {"channel": "Server"}}
    for header, query in ((basic(text), ""), (bearer(text), ""), ({}, f"?writeKey={text}"), ({}, "")):
        assert (await sites.send(headers=header, query=query, event=event)).status_code == 200
    assert await sites.stored() == [("browser", None)] * 4


async def test_a_browser_key_is_rejected_by_authevent(sites: Sites) -> None:
    _, text = await sites.key("browser")
    for header in (basic(text), bearer(text)):
        rejected(await sites.send("authevent", header), 401, "invalid_write_key")
    assert await sites.stored() == []


async def test_a_server_key_is_rejected_by_event_wherever_it_is(sites: Sites) -> None:
    _, text = await sites.key()
    for header, query in ((basic(text), ""), (bearer(text), ""), ({}, f"?writeKey={text}")):
        answer = await sites.send(headers=header, query=query)
        rejected(answer, 401, "invalid_write_key")
        assert text not in answer.text
    assert await sites.stored() == []


@pytest.mark.parametrize(
    "query", [f"?writeKey={NOT_A_BROWSER_KEY}", "?writeKey=", "?writeKey=x", "?writeKey=%ff%00"]
)
async def test_a_wrong_browser_key_is_401_without_a_challenge(sites: Sites, query: str) -> None:
    await sites.key("browser")
    answer = await sites.send(query=query)
    rejected(answer, 401, "invalid_write_key")
    assert not answer.headers["www-authenticate"].startswith("Basic")
    assert await sites.stored() == []


async def test_other_credentials_and_parameters_of_a_page_are_ignored(sites: Sites) -> None:
    for header, query in ((basic("ann", "x"), ""), (bearer("x.y.z"), ""), ({}, "?writekey=x&xwriteKey=y")):
        assert (await sites.send(headers=header, query=query)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        OTHER,
        "https://shop.example.evil",
        "https://evil.shop.example",
        "https://shop.example.",
        "https://shop.example:443",
        "https://shop.example:8443",
        "http://shop.example",
        "https://SHOP.example",
        "HTTPS://shop.example",
        "https://shop.example/",
        "https://shop.example@evil",
        "https://shop.example https://other.example",
        "null",
        "",
        "*",
    ],
)
async def test_a_page_of_another_origin_may_not_use_the_key(sites: Sites, origin: str) -> None:
    _, text = await sites.key("browser", SHOP, "http://localhost:3000")
    rejected(await sites.send(headers=basic(text), origin=origin), 403, "origin_not_allowed")
    rejected(await sites.send(query=f"?writeKey={text}", origin=origin), 403, "origin_not_allowed")
    assert await sites.stored() == []
    for allowed in (SHOP, "http://localhost:3000", None):
        assert (await sites.send(headers=basic(text), origin=allowed)).status_code == 200


async def test_the_origins_of_the_dataset_apply_as_well(sites: Sites) -> None:
    _, text = await sites.key("browser", SHOP, OTHER)
    settings = {"allowed_origins": (SHOP,)}
    await sites.services.schema.datasets.change(sites.dataset_ref, "default", settings)
    rejected(await sites.send(headers=basic(text), origin=OTHER), 403, "origin_not_allowed")
    assert (await sites.send(headers=basic(text), origin=SHOP)).status_code == 200


# -- datasets and organisations -----------------------------------------------------------------------------


async def test_a_key_of_another_dataset_is_401(sites: Sites, stranger: Cds) -> None:
    datasets = sites.services.schema.datasets
    await datasets.create(sites.dataset_ref, "web", {}, {})
    web = await datasets.get(sites.dataset_ref, "web")
    for kind, endpoint in (("server", "authevent"), ("browser", "event")):
        _, own = await sites.key(kind)
        _, of_web = await sites.key(kind, dataset=web)
        _, of_other_org = await sites.key(kind, dataset=stranger.dataset_ref)
        rejected(await sites.send(endpoint, basic(of_web)), 401, "invalid_write_key")
        rejected(await sites.send(endpoint, basic(own), dataset="web"), 401, "invalid_write_key")
        rejected(await sites.send(endpoint, basic(of_other_org)), 401, "invalid_write_key")
        assert (await sites.send(endpoint, basic(own))).status_code == 200
        assert (await sites.send(endpoint, basic(of_web), dataset="web")).status_code == 200


# -- caches and limits --------------------------------------------------------------------------------------


async def test_a_change_by_another_process_applies_to_the_next_event(
    sites: Sites, database: Database, tmp_path: Path
) -> None:
    other_services = build_services(Settings(data_dir=tmp_path, secret_key=SECRET_KEY), database)
    await sites.key()
    assert (await sites.send()).status_code == 200, "the configuration is cached"
    for kind, endpoint in (("server", "authevent"), ("browser", "event")):
        new = NewWriteKey(kind, "of another process")
        write_key, text = await other_services.events.write_keys.create(sites.dataset_ref, new, ADMIN)
        assert (await sites.send(endpoint, basic(text))).status_code == 200
        assert await other_services.events.write_keys.delete(sites.dataset_ref, write_key.key_id, ADMIN)
        rejected(await sites.send(endpoint, basic(text)), 401, "invalid_write_key")
    assert len(await sites.stored()) == 3


async def test_guesses_are_limited_and_cost_no_query_beyond_the_limit(
    cds: Cds, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_clock = functools.partial(RateLimiter, clock=lambda: 1000.0)
    monkeypatch.setattr("oneself.api.interactions.admission.RateLimiter", stopped_clock)
    sites = Sites(cds.services, cds.dataset_ref)
    _, text = await sites.key()
    _, browser = await sites.key("browser")
    assert (await sites.send("authevent", basic(text), address=OFFICE)).status_code == 200
    queries = _count(monkeypatch, sites.services.configurations, "current")
    reads = _count(monkeypatch, sites.services.events.write_keys, "_read")

    async def guess(number: int) -> int:
        endpoint, prefix = ("authevent", "osk_") if number % 2 else ("event", "obk_")
        return (await sites.send(endpoint, basic(f"{prefix}{number:064x}"))).status_code

    allowed = GUESSES_PER_S * WINDOW_S
    assert [await guess(number) for number in range(allowed + 5)] == [401] * allowed + [429] * 5
    assert (len(queries), reads) == (allowed, [])
    limited = await sites.send("authevent", basic(NOT_A_KEY))
    assert (limited.status_code, limited.json()["errorCode"]) == (429, 3)
    assert int(limited.headers["retry-after"]) == WINDOW_S

    assert (await sites.send("authevent", basic(text))).status_code == 200, "a valid key is not limited"
    assert (await sites.send("event", basic(browser))).status_code == 200
    assert (await sites.send("event")).status_code == 200
    assert (await sites.send("authevent", basic(NOT_A_KEY), address=OFFICE)).status_code == 401


async def test_an_event_without_a_key_looks_none_up(sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    await sites.key("browser", SHOP)
    looked_up = _count(monkeypatch, sites.services.events.write_keys, "find")
    assert (await sites.send(origin=OTHER)).status_code == 200
    assert (await sites.send("authevent", basic("crm", "a secret of the tests"))).status_code == 200
    assert looked_up == []


async def test_keys_are_read_once_while_they_do_not_change(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = await sites.key()
    reads = _count(monkeypatch, sites.services.events.write_keys, "_read")
    for _ in range(3):
        assert (await sites.send("authevent", basic(text))).status_code == 200
    assert len(reads) == 1
    await sites.services.schema.datasets.change(sites.dataset_ref, "default", {"label": "Shop"})
    assert (await sites.send("authevent", basic(text))).status_code == 200
    assert len(reads) == 1, "another change of the configuration does not reload keys"


def _count(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[Any]:
    calls: list[Any] = []
    original = getattr(owner, name)

    async def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return await original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


async def test_a_dataset_has_a_limited_number_of_keys(sites: Sites) -> None:
    services, new = sites.services, NewWriteKey("server", "one")
    write_keys = WriteKeys(services.database, services.configurations, keys_max=2)
    first, _ = await write_keys.create(sites.dataset_ref, new, ADMIN)
    await write_keys.create(sites.dataset_ref, new, ADMIN)
    with pytest.raises(Conflict, match="has 2 write keys"):
        await write_keys.create(sites.dataset_ref, new, ADMIN)
    assert await write_keys.delete(sites.dataset_ref, first.key_id, ADMIN)
    creating = (write_keys.create(sites.dataset_ref, new, ADMIN) for _ in range(5))
    results = await asyncio.gather(*creating, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 4, "one key was below the limit"
    assert len(await write_keys.list(sites.dataset_ref)) == 2


async def test_a_deleted_dataset_gets_no_key(sites: Sites, database: Database) -> None:
    datasets = sites.services.schema.datasets
    await datasets.create(sites.dataset_ref, "brief", {}, {})
    brief = await datasets.get(sites.dataset_ref, "brief")
    await datasets.delete(sites.dataset_ref, "brief")
    with pytest.raises(NotFound, match="brief"):
        await sites.key(dataset=brief)
    for table in ("write_key", "log", "config"):
        statement = f"SELECT count(*) FROM {table} WHERE dataset_id = $1"
        assert await database.fetchval(statement, brief.dataset_id) == 0


# -- what is stored -----------------------------------------------------------------------------------------


async def test_the_database_never_has_the_key(sites: Sites, database: Database) -> None:
    _, text = await sites.key()
    _, browser = await sites.key("browser")
    assert (
        await sites.send("authevent", basic(text), event={"source": {"channel": "Server"}})
    ).status_code == 200
    assert (await sites.send(query=f"?writeKey={browser}")).status_code == 200
    for table in ("write_key", "log", "config", "profile"):
        rows = "\n".join(
            str(row["row"]) for row in await database.fetch(f"SELECT x::text AS row FROM {table} AS x")
        )
        assert rows
        assert text[4:] not in rows
        assert browser[4:] not in rows


async def test_the_audit_log_names_who_created_and_deleted_a_key(sites: Sites) -> None:
    write_key, _ = await sites.key()
    assert await sites.services.events.write_keys.delete(sites.dataset_ref, write_key.key_id, Actor("cli"))
    assert not await sites.services.events.write_keys.delete(
        sites.dataset_ref, write_key.key_id, Actor("cli")
    )
    audit = sites.services.log.audit
    entries = await audit.list_entries(sites.dataset_ref, 0, 2**62, limit=2, offset=0)
    assert [(entry.changes, entry.interface, entry.application) for entry in entries] == [
        (("drop_write_key",), "cli", None),
        (("put_write_key",), "admin", "crm"),
    ]
