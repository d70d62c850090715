"""Concurrent requests: each is applied exactly once and none is lost (docs/concepts/log-and-fold.md)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from wire.client import Cds, draft, fresh
from wire.concurrency import run_concurrently

CONCURRENT = 16


def _found(cds: Cds, condition: str) -> list[dict[str, Any]]:
    return list(
        cds.get("/profiles", params={"filter": condition, "page_size": 200, "attributes": "traits"}).json()[
            "profiles"
        ]
    )


def test_concurrent_creations_with_one_key_create_one_profile(cds: Cds) -> None:
    key, mark = cds.trait(), fresh("mark")
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answers = run_concurrently(
        [lambda: cds.post("/profiles", {"traits": {key: mark}}, headers=headers)] * CONCURRENT
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    assert len({a.headers["etag"] for a in answers}) == 1
    assert len(_found(cds, f"traits.{key} eq {mark}")) == 1


def test_a_repeated_creation_gets_the_first_answer(cds: Cds) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = cds.post("/profiles", {}, headers=headers)
    cds.write(first.json()["profile_id"], {"user_id": fresh("user")})
    again = cds.post("/profiles", {}, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["location"] == first.headers["location"]
    assert again.headers.get_list("set-cookie") == first.headers.get_list("set-cookie")


def test_a_repeated_update_is_applied_once(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = cds.patch(f"/profiles/{profile_id}", {"traits": {key: "first"}}, headers=headers)
    cds.write(profile_id, {"traits": {key: "second"}})
    again = cds.patch(f"/profiles/{profile_id}", {"traits": {key: "first"}}, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert cds.read(profile_id)["traits"] == {key: "second"}


def test_another_key_is_another_write(cds: Cds) -> None:
    profile_ids = {
        cds.post("/profiles", {}, headers={"Idempotency-Key": str(uuid.uuid4())}).json()["profile_id"]
        for _ in range(3)
    }
    assert len(profile_ids) == 3


def test_a_key_belongs_to_its_organisation(cds: Cds, other: Cds) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first, second = cds.post("/profiles", {}, headers=headers), other.post("/profiles", {}, headers=headers)
    assert first.json()["profile_id"] != second.json()["profile_id"]


def test_a_repeated_rejected_write_gets_the_same_answer(cds: Cds) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"traits": {fresh("undefined"): 1}}
    first, again = (cds.post("/profiles", body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 400


def test_parallel_updates_of_different_attributes_are_stored(cds: Cds) -> None:
    words = [fresh("part") for _ in range(CONCURRENT)]
    cds.define("traits", *(draft(f"traits.{word}") for word in words))
    profile_id = cds.create()["profile_id"]
    answers = run_concurrently(
        [lambda w=word: cds.patch(f"/profiles/{profile_id}", {"traits": {w: w}}) for word in words]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(profile_id)["traits"] == {word: word for word in words}
    last = cds.get(f"/profiles/{profile_id}").headers["etag"]
    assert max(a.headers["etag"] for a in answers) == last


def test_parallel_updates_inside_one_complex_value_are_stored(cds: Cds) -> None:
    names = [f"child_{n}" for n in range(CONCURRENT)]
    key = cds.address(**dict.fromkeys(names, "integer"))
    profile_id = cds.create()["profile_id"]
    answers = run_concurrently(
        [
            lambda n=n: cds.patch(f"/profiles/{profile_id}", {"traits": {key: {f"child_{n}": n}}})
            for n in range(CONCURRENT)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(profile_id)["traits"] == {key: {f"child_{n}": n for n in range(CONCURRENT)}}


def test_parallel_updates_through_absorbed_ids_are_stored(cds: Cds) -> None:
    words, user = [fresh("part") for _ in range(CONCURRENT)], fresh("user")
    cds.define("traits", *(draft(f"traits.{word}") for word in words))
    ids = [cds.create({"user_id": user})["profile_id"] for _ in range(4)]
    answers = run_concurrently(
        [
            lambda n=n: cds.patch(f"/profiles/{ids[n % 4]}", {"traits": {words[n]: "x"}})
            for n in range(CONCURRENT)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(ids[0])["traits"] == dict.fromkeys(words, "x")


def test_one_of_many_writers_of_a_version_succeeds(cds: Cds) -> None:
    key, created = cds.trait(), cds.post("/profiles", {})
    profile_id, headers = created.json()["profile_id"], {"If-Match": created.headers["etag"]}
    answers = run_concurrently(
        [
            lambda n=n: cds.patch(f"/profiles/{profile_id}", {"traits": {key: str(n)}}, headers=headers)
            for n in range(CONCURRENT)
        ]
    )
    codes = sorted(a.status_code for a in answers)
    assert codes == [200] + [412] * (CONCURRENT - 1)
    (winner,) = [n for n, a in enumerate(answers) if a.status_code == 200]
    assert cds.read(profile_id)["traits"] == {key: str(winner)}


def test_concurrent_profiles_of_one_user_merge_into_one(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait("integer", multi_valued=True, merge_strategy="combine")
    answers = run_concurrently(
        [
            lambda n=n: cds.post("/profiles", {"user_id": user, "traits": {key: [n]}})
            for n in range(CONCURRENT)
        ]
    )
    assert {a.status_code for a in answers} == {201}
    (survivor,) = _found(cds, f"user_id eq {user}")
    assert len(survivor["merged_from"]) == CONCURRENT - 1
    assert sorted(survivor["traits"][key]) == list(range(CONCURRENT))
    all_ids = {a.json()["profile_id"] for a in answers}
    assert all_ids == {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])}
    for profile_id in all_ids - {survivor["profile_id"]}:
        assert cds.read(profile_id)["merged_to"]["profile_id"] == survivor["profile_id"]


def test_concurrent_profiles_that_get_one_user_merge_into_one(cds: Cds) -> None:
    user = fresh("user")
    ids = [cds.create()["profile_id"] for _ in range(CONCURRENT)]
    answers = run_concurrently([lambda i=i: cds.patch(f"/profiles/{i}", {"user_id": user}) for i in ids])
    assert {a.status_code for a in answers} == {200}
    (survivor,) = _found(cds, f"user_id eq {user}")
    assert {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])} == set(ids)


def test_one_of_many_concurrent_users_is_set(cds: Cds) -> None:
    users, profile_id = [fresh("user") for _ in range(8)], cds.create()["profile_id"]
    answers = run_concurrently(
        [lambda u=u: cds.patch(f"/profiles/{profile_id}", {"user_id": u}) for u in users]
    )
    assert sorted(a.status_code for a in answers) == [200] + [400] * 7
    (winner,) = [u for u, a in zip(users, answers, strict=True) if a.status_code == 200]
    assert cds.read(profile_id)["user_id"] == winner


def test_a_concurrent_erasure_leaves_no_partial_profile(cds: Cds) -> None:
    key = cds.trait()
    for _ in range(4):
        profile_id = cds.create()["profile_id"]
        tasks: list[Callable[[], httpx.Response]] = [
            lambda n=n, p=profile_id: cds.patch(f"/profiles/{p}", {"traits": {key: str(n)}}) for n in range(7)
        ]
        answers = run_concurrently([*tasks, lambda p=profile_id: cds.delete(f"/profiles/{p}")])
        assert answers[-1].status_code == 204
        assert {a.status_code for a in answers[:-1]} <= {200, 404}
        assert cds.get(f"/profiles/{profile_id}").status_code == 404


def test_an_attribute_defined_concurrently_is_defined_once(cds: Cds) -> None:
    name = f"traits.{fresh('raced')}"
    answers = run_concurrently([lambda: cds.post("/profile-schema/traits", [draft(name)])] * 8)
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7


def test_attributes_defined_concurrently_are_all_stored(cds: Cds) -> None:
    names = [f"traits.{fresh('raced')}" for _ in range(8)]
    answers = run_concurrently([lambda n=n: cds.post("/profile-schema/traits", [draft(n)]) for n in names])
    assert {a.status_code for a in answers} == {201}
    listed = {a["attribute_name"] for a in cds.get("/profile-schema/traits").json()}
    assert set(names) <= listed


@pytest.mark.parametrize("size", [200])
def test_concurrent_visitors_get_a_profile_each(cds: Cds, size: int) -> None:
    with ThreadPoolExecutor(CONCURRENT) as pool:
        answers = list(pool.map(lambda _: cds.post("/profiles", {}), range(size)))
    assert {a.status_code for a in answers} == {201}
    for field in ("profile_id", "anonymous_profile_tracker"):
        assert len({a.json()[field] for a in answers}) == size
