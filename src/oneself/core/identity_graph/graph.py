"""The part of the identity graph that observations are folded into.

It holds whatever the fold of a batch can reach; `verify` and the tests hold a whole dataset.

Invariants: a fragment is replaced, never changed in place. `claimants` lists exactly the fragments that have
a claim, present or ended.

Source: docs/concepts/trust.md.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.browser import ActingBrowser, BrowserFragments
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, Tenure
from oneself.core.profiles.verification import ClaimVerification
from oneself.core.values.record import Path

#: What names a fragment of a server, or of a page without a browser: who said it, and all that it named.
ExactKey = tuple[Literal["browser", "server"], frozenset[Tenure]]


class VerifiedClaim(msgspec.Struct, frozen=True):
    """A provider claim of a user that somebody has verified."""

    #: As the provider reports it.
    value: str
    #: The seq of the observation since which it is verified.
    since: int
    #: What it identifies the user by.
    identifiers: tuple[Identifier, ...] = ()


class PersonJoin(msgspec.Struct, frozen=True):
    """A join that hangs on no identifier.

    A person made it (`manual`), an erasure left it between the neighbours of an erased fragment (`bridge`),
    or a user held both together who gave up the account (`user`).
    """

    one: UUID
    other: UUID
    level: EvidenceLevel
    since: int
    reason: Literal["manual", "bridge", "user"]


class Separation(msgspec.Struct, frozen=True):
    """A split: fragments of different sides stay apart until a person joins them again."""

    #: The entry of the log that made it.
    separation_id: UUID
    since: int
    #: Fragment → the number of its side.
    sides: Mapping[UUID, int]

    def sides_of(self, members: Iterable[UUID]) -> frozenset[int]:
        """The sides that some fragments are on."""
        return frozenset(self.sides[item] for item in members if item in self.sides)


class DeviceTie(msgspec.Struct, frozen=True):
    """An anonymous id that came together with a tracker."""

    anonymous_id: Identifier
    fragment_id: UUID
    since: int
    #: The seq at which the anonymous id began anew.
    until: int | None = None


_UNKNOWN_BROWSER = BrowserFragments()


class IdentityGraph:
    """Fragments, browsers, and who holds which identifier."""

    def __init__(self) -> None:
        self.fragments: dict[UUID, Fragment] = {}
        self.browsers: dict[Identifier, BrowserFragments] = {}
        #: Browsers of which events that only act need no more; they are not in `browsers`.
        self.acting: dict[Identifier, ActingBrowser] = {}
        #: User → their own fragment.
        self.own: dict[str, UUID] = {}
        self.exact: dict[ExactKey, UUID] = {}
        #: Identifier → the seqs at which it changed hands.
        self.transfers: dict[Identifier, tuple[int, ...]] = {}
        #: User and path of the attribute → the verified claim.
        self.verified: dict[tuple[str, Path], VerifiedClaim] = {}
        #: What users verified or gave up by their own reports, in order.
        self.verifications: list[ClaimVerification] = []
        self.claimants: dict[Tenure, set[UUID]] = {}
        self.person_joins: list[PersonJoin] = []
        #: Id → separation.
        self.separations: dict[UUID, Separation] = {}
        self.device_ties: list[DeviceTie] = []
        self._waiting: dict[UUID, None] = {}

    def put(self, fragment: Fragment) -> Fragment:
        """Add a fragment, or replace it by a later state; returns it."""
        fragment_id = fragment.fragment_id
        known = self.fragments.get(fragment_id)
        self.fragments[fragment_id] = fragment
        if fragment.claims and (known is None or known.claims is not fragment.claims):
            for claim in fragment.claims:
                self.claimants.setdefault(claim.tenure, set()).add(fragment_id)
        if fragment.began_with:
            self._note_waiting(fragment)
        if (user := fragment.own_user) is not None:
            self.own[user] = fragment_id
        return fragment

    @property
    def waiting(self) -> list[Fragment]:
        """The fragments without an owner of what servers began: a user may prove what they began with."""
        return [self.fragments[item] for item in self._waiting if item in self.fragments]

    def browser(self, device: Identifier) -> BrowserFragments:
        """The browser with this tracker or anonymous id; of its present fragments, without the erased ones.

        Its former fragments may be erased, or not loaded.
        """
        browser = self.browsers.get(device, _UNKNOWN_BROWSER)
        for item in browser.present:
            if item not in self.fragments:
                break
        else:
            return browser
        present = tuple(item for item in browser.present if item in self.fragments)
        current = browser.current if browser.current in present else None
        return msgspec.structs.replace(browser, present=present, current=current)

    def present_fragments(self, device: Identifier) -> list[Fragment]:
        """The present fragments of a browser, the oldest first."""
        return [self.fragments[item] for item in self.browser(device).present]

    def own_fragment(self, user_id: str) -> Fragment | None:
        """The user's own fragment, if it exists."""
        fragment_id = self.own.get(user_id)
        return None if fragment_id is None else self.fragments.get(fragment_id)

    def exact_fragment(self, key: ExactKey) -> Fragment | None:
        """The fragment of exactly these identifiers, if it exists."""
        fragment_id = self.exact.get(key)
        return None if fragment_id is None else self.fragments.get(fragment_id)

    def holders(self, tenure: Tenure) -> Iterator[Fragment]:
        """The fragments that have, or had, a claim on an identifier, by id."""
        for fragment_id in sorted(self.claimants.get(tenure, ())):
            if fragment_id in self.fragments:
                yield self.fragments[fragment_id]

    def tenure_of(self, identifier: Identifier, at: int, level: EvidenceLevel) -> Tenure:
        """The tenure in which something that happened at `at`, in µs since 1970, names an identifier.

        That of the time, if a fragment still has a claim of no weaker evidence from then; else the present
        one (docs/concepts/trust.md, "Time").
        """
        transfers = self.transfers.get(identifier, ())
        then = Tenure(identifier, sum(moment <= at for moment in transfers))
        if then.number == len(transfers) or self._is_claimed(then, level):
            return then
        return Tenure(identifier, len(transfers))

    def is_present(self, tenure: Tenure) -> bool:
        """Whether an identifier has not changed hands since that tenure."""
        return tenure.number == len(self.transfers.get(tenure.identifier, ()))

    def tenures_of(
        self, identifiers: Iterable[Identifier], at: int, level: EvidenceLevel
    ) -> frozenset[Tenure]:
        """The tenures in which something that happened at `at` names identifiers."""
        return frozenset(self.tenure_of(identifier, at, level) for identifier in identifiers)

    def transfer(self, identifier: Identifier, seq: int) -> None:
        """Begin a new tenure: the identifier was given up, or proved by another user."""
        self.transfers[identifier] = (*self.transfers.get(identifier, ()), seq)

    def _note_waiting(self, fragment: Fragment) -> None:
        if fragment.owner is None:
            self._waiting[fragment.fragment_id] = None
        else:
            self._waiting.pop(fragment.fragment_id, None)

    def _is_claimed(self, tenure: Tenure, level: EvidenceLevel) -> bool:
        proven = min(level, EvidenceLevel.PROVEN)
        return any(
            claim.tenure == tenure and claim.level >= proven
            for holder in self.holders(tenure)
            for claim in holder.claims
        )
