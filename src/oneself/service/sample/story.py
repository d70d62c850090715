"""What the sample data consists of: a handful of people of a bookshop, as pages and servers report them.

    Ann    two anonymous visits, a link in a mail on the laptop, another on the phone, a sign-up
    Ben    an anonymous visit, a sign-up, a record of the shop's server
    Cleo   an anonymous visitor
    Dora   shares a tablet with Emil: two users, who are never merged
    gift   an anonymous visitor who entered Ann's address for a present: a wrong merge, to be split by hand

Invariants: what is here is data. It goes through the same use-cases as what pages and servers send.
"""

from __future__ import annotations

import msgspec

from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity.identity_type import IdentityBinding
from oneself.core.resolution.observation import SenderTrust
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, Attribute

EMAIL, CUSTOMER = "emailAddress", "customerId"
ANN, BEN, DORA, EMIL = (f"{name}@shop.example" for name in ("ann", "ben", "dora", "emil"))


class SampleEvent(msgspec.Struct, frozen=True):
    """An event. `hours_ago`: when it happened. `user`: whom a server names."""

    hours_ago: float
    name: str
    device: str | None = None
    email: str = ""
    customer: str = ""
    user: str = ""
    interest: str = ""
    trust: SenderTrust = "browser"

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """Who it is, as far as the sender knows."""
        known = ((EMAIL, self.email), (CUSTOMER, self.customer), (USER_ID, self.user))
        return tuple(Identifier(name, value) for name, value in known if value)

    @property
    def values(self) -> dict[str, dict[str, object]]:
        """What it says of the person: scope → attribute → value."""
        named = {EMAIL: self.email, CUSTOMER: self.customer}
        identity: dict[str, object] = {name: value for name, value in named.items() if value}
        return {
            "traits": {"interests": [self.interest]} if self.interest else {},
            IDENTITY_ATTRIBUTES: identity,
        }


class SampleSignIn(msgspec.Struct, frozen=True):
    """A user signed in on a device."""

    user: str
    device: str
    email: str


def attributes() -> tuple[Attribute, ...]:
    """The attributes of the sample dataset."""
    texts = tuple(
        Attribute(attribute_id=name, attribute_name=name, value_type="string", merge_strategy="overwrite")
        for name in (f"{IDENTITY_ATTRIBUTES}.{name}" for name in (EMAIL, CUSTOMER))
    )
    interests = "traits.interests"
    combined = Attribute(
        attribute_id=interests,
        attribute_name=interests,
        value_type="string",
        merge_strategy="combine",
        multi_valued=True,
    )
    return (*texts, combined)


def bindings() -> tuple[IdentityBinding, ...]:
    """Which of them identify a person."""
    return tuple(IdentityBinding(name, name, f"{IDENTITY_ATTRIBUTES}.{name}") for name in (EMAIL, CUSTOMER))


STORY: tuple[SampleEvent | SampleSignIn, ...] = (
    SampleEvent(72, "Shop opened", "sample-laptop"),
    SampleEvent(71.9, "Book viewed", "sample-laptop", interest="chess"),
    SampleEvent(70, "Book viewed", "sample-cleo", interest="travel"),
    SampleEvent(50, "Shop opened", "sample-phone"),
    SampleEvent(49.9, "Book viewed", "sample-phone", interest="gardening"),
    SampleEvent(48, "Link in a mail opened", "sample-laptop", email=ANN),
    SampleEvent(47, "Link in a mail opened", "sample-phone", email=ANN),
    SampleSignIn("sample-ann", "sample-laptop", ANN),
    SampleEvent(39, "Book viewed", "sample-ben", interest="history"),
    SampleSignIn("sample-ben", "sample-ben", BEN),
    SampleEvent(38, "Order imported", customer="C-1002", email=BEN, user="sample-ben", trust="server"),
    SampleEvent(30.1, "Book viewed", "sample-tablet", interest="cooking"),
    SampleSignIn("sample-dora", "sample-tablet", DORA),
    SampleEvent(29.9, "Book ordered", "sample-tablet"),
    SampleSignIn("sample-emil", "sample-tablet", EMIL),
    SampleEvent(27.9, "Book viewed", "sample-tablet", interest="trains"),
    SampleEvent(20, "Newsletter ordered", "sample-tablet", email=DORA),
    SampleEvent(10, "Book viewed", "sample-gift", interest="football"),
    SampleEvent(9.9, "Present ordered", "sample-gift", email=ANN),
    SampleEvent(2, "Book viewed", "sample-cleo", interest="travel"),
    SampleEvent(1, "Book ordered", "sample-phone", email=ANN),
)
