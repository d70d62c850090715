"""Reconcile who is one person in the view `all` with what the identity graph says today.

The view `all` is folded observation by observation, so that evidence that comes later parts nobody in it and
joins nobody whom it kept apart. The identity graph does not depend on the order. Where the two differ, the
profiles concerned are folded again: each component of the graph by itself, then what is left apart is merged.

Invariants: pure. The plans of the outcome are applied as recorded from now on.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0027-the-view-all-is-reconciled.md.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import EntryKey, LogEntry, config_of, observation_of, recorded_plan
from oneself.core.fold.resolve_again import FoldScope, ResolvedAgain, detach_until, resolve_again
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import DeviceTie, IdentityGraph, PersonJoin, Separation
from oneself.core.identity_graph.joins import Join
from oneself.core.identity_graph.partition import Partition, RefusedJoin, partition
from oneself.core.identity_graph.rules import GraphRules
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.resolution.candidates import rank
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.plan import Merge, Refusal
from oneself.core.resolution.working_set import RefusalRecord, WorkingSet, united


class BelievedLog(msgspec.Struct, frozen=True):
    """What the log has of some profiles of the view `all`."""

    #: In order.
    entries: list[LogEntry]
    #: Entry → its fragment; jobs have none.
    fragments: Mapping[EntryKey, UUID]
    #: Configuration by version.
    configs: Mapping[int, Config]

    def config_of(self, entry: LogEntry) -> Config:
        return config_of(entry, self.configs)

    def fragment_of(self, entry: LogEntry) -> UUID | None:
        return self.fragments.get((entry.seq, entry.observation_id))

    def find_unread(self) -> set[UUID]:
        """The profiles of entries that name more than their plans have."""
        return {
            entry.profile_id
            for entry in self.entries
            if entry.admitted_by and entry.profile_id is not None and not entry.content_redacted
            if extract_evidence(observation_of(entry), self.config_of(entry)).dropped
            != recorded_plan(entry).dropped
        }

    def of_profiles(self, profile_ids: Container[UUID | None]) -> "BelievedLog":
        """What the log has of some of them."""
        kept = [entry for entry in self.entries if entry.profile_id in profile_ids]
        return msgspec.structs.replace(self, entries=kept)


#: The log of nobody.
NOTHING_LOGGED = BelievedLog([], {}, {})


class ExpectedPartition(msgspec.Struct, frozen=True):
    """Who is one person in the view `all`."""

    partition: Partition
    #: Fragment → the first fragment of its component.
    components: Mapping[UUID, UUID]

    def find_differing(self, attached: Iterable[tuple[UUID, UUID]]) -> set[UUID]:
        """The survivors of the believed state whose fragments are others than those of a component.

        `attached`: pairs of a fragment and the survivor that an entry of it is attached to.
        """
        pairs = {(self.components[fragment_id], survivor_id) for fragment_id, survivor_id in attached}
        survivors = Counter(component for component, _ in pairs)
        components = Counter(survivor_id for _, survivor_id in pairs)
        return {
            survivor_id
            for component, survivor_id in pairs
            if survivors[component] > 1 or components[survivor_id] > 1
        }


class FoldedApart(msgspec.Struct, frozen=True):
    """Profiles as they are expected."""

    state: WorkingSet
    #: As they are written back.
    entries: list[LogEntry]
    #: Jobs that read values of profiles that are gone.
    dropped: list[EntryKey]
    #: Survivors of components that are still to be merged, each with a merge into it.
    merges: list[tuple[UUID, Merge]]


def expect(
    fragments: Collection[Fragment],
    joins: Iterable[PersonJoin],
    separations: Mapping[UUID, Separation],
    log: BelievedLog,
    rules: GraphRules,
) -> ExpectedPartition:
    """Which fragments are one person in the view `all`. `joins`: those that hang on no identifier."""
    graph = believed_graph(fragments, joins, separations, log)
    found = partition(graph, fragments, "all", rules.guards)
    components = {id(item): item for item in found.components.values()}
    firsts = {key: min(item.members) for key, item in components.items()}
    return ExpectedPartition(found, {member: firsts[id(item)] for member, item in found.components.items()})


def believed_graph(
    fragments: Collection[Fragment],
    joins: Iterable[PersonJoin],
    separations: Mapping[UUID, Separation],
    log: BelievedLog,
) -> IdentityGraph:
    """The graph of fragments with all that ties them in the view `all`."""
    graph = IdentityGraph()
    for fragment in fragments:
        graph.put(fragment)
    graph.device_ties = _device_ties(log, graph.fragments)
    graph.person_joins = [*joins, *_token_joins(log)]
    graph.separations = dict(separations)
    return graph


def fold_apart(
    log: BelievedLog, expected: ExpectedPartition, scope: FoldScope, reasons: Mapping[str, str]
) -> FoldedApart:
    """Fold profiles again as they are expected. `reasons`: what a join hangs on → why profiles are merged."""
    parts = [
        resolve_again(component, log.configs, scope) for component in _by_component(log, expected.components)
    ]
    folded = sorted((entry for part in parts for entry in part.entries), key=_key_of)
    attached = _attached(log, folded)
    entries = _with_refusals(folded, log, expected, _homes(attached))
    if _are_independent(parts):
        state = united(part.state for part in parts)
        _add_refusals(state, folded, entries)
    else:
        state = _replayed(entries, log, scope)
    dropped = [key for part in parts for key in part.dropped]
    return FoldedApart(state, entries, dropped, _merges_left(state, expected, attached, reasons))


def _key_of(entry: LogEntry) -> EntryKey:
    return entry.seq, entry.observation_id


def _are_independent(parts: Iterable[ResolvedAgain]) -> bool:
    """Whether no part takes from another one what it holds: of all that is held, only browsers are taken."""
    devices: set[Identifier] = set()
    for part in parts:
        claimed = {item for item in part.state.claims if item.is_device}
        if not devices.isdisjoint(claimed):
            return False
        devices |= claimed
    return True


def _add_refusals(state: WorkingSet, before: Iterable[LogEntry], after: Iterable[LogEntry]) -> None:
    """Record the refusals that entries have got since they were folded."""
    for folded, entry in zip(before, after, strict=True):
        if folded is not entry:
            known, plan = recorded_plan(folded).refusals, recorded_plan(entry)
            for refusal in plan.refusals[len(known) :]:
                record = RefusalRecord(refusal, plan.survivor_id, entry.seq, entry.observation_id)
                state.refuse(record)
    # They are counted in the order of the log.
    state.changes.refused.sort(key=lambda record: (record.seq, record.observation_id))


def _replayed(entries: Iterable[LogEntry], log: BelievedLog, scope: FoldScope) -> WorkingSet:
    """What entries fold to together."""
    state, waiting = WorkingSet(), list(scope.detached)
    for entry in entries:
        detach_until(state, waiting, entry.seq)
        apply_recorded(state, observation_of(entry), recorded_plan(entry), log.config_of(entry), entry.seq)
    detach_until(state, waiting)
    return state


def _attached(log: BelievedLog, entries: Iterable[LogEntry]) -> list[tuple[UUID, UUID]]:
    """The fragment of each entry that has one, and the profile that the entry is attached to."""
    return [
        (fragment_id, recorded_plan(entry).profile_id)
        for entry in entries
        if (fragment_id := log.fragment_of(entry)) is not None
    ]


def _homes(attached: Iterable[tuple[UUID, UUID]]) -> dict[UUID, UUID]:
    """Fragment → the profile that its first entry is attached to."""
    homes: dict[UUID, UUID] = {}
    for fragment_id, profile_id in attached:
        homes.setdefault(fragment_id, profile_id)
    return homes


def _by_component(log: BelievedLog, components: Mapping[UUID, UUID]) -> list[list[LogEntry]]:
    """The entries of each component. A job belongs to the component of the profile that it reads."""
    of_profile: dict[UUID | None, UUID | None] = {}
    found: dict[UUID | None, list[LogEntry]] = {}
    for entry in log.entries:
        fragment_id = log.fragment_of(entry)
        if fragment_id is not None:
            component: UUID | None = components[fragment_id]
            of_profile.setdefault(entry.profile_id, component)
        else:
            addressed = observation_of(entry).addressed_id or entry.profile_id
            known = None if addressed is None else components.get(addressed)
            component = known or of_profile.get(entry.profile_id, entry.profile_id)
        found.setdefault(component, []).append(entry)
    return list(found.values())


def _device_ties(log: BelievedLog, fragments: Mapping[UUID, Fragment]) -> list[DeviceTie]:
    """The anonymous ids that came with trackers, until their trackers began anew."""
    ties: dict[Identifier, DeviceTie] = {}
    ended: list[DeviceTie] = []
    for entry in log.entries:
        observation, config, fragment_id = observation_of(entry), log.config_of(entry), log.fragment_of(entry)
        devices = extract_evidence(observation, config).devices
        tracker = next((item for item in devices if item.namespace == TRACKER), None)
        ends = policy_of(observation).ends
        if ends == "tracker" or (ends == "sign_in" and config.settings.detach_on_sign_out):
            for key, tie in list(ties.items()):
                if fragments[tie.fragment_id].browser == tracker:
                    ended.append(msgspec.structs.replace(ties.pop(key), until=entry.seq))
        elif fragment_id is not None and (tracker is not None or observation.new_tracker is not None):
            for device in devices:
                if device.namespace == ANONYMOUS_ID:
                    ties.setdefault(device, DeviceTie(device, fragment_id, entry.seq))
    return [*ended, *ties.values()]


def _token_joins(log: BelievedLog) -> Iterator[PersonJoin]:
    """What browsers said whose persisted tokens name somebody: no more than asserted."""
    homes = _homes(_attached(log, log.entries))
    called = {primary_id(profile_id, anonymous=False): item for item, profile_id in reversed(homes.items())}
    for entry in log.entries:
        token, fragment_id = observation_of(entry).token, log.fragment_of(entry)
        named = None if token is None else called.get(token.primary_id)
        if named is not None and fragment_id is not None and named != fragment_id:
            yield PersonJoin(named, fragment_id, EvidenceLevel.ASSERTED, entry.seq, "manual")


def _with_refusals(
    entries: list[LogEntry], log: BelievedLog, expected: ExpectedPartition, homes: Mapping[UUID, UUID]
) -> list[LogEntry]:
    """The entries with the refusals of the joins that they would have made between the components."""
    refused: dict[int, list[RefusedJoin]] = {}
    for item in expected.partition.refused:
        refused.setdefault(item.join.since, []).append(item)
    return [_with_refused(entry, refused.get(entry.seq, ()), log, expected, homes) for entry in entries]


def _with_refused(
    entry: LogEntry,
    refused: Iterable[RefusedJoin],
    log: BelievedLog,
    expected: ExpectedPartition,
    homes: Mapping[UUID, UUID],
) -> LogEntry:
    fragment_id = log.fragment_of(entry)
    if not refused or fragment_id is None:
        return entry
    component, plan = expected.components[fragment_id], recorded_plan(entry)
    found = list(plan.refusals)
    for item in refused:
        others = [end for end in (item.join.one, item.join.other) if expected.components[end] != component]
        namespace = None if item.join.via is None else item.join.via.namespace
        if len(others) == 1 and others[0] in homes:
            refusal = Refusal(item.code, homes[others[0]], item.namespace or namespace)
            found += [] if refusal in found else [refusal]
    return msgspec.structs.replace(entry, plan=msgspec.structs.replace(plan, refusals=tuple(found)))


def _merges_left(
    state: WorkingSet,
    expected: ExpectedPartition,
    attached: Iterable[tuple[UUID, UUID]],
    reasons: Mapping[str, str],
) -> list[tuple[UUID, Merge]]:
    """The merges of those who are one person, but were kept apart observation by observation."""
    found: list[tuple[UUID, Merge]] = []
    parts: dict[UUID, dict[UUID, Profile]] = {}
    fragments: dict[UUID, set[UUID]] = {}
    for fragment_id, profile_id in attached:
        if (survivor := state.survivor(profile_id)) is not None:
            parts.setdefault(expected.components[fragment_id], {})[survivor.profile_id] = survivor
            fragments.setdefault(survivor.profile_id, set()).add(fragment_id)
    for component, survivors in parts.items():
        first, *others = sorted(survivors.values(), key=rank)
        joins = expected.partition.components[component].joins
        for other in others:
            merge = _merge(other.profile_id, fragments[other.profile_id], joins, reasons)
            found.append((first.profile_id, merge))
    return found


def _merge(
    profile_id: UUID, fragments: Collection[UUID], joins: Iterable[Join], reasons: Mapping[str, str]
) -> Merge:
    """The merge of a profile, by the oldest join that leads from its fragments to others."""
    join = next((join for join in joins if (join.one in fragments) != (join.other in fragments)), None)
    if join is None:
        return Merge(profile_id, "anonymous")
    return Merge(profile_id, reasons.get(join.reason, join.reason), join.via)
