"""What an erased record held together stays one person in `proven` (docs/concepts/trust.md, "Erasure").

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

import pytest

from oneself.service.log.rebuild import rebuild
from oneself.service.log.verify import verify
from support.view_stage import Stage

pytestmark = pytest.mark.postgres

HELD_TOGETHER = """
    post B phone=2 mood=calm
    post A card=1 plan=gold
    post H card=1 phone=2 interests=chess
    A = A < B H card=1 interests=chess mood=calm phone=2 plan=gold
    delete H
    H = 404
    A = A < B card=1 mood=calm phone=2 plan=gold
    B = B > A card=1 mood=calm phone=2 plan=gold
"""


async def rebuilt(stage: Stage) -> dict[str, int]:
    """Rebuild the state; returns the tables in which rows differed."""
    database = stage.services.database
    report = await verify(database, lambda done, total: None)
    assert report.difference is None, report.difference
    done = await rebuild(database, lambda done, total: None)
    return {table: rows for table, rows in done.corrected.items() if rows}


async def test_what_an_erased_record_held_together_stays_one_person(stage: Stage) -> None:
    await stage.play(HELD_TOGETHER)
    assert await rebuilt(stage) == {}
    await stage.play("""
        A = A < B card=1 mood=calm phone=2 plan=gold
        patch B mood=glad
        server card=1 mail=a@
        A = A < B card=1 mail=a@ mood=glad phone=2 plan=gold
    """)
    assert await rebuilt(stage) == {}


@pytest.mark.parametrize(
    "story",
    [
        "delete A own\nA = 404\nB = B mood=calm phone=2",
        "delete B\nB = 404\nA = A card=1 plan=gold",
        "delete A\nA = 404\nB = 404",
    ],
)
async def test_a_bridge_goes_with_each_of_its_ends(stage: Stage, story: str) -> None:
    await stage.play(HELD_TOGETHER)
    await stage.play(story)
    assert await stage.services.database.fetchval("SELECT count(*) FROM person_join") == 0
    assert await rebuilt(stage) == {}


async def test_bridges_pass_on_where_their_end_is_erased(stage: Stage) -> None:
    await stage.play("""
        post C mail=c@ plan=trial
        post B phone=2
        post A card=1
        post H card=1 phone=2
        patch B mail=c@
        delete H
        A = A < B C card=1 mail=c@ phone=2 plan=trial
        delete B
        A = A < C card=1 mail=c@ plan=trial
        C = C > A card=1 mail=c@ plan=trial
    """)
    assert await rebuilt(stage) == {}
    await stage.play("patch C mood=calm\nA = A < C card=1 mail=c@ mood=calm plan=trial")


async def test_a_bridge_joins_no_two_users(stage: Stage) -> None:
    """Proof that comes later ends a bridge, as it ends every other join."""
    await stage.play(HELD_TOGETHER)
    await stage.play("""
        link ann A
        A = A < B ann card=1 mood=calm phone=2 plan=gold
        link ben B
        A = A ann card=1 plan=gold
        B = B ben mood=calm phone=2
    """)
    assert await rebuilt(stage) == {}


async def test_an_erasure_by_its_owner_leaves_the_records_of_servers_one_person(stage: Stage) -> None:
    """Ann's card and her phone are in two records of servers that she does not own."""
    await stage.play("""
        post B phone=2 mood=calm
        post A card=1 plan=gold
        post P T
        registers ann T
        patch P card=1 phone=2
        A = A > P ann card=1 mail=ann@ mood=calm phone=2 plan=gold
        erases ann
        P = 404
        A = A < B card=1 mood=calm phone=2 plan=gold
    """)
    assert await rebuilt(stage) == {}


async def test_a_refusal_counts_what_a_bridge_holds_together(stage: Stage) -> None:
    """Ben's phone was said of a record that is Ann's only by a bridge."""
    await stage.play(HELD_TOGETHER)
    await stage.play("""
        link ann A
        post Q
        link ben Q
        patch Q phone=2
        A = A < B ann card=1 mood=calm phone=2 plan=gold
    """)
    (refusal,) = (await stage.admin("GET", "/refusals")).json()["refusals"]
    assert refusal["code"] == "different_user"
    assert set(refusal["profiles"]) == {stage.profile_id("A"), stage.profile_id("Q")}
