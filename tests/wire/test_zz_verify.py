"""DESIGN §2: whatever callers do, the log folds to the state that answers. This file runs last."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.service import RunningService
from wire.client import Cds
from wire.story import Story


def _verified(service: RunningService) -> None:
    said = service.command("verify", deadline_s=300)
    assert said.returncode == 0, said.stdout[-2000:] + said.stderr[-2000:]


def test_whatever_the_tests_before_this_one_did(cds: Cds, service: RunningService) -> None:
    cds.create()
    _verified(service)


def test_an_absorbed_profile_and_then_its_survivor_are_erased(
    new_org: Callable[[], Cds], service: RunningService
) -> None:
    org = new_org()
    first, second = (org.create({"user_id": "u"})["profile_id"] for _ in range(2))
    for profile_id in (second, first):
        assert org.delete(f"/profiles/{profile_id}").status_code == 204
    org.create({"user_id": "u"})
    _verified(service)


@pytest.mark.parametrize("seed", range(4))
def test_a_story_in_any_order_leaves_every_id_with_one_person(new_org: Callable[[], Cds], seed: int) -> None:
    story = Story(new_org(), seed)
    story.tell()
    story.check()


def test_stories_told_at_once_leave_every_id_with_one_person(new_org: Callable[[], Cds]) -> None:
    """Six people with the same three users, the same browsers and the same keys, all at once."""
    first = Story(new_org(), 100)
    stories = [first, *(first.beside(101 + n) for n in range(5))]
    with ThreadPoolExecutor(len(stories)) as pool:
        list(pool.map(Story.tell, stories))
    first.check()


def test_the_stories_fold(service: RunningService) -> None:
    _verified(service)
