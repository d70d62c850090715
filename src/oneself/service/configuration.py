"""Configurations: one versioned value per dataset, by which observations are resolved.

Invariants: a change is decided on the current version while nothing is ingested into the dataset. It is an
observation itself: it goes to the log, and the next version to the table `config`, in one transaction.
Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from oneself.core.config.changes import ConfigChange
from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure, required_reindexing
from oneself.core.config.difference import config_differences
from oneself.core.identity_graph.unreconciled import admits_more, changes_guards
from oneself.errors import PreconditionFailed
from oneself.service.acting import named_or_acting
from oneself.service.audited import actor_content
from oneself.service.coalesce import Coalesced
from oneself.service.context import Actor
from oneself.service.lost_races import repeat
from oneself.store.database import Database
from oneself.store.tables.unreconciled_fragment import EVERY_FRAGMENT
from oneself.store.transaction import Tables, Transaction

Decide = Callable[[Config], ConfigChange | None]
#: Writes what has to be there together with a new configuration.
WriteAlong = Callable[[Transaction, Config], Awaitable[None]]
#: Dataset → the version of its configuration.
Versions = Mapping[int, int]


class CurrentConfiguration(Protocol):
    """Says by which configuration a dataset is read."""

    async def current(self, dataset_id: int) -> Config: ...


class GivenConfiguration:
    """One configuration, for what reads a dataset as it was."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def current(self, dataset_id: int) -> Config:
        """The configuration, whatever the dataset has now."""
        return self._config


class PlannedChange(msgspec.Struct, frozen=True):
    """A change as its use-case makes it, or previews it.

    `decide`: as that of `Configurations.change`. `also`: what is written together with the new configuration.
    """

    decide: Decide
    also: WriteAlong | None = None


class Configurations:
    """Finds and changes configurations, and caches the last version of each."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[int, Config] = {}
        self._versions: dict[int, Coalesced[int]] = {}

    async def current(self, dataset_id: int) -> Config:
        """The configuration as it is now in every process."""
        tables = Tables(self._database, dataset_id)
        versions = self._versions.get(dataset_id)
        if versions is None:
            versions = self._versions[dataset_id] = Coalesced(tables.config.find_version)
        version = await versions()
        known = self._known.get(dataset_id)
        if known is not None and known.version == version:
            return known
        return await self.load(tables)

    def known(self, dataset_id: int) -> Config | None:
        """The cached version, which may be outdated."""
        return self._known.get(dataset_id)

    async def load(self, tables: Tables) -> Config:
        """Read the configuration and cache it."""
        config = self._known[tables.dataset_id] = await tables.config.find()
        return config

    async def change(
        self,
        dataset_id: int,
        decide: Decide,
        *,
        interface: str = "cds",
        application: str | None = None,
        console_user: str | None = None,
        also: WriteAlong | None = None,
        expected: Versions | None = None,
    ) -> Config:
        """Change the configuration by what `decide` returns for the current one; None changes nothing.

        `decide` raises to reject the change. Waits for the batches that are being ingested, which are short.
        `application`: the client id of the caller, `console_user`: the name of who acts, for the audit log;
        without either, who acts in this task.
        `expected`: the versions that the caller knows. Raises PreconditionFailed if the version is another.
        """

        async def act(transaction: Transaction) -> Config:
            return await self.change_in(
                transaction,
                decide,
                interface=interface,
                application=application,
                console_user=console_user,
                also=also,
                expected=expected,
            )

        changed = await repeat(self._database, dataset_id, act)
        self._known[dataset_id] = changed
        return changed

    async def change_in(
        self,
        transaction: Transaction,
        decide: Decide,
        *,
        interface: str = "cds",
        application: str | None = None,
        console_user: str | None = None,
        also: WriteAlong | None = None,
        expected: Versions | None = None,
    ) -> Config:
        """The same in a transaction of the caller, who changes each dataset at most once in it and takes the
        datasets of an organisation in the order of their ids."""
        await transaction.lock_config()
        config = await self.load(transaction)
        if expected is not None and expected.get(transaction.dataset_id) != config.version:
            raise PreconditionFailed("The configuration was changed in the meantime.")
        change = decide(config)
        if change is None:
            return config
        changed = configure(config, change, await transaction.log.find_change_seq())
        actor = named_or_acting(Actor(interface, application, console_user=console_user))
        content = {
            **actor_content(actor),
            "change": msgspec.to_builtins(change),
            "difference": msgspec.to_builtins(config_differences(config, changed, change)),
        }
        await transaction.log.put_change(changed, uuid.uuid4(), content)
        await transaction.config.put(changed)
        for job_id in required_reindexing(config, changed):
            await transaction.reindex_jobs.start(job_id)
        if changes_guards(config, changed):
            await transaction.unreconciled_fragments.put({EVERY_FRAGMENT: changed.seq})
        if admits_more(config, changed):
            await transaction.join_reviews.start(changed.seq)
        if also is not None:
            await also(transaction, changed)
        return changed
