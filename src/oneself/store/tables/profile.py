"""The table `profile`: one row per profile ever made. An absorbed profile points straight at its survivor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.claim import LiveClaims, id_ranges, identifier_columns, read_live_claims
from oneself.store.tables.table import Table, structs_of

_sql = Queries("profile")


class TokenHolders(msgspec.Struct, frozen=True):
    """The profiles that tokens name, and the live claims on what their events name."""

    profiles: list[Profile]
    #: A profile changed between finding and locking it.
    has_moved: bool
    claims: list[Claim]
    #: Profile of a claim → its survivor.
    survivors: dict[UUID, UUID]


class AbsorbedIds(msgspec.Struct, frozen=True):
    """The primary ids that an absorbed profile had."""

    profile_id: UUID
    primary_id: str
    #: Former primary ids, each with the instant (µs since 1970) until which it was one.
    aliases: tuple[tuple[str, int], ...]
    #: Of the merge.
    seq: int


class MeantProfile(msgspec.Struct, frozen=True):
    """A profile that an anonymous id may mean."""

    profile_id: UUID
    survivor_id: UUID
    #: It is or was called so; else the id only points at it now.
    is_called: bool


class ProfileTable(Table):
    """The profiles of a dataset."""

    __slots__ = ()

    async def find(self, profile_ids: Iterable[UUID]) -> list[Profile]:
        """Profiles by id, erased and absorbed ones included."""
        ordered_ids = sorted(profile_ids)
        found = await self._executor.fetch(_sql.find, self._dataset_id, ordered_ids) if ordered_ids else []
        return [rows.read_profile(row) for row in found]

    async def find_survivors(self, profile_ids: Iterable[UUID]) -> dict[UUID, UUID]:
        """Profile → the one that absorbed it, or itself; erased ones included."""
        found = await self._executor.fetch(_sql.find_survivors, self._dataset_id, sorted(profile_ids))
        return {row["profile_id"]: row["survivor_id"] for row in found}

    async def lock_survivors(self, profile_ids: Iterable[UUID]) -> None:
        """Lock those of some profiles that nobody has absorbed, until the end of the transaction."""
        await self._executor.execute(_sql.lock_survivors, self._dataset_id, sorted(profile_ids))

    async def lock_holders(
        self, identifiers: Iterable[Identifier], primary_ids: Iterable[str], others: Iterable[UUID]
    ) -> tuple[LiveClaims, list[Profile]]:
        """What identifiers and primary ids lead to, and the survivors of that, beside `others`.

        All of these are locked in the order of their ids until the end of the transaction.
        """
        led = *identifier_columns(sorted(identifiers)), *id_ranges(primary_ids)
        asked = *led, sorted(others)
        found = await self._executor.fetch(_sql.lock_holders, self._dataset_id, *asked) if any(asked) else []
        live = read_live_claims(row for row in found if row["primary_id"] is None)
        return live, [rows.read_profile(row) for row in found if row["primary_id"] is not None]

    async def find_members(self, survivor_ids: Iterable[UUID]) -> dict[UUID, tuple[Absorbed, ...]]:
        """Survivor → the profiles that it absorbed, in the order of the merges."""
        found = await self._executor.fetch(_sql.find_members, self._dataset_id, sorted(survivor_ids))
        return rows.read_members(found)

    async def find_unified(self, profile_id: UUID) -> list[Profile]:
        """The survivor of a profile and every profile that it absorbed; empty if it is unknown or erased.

        The absorbed ones come without values, identities and consents: these are in the survivor.
        """
        found = await self._executor.fetch(_sql.find_unified, self._dataset_id, profile_id)
        return [rows.read_profile(row) for row in found]

    async def put(self, profiles: Sequence[Profile]) -> None:
        """Insert or replace profiles."""
        if profiles:
            await self._executor.execute(_sql.put, self._dataset_id, *rows.profile_columns(profiles))

    async def put_activity(self, profiles: Sequence[Profile]) -> None:
        """Update profiles of which nothing but the activity has changed."""
        if profiles:
            await self._executor.execute(
                _sql.put_activity, self._dataset_id, *rows.activity_columns(profiles)
            )

    async def put_sources(self, profiles: Sequence[Profile]) -> None:
        """Update profiles of which nothing but the activity and the sources of values have changed."""
        if profiles:
            await self._executor.execute(_sql.put_sources, self._dataset_id, *rows.source_columns(profiles))

    async def put_survivors(self, moved: Sequence[tuple[UUID, UUID]]) -> None:
        """Absorbed profile → survivor: whoever the absorbed one stood for points straight at its survivor."""
        if moved:
            await self._executor.execute(_sql.put_survivors, self._dataset_id, *rows.columns(2, moved))

    async def exist(self) -> bool:
        """Whether the dataset has any profile."""
        return bool(await self._executor.fetchval(_sql.exist, self._dataset_id))

    async def holds_value(self, scope: str, key: str) -> bool:
        """Whether any profile has a value under a key."""
        return bool(await self._executor.fetchval(_sql.holds_value, self._dataset_id, scope, key))

    async def lock_token_holders(
        self, primary_ids: Iterable[str], identifiers: Iterable[Identifier]
    ) -> TokenHolders:
        """The profiles that tokens name, locked, and the live claims of identifiers, in one statement."""
        ranges, named = id_ranges(primary_ids), identifier_columns(sorted(identifiers))
        found = await self._executor.fetch(_sql.lock_token_holders, self._dataset_id, *ranges, *named)
        profiles = [row for row in found if row["namespace"] is None]
        claims = [row for row in found if row["namespace"] is not None]
        return TokenHolders(
            [rows.read_profile(row) for row in profiles],
            any(row["seen_seq"] != row["seq"] for row in profiles),
            [rows.read_claim(row) for row in claims],
            {row["profile_id"]: row["survivor_id"] for row in claims},
        )

    async def find_unified_ids(self, survivor_id: UUID) -> list[UUID]:
        """The ids of a survivor and of every profile that it absorbed."""
        found = await self._executor.fetch(_sql.find_unified_ids, self._dataset_id, survivor_id)
        return [row["profile_id"] for row in found]

    async def find_called(self, text: str, ids: tuple[UUID | None, UUID | None]) -> UUID | None:
        """The profile that an id means. `ids`: the smallest and the largest profile id that begin with it."""
        found: UUID | None = await self._executor.fetchval(
            _sql.find_called, self._dataset_id, text, *ids, ANONYMOUS_ID, LEGACY_ID
        )
        return found

    async def find_of_anonymous_id(
        self, text: str, ids: tuple[UUID | None, UUID | None], limit: int
    ) -> list[MeantProfile]:
        """The profiles that an anonymous id may mean. `ids`: as of `find_called`."""
        found = await self._executor.fetch(
            _sql.find_of_anonymous_id, self._dataset_id, text, *ids, ANONYMOUS_ID, LEGACY_ID, limit
        )
        return structs_of(MeantProfile, found)

    async def find_absorbed_ids(self, survivor_ids: Sequence[UUID]) -> dict[UUID, list[AbsorbedIds]]:
        """Survivor → the primary ids of each profile that it absorbed, in the order of the merges."""
        absorbed: dict[UUID, list[AbsorbedIds]] = {}
        for row in await self._executor.fetch(_sql.find_absorbed_ids, self._dataset_id, list(survivor_ids)):
            ids = AbsorbedIds(row["profile_id"], row["primary_id"], rows.read_aliases(row), row["seq"])
            absorbed.setdefault(row["survivor_id"], []).append(ids)
        return absorbed

    async def count_large(self, absorbed_min: int) -> int:
        """How many survivors have absorbed so many profiles."""
        return int(await self._executor.fetchval(_sql.count_large, self._dataset_id, absorbed_min))

    async def list_survivors(self, limit: int, offset: int) -> list[Profile]:
        """A page of survivors, the newest first; the cost grows with the offset."""
        found = await self._executor.fetch(_sql.list_survivors, self._dataset_id, limit, offset)
        return [rows.read_profile(row) for row in found]

    async def list_values(self, after: UUID, limit: int) -> list[tuple[UUID, dict[str, Any]]]:
        """The values of the survivors after an id, in the order of their ids."""
        found = await self._executor.fetch(_sql.list_values, self._dataset_id, after, limit)
        return [(row["profile_id"], msgspec.json.decode(row["record_values"])) for row in found]

    async def count_values(
        self, path: Sequence[str], after: UUID, limit: int
    ) -> tuple[int, int, UUID | None]:
        """Of the next survivors after an id: how many have a value at a path, how many all, the last."""
        steps = "".join(f".{msgspec.json.encode(key).decode()}" for key in path)
        row = await self._executor.fetchrow(
            _sql.count_values, self._dataset_id, f"lax ${steps}", after, limit
        )
        assert row is not None
        return row["with_value"], row["seen"], row["last"]
