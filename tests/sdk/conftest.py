"""A site on several subdomains that uses the web SDK, in a real Chromium, and a running service."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from e2e.conftest import chromium
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.web.sdk import find_scripts, snippet
from support.service import RunningService
from support.waiting import until

__all__ = ["chromium"]

Administer = Callable[..., Any]

#: That of a person's browser. Headless Chromium says that it is a program, and programs send nothing.
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36"
DATASET = "sdk"
COOKIE = f"oneself_{DATASET}"
WAIT_MS = 10_000

#: What a page hears, in order: [name, detail].
LISTEN = """
window.heard = [];
for (const name of ["ready", "send", "response", "drop", "identity", "error"])
  oneself.on(name, (detail) => heard.push([name, JSON.parse(JSON.stringify(detail))]));
"""


class _SiteServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page: str = self.server.page  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        return None


class Site:
    """A site whose pages all load the SDK from the service, and call `init` with the same options."""

    def __init__(self, service: RunningService, server: ThreadingHTTPServer) -> None:
        self.service = service
        self._server = server
        self.setup()

    def setup(self, before: str = "", **options: Any) -> None:
        """What pages do from now on. `before`: a script that runs before the SDK; `options`: for `init`."""
        (script,) = find_scripts()
        head = snippet(script, self.service.base_url, self.service.org, DATASET)
        begin, _, end = head.partition("oneself.init(")
        given, _, end = end.partition(");")
        all_options = f"Object.assign({given}, {{pages: 'manual'}}, {json.dumps(options)})"
        calls = f"{LISTEN}oneself.init({all_options});"
        self._server.page = (  # type: ignore[attr-defined]
            f"<!doctype html><html lang=en><head><title>Shop</title><script>{before}</script>"
            f"{begin}{calls}{end}</head><body><h1>Shop</h1></body></html>"
        )

    def address(self, host: str = "www", path: str = "/") -> str:
        return f"http://{host}.acme.example:{self._server.server_port}{path}"


class Visit:
    """A page of a browser, with what it sends and hears."""

    def __init__(self, page: Any, site: Site) -> None:
        self.page, self.site = page, site
        self.sent: list[Any] = []
        self.failures: list[str] = []
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.failures.append(str(error)))

    def open(self, host: str = "www", path: str = "/") -> Visit:
        self.page.goto(self.site.address(host, path))
        self.wait("ready")
        return self

    def call(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait(self, name: str, count: int = 1) -> list[Any]:
        """The details of what was heard under a name, once there are that many."""
        self.page.wait_for_function(
            "([name, count]) => heard.filter((item) => item[0] === name).length >= count",
            arg=[name, count],
            timeout=WAIT_MS,
        )
        return self.heard(name)

    def heard(self, name: str) -> list[Any]:
        return [detail for kind, detail in self.call("heard") if kind == name]

    def track(self, name: str, count: int = 1) -> Any:
        """Send an event and wait for the answer to it: the last of `count` answers of this page."""
        self.call(f"oneself.track({json.dumps(name)})")
        return self.wait("response", count)[-1]

    def stored(self, name: str = COOKIE) -> dict[str, Any]:
        """What the cookie says."""
        found = [cookie for cookie in self.page.context.cookies() if cookie["name"] == name]
        assert len(found) == 1, found
        remembered: dict[str, Any] = json.loads(unquote(found[0]["value"]))
        return remembered

    def _note(self, request: Any) -> None:
        if "/api2/event/" in request.url and request.method == "POST":
            self.sent.append(json.loads(request.post_data))


@pytest.fixture(scope="session")
def administer(service: RunningService) -> Administer:
    """Call the administration of the service: method, path, document, and parameters of the query."""
    headers = {"Authorization": f"Bearer {service.token(*PERMISSIONS)}"}

    def call(method: str, path: str, document: Any = None, **parameters: Any) -> Any:
        url = f"{service.base_url}/t/{service.org}/api/v1{path}"
        answer = httpx.request(method, url, json=document, params=parameters, headers=headers, timeout=30.0)
        assert answer.is_success, answer.text
        return answer.json()

    return call


@pytest.fixture(scope="session")
def site(service: RunningService, administer: Administer) -> Iterator[Site]:
    administer("POST", "/datasets", {"name": DATASET})
    bindings = [{"name": "emailAddress", "identity_type": "emailAddress"}]
    administer("PUT", f"/datasets/{DATASET}/identity-attributes", bindings)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _SiteServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(service, server)
    server.shutdown()
    server.server_close()


@pytest.fixture
def shop(site: Site) -> Site:
    """The site with nothing but `init`."""
    site.setup()
    return site


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    """A browser without cookies."""
    opened = chromium.new_context(user_agent=USER_AGENT)
    opened.set_default_timeout(WAIT_MS)
    yield opened
    opened.close()


@pytest.fixture
def visit(context: Any, shop: Site) -> Iterator[Visit]:
    """A page that has not been opened. It must not have thrown in the end."""
    visited = Visit(context.new_page(), shop)
    yield visited
    assert visited.failures == []


@pytest.fixture(scope="session")
def stored_events(administer: Administer) -> Callable[..., list[int]]:
    """Call with ids of events: how often each of them is in the log, once all of them are."""

    def find(*event_ids: str) -> list[int]:
        found: list[str] = []

        def is_complete() -> bool:
            page = administer("GET", f"/datasets/{DATASET}/events", body="true", page_size=100)
            found[:] = [event["body"].get("eventId") for event in page["events"]]
            return set(event_ids) <= set(found)

        until(is_complete, lambda: f"of {event_ids}, only these are stored: {found}", 10.0)
        return [found.count(event_id) for event_id in event_ids]

    return find
