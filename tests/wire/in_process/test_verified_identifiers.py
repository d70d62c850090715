"""An identifier that a user has verified leads to that user, on every route of the views `own` and `proven`.

The till of a shop says Vera's card together with the address of Mal. `support/view_stage.py` explains how a
story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG
from support.view_stage import Stage

VIEWS = ("own", "proven")
OWN = {"view": "own"}
#: Vera has an account and a card, and her address is verified.
VERA = """
    registers vera
    verifies vera
    name V Me vera
    patch V card=L plan=secret
"""
TILL = "server mail=mal@ card=L interests=his"


async def admin(stage: Stage, method: str, path: str, **request: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    url = f"/t/{ORG}/api/v1{path}"
    return await stage.cds.http.request(method, url, headers=headers, **request)


async def found_by(stage: Stage, address: str, view: str) -> dict[str, set[str]]:
    """Route → the users whom an address leads to in a view."""
    named, params = f"emailAddress:{address}@acme.example", {"view": view}
    looked_up = await admin(stage, "GET", f"/datasets/default/profiles/{named}", params=params)
    exported = await admin(stage, "GET", f"/profiles/{named}/export", params=params)
    shown = await admin(stage, "POST", f"/profiles/{named}/erase", params={**params, "dry_run": "true"})
    identities = {"identities": {"emailAddress": f"{address}@acme.example"}}
    resolved = await admin(stage, "POST", "/datasets/default/resolve", json=identities, params=params)
    path = f"/datasets/default/profiles/{resolved.json()['profile_id']}"
    read = await admin(stage, "GET", path, params=params)
    return {
        "look-up": {str(looked_up.json().get("user_id"))},
        "export": {str(exported.json()["profile"]["user_id"])},
        "erase": set(shown.json()["users"]) or {"None"},
        "resolve": {str(read.json().get("user_id"))},
    }


def only(user: str) -> dict[str, set[str]]:
    return {route: {user} for route in ("look-up", "export", "erase", "resolve")}


@pytest.fixture(params=["marked card", "plain card"])
async def shop(stage: Stage, request: pytest.FixtureRequest) -> Stage:
    """The card proves identity, or does not."""
    proves = request.param == "marked card"
    await stage.admin("PATCH", "/identity-types/card", json={"proves_identity": proves})
    return stage


@pytest.mark.parametrize("order", ["verified first", "till first"])
async def test_a_verified_address_leads_to_its_user_everywhere(shop: Stage, order: str) -> None:
    await shop.play(VERA + "registers mal")
    await shop.play(f"verifies mal\n{TILL}" if order == "verified first" else f"{TILL}\nverifies mal")
    for view in VIEWS:
        assert await found_by(shop, "mal", view) == only(shop.user_id("mal")), view
        assert await found_by(shop, "vera", view) == only(shop.user_id("vera")), view


@pytest.mark.parametrize("order", ["verified first", "till first", "never verified"])
async def test_her_address_does_not_give_way_to_what_the_till_said(shop: Stage, order: str) -> None:
    await shop.play(VERA + "registers mal")
    if order == "verified first":
        await shop.play("verifies mal")
    await shop.play(TILL)
    if order == "till first":
        await shop.play("verifies mal")
    for repeated in ("", TILL, "server mail=mal@ card=L plan=later"):
        await shop.play(repeated)
        for question in ("Me vera", "V"):
            told = (await shop.read(question)).json()
            assert told["identity_attributes"]["emailaddress"] == "vera@acme.example"
        assert await shop.listed("mail", "vera@") == [shop.profile_id("V")]
        assert shop.profile_id("V") not in await shop.listed("mail", "mal@")


@pytest.mark.parametrize("order", ["provider first", "till first"])
async def test_what_the_provider_says_goes_first_whatever_the_order(shop: Stage, order: str) -> None:
    await shop.play("registers vera\nname V Me vera")
    acts = ["patch V card=L", "server mail=till@ card=L"]
    await shop.play("\n".join(acts if order == "provider first" else reversed(acts)))
    assert (await shop.answer("V")).split()[-1] == "mail=vera@"


async def test_an_application_can_still_write_it_by_id(shop: Stage) -> None:
    await shop.play(VERA)
    await shop.play("server mail=till@ card=L")
    await shop.play("patch V mail=new@")
    assert "mail=new@" in (await shop.answer("V")).split()


async def test_an_address_that_was_given_up_leads_to_what_was_said_since(stage: Stage) -> None:
    await stage.play("""
        report ann mail!=shared@
        server mail=shared@ plan=hers
        claims ann mail!=ann@
    """)
    for view in VIEWS:
        assert await found_by(stage, "shared", view) == only("ann"), view
    await stage.play("server mail=shared@ plan=since")
    for view in VIEWS:
        assert await found_by(stage, "shared", view) == only("None"), view
    await stage.play("report ben mail!=shared@")
    for view in VIEWS:
        assert await found_by(stage, "shared", view) == only("ben"), view


async def test_the_own_word_of_a_person_is_shown_and_finds_nobody(stage: Stage) -> None:
    await stage.play("""
        registers mal
        me mal card=L mood=his
        name M Me mal
        Me mal = M mal card=L mail=mal@ mood=his
        M = M mal card=L mail=mal@ mood=his
        list card=L =
        list mood=his = M
        post P TM
        signs-in mal TM
        Me mal = M < P mal card=L mail=mal@ mood=his
        list card=L =
        patch M card=L
        list card=L = M
    """)
    shown = await stage.cds.listed(filter="user_id eq " + stage.user_id("mal"), attributes="traits")
    assert shown["profiles"][0]["traits"]["card"] == "L"


@pytest.mark.parametrize("order", ["browser first", "server first"])
async def test_what_a_server_says_beside_a_browser_leads_to_its_record(stage: Stage, order: str) -> None:
    """In `own`, the record and the browser are two profiles whose claims are equally old. Ids are random."""
    for name in "abcde":
        await stage.play(f"page a-{name} mood=calm" if order == "browser first" else "")
        await stage.play(f"server a-{name} mail={name}@ plan=record")
        identities = {"identities": {"emailAddress": f"{name}@acme.example"}}
        named = f"/datasets/default/profiles/emailAddress:{name}@acme.example"
        answers = [
            await admin(stage, "GET", named, params=OWN),
            await admin(stage, "POST", "/datasets/default/resolve", json=identities, params=OWN),
        ]
        for answer in answers:
            path = f"/datasets/default/profiles/{answer.json()['profile_id']}"
            read = (await admin(stage, "GET", path, params=OWN)).json()
            assert read["traits"] == {"plan": "record"}
