"""Read profiles as they were at an instant.

The log entries that a profile depends on are folded up to the instant into scratch tables, and the answer is
read from these by what reads the live ones. It is then cut by today: of the parts that a profile had, an
answer has those that the same view gives to its id today.

Invariants: nothing is written or locked. A bounded number of entries is folded, and of a bounded number of
requests at once.

Source: docs/decisions/0047-as-of.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.joins import View
from oneself.errors import Conflict, Contended, InvalidInput, NotFound
from oneself.service.as_of.fold import bridge, bridges_until, fold_surroundings, part_from
from oneself.service.as_of.surroundings import Seeds, find_seeds, find_surroundings
from oneself.service.configuration import GivenConfiguration
from oneself.service.context import DatasetRef
from oneself.service.explain.explanations import Explanations
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.profiles.ids import profile_id_in
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.parts import ProfilePart
from oneself.service.profiles.profiles import ProfileView
from oneself.store.as_of import ScratchLog, open_scratch_log
from oneself.store.database import Database
from oneself.store.transaction import Tables

#: Entries, and parts of profiles, that one answer folds: some seconds.
ENTRIES_MAX = 20_000
#: Answers that a process folds at once, and requests that wait for their turn.
READS_AT_ONCE = 2
WAITING_MAX = 20


class UnknownThen(NotFound):
    """No profile had the id at the instant. `began_at`: when the one began that has it today, in µs since
    1970; None: none has it, or it was there."""

    def __init__(self, began_at: int | None) -> None:
        super().__init__("No profile had this id at that instant.", message="Profile not found.")
        self.began_at = began_at


class PartedSince(Conflict):
    """What was one profile at the instant cannot be told apart as it is today."""

    default_code = "parted_since"
    default_message = "Parted since."

    def __init__(self) -> None:
        super().__init__(
            "Parts of this profile are other profiles today, and were one with it at that instant."
        )


class ProfileThen(msgspec.Struct, frozen=True):
    """A profile as it was at an instant."""

    #: As it was, without what is no part of it today.
    view: ProfileView
    part: ProfilePart
    #: As it is today.
    today: ProfileView
    #: Whether it had parts that it has not today.
    is_cut: bool


class EarlierReading(msgspec.Struct, frozen=True):
    """What reads the dataset as it was, and the profiles that were asked for."""

    #: In µs since 1970.
    at: int
    profiles: tuple[ProfileThen, ...]
    lookup: Lookup
    explanations: Explanations
    person_events: PersonEvents
    timeline: ProfileHistory


class AsOf:
    """Reads profiles as they were."""

    def __init__(
        self, database: Database, *, entries_max: int = ENTRIES_MAX, waiting_max: int = WAITING_MAX
    ) -> None:
        self._database = database
        self._entries_max = entries_max
        self._waiting_max = waiting_max
        self._turns = asyncio.Semaphore(READS_AT_ONCE)
        self._waiting = 0

    @asynccontextmanager
    async def read(
        self, dataset_ref: DatasetRef, texts: Sequence[str], view: View, at: int
    ) -> AsyncIterator[EarlierReading]:
        """The profiles that ids meant in a view at an instant (µs since 1970).

        Raises InvalidInput `at` for an instant in the future, UnknownThen, TooLargeAsOf, and Contended if too
        many requests wait.
        """
        latest = await Tables(self._database, dataset_ref.dataset_id).log.find_change_seq()
        if at >= latest:
            raise InvalidInput("at", "The instant is in the future. Name one that has passed.")
        async with self._turn(), open_scratch_log(self._database, dataset_ref.dataset_id, at) as scratch:
            yield await _Earlier(scratch, dataset_ref, view, at, self._entries_max).read(texts)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= READS_AT_ONCE + self._waiting_max:
            raise Contended("Too many profiles are being read as they were.")
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1


class _Earlier:
    """One answer that is being prepared."""

    def __init__(
        self, scratch: ScratchLog, dataset_ref: DatasetRef, view: View, at: int, entries_max: int
    ) -> None:
        self._scratch = scratch
        self._ref = dataset_ref
        self._view = view
        self._at = at
        self._entries_max = entries_max

    async def read(self, texts: Sequence[str]) -> EarlierReading:
        scratch, tables = self._scratch, self._scratch.transaction
        await scratch.show_live()
        configs = await tables.log.find_configurations()
        today = configs[max(configs)]
        known_then = {number: item for number, item in configs.items() if item.seq <= self._at}
        config = known_then[max(known_then)]
        live, then = (Lookup(scratch.database, GivenConfiguration(item)) for item in (today, config))
        seeds = Seeds()
        for text in texts:
            seeds |= await find_seeds(tables, text, (config, today))
        found = await find_surroundings(scratch, seeds, self._view, configs, self._entries_max)
        erasures = await tables.log.find_erasures_of(found.part.rows, ())
        await scratch.show_folded()
        await fold_surroundings(scratch, found, self._view, known_then)
        await bridge(tables, bridges_until(erasures, self._at), config, self._at + 1)
        parts = [await self._find(then, live, text) for text in texts]
        await scratch.show_live()
        views = [await self._today(live, part) for part in parts]
        allowed = set[UUID]()
        for item in views:
            allowed |= await self._members(item.survivor.profile_id)
        await scratch.show_folded()
        cut = await self._cut(parts, allowed, config)
        profiles = [
            await self._then(then, text, part, item, allowed, is_cut=part.head in cut)
            for text, part, item in zip(texts, parts, views, strict=True)
        ]
        return EarlierReading(
            self._at,
            tuple(profiles),
            then,
            Explanations(scratch.database, then, is_past=True),
            PersonEvents(scratch.database),
            ProfileHistory(scratch.database),
        )

    async def _find(self, then: Lookup, live: Lookup, text: str) -> ProfilePart:
        """What an id meant at the instant. Raises UnknownThen."""
        part = await then.find_part(self._ref, text, self._view)
        if part is not None:
            return part
        await self._scratch.show_live()
        found = await live.find(self._ref, text, self._view)
        began_at = None if found is None else found.survivor.created_at
        raise UnknownThen(began_at if began_at is not None and began_at > self._at else None)

    async def _today(self, live: Lookup, part: ProfilePart) -> ProfileView:
        """The profile that a part belongs to today. Raises UnknownThen."""
        found = await live.find(self._ref, str(part.part_id), self._view)
        if found is None:
            raise UnknownThen(None)
        return found

    async def _members(self, head: UUID) -> set[UUID]:
        """What a profile consists of: fragments, or in the view `all` the profiles of before."""
        tables = self._scratch.transaction
        if self._view == "all":
            return set(await find_unified_ids(tables, [head]))
        rows = await tables.fragments.find_members(self._view, head)
        return {row.fragment.fragment_id for row in rows}

    async def _cut(self, parts: Sequence[ProfilePart], allowed: set[UUID], config: Config) -> set[UUID]:
        """Part from profiles what is no part of them today; returns the parts that headed such profiles."""
        cut: set[UUID] = set()
        for seq, head in enumerate(dict.fromkeys(part.head for part in parts), self._at + 2):
            members = await self._members(head)
            if left := members - allowed:
                cut.add(head)
                if self._view != "all":
                    await part_from(self._scratch.transaction, members & allowed, left, config, seq)
        return cut

    async def _then(
        self,
        then: Lookup,
        text: str,
        part: ProfilePart,
        today: ProfileView,
        allowed: set[UUID],
        *,
        is_cut: bool,
    ) -> ProfileThen:
        found = await then.find(self._ref, str(part.part_id), self._view)
        part_then = await then.find_part(self._ref, str(part.part_id), self._view)
        if found is None or part_then is None or not await self._members(part_then.head) <= allowed:
            raise PartedSince()
        if profile_id_in(text) != part.part_id:
            found = msgspec.structs.replace(found, profile=found.survivor)
        return ProfileThen(found, part_then, today, is_cut)
