"""Search: profiles that a text finds, whatever it is: an id, an identifier of any type, or a value.

Invariants: read-only, in the view `all`. What a page reads does not grow with the dataset: ids and
identifiers are found by an index, values in one part of the profiles after the other. A value that is hidden,
because it is write-only or no longer valid, finds nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.disclosure import Reader, ReaderAccess
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.normalise import normalise
from oneself.core.profiles.profile import Profile
from oneself.core.values.visibility import visible_values
from oneself.service.configuration import CurrentConfiguration
from oneself.service.context import DatasetRef
from oneself.service.profiles.listing import ProfileListing
from oneself.service.profiles.lookup import Lookup
from oneself.store.database import Database
from oneself.store.tables.profile_listing import FIRST, ListedProfile, PagePosition
from oneself.store.transaction import Tables, snapshot

__all__ = [
    "NamedProfile",
    "NewestPage",
    "PagePosition",
    "ProfileSearch",
    "ProfileWithValue",
    "ValuePage",
    "leaves",
]

PROFILES_PER_PAGE = 20
#: Profiles whose values one request reads: some tens of milliseconds.
READ_AT_ONCE = 5_000
TEXT_CHARS_MAX = 512
#: More values of one profile are not named.
MATCHES_MAX = 5
#: More profiles that have a value in common are found by their own values.
FOUND_MAX = 20
#: Whoever searches sees every value.
_EVERYTHING = Reader(None, is_system=True, with_application_data=True)


class NamedProfile(msgspec.Struct, frozen=True):
    """A profile that a text names. `identifier`: the one that it is, None if it is an id."""

    profile: Profile
    identifier: Identifier | None = None


class ProfileWithValue(msgspec.Struct, frozen=True):
    """A profile with a text in its values. `matches`: dotted path and value of each."""

    profile_id: UUID
    user_id: str | None
    #: Those that are visible.
    values: dict[str, Any]
    matches: tuple[tuple[str, Any], ...]


class ValuePage(msgspec.Struct, frozen=True):
    """Profiles with a text in their values, the latest created first."""

    found: tuple[ProfileWithValue, ...]
    #: How many profiles were read.
    seen: int
    #: After which to continue; None at the end.
    next_position: PagePosition | None


class NewestPage(msgspec.Struct, frozen=True):
    """Profiles, the latest created first, with the values that are visible."""

    items: tuple[ListedProfile, ...]
    #: After which the next page begins; None at the end.
    next_position: PagePosition | None


class ProfileSearch:
    """Finds profiles."""

    def __init__(
        self,
        database: Database,
        configurations: CurrentConfiguration,
        lookup: Lookup,
        listing: ProfileListing,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._lookup = lookup
        self._listing = listing

    async def named(self, dataset_ref: DatasetRef, text: str) -> list[NamedProfile]:
        """The profiles that a text names: as an id, then as an identifier of each type. At most FOUND_MAX."""
        if not 0 < len(text) <= TEXT_CHARS_MAX or "\x00" in text:
            return []
        config = await self._configurations.current(dataset_ref.dataset_id)
        by_id = await self._lookup.find(dataset_ref, text)
        found = [] if by_id is None else [NamedProfile(by_id.profile)]
        seen = set() if by_id is None else {by_id.profile.profile_id, by_id.survivor.profile_id}
        for holder in await self._holders(dataset_ref, list(_identifiers(text, config))):
            if holder.profile.profile_id not in seen:
                seen.add(holder.profile.profile_id)
                found.append(holder)
        return found[:FOUND_MAX]

    async def newest(
        self, dataset_ref: DatasetRef, position: PagePosition = FIRST, size: int = PROFILES_PER_PAGE
    ) -> NewestPage:
        """A page of all profiles, the latest created first."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        page = await self._listing.page(
            dataset_ref.dataset_id,
            config.schema,
            (),
            ReaderAccess(config, _EVERYTHING),
            position=position,
            size=size,
        )
        items = tuple(
            msgspec.structs.replace(item, values=visible_values(config.schema, item.values))
            for item in page.items
        )
        following = None
        if page.has_more:
            following = PagePosition(items[-1].created_at, items[-1].profile_id)
        return NewestPage(items, following)

    async def with_value(
        self,
        dataset_ref: DatasetRef,
        text: str,
        position: PagePosition = FIRST,
        *,
        size: int = PROFILES_PER_PAGE,
        read_at_once: int = READ_AT_ONCE,
    ) -> ValuePage:
        """Of the next profiles after a position, up to `size` with a text in their values, in any case."""
        if not 0 < len(text) <= TEXT_CHARS_MAX or "\x00" in text:
            return ValuePage((), 0, None)
        config = await self._configurations.current(dataset_ref.dataset_id)
        table = Tables(self._database, dataset_ref.dataset_id).profile_listing
        page = await table.list_containing(text, position, read_at_once)
        found: list[ProfileWithValue] = []
        for item in page.items:
            visible = visible_values(config.schema, item.values)
            if matches := _matches(visible, text.casefold()):
                found.append(ProfileWithValue(item.position.profile_id, item.user_id, visible, matches))
            if len(found) == size:
                return ValuePage(tuple(found), page.seen, item.position)
        return ValuePage(tuple(found), page.seen, page.last)

    async def _holders(self, dataset_ref: DatasetRef, identifiers: list[Identifier]) -> list[NamedProfile]:
        """The profiles that hold identifiers, in their order."""
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            live = await tables.claims.find(identifiers)
            profiles = {item.profile_id: item for item in await tables.profiles.find(live.by_survivor)}
        held: dict[Identifier, list[NamedProfile]] = {}
        for survivor_id, (_, claims) in live.by_survivor.items():
            for claim in claims:
                if survivor_id in profiles:
                    named = NamedProfile(profiles[survivor_id], claim.identifier)
                    held.setdefault(claim.identifier, []).append(named)
        return [found for identifier in identifiers for found in held.get(identifier, ())]


def _identifiers(text: str, config: Config) -> Iterator[Identifier]:
    """What a text may be an identifier as, in every namespace."""
    for name in config.namespace_names:
        namespace = config.namespace(name)
        assert namespace is not None
        found = normalise(Identifier(name, text), namespace)
        if isinstance(found, Identifier):
            yield found


def _matches(values: dict[str, Any], folded: str) -> tuple[tuple[str, Any], ...]:
    return tuple((path, value) for path, value in leaves(values) if folded in _text(value).casefold())[
        :MATCHES_MAX
    ]


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each leaf, as provenance names them: a list is one leaf."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
