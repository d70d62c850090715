"""Whom a change of the configuration may join or part.

    what the change indexes      whoever has a value that somebody else has too
    what the change admits       whoever is known and tied to others
            └── with all that is one with them, shares an identifier with them, or is of their users

Whoever is not among these is alone before the change and after it.

Invariants: read-only, on one instant. The number of fragments and of log entries is bounded; those that are
left out are left out with all that is tied to them.

Source: docs/decisions/0048-preview-of-every-change.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.config.configure import required_reindexing
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity.identity_type import LEGACY_ID, LEGACY_ID_JOB
from oneself.core.identity.normalise import normalise
from oneself.core.identity_graph.unreconciled import admits_more, changes_guards
from oneself.core.resolution.evidence import identities_of
from oneself.core.resolution.reindex import find_job
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.rules.admitted_later import ENTRIES_PER_PAGE, AdmittingConfig
from oneself.service.rules.former_values import find_former, former_identifiers
from oneself.service.rules.stored_values import find_verified, proven_values
from oneself.store.loaded_graph import users_of
from oneself.store.scratch_dataset import CopiedNames, ScratchDataset
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.log import BEGINNING

#: How much a preview copies. To part or join as many takes less than a minute, within which proxies wait.
FRAGMENTS_MAX = 1_000
ENTRIES_MAX = 20_000
#: Proxies wait a minute, which the preview in one dataset may take.
SEVERAL_S = 10.0
#: How many are added together. If they are too many, each half is added by itself.
SEEDS_PER_STEP = 200
#: How many that are tied to too many others are passed over, until the rest is left out as well.
PASSED_OVER_MAX = 20


class PreviewLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much a preview copies at most."""

    fragments_max: int = FRAGMENTS_MAX
    entries_max: int = ENTRIES_MAX
    #: After so long, no further dataset is previewed in the same request.
    several_s: float = SEVERAL_S


#: For somebody who watches a progress bar.
PATIENT = PreviewLimits(fragments_max=20_000, entries_max=400_000)


class ConcernedProfiles(msgspec.Struct, frozen=True):
    """Profiles of the view `all` and fragments, complete in themselves."""

    profile_ids: frozenset[UUID] = frozenset()
    fragment_ids: frozenset[UUID] = frozenset()
    names: CopiedNames = CopiedNames(frozenset(), frozenset())
    #: Whether everybody is among them whom the change may concern.
    is_complete: bool = True


class _TooMany(Exception):
    """More are tied together than there is room for."""


class ConfigSteps(msgspec.Struct, frozen=True):
    """The configurations before the first part of a change and after each."""

    configs: tuple[Config, ...]

    @property
    def last(self) -> Config:
        return self.configs[-1]

    @property
    def job_ids(self) -> set[str]:
        """The reindex jobs that the change starts."""
        pairs = list(zip(self.configs, self.configs[1:], strict=False))
        found = {job_id for before, after in pairs for job_id in required_reindexing(before, after)}
        for before, after in pairs:
            known = {source.source_id for source in before.bindings.values()}
            found |= {source.source_id for source in after.bindings.values()} - known
        return found

    @property
    def changes_joins(self) -> bool:
        """Whether the change admits or refuses joins of what is known already."""
        pairs = zip(self.configs, self.configs[1:], strict=False)
        return any(changes_guards(*pair) or admits_more(*pair) for pair in pairs)


async def find_concerned(
    scratch: ScratchDataset, steps: ConfigSteps, limits: PreviewLimits
) -> ConcernedProfiles:
    """Whom a change may concern, as far as the limits admit."""
    gathering = _Gathering(scratch, limits)
    async for seeds in _seeds(scratch, steps):
        for start in range(0, len(seeds), SEEDS_PER_STEP):
            await gathering.add(seeds[start : start + SEEDS_PER_STEP])
        if gathering.is_full:
            break
    return gathering.concerned


async def _seeds(scratch: ScratchDataset, steps: ConfigSteps) -> AsyncIterator[list[UUID]]:
    """Profiles and fragments that the change may concern, page by page."""
    job_ids = steps.job_ids
    sources = [source for source in steps.last.identifier_sources if source.source_id in job_ids]
    former = find_job(steps.last, LEGACY_ID_JOB) if LEGACY_ID_JOB in job_ids else None
    for source in sources:
        await _put_values(scratch, source, steps.last)
        async for page in _put_dropped(scratch, source, steps.last):
            yield page
    if former is not None:
        await _put_former(scratch, former.source)
    if sources:
        await scratch.put_claimed({source.name for source in sources})
    async for page in scratch.list_sharing():
        yield page
    if steps.changes_joins:
        async for page in scratch.list_tied():
            yield page


async def _put_values(scratch: ScratchDataset, source: IdentifierSource, config: Config) -> None:
    """Note which profile has which value of a source, in the views `all` and `proven`."""
    async for page in scratch.values.pages(source):
        await scratch.values.put(
            (Identifier(source.name, value), profile_id)
            for profile_id, record in page
            for value in identities_of(record, config, {source.name})[source.name]
        )
    async for rows in scratch.values.fragment_pages(source):
        verified = await find_verified(scratch.live, (row.fragment for row in rows))
        former = await find_former(scratch.live, rows, source, config)
        await scratch.values.put(
            (identifier, row.proven_id)
            for row in rows
            for identifier in (
                *proven_values(row.fragment, source, config, verified),
                *former_identifiers(former, row),
            )
        )


async def _put_dropped(
    scratch: ScratchDataset, source: IdentifierSource, config: Config
) -> AsyncIterator[list[UUID]]:
    """Note what is read again, and yield the fragments that name it, page by page."""
    configs = {**await scratch.live.log.find_configurations(), config.version: config}
    admitting, after = AdmittingConfig(configs, config.version, source.name), BEGINNING
    while page := await scratch.live.dropped_values.list_after(after, ENTRIES_PER_PAGE):
        last, _ = page[-1]
        after = last.seq, last.observation_id
        admitted = {
            fragment_id: evidence
            for entry, fragment_id in page
            if fragment_id is not None and (evidence := admitting.find_admitted(entry)) is not None
        }
        heads = await scratch.live.fragments.find_heads_of("proven", admitted)
        await scratch.values.put(
            (identifier, heads[fragment_id])
            for fragment_id, evidence in admitted.items()
            for identifier in evidence.persons
        )
        yield list(admitted)


async def _put_former(scratch: ScratchDataset, source: IdentifierSource) -> None:
    """Note who had which id where identities were not resolved."""
    named = await scratch.live.claims.find_values(LEGACY_ID)
    await scratch.values.put(
        (found, profile_id)
        for profile_id, value in named
        if isinstance(found := normalise(Identifier(source.name, value), source.namespace), Identifier)
    )


class _GatheredPart(msgspec.Struct):
    """What was gathered so far."""

    profile_ids: set[UUID] = msgspec.field(default_factory=set)
    rows: dict[UUID, FragmentRow] = msgspec.field(default_factory=dict)
    identifiers: set[Identifier] = msgspec.field(default_factory=set)
    users: set[str] = msgspec.field(default_factory=set)
    #: Log entries of the profiles.
    entries: int = 0

    def copied(self) -> _GatheredPart:
        """The same, which changes by itself."""
        sets = set(self.profile_ids), dict(self.rows), set(self.identifiers), set(self.users)
        return _GatheredPart(*sets, self.entries)


class _Gathering:
    """Gathers who is tied together, until there is no more room."""

    def __init__(self, scratch: ScratchDataset, limits: PreviewLimits) -> None:
        self._scratch = scratch
        self._limits = limits
        self._passed_over = 0
        self._part = _GatheredPart()
        self._is_complete = True

    @property
    def concerned(self) -> ConcernedProfiles:
        """What was gathered."""
        part = self._part
        names = CopiedNames(frozenset(part.identifiers), frozenset(part.users))
        return ConcernedProfiles(frozenset(part.profile_ids), frozenset(part.rows), names, self._is_complete)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is added."""
        return self._passed_over >= PASSED_OVER_MAX

    async def add(self, seeds: Sequence[UUID]) -> None:
        """Add profiles or fragments with all that is tied to them; those that are too many are left out."""
        part = self._part
        new = [seed for seed in seeds if seed not in part.profile_ids and seed not in part.rows]
        if not new:
            return
        if self.is_full:
            self._is_complete = False
            return
        try:
            await self._grow(new)
        except _TooMany:
            self._is_complete = False
            if len(new) == 1:
                self._passed_over += 1
                return
            middle = len(new) // 2
            await self.add(new[:middle])
            await self.add(new[middle:])

    async def _grow(self, seeds: Iterable[UUID]) -> None:
        """Add all of these with what is tied to them. Raises _TooMany, with nothing added."""
        live, part = self._scratch.live, self._part.copied()
        profiles, fragments = set(seeds), set(seeds)
        while profiles or fragments:
            rows = await live.fragments.find(fragments)
            found = {row.fragment.fragment_id for row in rows}
            profiles |= {row.believed_id for row in rows}
            profiles |= await live.log.find_profiles_of_fragments(found)
            unified = await find_unified_ids(live, profiles) - part.profile_ids
            part.rows |= {row.fragment.fragment_id: row for row in rows}
            part.profile_ids |= unified
            part.entries += await live.log.count_of_profiles(unified, self._limits.entries_max + 1)
            self._check(part)
            profiles, fragments = await self._find_beside(rows, unified, part)
            profiles -= part.profile_ids
            fragments -= part.rows.keys()
        self._part = part

    def _check(self, part: _GatheredPart) -> None:
        size = max(len(part.rows), len(part.profile_ids))
        if size > self._limits.fragments_max or part.entries > self._limits.entries_max:
            raise _TooMany

    async def _find_beside(
        self, rows: Sequence[FragmentRow], unified: Collection[UUID], part: _GatheredPart
    ) -> tuple[set[UUID], set[UUID]]:
        """The profiles and the fragments that something ties to these. Notes the names of these."""
        live = self._scratch.live
        ids = {row.fragment.fragment_id for row in rows}
        heads = {head for row in rows for head in (row.own_id, row.proven_id)}
        users = {user for row in rows for user in users_of(row.fragment)} - part.users
        names = await self._names(rows, unified, users) - part.identifiers
        part.users |= users
        part.identifiers |= names
        history = await live.claims.find_history(names)
        browsers = await live.browsers.find([item for item in names if item.is_device])
        persons = [item for item in names if not item.is_device]
        joins = await live.person_joins.find(ids)
        noted = await self._scratch.find_sharing_with(heads.union(unified), self._limits.fragments_max)
        fragments = {item for item, _ in await live.log.find_attached(unified)}
        fragments |= await live.fragments.find_believed(unified)
        fragments |= {row.fragment.fragment_id for row in await live.fragments.find_members_of_heads(heads)}
        fragments |= await live.fragments.find_claimants(persons)
        fragments |= await live.fragments.find_proven_claimants(persons)
        fragments |= await live.fragments.find_of_users(users)
        fragments |= await live.separations.find_parted_from(ids)
        fragments = fragments.union(*(browser.every for browser in browsers.values()))
        fragments = fragments.union(*((join.one, join.other) for join in joins))
        return {claim.claim.profile_id for claim in history} | noted, fragments | noted

    async def _names(
        self, rows: Sequence[FragmentRow], unified: Collection[UUID], users: Collection[str]
    ) -> set[Identifier]:
        """Everything by which profiles, fragments and users are found."""
        live = self._scratch.live
        names = {claim.tenure.identifier for row in rows for claim in row.fragment.claims}
        names |= {row.fragment.browser for row in rows if row.fragment.browser is not None}
        names |= {claim.identifier for claim in await live.claims.find_of_profiles(unified)}
        verified = await live.verified_claims.find(users, ())
        return names.union(*(claim.identifiers for claim in verified.values()))
