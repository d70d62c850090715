"""Identifiers, sign-in, erasure and the service log (docs/concepts/resolution.md)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from support.service import RunningService
from wire.browser import Browser, WebApplication, new_person, pkce, register, sign_in
from wire.client import Cds, assert_error, fresh


def _me(cds: Cds, tokens: dict[str, Any]) -> dict[str, Any]:
    answer = cds.get("/profiles/Me", token=tokens["access_token"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# -- identifiers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["null", "NULL", "undefined", "none", "NaN", "0", "[object Object]", "anonymous"]
)
def test_a_blocked_user_id_is_rejected(cds: Cds, value: str) -> None:
    answer = cds.post("/profiles", {"user_id": value})
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-11011"), answer.text


@pytest.mark.parametrize("value", ["", "   ", "\t", "\u00a0"])
def test_empty_user_ids_merge_nothing(cds: Cds, value: str) -> None:
    answers = [cds.post("/profiles", {"user_id": value}) for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 201, answer.text
        assert "merged_to" not in answer.json()


def test_a_user_id_is_not_normalised(cds: Cds) -> None:
    for user in (fresh("Zoë@Example.ORG"), fresh("a b  c"), fresh("001"), fresh("用户")):
        created = cds.create({"user_id": user})
        assert created["user_id"] == user
        assert cds.read(created["profile_id"])["user_id"] == user


# -- sign-in ----------------------------------------------------------------------------------------


def test_an_open_session_merges_a_new_visit_without_a_form(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    first, second = cds.create(), cds.create()
    register(
        browser,
        web_app,
        new_person(fresh("lasting")),
        anonymous_profile_tracker=first["anonymous_profile_tracker"],
    )
    tracker = second["anonymous_profile_tracker"]
    verifier, challenge = pkce()
    page = browser.open(web_app.authorize_url(challenge, anonymous_profile_tracker=tracker))
    assert web_app.exchange(page.callback_query["code"], verifier).status_code == 200
    merged = cds.read(second["profile_id"])["merged_to"]
    assert merged == {"profile_id": first["profile_id"], "reason": "system:user_id_match"}


def test_e_mail_addresses_of_accounts_are_case_insensitive(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    person = new_person(fresh("typed"))
    first = register(browser, web_app, person)
    second_browser = Browser(cds.base_url)
    upper_case = {**person, "email": f" {person['email'].upper()} "}
    second = sign_in(second_browser, web_app, upper_case)
    assert _me(cds, second)["profile_id"] == _me(cds, first)["profile_id"]


def test_a_user_is_unknown_in_another_organisation(
    cds: Cds, other: Cds, web_app: WebApplication, browser: Browser
) -> None:
    tokens = register(browser, web_app, new_person(fresh("shared")))
    user = _me(cds, tokens)["user_id"]
    assert other.get("/profiles", params={"filter": f"user_id eq {user}"}).json()["profiles"] == []


def test_two_people_on_two_browsers_have_two_profiles(cds: Cds, web_app: WebApplication) -> None:
    profiles = [
        _me(cds, register(Browser(cds.base_url), web_app, new_person(fresh("two")))) for _ in range(2)
    ]
    assert profiles[0]["profile_id"] != profiles[1]["profile_id"]
    assert profiles[0]["user_id"] != profiles[1]["user_id"]


def test_registering_does_not_change_another_users_profile(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    """The tracker moves from a profile that a server gave to another user; the profile does not change."""
    visit = cds.create()
    cds.write(visit["profile_id"], {"user_id": fresh("user")})
    before = cds.read(visit["profile_id"])
    tokens = register(
        browser,
        web_app,
        new_person(fresh("apart")),
        anonymous_profile_tracker=visit["anonymous_profile_tracker"],
    )
    assert cds.read(visit["profile_id"]) == before
    assert _me(cds, tokens)["profile_id"] != visit["profile_id"]


# -- erasure ----------------------------------------------------------------------------------------


def test_an_erased_person_returns_as_a_new_profile(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    key, person, visit = cds.trait(), new_person(fresh("erased")), cds.create()
    tracker = visit["anonymous_profile_tracker"]
    tokens = register(browser, web_app, person, anonymous_profile_tracker=tracker)
    cds.write(visit["profile_id"], {"traits": {key: "forgotten"}})
    assert cds.delete(f"/profiles/{visit['profile_id']}").status_code == 204
    assert cds.get("/profiles/Me", token=tokens["access_token"]).status_code == 404
    new_tokens = sign_in(Browser(cds.base_url), web_app, person, anonymous_profile_tracker=tracker)
    profile = _me(cds, new_tokens)
    assert profile["profile_id"] != visit["profile_id"]
    assert "traits" not in profile
    assert cds.get(f"/profiles/{visit['profile_id']}").status_code == 404


def test_a_repeated_request_does_not_show_an_erased_person(cds: Cds) -> None:
    key, secret = cds.trait(), fresh("secret")
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = cds.post("/profiles", {"traits": {key: secret}}, headers=headers).json()
    assert cds.delete(f"/profiles/{first['profile_id']}").status_code == 204
    again = cds.post("/profiles", {"traits": {key: secret}}, headers=headers)
    assert_error(again, 404, "CDS-11001")
    assert secret not in again.text


def test_an_erased_tracker_is_never_used_again(cds: Cds) -> None:
    created = cds.create()
    cds.delete(f"/profiles/{created['profile_id']}")
    answer = cds.get("/profiles/Me", tracker=created["anonymous_profile_tracker"])
    assert_error(answer, 401, "CDS-11003")
    again = cds.post("/profiles", {}, tracker=created["anonymous_profile_tracker"])
    assert again.status_code == 201
    assert again.json()["anonymous_profile_tracker"] != created["anonymous_profile_tracker"]


# -- the log of the service -------------------------------------------------------------------------


def test_no_personal_data_and_no_secret_is_logged(
    cds: Cds, service: RunningService, web_app: WebApplication, browser: Browser
) -> None:
    key, number = cds.trait(), cds.trait("integer")
    person, value, user = new_person(fresh("private")), fresh("value"), fresh("user")
    created = cds.create({"traits": {key: value}, "user_id": user})
    cds.patch(f"/profiles/{created['profile_id']}", {"traits": {number: value}})
    cds.get("/profiles", params={"filter": f"traits.{key} eq {value}"})
    cds.get("/profiles", params={"filter": f"user_id eq {user}"})
    tracker = cds.create()["anonymous_profile_tracker"]
    tokens = register(browser, web_app, person, anonymous_profile_tracker=tracker)
    page = browser.open(web_app.authorize_url(pkce()[1]))
    log = service.log()
    private = [
        value,
        user,
        person["email"],
        person["password"],
        tracker,
        cds.client_secret,
        page.callback_query["code"],
    ]
    private += [tokens[name] for name in ("access_token", "id_token")]
    assert [text for text in private if text in log] == []
