"""An export has what the fragments of its view have (docs/concepts/trust.md, "Views").

Vera's record V is known from servers; Mal's page named her address. Neither export has anything of the other.
`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from support.application import ORG
from support.view_stage import Stage

ATTACKED = """
    server mail=vera@ plan=secret
    find V mail=vera@
    post W TV
    registers vera TV
    verifies vera
    page TV av mood=hers
    post P TM
    page TM am mail=vera@ mood=his
    page TM am card=typed
    registers mal TM
"""
LISTS = ("absorbed_profiles", "consents", "identifiers", "merges", "observations", "refusals")


async def ask(stage: Stage, name: str, *permissions: str, **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    url = f"/t/{ORG}/api/v1/profiles/{stage.profile_id(name)}/export"
    return await stage.cds.http.get(url, headers=headers, params=params)


async def export(stage: Stage, name: str, **params: str) -> dict[str, Any]:
    answer = await ask(stage, name, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("view", [None, "own", "proven"])
async def test_an_export_has_nothing_that_is_only_believed(stage: Stage, view: str | None) -> None:
    await stage.play(ATTACKED)
    params = {} if view is None else {"view": view}
    his, hers = [json.dumps(await export(stage, name, **params)) for name in ("P", "W")]
    known = (stage.profile_id("W"), stage.profile_id("V"), stage.user_id("vera"), "secret", "hers")
    hexes = [stage.profile_id(name).replace("-", "")[:16] for name in ("W", "V")]
    assert not [word for word in (*known, *hexes) if word in his]
    known = (stage.profile_id("P"), stage.user_id("mal"), '"his"', "typed")
    assert not [word for word in known if word in hers]


async def test_an_export_is_complete_in_its_view(stage: Stage) -> None:
    await stage.play(ATTACKED)
    document = await export(stage, "W", view="own")
    assert (document["view"], document["profile"]["profile_id"]) == ("own", stage.profile_id("W"))
    assert document["profile"]["user_id"] == stage.user_id("vera")
    assert document["values"]["traits"] == {"plan": "secret", "mood": "hers"}
    assert {"identity_attributes.emailaddress", "traits.plan", "traits.mood"} <= set(document["provenance"])
    assert [item["profile_id"] for item in document["absorbed_profiles"]] == [stage.profile_id("V")]
    assert [item["absorbed_id"] for item in document["merges"]] == [stage.profile_id("V")]
    namespaces = {item["namespace"] for item in document["identifiers"]}
    assert {"user_id", "emailAddress", "tracker"} <= namespaces
    kinds = [item["kind"] for item in document["observations"]]
    assert (kinds.count("event"), kinds.count("write"), kinds.count("sign_in")) == (2, 1, 1)
    assert {item["profile_id"] for item in document["observations"]} <= {
        stage.profile_id("W"),
        stage.profile_id("V"),
    }


async def test_asserted_identifiers_are_those_of_the_own_browsers(stage: Stage) -> None:
    await stage.play(ATTACKED)
    document = await export(stage, "P", view="own")
    trusted = {(item["namespace"], item["value"]): item["trust"] for item in document["identifiers"]}
    assert trusted["card", "typed"] == "browser"
    assert trusted["emailAddress", "vera@acme.example"] == "browser"
    assert trusted["user_id", stage.user_id("mal")] == "server"


async def test_the_consents_of_a_view_are_exported(stage: Stage) -> None:
    await stage.play(ATTACKED)
    offers = {"category_name": "Offers", "purpose": "personalization"}
    category = (await stage.cds("POST", "/consent-categories", json=offers)).json()["category_identifier"]
    choice = [{"category_identifier": category, "is_consented": True}]
    await stage.cds("PUT", f"/profiles/{stage.profile_id('W')}/consents", json=choice)
    (exported,) = (await export(stage, "W", view="own"))["consents"]
    assert (exported["category_name"], exported["is_consented"]) == ("Offers", True)
    assert (await export(stage, "P", view="own"))["consents"] == []


async def test_the_view_all_takes_its_permission_and_has_everything(stage: Stage) -> None:
    await stage.play(ATTACKED)
    refused = await ask(stage, "W", "privacy_export", view="all")
    assert (refused.status_code, "internal_cds_profile_view_all" in refused.text) == (403, True)
    assert (await ask(stage, "W", "privacy_export")).json()["view"] == "proven"
    document = await export(stage, "W", view="all")
    assert document["view"] == "all"
    assert set(document) == set(await export(stage, "W", view="own"))
    assert all(name in document for name in LISTS)


async def test_no_tracker_is_in_an_export(stage: Stage) -> None:
    await stage.play(ATTACKED + "page TN an")
    trackers = [stage.tracker(name) for name in ("TV", "TM", "TN")]
    for name in ("W", "P"):
        for view in ("own", "proven", "all"):
            exported = json.dumps(await export(stage, name, view=view))
            assert not [tracker for tracker in trackers if tracker in exported]
            assert "sha256:" in exported
