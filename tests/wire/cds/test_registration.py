"""Registration, sign-in and sign-out of visitors (docs/wire/cds.md §12)."""

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
    """Creates browsers and closes them at the end."""
    created: list[Browser] = []

    def make() -> Browser:
        created.append(Browser(cds.base_url))
        return created[-1]

    yield make
    for browser in created:
        browser.close()


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _visit(cds: Cds, browser: Browser | None = None, **body: Any) -> dict[str, Any]:
    """Create a profile for a visitor; the browser stores the cookie."""
    headers = browser.cookie_header(httpx.URL(cds.base_url).host) if browser else {}
    answer = cds.post("/profiles", body, headers=headers)
    assert answer.status_code == 201, answer.text
    if browser:
        browser.store_cookies(answer)
    return dict(answer.json())


def _repeat_visit(cds: Cds, visit: dict[str, Any]) -> dict[str, Any]:
    """POST /profiles again with the tracker of the visit."""
    answer = cds.post("/profiles", {}, tracker=visit["anonymous_profile_tracker"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_registration_makes_the_temporary_profile_permanent(
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


def test_the_claims_of_a_new_user_are_stored_on_the_profile(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    person, visit = new_person(fresh("claims")), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=visit["anonymous_profile_tracker"])
    attributes = cds.read(visit["profile_id"])["identity_attributes"]
    assert attributes["emailaddress"] == person["email"]


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
    category = cds.category(f"traits.{plan}")
    cds.consent(visit["profile_id"], **{category: True})
    ask = {"consentCategoryId": category}
    me = cds.get("/profiles/Me", token=tokens["access_token"], params=ask)
    assert me.status_code == 200
    assert me.json()["profile_id"] == visit["profile_id"]
    assert me.json()["traits"] == {plan: "trial"}


def test_the_tracker_is_read_from_the_cookie(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
    browser = browsers()
    visit = _visit(cds, browser)
    tokens = register(browser, web_app, new_person(fresh("cookie")))
    assert cds.read(visit["profile_id"])["user_id"] == _claims(tokens["access_token"])["sub"]


def test_a_registration_without_a_visit_creates_a_profile(
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
    person, first_visit = new_person(fresh("returning")), _visit(cds, traits={interests: ["chess"]})
    register(browsers(), web_app, person, anonymous_profile_tracker=first_visit["anonymous_profile_tracker"])

    second_visit = _visit(cds, traits={interests: ["go"]})
    sign_in(browsers(), web_app, person, anonymous_profile_tracker=second_visit["anonymous_profile_tracker"])

    permanent = cds.read(first_visit["profile_id"])
    assert permanent["merged_from"] == [
        {"profile_id": second_visit["profile_id"], "reason": "system:user_id_match"}
    ]
    assert permanent["traits"] == {interests: ["chess", "go"]}
    absorbed = cds.read(second_visit["profile_id"])
    assert absorbed["profile_id"] == second_visit["profile_id"]
    assert absorbed["merged_to"] == {
        "profile_id": first_visit["profile_id"],
        "reason": "system:user_id_match",
    }
    assert absorbed["traits"] == permanent["traits"]
    assert absorbed["user_id"] == permanent["user_id"]


def test_every_visit_of_a_user_merges_at_sign_in(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
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
    assert _repeat_visit(cds, home)["user_id"] == user
    assert _repeat_visit(cds, work)["user_id"] == user
    answer = cds.patch("/profiles/Me", {"traits": {plan: "x"}}, tracker=work["anonymous_profile_tracker"])
    assert answer.status_code == 200
    assert cds.read(home["profile_id"])["traits"][plan] == "x"


def test_a_repeated_sign_in_changes_nothing(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
    person, visit, browser = new_person(fresh("again")), _visit(cds), browsers()
    tracker = visit["anonymous_profile_tracker"]
    register(browser, web_app, person, anonymous_profile_tracker=tracker)
    before = cds.read(visit["profile_id"])
    for sign_in_browser in (browser, browsers()):
        sign_in(sign_in_browser, web_app, person, anonymous_profile_tracker=tracker)
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


def test_the_tracker_moves_to_the_last_user_who_signed_in(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    shared, owner, other_person = _visit(cds), new_person(fresh("owner")), new_person(fresh("stranger"))
    tracker = shared["anonymous_profile_tracker"]
    owner_tokens = register(browsers(), web_app, owner, anonymous_profile_tracker=tracker)
    other_tokens = register(browsers(), web_app, other_person, anonymous_profile_tracker=tracker)
    assert _repeat_visit(cds, shared)["user_id"] == _claims(other_tokens["access_token"])["sub"]
    sign_in(browsers(), web_app, owner, anonymous_profile_tracker=tracker)
    assert _repeat_visit(cds, shared)["user_id"] == _claims(owner_tokens["access_token"])["sub"]
    assert "merged_from" not in cds.read(shared["profile_id"])


def test_a_user_who_signs_in_on_another_users_browser_keeps_their_profile(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    person, own_visit, other_visit = new_person(fresh("stranger")), _visit(cds), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=own_visit["anonymous_profile_tracker"])
    register(
        browsers(),
        web_app,
        new_person(fresh("owner")),
        anonymous_profile_tracker=other_visit["anonymous_profile_tracker"],
    )
    sign_in(browsers(), web_app, person, anonymous_profile_tracker=other_visit["anonymous_profile_tracker"])
    assert _repeat_visit(cds, other_visit)["user_id"] == cds.read(own_visit["profile_id"])["user_id"]
    assert "merged_from" not in cds.read(own_visit["profile_id"])
    assert cds.read(other_visit["profile_id"])["user_id"] != cds.read(own_visit["profile_id"])["user_id"]


def test_the_merge_is_visible_after_the_code_is_exchanged(
    cds: Cds, web_app: WebApplication, browsers: Any
) -> None:
    """The tracker has no effect until the application exchanges the code."""
    person, home, work = new_person(fresh("atonce")), _visit(cds), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"])
    browser, (verifier, challenge) = browsers(), pkce()
    url = web_app.authorize_url(challenge, anonymous_profile_tracker=work["anonymous_profile_tracker"])
    page = browser.fill(browser.open(url), person)
    assert "merged_to" not in cds.read(work["profile_id"])
    assert web_app.exchange(page.callback_query["code"], verifier).status_code == 200
    assert cds.read(work["profile_id"])["merged_to"]["profile_id"] == home["profile_id"]


def test_a_tracker_of_another_organisation_is_ignored(
    cds: Cds, other: Cds, web_app: WebApplication, browsers: Any
) -> None:
    other_visit = _visit(other)
    register(
        browsers(),
        web_app,
        new_person(fresh("foreign")),
        anonymous_profile_tracker=other_visit["anonymous_profile_tracker"],
    )
    assert "user_id" not in other.read(other_visit["profile_id"])


def test_a_failed_sign_in_merges_nothing(cds: Cds, web_app: WebApplication, browsers: Any) -> None:
    person, home, work = new_person(fresh("wrong")), _visit(cds), _visit(cds)
    register(browsers(), web_app, person, anonymous_profile_tracker=home["anonymous_profile_tracker"])
    browser = browsers()
    url = web_app.authorize_url(pkce()[1], anonymous_profile_tracker=work["anonymous_profile_tracker"])
    page = browser.fill(browser.open(url), {**person, "password": "not the password 1!"})
    assert page.answer.status_code == 401
    assert page.forms
    assert "user_id" not in cds.read(work["profile_id"])


def test_after_a_sign_out_the_tracker_still_maps_to_the_user(
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
    assert _repeat_visit(cds, visit)["user_id"] == _claims(tokens["access_token"])["sub"]
