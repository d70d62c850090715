"""Ids that only the view `all` has, of a profile that began from words which belong elsewhere in the others.

Ann gives up a number, and a server names that number alone again. The view `all` begins a profile for it; in
the narrower views the server's words about exactly this number are one record, which is Ann's.
`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG, SECRET, SYSTEM
from support.view_stage import Stage

GIVEN_UP = "server phone=+441\nserver phone=+441 mail=ann@\nserver phone=+442 mail=ann@ plan=free"
NAMED = f"{GIVEN_UP}\nserver phone=+441"


async def _believed_id(stage: Stage) -> str:
    """The id of the newest profile of the view `all`."""
    return str((await stage.cds.listed(view="all"))["profiles"][0]["profile_id"])


async def _anns_id(stage: Stage) -> str:
    """The id of Ann's profile in the view `proven`."""
    (profile_id,) = await stage.listed("mail", "ann@")
    return profile_id


async def _admin(stage: Stage, method: str, path: str, **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    return await stage.cds.http.request(method, f"/t/{ORG}/api/v1{path}", headers=headers, params=params)


async def test_the_words_are_found_by_the_id_that_all_gave_them(stage: Stage) -> None:
    await stage.play(NAMED)
    believed, ann = await _believed_id(stage), await _anns_id(stage)
    found, known = [await stage.cds("GET", f"/profiles/{item}") for item in (believed, ann)]
    assert found.status_code == 200, found.text
    assert (found.json(), found.headers["etag"]) == (known.json(), known.headers["etag"])
    assert found.json()["profile_id"] == ann != believed
    assert "merged_to" not in found.json()
    own = await stage.cds("GET", f"/profiles/{believed}", params={"view": "own"})
    assert own.status_code == 200
    assert "traits" not in own.json()


async def test_the_answer_of_an_event_finds_the_profile(stage: Stage) -> None:
    await stage.play(GIVEN_UP)
    event: dict[str, Any] = {
        "user": {"attributes": {"mobileNumber": "+441"}},
        "source": {"channel": "Server"},
    }
    sent = await stage.cds.http.post(f"/t/{ORG}/api2/authevent/default", json=event, auth=(SYSTEM, SECRET))
    resolved = sent.json()["resolvedUserId"]
    path = f"/datasets/default/profiles/{resolved}"
    assert (await _admin(stage, "GET", path)).json()["profile_id"] == await _anns_id(stage)
    believed = (await _admin(stage, "GET", path, view="all")).json()
    assert (believed["primary_id"], believed["profile_id"]) == (resolved, await _believed_id(stage))


async def test_a_write_by_such_an_id_belongs_to_the_profile(stage: Stage) -> None:
    await stage.play(NAMED)
    believed = await _believed_id(stage)
    etag = (await stage.cds("GET", f"/profiles/{believed}")).headers["etag"]
    body = {"traits": {"plan": "gold"}}
    stale = await stage.cds("PATCH", f"/profiles/{believed}", json=body, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    written = await stage.cds("PATCH", f"/profiles/{believed}", json=body, headers={"If-Match": etag})
    assert (written.status_code, written.json()["traits"]["plan"]) == (200, "gold")
    read = await stage.cds("GET", f"/profiles/{await _anns_id(stage)}")
    assert read.json()["traits"]["plan"] == "gold"


async def test_such_an_id_erases_nobody_in_a_narrower_view(stage: Stage) -> None:
    await stage.play(NAMED)
    believed, ann = await _believed_id(stage), await _anns_id(stage)
    path = f"/datasets/default/profiles/{believed}"
    primary_id = (await _admin(stage, "GET", path, view="all")).json()["primary_id"]
    for view in ("own", "proven"):
        await stage.cds("DELETE", f"/profiles/{believed}", params={"view": view})
        for called in (believed, primary_id):
            erased = await _admin(stage, "POST", f"/profiles/{called}/erase", view=view)
            assert erased.status_code == 404
    assert await _anns_id(stage) == ann


async def test_an_id_that_is_believed_to_be_another_users_means_nobody(stage: Stage) -> None:
    await stage.play(f"dataset asserted_merges=unrestricted\n{NAMED}")
    believed = await _believed_id(stage)
    await stage.play("post B TB\npage TB phone=+441\nregisters ben TB")
    his = await stage.cds("GET", f"/profiles/{believed}", params={"view": "all"})
    assert his.json()["user_id"] == stage.user_id("ben")
    for view in ("own", "proven"):
        found = await stage.cds("GET", f"/profiles/{believed}", params={"view": view})
        assert found.status_code == 404


async def test_every_id_of_the_view_all_is_known_after_a_browser_named_others(stage: Stage) -> None:
    await stage.play("post P TP\nregisters ann TP\npage TP mail=ben@\npage TP av\npage av mail=eve@")
    for item in (await stage.cds.listed(view="all"))["profiles"]:
        assert (await stage.cds("GET", f"/profiles/{item['profile_id']}")).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_unknown_id_stays_unknown(stage: Stage, method: str) -> None:
    await stage.play(NAMED)
    unknown = "/profiles/00000000-0000-4000-8000-000000000000"
    body = {} if method == "GET" else {"json": {}}
    assert (await stage.cds(method, unknown, **body)).status_code == 404
