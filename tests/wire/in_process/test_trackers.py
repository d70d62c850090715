"""Trackers: who owns a browser, and what proves it (docs/concepts/trust.md, docs/wire/cds.md §5.5, §14)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from oneself.service.log.verify import verify
from support.caller import Cds


@pytest_asyncio.fixture
async def shop(cds: Cds) -> AsyncIterator[Cds]:
    """An organisation with two traits, of which one is the address that a rule reads."""
    await cds.define("traits", {"attribute_name": "traits.mail"}, {"attribute_name": "traits.plan"})
    rule = {"rule_name": "mail", "property_name": "traits.mail", "priority": 1, "is_active": True}
    assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201
    yield cds
    report = await verify(cds.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


def cookie(profile: dict[str, Any]) -> dict[str, str]:
    return {"Cookie": f"cds_profile={profile['anonymous_profile_tracker']}"}


async def link(cds: Cds, profile_id: str, user_id: str, **options: Any) -> httpx.Response:
    body = {"profile_id": profile_id, "user_id": user_id, **options.pop("body", {})}
    return await cds("POST", "/profiles/link", json=body, **options)


async def me(cds: Cds, user_id: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
    token = await cds.token(subject=user_id)
    return dict((await cds("GET", "/profiles/Me", token=token, headers=headers)).json())


async def by_tracker(cds: Cds, profile: dict[str, Any]) -> dict[str, Any]:
    answer = await cds("POST", "/profiles", json={}, headers=cookie(profile))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("sent_in", ["cookie", "body"])
async def test_a_link_with_the_tracker_owns_the_browser(shop: Cds, sent_in: str) -> None:
    visitor = await shop.create(traits={"plan": "trial"})
    tracker = {"anonymous_profile_tracker": visitor["anonymous_profile_tracker"]}
    options: dict[str, Any] = {"headers": cookie(visitor)} if sent_in == "cookie" else {"body": tracker}
    answer = await link(shop, visitor["profile_id"], "ann", **options)
    assert answer.json() == {"profile_id": visitor["profile_id"], "user_id": "ann"}
    owned = await me(shop, "ann")
    assert (owned["profile_id"], owned["traits"]) == (visitor["profile_id"], {"plan": "trial"})
    assert (await by_tracker(shop, visitor))["user_id"] == "ann"


async def test_a_link_without_an_active_tracker_only_names_the_user(shop: Cds) -> None:
    visitor = await shop.create(traits={"plan": "trial"})
    unknown = {"anonymous_profile_tracker": "no-tracker"}
    assert (await link(shop, visitor["profile_id"], "ann", body=unknown)).status_code == 200
    assert "traits" not in await me(shop, "ann")
    assert (await shop("GET", f"/profiles/{visitor['profile_id']}")).json()["user_id"] == "ann"


async def test_a_link_with_the_tracker_after_one_without_it_owns_the_browser(shop: Cds) -> None:
    visitor = await shop.create(traits={"plan": "trial"})
    assert (await link(shop, visitor["profile_id"], "ann")).status_code == 200
    assert "traits" not in await me(shop, "ann")
    assert (await link(shop, visitor["profile_id"], "ann", headers=cookie(visitor))).status_code == 200
    assert (await me(shop, "ann"))["traits"] == {"plan": "trial"}


async def test_a_link_that_names_somebody_elses_profile_owns_only_the_own_browser(shop: Cds) -> None:
    vera = await shop.create(traits={"plan": "gold"})
    eve = await shop.create(traits={"mail": "eve@acme.example"})
    assert (await link(shop, vera["profile_id"], "eve", headers=cookie(eve))).status_code == 200
    assert (await me(shop, "eve"))["traits"] == {"mail": "eve@acme.example"}
    assert "user_id" not in await by_tracker(shop, vera)
    assert (await by_tracker(shop, eve))["user_id"] == "eve"


async def test_a_link_is_judged_by_the_fragment_and_not_by_what_is_believed(shop: Cds) -> None:
    """A page named Vera's address, so that the business believes the browser to be hers."""
    vera = await shop.create(user_id="vera", traits={"mail": "vera@acme.example", "plan": "gold"})
    visitor = await shop.create()
    user = {
        "anonymousProfileTracker": visitor["anonymous_profile_tracker"],
        "attributes": {"mail": "vera@acme.example"},
    }
    event = {"interaction": {"name": "Visit"}, "user": user}
    assert (await shop.http.post("/t/acme/api2/event/default", json=event)).status_code == 200
    path = f"/profiles/{visitor['profile_id']}"
    assert (await shop("GET", path, params={"view": "all"})).json()["user_id"] == "vera"
    assert (await link(shop, visitor["profile_id"], "ann", headers=cookie(visitor))).status_code == 200
    assert (await me(shop, "ann"))["profile_id"] == visitor["profile_id"]
    assert (await me(shop, "vera"))["profile_id"] == vera["profile_id"]
    refused = await link(shop, visitor["profile_id"], "vera")
    assert (refused.status_code, refused.json()["code"]) == (409, "CDS-11017")


async def test_a_link_for_a_placeholder_is_rejected(shop: Cds) -> None:
    visitor = await shop.create()
    answer = await link(shop, visitor["profile_id"], "guest", headers=cookie(visitor))
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011")
