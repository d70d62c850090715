"""Preview a change of settings: the profiles of each view before it and after it.

    seeds ─▶ copy ─▶ unfinished work ─▶ state ─▶ the change and its work ─▶ state ─▶ compared

Invariants: nothing live is written or locked. One preview of a process runs at a time; few wait.

Source: docs/decisions/0048-preview-of-every-change.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from time import monotonic
from uuid import UUID

import msgspec
from structlog.contextvars import bound_contextvars

from oneself.core.config.configuration import Config
from oneself.core.fold.reconcile import believed_graph
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.joins import VIEWS, View
from oneself.core.identity_graph.partition import Partition, partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.errors import Contended
from oneself.service.configuration import Configurations, PlannedChange
from oneself.service.context import DatasetRef
from oneself.service.log.believed_profiles import load_log
from oneself.service.preview.concerned import PreviewLimits, find_concerned
from oneself.service.preview.outcome import ViewPreview, ViewState, compare, cut_view
from oneself.service.preview.trial import Trial, plan_steps
from oneself.service.rules.preview import ENTRIES_MAX
from oneself.store.database import Database
from oneself.store.identity_graph import read_decisions
from oneself.store.scratch_dataset import FragmentHeads, ScratchDataset, open_scratch_dataset

#: More requests than these are rejected while a preview runs.
WAITING_MAX = 4


class ChangePreview(msgspec.Struct, frozen=True):
    """What a change does to the profiles that it concerns, view by view."""

    #: How many profiles of the view `all` were looked at, the absorbed ones included.
    profiles_examined: int
    #: False: the change may concern more than were looked at.
    is_complete: bool
    views: Mapping[View, ViewPreview]


class ChangePreviews:
    """Says what a change would do."""

    def __init__(
        self,
        database: Database,
        configurations: Configurations,
        limits: PreviewLimits | None = None,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._database = database
        self._configurations = configurations
        self._limits = limits or PreviewLimits()
        self._entries_max = entries_max
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def may_concern(self, dataset_ref: DatasetRef, changes: Sequence[PlannedChange]) -> bool:
        """Whether a change may join or part stored profiles. Raises what the change itself would raise."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        steps = plan_steps(config, changes, 0)
        return bool(steps.job_ids) or steps.changes_joins

    async def preview(
        self,
        dataset_ref: DatasetRef,
        changes: Sequence[PlannedChange],
        progress: Callable[[int, int], None] = lambda done, total: None,
        limits: PreviewLimits | None = None,
    ) -> ChangePreview:
        """What a change would do if it were made now. Calls `progress(done, total)` as it goes.

        Raises what the change itself would raise, and Contended while too many previews wait.
        """
        if self._waiting > WAITING_MAX:
            raise Contended("Too many previews are waiting.")
        self._waiting += 1
        try:
            # What the jobs log of the copy says whose preview it is.
            async with self._one_at_a_time:
                with bound_contextvars(preview_of=dataset_ref.dataset_id):
                    return await self._preview(
                        dataset_ref.dataset_id, changes, progress, limits or self._limits
                    )
        finally:
            self._waiting -= 1

    async def preview_several(
        self, changes: Sequence[tuple[DatasetRef, PlannedChange]]
    ) -> list[tuple[DatasetRef, ChangePreview]]:
        """The previews of changes in several datasets: of the first one, and of as many more as there is time
        for. Raises as `preview`.
        """
        previewed: list[tuple[DatasetRef, ChangePreview]] = []
        began = monotonic()
        for dataset_ref, change in changes:
            previewed.append((dataset_ref, await self.preview(dataset_ref, [change])))
            if monotonic() - began >= self._limits.several_s:
                break
        return previewed

    async def _preview(
        self,
        dataset_id: int,
        changes: Sequence[PlannedChange],
        progress: Callable[[int, int], None],
        limits: PreviewLimits,
    ) -> ChangePreview:
        # Rejected before anything is copied.
        plan_steps(await self._configurations.current(dataset_id), changes, 0)
        async with open_scratch_dataset(self._database, dataset_id) as scratch:
            async with scratch.snapshot():
                config = await scratch.live.config.find()
                steps = plan_steps(config, changes, await scratch.live.log.find_change_seq())
                concerned = await find_concerned(scratch, steps, limits)
                await scratch.copy(concerned.profile_ids, concerned.fragment_ids, concerned.names)
            await scratch.hide_live_tables()
            trial = Trial(scratch, progress)
            await trial.finish_work()
            before = await _read_state(scratch, await trial.config())
            await trial.make(changes)
            config = await trial.config()
            after = await _read_state(scratch, config)
        reasons = graph_rules(config).reasons
        views = {view: await asyncio.to_thread(compare, before[view], after[view], reasons) for view in VIEWS}
        return ChangePreview(
            len(concerned.profile_ids),
            concerned.is_complete,
            {view: cut_view(found, self._entries_max) for view, found in views.items()},
        )


async def _read_state(scratch: ScratchDataset, config: Config) -> dict[View, ViewState]:
    """The profiles of the copy in every view."""
    tables, heads, survivors = scratch.tables, await scratch.list_heads(), await scratch.list_survivors()
    rows = {row.fragment.fragment_id: row for row in await tables.fragments.find(heads)}
    fragments = [row.fragment for row in rows.values()]
    graph = IdentityGraph()
    for fragment in fragments:
        graph.put(fragment)
    await read_decisions(tables, graph)
    partitions = await asyncio.to_thread(_partitions, graph, config)
    if config.dataset.guards_asserted_merges:
        log = await load_log(tables, frozenset(survivors), rows)
        believed = believed_graph(fragments, graph.person_joins, graph.separations, log)
        guards = graph_rules(config).guards
        partitions["all"] = await asyncio.to_thread(partition, believed, fragments, "all", guards)
    refusals, merges = await scratch.list_refusals(), await scratch.list_merges()
    states: dict[View, ViewState] = {}
    for view in VIEWS:
        of_fragments = _heads(view, heads, survivors)
        is_all = view == "all"
        profiles: dict[Hashable, UUID] = dict(survivors.items()) if is_all else {}
        states[view] = ViewState(
            view=view,
            heads=profiles | {("fragment", key): head for key, head in of_fragments.items()},
            of_fragments=of_fragments,
            values=await scratch.list_values(view),
            partition=partitions.get(view),
            refusals=refusals if is_all else (),
            merges=merges if is_all else {},
        )
    return states


def _partitions(graph: IdentityGraph, config: Config) -> dict[View, Partition]:
    fragments, guards = graph.fragments.values(), graph_rules(config).guards
    views: tuple[View, ...] = ("own", "proven")
    return {view: partition(graph, fragments, view, guards) for view in views}


def _heads(
    view: View, heads: Mapping[UUID, FragmentHeads], survivors: Mapping[UUID, UUID]
) -> dict[UUID, UUID]:
    if view == "all":
        return {
            key: survivors[item.believed_id] for key, item in heads.items() if item.believed_id in survivors
        }
    return {key: item.own_id if view == "own" else item.proven_id for key, item in heads.items()}
