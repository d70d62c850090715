"""A whole dataset in memory, into which the core folds the steps of a history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import singledispatchmethod
from typing import Any
from uuid import UUID

from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity_graph import by_hand, fold
from oneself.core.identity_graph.fold import FoldRules
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import IdentityGraph, Separation
from oneself.core.identity_graph.owners import OwnerRules, assign_owners
from oneself.core.identity_graph.partition import Guards, Partition
from oneself.core.identity_graph.replay import ActiveBefore, ReplayRules
from oneself.core.identity_graph.views import TrackerView, ViewedProfile, Views
from oneself.core.identity_graph.word import Speaker, Word
from oneself.core.units import SEQ_MAX
from oneself.core.values.attribute import Attribute
from oneself.core.values.merge import Strategy, by_time, latest
from oneself.core.values.record import Change, ValueChanges, ValueSource, read
from oneself.core.values.schema import Schema
from unit.core.identity_graph.steps import (
    ATTRIBUTES,
    CLAIMED,
    NAMESPACES,
    SEPARATING,
    Confirm,
    Create,
    GiveUp,
    Ids,
    Link,
    Match,
    Me,
    Merge,
    Page,
    Report,
    Server,
    Settings,
    SignIn,
    SignOut,
    Split,
    Step,
    Values,
    Verify,
    View,
)

#: Steps are this many µs apart, so that ids derived from a seq never meet.
STEP_US = 1000
_PATHS = NAMESPACES | ATTRIBUTES
_IDENTITY_PATHS = frozenset(".".join(path) for path in NAMESPACES.values())
_STRATEGIES = {"plan": "overwrite", "interests": "combine", "mood": "overwrite"}


def seq_of(step: int) -> int:
    """The seq of a step, by its place in the history."""
    return (step + 1) * STEP_US


def _schema() -> Schema:
    return Schema(
        tuple(
            Attribute(
                ".".join(path),
                ".".join(path),
                "string",
                _STRATEGIES.get(name, "overwrite"),
                multi_valued=name == "interests",
            )
            for name, path in _PATHS.items()
        )
    )


SCHEMA = _schema()


class World:
    """The state after the steps so far."""

    def __init__(self, settings: Settings) -> None:
        self.graph = IdentityGraph()
        self._settings = settings
        #: Namespace → the seq until which it matches.
        self._matching = dict.fromkeys(settings.active, SEQ_MAX)
        #: The profiles that `Create` made, by name.
        self.created: dict[str, UUID] = {}
        #: Fragment → the (seq, at) of its observations.
        self._activity: dict[UUID, list[tuple[int, int]]] = {}
        #: The fragments that the last step said something of.
        self.touched: set[UUID] = set()
        self._step = -1

    @property
    def seq(self) -> int:
        """The seq of the step that is being taken."""
        return seq_of(self._step)

    def play(self, steps: Sequence[Step]) -> World:
        """Take the steps, one after another."""
        for step in steps:
            self.take(step)
        return self

    def take(self, step: Step, number: int | None = None) -> None:
        """Take one step. `number`: its place in the history; None: after the one before."""
        self._step = self._step + 1 if number is None else number
        said = self._take(step)
        self.touched = self._tied(step) | ({said.fragment_id} if said is not None else set())
        at = getattr(step, "at", None)
        for fragment_id in self.touched:
            moment = self.seq if at is None else seq_of(at)
            self._activity.setdefault(fragment_id, []).append((self.seq, moment))
        assign_owners(self.graph, list(self.graph.fragments.values()), self._owner_rules(), self.seq)

    def views(self, active_before: ActiveBefore | None = None) -> Views:
        """Every view of every profile. `active_before`: None: as the steps were."""
        everything = list(self.graph.fragments.values())
        active_before = active_before or self.active_before
        return Views(self.graph, everything, self._guards(), self._value_rules(), active_before)

    def of(self, name: str, view: View = "proven") -> ViewedProfile:
        """The profile that a `Create` made, in a view."""
        return self.views().of(view, self.created[name])

    def me(self, user: str) -> ViewedProfile:
        """What a signed-in user reads."""
        return self.views().of("own", self.graph.own[user])

    def by_tracker(self, tracker: str) -> TrackerView:
        """What whoever brings a tracker reads."""
        return self.views().by_tracker(Identifier(TRACKER, tracker))

    @singledispatchmethod
    def _take(self, step: Any) -> Fragment | None:
        """Take one step; returns the fragment that its word belongs to."""
        raise TypeError(f"{type(step).__name__} is not a step")

    @_take.register
    def _(self, step: Page) -> Fragment | None:
        return fold.say(self.graph, self._word("browser", step), self._fold_rules())

    @_take.register
    def _(self, step: Server) -> Fragment | None:
        if step.profile is not None and step.user is None and step.profile not in self.created:
            return None
        addressed = None if step.profile is None else self.created.get(step.profile)
        word = self._word("server", step, user_id=step.user, profile_id=addressed)
        return fold.say(self.graph, word, self._fold_rules())

    @_take.register
    def _(self, step: Create) -> Fragment | None:
        word = self._word("server", step, user_id=step.user)
        fragment = fold.say_create(self.graph, word, self._fold_rules())
        self.created[step.name] = fragment.fragment_id
        return fragment

    @_take.register
    def _(self, step: SignIn) -> Fragment | None:
        return self._sign_in(step, step.claims, "user")

    @_take.register
    def _(self, step: Report) -> Fragment | None:
        return self._sign_in(step, step.claims, "report")

    @_take.register
    def _(self, step: Link) -> Fragment | None:
        addressed = None if step.profile is None else self.created.get(step.profile)
        word = self._word("provider", step, user_id=step.user, profile_id=addressed)
        return fold.sign_in(self.graph, word, "user", self._fold_rules())

    @_take.register
    def _(self, step: Confirm) -> None:
        fold.confirm(self.graph, self._word("provider", step, user_id=step.user))

    @_take.register
    def _(self, step: SignOut) -> None:
        fold.sign_out(self.graph, self._word("provider", step), self._fold_rules())

    @_take.register
    def _(self, step: Verify) -> Fragment | None:
        return self._report_claims(step.user, {step.namespace: step.value}, is_verified=True)

    @_take.register
    def _(self, step: GiveUp) -> None:
        path = NAMESPACES[step.namespace]
        if (step.user, path) in self.graph.verified:
            word = self._word("provider", step, user_id=step.user)
            fold.report_claims(self.graph, word, {path: (None, False, ())}, self._fold_rules())

    @_take.register
    def _(self, step: Me) -> Fragment | None:
        return fold.say(self.graph, self._word("person", step, user_id=step.user), self._fold_rules())

    @_take.register
    def _(self, step: Match) -> None:
        is_active = self._matching.get(step.namespace) == SEQ_MAX
        if step.is_active:
            self._matching[step.namespace] = SEQ_MAX
        elif is_active:
            self._matching[step.namespace] = self.seq

    @_take.register
    def _(self, step: Merge) -> None:
        if step.one in self.created and step.other in self.created:
            proven = self.views().partition("proven")
            pair = self.created[step.one], self.created[step.other]
            here, there = (proven.components[item] for item in pair)
            if len({here.user_id, there.user_id} - {None}) < len(pair):
                by_hand.merge(self.graph, pair, (here.members, there.members), self.seq)

    @_take.register
    def _(self, step: Split) -> None:
        taken = frozenset(self.created[name] for name in step.profiles if name in self.created)
        if taken:
            split(self.graph, taken, self.views().partition(step.view), self.seq)

    def _sign_in(self, step: SignIn | Report, claims: Ids, bringer: Any) -> Fragment:
        word = self._word("provider", step, user_id=step.user, values=claims)
        own = fold.sign_in(self.graph, word, bringer, self._fold_rules())
        self._report_claims(step.user, claims, is_verified=False)
        return own

    def _report_claims(self, user: str, claims: Ids, *, is_verified: bool) -> Fragment:
        word = self._word("provider", None, user_id=user, values=claims)
        reported = {
            NAMESPACES[name]: (value, is_verified, (Identifier(name, value),))
            for name, value in claims.items()
        }
        if is_verified:
            fold.sign_in(self.graph, word, "user", self._fold_rules())
        return fold.report_claims(self.graph, word, reported, self._fold_rules())

    def _tied(self, step: Step) -> set[UUID]:
        """The fragment of the browser that a server names beside identifiers."""
        if not isinstance(step, Server) or step.profile is not None or not step.ids:
            return set()
        device = self._word("server", step).device
        current = None if device is None else self.graph.browser(device).current
        return set() if current is None else {current}

    def _word(self, speaker: Speaker, step: Any, values: Values | None = None, **fields: Any) -> Word:
        ids: Ids = getattr(step, "ids", {})
        at = getattr(step, "at", None)
        happened = self.seq if at is None else seq_of(at)
        written = sorted(ids.items()) + sorted((values or getattr(step, "values", {})).items())
        tracker, anonymous_id = getattr(step, "tracker", None), getattr(step, "anonymous_id", None)
        return Word(
            speaker=speaker,
            seq=self.seq,
            at=happened,
            new_fragment_id=UUID(int=self.seq << 32),
            tracker=None if tracker is None else Identifier(TRACKER, tracker),
            anonymous_id=None if anonymous_id is None else Identifier(ANONYMOUS_ID, anonymous_id),
            identifiers=tuple(Identifier(name, value) for name, value in sorted(ids.items())),
            changes=ValueChanges(tuple(Change(_PATHS[name], value) for name, value in written)),
            source=ValueSource(
                seq=self.seq,
                observation_id=f"step {self._step}",
                at=happened,
                interface="test",
                trust="browser" if speaker == "browser" else "server",
            ),
            **fields,
        )

    def _guards(self) -> Guards:
        return Guards(
            matching=self._matching,
            separating=frozenset({SEPARATING}),
            joins_protected=self._settings.asserted_merges == "all",
        )

    def _value_rules(self) -> ReplayRules:
        is_tiered = self._settings.identity_trust == "tiered"
        identities: Strategy = latest if is_tiered else by_time
        strategies = dict.fromkeys(_IDENTITY_PATHS, identities) | {".".join(ATTRIBUTES["mood"]): by_time}
        return ReplayRules(SCHEMA, strategies, _IDENTITY_PATHS if is_tiered else frozenset())

    def _fold_rules(self) -> FoldRules:
        return FoldRules(
            values=self._value_rules(),
            newest_wins=self._settings.identity_trust == "timestamp",
            identity_paths=_IDENTITY_PATHS,
            detaches_on_sign_out=self._settings.detach_on_sign_out,
            reports_join=self._settings.report_joins == "at_once",
        )

    def _owner_rules(self) -> OwnerRules:
        return OwnerRules(
            claim_paths={name: NAMESPACES[name] for name in CLAIMED},
            proving=frozenset(self._settings.proves_identity),
        )

    def active_before(self, fragment_id: UUID, seq: int) -> int:
        """The last activity of a fragment before a seq; 0: none."""
        moments = self._activity.get(fragment_id, ())
        return max((at for recorded, at in moments if recorded < seq), default=0)


def values_of(profile: ViewedProfile | TrackerView) -> dict[str, Any]:
    """The values of a profile by the names that steps use."""
    found = {name: read(profile.record.values, path) for name, path in _PATHS.items()}
    return {name: value for name, value in found.items() if value is not None}


def played(settings: Settings, steps: Iterable[Step]) -> World:
    """The world after a history."""
    return World(settings).play(list(steps))


def split(graph: IdentityGraph, taken: frozenset[UUID], partition: Partition, seq: int) -> None:
    """Take fragments out of the profiles that they belong to in a view."""
    members = {member for item in taken for member in partition.components[item].members}
    sides = by_hand.numbered((taken, members - taken))
    by_hand.split(graph, Separation(UUID(int=seq), seq, sides))
