"""What the writes of a fragment amount to, without writing one after the other."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from oneself.core.identity_graph.fragment import Write
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.replay import ReplayRules, put
from oneself.core.values.record import EMPTY, ValueSource
from oneself.core.values.schema import Schema

PATHS = (
    ("traits", "plan"),
    ("traits", "address"),
    ("traits", "address", "city"),
    ("traits", "address", "street"),
    ("identity_attributes", "mail"),
    ("application_data", "shop", "score"),
)


@st.composite
def written(draw: st.DrawFn) -> list[Write]:
    found: list[Write] = []
    for number in range(draw(st.integers(0, 6))):
        path = draw(st.sampled_from(PATHS))
        source = ValueSource(
            seq=number,
            observation_id=str(UUID(int=number)),
            at=draw(st.integers(0, 3)),
            interface="test",
            trust=draw(st.sampled_from(("server", "browser"))),
        )
        value = draw(st.sampled_from(("one", "two", None, ["a", "b"])))
        found.append(Write(path, value, source, draw(st.booleans())))
    return found


@settings(max_examples=500, deadline=None)
@given(written(), st.sampled_from((frozenset(), frozenset({"traits.plan"}))))
def test_it_comes_to_the_same_as_writing_one_after_the_other(
    writes: list[Write], tiered: frozenset[str]
) -> None:
    rules = ReplayRules(Schema(()), tiered=tiered)
    record = EMPTY
    for item in writes:
        record = put(record, item, rules)
    assert record_of(writes, rules) == record
