"""Datasets: the identity namespaces of an organisation. Profiles, claims and events live in one.

Invariants: a dataset is found by its name within the organisation of the request, never by a key that a
caller sends. The dataset `default` always exists; the customer data service uses it. A new dataset has the
organisation's identity types from its first moment. A used dataset is never deleted.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    PutDatasetSettings,
    PutIdentityType,
    Several,
    SingleChange,
)
from oneself.core.config.configuration import Config
from oneself.core.config.difference import SettingDifference
from oneself.core.identity.dataset_settings import NEW_DATASET, DatasetSettings
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.audited import put_audited
from oneself.service.configuration import Configurations, PlannedChange, Versions
from oneself.service.context import ADMINISTRATOR, DEFAULT_DATASET, Actor, DatasetRef
from oneself.service.schema.dataset_settings import change_settings, validated_settings
from oneself.service.schema.user_attributes import (
    USER_ATTRIBUTES_MAX,
    Changes,
    UserAttribute,
    change_user_attributes,
    user_attributes,
)
from oneself.store.tables.config import read_config
from oneself.store.transaction import Transaction

if TYPE_CHECKING:
    from oneself.store.directory import Directory, DirectoryTransaction

    #: Writes what has to be there together with a new dataset.
    WriteAlong: TypeAlias = Callable[[DirectoryTransaction, int], Awaitable[None]]

#: Valid in a path and a log line.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
NAME_SENTENCE = "A name has 1 to 63 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a letter or digit."
#: Source: docs/wire/interactions.md §14.
DATASETS_MAX = 1000
#: How long another process may still find a deleted dataset.
CACHED_S = 10.0


class Dataset(msgspec.Struct, frozen=True):
    """A dataset with its settings."""

    name: str
    settings: DatasetSettings
    #: By name.
    user_attributes: dict[str, UserAttribute]
    #: In µs since 1970.
    created_at: int


class Datasets:
    """Finds datasets by name and caches them for a while; creates, changes and deletes them."""

    def __init__(
        self,
        directory: Directory,
        configurations: Configurations,
        *,
        datasets_max: int = DATASETS_MAX,
        user_attributes_max: int = USER_ATTRIBUTES_MAX,
    ) -> None:
        self._directory = directory
        self._configurations = configurations
        self._datasets_max = datasets_max
        self._user_attributes_max = user_attributes_max
        self._cached: dict[tuple[int, str], tuple[DatasetRef, float]] = {}

    async def find(self, dataset_ref: DatasetRef, name: str) -> DatasetRef | None:
        """A dataset of the organisation; None if it has none of this name."""
        if name == DEFAULT_DATASET and dataset_ref.dataset == DEFAULT_DATASET:
            return dataset_ref
        known = self._cached.get((dataset_ref.org_id, name))
        if known is not None and known[1] > time.monotonic():
            return known[0]
        if not NAME.fullmatch(name):
            return None
        keys = await self._directory.organisations.find(dataset_ref.handle, name)
        if keys is None:
            return None
        found = msgspec.structs.replace(dataset_ref, dataset_id=keys.dataset_id, dataset=name)
        self._cached[dataset_ref.org_id, name] = found, time.monotonic() + CACHED_S
        return found

    async def get(self, dataset_ref: DatasetRef, name: str) -> DatasetRef:
        """As `find`; raises NotFound."""
        found = await self.find(dataset_ref, name)
        if found is None:
            raise _unknown(dataset_ref, name)
        return found

    async def list(self, dataset_ref: DatasetRef) -> list[Dataset]:
        """Every dataset, by name."""
        rows = await self._directory.of(dataset_ref.org_id).datasets.list_configured()
        found = [_dataset(row.name, row.created_at, read_config(row.document)) for row in rows]
        return sorted(found, key=lambda dataset: dataset.name)

    async def show(self, dataset_ref: DatasetRef, name: str) -> Dataset:
        """A dataset with its settings; raises NotFound."""
        datasets = await self.list(dataset_ref)
        found = next((dataset for dataset in datasets if dataset.name == name), None)
        if found is None:
            raise _unknown(dataset_ref, name)
        return found

    async def create(
        self,
        dataset_ref: DatasetRef,
        name: str,
        settings: Mapping[str, Any],
        attributes: Changes | None = None,
        *,
        actor: Actor = ADMINISTRATOR,
        also: WriteAlong | None = None,
    ) -> Dataset:
        """Create a dataset with the organisation's identity types.

        `settings`: by name. `also`: what is written together with it. Raises InvalidInput; Conflict if the
        name is in use or the organisation has too many datasets.
        """
        if not NAME.fullmatch(name):
            raise InvalidInput("name", NAME_SENTENCE)
        settings_after = validated_settings(change_settings(NEW_DATASET, settings))
        async with self._directory.transaction() as transaction:
            connection, datasets = transaction.connection, transaction.of(dataset_ref.org_id).datasets
            # Locks the default dataset, so that meanwhile no identity type is added or removed, and nobody
            # verifies what this dataset never hears of.
            home = await self._configurations.change_in(
                Transaction(connection, dataset_ref.dataset_id), lambda _: None
            )
            if len(await datasets.list_ids()) >= self._datasets_max:
                raise Conflict(f"An organisation has at most {self._datasets_max} datasets.", code="limit")
            now = time.time_ns() // 1000
            dataset_id = await datasets.put(name, now)
            if dataset_id is None:
                raise Conflict(f"A dataset {name!r} already exists.", code="taken")
            types = tuple(PutIdentityType(identity_type) for identity_type in home.identity_types.values())

            def decide(config: Config) -> ConfigChange:
                return Several((*types, *self._parts(config, settings_after, attributes or {})))

            config = await self._configurations.change_in(
                Transaction(connection, dataset_id), decide, **actor.author
            )
            await Transaction(connection, dataset_id).verification_queue.put_all()
            created = SettingDifference(f"dataset {name}", "name", None, name)
            await put_audited(transaction.of(dataset_ref.org_id), "dataset", [created], actor)
            if also is not None:
                await also(transaction, dataset_id)
        return _dataset(name, now, config)

    async def change(
        self,
        dataset_ref: DatasetRef,
        name: str,
        settings: Mapping[str, Any],
        attributes: Changes | None = None,
        *,
        actor: Actor = ADMINISTRATOR,
        expected: Versions | None = None,
    ) -> Dataset:
        """Change settings and user attributes; absent ones stay.

        `expected`: as for `Configurations.change`. Raises NotFound, InvalidInput, PreconditionFailed;
        Conflict for a change of identity resolution, which has its own operation.
        """
        at = await self.get(dataset_ref, name)
        decide = self.plan(name, settings, attributes).decide
        async with self._directory.transaction() as transaction:
            await self._configurations.change_in(
                Transaction(transaction.connection, at.dataset_id),
                decide,
                **actor.author,
                expected=expected,
            )
            if at.dataset_id not in await transaction.of(dataset_ref.org_id).datasets.list_ids():
                raise _unknown(dataset_ref, name)
        return await self.show(dataset_ref, name)

    def plan(
        self, name: str, settings: Mapping[str, Any], attributes: Changes | None = None
    ) -> PlannedChange:
        """Change settings and user attributes. Raises InvalidInput and Conflict when it is decided."""

        def decide(config: Config) -> ConfigChange | None:
            settings_after = validated_settings(change_settings(config.dataset, settings))
            _check_resolution(name, config.dataset, settings_after)
            parts = self._parts(config, settings_after, attributes or {})
            return None if parts == (PutDatasetSettings(config.dataset),) else Several(parts)

        return PlannedChange(decide)

    async def delete(self, dataset_ref: DatasetRef, name: str) -> None:
        """Delete an unused dataset. What was configured in it stays in the audit log.

        After CACHED_S, no process finds it any more. Raises NotFound, Conflict.
        """
        if name == DEFAULT_DATASET:
            raise Conflict(
                "The dataset 'default' cannot be deleted: the customer data service uses it.", code="kept"
            )
        at = await self.get(dataset_ref, name)
        async with self._directory.transaction() as transaction:
            # The default dataset first, so that no change of identity types reaches a deleted dataset.
            for dataset_id in (dataset_ref.dataset_id, at.dataset_id):
                await self._configurations.change_in(
                    Transaction(transaction.connection, dataset_id), lambda _: None
                )
            tables = transaction.of(dataset_ref.org_id)
            if await tables.datasets.is_used(at.dataset_id):
                sentence = f"The dataset {name!r} holds profiles or events and cannot be deleted."
                raise Conflict(sentence, code="in_use")
            await tables.audit.copy_configuration(at.dataset_id, name)
            if not await tables.datasets.delete(at.dataset_id):
                raise _unknown(dataset_ref, name)
            deleted = SettingDifference(f"dataset {name}", "name", name, None)
            await put_audited(tables, "dataset", [deleted])
        self.forget(dataset_ref, name)

    def forget(self, dataset_ref: DatasetRef, name: str) -> None:
        """Find a dataset of the organisation no more without looking again."""
        self._cached.pop((dataset_ref.org_id, name), None)

    def _parts(
        self, config: Config, settings_after: DatasetSettings, changes: Changes
    ) -> tuple[SingleChange, ...]:
        attributes, classifications = change_user_attributes(config, changes, self._user_attributes_max)
        settings = msgspec.structs.replace(settings_after, classifications=classifications)
        return (*attributes, PutDatasetSettings(settings))


def _unknown(dataset_ref: DatasetRef, name: str) -> NotFound:
    return NotFound(f"{dataset_ref.handle} has no dataset {name[:100]!r}.")


def _check_resolution(name: str, before: DatasetSettings, after: DatasetSettings) -> None:
    """Rejects a change of identity resolution: turning it on rewrites every profile, and cannot be undone."""
    if before.resolves_identities and not after.resolves_identities:
        raise Conflict("Identity resolution cannot be turned off again.", code="one_way")
    if after.resolves_identities and not before.resolves_identities:
        sentence = (
            f"Turning identity resolution on in {name} rewrites every profile. Preview and apply it with "
            f"`oneself dataset enable-identity {name}`."
        )
        raise Conflict(sentence, code="enable_identity")


def _dataset(name: str, created_at: int, config: Config) -> Dataset:
    return Dataset(name, config.dataset, user_attributes(config), created_at)
