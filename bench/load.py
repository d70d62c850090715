"""A load generator for HTTP/1.1 in a process of its own: `python -m bench.load < plan`.

Packaged load generators cannot both hold a rate and send different requests. Each connection has one request
in flight. Without a rate, a connection sends the next request as soon as the previous one is answered. With a
rate, requests arrive evenly, independent of the service; if no connection is idle, a request waits, and the
wait is part of its latency. The generator runs on the same cores as the service and the database.
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
    """A load to generate.

    `requests`: as bytes, sent in turn. `rate_s`: requests per second, None for the maximum. Responses during
    the first `warm_up_s` are not counted.
    """

    host: str
    port: int
    requests: tuple[bytes, ...]
    connections: int
    duration_s: float
    warm_up_s: float = 1.0
    rate_s: float | None = None


class Report(msgspec.Struct, frozen=True):
    """The result of a plan. Latencies in ms. `statuses`: HTTP status (0: broken connection) → responses."""

    per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    statuses: dict[str, int]


def run(plan: Plan) -> Report:
    """Run a plan in another process and return its report."""
    command = [sys.executable, "-m", "bench.load"]
    root = Path(__file__).parents[1]
    done = subprocess.run(
        command, input=msgspec.msgpack.encode(plan), stdout=subprocess.PIPE, cwd=root, check=True
    )
    return msgspec.msgpack.decode(done.stdout, type=Report)


def request(method: str, path: str, token: str, body: object = None, host: str = "localhost") -> bytes:
    """Return a request as bytes."""
    content = b"" if body is None else msgspec.json.encode(body)
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}"]
    if content:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join((*head, "", "")).encode() + content


def at_rate(plan: Plan, rate_s: float) -> Plan:
    """Return the plan with requests arriving evenly at a rate."""
    return msgspec.structs.replace(plan, rate_s=rate_s)


def check(report: Report, status: str) -> None:
    """Raise RuntimeError unless all responses have the expected status."""
    unexpected = {other: count for other, count in report.statuses.items() if other != status}
    if unexpected or not report.statuses:
        raise RuntimeError(f"Expected only responses with status {status}; received: {unexpected or 'none'}.")


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.measured_from = time.perf_counter() + plan.warm_up_s
        self.until = self.measured_from + plan.duration_s
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
        self.measured_from = time.perf_counter() + self.plan.warm_up_s
        self.until = self.measured_from + self.plan.duration_s
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
                self._idle.pop().send(self._next_request(), self._due.popleft())
            await asyncio.sleep(TICK_S)

    def _next_request(self) -> bytes:
        self._next += 1
        return self.plan.requests[self._next % len(self.plan.requests)]

    def free(self, connection: "_Connection") -> None:
        """Send the next request on an idle connection, or add it to the idle ones."""
        now = time.perf_counter()
        if self.plan.rate_s is None:
            if now < self.until:
                connection.send(self._next_request(), now)
        elif self._due:
            connection.send(self._next_request(), self._due.popleft())
        else:
            self._idle.append(connection)

    def record(self, status: str, since: float) -> None:
        """Count a response, unless it is outside the measured time."""
        now = time.perf_counter()
        if self.measured_from <= now < self.until:
            self.latencies.append(now - since)
            self.statuses[status] += 1

    def _report(self) -> Report:
        latencies = self.latencies or [0.0]
        return Report(
            per_s=len(self.latencies) / self.plan.duration_s,
            p50_ms=percentile(latencies, 0.5) * 1000,
            p99_ms=percentile(latencies, 0.99) * 1000,
            max_ms=max(latencies) * 1000,
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
        self._generator.record("0", self._since)

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
        self._generator.record(status, self._since)
        self._generator.free(self)


def main() -> None:
    """Read a plan from standard input and write the report to standard output."""
    plan = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.msgpack.encode(uvloop.run(_Generator(plan).run())))


if __name__ == "__main__":
    main()
