"""Writers that put load on a service and record which writes it acknowledged.

A write that was not acknowledged is sent again with the same Idempotency-Key.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import httpx

from support.service import RunningService
from support.waiting import until_async

ADMIN = f"/t/{RunningService.org}/api/v1"
EVENTS = f"/t/{RunningService.org}/api2/event/default"
PERMISSIONS = tuple(
    f"internal_cds_{name}"
    for name in (
        "profile_create",
        "profile_view_all",
        "profile_update",
        "profile_view",
        "profile_schema_create",
        "unification_rule_create",
        "unification_rule_update",
        "unification_rule_view",
        "identity_update",
    )
)
RETRY_S = 0.05
PAGE_SIZE = 200


def client(service: RunningService, token: str) -> httpx.AsyncClient:
    """A client of the REST API that stores no cookies, so that every request comes from a new visitor."""
    http = httpx.AsyncClient(
        base_url=f"{service.base_url}/t/{service.org}/cds/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60.0,
        limits=httpx.Limits(max_connections=100),
    )
    http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return http


async def define(http: httpx.AsyncClient, name: str, **more: Any) -> None:
    """Define a string trait."""
    attribute = {"attribute_name": f"traits.{name}", "value_type": "string", "merge_strategy": "overwrite"}
    answer = await http.post("/profile-schema/traits", json=[{**attribute, **more}])
    assert answer.status_code == 201, answer.text


class Pair:
    """Two services on one database, and a client of each."""

    def __init__(self, services: list[RunningService], clients: list[httpx.AsyncClient]) -> None:
        self.services = services
        self.clients = clients


async def request_until_accepted(
    http: httpx.AsyncClient, method: str, path: str, body: object
) -> dict[str, Any]:
    """Send a request; retry while the answer is 503, which a lost race can cause. Returns the JSON body."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    while True:
        answer = await http.request(method, path, json=body, headers=headers)
        if answer.status_code != 503:
            assert answer.is_success, answer.text
            return dict(answer.json())
        await asyncio.sleep(float(answer.headers["retry-after"]))


class Writers:
    """Concurrent writers; each creates one profile after another. `acknowledged`: value → profile id."""

    def __init__(self, http: httpx.AsyncClient, count: int) -> None:
        self._http = http
        self._count = count
        self._stopped = asyncio.Event()
        self.acknowledged: dict[str, str] = {}
        self.unanswered: list[str] = []

    async def run(self) -> None:
        await asyncio.gather(*(self._write_until_stopped(writer) for writer in range(self._count)))

    def stop(self) -> None:
        """Stop every writer after its current write."""
        self._stopped.set()

    async def until(self, condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
        """Wait until the condition holds."""

        async def holds() -> bool:
            return condition()

        await until_async(
            holds, lambda: f"only {len(self.acknowledged)} writes were acknowledged", deadline_s
        )

    async def wait_for_more(self, count: int) -> None:
        """Wait until `count` more writes are acknowledged."""
        wanted = len(self.acknowledged) + count
        await self.until(lambda: len(self.acknowledged) >= wanted)

    async def _write_until_stopped(self, writer: int) -> None:
        number = 0
        while not self._stopped.is_set():
            await self._write(f"{writer}-{number}")
            number += 1

    async def _write(self, value: str) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        while True:
            try:
                answer = await self._http.post("/profiles", json={"traits": {"n": value}}, headers=headers)
            except httpx.TransportError:
                self.unanswered.append(value)
                await asyncio.sleep(RETRY_S)
                continue
            if answer.status_code == 503:
                await asyncio.sleep(RETRY_S)
                continue
            assert answer.status_code == 201, answer.text
            self.acknowledged[value] = answer.json()["profile_id"]
            return


class Visitors(Writers):
    """`count` concurrent browsers; each sends one event after another, every fifth with an e-mail address.

    `acknowledged`: name of the event → its id. The wire has no message id, so an unanswered event is not sent
    again.
    """

    async def _write(self, value: str) -> None:
        writer, _, number = value.partition("-")
        user = {"anonymousId": f"{int(writer) + 1:016x}"}
        if int(number) % 5 == 0:
            user["attributes"] = {"emailAddress": f"{int(writer) // 2}@x.org"}
        try:
            answer = await self._http.post(EVENTS, json={"interaction": {"name": value}, "user": user})
        except httpx.TransportError:
            self.unanswered.append(value)
            await asyncio.sleep(RETRY_S)
            return
        if answer.status_code == 503:
            await asyncio.sleep(RETRY_S)
            return
        assert answer.status_code == 200, answer.text
        self.acknowledged[value] = answer.json()["id"]


async def stored_events(http: httpx.AsyncClient, browsers: int) -> Counter[tuple[str, str]]:
    """How often each (name, event id) is stored for the people behind `browsers` browsers."""
    people = {f"{browser + 1:016x}": browser // 2 for browser in range(browsers)}
    found: Counter[tuple[str, str]] = Counter()
    for browser in {person: browser for browser, person in people.items()}.values():
        query: dict[str, str | int] = {"page_size": PAGE_SIZE, "view": "all"}
        while True:
            answer = await http.get(f"{ADMIN}/datasets/default/profiles/{browser}/events", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found.update((event["name"], event["event_id"]) for event in page["events"])
            if "next_cursor" not in page["pagination"]:
                break
            query["cursor"] = page["pagination"]["next_cursor"]
    return found


async def stored(http: httpx.AsyncClient, trait: str) -> dict[str, Any]:
    """Every listed profile's value of a trait, by profile id."""
    found: dict[str, Any] = {}
    query: dict[str, str | int] = {"page_size": PAGE_SIZE, "attributes": f"traits.{trait}"}
    while True:
        page = (await http.get("/profiles", params=query)).json()
        found.update({p["profile_id"]: p.get("traits", {}).get(trait) for p in page["profiles"]})
        if "next_cursor" not in page["pagination"]:
            return found
        query["cursor"] = page["pagination"]["next_cursor"]
