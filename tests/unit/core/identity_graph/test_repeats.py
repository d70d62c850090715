"""A view that is written step by step equals the replay of its fragments, also where values are repeated."""

from __future__ import annotations

from uuid import UUID

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from oneself.core.identity_graph.fragment import Fragment, Write
from oneself.core.identity_graph.joins import Join, JoinStrength
from oneself.core.identity_graph.replay import Part, ReplayRules, replay, with_value
from oneself.core.identity_graph.writes import as_repeated, with_write
from oneself.core.values.record import ValueSource
from oneself.core.values.schema import Schema

RULES = ReplayRules(Schema(()))
ONE, OTHER = UUID(int=1), UUID(int=2)
#: The two became one person with the second write.
JOIN = Join(JoinStrength.PROVEN, 2, (0, 0, 0, 0, 0, 0), "mail", ONE, OTHER)

#: Which of the two says which value.
Said = tuple[UUID, str | None]


def never(fragment_id: UUID, seq: int) -> int:
    return 0


def write(seq: int, value: str | None) -> Write:
    return Write(("traits", "plan"), value, ValueSource(seq, f"o{seq}", seq, "cds"))


def fragments_of(history: list[Said]) -> list[Fragment]:
    found = {
        fragment_id: Fragment(fragment_id=fragment_id, origin="server", began_at=began)
        for fragment_id, began in ((ONE, 1), (OTHER, 2))
    }
    for seq, (fragment_id, value) in enumerate(history, 1):
        fragment = found[fragment_id]
        writes = with_write(fragment.writes, as_repeated(fragment.writes, write(seq, value)))
        found[fragment_id] = msgspec.structs.replace(fragment, writes=writes)
    return list(found.values())


def replayed(history: list[Said]) -> Part:
    return replay(fragments_of(history), (JOIN,), "proven", RULES, never)


@given(
    st.lists(st.tuples(st.sampled_from([ONE, OTHER]), st.sampled_from(["gold", "trial", None])), max_size=6)
)
@example([(OTHER, "trial")])
@example([(ONE, "free"), (OTHER, "trial"), (OTHER, "trial"), (OTHER, "trial")])
@example([(ONE, "gold"), (OTHER, "trial"), (OTHER, "trial")])
@example([(ONE, "trial"), (ONE, "gold")])
@example([(ONE, None), (ONE, "gold")])
@example([(OTHER, "free"), (OTHER, "gold")])
def test_a_view_equals_the_replay_of_its_fragments(said: list[Said]) -> None:
    history: list[Said] = [(ONE, "gold"), (OTHER, "trial")]
    part = replayed(history)
    for step in said:
        history.append(step)
        item = next(fragment for fragment in fragments_of(history) if fragment.fragment_id == step[0]).writes[
            -1
        ]
        part = with_value(part, item, RULES)
        expected = replayed(history)
        assert (part.record, part.version) == (expected.record, expected.version)


def test_what_is_repeated_moves_no_version() -> None:
    assert replayed([(ONE, "gold"), (OTHER, "trial"), (OTHER, "trial")]).version == 2
    answered = replayed([(ONE, "gold"), (OTHER, "trial"), (ONE, "free"), (OTHER, "trial")])
    assert (answered.record.values["traits"], answered.version) == ({"plan": "trial"}, 3)
