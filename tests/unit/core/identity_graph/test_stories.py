"""The worked examples of fragments, joins and views, as tables that people read.

A story is a list of steps and what is read after them. Each line of `reads` asks and answers:

    P1          P1 < P2   ann   interests=chess+go plan=gold

The question is a profile (`P1`: by id; `P1 all`, `P1 own`: in that view), a user's `Me` (`Me ann`) or a
tracker (`T1`). The answer is the profile id, the profiles that were merged into it, the user, and the values.
A profile that no step named is shown as the user whose own fragment it is, or as `?`.

Source: docs/concepts/trust.md, docs/concepts/merging.md.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

import pytest

from oneself.core.identity_graph.views import ViewedProfile
from unit.core.identity_graph.steps import (
    NAMESPACES,
    Confirm,
    Create,
    GiveUp,
    Link,
    Match,
    Me,
    Merge,
    Page,
    Report,
    Server,
    Settings,
    SignIn,
    SignOut,
    Split,
    Step,
    Verify,
)
from unit.core.identity_graph.world import World, values_of


class Named(NamedTuple):
    """A step, and a name for the fragment that its words went to."""

    name: str
    step: Step


class Story(NamedTuple):
    """Steps, and what is read after them."""

    title: str
    steps: tuple[Step | Named, ...]
    reads: str
    settings: Settings = Settings()


def post(name: str, tracker: str | None = None, user: str | None = None, **said: Any) -> Create:
    """POST /profiles; without a tracker: ?tracker=false."""
    return Create(name=name, tracker=tracker, user=user, **_said(said))


def write_by_id(profile: str, at: int | None = None, **said: Any) -> Server:
    """PATCH /profiles/{id} by an application."""
    return Server(profile=profile, at=at, **_said(said))


def server(tracker: str | None = None, user: str | None = None, at: int | None = None, **said: Any) -> Server:
    """A server's event."""
    return Server(tracker=tracker, user=user, at=at, **_said(said))


def page(
    tracker: str | None = None, anonymous: str | None = None, at: int | None = None, **said: Any
) -> Page:
    """A page's event."""
    return Page(tracker=tracker, anonymous_id=anonymous, at=at, **_said(said))


def me(user: str, **said: Any) -> Me:
    """PATCH /profiles/Me."""
    return Me(user=user, **_said(said))


def sign_in(user: str, tracker: str | None = None, **claims: str) -> SignIn:
    """A sign-in, with claims that nobody has verified."""
    return SignIn(user=user, tracker=tracker, claims=claims)


def report(user: str, tracker: str | None = None, **claims: str) -> Report:
    """An identity server's report."""
    return Report(user=user, tracker=tracker, claims=claims)


def verify(user: str, mail: str) -> Verify:
    """The user verifies an address."""
    return Verify(user=user, namespace="mail", value=mail)


def merge(one: str, other: str) -> Merge:
    """A person merges two profiles."""
    return Merge(one=one, other=other)


def _said(said: dict[str, Any]) -> dict[str, Any]:
    """Identifiers apart from other values. Interests are written as `chess+go`."""
    ids = {name: value for name, value in said.items() if name in NAMESPACES}
    values = {
        name: value.split("+") if name == "interests" and value is not None else value
        for name, value in said.items()
        if name not in NAMESPACES
    }
    return {"ids": ids, "values": values}


ALL_MERGES = Settings(asserted_merges="all")
CARD_PROVES = Settings(proves_identity=("card",))
#: Vera, a customer: what a server said of her, her account, her browser.
VERA = (
    Named("V", server(mail="v@", plan="secret")),
    sign_in("vera", "TV"),
    verify("vera", "v@"),
)
#: Ann, who has verified her address.
ANN = (sign_in("ann", mail="a@"), verify("ann", "a@"))

VALUES = [
    Story(
        "the absorbed profile's value replaces the survivor's",
        (post("A", card="A", plan="gold"), post("B", plan="trial"), merge("A", "B")),
        "A    A < B   -   plan=trial card=A",
    ),
    Story(
        "a later write is newer than anything merged in",
        (
            post("A", card="A", plan="gold"),
            post("B", plan="trial"),
            merge("A", "B"),
            write_by_id("A", plan="c"),
        ),
        "B    A < B   -   plan=c card=A",
    ),
    Story(
        "values merge in the order of the joins, not of the writes",
        (
            post("C", plan="silver"),
            post("A", card="A", plan="gold"),
            post("B", plan="trial"),
            merge("A", "B"),
            merge("A", "C"),
        ),
        "A    A < B C   -   plan=silver card=A",
    ),
    Story(
        "a write to what is absorbed later",
        (
            post("B", card="B", plan="b"),
            post("C", plan="c"),
            merge("B", "C"),
            write_by_id("B", plan="b2"),
            post("A", user="ann"),
            merge("A", "B"),
        ),
        "A    A < B C   ann   plan=b2 card=B",
    ),
    Story(
        "lists are combined, the survivor's first",
        (post("A", card="A", interests="a+b"), post("B", interests="b+c"), merge("A", "B")),
        "A    A < B   -   interests=a+b+c card=A",
    ),
    Story(
        "a write replaces a combined list",
        (
            post("A", card="A", interests="a"),
            post("B", interests="b"),
            merge("A", "B"),
            write_by_id("B", interests="c"),
        ),
        "A    A < B   -   interests=c card=A",
    ),
    Story(
        "a removed value replaces nothing",
        (post("B", plan="b"), write_by_id("B", plan=None), post("A", card="A", plan="a"), merge("A", "B")),
        "A    A < B   -   plan=a card=A",
    ),
    Story(
        "a write by id after the sign-in is the user's own",
        (post("A", "T", plan="a"), sign_in("ann", "T"), write_by_id("A", plan="b")),
        """
        A         A   ann   plan=b
        Me ann    A   ann   plan=b
        T         A   ann   plan=a
        """,
    ),
    Story(
        "the provider owns a user's identity attributes",
        (post("A", "T", mail="k@", phone="Annie"), sign_in("ann", phone="Ann"), verify("ann", "k@")),
        "A    ann < A   ann   mail=k@ phone=Ann",
    ),
    Story(
        "what is less active is absorbed, and overwrites",
        (
            post("A", card="1", plan="A"),
            post("B", phone="9", plan="B"),
            write_by_id("B", phone="9"),
            write_by_id("A", phone="9"),
        ),
        "A    B < A   -   plan=A card=1 phone=9",
    ),
    Story(
        "a write that joins is stored, then unified",
        (server(mail="k@", plan="y"), post("B", card="1"), write_by_id("B", mail="k@", plan="z")),
        "B    B < ?   -   plan=y card=1 mail=k@",
    ),
    Story(
        "of two by time the later stays",
        (
            post("A", card="1"),
            write_by_id("A", mood="A", at=1),
            post("B"),
            write_by_id("B", mood="B", at=0),
            merge("A", "B"),
        ),
        "A    A < B   -   mood=A card=1",
    ),
    Story(
        "a value that is replaced parts nobody",
        (
            Named("F", server(mail="m@", card="F", plan="f")),
            post("G", mail="m@", plan="g"),
            write_by_id("G", plan="g4"),
            write_by_id("G", mail="n@"),
        ),
        "F    F < G   -   plan=g4 card=F mail=n@",
    ),
    Story(
        "where time decides, an asserted identity is newer in all alone",
        (post("A", "T", mail="a@"), page("T", mail="b@"), write_by_id("A", card="1")),
        """
        A        A   -   mail=a@ card=1
        A all    A   -   mail=b@ card=1
        """,
        Settings(identity_trust="timestamp"),
    ),
    Story(
        "a split gives each side what it wrote",
        (
            post("A", card="A", plan="gold"),
            post("B", plan="trial"),
            merge("A", "B"),
            write_by_id("A", plan="trial"),
            Split(profiles=("B",)),
        ),
        """
        A    A   -   plan=trial card=A
        B    B   -   plan=trial
        """,
    ),
    Story(
        "a rule that comes last joins as if it had come first",
        (
            post("A", card="A", plan="gold"),
            post("B", card="A", plan="trial"),
            write_by_id("A", card="B"),
            Match(namespace="card", is_active=True),
        ),
        "A    A < B   -   plan=trial card=B",
        Settings(active=()),
    ),
    Story(
        "a rule that ends parts nobody",
        (
            post("A", card="A", plan="gold"),
            post("B", card="A"),
            Match(namespace="card", is_active=False),
            post("C", card="A"),
        ),
        """
        A    A < B   -   plan=gold card=A
        C    C       -   card=A
        """,
    ),
]

HONEST = [
    # The embedded provider.
    Story(
        "Ann registers with the browser that she used before",
        (post("P1", "T1"), write_by_id("P1", interests="chess"), sign_in("ann", "T1", mail="a@")),
        """
        P1        P1   ann   interests=chess mail=a@
        Me ann    P1   ann   interests=chess mail=a@
        T1        P1   ann   interests=chess
        """,
    ),
    Story(
        "Ann signs in on a second device",
        (
            post("P1", "T1", interests="chess"),
            sign_in("ann", "T1"),
            post("P2", "T2", interests="go+jazz"),
            sign_in("ann", "T2"),
        ),
        """
        P1        P1 < P2   ann   interests=chess+go+jazz
        P2        P1 < P2   ann   interests=chess+go+jazz
        Me ann    P1 < P2   ann   interests=chess+go+jazz
        T2        P1 < P2   ann   interests=go+jazz
        """,
    ),
    Story(
        "the survivor of a wider view is that of the narrower one",
        (
            post("A", "TA", card="1"),
            post("B", "TB", card="2"),
            write_by_id("B", mail="k@"),
            write_by_id("A", mail="k@"),
            sign_in("ann", "TA"),
            sign_in("ann", "TB"),
        ),
        """
        Me ann    A < B   ann   card=2 mail=k@
        B         A < B   ann   card=2 mail=k@
        """,
    ),
    Story(
        "a page with her anonymous id and her tracker is hers; one with the anonymous id alone in all",
        (
            post("P1", "T1"),
            sign_in("ann", "T1"),
            page("T1", "a1", plan="with-tracker"),
            page(anonymous="a1", mood="alone"),
        ),
        """
        P1        P1   ann   plan=with-tracker
        P1 all    P1   ann   mood=alone plan=with-tracker
        Me ann    P1   ann   plan=with-tracker
        T1        P1   ann   plan=with-tracker
        """,
    ),
    Story(
        "Ben signs in on Ann's browser; Ann comes back",
        (
            post("P1", "T1", interests="chess"),
            sign_in("ann", "T1"),
            Named("P2", sign_in("ben", "T1")),
            page("T1", plan="ben's"),
            sign_in("ann", "T1"),
            page("T1", mood="ann's"),
        ),
        """
        T1        P1    ann   interests=chess mood=ann's
        Me ann    P1    ann   interests=chess mood=ann's
        Me ben    ben   ben   plan=ben's
        """,
    ),
    # An external identity server.
    Story(
        "a report joins by id at once, and shows nothing by tracker or at Me",
        (post("P1", "T1", interests="x"), report("ann", "T1", mail="a@")),
        """
        P1        P1    ann   interests=x mail=a@
        Me ann    ann   ann   mail=a@
        T1        P1    -     interests=x
        """,
    ),
    Story(
        "a request with the tracker and Ann's token confirms the report",
        (
            post("P1", "T1", interests="x"),
            report("ann", "T1", mail="a@"),
            Confirm(user="ann", tracker="T1"),
        ),
        """
        P1        P1   ann   interests=x mail=a@
        Me ann    P1   ann   interests=x mail=a@
        T1        P1   ann   interests=x
        """,
    ),
    Story(
        "a report that has to be confirmed joins nothing before",
        (post("P1", "T1", interests="x"), report("ann", "T1", mail="a@")),
        """
        P1        P1    -     interests=x
        Me ann    ann   ann   mail=a@
        """,
        Settings(report_joins="confirmed"),
    ),
    Story(
        "a report for another user begins a new fragment",
        (
            post("P1", "T1", interests="x"),
            report("ann", "T1"),
            Named("P2", report("ben", "T1")),
            page("T1", plan="ben's"),
        ),
        """
        P1    P1    ann   interests=x
        P2    ben   ben   plan=ben's
        T1    P2    -     plan=ben's
        """,
    ),
    Story(
        "a sign-in of another user ends the wait for the user of a report",
        (
            post("P1", "T1", interests="x"),
            report("ben", "T1"),
            Link(user="ann", tracker="T1"),
            Confirm(user="ben", tracker="T1"),
            page("T1", plan="ann's"),
        ),
        """
        P1        P1    ben   interests=x
        Me ben    ben   ben
        Me ann    ann   ann   plan=ann's
        T1        ann   ann   plan=ann's
        """,
    ),
    Story(
        "the next sign-in of the user of a report brings the reported fragment back",
        (
            post("P1", "T1", interests="x"),
            report("ben", "T1"),
            Link(user="ann", tracker="T1"),
            sign_in("ben", "T1"),
        ),
        """
        P1        P1    ben   interests=x
        Me ben    P1    ben   interests=x
        T1        P1    ben   interests=x
        """,
    ),
    Story(
        "a write by id after a report is the user's own",
        (post("P1", "T1"), report("ann", "T1"), write_by_id("P1", plan="gold")),
        """
        P1        P1    ann   plan=gold
        Me ann    ann   ann   plan=gold
        T1        P1    -
        """,
    ),
    # A proof counts from when it is given: for what is held then, by a rule that matches.
    Story(
        "a value that is replaced after its proof stays joined",
        (post("P1", "T1", mail="a@"), verify("ann", "a@"), write_by_id("P1", mail="b@")),
        """
        P1        P1    ann   mail=a@
        """,
    ),
    Story(
        "a value that was replaced before its proof joins nothing",
        (post("P1", "T1", mail="a@"), write_by_id("P1", mail="b@"), verify("ann", "a@")),
        """
        P1        P1    -     mail=b@
        Me ann    ann   ann   mail=a@
        """,
    ),
    Story(
        "a rule that ended before the proof joins nothing",
        (post("P1", "T1", mail="a@"), Match(namespace="mail", is_active=False), verify("ann", "a@")),
        """
        P1        P1    -     mail=a@
        Me ann    ann   ann   mail=a@
        """,
    ),
    Story(
        "who proves a record first owns it, by whatever identifier",
        (
            Named("S", server(mail="m@", card="c1")),
            server(user="ben", card="c1"),
            verify("ann", "m@"),
        ),
        """
        Me ben    S     ben   card=c1 mail=m@
        Me ann    ann   ann   mail=m@
        """,
        CARD_PROVES,
    ),
    # Honest uses.
    Story(
        "a click in a newsletter: one with the customer's record in all",
        (Named("C", server(mail="v@", plan="crm")), page("T1", mail="v@", mood="click")),
        """
        C        C   -   plan=crm mail=v@
        C all    C   -   mood=click plan=crm mail=v@
        """,
    ),
    Story(
        "then she registers: the record stays apart",
        (
            Named("C", server(mail="v@", plan="crm")),
            page("T1", mail="v@", mood="click"),
            sign_in("vera", "T1", mail="v@"),
        ),
        """
        Me vera    ?   vera   mood=click mail=v@
        C          C   -      plan=crm mail=v@
        C all      C   -      plan=crm mail=v@
        """,
    ),
    Story(
        "then she verifies her address: the record is hers",
        (
            Named("C", server(mail="v@", plan="crm")),
            page("T1", mail="v@", mood="click"),
            sign_in("vera", "T1", mail="v@"),
            verify("vera", "v@"),
        ),
        "Me vera    ? < C   vera   mood=click plan=crm mail=v@",
    ),
    Story(
        "a shop writes by cookie: the browser's before the sign-in, the user's after it",
        (
            post("P1", "T1"),
            write_by_id("P1", plan="before"),
            sign_in("ann", "T1"),
            write_by_id("P1", plan="after"),
        ),
        """
        P1    P1   ann   plan=after
        T1    P1   ann   plan=before
        """,
    ),
    Story(
        "an application signs people in itself: a link with the tracker owns",
        (post("P1", "T1", plan="x"), Link(user="ann", tracker="T1")),
        """
        Me ann    P1   ann   plan=x
        T1        P1   ann   plan=x
        """,
    ),
    Story(
        "a link without the tracker only reports",
        (post("P1", "T1", plan="x"), Link(user="ann", profile="P1")),
        """
        P1        P1    ann   plan=x
        Me ann    ann   ann
        T1        P1    -     plan=x
        """,
    ),
    Story(
        "of two people on one browser one has a user: the browser speaks for that one",
        (
            post("P1", "T1"),
            page("T1", mail="a@"),
            Named("P2", page("T1", mail="b@")),
            Link(user="ann", profile="P1"),
            page("T1", mail="c@", plan="later"),
        ),
        """
        P1    P1   ann   plan=later
        P2    P2   -
        """,
    ),
    Story(
        "server events before the registration: hers once she verifies; what names the card alone by id",
        (
            server(mail="a@"),
            server(mail="a@", card="L-1"),
            Named("L", server(card="L-1", plan="till")),
            *ANN,
        ),
        """
        L         ann < ?     ann   plan=till card=L-1 mail=a@
        Me ann    ann < ? ?   ann   card=L-1 mail=a@
        """,
    ),
    Story(
        "an address changes hands: what was said before stays hers",
        (
            server(mail="a@", plan="old"),
            *ANN,
            verify("ann", "n@"),
            server(mail="a@", mood="between"),
            sign_in("olga"),
            verify("olga", "a@"),
            server(mail="a@", interests="newer"),
        ),
        """
        Me ann     ann < ?    ann    plan=old mail=n@
        Me olga    olga < ?   olga   interests=newer mood=between mail=a@
        """,
    ),
    Story(
        "an import after the registration is hers at once",
        (*ANN, Named("C", server(mail="a@", plan="crm")), post("P", mail="a@", mood="form")),
        "Me ann    ann < P   ann   mood=form plan=crm mail=a@",
    ),
    Story(
        "a POST that gives out a tracker: one with her by id, not at Me",
        (*ANN, post("P", "TX", mail="a@", plan="crm")),
        """
        P         ann < P   ann   plan=crm mail=a@
        Me ann    ann       ann   mail=a@
        TX        P         -     plan=crm mail=a@
        """,
    ),
    Story(
        "a shared tablet that detaches begins anew after a sign-out",
        (
            page("T1", "a1", plan="before"),
            sign_in("ann", "T1"),
            SignOut(tracker="T1"),
            page("T1", "a1", mood="next"),
            page(anonymous="a1", interests="next"),
        ),
        """
        T1            ?   -     mood=next
        Me ann        ?   ann   plan=before
        Me ann all    ?   ann   plan=before
        """,
        Settings(detach_on_sign_out=True),
    ),
    Story(
        "a browser that its user signed out on still speaks for the user",
        (page("T1"), sign_in("ann", "T1"), SignOut(tracker="T1"), page("T1", mood="later")),
        "Me ann    ?   ann   mood=later",
    ),
    Story(
        "Ann's browser names Ben: her words, and Ben stays apart",
        (
            *ANN,
            Named("B", server(mail="ben@", interests="ben's")),
            page("T1"),
            sign_in("ann", "T1"),
            page("T1", mail="ben@", plan="hers"),
        ),
        """
        Me ann    ann < ?   ann   plan=hers mail=a@
        T1        ann < ?   ann   plan=hers mail=ben@
        B all     B         -     interests=ben's mail=ben@
        """,
    ),
    Story(
        "two people type their addresses on one tablet: two people, and whoever signs in owns both",
        (Named("F1", page("T1", mail="a@", plan="1")), Named("F2", page("T1", mail="b@", mood="2"))),
        """
        F1 all    F1   -   plan=1 mail=a@
        F2 all    F2   -   mood=2 mail=b@
        T1        F1   -   mood=2 plan=1 mail=b@
        """,
    ),
    Story(
        "whoever signs in with the tracker owns what it carried",
        (page("T1", mail="a@", plan="1"), page("T1", mail="b@", mood="2"), sign_in("ann", "T1")),
        "Me ann    ? < ?   ann   mood=2 plan=1",
    ),
    Story(
        "a POST that names a user is absorbed at once",
        (post("P1", "T1", user="ann", plan="x"), post("P2", user="ann", mood="y")),
        """
        P2        P1 < P2   ann   mood=y plan=x
        Me ann    P1 < P2   ann   mood=y plan=x
        T1        P1 < P2   ann   plan=x
        """,
    ),
]

#: Each attack, and after it the honest use that must work.
ATTACKS = [
    Story(
        "attack: a browser names Vera's address, and the shop reads by id and by tracker",
        (*VERA, post("P", "TM"), page("TM", mail="v@")),
        """
        P          P          -
        P own      P          -
        TM         P          -      mail=v@
        V          vera < V   vera   plan=secret mail=v@
        Me vera    vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "attack: then its user registers and signs in with it",
        (*VERA, page("TM", mail="v@"), sign_in("mal", "TM", mail="m@")),
        """
        Me mal     ?          mal    mail=m@
        Me vera    vera < V   vera   plan=secret mail=v@
        V all      vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "honest: Vera signs in with the browser that names her address",
        (*VERA, page("T2", mail="v@", mood="click"), sign_in("vera", "T2")),
        "Me vera    vera < ? V   vera   mood=click plan=secret mail=v@",
    ),
    Story(
        "attack: Vera follows a link to an external sign-in with his tracker",
        (*VERA, post("P", "TM"), report("vera", "TM", phone="7"), page("TM", plan="his")),
        """
        TM         P          -      plan=his
        Me vera    vera < V   vera   plan=secret mail=v@ phone=7
        """,
    ),
    Story(
        "attack: the till says her card and his verified address",
        (
            sign_in("vera"),
            verify("vera", "v@"),
            Named("V", server(card="L", mail="v@", plan="secret")),
            sign_in("mal"),
            verify("mal", "m@"),
            Named("S", server(card="L", mail="m@", mood="till")),
        ),
        """
        Me mal     mal    mal    mood=till card=L mail=m@
        Me vera    vera   vera   plan=secret card=L mail=v@
        """,
    ),
    Story(
        "honest: the till says her card and her verified address",
        (*ANN, Named("S", server(card="L", mail="a@", mood="till"))),
        "Me ann    ann   ann   mood=till card=L mail=a@",
    ),
    Story(
        "attack: his address stands on her record as another attribute",
        (
            sign_in("mal"),
            verify("mal", "m@"),
            Named("V", server(mail="v@", card="m@", plan="secret")),
        ),
        """
        Me mal    mal   mal   mail=m@
        V         V     -     plan=secret card=m@ mail=v@
        """,
    ),
    Story(
        "attack: he types her address into a form that the back end writes",
        (
            *VERA,
            post("P", "TM"),
            write_by_id("P", mail="v@"),
            server(mail="v@", interests="later"),
        ),
        """
        P own      P          -      mail=v@
        TM         P          -      mail=v@
        Me vera    vera < V   vera   interests=later plan=secret mail=v@
        """,
    ),
    Story(
        "attack: he types her address into the POST that begins his visit; she verifies after it",
        (post("P", "TM", mail="v@", mood="typed"), page("TM"), *VERA),
        """
        P own      P          -      mood=typed mail=v@
        TM         P          -      mood=typed mail=v@
        Me vera    vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "attack: the same, and he signs in with it",
        (*VERA, post("P", "TM", mail="v@", mood="typed"), sign_in("mal", "TM")),
        """
        Me mal     P          mal    mood=typed mail=v@
        TM         P          mal    mood=typed mail=v@
        Me vera    vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "honest: a POST without a tracker that names her verified address is hers",
        (*VERA, post("P", mail="v@", mood="form")),
        "Me vera    vera < P V   vera   mood=form plan=secret mail=v@",
    ),
    Story(
        "attack: his browser comes with her anonymous id",
        (
            page("TV", "hv", plan="hers"),
            page(anonymous="hv", mood="hers"),
            sign_in("vera", "TV"),
            page("TM", "hv", mail="m@"),
        ),
        """
        TM         ?   -      mail=m@
        TV         ?   vera   plan=hers
        Me vera    ?   vera   plan=hers
        """,
    ),
    Story(
        "attack: her anonymous id, without her tracker, names his address",
        (
            *VERA,
            sign_in("mal"),
            verify("mal", "m@"),
            page("TV", "hv", mood="hers"),
            page(anonymous="hv", mail="m@"),
        ),
        """
        Me vera    vera < V   vera   mood=hers plan=secret mail=v@
        Me mal     mal        mal    mail=m@
        TV         vera < V   vera   mood=hers
        """,
    ),
    Story(
        "attack: his browser says her address and his number",
        (*VERA, page("TM", mail="v@", phone="666")),
        """
        V        vera < V   vera   plan=secret mail=v@
        V all    vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "honest: a server says her address and her number",
        (*VERA, server(mail="v@", phone="7")),
        "Me vera    vera < V   vera   plan=secret mail=v@ phone=7",
    ),
    Story(
        "attack: he names her address first, with a made-up customer number",
        (
            page("TM", mail="v@", number="x"),
            Named("V", server(mail="v@", number="c-77", plan="import")),
            sign_in("vera", "TV"),
            verify("vera", "v@"),
        ),
        """
        Me vera    vera < V   vera   plan=import mail=v@ number=c-77
        TM         ?          -      mail=v@ number=x
        """,
        ALL_MERGES,
    ),
    Story(
        "attack: he names another number for her record, in a browser that the server writes to",
        (post("P", "T1"), page("T1", number="x"), write_by_id("P", number="c-77", at=0)),
        """
        P        P   -   number=c-77
        P all    P   -   number=c-77
        """,
    ),
    Story(
        "honest: a later word of a server replaces the number",
        (post("P", "T1", number="c-1"), write_by_id("P", number="c-2")),
        "P    P   -   number=c-2",
    ),
    Story(
        "attack: he registers her address, and verifies nothing",
        (Named("V", server(mail="v@", plan="secret")), sign_in("mal", "TM", mail="v@"), *VERA[1:]),
        """
        Me mal     mal        mal    mail=v@
        Me vera    vera < V   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "attack: he has verified an address that her browser names",
        (
            *VERA,
            sign_in("mal"),
            verify("mal", "m@"),
            page("TV", mail="m@", mood="hers"),
        ),
        """
        Me vera    vera < V   vera   mood=hers plan=secret mail=v@
        Me mal     mal        mal    mail=m@
        TV         vera < V   vera   mood=hers mail=m@
        """,
    ),
    Story(
        "attack: he plants an address that her browser will name",
        (*VERA, page("TM", mail="x@"), page("TV", mail="x@", mood="hers")),
        """
        Me vera    vera < V   vera   mood=hers plan=secret mail=v@
        TV         vera < V   vera   mood=hers mail=x@
        """,
    ),
    Story(
        "attack: he joins two people by naming both",
        (
            page("TM", mail="a@", card="9"),
            page("TV", mail="a@", interests="1"),
            page("TV", card="9", mood="2"),
            sign_in("ann", "TV"),
        ),
        "Me ann    ? < ?   ann   interests=1 mood=2",
    ),
    Story(
        "attack: he proves an address that was hers",
        (
            server(mail="v@", plan="secret"),
            sign_in("vera"),
            verify("vera", "v@"),
            GiveUp(user="vera", namespace="mail"),
            sign_in("mal"),
            verify("mal", "v@"),
        ),
        """
        Me mal     mal        mal    mail=v@
        Me vera    vera < ?   vera   plan=secret mail=v@
        """,
    ),
    Story(
        "attack: he names her profile id in a form that is passed to link",
        (*VERA, post("P", mail="v@", mood="hers"), Link(user="mal", profile="P")),
        """
        Me mal     mal          mal
        Me vera    vera < P V   vera   mood=hers plan=secret mail=v@
        """,
    ),
    Story(
        "attack: her card typed at his Me",
        (
            sign_in("vera"),
            verify("vera", "v@"),
            Named("V", server(card="L", mail="v@", plan="secret")),
            sign_in("mal"),
            me("mal", card="L"),
        ),
        """
        Me mal        mal    mal    card=L
        Me mal all    mal    mal    card=L
        Me vera       vera   vera   plan=secret card=L mail=v@
        """,
    ),
    Story(
        "honest: a card proves where the rule says so and a server said it of her",
        (
            Named("L", server(card="L", plan="till")),
            sign_in("vera"),
            server(user="vera", card="L"),
        ),
        "Me vera    vera < L   vera   plan=till card=L",
        CARD_PROVES,
    ),
    Story(
        "attack: where a card proves, he types hers at Me",
        (Named("L", server(card="L", plan="till")), sign_in("mal"), me("mal", card="L")),
        """
        Me mal    mal   mal   card=L
        L         L     -     plan=till card=L
        """,
        CARD_PROVES,
    ),
]

STORIES = [*VALUES, *HONEST, *ATTACKS]


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
def test_a_story_reads_as_written(story: Story) -> None:
    told = _Told(story)
    due = dict(_asked(line) for line in story.reads.strip().splitlines())
    assert {question: told.answer(question) for question in due} == due


def _asked(line: str) -> tuple[str, list[str]]:
    question, answer = line.strip().split("  ", 1)
    return question, _sorted(answer.split())


def _sorted(words: list[str]) -> list[str]:
    """The words of an answer, its values in alphabetic order."""
    return sorted(words, key=lambda word: word if "=" in word else "")


class _Told:
    """The world after a story."""

    def __init__(self, story: Story) -> None:
        self._world = World(story.settings)
        self._names: dict[UUID, str] = {}
        self._ids: dict[str, UUID] = {}
        for item in story.steps:
            name, step = item if isinstance(item, Named) else (None, item)
            begun = set(self._world.graph.fragments)
            self._world.take(step)
            self._name(name, begun)

    def answer(self, question: str) -> list[str]:
        """The profile that a question is about, as a line of a story."""
        name, *rest = question.split()
        if name == "Me":
            user, *views = rest
            return self._read(self._world.graph.own[user], views[0] if views else "own")
        if name in self._ids:
            return self._read(self._ids[name], rest[0] if rest else "proven")
        tracked = self._world.by_tracker(name)
        assert tracked.own is not None
        return self._line(tracked.own, tracked.user_id, values_of(tracked))

    def _read(self, fragment_id: UUID, view: Any) -> list[str]:
        profile = self._world.views().of(view, fragment_id)
        return self._line(profile, profile.user_id, values_of(profile))

    def _name(self, name: str | None, before: set[UUID]) -> None:
        graph = self._world.graph
        known = self._world.created | dict(graph.own)
        begun = sorted(set(graph.fragments) - before - set(graph.own.values()))
        if name is not None:
            known |= {name: begun[0]}
        self._ids |= known
        self._names = {item: known_name for known_name, item in self._ids.items()}

    def _line(self, ids: ViewedProfile, user: str | None, values: dict[str, Any]) -> list[str]:
        merged = sorted(self._names.get(item, "?") for item in ids.merged_from)
        names = [self._names.get(ids.profile_id, "?"), *(["<", *merged] if merged else [])]
        shown = [
            f"{name}={'+'.join(value) if isinstance(value, list) else value}"
            for name, value in values.items()
        ]
        return _sorted([*names, user or "-", *shown])
