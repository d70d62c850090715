"""What strangers assert changes nothing of what others read, for random histories on PostgreSQL.

Two datasets get the same history: one with the pages and the words at Me of a stranger, the other without
the identities in them. What people, their browsers and applications read of everybody else is equal: who is
with whom, ids, values, versions. So is what the service accepts. `pytest -m soak` tries many more histories.

Source: docs/concepts/trust.md.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings

from oneself.services import Services
from support import databases
from support.effort import examples
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import STRANGE_ANONYMOUS, STRANGER, History, histories
from unit.core.identity_graph.steps import Me, Step

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(40_000)
Numbered = list[tuple[int, Step]]


def struck(history: History) -> Numbered:
    """The history without the identities in the stranger's words, and without words of no browser."""
    kept: Numbered = []
    for number, step in history.numbered:
        if number not in history.asserted:
            kept.append((number, step))
        elif isinstance(step, Me) or getattr(step, "tracker", None) or getattr(step, "anonymous_id", None):
            kept.append((number, msgspec.structs.replace(step, ids={})))
    return kept


def without(history: History) -> Numbered:
    """The history without the stranger's words."""
    return [(number, step) for number, step in history.numbered if number not in history.asserted]


async def read_by_others(services: Services, history: History, steps: Numbered) -> dict[Any, Any]:
    """What is read after these steps, but of the stranger. Ids are named by the step that began them."""
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(steps)
    return await _Reading(history, played).read()


class _Reading:
    def __init__(self, history: History, played: PlayedHistory) -> None:
        self._history = history
        self._played = played
        self._names: dict[UUID, tuple[int, str]] = {}

    async def read(self) -> dict[Any, Any]:
        rows = [row.fragment for row in await self._played.fragments()]
        self._names = {row.fragment_id: (self._step(row.began_at), row.origin) for row in rows}
        strange = {row.fragment_id for row in rows if self._is_strange(row)}
        found: dict[Any, Any] = {"rejected": self._rejected()}
        profiles = await self._played.profiles()
        members: dict[tuple[str, UUID], set[UUID]] = {}
        for (view, fragment_id), profile in profiles.items():
            members.setdefault((view, profile.profile_id), set()).add(fragment_id)
        for (view, fragment_id), profile in profiles.items():
            if members[view, profile.profile_id].isdisjoint(strange):
                found[view, self._names[fragment_id]] = self._profile(profile)
        for tracker in self._history.honest_trackers:
            found[tracker] = await self._tracked(tracker)
        return found

    async def joined_to_stranger(self) -> set[Any]:
        """The keys of what a proof joins to the stranger: fragments in each view, and trackers."""
        rows = [row.fragment for row in await self._played.fragments()]
        profiles = await self._played.profiles()
        strange = {profiles["proven", row.fragment_id].profile_id for row in rows if self._is_strange(row)}
        joined = [row for row in rows if profiles["proven", row.fragment_id].profile_id in strange]
        keys: set[Any] = {row.browser.value for row in joined if row.browser is not None}
        return keys | {(view, self._names[row.fragment_id]) for row in joined for view in ("own", "proven")}

    def _profile(self, profile: Any) -> Any:
        return (
            self._names[profile.profile_id],
            profile.user_id,
            profile.values,
            self._step(profile.created_at),
            self._step(profile.version),
            [(self._names[part.head], part.reason, self._step(part.seq)) for part in profile.absorbed],
        )

    async def _tracked(self, tracker: str) -> Any:
        found = await self._played.by_tracker(tracker)
        if found is None:
            return None
        profile, survivor = found.profile, found.survivor
        return (
            self._names[profile.profile_id],
            self._names[survivor.profile_id],
            survivor.user_id,
            survivor.record.values,
            self._step(survivor.created_at),
            self._step(survivor.updated_at),
        )

    def _step(self, seq: int) -> int:
        return self._played.step_of(seq)

    def _is_strange(self, fragment: Any) -> bool:
        browser = None if fragment.browser is None else fragment.browser.value
        return (
            self._step(fragment.began_at) in self._history.asserted
            or browser in (*self._history.strange_trackers, *STRANGE_ANONYMOUS)
            or fragment.user_id == STRANGER
        )

    def _rejected(self) -> dict[int, str]:
        asserted = self._history.asserted
        return {number: code for number, code in self._played.rejected.items() if number not in asserted}


async def assert_not_interfered(
    services: Services, history: History, other: Callable[[History], Numbered]
) -> None:
    note(history)
    await databases.empty(services.database)
    told = await read_by_others(services, history, history.numbered)
    assert told == await read_by_others(services, history, other(history))


@QUICK
@given(history=histories(is_edited=False))
async def test_identities_of_a_stranger_change_nothing_of_others(
    services: Services, history: History
) -> None:
    await assert_not_interfered(services, history, struck)


async def assert_erased_alone(services: Services, history: History, *, only_words: bool = False) -> None:
    """The erasure of the stranger, or of what their account said, takes nothing of others."""
    note(history)
    await databases.empty(services.database)
    played = await PlayedHistory(services, next(DATASETS)).begin(history.settings)
    await played.play(history.numbered)
    reading = _Reading(history, played)
    before = await reading.read()
    joined = await reading.joined_to_stranger()
    await (played.forget_words(STRANGER) if only_words else played.erase(STRANGER))
    after = await reading.read()
    # A server may have said of a browser who the stranger is; the erasure takes its words. What it said of
    # a browser of the stranger is refused while the stranger is a user, and proves others afterwards.
    joined |= await reading.joined_to_stranger()
    unjoined = before.keys() - joined
    assert {key: after.get(key) for key in unjoined} == {key: before[key] for key in unjoined}


@QUICK
@given(history=histories(is_edited=False))
async def test_the_erasure_of_a_stranger_takes_nothing_of_others(
    services: Services, history: History
) -> None:
    await assert_erased_alone(services, history)


@QUICK
@given(history=histories(is_edited=False))
async def test_what_the_account_of_a_stranger_said_leaves_nothing_of_others(
    services: Services, history: History
) -> None:
    await assert_erased_alone(services, history, only_words=True)


@pytest.mark.soak
@settings(QUICK, max_examples=10_000)
@given(history=histories(is_edited=False, steps_max=36))
async def test_erasures_in_many_histories(services: Services, history: History) -> None:
    await assert_erased_alone(services, history)


@pytest.mark.soak
@pytest.mark.parametrize("other", [struck, without])
@settings(QUICK, max_examples=10_000)
@given(history=histories(is_edited=False, steps_max=36))
async def test_in_many_histories(
    services: Services, history: History, other: Callable[[History], Numbered]
) -> None:
    await assert_not_interfered(services, history, other)
