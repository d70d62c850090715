"""Nothing that a client sends reaches the log or `/metrics`, not even at level debug."""

from __future__ import annotations

import base64
import json
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from conftest import StartService
from support.service import RunningService
from wire.admin.test_lookup import WebDataset
from wire.client import Cds

MARK = "mrkq7"
#: The mark itself, and its base64 at all three alignments.
MARK_PATTERN = re.compile(
    "|".join((MARK, *(base64.b64encode(("x" * n + MARK).encode())[2:-3].decode() for n in range(3)))),
    re.IGNORECASE,
)
HEADERS = {
    "User-Agent": f"{MARK}-agent",
    "Referer": f"https://{MARK}.example/{MARK}?email={MARK}",
    "Origin": f"https://{MARK}.example",
    "Cookie": f"cds_profile={MARK}",
    "X-Forwarded-For": f"{MARK}",
    "Accept-Language": MARK,
}


def marked_event() -> dict[str, Any]:
    """An event with the mark in every field."""
    return {
        "interaction": {
            "name": f"{MARK} View",
            "catalogObject": {"type": MARK, "id": MARK, "attributes": {MARK: MARK}},
        },
        "user": {
            "id": f"{MARK}-id",
            "anonymousId": f"{MARK}-anonymous",
            "anonymousProfileTracker": f"{MARK}-tracker",
            "encryptedId": f"AQAH{MARK}",
            "identities": {"customerId": f"{MARK}-customer", MARK: MARK},
            "attributes": {"emailAddress": f"{MARK}@acme.example", "firstName": MARK, f"{MARK}Name": [MARK]},
        },
        "source": {"channel": "Web", "url": f"https://{MARK}.example/?{MARK}", "pageType": MARK},
        "consents": [{"purpose": MARK, "provider": MARK, "status": "Opt In"}],
        "account": {"id": MARK},
        MARK: {MARK: MARK},
    }


@pytest.fixture(scope="module", params=["text", "json"])
def log_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def debug_service(start_service: StartService, log_format: str) -> RunningService:
    """A service of two processes at level debug, on an embedded server whose log is read too."""
    environment = {"ONESELF_LOG_LEVEL": "debug", "ONESELF_LOG_FORMAT": log_format}
    return start_service(workers=2, environment=environment)


def test_no_sent_value_is_in_logs_or_metrics(debug_service: RunningService) -> None:
    org = Cds(debug_service.base_url, debug_service.org, debug_service.client_id, debug_service.client_secret)
    web = WebDataset(org)
    valid = send_valid_events(web)
    invalid = send_invalid_events(web)
    others = call_other_routes(web)
    send_invalid_http(debug_service)
    send_concurrent_events(web)
    assert valid == {200}
    assert invalid == {400, 401, 403, 404, 405, 413}
    assert {200, 400, 401, 404} <= others
    assert not {status for status in valid | invalid | others if status >= 500}
    metrics = httpx.get(f"{debug_service.base_url}/metrics").text
    debug_service.stop()
    for text in (debug_service.log(), metrics, (debug_service.data_dir / "postgres.log").read_text("utf-8")):
        assert [connection for connection in text.splitlines() if MARK_PATTERN.search(connection)] == []
        assert [secret for secret in (*org._tokens.values(), org.client_secret) if secret in text] == []
    assert "migrated" in debug_service.log(), "the log has entries of level debug"
    assert "oneself_events_total" in metrics
    org.close()


def send_valid_events(web: WebDataset) -> set[int]:
    """Send the event in all encodings, to both endpoints and with a valid token; the status codes."""
    http, path = web.org.http, f"/t/{web.org.org}/api2/event/{web.name}"
    text = json.dumps(marked_event())
    encoded = quote(base64.b64encode(text.encode()))
    form = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
    basic = (web.org.client_id, web.org.client_secret)
    server = {**marked_event(), "source": {"channel": "Server"}}
    first = http.post(path, content=text, headers=HEADERS)
    with_token = marked_event()
    with_token["user"]["encryptedId"] = first.json()["persistedUserId"]["entityId"]
    answers = [
        first,
        http.post(path, json=with_token, headers=HEADERS),
        http.post(path, content=f"event={encoded}", headers=form),
        http.post(path, content=f"event={quote(text)}", headers=form),
        http.get(f"{path}?event={encoded}&other={MARK}", headers=HEADERS),
        http.post(path.replace("/event/", "/authevent/"), json=server, auth=basic, headers=HEADERS),
        http.get(f"/pr?.bv=16&userId={MARK}&.anonId={MARK}", headers=HEADERS),
    ]
    return {answer.status_code for answer in answers}


def send_invalid_events(web: WebDataset) -> set[int]:
    """Send events with every kind of error; the status codes."""
    http, path = web.org.http, f"/t/{web.org.org}/api2/event/{web.name}"
    trusted = path.replace("/event/", "/authevent/")
    form = {**HEADERS, "Content-Type": "application/x-www-form-urlencoded"}
    wrong_credentials = (f"{MARK}-client", f"{MARK}-secret")
    bodies = [
        f"[{MARK}",
        f'["{MARK}"]',
        f'"{MARK}',
        json.dumps({"user": MARK}),
        json.dumps({"user": {"id": [MARK], "attributes": MARK}}),
        json.dumps({"source": {"channel": {MARK: 1}, "time": MARK}}),
        json.dumps({"consents": [{"purpose": [MARK]}], "flags": MARK}),
        json.dumps({"user": {"attributes": {"emailAddress": f"{MARK}\x00"}}}),
        '{"a":' * 2000 + f'"{MARK}"',
        f"{MARK}\xff".encode("latin-1"),
    ]
    answers = [http.post(path, content=body, headers=HEADERS) for body in bodies]
    answers += [
        http.post(path, content=f"event={MARK}", headers=form),
        http.post(path, content=f"event=%7B{MARK}", headers=form),
        http.get(f"{path}?event={MARK}", headers=HEADERS),
        http.get(f"{path}?event={'a' * 20_000}{MARK}", headers=HEADERS),
        http.post(path, content=MARK * 60_000, headers=HEADERS),
        http.put(path, content=MARK, headers=HEADERS),
        http.post(f"{path}{MARK}", json=marked_event(), headers=HEADERS),
        http.post(f"/t/{MARK}/api2/event/{MARK}", json=marked_event(), headers=HEADERS),
        http.post(trusted, json=marked_event(), auth=wrong_credentials, headers=HEADERS),
        http.post(trusted, json=marked_event(), headers={**HEADERS, "Authorization": f"Basic {MARK}"}),
    ]
    web._put("identity-attributes", [{"name": "customerId", "identity_type": "customerId"}])
    restricted = web.org.admin(
        "PATCH",
        f"/datasets/{web.name}",
        {"allowed_origins": ["https://shop.acme.example"]},
        token=web.org.token("identity_view", "identity_update"),
    )
    assert restricted.status_code == 200, restricted.text
    answers.append(http.post(path, json=marked_event(), headers=HEADERS))
    unrestricted = web.org.admin(
        "PATCH",
        f"/datasets/{web.name}",
        {"allowed_origins": []},
        token=web.org.token("identity_view", "identity_update"),
    )
    assert unrestricted.status_code == 200, unrestricted.text
    return {answer.status_code for answer in answers}


def call_other_routes(web: WebDataset) -> set[int]:
    """Call other routes with personal data; the status codes."""
    org, bearer = web.org, {"Authorization": f"Bearer {MARK}.{MARK}.{MARK}"}
    answers = [
        web.resolve(customerId=f"{MARK}-customer"),
        web.resolve(**{MARK: MARK}),
        web.ask(f"{MARK}-anonymous"),
        web.ask(MARK, "/events", name=MARK),
        org.admin("GET", web.path("events"), params={"name": MARK, "body": "true"}),
        org.admin("GET", web.path("events"), params={"since": MARK}),
        org.admin(
            "GET",
            web.path("events"),
            headers={"Accept": "text/event-stream", "Last-Event-ID": MARK},
        ),
        org.http.get(f"/{MARK}?{MARK}", headers=HEADERS),
        org.http.get(f"/t/{org.org}/cds/api/v1/profiles", headers=bearer),
        org.request("GET", "/profiles", params={"filter": f'traits.{MARK} eq "{MARK}"'}),
        org.request("POST", "/profiles", json={"user_id": f"{MARK}-user", "traits": {MARK: MARK}}),
        org.request("POST", "/profiles", json={"user_id": f"{MARK}-user"}),
        org.request("GET", f"/profiles/{MARK}"),
        org.http.post(
            f"/t/{org.org}/oauth2/token",
            data={"grant_type": "password", "username": MARK, "password": MARK, "scope": MARK},
            auth=(MARK, MARK),
        ),
        org.http.get(f"/t/{org.org}/oauth2/authorize?client_id={MARK}&login_hint={MARK}"),
    ]
    return {answer.status_code for answer in answers}


def send_invalid_http(service: RunningService) -> None:
    """Send an invalid request line and an incomplete body."""
    address = httpx.URL(service.base_url)
    for raw in (
        f"{MARK} {MARK}\r\n\r\n",
        f"POST /api2/event/{MARK} HTTP/1.1\r\nHost: {MARK}\r\nContent-Length: 900\r\n\r\n{MARK}",
    ):
        with socket.create_connection((address.host, address.port or 80), timeout=30) as connection:
            connection.sendall(raw.encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass


def send_concurrent_events(web: WebDataset) -> None:
    """Send concurrent events whose profiles merge, to both processes."""
    url = f"{web.org.base_url}/t/{web.org.org}/api2/event/{web.name}"

    def send(number: int) -> int:
        event = marked_event()
        event["user"] = {
            "anonymousId": f"{MARK}{number % 7:08d}",
            "attributes": {
                "customerId": f"{MARK}-{number % 3}",
                "emailAddress": f"{MARK}{number % 5}@x.example",
            },
        }
        return httpx.post(url, json=event, timeout=60).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, range(160))) <= {200, 503}
