"""Stories of settings that are changed when data is stored already: what admits more holds for it as well.

`support/view_stage.py` explains how a story is written. Answers without a view are those of `proven`.
"""

from __future__ import annotations

import pytest

from support.view_stage import Stage

STORIES: dict[str, str] = {
    "two customer numbers are two people until the dataset says that the newer one replaces the other": """
        post C mail=ann@ number=1 plan=crm
        post D mail=ann@ number=2 mood=till
        C = C mail=ann@ number=1 plan=crm
        D = D mail=ann@ mood=till number=2
        keep C
        dataset channel_identity_conflict=replace
        C = C < D mail=ann@ mood=till number=2 plan=crm
        D = D > C mail=ann@ mood=till number=2 plan=crm
        changed C
    """,
    "a setting that keeps people apart parts nobody who is one already": """
        dataset channel_identity_conflict=replace
        post C mail=ann@ number=1 plan=crm
        post D mail=ann@ number=2 mood=till
        C = C < D mail=ann@ mood=till number=2 plan=crm
        dataset channel_identity_conflict=keep_apart
        patch C card=7
        C = C < D card=7 mail=ann@ mood=till number=2 plan=crm
        # It holds for what is said from then on.
        post E card=7 number=3
        E = E card=7 number=3
        dataset channel_identity_conflict=replace
        E = E > C card=7 mail=ann@ mood=till number=3 plan=crm
    """,
    "an identity type whose values kept people apart": """
        type phone conflict_blocks_merge=true
        post C mail=ann@ phone=1 plan=crm
        post D mail=ann@ phone=2 mood=till
        D = D mail=ann@ mood=till phone=2
        type phone conflict_blocks_merge=false
        D = D > C mail=ann@ mood=till phone=2 plan=crm
    """,
    "a limit of profiles per merge that is raised, and lowered again": """
        post A mail=a@ plan=crm
        post B card=7 mood=till
        protect profiles_per_merge_max=1
        post D mail=a@ card=7 interests=chess
        D = D > A card=7 interests=chess mail=a@ plan=crm
        B = B card=7 mood=till
        protect profiles_per_merge_max=2
        B = B < A D card=7 interests=chess mail=a@ mood=till plan=crm
        protect profiles_per_merge_max=1
        patch A phone=5
        B = B < A D card=7 interests=chess mail=a@ mood=till phone=5 plan=crm
    """,
    "an identity type that proves whose a record is": """
        registers ann
        Me ann = ? ann mail=ann@
        name U Me ann
        patch U phone=5
        post C phone=5 plan=crm
        Me ann = U ann mail=ann@ phone=5
        U = U < C ann mail=ann@ phone=5 plan=crm
        type phone proves_identity=true
        Me ann = U < C ann mail=ann@ phone=5 plan=crm
        type phone proves_identity=false
        Me ann = U < C ann mail=ann@ phone=5 plan=crm
    """,
    "an identity that is bound": """
        bind mail number
        post C mail=ann@ phone=5 plan=crm
        post D phone=5 mood=till
        D = D mood=till phone=5
        bind mail number phone
        D = D > C mail=ann@ mood=till phone=5 plan=crm
        bind mail number
        D = D > C mail=ann@ mood=till phone=5 plan=crm
    """,
    "customer numbers that are bound keep apart what was one": """
        bind mail
        post C mail=ann@ number=1 plan=crm
        post D mail=ann@ number=2 mood=till
        D = D > C mail=ann@ mood=till number=2 plan=crm
        bind mail number
        D = D mail=ann@ mood=till number=2
    """,
    "a blocked value that is taken off": """
        type phone blocked_values=5
        post C mail=ann@ phone=5 plan=crm
        post D phone=5 mood=till
        D = D mood=till phone=5
        type phone blocked_values=
        D = D > C mail=ann@ mood=till phone=5 plan=crm
    """,
    "a limit of values and a setting of asserted merges concern the view all alone": """
        protect values_per_namespace_max=1
        post C mail=ann@ card=1 plan=crm
        post D mail=ann@ card=2 mood=till
        C = C < D card=2 mail=ann@ mood=till plan=crm
        protect values_per_namespace_max=100
        dataset asserted_merges=all
        C = C < D card=2 mail=ann@ mood=till plan=crm
    """,
    "an erasure folds again what a changed setting joined": """
        post C mail=ann@ number=1 plan=crm
        post D mail=ann@ number=2 mood=till
        post E mail=ann@ card=7
        dataset channel_identity_conflict=replace
        C = C < D E card=7 mail=ann@ mood=till number=2 plan=crm
        delete E own
        C = C < D mail=ann@ mood=till number=2 plan=crm
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_story_reads_as_written(stage: Stage, story: str) -> None:
    await stage.play(story)
