"""Let the view `all` follow the identity graph where evidence has changed since profiles were merged.

The write path lists the fragments whose evidence changed. They are reconciled here in the background,
one at a time: if the profile that a fragment belongs to has other fragments than the identity graph says, the
profiles concerned are folded again.

Invariants: one transaction for each fragment, in which everybody whom it touches is locked; afterwards the
whole log folds to exactly this state. Any number of processes may reconcile.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0027-the-view-all-is-reconciled.md.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from uuid import UUID

import structlog

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry
from oneself.core.fold.reconcile import (
    NOTHING_LOGGED,
    BelievedLog,
    ExpectedPartition,
    FoldedApart,
    fold_apart,
)
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.change_reasons import split_reason
from oneself.core.identity_graph.joins import MANUAL
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import unindexed_identifiers
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import Contended, OneselfError
from oneself.service.log.affected import Affected, TooLarge, find_reach
from oneself.service.log.believed_changes import put_entries, put_state
from oneself.service.log.believed_profiles import (
    BelievedProfiles,
    apply_plan,
    find_neighbours_of_changed,
    find_unified_ids,
    load_log,
    load_profiles,
    origins,
    return_devices,
)
from oneself.service.lost_races import repeat
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.database import Database
from oneself.store.tables.log import NewEntry
from oneself.store.tables.unreconciled_fragment import (
    EVERY_FRAGMENT,
    UnreconciledFragment,
    list_waiting_datasets,
)
from oneself.store.transaction import Tables, Transaction

_logger = structlog.get_logger("oneself.reconciler")

#: How often a process looks for fragments that another process listed.
POLL_S = 2.0
#: Profiles of more fragments, or of more observations, stay as they are believed to be.
FRAGMENTS_MAX = 500
ENTRIES_MAX = 20_000
#: Nor do those who name what more fragments of others name.
NEIGHBOURS_MAX = 5_000


class Reconciler:
    """Lets the view `all` follow the identity graph. `on_reconciled`: called after each fragment."""

    def __init__(
        self,
        database: Database,
        *,
        fragments_max: int = FRAGMENTS_MAX,
        entries_max: int = ENTRIES_MAX,
        on_reconciled: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._on_reconciled = on_reconciled
        self._fragments_max = fragments_max
        self._entries_max = entries_max
        self._listed = asyncio.Event()
        #: Dataset and change of its settings → the last of every fragment that is reconciled since.
        self._walked: dict[tuple[int, int], UUID] = {}

    def wake(self) -> None:
        """Reconcile now: this process has listed a fragment."""
        self._listed.set()

    async def run(self) -> None:
        """Reconcile what is listed until cancelled."""
        while True:
            self._listed.clear()
            try:
                await self.reconcile_all()
            except OneselfError as error:
                _logger.warning("reconciliation_interrupted", cause=type(error).__name__)
            try:
                await asyncio.wait_for(self._listed.wait(), POLL_S)
            except TimeoutError:
                continue

    async def reconcile_all(self) -> None:
        """Reconcile every fragment that is listed. Raises Contended, Unavailable."""
        waiting = await list_waiting_datasets(self._database)
        while waiting:
            # One of each in turn: a large dataset does not keep the others waiting.
            waiting = [dataset_id for dataset_id in waiting if await self._reconcile_first(dataset_id)]

    async def count_too_large(self, dataset_id: int) -> int:
        """How many people of a dataset are too large to be reconciled, by the profiles that they absorbed."""
        return await Tables(self._database, dataset_id).profiles.count_large(self._fragments_max)

    async def _reconcile_first(self, dataset_id: int) -> bool:
        """Reconcile what has waited longest; False if nothing is listed or another process reconciles.

        Every fragment waits for the reindex jobs of the same change, which merge people as well.
        """
        dataset = Tables(self._database, dataset_id)
        tables = dataset.unreconciled_fragments
        listed = await tables.find_first()
        if listed is None or listed.fragment_id != EVERY_FRAGMENT:
            return listed is not None and await self._reconcile_or_skip(listed)
        if await dataset.reindex_jobs.is_running():
            return False
        key = dataset_id, listed.seq
        following = await tables.find_next(self._walked.get(key, EVERY_FRAGMENT), listed.seq)
        if following is None:
            self._walked.pop(key, None)
            await tables.remove([listed])
            return True
        self._walked[key] = following
        return await self._reconcile_or_skip(UnreconciledFragment(dataset_id, following, listed.seq))

    async def _reconcile_or_skip(self, listed: UnreconciledFragment) -> bool:
        """The same as `_reconcile`; an internal error leaves these profiles as they are."""
        try:
            return await self._reconcile(listed)
        except OneselfError:
            raise
        except Exception:
            _logger.exception("profile_not_reconciled", fragment_id=str(listed.fragment_id))
            await Tables(self._database, listed.dataset_id).unreconciled_fragments.remove([listed])
            return True

    async def _reconcile(self, listed: UnreconciledFragment) -> bool:
        """Reconcile a fragment; False if another process reconciles in the dataset."""

        async def reconcile(transaction: Transaction) -> bool:
            if not await transaction.unreconciled_fragments.try_lock():
                return False
            done = await self._follow(transaction, listed)
            await transaction.unreconciled_fragments.remove([listed, *done])
            return True

        is_done = await repeat(self._database, listed.dataset_id, reconcile)
        self._on_reconciled()
        return is_done

    async def _follow(
        self, transaction: Transaction, listed: UnreconciledFragment
    ) -> list[UnreconciledFragment]:
        """Fold the profiles concerned again, if their fragments are others than expected.

        Returns the other listed fragments of these profiles: they are reconciled together.
        """
        config = await transaction.config.find()
        if config.dataset.asserted_merges == "unrestricted":
            return []
        try:
            return await self._fold_differing(transaction, {listed.fragment_id}, listed.seq, config)
        except TooLarge:
            _logger.warning("profile_too_large_to_reconcile", fragment_id=str(listed.fragment_id))
            return []

    async def follow(
        self, transaction: Transaction, fragment_ids: set[UUID], seq: int, locked: Collection[Affected]
    ) -> None:
        """Let the profiles of fragments follow what a person has just decided about them.

        `seq`: of the decision. `locked`: what is locked already. Raises TooLarge, Contended. Needs the lock
        of `unreconciled_fragments`.
        """
        config = await transaction.config.find()
        await self._fold_differing(transaction, fragment_ids, seq, config, MANUAL, locked)

    async def find_reach(
        self, transaction: Transaction, fragment_ids: set[UUID], known: Iterable[Affected] = ()
    ) -> Affected:
        """What surrounds fragments in the view `all`. `known`: what was read before. Raises TooLarge."""
        rows = {key: row for before in known for key, row in before.rows.items()}
        return await find_reach(transaction, fragment_ids, self._fragments_max, self._entries_max, rows)

    async def _fold_differing(
        self,
        transaction: Transaction,
        listed: set[UUID],
        seq: int,
        config: Config,
        parted_by: str | None = None,
        locked: Collection[Affected] = (),
    ) -> list[UnreconciledFragment]:
        """The same; raises TooLarge, with nothing written. `seq`: of what changed. `parted_by`: why profiles
        are parted, if it is known. `locked`: what is locked already."""
        alone = await self.find_reach(transaction, listed, locked)
        may_be_equal = not locked and alone.is_simple
        may_be_equal = may_be_equal and not await transaction.dropped_values.has_unread(alone.profile_ids)
        if may_be_equal and not alone.differing(await alone.find_expected(NOTHING_LOGGED, config)):
            return []
        among = await transaction.unreconciled_fragments.find_some(alone.rows)
        together = [item for item in among if item.fragment_id not in listed]
        seeds = listed.union(item.fragment_id for item in together)
        reach = await self.find_reach(transaction, seeds, [alone]) if together else alone
        if not reach.is_covered_by(locked):
            before = reach
            await before.lock(transaction, locked)
            reach = await self.find_reach(transaction, seeds, [before])
            if reach.locked != before.locked:
                raise Contended("A profile was changed while it was being reconciled.")
        config = await transaction.config.find()
        log = await load_log(transaction, reach.profile_ids, reach.rows)
        expected = await reach.find_expected(log, config)
        unread = await transaction.profiles.find_survivors(frozenset(log.find_unread()))
        if differing := reach.differing(expected).union(unread.values()):
            believed = await _find_believed(transaction, reach, differing, log)
            cause = await transaction.log.find_observation(seq)
            recorder = ChangeRecorder({}, cause or uuid.uuid4(), parted_by=parted_by)
            await _fold_again(transaction, believed, expected, config, recorder)
            await recorder.put(transaction)
        return together


async def _find_believed(
    transaction: Transaction, reach: Affected, survivors: set[UUID], log: BelievedLog
) -> BelievedProfiles:
    """Those of the profiles that differ. `log`: what the log has of all."""
    profile_ids = await find_unified_ids(transaction, survivors)
    fragment_ids = {item for item, survivor_id in reach.attached if survivor_id in survivors}
    fragment_ids |= await transaction.fragments.find_believed(profile_ids)
    rows = {key: row for key, row in reach.rows.items() if key in fragment_ids}
    return await load_profiles(transaction, profile_ids, rows, log.of_profiles(profile_ids))


async def _fold_again(
    transaction: Transaction,
    believed: BelievedProfiles,
    expected: ExpectedPartition,
    config: Config,
    recorder: ChangeRecorder,
) -> None:
    """Replace what profiles have in the view `all` by what is expected."""
    former = {item.profile_id: item for item in await transaction.profiles.find(believed.profile_ids)}
    scope, reasons = believed.scope(keeps_profiles=True), graph_rules(config).reasons
    apart = await asyncio.to_thread(fold_apart, believed.log, expected, scope, reasons)
    if missing := believed.profile_ids - apart.state.profiles.keys():
        raise AssertionError(f"Profiles {sorted(map(str, missing))} are not made again.")
    believed.end_as_others_took(apart.state)
    neighbours = await find_neighbours_of_changed(transaction, believed, apart.state)
    if len(neighbours) > NEIGHBOURS_MAX:
        raise TooLarge(f"More than {NEIGHBOURS_MAX} fragments name what would be parted or joined.")
    latest = max(profile.seq for profile in apart.state.profiles.values())
    seq = max((await transaction.read_clock()).now, latest + 1)
    await transaction.log.delete(apart.dropped)
    await transaction.log.freeze_refused(sorted(believed.profile_ids))
    await transaction.log.freeze_entries(await transaction.fragments.find_entries(neighbours))
    beside = (await transaction.fragments.find_believed_of(neighbours)).values()
    jobs = await transaction.log.find_of_fragments((), await find_unified_ids(transaction, beside))
    await transaction.log.freeze_entries((entry.seq, entry.observation_id) for entry in jobs)
    entries = _complete(apart, config, seq)
    recorder.compare_believed(
        former,
        apart.state.profiles,
        parted=_why_parted(believed, expected, former.values()),
        origins=origins(believed.log.entries, apart.entries),
    )
    await put_entries(transaction, believed.log.entries, apart.entries, entries)
    await put_state(transaction, believed, former, apart.state, seq)
    await return_devices(transaction, believed, apart.state, frozenset(), seq)
    await transaction.fragments.put_believed(_believed(believed, apart.entries))
    _logger.info("profiles_reconciled", dataset_id=transaction.dataset_id, profiles=len(believed.profile_ids))


def _why_parted(
    believed: BelievedProfiles, expected: ExpectedPartition, former: Iterable[Profile]
) -> dict[UUID, str]:
    """Profile of before → why it is parted, where a join of two of its fragments is refused."""
    survivors = {item.profile_id: item.survivor_id or item.profile_id for item in former}
    members: dict[UUID, set[UUID]] = {}
    for entry in believed.log.entries:
        fragment_id = believed.log.fragment_of(entry)
        if fragment_id is not None and entry.profile_id in survivors:
            members.setdefault(survivors[entry.profile_id], set()).add(fragment_id)
    refused = expected.partition.refused
    found = {item: split_reason(refused, fragments) for item, fragments in members.items()}
    return {item: reason for item, reason in found.items() if reason is not None}


def _complete(apart: FoldedApart, config: Config, seq: int) -> list[NewEntry]:
    """Merge those who are one person, and index the values that nobody holds yet."""
    state = apart.state
    entries = [
        _apply(state, Plan(profile_id=survivor_id, survivor_id=survivor_id, merges=(merge,)), config, at)
        for at, (survivor_id, merge) in enumerate(apart.merges, seq)
    ]
    for profile in [item for item in state.profiles.values() if not item.is_absorbed]:
        claims = tuple(_unindexed(profile, config))
        if claims:
            plan = Plan(profile_id=profile.profile_id, survivor_id=profile.profile_id, claims=claims)
            entries.append(_apply(state, plan, config, seq + len(entries)))
    return entries


def _apply(state: WorkingSet, plan: Plan, config: Config, seq: int) -> NewEntry:
    return apply_plan(state, plan, config, seq, "reconciler")


def _unindexed(profile: Profile, config: Config) -> Iterator[Identifier]:
    for source in config.identifier_sources:
        found = unindexed_identifiers(profile.record, profile.identities, profile.created_at, source, config)
        held = profile.identities.get(source.name, ())
        yield from (item for item in found or () if item.value not in held)


def _believed(believed: BelievedProfiles, entries: Iterable[LogEntry]) -> dict[UUID, UUID]:
    """Fragment → the profile that its first observation is attached to, where that is another now."""
    by_seq = {entry.seq: entry.profile_id for entry in entries if entry.profile_id is not None}
    now = {item: by_seq.get(row.fragment.began_at, row.believed_id) for item, row in believed.rows.items()}
    return {
        item: profile_id for item, profile_id in now.items() if profile_id != believed.rows[item].believed_id
    }
