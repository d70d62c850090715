"""What people decided about the parts of a profile: splits and merges by hand.

Invariants: read-only.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from oneself.core.fold.log_entry import ManualMerge, ManualSplit, decided_of
from oneself.core.identity_graph.joins import VIEWS
from oneself.service.history.entries import DecisionStep, HistoryMerge
from oneself.service.history.view_history import find_fragment_ids
from oneself.service.profiles.profiles import ProfileView
from oneself.store.transaction import Tables


async def find_decision_steps(
    tables: Tables, view: ProfileView
) -> tuple[list[DecisionStep], list[HistoryMerge]]:
    """The decisions about the fragments of a profile in its view, in order, and the merges that they ended.

    A merge of a narrower view is one of the wider views too.
    """
    known = set(view.profile_ids)
    if view.view == "all":
        ids: Collection[UUID] = await tables.fragments.find_believed(view.profile_ids)
    else:
        ids = await find_fragment_ids(tables, view)
    steps, ended = [], list[HistoryMerge]()
    for entry in await tables.log.find_decisions_of(ids):
        decided = decided_of(entry)
        assert decided is not None
        if isinstance(decided, ManualSplit) and VIEWS.index(decided.view) <= VIEWS.index(view.view):
            ended += (
                HistoryMerge(item.since, item.survivor_id, item.absorbed_id, item.reason, None, None)
                for item in decided.ended
                if not known.isdisjoint((item.survivor_id, item.absorbed_id))
            )
        steps.append(
            DecisionStep(
                entry.seq,
                view.survivor.profile_id,
                is_split=isinstance(decided, ManualSplit),
                parts=len(decided.fragment_ids),
                reason=decided.reason or None,
                gave_up=decided.gave_up if isinstance(decided, ManualMerge) else None,
                sides=tuple(map(len, decided.members)),
                by=decided.console_user or decided.application,
            )
        )
    return steps, ended
