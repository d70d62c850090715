"""What a stranger's browser may say without end is kept within bounds."""

from __future__ import annotations

from uuid import UUID

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.identity_graph.claims import ENDED_CLAIMS_MAX
from oneself.core.identity_graph.fold import FoldRules, say
from oneself.core.identity_graph.fragment import Fragment, Owner
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.placing import BROWSER_FRAGMENTS_MAX, NAMED_MAX
from oneself.core.identity_graph.replay import ReplayRules
from oneself.core.identity_graph.word import Word
from oneself.core.values.schema import Schema

BROWSER = Identifier(TRACKER, "t")
RULES = FoldRules(values=ReplayRules(Schema(())))


def _name_people(graph: IdentityGraph, count: int) -> Fragment:
    fragment = None
    for number in range(count):
        word = Word(
            speaker="browser",
            seq=number + 10,
            at=number + 10,
            new_fragment_id=UUID(int=number + 1),
            tracker=BROWSER,
            identifiers=(Identifier("mail", f"{number}@x.example"),),
        )
        fragment = say(graph, word, RULES)
    assert fragment is not None
    return graph.fragments[fragment.fragment_id]


def test_a_browser_that_names_many_people_has_a_limited_number_of_fragments() -> None:
    graph = IdentityGraph()
    _name_people(graph, BROWSER_FRAGMENTS_MAX + 50)
    assert len(graph.fragments) == BROWSER_FRAGMENTS_MAX
    assert len(graph.browser(BROWSER).every) == BROWSER_FRAGMENTS_MAX


def test_an_owned_browser_that_names_many_people_keeps_a_limited_number_of_names_and_claims() -> None:
    graph = IdentityGraph()
    first = _name_people(graph, 1)
    graph.put(_owned(first))
    last = _name_people(graph, NAMED_MAX + 50)
    assert len(graph.fragments) == 1
    assert len(last.named) == NAMED_MAX
    assert len(last.claims) == ENDED_CLAIMS_MAX + 1
    assert [claim.tenure.identifier.value for claim in last.present_claims] == [f"{NAMED_MAX + 49}@x.example"]


def _owned(fragment: Fragment) -> Fragment:
    return Fragment(
        fragment_id=fragment.fragment_id,
        origin=fragment.origin,
        began_at=fragment.began_at,
        browser=fragment.browser,
        named=fragment.named,
        claims=fragment.claims,
        owner=Owner("ann", 11, "sign_in"),
    )
