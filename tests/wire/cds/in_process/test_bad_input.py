"""Invalid requests store nothing and log nothing; errors are logged once."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from oneself.errors import Contended, Unavailable
from support.caller import Cds

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def logged() -> Any:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


async def send(cds: Cds, content: Any, **headers: str) -> httpx.Response:
    return await cds("POST", "/profiles", content=content, headers={**JSON, **headers})


def bodies() -> dict[str, tuple[int, Any, dict[str, str]]]:
    many = json.dumps({"traits": {f"k{n}": n for n in range(100_000)}}).encode()
    return {
        "larger than 1 MiB": (413, b'{"user_id": "' + b"x" * 1024 * 1024 + b'"}', {}),
        "100 000 keys": (413 if len(many) > 1024 * 1024 else 400, many, {}),
        "100 levels": (400, b'{"traits":' + b'{"a":' * 100 + b"1" + b"}" * 101, {}),
        "500 000 levels": (400, b"[" * 500_000, {}),
        "broken": (400, b"{", {}),
        "other type": (415, b"{}", {"Content-Type": "text/plain"}),
        "form": (415, b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
        "other charset": (415, b"{}", {"Content-Type": "application/json; charset=utf-16"}),
        "compressed": (415, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}),
        "broken UTF-8": (400, b'{"user_id": "\xff"}', {}),
        "NUL": (400, b'{"user_id": "a\\u0000"}', {}),
        "surrogate": (400, b'{"user_id": "\\ud800"}', {}),
        "number out of range": (400, b'{"traits": {"n": 1e400}}', {}),
        "duplicate key": (400, b'{"user_id": "a", "user_id": "b"}', {}),
        "long user id": (400, b'{"user_id": "' + b"x" * 513 + b'"}', {}),
        "wrong content length": (400, b"", {"Content-Length": "7"}),
    }


@pytest.mark.parametrize("name", [*bodies()])
async def test_an_invalid_body_is_rejected_and_stores_nothing(
    cds: Cds, logged: LogCapture, name: str
) -> None:
    status, content, headers = bodies()[name]
    answer = await send(cds, content, **headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "description"}
    assert answer.json()["description"]
    assert await cds.services.database.fetchval("SELECT count(*) FROM profile") == 0
    assert logged.entries == []
    assert (await send(cds, b"{}")).status_code == 201


async def test_an_endless_body_is_cut_off(cds: Cds) -> None:
    sent_bytes = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent_bytes
        while sent_bytes < 100 * 1024 * 1024:
            sent_bytes += 65_536
            yield b" " * 65_536

    assert (await send(cds, endless())).status_code == 413
    assert sent_bytes < 100 * 1024 * 1024


async def test_a_body_without_a_content_type_is_read_as_json(cds: Cds) -> None:
    token = await cds.token()
    request = cds.http.build_request("POST", "/t/acme/cds/api/v1/profiles", content=b"{}")
    request.headers["Authorization"] = f"Bearer {token}"
    request.headers.pop("content-type", None)
    assert (await cds.http.send(request)).status_code == 201


@pytest.mark.parametrize("content_type", ["Application/JSON", "application/json; charset=UTF-8"])
async def test_the_content_type_of_json_is_case_insensitive(cds: Cds, content_type: str) -> None:
    assert (await send(cds, b"{}", **{"Content-Type": content_type})).status_code == 201


@pytest.mark.parametrize(
    "query",
    [
        "page_size=-1", "page_size=x", "page_size=1e3", "page_size=%00", "page_size=%D9%A1", "cursor=x",
        "cursor=%ff", "filter=x", "filter=%00%20eq%20x",
    ],
)  # fmt: skip
async def test_an_invalid_query_is_rejected(cds: Cds, logged: LogCapture, query: str) -> None:
    await cds.define("traits", {"attribute_name": "traits.a"})
    answer = await cds("GET", f"/profiles?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("CDS-11003", "CDS-11010")
    assert logged.entries == []


@pytest.mark.parametrize(
    "query",
    [
        "page_size=999999999",
        "page_size=",
        "page_size=%2B3",
        "attributes=%ff",
        "x=%zz&&=",
        "cursor=",
        "filter=traits.a%20eq%20%00",
        "filter=user_id%20eq%20%00",
        "filter=profile_id%20sw%20%00",
        "filter=user_id%20eq%20%ED%A0%80",
    ],
)
async def test_an_unusual_query_is_accepted(cds: Cds, query: str) -> None:
    assert (await cds("GET", f"/profiles?{query}")).status_code == 200


async def test_an_internal_error_reveals_nothing_and_is_logged_once(
    cds: Cds, logged: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the secret of Ann")

    monkeypatch.setattr(type(cds.services.profiles.profiles), "create", fail)
    answer = await send(cds, b"{}")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
    (entry,) = logged.entries
    assert entry["log_level"] == "error"
    assert entry["route"] == "/t/{org}/cds/api/v1/profiles"


async def test_an_unavailable_database_is_503_with_retry_after(
    cds: Cds, logged: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error in (Contended("lost"), Unavailable("away")):

        async def fail(*_: Any, error: Exception = error, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(type(cds.services.profiles.profiles), "create", fail)
        answer = await send(cds, b"{}")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert set(answer.json()) == {"error"}
    monkeypatch.setattr(type(cds.services.database), "fetchval", fail)
    ready = await cds.http.get("/cds/api/v1/ready")
    assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
    assert ready.json()["error"]
