"""The short way for events equals the long one: the same bytes, counts and ends of connections."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from oneself.bootstrap import build_services
from oneself.service.context import Actor
from oneself.service.events.write_keys import NewWriteKey
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.tunables import Tunables
from support.application import SECRET, SYSTEM
from support.caller import Cds
from support.service import SECRET_KEY
from support.two_ways import Exchange, Reads, Way, two_ways

SHOP, OTHER = "https://shop.example", "https://other.example"
DEVICE = "0123456789abcdef-1"
EVENT = {"interaction": {"name": "Café ☕"}, "user": {"anonymousId": DEVICE}}
EVERGAGE = {"action": "View", "user": {"anonId": DEVICE, "attributes": {"colour": "blue"}}}
NAMED = {"interaction": {"name": "View"}, "user": {"anonymousId": DEVICE, "id": "u-7"}}
PATH = "/t/acme/api2/event/default"
TRUSTED = "/t/acme/api2/authevent/default"
FORM = "Content-Type: application/x-www-form-urlencoded"
BASIC = f"Authorization: Basic {base64.b64encode(f'{SYSTEM}:{SECRET}'.encode()).decode()}"


@pytest.fixture
def services(database: Database, tmp_path: Path, tunables: Tunables) -> Services:
    """With a default organisation, so that paths work without `/t/{org}`."""
    settings = Settings(data_dir=tmp_path, secret_key=SECRET_KEY, default_org="acme", events_per_address_s=0)
    return build_services(settings, database, tunables=tunables)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest_asyncio.fixture
async def ways(cds: Cds, reads: Reads) -> AsyncIterator[tuple[Way, Way]]:
    async with two_ways(cds.services, reads) as both:
        for way in both:
            # The first time, visitors are created and the idempotency key is stored.
            await way.exchange(Exchange((post(NAMED), post(EVENT), REPEATABLE), 3))
            way.forget_counts()
        yield both


def request(
    method: str, path: str, *headers: str, body: bytes = b"", version: str = "1.1", sized: bool = True
) -> bytes:
    length = [f"Content-Length: {len(body)}"] if sized and (body or method == "POST") else []
    lines = (f"{method} {path} HTTP/{version}", "Host: cds.acme.example", *headers, *length, "", "")
    return "\r\n".join(lines).encode("latin-1") + body


def encoded(event: Any) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def base64_of(event: Any) -> str:
    return base64.b64encode(encoded(event)).decode()


def post(event: Any, *headers: str, path: str = PATH, **options: Any) -> bytes:
    kind = (
        ()
        if any(header.startswith("Content-Type") for header in headers)
        else ("Content-Type: application/json",)
    )
    body = event if isinstance(event, bytes) else encoded(event)
    return request("POST", path, *kind, *headers, body=body, **options)


def get(event: Any, *headers: str, path: str = PATH, method: str = "GET", **options: Any) -> bytes:
    return request(method, f"{path}?event={quote(base64_of(event), safe='')}", *headers, **options)


def chunked(*parts: bytes, trailer: bytes = b"") -> bytes:
    head = request("POST", PATH, "Content-Type: application/json", "Transfer-Encoding: chunked", sized=False)
    return (
        head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n" + trailer + b"\r\n"
    )


def halves(sent: bytes, at: int) -> tuple[bytes, bytes]:
    return sent[:at], sent[at:]


def one(*parts: bytes, short: int = 1, **options: Any) -> Exchange:
    return Exchange(parts, short=short, **options)


REPEATABLE = post(EVENT, BASIC, "Idempotency-Key: k", path=TRUSTED)
ENCODINGS = {
    "json": one(post(EVENT)),
    "json of the other namespace": one(post(EVERGAGE)),
    "json of both namespaces": one(post({**EVENT, **EVERGAGE})),
    "json, named": one(post(NAMED)),
    "json as text": one(post(EVENT, "Content-Type: text/plain;charset=UTF-8")),
    "json with a charset": one(post(EVENT, "Content-Type: APPLICATION/JSON; charset=utf-8")),
    "json as another type": one(post(EVENT, "Content-Type: application/xml")),
    "form, base64": one(post(urlencode({"event": base64_of(EVENT)}).encode(), FORM)),
    "form, json": one(post(urlencode({"event": encoded(EVENT).decode()}).encode(), FORM)),
    "form without an event": one(post(b"a=b", FORM)),
    "get": one(get(EVENT)),
    "get, other parameters": one(get(EVENT).replace(b"?event", b"?_r=1&event")),
    "without a prefix": one(post(EVENT, path="/api2/event/default")),
    "get without a prefix": one(get(EVERGAGE, path="/api2/event/default")),
    "an escaped path": one(post(EVENT, path="/t/acme/api2/event/d%65fault")),
    "a slash at the end": one(post(EVENT, path=f"{PATH}/")),
    "an absolute url": one(post(EVENT, path=f"http://cds.acme.example{PATH}")),
    "do not track": one(post({**EVENT, "flags": {"doNotTrack": True}})),
    "no user": one(post({})),
    "no id": one(post({"user": {}})),
    "an invalid anonymous id": one(post({"user": {"anonymousId": "ä"}})),
    "an unreadable token": one(post({"user": {"anonymousId": DEVICE, "encryptedId": "AQAB"}})),
}
TRUSTED_EVENTS = {
    "trusted": one(post(EVENT, BASIC, path=TRUSTED)),
    "trusted, explained": one(post({**NAMED, "explain": True}, BASIC, path=TRUSTED)),
    "trusted, without a prefix": one(post(EVENT, BASIC, path="/api2/authevent/default")),
    "no credentials": one(post(EVENT, path=TRUSTED)),
    "wrong credentials": one(post(EVENT, "Authorization: Basic YTpi", path=TRUSTED)),
    "broken credentials": one(post(EVENT, "Authorization: Basic \xff", path=TRUSTED)),
    "unknown browser key": one(post(EVENT, f"Authorization: Bearer obk_{'0' * 64}")),
    "server key of a page": one(post(EVENT, f"Authorization: Bearer osk_{'0' * 64}")),
    "invalid idempotency key": one(
        post(EVENT, BASIC, "Idempotency-Key: a", "Idempotency-Key: b", path=TRUSTED)
    ),
    "idempotency key": one(REPEATABLE),
    "idempotency key, another event": one(post(NAMED, BASIC, "Idempotency-Key: k", path=TRUSTED)),
}
ERRORS = {
    "no json": one(post(b"{")),
    "nothing": one(post(b"")),
    "an array": one(post([])),
    "nul": one(post({"action": "\x00"})),
    "no utf-8": one(post(b'{"action": "\xff"}')),
    "a field of the wrong type": one(post({"user": 7})),
    "get without an event": one(request("GET", PATH)),
    "get without base64": one(request("GET", f"{PATH}?event=%21")),
    "unknown dataset": one(post(EVENT, path="/t/acme/api2/event/nowhere")),
    "unknown organisation": one(post(EVENT, path="/t/nobody/api2/event/default")),
    "unknown path": one(post(EVENT, path="/t/acme/api2/nothing/default")),
    "below a dataset": one(post(EVENT, path=f"{PATH}/more")),
    "get of a trusted event": one(get(EVENT, BASIC, path=TRUSTED)),
    "too long a url": one(request("GET", f"{PATH}?event={'A' * 16_400}")),
    **{method: one(request(method, PATH, body=encoded(EVENT))) for method in ("PUT", "PATCH", "DELETE")},
    "another method": one(request("PROPFIND", PATH)),
    # Until the end of the connection: a body would come after the head.
    "head": one(get(EVENT, "Connection: close", method="HEAD"), is_head=True),
    "head of a beacon": one(request("HEAD", "/pr", "Connection: close"), is_head=True),
    "too large": one(post({"action": "x" * 300_000}), short=0),
}
HEADERS = {
    "origin": one(post(EVENT, f"Origin: {SHOP}")),
    "preflight": one(
        request(
            "OPTIONS",
            PATH,
            f"Origin: {SHOP}",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: a",
        )
    ),
    "preflight of a trusted event": one(request("OPTIONS", TRUSTED, f"Origin: {SHOP}")),
    "options without an origin": one(request("OPTIONS", PATH)),
    "gzip": one(post(NAMED, "Accept-Encoding: br, gzip")),
    "gzip of an error": one(post(b"{", "Accept-Encoding: gzip")),
    "gzip of nothing": one(request("OPTIONS", PATH, "Accept-Encoding: gzip")),
    "no gzip": one(post(NAMED, "Accept-Encoding: gzip;q=0")),
    "gzip and origin": one(post(NAMED, "Accept-Encoding: gzip", f"Origin: {SHOP}")),
    "beacon": one(request("GET", "/pr", f"Origin: {SHOP}")),
    "beacon with a prefix": one(request("GET", "/t/acme/twreceiver")),
    "forwarded": one(post(EVENT, "X-Forwarded-For: 192.0.2.1, 127.0.0.1", "X-Forwarded-Proto: https")),
    "forwarded by nobody": one(post(EVENT, "X-Forwarded-For: ")),
    "a strange origin": one(post(EVENT, "Origin: \xe4\x80")),
    "keep-alive": one(post(EVENT, "Connection: keep-alive")),
    "close": one(post(EVENT, "Connection: close")),
    "close of an error": one(post(b"{", "Connection: Close")),
    "close of nothing": one(request("OPTIONS", PATH, "Connection: close")),
    "http/1.0": one(post(EVENT, version="1.0")),
    "http/1.0, keep-alive": one(post(EVENT, "Connection: keep-alive", version="1.0")),
    "http/1.0, get": one(get(EVENT, version="1.0")),
    "a blank line before": one(b"\r\n" + post(EVENT)),
    "an expectation nobody knows": one(post(EVENT, "Expect: nothing")),
    "a get with a body": one(get(EVENT, body=b"body")),
}
UNUSUAL = {
    "expect": one(post(EVENT, "Expect: 100-continue"), short=0),
    "expect, then the body": one(*halves(post(EVENT, "Expect: 100-continue"), -5), short=0),
    "chunked": one(chunked(encoded(EVENT)[:20], encoded(EVENT)[20:])),
    "chunked, with a trailer": one(chunked(encoded(EVENT), trailer=b"Origin: " + SHOP.encode() + b"\r\n")),
    "upgrade": one(post(EVENT, "Connection: Upgrade", "Upgrade: websocket")),
    "upgrade, in two reads": one(*halves(post(EVENT, "Connection: Upgrade", "Upgrade: h2c"), -5), short=0),
    "upgrades, one after the other": Exchange((post(EVENT, "Connection: Upgrade", "Upgrade: h2c") * 3,), 3),
    "a tunnel": one(request("CONNECT", PATH), short=0),
    "framework": one(request("GET", "/health"), short=0),
    "framework below the organisation": one(request("GET", "/t/acme/cds/api/v1/profiles"), short=0),
    "below nothing": one(request("GET", "/api2"), short=0),
}
BAD_BYTES = {
    "no http": one(b"\x00\x01\x02\r\n\r\n", short=0),
    "another protocol": one(b"GET / SMTP/1.0\r\n\r\n", short=0),
    "no version": one(f"GET {PATH}\r\n\r\n".encode()),
    "a space in the path": one(request("GET", "/t/acme/api2/event/de fault"), short=0),
    "a byte beyond ascii in the path": one(request("GET", "/t/acme/api2/event/\xe4"), short=0),
    "a control character in a header": one(post(EVENT, "Origin: a\x01b"), short=0),
    "a deleted character in a header": one(post(EVENT, "Origin: a\x7fb"), short=0),
    "a folded header": one(post(EVENT, "Origin: a\r\n b"), short=0),
    "two lengths": one(post(EVENT, "Content-Length: 3"), short=0),
    "a negative length": one(request("POST", PATH, "Content-Length: -1", sized=False), short=0),
    "length and chunks": one(post(EVENT, "Transfer-Encoding: chunked"), short=0),
    "a chunk without a size": one(chunked().replace(b"0\r\n\r\n", b"x\r\n"), short=0),
    "an event, then no http": Exchange((post(EVENT) + b"\x00\r\n\r\n",), 2),
    "two events, then a bad chunk": Exchange(
        (post(EVENT) * 2 + chunked().replace(b"0\r\n\r\n", b"x\r\n"),), 3
    ),
}
GROUPS = {
    "encodings": ENCODINGS,
    "trusted events": TRUSTED_EVENTS,
    "errors": ERRORS,
    "headers": HEADERS,
    "unusual": UNUSUAL,
    "bad bytes": BAD_BYTES,
}


async def assert_equal(ways: tuple[Way, Way], exchanges: dict[str, Exchange]) -> None:
    """Both ways receive and count the same, and the short way is taken by the requests that may."""
    fast, slow = ways
    for name, exchange in exchanges.items():
        before = fast.reads.short
        received = await fast.exchange(exchange)
        assert received == await slow.exchange(exchange), name
        assert exchange.short in (None, fast.reads.short - before), name
    assert fast.counts() == slow.counts()


@pytest.mark.parametrize("group", GROUPS)
async def test_every_request_is_answered_as_on_the_long_way(ways: tuple[Way, Way], group: str) -> None:
    await assert_equal(ways, GROUPS[group])


async def test_a_request_in_two_reads_is_answered_as_on_the_long_way(ways: tuple[Way, Way]) -> None:
    sent = post(NAMED, f"Origin: {SHOP}")
    body_at = sent.index(b"{")
    cuts = (1, 10, 60, body_at - 3, body_at - 1, body_at, body_at + 5, len(sent) - 1)
    exchanges = {f"cut at {at}": one(*halves(sent, at), short=int(at < body_at)) for at in cuts}
    cut_chunks = chunked(encoded(EVENT)[:20], encoded(EVENT)[20:])
    exchanges |= {f"chunks at {at}": one(*halves(cut_chunks, at), short=0) for at in (-3, -30, -100)}
    exchanges["piece by piece"] = one(*(sent[at : at + 25] for at in range(0, len(sent), 25)), short=0)
    await assert_equal(ways, exchanges)


async def test_pipelined_requests_are_answered_in_order(ways: tuple[Way, Way]) -> None:
    framework = request("GET", "/health")
    twice = post(EVENT) + get(NAMED)
    await assert_equal(
        ways,
        {
            "two": Exchange((twice,), 2),
            "fifty": Exchange((b"".join(post({"action": f"{n}"}) for n in range(50)),), 50),
            "one after the other": Exchange((post(EVENT), get(EVENT), post(b"{"), post(EVENT)), 4, None),
            "an error first": Exchange((post(b"{") + post(EVENT),), 2),
            "the framework first": Exchange((framework + post(EVENT),), 2, 0),
            "the framework last": Exchange((post(EVENT) + framework,), 2),
            "one and a half": Exchange(halves(twice, len(post(EVENT)) + 30), 2, None),
            "half, half": Exchange(halves(twice, 200), 2, 0),
            "the last one closes": Exchange((post(EVENT) + post(NAMED, "Connection: close"),), 2),
            "the first one closes": Exchange((post(NAMED, "Connection: close") + post(EVENT),), 1),
        },
    )


async def test_write_keys_are_checked_as_on_the_long_way(cds: Cds, ways: tuple[Way, Way]) -> None:
    keys = cds.services.events.write_keys
    admin = Actor("admin", SYSTEM)
    _, browser = await keys.create(cds.dataset_ref, NewWriteKey("browser", "page", (SHOP,)), admin)
    _, server = await keys.create(cds.dataset_ref, NewWriteKey("server", "server"), admin)
    bearer, trusted = f"Authorization: Bearer {browser}", f"Authorization: Bearer {server}"
    await assert_equal(
        ways,
        {
            "allowed origin": one(post(EVENT, bearer, f"Origin: {SHOP}")),
            "another origin": one(post(EVENT, bearer, f"Origin: {OTHER}")),
            "in the query": one(post(EVENT, f"Origin: {SHOP}", path=f"{PATH}?writeKey={browser}")),
            "server key": one(post(EVENT, trusted, path=TRUSTED)),
        },
    )


async def test_addresses_are_limited_as_on_the_long_way(cds: Cds, reads: Reads) -> None:
    """The address is the one that a trusted proxy names."""
    async with two_ways(cds.services, reads, events_per_address_s=1) as ways:
        for home in ("192.0.2.1", "192.0.2.2"):
            sent = post(EVENT, f"X-Forwarded-For: {home}")
            # A window may end meanwhile, so that a limit is reached after twice its size.
            limited = [await first_limited(way, sent) for way in ways]
            assert limited[0] == limited[1]
            assert limited[0].startswith(b"HTTP/1.1 429 ")


async def first_limited(way: Way, sent: bytes) -> bytes:
    """The response to the first event beyond the limit; the first one of an address is within it."""
    assert (await way.exchange(one(sent))).startswith(b"HTTP/1.1 200 ")
    for _ in range(25):
        if (received := await way.exchange(one(sent))).startswith(b"HTTP/1.1 429"):
            return received
    raise AssertionError("no event was limited")
