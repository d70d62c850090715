"""The tables `verified_claim` and `identifier_transfer`: who proved an identifier, when it changed hands."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.graph import VerifiedClaim
from oneself.core.values.record import Path
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table

_sql = Queries("verified_claim")
_identifiers = msgspec.json.Decoder(tuple[Identifier, ...])
#: Joins the keys of a path; no key has it.
_JOINT = "\x1f"

#: User and path of the attribute.
ClaimKey = tuple[str, Path]


class VerifiedClaimTable(Table):
    """The verified claims of a dataset."""

    __slots__ = ()

    async def find(
        self, users: Iterable[str], values: Iterable[tuple[Path, str]]
    ) -> dict[ClaimKey, VerifiedClaim]:
        """The claims of users, and those of whoever verified one of these values, in whatever case."""
        users = sorted(users)
        columns = rows.columns(2, sorted((_JOINT.join(path), value) for path, value in values))
        if not (users or columns[0]):
            return {}
        found = await self._executor.fetch(_sql.find, self._dataset_id, users, *columns)
        return {
            (row["user_id"], tuple(row["path"])): VerifiedClaim(
                row["value"], row["since"], _identifiers.decode(row["identifiers"])
            )
            for row in found
        }

    async def put(self, claims: Mapping[ClaimKey, VerifiedClaim]) -> None:
        """Insert or replace verified claims."""
        if claims:
            found = (
                (user, _JOINT.join(path), claim.value, claim.since, rows.encode_json(claim.identifiers))
                for (user, path), claim in sorted(claims.items())
            )
            await self._executor.execute(_sql.put, self._dataset_id, *rows.columns(5, found))

    async def delete(self, keys: Collection[ClaimKey]) -> None:
        """Delete claims that are no longer verified."""
        if keys:
            columns = rows.columns(2, ((user, _JOINT.join(path)) for user, path in sorted(keys)))
            await self._executor.execute(_sql.delete, self._dataset_id, *columns)

    async def delete_of_users(self, users: Iterable[str], identifiers: Iterable[Identifier]) -> None:
        """Delete everything that users verified, and when identifiers changed hands."""
        columns = rows.columns(2, sorted((item.namespace, item.value) for item in identifiers))
        await self._executor.execute(_sql.delete_of_users, self._dataset_id, sorted(users), *columns)

    async def find_transfers(self, identifiers: Collection[Identifier]) -> dict[Identifier, tuple[int, ...]]:
        """Identifier → the seqs at which it changed hands; those that never did are missing."""
        if not identifiers:
            return {}
        columns = rows.columns(2, sorted({(item.namespace, item.value) for item in identifiers}))
        found = await self._executor.fetch(_sql.find_transfers, self._dataset_id, *columns)
        return {Identifier(row["namespace"], row["value"]): tuple(row["transferred_at"]) for row in found}

    async def put_transfers(self, transfers: Mapping[Identifier, tuple[int, ...]]) -> None:
        """Record when identifiers changed hands."""
        if transfers:
            content = [
                {"namespace": item.namespace, "value": item.value, "transferred_at": transfers[item]}
                for item in sorted(transfers)
            ]
            await self._executor.execute(_sql.put_transfers, self._dataset_id, rows.encode_json(content))
