"""Ids of profiles: what a text may mean, and what a profile was called.

Invariants: pure; it decides nothing about which profile has an id (`lookup`, `view_lookup`).

Source: docs/wire/interactions.md §9.3.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.profiles.profile import ANONYMOUS_PRIMARY_CHARS, PRIMARY_CHARS, Profile
from oneself.errors import Conflict

#: The longest id there is: a named one of a legacy dataset, 200 bytes.
ID_CHARS_MAX = 200
_UUID_DIGITS = 32
_HEAD = re.compile(f"[0-9a-f]{{{ANONYMOUS_PRIMARY_CHARS}}}|[0-9a-f]{{{PRIMARY_CHARS}}}")


#: More candidates of an ambiguous id are not named.
CANDIDATES_MAX = 10


class AmbiguousId(Conflict):
    """An anonymous id may mean several profiles: it was the id of one, and points at another now."""

    default_code = "ambiguous_id"
    default_message = "Ambiguous id."

    def __init__(self, candidates: Collection[UUID]) -> None:
        named = ", ".join(map(str, sorted(candidates)[:CANDIDATES_MAX]))
        super().__init__(f"This anonymous id may mean several profiles: {named}. Use a profile id.")


class Alias(msgspec.Struct, frozen=True):
    """A former primary id of a person."""

    id: str
    #: Since when it is a former one, in µs since 1970.
    at: int
    #: The profile that it belonged to.
    profile_id: UUID
    #: What ended it: the profile became known, or was absorbed.
    by: Literal["promotion", "merge"]


class AliasedProfile(msgspec.Struct, frozen=True):
    """A survivor with its former primary ids and those of the profiles that it absorbed."""

    survivor: Profile
    #: The oldest first.
    former_ids: tuple[Alias, ...]

    @property
    def aliases(self) -> dict[str, int]:
        """Other primary ids that mean this person → since when (µs since 1970).

        Several profiles can have begun under one anonymous id: it is one alias, since the first time.
        """
        found: dict[str, int] = {}
        for alias in self.former_ids:
            if alias.id != self.survivor.primary_id:
                found.setdefault(alias.id, alias.at)
        return found


class Resolved(msgspec.Struct, frozen=True):
    """The profile that a set of identities means."""

    primary_id: str
    profile_id: UUID
    #: The primary ids of all profiles that hold one of the identities, best first. The next event with this
    #: set merges them, as far as no refusal applies.
    matched: tuple[str, ...]


def profile_id_in(text: str) -> UUID | None:
    """The profile id that a text is; None if it is none."""
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def identifier_in(text: str, config: Config) -> Identifier | None:
    """The identifier of `namespace:value`, normalised; None if it cannot identify a profile."""
    name, colon, value = text.strip().partition(":")
    namespace = config.namespace(name)
    if not colon or namespace is None or "\x00" in value:
        return None
    found = normalise(Identifier(name, value), namespace)
    return found if isinstance(found, Identifier) else None


def id_range(called: str) -> tuple[UUID | None, UUID | None]:
    """The smallest and the largest profile id that begin with this id; None if none can."""
    if (profile_id := profile_id_in(called)) is not None:
        return profile_id, profile_id
    if not _HEAD.fullmatch(called):
        return None, None
    return UUID(called.ljust(_UUID_DIGITS, "0")), UUID(called.ljust(_UUID_DIGITS, "f"))
