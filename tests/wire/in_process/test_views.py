"""The views of a profile: what is believed, what is proven, what a tracker shows (docs/concepts/trust.md).

A stranger's page names Vera's address, which a unification rule reads. The business believes that they are
one person. Whoever reads what is proven, or brings the stranger's tracker, sees nothing of Vera.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from oneself.api.app import create_app
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from oneself.service.log.verify import verify
from support.caller import Cds
from support.visitor import CALLBACK, Application, Visitor, claims_of

VERAS_MAIL = "vera@acme.example"
SCOPE = "openid internal_cds_profile_view internal_cds_profile_update"


class Attacked(NamedTuple):
    """Vera's profile, and the browser of a stranger whose page named her address."""

    cds: Cds
    vera_id: str
    stranger_id: str
    tracker: str

    @property
    def cookie(self) -> dict[str, str]:
        """The stranger's."""
        return {"Cookie": f"cds_profile={self.tracker}"}

    async def read(self, profile_id: str, **params: str) -> dict[str, Any]:
        answer = await self.cds("GET", f"/profiles/{profile_id}", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest_asyncio.fixture
async def attacked(cds: Cds) -> AsyncIterator[Attacked]:
    new = NewApplication("Shop", "browser", (CALLBACK,), (), PERMISSIONS, "spa")
    await cds.services.directory.applications.create(cds.dataset_ref, new)
    await cds.define("traits", {"attribute_name": "traits.mail"}, {"attribute_name": "traits.plan"})
    rule = {"rule_name": "mail", "property_name": "traits.mail", "priority": 1, "is_active": True}
    assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201
    vera = await cds.create(traits={"mail": VERAS_MAIL, "plan": "gold"})
    stranger = await cds.create()
    tracker = stranger["anonymous_profile_tracker"]
    event = {
        "interaction": {"name": "Visit"},
        "user": {"anonymousProfileTracker": tracker, "attributes": {"mail": VERAS_MAIL}},
    }
    answer = await cds.http.post("/t/acme/api2/event/default", json=event)
    assert answer.status_code == 200, answer.text
    yield Attacked(cds, vera["profile_id"], stranger["profile_id"], tracker)
    report = await verify(cds.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def test_the_business_believes_them_one_person(attacked: Attacked) -> None:
    believed = await attacked.read(attacked.stranger_id, view="all")
    assert believed["traits"]["plan"] == "gold"


@pytest.mark.parametrize("params", [{}, {"view": "proven"}, {"view": "own"}])
async def test_what_is_proven_shows_nothing_of_her(attacked: Attacked, params: dict[str, str]) -> None:
    before = await attacked.read(attacked.vera_id, **params)
    assert before["traits"] == {"mail": VERAS_MAIL, "plan": "gold"}
    stranger = await attacked.read(attacked.stranger_id, **params)
    assert not {"traits", "merged_to", "merged_from"} & stranger.keys()
    assert "merged_from" not in before


async def test_a_tracker_shows_only_what_its_browser_said(attacked: Attacked) -> None:
    answer = await attacked.cds("POST", "/profiles", json={}, headers=attacked.cookie)
    assert answer.status_code == 200
    assert answer.json()["profile_id"] == attacked.stranger_id
    assert answer.json()["traits"] == {"mail": VERAS_MAIL}
    me = await attacked.cds("GET", "/profiles/Me", headers=attacked.cookie)
    assert me.json()["traits"] == {"mail": VERAS_MAIL}


async def test_the_answer_to_an_empty_write_shows_nothing_of_her(attacked: Attacked) -> None:
    answer = await attacked.cds("PATCH", f"/profiles/{attacked.stranger_id}", json={})
    assert answer.status_code == 200
    assert "traits" not in answer.json()
    headers = {"If-Match": answer.headers["etag"]}
    patch = {"traits": {"plan": "free"}}
    written = await attacked.cds("PATCH", f"/profiles/{attacked.stranger_id}", json=patch, headers=headers)
    assert (written.status_code, written.json()["traits"]) == (200, {"plan": "free"})
    stale = await attacked.cds("PATCH", f"/profiles/{attacked.stranger_id}", json=patch, headers=headers)
    assert stale.status_code == 412
    assert (await attacked.read(attacked.vera_id))["traits"]["plan"] == "gold"


async def test_a_list_finds_her_by_what_is_proven_alone(attacked: Attacked) -> None:
    found = await attacked.cds.listed(filter=f"traits.mail eq {VERAS_MAIL}")
    assert [item["profile_id"] for item in found["profiles"]] == [attacked.vera_id]
    everybody = await attacked.cds.listed()
    assert {item["profile_id"] for item in everybody["profiles"]} == {attacked.vera_id, attacked.stranger_id}
    believed = await attacked.cds.listed(view="all")
    assert len(believed["profiles"]) == 1


async def test_who_registers_with_the_tracker_owns_what_it_carried_and_no_more(attacked: Attacked) -> None:
    visitor = Visitor(create_app(attacked.cds.services, attacked.cds.services.settings))
    shop = Application(visitor, "spa", None)
    page = await shop.registration(scope=SCOPE, anonymous_profile_tracker=attacked.tracker)
    token = str((await shop.tokens(await visitor.register("eve@acme.example", page)))["access_token"])
    await visitor.http.aclose()
    me = (await attacked.cds("GET", "/profiles/Me", token=token)).json()
    assert me["profile_id"] == attacked.stranger_id
    assert me["user_id"] == claims_of(token)["sub"]
    assert "plan" not in me.get("traits", {})
    refused = await attacked.cds("GET", f"/profiles/{attacked.vera_id}", token=token)
    assert refused.status_code == 404
    vera = await attacked.read(attacked.vera_id)
    assert "user_id" not in vera
    assert vera["traits"]["plan"] == "gold"


async def test_what_servers_say_of_both_is_one_person_in_what_is_proven(attacked: Attacked) -> None:
    """The honest twin: an application, not a page, says the address."""
    patch = {"traits": {"mail": VERAS_MAIL}}
    answer = await attacked.cds("PATCH", f"/profiles/{attacked.stranger_id}", json=patch)
    assert answer.json()["traits"]["plan"] == "gold"
    survivor = await attacked.read(answer.json().get("merged_to", answer.json())["profile_id"])
    assert {item["reason"] for item in survivor["merged_from"]} == {"mail"}


async def test_a_reported_user_owns_a_browser_once_its_tracker_and_their_token_come_together(
    attacked: Attacked,
) -> None:
    cds, cookie = attacked.cds, attacked.cookie
    typed = {"traits": {"plan": "trial"}}
    assert (await cds("PATCH", f"/profiles/{attacked.stranger_id}", json=typed)).status_code == 200
    link = {"profile_id": attacked.stranger_id, "user_id": "ann"}
    assert (await cds("POST", "/profiles/link", json=link)).status_code == 200
    assert (await attacked.read(attacked.stranger_id))["user_id"] == "ann"
    ann, eve = await cds.token(subject="ann"), await cds.token(subject="eve")
    await cds.create(user_id="eve")

    async def me(token: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        return dict((await cds("GET", "/profiles/Me", token=token, headers=headers)).json())

    assert "traits" not in await me(ann)
    assert "traits" not in await me(eve, cookie)
    assert "traits" not in await me(ann)
    assert (await me(ann, cookie))["traits"] == {"plan": "trial"}
    assert (await me(ann))["profile_id"] == attacked.stranger_id
    by_tracker = await cds("POST", "/profiles", json={}, headers=cookie)
    assert by_tracker.json()["user_id"] == "ann"


@pytest.mark.parametrize("route", ["/profiles/{id}", "/profiles/{id}/consents", "/profiles"])
async def test_the_view_all_needs_its_permission(attacked: Attacked, route: str) -> None:
    path = route.format(id=attacked.vera_id)
    without = await attacked.cds.token("profile_view")
    refused = await attacked.cds("GET", path, token=without, params={"view": "all"})
    assert refused.status_code == 403
    assert "internal_cds_profile_view_all" in refused.text
    granted = await attacked.cds.token("profile_view", "profile_view_all")
    assert (await attacked.cds("GET", path, token=granted, params={"view": "all"})).status_code == 200
    unknown = await attacked.cds("GET", path, token=granted, params={"view": "everything"})
    assert unknown.status_code == 400


async def test_a_person_reads_no_wider_view(attacked: Attacked) -> None:
    cds = attacked.cds
    created = await cds.create(user_id="ann")
    token = await cds.token(subject="ann")
    path = f"/profiles/{created['profile_id']}"
    assert (await cds("GET", path, token=token)).status_code == 200
    for view in ("proven", "all"):
        assert (await cds("GET", path, token=token, params={"view": view})).status_code == 403
