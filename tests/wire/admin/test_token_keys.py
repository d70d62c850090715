"""`/t/{org}/api/v1/token-keys`: list, rotate, destroy (docs/wire/interactions.md §7, §13)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from wire.client import TIMESTAMP, Cds, assert_error

ROUTES = {
    "GET /token-keys": "identity_view",
    "POST /token-keys": "identity_update",
    "DELETE /token-keys/1": "identity_update",
}
EVERY_ROUTE = pytest.mark.parametrize(("route", "permission"), ROUTES.items(), ids=ROUTES)


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def ask(org: Cds, method: str, path: str = "", **kwargs: Any) -> httpx.Response:
    token = org.token("identity_view" if method == "GET" else "identity_update")
    return org.admin(method, f"/token-keys{path}", token=token, **kwargs)


def listed(org: Cds, **params: Any) -> dict[str, Any]:
    answer = ask(org, "GET", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@EVERY_ROUTE
def test_a_missing_permission_is_403(org: Cds, other: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    assert_error(org.admin(method, path, token=other.token(permission)), 401, "CDS-10002")
    assert_error(org.admin(method, path, anonymous=True), 401, "CDS-10002")
    assert_error(org.admin(method, path, token=org.token(*org.permissions)), 403, "CDS-10003")
    wrong = org.token(*{"identity_view", "identity_update"} - {permission})
    assert_error(org.admin(method, path, token=wrong), 403, "CDS-10003")


def test_keys_are_listed_rotated_and_destroyed(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert listed(org) == {"token_keys": [], "pagination": {"count": 0, "page_size": 50}}
    answer = ask(org, "POST")
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert set(created) == {"key_id", "state", "created_at", "active_from"}
    assert (created["key_id"], created["state"]) == (2, "waiting")
    assert TIMESTAMP.match(created["active_from"])
    delay = datetime.fromisoformat(created["active_from"]) - datetime.fromisoformat(created["created_at"])
    assert delay.total_seconds() == 60
    assert [(key["key_id"], key["state"]) for key in listed(org)["token_keys"]] == [
        (2, "waiting"),
        (1, "active"),
    ]
    assert listed(org)["token_keys"][0] == created

    active = ask(org, "DELETE", "/1")
    assert active.status_code == 409
    assert "rotate first" in active.json()["description"]
    assert ask(org, "DELETE", "/2").status_code == 204
    assert ask(org, "DELETE", "/2").status_code == 204, "deletion is idempotent"
    assert [key["key_id"] for key in listed(org)["token_keys"]] == [1]


def test_the_list_of_keys_has_pages(org: Cds) -> None:
    for _ in range(3):
        assert ask(org, "POST").status_code == 201
    all_keys = listed(org)["token_keys"]
    assert [key["key_id"] for key in all_keys] == [4, 3, 2, 1]
    found, cursor = [], {}
    for _ in all_keys:
        page = listed(org, page_size=1, **cursor)
        found += page["token_keys"]
        cursor = {"cursor": page["pagination"].get("next_cursor", "")}
    assert (found, cursor) == (all_keys, {"cursor": ""})


@pytest.mark.parametrize("key_id", ["0", "01", "99999", "70000", "-1", "two", "%00", "1" * 300, "٢"])
def test_deleting_an_unknown_key_succeeds(org: Cds, key_id: str) -> None:
    assert ask(org, "DELETE", f"/{key_id}").status_code == 204


@pytest.mark.parametrize("query", ["page_size=0", "page_size=x", "cursor=x", "cursor=WyJ4Il0"])
def test_invalid_parameters_are_rejected(org: Cds, query: str) -> None:
    assert_error(ask(org, "GET", f"?{query}"), 400, "CDS-10001")
