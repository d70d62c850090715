"""The OpenAPI document and its page, which loads nothing from other servers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from support.caller import Cds


@pytest.fixture
def prefix() -> str:
    return "/t/{org}/cds/api/v1"


async def description(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return dict(answer.json())


async def test_every_operation_is_described(http: httpx.AsyncClient, prefix: str) -> None:
    document = await description(http)
    assert document["info"]["title"] == "Oneself"
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["operationId"], (method, path)
            assert operation["summary"], (method, path)
            assert f"{operation['summary']}." in " ".join(operation["description"].split()), (method, path)
            if path.startswith(prefix):
                assert operation["security"] == [{"basic": []} if path.endswith("/sync") else {"bearer": []}]
                assert {"401", "500", "503"} <= set(operation["responses"])
            if path.startswith(prefix) and method in ("post", "put", "patch"):
                assert operation["requestBody"]["content"]["application/json"]["schema"]
                assert {"400", "413", "415"} <= set(operation["responses"])


async def test_errors_are_described_in_their_shapes(http: httpx.AsyncClient, prefix: str) -> None:
    document = await description(http)
    responses = document["paths"][f"{prefix}/profile-schema/{{section}}"]["post"]["responses"]
    assert len(responses["400"]["content"]["application/json"]["schema"]["oneOf"]) == 2
    assert responses["409"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorDocument")


async def test_operation_ids_are_unique(http: httpx.AsyncClient) -> None:
    paths = (await description(http))["paths"].values()
    ids = [operation["operationId"] for operations in paths for operation in operations.values()]
    assert len(ids) == len(set(ids))


async def test_each_route_needs_a_permission(cds: Cds, prefix: str) -> None:
    """With a token that has no permission of the CDS wire, every route is 403."""
    token = await cds.token("link_only")
    for path, operations in (await description(cds.http))["paths"].items():
        if not path.startswith(prefix) or path.endswith("/sync"):
            continue
        for method in operations:
            address = re.sub(r"\{\w+\}", "x", path.removeprefix(prefix))
            answer = await cds(method.upper(), address, token=token)
            assert (answer.status_code, answer.json()["code"]) == (403, "CDS-10003"), (method, path)


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.found += [value for name in ("src", "href") if (value := attributes.get(name))]
        self.inline += (
            tag == "style" or (tag == "script" and "src" not in attributes) or "style" in attributes
        )


async def test_the_page_loads_from_this_service_only(http: httpx.AsyncClient) -> None:
    answer = await http.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    page = _References()
    page.feed(answer.text)
    assert page.inline == 0
    for reference in page.found:
        assert reference.startswith(("/", "data:")), reference
        if reference.startswith("/"):
            assert (await http.get(reference)).status_code == 200


@pytest.mark.parametrize("name", ["LICENSE", "../app.py", "..%2Fapp.py", "nothing.js"])
async def test_other_files_are_not_served(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(f"/docs/{name}")).status_code == 404


async def test_an_unchanged_file_is_304(http: httpx.AsyncClient) -> None:
    first = await http.get("/docs/swagger-ui-bundle.js")
    second = await http.get("/docs/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
