"""Datasets: the identity namespaces of an organisation (DESIGN §3). Profiles, claims and events live in one.

Law of this module: a dataset is found by its name within the organisation of the request, never by an id that
a caller sends. `default` is there from the beginning and stays; the customer data service works on it. A new
dataset has the organisation's identity types from its first moment; one that was used is never removed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    PutDatasetSettings,
    PutIdentityType,
    Several,
    SingleChange,
)
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.configuration import Configurations
from oneself.service.context import DEFAULT_DATASET, DatasetRef
from oneself.service.schema.dataset_settings import checked
from oneself.service.schema.user_attributes import (
    Changes,
    UserAttribute,
    change_user_attributes,
    user_attributes,
)
from oneself.store.tables.config import read_config
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.directory import Directory

FACE = "admin"

#: What fits a path, a cookie's digest and a log line.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_SENTENCE = "A name has 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a letter or digit."
#: wire/interactions §14.
DATASETS_MAX = 1000
#: How long another process may take a dataset that is gone for there.
REMEMBERED_S = 10.0


class Dataset(msgspec.Struct, frozen=True):
    """A dataset as people see it. `created_at`: µs since 1970."""

    name: str
    settings: DatasetSettings
    user_attributes: dict[str, UserAttribute]
    created_at: int


class Datasets:
    """Finds datasets by name, remembering those found for a while; makes, changes and removes them."""

    def __init__(
        self, directory: Directory, configurations: Configurations, *, datasets_max: int = DATASETS_MAX
    ) -> None:
        self._datasets_max = datasets_max
        self._directory = directory
        self._configurations = configurations
        self._known: dict[tuple[int, str], tuple[DatasetRef, float]] = {}

    async def find(self, dataset_ref: DatasetRef, name: str) -> DatasetRef | None:
        """One dataset of the organisation; None if it has none of this name."""
        if name == DEFAULT_DATASET and dataset_ref.dataset == DEFAULT_DATASET:
            return dataset_ref
        known = self._known.get((dataset_ref.org_id, name))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        if not NAME.fullmatch(name):
            return None
        keys = await self._directory.organisations.find(dataset_ref.handle, name)
        if keys is None:
            return None
        found = msgspec.structs.replace(dataset_ref, dataset_id=keys.dataset_id, dataset=name)
        self._known[dataset_ref.org_id, name] = found, time.monotonic() + REMEMBERED_S
        return found

    async def get(self, dataset_ref: DatasetRef, name: str) -> DatasetRef:
        """As `find`; raises NotFound."""
        found = await self.find(dataset_ref, name)
        if found is None:
            raise NotFound(f"{dataset_ref.handle} has no dataset {name[:100]!r}.")
        return found

    async def list(self, dataset_ref: DatasetRef) -> list[Dataset]:
        """Every dataset, by name."""
        rows = await self._directory.of(dataset_ref.org_id).datasets.list_configured()
        found = [_dataset(row.name, row.created_at, read_config(row.document)) for row in rows]
        return sorted(found, key=lambda dataset: dataset.name)

    async def show(self, dataset_ref: DatasetRef, name: str) -> Dataset:
        """One dataset; raises NotFound."""
        found = next((each for each in await self.list(dataset_ref) if each.name == name), None)
        if found is None:
            raise NotFound(f"{dataset_ref.handle} has no dataset {name[:100]!r}.")
        return found

    async def create(
        self,
        dataset_ref: DatasetRef,
        name: str,
        settings: Mapping[str, Any],
        attributes: Changes | None = None,
    ) -> Dataset:
        """Make a dataset with the organisation's identity types. `settings`: by the names of DatasetSettings.

        Raises InvalidInput, Conflict when the name is taken or there are too many.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput("name", NAME_SENTENCE)
        wanted = checked(DatasetSettings(**settings))
        async with self._directory.transaction() as transaction:
            connection, datasets = transaction.connection, transaction.of(dataset_ref.org_id).datasets
            # Locks the default dataset, so that no identity type is added or removed meanwhile.
            home = await self._configurations.change_in(
                Transaction(connection, dataset_ref.dataset_id), lambda _: None
            )
            if len(await datasets.list_ids()) >= self._datasets_max:
                raise Conflict(f"An organisation has at most {self._datasets_max} datasets.", code="limit")
            now = time.time_ns() // 1000
            dataset_id = await datasets.put(name, now)
            if dataset_id is None:
                raise Conflict(f"There is a dataset {name!r} already.", code="taken")
            types = tuple(PutIdentityType(each) for each in home.identity_types.values())

            def decide(config: Config) -> ConfigChange:
                return Several((*types, *_parts(config, wanted, attributes or {})))

            config = await self._configurations.change_in(
                Transaction(connection, dataset_id), decide, face=FACE
            )
        return _dataset(name, now, config)

    async def change(
        self,
        dataset_ref: DatasetRef,
        name: str,
        settings: Mapping[str, Any],
        attributes: Changes | None = None,
    ) -> Dataset:
        """Change settings and user attributes; what is absent stays.

        Raises NotFound, InvalidInput, Conflict for what is one way or done by another command.
        """
        at = await self.get(dataset_ref, name)

        def decide(config: Config) -> ConfigChange | None:
            wanted = checked(msgspec.structs.replace(config.dataset, **settings))
            _check_resolution(name, config.dataset, wanted)
            parts = _parts(config, wanted, attributes or {})
            return None if parts == (PutDatasetSettings(config.dataset),) else Several(parts)

        await self._configurations.change(at.dataset_id, decide, face=FACE)
        return await self.show(dataset_ref, name)

    async def delete(self, dataset_ref: DatasetRef, name: str) -> None:
        """Remove a dataset that was never used; within REMEMBERED_S no process knows it any more.

        Raises NotFound, Conflict.
        """
        if name == DEFAULT_DATASET:
            raise Conflict("The dataset 'default' stays: the customer data service works on it.", code="kept")
        at = await self.get(dataset_ref, name)
        async with self._directory.transaction() as transaction:
            await self._configurations.change_in(
                Transaction(transaction.connection, at.dataset_id), lambda _: None
            )
            datasets = transaction.of(dataset_ref.org_id).datasets
            if await datasets.is_used(at.dataset_id):
                sentence = f"The dataset {name!r} holds profiles or events; only an unused one is removed."
                raise Conflict(sentence, code="in_use")
            await datasets.delete(at.dataset_id)
        self._known.pop((dataset_ref.org_id, name), None)


def _parts(config: Config, wanted: DatasetSettings, changes: Changes) -> tuple[SingleChange, ...]:
    attributes, classifications = change_user_attributes(config, changes)
    settings = msgspec.structs.replace(wanted, classifications=classifications)
    return (*attributes, PutDatasetSettings(settings))


def _check_resolution(name: str, before: DatasetSettings, after: DatasetSettings) -> None:
    """Turning identity resolution on moves every profile, and is one way (wire/interactions §11)."""
    if before.pipeline_identity_resolution and not after.pipeline_identity_resolution:
        raise Conflict("Identity resolution cannot be turned off again.", code="one_way")
    if after.pipeline_identity_resolution and not before.pipeline_identity_resolution:
        sentence = (
            f"Turning identity resolution on moves every profile: oneself dataset enable-identity {name}"
        )
        raise Conflict(sentence, code="enable_identity")


def _dataset(name: str, created_at: int, config: Config) -> Dataset:
    return Dataset(name, config.dataset, user_attributes(config), created_at)
