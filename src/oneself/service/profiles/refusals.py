"""Refusals: merges and claims that were indicated and must not be, and what sets the limits.

Source: DESIGN §4.6.
"""

from typing import Annotated
from uuid import UUID

import msgspec

from oneself.core.config.changes import BlockList, ConfigChange, Limits, PutBlocked, PutLimits, Several
from oneself.core.config.configuration import Config
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("rules.sql")

_LAST_ID = UUID(int=2**128 - 1)
_LAST_SEQ = 2**62
_LAST_KIND = 2**63 - 1

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class RefusalPosition(msgspec.Struct, frozen=True):
    """Where in the list, the latest first, a page ends. `kind`: a number for code and namespace, which tells
    apart what two profiles were refused at one moment."""

    seq: Int64
    profile_id: UUID
    other_id: UUID
    kind: Int64


#: Before everything in the list.
FIRST = RefusalPosition(_LAST_SEQ, _LAST_ID, _LAST_ID, _LAST_KIND)


class ListedRefusal(msgspec.Struct, frozen=True):
    """One kind of refusal between two profiles (twice the same where no other one is concerned): when it was
    met first and last (µs), and how often. `namespace`: of the identifier concerned, else empty."""

    code: str
    profile_id: UUID
    other_id: UUID
    namespace: str
    first_seq: int
    last_seq: int
    times: int
    kind: int

    @property
    def place(self) -> RefusalPosition:
        """Where it stands in the list."""
        return RefusalPosition(self.last_seq, self.profile_id, self.other_id, self.kind)


class Protection(msgspec.Struct, frozen=True):
    """What keeps strangers apart: values that identify nobody, beside the built-in ones, and limits."""

    blocked_values: tuple[str, ...]
    blocked_patterns: tuple[str, ...]
    profiles_per_merge_max: int
    values_per_namespace_max: int


class Refusals:
    """The use-cases of refusals and protection."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def list_refusals(
        self, dataset_ref: DatasetRef, limit: int, *, before: RefusalPosition = FIRST, code: str | None = None
    ) -> list[ListedRefusal]:
        """The refusals before a place, the latest first."""
        found = await self._database.fetch(
            _sql.find_refusals,
            dataset_ref.dataset_id,
            before.seq,
            before.profile_id,
            before.other_id,
            before.kind,
            limit,
            code,
        )
        return [ListedRefusal(**dict(row)) for row in found]

    async def count(self, dataset_ref: DatasetRef) -> dict[str, int]:
        """How often each kind was met."""
        found = await self._database.fetch(_sql.count_refusals, dataset_ref.dataset_id)
        return {row["code"]: row["times"] for row in found}

    async def protection(self, dataset_ref: DatasetRef) -> Protection:
        """What keeps strangers apart now."""
        return _protection(await self._configurations.current(dataset_ref.dataset_id))

    async def protect(self, dataset_ref: DatasetRef, **changes: object) -> Protection:
        """Change fields of the protection; acts on the next observation."""

        def put(config: Config) -> ConfigChange:
            wanted = msgspec.structs.replace(_protection(config), **changes)
            blocked = BlockList(
                frozenset(value.casefold() for value in wanted.blocked_values), wanted.blocked_patterns
            )
            limits = Limits(wanted.profiles_per_merge_max, wanted.values_per_namespace_max)
            return Several((PutBlocked(blocked), PutLimits(limits)))

        return _protection(await self._configurations.change(dataset_ref.dataset_id, put))


def _protection(config: Config) -> Protection:
    return Protection(
        blocked_values=tuple(sorted(config.blocked.values)),
        blocked_patterns=config.blocked.patterns,
        profiles_per_merge_max=config.limits.profiles_per_merge_max,
        values_per_namespace_max=config.limits.values_per_namespace_max,
    )
