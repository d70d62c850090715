"""Stories of the view `all`, in which evidence that comes later parts people, or joins them.

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from oneself.service.log.reconciler import Reconciler
from oneself.store.tables.unreconciled_fragment import UnreconciledFragment
from oneself.store.transaction import Transaction
from support.reconciled_view import assert_reconciled
from support.view_stage import Stage

STORIES: dict[str, str] = {
    "a browser that asserted her address leaves her record when somebody registers on it": """
        post C mail=vera@ plan=crm
        post F1 T1 interests=chess
        page T1 mail=vera@ mood=click
        C all = C < F1 interests=chess mail=vera@ mood=click plan=crm
        registers mal T1
        C all = C mail=vera@ plan=crm
        F1 all = F1 < ? mal interests=chess mail=mal@ mood=click
        Me mal = F1 mal interests=chess mail=mal@ mood=click

        post F2 T2
        registers vera T2
        verifies vera
        C all = C > F2 vera mail=vera@ plan=crm
        Me vera = F2 < C vera mail=vera@ plan=crm
        F1 all = F1 < ? mal interests=chess mail=mal@ mood=click
    """,
    "what came after the merge goes with whom it is of": """
        post C mail=vera@ plan=crm
        post F1 T1
        page T1 mail=vera@ mood=click
        patch C plan=gold
        page T1 mood=later
        C all = C < F1 mail=vera@ mood=later plan=gold
        registers mal T1
        C all = C mail=vera@ plan=gold
        F1 all = F1 < ? mal mail=mal@ mood=later
        patch C plan=silver
        page T1 interests=go
        C all = C mail=vera@ plan=silver
        F1 all = F1 < ? mal interests=go mail=mal@ mood=later
    """,
    "a browser of which a server says who it is leaves another record": """
        post C mail=vera@ plan=crm
        post F1 T1
        page T1 mail=vera@
        F1 all = F1 > C mail=vera@ plan=crm
        server T1 card=7
        C all = C mail=vera@ plan=crm
        server mail=vera@ mood=shop
        C all = C mail=vera@ mood=shop plan=crm
    """,
    "a user whom an application names for a browser takes it out of another's profile": """
        post F2 T2
        registers vera T2
        post F1 T1 interests=chess
        page T1 mail=vera@
        F1 all = F1 > F2 vera interests=chess mail=vera@
        F1 = F1 interests=chess
        patch F1 user=ann
        F1 all = F1 < ? ann interests=chess mail=vera@
        F2 all = F2 vera mail=vera@
    """,
    "a setting that admits more joins what was refused before": """
        post C mail=ann@ plan=crm
        post D card=7 mood=till
        page mail=ann@ card=7
        C all = C mail=ann@ plan=crm
        dataset asserted_merges=all
        C all = C > D card=7 mail=ann@ mood=till plan=crm
        C = C mail=ann@ plan=crm
        dataset asserted_merges=unprotected
        C all = C card=7 mail=ann@ plan=crm
        D all = D card=7 mood=till
    """,
    "two values of the number that names people part them once the dataset says so": """
        dataset channel_identity_conflict=replace
        post C mail=ann@ number=1
        page mail=ann@ number=2 mood=click
        C all = C mail=ann@ mood=click number=1
        dataset channel_identity_conflict=keep_apart
        C all = C mail=ann@ number=1
    """,
    "a page without a tracker stays with the browser that its anonymous id came with": """
        post F1 T1
        page T1 a1 interests=chess
        page a1 mail=ann@ mood=click
        F1 all = F1 interests=chess mail=ann@ mood=click
        post C mail=ann@ plan=crm
        C all = C > F1 interests=chess mail=ann@ mood=click plan=crm
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_story_reads_as_written(stage: Stage, story: str) -> None:
    await stage.play(story)
    await assert_reconciled(stage.services.database)


@pytest.mark.parametrize(
    "story",
    [
        """
        server mail=3@ card=3 number=3
        server number=1 mail=3@
        page number=1 card=3
        server number=3 card=2
        post P number=2 card=3
        page T1 number=1 mail=1@
        report ann mail=1@
        report ann T1 mail=3@
        """,
        """
        server T4 number=2 mail=3@ card=2
        page a60 mail=1@
        page T60 number=2
        page a60 number=1
        page a3 mail=1@ number=2
        page T61 card=1 mail=3@ number=2
        page a60 mail=1@ card=1
        report ann T61
        """,
    ],
    ids=["another record took the card since", "another record had the browser meanwhile"],
)
async def test_others_are_folded_as_they_were_recorded(stage: Stage, story: str) -> None:
    """Where people are parted, what others did with the same names meanwhile stays as it was.

    The fixture checks that the log folds to the state.
    """
    await stage.play(story)


async def test_who_is_too_large_stays_as_believed_and_takes_nothing(stage: Stage) -> None:
    """Whoever asserts an address from more browsers than are reconciled gets no part of the record."""
    small = Reconciler(stage.services.database, fragments_max=1)
    log = msgspec.structs.replace(stage.services.log, reconciler=small)
    stage.services = msgspec.structs.replace(stage.services, log=log)
    await stage.play("""
        post C mail=vera@ plan=crm
        post F1 T1 interests=chess
        page T1 mail=vera@
        registers mal T1
        C all = C < F1 interests=chess mail=vera@ plan=crm
        F1 all = F1 > C interests=chess mail=vera@ plan=crm
        Me mal = F1 mal interests=chess mail=mal@
    """)
    assert await stage.services.database.fetch("SELECT FROM unreconciled_fragment") == []
    dataset_id = stage.cds.dataset_ref.dataset_id
    assert await small.count_too_large(dataset_id) == 1
    assert await Reconciler(stage.services.database, fragments_max=2).count_too_large(dataset_id) == 0


class Failing(Reconciler):
    """Fails while it is told to."""

    fails = True

    async def _follow(
        self, transaction: Transaction, listed: UnreconciledFragment
    ) -> list[UnreconciledFragment]:
        if self.fails:
            raise ValueError("An entry cannot be read.")
        return await super()._follow(transaction, listed)


async def test_a_failure_leaves_the_others_to_be_reconciled(stage: Stage) -> None:
    story = "post C{0} mail=v{0}@\npost F{0} T{0}\npage T{0} mail=v{0}@\nC{0} all = C{0} < F{0} mail=v{0}@"
    await stage.play(story.format(1))
    await stage.play(story.format(2))
    failing = Failing(stage.services.database)
    log = msgspec.structs.replace(stage.services.log, reconciler=failing)
    stage.services = msgspec.structs.replace(stage.services, log=log)
    await stage.play("registers mal T1\nC1 all = C1 < F1 mail=v1@")
    assert await stage.services.database.fetch("SELECT FROM unreconciled_fragment") == []
    failing.fails = False
    await stage.play("registers ben T2\nC2 all = C2 mail=v2@")


async def test_many_who_sign_up_at_once_are_reconciled_together(stage: Stage) -> None:
    """One address that many browsers assert: the log grows by what is said, and by nothing else."""
    await stage.play("post C mail=vera@ plan=crm\n" + "\n".join(f"page T{n} mail=vera@" for n in range(24)))
    folded: list[int] = []

    class Counting(Reconciler):
        async def _follow(
            self, transaction: Transaction, listed: UnreconciledFragment
        ) -> list[UnreconciledFragment]:
            done = await super()._follow(transaction, listed)
            folded.append(len(done))
            return done

    counting = Counting(stage.services.database)
    await asyncio.gather(*(stage._do_report(f"m{n}", f"T{n}") for n in range(8)))
    await counting.reconcile_all()
    await assert_reconciled(stage.services.database)
    assert len([together for together in folded if together]) == 1
    await stage.play("report m9 T9\nreport m10 T10\nC all = C mail=vera@ plan=crm")
    assert await stage.services.database.fetch("SELECT FROM log WHERE kind = 'match'") == []
    await assert_reconciled(stage.services.database)
