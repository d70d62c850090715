"""Rules and identity types that prove whose a record is (`proves_identity`; docs/concepts/trust.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from oneself.service.log.verify import verify
from support.caller import Cds

ADMIN = "/t/acme/api/v1"
RECORD = {"card": "L-1", "plan": "gold"}


class Shop:
    """An organisation whose loyalty card is an identity, by a rule or by an identity type."""

    def __init__(self, cds: Cds) -> None:
        self.cds = cds
        self._change = ""

    async def mark(self, by: str, *, proves: bool = True) -> None:
        """Make the card an identity."""
        if by == "rule":
            rule = {"rule_name": "card", "property_name": "traits.card", "priority": 1, "is_active": True}
            created = await self.cds("POST", "/unification-rules", json={**rule, "proves_identity": proves})
            assert created.status_code == 201, created.text
            assert created.json().get("proves_identity", False) is proves
            self._change = f"/t/acme/cds/api/v1/unification-rules/{created.json()['rule_id']}"
            return
        await self._admin("POST", "/identity-types", {"id": "card", "proves_identity": proves})
        binding = [{"name": "card", "identity_type": "card", "attribute": "traits.card"}]
        await self._admin("PUT", "/datasets/default/identity-attributes", binding)
        self._change = f"{ADMIN}/identity-types/card"

    async def change(self, *, proves: bool) -> None:
        """Change what the card proves, and apply it to what is stored."""
        headers = {"Authorization": f"Bearer {await self.cds.token()}"}
        answer = await self.cds.http.patch(self._change, json={"proves_identity": proves}, headers=headers)
        assert answer.status_code == 200, answer.text
        while await self.cds.services.rules.reindexer.step():
            pass

    async def record(self) -> str:
        """A record of the till, which is no browser's."""
        answer = await self.cds("POST", "/profiles", json={"traits": RECORD}, params={"tracker": "false"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["profile_id"])

    async def customer(self) -> str:
        """Ann, a user of whom nobody has said a card."""
        return str((await self.cds.create(user_id="ann"))["profile_id"])

    async def say(self, profile_id: str) -> None:
        """The shop says the card of a user."""
        body = {"traits": {"card": RECORD["card"]}}
        assert (await self.cds("PATCH", f"/profiles/{profile_id}", json=body)).status_code == 200

    async def plan(self, profile_id: str, view: str = "own") -> str | None:
        """The plan that a view of a profile shows."""
        answer = await self.cds("GET", f"/profiles/{profile_id}", params={"view": view})
        found: str | None = answer.json().get("traits", {}).get("plan")
        return found

    async def _admin(self, method: str, path: str, body: Any) -> None:
        headers = {"Authorization": f"Bearer {await self.cds.token()}"}
        answer = await self.cds.http.request(method, ADMIN + path, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text


@pytest_asyncio.fixture
async def shop(cds: Cds) -> AsyncIterator[Shop]:
    await cds.define("traits", {"attribute_name": "traits.card"}, {"attribute_name": "traits.plan"})
    yield Shop(cds)
    report = await verify(cds.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


@pytest.mark.parametrize("by", ["rule", "type"])
@pytest.mark.parametrize("order", ["record first", "user first"])
async def test_a_user_owns_the_records_that_a_marked_identity_names(shop: Shop, by: str, order: str) -> None:
    await shop.mark(by)
    ann = await shop.customer()
    if order == "record first":
        await shop.record()
        assert await shop.plan(ann) is None
        await shop.say(ann)
    else:
        await shop.say(ann)
        await shop.record()
    assert await shop.plan(ann) == "gold"


@pytest.mark.parametrize("by", ["rule", "type"])
async def test_it_is_off_by_default_and_can_be_turned_on_later(shop: Shop, by: str) -> None:
    await shop.mark(by, proves=False)
    ann = await shop.customer()
    await shop.record()
    await shop.say(ann)
    assert await shop.plan(ann, "proven") == "gold"
    assert await shop.plan(ann) is None
    await shop.change(proves=True)
    assert await shop.plan(ann) == "gold"


@pytest.mark.parametrize("by", ["rule", "type"])
async def test_what_was_owned_stays_owned(shop: Shop, by: str) -> None:
    """The first proof decides and lasts."""
    await shop.mark(by)
    ann = await shop.customer()
    await shop.record()
    await shop.say(ann)
    await shop.change(proves=False)
    assert await shop.plan(ann) == "gold"


async def test_who_types_the_card_of_somebody_proves_nothing(shop: Shop) -> None:
    await shop.mark("rule")
    ann = await shop.customer()
    await shop.record()
    typed, token = {"traits": {"card": RECORD["card"]}}, await shop.cds.token(subject="ann")
    assert (await shop.cds("PATCH", "/profiles/Me", json=typed, token=token)).status_code == 200
    assert await shop.plan(ann) is None


async def test_a_browser_that_names_the_card_is_nobodys(shop: Shop) -> None:
    """What began with a tracker is not owned by an identifier: a browser may bring it."""
    await shop.mark("rule")
    ann = await shop.customer()
    visitor = await shop.cds.create(traits=RECORD)
    await shop.say(ann)
    assert await shop.plan(ann) is None
    assert await shop.plan(ann, "proven") == "gold"
    assert (
        "user_id"
        not in (await shop.cds("GET", f"/profiles/{visitor['profile_id']}", params={"view": "own"})).json()
    )
