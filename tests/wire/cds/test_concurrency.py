"""Exactly once, and nothing lost when everything happens at once (docs/concepts/log-and-fold.md)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from wire.client import Cds, draft, fresh

TOGETHER = 16


def _at_once(tasks: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """Run all tasks at the same moment, each in its own thread, and give their answers in order."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], httpx.Response]) -> httpx.Response:
        gate.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def _found(cds: Cds, condition: str) -> list[dict[str, Any]]:
    return list(
        cds.get("/profiles", params={"filter": condition, "page_size": 200, "attributes": "traits"}).json()[
            "profiles"
        ]
    )


def test_many_creations_with_one_key_make_one_profile(cds: Cds) -> None:
    key, mark = cds.trait(), fresh("mark")
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    answers = _at_once([lambda: cds.post("/profiles", {"traits": {key: mark}}, headers=headers)] * TOGETHER)
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


def test_a_repeated_update_is_made_once(cds: Cds) -> None:
    key, profile_id = cds.trait(), cds.create()["profile_id"]
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    first = cds.patch(f"/profiles/{profile_id}", {"traits": {key: "first"}}, headers=headers)
    cds.write(profile_id, {"traits": {key: "second"}})
    again = cds.patch(f"/profiles/{profile_id}", {"traits": {key: "first"}}, headers=headers)
    assert (again.status_code, again.json()) == (200, first.json())
    assert cds.read(profile_id)["traits"] == {key: "second"}


def test_another_key_is_another_write(cds: Cds) -> None:
    made = {
        cds.post("/profiles", {}, headers={"Idempotency-Key": str(uuid.uuid4())}).json()["profile_id"]
        for _ in range(3)
    }
    assert len(made) == 3


def test_a_key_belongs_to_its_organisation(cds: Cds, other: Cds) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    ours, theirs = cds.post("/profiles", {}, headers=headers), other.post("/profiles", {}, headers=headers)
    assert ours.json()["profile_id"] != theirs.json()["profile_id"]


def test_a_refused_write_can_be_repaired_under_its_key_or_is_refused_again(cds: Cds) -> None:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"traits": {fresh("undefined"): 1}}
    first, again = (cds.post("/profiles", body, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert first.status_code == 400


def test_parallel_updates_of_different_attributes_are_stored(cds: Cds) -> None:
    words = [fresh("part") for _ in range(TOGETHER)]
    cds.define("traits", *(draft(f"traits.{word}") for word in words))
    profile_id = cds.create()["profile_id"]
    answers = _at_once(
        [lambda w=word: cds.patch(f"/profiles/{profile_id}", {"traits": {w: w}}) for word in words]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(profile_id)["traits"] == {word: word for word in words}
    assert len({a.headers["etag"] for a in answers}) == TOGETHER


def test_parallel_updates_inside_one_complex_value_are_stored(cds: Cds) -> None:
    names = [f"child_{n}" for n in range(TOGETHER)]
    key = cds.address(**dict.fromkeys(names, "integer"))
    profile_id = cds.create()["profile_id"]
    answers = _at_once(
        [
            lambda n=n: cds.patch(f"/profiles/{profile_id}", {"traits": {key: {f"child_{n}": n}}})
            for n in range(TOGETHER)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(profile_id)["traits"] == {key: {f"child_{n}": n for n in range(TOGETHER)}}


def test_parallel_updates_through_absorbed_ids_are_stored(cds: Cds) -> None:
    words, user = [fresh("part") for _ in range(TOGETHER)], fresh("user")
    cds.define("traits", *(draft(f"traits.{word}") for word in words))
    ids = [cds.create({"user_id": user})["profile_id"] for _ in range(4)]
    answers = _at_once(
        [
            lambda n=n: cds.patch(f"/profiles/{ids[n % 4]}", {"traits": {words[n]: "x"}})
            for n in range(TOGETHER)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert cds.read(ids[0])["traits"] == dict.fromkeys(words, "x")


def test_one_of_many_writers_of_a_version_wins(cds: Cds) -> None:
    key, made = cds.trait(), cds.post("/profiles", {})
    profile_id, headers = made.json()["profile_id"], {"If-Match": made.headers["etag"]}
    answers = _at_once(
        [
            lambda n=n: cds.patch(f"/profiles/{profile_id}", {"traits": {key: str(n)}}, headers=headers)
            for n in range(TOGETHER)
        ]
    )
    codes = sorted(a.status_code for a in answers)
    assert codes == [200] + [412] * (TOGETHER - 1)
    (winner,) = [n for n, a in enumerate(answers) if a.status_code == 200]
    assert cds.read(profile_id)["traits"] == {key: str(winner)}


def test_many_profiles_of_one_new_user_become_one(cds: Cds) -> None:
    user, key = fresh("user"), cds.trait("integer", multi_valued=True, merge_strategy="combine")
    answers = _at_once(
        [lambda n=n: cds.post("/profiles", {"user_id": user, "traits": {key: [n]}}) for n in range(TOGETHER)]
    )
    assert {a.status_code for a in answers} == {201}
    (survivor,) = _found(cds, f"user_id eq {user}")
    assert len(survivor["merged_from"]) == TOGETHER - 1
    assert sorted(survivor["traits"][key]) == list(range(TOGETHER))
    everybody = {a.json()["profile_id"] for a in answers}
    assert everybody == {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])}
    for profile_id in everybody - {survivor["profile_id"]}:
        assert cds.read(profile_id)["merged_to"]["profile_id"] == survivor["profile_id"]


def test_many_visitors_gaining_one_user_at_once_become_one(cds: Cds) -> None:
    user = fresh("user")
    ids = [cds.create()["profile_id"] for _ in range(TOGETHER)]
    answers = _at_once([lambda i=i: cds.patch(f"/profiles/{i}", {"user_id": user}) for i in ids])
    assert {a.status_code for a in answers} == {200}
    (survivor,) = _found(cds, f"user_id eq {user}")
    assert {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])} == set(ids)


def test_one_profile_gains_one_of_many_users(cds: Cds) -> None:
    users, profile_id = [fresh("user") for _ in range(8)], cds.create()["profile_id"]
    answers = _at_once([lambda u=u: cds.patch(f"/profiles/{profile_id}", {"user_id": u}) for u in users])
    assert sorted(a.status_code for a in answers) == [200] + [400] * 7
    (winner,) = [u for u, a in zip(users, answers, strict=True) if a.status_code == 200]
    assert cds.read(profile_id)["user_id"] == winner


def test_writing_and_erasing_at_once_leaves_no_half_profile(cds: Cds) -> None:
    key = cds.trait()
    for _ in range(4):
        profile_id = cds.create()["profile_id"]
        tasks: list[Callable[[], httpx.Response]] = [
            lambda n=n, p=profile_id: cds.patch(f"/profiles/{p}", {"traits": {key: str(n)}}) for n in range(7)
        ]
        answers = _at_once([*tasks, lambda p=profile_id: cds.delete(f"/profiles/{p}")])
        assert answers[-1].status_code == 204
        assert {a.status_code for a in answers[:-1]} <= {200, 404}
        assert cds.get(f"/profiles/{profile_id}").status_code == 404


def test_one_attribute_defined_by_many_is_defined_once(cds: Cds) -> None:
    name = f"traits.{fresh('raced')}"
    answers = _at_once([lambda: cds.post("/profile-schema/traits", [draft(name)])] * 8)
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7


def test_different_attributes_defined_at_once_are_all_there(cds: Cds) -> None:
    names = [f"traits.{fresh('raced')}" for _ in range(8)]
    answers = _at_once([lambda n=n: cds.post("/profile-schema/traits", [draft(n)]) for n in names])
    assert {a.status_code for a in answers} == {201}
    listed = {a["attribute_name"] for a in cds.get("/profile-schema/traits").json()}
    assert set(names) <= listed


@pytest.mark.parametrize("size", [200])
def test_a_crowd_of_visitors_gets_a_profile_each(cds: Cds, size: int) -> None:
    with ThreadPoolExecutor(TOGETHER) as pool:
        answers = list(pool.map(lambda _: cds.post("/profiles", {}), range(size)))
    assert {a.status_code for a in answers} == {201}
    for field in ("profile_id", "anonymous_profile_tracker"):
        assert len({a.json()[field] for a in answers}) == size
