"""Consent: the choices of a person, by category.

A category names a purpose and the attributes that it discloses. Merged profiles share their choices; if both
chose in a category, the more restrictive choice applies.

Invariants: this module does not know who reads a profile (`disclosure`).

Source: docs/wire/cds.md §6, §10.
"""

import hashlib
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier

Purpose = Literal["profiling", "personalization", "destination"]

#: The name of the mandatory category, which discloses all identity attributes, for profiling.
MANDATORY_NAME = "Identity Data"
MANDATORY_PURPOSE: Purpose = "profiling"


class CategoryAttribute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attribute that a category discloses."""

    #: The full name.
    attribute_name: str
    #: The application, for application data.
    application_identifier: str | None = None


class Category(msgspec.Struct, frozen=True, omit_defaults=True):
    """A consent category. The mandatory one lists no attributes: it discloses every identity attribute."""

    category_identifier: str
    category_name: str
    purpose: Purpose
    destinations: tuple[str, ...] = ()
    attributes: tuple[CategoryAttribute, ...] = ()
    is_mandatory: bool = False


class Choice(msgspec.Struct, frozen=True):
    """A person's choice in one category."""

    is_consented: bool
    #: When the person chose, in µs since 1970.
    consented_at: int
    #: The profile through which the person chose.
    profile_id: UUID
    #: The observation that recorded the choice, by its place in the log.
    seq: int


Choices = dict[str, Choice]


def consented_in(choices: Choices) -> frozenset[str]:
    """The categories in which the person consented."""
    return frozenset(category for category, choice in choices.items() if choice.is_consented)


#: The purposes of choices in events (docs/wire/interactions.md §9.5).
EventPurpose = Literal["Personalization", "Tracking"]
PERSONALIZATION: EventPurpose = "Personalization"
TRACKING: EventPurpose = "Tracking"
#: Choices in events are stored with those in categories, under purpose and provider. The slash keeps them
#: apart from the ids of categories.
_EVENT = "event/"
#: Between the category and the digest of a browser that made the choice.
_OF_BROWSER = "\x1f"
_DIGEST_BYTES = 8
#: Two purposes with more providers than a page has, and choices of so many browsers. Bounded, because a
#: profile is one row.
EVENT_CHOICES_MAX = 100


def event_category(purpose: str, provider: str) -> str:
    """The key under which a choice in an event is stored."""
    return f"{_EVENT}{purpose}/{provider}"


def is_event_category(category: str) -> bool:
    """Whether the key is that of a choice in an event."""
    return category.startswith(_EVENT)


def choice_of_browser(category: str, browser: Identifier) -> str:
    """The key of a choice that only a browser said: it binds the events of that browser, whoever they go to.

    Source: docs/concepts/trust.md, "Consent".
    """
    named = f"{browser.namespace}{_OF_BROWSER}{browser.value}".encode()
    return f"{category}{_OF_BROWSER}{hashlib.blake2b(named, digest_size=_DIGEST_BYTES).hexdigest()}"


def choices_for(choices: Choices, browser: Identifier | None) -> Choices:
    """The choices in events that bind those of a browser: what servers said, and what the browser said."""
    by_servers = {
        category: choice
        for category, choice in choices.items()
        if is_event_category(category) and _OF_BROWSER not in category
    }
    return by_servers | choices_made_by(choices, browser)


def choices_made_by(choices: Choices, browser: Identifier | None) -> Choices:
    """The choices in events that a browser said."""
    if browser is None:
        return {}
    own = choice_of_browser("", browser)
    return {category: choice for category, choice in choices.items() if category.endswith(own)}


def is_refused(choices: dict[str, bool], purpose: EventPurpose) -> bool:
    """Whether the person refused a purpose to any provider."""
    stem = event_category(purpose, "")
    return any(not consented for category, consented in choices.items() if category.startswith(stem))


def with_choice(choices: Choices, category: str, choice: Choice) -> Choices:
    """The choices with a choice in an event added. The newer choice wins; at equal times, the refusal.

    A new key of a server beyond `EVENT_CHOICES_MAX` is ignored; a browser's replaces the oldest of a browser.
    """
    present = choices.get(category)
    is_of_browser = _OF_BROWSER in category
    alike = [key for key in choices if is_event_category(key) and (_OF_BROWSER in key) is is_of_browser]
    if present is None and len(alike) >= EVENT_CHOICES_MAX:
        if not is_of_browser:
            return choices
        oldest = min(alike, key=lambda key: (choices[key].seq, key))
        choices = {key: item for key, item in choices.items() if key != oldest}
    return choices if present is not None and _holds(present, choice) else {**choices, category: choice}


def _holds(present: Choice, other: Choice) -> bool:
    if present.consented_at == other.consented_at:
        return not present.is_consented or other.is_consented
    return present.consented_at > other.consented_at


def merge_choices(survivor: Choices, absorbed: Choices) -> Choices:
    """The choices of two merged profiles.

    Where both chose, the more restrictive choice wins; for choices in events, the newer one.

    Source: docs/wire/interactions.md §9.2, MERGE.
    """
    merged = dict(survivor)
    for category, choice in absorbed.items():
        if is_event_category(category):
            merged = with_choice(merged, category, choice)
            continue
        present = merged.get(category)
        if present is None or (present.is_consented and not choice.is_consented):
            merged[category] = choice
    return merged
