"""`oneself dataset write-key`: create, list and delete write keys."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from support.service import RunningService

SHOP = "https://shop.acme.example"


@pytest.fixture(scope="module")
def org(service: RunningService) -> str:
    handle = f"write-{uuid.uuid4().hex[:8]}"
    assert service.command("org", "create", handle).returncode == 0
    return handle


def test_a_key_is_shown_once_and_deleted(service: RunningService, org: str) -> None:
    def command(*arguments: str) -> Any:
        return service.command("dataset", "write-key", *arguments, "--org", org)

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(command("list", "default", "--json").stdout)["write_keys"]
        return found

    assert "has no write key" in command("list", "default").stdout
    created = command("create", "default", "Order service", "--json")
    assert created.returncode == 0, created.stderr
    server = json.loads(created.stdout)
    assert server["key"].startswith("osk_")
    page = command("create", "default", "Shop", "--kind", "browser", "--allowed-origin", SHOP)
    assert page.returncode == 0, page.stderr
    assert "obk_" in page.stdout
    assert "shown only once" in page.stderr

    assert [(key["kind"], key["name"]) for key in listed()] == [
        ("server", "Order service"),
        ("browser", "Shop"),
    ]
    assert "key" not in listed()[0]
    assert server["key"] not in command("list", "default").stdout

    delete = ("delete", "default", server["key_id"])
    assert command(*delete).returncode == 1, "not confirmed"
    assert command(*delete, "--yes").returncode == 0
    assert [key["name"] for key in listed()] == ["Shop"]
    repeated = command(*delete, "--yes")
    assert repeated.returncode == 1
    assert "no such write key" in repeated.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("create", "default", "x", "--allowed-origin", SHOP), 1, "A server key has no allowed_origins"),
        (("create", "default", "x", "--kind", "browser", "--allowed-origin", "null"), 1, "not an origin"),
        (("create", "nowhere", "x"), 1, "nowhere"),
        (("create", "default", "x", "--kind", "robot"), 2, "robot"),
        (("delete", "default", "one", "--yes"), 2, "one"),
    ],
    ids=str,
)
def test_invalid_input_is_explained(
    service: RunningService, org: str, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    answer = service.command("dataset", "write-key", *arguments, "--org", org)
    assert (answer.returncode, sentence in answer.stderr) == (code, True), answer.stderr
