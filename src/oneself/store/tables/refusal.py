"""The table `refusal`: merges and claims that were indicated and must not happen, counted for each pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec

from oneself.core.resolution.working_set import RefusalRecord
from oneself.core.units import SEQ_MAX, UUID_MAX
from oneself.store import rows
from oneself.store.queries import Queries
from oneself.store.tables.table import Table, structs_of

_sql = Queries("refusal")


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class RefusalPosition(msgspec.Struct, frozen=True):
    """A position in the list, the latest first; a page begins after it."""

    seq: Int64
    profile_id: UUID
    other_id: UUID
    #: A number for code and namespace, which orders what two profiles were refused at one instant.
    kind: Int64


#: Before every refusal.
FIRST = RefusalPosition(SEQ_MAX, UUID_MAX, UUID_MAX, 2**63 - 1)


class ListedRefusal(msgspec.Struct, frozen=True):
    """One kind of refusal between two profiles. Instants in µs since 1970."""

    code: str
    profile_id: UUID
    #: The same as `profile_id` if no other profile is concerned.
    other_id: UUID
    #: Of the identifier; empty if none is concerned.
    namespace: str
    first_seq: int
    last_seq: int
    times: int
    kind: int

    @property
    def position(self) -> RefusalPosition:
        """Its position in the list."""
        return RefusalPosition(self.last_seq, self.profile_id, self.other_id, self.kind)


class RefusalTable(Table):
    """The refusals of a dataset."""

    __slots__ = ()

    async def put(self, refusals: Sequence[RefusalRecord]) -> None:
        """Insert refusals, or count those that are known."""
        if refusals:
            await self._executor.execute(_sql.put, self._dataset_id, *rows.refusal_columns(refusals))

    async def find_of_profiles(self, profile_ids: Sequence[UUID]) -> list[dict[str, Any]]:
        """The refusals that concern profiles, the oldest first, by column names."""
        found = await self._executor.fetch(_sql.find_of_profiles, self._dataset_id, profile_ids)
        return [dict(row) for row in found]

    async def delete_of_profiles(self, profile_ids: Sequence[UUID]) -> None:
        """Delete the refusals that are recorded against profiles."""
        await self._executor.execute(_sql.delete_of_profiles, self._dataset_id, profile_ids)

    async def list(self, before: RefusalPosition, limit: int, code: str | None) -> list[ListedRefusal]:
        """A page of refusals, the latest first; of one code if given."""
        found = await self._executor.fetch(
            _sql.list, self._dataset_id, *msgspec.structs.astuple(before), limit, code
        )
        return structs_of(ListedRefusal, found)

    async def count(self) -> dict[str, int]:
        """Code → how often it occurred."""
        return {row["code"]: row["times"] for row in await self._executor.fetch(_sql.count, self._dataset_id)}
