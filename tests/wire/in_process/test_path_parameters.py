"""A path parameter that can be no id is answered as an unknown one, on every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from oneself.api.app import create_framework
from support.application import SECRET, SYSTEM
from support.caller import Cds

#: What a parameter stands for while another one is tried.
KNOWN = {"org": "acme", "dataset": "default", "section": "traits"}
UNKNOWN = "unknown"
IMPOSSIBLE = ("%00", "a%00b", "x" * 5000, "%ED%A0%80", "9" * 400)
#: Between them, every route that takes a body accepts one.
BODIES = ("{}", "[]", '{"identities": {"customerId": "x"}}')


class Operation(NamedTuple):
    """A method and a path, in which one parameter is to be filled in."""

    method: str
    path: str
    parameter: str

    @property
    def bodies(self) -> tuple[str | None, ...]:
        return (None,) if self.method in ("GET", "DELETE") else BODIES


def _operations(routes: list[Any]) -> Iterator[Operation]:
    for route in routes:
        names = [each.name for each in route.path_components if not isinstance(each, str)]
        for name in names:
            parts = [
                each if isinstance(each, str) else KNOWN.get(each.name, UNKNOWN)
                if each.name != name else "{}"
                for each in route.path_components
            ]  # fmt: skip
            yield from (Operation(method, "/" + "/".join(parts), name) for method in route.methods)


async def _status(cds: Cds, operation: Operation, text: str, body: str | None, bearer: str) -> int:
    """By the vendor's look-ups an application is known by Basic credentials, elsewhere by a token."""
    is_vendors = "/api/dataset/" in operation.path or "/api/audit/" in operation.path
    auth = httpx.BasicAuth(SYSTEM, SECRET) if is_vendors else None
    headers = {"Content-Type": "application/json"} | ({} if is_vendors else {"Authorization": bearer})
    path = operation.path.format(text)
    answer = await cds.http.request(operation.method, path, content=body, headers=headers, auth=auth)
    return answer.status_code


@pytest.mark.timeout(300)
async def test_an_impossible_parameter_is_answered_as_an_unknown_one(cds: Cds) -> None:
    bearer = f"Bearer {await cds.token()}"
    routes: Any = create_framework(cds.services.settings, {}).routes
    operations = [each for each in _operations(routes) if each.method != "OPTIONS"]
    assert ("PATCH", "claims") in {(each.method, each.path.split("/")[-2]) for each in operations}
    found = []
    for operation in operations:
        for body in operation.bodies:
            unknown = await _status(cds, operation, UNKNOWN, body, bearer)
            for text in IMPOSSIBLE:
                status = await _status(cds, operation, text, body, bearer)
                if status != unknown or status >= 500:
                    found.append((*operation, text[:10], body, status, unknown))
    assert not found
