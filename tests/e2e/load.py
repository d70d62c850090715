"""Writers that never lose count: each sends until it is answered, and remembers what it was promised.

A write that was not acknowledged is sent again with the same Idempotency-Key, as a careful client does.
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
    """A client below the service's REST address that keeps no cookies: every request is a new visitor."""
    made = httpx.AsyncClient(
        base_url=f"{service.base_url}/t/{service.org}/cds/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60.0,
        limits=httpx.Limits(max_connections=100),
    )
    made.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return made


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


async def answered(http: httpx.AsyncClient, method: str, path: str, body: object) -> dict[str, Any]:
    """Send until it is accepted; a lost race may be told as 503 and is then tried again."""
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    while True:
        answer = await http.request(method, path, json=body, headers=headers)
        if answer.status_code != 503:
            assert answer.is_success, answer.text
            return dict(answer.json())
        await asyncio.sleep(float(answer.headers["retry-after"]))


class Writers:
    """So many writers at once, each making one profile after another. `acknowledged`: value → profile id."""

    def __init__(self, http: httpx.AsyncClient, count: int) -> None:
        self._http = http
        self._count = count
        self._stopped = asyncio.Event()
        self.acknowledged: dict[str, str] = {}
        self.unanswered: list[str] = []

    async def run(self) -> None:
        await asyncio.gather(*(self._write_on(writer) for writer in range(self._count)))

    def stop(self) -> None:
        """Let every writer finish what it has begun."""
        self._stopped.set()

    async def until(self, condition: Callable[[], bool], deadline_s: float = 60.0) -> None:
        """Wait until something holds about the writers."""

        async def holds() -> bool:
            return condition()

        await until_async(holds, lambda: f"{len(self.acknowledged)} acknowledged by now", deadline_s)

    async def more(self, count: int) -> None:
        """Wait until that many further writes are acknowledged."""
        wanted = len(self.acknowledged) + count
        await self.until(lambda: len(self.acknowledged) >= wanted)

    async def _write_on(self, writer: int) -> None:
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
    """So many browsers at once, each sending one event after another and naming itself now and then.
    `acknowledged`: name of the event → its id. The wire has no message id: what was not answered is not sent
    again."""

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
    """How often each (name, event id) is kept, of the people behind so many browsers."""
    people = {f"{browser + 1:016x}": browser // 2 for browser in range(browsers)}
    found: Counter[tuple[str, str]] = Counter()
    for browser in {person: browser for browser, person in people.items()}.values():
        query: dict[str, str | int] = {"page_size": PAGE_SIZE}
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
