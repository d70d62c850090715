"""Random stories, one by one and at once; the log must fold to the state afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire.client import Cds
from wire.story import Story

PAIRS = 15


def test_an_absorbed_profile_and_then_its_survivor_are_erased(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    first, second = (org.create({"user_id": "u"})["profile_id"] for _ in range(2))
    for profile_id in (second, first):
        assert org.delete(f"/profiles/{profile_id}").status_code == 204
    made = org.create({"user_id": "u"})
    assert "merged_to" not in made
    assert "merged_from" not in org.read(made["profile_id"])


@pytest.mark.parametrize("seed", range(4))
def test_a_story_in_any_order_leaves_every_id_with_one_person(new_org: Callable[[], Cds], seed: int) -> None:
    story = Story(new_org(), seed)
    story.run()
    story.check()


def test_concurrent_stories_leave_every_id_with_one_person(new_org: Callable[[], Cds]) -> None:
    """Six people with the same three users, the same browsers and the same keys, all at once."""
    first = Story(new_org(), 100)
    stories = [first, *(first.beside(101 + n) for n in range(5))]
    with ThreadPoolExecutor(len(stories)) as pool:
        list(pool.map(Story.run, stories))
    first.check()


def test_an_absorbed_id_is_written_and_erased_at_the_same_moment(new_org: Callable[[], Cds]) -> None:
    org, gate = new_org(), threading.Barrier(2)
    key = org.trait()

    def send(method: str, path: str) -> int:
        gate.wait()
        body = {"json": {"traits": {key: "late"}}} if method == "PATCH" else {}
        return org.request(method, path, **body).status_code

    with ThreadPoolExecutor(2) as pool:
        for pair in range(PAIRS):
            survivor, absorbed = (org.create()["profile_id"] for _ in range(2))
            for profile_id in (survivor, absorbed):
                org.write(profile_id, {"user_id": f"u-{pair}"})
            wrote, erased = pool.map(send, ("PATCH", "DELETE"), [f"/profiles/{absorbed}"] * 2)
            assert wrote in (200, 404)
            assert erased == 204
            assert org.get(f"/profiles/{absorbed}").status_code == 404
            assert "merged_from" not in org.read(survivor)
