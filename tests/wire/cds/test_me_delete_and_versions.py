"""Me, DELETE, ETag and If-Match (docs/wire/cds.md §5.5)."""

from __future__ import annotations

import base64
import json

import pytest

from wire.browser import Browser, WebApplication, new_person, register
from wire.client import UNKNOWN_ID, Cds, assert_error, fresh


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


def test_a_user_can_update_me(cds: Cds, token: str) -> None:
    key = cds.trait()
    answer = cds.patch("/profiles/Me", {"traits": {key: "mine"}}, token=token)
    assert answer.status_code == 200
    assert answer.headers["etag"]
    assert "traits" not in answer.json()
    assert cds.read(answer.json()["profile_id"])["traits"][key] == "mine"


def test_me_shows_what_the_user_consented_to(cds: Cds, token: str, web_app: WebApplication) -> None:
    trait, data = cds.trait(), cds.application_attribute(application=web_app.client_id)
    own = cds.get("/profiles/Me", token=token).json()["profile_id"]
    cds.write(own, {"traits": {trait: "x"}, "application_data": {web_app.client_id: {data: "y"}}})
    category = cds.category(f"traits.{trait}", f"application_data.{data}@{web_app.client_id}")
    cds.consent(own, **{category: True})
    assert "traits" not in cds.get("/profiles/Me", token=token).json()
    me = cds.get("/profiles/Me", token=token, params={"consentCategoryId": category}).json()
    assert me["traits"] == {trait: "x"}
    assert me["application_data"] == {web_app.client_id: {data: "y"}}


def test_me_is_the_profile_of_the_tracker(cds: Cds) -> None:
    key, created = cds.trait(), cds.create()
    tracker = created["anonymous_profile_tracker"]
    answer = cds.get("/profiles/Me", tracker=tracker)
    assert answer.status_code == 200
    assert answer.json()["profile_id"] == created["profile_id"]
    written = cds.patch("/profiles/Me", {"traits": {key: "x"}}, tracker=tracker)
    assert written.status_code == 200
    assert written.json()["traits"] == {key: "x"}
    assert cds.read(created["profile_id"])["traits"] == {key: "x"}


def test_the_token_takes_precedence_over_another_users_tracker(cds: Cds, token: str) -> None:
    key, created = cds.trait(), cds.create()
    cds.write(created["profile_id"], {"user_id": fresh("stranger")})
    tracker = created["anonymous_profile_tracker"]
    assert cds.get("/profiles/Me", token=token, tracker=tracker).json()["user_id"] == _sub(token)
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token, tracker=tracker)
    assert key not in cds.read(created["profile_id"]).get("traits", {})


def test_the_token_takes_precedence_over_the_tracker_of_a_temporary_profile(cds: Cds, token: str) -> None:
    key, tracker = cds.trait(), cds.create()["anonymous_profile_tracker"]
    answer = cds.get("/profiles/Me", token=token, tracker=tracker)
    assert answer.json()["user_id"] == _sub(token)
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token, tracker=tracker)
    assert cds.get("/profiles/Me", tracker=tracker).json().get("traits", {}) == {}


def test_with_an_unknown_tracker_me_is_the_tokens_user(cds: Cds, token: str) -> None:
    answer = cds.get("/profiles/Me", token=token, tracker=UNKNOWN_ID)
    assert answer.json()["user_id"] == _sub(token)


def test_a_token_without_a_user_has_no_me(cds: Cds) -> None:
    read = cds.get("/profiles/Me")
    assert_error(read, 401, "CDS-11003")
    patched = cds.patch("/profiles/Me", {})
    assert patched.status_code == 401
    assert patched.headers["content-type"].startswith("text/plain")
    assert patched.text.strip() == "Missing 'sub' in token"


def test_patching_me_with_invalid_json_is_rejected(cds: Cds, token: str) -> None:
    assert_error(cds.raw("PATCH", "/profiles/Me", "{broken", token=token), 400, "CDS-11011")


def test_a_user_cannot_change_their_user_id(cds: Cds, token: str) -> None:
    assert_error(cds.patch("/profiles/Me", {"user_id": fresh("other")}, token=token), 400, "CDS-11011")
    assert cds.get("/profiles/Me", token=token).json()["user_id"] == _sub(token)


# -- DELETE -----------------------------------------------------------------------------------------


def test_a_deleted_profile_is_not_found(cds: Cds) -> None:
    profile_id = cds.create()["profile_id"]
    answer = cds.delete(f"/profiles/{profile_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_error(cds.get(f"/profiles/{profile_id}"), 404, "CDS-11001")
    assert_error(
        cds.patch(f"/profiles/{profile_id}", {}), 404, "CDS-11001", f"Profile {profile_id} not found"
    )
    assert cds.get("/profiles", params={"filter": f"profile_id eq {profile_id}"}).json()["profiles"] == []
    assert cds.delete(f"/profiles/{profile_id}").status_code == 204


def test_deleting_the_survivor_erases_every_absorbed_id(cds: Cds) -> None:
    user = fresh("user")
    ids = [cds.create({"user_id": user})["profile_id"] for _ in range(3)]
    assert cds.delete(f"/profiles/{ids[0]}").status_code == 204
    for profile_id in ids:
        assert_error(cds.get(f"/profiles/{profile_id}"), 404, "CDS-11001")


def test_an_erased_user_can_return_as_a_new_user(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait()
    old = cds.create({"user_id": user, "traits": {key: "x"}})["profile_id"]
    cds.delete(f"/profiles/{old}")
    new = cds.create({"user_id": user})
    assert new["profile_id"] != old
    assert "merged_to" not in new
    assert "traits" not in new


def test_deleting_an_absorbed_profile_removes_its_own_data_only(cds: Cds) -> None:
    user, survivor_key, absorbed_key = fresh("user"), cds.trait(), cds.trait()
    survivor = cds.create({"user_id": user, "traits": {survivor_key: "stays"}})["profile_id"]
    absorbed = cds.create({"user_id": user, "traits": {absorbed_key: "goes"}})["profile_id"]
    assert cds.read(survivor)["traits"] == {survivor_key: "stays", absorbed_key: "goes"}
    assert cds.delete(f"/profiles/{absorbed}").status_code == 204
    assert_error(cds.get(f"/profiles/{absorbed}"), 404, "CDS-11001")
    remaining = cds.read(survivor)
    assert remaining["traits"] == {survivor_key: "stays"}
    assert remaining["user_id"] == user
    assert "merged_from" not in remaining


def test_deleting_an_absorbed_profile_leaves_the_others_merged(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait()
    survivor = cds.create({"user_id": user})["profile_id"]
    first = cds.create({"user_id": user})["profile_id"]
    second = cds.create({"user_id": user, "traits": {key: "x"}})["profile_id"]
    cds.delete(f"/profiles/{first}")
    remaining = cds.read(survivor)
    assert [m["profile_id"] for m in remaining["merged_from"]] == [second]
    assert remaining["traits"] == {key: "x"}
    assert cds.read(second)["merged_to"]["profile_id"] == survivor


@pytest.mark.parametrize("origin", ["created with the user", "got the user later"])
def test_absorbed_profiles_are_deleted_one_after_the_other(cds: Cds, origin: str) -> None:
    user, key = fresh("user"), cds.trait()
    survivor, *absorbed = (
        cds.create({"user_id": user} if origin == "created with the user" else {})["profile_id"]
        for _ in range(4)
    )
    for profile_id in (survivor, *absorbed):
        cds.write(profile_id, {"user_id": user})
    cds.write(survivor, {"traits": {key: "stays"}})
    for deleted in range(1, 4):
        assert cds.delete(f"/profiles/{absorbed[deleted - 1]}").status_code == 204
        remaining = cds.read(survivor)
        assert {m["profile_id"] for m in remaining.get("merged_from", [])} == set(absorbed[deleted:])
        assert remaining["traits"] == {key: "stays"}
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


def test_a_patch_of_the_current_version_is_applied(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    headers = {"If-Match": _version(cds, profile_id)}
    assert cds.patch(f"/profiles/{profile_id}", {"traits": {key: "x"}}, headers=headers).status_code == 200


@pytest.mark.parametrize("stale", ["the one before", '"0"', '"nonsense"'])
def test_a_patch_of_a_stale_version_is_rejected(cds: Cds, stale: str) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    before = _version(cds, profile_id)
    cds.write(profile_id, {"traits": {key: "x"}})
    headers = {"If-Match": before if stale == "the one before" else stale}
    assert_error(
        cds.patch(f"/profiles/{profile_id}", {"traits": {key: "y"}}, headers=headers), 412, "CDS-11011"
    )
    assert cds.read(profile_id)["traits"] == {key: "x"}


def test_a_delete_of_a_stale_version_is_rejected(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    before = _version(cds, profile_id)
    cds.write(profile_id, {"traits": {key: "x"}})
    assert_error(cds.delete(f"/profiles/{profile_id}", headers={"If-Match": before}), 412, "CDS-11012")
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
    assert_error(answer, 412, "CDS-11011")
    headers = {"If-Match": _version(cds, absorbed)}
    assert cds.patch(f"/profiles/{absorbed}", {"traits": {key: "y"}}, headers=headers).status_code == 200


def test_a_merge_gives_the_survivor_a_new_version(cds: Cds) -> None:
    user = fresh("user")
    survivor = cds.create({"user_id": user})["profile_id"]
    before = _version(cds, survivor)
    cds.create({"user_id": user})
    assert _version(cds, survivor) != before


def test_a_patch_of_me_with_a_stale_version_is_rejected(cds: Cds, token: str) -> None:
    key = cds.trait()
    before = cds.get("/profiles/Me", token=token).headers["etag"]
    cds.patch("/profiles/Me", {"traits": {key: "x"}}, token=token)
    answer = cds.patch("/profiles/Me", {"traits": {key: "y"}}, token=token, headers={"If-Match": before})
    assert_error(answer, 412, "CDS-11011")
