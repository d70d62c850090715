"""Stored values of an attribute: how many profiles have one.

Invariants: profiles are read page by page in the order of their ids, so that no read is long, and nothing is
changed. Values are counted and never returned.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.values.attribute import APPLICATION_DATA, Attribute
from oneself.core.values.schema import Schema
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.transaction import Tables

PROFILES_PER_PAGE = 20_000


class CountedValues(msgspec.Struct, frozen=True):
    """How many of some profiles have a value of an attribute.

    `seen`: how many profiles were read. `last`: the id after which to continue; None at the end.
    """

    profiles: int
    seen: int
    last: UUID | None


class StoredValues:
    """Counts the profiles with a value of an attribute."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def count_page(
        self, dataset_ref: DatasetRef, attribute: Attribute, after: UUID, page_size: int = PROFILES_PER_PAGE
    ) -> CountedValues:
        """How many of the next profiles after an id have a value of the attribute, in the view `all`."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        path = value_path(config.schema, attribute)
        tables = Tables(self._database, dataset_ref.dataset_id)
        with_value, seen, last = await tables.profiles.count_values(path, after, page_size)
        return CountedValues(with_value, seen, last if seen == page_size else None)


def value_path(schema: Schema, attribute: Attribute) -> list[str]:
    """Where profiles store the values of an attribute: scope, application where there is one, keys.

    Sub-attributes are keys of the object of the complex attribute; another dotted name is one key.
    """
    application = attribute.application_identifier if attribute.scope == APPLICATION_DATA else None
    sections = [attribute.scope, *([application] if application else [])]
    above = schema.complex_above(attribute.attribute_name, application)
    if above is None:
        return [*sections, attribute.key]
    below = attribute.attribute_name.removeprefix(above.attribute_name + ".")
    return [*sections, above.key, *below.split(".")]
