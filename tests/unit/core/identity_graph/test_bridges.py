"""What erased fragments held together passes to their neighbours, pair by pair."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

import pytest

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.bridges import bridges
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Owner, Tenure
from oneself.core.identity_graph.graph import IdentityGraph, PersonJoin
from oneself.core.identity_graph.joins import CLAIMANTS_PAIRED_MAX, joins_among
from oneself.core.identity_graph.partition import Guards, partition
from oneself.core.units import SEQ_MAX

NAMES = "card", "phone", "mail", "number"
GUARDS = Guards(matching=dict.fromkeys(NAMES, SEQ_MAX), separating=frozenset({"number"}))

#: Fragment → what a server said of it and when: `card@3` is said at 3.
People = Mapping[str, str]
STORIES: dict[str, tuple[People, str, dict[str, int]]] = {
    "two neighbours": ({"a": "card@1", "b": "phone@2", "h": "card@3 phone@4"}, "h", {"a b": 4}),
    "each pair of three": (
        {"a": "card@1", "b": "phone@2", "c": "mail@3", "h": "card@4 phone@5 mail@6"},
        "h",
        {"a b": 5, "a c": 6, "b c": 6},
    ),
    "the last join on the way decides since when": (
        {"a": "card@1", "b": "phone@2", "g": "card@3 mail@3", "h": "phone@4 mail@9"},
        "g h",
        {"a b": 9},
    ),
    "what stays in between is no way": (
        {
            "a": "card@1",
            "b": "phone@2 mail@2",
            "c": "number@3",
            "g": "card@4 phone@4",
            "h": "mail@5 number@5",
        },
        "g h",
        {"a b": 4, "b c": 5},
    ),
    "what is tied anyway needs no bridge": ({"h": "card@1", "a": "card@2", "b": "card@3"}, "h", {}),
    "what is tied later keeps its age": (
        {"a": "card@1 mail@8", "b": "phone@2 mail@9", "h": "card@3 phone@4"},
        "h",
        {"a b": 4},
    ),
    "one neighbour": ({"a": "card@1", "h": "card@3 phone@4"}, "h", {}),
    "everybody is erased": ({"a": "card@1", "b": "phone@2", "h": "card@3 phone@4"}, "a b h", {}),
}


def graph_of(people: People) -> IdentityGraph:
    graph = IdentityGraph()
    for name, said in people.items():
        claims = []
        for word in said.split():
            value, _, seq = word.partition("@")
            namespace, _, value = value.partition("=")
            tenure = Tenure(Identifier(namespace, value))
            claims.append(FragmentClaim(tenure, EvidenceLevel.PROVEN, int(seq)))
        began_at = min(claim.since for claim in claims)
        graph.put(Fragment(fragment_id=id_of(name), origin="server", began_at=began_at, claims=tuple(claims)))
    return graph


def id_of(name: str) -> UUID:
    return UUID(bytes=name.encode().rjust(16, b"\0"))


def bridges_over(graph: IdentityGraph, gone: Collection[UUID]) -> list[PersonJoin]:
    fragments = graph.fragments.values()
    joins = joins_among(graph, fragments, "proven", GUARDS.matching, GUARDS.priorities)
    return bridges(gone, partition(graph, fragments, "proven", GUARDS), joins)


def erase(graph: IdentityGraph, gone: Collection[UUID]) -> None:
    left = bridges_over(graph, gone)
    for item in gone:
        del graph.fragments[item]
    graph.person_joins = [
        join for join in (*graph.person_joins, *left) if {join.one, join.other}.isdisjoint(gone)
    ]


def people_in(graph: IdentityGraph) -> set[frozenset[str]]:
    components = partition(graph, graph.fragments.values(), "proven", GUARDS).components.values()
    return {frozenset(item.bytes.decode().strip("\0") for item in one.members) for one in components}


@pytest.mark.parametrize(("people", "gone", "expected"), STORIES.values(), ids=STORIES.keys())
def test_the_bridges_over_erased_fragments(people: People, gone: str, expected: dict[str, int]) -> None:
    found = bridges_over(graph_of(people), [id_of(name) for name in gone.split()])
    assert sorted((join.one, join.other, join.since) for join in found) == sorted(
        (*map(id_of, pair.split()), since) for pair, since in expected.items()
    )
    assert {(join.level, join.reason) for join in found} <= {(EvidenceLevel.PROVEN, "bridge")}


def test_neighbours_stay_one_until_the_last_of_them() -> None:
    graph = graph_of({"a": "card@1", "b": "phone@2", "c": "mail@3", "h": "card@4 phone@5 mail@6"})
    erase(graph, [id_of("h")])
    assert people_in(graph) == {frozenset("abc")}
    erase(graph, [id_of("b")])
    assert people_in(graph) == {frozenset("ac")}


def test_a_refused_bridge_leaves_the_other_pairs_as_they_are() -> None:
    """Two numbers are two people, although the erased record had both."""
    graph = graph_of(
        {"a": "number=1@1", "b": "number=2@2", "c": "mail@3", "h": "number=1@4 number=2@5 mail@6"}
    )
    assert people_in(graph) == {frozenset("abch")}
    erase(graph, [id_of("h")])
    assert people_in(graph) == {frozenset("ac"), frozenset("b")}


def test_a_bridge_joins_no_two_users() -> None:
    graph = graph_of({"a": "card@1", "b": "phone@2", "h": "card@3 phone@4"})
    erase(graph, [id_of("h")])
    for name, user in (("a", "ann"), ("b", "ben")):
        fragment = graph.fragments[id_of(name)]
        claims, seq = fragment.claims, fragment.began_at
        graph.put(
            Fragment(
                fragment_id=id_of(name),
                origin="server",
                began_at=seq,
                claims=claims,
                owner=Owner(user, 9, "sign_in"),
            )
        )
    assert people_in(graph) == {frozenset("a"), frozenset("b")}


def test_many_neighbours_get_few_bridges() -> None:
    count = 10 * CLAIMANTS_PAIRED_MAX
    names = [f"n{number:03}" for number in range(count)]
    people = {name: f"mail={name}@{number + 1}" for number, name in enumerate(names)}
    people["h"] = " ".join(f"mail={name}@{count + number + 1}" for number, name in enumerate(names))
    graph = graph_of(people)
    found = bridges_over(graph, [id_of("h")])
    assert len(found) < CLAIMANTS_PAIRED_MAX * count
    erase(graph, [id_of("h")])
    assert people_in(graph) == {frozenset(names)}
