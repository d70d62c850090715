"""Trackers: who owns a browser, and what proves it (docs/concepts/trust.md, docs/wire/cds.md §5.5, §14)."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio

from oneself.api.app import create_app
from oneself.core.identity.identifier import tracker_digest
from oneself.service.context import Actor
from oneself.service.directory.accounts import Account
from oneself.service.directory.applications import NewApplication
from oneself.service.identity_provider.reports import IdentityReport
from oneself.service.log.verify import verify
from support.caller import Cds
from support.view_stage import Stage
from support.visitor import CALLBACK, Application, Visitor, claims_of

EVENTS = "/t/acme/api2/event/default"


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


SCOPE = "openid internal_cds_profile_view internal_cds_profile_update"


class Signed(dict[str, Any]):
    """The answer to a token request."""

    @property
    def tracker(self) -> dict[str, str]:
        return {"anonymous_profile_tracker": self["anonymous_profile_tracker"]}

    @property
    def user_id(self) -> str:
        return str(claims_of(self["access_token"])["sub"])


async def register(cds: Cds, tracker: str | None, **form: str) -> Signed:
    """Register in a new browser, perhaps with a tracker."""
    new = NewApplication("Shop", "browser", (CALLBACK,), (), (), f"spa-{uuid4()}")
    created, _ = await cds.services.directory.applications.create(cds.dataset_ref, new)
    visitor = Visitor(create_app(cds.services, cds.services.settings))
    application = Application(visitor, created.client_id, None)
    page = await application.registration(scope=SCOPE, anonymous_profile_tracker=tracker)
    answer = await application.exchange(await visitor.register("ann@acme.example", page), **form)
    await visitor.http.aclose()
    assert answer.status_code == 200, answer.text
    return Signed(answer.json())


async def fresh(cds: Cds) -> tuple[dict[str, Any], Signed]:
    """A browser on which Ann registered, and the answer with its fresh tracker."""
    visitor = await cds.create(traits={"plan": "trial"})
    tracker = visitor["anonymous_profile_tracker"]
    return visitor, await register(cds, tracker, fresh_tracker="true")


async def is_active(cds: Cds, profile: dict[str, Any]) -> bool:
    """Whether a tracker leads to a profile. If it does not, this begins another browser."""
    return (await cds("POST", "/profiles", json={}, headers=cookie(profile))).status_code == 200


@pytest.mark.parametrize("form", [{}, {"fresh_tracker": "false"}, {"fresh_tracker": ""}])
async def test_a_fresh_tracker_is_given_on_request_only(shop: Cds, form: dict[str, str]) -> None:
    visitor = await shop.create()
    assert "anonymous_profile_tracker" not in await register(
        shop, visitor["anonymous_profile_tracker"], **form
    )


async def test_the_former_tracker_ends_at_the_first_use_of_the_fresh_one(shop: Cds) -> None:
    visitor, ann = await fresh(shop)
    assert ann.tracker["anonymous_profile_tracker"] != visitor["anonymous_profile_tracker"]
    assert await is_active(shop, visitor)
    found = await by_tracker(shop, ann.tracker)
    assert (found["profile_id"], found["user_id"]) == (visitor["profile_id"], ann.user_id)
    assert found["traits"] == {"plan": "trial"}
    assert not await is_active(shop, visitor)
    assert await is_active(shop, ann.tracker)
    assert (await me(shop, ann.user_id))["traits"] == {"plan": "trial"}


@pytest.mark.parametrize("use", ["event", "me", "link", "report"])
async def test_every_use_counts(shop: Cds, use: str) -> None:
    visitor, ann = await fresh(shop)
    tracker = ann.tracker["anonymous_profile_tracker"]
    if use == "event":
        event = {"interaction": {"name": "Visit"}, "user": {"anonymousProfileTracker": tracker}}
        answer = await shop.http.post(EVENTS, json=event)
        assert answer.json()["anonymousProfileTracker"] == tracker
    elif use == "me":
        await me(shop, ann.user_id, cookie(ann.tracker))
    elif use == "link":
        assert (await link(shop, visitor["profile_id"], ann.user_id, body=ann.tracker)).status_code == 200
    else:
        account = Account(uuid4(), "ben", {})
        await shop.services.directory.sign_ins.record_sign_in(shop.dataset_ref, None, account, [tracker])
    assert not await is_active(shop, visitor)


async def test_a_fresh_tracker_leaves_the_browser_to_who_signed_in_on_it_since(shop: Cds) -> None:
    visitor, ann = await fresh(shop)
    former = visitor["anonymous_profile_tracker"]
    ben = Account(uuid4(), "ben", {})
    await shop.services.directory.sign_ins.record_sign_in(shop.dataset_ref, None, ben, [former])
    assert (await by_tracker(shop, ann.tracker))["user_id"] == ann.user_id
    assert (await by_tracker(shop, visitor))["user_id"] == str(ben.user_id)


async def test_a_sign_in_without_a_tracker_can_give_one(shop: Cds) -> None:
    ann = await register(shop, None, fresh_tracker="true")
    assert (await by_tracker(shop, ann.tracker))["user_id"] == ann.user_id


async def test_a_repeated_sign_in_gives_the_same_fresh_tracker(shop: Cds) -> None:
    grant_id, account = uuid4(), Account(uuid4(), "ann", {})
    given = [
        await shop.services.directory.sign_ins.record_sign_in(
            shop.dataset_ref, None, account, grant_id=grant_id, gives_fresh_tracker=True
        )
        for _ in range(2)
    ]
    assert given[0] is not None
    assert given[0] == given[1]


@pytest.mark.parametrize("is_used", [True, False])
async def test_an_erasure_leaves_no_fresh_tracker(shop: Cds, is_used: bool) -> None:
    visitor, ann = await fresh(shop)
    if is_used:
        await by_tracker(shop, ann.tracker)
    token = await shop.token(subject=ann.user_id)
    assert (await shop("DELETE", f"/profiles/{visitor['profile_id']}", token=token)).status_code == 204
    assert not await is_active(shop, ann.tracker)
    assert not await is_active(shop, visitor)


async def send(cds: Cds, **user: Any) -> dict[str, Any]:
    """The answer to an event without credentials."""
    answer = await cds.http.post(EVENTS, json={"interaction": {"name": "Visit"}, "user": user})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """The tracker in the answer to an event."""
    return {"anonymous_profile_tracker": answer["anonymousProfileTracker"]}


BROWSER = "0123456789abcdef"


async def test_an_anonymous_id_reveals_no_tracker(shop: Cds) -> None:
    """A stranger knows the anonymous id of a browser and asks for its tracker."""
    first = await send(shop, anonymousId=BROWSER, anonymousProfileTracker="", attributes={"plan": "trial"})
    again = await send(shop, anonymousId=BROWSER, anonymousProfileTracker="")
    assert told(again) != told(first)
    assert again["resolvedUserId"] == first["resolvedUserId"]
    assert (await by_tracker(shop, told(first)))["traits"] == {"plan": "trial"}
    assert "traits" not in await by_tracker(shop, told(again))


async def test_a_tracker_that_was_derived_is_replaced_when_it_is_used(shop: Cds) -> None:
    names = shop.dataset_ref.handle, shop.dataset_ref.dataset, BROWSER
    digest = shop.services.secret_box.keyed_digest("tracker", *names)
    derived = str(UUID(bytes=digest[:16], version=4))
    actor = Actor("test", "shop")
    values = {"traits": {"plan": "trial"}}
    await shop.services.profiles.profiles.create(shop.dataset_ref, actor, values, tracker=derived)
    user = {"anonymousId": BROWSER, "anonymousProfileTracker": derived}
    unused, fresh_one = told(await send(shop, **user)), told(await send(shop, **user))
    known = {"anonymous_profile_tracker": derived}
    assert await is_active(shop, known)
    assert (await by_tracker(shop, fresh_one))["traits"] == {"plan": "trial"}
    assert not await is_active(shop, known)
    assert fresh_one not in (known, unused)
    last = told(await send(shop, **user))
    assert last not in (known, unused, fresh_one)
    assert "traits" not in await by_tracker(shop, last)


async def test_look_ups_show_digests_of_trackers(shop: Cds) -> None:
    first = await send(shop, anonymousId=BROWSER, anonymousProfileTracker="")
    tracker = first["anonymousProfileTracker"]
    await send(shop, anonymousId=BROWSER, anonymousProfileTracker=tracker)
    other = await shop.create()
    other_tracker = other["anonymous_profile_tracker"]
    await send(shop, anonymousId=BROWSER, anonymousProfileTracker=other_tracker)
    await shop("PATCH", "/config", json={"system_applications": [shop.client_id]})
    base, headers = "/t/acme/api/v1/datasets/default", {"Authorization": f"Bearer {await shop.token()}"}
    person = f"{base}/profiles/{first['resolvedUserId']}"
    parts = ("", "/identifiers", "/history", "/events")
    asked = [(person + part, {"view": view}) for part in parts for view in ("own", "all")]
    for path, params in (*asked, (f"{base}/events", {})):
        answer = await shop.http.get(path, headers=headers, params=params)
        assert answer.status_code == 200, answer.text
        assert tracker not in answer.text
        assert other_tracker not in answer.text
    for view in ("own", "all"):
        pages = [page async for page in _pages(shop, f"{person}/identifiers", headers, view)]
        assert tracker_digest(tracker) in {item["value"] for page in pages for item in page}
    believed = await shop.http.get(person, headers=headers, params={"view": "all"})
    shown = believed.json()["devices"]
    assert {tracker_digest(tracker), tracker_digest(other_tracker), BROWSER} <= set(shown)


async def _pages(
    cds: Cds, path: str, headers: dict[str, str], view: str
) -> AsyncIterator[list[dict[str, Any]]]:
    """The identifiers of a person, one on each page, with cursors that name none of them."""
    cursor = ""
    while True:
        params = {"page_size": "1", "cursor": cursor, "view": view}
        answer = await cds.http.get(path, headers=headers, params=params)
        yield answer.json()["identifiers"]
        cursor = answer.json()["pagination"].get("next_cursor", "")
        if not cursor:
            return
        position = b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_")
        assert position.strip(b"[]").isdigit(), position


async def test_an_event_with_a_tracker_that_ended_begins_anew(shop: Cds) -> None:
    """A page still sends the tracker that another one has replaced."""
    visitor, ann = await fresh(shop)
    await by_tracker(shop, ann.tracker)
    answer = await send(
        shop,
        anonymousId=BROWSER,
        anonymousProfileTracker=visitor["anonymous_profile_tracker"],
        attributes={"plan": "basic"},
    )
    assert told(answer) != {"anonymous_profile_tracker": visitor["anonymous_profile_tracker"]}
    assert (await by_tracker(shop, told(answer)))["traits"] == {"plan": "basic"}
    assert (await me(shop, ann.user_id))["traits"] == {"plan": "trial"}


async def set_report_joins(cds: Cds, choice: str) -> None:
    headers = {"Authorization": f"Bearer {await cds.token()}"}
    answer = await cds.http.patch(
        "/t/acme/api/v1/datasets/default", json={"report_joins": choice}, headers=headers
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["report_joins"] == choice


async def report(cds: Cds, user_id: str, tracker: dict[str, Any], **fields: Any) -> None:
    """An identity server reports a sign-in."""
    sent = IdentityReport(
        **{"kind": "signed_in", "user_id": user_id, "tracker": tracker["anonymous_profile_tracker"], **fields}
    )
    await cds.services.identity_provider.reports.handle_report(cds.dataset_ref, sent)


async def user_of(cds: Cds, profile: dict[str, Any], view: str) -> str | None:
    """The user of a profile in a view."""
    answer = await cds("GET", f"/profiles/{profile['profile_id']}", params={"view": view})
    found: str | None = answer.json().get("user_id")
    return found


@pytest.mark.parametrize("kind", ["signed_in", "user_added"])
async def test_a_report_joins_at_once_or_when_the_user_confirms_it(shop: Cds, kind: str) -> None:
    await set_report_joins(shop, "confirmed")
    visitor = await shop.create(traits={"plan": "trial"})
    await report(shop, "ann", visitor, kind=kind)
    for view in ("own", "proven", "all"):
        assert await user_of(shop, visitor, view) is None
    assert "traits" not in await me(shop, "ann")
    assert "user_id" not in await by_tracker(shop, visitor)
    assert (await me(shop, "ann", cookie(visitor)))["traits"] == {"plan": "trial"}
    for view in ("own", "proven", "all"):
        assert await user_of(shop, visitor, view) == "ann"
    await set_report_joins(shop, "at_once")
    other = await shop.create()
    await report(shop, "ann", other, kind=kind)
    assert await user_of(shop, other, "proven") == "ann"


async def test_a_waiting_report_of_a_named_profile_joins_nothing(shop: Cds) -> None:
    await set_report_joins(shop, "confirmed")
    visitor = await shop.create()
    ended = {"anonymous_profile_tracker": "no-tracker"}
    await report(shop, "ann", ended, kind="user_added", profile_id=UUID(visitor["profile_id"]))
    assert await user_of(shop, visitor, "proven") is None
    assert await user_of(shop, visitor, "all") is None


async def test_only_the_reported_user_confirms(shop: Cds) -> None:
    """The sign-in was at a link that carries the tracker of Eve, in another browser than hers."""
    await set_report_joins(shop, "confirmed")
    eve = await shop.create()
    await report(shop, "ann", eve)
    await shop.create(user_id="eve")
    await me(shop, "eve", cookie(eve))
    assert "user_id" not in await by_tracker(shop, eve)
    assert (await by_tracker(shop, eve))["profile_id"] == eve["profile_id"]


async def test_a_confirmation_does_not_outlive_a_later_sign_in(shop: Cds) -> None:
    await set_report_joins(shop, "confirmed")
    visitor = await shop.create()
    await report(shop, "ann", visitor)
    assert (await link(shop, visitor["profile_id"], "ben", headers=cookie(visitor))).status_code == 200
    await me(shop, "ann", cookie(visitor))
    assert (await by_tracker(shop, visitor))["user_id"] == "ben"


async def test_a_write_by_tracker_answers_what_the_tracker_shows(stage: Stage) -> None:
    """Whoever brings a tracker learns nothing else of its owner by a write than by a read."""
    await stage.play(
        """
        server mail=ann@ plan=secret
        post P T interests=chess
        registers ann T
        verifies ann
        patch P mood=hers
        Me ann = P < ? ann interests=chess mail=ann@ mood=hers plan=secret
        T = P ann interests=chess
        """
    )
    headers = stage.cookie("T")
    read = await stage.cds("GET", "/profiles/Me", headers=headers)
    for body in ({}, {"traits": {"plan": "form"}}, {"traits": {"plan": "form"}}):
        once = {**headers, "Idempotency-Key": str(uuid4())} if body else headers
        written = await stage.cds("PATCH", "/profiles/Me", json=body, headers=once)
        assert written.json() == read.json()
        assert written.headers["etag"] == read.headers["etag"]
        repeated = await stage.cds("PATCH", "/profiles/Me", json=body, headers=once)
        assert (repeated.content, repeated.headers["etag"]) == (written.content, written.headers["etag"])
    await stage.play(
        """
        Me ann = P < ? ann interests=chess mail=ann@ mood=hers plan=form
        T = P ann interests=chess
        """
    )


async def test_if_match_by_tracker_takes_the_version_that_the_tracker_shows(stage: Stage) -> None:
    await stage.play("post P T interests=chess\nregisters ann T\npatch P mood=hers")

    async def write(version: str, **traits: str) -> httpx.Response:
        headers = {**stage.cookie("T"), "If-Match": version}
        return await stage.cds("PATCH", "/profiles/Me", json={"traits": traits}, headers=headers)

    by_post = await stage.cds("POST", "/profiles", json={}, headers=stage.cookie("T"))
    by_id = await stage.cds("GET", f"/profiles/{stage.profile_id('P')}")
    assert (await write(by_id.headers["etag"], plan="x")).status_code == 412
    first = await write(by_post.headers["etag"], plan="form")
    assert first.status_code == 200, first.text
    assert (await write(first.headers["etag"], plan="form2")).status_code == 200
    await stage.play("page T mood=said")
    assert (await write(first.headers["etag"], plan="stale")).status_code == 412
    now = await stage.cds("GET", "/profiles/Me", headers=stage.cookie("T"))
    assert (await write(now.headers["etag"], plan="form3")).status_code == 200


async def test_of_concurrent_conditional_writes_by_tracker_one_succeeds(stage: Stage) -> None:
    await stage.play("post P T interests=chess")
    read = await stage.cds("GET", "/profiles/Me", headers=stage.cookie("T"))
    headers = {**stage.cookie("T"), "If-Match": read.headers["etag"]}
    bodies = ({"traits": {"plan": plan}} for plan in ("a", "b", "c"))
    answers = await asyncio.gather(
        *(stage.cds("PATCH", "/profiles/Me", json=body, headers=headers) for body in bodies)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412]


@pytest.mark.parametrize(("view", "status"), [("all", 403), ("proven", 403), ("own", 200), ("nonsense", 400)])
async def test_me_has_the_view_own(stage: Stage, view: str, status: int) -> None:
    await stage.play("post P T\nregisters ann T")
    params = {"view": view}
    for caller in ({"token": stage.token("ann")}, {"headers": stage.cookie("T")}):
        for method in ("GET", "PATCH"):
            answer = await stage.cds(method, "/profiles/Me", params=params, json={}, **caller)
            assert answer.status_code == status, answer.text


@pytest.mark.parametrize("user_id", ["undefined", "null", " NULL ", "{{user.id}}", "123456", "-"])
async def test_a_placeholder_is_the_user_id_of_no_profile(shop: Cds, user_id: str) -> None:
    visitor = await shop.create()
    for method, path in (("POST", "/profiles"), ("PATCH", f"/profiles/{visitor['profile_id']}")):
        answer = await shop(method, path, json={"user_id": user_id})
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011"), answer.text
        assert "placeholder" in answer.json()["description"]
