"""An invalid path parameter gets the same answer as an unknown one, on every route."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from oneself.api.app import create_framework
from support.application import SECRET, SYSTEM
from support.caller import Cds

#: Valid values of the parameters that are not under test.
KNOWN = {"org": "acme", "dataset": "default", "section": "traits"}
UNKNOWN = "unknown"
INVALID = ("%00", "a%00b", "x" * 5000, "%ED%A0%80", "9" * 400)
#: Every route with a body accepts at least one of these.
BODIES = ("{}", "[]", '{"identities": {"customerId": "x"}}')


class Operation(NamedTuple):
    """A method and a path with a placeholder for one parameter."""

    method: str
    path: str
    parameter: str

    @property
    def bodies(self) -> tuple[str | None, ...]:
        return (None,) if self.method in ("GET", "DELETE") else BODIES


def _operations(routes: list[Any]) -> Iterator[Operation]:
    for route in routes:
        names = [part.name for part in route.path_components if not isinstance(part, str)]
        for name in names:
            parts = [
                part if isinstance(part, str) else KNOWN.get(part.name, UNKNOWN)
                if part.name != name else "{}"
                for part in route.path_components
            ]  # fmt: skip
            yield from (Operation(method, "/" + "/".join(parts), name) for method in route.methods)


async def _status(cds: Cds, operation: Operation, text: str, body: str | None, bearer: str) -> int:
    """The status code; lookups of the event wire use Basic authentication, other routes a token."""
    uses_basic = "/api/dataset/" in operation.path or "/api/audit/" in operation.path
    auth = httpx.BasicAuth(SYSTEM, SECRET) if uses_basic else None
    headers = {"Content-Type": "application/json"} | ({} if uses_basic else {"Authorization": bearer})
    path = operation.path.format(text)
    answer = await cds.http.request(operation.method, path, content=body, headers=headers, auth=auth)
    return answer.status_code


@pytest.mark.timeout(300)
async def test_an_invalid_parameter_gets_the_answer_of_an_unknown_one(cds: Cds) -> None:
    bearer = f"Bearer {await cds.token()}"
    routes: Any = create_framework(cds.services.settings, {}).routes
    operations = [operation for operation in _operations(routes) if operation.method != "OPTIONS"]
    assert ("PATCH", "claims") in {
        (operation.method, operation.path.split("/")[-2]) for operation in operations
    }
    differences = []
    for operation in operations:
        for body in operation.bodies:
            unknown = await _status(cds, operation, UNKNOWN, body, bearer)
            for text in INVALID:
                status = await _status(cds, operation, text, body, bearer)
                if status != unknown or status >= 500:
                    differences.append((*operation, text[:10], body, status, unknown))
    assert not differences
