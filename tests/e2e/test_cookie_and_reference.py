"""A real browser stores the profile cookie, and the API reference needs no internet."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
from collections.abc import AsyncIterator, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from playwright.async_api import Browser, Page

from oneself.auth.callers.permissions import CDS_PERMISSIONS
from support.service import RunningService

pytestmark = pytest.mark.e2e

DOMAIN, CDS_HOST, SHOP_HOST = "acme.example", "cds.acme.example", "shop.acme.example"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    f"--host-resolver-rules=MAP *.{DOMAIN} 127.0.0.1",
]
CREATE = """async ([base, token]) => {
  const answer = await fetch(`${base}/t/acme/cds/api/v1/profiles`, {
    method: "POST", credentials: "include", body: "{}",
    headers: {"Content-Type": "application/json", "Authorization": `Bearer ${token}`},
  });
  return [answer.status, (await answer.json()).profile_id, answer.headers.get("ETag")];
}"""


class _ShopServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<h1>Shop</h1>")

    def log_message(self, *_: object) -> None:
        return None


@pytest_asyncio.fixture(scope="module")
async def shop_port() -> AsyncIterator[int]:
    """The port of a shop, which differs from the service's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _ShopServer)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def token_for(service: RunningService) -> str:
    form = {"grant_type": "client_credentials", "scope": " ".join(CDS_PERMISSIONS)}
    client = (service.client_id, service.client_secret)
    answer = httpx.post(
        f"{service.base_url}/t/{service.org}/oauth2/token", data=form, auth=client, timeout=30
    )
    return str(answer.json()["access_token"])


async def visit_twice(page: Page, shop: str, base: str, token: str) -> list[Any]:
    """Visit the shop twice; each time it requests the visitor's profile. Returns both answers."""
    answers = []
    for _ in range(2):
        await page.goto(shop)
        answers.append(await page.evaluate(CREATE, [base, token]))
    return answers


async def test_the_cookie_works_on_localhost(
    browser: Browser, shop_port: int, new_database: Any, start_service: Callable[..., RunningService]
) -> None:
    shop = f"http://localhost:{shop_port}"
    environment = {"ONESELF_CORS_ORIGINS": shop, "ONESELF_COOKIE_DOMAIN": DOMAIN}
    service = start_service(database_url=await new_database(), environment=environment)
    base = service.base_url.replace("127.0.0.1", "localhost")
    context = await browser.new_context()
    first, second = await visit_twice(await context.new_page(), shop, base, token_for(service))
    assert (first[0], second[0]) == (201, 200)
    assert first[1] == second[1]
    assert first[2], "the page cannot read the ETag"
    (cookie,) = await context.cookies(base)
    assert (cookie["name"], cookie["httpOnly"], cookie["expires"]) == ("cds_profile", True, -1)
    await context.close()


async def test_the_cookie_works_on_https_and_in_the_shops_domain(
    browser: Browser,
    shop_port: int,
    new_database: Any,
    start_service: Callable[..., RunningService],
    tmp_path: Path,
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        tls = certificate(tmp_path)
        shop = f"https://{SHOP_HOST}:{await stack.enter_async_context(terminated(tls, shop_port))}"
        environment = {"ONESELF_CORS_ORIGINS": shop, "ONESELF_COOKIE_DOMAIN": DOMAIN}
        service = start_service(database_url=await new_database(), environment=environment)
        port = httpx.URL(service.base_url).port or 0
        base = f"https://{CDS_HOST}:{await stack.enter_async_context(terminated(tls, port))}"
        context = await browser.new_context(ignore_https_errors=True)
        first, second = await visit_twice(await context.new_page(), shop, base, token_for(service))
        assert (first[0], second[0]) == (201, 200)
        assert first[1] == second[1]
        (cookie,) = await context.cookies(base)
        assert cookie["domain"] == f".{DOMAIN}"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "None")
        await context.close()


async def test_the_reference_works_with_no_internet(browser: Browser, service: RunningService) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    requested: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto(f"{service.base_url}/docs")
    await page.get_by_text("/t/{org}/cds/api/v1/profiles/{profile_id}").first.wait_for(timeout=30_000)
    await page.locator(".opblock-post .opblock-summary").first.click()
    await page.get_by_text("Request body").first.wait_for(timeout=10_000)
    assert errors == []
    external = [url for url in requested if not url.startswith((service.base_url, "data:", "blob:"))]
    assert external == []
    await context.close()


def certificate(folder: Path) -> ssl.SSLContext:
    """A TLS context with a self-signed certificate for every host of the domain."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in (CDS_HOST, SHOP_HOST)])
    signed = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = folder / "tls.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@contextlib.asynccontextmanager
async def terminated(tls: ssl.SSLContext, port: int) -> AsyncIterator[int]:
    """A port that terminates TLS and forwards to `port`, as a proxy would."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(relay(reader, inner_writer), relay(inner_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
