"""The views of a profile on the routes for administrators and on the vendor's look-ups.

Vera's record V is known from servers; Mal's page named her address. What is proven shows him nothing of her,
and her nothing of him. `support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.directory.applications import NewApplication
from support.application import ORG, SECRET, SYSTEM
from support.view_stage import Stage

PROFILES = "/datasets/default/profiles"
SENDER = "a secret of the sender"
#: Vera's record, her browser and her account; and Mal's browser, whose page names her address.
ATTACKED = """
    server mail=vera@ plan=secret
    find V mail=vera@
    post W TV
    registers vera TV
    verifies vera
    post P TM
    page TM am mail=vera@ mood=his
"""


class Reader:
    """An application that reads on the routes for administrators."""

    def __init__(self, stage: Stage, *permissions: str) -> None:
        self._stage, self._permissions = stage, permissions

    async def __call__(self, method: str, path: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self._stage.cds.token(*self._permissions)}"}
        url = f"/t/{ORG}/api/v1{path}"
        return await self._stage.cds.http.request(method, url, headers=headers, **request)

    async def person(self, named: str, **params: str) -> dict[str, Any]:
        answer = await self("GET", f"{PROFILES}/{named}", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def listed(self, named: str, what: str, **params: str) -> list[dict[str, Any]]:
        """The items of `events`, `identifiers` or `history` of a person."""
        answer = await self("GET", f"{PROFILES}/{named}/{what}", params=params)
        assert answer.status_code == 200, answer.text
        return list(answer.json()[what])


@pytest.fixture
def reader(stage: Stage) -> Reader:
    """An application that may read the view `all`."""
    return Reader(stage)


@pytest.fixture
def plain(stage: Stage) -> Reader:
    """An application that may not."""
    return Reader(stage, "profile_view")


async def test_by_default_a_person_is_looked_up_as_proven(stage: Stage, plain: Reader) -> None:
    await stage.play(ATTACKED)
    vera, mal = stage.profile_id("W"), stage.profile_id("P")
    hers, his = await plain.person(vera), await plain.person(mal)
    assert hers["traits"] == {"plan": "secret"}
    assert {item["profile_id"] for item in hers["merged_from"]} == {stage.profile_id("V")}
    assert his["traits"] == {"mood": "his"}
    assert not {"merged_to", "merged_from", "identity_attributes", "user_id"} & his.keys()
    believed = await Reader(stage).person(mal, view="all")
    assert believed["traits"]["plan"] == "secret"


async def test_an_absorbed_profile_answers_with_its_own_id(stage: Stage, plain: Reader) -> None:
    await stage.play(ATTACKED)
    part = await plain.person(stage.profile_id("V"))
    assert part["profile_id"] == stage.profile_id("V")
    assert part["merged_to"]["profile_id"] == stage.profile_id("W")
    own = await plain.person(stage.profile_id("V"), view="own")
    assert own["user_id"] == stage.user_id("vera")


@pytest.mark.parametrize("view", [None, "own", "proven"])
@pytest.mark.parametrize("what", ["", "/events", "/identifiers", "/history"])
async def test_nothing_of_the_other_is_in_what_is_proven(
    stage: Stage, reader: Reader, what: str, view: str | None
) -> None:
    await stage.play(ATTACKED)
    params = {} if view is None else {"view": view}
    vera, mal = stage.profile_id("W"), stage.profile_id("P")
    of_vera = (vera, stage.profile_id("V"), stage.user_id("vera"), "vera@acme.example", "secret")
    his = await reader("GET", f"{PROFILES}/{mal}{what}", params=params)
    hers = await reader("GET", f"{PROFILES}/{vera}{what}", params=params)
    assert his.status_code == hers.status_code == 200
    shown = his.text if what != "/events" else his.text.replace('"emailAddress":"vera@acme.example"', "")
    assert not [word for word in of_vera if word in shown]
    assert mal not in hers.text
    assert "his" not in hers.text.replace("history", "")


@pytest.mark.parametrize("what", ["", "/events", "/identifiers", "/history"])
async def test_the_view_all_takes_its_permission(
    stage: Stage, reader: Reader, plain: Reader, what: str
) -> None:
    await stage.play(ATTACKED)
    path = f"{PROFILES}/{stage.profile_id('P')}{what}"
    refused = await plain("GET", path, params={"view": "all"})
    assert (refused.status_code, "internal_cds_profile_view_all" in refused.text) == (403, True)
    assert (await reader("GET", path, params={"view": "all"})).status_code == 200
    assert (await reader("GET", path, params={"view": "everything"})).status_code == 400


async def test_a_dataset_that_defaults_to_all_is_narrowed_without_the_permission(
    stage: Stage, reader: Reader, plain: Reader
) -> None:
    await stage.admin("PATCH", "/datasets/default", json={"default_view": "all"})
    await stage.play(ATTACKED)
    mal = stage.profile_id("P")
    assert (await reader.person(mal))["traits"]["plan"] == "secret"
    assert "plan" not in (await plain.person(mal))["traits"]


async def test_the_events_of_a_view_are_those_of_its_fragments(stage: Stage, reader: Reader) -> None:
    await stage.play(ATTACKED + "server mail=vera@ plan=later\npage TV av\npage TM am")
    vera, mal = stage.profile_id("W"), stage.profile_id("P")
    assert len(await reader.listed(vera, "events")) == 3
    assert len(await reader.listed(vera, "events", view="own")) == 3
    assert len(await reader.listed(mal, "events")) == 2
    assert len(await reader.listed(vera, "events", view="all")) == 5


async def test_events_of_a_view_are_paged(stage: Stage, reader: Reader) -> None:
    await stage.play("post W TV" + "\npage TV" * 5)
    path, seen, cursor = f"{PROFILES}/{stage.profile_id('W')}/events", [], ""
    for _ in range(10):
        params = {"page_size": "2", **({"cursor": cursor} if cursor else {})}
        page = (await reader("GET", path, params=params)).json()
        seen += [event["event_id"] for event in page["events"]]
        cursor = page["pagination"].get("next_cursor", "")
        if not cursor:
            break
    assert len(seen) == len(set(seen)) == 5


async def test_identifiers_are_what_servers_said(stage: Stage, reader: Reader) -> None:
    await stage.play(ATTACKED + "page TV av card=page-card\nserver mail=vera@ card=real-card")
    found = await reader.listed(stage.profile_id("W"), "identifiers")
    values = {item["namespace"]: item["value"] for item in found}
    assert values["user_id"] == stage.user_id("vera")
    assert values["emailAddress"] == "vera@acme.example"
    assert values["card"] == "real-card"
    assert "page-card" not in str(found)
    assert [item["since"] for item in found] == sorted(item["since"] for item in found)


async def test_the_history_names_the_merges_and_verifications_of_the_view(
    stage: Stage, reader: Reader
) -> None:
    await stage.play(ATTACKED)
    steps = await reader.listed(stage.profile_id("W"), "history")
    merges = [step for step in steps if step["kind"] == "merge"]
    assert [step["absorbed_id"] for step in merges] == [stage.profile_id("V")]
    assert [step["claim"] for step in steps if step["kind"] == "verification"] == ["emailaddress"]
    his = await reader.listed(stage.profile_id("P"), "history")
    assert {step["kind"] for step in his} <= {"creation", "value"}
    assert "vera" not in str(his)


async def test_names_of_a_profile_are_those_of_the_view(stage: Stage, reader: Reader) -> None:
    """Mal's page asserted an identity: the business knows him, nobody has proved who he is."""
    await stage.play("page TM am mail=vera@\npage TN an")
    proven = await reader("GET", f"{PROFILES}/anonymous_id:{stage.anonymous_id('am')}")
    assert proven.status_code == 200, proven.text
    document = proven.json()
    believed = await reader.person(document["profile_id"], view="all")
    assert len(document["primary_id"]) == 16
    assert believed["primary_id"] == document["profile_id"].replace("-", "")[:24]
    for name in (document["primary_id"], believed["primary_id"], document["profile_id"]):
        assert (await reader.person(name))["profile_id"] == document["profile_id"]
    assert document["aliases"] == []
    anonymous = stage.anonymous_id("an")
    assert (await reader.person(anonymous))["primary_id"] == anonymous


async def test_a_known_profile_keeps_its_anonymous_id_as_an_alias(stage: Stage, reader: Reader) -> None:
    await stage.play("page a1")
    anonymous = stage.anonymous_id("a1")
    assert (await reader.person(anonymous))["primary_id"] == anonymous
    await stage.play("server a1 mail=ann@")
    known = await reader.person("emailAddress:ann@acme.example")
    assert (len(known["primary_id"]), known["aliases"]) == (24, [anonymous])
    assert (await reader.person(anonymous))["profile_id"] == known["profile_id"]
    listed = await reader.listed(known["profile_id"], "history")
    (promotion,) = [step for step in listed if step["kind"] == "promotion"]
    assert (promotion["kind"], promotion["alias"]) == ("promotion", anonymous)


async def test_an_identifier_finds_whom_a_server_said_it_of(stage: Stage, reader: Reader) -> None:
    await stage.play(ATTACKED + "page TM am card=typed")
    vera = stage.profile_id("W")
    for named in ("emailAddress:vera@acme.example", f"user_id:{stage.user_id('vera')}"):
        assert (await reader.person(named))["profile_id"] == vera
    assert (await reader("GET", f"{PROFILES}/card:typed")).status_code == 404
    assert (await reader("GET", f"{PROFILES}/card:typed", params={"view": "all"})).status_code == 200
    assert (await reader("GET", f"{PROFILES}/user_id:nobody")).status_code == 404


async def test_only_what_is_proven_resolves(stage: Stage, reader: Reader, plain: Reader) -> None:
    await stage.play(ATTACKED + "page TM am card=typed")
    path = "/datasets/default/resolve"
    address = {"identities": {"emailAddress": "vera@acme.example"}}
    typed = {"identities": {"card": "typed"}}
    found = (await plain("POST", path, json=address)).json()
    assert (found["profile_id"], found["matched"]) == (stage.profile_id("W"), [found["primary_id"]])
    assert (await plain("POST", path, json=typed)).status_code == 404
    assert (await plain("POST", path, json=typed, params={"view": "all"})).status_code == 403
    assert (await reader("POST", path, json=typed, params={"view": "all"})).status_code == 200


async def test_what_begins_together_has_primary_ids_of_its_own(stage: Stage, reader: Reader) -> None:
    """One event begins a server's record and the browser's, which later words may make another person's."""
    await stage.play("server a1 number=1 card=secret\nserver a1 number=2")
    victim, other = [await reader.person(f"customerId:{number}") for number in (1, 2)]
    assert victim["primary_id"] != other["primary_id"]
    for known in (victim, other):
        assert (await reader.person(known["primary_id"]))["profile_id"] == known["profile_id"]


async def test_devices_of_a_view_are_its_browsers(stage: Stage, reader: Reader) -> None:
    await stage.play(ATTACKED)
    assert len((await reader.person(stage.profile_id("W")))["devices"]) == 1
    assert len((await reader.person(stage.profile_id("W"), view="all"))["devices"]) > 1


@pytest.mark.parametrize("path", ["/user/{id}", "/users.json", "/users.csv"])
async def test_reading_beliefs_about_people_on_the_event_wire_takes_the_permission(
    stage: Stage, path: str
) -> None:
    await stage.play(ATTACKED)
    granted = tuple(name for name in PERMISSIONS if not name.endswith("profile_view_all"))
    new = NewApplication("Sender", permissions=granted, client_id="sender", client_secret=SENDER)
    await stage.services.directory.applications.create(stage.cds.dataset_ref, new)
    url = f"/t/{ORG}/api/dataset/default{path.format(id=stage.profile_id('P'))}"
    refused = await stage.cds.http.get(url, auth=("sender", SENDER))
    assert (refused.status_code, "internal_cds_profile_view_all" in refused.text) == (403, True)
    allowed = await stage.cds.http.get(url, auth=(SYSTEM, SECRET))
    assert allowed.status_code == 200


async def test_the_events_of_a_dataset_name_profiles_as_the_view_does(
    stage: Stage, reader: Reader, plain: Reader
) -> None:
    await stage.play(ATTACKED)

    async def newest(caller: Reader, **params: str) -> dict[str, Any]:
        answer = await caller("GET", "/datasets/default/events", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["events"][0])

    his = await newest(plain)
    named = stage.profile_id("P").replace("-", "")[:16]
    assert (his["primary_id"], "decision" in his) == (named, False)
    believed = await newest(reader, view="all")
    assert believed["primary_id"] != his["primary_id"]
    assert "decision" in believed
    refused = await plain("GET", "/datasets/default/events", params={"view": "all"})
    assert refused.status_code == 403
