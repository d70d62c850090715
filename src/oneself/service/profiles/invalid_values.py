"""Invalid values: values that stay stored although their attribute changed or was removed.

Invariants: profiles are read page by page in the order of their ids and nothing is changed. Values are
counted by attribute and never returned. Source: docs/wire/cds.md §8.
"""

from uuid import UUID

import msgspec

from oneself.core.values.visibility import invalid_values
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.tables.profile_listing import ListView
from oneself.store.transaction import Tables

START = UUID(int=0)
PROFILES_PER_PAGE = 5_000


class ProfileInvalidValues(msgspec.Struct, frozen=True):
    """Invalid values at one path, for one reason."""

    path: str
    problem: str
    #: How many profiles have one.
    profiles: int
    #: One of these profiles.
    example: UUID


class InvalidValuesPage(msgspec.Struct, frozen=True):
    """The invalid values of some profiles."""

    found: tuple[ProfileInvalidValues, ...]
    #: How many profiles were read.
    seen: int
    #: The id after which to continue; None at the end.
    last: UUID | None


class InvalidValues:
    """Finds invalid values."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def page(self, dataset_ref: DatasetRef, after: UUID, view: ListView = "all") -> InvalidValuesPage:
        """The invalid values of the next profiles of a view after an id."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        tables = Tables(self._database, dataset_ref.dataset_id)
        list_values = tables.profiles.list_values
        if view == "proven":
            list_values = tables.view_profiles.list_proven_values
        read = await list_values(after, PROFILES_PER_PAGE)
        found: dict[tuple[str, str], list[UUID]] = {}
        for profile_id, values in read:
            for path_and_problem in invalid_values(config.schema, values):
                found.setdefault(path_and_problem, []).append(profile_id)
        return InvalidValuesPage(
            tuple(
                ProfileInvalidValues(path, problem, len(ids), ids[0])
                for (path, problem), ids in sorted(found.items())
            ),
            len(read),
            read[-1][0] if len(read) == PROFILES_PER_PAGE else None,
        )
