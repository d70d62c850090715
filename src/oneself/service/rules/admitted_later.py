"""Read again what entries of the log name that was dropped when it was said, and that a change admits.

    entries of which something was dropped ─▶ those that name more now ─▶ all that this ties together
        └── read by the configuration of their time and by that of the change ─▶ folded again

What an event names decides to which fragment it belongs, what it writes and whose it is. So everything that
is tied to it is folded again, as if the configuration had admitted the value when it was said.

Invariants: one transaction for each page, in which everybody concerned is locked. An entry that is read by a
configuration names nothing more by it: a page that is repeated changes nothing.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0065-values-that-are-admitted-later.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from uuid import UUID

import msgspec
import structlog

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import EntryKey, LogEntry, config_of, observation_of
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.fragment import Tenure
from oneself.core.identity_graph.observe import persons_of
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.kinds import policy_of
from oneself.errors import Contended
from oneself.service.log.graph_part import GraphPart, PartTooLarge, find_tied
from oneself.service.log.refold import fold_again
from oneself.service.lost_races import repeat
from oneself.store.change_recorder import ChangeRecorder, read_graph
from oneself.store.database import Database
from oneself.store.loaded_graph import exact_digest
from oneself.store.tombstones import Tombstones, exactly
from oneself.store.transaction import Transaction

_logger = structlog.get_logger("oneself.admitted_later")

#: How many entries of which something was dropped are looked at together.
ENTRIES_PER_PAGE = 500
#: What is tied to more fragments, or to more observations, is not read again.
FRAGMENTS_MAX = 2_000
ENTRIES_MAX = 20_000
#: So many values are remembered that are tied to too much: what else names them is not tried again.
PASSED_MAX = 10_000


class PartDecided(Exception):
    """A fragment that a person or an erasure decided about would not begin."""


class AdmittingConfig(msgspec.Struct, frozen=True):
    """The configuration that may admit more in one namespace, among those of the log."""

    #: By version.
    configs: Mapping[int, Config]
    version: int
    namespace: str

    @property
    def config(self) -> Config:
        return self.configs[self.version]

    def find_admitted(self, entry: LogEntry) -> Evidence | None:
        """What an entry names, if that is more than what it was read to name; else None."""
        observation = observation_of(entry)
        if policy_of(observation).reads_stored_values:
            return None
        before = extract_evidence(observation, config_of(entry, self.configs))
        if all(item.namespace != self.namespace for item in before.dropped):
            return None
        admitted_by = (*entry.admitted_by, self.version)
        again = msgspec.structs.replace(entry, admitted_by=admitted_by)
        after = extract_evidence(observation, config_of(again, self.configs))
        return after if set(before.persons) < set(after.persons) else None

    def values_of(self, dataset_id: int, evidence: Evidence | None) -> set[tuple[int, int, Identifier]]:
        """What an entry names in the namespace, with the dataset and the version."""
        named = () if evidence is None else evidence.persons
        return {(dataset_id, self.version, item) for item in named if item.namespace == self.namespace}


class AdmittedPage(msgspec.Struct, frozen=True):
    """How far a page came, and how many entries name more since."""

    last: EntryKey
    admitted: int


class AdmittedLater:
    """Reads again what a change admits. `on_unreconciled`: called when people are to be reconciled."""

    def __init__(
        self,
        database: Database,
        tombstones: Tombstones,
        on_unreconciled: Callable[[], None] = lambda: None,
        *,
        entries_per_page: int = ENTRIES_PER_PAGE,
        fragments_max: int = FRAGMENTS_MAX,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._database = database
        self._tombstones = tombstones
        self._on_unreconciled = on_unreconciled
        self._entries_per_page = entries_per_page
        self._fragments_max = fragments_max
        self._entries_max = entries_max
        #: Dataset and version of its configuration → the values that are tied to too much.
        self._passed: set[tuple[int, int, Identifier]] = set()

    async def read_page(self, dataset_id: int, after: EntryKey, namespace: str) -> AdmittedPage | None:
        """Read the next entries again by the present configuration; None: there are no more.

        Where they are tied to too much, fewer of them are read together. Raises Contended.
        """
        limit = self._entries_per_page
        while True:
            read = partial(self._read_page, after=after, namespace=namespace, limit=limit)
            try:
                page = await repeat(self._database, dataset_id, read)
            except (PartTooLarge, PartDecided) as reason:
                if limit == 1:
                    _logger.warning("values_not_read_again", dataset_id=dataset_id, reason=str(reason))
                    return await repeat(self._database, dataset_id, partial(self._pass, after, namespace))
                limit //= 2
            else:
                if page is not None and page.admitted:
                    self._on_unreconciled()
                return page

    async def _pass(self, after: EntryKey, namespace: str, transaction: Transaction) -> AdmittedPage | None:
        """Leave the next entry as it is read, and others that name the same value."""
        found = await transaction.dropped_values.list_after(after, 1)
        if not found:
            return None
        (entry, _), admitting = found[0], await _find_admitting(transaction, namespace)
        if len(self._passed) >= PASSED_MAX:
            self._passed.clear()
        self._passed |= admitting.values_of(transaction.dataset_id, admitting.find_admitted(entry))
        return AdmittedPage(_key_of(entry), 0)

    async def _read_page(
        self, transaction: Transaction, after: EntryKey, namespace: str, limit: int
    ) -> AdmittedPage | None:
        found = await transaction.dropped_values.list_after(after, limit)
        if not found:
            return None
        admitting = await _find_admitting(transaction, namespace)
        seeds = {
            fragment_id: evidence
            for entry, fragment_id in found
            if fragment_id is not None and (evidence := admitting.find_admitted(entry)) is not None
            if self._passed.isdisjoint(admitting.values_of(transaction.dataset_id, evidence))
        }
        admitted = await self._read_again(transaction, seeds, admitting) if seeds else 0
        return AdmittedPage(_key_of(found[-1][0]), admitted)

    async def _read_again(
        self, transaction: Transaction, seeds: Mapping[UUID, Evidence], admitting: AdmittingConfig
    ) -> int:
        """Fold all that is tied to fragments again with what it names more; returns of how many entries."""
        reach = await self._find_reach(transaction, seeds, admitting)
        await transaction.lock_identifiers(reach.names)
        if (await transaction.read_clock()).config_version != admitting.version:
            raise Contended("The configuration was changed meanwhile.")
        again = await self._find_reach(transaction, seeds, admitting)
        if (again.part.extent, again.part.entries, again.names) != (
            reach.part.extent,
            reach.part.entries,
            reach.names,
        ):
            raise Contended("An observation was added while values were read again.")
        entries = await self._without_erased(transaction, again)
        if entries:
            await _fold_admitted(transaction, again.part, entries, admitting)
        return len(entries)

    async def _find_reach(
        self, transaction: Transaction, seeds: Mapping[UUID, Evidence], admitting: AdmittingConfig
    ) -> _AdmittedPart:
        """All that fragments are tied to, by what their entries name now. Raises PartTooLarge."""
        named = {exactly(item.persons): item for item in seeds.values()}
        while True:
            tied, users = await _find_tied_by(transaction, named.values(), admitting.config)
            part = await find_tied(transaction, tied.union(seeds), users, fragments_max=self._fragments_max)
            keys = await transaction.fragments.find_entries(part.rows)
            if len(keys) > self._entries_max:
                raise PartTooLarge(len(part.rows))
            dropped = await transaction.dropped_values.find(keys)
            found = {
                _key_of(entry): (entry, evidence)
                for entry in dropped
                if (evidence := admitting.find_admitted(entry)) is not None
            }
            now = {exactly(item.persons): item for _, item in found.values()}
            if now.keys() <= named.keys():
                return _AdmittedPart(msgspec.structs.replace(part, entries=frozenset(keys)), found)
            named |= now

    async def _without_erased(self, transaction: Transaction, reach: _AdmittedPart) -> list[EntryKey]:
        """The entries that name more, without those from before the erasure of somebody whom they name."""
        named = {exactly(item.persons) for _, item in reach.found.values()}
        named |= {identifier for _, item in reach.found.values() for identifier in item.identifiers}
        erased = await self._tombstones.find(transaction, named)

        def is_erased(entry: LogEntry, evidence: Evidence) -> bool:
            happened = observation_of(entry).effective_at(entry.seq)
            about = (*evidence.identifiers, exactly(evidence.persons))
            return any(erased.get(item, happened) > happened for item in about)

        return [key for key, (entry, item) in reach.found.items() if not (erased and is_erased(entry, item))]


class _AdmittedPart(msgspec.Struct, frozen=True):
    """What is folded again."""

    part: GraphPart
    #: The entries that name more now, with all that they name.
    found: Mapping[EntryKey, tuple[LogEntry, Evidence]]

    @property
    def names(self) -> set[Identifier]:
        """Everything by which an observation may lead to it."""
        users = {Identifier(USER_ID, user) for user in self.part.users}
        named = {identifier for _, item in self.found.values() for identifier in item.identifiers}
        return {*self.part.devices, *self.part.identifiers, *users, *named}


async def _find_admitting(transaction: Transaction, namespace: str) -> AdmittingConfig:
    configs = await transaction.log.find_configurations()
    return AdmittingConfig(configs, max(configs), namespace)


def _key_of(entry: LogEntry) -> EntryKey:
    return entry.seq, entry.observation_id


async def _find_tied_by(
    transaction: Transaction, named: Iterable[Evidence], config: Config
) -> tuple[set[UUID], set[str]]:
    """The fragments that what observations name leads to, and the users who verified it."""
    together = [persons_of(item) for item in named]
    persons = {identifier for item in together for identifier in item}
    transfers = await transaction.verified_claims.find_transfers(persons)
    exact = [
        exact_digest(("browser", frozenset(Tenure(one, len(transfers.get(one, ()))) for one in item)))
        for item in together
    ]
    fragments = {row.fragment.fragment_id for row in await transaction.fragments.find((), (), exact)}
    fragments |= await transaction.fragments.find_proven_claimants(persons)
    paths = graph_rules(config).owners.claim_paths
    claims = {(paths[item.namespace], item.value) for item in persons if item.namespace in paths}
    return fragments, {user for user, _ in await transaction.verified_claims.find((), claims)}


async def _fold_admitted(
    transaction: Transaction, part: GraphPart, entries: Collection[EntryKey], admitting: AdmittingConfig
) -> None:
    """Read entries by a later configuration as well, and fold their part again."""
    await transaction.dropped_values.admit(entries, admitting.version)
    # What the view `all` decided of an observation depended on whose its browser was.
    await transaction.log.freeze_entries(part.entries)
    cause = await transaction.log.find_observation(admitting.config.seq)
    recorder = ChangeRecorder({}, cause or uuid.uuid4())
    before = await read_graph(transaction, part.rows)
    fragment_ids = await fold_again(transaction, part)
    fragment_ids |= await _fold_addressing(transaction, part, fragment_ids)
    recorder.note_graph(before, await read_graph(transaction, fragment_ids))
    await recorder.put(transaction)
    fragment_of = await transaction.fragments.find_entries(fragment_ids)
    await transaction.unreconciled_fragments.put(
        {fragment_of[key]: key[0] for key in entries if key in fragment_of}
    )
    _logger.info("values_read_again", dataset_id=transaction.dataset_id, entries=len(entries))


async def _fold_addressing(
    transaction: Transaction, part: GraphPart, fragment_ids: Collection[UUID]
) -> set[UUID]:
    """Fold again what addressed fragments that do not begin any more, with those that have their first words.

    `part`: as it was. `fragment_ids`: what it had, and what it has now. Returns the fragments that begin.
    Raises PartDecided.
    """
    rows = {row.fragment.fragment_id: row for row in await transaction.fragments.find(fragment_ids)}
    gone = part.rows.keys() - rows.keys()
    decided = {end for join in part.joins for end in (join.one, join.other)}
    if not gone.isdisjoint(decided.union(*(item.sides for item in part.separations.values()))):
        raise PartDecided("People decided about a part of a profile that would not begin.")
    fragment_of = await transaction.fragments.find_entries(rows)
    left = part.entries - fragment_of.keys()
    if not gone or not left:
        return set()
    of_seq = {seq: fragment_id for (seq, _), fragment_id in fragment_of.items()}
    homes = {item: of_seq.get(part.rows[item].fragment.began_at) for item in gone}
    addressed = {}
    for entry in await transaction.log.find_of_fragments(left, ()):
        target = observation_of(entry).profile_id
        if target is not None and (home := homes.get(target)) is not None:
            addressed[_key_of(entry)] = home
    if not addressed:
        return set()
    await transaction.dropped_values.readdress(addressed)
    return await fold_again(transaction, msgspec.structs.replace(part, rows=rows))
