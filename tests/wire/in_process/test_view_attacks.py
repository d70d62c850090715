"""What has to fail, over the wires (docs/concepts/trust.md): each attack, and the honest use that works.

Vera is a customer with a record, an account and a browser; Mal attacks. `support/view_stage.py` explains how
a story is written.
"""

from __future__ import annotations

import uuid
from typing import NamedTuple

import pytest

from support.view_stage import Stage

#: Vera's record V, her browser W with the tracker TV, and her account, whose address is verified.
VERA = """
    server mail=vera@ plan=secret
    find V mail=vera@
    post W TV
    page TV hv mood=hers
    registers vera TV
    verifies vera
    Me vera = W < V vera mail=vera@ mood=hers plan=secret
    V = V > W vera mail=vera@ mood=hers plan=secret
    TV = W vera mood=hers
    keep V
    keep Me vera
    keep TV
"""
UNMOVED = """
    same V
    same Me vera
    same TV
"""


class Row(NamedTuple):
    """A row of the table of attacks: what must fail, and its honest twin."""

    attack: str
    honest: str


ROWS: dict[str, Row] = {
    "a page names her address, and the shop reads by id, by tracker, by a write and by a filter": Row(
        f"""{VERA}
        post P TM
        page TM mail=vera@
        P = P
        P own = P
        P proven = P
        write P = P
        TM = P mail=vera@
        write TM = P mail=vera@
        list mail=vera@ = W
        list plan=secret = W
        {UNMOVED}
        """,
        f"""{VERA}
        post P TM
        patch P mail=vera@
        P = P > W vera mail=vera@ mood=hers plan=secret
        list mail=vera@ = W
        """,
    ),
    "a page names the address of a record that nobody has an account for": Row(
        """
        server mail=vera@ plan=secret
        find V mail=vera@
        keep V
        post P TM
        page TM mail=vera@
        P = P
        write P = P
        TM = P mail=vera@
        list mail=vera@ = V
        same V
        """,
        """
        server mail=vera@ plan=secret
        find V mail=vera@
        post P TM
        page TM mail=vera@
        P all = P > V mail=vera@ plan=secret
        """,
    ),
    "then he registers and signs in with that tracker": Row(
        f"""{VERA}
        post P TM
        page TM mail=vera@ interests=his
        registers mal TM
        Me mal = P mal interests=his mail=mal@
        {UNMOVED}
        signs-in mal TM
        Me mal = P mal interests=his mail=mal@
        TM = P mal interests=his mail=vera@
        {UNMOVED}
        """,
        f"""{VERA}
        post P TM
        page TM mail=vera@ interests=click
        signs-in vera TM
        Me vera = W < P V vera interests=click mail=vera@ mood=hers plan=secret
        """,
    ),
    "he does so before she has an account": Row(
        """
        server mail=vera@ plan=secret
        find V mail=vera@
        keep V
        post P TM
        page TM mail=vera@
        registers mal TM
        Me mal = P mal mail=mal@
        same V
        registers vera
        verifies vera
        Me vera = ? < V vera mail=vera@ plan=secret
        Me mal = P mal mail=mal@
        """,
        """
        server mail=vera@ plan=secret
        find V mail=vera@
        post P TM
        page TM mail=vera@ mood=click
        registers vera TM
        verifies vera
        Me vera = P < V vera mail=vera@ mood=click plan=secret
        """,
    ),
    "the first event of his browser names her address": Row(
        f"""{VERA}
        page TM mail=vera@ interests=his
        name P TM
        P = P interests=his
        write P = P interests=his
        TM = P interests=his mail=vera@
        {UNMOVED}
        patch P card=typed
        P = P card=typed interests=his
        {UNMOVED}
        registers mal TM
        Me mal = P mal card=typed interests=his mail=mal@
        me mal plan=his
        Me mal = P mal card=typed interests=his mail=mal@ plan=his
        patch P phone=7
        Me mal = P mal card=typed interests=his mail=mal@ phone=7 plan=his
        {UNMOVED}
        """,
        f"""{VERA}
        page TM mail=vera@ interests=click
        name P TM
        patch P card=typed
        signs-in vera TM
        Me vera = W < P V vera card=typed interests=click mail=vera@ mood=hers plan=secret
        """,
    ),
    "he links the browser whose first event named her address": Row(
        f"""{VERA}
        page TM mail=vera@ interests=his
        name P TM
        report mal
        link mal P TM
        Me mal = ? < P mal interests=his
        {UNMOVED}
        """,
        f"""{VERA}
        page TM mail=vera@ interests=click
        name P TM
        link vera P TM
        Me vera = W < P V vera interests=click mail=vera@ mood=hers plan=secret
        """,
    ),
    "she follows a link with his tracker to the embedded provider": Row(
        f"""{VERA}
        post P TM
        follows-link vera TM
        TM = P
        page TM interests=his
        TM = P interests=his
        P = P interests=his
        {UNMOVED}
        """,
        f"""{VERA}
        post P TM interests=hers
        signs-in vera TM
        TM = P > W vera interests=hers
        Me vera = W < P V vera interests=hers mail=vera@ mood=hers plan=secret
        """,
    ),
    "she follows a link with his tracker to an external provider": Row(
        f"""{VERA}
        post P TM
        report vera TM phone=7
        TM = P
        write TM = P
        page TM interests=his
        patch P card=later
        TM = P interests=his
        Me vera = W < V vera card=later mail=vera@ mood=hers phone=7 plan=secret
        """,
        f"""{VERA}
        post P TM interests=hers
        report vera TM
        confirms vera TM
        TM = P > W vera interests=hers
        Me vera = W < P V vera interests=hers mail=vera@ mood=hers plan=secret
        """,
    ),
    "she follows that link where a report waits for her confirmation": Row(
        f"""dataset report_joins=confirmed
        {VERA}
        post P TM
        report vera TM
        P = P
        page TM interests=his
        TM = P interests=his
        {UNMOVED}
        """,
        f"""dataset report_joins=confirmed
        {VERA}
        post P TM interests=hers
        report vera TM
        {UNMOVED}
        confirms vera TM
        Me vera = W < P V vera interests=hers mail=vera@ mood=hers plan=secret
        """,
    ),
    "she follows a link with the tracker of a browser that he owns, to an external provider": Row(
        f"""{VERA}
        post P TM
        registers mal TM
        report vera TM
        TM = ?
        page TM interests=his
        TM = ? interests=his
        same Me vera
        same TV
        Me mal = P mal mail=mal@
        """,
        f"""{VERA}
        post P TM
        registers mal TM
        report vera TM
        confirms vera TM
        TM = W vera
        Me mal = P mal mail=mal@
        """,
    ),
    "the till says her card and his verified address": Row(
        f"""{VERA}
        server mail=vera@ card=L interests=till
        keep Me vera
        registers mal
        verifies mal
        server mail=mal@ card=L interests=his
        Me mal = ? mal card=L interests=his mail=mal@
        same Me vera
        server mail=vera@ phone=7
        Me vera = W < V vera card=L interests=till mail=vera@ mood=hers phone=7 plan=secret
        """,
        f"""{VERA}
        server mail=vera@ card=L interests=till
        Me vera = W < V vera card=L interests=till mail=vera@ mood=hers plan=secret
        """,
    ),
    "his address stands on her record as another attribute": Row(
        """
        server mail=vera@ card=mal@ mood=mal@ plan=secret
        find V mail=vera@
        keep V
        post P TM
        registers mal TM
        verifies mal
        Me mal = P mal mail=mal@
        same V
        """,
        """
        server mail=mal@ plan=his
        find V mail=mal@
        post P TM
        registers mal TM
        verifies mal
        Me mal = P < V mal mail=mal@ plan=his
        """,
    ),
    "he types her address into a form that the back end writes": Row(
        f"""{VERA}
        post P TM
        patch P mail=vera@
        P own = P mail=vera@
        TM = P mail=vera@
        server mail=vera@ interests=later
        P own = P mail=vera@
        TM = P mail=vera@
        Me vera = W < V vera interests=later mail=vera@ mood=hers plan=secret
        registers mal TM
        Me mal = P mal mail=mal@
        Me vera = W < V vera interests=later mail=vera@ mood=hers plan=secret
        """,
        f"""{VERA}
        patch W interests=form
        Me vera = W < V vera interests=form mail=vera@ mood=hers plan=secret
        TV = W vera mood=hers
        """,
    ),
    "he types her card into a form that the back end writes": Row(
        f"""{VERA}
        server mail=vera@ card=L
        keep Me vera
        post P TM
        patch P card=L
        P own = P card=L
        TM = P card=L
        server card=L interests=later
        TM = P card=L
        registers mal TM
        Me mal = P mal card=L mail=mal@
        same Me vera
        """,
        f"""{VERA}
        server mail=vera@ card=L
        server card=L interests=later
        W = W < V vera card=L interests=later mail=vera@ mood=hers plan=secret
        """,
    ),
    "he types her address into the POST that begins his visit, before she verifies": Row(
        """
        server mail=vera@ plan=secret
        find V mail=vera@
        post P TM mail=vera@ mood=typed
        registers vera
        verifies vera
        P own = P mail=vera@ mood=typed
        TM = P mail=vera@ mood=typed
        Me vera = ? < V vera mail=vera@ plan=secret
        registers mal TM
        Me mal = P mal mail=mal@ mood=typed
        Me vera = ? < V vera mail=vera@ plan=secret
        """,
        """
        post P TV mail=vera@ mood=typed
        registers vera TV
        Me vera = P vera mail=vera@ mood=typed
        """,
    ),
    "his browser comes with her anonymous id": Row(
        f"""{VERA}
        post P TM
        page TM hv mail=mal@ interests=his
        TM = P interests=his mail=mal@
        P = P interests=his
        {UNMOVED}
        page TV interests=later
        TV = W vera interests=later mood=hers
        """,
        f"""{VERA}
        page TV hv interests=later
        TV = W vera interests=later mood=hers
        Me vera = W < V vera interests=later mail=vera@ mood=hers plan=secret
        """,
    ),
    "his page sends her anonymous id and his address": Row(
        f"""{VERA}
        registers mal
        verifies mal
        page hv mail=mal@ interests=his
        Me mal = ? mal mail=mal@
        {UNMOVED}
        page TV interests=later
        TV = W vera interests=later mood=hers
        """,
        """
        post W TV
        registers vera TV
        page TV hv mood=hers
        page hv interests=alone
        W all = W vera interests=alone mail=vera@ mood=hers
        Me vera = W vera mail=vera@ mood=hers
        """,
    ),
    "his page sends her address and his number": Row(
        f"""{VERA}
        page TM mail=vera@ phone=666 number=x
        {UNMOVED}
        server mail=vera@ number=c-77 phone=7
        Me vera = W < V vera mail=vera@ mood=hers number=c-77 phone=7 plan=secret
        """,
        f"""{VERA}
        server mail=vera@ number=c-77
        Me vera = W < V vera mail=vera@ mood=hers number=c-77 plan=secret
        """,
    ),
    "his page sends her number and his address": Row(
        f"""{VERA}
        server mail=vera@ number=c-77
        keep V
        keep Me vera
        registers mal
        verifies mal
        page TM number=c-77 mail=mal@
        {UNMOVED}
        Me mal = ? mal mail=mal@
        """,
        f"""{VERA}
        server mail=vera@ number=c-77
        server number=c-77 interests=till
        W = W < V vera interests=till mail=vera@ mood=hers number=c-77 plan=secret
        """,
    ),
    "his page sends her address first, with a made-up number": Row(
        """
        page TM mail=vera@ number=x mood=his
        server mail=vera@ number=c-77 plan=import
        find V mail=vera@
        V = V mail=vera@ number=c-77 plan=import
        registers vera
        verifies vera
        Me vera = ? < V vera mail=vera@ number=c-77 plan=import
        TM = ? mail=vera@ mood=his number=x
        """,
        """
        page TM mail=vera@ mood=click
        name P TM
        server mail=vera@ plan=import
        find V mail=vera@
        registers vera TM
        verifies vera
        Me vera = P < V vera mail=vera@ mood=click plan=import
        """,
    ),
    "his page sends her address with an old time": Row(
        """
        page TM mail=vera@ number=x at=1000000000000
        server mail=vera@ number=c-77 plan=import
        find V mail=vera@
        keep V
        page TX mail=vera@ number=y at=1000000000000
        same V
        registers vera
        verifies vera
        Me vera = ? < V vera mail=vera@ number=c-77 plan=import
        """,
        """
        server mail=vera@ plan=import
        find V mail=vera@
        server mail=vera@ number=c-77
        V = V mail=vera@ number=c-77 plan=import
        """,
    ),
    "he registers with her address before her record is known, and verifies nothing": Row(
        """
        post P TM
        registers vera TM
        server mail=vera@ plan=secret
        find V plan=secret
        Me vera = P vera mail=vera@
        V = V mail=vera@ plan=secret
        """,
        """
        post P TM
        registers vera TM
        server mail=vera@ plan=secret
        find V plan=secret
        verifies vera
        Me vera = P < V vera mail=vera@ plan=secret
        """,
    ),
    "he plants an address that her browser will name": Row(
        f"""{VERA}
        page TM mail=x@
        page TV mail=x@ interests=hers
        Me vera = W < V vera interests=hers mail=vera@ mood=hers plan=secret
        TV = W vera interests=hers mail=x@ mood=hers
        """,
        f"""{VERA}
        page TM mail=x@ interests=click
        page TV mail=x@
        {UNMOVED[: UNMOVED.index("same TV")]}
        TV = W vera mail=x@ mood=hers
        """,
    ),
    "he has verified an address that her browser names": Row(
        f"""{VERA}
        registers mal
        verifies mal
        page TV mail=mal@ interests=hers
        Me vera = W < V vera interests=hers mail=vera@ mood=hers plan=secret
        Me mal = ? mal mail=mal@
        TV = W vera interests=hers mail=mal@ mood=hers
        """,
        f"""{VERA}
        page TV mail=vera@ interests=hers
        Me vera = W < V vera interests=hers mail=vera@ mood=hers plan=secret
        """,
    ),
    "his page joins two people by naming both": Row(
        f"""{VERA}
        server mail=ben@ plan=bens
        find B mail=ben@
        keep B
        page TM mail=vera@ card=9
        page TM mail=ben@ card=9
        {UNMOVED}
        same B
        list card=9 =
        """,
        """
        server mail=a@ plan=one
        find A mail=a@
        server mail=b@ mood=two
        find B mail=b@
        server mail=b@ card=9
        server mail=a@ card=9
        B = B < A card=9 mail=a@ mood=two plan=one
        """,
    ),
    "he proves an address that was hers": Row(
        """
        server mail=v@ plan=secret
        find V mail=v@
        report vera mail!=v@
        Me vera = V vera mail=v@ plan=secret
        claims vera mail!=n@
        report mal mail!=v@
        Me mal = ? mal mail=v@
        Me vera = V vera mail=n@ plan=secret
        """,
        """
        report vera mail!=v@
        claims vera mail!=n@
        report mal mail!=v@
        server mail=v@ plan=his
        Me mal = ? mal mail=v@ plan=his
        Me vera = ? vera mail=n@
        """,
    ),
    "he names her profile id in a form that the back end passes to link": Row(
        """
        post W TV plan=hers
        keep TV
        report mal
        link mal W
        same TV
        Me mal = ? mal
        post P TM mood=his
        link mal W TM
        same TV
        Me mal = ? < P mal mood=his
        """,
        """
        post W TV plan=hers
        link vera W TV
        TV = W vera plan=hers
        Me vera = W vera plan=hers
        """,
    ),
    "he types her card and her address at his Me": Row(
        f"""{VERA}
        server mail=vera@ card=L
        keep Me vera
        registers mal
        me mal card=L
        Me mal = ? mal card=L mail=mal@
        server card=L interests=later
        Me mal = ? mal card=L mail=mal@
        same Me vera
        """,
        f"""{VERA}
        me vera interests=chess
        Me vera = W < V vera interests=chess mail=vera@ mood=hers plan=secret
        """,
    ),
    "he erases what is his, after a page of his named her address": Row(
        f"""{VERA}
        post P TM
        page TM mail=vera@ interests=his
        registers mal TM
        erases mal
        P = 404
        {UNMOVED}
        server mail=vera@ phone=7
        server mail=vera@ interests=import at=1000000000000
        Me vera = W < V vera interests=import mail=vera@ mood=hers phone=7 plan=secret
        """,
        f"""{VERA}
        post P TM
        page TM mail=vera@ interests=his
        erases vera
        V = 404
        W = 404
        Me vera = 404
        P = P interests=his
        TM = P interests=his mail=vera@
        """,
    ),
    "he erases what is his, after the first event of his browser named her address": Row(
        f"""{VERA}
        page TM mail=vera@ interests=his
        name P TM
        registers mal TM
        erases mal
        P = 404
        Me mal = 404
        {UNMOVED}
        """,
        f"""{VERA}
        page TM mail=vera@ interests=click
        name P TM
        signs-in vera TM
        erases vera
        P = 404
        V = 404
        list mail=vera@ =
        """,
    ),
    "he erases what is his, after the back end wrote her address and card for him": Row(
        f"""{VERA}
        server mail=vera@ card=L
        keep Me vera
        post P TM
        patch P mail=vera@ card=L
        registers mal TM
        erases mal
        P = 404
        same Me vera
        server mail=vera@ phone=7
        server card=L interests=till
        W = W < V vera card=L interests=till mail=vera@ mood=hers phone=7 plan=secret
        """,
        f"""{VERA}
        server mail=vera@ card=L
        erases vera
        Me vera = 404
        list card=L =
        """,
    ),
    "his account is closed, after she followed a link with his tracker": Row(
        f"""{VERA}
        post P TM
        registers mal TM
        report vera TM
        closes mal
        P = 404
        same Me vera
        same TV
        V = V > W vera mail=vera@ mood=hers plan=secret
        """,
        f"""{VERA}
        closes vera
        V = 404
        W = 404
        Me vera = 401
        """,
    ),
    "the shop deletes the visit that named her address": Row(
        f"""{VERA}
        post P TM
        page TM mail=vera@ interests=his
        delete P
        P = 404
        {UNMOVED}
        """,
        f"""{VERA}
        delete V
        V = 404
        W = W vera mail=vera@ mood=hers
        """,
    ),
    "his visit opts out, naming her address": Row(
        f"""{VERA}
        page TM mail=vera@ consent=out
        {UNMOVED}
        page TV interests=later
        TV = W vera interests=later mood=hers
        server mail=vera@ phone=7
        Me vera = W < V vera interests=later mail=vera@ mood=hers phone=7 plan=secret
        """,
        f"""{VERA}
        page TV consent=out
        page TV interests=later
        TV = W vera mood=hers
        page TV consent=in
        page TV interests=freed
        TV = W vera interests=freed mood=hers
        """,
    ),
    "his page opts out by her anonymous id": Row(
        f"""{VERA}
        page hv consent=out
        page TV hv interests=later
        TV = W vera interests=later mood=hers
        """,
        f"""{VERA}
        page TV hv consent=out
        page TV hv interests=later
        TV = W vera mood=hers
        """,
    ),
    "his page opts in by her anonymous id": Row(
        f"""{VERA}
        page TV hv consent=out
        page hv consent=in
        page TM hv mail=vera@ consent=in
        page TV hv interests=later
        TV = W vera mood=hers
        """,
        f"""{VERA}
        page TV hv consent=out
        page TV hv consent=in
        page TV hv interests=later
        TV = W vera interests=later mood=hers
        """,
    ),
}


@pytest.mark.parametrize("story", [row.attack for row in ROWS.values()], ids=ROWS.keys())
async def test_an_attack_fails(stage: Stage, story: str) -> None:
    await stage.play(story)


@pytest.mark.parametrize("story", [row.honest for row in ROWS.values()], ids=ROWS.keys())
async def test_its_honest_twin_works(stage: Stage, story: str) -> None:
    await stage.play(story)


async def test_a_hundred_identities_for_her_address_keep_no_proven_one_out(stage: Stage) -> None:
    await stage.play(VERA)
    for number in range(110):
        await stage.play(f"page T{number} mail=vera@ card=made-up-{number}")
    await stage.play(
        f"""
        {UNMOVED}
        server mail=vera@ card=L phone=7
        Me vera = W < V vera card=L mail=vera@ mood=hers phone=7 plan=secret
        list card=L = W
        """
    )


async def test_a_choice_through_his_visit_is_not_hers(stage: Stage) -> None:
    """The shop writes the consent of the visit that named her address."""
    offers = {"category_name": "Offers", "purpose": "personalization"}
    category = (await stage.cds("POST", "/consent-categories", json=offers)).json()["category_identifier"]
    await stage.play(f"{VERA}\npost P TM\npage TM mail=vera@")

    async def choose(name: str, *, consented: bool) -> None:
        choice = [{"category_identifier": category, "is_consented": consented}]
        path = f"/profiles/{stage.profile_id(name)}/consents"
        assert (await stage.cds("PUT", path, json=choice)).status_code == 200

    async def chosen(name: str) -> list[bool]:
        answer = await stage.cds("GET", f"/profiles/{stage.profile_id(name)}/consents")
        return [choice["is_consented"] for choice in answer.json()]

    await choose("P", consented=False)
    assert (await chosen("P"), await chosen("V"), await chosen("W")) == ([False], [], [])
    await choose("W", consented=True)
    assert (await chosen("P"), await chosen("V"), await chosen("W")) == ([False], [True], [True])


async def test_who_registers_her_address_does_not_sign_in_as_her(stage: Stage) -> None:
    """Her address is his user name until the accounts of unverified addresses are built."""
    await stage.play("server mail=vera@ plan=secret\nfind V plan=secret\npost P TM\nregisters vera TM")
    me = await stage.cds("GET", "/profiles/Me", token=stage.token("vera"))
    assert "plan" not in me.json().get("traits", {})
    hers = await stage.cds("GET", f"/profiles/{stage.profile_id('V')}", token=stage.token("vera"))
    assert hers.status_code == 404


async def test_her_idempotency_key_answers_him_nothing(stage: Stage) -> None:
    await stage.play(f"{VERA}\npost P TM\nregisters mal TM")
    key = {"Idempotency-Key": str(uuid.uuid4())}

    async def write(user: str, interest: str) -> tuple[int, str]:
        patch = {"traits": {"interests": [interest]}}
        answer = await stage.cds("PATCH", "/profiles/Me", json=patch, headers=key, token=stage.token(user))
        return answer.status_code, answer.json()["profile_id"]

    async def begin(tracker: str) -> tuple[int, str]:
        answer = await stage.cds("POST", "/profiles", json={}, headers={**key, **stage.cookie(tracker)})
        return answer.status_code, answer.json()["profile_id"]

    assert await write("vera", "chess") == (200, stage.profile_id("W"))
    assert await write("mal", "chess") == (200, stage.profile_id("P"))
    assert await begin("TV") == (200, stage.profile_id("W"))
    assert await begin("TM") == (200, stage.profile_id("P"))
