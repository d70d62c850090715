"""`/webhooks`: where changes of profiles are sent to, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.application import ORG
from support.code_receiver import CodeReceiver
from support.view_stage import Stage

UNKNOWN = "/webhooks/00000000-0000-4000-8000-00000000dead"


@pytest.fixture
def receiver() -> Iterator[CodeReceiver]:
    receiver = CodeReceiver()
    yield receiver
    receiver.stop()


async def call(
    stage: Stage, method: str, path: str, body: Any = None, *permissions: str, **params: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    url = f"/t/{ORG}/api/v1{path}"
    return await stage.cds.http.request(method, url, headers=headers, json=body, params=params)


async def test_a_webhook_is_made_changed_and_deleted(stage: Stage, receiver: CodeReceiver) -> None:
    answer = await call(stage, "POST", "/webhooks", {"url": receiver.url, "types": ["profile.merged"]})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    path = f"/webhooks/{made['id']}"
    assert made.pop("secret").startswith("whsec_")
    assert (made["view"], made["dataset"], made["active"], made["waiting"]) == ("proven", "default", True, 0)
    assert (await call(stage, "GET", path)).json() == made
    listed = (await call(stage, "GET", "/webhooks", page_size="1")).json()
    assert (listed["webhooks"], listed["pagination"]["count"]) == ([made], 1)
    changed = (await call(stage, "PATCH", path, {"active": False, "types": []})).json()
    assert (changed["active"], changed["types"], "secret" in changed) == (False, [], False)
    assert (await call(stage, "PATCH", path, {"dataset": "default"})).status_code == 200
    moved = await call(stage, "PATCH", path, {"dataset": "web"})
    assert (moved.status_code, "dataset" in moved.text) == (400, True)
    assert (await call(stage, "PATCH", path, {"rotate_secret": True})).json()["secret"].startswith("whsec_")
    assert (await call(stage, "POST", f"{path}/test")).json() == {"accepted": True}
    receiver.behaviour = "fails"
    failed = {"accepted": False, "failure": "The webhook answered 500."}
    assert (await call(stage, "POST", f"{path}/test")).json() == failed
    assert (await call(stage, "DELETE", path)).status_code == 204
    assert (await call(stage, "GET", path)).status_code == 404


async def test_whoever_may_not_read_changes_reads_no_deliveries(stage: Stage, receiver: CodeReceiver) -> None:
    made = (await call(stage, "POST", "/webhooks", {"url": receiver.url, "view": "all"})).json()
    path = f"/webhooks/{made['id']}"
    read, update, seen = "admin_config_view", "admin_config_update", "profile_view"
    for method, word, body in (("GET", "deliveries", None), ("POST", "deliveries", {}), ("POST", "test", {})):
        answer = await call(stage, method, f"{path}/{word}", body, read, update)
        assert answer.status_code == 403, word
        answer = await call(stage, method, f"{path}/{word}", body, read, update, seen)
        assert answer.status_code == 403, f"{word}: the view all takes a permission of its own"
    everything = await call(stage, "GET", f"{path}/deliveries", None, read, seen, "profile_view_all")
    assert everything.status_code == 200


async def test_deliveries_are_listed_and_sent_again(stage: Stage, receiver: CodeReceiver) -> None:
    made = (await call(stage, "POST", "/webhooks", {"url": receiver.url})).json()
    path = f"/webhooks/{made['id']}/deliveries"
    await stage.play("""
        post C mail=ann@ plan=crm
        patch C plan=gold
    """)
    await stage.services.feed.dispatcher.serve_all()
    first = (await call(stage, "GET", path, page_size="1")).json()
    (delivery,) = first["deliveries"]
    assert (delivery["type"], delivery["state"], delivery["attempts"]) == ("profile.updated", "delivered", 1)
    assert delivery["change"] == receiver.received[1].document
    rest = (await call(stage, "GET", path, cursor=first["pagination"]["next_cursor"])).json()
    assert [item["type"] for item in rest["deliveries"]] == ["profile.created"]
    again = await call(stage, "POST", path, {"delivery_ids": [delivery["delivery_id"]]})
    assert (again.status_code, again.json()) == (200, {"deliveries": 1})
    assert (await call(stage, "POST", path, {})).json() == {"deliveries": 0}
    waiting = (await call(stage, "GET", path, state="waiting")).json()["deliveries"]
    assert [item["delivery_id"] for item in waiting] == [delivery["delivery_id"]]


async def test_a_webhook_receives_no_more_than_who_makes_it_may_read(
    stage: Stage, receiver: CodeReceiver
) -> None:
    body = {"url": receiver.url, "view": "all"}
    update, view = "admin_config_update", "profile_view"
    assert (await call(stage, "POST", "/webhooks", body, update, view)).status_code == 403
    assert (await call(stage, "POST", "/webhooks", {"url": receiver.url}, update)).status_code == 403
    assert (await call(stage, "POST", "/webhooks", body, "admin_config_view")).status_code == 403
    made = await call(stage, "POST", "/webhooks", body, update, view, "profile_view_all")
    assert made.status_code == 201, made.text
    path, elsewhere = f"/webhooks/{made.json()['id']}", {"url": "https://elsewhere.example/"}
    assert (await call(stage, "PATCH", path, elsewhere, update, view)).status_code == 403
    assert (await call(stage, "GET", path, None, "profile_view")).status_code == 403
    await call(stage, "DELETE", path)


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://crm.acme.example/"},
        {"url": "https://crm.acme.example/", "types": ["profile.touched"]},
        {"url": "https://crm.acme.example/", "view": "each"},
        {"url": "https://crm.acme.example/", "secret": "whsec_short"},
        {"url": "https://crm.acme.example/", "unknown": 1},
        {},
        [],
    ],
)
async def test_what_is_no_webhook(stage: Stage, body: Any) -> None:
    assert (await call(stage, "POST", "/webhooks", body)).status_code == 400
    assert (await call(stage, "PATCH", UNKNOWN, {"active": True})).status_code == 404
    assert (await call(stage, "GET", f"{UNKNOWN}/deliveries")).status_code == 404
    assert (await call(stage, "POST", "/webhooks/nonsense/test")).status_code == 404
