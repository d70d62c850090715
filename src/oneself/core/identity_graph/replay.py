"""Replays: a view is the writes of its fragments and the joins between them, in the order of the log.

Invariants: pure. The same fragments and joins always give the same values and ids.

Source: docs/concepts/trust.md, "Views"; docs/concepts/merging.md.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.identity_graph.choices import NO_CHOICES, EffectiveChoices, choose, join_choices
from oneself.core.identity_graph.fragment import ChoiceWrite, Fragment, Write
from oneself.core.identity_graph.joins import Join, View, user_in, user_since
from oneself.core.units import SEQ_MAX
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.merge import Strategy, merge_values
from oneself.core.values.record import (
    EMPTY,
    Change,
    Path,
    Record,
    ValueChanges,
    as_old_as,
    leaves,
    read,
    write,
)
from oneself.core.values.schema import Schema

#: The activity of a part of more fragments does not count when survivors are ranked.
MEMBERS_RANKED_MAX = 100

#: The last activity of a fragment, in µs since 1970, among the observations before a seq; 0: none.
ActiveBefore = Callable[[UUID, int], int]


class ReplayRules(msgspec.Struct, frozen=True):
    """The part of the configuration that values depend on."""

    schema: Schema
    #: Dotted path → a strategy that overrides that of the attribute.
    strategies: Mapping[str, Strategy] = {}
    #: Dotted paths of identities whose proven value never gives way to an asserted one.
    tiered: frozenset[str] = frozenset()


class AbsorbedPart(msgspec.Struct, frozen=True):
    """A part that was a profile of its own and was merged into another."""

    #: Also its profile id.
    head: UUID
    #: Of the join: a namespace, `user`, `manual`, `bridge` or `anonymous`; stored, as responses say it.
    reason: str
    #: Since when they are one.
    seq: int


class Part(msgspec.Struct, frozen=True):
    """What some fragments amount to, at one moment."""

    #: The fragment whose id the part has.
    head: UUID
    record: Record
    choices: EffectiveChoices
    #: In the order of absorption.
    absorbed: tuple[AbsorbedPart, ...]
    #: The seq of the last change that is visible.
    version: int


class Standing(msgspec.Struct, frozen=True):
    """What a part was before the observation that joins it with another; decides which one survives."""

    #: The seq of its first observation.
    began_at: int
    #: Whether the observation itself begins it.
    begins: bool
    #: Whether an application's creation of a profile began it.
    is_created: bool
    has_user: bool
    #: Whether it has, or had, a person identifier.
    is_named: bool
    #: Its last activity, in µs since 1970; 0: none.
    active_at: int

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """The sort key of survivors, best first (docs/concepts/resolution.md, rule 4).

        A fragment that begins inside a view is no candidate, unless an application creates it as a profile.
        """
        is_no_candidate = int(self.begins and not self.is_created)
        known = 0 if self.has_user else 1 if self.is_named else 2
        return is_no_candidate, known, -self.active_at, self.began_at


def replay(
    fragments: Iterable[Fragment],
    joins: tuple[Join, ...],
    view: View,
    rules: ReplayRules,
    active_before: ActiveBefore,
) -> Part:
    """The one part that the fragments of a component become. `joins`: the tree that holds them together."""
    members = sorted(fragments, key=lambda item: item.fragment_id)
    replaying = _Replay(members, view, rules, active_before)
    # The writes of one observation keep their order.
    visible: list[tuple[UUID, Write | ChoiceWrite]] = [*_visible_writes(members, view)]
    visible += [(member.fragment_id, choice) for member in members for choice in member.choices]
    ordered = sorted(visible, key=lambda item: (item[1].seq, item[0]))
    waiting = sorted(joins, key=lambda item: item.since)
    position = 0
    for seq, together in groupby(ordered, key=lambda item: item[1].seq):
        position = replaying.join_until(waiting, position, seq)
        for owner, item in together:
            replaying.put(owner, item)
    replaying.join_until(waiting, position, None)
    return replaying.part_of(members[0].fragment_id)


def absorb(
    survivor: Part, absorbed: Part, standings: tuple[Standing, Standing], join: Join, rules: ReplayRules
) -> Part:
    """The survivor, joined with the absorbed part. `standings`: of the two, in this order."""
    mine, theirs = standings
    record = merge_values(
        rules.schema,
        survivor.record,
        absorbed.record,
        absorbed_fills_identity_only=mine.has_user and not theirs.has_user,
        strategies=rules.strategies,
    )
    # What begins inside a view was never a profile there, unless an application created it.
    is_listed = theirs.is_created or not theirs.begins
    return Part(
        head=survivor.head,
        record=record,
        choices=join_choices(survivor.choices, absorbed.choices),
        absorbed=(
            *survivor.absorbed,
            *((AbsorbedPart(absorbed.head, join.reason, join.since),) if is_listed else ()),
            *absorbed.absorbed,
        ),
        version=max(survivor.version, absorbed.version, *_changes_at(join, theirs)),
    )


def _changes_at(join: Join, absorbed: Standing) -> tuple[int, ...]:
    """The seqs at which a join changes what is visible: it shows what a part began with, and it is known."""
    return (join.known_since,) if absorbed.begins else (join.since, join.known_since)


class _PartOrigin(msgspec.Struct, frozen=True):
    """When a part began, and since when it is known; all as seqs, `SEQ_MAX` for never."""

    #: When its first and its last fragment began.
    first: int
    last: int
    is_created: bool
    user_since: int
    named_since: int

    def with_other(self, other: "_PartOrigin") -> "_PartOrigin":
        """That of two parts together."""
        return _PartOrigin(
            min(self.first, other.first),
            max(self.last, other.last),
            self.is_created or other.is_created,
            min(self.user_since, other.user_since),
            min(self.named_since, other.named_since),
        )


class _Replay:
    """The parts of one component while its writes and joins are replayed."""

    def __init__(
        self, members: list[Fragment], view: View, rules: ReplayRules, active_before: ActiveBefore
    ) -> None:
        self._view = view
        self._rules = rules
        self._active_before = active_before
        self._fragments = {item.fragment_id: item for item in members}
        #: Fragment → the fragments of its part; all of them share one list.
        self._members = {item.fragment_id: [item] for item in members}
        #: First member → when its part began.
        self._origins = {item.fragment_id: _origin(item, view) for item in members}
        #: First member → part.
        self._parts = {item.fragment_id: single(item) for item in members}

    def part_of(self, fragment_id: UUID) -> Part:
        """The part that a fragment belongs to now."""
        return self._parts[self._members[fragment_id][0].fragment_id]

    def put(self, owner: UUID, item: Write | ChoiceWrite) -> None:
        """Write a value or a choice into the part that its fragment belongs to."""
        part = self.part_of(owner)
        after = with_item(part, item, self._fragments[owner], self._view, self._rules)
        if after is not part:
            self._set(owner, after)

    def join_until(self, waiting: list[Join], position: int, seq: int | None) -> int:
        """Carry out the joins before a seq. In one observation, writes go first."""
        while position < len(waiting) and (seq is None or waiting[position].since < seq):
            since = waiting[position].since
            together = [join for join in waiting[position:] if join.since == since]
            position += len(together)
            while together:
                together.remove(self._join_least_active(together, since))
        return position

    def _join_least_active(self, joins: list[Join], since: int) -> Join:
        ranked = []
        for join in joins:
            standings = {item: self._standing(item, since) for item in (join.one, join.other)}
            survivor, absorbed = sorted(
                standings, key=lambda item: (standings[item].rank, self.part_of(item).head)
            )
            pair = standings[survivor], standings[absorbed]
            ranked.append((pair[1].active_at, join.age, survivor, absorbed, pair, join))
        *_, survivor, absorbed, pair, join = min(ranked, key=lambda item: item[:2])
        joined = absorb(self.part_of(survivor), self.part_of(absorbed), pair, join, self._rules)
        members, others = self._members[survivor], self._members[absorbed]
        first = members[0].fragment_id
        self._origins[first] = self._origins[first].with_other(self._origins[others[0].fragment_id])
        members += others
        for member in others:
            self._members[member.fragment_id] = members
        self._set(survivor, joined)
        return join

    def _standing(self, fragment_id: UUID, since: int) -> Standing:
        members = self._members[fragment_id]
        origin = self._origins[members[0].fragment_id]
        ranked = members if len(members) <= MEMBERS_RANKED_MAX else []
        active_at = max((self._active_before(item.fragment_id, since) for item in ranked), default=0)
        return _standing(origin, since, active_at)

    def _set(self, fragment_id: UUID, part: Part) -> None:
        self._parts[self._members[fragment_id][0].fragment_id] = part


def standing_alone(fragment: Fragment, view: View, since: int, active_before: ActiveBefore) -> Standing:
    """What a fragment was by itself before the observation that joins it with others."""
    return _standing(_origin(fragment, view), since, active_before(fragment.fragment_id, since))


def _standing(origin: _PartOrigin, since: int, active_at: int) -> Standing:
    begins = origin.first == origin.last == since
    until = since if begins else since - 1
    return Standing(
        began_at=origin.first,
        begins=begins,
        is_created=begins and origin.is_created,
        has_user=origin.user_since <= until,
        is_named=origin.named_since <= until,
        active_at=active_at,
    )


def with_value(part: Part, item: Write, rules: ReplayRules) -> Part:
    """The part with a write that is newer than all that it has seen.

    What the same fragment repeats is as old as its first word, also where it shows again what others
    replaced: the version must not depend on words that nobody keeps.
    """
    record = put(part.record, item, rules)
    if record is part.record:
        return part
    version = max(part.version, item.source.first_seq)
    return msgspec.structs.replace(part, record=record, version=version)


def with_item(
    part: Part, item: Write | ChoiceWrite, writer: Fragment, view: View, rules: ReplayRules
) -> Part:
    """The part with a value or a choice of one of its fragments that is newer than all that it has seen."""
    if isinstance(item, Write):
        return with_value(part, item, rules)
    choices = choose(part.choices, item, is_of_user=user_in(writer, view) is not None)
    if choices is part.choices:
        return part
    return msgspec.structs.replace(part, choices=choices, version=item.seq)


def put(record: Record, item: Write, rules: ReplayRules) -> Record:
    """The record with a write, unless what stands there goes before it.

    Its source is that of the write, also where it repeats what another fragment said: what the same fragment
    said in between is not kept.
    """
    if _stays(record, item, rules):
        return record
    return write(record, ValueChanges((Change(item.path, item.value),)), item.source, keeps_age=False)


def record_of(writes: Iterable[Write], rules: ReplayRules) -> Record:
    """What writes of one fragment amount to, asserted identities included."""
    record = EMPTY
    for item in writes:
        record = put(record, item, rules)
    return record


def with_write(writes: tuple[Write, ...], item: Write) -> tuple[Write, ...]:
    """The writes with a new one, without those at its place and below that have no effect any more.

    A removal that happened after the new value was said stays: in a view it removes what others said. A
    proven identity stays beside an asserted one: the views `own` and `proven` do not show the asserted one.
    """
    depth = len(item.path)
    kept = (
        o
        for o in writes
        if o.path[:depth] != item.path
        or o.source.at > item.source.at
        or (item.is_asserted_identity and not o.is_asserted_identity)
    )
    return (*kept, item)


def as_repeated(writes: Iterable[Write], item: Write) -> Write:
    """The write; one that repeats what its fragment says is as old as the first one."""
    repeated = next((o for o in writes if o.path == item.path and o.value == item.value), None)
    if repeated is None or repeated.is_asserted_identity != item.is_asserted_identity:
        return item
    source = as_old_as((repeated.source,), (item.source,))[0]
    return msgspec.structs.replace(item, source=source)


def takes_effect_proven(writes: Iterable[Write], item: Write) -> bool:
    """Whether only an asserted identity goes before a write, so that the views `own` and `proven` show it."""
    beside = [o for o in writes if o.path == item.path and o.value is not None]
    return any(o.is_asserted_identity for o in beside) and not any(
        item.is_asserted_identity or (not o.is_asserted_identity and o.source.at > item.source.at)
        for o in beside
    )


def _stays(record: Record, item: Write, rules: ReplayRules) -> bool:
    present = read(record.values, item.path)
    if present is None:
        return False
    stem = ".".join(item.path)
    for leaf in leaves(present, stem):
        for source in record.provenance.get(leaf, ()):
            is_proven = source.trust == "server"
            if leaf in rules.tiered and is_proven != (item.source.trust == "server"):
                if is_proven:
                    return True
            elif source.at > item.source.at:
                return True
    return False


def own_identity(fragments: Iterable[Fragment]) -> frozenset[Path]:
    """The identity attributes that stand in a user's own fragment, where the identity provider writes."""
    return frozenset(
        item.path
        for fragment in fragments
        if fragment.origin == "user"
        for item in fragment.writes
        if _is_of_identity(item.path) and item.value is not None and not item.is_asserted_identity
    )


def gives_way_to_own(item: Write | ChoiceWrite, writer: Fragment, own: frozenset[Path]) -> bool:
    """Whether a view does not show a write, because the user's own fragment has the identity attribute.

    `own`: the result of `own_identity` for the view.
    """
    if not own or isinstance(item, ChoiceWrite) or writer.origin == "user":
        return False
    return any(item.path[: len(path)] == path for path in own)


def _visible_writes(members: list[Fragment], view: View) -> Iterable[tuple[UUID, Write]]:
    """The writes that a view shows.

    Asserted identities are visible in `all` alone, and there not among the identity attributes of an owned
    profile. Those come from the user's own fragment first, whatever the order.
    """
    has_owner = any(member.owner is not None for member in members)
    own = own_identity(members)
    for member in members:
        for item in member.writes:
            if item.is_asserted_identity and (view != "all" or (has_owner and _is_of_identity(item.path))):
                continue
            if not gives_way_to_own(item, member, own):
                yield member.fragment_id, item


def _is_of_identity(path: Path) -> bool:
    return path[0] == IDENTITY_ATTRIBUTES


def _origin(fragment: Fragment, view: View) -> _PartOrigin:
    since = user_since(fragment, view)
    return _PartOrigin(
        first=fragment.began_at,
        last=fragment.began_at,
        is_created=fragment.origin == "application",
        user_since=SEQ_MAX if since is None else since,
        named_since=min((claim.since for claim in fragment.claims), default=SEQ_MAX),
    )


def single(fragment: Fragment) -> Part:
    """What a fragment is by itself before anything is written to it."""
    return Part(fragment.fragment_id, EMPTY, NO_CHOICES, (), fragment.began_at)
