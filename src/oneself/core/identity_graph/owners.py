"""Owners: which user a fragment is proven to be of.

Invariants: the first proof decides and lasts. Only an erasure, a split or an account
that is given up takes an owner away.

Source: docs/concepts/trust.md, "Owner" and "Sign-in".
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, Owner, Proof, ReportedUser
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.placing import begin_in_browser_with_user
from oneself.core.identity_graph.word import Word
from oneself.core.values.record import Path

#: Who brings a tracker: the user, whose sign-in or link proves it, or an identity server that reports it.
Bringer = Literal["user", "report"]


class OwnerRules(msgspec.Struct, frozen=True):
    """The part of the configuration that owners depend on."""

    #: Namespace → the path of the provider claim that it mirrors or is bound to.
    claim_paths: Mapping[str, Path] = {}
    #: Namespaces in which an identifier that a server said of a user proves the user's fragments.
    proving: frozenset[str] = frozenset()


def move_tracker(
    graph: IdentityGraph, tracker: Identifier, user_id: str, bringer: Bringer, word: Word
) -> None:
    """Make a tracker's present fragments those of a user.

    Where they are another user's, they stay. The user's earlier fragment of that browser comes back, else a
    new one begins.
    """
    browser = graph.browser(tracker)
    fragments = [f for item in browser.present if (f := graph.fragments[item]).user_id in (None, user_id)]
    if not fragments:
        earlier = _returning(graph, browser, user_id)
        fragments = [earlier or begin_in_browser_with_user(graph, tracker, word)]
    for fragment in fragments:
        graph.put(_with_user(fragment, user_id, bringer, word.seq))
    present = tuple(fragment.fragment_id for fragment in fragments)
    current = browser.current if browser.current in present else present[-1]
    moved = msgspec.structs.replace(
        graph.browser(tracker), present=present, current=current, reported_user=None
    )
    graph.browsers[tracker] = moved


def add_fresh_tracker(graph: IdentityGraph, fresh: Identifier, tracker: Identifier) -> None:
    """Let a fresh tracker lead where the tracker does that it replaces."""
    browser = graph.browser(tracker)
    graph.browsers[fresh] = BrowserFragments(
        present=browser.present,
        current=browser.current,
        every=browser.present,
        replaces=tracker.value,
    )


def detach(graph: IdentityGraph, device: Identifier) -> None:
    """Let a browser begin anew: none of its fragments are present any more."""
    browser = graph.browser(device)
    graph.browsers[device] = msgspec.structs.replace(browser, present=(), current=None, reported_user=None)


def find_owner(graph: IdentityGraph, fragment: Fragment, rules: OwnerRules) -> tuple[int, str] | None:
    """Since when, and by whom, what a server began is proven by an identifier that it began with.

    Of several proofs the oldest counts. What began before the identifier changed hands is proven by nobody
    who verifies it later. None: nobody proves it.
    """
    if fragment.owner is not None:
        return None
    proofs = [
        proof
        for tenure in fragment.began_with
        if graph.is_present(tenure)
        for proof in _proofs_of(graph, tenure.identifier, rules)
    ]
    return min(proofs, default=None)


def assign_owners(
    graph: IdentityGraph, fragments: Iterable[Fragment], rules: OwnerRules, seq: int
) -> list[Fragment]:
    """Give fragments that servers began the owners that are proven now; returns those that got one."""
    owned = []
    for fragment in sorted(fragments, key=lambda item: (item.began_at, item.fragment_id)):
        proof = find_owner(graph, fragment, rules)
        if proof is not None:
            owner = Owner(proof[1], seq, "identifier")
            owned.append(graph.put(msgspec.structs.replace(fragment, owner=owner)))
    return owned


def is_claim(identifier: Identifier, path: Path, value: str, claim_paths: Mapping[str, Path]) -> bool:
    """Whether an identifier is a provider claim: its attribute is the claim's, and its value is the same."""
    is_of_path = claim_paths.get(identifier.namespace) == path
    return is_of_path and _is_same_but_for_case(value, identifier.value)


def respelled(path: Path, others: Iterable[Path]) -> Path:
    """The path of a provider claim as another dataset spells it; as it is if that has no such attribute.

    Attributes of one dataset never differ in case alone; those of two may.
    """
    spelled = ".".join(path).lower()
    return next((other for other in others if ".".join(other).lower() == spelled), path)


def _proofs_of(graph: IdentityGraph, identifier: Identifier, rules: OwnerRules) -> list[tuple[int, str]]:
    found = []
    for (user, path), claim in graph.verified.items():
        if is_claim(identifier, path, claim.value, rules.claim_paths):
            found.append((claim.since, user))
    if identifier.namespace in rules.proving:
        for user, fragment_id in graph.own.items():
            own = graph.fragments.get(fragment_id)
            for held in own.present_claims if own else ():
                if held.level > EvidenceLevel.ASSERTED and held.tenure.identifier == identifier:
                    found.append((held.since, user))
    return found


def _is_same_but_for_case(one: str, other: str) -> bool:
    """Whether two values are equal but for the case of ASCII letters."""
    return len(one) == len(other) and one.translate(_ASCII_LOWER) == other.translate(_ASCII_LOWER)


_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _returning(graph: IdentityGraph, browser: BrowserFragments, user_id: str) -> Fragment | None:
    earlier = (graph.fragments.get(item) for item in reversed(browser.every))
    return next((item for item in earlier if item is not None and item.user_id == user_id), None)


def _with_user(fragment: Fragment, user_id: str, bringer: Bringer, seq: int) -> Fragment:
    if fragment.owner is not None:
        return fragment
    if bringer == "user":
        proof: Proof = "sign_in" if fragment.reported is None else "confirmed"
        return msgspec.structs.replace(fragment, owner=Owner(user_id, seq, proof))
    if fragment.reported is None:
        return msgspec.structs.replace(fragment, reported=ReportedUser(user_id, seq))
    return fragment
