"""Random histories: two honest people, a stranger, their browsers, and the servers of a shop.

A history is drawn as a list of drafts: steps that name profiles loosely. `finished` resolves the names, in
order. What is left of a history without one of its drafts is a history: failures shrink.
"""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from unit.core.identity_graph.steps import (
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
)

HONEST = ("ann", "ben")
STRANGER = "mal"
TRACKERS, STRANGE_TRACKERS = ("t1", "t2"), ("t8", "t9")
ANONYMOUS, STRANGE_ANONYMOUS = ("h1", "h2"), ("h8", "h9")
MAILS, PHONES, CARDS, NUMBERS = ("a@", "b@", "m@"), ("1",), ("c1", "c2"), ("n1", "n2")
#: The address that a user registers with.
ADDRESSES = {"ann": "a@", "ben": "b@", STRANGER: "m@"}
STEPS_MAX = 24
STEPS_PER_PART = 6


class Draft(msgspec.Struct, frozen=True):
    """A step to be finished."""

    step: Step
    #: Said or done by the stranger.
    is_strange: bool = False
    #: Which of the profiles, or of their trackers, made so far it names.
    profiles: tuple[int, ...] = ()
    #: How many steps ago it happened.
    ago: int = 0
    #: Whether a `Create` gives out a tracker, and whether browsers bring it.
    gives_tracker: bool = False
    is_brought: bool = False


class History(msgspec.Struct, frozen=True):
    """Settings and steps, and what of them a stranger did."""

    settings: Settings
    steps: tuple[Step, ...]
    #: The steps that the stranger took without proof: pages, and words at Me.
    asserted: frozenset[int] = frozenset()
    strange_trackers: frozenset[str] = frozenset(STRANGE_TRACKERS)

    @property
    def honest_trackers(self) -> list[str]:
        """The trackers of everybody else."""
        named = {tracker for step in self.steps if (tracker := getattr(step, "tracker", None))}
        return sorted(named - self.strange_trackers)

    @property
    def numbered(self) -> list[tuple[int, Step]]:
        """The steps with their places."""
        return [*enumerate(self.steps)]


settings_of_histories = st.builds(
    Settings,
    active=st.sampled_from([("mail", "phone", "card", "number"), ("mail", "phone"), ("mail",), ()]),
    asserted_merges=st.sampled_from(["unprotected", "all"]),
    report_joins=st.sampled_from(["at_once", "confirmed"]),
    identity_trust=st.sampled_from(["tiered", "timestamp"]),
    detach_on_sign_out=st.booleans(),
    proves_identity=st.sampled_from([(), ("card",)]),
)


def some_ids(least: int = 0) -> st.SearchStrategy[Ids]:
    """Up to two identifiers."""
    pairs = st.one_of(
        st.tuples(st.just("mail"), st.sampled_from(MAILS)),
        st.tuples(st.just("mail"), st.sampled_from(MAILS)),
        st.tuples(st.just("card"), st.sampled_from(CARDS)),
        st.tuples(st.just("phone"), st.sampled_from(PHONES)),
        st.tuples(st.just("number"), st.sampled_from(NUMBERS)),
    )
    return st.lists(pairs, min_size=least, max_size=2).map(dict)


#: Which attribute a step writes; in the finished history, each value names the step that wrote it.
_values: st.SearchStrategy[Values] = st.one_of(
    st.just({}),
    st.sampled_from(["plan", "interests", "mood"]).map(lambda name: {name: "new"}),
    st.just({"plan": None}),
)
_users = st.sampled_from(HONEST)
_indices = st.integers(0, 7)
_ago = st.one_of(st.just(0), st.just(0), st.integers(1, 4))


def _page(trackers: tuple[str, ...], anonymous: tuple[str, ...]) -> st.SearchStrategy[Page]:
    device = st.one_of(
        st.tuples(st.sampled_from(trackers), st.none()),
        st.tuples(st.sampled_from(trackers), st.sampled_from(anonymous)),
        st.tuples(st.none(), st.sampled_from(anonymous)),
    )
    return st.builds(
        lambda device, ids, values: Page(tracker=device[0], anonymous_id=device[1], ids=ids, values=values),
        device,
        some_ids(),
        _values,
    )


_nobody = st.builds(lambda ids, values: Page(ids=ids, values=values), some_ids(least=1), _values)
_told = st.one_of(
    st.builds(Server, ids=some_ids(least=1), values=_values),
    st.builds(Server, user=_users, ids=some_ids(), values=_values),
    st.builds(
        Server, tracker=st.sampled_from((*TRACKERS, *STRANGE_TRACKERS)), ids=some_ids(), values=_values
    ),
    st.builds(Server, anonymous_id=st.sampled_from(ANONYMOUS), ids=some_ids(), values=_values),
)
_created = st.builds(
    Create, name=st.just(""), user=st.one_of(st.none(), st.none(), _users), ids=some_ids(), values=_values
)
_visit = st.builds(Create, name=st.just(""), ids=some_ids(), values=_values)
_by_user = st.one_of(
    st.builds(SignIn, user=_users, tracker=st.one_of(st.sampled_from(TRACKERS), st.none())),
    st.builds(Report, user=_users, tracker=st.one_of(st.sampled_from(TRACKERS), st.none())),
    st.builds(Confirm, user=_users, tracker=st.sampled_from(TRACKERS)),
    st.builds(Link, user=_users, tracker=st.sampled_from(TRACKERS)),
    st.builds(SignOut, tracker=st.sampled_from(TRACKERS)),
    st.builds(Me, user=_users, ids=some_ids(), values=_values),
)
_provider = st.one_of(
    st.builds(Verify, user=_users, namespace=st.just("mail"), value=st.sampled_from(MAILS[:2])),
    st.builds(Verify, user=_users, namespace=st.just("mail"), value=st.sampled_from(MAILS[:2])),
    st.builds(Verify, user=st.just(STRANGER), namespace=st.just("mail"), value=st.just("m@")),
    st.builds(GiveUp, user=_users, namespace=st.just("mail")),
)
_matches = st.builds(
    Match, namespace=st.sampled_from(["mail", "card", "phone", "number"]), is_active=st.booleans()
)
_stranger_signs_in = st.builds(
    SignIn,
    user=st.just(STRANGER),
    tracker=st.sampled_from(STRANGE_TRACKERS),
    claims=st.sampled_from([{}, {"mail": "a@"}]),
)
_by_hand = st.one_of(
    st.just(Merge(one="", other="")),
    st.builds(Split, profiles=st.just(()), view=st.sampled_from(["own", "proven", "proven", "all"])),
)


_strange_page = _page(STRANGE_TRACKERS, (*STRANGE_ANONYMOUS, *ANONYMOUS)).filter(
    lambda step: step.tracker is not None or step.anonymous_id in STRANGE_ANONYMOUS
)


def _drafts(*, has_strangers: bool, is_edited: bool, has_matches: bool) -> st.SearchStrategy[Draft]:
    honest = [
        st.builds(
            Draft, _page(TRACKERS, ANONYMOUS), ago=_ago, profiles=st.one_of(st.just(()), st.tuples(_indices))
        ),
        st.builds(Draft, _told, ago=_ago),
        st.builds(
            Draft,
            st.builds(Server, profile=st.just(""), ids=some_ids(), values=_values),
            profiles=st.tuples(_indices),
        ),
        st.builds(Draft, _created, gives_tracker=st.booleans(), is_brought=st.booleans()),
        st.builds(Draft, _by_user),
        st.builds(Draft, _by_user, profiles=st.tuples(_indices)),
        st.builds(Draft, st.builds(Link, user=_users, profile=st.just("")), profiles=st.tuples(_indices)),
        st.builds(Draft, _provider),
    ]
    matches = [st.builds(Draft, _matches)] if has_matches else []
    edits = [st.builds(Draft, _by_hand, profiles=st.tuples(_indices, _indices))] if is_edited else []
    strange = [
        st.builds(Draft, _strange_page, st.just(True), ago=_ago),
        st.builds(Draft, _strange_page, st.just(True), profiles=st.tuples(_indices)),
        st.builds(Draft, _nobody, st.just(True)),
        st.builds(
            Draft, st.builds(Me, user=st.just(STRANGER), ids=some_ids(), values=_values), st.just(True)
        ),
        st.builds(Draft, _visit, st.just(True), gives_tracker=st.just(True)),
        st.builds(
            Draft, _stranger_signs_in, st.just(True), profiles=st.one_of(st.just(()), st.tuples(_indices))
        ),
    ]
    return st.one_of(*honest, *matches, *edits, *(strange if has_strangers else []))


@st.composite
def histories(
    draw: st.DrawFn,
    *,
    steps_max: int = STEPS_MAX,
    has_strangers: bool = True,
    is_edited: bool = True,
    has_matches: bool = True,
) -> History:
    """A history, and what of it a stranger did."""
    drafts = _drafts(has_strangers=has_strangers, is_edited=is_edited, has_matches=has_matches)
    # Of one list, Hypothesis draws few steps. Several are longer, and shrink as well.
    parts = [st.lists(drafts, max_size=STEPS_PER_PART) for _ in range(steps_max // STEPS_PER_PART)]
    return finished(draw(settings_of_histories), [draft for part in parts for draft in draw(part)])


def finished(settings: Settings, drafts: list[Draft]) -> History:
    """The history that drafts describe."""
    history = _Unfinished()
    for draft in drafts:
        history.add(draft)
    return History(
        settings,
        tuple(history.steps),
        frozenset(history.asserted),
        frozenset(STRANGE_TRACKERS) | frozenset(history.strange_trackers),
    )


class _Unfinished:
    """A history that is being put together."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.asserted: set[int] = set()
        self.strange_trackers: list[str] = []
        self._honest_trackers: list[str] = []
        self._names: list[str] = []
        self._registered: set[str] = set()

    def add(self, draft: Draft) -> None:
        """Finish a draft; one that names a profile where there is none is left out."""
        step = self._named(draft)
        if step is None:
            return
        changes = self._numbered(step)
        if isinstance(step, Page | Server) and 0 < draft.ago <= len(self.steps):
            changes["at"] = len(self.steps) - draft.ago
        if isinstance(step, SignIn | Report | Verify) and step.user not in self._registered:
            self._registered.add(step.user)
            if isinstance(step, SignIn | Report) and step.user != STRANGER:
                changes["claims"] = {"mail": ADDRESSES[step.user]}
        elif isinstance(step, SignIn | Report):
            changes["claims"] = {}
        if draft.is_strange and isinstance(step, Page | Me):
            self.asserted.add(len(self.steps))
        self.steps.append(replace(step, **changes))

    def _named(self, draft: Draft) -> Step | None:
        step = draft.step
        if isinstance(step, Create):
            return self._create(draft, step)
        if isinstance(step, Merge | Split) or getattr(step, "profile", None) == "":
            return self._of_profiles(step, draft.profiles)
        trackers = self.strange_trackers if draft.is_strange else self._honest_trackers
        if draft.profiles and trackers:
            brought = {"tracker": trackers[draft.profiles[0] % len(trackers)]}
            return step if isinstance(step, Me) else replace(step, **brought)
        return step

    def _create(self, draft: Draft, step: Create) -> Create:
        number = len(self.steps)
        self._names.append(f"p{number}")
        tracker = f"v{number}" if draft.gives_tracker else None
        if tracker is not None and draft.is_strange:
            self.strange_trackers.append(tracker)
        elif tracker is not None and draft.is_brought:
            self._honest_trackers.append(tracker)
        return replace(step, name=f"p{number}", tracker=tracker)

    def _of_profiles(self, step: Step, indices: tuple[int, ...]) -> Step | None:
        if not self._names:
            return None
        one, *others = (self._names[index % len(self._names)] for index in indices)
        if isinstance(step, Merge):
            return replace(step, one=one, other=others[0])
        return replace(step, profiles=(one,)) if isinstance(step, Split) else replace(step, profile=one)

    def _numbered(self, step: Step) -> dict[str, Any]:
        """Values that name the step that wrote them."""
        values: Values = getattr(step, "values", {})
        word = f"w{len(self.steps)}"
        new = {name: [word] if name == "interests" else word for name in values}
        return (
            {"values": {name: new[name] if value else None for name, value in values.items()}}
            if values
            else {}
        )
