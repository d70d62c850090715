"""A second, literal reading of the law of fragments, joins and views, to compare the core with.

`Oracle(settings, steps)` reads the whole list of steps and computes everything from it. It is slow and
obvious, and uses nothing of the core.

Readings that the law leaves open, and that the core shares:

* A fragment is named by the step that began it and by who began it. Of fragments that begin in one step, the
  application's goes first, then the server's or the user's own, then the browser's.
* Joins that count since the same step are carried out least active absorbed first, then stronger first, then
  by the older claim.
* Two sets of values of a separating namespace conflict if they share no value.
* A person's own words at Me are shown, identities included, but as identifiers they are only asserted.
* A value is written in its fragment only if it is not older than the value that it would replace there. What
  it replaced there has no part in any view any more.
* A profile whose owner proved an identifier of it keeps the words that address it: so it does not matter
  whether they come before the proof or after it.
* What a server ties to a browser is activity of the browser's fragment.
* An anonymous id is joined to the fragment in which it first came with a tracker, while one is unnamed.
* The end of a verified claim ends the identifier of its user, not the value.
* Provider claims that stand in a user's own fragment go before what other fragments say of these attributes.
* Of what one word says, what it says of people goes before what it ties to a browser: it must not matter when
  that browser began.
* A report waits for its user until the tracker moves again: a sign-in, link or report of anybody replaces it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import singledispatchmethod
from itertools import combinations
from typing import Any, Literal, NamedTuple

from unit.core.identity_graph.steps import (
    CLAIMED,
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
    Verify,
    View,
)

Kind = Literal["application", "server", "user", "browser"]

NEVER = 1_000_000
#: Of fragments that one step begins, the first kind goes first.
PRECEDENCE: dict[Kind, int] = {"application": 0, "server": 1, "user": 1, "browser": 2}
#: The next narrower view.
NARROWER: dict[View, View] = {"proven": "own", "all": "proven"}
#: Strength of joins, the strongest first.
SAME_USER, VERIFIED, PROVEN, ASSERTED = range(4)


class Name(NamedTuple):
    """The name of a fragment."""

    step: int
    kind: Kind

    @property
    def age(self) -> tuple[int, int]:
        """Orders fragments, the oldest first."""
        return self.step, PRECEDENCE[self.kind]


class Key(NamedTuple):
    """An identifier between two changes of hands."""

    namespace: str
    value: str
    tenure: int


@dataclass
class Claim:
    """A fragment holds an identifier."""

    key: Key
    step: int
    at: int
    is_proven: bool
    is_verified: bool = False
    ends: int = NEVER


@dataclass(frozen=True)
class Writing:
    """A value written in a fragment, or unset."""

    step: int
    at: int
    path: str
    value: Any
    is_proven: bool
    is_identity: bool


@dataclass
class Fragment:
    name: Name
    browser: tuple[str, str] | None = None
    #: What a server named when it began the fragment, unless it gave out a tracker.
    began_with: frozenset[Key] = frozenset()
    #: What its browser itself named.
    named: set[tuple[str, str]] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    writings: list[Writing] = field(default_factory=list)
    #: The steps that were active in it, each with the moment at which it happened.
    active: list[tuple[int, int]] = field(default_factory=list)
    #: A user, and since when.
    owner: tuple[str, int] | None = None
    reported: tuple[str, int] | None = None
    #: Whether its owner brought its tracker, or proved an identifier that it began with.
    is_brought: bool = False
    is_proved: bool = False

    def user(self, view: View) -> str | None:
        if self.owner:
            return self.owner[0]
        return self.reported[0] if self.reported and view != "own" else None

    def since(self, view: View) -> int:
        """Since when it is its user's: an owner that confirms a report counts since the report.

        In `own`, only an owner who brought the tracker confirms it.
        """
        if self.user(view) is None:
            return NEVER
        counted = [self.owner]
        if view != "own" or self.is_brought:
            counted.append(self.reported)
        return min(proof[1] for proof in counted if proof and proof[0] == self.user(view))


@dataclass
class BrowserFragments:
    present: list[Fragment] = field(default_factory=list)
    ever: list[Fragment] = field(default_factory=list)
    #: The fragment in which it last spoke.
    last: Fragment | None = None
    #: The user of the last report that brought its tracker.
    awaited: str | None = None


class Join(NamedTuple):
    strength: int
    since: int
    #: Whose claim goes first, of joins of one moment: verified, proven, older, not tied to a browser.
    tie: tuple[int, ...]
    #: The last resort: the namespace, then the older fragments.
    reason: str
    one: Name
    other: Name

    @property
    def by_strength(self) -> tuple[Any, ...]:
        return self.strength, self.since, self.tie, self.reason, self.one.age, self.other.age

    @property
    def by_time(self) -> tuple[Any, ...]:
        return self.since, self.strength, self.tie, self.reason, self.one.age, self.other.age


class Cell(NamedTuple):
    """A value as it stands in a part of a view."""

    value: Any
    at: int
    step: int
    is_proven: bool


@dataclass
class Part:
    """What a replay has put together so far."""

    head: Name
    members: set[Name]
    values: dict[str, Cell]
    absorbed: list[Name]


class Profile(NamedTuple):
    """A profile in a view."""

    id: Name
    merged_from: frozenset[Name]
    values: dict[str, Any]
    user: str | None
    members: frozenset[Name]


class Tracked(NamedTuple):
    """What whoever brings a tracker reads."""

    values: dict[str, Any]
    user: str | None
    id: Name | None
    merged_from: frozenset[Name]


class Oracle:
    """A history, read from its beginning."""

    def __init__(self, settings: Settings, steps: Sequence[Step]) -> None:
        self.settings = settings
        self.fragments: dict[Name, Fragment] = {}
        self.browsers: dict[tuple[str, str], BrowserFragments] = {}
        self.own: dict[str, Fragment] = {}
        self.created: dict[str, Fragment] = {}
        #: (who speaks, identifiers) → the fragment of exactly these.
        self.of_exactly: dict[tuple[bool, frozenset[Key]], Fragment] = {}
        #: Identifier → the steps in which it changed hands.
        self.hands: dict[tuple[str, str], list[int]] = {}
        #: (user, namespace) → the verified claim, and since when.
        self.verified: dict[tuple[str, str], tuple[str, int]] = {}
        #: Namespace → when it stops to match.
        self.matches = dict.fromkeys(settings.active, NEVER)
        #: Anonymous id → the tracker that first came with it, and where, since the id began or began anew.
        self.tracker_of: dict[str, tuple[str, Fragment, int]] = {}
        #: The same, of anonymous ids that began anew: the last entry is the step in which they did.
        self.detached: list[tuple[str, Fragment, int, int]] = []
        self.merges: list[tuple[int, Name, Name]] = []
        self.splits: list[tuple[frozenset[Name], frozenset[Name]]] = []
        #: What was found out about the steps so far.
        self._found: dict[tuple[str, View], Any] = {}
        for self.step, taken in enumerate(steps):
            self._found = {}
            self._take(taken)
            self._judge_owners()
        self._found = {}

    # What the views answer

    def groups(self, view: View) -> set[frozenset[Name]]:
        """The fragments of each profile."""
        return set(self._partition(view).values())

    def profile(self, view: View, name: Name) -> Profile:
        """The profile that a fragment is part of."""
        members = self._partition(view)[name]
        part = self._replay(view, members)
        head = part.head if view == "own" else self.profile(NARROWER[view], part.head).id
        users = {user for one in members if (user := self.fragments[one].user(view))}
        return Profile(
            head,
            frozenset({part.head, *part.absorbed} - {head}),
            {path: cell.value for path, cell in part.values.items()},
            min(users, default=None),
            members,
        )

    def by_tracker(self, tracker: str) -> Tracked:
        """The values of a browser's present fragments, their owner, and the ids of their own view."""
        present = self.browsers.get(("tracker", tracker), BrowserFragments()).present
        if not present:
            return Tracked({}, None, None, frozenset())
        values: dict[str, Cell] = {}
        for writing in sorted(
            (w for one in present for w in self._effective(one, "all")), key=lambda w: w.step
        ):
            self._put(values, writing)
        owner = next((one.owner[0] for one in present if one.owner), None)
        own = self.profile("own", present[0].name)
        return Tracked({path: cell.value for path, cell in values.items()}, owner, own.id, own.merged_from)

    # Steps

    @singledispatchmethod
    def _take(self, step: Any) -> None:
        raise TypeError(f"{type(step).__name__} is not a step")

    @_take.register
    def _(self, step: Page) -> None:
        at = self._at(step)
        if step.tracker is None and step.anonymous_id is None:
            fragment = self._fragment_of_exactly(step.ids, at, is_server=False)
        else:
            fragment = self._fragment_of_browser(step, step.ids)
        fragment.named |= set(step.ids.items())
        if step.tracker and step.anonymous_id:
            self.tracker_of.setdefault(step.anonymous_id, (step.tracker, fragment, self.step))
        self._say(fragment, step.ids, step.values, at, is_proven=False)

    @_take.register
    def _(self, step: Server) -> None:
        at = self._at(step)
        has_device = step.tracker is not None or step.anonymous_id is not None
        if step.user is not None:
            fragment = self._own_fragment(step.user)
        elif step.profile is not None:
            if step.profile not in self.created:
                return
            fragment = self.created[step.profile]
            user = fragment.user("proven")
            fragment = fragment if user is None or fragment.is_proved else self._own_fragment(user)
        elif step.ids or not has_device:
            fragment = self._fragment_of_exactly(step.ids, at, is_server=True)
        else:
            fragment = self._fragment_of_browser(step, {})
        self._say(fragment, step.ids, step.values, at, is_proven=True)
        if step.ids and has_device:
            tied = self._fragment_of_browser(step, {})
            self._claim(tied, step.ids, at, is_proven=True)
            self._touch(tied, at)

    @_take.register
    def _(self, step: Create) -> None:
        fragment = self._begin("application")
        self.created[step.name] = fragment
        if step.tracker is None:
            fragment.began_with = self._keys(step.ids, self.step, is_proven=True)
        else:
            fragment.browser = "tracker", step.tracker
            browser = self.browsers.setdefault(fragment.browser, BrowserFragments())
            browser.present, browser.last = [fragment], fragment
            browser.ever.append(fragment)
        if step.user is not None:
            self._own_fragment(step.user)
            fragment.owner = step.user, self.step
        self._say(fragment, step.ids, step.values, self.step, is_proven=True)

    @_take.register
    def _(self, step: SignIn) -> None:
        self._report_unverified(step.user, step.claims)
        self._bring(step.user, step.tracker, is_proof=True)

    @_take.register
    def _(self, step: Report) -> None:
        self._report_unverified(step.user, step.claims)
        if step.tracker is not None:
            if self.settings.report_joins == "at_once":
                self._bring(step.user, step.tracker, is_proof=False)
            self.browsers.setdefault(("tracker", step.tracker), BrowserFragments()).awaited = step.user

    @_take.register
    def _(self, step: Link) -> None:
        self._touch(self._own_fragment(step.user), self.step)
        if step.tracker is not None:
            self._bring(step.user, step.tracker, is_proof=True)
        elif step.profile in self.created and self.created[step.profile].user("proven") is None:
            self.created[step.profile].reported = step.user, self.step

    @_take.register
    def _(self, step: Confirm) -> None:
        browser = self.browsers.get(("tracker", step.tracker))
        if browser is not None and browser.awaited == step.user:
            self._bring(step.user, step.tracker, is_proof=True)

    @_take.register
    def _(self, step: SignOut) -> None:
        if self.settings.detach_on_sign_out:
            self._begin_anew(("tracker", step.tracker))
            for name, (tracker, fragment, since) in list(self.tracker_of.items()):
                if tracker == step.tracker:
                    self._begin_anew(("anonymous", name))
                    self.detached.append((name, fragment, since, self.step))
                    del self.tracker_of[name]

    @_take.register
    def _(self, step: Verify) -> None:
        own = self._own_fragment(step.user)
        for user, namespace in list(self.verified):
            value, _ = self.verified[user, namespace]
            is_same = (namespace, value) == (step.namespace, step.value)
            if namespace == step.namespace and is_same != (user == step.user):
                self._end_verified(user, namespace)
        self.verified.setdefault((step.user, step.namespace), (step.value, self.step))
        ids = {step.namespace: step.value}
        self._write(own, ids, self.step, is_proven=True, is_identity=True)
        self._claim(own, ids, self.step, is_proven=True, is_verified=True)
        self._touch(own, self.step)

    @_take.register
    def _(self, step: GiveUp) -> None:
        if (step.user, step.namespace) in self.verified:
            self._end_verified(step.user, step.namespace)

    @_take.register
    def _(self, step: Me) -> None:
        own = self._own_fragment(step.user)
        self._write(own, step.ids | step.values, self.step, is_proven=True, is_identity=False)
        self._claim(own, step.ids, self.step, is_proven=False)
        self._touch(own, self.step)

    @_take.register
    def _(self, step: Match) -> None:
        if step.is_active:
            self.matches[step.namespace] = NEVER
        elif self.matches.get(step.namespace) == NEVER:
            self.matches[step.namespace] = self.step

    @_take.register
    def _(self, step: Merge) -> None:
        if step.one not in self.created or step.other not in self.created:
            return
        one, other = self.created[step.one].name, self.created[step.other].name
        groups = self._partition("proven")
        users = {self.fragments[name].user("proven") for name in groups[one] | groups[other]}
        if one != other and len(users - {None}) < 2:
            self.merges.append((self.step, one, other))
            self.splits = [split for split in self.splits if not _parts(split, groups[one], groups[other])]

    @_take.register
    def _(self, step: Split) -> None:
        taken = frozenset(self.created[name].name for name in step.profiles if name in self.created)
        groups = self._partition(step.view)
        left = frozenset(name for one in taken for name in groups[one]) - taken
        self.splits.append((taken, left))
        self.merges = [
            (since, one, other)
            for since, one, other in self.merges
            if not _parts((taken, left), {one}, {other})
        ]
        for name in taken | left:
            fragment = self.fragments[name]
            user = fragment.user("proven")
            if user is not None and _parts((taken, left), {name}, {self.own[user].name}):
                fragment.owner = fragment.reported = None
                fragment.is_brought = fragment.is_proved = False
                fragment.began_with = frozenset()

    # Where words belong

    def _begin(self, kind: Kind) -> Fragment:
        fragment = Fragment(Name(self.step, kind))
        self.fragments[fragment.name] = fragment
        return fragment

    def _own_fragment(self, user: str) -> Fragment:
        if user not in self.own:
            self.own[user] = self._begin("user")
            self.own[user].owner = user, self.step
        return self.own[user]

    def _fragment_of_exactly(self, ids: Ids, at: int, *, is_server: bool) -> Fragment:
        keys = self._keys(ids, at, is_proven=is_server)
        if not keys:
            return self._begin("server" if is_server else "browser")
        if (is_server, keys) not in self.of_exactly:
            fragment = self._begin("server" if is_server else "browser")
            fragment.began_with = keys if is_server else frozenset()
            self.of_exactly[is_server, keys] = fragment
        return self.of_exactly[is_server, keys]

    def _fragment_of_browser(self, step: Page | Server, ids: Ids) -> Fragment:
        key = ("tracker", step.tracker) if step.tracker else ("anonymous", str(step.anonymous_id))
        browser = self.browsers.setdefault(key, BrowserFragments())
        fragment = self._present_fragment(browser, set(ids.items()))
        if fragment is None:
            fragment = self._begin("browser")
            fragment.browser = key
            browser.present.append(fragment)
            browser.ever.append(fragment)
        browser.last = fragment
        return fragment

    def _present_fragment(self, browser: BrowserFragments, ids: set[tuple[str, str]]) -> Fragment | None:
        """Its user's, else the one in which it named one of these, else one in which it named nobody."""
        spoken = sorted(browser.present, key=lambda fragment: fragment is browser.last, reverse=True)
        theirs = [one for one in spoken if one.owner] or [one for one in spoken if one.reported]
        if theirs or not ids:
            return next(iter(theirs or spoken), None)
        known = [one for one in browser.present if one.named & ids]
        return next(iter(known or [one for one in spoken if not one.named]), None)

    def _begin_anew(self, key: tuple[str, str]) -> None:
        browser = self.browsers.setdefault(key, BrowserFragments())
        browser.present, browser.last, browser.awaited = [], None, None

    def _bring(self, user: str, tracker: str | None, *, is_proof: bool) -> None:
        """A user's sign-in, link or report brings a tracker."""
        if tracker is None:
            return
        browser = self.browsers.setdefault(("tracker", tracker), BrowserFragments())
        theirs = [one for one in browser.present if one.user("proven") in (None, user)]
        if not theirs:
            theirs = [one for one in browser.ever if one.user("proven") == user][-1:]
        if not theirs:
            theirs = [self._begin("browser")]
            theirs[0].browser = "tracker", tracker
            browser.ever += theirs
        browser.present, browser.awaited = theirs, None
        browser.last = browser.last if browser.last in theirs else theirs[-1]
        for fragment in theirs:
            if fragment.owner is None and is_proof:
                fragment.owner, fragment.is_brought = (user, self.step), True
            elif fragment.owner is None and fragment.reported is None:
                fragment.reported = user, self.step

    # What words say

    def _at(self, step: Page | Server) -> int:
        return self.step if step.at is None else step.at

    def _touch(self, fragment: Fragment, at: int) -> None:
        fragment.active.append((self.step, at))

    def _say(self, fragment: Fragment, ids: Ids, values: Any, at: int, *, is_proven: bool) -> None:
        self._touch(fragment, at)
        self._write(fragment, ids, at, is_proven=is_proven, is_identity=True)
        self._write(fragment, values, at, is_proven=is_proven, is_identity=False)
        self._claim(fragment, ids, at, is_proven=is_proven)

    def _report_unverified(self, user: str, claims: Ids) -> None:
        """The provider's word is shown, but nobody has verified that the identifier is the user's."""
        own = self._own_fragment(user)
        self._write(own, claims, self.step, is_proven=True, is_identity=True)
        self._claim(own, claims, self.step, is_proven=False)
        self._touch(own, self.step)

    def _write(self, fragment: Fragment, values: Any, at: int, *, is_proven: bool, is_identity: bool) -> None:
        fragment.writings += [
            Writing(self.step, at, path, value, is_proven, is_identity)
            for path, value in sorted(values.items())
        ]

    def _claim(
        self, fragment: Fragment, ids: Ids, at: int, *, is_proven: bool, is_verified: bool = False
    ) -> None:
        for key in sorted(self._keys(ids, at, is_proven=is_proven)):
            standing = [claim for claim in fragment.claims if claim.ends == NEVER]
            if any(
                claim.key == key and claim.is_proven >= is_proven and claim.is_verified >= is_verified
                for claim in standing
            ):
                continue
            for claim in standing:
                gives_way = is_proven or not claim.is_proven or self.settings.identity_trust == "timestamp"
                if claim.key.namespace == key.namespace and claim.key != key and at >= claim.at and gives_way:
                    claim.ends = self.step
            fragment.claims.append(Claim(key, self.step, at, is_proven, is_verified))

    def _keys(self, ids: Ids, at: int, *, is_proven: bool) -> frozenset[Key]:
        return frozenset(Key(*pair, self._tenure(pair, at, is_proven=is_proven)) for pair in ids.items())

    def _tenure(self, pair: tuple[str, str], at: int, *, is_proven: bool) -> int:
        """What happened before a change of hands is matched with who held it then, if anybody did."""
        changes = self.hands.get(pair, [])
        then = sum(step <= at for step in changes)
        held = any(
            claim.key == (*pair, then) and claim.is_proven >= is_proven
            for fragment in self.fragments.values()
            for claim in fragment.claims
        )
        return then if held else len(changes)

    def _end_verified(self, user: str, namespace: str) -> None:
        value, _ = self.verified.pop((user, namespace))
        self.hands.setdefault((namespace, value), []).append(self.step)
        for claim in self.own[user].claims:
            if claim.ends == NEVER and claim.key[:2] == (namespace, value):
                claim.ends = self.step

    def _judge_owners(self) -> None:
        for fragment in self.fragments.values():
            proofs = [] if fragment.owner else [*self._proofs(fragment)]
            if proofs:
                fragment.owner, fragment.is_proved = (min(proofs)[1], self.step), True

    def _proofs(self, fragment: Fragment) -> Iterator[tuple[int, str]]:
        """(since, user): who has proven that an identifier with which a server began a fragment is theirs."""
        for key in fragment.began_with:
            if key.tenure != len(self.hands.get(key[:2], ())):
                continue
            for (user, namespace), (value, since) in self.verified.items():
                if key.namespace in CLAIMED and (namespace, value) == key[:2]:
                    yield since, user
            if key.namespace in self.settings.proves_identity:
                for user, own in self.own.items():
                    yield from (
                        (claim.step, user)
                        for claim in own.claims
                        if claim.key == key and claim.is_proven and claim.ends == NEVER
                    )

    # Who is with whom

    def _joins(self, view: View) -> Iterator[Join]:
        for fragment in self.fragments.values():
            user = fragment.user(view)
            if user is not None and fragment is not self.own[user]:
                since = max(fragment.since(view), fragment.name.step, self.own[user].name.step)
                yield Join(SAME_USER, since, (0, 0, 0), "user", self.own[user].name, fragment.name)
        if view == "own":
            return
        for since, one, other in self.merges:
            yield Join(PROVEN, since, (0, 0, 0), "manual", one, other)
        yield from (join for join in self._identifier_joins() if join.strength < ASSERTED or view == "all")
        if view == "all":
            yield from self._device_joins()

    def _identifier_joins(self) -> Iterator[Join]:
        for one, other in combinations(self.fragments.values(), 2):
            for mine in one.claims:
                for theirs in other.claims:
                    since = max(mine.step, theirs.step)
                    met = since < min(mine.ends, theirs.ends)
                    if mine.key == theirs.key and met and since < self.matches.get(mine.key.namespace, -1):
                        yield _identifier_join(one, mine, other, theirs)

    def _device_joins(self) -> Iterator[Join]:
        now = [(name, named, since, NEVER) for name, (_, named, since) in self.tracker_of.items()]
        for anonymous_id, named, since, until in [*self.detached, *now]:
            for fragment in self.fragments.values():
                began = fragment.name.step
                is_of_it = fragment.browser == ("anonymous", anonymous_id) and began < until
                is_unnamed = not fragment.claims or not named.claims
                if is_of_it and is_unnamed and not self._is_of_former(anonymous_id, began, since):
                    yield Join(ASSERTED, max(since, began), (1, 0, 0), "anonymous", named.name, fragment.name)

    def _is_of_former(self, anonymous_id: str, began: int, since: int) -> bool:
        """Whether an anonymous id began anew after a fragment of it and before it came with a tracker."""
        return any(name == anonymous_id and began < until <= since for name, _, _, until in self.detached)

    def _partition(self, view: View) -> dict[Name, frozenset[Name]]:
        if ("groups", view) not in self._found:
            self._found["groups", view] = self._grouped(view)
        return self._found["groups", view]

    def _grouped(self, view: View) -> dict[Name, frozenset[Name]]:
        groups = {name: frozenset({name}) for name in self.fragments}
        for join in sorted(self._joins(view), key=lambda join: join.by_strength):
            one, other = groups[join.one], groups[join.other]
            if one != other and self._admits(view, join, one, other):
                groups |= dict.fromkeys(one | other, one | other)
        return groups

    def _admits(self, view: View, join: Join, one: frozenset[Name], other: frozenset[Name]) -> bool:
        users = [{self.fragments[name].user(view) for name in side} - {None} for side in (one, other)]
        if len(users[0] | users[1]) > 1:
            return False
        if join.strength == SAME_USER:
            return True
        if any(_parts(split, one, other) for split in self.splits):
            return False
        is_asserted = join.strength == ASSERTED
        are_protected = all(self._is_protected(side) for side in (one, other))
        if is_asserted and are_protected and (any(users) or self.settings.asserted_merges != "all"):
            return False
        numbers = [self._numbers(side, with_asserted=is_asserted) for side in (one, other)]
        return not all(numbers) or not numbers[0].isdisjoint(numbers[1])

    def _is_protected(self, side: frozenset[Name]) -> bool:
        """A server or a sign-in said who they are."""
        fragments = [self.fragments[name] for name in side]
        return any(
            fragment.user("all") or any(claim.is_proven and claim.ends == NEVER for claim in fragment.claims)
            for fragment in fragments
        )

    def _numbers(self, side: frozenset[Name], *, with_asserted: bool) -> set[str]:
        return {
            claim.key.value
            for name in side
            for claim in self.fragments[name].claims
            if claim.key.namespace == SEPARATING
            and claim.ends == NEVER
            and (claim.is_proven or with_asserted)
        }

    # What a view shows

    def _replay(self, view: View, members: frozenset[Name]) -> Part:
        is_owned = any(self.fragments[name].owner for name in members)
        own = {
            writing.path
            for name in members
            if name.kind == "user"
            for writing in self.fragments[name].writings
            if writing.path in CLAIMED and writing.value is not None
        }
        part = {name: Part(name, {name}, {}, []) for name in members}
        writings = [
            (name, writing)
            for name in members
            for writing in self._effective(self.fragments[name], view, is_owned=is_owned)
            if name.kind == "user" or writing.path not in own
        ]
        joins = self._tree(view, members)
        for step in range(self.step + 1):
            for name, writing in writings:
                if writing.step == step:
                    self._put(part[name].values, writing)
            self._carry_out([join for join in joins if join.since == step], part, view)
        return part[min(members)]

    def _tree(self, view: View, members: frozenset[Name]) -> list[Join]:
        """The oldest joins that hold the members together; the others are spare."""
        groups = {name: frozenset({name}) for name in members}
        tree = []
        for join in sorted(self._joins(view), key=lambda join: join.by_time):
            if {join.one, join.other} <= members and groups[join.one] != groups[join.other]:
                both = groups[join.one] | groups[join.other]
                groups |= dict.fromkeys(both, both)
                tree.append(join)
        return tree

    def _carry_out(self, joins: list[Join], part: dict[Name, Part], view: View) -> None:
        while joins:
            join = min(
                joins,
                key=lambda join: (
                    self._activity(self._ranked(join, part, view)[1], join.since),
                    join.by_strength,
                ),
            )
            joins = [other for other in joins if other is not join]
            survivor, absorbed = self._ranked(join, part, view)
            self._unify(survivor, absorbed, view, join.since)
            for name in absorbed.members:
                part[name] = survivor

    def _ranked(self, join: Join, part: dict[Name, Part], view: View) -> tuple[Part, Part]:
        """(survivor, absorbed), judged on the state before the step of the join."""
        one, other = sorted(
            (part[join.one], part[join.other]), key=lambda each: self._rank(each, join.since, view)
        )
        return one, other

    def _rank(self, part: Part, step: int, view: View) -> tuple[Any, ...]:
        judged = self._judged(part, step)
        is_named = any(claim.step <= judged for name in part.members for claim in self.fragments[name].claims)
        return (
            self._begins(part, step) and part.head.kind != "application",
            0 if self._is_identified(part, step, view) else 1 if is_named else 2,
            -self._activity(part, step),
            min(name.age for name in part.members),
            part.head.age,
        )

    def _is_identified(self, part: Part, step: int, view: View) -> bool:
        judged = self._judged(part, step)
        return any(self.fragments[name].since(view) <= judged for name in part.members)

    def _judged(self, part: Part, step: int) -> int:
        """The step as of which a part is judged: the one before, or the one that begins it."""
        return step if self._begins(part, step) else step - 1

    def _begins(self, part: Part, step: int) -> bool:
        return all(name.step == step for name in part.members)

    def _activity(self, part: Part, step: int) -> int:
        moments = [at for name in part.members for seen, at in self.fragments[name].active if seen < step]
        return max(moments, default=-1)

    def _unify(self, survivor: Part, absorbed: Part, view: View, step: int) -> None:
        has_user = [self._is_identified(part, step, view) for part in (survivor, absorbed)]
        for path, theirs in absorbed.values.items():
            mine = survivor.values.get(path)
            fills_only = path in CLAIMED and has_user == [True, False]
            survivor.values[path] = theirs if mine is None else self._merged(path, mine, theirs, fills_only)
        survivor.members |= absorbed.members
        if not self._begins(absorbed, step) or absorbed.head.kind == "application":
            survivor.absorbed.append(absorbed.head)
        survivor.absorbed += absorbed.absorbed

    def _merged(self, path: str, mine: Cell, theirs: Cell, fills_only: bool) -> Cell:
        if fills_only:
            return mine
        if path == "interests":
            union = [*mine.value, *(item for item in theirs.value if item not in mine.value)]
            return Cell(union, *max(mine[1:3], theirs[1:3]), mine.is_proven or theirs.is_proven)
        if path == "plan":
            return theirs
        if path != "mood" and self.settings.identity_trust == "tiered" and mine.is_proven != theirs.is_proven:
            return mine if mine.is_proven else theirs
        return theirs if theirs[1:3] > mine[1:3] else mine

    def _effective(self, fragment: Fragment, view: View, *, is_owned: bool = False) -> list[Writing]:
        """The writings of a fragment that the view shows and that were written in the fragment itself."""
        values: dict[str, Cell] = {}
        shown = [
            writing
            for writing in fragment.writings
            if not (writing.is_identity and not writing.is_proven)
            or (view == "all" and not (is_owned and writing.path in CLAIMED))
        ]
        lasting: list[Writing] = []
        for writing in shown:
            if self._put(values, writing):
                replaced = [old for old in lasting if old.path == writing.path and old.at <= writing.at]
                lasting = [*(old for old in lasting if old not in replaced), writing]
        return lasting

    def _put(self, values: dict[str, Cell], writing: Writing) -> bool:
        """Write a value, unless a later one or a proven identity stands there."""
        old = values.get(writing.path)
        is_tiered = self.settings.identity_trust == "tiered"
        if old is not None:
            if is_tiered and writing.is_identity and old.is_proven != writing.is_proven:
                if old.is_proven:
                    return False
            elif old.at > writing.at:
                return False
        values.pop(writing.path, None)
        if writing.value is not None:
            values[writing.path] = Cell(writing.value, writing.at, writing.step, writing.is_proven)
        return True


def _parts(
    split: tuple[frozenset[Name], frozenset[Name]], one: Collection[Name], other: Collection[Name]
) -> bool:
    taken, left = split
    return any(
        not taken.isdisjoint(mine) and not left.isdisjoint(theirs)
        for mine, theirs in ((one, other), (other, one))
    )


def _identifier_join(one: Fragment, mine: Claim, other: Fragment, theirs: Claim) -> Join:
    is_proven = mine.is_proven and theirs.is_proven
    is_verified = mine.is_verified or theirs.is_verified
    strength = (VERIFIED if is_verified else PROVEN) if is_proven else ASSERTED
    claimed = sorted([(mine.step, one.browser is not None), (theirs.step, other.browser is not None)])
    (first, is_tied), (since, is_tied_then) = claimed
    tie = (not is_verified, not (mine.is_proven or theirs.is_proven), first, is_tied, is_tied_then)
    older, younger = sorted((one.name, other.name), key=lambda name: name.age)
    return Join(strength, since, tie, mine.key.namespace, older, younger)
