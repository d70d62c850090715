"""Generates the visitors for benchmarks of the event endpoint: ids, e-mail addresses, tokens and requests.

All data of a visitor is derived from its number `i`. In a filled database, every visitor was identified by an
event; half of them also have an e-mail address.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    PutAttributes,
    PutChannels,
    PutIdentityAttributes,
    PutIdentityType,
    Several,
)
from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.profiles.profile import primary_id
from oneself.core.resolution.observation import Observation, PageEvent
from oneself.core.values.attribute import Attribute
from oneself.service.events.persisted_token import TokenKeyRing, encrypt_token

WEB_ID, EMAIL = "webId", "emailAddress"
_NAMES = uuid.UUID("7e1f0000-0000-4000-8000-000000000000")
_PAGES = ("/", "/shop", "/shop/shoes/trail-runner-42", "/cart", "/account/orders?page=2", "/blog/how-to-lace")
AGENT = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"

#: The shares of mixed traffic: page views with a token, identified, identifying a new browser, merging.
MIX = (0.70, 0.20, 0.05, 0.05)


def binding() -> ConfigChange:
    """Return the configuration: two identity types with attributes; `user.id` is the first."""
    bound = (WEB_ID, EMAIL)
    return Several(
        (
            PutIdentityType(IdentityType(WEB_ID, "Web ID", case_sensitive=True)),
            PutAttributes(
                tuple(
                    Attribute(str(uuid.uuid5(_NAMES, name)), attribute_of(name), "string", "latest")
                    for name in bound
                )
            ),
            PutIdentityAttributes(tuple(IdentityBinding(name, name, attribute_of(name)) for name in bound)),
            PutChannels({"Web": WEB_ID}),
        )
    )


def attribute_of(name: str) -> str:
    """Return the profile attribute of an identity type."""
    return f"identity_attributes.{name}"


def anonymous_id(visitor: int) -> str:
    """Return the anonymous id of a visitor's browser. Visitor 0 has only zeros, which identify nobody."""
    return f"{visitor * 0x9E3779B97F4A7C15 % (1 << 64):016x}"


def web_id(visitor: int) -> str:
    """Return the web id of a visitor."""
    return f"web-{visitor:09}"


def email(visitor: int) -> str:
    """Return the e-mail address of a visitor; only those with `has_email` have one in a filled database."""
    return f"visitor.{visitor:09}@shop.example"


def has_email(visitor: int) -> bool:
    """Whether a visitor of a filled database has an e-mail address."""
    return visitor % 2 == 0


def profile_id(visitor: int) -> UUID:
    """Return the id of the first profile of a visitor."""
    return UUID(int=_NAMES.int + (visitor * 0x9E3779B97F4A7C15 << 8) % (1 << 60))


def history(visitor: int) -> Iterator[Observation]:
    """Generate the observations of a visitor in a filled database."""
    device = Identifier(ANONYMOUS_ID, anonymous_id(visitor))
    identities = [Identifier(WEB_ID, web_id(visitor))]
    if has_email(visitor):
        identities.append(Identifier(EMAIL, email(visitor)))
    yield _event((device, *identities), new_profile_id=profile_id(visitor))


def _event(identifiers: tuple[Identifier, ...], new_profile_id: UUID) -> Observation:
    return PageEvent(
        observation_id=uuid.uuid4(),
        new_profile_id=new_profile_id,
        interface="interactions",
        trust="browser",
        channel="Web",
        identifiers=identifiers,
        name="Page Viewed",
        body=body(random.Random(new_profile_id.int), {}),
    )


def body(rng: random.Random, user: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the web SDK sends it."""
    return {
        "interaction": {"name": "View Page"},
        "source": {
            "pageType": "product",
            "url": f"https://shop.example{rng.choice(_PAGES)}",
            "urlReferrer": "https://search.example/?q=shoes",
            "channel": "Web",
            "beaconVersion": 16,
            "configVersion": "7",
            "contentZones": [],
        },
        "user": user,
        "flags": {"pageView": True},
    }


Tokens = Callable[[int], str]


def tokens(key_ring: TokenKeyRing, account: str, dataset: str, at_ms: int) -> Tokens:
    """Return a function from visitor to token."""

    def token(visitor: int) -> str:
        identities = {WEB_ID: web_id(visitor)} | ({EMAIL: email(visitor)} if has_email(visitor) else {})
        return encrypt_token(
            key_ring,
            account,
            dataset,
            primary_id(profile_id(visitor), anonymous=False),
            identities,
            at_ms,
        )

    return token


def mixed(
    persons: int, count: int, token: Tokens, seed: int = 1, mix: tuple[float, ...] = MIX
) -> list[dict[str, Any]]:
    """Generate events of mixed traffic for a database with this number of visitors."""
    rng, new_visitor = random.Random(seed), persons + seed * 10_000_000
    events = []
    for _ in range(count):
        new_visitor += 1
        visitor = rng.randrange(persons)
        kind = rng.choices(range(len(mix)), mix)[0]
        user = _user(kind, visitor, new_visitor, rng.randrange(persons), token)
        events.append(body(rng, user))
    return events


def body_of(visitor: int, seed: int) -> dict[str, Any]:
    """Return a page view that identifies the visitor."""
    return body(random.Random(seed), {"anonymousId": anonymous_id(visitor), "id": web_id(visitor)})


def on_new_browsers(visitor: int, persons: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Generate page views that identify the visitor, each on a new browser."""
    rng, first = random.Random(seed), persons + seed * 10_000_000
    return [
        body(rng, {"anonymousId": anonymous_id(first + number), "id": web_id(visitor)})
        for number in range(1, count + 1)
    ]


def _user(kind: int, visitor: int, new_visitor: int, other: int, token: Tokens) -> dict[str, Any]:
    """Return the field `user` of an event. `kind`: index into MIX."""
    if kind == 0:
        return {"anonymousId": anonymous_id(visitor), "encryptedId": token(visitor)}
    if kind == 1:
        return {"anonymousId": anonymous_id(visitor), "id": web_id(visitor)}
    if kind == 2:
        return {"anonymousId": anonymous_id(new_visitor), "id": web_id(new_visitor)}
    return {
        "anonymousId": anonymous_id(visitor),
        "id": web_id(visitor),
        "attributes": {EMAIL: email(other - other % 2)},
    }


def request(event: dict[str, Any], path: str, host: str = "localhost") -> bytes:
    """Return the HTTP request of an event as bytes."""
    content = msgspec.json.encode(event)
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"User-Agent: {AGENT}",
        f"Content-Length: {len(content)}",
    ]
    return "\r\n".join((*head, "", "")).encode() + content
