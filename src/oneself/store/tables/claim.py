"""The table `claim`: which profile holds which identifier. The holder is the oldest live claim; younger live
ones are contested."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import PRIMARY_CHARS
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("claim")

#: Hex digits of a profile id that its primary id lacks.
MISSING_CHARS = 32 - PRIMARY_CHARS


class LiveClaims(msgspec.Struct):
    """What identifiers and the primary ids of tokens lead to."""

    claims: list[Claim]
    #: Survivor → its seq when this was read, and the claims that lead to it.
    by_survivor: dict[UUID, tuple[int, list[Claim]]]
    #: Profile that a primary id was made for → its survivor.
    pointers: dict[UUID, UUID]


def read_live_claims(found: Iterable[rows.Row]) -> LiveClaims:
    """What rows with `live_claims` say."""
    live = LiveClaims([], {}, {})
    for row in found:
        claims = live.by_survivor.setdefault(row["survivor_id"], (row["survivor_seq"], []))[1]
        if row["namespace"] is None:
            live.pointers[row["profile_id"]] = row["survivor_id"]
        else:
            live.claims.append(claim := rows.read_claim(row))
            claims.append(claim)
    return live


class RecordedClaim(msgspec.Struct, frozen=True):
    """A claim with its end; `until_seq` is None while it is live."""

    claim: Claim
    until_seq: int | None

    @property
    def identifier(self) -> Identifier:
        return self.claim.identifier


class ClaimTable(Table):
    """The claims of a dataset."""

    __slots__ = ()

    async def find(
        self, identifiers: Iterable[Identifier], primary_ids: frozenset[str] = frozenset()
    ) -> LiveClaims:
        """The live claims of identifiers, and the profiles that primary ids were made for."""
        named = sorted(identifiers)
        if not named and not primary_ids:
            return LiveClaims([], {}, {})
        found = await self._executor.fetch(
            _sql.find, self._dataset_id, *identifier_columns(named), *id_ranges(primary_ids)
        )
        return read_live_claims(found)

    async def find_of_profiles(self, profile_ids: Iterable[UUID]) -> list[RecordedClaim]:
        """Every claim that profiles ever had, the oldest first."""
        found = await self._executor.fetch(_sql.find_of_profiles, self._dataset_id, list(profile_ids))
        return [RecordedClaim(rows.read_claim(row), row["until_seq"]) for row in found]

    async def find_holder(self, identifier: Identifier) -> UUID | None:
        """The profile that holds an identifier."""
        found: UUID | None = await self._executor.fetchval(
            _sql.find_holder, self._dataset_id, identifier.namespace, identifier.value
        )
        return found

    async def find_last_holder(self, identifier: Identifier, since: int) -> UUID | None:
        """The profile that holds an identifier, else the one that held it last, by claims since a seq."""
        found: UUID | None = await self._executor.fetchval(
            _sql.find_last_holder, self._dataset_id, identifier.namespace, identifier.value, since
        )
        return found

    async def find_live_of_profiles(
        self, profile_ids: Sequence[UUID], namespaces: Sequence[str]
    ) -> list[Identifier]:
        """The identifiers that profiles hold now in some namespaces, the oldest first."""
        found = await self._executor.fetch(
            _sql.find_live_of_profiles, self._dataset_id, list(profile_ids), list(namespaces)
        )
        return [Identifier(row["namespace"], row["value"]) for row in found]

    async def list_of_profiles(
        self, profile_ids: Sequence[UUID], offset: int, limit: int
    ) -> list[RecordedClaim]:
        """A page of every claim that profiles ever had, the oldest first."""
        found = await self._executor.fetch(
            _sql.list_of_profiles, self._dataset_id, list(profile_ids), offset, limit
        )
        return [RecordedClaim(rows.read_claim(row), row["until_seq"]) for row in found]

    async def find_history(self, identifiers: Iterable[Identifier]) -> list[RecordedClaim]:
        """Every claim that any profile ever had on identifiers: by identifier, the oldest first."""
        columns = identifier_columns(sorted(identifiers))
        found = await self._executor.fetch(_sql.find_history, self._dataset_id, *columns)
        return [RecordedClaim(rows.read_claim(row), row["until_seq"]) for row in found]

    async def find_values(self, namespace: str) -> list[tuple[UUID, str]]:
        """The live values of a namespace, each after the survivor that holds it."""
        found = await self._executor.fetch(_sql.find_values, self._dataset_id, namespace)
        return [(row["profile_id"], row["value"]) for row in found]

    async def put(self, claims: Sequence[Claim]) -> None:
        """Insert claims."""
        if claims:
            await self._executor.execute(_sql.put, self._dataset_id, *rows.claim_columns(claims))

    async def release(self, released: Sequence[tuple[Claim, int]]) -> None:
        """End claims, each at a seq."""
        if released:
            await self._executor.execute(_sql.release, self._dataset_id, *rows.release_columns(released))

    async def put_ends(self, ends: Sequence[RecordedClaim]) -> None:
        """Change when claims ended; None makes them live again."""
        if ends:
            columns = rows.columns(5, (_end_row(end) for end in ends))
            await self._executor.execute(_sql.put_ends, self._dataset_id, *columns)

    async def delete(self, claims: Sequence[Claim]) -> None:
        """Delete claims."""
        if claims:
            keys = ((*msgspec.structs.astuple(c.identifier), c.profile_id, c.seq) for c in claims)
            await self._executor.execute(_sql.delete, self._dataset_id, *rows.columns(4, keys))

    async def delete_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Delete every claim of profiles."""
        await self._executor.execute(_sql.delete_of_profiles, self._dataset_id, profile_ids)


def _end_row(end: RecordedClaim) -> tuple[object, ...]:
    claim = end.claim
    return claim.identifier.namespace, claim.identifier.value, claim.profile_id, claim.seq, end.until_seq


def identifier_columns(identifiers: Sequence[Identifier]) -> tuple[list[str], list[str]]:
    """Namespaces and values, for two array parameters."""
    return [i.namespace for i in identifiers], [i.value for i in identifiers]


def id_ranges(primary_ids: Iterable[str]) -> tuple[list[str], list[str]]:
    """The smallest and the largest profile ids, in hex, that begin with primary ids."""
    named = sorted(primary_ids)
    first, last = ([primary + end * MISSING_CHARS for primary in named] for end in "0f")
    return first, last
