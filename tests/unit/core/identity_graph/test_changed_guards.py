"""Guards that were other ones: which joins stand, and since when a later guard admits one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.config.changes import (
    Limits,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    PutLimits,
)
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.core.config.guard_history import PERIODS_MAX
from oneself.core.config.stored import from_document, to_document
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Tenure
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.partition import Guards, Partition, partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.units import SEQ_MAX
from oneself.core.values.schema import Schema
from unit.core.samples import attribute

MATCHING = {"mail": SEQ_MAX, "number": SEQ_MAX}
BINDING = IdentityBinding("phone", "phone", "traits.phone")


def fragment(place: int, **claims: tuple[str, int]) -> Fragment:
    """A server's fragment, with proven claims: namespace → value and since when."""
    held = (
        FragmentClaim(Tenure(Identifier(name, value)), EvidenceLevel.PROVEN, since)
        for name, (value, since) in claims.items()
    )
    return Fragment(fragment_id=UUID(int=place), origin="server", began_at=place, claims=tuple(held))


def judged(guards: Guards, *fragments: Fragment) -> Partition:
    graph = IdentityGraph()
    return partition(graph, [graph.put(item) for item in fragments], "proven", guards)


#: Joined since 4; both numbers are known since 3.
TWO = (fragment(1, mail=("a", 1), number=("n1", 2)), fragment(2, mail=("a", 4), number=("n2", 3)))


@pytest.mark.parametrize(
    ("guards", "admitted_since"),
    [
        ({"separating": frozenset({"number"})}, None),
        ({"separating": frozenset({"number"}), "separates_since": {"number": 4}}, None),
        ({"separating": frozenset({"number"}), "separates_since": {"number": 5}}, 0),
        ({"separated": {"number": ((0, 9),)}}, 9),
        ({"separated": {"number": ((0, 4),)}}, 0),
        (
            {
                "separating": frozenset({"number"}),
                "separates_since": {"number": 12},
                "separated": {"number": ((0, 9),)},
            },
            9,
        ),
    ],
)
def test_values_keep_apart_whom_they_always_kept_apart(
    guards: dict[str, Any], admitted_since: int | None
) -> None:
    found = judged(Guards(matching=MATCHING, **guards), *TWO)
    (component, *others) = {item.members: item for item in found.components.values()}.values()
    assert bool(others) == (admitted_since is None)
    assert component.admitted_since == (admitted_since or 0)
    assert [item.code for item in found.refused] == ["conflicting_identity"] * (admitted_since is None)


def test_a_number_that_is_said_under_the_guard_parts() -> None:
    guards = Guards(matching=MATCHING, separating=frozenset({"number"}), separates_since={"number": 5})
    later = fragment(2, mail=("a", 4), number=("n2", 6))
    assert judged(guards, TWO[0], later).refused


@pytest.mark.parametrize(
    ("limits", "admitted_since"),
    [
        (((0, 1),), None),
        (((0, 1), (6, 2)), 6),
        (((0, 2), (6, 1)), 0),
        (((0, 2), (2, 1)), None),
        (((0, 1), (6, 2), (8, 1)), 6),
    ],
)
def test_a_limit_refuses_what_no_limit_since_admitted(
    limits: tuple[tuple[int, int], ...], admitted_since: int | None
) -> None:
    """Two joins since 3: one fragment names what two others have."""
    guards = Guards(matching=MATCHING, profiles_per_merge_max=limits[-1][1], merge_limits=limits)
    third = fragment(3, mail=("a", 3), number=("n", 3))
    found = judged(guards, fragment(1, mail=("a", 1)), fragment(2, number=("n", 2)), third)
    assert [item.code for item in found.refused] == ["limit_exceeded"] * (admitted_since is None)
    assert found.components[third.fragment_id].admitted_since == (admitted_since or 0)


def _config() -> Config:
    schema = Schema((attribute("traits.phone"),))
    config = Config(schema=schema)
    config = configure(config, PutIdentityType(IdentityType("phone", "Phone")), 1)
    return configure(config, PutIdentityAttributes((BINDING,)), 2)


def _separating(config: Config, seq: int, *, separates: bool) -> Config:
    known = config.types["phone"]
    changed = msgspec.structs.replace(known, conflict_blocks_merge=separates)
    return configure(config, PutIdentityType(changed), seq)


def test_a_configuration_knows_when_its_guards_were_other_ones() -> None:
    config = _config()
    assert (config.separates_since, config.separated, config.merge_limits) == ({}, {}, ())
    config = _separating(config, 10, separates=True)
    assert config.separates_since == {"phone": 10}
    config = _separating(config, 20, separates=False)
    config = _separating(config, 30, separates=True)
    assert (config.separates_since, config.separated) == ({"phone": 30}, {"phone": ((10, 20),)})
    config = configure(config, PutLimits(Limits(profiles_per_merge_max=7)), 40)
    config = configure(config, PutLimits(Limits(7, values_per_namespace_max=3)), 50)
    assert config.merge_limits == ((0, 100), (40, 7))
    assert from_document(to_document(config)) == config
    guards = graph_rules(config).guards
    assert (guards.separates_since, guards.separated) == ({"phone": 30}, {"phone": ((10, 20),)})
    assert guards.merge_limits == config.merge_limits


def test_what_is_bound_later_separates_whatever_it_identifies() -> None:
    config = configure(_config(), PutIdentityAttributes(()), 3)
    config = _separating(config, 10, separates=True)
    config = configure(config, PutIdentityAttributes((BINDING,)), 20)
    assert "phone" in config.separating
    assert config.separates_since == {}


def test_the_history_is_bounded_and_forgets_no_admission() -> None:
    config = _config()
    for number in range(3 * PERIODS_MAX):
        config = _separating(config, 100 + number, separates=number % 2 == 0)
        config = configure(config, PutLimits(Limits(100 if number == 1 else 2 + number % 2)), 1000 + number)
    assert len(config.separated["phone"]) == PERIODS_MAX
    assert len(config.merge_limits) == PERIODS_MAX
    guards = graph_rules(config).guards
    assert guards.admits_values("phone", 101) == 101
    assert guards.admits_number(50, 0) == 0


def test_other_changes_leave_the_history_alone() -> None:
    config = _separating(_config(), 10, separates=True)
    label = msgspec.structs.replace(config.dataset, label="Shop")
    assert configure(config, PutDatasetSettings(label), 20).separates_since == {"phone": 10}
