"""`POST /profiles?tracker=false`: records that are no browser's (docs/wire/cds.md §5.1).

A fragment that begins so can be a person's own once they verify what it began with. A tracker that was given
out, any browser may bring: its record is one with theirs by id, and not at Me.
"""

from __future__ import annotations

import pytest

from support.caller import Cds
from support.view_stage import Stage

STORIES = {
    "the CRM has a record before she registers": """
        post C mail=ann@ plan=imported
        post F1 T1
        registers ann T1
        Me ann = F1 ann mail=ann@
        C = C mail=ann@ plan=imported

        verifies ann
        Me ann = F1 < C ann mail=ann@ plan=imported
        C = C > F1 ann mail=ann@ plan=imported
        T1 = F1 ann
    """,
    "the CRM imports a record after she verified her address": """
        post F1 T1
        registers ann T1
        verifies ann
        post C mail=ann@ plan=imported
        Me ann = F1 < C ann mail=ann@ plan=imported
        T1 = F1 ann
    """,
    "a record with a tracker is one with hers by id, and not at Me": """
        post F1 T1
        registers ann T1
        verifies ann
        post C TC mail=ann@ plan=imported
        C = C > F1 ann mail=ann@ plan=imported
        F1 = F1 < C ann mail=ann@ plan=imported
        Me ann = F1 ann mail=ann@
    """,
    "a record with her address as another attribute is not hers": """
        post F1 T1
        registers ann T1
        verifies ann
        post C mood=ann@ plan=other
        Me ann = F1 ann mail=ann@
    """,
    "a record of two addresses is hers who verified the first of them": """
        post C mail=ann@ card=L plan=imported
        post F1 T1
        registers ann T1
        verifies ann
        Me ann = F1 < C ann card=L mail=ann@ plan=imported
    """,
    "a record that names her user is hers": """
        post F1 T1
        registers ann T1
        post C user=ann plan=imported
        Me ann = F1 < C ann mail=ann@ plan=imported
        T1 = F1 ann
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_record_without_tracker(stage: Stage, story: str) -> None:
    await stage.play(story)


async def test_the_answer_has_no_tracker_and_no_cookie(cds: Cds) -> None:
    answer = await cds("POST", "/profiles", json={}, params={"tracker": "false"})
    assert answer.status_code == 201
    assert "anonymous_profile_tracker" not in answer.json()
    assert "set-cookie" not in answer.headers
    assert answer.headers["location"].endswith(answer.json()["profile_id"])
    default = await cds("POST", "/profiles", json={}, params={"tracker": "true"})
    assert default.json()["anonymous_profile_tracker"]


async def test_the_cookie_of_a_browser_has_no_effect(cds: Cds) -> None:
    browser = await cds.create()
    cookie = {"Cookie": f"cds_profile={browser['anonymous_profile_tracker']}"}
    answer = await cds("POST", "/profiles", json={}, params={"tracker": "false"}, headers=cookie)
    assert (answer.status_code, "set-cookie" in answer.headers) == (201, False)
    assert answer.json()["profile_id"] != browser["profile_id"]


async def test_a_repeat_gets_the_first_answer(cds: Cds) -> None:
    key = {"Idempotency-Key": "import-1"}
    first, again = [
        await cds("POST", "/profiles", json={}, params={"tracker": "false"}, headers=key) for _ in range(2)
    ]
    assert (first.status_code, again.content) == (201, first.content)
    assert len((await cds.listed())["profiles"]) == 1
