"""An erasure takes what the view that it names shows (docs/concepts/trust.md, "Erasure").

A stranger's page names Vera's address, before or after a server says who she is. The business believes that
they are one person. Whoever erases the stranger erases nothing of hers.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from oneself.service.context import Actor
from oneself.service.log.verify import verify
from support.caller import Cds
from support.view_stage import Stage

VERAS_MAIL = "vera@acme.example"
STRANGERS_PAGE = "Strange visit"


@pytest_asyncio.fixture
async def shop(cds: Cds) -> AsyncIterator[Cds]:
    await cds.define(
        "traits",
        {"attribute_name": "traits.mail"},
        {"attribute_name": "traits.plan"},
        {"attribute_name": "traits.phone"},
    )
    for priority, name in enumerate(("mail", "phone"), 1):
        rule = {
            "rule_name": name,
            "property_name": f"traits.{name}",
            "priority": priority,
            "is_active": True,
        }
        assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201
    yield cds
    report = await verify(cds.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def send_page(cds: Cds, tracker: str, **attributes: str) -> None:
    event = {
        "interaction": {"name": STRANGERS_PAGE},
        "user": {"anonymousProfileTracker": tracker, "attributes": attributes},
    }
    answer = await cds.http.post("/t/acme/api2/event/default", json=event)
    assert answer.status_code == 200, answer.text


async def read(cds: Cds, profile_id: str, **params: str) -> dict[str, Any]:
    answer = await cds("GET", f"/profiles/{profile_id}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def attack(cds: Cds, order: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A stranger whom the business believes to be Vera, until he has an account. Returns both profiles."""
    vera, stranger = await assert_her_address(cds, order)
    link = {"profile_id": stranger["profile_id"], "user_id": "eve"}
    assert (await cds("POST", "/profiles/link", json=link)).status_code == 200
    cookie = {"Cookie": f"cds_profile={stranger['anonymous_profile_tracker']}"}
    me = await cds("GET", "/profiles/Me", token=await cds.token(subject="eve"), headers=cookie)
    assert me.json()["profile_id"] == stranger["profile_id"]
    return vera, stranger


async def assert_her_address(cds: Cds, order: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A browser that sends Vera's address, so that it is believed to be hers. Returns both profiles."""
    vera = await cds.create(traits={"mail": VERAS_MAIL, "plan": "gold"}) if order == "after" else None
    stranger = await cds.create()
    await send_page(cds, stranger["anonymous_profile_tracker"], mail=VERAS_MAIL)
    vera = vera or await cds.create(traits={"mail": VERAS_MAIL, "plan": "gold"})
    await send_page(cds, vera["anonymous_profile_tracker"])
    believed = await read(cds, stranger["profile_id"], view="all")
    assert believed["traits"]["plan"] == "gold"
    return vera, stranger


@pytest.mark.parametrize("order", ["before", "after"])
async def test_who_erases_themselves_erases_nothing_of_her(shop: Cds, order: str) -> None:
    vera, stranger = await attack(shop, order)
    before = await read(shop, vera["profile_id"])
    token = await shop.token(subject="eve")
    path = f"/profiles/{stranger['profile_id']}"
    assert (await shop("DELETE", path, token=token)).status_code == 204
    assert (await shop("GET", path)).status_code == 404
    assert await read(shop, vera["profile_id"]) == before
    believed = await read(shop, vera["profile_id"], view="all")
    assert believed["traits"] == {"mail": VERAS_MAIL, "plan": "gold"}
    assert "user_id" not in believed
    stored = await shop.services.database.fetch("SELECT content::text FROM log")
    assert sum(STRANGERS_PAGE in row["content"] for row in stored) == 1, "Vera's own page stays"
    again = await shop.create(traits={"mail": VERAS_MAIL, "phone": "+49"})
    assert again["profile_id"] != vera["profile_id"]
    assert (await read(shop, again["profile_id"]))["traits"]["plan"] == "gold"


@pytest.mark.parametrize("order", ["before", "after"])
async def test_who_erases_her_erases_nothing_of_the_stranger(shop: Cds, order: str) -> None:
    vera, stranger = await attack(shop, order)
    path = f"/profiles/{vera['profile_id']}"
    preview = await shop("DELETE", path, params={"dry_run": "true"})
    assert preview.json() == {
        "view": "proven",
        "profile_ids": [vera["profile_id"]],
        "users": [],
        "entries": 2,
        "identifiers": 2,
    }
    assert (await shop("DELETE", path)).status_code == 204
    assert (await shop("GET", path)).status_code == 404
    left = await read(shop, stranger["profile_id"], view="all")
    assert (left["user_id"], left["traits"]) == ("eve", {"mail": VERAS_MAIL})


async def test_an_operator_erases_all_that_is_believed_after_seeing_whose_it_is(shop: Cds) -> None:
    vera, stranger = await assert_her_address(shop, "after")
    link = {"profile_id": vera["profile_id"], "user_id": "vera"}
    assert (await shop("POST", "/profiles/link", json=link)).status_code == 200
    path = f"/api/v1/profiles/{vera['profile_id']}/erase"
    headers = {"Authorization": f"Bearer {await shop.token()}"}
    shown = await shop.http.post(f"/t/acme{path}", params={"view": "all", "dry_run": "true"}, headers=headers)
    assert (shown.status_code, shown.json()["users"]) == (200, ["vera"])
    assert await read(shop, vera["profile_id"])
    erased = await shop.http.post(f"/t/acme{path}", params={"view": "all"}, headers=headers)
    assert set(erased.json()["profile_ids"]) >= {vera["profile_id"], stranger["profile_id"]}
    for profile in (vera, stranger):
        assert (await shop("GET", f"/profiles/{profile['profile_id']}")).status_code == 404


async def test_a_browser_is_not_handed_to_its_previous_user(shop: Cds) -> None:
    created = await shop.create()
    tracker = created["anonymous_profile_tracker"]
    cookie = {"Cookie": f"cds_profile={tracker}"}
    for user in ("ann", "ben"):
        active = await shop.services.profiles.profiles.find_active_tracker(shop.dataset_ref, [tracker])
        actor = Actor("oauth")
        await shop.services.profiles.profiles.sign_in(shop.dataset_ref, actor, user, tracker=active)
    ben = (await shop("GET", "/profiles/Me", token=await shop.token(subject="ben"))).json()
    ann = (await shop("GET", "/profiles/Me", token=await shop.token(subject="ann"))).json()
    path = f"/profiles/{ben['profile_id']}"
    assert (await shop("DELETE", path, token=await shop.token(subject="ben"))).status_code == 204
    assert (await shop("GET", "/profiles/Me", headers=cookie)).status_code == 401, "the tracker leads nowhere"
    await send_page(shop, tracker)
    after = (await shop("GET", "/profiles/Me", token=await shop.token(subject="ann"))).json()
    assert after == ann
    report = await verify(shop.services.database, lambda done, total: None)
    assert report.difference is None, report.difference
    path = f"/profiles/{ann['profile_id']}"
    assert (await shop("DELETE", path, token=await shop.token(subject="ann"))).status_code == 204
    logged = await shop.services.database.fetch("SELECT content::text FROM log WHERE kind = 'erase'")
    assert not any(tracker in row["content"] for row in logged)


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_an_anonymous_id_that_may_mean_two_people_erases_neither(stage: Stage, dry_run: str) -> None:
    """The id that one person began with, on a browser that another one uses now."""
    await stage.play(
        """
        page a1 mood=first
        page a1 mail=ann@
        page a1 mail=ben@ number=2 mood=second
        """
    )
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    erase = f"/t/acme/api/v1/profiles/{stage.anonymous_id('a1')}/erase"
    for view in ("own", "proven", "all"):
        params = {"view": view, "dry_run": dry_run}
        answer = await stage.cds.http.post(erase, headers=headers, params=params)
        assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_id"), answer.text
        candidates = re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", answer.json()["description"])
        assert len(candidates) == 2
        found = [await stage.cds("GET", f"/profiles/{item}", params={"view": view}) for item in candidates]
        assert {item.status_code for item in found} == {200}


async def test_who_never_verified_an_address_takes_no_trace_of_who_had_it(stage: Stage) -> None:
    await stage.play("report ann mail!=shared@\nclaims ann mail=shared@\nreport mal mail=shared@")
    moments = "SELECT count(*) FROM identifier_transfer WHERE value = 'shared@acme.example'"
    assert await stage.services.database.fetchval(moments) == 1
    await stage.play("deletes mal")
    assert await stage.services.database.fetchval(moments) == 1


@pytest.mark.parametrize("dry_run", ["true", "false"])
async def test_an_anonymous_id_that_servers_say_of_two_people_erases_neither(
    stage: Stage, dry_run: str
) -> None:
    """Ann and Ben have accounts, so that one browser of both does not make them one person."""
    await stage.play("""
        post A
        patch A card=1
        link ann A
        post B
        patch B card=2
        link ben B
        page a1 mood=first
        server a1 card=1
    """)
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    erase = f"/t/acme/api/v1/profiles/{stage.anonymous_id('a1')}/erase"
    previewed = await stage.cds.http.post(erase, headers=headers, params={"dry_run": "true"})
    assert previewed.json()["users"] == [stage.user_id("ann")]
    await stage.play("server a1 card=2")
    answer = await stage.cds.http.post(erase, headers=headers, params={"dry_run": dry_run})
    assert (answer.status_code, answer.json()["code"]) == (409, "ambiguous_id"), answer.text
    candidates = set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", answer.json()["description"]))
    assert candidates == {stage.profile_id("A"), stage.profile_id("B")}
    await stage.play("A = A < ? ann card=1 mood=first\nB = B ben card=2")
    alone = await stage.cds.http.post(erase, headers=headers, params={"view": "own", "dry_run": "true"})
    assert alone.json()["users"] == []
