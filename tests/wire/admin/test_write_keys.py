"""`/t/{org}/api/v1/datasets/{dataset}/write-keys`: create, list, delete (docs/wire/interactions.md §4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wire.client import TIMESTAMP, UNKNOWN_ID, Cds, assert_error

SHOP = "https://shop.acme.example"
BROWSER = {"kind": "browser", "name": "Shop", "allowed_origins": [SHOP]}


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def ask(org: Cds, method: str, path: str = "", body: Any = None, dataset: str = "default") -> httpx.Response:
    token = org.token("identity_view" if method == "GET" else "identity_update")
    return org.admin(method, f"/datasets/{dataset}/write-keys{path}", body, token=token)


def create(org: Cds, **body: Any) -> dict[str, Any]:
    answer = ask(org, "POST", body=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def listed(org: Cds, query: str = "") -> dict[str, Any]:
    answer = ask(org, "GET", query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_create_list_and_delete_a_key(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert listed(org) == {"write_keys": [], "pagination": {"count": 0, "page_size": 50}}
    server, browser = create(org, kind="server", name="Order service"), create(org, **BROWSER)
    assert server["key"].startswith("osk_")
    assert browser["key"].startswith("obk_")
    assert len({server["key"], browser["key"]}) == 2
    assert (server["allowed_origins"], browser["allowed_origins"]) == ([], [SHOP])
    assert TIMESTAMP.match(server["created_at"])
    assert server["hint"] == server["key"][-4:]

    answer = ask(org, "GET")
    assert server["key"] not in answer.text
    assert browser["key"] not in answer.text
    expected = [{name: value for name, value in key.items() if name != "key"} for key in (server, browser)]
    assert answer.json()["write_keys"] == expected

    assert ask(org, "DELETE", f"/{server['key_id']}").status_code == 204
    assert ask(org, "DELETE", f"/{server['key_id']}").status_code == 204, "deletion is idempotent"
    assert [key["name"] for key in listed(org)["write_keys"]] == ["Shop"]


def test_the_list_has_pages(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    for name in "abc":
        create(org, kind="server", name=name)
    found, cursor = [], ""
    for _ in range(3):
        page = listed(org, f"?page_size=1&cursor={cursor}")
        found += [key["name"] for key in page["write_keys"]]
        cursor = page["pagination"].get("next_cursor", "")
    assert (found, cursor) == (["a", "b", "c"], "")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"kind": "server"},
        {"name": "x"},
        {"kind": "robot", "name": "x"},
        {"kind": "server", "name": " "},
        {"kind": "server", "name": "x" * 101},
        {"kind": "server", "name": "a\u0007"},
        {"kind": 7, "name": "x"},
        {"kind": "server", "name": "x", "key": "osk_chosen_by_caller"},
        {"kind": "server", "name": "x", "allowed_origins": [SHOP]},
        {"kind": "browser", "name": "x", "allowed_origins": SHOP},
        {"kind": "browser", "name": "x", "allowed_origins": ["null"]},
        {"kind": "browser", "name": "x", "allowed_origins": ["*"]},
        {"kind": "browser", "name": "x", "allowed_origins": [f"{SHOP}/"]},
        {"kind": "browser", "name": "x", "allowed_origins": ["https://Shop.acme.example"]},
        {"kind": "browser", "name": "x", "allowed_origins": [f"{SHOP}:443"]},
        {"kind": "browser", "name": "x", "allowed_origins": [SHOP] * 101},
    ],
    ids=str,
)
def test_an_invalid_key_is_rejected(org: Cds, body: dict[str, Any]) -> None:
    answer = ask(org, "POST", body=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["description"]


@pytest.mark.parametrize("query", ["?page_size=0", "?cursor=x", "?cursor=WyJ4Il0"])
def test_invalid_parameters_are_rejected(org: Cds, query: str) -> None:
    assert_error(ask(org, "GET", query), 400, "CDS-10001")


@pytest.mark.parametrize("key_id", ["1", "%00", "x" * 300, UNKNOWN_ID, UNKNOWN_ID.replace("-", "")])
def test_deleting_an_unknown_key_succeeds(org: Cds, key_id: str) -> None:
    assert ask(org, "DELETE", f"/{key_id}").status_code == 204


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", ""), ("DELETE", f"/{UNKNOWN_ID}")])
def test_an_unknown_dataset_is_404(org: Cds, method: str, path: str) -> None:
    body = BROWSER if method == "POST" else None
    assert ask(org, method, path, body, dataset="nowhere").status_code == 404


def test_keys_belong_to_one_dataset_of_one_organisation(org: Cds, other: Cds) -> None:
    key = create(org, kind="server", name="first")
    assert ask(other, "DELETE", f"/{key['key_id']}").status_code == 204
    assert org.admin("POST", "/datasets", {"name": "second"}, token=org.token("identity_update")).is_success
    assert ask(org, "DELETE", f"/{key['key_id']}", dataset="second").status_code == 204
    assert ask(org, "GET", dataset="second").json()["write_keys"] == []
    assert key["key_id"] not in ask(other, "GET").text
    assert key["key_id"] in ask(org, "GET").text


def test_an_unused_dataset_is_deleted_with_its_keys(org: Cds) -> None:
    token = org.token("identity_update")
    assert org.admin("POST", "/datasets", {"name": "brief"}, token=token).is_success
    assert ask(org, "POST", body=BROWSER, dataset="brief").status_code == 201
    assert org.admin("DELETE", "/datasets/brief", token=token).status_code == 204
