"""The words of stories about profiles: attributes by short names, and values as a story writes them."""

from __future__ import annotations

from typing import Any

DOMAIN = "acme.example"
#: The name in stories → the identity type, and the attribute that is bound to it.
IDENTITIES = {
    "mail": ("emailAddress", "identity_attributes.emailaddress"),
    "phone": ("mobileNumber", "identity_attributes.mobile"),
    "card": ("card", "traits.card"),
    "number": ("customerId", "traits.number"),
}
#: The name in stories → the attribute.
ATTRIBUTES = {name: attribute for name, (_, attribute) in IDENTITIES.items()} | {
    name: f"traits.{name}" for name in ("interests", "mood", "plan", "source")
}

Words = dict[str, str]


def pair(word: str) -> tuple[str, str]:
    """The name and the value in `name=value`."""
    name, _, value = word.partition("=")
    return name, value


def full_value(value: str) -> str:
    """A value as the service has it: `v@` is an address."""
    return f"{value}{DOMAIN}" if value.endswith("@") else value


def short_value(value: Any) -> str:
    """A value as a story writes it."""
    return "+".join(value) if isinstance(value, list) else str(value).removesuffix(DOMAIN)


def name_in_events(name: str) -> str:
    """The name of an attribute in events."""
    return IDENTITIES[name][0] if name in IDENTITIES else name


def values_of(said: Words) -> dict[str, Any]:
    """The body of a write."""
    body: dict[str, Any] = {}
    for name, value in said.items():
        scope, key = ATTRIBUTES[name].split(".")
        written: Any = value.split("+") if name == "interests" else full_value(value)
        body.setdefault(scope, {})[key] = None if value == "-" else written
    return body
