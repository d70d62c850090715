"""POST /profiles, its cookie and its tracker (docs/wire/cds.md §5.1)."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from wire.client import TIMESTAMP, Cds, assert_error, fresh, set_cookie, tracker_of


def test_an_empty_body_creates_a_temporary_profile(cds: Cds) -> None:
    answer = cds.post("/profiles", {})
    assert answer.status_code == 201
    body = answer.json()
    assert set(body) == {"profile_id", "anonymous_profile_tracker", "meta"}
    assert str(uuid.UUID(body["profile_id"])) == body["profile_id"]
    assert set(body["meta"]) == {"created_at", "updated_at", "location"}
    assert body["meta"]["location"] == f"{cds.org}/cds/api/v1/profiles/{body['profile_id']}"


def test_a_new_profile_was_created_and_updated_at_the_same_instant(cds: Cds) -> None:
    meta = cds.create()["meta"]
    assert meta["created_at"] == meta["updated_at"]
    assert TIMESTAMP.match(meta["created_at"])


def test_the_tracker_is_a_random_uuid_and_not_the_profile_id(cds: Cds) -> None:
    first, second = cds.create(), cds.create()
    trackers = {uuid.UUID(p["anonymous_profile_tracker"]) for p in (first, second)}
    assert len(trackers) == 2
    assert all(t.version == 4 for t in trackers)
    assert not trackers & {uuid.UUID(p["profile_id"]) for p in (first, second)}


def test_the_location_is_the_absolute_url_of_the_profile(cds: Cds) -> None:
    answer = cds.post("/profiles", {})
    location = httpx.URL(answer.headers["location"])
    assert location.is_absolute_url
    assert location.path == cds.path(f"/profiles/{answer.json()['profile_id']}")
    assert cds.http.get(location.path, headers={"Authorization": f"Bearer {cds.token()}"}).status_code == 200


def test_the_answer_has_an_entity_tag(cds: Cds) -> None:
    answer = cds.post("/profiles", {})
    etag = answer.headers["etag"]
    assert etag.startswith('"')
    assert etag.endswith('"')
    assert cds.get(f"/profiles/{answer.json()['profile_id']}").headers["etag"] == etag


def test_the_cookie_is_a_session_cookie_with_the_tracker(cds: Cds) -> None:
    answer = cds.post("/profiles", {})
    cookie = set_cookie(answer)
    assert cookie[""] == tracker_of(answer)
    assert cookie["path"] == "/"
    assert "httponly" in cookie
    assert "max-age" not in cookie
    assert "expires" not in cookie


def test_the_location_starts_with_the_public_url(configured: Cds) -> None:
    answer = configured.post("/profiles", {})
    address = f"https://cds.acme.example{configured.path('/profiles')}/{answer.json()['profile_id']}"
    assert answer.headers["location"] == address
    assert answer.json()["meta"]["location"].startswith(f"{configured.org}/cds/api/v1/profiles/")


def test_the_cookie_is_for_the_configured_domain(configured: Cds) -> None:
    answer = configured.post("/profiles", {}, headers={"Host": "cds.acme.example"})
    cookie = set_cookie(answer)
    assert cookie["domain"].lstrip(".") == "acme.example"
    assert "secure" in cookie
    assert set(cookie) == {"", "path", "domain", "httponly", "secure", "samesite"}


def test_the_cookie_is_secure_away_from_localhost(cds: Cds) -> None:
    for host in ("cds.acme.example", "127.0.0.1:8700", "notlocalhost"):
        cookie = set_cookie(cds.post("/profiles", {}, headers={"Host": host}))
        assert "secure" in cookie
        assert cookie["samesite"].lower() == "none"


@pytest.mark.parametrize("host", ["localhost", "localhost:8700"])
def test_the_cookie_is_not_secure_on_localhost(cds: Cds, host: str) -> None:
    """Browsers reject a cookie that is `SameSite=None` and not `Secure`, so on localhost it is neither."""
    cookie = set_cookie(cds.post("/profiles", {}, headers={"Host": host}))
    assert "secure" not in cookie
    assert cookie.get("samesite", "lax").lower() == "lax"


def test_values_of_all_scopes_are_stored(cds: Cds) -> None:
    plan, score = cds.trait(), cds.application_attribute("integer")
    body = {
        "traits": {plan: "trial"},
        "application_data": {cds.client_id: {score: 7}},
        "identity_attributes": {"givenname": "Ann"},
    }
    created = cds.create(body)
    assert {key: created[key] for key in body} == body
    stored = cds.read(created["profile_id"])
    assert {key: stored[key] for key in body} == body


def test_empty_scopes_are_omitted(cds: Cds) -> None:
    created = cds.create({"traits": {}, "identity_attributes": {}, "application_data": {}})
    assert set(created) == {"profile_id", "anonymous_profile_tracker", "meta"}
    created = cds.create({"application_data": {cds.client_id: {}}})
    assert "application_data" not in created


def test_the_tracker_is_in_no_other_answer(cds: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    assert "anonymous_profile_tracker" not in cds.read(profile_id)
    assert "anonymous_profile_tracker" not in cds.write(profile_id, {})


@pytest.mark.parametrize("entry", ["x", 7, ["a"], True])
def test_an_application_data_entry_must_be_an_object(cds: Cds, entry: Any) -> None:
    answer = cds.post("/profiles", {"application_data": {"shop": entry}})
    assert_error(answer, 400, "CDS-11011", "application_data entry 'shop' must be of object type")


def test_a_value_error_has_the_code_of_updates(cds: Cds) -> None:
    key = fresh("undefined")
    answer = cds.post("/profiles", {"traits": {key: "x"}})
    assert_error(answer, 400, "CDS-11011", f"trait 'traits.{key}' not defined in schema")


def test_a_rejected_profile_sets_no_cookie_and_is_not_stored(cds: Cds) -> None:
    user = fresh("user")
    answer = cds.post("/profiles", {"user_id": user, "traits": {fresh("undefined"): "x"}})
    assert answer.status_code == 400
    assert "set-cookie" not in answer.headers
    listed = cds.get("/profiles", params={"filter": f"user_id eq {user}"}).json()
    assert listed["profiles"] == []


# -- the tracker of a returning browser -------------------------------------------------------------


def test_a_known_tracker_returns_its_profile(cds: Cds) -> None:
    key = cds.trait()
    first = cds.post("/profiles", {"traits": {key: "kept"}})
    again = cds.post("/profiles", {"traits": {key: "discarded"}}, tracker=tracker_of(first))
    assert again.status_code == 200
    assert again.json()["profile_id"] == first.json()["profile_id"]
    assert again.json()["traits"] == {key: "kept"}
    assert again.json()["meta"] == first.json()["meta"]


def test_a_known_tracker_is_in_body_and_cookie(cds: Cds) -> None:
    tracker = cds.create()["anonymous_profile_tracker"]
    again = cds.post("/profiles", {}, tracker=tracker)
    assert tracker_of(again) == tracker
    cookie = set_cookie(again)
    assert cookie[""] == tracker
    assert "httponly" in cookie
    assert "max-age" not in cookie
    assert again.headers["etag"]


def test_a_known_tracker_ignores_even_invalid_values(cds: Cds) -> None:
    tracker = cds.create()["anonymous_profile_tracker"]
    assert cds.post("/profiles", {"traits": {fresh("undefined"): 1}}, tracker=tracker).status_code == 200


def test_other_cookies_are_ignored(cds: Cds) -> None:
    tracker = cds.create()["anonymous_profile_tracker"]
    headers = {"Cookie": f"theme=dark; cds_profile={tracker}; lang=en"}
    assert cds.post("/profiles", {}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "tracker",
    ["00000000-0000-4000-8000-000000000000", "nonsense", "", '"quoted"', "a" * 3000],
    ids=lambda t: t[:12] or "empty",
)
def test_an_unknown_tracker_creates_a_new_profile(cds: Cds, tracker: str) -> None:
    answer = cds.post("/profiles", {}, tracker=tracker)
    assert answer.status_code == 201
    assert tracker_of(answer) != tracker


def test_a_profile_id_is_not_a_tracker(cds: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    assert cds.post("/profiles", {}, tracker=profile_id).status_code == 201


def test_the_tracker_of_a_deleted_profile_creates_a_new_profile(cds: Cds) -> None:
    created = cds.create()
    assert cds.delete(f"/profiles/{created['profile_id']}").status_code == 204
    answer = cds.post("/profiles", {}, tracker=created["anonymous_profile_tracker"])
    assert answer.status_code == 201
    assert answer.json()["profile_id"] != created["profile_id"]


def test_a_tracker_shows_nothing_of_a_user_whom_nobody_has_proved(cds: Cds) -> None:
    """The user is only reported for the browser: whoever brings its tracker reads what was said there."""
    key, user = cds.trait(), fresh("user")
    permanent = cds.create({"user_id": user, "traits": {key: "permanent"}})
    visitor = cds.create()
    cds.write(visitor["profile_id"], {"user_id": user})
    answer = cds.post("/profiles", {}, tracker=visitor["anonymous_profile_tracker"])
    assert answer.status_code == 200
    body = answer.json()
    assert body["profile_id"] == visitor["profile_id"]
    assert not {"user_id", "traits", "merged_to"} & body.keys()
    read = cds.read(visitor["profile_id"])
    assert read["traits"] == {key: "permanent"}
    assert read["merged_to"]["profile_id"] == permanent["profile_id"]


# -- user_id ----------------------------------------------------------------------------------------


def test_a_user_id_creates_a_permanent_profile(cds: Cds) -> None:
    user = fresh("user")
    created = cds.create({"user_id": user})
    assert created["user_id"] == user
    assert cds.read(created["profile_id"])["user_id"] == user


def test_a_user_id_also_needs_the_permission_to_update(cds: Cds) -> None:
    user = fresh("user")
    answer = cds.post("/profiles", {"user_id": user}, token=cds.token("profile_create"))
    assert_error(answer, 403, "CDS-10003")
    assert cds.get("/profiles", params={"filter": f"user_id eq {user}"}).json()["profiles"] == []
    answer = cds.post("/profiles", {"user_id": user}, token=cds.token("profile_create", "profile_update"))
    assert answer.status_code == 201


def test_without_a_user_id_the_permission_to_create_is_enough(cds: Cds) -> None:
    assert cds.post("/profiles", {}, token=cds.token("profile_create")).status_code == 201


def test_an_empty_user_id_is_ignored(cds: Cds) -> None:
    created = cds.create({"user_id": ""})
    assert "user_id" not in created
    second = cds.create({"user_id": ""})
    assert "merged_to" not in second


def test_a_profile_of_a_known_user_is_absorbed_at_once(cds: Cds) -> None:
    user = fresh("user")
    first = cds.create({"user_id": user})
    answer = cds.post("/profiles", {"user_id": user})
    assert answer.status_code == 201
    second = answer.json()
    assert second["profile_id"] != first["profile_id"]
    assert second["merged_to"] == {"profile_id": first["profile_id"], "reason": "system:user_id_match"}
    assert answer.headers["location"].endswith(second["profile_id"])


def test_the_survivor_lists_every_absorbed_profile(cds: Cds) -> None:
    user = fresh("user")
    first = cds.create({"user_id": user})
    absorbed = {cds.create({"user_id": user})["profile_id"] for _ in range(3)}
    survivor = cds.read(first["profile_id"])
    assert {m["profile_id"] for m in survivor["merged_from"]} == absorbed
    assert {m["reason"] for m in survivor["merged_from"]} == {"system:user_id_match"}
    assert "merged_to" not in survivor
