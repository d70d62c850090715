"""A load generator for HTTP/1.1, as a process of its own: `python -m bench.load < plan`.

It is here because those that distributions carry cannot hold a rate and send another request each time. One
connection has one request in flight. Without a rate, every connection sends again as soon as it is answered;
with one, requests arrive evenly, whatever the service does, and a request that finds no free connection
waits, which counts as latency. The generator runs on the same cores as the service and the database.
"""

import asyncio
import re
import subprocess
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import cast

import msgspec
import uvloop

from .results import percentile

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
TICK_S = 0.001


class Plan(msgspec.Struct, frozen=True):
    """What to send: `requests` in turn, as bytes. `rate_s`: requests per second, None as many as possible.
    The first `warm_up_s` are not counted."""

    host: str
    port: int
    requests: tuple[bytes, ...]
    connections: int
    duration_s: float
    warm_up_s: float = 1.0
    rate_s: float | None = None


class Report(msgspec.Struct, frozen=True):
    """The outcome of a plan. Latencies in ms; `statuses`: HTTP status (0: broken connection) → answers."""

    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]


def run(plan: Plan) -> Report:
    """Run a plan in another process."""
    command = [sys.executable, "-m", "bench.load"]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, input=msgspec.msgpack.encode(plan), stdout=subprocess.PIPE, cwd=root, check=True
    )
    return msgspec.msgpack.decode(done.stdout, type=Report)


def request(method: str, path: str, token: str, body: object = None, host: str = "localhost") -> bytes:
    """One request as bytes."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    if content:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join((*head, "", "")).encode() + content


def at_rate(plan: Plan, rate_s: float) -> Plan:
    """The same requests, arriving evenly."""
    return msgspec.structs.replace(plan, rate_s=rate_s)


def check(report: Report, status: str) -> None:
    """Fail unless every answer has the right status."""
    wrong = {found: count for found, count in report.statuses.items() if found != status}
    if wrong or not report.statuses:
        raise RuntimeError(f"Answers other than {status}: {wrong or 'none at all'}.")


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.counting_from = time.perf_counter() + plan.warm_up_s
        self.until = self.counting_from + plan.duration_s
        self._next = 0
        self._due: deque[float] = deque()
        self._idle: list[_Connection] = []

    async def run(self) -> Report:
        loop = asyncio.get_running_loop()
        connections = []
        for _ in range(self.plan.connections):
            _, connection = await loop.create_connection(
                lambda: _Connection(self), self.plan.host, self.plan.port
            )
            connections.append(connection)
        self.counting_from = time.perf_counter() + self.plan.warm_up_s
        self.until = self.counting_from + self.plan.duration_s
        if self.plan.rate_s is None:
            for connection in connections:
                self.free(connection)
            await asyncio.sleep(self.until - time.perf_counter())
        else:
            self._idle = connections
            await self._arrive(self.plan.rate_s)
        return self._report()

    async def _arrive(self, rate_s: float) -> None:
        started, sent = time.perf_counter(), 0
        while (now := time.perf_counter()) < self.until:
            for _ in range(int((now - started) * rate_s) - sent):
                self._due.append(now)
                sent += 1
            while self._due and self._idle:
                self._idle.pop().send(self._take(), self._due.popleft())
            await asyncio.sleep(TICK_S)

    def _take(self) -> bytes:
        self._next += 1
        return self.plan.requests[self._next % len(self.plan.requests)]

    def free(self, connection: "_Connection") -> None:
        """A connection has no request in flight."""
        now = time.perf_counter()
        if self.plan.rate_s is None:
            if now < self.until:
                connection.send(self._take(), now)
        elif self._due:
            connection.send(self._take(), self._due.popleft())
        else:
            self._idle.append(connection)

    def answered(self, status: str, since: float) -> None:
        now = time.perf_counter()
        if self.counting_from <= now < self.until:
            self.latencies.append(now - since)
            self.statuses[status] += 1

    def _report(self) -> Report:
        found = self.latencies or [0.0]
        return Report(
            per_s=len(self.latencies) / self.plan.duration_s,
            p50_ms=percentile(found, 0.5) * 1000,
            p99_ms=percentile(found, 0.99) * 1000,
            max_ms=max(found) * 1000,
            statuses=dict(self.statuses),
        )


class _Connection(asyncio.Protocol):
    def __init__(self, generator: _Generator) -> None:
        self._generator = generator
        self._since = 0.0
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._generator.answered("0", self._since)

    def send(self, request: bytes, since: float) -> None:
        self._since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if len(self._received) < end + 4 + (int(length[1]) if length else 0):
            return
        status = self._received[9:12].decode()
        self._received = b""
        self._generator.answered(status, self._since)
        self._generator.free(self)


def main() -> None:
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.msgpack.encode(uvloop.run(_Generator(plan).run())))


if __name__ == "__main__":
    main()
