"""The registration story by public HTTP (docs/wire/cds.md §12)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from wire.browser import Browser, WebApplication, new_person, pkce, register, sign_in
from wire.client import Cds, fresh


@pytest.fixture
def browsers(cds: Cds) -> Iterator[Any]:
    """A maker of browsers, all closed at the end."""
    made: list[Browser] = []

    def make() -> Browser:
        made.append(Browser(cds.base_url))
        return made[-1]

    yield make
    for browser in made:
        browser.close()


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _visit(cds: Cds, browser: Browser | None = None, **body: Any) -> dict[str, Any]:
    """The application makes a profile for a visitor, whose browser keeps the cookie."""
    headers = browser.cookie_header(httpx.URL(cds.base_url).host) if browser else {}
    answer = cds.post("/profiles", body, headers=headers)
    assert answer.status_code == 201, answer.text
    if browser:
        browser.keep(answer)
    return dict(answer.json())


def _again(cds: Cds, visit: dict[str, Any]) -> dict[str, Any]:
    """Later activity on the same browser: POST /profiles with its tracker."""
    answer = cds.post("/profiles", {}, tracker=visit["anonymous_profile_tracker"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_new_users_temporary_profile_becomes_the_permanent_one(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    plan, score = cds.trait(), cds.application_attribute("integer")
    visit = _visit(cds)
    cds.write(
        visit["profile_id"], {"traits": {plan: "trial"}, "application_data": {cds.client_id: {score: 3}}}
    )
    tokens = register(
        browsers(),
        web_app,
        new_person(fresh("ann")),
        anonymous_profile_tracker=visit["anonymous_profile_tracker"],
    )
    user = _claims(tokens["access_token"])["sub"]
    profile = cds.read(visit["profile_id"])
    assert profile["profile_id"] == visit["profile_id"]
    assert profile["user_id"] == user
    assert profile["traits"] == {plan: "trial"}
    assert profile["application_data"] == {cds.client_id: {score: 3}}
    assert "merged_to" not in profile


def test_the_registered_users_claims_are_on_the_profile(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    person, visit = new_person(fresh("claims")), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=visit["anonymous_profile_tracker"])
    known = cds.read(visit["profile_id"])["identity_attributes"]
    assert known["emailaddress"] == person["email"]


def test_me_is_the_unified_profile_of_the_signed_in_user(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    plan, visit = cds.trait(), _visit(cds)
    cds.write(visit["profile_id"], {"traits": {plan: "trial"}})
    tokens = register(
        browsers(),
        web_app,
        new_person(fresh("me")),
        anonymous_profile_tracker=visit["anonymous_profile_tracker"],
    )
    me = cds.get("/profiles/Me", token=tokens["access_token"])
    assert me.status_code == 200
    assert me.json()["profile_id"] == visit["profile_id"]
    assert me.json()["traits"] == {plan: "trial"}


def test_the_cookie_works_as_well_as_the_parameter(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
    browser = browsers()
    visit = _visit(cds, browser)
    tokens = register(browser, web_app, new_person(fresh("cookie")))
    assert cds.read(visit["profile_id"])["user_id"] == _claims(tokens["access_token"])["sub"]


def test_a_registration_without_a_visit_makes_a_profile_of_its_own(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    tokens = register(browsers(), web_app, new_person(fresh("direct")))
    me = cds.get("/profiles/Me", token=tokens["access_token"])
    assert me.status_code == 200
    assert me.json()["user_id"] == _claims(tokens["access_token"])["sub"]


def test_an_unknown_tracker_does_not_affect_registration(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    for tracker in ("00000000-0000-4000-8000-000000000000", "nonsense"):
        tokens = register(browsers(), web_app, new_person(fresh("odd")), anonymous_profile_tracker=tracker)
        assert cds.get("/profiles/Me", token=tokens["access_token"]).status_code == 200


def test_a_returning_users_temporary_profile_is_merged_at_sign_in(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    interests = cds.trait(multi_valued=True, merge_strategy="combine")
    person, home = new_person(fresh("returning")), _visit(cds, traits={interests: ["chess"]})
    register(browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"])

    work = _visit(cds, traits={interests: ["go"]})
    sign_in(browsers(), web_app, person, anonymous_profile_tracker=work["anonymous_profile_tracker"])

    permanent = cds.read(home["profile_id"])
    assert permanent["merged_from"] == [{"profile_id": work["profile_id"], "reason": "system:user_id_match"}]
    assert permanent["traits"] == {interests: ["chess", "go"]}
    old = cds.read(work["profile_id"])
    assert old["profile_id"] == work["profile_id"]
    assert old["merged_to"] == {"profile_id": home["profile_id"], "reason": "system:user_id_match"}
    assert old["traits"] == permanent["traits"]
    assert old["user_id"] == permanent["user_id"]


def test_every_anonymous_browser_of_a_user_comes_home(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    person, first = new_person(fresh("many")), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=first["anonymous_profile_tracker"])
    others = [_visit(cds) for _ in range(3)]
    for visit in others:
        sign_in(browsers(), web_app, person, anonymous_profile_tracker=visit["anonymous_profile_tracker"])
    merged = {m["profile_id"] for m in cds.read(first["profile_id"])["merged_from"]}
    assert merged == {visit["profile_id"] for visit in others}


def test_later_activity_with_the_tracker_maps_to_the_same_user(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    plan, person = cds.trait(), new_person(fresh("later"))
    home, work = _visit(cds), _visit(cds)
    tokens = register(
        browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"]
    )
    sign_in(browsers(), web_app, person, anonymous_profile_tracker=work["anonymous_profile_tracker"])
    user = _claims(tokens["access_token"])["sub"]
    assert _again(cds, home)["user_id"] == user
    assert _again(cds, work)["user_id"] == user
    answer = cds.patch("/profiles/Me", {"traits": {plan: "x"}}, tracker=work["anonymous_profile_tracker"])
    assert answer.status_code == 200
    assert cds.read(home["profile_id"])["traits"][plan] == "x"


def test_a_user_who_signs_in_again_on_the_same_browser_changes_nothing(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    person, visit, browser = new_person(fresh("again")), _visit(cds), browsers()
    tracker = visit["anonymous_profile_tracker"]
    register(browser, web_app, person, anonymous_profile_tracker=tracker)
    before = cds.read(visit["profile_id"])
    for anew in (browser, browsers()):
        sign_in(anew, web_app, person, anonymous_profile_tracker=tracker)
    after = cds.read(visit["profile_id"])
    assert after["user_id"] == before["user_id"]
    assert "merged_from" not in after
    assert "merged_to" not in after


def test_a_second_user_on_a_browser_never_changes_the_first_profile(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    plan, shared = cds.trait(), _visit(cds)
    tracker = shared["anonymous_profile_tracker"]
    first = register(browsers(), web_app, new_person(fresh("owner")), anonymous_profile_tracker=tracker)
    cds.write(shared["profile_id"], {"traits": {plan: "the owner's"}})
    before = cds.read(shared["profile_id"])

    second = register(browsers(), web_app, new_person(fresh("stranger")), anonymous_profile_tracker=tracker)

    after = cds.read(shared["profile_id"])
    assert after == before
    assert after["user_id"] == _claims(first["access_token"])["sub"]
    me = cds.get("/profiles/Me", token=second["access_token"]).json()
    assert me["profile_id"] != shared["profile_id"]
    assert "traits" not in me
    assert me["user_id"] == _claims(second["access_token"])["sub"] != after["user_id"]


def test_the_browser_moves_to_the_stranger_who_signed_in(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    shared, owner, stranger = _visit(cds), new_person(fresh("owner")), new_person(fresh("stranger"))
    tracker = shared["anonymous_profile_tracker"]
    own = register(browsers(), web_app, owner, anonymous_profile_tracker=tracker)
    other = register(browsers(), web_app, stranger, anonymous_profile_tracker=tracker)
    assert _again(cds, shared)["user_id"] == _claims(other["access_token"])["sub"]
    sign_in(browsers(), web_app, owner, anonymous_profile_tracker=tracker)
    assert _again(cds, shared)["user_id"] == _claims(own["access_token"])["sub"]
    assert "merged_from" not in cds.read(shared["profile_id"])


def test_a_returning_stranger_keeps_their_own_profile(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    stranger, theirs, shared = new_person(fresh("stranger")), _visit(cds), _visit(cds)
    register(browsers(), web_app, stranger, anonymous_profile_tracker=theirs["anonymous_profile_tracker"])
    register(
        browsers(),
        web_app,
        new_person(fresh("owner")),
        anonymous_profile_tracker=shared["anonymous_profile_tracker"],
    )
    sign_in(browsers(), web_app, stranger, anonymous_profile_tracker=shared["anonymous_profile_tracker"])
    assert _again(cds, shared)["user_id"] == cds.read(theirs["profile_id"])["user_id"]
    assert "merged_from" not in cds.read(theirs["profile_id"])
    assert cds.read(shared["profile_id"])["user_id"] != cds.read(theirs["profile_id"])["user_id"]


def test_the_merge_is_visible_when_the_tokens_are_answered(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    """The tracker has no effect until the application redeems the code."""
    person, home, work = new_person(fresh("atonce")), _visit(cds), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"])
    browser, (verifier, challenge) = browsers(), pkce()
    url = web_app.authorize_url(challenge, anonymous_profile_tracker=work["anonymous_profile_tracker"])
    page = browser.fill(browser.open(url), person)
    assert "merged_to" not in cds.read(work["profile_id"])
    assert web_app.exchange(page.arrived["code"], verifier).status_code == 200
    assert cds.read(work["profile_id"])["merged_to"]["profile_id"] == home["profile_id"]


def test_a_tracker_of_another_organisation_is_not_a_visit_of_this_one(
    cds: Cds, other: Cds, web_app: WebApplication, browsers: Any
) -> None:
    foreign = _visit(other)
    register(
        browsers(),
        web_app,
        new_person(fresh("foreign")),
        anonymous_profile_tracker=foreign["anonymous_profile_tracker"],
    )
    assert "user_id" not in other.read(foreign["profile_id"])


def test_a_failed_sign_in_joins_nothing(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
    person, home, work = new_person(fresh("wrong")), _visit(cds), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"])
    browser = browsers()
    url = web_app.authorize_url(pkce()[1], anonymous_profile_tracker=work["anonymous_profile_tracker"])
    page = browser.fill(browser.open(url), {**person, "password": "not the password 1!"})
    assert page.answer.status_code == 401
    assert page.forms
    assert "user_id" not in cds.read(work["profile_id"])


def test_after_signing_out_the_browser_still_maps_to_the_user(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    browser, visit = browsers(), _visit(cds)
    tokens = register(
        browser,
        web_app,
        new_person(fresh("leaving")),
        anonymous_profile_tracker=visit["anonymous_profile_tracker"],
    )
    browser.open(f"/t/{cds.org}/oauth2/logout?id_token_hint={tokens['id_token']}")
    assert _again(cds, visit)["user_id"] == _claims(tokens["access_token"])["sub"]
