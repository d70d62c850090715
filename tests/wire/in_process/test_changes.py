"""`/changes` and `/datasets/{dataset}/changes`: what changed of profiles, for other systems that follow."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG
from support.view_stage import Stage

EXPIRE = "UPDATE profile_change SET recorded_at = recorded_at - 30 * 24 * 3600 * 1000000::bigint"


async def ask(stage: Stage, path: str = "/changes", *permissions: str, **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    return await stage.cds.http.get(f"/t/{ORG}/api/v1{path}", headers=headers, params=params)


async def page(stage: Stage, path: str = "/changes", **params: str) -> dict[str, Any]:
    answer = await ask(stage, path, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_changes_are_read_page_by_page(stage: Stage) -> None:
    await stage.play("""
        post C mail=ann@ plan=crm
        post F1 T1
        registers ann T1
        verifies ann
    """)
    first = await page(stage, page_size="1")
    assert first["pagination"] == {"count": 1, "page_size": 1, "next_cursor": first["cursor"]}
    (created,) = first["changes"]
    assert created.pop("cursor") == first["cursor"]
    assert created.pop("recorded_at").endswith("Z")
    assert len(created.pop("observation_id")) == 36
    assert created == {
        "type": "profile.created",
        "organisation": ORG,
        "dataset": "default",
        "view": "proven",
        "profile_id": stage.profile_id("C"),
        "before": [],
        "after": [stage.profile_id("C")],
    }
    rest = await page(stage, cursor=first["cursor"])
    assert "next_cursor" not in rest["pagination"]
    merged = [item for item in rest["changes"] if item["type"] == "profile.merged"]
    assert {item["profile_id"] for item in merged} == {stage.profile_id("F1")}
    assert {item for each in merged for item in each["before"]} == {
        stage.profile_id("C"),
        stage.profile_id("F1"),
    }
    assert all("reason" in item for item in merged)
    assert (await page(stage, cursor=rest["cursor"]))["changes"] == []
    again = await page(stage, "/datasets/default/changes", cursor=first["cursor"])
    assert again["changes"] == rest["changes"]


async def test_from_now_on(stage: Stage) -> None:
    await stage.play("post C plan=crm")
    start = await page(stage, start="now")
    assert start["changes"] == []
    await stage.play("patch C plan=gold")
    (updated,) = (await page(stage, cursor=start["cursor"]))["changes"]
    assert (updated["type"], updated["changed"]) == ("profile.updated", ["traits.plan"])
    assert updated["before"] == updated["after"] == [stage.profile_id("C")]


async def test_what_a_page_asserts_is_in_the_view_all_alone(stage: Stage) -> None:
    await stage.play("""
        post C mail=vera@ plan=crm
        post F1 T1
        page T1 mail=vera@
    """)
    kinds = {
        view: [i["type"] for i in (await page(stage, view=view))["changes"]] for view in ("proven", "all")
    }
    assert "profile.merged" in kinds["all"]
    assert "profile.merged" not in kinds["proven"]
    narrow = await ask(stage, "/changes", "profile_view", view="all")
    assert (narrow.status_code, "profile_view_all" in narrow.text) == (403, True)
    assert (await ask(stage, "/changes", "profile_view")).status_code == 200
    assert (await ask(stage, "/changes", "event_create")).status_code == 403


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "nonsense"},
        {"cursor": "WzEsMiwzXQ"},
        {"start": "later"},
        {"page_size": "0"},
        {"view": "each"},
    ],
)
async def test_a_parameter_that_is_not_valid(stage: Stage, params: dict[str, str]) -> None:
    answer = await ask(stage, **params)
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-10001")
    assert (await ask(stage, "/datasets/unknown/changes")).status_code == 404


async def test_a_cursor_that_is_too_old(stage: Stage) -> None:
    await stage.play("post C plan=crm")
    await stage.followed.read()
    await stage.services.database.execute(EXPIRE)
    former = (await page(stage))["changes"][0]["cursor"]
    await stage.play("patch C plan=gold")
    await stage.services.history.change_feed.sweep()
    answer = await ask(stage, cursor=former)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert [item["type"] for item in (await page(stage))["changes"]] == ["profile.updated"]
