"""What a batch may touch of the identity graph, and what has changed since it was read.

Source: docs/concepts/trust.md, docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import Bridge, ManualMerge, ManualSplit
from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph import by_hand
from oneself.core.identity_graph.by_hand import UnitedSides
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.graph import ExactKey, IdentityGraph, PersonJoin, Separation
from oneself.core.identity_graph.names import known_since, proven_claims
from oneself.core.identity_graph.observe import Observed, observe, verified_identifiers
from oneself.core.identity_graph.owners import detach
from oneself.core.identity_graph.placing import user_on
from oneself.core.identity_graph.rules import GraphRules
from oneself.core.identity_graph.verified import record_verification
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.errors import Contended
from oneself.store.clock import TransactionClock
from oneself.store.tables.fragment import FragmentEntry, FragmentRow, LockedFragments
from oneself.store.transaction import Transaction


class LoadedGraph:
    """What a batch may touch of the identity graph, and what has changed since it was read."""

    def __init__(self, rules: GraphRules, *, with_records: bool) -> None:
        self.graph = IdentityGraph()
        self.rules = rules
        self._with_records = with_records
        #: Fragment → its row as it was read.
        self.rows: dict[UUID, FragmentRow] = {}
        #: Fragment → the profile that its first observation is attached to.
        self.believed: dict[UUID, UUID] = {}
        self.entries: list[FragmentEntry] = []
        #: The seq of the last observation that the fragments of acting browsers had seen.
        self.acting_seq = 0
        #: Read when everything that is locked here was locked; None: nothing was.
        self.clock: TransactionClock | None = None
        #: The joins that are new, and those that a split ended.
        self.new_joins: list[PersonJoin] = []
        self.ended_joins: list[PersonJoin] = []
        #: The separations that are new, and the sides of others that a person joined again.
        self.new_separations: list[Separation] = []
        self.united_sides: list[UnitedSides] = []
        #: Of the fragments that are locked, those that a person keeps apart from others.
        self.separated: set[UUID] = set()
        #: The fragments that the last observation of a job read, and those whose claims it changed.
        self.reindexed: tuple[UUID, ...] = ()
        self.indexed: tuple[UUID, ...] = ()
        #: The fragments whose joins are judged again, with all that is tied to them once it is written.
        self.reviewed: set[UUID] = set()
        #: Of the batch. Everything that the batch builds on has to be older.
        self.first_seq: int | None = None
        self._browsers: dict[Identifier, Any] = {}
        self._verified: dict[Any, Any] = {}
        self._transfers: dict[Identifier, tuple[int, ...]] = {}

    def add(self, rows: Iterable[FragmentRow]) -> None:
        """Add fragments that are not in it yet."""
        for row in rows:
            fragment = row.fragment
            if fragment.fragment_id in self.rows:
                continue
            if self._with_records and fragment.writes:
                record = record_of(fragment.writes, self.rules.fold.values)
                fragment = msgspec.structs.replace(fragment, record=record)
                row = msgspec.structs.replace(row, fragment=fragment)
            self.rows[fragment.fragment_id] = row
            self.believed[fragment.fragment_id] = row.believed_id
            self.graph.put(fragment)

    def add_locked(self, locked: LockedFragments) -> None:
        """Add fragments that are locked now. Raises Contended if one changed since it was read."""
        self.check_unmoved(locked.rows)
        self.add(locked.rows)
        self.add_joins(locked.joins)
        self.separated |= locked.separated

    def begin(self) -> None:
        """Everything is loaded: what differs from now on has changed."""
        self._browsers = dict(self.graph.browsers)
        self._verified = dict(self.graph.verified)
        self._transfers = dict(self.graph.transfers)

    def with_known(self, observation: Observation, evidence: Evidence) -> Evidence:
        """The evidence with the user who signed in on its browser, and whether it means somebody known."""
        trackers = [device for device in evidence.devices if device.namespace == TRACKER]
        if not trackers and not evidence.persons:
            return evidence
        users = (user_on(self.graph, tracker) for tracker in trackers)
        speaker = next((user for user in users if user is not None), None)
        is_known = evidence.user_id is None or speaker is not None or self._is_known(observation, trackers)
        if speaker is None and is_known:
            return evidence
        return msgspec.structs.replace(evidence, speaker=speaker, is_known=is_known)

    def _is_known(self, observation: Observation, trackers: Iterable[Identifier]) -> bool:
        """Whether a server or a sign-in said who these browsers or the addressed profile are."""
        named = [item for tracker in trackers for item in self.graph.present_fragments(tracker)]
        if observation.profile_id in self.graph.fragments:
            named.append(self.graph.fragments[observation.profile_id])
        return not named or any(known_since(item, "proven") is not None for item in named)

    def observe(
        self, observed: Observed, believed_id: UUID, unified_ids: Callable[[UUID], Collection[UUID]]
    ) -> FragmentEntry | None:
        """Fold an observation; returns which fragment it belongs to.

        `believed_id`: the profile that it is attached to. `unified_ids`: profile → those one with it.
        """
        observation = observed.observation
        if policy_of(observation).reads_stored_values and observation.profile_id is not None:
            reindexed = observation.fragment_ids
            if reindexed is None:
                reindexed = tuple(self._believed_in(unified_ids(observation.profile_id)))
            known = [item for item in reindexed if item in self.graph.fragments]
            observed = msgspec.structs.replace(observed, reindexed=known)
        before = {item: self.graph.fragments[item].claims for item in observed.reindexed}
        fragment_id = observe(self.graph, observed)
        self.reindexed = tuple(sorted(before))
        self.indexed = tuple(
            sorted(item for item in before if self.graph.fragments[item].claims != before[item])
        )
        # Ties of anonymous ids matter only to the view `all`, which is not read from here. None is stored, so
        # that no observation depends on what else its batch contains.
        self.graph.device_ties.clear()
        self.first_seq = self.first_seq or observed.seq
        for new in reversed(self.graph.fragments):
            if new in self.believed:
                break
            self.believed[new] = believed_id
        return None if fragment_id is None else self._entry(fragment_id, observed)

    def observe_acting(self, fragment_id: UUID, observed: Observed) -> FragmentEntry:
        """Fold an event that only acts, of a browser in `graph.acting`; `observe` comes to the same.

        `fragment_id`: the one that the browser speaks in.
        """
        self.first_seq = self.first_seq or observed.seq
        return self._entry(fragment_id, observed)

    def observe_repetition(self, fragment: Fragment, observed: Observed) -> FragmentEntry:
        """Fold an event that repeats what its browser said; `observe` comes to the same.

        `fragment`: from `fragment_that_repeats`.
        """
        self.first_seq = self.first_seq or observed.seq
        return self._entry(self.graph.put(fragment).fragment_id, observed)

    def _entry(self, fragment_id: UUID, observed: Observed) -> FragmentEntry:
        observation_id = observed.observation.observation_id
        entry = FragmentEntry(fragment_id, observed.seq, observation_id, observed.active_at)
        self.entries.append(entry)
        return entry

    def record(self, verification: ClaimVerification, config: Config, seq: int) -> bool:
        """Fold what a user verified, or gave up, in another dataset; False if it is known already."""
        identifiers = verified_identifiers(verification, config)
        is_new = record_verification(self.graph, verification, identifiers, self.rules.owners, seq)
        if is_new:
            self.first_seq = self.first_seq or seq
        return is_new

    def detach(self, devices: Iterable[Identifier], seq: int) -> None:
        """Let browsers begin anew, as an erasure does; unknown ones stay unknown."""
        for device in devices:
            if device in self.graph.browsers:
                self.first_seq = self.first_seq or seq
                detach(self.graph, device)

    def bridge(self, bridges: Iterable[Bridge], seq: int) -> None:
        """Join fragments as an erasure does, as far as they are there."""
        for item in bridges:
            if item.one in self.graph.fragments and item.other in self.graph.fragments:
                self.first_seq = self.first_seq or seq
                join = PersonJoin(item.one, item.other, EvidenceLevel.PROVEN, item.since, "bridge")
                self.new_joins.append(join)
                self.add_joins([join])

    def split(self, split: ManualSplit, split_id: UUID, seq: int) -> None:
        """Keep fragments apart as a person decided, as far as they are there."""
        sides = {key: side for key, side in split.numbered.items() if key in self.graph.fragments}
        separation = Separation(split_id, seq, sides)
        self.ended_joins += by_hand.split(self.graph, separation)
        self.new_separations.append(separation)
        self.review(sides, seq)

    def merge(self, merge: ManualMerge, seq: int) -> None:
        """Join profiles as a person decided, as far as they are there."""
        if merge.gave_up is not None:
            self.new_joins += by_hand.disown(self.graph, merge.gave_up, merge.disowned)
        joins, united = by_hand.merge(self.graph, merge.pair, merge.members, seq)
        self.new_joins += joins
        self.united_sides += united
        self.review([item for side in merge.members for item in side], seq)

    def review(self, fragment_ids: Iterable[UUID], seq: int) -> None:
        """Judge the joins of fragments again, as far as they are there."""
        found = [item for item in fragment_ids if item in self.graph.fragments]
        if found:
            self.first_seq = self.first_seq or seq
            self.reviewed.update(found)

    def add_joins(self, joins: Iterable[PersonJoin]) -> None:
        """Add joins that hang on no identifier."""
        self.graph.person_joins = list(dict.fromkeys((*self.graph.person_joins, *joins)))

    def joined_with(self, fragment_ids: Collection[UUID]) -> set[UUID]:
        """The fragments that such joins tie to some, themselves among them."""
        pairs = ({item.one, item.other} for item in self.graph.person_joins)
        return set[UUID]().union(*(pair for pair in pairs if not pair.isdisjoint(fragment_ids)))

    def seen_with(self, fragment_id: UUID) -> set[UUID]:
        """The fragments that have been read of the profiles that a fragment belongs to."""
        row = self.rows.get(fragment_id)
        if row is None:
            return {fragment_id}
        return {item for item, other in self.rows.items() if row.proven_id == other.proven_id} | {
            row.proven_id,
            row.own_id,
        }

    def _believed_in(self, profile_ids: Collection[UUID]) -> list[UUID]:
        """The fragments whose first observation is attached to one of these profiles."""
        return [fragment_id for fragment_id, known in self.believed.items() if known in profile_ids]

    @property
    def latest_seq(self) -> int:
        """The seq of the last observation that what was read had seen."""
        seen = [max(row.fragment.seq, row.updated_at) for row in self.rows.values()]
        seen += [claim.since for claim in self._verified.values()]
        seen += [moments[-1] for moments in self._transfers.values()]
        return max((self.acting_seq, *seen))

    def changed(self) -> list[Fragment]:
        """The fragments that are new or differ from their rows."""
        return [item for item in self.graph.fragments.values() if item is not self.before(item.fragment_id)]

    def before(self, fragment_id: UUID) -> Fragment | None:
        """A fragment as it was read; None: it is new."""
        row = self.rows.get(fragment_id)
        return None if row is None else row.fragment

    def check_unmoved(self, locked: Iterable[FragmentRow]) -> None:
        """Raise Contended if a fragment changed since it was read, or after this batch began."""
        assert self.first_seq is not None
        for row in locked:
            read = self.rows.get(row.fragment.fragment_id)
            is_moved = read is not None and read.read_version != row.read_version
            if is_moved or max(row.fragment.seq, row.updated_at) >= self.first_seq:
                raise Contended("Another request changed the same profile.")

    async def save_names(self, transaction: Transaction) -> None:
        """Write verified claims, who held identifiers when, joins that hang on none, and later browsers."""
        graph = self.graph
        # What begins in a batch may end in it.
        await transaction.person_joins.put(self.new_joins)
        await transaction.person_joins.delete(self.ended_joins)
        await transaction.separations.put(self.new_separations)
        await transaction.separations.unite(self.united_sides)
        await transaction.later.browsers.put(_changed(graph.browsers, self._browsers), self._browsers)
        await transaction.verified_claims.put(_changed(graph.verified, self._verified))
        await transaction.verified_claims.delete(self._verified.keys() - graph.verified.keys())
        await transaction.verified_claims.put_transfers(_changed(graph.transfers, self._transfers))


def exact_digest(key: ExactKey) -> bytes:
    """The digest by which the fragment of exactly these identifiers is found."""
    speaker, tenures = key
    named = sorted((t.identifier.namespace, t.identifier.value, t.number) for t in tenures)
    return hashlib.blake2b(msgspec.json.encode((speaker, named)), digest_size=16).digest()


def proven_identifiers_of(fragment: Fragment) -> set[Identifier]:
    """The identifiers that a server or a provider said of a fragment."""
    return {claim.tenure.identifier for claim in proven_claims(fragment)}


def users_of(fragment: Fragment) -> set[str]:
    """The owner and the reported user of a fragment."""
    known = (fragment.owner, fragment.reported)
    return {item.user_id for item in known if item is not None}


def _changed(now: Mapping[Any, Any], before: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in now.items() if before.get(key) != value}
