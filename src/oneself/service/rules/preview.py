"""Preview: exactly what a change of a rule or of bindings would do, without doing it, in the view `all`.

Invariants: the same fold as the write path, on a working set that is discarded. Only profiles that share a
value can be merged, so only those are loaded. Source: docs/concepts/resolution.md.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import msgspec

from oneself.core.config.changes import ConfigChange, DropRule, PutRule
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.config.rule_checks import check_rule
from oneself.core.fold.apply import fold
from oneself.core.fold.log_entry import LogEntry, config_of
from oneself.core.fold.replay import Diverged, replay
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource, UnificationRule
from oneself.core.identity.identity_type import LEGACY_ID, LEGACY_ID_JOB
from oneself.core.identity.normalise import normalise
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import identities_of
from oneself.core.resolution.footprint import Footprint
from oneself.core.resolution.reindex import ReindexJob, find_job, reindex_position
from oneself.core.resolution.working_set import WorkingSet
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store import working_set
from oneself.store.database import Database
from oneself.store.shared_values import SharedValues, open_shared_values
from oneself.store.transaction import Tables, Transaction

#: How much of a long list an answer shows; the counts are always complete.
ENTRIES_MAX = 100


class PreviewedMerge(msgspec.Struct, frozen=True):
    """Profiles that would be absorbed into one, and the identifier that joins them."""

    survivor: UUID
    absorbed: tuple[UUID, ...]
    identifier: Identifier | None


class PreviewedRefusal(msgspec.Struct, frozen=True):
    """Profiles that would not have been joined: the groups that one person would come apart into."""

    survivor: UUID
    groups: tuple[tuple[UUID, ...], ...]


class PreviewedValueChange(msgspec.Struct, frozen=True):
    """A value of a survivor that would change."""

    profile: UUID
    path: str


class Preview(msgspec.Struct, frozen=True):
    """What would happen. The counts are complete, the lists show at most `entries_max` entries each."""

    profiles_indexed: int
    profiles_absorbed: int
    groups: int
    largest_group: int
    merges: tuple[PreviewedMerge, ...]
    values_changed_count: int
    values_changed: tuple[PreviewedValueChange, ...]
    refusals_count: int
    refusals: tuple[tuple[str, UUID, UUID], ...]
    separated_count: int
    separated: tuple[PreviewedRefusal, ...]


#: Nothing would happen.
NOTHING = Preview(0, 0, 0, 1, (), 0, (), 0, (), 0, ())


class Previews:
    """Says what a rule or a binding would do."""

    def __init__(
        self, database: Database, configurations: Configurations, *, entries_max: int = ENTRIES_MAX
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._entries_max = entries_max

    async def preview(self, dataset_ref: DatasetRef, rule: UnificationRule) -> Preview:
        """What adding the rule, or putting it in the place of the one with its id, would do to all profiles.

        Raises rule_checks.RuleRejected.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        check_rule(config, rule)
        before = config.rules.get(rule.rule_id)
        if rule.is_active:
            return await self._joining(dataset_ref.dataset_id, config, PutRule(rule), {rule.rule_id})
        if before is not None and before.is_active:
            async with open_shared_values(self._database, dataset_ref.dataset_id) as values:
                return cut_preview(await _separating(values.transaction, rule), self._entries_max)
        return NOTHING

    async def preview_change(
        self, dataset_ref: DatasetRef, change: ConfigChange, source_ids: Collection[str]
    ) -> Preview:
        """What the rules and bindings with these ids would do to all profiles once a change is made."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        return await self._joining(dataset_ref.dataset_id, config, change, source_ids)

    async def _joining(
        self, dataset_id: int, config: Config, change: ConfigChange, source_ids: Collection[str]
    ) -> Preview:
        now = await Tables(self._database, dataset_id).log.find_change_seq()
        changed = configure(config, change, now)
        matches = [match for match in changed.identifier_sources if match.source_id in source_ids]
        former = find_job(changed, LEGACY_ID_JOB) if LEGACY_ID_JOB in source_ids else None
        if not matches and former is None:
            return NOTHING
        async with open_shared_values(self._database, dataset_id) as values:
            return cut_preview(await _joining(values, changed, matches, former), self._entries_max)


def cut_preview(preview: Preview, entries_max: int) -> Preview:
    """The preview with lists of at most so many entries."""
    return msgspec.structs.replace(
        preview,
        merges=preview.merges[:entries_max],
        values_changed=preview.values_changed[:entries_max],
        refusals=preview.refusals[:entries_max],
        separated=preview.separated[:entries_max],
    )


async def _joining(
    values: SharedValues,
    config: Config,
    matches: Sequence[IdentifierSource],
    former: ReindexJob | None = None,
) -> Preview:
    """`former`: the job that makes the former ids of named users identities, which comes first."""
    indexed = [await _put_values(values, match, config) for match in matches]
    if former is not None:
        indexed.append(await _put_former(values, former.source))
    sharing = await values.find_sharing()
    state = await _load(values.transaction, sharing, matches, config)
    before = dict(state.profiles)
    seq = max([config.seq, *(profile.seq for profile in before.values())])
    if former is not None:
        seq = _reindex(state, former, list(state.profiles.items()), config, seq)
    for match in matches:
        # A job begins when the one before is finished: it finds the survivors that are left, as they are
        # then.
        left = {i: state.profiles[i] for i in sharing if not state.profiles[i].is_absorbed}
        profiles = sorted(left.items(), key=lambda item: reindex_position(item[0], item[1], match))
        seq = _reindex(state, ReindexJob(match, match.name), profiles, config, seq)
    return _diff(state, before, sum(indexed))


def _reindex(
    state: WorkingSet, job: ReindexJob, profiles: list[tuple[UUID, Profile]], config: Config, seq: int
) -> int:
    """Fold what a job says about profiles; returns the seq of the last observation."""
    for observation in job.observations(profiles, config, uuid4):
        seq += 1
        fold(state, observation, config, seq)
    return seq


async def _put_values(values: SharedValues, match: IdentifierSource, config: Config) -> int:
    """Note who holds which value of a source; returns how many profiles hold any."""
    indexed = 0
    async for page in values.pages(match):
        held = [
            (Identifier(match.name, value), profile_id)
            for profile_id, record in page
            for value in identities_of(record, config, {match.name})[match.name]
        ]
        indexed += len({profile_id for _, profile_id in held})
        await values.put(held)
    return indexed


async def _put_former(values: SharedValues, former: IdentifierSource) -> int:
    """Note who had which id where identities were not resolved; returns how many profiles had one."""
    named = await values.transaction.claims.find_values(LEGACY_ID)
    await values.put(
        (found, profile_id)
        for profile_id, value in named
        if isinstance(found := normalise(Identifier(former.name, value), former.namespace), Identifier)
    )
    return len(named)


async def _load(
    transaction: Transaction, sharing: list[UUID], matches: Sequence[IdentifierSource], config: Config
) -> WorkingSet:
    """The profiles that share a value, and who holds these values by now."""
    footprint = Footprint(frozenset(), frozenset(sharing), lock=False)
    state, _ = await working_set.gather(transaction, footprint)
    names = {match.name for match in matches}
    values = {
        Identifier(name, value)
        for profile in state.profiles.values()
        for name, values in identities_of(profile.record, config, names).items()
        for value in values
    }
    footprint = Footprint(
        frozenset(values), frozenset(sharing), members=True, namespaces=config.value_namespaces, lock=False
    )
    state, _ = await working_set.gather(transaction, footprint)
    return state


def _diff(state: WorkingSet, before: dict[UUID, Profile], indexed: int) -> Preview:
    groups: dict[UUID, list[Any]] = {}
    for merged in state.changes.merged:
        survivor = state.survivor(merged.survivor_id)
        assert survivor is not None
        groups.setdefault(survivor.profile_id, []).append(merged.merge)
    merges = [
        PreviewedMerge(survivor, tuple(merge.absorbed_id for merge in joined), joined[0].identifier)
        for survivor, joined in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    ]
    sizes = [1 + len(state.members.get(survivor, ())) for survivor in groups]
    changes = [
        PreviewedValueChange(survivor, path)
        for survivor in groups
        for path in changed_paths(before[survivor].record.values, state.profiles[survivor].record.values)
    ]
    refusals = {
        (r.refusal.code, r.profile_id, r.refusal.other_id or r.profile_id): None
        for r in state.changes.refused
    }
    return Preview(
        profiles_indexed=indexed,
        profiles_absorbed=len(state.changes.merged),
        groups=len(groups),
        largest_group=max(sizes, default=1),
        merges=tuple(merges),
        values_changed_count=len(changes),
        values_changed=tuple(changes),
        refusals_count=len(refusals),
        refusals=tuple(refusals),
        separated_count=0,
        separated=(),
    )


def changed_paths(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> list[str]:
    """The dotted paths under which two values differ."""
    paths: list[str] = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            paths += changed_paths(old, new, f"{prefix}{key}.")
        elif old != new:
            paths.append(f"{prefix}{key}")
    return paths


async def _separating(transaction: Transaction, rule: UnificationRule) -> Preview:
    """Whom the rule holds together: what it merged, folded again as if it had never been active."""
    configs = await transaction.log.find_configurations()
    without = {
        version: configure(config, DropRule(rule.rule_id), config.seq) for version, config in configs.items()
    }
    separated: list[PreviewedRefusal] = []
    for survivor_id in await transaction.merges.find_survivors_by_namespace(rule.property_name):
        profile_ids = await transaction.profiles.find_unified_ids(survivor_id)
        entries = await transaction.log.find_of_profiles(profile_ids)
        groups = _groups(entries, without)
        if len(groups) > 1:
            separated.append(PreviewedRefusal(survivor_id, groups))
    return msgspec.structs.replace(NOTHING, separated_count=len(separated), separated=tuple(separated))


def _groups(entries: list[LogEntry], configs: dict[int, Config]) -> tuple[tuple[UUID, ...], ...]:
    """The people that a person's entries fold to."""
    state = WorkingSet()
    for entry in entries:
        # A sign-out, say, may be nobody's in a world where the two were never joined.
        with suppress(Diverged):
            replay(state, entry, config_of(entry, configs))
    groups: dict[UUID, list[UUID]] = {}
    for profile_id in sorted(state.profiles):
        survivor = state.survivor(profile_id)
        if survivor is not None:
            groups.setdefault(survivor.profile_id, []).append(profile_id)
    return tuple(tuple(group) for group in groups.values())
