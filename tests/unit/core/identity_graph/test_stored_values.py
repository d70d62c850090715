"""A value that a fragment has stored before a rule or binding reads it: its evidence, and the claims on it.

Source: docs/concepts/trust.md, "Joins".
"""

from __future__ import annotations

from uuid import UUID

import pytest

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.claims import hold, hold_stored
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, Owner, Write
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.graph import IdentityGraph, VerifiedClaim
from oneself.core.identity_graph.replay import ReplayRules
from oneself.core.identity_graph.stored_values import stored_level
from oneself.core.values.record import ValueSource
from unit.core.identity_graph.world import SCHEMA

MAIL = ("identity_attributes", "mail")
ASSERTED, PROVEN, VERIFIED = EvidenceLevel
#: Ann has verified one address.
ANNS = {("ann", MAIL): VerifiedClaim("ann@", 1)}


def written(seq: int, value: object, level: EvidenceLevel, path: tuple[str, ...] = MAIL) -> Write:
    trust = "browser" if level == ASSERTED else "server"
    source = ValueSource(seq=seq, observation_id=str(seq), at=seq, interface="test", trust=trust)
    return Write(path, value, source, is_asserted_identity=level == ASSERTED, level=level)


def holding(*writes: Write, user: str | None = "ann") -> Fragment:
    """A fragment with these writes: a user's own, or a browser's."""
    record = record_of(writes, ReplayRules(SCHEMA))
    owner = None if user is None else Owner(user, 1, "user")
    origin = "browser" if user is None else "user"
    return Fragment(
        fragment_id=UUID(int=1), origin=origin, began_at=1, writes=writes, record=record, owner=owner
    )


def test_the_value_that_a_user_verified_is_verified() -> None:
    assert stored_level(holding(written(1, "ann@", ASSERTED)), MAIL, ANNS) == VERIFIED


def test_another_value_that_a_server_wrote_there_is_proven() -> None:
    """Ann has verified her address; then the shop writes another person's address into her profile."""
    vera = holding(written(2, "vera@", PROVEN))
    assert stored_level(vera, MAIL, ANNS) == PROVEN


def test_another_value_that_the_user_gave_there_is_asserted() -> None:
    assert stored_level(holding(written(2, "vera@", ASSERTED)), MAIL, ANNS) == ASSERTED


def test_what_another_user_verified_is_no_evidence() -> None:
    assert stored_level(holding(written(1, "ann@", ASSERTED), user="ben"), MAIL, ANNS) == ASSERTED


@pytest.mark.parametrize(("last", "level"), [(ASSERTED, ASSERTED), (PROVEN, PROVEN)])
def test_a_replaced_value_is_no_evidence_for_the_next(last: EvidenceLevel, level: EvidenceLevel) -> None:
    """A proven identity stays beside an asserted one that the view `all` shows in its place."""
    beside = holding(written(1, "card 1", PROVEN), written(2, "card 2", last), user=None)
    assert stored_level(beside, MAIL, {}) == level


def test_a_value_within_an_object_has_the_evidence_of_the_object() -> None:
    whole = written(1, {"mail": "ann@"}, PROVEN, MAIL[:1])
    assert stored_level(holding(whole, user=None), MAIL, {}) == PROVEN


def test_no_value_has_no_evidence() -> None:
    assert stored_level(holding(written(1, None, PROVEN)), MAIL, ANNS) == ASSERTED


class _Claims:
    """The claims of one fragment on addresses."""

    def __init__(self) -> None:
        self._graph = IdentityGraph()
        self._graph.put(holding(user=None))

    def said(self, seq: int, value: str, level: EvidenceLevel) -> _Claims:
        """Named in an observation."""
        named = [Identifier("mail", value)]
        hold(self._graph, self._fragment, named, level, seq, seq, newest_wins=False)
        return self

    def indexed(self, since: int, value: str, level: EvidenceLevel) -> _Claims:
        """Stored, and read much later."""
        named = [Identifier("mail", value)]
        hold_stored(self._graph, self._fragment, "mail", named, level, since, 100, newest_wins=False)
        return self

    @property
    def held(self) -> set[tuple[str, int, int | None]]:
        """Each value, with since when and until when."""
        claims = self._fragment.claims
        return {(item.tenure.identifier.value, item.since, item.until) for item in claims}

    @property
    def _fragment(self) -> Fragment:
        return self._graph.fragments[UUID(int=1)]


@pytest.mark.parametrize("stored", [ASSERTED, PROVEN])
def test_what_was_said_later_ends_a_stored_value(stored: EvidenceLevel) -> None:
    """A server ties another address to the browser, which writes no value."""
    said = _Claims().said(1, "a@", stored).said(2, "b@", PROVEN).held
    assert said == {("a@", 1, 2), ("b@", 2, None)}
    assert _Claims().said(2, "b@", PROVEN).indexed(1, "a@", stored).held == said
    assert _Claims().said(1, "a@", stored).said(2, "b@", PROVEN).indexed(1, "a@", stored).held == said


def test_a_stored_value_that_is_asserted_ends_no_proven_one() -> None:
    said = _Claims().said(1, "a@", PROVEN).said(2, "b@", ASSERTED).held
    assert said == {("a@", 1, None), ("b@", 2, None)}
    assert _Claims().said(1, "a@", PROVEN).indexed(2, "b@", ASSERTED).held == said


def test_a_stored_value_ends_what_it_replaced() -> None:
    assert _Claims().said(1, "a@", PROVEN).indexed(2, "b@", PROVEN).held == {("a@", 1, 2), ("b@", 2, None)}
