"""Replays: a view is the writes of its fragments and the joins between them, in the order of the log.

Invariants: pure. The same fragments and joins always give the same values and ids.

Source: docs/concepts/trust.md, "Views"; docs/concepts/merging.md.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from uuid import UUID

import msgspec

from oneself.core.identity_graph.choices import NO_CHOICES, EffectiveChoices, choose, join_choices
from oneself.core.identity_graph.fragment import ChoiceWrite, Fragment, Write
from oneself.core.identity_graph.joins import Join, View, user_in, user_since
from oneself.core.units import SEQ_MAX
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.merge import Strategy, merge_values
from oneself.core.values.patch import is_written_once
from oneself.core.values.record import (
    EMPTY,
    Change,
    Path,
    Record,
    ValueChanges,
    leaves,
    read,
    write,
)
from oneself.core.values.schema import Schema

#: What is written to a fragment.
Item = Write | ChoiceWrite

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
    #: Whether the schema has attributes that are written once.
    writes_once: bool = False


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


class StoredPart(msgspec.Struct, frozen=True):
    """A part of two or more fragments as a view stores it."""

    part: Part
    #: The seq of its first observation.
    began_at: int
    has_user: bool
    #: Its fragments; of more than `MEMBERS_RANKED_MAX`, those that joins lead to and some others.
    members: Collection[UUID]


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
    def is_listed(self) -> bool:
        """Whether whatever absorbs it lists it.

        What begins inside a view was never a profile there, unless an application created it.
        """
        return self.is_created or not self.begins

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
    visible: list[tuple[Fragment, Item]] = [*_visible_writes(members, view)]
    visible += [(member, choice) for member in members for choice in member.choices]
    replaying = _Replay([_alone(item, view) for item in members], view, rules, active_before)
    return replaying.play(visible, joins)


def replay_stored(
    parts: Sequence[StoredPart | Fragment],
    items: Iterable[tuple[Fragment, Item]],
    joins: tuple[Join, ...],
    view: View,
    rules: ReplayRules,
    active_before: ActiveBefore,
) -> Part:
    """The one part that parts become which a view stores already, and single fragments.

    `items`: what is newer than all that the stored parts have seen, and everything that the single fragments
    have. `joins`: the tree that holds the parts together, each newer than all of them.
    """
    begun = [_alone(item, view) if isinstance(item, Fragment) else _stored(item) for item in parts]
    return _Replay(begun, view, rules, active_before).play(items, joins)


def absorb(
    survivor: Part, absorbed: Part, standings: tuple[Standing, Standing], join: Join, rules: ReplayRules
) -> Part:
    """The survivor, joined with the absorbed part. `standings`: of the two, in this order.

    What each of them absorbed before is left out: `_Replay` lists it.
    """
    mine, theirs = standings
    record = merge_values(
        rules.schema,
        survivor.record,
        absorbed.record,
        absorbed_fills_identity_only=mine.has_user and not theirs.has_user,
        strategies=rules.strategies,
    )
    return Part(
        head=survivor.head,
        record=record,
        choices=join_choices(survivor.choices, absorbed.choices),
        absorbed=(),
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


class _Begun(msgspec.Struct, frozen=True):
    """A part with which a replay begins."""

    members: tuple[UUID, ...]
    origin: _PartOrigin
    part: Part


class _Replay:
    """The parts of one component while its writes and joins are replayed."""

    def __init__(
        self, begun: Sequence[_Begun], view: View, rules: ReplayRules, active_before: ActiveBefore
    ) -> None:
        self._view = view
        self._rules = rules
        self._active_before = active_before
        #: Fragment → the fragments of its part; all of them share one list.
        self._members: dict[UUID, list[UUID]] = {}
        for item in begun:
            members = [*item.members]
            self._members |= dict.fromkeys(members, members)
        #: First member → when its part began.
        self._origins = {item.members[0]: item.origin for item in begun}
        #: First member → part, without what it absorbed.
        self._parts = {item.members[0]: msgspec.structs.replace(item.part, absorbed=()) for item in begun}
        #: First member → what its part absorbed, in order; one list grows, because there may be very many.
        self._absorbed = {item.members[0]: list(item.part.absorbed) for item in begun}

    def play(self, items: Iterable[tuple[Fragment, Item]], joins: Iterable[Join]) -> Part:
        """Write the items and carry out the joins; returns the part that is left."""
        # The writes of one observation keep their order.
        ordered = sorted(items, key=lambda item: (item[1].seq, item[0].fragment_id))
        waiting = sorted(joins, key=_since_of)
        position = 0
        for seq, together in groupby(ordered, key=lambda item: item[1].seq):
            position = self._join_until(waiting, position, seq)
            for writer, item in together:
                self._put(writer, item)
        self._join_until(waiting, position, None)
        fragment_id = next(iter(self._members))
        absorbed = self._absorbed[self._members[fragment_id][0]]
        return msgspec.structs.replace(self._part_of(fragment_id), absorbed=tuple(absorbed))

    def _part_of(self, fragment_id: UUID) -> Part:
        """The part that a fragment belongs to now."""
        return self._parts[self._members[fragment_id][0]]

    def _put(self, writer: Fragment, item: Item) -> None:
        """Write a value or a choice into the part that its fragment belongs to."""
        part = self._part_of(writer.fragment_id)
        after = with_item(part, item, writer, self._view, self._rules)
        if after is not part:
            self._set(writer.fragment_id, after)

    def _join_until(self, waiting: list[Join], position: int, seq: int | None) -> int:
        """Carry out the joins before a seq. In one observation, writes go first."""
        while position < len(waiting) and (seq is None or waiting[position].since < seq):
            since = waiting[position].since
            end = bisect_right(waiting, since, position, key=_since_of)
            together, position = waiting[position:end], end
            while together:
                together.remove(self._join_least_active(together, since))
        return position

    def _join_least_active(self, joins: list[Join], since: int) -> Join:
        ranked = []
        for join in joins:
            standings = {item: self._standing(item, since) for item in (join.one, join.other)}
            survivor, absorbed = sorted(
                standings, key=lambda item: (standings[item].rank, self._part_of(item).head)
            )
            pair = standings[survivor], standings[absorbed]
            ranked.append((pair[1].active_at, join.age, survivor, absorbed, pair, join))
        *_, survivor, absorbed, pair, join = min(ranked, key=lambda item: item[:2])
        joined = absorb(self._part_of(survivor), self._part_of(absorbed), pair, join, self._rules)
        members, others = self._members[survivor], self._members[absorbed]
        if pair[1].is_listed:
            part = AbsorbedPart(self._part_of(absorbed).head, join.reason, join.since)
            self._absorbed[members[0]].append(part)
        self._absorbed[members[0]] += self._absorbed.pop(others[0])
        self._origins[members[0]] = self._origins[members[0]].with_other(self._origins[others[0]])
        members += others
        self._members |= dict.fromkeys(others, members)
        self._set(survivor, joined)
        return join

    def _standing(self, fragment_id: UUID, since: int) -> Standing:
        members = self._members[fragment_id]
        ranked = members if len(members) <= MEMBERS_RANKED_MAX else []
        active_at = max((self._active_before(item, since) for item in ranked), default=0)
        return _standing(self._origins[members[0]], since, active_at)

    def _set(self, fragment_id: UUID, part: Part) -> None:
        self._parts[self._members[fragment_id][0]] = part


def _since_of(join: Join) -> int:
    return join.since


def _alone(fragment: Fragment, view: View) -> _Begun:
    return _Begun((fragment.fragment_id,), _origin(fragment, view), single(fragment))


def _stored(item: StoredPart) -> _Begun:
    """Two fragments that nothing but an identifier joins are named by it."""
    user_since = 0 if item.has_user else SEQ_MAX
    origin = _PartOrigin(item.began_at, item.began_at, False, user_since, 0)
    return _Begun(tuple(item.members), origin, item.part)


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


def with_item(part: Part, item: Item, writer: Fragment, view: View, rules: ReplayRules) -> Part:
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


def _stays(record: Record, item: Write, rules: ReplayRules) -> bool:
    if rules.writes_once and is_written_once(rules.schema, record, item.path, item.seq):
        return True
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
        if fragment.own_user is not None
        for item in fragment.writes
        if _is_of_identity(item.path) and item.value is not None and not item.is_asserted_identity
    )


def gives_way_to_own(item: Item, writer: Fragment, own: frozenset[Path]) -> bool:
    """Whether a view does not show a write, because the user's own fragment has the identity attribute.

    `own`: the result of `own_identity` for the view.
    """
    if not own or isinstance(item, ChoiceWrite) or writer.own_user is not None:
        return False
    return any(item.path[: len(path)] == path for path in own)


def _visible_writes(members: list[Fragment], view: View) -> Iterable[tuple[Fragment, Write]]:
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
                yield member, item


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
