"""What observations changed in a profile: its values and the person's choices.

Invariants: read-only. At most ENTRIES_MAX entries of the log are looked at, the first ones.

Source: docs/decisions/0044-history-of-values.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.value_history import ValueHistory
from oneself.service.history.entries import ConsentStep, Creation, ValueStep
from oneself.service.history.view_history import find_fragment_ids, listed_ids
from oneself.service.log.graph_fold import observed_then
from oneself.service.profiles.profiles import ProfileView
from oneself.store.transaction import Tables

#: Some hundred milliseconds: most entries are only looked at.
ENTRIES_MAX = 20_000


async def find_creations(tables: Tables, view: ProfileView) -> list[Creation]:
    """When the profiles began that a profile of the view consists of."""
    rows = await tables.fragments.find(view.profile_ids)
    return [Creation(row.fragment.began_at, row.fragment.fragment_id) for row in rows]


async def find_value_steps(
    tables: Tables, view: ProfileView, *, entries_max: int = ENTRIES_MAX
) -> tuple[list[ValueStep | ConsentStep], bool]:
    """The values and choices that changed, in order, and whether all entries were looked at."""
    if view.view == "all":
        ids: Iterable[UUID] = view.profile_ids
        listed: dict[UUID, UUID] = {}
    else:
        ids = sorted(await find_fragment_ids(tables, view))
        listed = listed_ids(ids, view)
    found, is_complete = await tables.log.list_changing(ids, entries_max, by_fragment=view.view != "all")
    configs = await tables.log.find_configurations() if found else {}
    history = ValueHistory(view.view)
    steps: list[ValueStep | ConsentStep] = []
    for entry in found:
        observed = observed_then(entry, configs)
        profile_id = entry.profile_id if view.view == "all" else listed[entry.fragment_id]
        steps += (
            ValueStep(entry.seq, profile_id, change.path, change.before, change.after)
            for change in history.take(entry.fragment_id, observed)
        )
        steps += _choices(observed, profile_id)
    return steps, is_complete


def _choices(observed: Observed, profile_id: UUID) -> Iterator[ConsentStep]:
    observation = observed.observation
    chosen = {**(observation.consents or {}), **observation.choices}
    for category, (is_consented, _) in sorted(chosen.items()):
        yield ConsentStep(observed.seq, profile_id, category, is_consented)
