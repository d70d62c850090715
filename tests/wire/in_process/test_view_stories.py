"""The stories of docs/concepts/trust.md over the wires: what applications, people and browsers read.

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

import pytest

from support.reconciled_view import assert_reconciled
from support.view_stage import Stage

STORIES: dict[str, str] = {
    "an erasure of a previous user keeps that an earlier one let the browser begin anew": """
        post P T mood=calm
        registers ann T
        registers ben T
        erases ben
        post R card=1
        patch P card=1
        delete R
        Me ann = P ann card=1 mail=ann@ mood=calm
    """,
    "seed 1 with the embedded provider": """
        post P1 T1
        patch P1 interests=chess
        P1 = P1 interests=chess
        T1 = P1 interests=chess

        registers ann T1
        P1 = P1 ann interests=chess mail=ann@
        Me ann = P1 ann interests=chess mail=ann@
        T1 = P1 ann interests=chess

        patch P1 plan=gold
        P1 = P1 ann interests=chess mail=ann@ plan=gold
        Me ann = P1 ann interests=chess mail=ann@ plan=gold
        T1 = P1 ann interests=chess
        write T1 = P1 ann interests=chess

        post P2 T2 interests=go+jazz
        signs-in ann T2
        P1 = P1 < P2 ann interests=chess+go+jazz mail=ann@ plan=gold
        P2 = P2 > P1 ann interests=chess+go+jazz mail=ann@ plan=gold
        Me ann = P1 < P2 ann interests=chess+go+jazz mail=ann@ plan=gold
        T2 = P2 > P1 ann interests=go+jazz

        page T1 a1 mood=back
        P1 = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold
        Me ann = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold
        T1 = P1 ann interests=chess mood=back

        page a1 mood=alone
        P1 = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold
        P1 all = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=alone plan=gold
        Me ann = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold
        T1 = P1 ann interests=chess mood=back

        keep Me ann
        registers ben T1
        name B Me ben
        B = B ben mail=ben@
        Me ben = B ben mail=ben@
        T1 = B ben
        same Me ann
        P1 = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold

        page T1 mood=bens
        T1 = B ben mood=bens
        Me ben = B ben mail=ben@ mood=bens
        same Me ann

        signs-in ann T1
        T1 = P1 ann interests=chess mood=back
        Me ann = P1 < P2 ann interests=chess+go+jazz mail=ann@ mood=back plan=gold
        Me ben = B ben mail=ben@ mood=bens
    """,
    "external: a report joins by id at once": """
        post P1 T1 interests=chess
        report ann T1 mail=ann@
        P1 = P1 ann interests=chess mail=ann@
        P1 own = P1 interests=chess
        Me ann = ? ann mail=ann@
        T1 = P1 interests=chess

        confirms ann T1
        P1 = P1 ann interests=chess mail=ann@
        Me ann = P1 ann interests=chess mail=ann@
        T1 = P1 ann interests=chess
    """,
    "external: a write to Me with the tracker confirms as well": """
        post P1 T1 interests=chess
        report ann T1
        me ann T1 plan=gold
        Me ann = P1 ann interests=chess plan=gold
        T1 = P1 ann interests=chess
    """,
    "external: a report that waits for the user's confirmation": """
        dataset report_joins=confirmed
        post P1 T1 interests=chess
        report ann T1 mail=ann@
        P1 = P1 interests=chess
        Me ann = ? ann mail=ann@
        T1 = P1 interests=chess
        name U Me ann
        confirms ann T1
        P1 = P1 > U ann interests=chess mail=ann@
        Me ann = U < P1 ann interests=chess mail=ann@
        T1 = P1 > U ann interests=chess
    """,
    "external: a report for another user with T1": """
        post P1 T1 interests=chess
        report ann T1
        confirms ann T1
        keep P1
        report ben T1
        same P1
        Me ann = P1 ann interests=chess
        page T1 plan=bens
        same P1
        T1 = ? plan=bens
        name B Me ben
        Me ben = B ben
        name F T1
        F = B ben plan=bens
        F own = F plan=bens
    """,
    "external: a write by id after a report lands in the user's own part": """
        post P1 T1 interests=chess
        report ann T1
        patch P1 plan=gold
        P1 = P1 ann interests=chess plan=gold
        Me ann = ? ann plan=gold
        T1 = P1 interests=chess
    """,
    "external: a user who is deleted at the server": """
        post P1 T1 interests=chess
        post P2 T2 interests=go
        report ann T1 mail=ann@
        report ann T2
        confirms ann T1
        deletes ann
        Me ann = 404
        P1 = 404
        P2 = 404
    """,
    "a click in a newsletter, and later the registration and the verified address": """
        server mail=vera@ plan=crm
        find C mail=vera@
        post F1 T1
        page T1 mail=vera@ mood=click
        C = C mail=vera@ plan=crm
        C own = C mail=vera@ plan=crm
        F1 = F1 mood=click
        F1 all = F1 > C mail=vera@ mood=click plan=crm
        T1 = F1 mail=vera@ mood=click

        registers vera T1
        C = C mail=vera@ plan=crm
        F1 = F1 vera mail=vera@ mood=click
        Me vera = F1 vera mail=vera@ mood=click

        verifies vera
        F1 = F1 < C vera mail=vera@ mood=click plan=crm
        C = C > F1 vera mail=vera@ mood=click plan=crm
        Me vera = F1 < C vera mail=vera@ mood=click plan=crm
    """,
    "a click in a newsletter is the first event of a browser": """
        server mail=vera@ plan=crm
        find C mail=vera@
        page T1 mail=vera@ mood=click
        name F1 T1
        F1 = F1 mood=click
        F1 all = C mail=vera@ mood=click plan=crm
        patch F1 interests=chess
        F1 = F1 interests=chess mood=click
        C = C mail=vera@ plan=crm

        registers vera T1
        me vera card=L
        Me vera = F1 vera card=L interests=chess mail=vera@ mood=click
        C = C mail=vera@ plan=crm
    """,
    "a record with a tracker is hers by id, and not at Me": """
        post C T9 mail=vera@ plan=crm
        post F1 T1
        registers vera T1
        verifies vera
        C = C > F1 vera mail=vera@ plan=crm
        Me vera = F1 vera mail=vera@
        T9 = C mail=vera@ plan=crm
    """,
    "a record without a tracker is hers, before the verification or after it": """
        post C mail=vera@ plan=crm
        post F1 T1
        registers vera T1
        C = C mail=vera@ plan=crm
        Me vera = F1 vera mail=vera@
        verifies vera
        C = C > F1 vera mail=vera@ plan=crm
        Me vera = F1 < C vera mail=vera@ plan=crm
        post D mail=vera@ mood=form
        D = D > F1 vera mail=vera@ mood=form plan=crm
        Me vera = F1 < C D vera mail=vera@ mood=form plan=crm
    """,
    "an address that nobody verified joins nobody whom a server knows, in any view": """
        server mail=vera@ plan=crm
        find C mail=vera@
        post F1 T1
        registers vera T1
        F1 all = F1 vera mail=vera@
        C all = C mail=vera@ plan=crm
        server mail=vera@ mood=shop
        C all = C mail=vera@ mood=shop plan=crm
        page T1 mail=vera@ mood=home
        F1 all = F1 vera mail=vera@ mood=home
        C all = C mail=vera@ mood=shop plan=crm
        verifies vera
        C = C > F1 vera mail=vera@ mood=shop plan=crm
        C all = C > F1 vera mail=vera@ mood=shop plan=crm
    """,
    "the same, where she registers first": """
        post F1 T1
        registers vera T1
        server mail=vera@ plan=crm
        find C plan=crm
        F1 all = F1 vera mail=vera@
        C all = C mail=vera@ plan=crm
        verifies vera
        C = C > F1 vera mail=vera@ plan=crm
        C all = C > F1 vera mail=vera@ plan=crm
    """,
    "an address that only pages named brings their browsers along": """
        page T1 mail=vera@ mood=click
        name F1 T1
        post F2 T2
        registers vera T2
        F2 all = F2 > F1 vera mail=vera@ mood=click
        F2 = F2 vera mail=vera@
    """,
    "a record that names her user id is hers": """
        post F1 T1
        registers vera T1
        post C T9 user=vera plan=crm
        Me vera = F1 < C vera mail=vera@ plan=crm
        C = C > F1 vera mail=vera@ plan=crm
    """,
    "a shop's back end writes by cookie": """
        post F1 T1
        patch F1 plan=before
        T1 = F1 plan=before
        registers ann T1
        patch F1 mood=after
        F1 = F1 ann mail=ann@ mood=after plan=before
        T1 = F1 ann plan=before
        Me ann = F1 ann mail=ann@ mood=after plan=before
    """,
    "an application that signs people in itself, without the tracker": """
        post F1 T1 plan=before
        link ann F1
        F1 = F1 ann plan=before
        Me ann = ? ann
        T1 = F1 plan=before
    """,
    "an application that signs people in itself, with the tracker": """
        post F1 T1 plan=before
        link ann T1
        F1 = F1 ann plan=before
        Me ann = F1 ann plan=before
        T1 = F1 ann plan=before
    """,
    "server events before the registration and the verification": """
        server mail=ann@ plan=first
        find C mail=ann@
        server mail=ann@ card=L-1 mood=second
        C = C card=L-1 mail=ann@ mood=second plan=first
        server card=L-1 interests=till
        C = C card=L-1 interests=till mail=ann@ mood=second plan=first
        list card=L-1 = C

        post F1 T1
        registers ann T1
        Me ann = F1 ann mail=ann@
        C = C card=L-1 interests=till mail=ann@ mood=second plan=first
        verifies ann
        Me ann = F1 < ? C ann card=L-1 mail=ann@ mood=second plan=first
        F1 = F1 < C ann card=L-1 interests=till mail=ann@ mood=second plan=first
        list card=L-1 = F1
    """,
    "she changes to another address, and somebody else proves hers": """
        server mail=ann@ plan=hers
        find C mail=ann@
        report ann mail!=ann@
        Me ann = C ann mail=ann@ plan=hers
        claims ann mail!=new@
        Me ann = C ann mail=new@ plan=hers
        server mail=ann@ mood=between
        report olga mail!=ann@
        server mail=ann@ plan=olgas
        Me olga = ? olga mail=ann@ mood=between plan=olgas
        Me ann = C ann mail=new@ plan=hers
    """,
    "she gives up her number": """
        report ann phone!=7
        server phone=7 plan=hers
        Me ann = ? ann phone=7 plan=hers
        claims ann phone=-
        server phone=7 plan=later
        Me ann = ? ann phone= plan=hers
        list plan=later = ?
    """,
    "a number is verified by its flag alone, and changes hands twice": """
        report ann phone!=7
        report olga phone=7
        claims olga phone!=?
        server phone=7 plan=olgas
        Me olga = ? olga phone=7 plan=olgas
        Me ann = ? ann phone=7
        claims ann phone!=7
        server phone=7 plan=anns
        Me ann = ? ann phone=7 plan=anns
        Me olga = ? olga phone=7 plan=olgas
    """,
    "an import after the registration": """
        post F1 T1
        registers ann T1
        verifies ann
        server mail=ann@ plan=event
        Me ann = F1 ann mail=ann@ plan=event
        post C T9 mail=ann@ mood=typed
        F1 = F1 < C ann mail=ann@ mood=typed plan=event
        C = C > F1 ann mail=ann@ mood=typed plan=event
        Me ann = F1 ann mail=ann@ plan=event
        T9 = C mail=ann@ mood=typed
    """,
    "a shared tablet: one part for each person": """
        post F1 T1
        registers ann T1
        page T1 plan=anns
        registers ben T1
        page T1 plan=bens
        signs-in ann T1
        page T1 mood=anns
        Me ann = F1 ann mail=ann@ mood=anns plan=anns
        Me ben = ? ben mail=ben@ plan=bens
        T1 = F1 ann mood=anns plan=anns
    """,
    "a shared tablet that is detached at the sign-out": """
        config detach_on_sign_out
        post F1 T1
        page T1 a1 plan=anns
        registers ann T1
        keep Me ann
        signs-out ann T1
        page a1 mood=next
        page T2 a1 mood=next
        T2 = ? mood=next
        Me ann = F1 ann mail=ann@ plan=anns
        same Me ann
    """,
    "a browser that its user signed out on still speaks for the user": """
        post F1 T1
        registers ann T1
        signs-out ann T1
        page T1 mood=later
        Me ann = F1 ann mail=ann@ mood=later
        T1 = F1 ann mood=later
    """,
    "a page without a tracker is believed, and never at Me": """
        post F1 T1
        registers ann T1
        page T1 a1
        keep Me ann
        page a1 mood=alone
        F1 all = F1 ann mail=ann@ mood=alone
        F1 = F1 ann mail=ann@
        same Me ann
    """,
    "Ann's browser names Ben": """
        server mail=ben@ plan=bens
        find B mail=ben@
        post F1 T1
        registers ann T1
        page T1 mail=ben@ mood=hers
        F1 = F1 ann mail=ann@ mood=hers
        Me ann = F1 ann mail=ann@ mood=hers
        T1 = F1 ann mail=ben@ mood=hers
        B = B mail=ben@ plan=bens
        B all = B mail=ben@ plan=bens
        F1 all = F1 ann mail=ann@ mood=hers
    """,
    "she takes back what she wrote, and says again what her browser had said": """
        post P1 T1 plan=c interests=x
        registers ann T1
        patch P1 plan=a interests=y
        patch P1 plan=c interests=x
        P1 = P1 ann interests=x mail=ann@ plan=c
        me ann plan=-
        me ann plan=c
        Me ann = P1 ann interests=x mail=ann@ plan=c
    """,
    "nobody signs in: two people type their addresses on one tablet": """
        page T1 mail=a@ plan=one
        name F1 T1
        page T1 mail=b@ mood=two
        T1 = F1 mail=b@ mood=two plan=one
        F1 = F1 plan=one
        F1 all = F1 mail=a@ plan=one

        registers ann T1
        name F2 Me ann
        Me ann = F2 < F1 ann mail=ann@ mood=two plan=one
        T1 = F1 > F2 ann mail=b@ mood=two plan=one
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_story_reads_as_written(stage: Stage, story: str) -> None:
    await stage.play(story)
    await assert_reconciled(stage.services.database)
