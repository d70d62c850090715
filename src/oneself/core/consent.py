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


def merge_choices(survivor: Choices, absorbed: Choices) -> Choices:
    """The choices of two profiles that are one person: where both chose, the more restrictive holds."""
    merged = dict(survivor)
    for category, choice in absorbed.items():
        present = merged.get(category)
        if present is None or (present.is_consented and not choice.is_consented):
            merged[category] = choice
    return merged
