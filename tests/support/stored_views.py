"""The profiles of the views `own` and `proven`: as the tables have them, and as the log folds in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry, ManualMerge, ManualSplit
from oneself.core.fold.replay import replay, touches
from oneself.core.identity_graph import replay as replays
from oneself.core.identity_graph.choices import EffectiveChoice
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.replay import AbsorbedPart, Part, ReplayRules
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.identity_graph.views import ViewedProfile, Views
from oneself.core.resolution.working_set import WorkingSet
from oneself.store.database import Database
from oneself.store.loaded_graph import LoadedGraph
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.log import BEGINNING
from oneself.store.tables.view_profile import ViewRow
from oneself.store.transaction import Tables

VIEWS: tuple[View, ...] = ("own", "proven")
_FRAGMENTS = "SELECT fragment_id FROM fragment WHERE dataset_id = $1"


class ReadProfile(msgspec.Struct, frozen=True):
    """A profile as a view shows it."""

    profile_id: UUID
    user_id: str | None
    created_at: int
    version: int
    values: dict[str, Any]
    choices: dict[str, EffectiveChoice]
    absorbed: tuple[AbsorbedPart, ...]


#: View and fragment → the profile that the fragment belongs to.
ReadProfiles = dict[tuple[View, UUID], ReadProfile]


async def list_fragments(tables: Tables) -> list[FragmentRow]:
    """All fragments of a dataset."""
    found = await tables._executor.fetch(_FRAGMENTS, tables.dataset_id)
    return await tables.fragments.find(row["fragment_id"] for row in found)


async def stored_profiles(database: Database, dataset_id: int, rules: ReplayRules) -> ReadProfiles:
    """The profiles of all fragments, as the tables have them."""
    tables = Tables(database, dataset_id)
    fragments = {row.fragment.fragment_id: row for row in await list_fragments(tables)}
    read: ReadProfiles = {}
    for view in VIEWS:
        heads = {item: _head(row, view) for item, row in fragments.items()}
        for fragment_id, head in heads.items():
            viewed = await tables.view_profiles.find_of_fragment(view, fragment_id)
            assert viewed is not None
            read[view, fragment_id] = (
                _alone(fragments[head], view, rules) if viewed.unified is None else _joined(viewed.unified)
            )
    return read


async def folded_profiles(database: Database, dataset_id: int) -> tuple[ReadProfiles, ReplayRules]:
    """The profiles of all fragments, as the log gives them entry by entry, and the rules of their values."""
    loaded, config = await _fold(Tables(database, dataset_id))
    rules = graph_rules(config)
    views = Views(
        loaded.graph,
        list(loaded.graph.fragments.values()),
        rules.guards,
        rules.fold.values,
        lambda fragment_id, seq: max(
            (
                entry.active_at or 0
                for entry in loaded.entries
                if entry.fragment_id == fragment_id and entry.seq < seq
            ),
            default=0,
        ),
    )
    read = {
        (view, fragment_id): _viewed(views.of(view, fragment_id), rules.reasons)
        for view in VIEWS
        for fragment_id in loaded.graph.fragments
    }
    return read, rules.fold.values


async def _fold(tables: Tables) -> tuple[LoadedGraph, Config]:
    state, config = WorkingSet(), Config()
    loaded = LoadedGraph(graph_rules(config), with_records=True)
    for entry in await tables.log.list_after(BEGINNING, limit=100_000):
        touched, before = touches(entry, config), config
        loaded.rules = graph_rules(before)
        config = replay(state, entry, config)
        observation, evidence = touched.observation, touched.evidence
        if observation is not None and evidence is not None and entry.profile_id is not None:
            observed = Observed(observation, evidence, entry.seq, before, loaded.rules)
            loaded.observe(observed, entry.profile_id, state.unified_ids)
        if touched.decided is not None:
            _decide(state, loaded, touched.decided, entry)
    return loaded, config


def _decide(
    state: WorkingSet, loaded: LoadedGraph, decided: ManualSplit | ManualMerge, entry: LogEntry
) -> None:
    if isinstance(decided, ManualSplit):
        loaded.split(decided, entry.observation_id, entry.seq)
    else:
        loaded.merge(decided, entry.seq)
    state.sides.clear()
    for separation_id, separation in loaded.graph.separations.items():
        for fragment_id, side in separation.sides.items():
            state.add_sides(loaded.believed[fragment_id], {separation_id: (side,)})


def _head(row: FragmentRow, view: View) -> UUID:
    return row.own_id if view == "own" else row.proven_id


def _alone(row: FragmentRow, view: View, rules: ReplayRules) -> ReadProfile:
    part: Part = replays.replay((row.fragment,), (), view, rules, lambda *_: 0)
    owner, reported = row.fragment.owner, row.fragment.reported
    user = owner if view == "own" else owner or reported
    return ReadProfile(
        profile_id=row.fragment.fragment_id,
        user_id=None if user is None else user.user_id,
        created_at=row.fragment.began_at,
        version=row.updated_at,
        values=row.values,
        choices=dict(part.choices),
        absorbed=(),
    )


def _joined(row: ViewRow) -> ReadProfile:
    return ReadProfile(
        row.profile_id,
        row.user_id,
        row.created_at,
        row.updated_at,
        row.record.values,
        row.choices,
        row.absorbed,
    )


def _viewed(profile: ViewedProfile, reasons: Mapping[str, str]) -> ReadProfile:
    return ReadProfile(
        profile.profile_id,
        profile.user_id,
        profile.created_at,
        profile.version,
        profile.record.values,
        dict(profile.choices),
        tuple(
            msgspec.structs.replace(part, reason=reasons.get(part.reason, part.reason))
            for part in profile.absorbed
        ),
    )
