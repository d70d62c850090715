"""The language of the scenarios: how lines are parsed, and the errors for mistakes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.flow import parse_flow, render_flow
from scenarios.histories import History, histories
from scenarios.language import ScenarioError, parse
from scenarios.play import Difference, play
from scenarios.rendering import render_history
from scenarios.words import Create, Line, Merge, Move, Refuse
from unit.core.oracle import Oracle

SETUP = "identity email\nattribute traits.plan string overwrite\n"


def line(text: str) -> Line:
    (only,) = parse(SETUP + text).lines
    return only


def test_a_line_has_an_actor_an_act_and_fields() -> None:
    step = line(
        "P2 device x+y write user=u-1 email=Ann@x.org traits.plan=gold trust=browser -> attach P2"
    ).step

    assert (step.profile, step.devices, step.act) == ("P2", ("x", "y"), "write")
    assert (step.user, step.identities, step.trust) == ("u-1", (("email", "Ann@x.org"),), "browser")
    assert step.values == {"traits": {"plan": "gold"}}


def test_clauses_need_no_commas_between_them() -> None:
    expected = line("device x event -> create P3 named, device y moves to P3 refused different_user").expected

    assert expected == (Create("P3", "named"), Move("y", "P3"), Refuse("different_user"))


def test_a_merge_may_name_several_profiles_and_one_reason() -> None:
    expected = line("server event -> merge P1, P2 and P4 into P3 because identity:email, create P5").expected

    assert expected == (Merge(("P1", "P2", "P4"), "P3", "identity:email"), Create("P5"))


def test_a_comment_ends_a_line_except_inside_quotes() -> None:
    parsed = line('server event email="a # b" -> create P1  # not "yet" -> nothing')

    assert (parsed.step.identities, parsed.expected) == ((("email", "a # b"),), (Create("P1"),))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("device x event", "'->' and the expected outcome are missing"),
        ("device x event ->", "the expected outcome is missing"),
        ("device x dances -> nothing", "unknown act 'dances'"),
        ("nobody event -> nothing", "a line begins with"),
        ("device x event phone=1 -> nothing", "is the identity type declared?"),
        ("device x event email -> nothing", "a field is name=value"),
        ('device x event email="a -> nothing', "not closed"),
        ("device x event -> merge P1 P2", "expected 'into', found 'P2'"),
        ("device x event -> create x", "expected a profile like P1"),
        ("device x event -> explode P1", "unknown clause 'explode'"),
        ("device x event at=noon -> nothing", "'noon' is not a time"),
        ("identity phone sticky", "unknown option 'sticky' of an identity type"),
        ("attribute plan string overwrite", "is in no scope"),
        ("limit patience 3", "expected 'profiles_per_merge_max'"),
        ("finally P1 happy", "unknown state 'happy' of a profile"),
        ("finally P1 = {a: [1}", "']' is missing"),
        ("finally P1 gone\nserver event -> create P1", "nothing but `finally` lines"),
        ("server event -> create P1\nidentity phone", "set-up lines come before"),
        ("server event -> create P1\nrule r traits.plan priority=1 active", "set-up lines come before"),
        ("rule plans traits.plan active", "a rule has a name, an attribute, `priority=`"),
        ("rule plans traits.plan -> nothing", "a new rule has `priority=`"),
        ("rule plans sticky -> nothing", "unknown option 'sticky' of a rule"),
    ],
)
def test_a_mistake_is_reported_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ScenarioError, match=r"scenario:[34]: ") as raised:
        parse(SETUP + text)

    assert problem in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "server event email=a@x.org -> create P1 anonymous",
        "server event email=a@x.org -> create P2",
        "server event email=a@x.org -> nothing",
        "server event email=a@x.org -> create P1, refused different_user",
        "server event email=null -> create P1",
        "server event -> create P1\nserver event -> attach P1",
        "server event -> create P1\nfinally P1 named",
        "server event -> create P1\nfinally P1 gone",
        "server event -> create P1\nfinally P1 = {traits.plan: gold}",
        "device x event -> create P1\nfinally device x at nobody",
        "rule plans active -> nothing",
        "server event -> create P1\nindex -> promote P1",
    ],
)
async def test_a_wrong_expectation_in_a_file_is_reported(text: str) -> None:
    with pytest.raises(Difference):
        await play(parse(SETUP + text), Oracle())


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(_json)
def test_rendered_relaxed_json_parses_to_itself(value: object) -> None:
    assert parse_flow(render_flow(value)) == value


@given(histories(steps_max=6, erasures=True, rules=True))
def test_a_rendered_history_parses_to_itself(history: History) -> None:
    parsed = parse(render_history(history.setup, history.steps))

    assert (parsed.setup, tuple(line.step for line in parsed.lines)) == (history.setup, history.steps)
