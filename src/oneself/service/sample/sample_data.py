"""Sample data: a dataset of its own with a handful of people, and its removal with everything in it.

    add ─▶ adding ─▶ complete ─▶ remove ─▶ removing ─▶ removed ─▶ forgotten

Invariants: an organisation has one sample dataset at a time. Only a dataset that was made here is removed.
From the first step of a removal on, nobody finds the dataset; its rows are deleted in the background, by any
process, some at a time. A process that found the dataset before may write to it for `datasets.CACHED_S`; what
it wrote is deleted later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from oneself.core.config.changes import PutAttributes, PutIdentityAttributes, Several
from oneself.core.config.difference import SettingDifference
from oneself.core.units import MINUTE_US
from oneself.errors import Conflict, NotFound, OneselfError
from oneself.service.audited import put_audited
from oneself.service.background import run_steps
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.sign_in import INTERFACE as SIGN_IN
from oneself.service.events.incoming import EventSource, IncomingEvent
from oneself.service.events.interactions import Interactions
from oneself.service.profiles.profiles import Profiles
from oneself.service.sample.story import EMAIL, STORY, SampleEvent, SampleSignIn, attributes, bindings
from oneself.service.schema.datasets import CACHED_S, Datasets
from oneself.store.directory import Directory, DirectoryTransaction
from oneself.store.tables.sample_dataset import SampleDatasetRow, SampleRemovals
from oneself.store.transaction import Transaction

__all__ = ["SampleData", "SampleDatasetRow"]

_logger = structlog.get_logger("oneself.sample_data")
NAME = "sample"
#: Names that are tried, if an organisation uses the first one itself.
NAMES = (NAME, *(f"{NAME}-{number}" for number in range(2, 10)))
#: A few milliseconds.
ROWS_PER_STEP = 2_000
POLL_S = 30.0
CHANNEL = "web"
HOUR_US = 60 * MINUTE_US


class SampleData:
    """Adds and removes sample data."""

    def __init__(
        self,
        directory: Directory,
        configurations: Configurations,
        datasets: Datasets,
        interactions: Interactions,
        profiles: Profiles,
        *,
        rows_per_step: int = ROWS_PER_STEP,
    ) -> None:
        self._directory = directory
        self._configurations = configurations
        self._datasets = datasets
        self._interactions = interactions
        self._profiles = profiles
        self._rows_per_step = rows_per_step
        self._asked = asyncio.Event()

    async def find(self, dataset_ref: DatasetRef) -> SampleDatasetRow | None:
        """The sample dataset of an organisation, also while it is removed; None: there is none."""
        found = await self._directory.of(dataset_ref.org_id).sample_datasets.find()
        return next((row for row in found if row.state != "removed"), None)

    async def add(self, dataset_ref: DatasetRef, actor: Actor) -> DatasetRef:
        """Make a dataset with the sample data. `dataset_ref`: of the organisation's dataset `default`.

        Raises Conflict if the organisation has sample data, or uses every name that it could have.
        """
        sample_ref = await self._create(dataset_ref, actor)
        change = Several((PutAttributes(attributes()), PutIdentityAttributes(bindings())))
        config = await self._configurations.change(
            sample_ref.dataset_id,
            lambda _: change,
            interface=actor.interface,
            console_user=actor.console_user,
        )
        now = time.time_ns() // 1000
        trackers: dict[str, str] = {}
        for step in STORY:
            if isinstance(step, SampleSignIn):
                await self._sign_in(sample_ref, step, trackers[step.device])
                continue
            incoming = _incoming(step, now, trackers.get(step.device or ""))
            result = await self._interactions.ingest(sample_ref, EventSource(step.trust), incoming, config)
            if step.device is not None and result.tracker is not None:
                trackers[step.device] = result.tracker
        await self._directory.of(dataset_ref.org_id).sample_datasets.complete(sample_ref.dataset_id)
        return sample_ref

    async def remove(self, dataset_ref: DatasetRef, actor: Actor) -> None:
        """Remove the sample dataset of an organisation. Raises NotFound if there is none to remove."""
        found = await self.find(dataset_ref)
        if found is None:
            raise NotFound("The organisation has no sample data.")
        async with self._directory.transaction() as transaction:
            for dataset_id in (dataset_ref.dataset_id, found.dataset_id):
                # Waits for the batches that are being ingested.
                await self._configurations.change_in(
                    Transaction(transaction.connection, dataset_id), lambda _: None
                )
            samples = transaction.of(dataset_ref.org_id).sample_datasets
            if not await samples.start_removal(found.dataset_id):
                raise NotFound("The sample data is being removed already.")
            deleted = SettingDifference(f"dataset {found.name}", "name", found.name, None)
            await put_audited(transaction.of(dataset_ref.org_id), "dataset", [deleted], actor)
        self._datasets.forget(dataset_ref, found.name)
        self._asked.set()

    async def run(self) -> None:
        """Delete what is removed until cancelled."""
        await run_steps(self._step_when_asked, POLL_S, _note_interruption)

    async def step(self) -> bool:
        """Delete some rows of a dataset that is removed; False if there are none."""
        async with self._directory.transaction() as transaction:
            removals = SampleRemovals(transaction.connection)
            removal = await removals.lock_due(2 * CACHED_S)
            if removal is None:
                return False
            if not await removals.delete_rows(removal.dataset_id, self._rows_per_step):
                await removals.finish(removal)
            return True

    async def _step_when_asked(self) -> bool:
        """Delete some rows; if there are none, wait until a removal may have begun here or elsewhere."""
        if not await self.step():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._asked.wait()
            self._asked.clear()
        return True

    async def _sign_in(self, sample_ref: DatasetRef, step: SampleSignIn, tracker: str) -> None:
        active = await self._profiles.find_active_tracker(sample_ref, [tracker])
        await self._profiles.sign_in(
            sample_ref, Actor(SIGN_IN), step.user, tracker=active, claims={EMAIL: step.email}
        )

    async def _create(self, dataset_ref: DatasetRef, actor: Actor) -> DatasetRef:
        """Make the dataset, with the note that it is a sample."""
        used = {dataset.name for dataset in await self._datasets.list(dataset_ref)}
        name = next((name for name in NAMES if name not in used), None)
        if name is None:
            raise Conflict(
                f"The organisation uses the dataset names {', '.join(NAMES)} itself.", code="taken"
            )

        async def note(transaction: DirectoryTransaction, dataset_id: int) -> None:
            if not await transaction.of(dataset_ref.org_id).sample_datasets.put(dataset_id, name):
                raise Conflict("The organisation has sample data already.", code="sample")

        await self._datasets.create(dataset_ref, name, {}, actor=actor, also=note)
        return await self._datasets.get(dataset_ref, name)


def _incoming(event: SampleEvent, now: int, tracker: str | None) -> IncomingEvent:
    return IncomingEvent(
        name=event.name,
        channel=CHANNEL,
        anonymous_id=event.device,
        # A browser without a tracker asks for one.
        tracker=None if event.device is None else tracker or "",
        identifiers=event.identifiers,
        values=event.values,
        body={"interaction": {"name": event.name}},
        occurred_at=now - round(event.hours_ago * HOUR_US),
    )


def _note_interruption(error: OneselfError) -> None:
    _logger.warning("removal_interrupted", cause=error.message)
