"""Two processes on one database act as one service: each sees the changes of the other at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest

from wire.client import Cds, assert_error, draft, fresh
from wire.concurrency import run_concurrently

CONCURRENT = 12


@pytest.fixture(scope="module")
def both(cds: Cds, configured: Cds) -> tuple[Cds, Cds]:
    """Callers of the two processes, with one organisation and one application."""
    assert cds.base_url != configured.base_url
    assert (cds.org, cds.client_id) == (configured.org, configured.client_id)
    return cds, configured


def test_a_token_of_one_process_is_accepted_by_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    assert second.get("/profiles", token=first.token()).status_code == 200
    assert first.get("/profiles", token=second.token()).status_code == 200


def test_a_profile_of_one_process_is_read_and_updated_by_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    key = first.trait()
    created = first.create({"traits": {key: "first"}})
    assert second.read(created["profile_id"])["traits"] == {key: "first"}
    second.write(created["profile_id"], {"traits": {key: "second"}})
    assert first.read(created["profile_id"])["traits"] == {key: "second"}


def test_a_tracker_of_one_process_is_known_to_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    created = first.create()
    repeated = second.post("/profiles", {}, tracker=created["anonymous_profile_tracker"])
    assert repeated.status_code == 200
    assert repeated.json()["profile_id"] == created["profile_id"]


def test_an_attribute_defined_in_one_process_is_accepted_by_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    for _ in range(5):
        second.get("/profile-schema/traits")
        key = first.trait()
        assert second.create({"traits": {key: "x"}})["traits"] == {key: "x"}
        first, second = second, first


def test_an_attribute_deleted_in_one_process_is_rejected_by_the_other(
    both: tuple[Cds, Cds],
) -> None:
    first, second = both
    for _ in range(5):
        key = fresh("gone")
        (created,) = first.define("traits", draft(f"traits.{key}"))
        profile_id = second.create({"traits": {key: "x"}})["profile_id"]
        first.delete(f"/profile-schema/traits/{created['attribute_id']}")
        assert "traits" not in second.read(profile_id)
        answer = second.post("/profiles", {"traits": {key: "x"}})
        assert_error(answer, 400, "CDS-11011", f"trait 'traits.{key}' not defined in schema")
        assert created not in second.get("/profile-schema/traits").json()
        first, second = second, first


def test_an_attribute_changed_in_one_process_is_changed_in_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    name = f"traits.{fresh('changed')}"
    (created,) = first.define("traits", draft(name))
    key = name.split(".")[1]
    second.create({"traits": {key: "words"}})
    first.put(
        f"/profile-schema/traits/{created['attribute_id']}", draft(name, "integer", mutability="readWrite")
    )
    assert_error(
        second.post("/profiles", {"traits": {key: "words"}}),
        400,
        "CDS-11011",
        f"trait '{key}': type mismatch",
    )
    assert second.create({"traits": {key: 7}})["traits"] == {key: 7}


def test_a_configuration_changed_in_one_process_applies_in_the_other(both: tuple[Cds, Cds]) -> None:
    first, second = both
    try:
        first.patch("/config", {"detach_on_sign_out": True})
        assert second.get("/config").json()["detach_on_sign_out"] is True
    finally:
        second.patch("/config", {"detach_on_sign_out": False})
    assert "detach_on_sign_out" not in first.get("/config").json()


def test_a_service_disabled_in_one_process_is_disabled_in_the_other(
    new_org: Callable[[], Cds], configured: Cds
) -> None:
    first = new_org()
    second = Cds(configured.base_url, first.org, first.client_id, first.client_secret)
    assert second.get("/profiles").status_code == 200
    first.patch("/config", {"cds_enabled": False})
    assert_error(second.get("/profiles"), 400, "CDS-16001")
    second.patch("/config", {"cds_enabled": True})
    assert first.get("/profiles").status_code == 200
    first.patch("/config", {"system_applications": []})
    assert "system_applications" not in second.get("/config").json()


def test_a_new_organisation_is_known_to_running_processes(
    new_org: Callable[[], Cds], configured: Cds
) -> None:
    created = new_org()
    assert (
        Cds(configured.base_url, created.org, created.client_id, created.client_secret)
        .get("/profiles")
        .status_code
        == 200
    )


def test_one_idempotency_key_in_both_processes_creates_one_profile(both: tuple[Cds, Cds]) -> None:
    key, mark = both[0].trait(), fresh("mark")
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"traits": {key: mark}}
    answers = run_concurrently(
        [lambda c=both[n % 2]: c.post("/profiles", body, headers=headers) for n in range(CONCURRENT)]
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    found = both[0].get("/profiles", params={"filter": f"traits.{key} eq {mark}"}).json()["profiles"]
    assert len(found) == 1


def test_updates_through_both_are_stored(both: tuple[Cds, Cds]) -> None:
    first, _ = both
    words = [fresh("part") for _ in range(CONCURRENT)]
    first.define("traits", *(draft(f"traits.{word}") for word in words))
    profile_id = first.create()["profile_id"]
    answers = run_concurrently(
        [
            lambda n=n: both[n % 2].patch(f"/profiles/{profile_id}", {"traits": {words[n]: "x"}})
            for n in range(CONCURRENT)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert first.read(profile_id)["traits"] == dict.fromkeys(words, "x")


def test_profiles_that_get_one_user_through_both_merge_into_one(both: tuple[Cds, Cds]) -> None:
    first, second = both
    user = fresh("user")
    ids = [both[n % 2].create()["profile_id"] for n in range(CONCURRENT)]
    answers = run_concurrently(
        [lambda n=n: both[n % 2].patch(f"/profiles/{ids[n]}", {"user_id": user}) for n in range(CONCURRENT)]
    )
    assert {a.status_code for a in answers} == {200}
    (survivor,) = second.get("/profiles", params={"filter": f"user_id eq {user}"}).json()["profiles"]
    assert {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])} == set(ids)
    for profile_id in set(ids) - {survivor["profile_id"]}:
        assert first.read(profile_id)["merged_to"]["profile_id"] == survivor["profile_id"]


def test_one_of_many_writers_of_a_version_through_both_succeeds(both: tuple[Cds, Cds]) -> None:
    first, _ = both
    key, created = first.trait(), first.post("/profiles", {})
    headers, path = {"If-Match": created.headers["etag"]}, f"/profiles/{created.json()['profile_id']}"
    answers = run_concurrently(
        [
            lambda n=n: both[n % 2].patch(path, {"traits": {key: str(n)}}, headers=headers)
            for n in range(CONCURRENT)
        ]
    )
    assert sorted(a.status_code for a in answers) == [200] + [412] * (CONCURRENT - 1)


def test_one_attribute_defined_through_both_is_defined_once(both: tuple[Cds, Cds]) -> None:
    name = f"traits.{fresh('raced')}"
    answers = run_concurrently(
        [lambda n=n: both[n % 2].post("/profile-schema/traits", [draft(name)]) for n in range(8)]
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7


def test_updated_at_increases_through_both(both: tuple[Cds, Cds]) -> None:
    first, second = both
    key, profile_id = first.trait("integer"), first.create()["profile_id"]
    stamps = [
        (first, second)[n % 2].write(profile_id, {"traits": {key: n}})["meta"]["updated_at"]
        for n in range(20)
    ]
    assert stamps == sorted(set(stamps))
