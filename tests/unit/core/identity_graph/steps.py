"""The steps of a history: what happened to people, browsers and the configuration.

A history is a list of steps. `World` folds it with the core; `oracle` reads the law literally. Namespaces and
attributes are few and fixed, so that random histories meet often.
"""

from __future__ import annotations

from typing import Literal

import msgspec

#: Namespaces, each with the attribute that stores its value.
NAMESPACES: dict[str, tuple[str, str]] = {
    "mail": ("identity_attributes", "mail"),
    "phone": ("identity_attributes", "phone"),
    "card": ("traits", "card"),
    "number": ("traits", "number"),
}
#: Namespaces that mirror a provider claim.
CLAIMED = ("mail", "phone")
#: The customer number: two different ones are two people.
SEPARATING = "number"
#: Attributes by merge strategy: overwrite, combine, by time.
ATTRIBUTES: dict[str, tuple[str, str]] = {
    "plan": ("traits", "plan"),
    "interests": ("traits", "interests"),
    "mood": ("traits", "mood"),
}

View = Literal["own", "proven", "all"]
Ids = dict[str, str]
Values = dict[str, str | list[str] | None]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a history begins with."""

    active: tuple[str, ...] = ("mail", "phone", "card", "number")
    asserted_merges: Literal["all", "unprotected"] = "unprotected"
    report_joins: Literal["at_once", "confirmed"] = "at_once"
    identity_trust: Literal["tiered", "timestamp"] = "tiered"
    detach_on_sign_out: bool = False
    proves_identity: tuple[str, ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page's event."""

    tracker: str | None = None
    anonymous_id: str | None = None
    ids: Ids = {}
    values: Values = {}
    #: When it happened; None: now.
    at: int | None = None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server's event or an application's write."""

    tracker: str | None = None
    anonymous_id: str | None = None
    user: str | None = None
    #: The name of the `Create` that made the addressed profile.
    profile: str | None = None
    ids: Ids = {}
    values: Values = {}
    at: int | None = None


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """POST /profiles. Without a tracker: `?tracker=false`."""

    name: str
    tracker: str | None = None
    user: str | None = None
    ids: Ids = {}
    values: Values = {}


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """An application redeems a code."""

    user: str
    tracker: str | None = None
    #: Provider claims that nobody has verified.
    claims: Ids = {}


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """An application links a user with a tracker, or with a profile by id."""

    user: str
    tracker: str | None = None
    profile: str | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """An identity server's report."""

    user: str
    tracker: str | None = None
    claims: Ids = {}


class Confirm(msgspec.Struct, frozen=True, kw_only=True):
    """One request that brings a tracker and the user's token."""

    user: str
    tracker: str


class SignOut(msgspec.Struct, frozen=True, kw_only=True):
    """A user signs out on a browser."""

    tracker: str


class Verify(msgspec.Struct, frozen=True, kw_only=True):
    """A provider claim is verified from now on."""

    user: str
    namespace: str
    value: str


class GiveUp(msgspec.Struct, frozen=True, kw_only=True):
    """A verified provider claim ends."""

    user: str
    namespace: str


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """PATCH /profiles/Me."""

    user: str
    ids: Ids = {}
    values: Values = {}


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A rule or binding is switched on or off."""

    namespace: str
    is_active: bool


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """A person merges two profiles, named by their `Create`."""

    one: str
    other: str


class GiveUpAccount(msgspec.Struct, frozen=True, kw_only=True):
    """A person merges the profiles of two users; one gives up the account. Only the services know it."""

    user: str
    into: str


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A person takes fragments, named by their `Create`, out of a profile."""

    profiles: tuple[str, ...]
    view: View = "proven"


Step = (
    Page
    | Server
    | Create
    | SignIn
    | Link
    | Report
    | Confirm
    | SignOut
    | Verify
    | GiveUp
    | Me
    | Match
    | Merge
    | GiveUpAccount
    | Split
)
