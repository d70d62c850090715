"""Callers of one service for the session; the command line creates organisations and applications."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.service import RunningService
from support.waiting import until
from wire.browser import CALLBACK, Browser, WebApplication
from wire.client import PERMISSIONS, Cds, fresh

SECRET = "a secret of the tests, long enough to be taken"


@pytest.fixture(scope="session")
def cds(service: RunningService) -> Iterator[Cds]:
    """The bootstrap application of `acme`: a system application with every permission."""
    caller = Cds(service.base_url, service.org, service.client_id, service.client_secret)
    yield caller
    caller.close()


@pytest.fixture(scope="session")
def new_org(service: RunningService) -> Iterator[Callable[[], Cds]]:
    """Creates organisations, each enabled and with its own system application.

    The command can take seconds, so the next organisation is created while a test uses the previous one.
    """

    def make() -> Cds:
        handle = fresh("org").replace("_", "-")
        client_id = f"{handle}-client"
        result = service.command("org", "create", handle, "--client-id", client_id, "--client-secret", SECRET)
        assert result.returncode == 0, result.stderr
        return Cds(service.base_url, handle, client_id, SECRET)

    pool, created = ThreadPoolExecutor(1), []
    pending = [pool.submit(make)]

    def take() -> Cds:
        pending.append(pool.submit(make))
        created.append(pending.pop(0).result())
        return created[-1]

    yield take
    pool.shutdown(cancel_futures=True)
    for caller in created:
        caller.close()


@pytest.fixture(scope="session")
def other(new_org: Callable[[], Cds]) -> Cds:
    """Another organisation on the same service."""
    return new_org()


@pytest.fixture(scope="session")
def new_app(service: RunningService) -> Callable[..., tuple[str, str | None]]:
    """Creates applications of `acme`; returns client id and secret (None for a browser application)."""

    def make(kind: str, permissions: frozenset[str]) -> tuple[str, str | None]:
        options = [part for name in sorted(permissions) for part in ("--permission", name)]
        if kind != "machine":
            options += ["--redirect-uri", CALLBACK]
        result = service.command(
            "app", "create", fresh(kind), "--json", "--org", service.org, "--kind", kind, *options
        )
        assert result.returncode == 0, result.stderr
        application = json.loads(result.stdout)
        return application["client_id"], application.get("client_secret")

    return make


@pytest.fixture(scope="session")
def regular(cds: Cds, new_app: Callable[..., tuple[str, str]]) -> Cds:
    """An application with every permission that is not a system application."""
    client_id, secret = new_app("machine", PERMISSIONS)
    return Cds(cds.base_url, cds.org, client_id, secret)


@pytest.fixture(scope="session")
def view_only(cds: Cds, new_app: Callable[..., tuple[str, str]]) -> Cds:
    """An application that can only read profiles."""
    permissions = frozenset({"internal_cds_profile_view"})
    client_id, secret = new_app("machine", permissions)
    return Cds(cds.base_url, cds.org, client_id, secret, permissions)


@pytest.fixture(scope="session")
def unprivileged(cds: Cds, new_app: Callable[..., tuple[str, str]]) -> Cds:
    """An application without permissions."""
    client_id, secret = new_app("machine", frozenset())
    return Cds(cds.base_url, cds.org, client_id, secret, frozenset())


@pytest.fixture(scope="session")
def web_app(cds: Cds, new_app: Callable[..., tuple[str, str | None]]) -> WebApplication:
    """A confidential application with a callback address."""
    permissions = frozenset({"internal_cds_profile_view", "internal_cds_profile_update"})
    client_id, secret = new_app("web", permissions)
    return WebApplication(cds.base_url, cds.org, client_id, secret)


@pytest.fixture(scope="session")
def public_app(cds: Cds, new_app: Callable[..., tuple[str, str | None]]) -> WebApplication:
    """A single-page application: no secret."""
    permissions = frozenset({"internal_cds_profile_view", "internal_cds_profile_update"})
    client_id, _ = new_app("browser", permissions)
    return WebApplication(cds.base_url, cds.org, client_id, None)


@pytest.fixture
def browser(cds: Cds) -> Iterator[Browser]:
    browser = Browser(cds.base_url)
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def origin() -> str:
    """The CORS origin that `configured` allows."""
    return "https://shop.acme.example"


@pytest.fixture(scope="session")
def configured(
    service: RunningService, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cds]:
    """`acme` through a second process, with an origin, a public address and a cookie domain."""
    settings = {
        "ONESELF_CORS_ORIGINS": f"https://elsewhere.acme.example,{origin}",
        "ONESELF_PUBLIC_URL": "https://cds.acme.example",
        "ONESELF_COOKIE_DOMAIN": "acme.example",
    }
    running = RunningService(tmp_path_factory.mktemp("configured") / "data", service.database_url, settings)
    running._port = port = _free_port()  # its start-up message names the public address, not the port
    running.launch()
    caller = Cds(f"http://localhost:{port}", running.org, running.client_id, running.client_secret)
    _wait_until_ready(caller)
    yield caller
    caller.close()
    running.stop()


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def _wait_until_ready(caller: Cds) -> None:
    until(
        lambda: caller.http.get("/ready").status_code == 200,
        "the service did not start in time",
        ignoring=httpx.TransportError,
    )
