"""Consent: what a person allows, by category (wire/cds §6, §10).

A category names a purpose and the attributes that it opens. A choice belongs to the person: profiles that
are joined share their choices, and where both made one, the more restrictive holds.
"""

from typing import Literal
from uuid import UUID

import msgspec

Purpose = Literal["profiling", "personalization", "destination"]

#: The category that every organisation has: all identity attributes, for profiling.
MANDATORY_NAME = "Identity Data"
MANDATORY_PURPOSE: Purpose = "profiling"


class CategoryAttribute(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attribute that a category opens, by its full name; of one application for application data."""

    attribute_name: str
    application_identifier: str | None = None


class Category(msgspec.Struct, frozen=True, omit_defaults=True):
    """A consent category. The mandatory one lists no attributes: it opens every identity attribute."""

    category_identifier: str
    category_name: str
    purpose: Purpose
    destinations: tuple[str, ...] = ()
    attributes: tuple[CategoryAttribute, ...] = ()
    is_mandatory: bool = False


class Choice(msgspec.Struct, frozen=True):
    """What was chosen in one category, through which profile, when (µs), and when that was recorded."""

    is_consented: bool
    consented_at: int
    profile_id: UUID
    seq: int


Choices = dict[str, Choice]

#: What the event wire asks consent for (wire/interactions §9.5).
EventPurpose = Literal["Personalization", "Tracking"]
PERSONALIZATION: EventPurpose = "Personalization"
TRACKING: EventPurpose = "Tracking"
#: Choices made on the event wire stand beside the categories, under purpose and provider. No category's id
#: has a slash.
_EVENT = "event/"
#: Two purposes, and more providers than a page has; a profile is one row.
EVENT_CHOICES_MAX = 100


def event_category(purpose: str, provider: str) -> str:
    """Under what a choice that an event brings is kept."""
    return f"{_EVENT}{purpose}/{provider}"


def is_event_category(category: str) -> bool:
    """Whether a choice was made on the event wire."""
    return category.startswith(_EVENT)


def is_refused(choices: dict[str, bool], purpose: EventPurpose) -> bool:
    """Whether a purpose was refused to any provider."""
    stem = event_category(purpose, "")
    return any(not consented for category, consented in choices.items() if category.startswith(stem))


def with_choice(choices: Choices, category: str, choice: Choice) -> Choices:
    """The choices with one made in an event: the newest counts, at equal times a refusal."""
    present = choices.get(category)
    if present is None and sum(map(is_event_category, choices)) >= EVENT_CHOICES_MAX:
        return choices
    return choices if present is not None and _holds(present, choice) else {**choices, category: choice}


def _holds(present: Choice, other: Choice) -> bool:
    if present.consented_at == other.consented_at:
        return not present.is_consented or other.is_consented
    return present.consented_at > other.consented_at


def merge_choices(survivor: Choices, absorbed: Choices) -> Choices:
    """The choices of two profiles that are one person: where both chose, the more restrictive holds; on the
    event wire the newer (wire/interactions §9.2, MERGE)."""
    merged = dict(survivor)
    for category, choice in absorbed.items():
        if is_event_category(category):
            merged = with_choice(merged, category, choice)
            continue
        present = merged.get(category)
        if present is None or (present.is_consented and not choice.is_consented):
            merged[category] = choice
    return merged
