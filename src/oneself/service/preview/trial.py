"""Make a change on a copy of a dataset, with all the work that follows it.

Invariants: the functions of the change itself and of its jobs, so that the outcome is that of the change. The
copy has no other reader or writer.

Source: docs/decisions/0048-preview-of-every-change.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from oneself.core.config.configuration import Config
from oneself.core.config.configure import configure
from oneself.service.configuration import Configurations, PlannedChange
from oneself.service.ingest.batcher import BatchLimits
from oneself.service.ingest.ingest import Ingest
from oneself.service.log.join_reviewer import JoinReviewer
from oneself.service.log.reconciler import Reconciler
from oneself.service.preview.concerned import ConfigSteps
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.service.rules.rules import Reindexer
from oneself.store.scratch_dataset import ScratchDataset

INTERFACE = "admin"


def plan_steps(config: Config, changes: Sequence[PlannedChange], now: int) -> ConfigSteps:
    """The configurations that the parts of a change lead to. Raises what `decide` raises."""
    configs = [config]
    for change in changes:
        decided = change.decide(configs[-1])
        if decided is not None:
            configs.append(configure(configs[-1], decided, max(now, configs[-1].seq + 1)))
    return ConfigSteps(tuple(configs))


class Trial:
    """The services that change a copy."""

    def __init__(self, scratch: ScratchDataset, progress: Callable[[int, int], None]) -> None:
        """Calls `progress` with the fragments that are done, and with all."""
        database = scratch.database
        self._dataset_id = scratch.dataset_id
        self._configurations = Configurations(database)
        # One connection does one thing at a time.
        limits = BatchLimits(batches_in_flight_max=1)
        self._ingest = Ingest(database, self._configurations, batch_limits=limits)
        self._reindexer = Reindexer(
            database, self._configurations, self._ingest, AdmittedLater(database, self._ingest.tombstones)
        )
        self._reviewer = JoinReviewer(database)
        self._reconciler = Reconciler(database, on_reconciled=self._note)
        self._scratch = scratch
        self._progress = progress
        self._done = self._total = 0

    async def config(self) -> Config:
        """The configuration of the copy."""
        return await self._configurations.current(self._dataset_id)

    async def make(self, changes: Sequence[PlannedChange]) -> None:
        """Make the parts of a change, one after the other, and the work that follows."""
        for change in changes:
            await self._configurations.change(
                self._dataset_id, change.decide, interface=INTERFACE, also=change.also
            )
        await self.finish_work()

    async def finish_work(self) -> None:
        """Do what is to be done in the background."""
        while await self._reindexer.step() or await self._reviewer.step():
            pass
        self._done, self._total = 0, await self._scratch.count_fragments()
        await self._reconciler.reconcile_all()
        await self._ingest.close()

    def _note(self) -> None:
        self._done += 1
        self._progress(min(self._done, self._total), self._total)
