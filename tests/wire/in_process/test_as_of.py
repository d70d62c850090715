"""`?at=`: a profile, its identifiers, its events and its explanation as they were at an instant.

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from oneself.api.http.timestamps import instant_of, rfc3339
from support.application import ORG
from support.view_stage import Stage

ANN = """
    post A TA
    registers ann TA
    patch A plan=gold
    page TA a1 mail=ann@
    server mail=ann@ mood=happy
"""
ROUTES = ("", "/identifiers", "/events", "/explain")


class Past:
    """Reads profiles of a stage as they were."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def now(self) -> str:
        """An instant after everything that was recorded, and before everything that will be."""
        seq = await self.stage.services.database.fetchval("SELECT max(seq) FROM log")
        return rfc3339(seq)

    async def get(
        self, name: str, path: str = "", *, permissions: tuple[str, ...] = (), **params: str
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await self.stage.cds.token(*permissions)}"}
        known = {key: self._id(value) if key == "with" else value for key, value in params.items()}
        path = f"/t/{ORG}/api/v1/datasets/default/profiles/{self._id(name)}{path}"
        return await self.stage.cds.http.get(path, headers=headers, params=known)

    async def read(self, name: str, path: str = "", **params: Any) -> dict[str, Any]:
        answer = await self.get(name, path, **params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def everything(self, name: str, **params: str) -> str:
        """What all routes say of a profile, as text."""
        return "\n".join([str(await self.read(name, path, **params)) for path in ROUTES])

    async def split(self, name: str, *others: str, **asked: Any) -> None:
        body = asked or {"fragments": [self._id(other) for other in others]}
        path = f"/datasets/default/profiles/{self._id(name)}/split"
        await self.stage.admin("POST", path, json=body, params={"view": "proven"})

    async def merge(self, name: str, other: str) -> None:
        path = f"/datasets/default/profiles/{self._id(name)}/merge"
        await self.stage.admin(
            "POST", path, json={"with": self._id(other), "reason": "looked alike"}, params={"view": "proven"}
        )

    def _id(self, name: str) -> str:
        try:
            return self.stage.profile_id(name)
        except KeyError:
            return name


@pytest.fixture
def past(stage: Stage) -> Past:
    return Past(stage)


@pytest.mark.parametrize("view", ["own", "proven", "all"])
async def test_every_route_answers_as_it_did(stage: Stage, past: Past, view: str) -> None:
    await stage.play(ANN)
    before = {path: await past.read("A", path, view=view) for path in ROUTES}
    at = await past.now()
    await stage.play("""
        patch A plan=silver mood=sad
        post B TB card=c1
        signs-in ann TB
        page TA a2 mood=calm
        server mail=ann@ card=c1
    """)
    for path in ROUTES:
        assert await past.read("A", path, view=view) != before[path]
        then = await past.read("A", path, view=view, at=at)
        assert then.pop("as_of") == {"at": at}
        assert then == before[path], path


async def test_an_answer_about_the_past_has_no_version(stage: Stage, past: Past) -> None:
    await stage.play(ANN)
    assert "etag" in (await past.get("A")).headers
    assert "etag" not in (await past.get("A", at=await past.now())).headers


async def test_an_id_means_what_it_meant(stage: Stage, past: Past) -> None:
    """The address was Ann's, who gave it up, and is Ben's today."""
    await stage.play("""
        post A TA
        registers ann TA
        verifies ann
        claims ann mail!=shared@
        post B TB
        registers ben TB
        verifies ben
    """)
    at = await past.now()
    await stage.play("""
        claims ann mail!=new@
        claims ben mail!=shared@
    """)
    named = "emailAddress:shared@acme.example"
    assert (await past.read(named))["user_id"] == stage.user_id("ben")
    then = await past.read(named, at=at)
    assert then["user_id"] == stage.user_id("ann")
    assert (await past.read(named, "/identifiers", at=at))["as_of"] == {"at": at}


async def test_yesterdays_wrong_merge_shows_nobody_what_is_not_theirs(stage: Stage, past: Past) -> None:
    await stage.play("""
        post A card=one-card plan=gold
        post B number=seventh mood=secret
        server number=seventh interests=chess
    """)
    await past.merge("A", "B")
    at = await past.now()
    assert "secret" in await past.everything("A", at=at)
    members = await past.read("A", "/explain")
    parts = {side["part"]["id"] for join in members["joins"] for side in join["sides"]}
    await past.split("A", *(parts - {stage.profile_id("A")}))
    for view in ("proven", "all"):
        seen = await past.everything("A", at=at, view=view)
        assert "gold" in seen
        for word in ("secret", "seventh", "chess", stage.profile_id("B")):
            assert word not in seen, (view, word)
        other = await past.everything("B", at=at, view=view)
        assert "secret" in other
        assert "gold" not in other
        assert "one-card" not in other
    assert (await past.read("A", at=at, view="proven"))["as_of"] == {"at": at, "left_out": True}
    assert (await past.read("B", "/events", at=at, view="proven"))["as_of"]["left_out"] is True


async def test_who_asks_for_both_sees_how_they_were_one(stage: Stage, past: Past) -> None:
    """Explain shows why two profiles of today were one, and nothing of a third."""
    await stage.play("""
        post A card=c1
        post B number=n7
        post C mood=secret phone=1
    """)
    await past.merge("A", "B")
    await past.merge("B", "C")
    at = await past.now()
    await past.split("A", all=True)
    now = await past.read("A", "/explain", **{"with": "B"})
    assert now["one_profile"] is False
    then = await past.read("A", "/explain", at=at, **{"with": "B"})
    assert then["one_profile"] is True
    assert [join["reason"] for join in then["path"]] == ["manual"]
    assert then["as_of"] == {"at": at, "left_out": True}
    assert stage.profile_id("C") not in str(then)


async def test_a_record_of_another_owner_today_is_left_out(stage: Stage, past: Past) -> None:
    """A server's record was Ann's by a card, until Ben proved that its address is his."""
    await stage.play("""
        post S card=c1 mail=ben@ mood=secret
        post A card=c1 plan=gold
    """)
    at = await past.now()
    assert "secret" in await past.everything("A", at=at)
    await stage.play("""
        post X TX
        registers ben TX
        verifies ben
        post Y TY
        registers ann TY
        link ann A
    """)
    today = await past.read("A")
    assert "secret" not in str(today)
    then = await past.everything("A", at=at)
    assert "secret" not in then
    assert "ben@" not in then
    assert "gold" in then


async def test_an_erased_person_is_nowhere(stage: Stage, past: Past) -> None:
    await stage.play(ANN)
    await stage.play("""
        verifies ann
        post B card=c9 mood=calm
    """)
    at = await past.now()
    await stage.play("delete A all")
    for name in (
        "A",
        "emailAddress:ann@acme.example",
        stage.user_id("ann"),
        f"user_id:{stage.user_id('ann')}",
    ):
        for path in ROUTES:
            answer = await past.get(name, path, at=at, view="all")
            assert answer.status_code == 404, (name, path, answer.text)
    assert "calm" in await past.everything("B", at=at)


async def test_what_an_erased_part_held_together_stays_together(stage: Stage, past: Past) -> None:
    await stage.play("""
        post A card=c1 plan=gold
        post H card=c1 number=n1 mood=secret
        post C number=n1 interests=chess
    """)
    before = await past.read("A")
    assert before["traits"]["interests"] == ["chess"]
    at = await past.now()
    await stage.play("delete H own")
    then = await past.read("A", at=at)
    assert then["traits"] == {"card": "c1", "plan": "gold", "number": "n1", "interests": ["chess"]}
    assert "secret" not in await past.everything("A", at=at)


async def test_an_attribute_that_nobody_may_read_today_is_hidden(stage: Stage, past: Past) -> None:
    await stage.play(ANN)
    await stage.play("""
        page TA a1 plan=silver
        patch A mood=glad
    """)
    at = await past.now()
    seen = await past.everything("A", at=at)
    assert "silver" in seen
    assert "glad" in seen
    found = (await stage.cds("GET", "/profile-schema/traits")).json()
    ids = {item["attribute_name"]: item["attribute_id"] for item in found}
    plan = {"attribute_name": "traits.plan", "value_type": "string", "merge_strategy": "overwrite"}
    path = f"/profile-schema/traits/{ids['traits.plan']}"
    changed = await stage.cds("PUT", path, json={**plan, "mutability": "writeOnly"})
    assert changed.is_success, changed.text
    deleted = await stage.cds("DELETE", f"/profile-schema/traits/{ids['traits.mood']}")
    assert deleted.is_success, deleted.text
    seen = await past.everything("A", at=at)
    for word in ("gold", "silver", "glad"):
        assert word not in seen, word


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "at", ["yesterday", "", "2026-13-01T00:00:00Z", "2026-01-01", "2999-01-01T00:00:00Z", "9" * 15, "-1"]
)
async def test_an_instant_that_is_none_is_rejected(stage: Stage, past: Past, path: str, at: str) -> None:
    await stage.play("post A card=c1")
    answer = await past.get("A", path, at=at)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "CDS-10001"
    assert "at" in answer.json()["description"]


async def test_before_a_profile_began_it_is_unknown(stage: Stage, past: Past) -> None:
    await stage.play("post A card=c1")
    at = await past.now()
    await stage.play("post B card=c2")
    began = (await past.read("B"))["meta"]["created_at"]
    for path in ROUTES:
        answer = await past.get("B", path, at=at)
        assert answer.status_code == 404
        assert answer.json()["code"] == "CDS-11001"
        assert answer.json()["description"] == f"There was no such profile at {at}: it began at {began}."
    unknown = await past.get("card:c3", at=at)
    assert unknown.json()["description"] == f"No profile had this id at {at}."
    assert (await past.get("B", at="0")).status_code == 404


async def test_milliseconds_name_an_instant(stage: Stage, past: Past) -> None:
    await stage.play("post A card=c1")
    seq = instant_of(await past.now())
    assert seq is not None
    assert (await past.get("A", at=str(seq // 1000 - 1))).status_code == 404
    then = await past.read("A", at=str(seq // 1000 + 1))
    assert then["as_of"]["at"] == rfc3339((seq // 1000 + 1) * 1000)


async def test_a_cursor_carries_the_instant(stage: Stage, past: Past) -> None:
    await stage.play(ANN)
    await stage.play("""
        verifies ann
        server mail=ann@ card=c1
        server card=c1
        page TA a1
        page TA a1
    """)
    at = await past.now()
    for _ in range(3):
        await stage.play("page TA a1")
    for path, key in (("/events", "events"), ("/identifiers", "identifiers"), ("/explain", "joins")):
        whole = (await past.read("A", path, at=at))[key]
        page = await past.read("A", path, at=at, page_size="1")
        found, cursors = page[key], []
        while cursor := page["pagination"].get("next_cursor"):
            cursors.append(cursor)
            page = await past.read("A", path, cursor=cursor, page_size="1")
            assert page["as_of"]["at"] == at
            found += page[key]
        assert found == whole, path
        for changed in ({"at": "1"}, {"at": await past.now()}):
            answer = await past.get("A", path, cursor=cursors[0], **changed)
            assert answer.status_code == 400, answer.text
        live = await past.read("A", path, page_size="1")
        cursor = live["pagination"]["next_cursor"]
        assert (await past.get("A", path, cursor=cursor, at=at)).status_code == 400


async def test_the_view_takes_its_permission_then_as_now(stage: Stage, past: Past) -> None:
    await stage.play("""
        post A card=c1
        page TP p1 card=c1 mood=typed
    """)
    at = await past.now()
    denied = await past.get("A", view="all", at=at, permissions=("profile_view",))
    assert denied.status_code == 403
    assert "typed" in str(await past.read("A", view="all", at=at))
    assert "typed" not in str(await past.read("A", at=at, permissions=("profile_view",)))
    assert (await past.get("A", at=at, permissions=("profile_update",))).status_code == 403


async def test_a_person_has_no_past(stage: Stage, past: Past) -> None:
    """`at` is a parameter of the admin wire: Me is what it is today, and a person's token opens no other."""
    await stage.play(ANN)
    at = await past.now()
    await stage.play("patch A plan=silver")
    for path in ("/profiles/Me", f"/profiles/{stage.profile_id('A')}"):
        refused = await stage.cds("GET", path, params={"at": at}, token=stage.token("ann"))
        assert (refused.status_code, refused.json()["code"]) == (400, "CDS-10001")
        me = await stage.cds("GET", path, token=stage.token("ann"))
        assert me.json()["traits"]["plan"] == "silver"
        assert "as_of" not in me.json()
    path = f"/t/{ORG}/api/v1/datasets/default/profiles/{stage.profile_id('A')}"
    headers = {"Authorization": f"Bearer {stage.token('ann')}"}
    answer = await stage.cds.http.get(path, headers=headers, params={"at": at})
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["profiles/{}/history", "profiles/{}/export", "refusals", "datasets"])
async def test_a_route_that_reads_nothing_of_the_past_rejects_the_instant(stage: Stage, path: str) -> None:
    await stage.play("post A TA")
    past = Past(stage)
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    path = path.replace("{}", str(past._id("A")))
    if path.endswith("history"):
        path = f"datasets/default/{path}"
    found = await stage.cds.http.get(
        f"/t/{ORG}/api/v1/{path}", headers=headers, params={"at": await past.now()}
    )
    assert (found.status_code, found.json()["code"]) == (400, "CDS-10001")
    assert found.json()["description"].startswith("This operation takes no query parameter 'at'. It takes ")


async def test_a_misspelt_parameter_is_rejected_before_anything_is_done(stage: Stage) -> None:
    await stage.play("post A TA")
    past = Past(stage)
    headers = {"Authorization": f"Bearer {await stage.cds.token()}"}
    path = f"/t/{ORG}/api/v1/profiles/{past._id('A')}/erase"
    found = await stage.cds.http.post(path, headers=headers, params={"dryrun": "true"})
    assert found.status_code == 400
    assert "'dryrun'. It takes dry_run, view." in found.json()["description"]
    assert (await past.get("A")).status_code == 200


@pytest.mark.parametrize("path", ["/profiles", "/profiles/{}", "/profiles/{}/consents", "/profile-schema"])
async def test_the_customer_data_service_answers_of_now_and_says_so(stage: Stage, path: str) -> None:
    await stage.play("post A TA")
    path = path.replace("{}", str(Past(stage)._id("A")))
    found = await stage.cds("GET", path, params={"at": "2026-06-05T09:30:00Z"})
    assert (found.status_code, found.json()["code"]) == (400, "CDS-10001")
    assert found.json()["description"].startswith("at: this operation answers of now.")
    assert (await stage.cds("GET", path, params={"other": "1"})).status_code == 200
