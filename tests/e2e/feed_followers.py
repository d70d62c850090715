"""Systems that follow the change feed of a service that dies now and then, each with its own table of ids."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import httpx
import msgspec

from oneself.adapters.change_event import ChangeDocument
from support.code_receiver import CodeReceiver, ReceivedRequest
from support.feed_consumer import FeedConsumer
from support.service import RunningService

from .load import ADMIN

_convert = msgspec.json.Decoder(ChangeDocument).decode
PROFILES = f"/t/{RunningService.org}/cds/api/v1/profiles"
READ_PAUSE_S = 0.1
#: A service that is being started again answers nothing, or that it is not ready.
AWAY = (502, 503, 504)


class PageFollower:
    """Reads pages of a view, and continues after the cursor of the last one."""

    def __init__(self, http: httpx.AsyncClient, view: str) -> None:
        self._http = http
        self._params = {"view": view, "page_size": "50"}
        self.consumer = FeedConsumer()
        #: Whether the last page had nothing after it.
        self.is_done = False

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await self.read()
            await asyncio.sleep(0 if not self.is_done else READ_PAUSE_S)

    async def read(self) -> None:
        """Read one page, if the service answers."""
        try:
            answer = await self._http.get(f"{ADMIN}/changes", params=self._params)
        except httpx.TransportError:
            return
        if answer.status_code in AWAY:
            return
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for document in page["changes"]:
            self.consumer.apply(_convert(json.dumps(document)))
        self._params = {**self._params, "cursor": page["cursor"]}
        self.is_done = "next_cursor" not in page["pagination"]


class StreamFollower:
    """Follows server-sent events, and resumes after the last id, as browsers do."""

    def __init__(self, http: httpx.AsyncClient, view: str) -> None:
        self._http = http
        self._params = {"view": view, "start": "oldest"}
        self._last_id: str | None = None
        self.consumer = FeedConsumer()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            with suppress(httpx.TransportError):
                await self._follow()
            await asyncio.sleep(READ_PAUSE_S)

    async def _follow(self) -> None:
        headers = {"Accept": "text/event-stream"}
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        path = f"{ADMIN}/changes"
        async with self._http.stream("GET", path, headers=headers, params=self._params) as answer:
            if answer.status_code in AWAY:
                return
            assert answer.status_code == 200, await answer.aread()
            fields: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "data" in fields:
                    self.consumer.apply(_convert(fields["data"]))
                self._last_id, fields = fields.get("id", self._last_id), {}


class ChangeReceiver(CodeReceiver):
    """Receives changes as a webhook, some of them more than once, and fails for some at first."""

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["content-length"]))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self._number += 1
        is_accepted = self._number % 10 != 0
        if is_accepted:
            self.received.append(ReceivedRequest(handler.path, headers, body))
        handler.send_response(204 if is_accepted else 500)
        handler.end_headers()

    def documents(self) -> list[ChangeDocument]:
        """The changes in the order of their first arrival."""
        found: dict[str, ChangeDocument] = {}
        for request in list(self.received):
            found.setdefault(request.headers["webhook-id"], _convert(request.body))
        return list(found.values())


def table_of(documents: Iterable[ChangeDocument]) -> FeedConsumer:
    """The table of whoever applies changes in this order."""
    consumer = FeedConsumer()
    for document in documents:
        consumer.apply(document)
    return consumer


def of_each_profile(documents: Iterable[ChangeDocument]) -> dict[UUID, list[str]]:
    """Profile → the cursors of the changes that it is in, in order."""
    found: dict[UUID, list[str]] = {}
    for document in documents:
        moved = document.moved or {}
        ids = {document.profile_id, *document.before, *document.after, *map(UUID, moved), *moved.values()}
        for item in ids:
            found.setdefault(item, []).append(document.cursor)
    return found


async def current_of(http: httpx.AsyncClient, ids: Iterable[UUID], view: str) -> dict[UUID, UUID | None]:
    """Id → the profile that the service answers for it; None: none."""
    limit = asyncio.Semaphore(8)

    async def ask(item: UUID) -> UUID | None:
        async with limit:
            answer = await http.get(f"{ADMIN}/datasets/default/profiles/{item}", params={"view": view})
        assert answer.status_code in (200, 404), answer.text
        if answer.status_code == 404:
            return None
        profile = answer.json()
        return UUID(profile.get("merged_to", profile)["profile_id"])

    asked = list(ids)
    return dict(zip(asked, await asyncio.gather(*map(ask, asked)), strict=True))


class MergingWriters:
    """Writers of profiles that share addresses, so that a rule merges them, and that part some again."""

    def __init__(self, http: httpx.AsyncClient, count: int) -> None:
        self._http = http
        self._count = count
        self._is_stopped = False
        self.written = 0
        self.split = 0

    def begin(self) -> asyncio.Task[None]:
        """Write until `stop`."""
        self._task = asyncio.create_task(self._run())
        return self._task

    def raise_failure(self) -> None:
        """Raise what ended the writers, if they have failed."""
        if self._task.done():
            self._task.result()

    async def _run(self) -> None:
        await asyncio.gather(*(self._write_until_stopped(writer) for writer in range(self._count)))

    def stop(self) -> None:
        """Stop every writer after its current request."""
        self._is_stopped = True

    async def _write_until_stopped(self, writer: int) -> None:
        number = 0
        while not self._is_stopped:
            number += 1
            mail = f"{(writer * 7 + number) % 25}@acme.example"
            made = await self._request(
                "POST", PROFILES, {"traits": {"mail": mail, "n": f"{writer}-{number}"}}
            )
            self.written += made is not None
            if made is not None and number % 4 == 0:
                path, body = f"{ADMIN}/profiles/{made['profile_id']}/split", {"all": True, "reason": "test"}
                self.split += await self._request("POST", path, body) is not None

    async def _request(self, method: str, path: str, body: Any) -> dict[str, Any] | None:
        """One request, repeated until the service answers; None: it rejects it."""
        headers = {"Idempotency-Key": f"{id(body)}-{time.monotonic_ns()}"}
        while True:
            try:
                answer = await self._http.request(method, path, json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(READ_PAUSE_S)
                continue
            if answer.status_code in AWAY:
                await asyncio.sleep(READ_PAUSE_S)
                continue
            if answer.status_code in (200, 201):
                return dict(answer.json())
            # What another writer has already parted cannot be parted once more.
            assert path != PROFILES, answer.text
            assert answer.status_code in (400, 404, 409), answer.text
            return None
