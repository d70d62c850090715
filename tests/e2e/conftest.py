"""Fixtures of the end-to-end tests: a running demo, a real Chromium, a shop, and two services under load."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright
from playwright.sync_api import sync_playwright

from conftest import NewDatabase, StartService
from support.commands import clean_environment
from support.waiting import until

from .load import PERMISSIONS, Pair, client, define

#: A browser that asks nobody but the pages under test.
CHROMIUM_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--host-resolver-rules=MAP *.acme.example 127.0.0.1",
]
START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0


class RunningDemo(msgspec.Struct):
    """A demo that has printed its story and still serves its shop."""

    process: subprocess.Popen[str]
    output: str

    @property
    def shop(self) -> str:
        return self._address("shop")

    @property
    def folder(self) -> Path:
        return Path(self._address("folder"))

    @property
    def curl_lines(self) -> str:
        """The curl commands that the demo prints for the reader to copy."""
        return self.output.partition("for another terminal:")[2].partition("Verify the log")[0]

    def stop(self) -> int:
        """Send Ctrl-C and wait. Returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_DEADLINE_S)

    def _address(self, name: str) -> str:
        found = re.search(rf"^  {name} +(\S+)", self.output, re.MULTILINE)
        assert found, self.output
        return found[1]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    log_file = tmp_path_factory.mktemp("demo") / "output"
    with log_file.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "oneself", "demo"],
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    running = RunningDemo(process, "")

    def is_ready() -> bool:
        running.output = log_file.read_text("utf-8")
        assert process.poll() is None, f"the demo ended:\n{running.output}"
        return "Stop everything" in running.output

    try:
        until(is_ready, lambda: f"the demo is not ready:\n{running.output}", START_DEADLINE_S)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def chromium_path() -> str:
    """The executable of the Chromium of the tests."""
    name = os.environ.get("ONESELF_TEST_CHROMIUM", "chromium")
    for candidate in (name, "chromium-browser", "google-chrome"):
        if path := shutil.which(candidate):
            return path
    pytest.fail("Chromium is not installed; run tools/ensure-chromium.")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium, driven by Playwright. Every test opens its own context.

    The scope is one module, because Playwright's event loop prevents tests that are coroutines from running.
    """
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium, driven by Playwright's asynchronous interface."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page in a new browser context, without cookies."""
    context = chromium.new_context()
    context.set_default_timeout(30_000)
    opened = context.new_page()
    yield opened
    context.close()


class _ShopServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Welcome back</h1>")

    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    """The redirect address of an application, on another origin than the service."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ShopServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/callback"
    server.shutdown()
    server.server_close()


@pytest.fixture
async def pair(start_service: StartService, new_database: NewDatabase) -> AsyncIterator[Pair]:
    """Two services on one database, with the multi-valued trait `seen`."""
    url = await new_database()
    services = [
        await asyncio.to_thread(lambda name=name: start_service(database_url=url, name=name))  # type: ignore[misc]
        for name in ("one", "two")
    ]
    async with AsyncExitStack() as stack:
        token = services[0].token(*PERMISSIONS)
        clients = [await stack.enter_async_context(client(service, token)) for service in services]
        await define(clients[0], "seen", multi_valued=True, merge_strategy="combine")
        yield Pair(services, clients)
