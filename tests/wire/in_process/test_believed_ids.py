"""Ids that only the view `all` has: of a profile that it began from words of somebody's browser.

Ann's browser names Ben. The view `all` begins a profile for Ben; in the narrower views these are Ann's
words. `support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG
from support.view_stage import Stage

NAMED = "post P TP plan=free\nregisters ann TP\npage TP mail=ben@"


async def _believed_id(stage: Stage) -> str:
    """The id of the newest profile of the view `all`."""
    return str((await stage.cds.listed(view="all"))["profiles"][0]["profile_id"])


async def _admin(stage: Stage, method: str, path: str, **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    return await stage.cds.http.request(method, f"/t/{ORG}/api/v1{path}", headers=headers, params=params)


@pytest.mark.parametrize("view", [None, "own", "proven"])
async def test_words_of_a_signed_in_browser_are_found_by_the_id_that_all_gave_them(
    stage: Stage, view: str | None
) -> None:
    await stage.play(NAMED)
    believed = await _believed_id(stage)
    params = {} if view is None else {"view": view}
    found = await stage.cds("GET", f"/profiles/{believed}", params=params)
    assert found.status_code == 200, found.text
    known = await stage.cds("GET", f"/profiles/{stage.profile_id('P')}", params=params)
    assert found.json()["user_id"] == stage.user_id("ann")
    assert (found.json(), found.headers["etag"]) == (known.json(), known.headers["etag"])
    assert "merged_to" not in found.json()


async def test_the_answer_of_an_event_finds_the_profile_of_its_browser(stage: Stage) -> None:
    await stage.play(NAMED)
    tracker, named = stage.tracker("TP"), {"emailAddress": "ben@acme.example"}
    event: dict[str, Any] = {"user": {"anonymousProfileTracker": tracker, "attributes": named}}
    answer = (await stage.cds.http.post(f"/t/{ORG}/api2/event/default", json=event)).json()
    path = f"/datasets/default/profiles/{answer['resolvedUserId']}"
    assert (await _admin(stage, "GET", path)).json()["profile_id"] == stage.profile_id("P")
    believed = (await _admin(stage, "GET", path, view="all")).json()
    assert believed["primary_id"] == answer["resolvedUserId"]
    assert "user_id" not in believed


async def test_a_write_by_such_an_id_is_the_users_own(stage: Stage) -> None:
    await stage.play(NAMED)
    believed = await _believed_id(stage)
    etag = (await stage.cds("GET", f"/profiles/{believed}")).headers["etag"]
    body = {"traits": {"plan": "gold"}}
    stale = await stage.cds("PATCH", f"/profiles/{believed}", json=body, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    written = await stage.cds("PATCH", f"/profiles/{believed}", json=body, headers={"If-Match": etag})
    assert (written.status_code, written.json()["traits"]["plan"]) == (200, "gold")
    await stage.play(
        "P = P ann mail=ann@ plan=gold\nMe ann = P ann mail=ann@ plan=gold\nTP = P ann mail=ben@ plan=free"
    )


async def test_such_an_id_erases_nobody_in_a_narrower_view(stage: Stage) -> None:
    await stage.play(NAMED)
    believed = await _believed_id(stage)
    path = f"/datasets/default/profiles/{believed}"
    primary_id = (await _admin(stage, "GET", path, view="all")).json()["primary_id"]
    for view in ("own", "proven"):
        await stage.cds("DELETE", f"/profiles/{believed}", params={"view": view})
        for called in (believed, primary_id):
            erased = await _admin(stage, "POST", f"/profiles/{called}/erase", view=view)
            assert erased.status_code == 404
    await stage.play("P = P ann mail=ann@ plan=free")


async def test_an_id_that_is_believed_to_be_another_users_means_nobody(stage: Stage) -> None:
    """Ann's browser began it; a report about Ben made it his in the view `all`."""
    await stage.play("post P TP\nreport ann TP\npage TP mail=ben@")
    believed = await _believed_id(stage)
    await stage.play("report ben TP")
    assert (await stage.cds("GET", f"/profiles/{believed}", params={"view": "all"})).json()[
        "user_id"
    ] == "ben"
    for view in ("own", "proven"):
        assert (await stage.cds("GET", f"/profiles/{believed}", params={"view": view})).status_code == 404


async def test_an_unknown_id_stays_unknown(stage: Stage) -> None:
    await stage.play(NAMED)
    unknown = "00000000-0000-4000-8000-000000000000"
    assert (await stage.cds("GET", f"/profiles/{unknown}")).status_code == 404
    assert (await stage.cds("PATCH", f"/profiles/{unknown}", json={})).status_code == 404
