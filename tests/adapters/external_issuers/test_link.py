"""POST /profiles/link (docs/wire/cds.md §5.5)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.caller import Cds

UNKNOWN = "00000000-0000-4000-8000-00000000dead"


async def link(cds: Cds, profile_id: object, user_id: object, **options: Any) -> httpx.Response:
    return await cds("POST", "/profiles/link", json={"profile_id": profile_id, "user_id": user_id}, **options)


async def test_a_temporary_profile_gets_the_user_id(cds: Cds) -> None:
    profile = await cds.create()
    answer = await link(cds, f"  {profile['profile_id']} ", " u-1 ")
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"profile_id": profile["profile_id"], "user_id": "u-1"}
    found = (await cds("GET", f"/profiles/{profile['profile_id']}")).json()
    assert found["user_id"] == "u-1"
    assert "merged_to" not in found


async def test_it_merges_into_the_users_profile_before_the_answer(cds: Cds) -> None:
    await cds.define("traits", {"attribute_name": "traits.plan"}, {"attribute_name": "traits.colour"})
    permanent = await cds.create(user_id="u-1", traits={"plan": "gold"})
    visitor = await cds.create(traits={"colour": "red"})
    assert (await link(cds, visitor["profile_id"], "u-1")).status_code == 200
    found = (await cds("GET", f"/profiles/{visitor['profile_id']}")).json()
    assert found["merged_to"] == {
        "profile_id": permanent["profile_id"],
        "reason": "system:user_id_match",
    }
    assert found["traits"] == {"plan": "gold", "colour": "red"}


async def test_another_users_profile_is_refused(cds: Cds) -> None:
    profile = await cds.create(user_id="u-1")
    answer = await link(cds, profile["profile_id"], "u-2")
    assert answer.status_code == 409
    assert answer.json()["code"] == "CDS-11017"
    assert answer.json()["message"] == "Profile already linked."
    assert (await cds("GET", f"/profiles/{profile['profile_id']}")).json()["user_id"] == "u-1"


async def test_linking_to_the_same_user_changes_nothing(cds: Cds) -> None:
    profile = await cds.create(user_id="u-1")
    before = await cds("GET", f"/profiles/{profile['profile_id']}")
    answer = await link(cds, profile["profile_id"], "u-1")
    assert answer.json() == {"profile_id": profile["profile_id"], "user_id": "u-1"}
    after = await cds("GET", f"/profiles/{profile['profile_id']}")
    assert after.headers["etag"] == before.headers["etag"]


async def test_an_absorbed_id_resolves_to_its_survivor(cds: Cds) -> None:
    await cds.create(user_id="u-1")
    absorbed = await cds.create(user_id="u-1")
    assert (await link(cds, absorbed["profile_id"], "u-1")).status_code == 200
    assert (await link(cds, absorbed["profile_id"], "u-2")).status_code == 409


@pytest.mark.parametrize("profile_id", [UNKNOWN, "no-uuid", "' or 1=1"])
async def test_an_unknown_profile_is_404(cds: Cds, profile_id: str) -> None:
    answer = await link(cds, profile_id, "u-1")
    assert answer.status_code == 404
    assert answer.json()["code"] == "CDS-11001"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"profile_id": "x"},
        {"user_id": "u"},
        {"profile_id": "", "user_id": "u"},
        {"profile_id": "x", "user_id": "  "},
        {"profile_id": None, "user_id": "u"},
        {"profile_id": 7, "user_id": "u"},
        {"profile_id": "x", "user_id": ["u"]},
        {"profile_id": UNKNOWN, "user_id": "u\x00"},
        {"profile_id": UNKNOWN, "user_id": "u" * 5000},
        [],
        "link",
    ],
    ids=lambda body: str(body)[:40],
)
async def test_profile_id_and_user_id_are_required(cds: Cds, body: Any) -> None:
    answer = await cds("POST", "/profiles/link", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011")


async def test_a_repeat_gets_the_first_answer_and_another_request_does_not(cds: Cds) -> None:
    profile, headers = await cds.create(), {"Idempotency-Key": "link-1"}
    first = await link(cds, profile["profile_id"], "u-1", headers=headers)
    again = await link(cds, profile["profile_id"], "u-1", headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content) == (200, first.content)
    assert (await link(cds, profile["profile_id"], "u-2", headers=headers)).status_code == 422


async def test_it_needs_its_own_permission_and_organisation(cds: Cds, stranger: Cds) -> None:
    profile = await cds.create()
    denied = await link(cds, profile["profile_id"], "u", token=await cds.token("profile_update"))
    assert (denied.status_code, denied.json()["code"]) == (403, "CDS-10003")
    allowed = await link(cds, profile["profile_id"], "u", token=await cds.token("profile_link"))
    assert allowed.status_code == 200
    assert (await link(cds, profile["profile_id"], "u", token=await stranger.token())).status_code == 401
    assert (await link(stranger, profile["profile_id"], "u")).status_code == 404


async def test_other_methods_are_405(cds: Cds) -> None:
    assert (await cds("GET", "/profiles/link")).status_code == 405
