"""Text that cannot be stored, in a query parameter, a cookie or credentials: an answer, never a failure."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import httpx
import pytest

from oneself.api.app import create_framework
from support.application import SECRET, SYSTEM
from support.caller import Cds

PATH_VALUES = {"org": "acme", "dataset": "default", "section": "traits"}
UNSTORABLE = ("a%00b", "%ED%A0%80")
#: Parameters that handlers read themselves, without a declaration.
UNDECLARED = ("attributes", "filter", "id", "writeKey", "event", "state", "client_id")
COOKIES = ("cds_profile", "oneself_session", "oneself_csrf")


class Operation(NamedTuple):
    """A method and a path, and the names of its query parameters."""

    method: str
    path: str
    parameters: Sequence[str]


def _operations(cds: Cds) -> Iterator[Operation]:
    """Every route, with the query parameters that the OpenAPI description names."""
    framework: Any = create_framework(cds.services.settings, {})
    described = framework.openapi_schema.to_schema()["paths"]
    for route in framework.routes:
        path = "/" + "/".join(
            part if isinstance(part, str) else PATH_VALUES.get(part.name, "unknown")
            for part in route.path_components
        )
        for method in sorted(route.methods - {"OPTIONS", "HEAD"}):
            operation = described.get(route.path_format, {}).get(method.lower(), {})
            named = (item["name"] for item in operation.get("parameters", ()) if item["in"] == "query")
            yield Operation(method, path, sorted(named) or UNDECLARED)
    for path in ("/t/acme/api2/event/default", "/t/acme/api2/authevent/default"):
        yield from (Operation(method, path, UNDECLARED) for method in ("GET", "POST"))


async def _failures(cds: Cds, **options: Any) -> list[tuple[str, str, int]]:
    failed = []
    for operation in _operations(cds):
        body = None if operation.method in ("GET", "DELETE") else "{}"
        answer = await cds.http.request(operation.method, operation.path, content=body, **options)
        if answer.status_code >= 500:
            failed.append((operation.method, operation.path, answer.status_code))
    return failed


@pytest.mark.timeout(300)
async def test_unstorable_text_in_a_query_parameter_is_answered(cds: Cds) -> None:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {await cds.token()}"}
    failures = []
    for operation in _operations(cds):
        is_basic = any(part in operation.path for part in ("/api/dataset/", "/api/audit/", "/authevent/"))
        auth = httpx.BasicAuth(SYSTEM, SECRET) if is_basic else None
        for name in operation.parameters:
            for text in UNSTORABLE:
                url = f"{operation.path}?{name}={text}"
                body = None if operation.method in ("GET", "DELETE") else "{}"
                answer = await cds.http.request(
                    operation.method, url, content=body, auth=auth, headers={} if is_basic else headers
                )
                if answer.status_code >= 500:
                    failures.append((operation.method, url[:120], answer.status_code))
    assert not failures


@pytest.mark.parametrize("text", ["a%00b", "%ED%A0%80", '"\\000"'])
async def test_unstorable_text_in_a_cookie_is_answered(cds: Cds, text: str) -> None:
    cookie = "; ".join(f"{name}={text}" for name in COOKIES)
    headers = {"Cookie": cookie, "Content-Type": "application/json"}
    bearer = {**headers, "Authorization": f"Bearer {await cds.token()}"}
    assert not await _failures(cds, headers=headers)
    assert not await _failures(cds, headers=bearer)
    assert not await _failures(cds, headers={**bearer, "Idempotency-Key": "k", "If-Match": '"1"'})
    person = {**headers, "Authorization": f"Bearer {await cds.token(subject='ann')}"}
    assert not await _failures(cds, headers=person)


@pytest.mark.parametrize("credentials", [b"\0:x", b"a\0b:c\0d", b"x:\0", "\ufffe:\u0301".encode()])
async def test_unstorable_text_in_credentials_is_answered(cds: Cds, credentials: bytes) -> None:
    headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
    assert not await _failures(cds, headers={**headers, "Content-Type": "application/json"})


@pytest.mark.parametrize("text", ["%00", "a%00b", "%ED%A0%80", "x" * 3000, '"\\000"'])
async def test_a_cookie_that_is_no_tracker_leads_nowhere(cds: Cds, text: str) -> None:
    headers = {"Cookie": f"cds_profile={text}"}
    created = await cds("POST", "/profiles", json={}, headers=headers)
    assert created.status_code == 201, created.text
    me = [await cds(method, "/profiles/Me", json={}, headers=headers) for method in ("GET", "PATCH")]
    assert [answer.status_code for answer in me] == [401, 401]
    linked = {"profile_id": created.json()["profile_id"], "user_id": "ann"}
    assert (await cds("POST", "/profiles/link", json=linked, headers=headers)).status_code == 200


@pytest.mark.parametrize("credentials", [b"a\0b:c\0d", b"acme-backend:\0", b"\0:"])
async def test_unstorable_credentials_of_a_client_are_answered(cds: Cds, credentials: bytes) -> None:
    headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
    form = {"grant_type": "client_credentials", "token": "a\0b", "code": "\0"}
    for path in ("token", "revoke", "introspect"):
        for body in (form, {"grant_type": "client_credentials", "token": "x"}):
            answer = await cds.http.post(f"/t/acme/oauth2/{path}", data=body, headers=headers)
            assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize("subject", ["a\0b", "\0"])
async def test_a_token_of_an_unstorable_subject_reaches_nothing(cds: Cds, subject: str) -> None:
    token = await cds.token(subject=subject)
    for method, path in (("GET", "/profiles/Me"), ("PATCH", "/profiles/Me"), ("POST", "/profiles")):
        answer = await cds(method, path, json={}, token=token)
        assert answer.status_code in (401, 403), answer.text


async def test_an_unstorable_key_id_in_a_token_is_answered(cds: Cds) -> None:
    _, claims, signature = (await cds.token()).split(".")
    head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"a\\u0000b"}').decode().rstrip("=")
    answer = await cds("GET", "/profiles/Me", token=f"{head}.{claims}.{signature}")
    assert answer.status_code == 401, answer.text
