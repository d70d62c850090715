"""Two processes on one database act as one service: what one answered, the other knows."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from wire.client import Cds, draft, fresh, refused

TOGETHER = 12


@pytest.fixture(scope="module")
def both(cds: Cds, configured: Cds) -> tuple[Cds, Cds]:
    """Callers of the two processes, with one organisation and one application."""
    assert cds.base_url != configured.base_url
    assert (cds.org, cds.client_id) == (configured.org, configured.client_id)
    return cds, configured


def _at_once(tasks: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], httpx.Response]) -> httpx.Response:
        gate.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def test_a_token_of_one_process_is_let_in_by_the_other(both: tuple[Cds, Cds]) -> None:
    here, there = both
    assert there.get("/profiles", token=here.token()).status_code == 200
    assert here.get("/profiles", token=there.token()).status_code == 200


def test_a_profile_made_here_is_read_and_written_there(both: tuple[Cds, Cds]) -> None:
    here, there = both
    key = here.trait()
    made = here.create({"traits": {key: "here"}})
    assert there.read(made["profile_id"])["traits"] == {key: "here"}
    there.write(made["profile_id"], {"traits": {key: "there"}})
    assert here.read(made["profile_id"])["traits"] == {key: "there"}


def test_a_tracker_given_here_is_known_there(both: tuple[Cds, Cds]) -> None:
    here, there = both
    made = here.create()
    again = there.post("/profiles", {}, tracker=made["anonymous_profile_tracker"])
    assert again.status_code == 200
    assert again.json()["profile_id"] == made["profile_id"]


def test_an_attribute_defined_here_is_written_there_at_once(both: tuple[Cds, Cds]) -> None:
    here, there = both
    for _ in range(5):
        there.get("/profile-schema/traits")
        key = here.trait()
        assert there.create({"traits": {key: "x"}})["traits"] == {key: "x"}
        here, there = there, here


def test_an_attribute_deleted_here_is_refused_and_hidden_there_at_once(both: tuple[Cds, Cds]) -> None:
    here, there = both
    for _ in range(5):
        key = fresh("gone")
        (made,) = here.define("traits", draft(f"traits.{key}"))
        profile_id = there.create({"traits": {key: "x"}})["profile_id"]
        here.delete(f"/profile-schema/traits/{made['attribute_id']}")
        assert "traits" not in there.read(profile_id)
        answer = there.post("/profiles", {"traits": {key: "x"}})
        refused(answer, 400, "CDS-11011", f"trait 'traits.{key}' not defined in schema")
        assert made not in there.get("/profile-schema/traits").json()
        here, there = there, here


def test_a_change_by_one_process_applies_in_the_other_at_once(both: tuple[Cds, Cds]) -> None:
    here, there = both
    name = f"traits.{fresh('changed')}"
    (made,) = here.define("traits", draft(name))
    key = name.split(".")[1]
    there.create({"traits": {key: "words"}})
    here.put(f"/profile-schema/traits/{made['attribute_id']}", draft(name, "integer", mutability="readWrite"))
    refused(
        there.post("/profiles", {"traits": {key: "words"}}), 400, "CDS-11011", f"trait '{key}': type mismatch"
    )
    assert there.create({"traits": {key: 7}})["traits"] == {key: 7}


def test_a_configuration_changed_here_holds_there_at_once(both: tuple[Cds, Cds]) -> None:
    here, there = both
    try:
        here.patch("/config", {"detach_on_sign_out": True})
        assert there.get("/config").json()["detach_on_sign_out"] is True
    finally:
        there.patch("/config", {"detach_on_sign_out": False})
    assert "detach_on_sign_out" not in here.get("/config").json()


def test_a_gate_closed_here_is_closed_there_at_once(new_org: Callable[[], Cds], configured: Cds) -> None:
    here = new_org()
    there = Cds(configured.base_url, here.org, here.client_id, here.client_secret)
    assert there.get("/profiles").status_code == 200
    here.patch("/config", {"cds_enabled": False})
    refused(there.get("/profiles"), 400, "CDS-16001")
    there.patch("/config", {"cds_enabled": True})
    assert here.get("/profiles").status_code == 200
    here.patch("/config", {"system_applications": []})
    assert "system_applications" not in there.get("/config").json()


def test_an_organisation_made_now_is_known_to_a_process_that_runs(
    new_org: Callable[[], Cds], configured: Cds
) -> None:
    made = new_org()
    assert (
        Cds(configured.base_url, made.org, made.client_id, made.client_secret).get("/profiles").status_code
        == 200
    )


def test_one_key_at_the_same_moment_in_both_makes_one_profile(both: tuple[Cds, Cds]) -> None:
    key, mark = both[0].trait(), fresh("mark")
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"traits": {key: mark}}
    answers = _at_once(
        [lambda c=both[n % 2]: c.post("/profiles", body, headers=headers) for n in range(TOGETHER)]
    )
    assert {a.status_code for a in answers} == {201}
    assert len({a.text for a in answers}) == 1
    found = both[0].get("/profiles", params={"filter": f"traits.{key} eq {mark}"}).json()["profiles"]
    assert len(found) == 1


def test_updates_through_both_are_stored(both: tuple[Cds, Cds]) -> None:
    here, _ = both
    words = [fresh("part") for _ in range(TOGETHER)]
    here.define("traits", *(draft(f"traits.{word}") for word in words))
    profile_id = here.create()["profile_id"]
    answers = _at_once(
        [
            lambda n=n: both[n % 2].patch(f"/profiles/{profile_id}", {"traits": {words[n]: "x"}})
            for n in range(TOGETHER)
        ]
    )
    assert {a.status_code for a in answers} == {200}
    assert here.read(profile_id)["traits"] == dict.fromkeys(words, "x")


def test_visitors_of_one_user_through_both_become_one(both: tuple[Cds, Cds]) -> None:
    here, there = both
    user = fresh("user")
    ids = [both[n % 2].create()["profile_id"] for n in range(TOGETHER)]
    answers = _at_once(
        [lambda n=n: both[n % 2].patch(f"/profiles/{ids[n]}", {"user_id": user}) for n in range(TOGETHER)]
    )
    assert {a.status_code for a in answers} == {200}
    (survivor,) = there.get("/profiles", params={"filter": f"user_id eq {user}"}).json()["profiles"]
    assert {survivor["profile_id"], *(m["profile_id"] for m in survivor["merged_from"])} == set(ids)
    for profile_id in set(ids) - {survivor["profile_id"]}:
        assert here.read(profile_id)["merged_to"]["profile_id"] == survivor["profile_id"]


def test_one_of_many_writers_through_both_processes_wins(both: tuple[Cds, Cds]) -> None:
    here, _ = both
    key, made = here.trait(), here.post("/profiles", {})
    headers, path = {"If-Match": made.headers["etag"]}, f"/profiles/{made.json()['profile_id']}"
    answers = _at_once(
        [
            lambda n=n: both[n % 2].patch(path, {"traits": {key: str(n)}}, headers=headers)
            for n in range(TOGETHER)
        ]
    )
    assert sorted(a.status_code for a in answers) == [200] + [412] * (TOGETHER - 1)


def test_one_attribute_defined_through_both_is_defined_once(both: tuple[Cds, Cds]) -> None:
    name = f"traits.{fresh('raced')}"
    answers = _at_once(
        [lambda n=n: both[n % 2].post("/profile-schema/traits", [draft(name)]) for n in range(8)]
    )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 7


def test_the_last_version_never_goes_back(both: tuple[Cds, Cds]) -> None:
    here, there = both
    key, profile_id = here.trait("integer"), here.create()["profile_id"]
    stamps = [
        (here, there)[n % 2].write(profile_id, {"traits": {key: n}})["meta"]["updated_at"] for n in range(20)
    ]
    assert stamps == sorted(set(stamps))
