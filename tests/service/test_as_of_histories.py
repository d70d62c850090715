"""Random histories: what is read as of an instant equals what was read then, cut by today's profiles.

    untouched log     without decisions by hand, erasures and the reconciler: equal in all views
    decisions         in own and proven, equal if the profile lost nothing since; else what a split at that
                      instant would have left of it
    erasures          nothing of what was erased

Source: docs/decisions/0047-as-of.md.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from oneself.core.identity_graph.joins import VIEWS, View
from oneself.service.as_of.reading import ProfileThen, UnknownThen
from oneself.service.context import DatasetRef
from oneself.service.explain.explanations import Explanations
from oneself.service.explain.values import FIRST_JOIN
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.profiles import ProfileView
from oneself.services import Services
from oneself.store.tables.event import EventFilter
from oneself.store.transaction import Tables
from support import databases
from support.effort import examples
from support.view_histories import PlayedHistory
from unit.core.identity_graph.histories import History, histories

pytestmark = pytest.mark.postgres
QUICK = settings(
    max_examples=examples(8),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DATASETS = count(170_000)
SEEDS = st.integers(0, 10_000)
#: Of each history: at how many instants reads are recorded, and how many of these are repeated as of then.
INSTANTS, ASKED = 3, 5
#: Each value names the step that wrote it.
WRITTEN = re.compile(r"\bw(\d+)\b")


class Readers(msgspec.Struct, frozen=True):
    """What reads profiles, live or as they were."""

    lookup: Lookup
    explanations: Explanations
    person_events: PersonEvents
    timeline: ProfileHistory

    @classmethod
    def of(cls, services: Services) -> Readers:
        return cls(
            services.profiles.lookup,
            services.profiles.explanations,
            services.history.person_events,
            services.history.timeline,
        )

    async def answers(self, ref: DatasetRef, text: str, view: View) -> dict[str, Any] | None:
        """Everything that routes say of a profile."""
        found = await self.lookup.find(ref, text, view)
        return None if found is None else await self.of_view(ref, text, found)

    async def of_view(self, ref: DatasetRef, text: str, found: ProfileView) -> dict[str, Any]:
        survivor = found.survivor
        part = await self.explanations.find(ref, text, found.view)
        assert part is not None
        joins = await self.explanations.joins(ref, part, after=FIRST_JOIN, limit=200)
        person = await self.lookup.person_in(ref, found)
        events = await self.person_events.page(ref, found, EventFilter(), size=200)
        return {
            "id": (found.profile.profile_id, found.profile.reason),
            "survivor": survivor.profile_id,
            "user": survivor.user_id,
            "values": survivor.record.values,
            "provenance": survivor.record.provenance,
            "consents": survivor.consents,
            "times": (survivor.created_at, survivor.updated_at),
            "absorbed": found.absorbed,
            "names": (person.survivor.primary_id, person.former_ids),
            "devices": await self.lookup.devices(ref, found),
            "identifiers": await self.timeline.identifiers(ref, found, limit=500),
            "events": [event.event_id for event in events.events],
            "joins": joins.joins,
        }


class Recorded(msgspec.Struct, frozen=True):
    """What reads answered after a step."""

    number: int
    at: int
    answers: Mapping[tuple[View, str], dict[str, Any]]
    #: Of each profile that was read: its fragments, or in the view `all` the profiles that it consists of.
    members: Mapping[tuple[View, str], frozenset[UUID]]


class Chronicle:
    """A history that is played while reads are recorded, at some instants."""

    def __init__(self, services: Services, history: History, seed: int) -> None:
        self.services, self.history = services, history
        self.choice = random.Random(seed)
        self.played = PlayedHistory(services, next(DATASETS))
        self.ref = DatasetRef(self.played.dataset_id, "history", self.played.dataset_id)
        self.recorded: list[Recorded] = []

    async def play(self, views: Sequence[View], *, reconciles: bool = False) -> None:
        note(self.history)
        await databases.empty(self.services.database)
        await self.played.begin(self.history.settings)
        steps = self.history.numbered
        instants = {self.choice.randrange(len(steps)) for _ in range(INSTANTS)} if steps else set()
        for number, step in steps:
            await self.played.play([(number, step)])
            if number in instants:
                await self._record(number, views)
            if reconciles and self.choice.random() < 0.3:
                await self.services.log.reconciler.reconcile_all()

    async def _record(self, number: int, views: Sequence[View]) -> None:
        readers, answers, members = Readers.of(self.services), {}, {}
        for view in views:
            for row in await self.played.fragments():
                text = str(row.fragment.fragment_id)
                found = await readers.answers(self.ref, text, view)
                if found is not None:
                    answers[view, text] = found
                    members[view, text] = await self.members(view, text)
        self.recorded.append(Recorded(number, await self.played.last_seq(), answers, members))

    async def members(self, view: View, text: str) -> frozenset[UUID]:
        """What the profile of an id consists of today."""
        found = await self.services.profiles.lookup.find(self.ref, text, view)
        if found is None:
            return frozenset()
        if view == "all":
            return frozenset(found.profile_ids)
        head = found.survivor.profile_id
        rows = await self.played.fragments()
        return frozenset(row.fragment.fragment_id for row in rows if row.head_in(view) == head)

    def asked(self, then: Recorded) -> list[tuple[View, str]]:
        """Some of what was read then."""
        known = sorted(then.answers)
        return self.choice.sample(known, min(ASKED, len(known)))

    async def read(self, view: View, text: str, at: int) -> tuple[ProfileThen, dict[str, Any]]:
        """A profile as it was, and everything that routes say of it."""
        async with self.services.as_of.read(self.ref, [text], view, at) as earlier:
            (profile,) = earlier.profiles
            readers = Readers(earlier.lookup, earlier.explanations, earlier.person_events, earlier.timeline)
            answers = await readers.of_view(self.ref, text, profile.view)
        return profile, answers

    async def steps_of(self, fragment_ids: Iterable[UUID]) -> frozenset[int]:
        """The steps whose words belong to fragments."""
        entries = await Tables(self.services.database, self.ref.dataset_id).fragments.find_entries(
            fragment_ids
        )
        return frozenset(self.played.step_of(seq) for seq, _ in entries)


def assert_same(answers: Mapping[str, Any], expected: Mapping[str, Any], why: object) -> None:
    for name, value in expected.items():
        assert answers[name] == value, (why, name)


def written_by(answers: Mapping[str, Any]) -> set[int]:
    """The steps that wrote the values of an answer."""
    return {int(number) for number in WRITTEN.findall(str(answers["values"]))}


async def assert_reads_equal(services: Services, history: History, seed: int) -> None:
    chronicle = Chronicle(services, history, seed)
    await chronicle.play(VIEWS)
    for then in chronicle.recorded:
        for view, text in chronicle.asked(then):
            profile, answers = await chronicle.read(view, text, then.at)
            assert not profile.is_cut
            assert_same(answers, then.answers[view, text], (view, text))


@QUICK
@given(history=histories(is_edited=False), seed=SEEDS)
async def test_reads_equal_those_of_then(services: Services, history: History, seed: int) -> None:
    await assert_reads_equal(services, history, seed)


@pytest.mark.soak
@settings(QUICK, max_examples=300)
@given(history=histories(is_edited=False, steps_max=36), seed=SEEDS)
async def test_reads_of_long_histories_equal_those_of_then(
    services: Services, history: History, seed: int
) -> None:
    await assert_reads_equal(services, history, seed)


async def assert_reads_cut(services: Services, history: History, seed: int) -> None:
    chronicle = Chronicle(services, history, seed)
    await chronicle.play(("own", "proven"), reconciles=True)
    for then in chronicle.recorded:
        for view, text in chronicle.asked(then):
            profile, answers = await chronicle.read(view, text, then.at)
            members, today = then.members[view, text], await chronicle.members(view, text)
            assert profile.is_cut == (not members <= today)
            if members <= today:
                assert_same(answers, then.answers[view, text], (view, text))
            else:
                await assert_cut(chronicle, then, members, today, answers)


@QUICK
@given(history=histories(), seed=SEEDS)
async def test_reads_are_cut_by_what_people_decided_since(
    services: Services, history: History, seed: int
) -> None:
    await assert_reads_cut(services, history, seed)


@pytest.mark.soak
@settings(QUICK, max_examples=300)
@given(history=histories(steps_max=36), seed=SEEDS)
async def test_reads_of_long_histories_are_cut(services: Services, history: History, seed: int) -> None:
    await assert_reads_cut(services, history, seed)


async def assert_cut(
    chronicle: Chronicle,
    then: Recorded,
    members: frozenset[UUID],
    today: frozenset[UUID],
    answers: Mapping[str, Any],
) -> None:
    """An answer is what a split at the instant would have left of the profile."""
    kept, left = await chronicle.steps_of(members & today), await chronicle.steps_of(members - today)
    begun = {chronicle.played.step_of(at) for at in await began_at(chronicle, members - today)}
    other = await PlayedHistory(chronicle.services, next(DATASETS)).begin(chronicle.history.settings)
    await other.play(chronicle.history.numbered[: then.number + 1])
    await other.split_steps(frozenset(begun))
    told = {
        (user, values)
        for view, steps, user, values in await other.told()
        if view != "all" and steps <= kept and not steps.isdisjoint(kept)
    }
    assert (answers["user"], json.dumps(answers["values"], sort_keys=True)) in told
    assert written_by(answers).isdisjoint(left - kept)


async def began_at(chronicle: Chronicle, fragment_ids: Iterable[UUID]) -> set[int]:
    rows = {row.fragment.fragment_id: row.fragment for row in await chronicle.played.fragments()}
    return {rows[item].began_at for item in fragment_ids}


@QUICK
@given(history=histories(), seed=SEEDS)
async def test_what_is_erased_is_in_no_earlier_read(services: Services, history: History, seed: int) -> None:
    chronicle = Chronicle(services, history, seed)
    await chronicle.play(VIEWS)
    before = await chronicle.steps_of(row.fragment.fragment_id for row in await chronicle.played.fragments())
    user = chronicle.choice.choice(["ann", "ben"])
    await chronicle.played.erase(user)
    rows = await chronicle.played.fragments()
    after = await chronicle.steps_of(row.fragment.fragment_id for row in rows)
    for then in chronicle.recorded:
        for view, text in chronicle.asked(then):
            try:
                _, answers = await chronicle.read(view, text, then.at)
            except UnknownThen:
                continue
            assert answers["user"] != user
            assert written_by(answers).isdisjoint(before - after)
            assert set(answers["events"]) <= then_events(then)


def then_events(then: Recorded) -> set[str]:
    return {event for answers in then.answers.values() for event in answers["events"]}
