"""Unfit values: what is kept although its attribute changed or is gone (wire/cds §8).

Law of this module: it reads page by page in the order of ids and changes nothing; values are counted by
attribute, never told.
"""

from uuid import UUID

import msgspec

from oneself.core.values.visibility import invalid_values
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("privacy.sql")

START = UUID(int=0)
PROFILES_PER_PAGE = 5_000


class ProfileInvalidValues(msgspec.Struct, frozen=True):
    """Values at one path that do not fit, for one reason: how many profiles hold one, and one of these."""

    path: str
    problem: str
    profiles: int
    example: UUID


class InvalidValuesPage(msgspec.Struct, frozen=True):
    """What was found among `seen` profiles; `last`: the id to go on from, None at the end."""

    found: tuple[ProfileInvalidValues, ...]
    seen: int
    last: UUID | None


class InvalidValues:
    """Finds values that do not fit."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def page(self, dataset_ref: DatasetRef, after: UUID) -> InvalidValuesPage:
        """The unfit values of the next profiles after an id."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        rows = await self._database.fetch(
            _sql.find_values_after, dataset_ref.dataset_id, after, PROFILES_PER_PAGE
        )
        found: dict[tuple[str, str], list[UUID]] = {}
        for row in rows:
            for place in invalid_values(config.schema, msgspec.json.decode(row["record_values"])):
                found.setdefault(place, []).append(row["profile_id"])
        return InvalidValuesPage(
            tuple(
                ProfileInvalidValues(path, problem, len(ids), ids[0])
                for (path, problem), ids in sorted(found.items())
            ),
            len(rows),
            rows[-1]["profile_id"] if len(rows) == PROFILES_PER_PAGE else None,
        )
