"""Me, DELETE, ETag and If-Match (docs/wire/cds.md §5.5)."""

from __future__ import annotations

import base64
import json

import pytest

from wire.browser import Browser, WebApplication, new_person, register
from wire.client import UNKNOWN_ID, Cds, fresh, refused


@pytest.fixture(scope="module")
def token(cds: Cds, web_app: WebApplication) -> str:
    """The access token of a user who registered in a browser without a tracker."""
    return str(register(Browser(cds.base_url), web_app, new_person(fresh("me")))["access_token"])


def _sub(token: str) -> str:
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"])


# -- Me ---------------------------------------------------------------------------------------------


def test_me_is_the_profile_of_the_tokens_user(cds: Cds, token: str) -> None:
    answer = cds.get("/profiles/Me", token=token)
    assert answer.status_code == 200
    assert answer.headers["etag"]
    assert answer.json()["user_id"] == _sub(token)
    assert cds.read(answer.json()["profile_id"])["user_id"] == _sub(token)


def test_me_is_written_by_its_user(cds: Cds, token: str) -> None:
    key = cds.trait()
    answer = cds.patch("/profiles/Me", {"traits": {key: "mine"}}, token=token)
    assert answer.status_code == 200
    assert answer.headers["etag"]
    assert answer.json()["traits"][key] == "mine"
    assert cds.get("/profiles/Me", token=token).json()["traits"][key] == "mine"


def test_me_is_unfiltered(cds: Cds, token: str) -> None:
    trait, data = cds.trait(), cds.application_attribute()
    own = cds.get("/profiles/Me", token=token).json()["profile_id"]
    cds.write(own, {"traits": {trait: "x"}, "application_data": {cds.client_id: {data: "y"}}})
    me = cds.get("/profiles/Me", token=token).json()
    assert me["traits"][trait] == "x"
    assert me["application_data"][cds.client_id][data] == "y"


def test_me_is_the_profile_of_an_active_tracker(cds: Cds) -> None:
    key, made = cds.trait(), cds.create()
    tracker = made["anonymous_profile_tracker"]
    answer = cds.get("/profiles/Me", tracker=tracker)
    assert answer.status_code == 200
    assert answer.json()["profile_id"] == made["profile_id"]
    written = cds.patch("/profiles/Me", {"traits": {key: "x"}}, tracker=tracker)
    assert written.status_code == 200
    assert written.json()["traits"] == {key: "x"}
    assert cds.read(made["profile_id"])["traits"] == {key: "x"}


def test_the_token_decides_when_the_cookie_is_another_users(cds: Cds, token: str) -> None:
    key, made = cds.trait(), cds.create()
    cds.write(made["profile_id"], {"user_id": fresh("stranger")})
    tracker = made["anonymous_profile_tracker"]
    assert cds.get("/profiles/Me", token=token, tracker=tracker).json()["user_id"] == _sub(token)
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token, tracker=tracker)
    assert key not in cds.read(made["profile_id"]).get("traits", {})


def test_the_token_decides_when_the_cookies_profile_is_temporary(cds: Cds, token: str) -> None:
    key, tracker = cds.trait(), cds.create()["anonymous_profile_tracker"]
    answer = cds.get("/profiles/Me", token=token, tracker=tracker)
    assert answer.json()["user_id"] == _sub(token)
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token, tracker=tracker)
    assert cds.get("/profiles/Me", tracker=tracker).json().get("traits", {}) == {}


def test_an_unknown_tracker_leaves_the_decision_to_the_token(cds: Cds, token: str) -> None:
    answer = cds.get("/profiles/Me", token=token, tracker=UNKNOWN_ID)
    assert answer.json()["user_id"] == _sub(token)


def test_a_token_without_a_user_has_no_me(cds: Cds) -> None:
    got = cds.get("/profiles/Me")
    if got.status_code == 401:
        refused(got, 401, "CDS-11003")
    else:
        refused(got, 404, "CDS-11001")
    sent = cds.patch("/profiles/Me", {})
    assert sent.status_code == 401
    assert sent.headers["content-type"].startswith("text/plain")
    assert sent.text.strip() in ("Missing 'sub' in token", "Profile not found for token subject")


def test_patch_of_me_with_bad_json_stops(cds: Cds, token: str) -> None:
    refused(cds.raw("PATCH", "/profiles/Me", "{broken", token=token), 400, "CDS-11011")


def test_a_user_does_not_change_their_own_user_id(cds: Cds, token: str) -> None:
    refused(cds.patch("/profiles/Me", {"user_id": fresh("other")}, token=token), 400, "CDS-11011")
    assert cds.get("/profiles/Me", token=token).json()["user_id"] == _sub(token)


# -- DELETE -----------------------------------------------------------------------------------------


def test_a_deleted_profile_is_not_found(cds: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    answer = cds.delete(f"/profiles/{profile_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(cds.get(f"/profiles/{profile_id}"), 404, "CDS-11001")
    refused(cds.patch(f"/profiles/{profile_id}", {}), 404, "CDS-11001", f"Profile {profile_id} not found")
    assert cds.get("/profiles", params={"filter": f"profile_id eq {profile_id}"}).json()["profiles"] == []
    assert cds.delete(f"/profiles/{profile_id}").status_code == 204


def test_deleting_the_survivor_erases_every_absorbed_id(cds: Cds) -> None:
    user = fresh("user")
    ids = [cds.create({"user_id": user})["profile_id"] for _ in range(3)]
    assert cds.delete(f"/profiles/{ids[0]}").status_code == 204
    for profile_id in ids:
        refused(cds.get(f"/profiles/{profile_id}"), 404, "CDS-11001")


def test_an_erased_user_can_return_as_a_new_user(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait()
    old = cds.create({"user_id": user, "traits": {key: "x"}})["profile_id"]
    cds.delete(f"/profiles/{old}")
    new = cds.create({"user_id": user})
    assert new["profile_id"] != old
    assert "merged_to" not in new
    assert "traits" not in new


def test_deleting_an_absorbed_profile_removes_its_own_data_only(cds: Cds) -> None:
    user, ours, theirs = fresh("user"), cds.trait(), cds.trait()
    survivor = cds.create({"user_id": user, "traits": {ours: "stays"}})["profile_id"]
    absorbed = cds.create({"user_id": user, "traits": {theirs: "goes"}})["profile_id"]
    assert cds.read(survivor)["traits"] == {ours: "stays", theirs: "goes"}
    assert cds.delete(f"/profiles/{absorbed}").status_code == 204
    refused(cds.get(f"/profiles/{absorbed}"), 404, "CDS-11001")
    left = cds.read(survivor)
    assert left["traits"] == {ours: "stays"}
    assert left["user_id"] == user
    assert "merged_from" not in left


def test_deleting_one_absorbed_profile_splits_nothing_of_the_rest(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait()
    survivor = cds.create({"user_id": user})["profile_id"]
    first = cds.create({"user_id": user})["profile_id"]
    second = cds.create({"user_id": user, "traits": {key: "x"}})["profile_id"]
    cds.delete(f"/profiles/{first}")
    left = cds.read(survivor)
    assert [m["profile_id"] for m in left["merged_from"]] == [second]
    assert left["traits"] == {key: "x"}
    assert cds.read(second)["merged_to"]["profile_id"] == survivor


@pytest.mark.parametrize("how", ["made with the user", "gained the user"])
def test_absorbed_profiles_are_deleted_one_after_the_other(cds: Cds, how: str) -> None:
    user, key = fresh("user"), cds.trait()
    survivor, *absorbed = (
        cds.create({"user_id": user} if how == "made with the user" else {})["profile_id"] for _ in range(4)
    )
    for profile_id in (survivor, *absorbed):
        cds.write(profile_id, {"user_id": user})
    cds.write(survivor, {"traits": {key: "stays"}})
    for gone in range(1, 4):
        assert cds.delete(f"/profiles/{absorbed[gone - 1]}").status_code == 204
        left = cds.read(survivor)
        assert {m["profile_id"] for m in left.get("merged_from", [])} == set(absorbed[gone:])
        assert left["traits"] == {key: "stays"}
    assert cds.delete(f"/profiles/{survivor}").status_code == 204


# -- versions ---------------------------------------------------------------------------------------


def _version(cds: Cds, profile_id: str) -> str:
    return str(cds.get(f"/profiles/{profile_id}").headers["etag"])


def test_a_change_gives_a_new_version(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    before = _version(cds, profile_id)
    answer = cds.patch(f"/profiles/{profile_id}", {"traits": {key: "x"}})
    assert answer.headers["etag"] != before
    assert answer.headers["etag"] == _version(cds, profile_id)


def test_reading_gives_no_new_version(cds: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    assert _version(cds, profile_id) == _version(cds, profile_id)


def test_a_patch_of_the_current_version_is_made(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    headers = {"If-Match": _version(cds, profile_id)}
    assert cds.patch(f"/profiles/{profile_id}", {"traits": {key: "x"}}, headers=headers).status_code == 200


@pytest.mark.parametrize("stale", ["the one before", '"0"', '"nonsense"'])
def test_a_patch_of_a_stale_version_is_refused(cds: Cds, stale: str) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    before = _version(cds, profile_id)
    cds.write(profile_id, {"traits": {key: "x"}})
    headers = {"If-Match": before if stale == "the one before" else stale}
    refused(cds.patch(f"/profiles/{profile_id}", {"traits": {key: "y"}}, headers=headers), 412, "CDS-11011")
    assert cds.read(profile_id)["traits"] == {key: "x"}


def test_a_delete_of_a_stale_version_is_refused(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    before = _version(cds, profile_id)
    cds.write(profile_id, {"traits": {key: "x"}})
    refused(cds.delete(f"/profiles/{profile_id}", headers={"If-Match": before}), 412, "CDS-11012")
    assert (
        cds.delete(f"/profiles/{profile_id}", headers={"If-Match": _version(cds, profile_id)}).status_code
        == 204
    )


def test_an_absorbed_id_has_the_version_of_the_unified_profile(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait()
    survivor = cds.create({"user_id": user})["profile_id"]
    absorbed = cds.create({"user_id": user})["profile_id"]
    assert _version(cds, survivor) == _version(cds, absorbed)
    before = _version(cds, survivor)
    cds.write(survivor, {"traits": {key: "x"}})
    answer = cds.patch(f"/profiles/{absorbed}", {"traits": {key: "y"}}, headers={"If-Match": before})
    refused(answer, 412, "CDS-11011")
    headers = {"If-Match": _version(cds, absorbed)}
    assert cds.patch(f"/profiles/{absorbed}", {"traits": {key: "y"}}, headers=headers).status_code == 200


def test_a_join_gives_the_survivor_a_new_version(cds: Cds) -> None:
    user = fresh("user")
    survivor = cds.create({"user_id": user})["profile_id"]
    before = _version(cds, survivor)
    cds.create({"user_id": user})
    assert _version(cds, survivor) != before


def test_a_version_of_me_guards_me(cds: Cds, token: str) -> None:
    key = cds.trait()
    before = cds.get("/profiles/Me", token=token).headers["etag"]
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token)
    answer = cds.patch("/profiles/Me", {"traits": {key: "y"}}, token=token, headers={"If-Match": before})
    refused(answer, 412, "CDS-11011")
