"""Explanations in the view `all`: the merges that made a profile, as the wires' algorithms decided them.

The parts of a profile are the profiles of before there. Each was absorbed by one other: its last merge leads
to the survivor.

Invariants: read-only. A page costs the same for any size of profile.

Source: docs/decisions/0030-the-view-all-is-folded-by-the-wires.md, docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.explain import ApartCause, why_apart
from oneself.core.identity_graph.joins import MANUAL
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.observation import Reindex
from oneself.service.explain.apart import CAUSES_MAX, FRAGMENTS_MAX, explained_causes, load_graph
from oneself.service.explain.refused_then import refused_then
from oneself.service.explain.rendering import observation_about, part_of
from oneself.service.explain.values import (
    EvidenceName,
    ExplainedCause,
    ExplainedJoin,
    ExplainedPart,
    ExplainedSide,
    JoinPage,
    JoinPosition,
)
from oneself.service.explain.values_apart import unused_values
from oneself.service.profiles.parts import ProfilePart
from oneself.store.tables.explanation import ClaimedSince, MergeRow, NotedObservation, RefusalRow
from oneself.store.transaction import Tables

#: Merges that one step looks at.
CHUNK = 100
#: Merges on one way.
MERGES_MAX = 1_000
_ORDER: tuple[EvidenceName, ...] = ("same_user", "verified", "proven", "asserted")
_Claims = Mapping[tuple[Identifier, UUID], ClaimedSince]
_Noted = Mapping[int, Sequence[NotedObservation]]


async def believed_joins(
    tables: Tables, survivor_id: UUID, position: JoinPosition, limit: int, *, chunk: int = CHUNK
) -> JoinPage:
    """Up to `limit` merges of a profile from a position on; the strongest of each chunk first."""
    joins: list[ExplainedJoin] = []
    while True:
        merges = await tables.explanations.list_merges(survivor_id, position.part_id, chunk)
        found = sorted(await _explained(tables, merges), key=_strength)
        left, room = found[position.skipped :], limit - len(joins)
        joins += left[:room]
        if len(left) > room:
            skipped = position.skipped + room
            return JoinPage(tuple(joins), msgspec.structs.replace(position, skipped=skipped))
        if len(merges) < chunk:
            return JoinPage(tuple(joins), None)
        position = JoinPosition(0, -1, merges[-1].absorbed_id)


async def believed_path(tables: Tables, one: UUID, other: UUID) -> tuple[list[ExplainedJoin], bool]:
    """The merges that lead from one profile of before to another, and whether they are complete."""
    ways = [await _up(tables, item) for item in (one, other)]
    ways_up = [
        [item, *(merge.survivor_id for merge in way)] for item, way in zip((one, other), ways, strict=True)
    ]
    common = next((item for item in ways_up[0] if item in ways_up[1]), None)
    if common is None:
        return [], False
    first, second = (way[: way_ids.index(common)] for way, way_ids in zip(ways, ways_up, strict=True))
    return await _explained(tables, [*first, *reversed(second)]), True


async def believed_causes(
    tables: Tables, one: ProfilePart, other: ProfilePart, config: Config, *, is_past: bool = False
) -> tuple[ExplainedCause, ...]:
    """Why two profiles of the view `all` are not one, what the write path recorded first; never empty.

    `is_past`: they are read as they were.
    """
    ids = [
        {part.part_id, part.head, *await tables.explanations.list_absorbed(part.head, FRAGMENTS_MAX)}
        for part in (one, other)
    ]
    recorded = await tables.explanations.find_refusals(*ids)
    sides = [sorted(await tables.fragments.find_believed(item))[:FRAGMENTS_MAX] for item in ids]
    graph = await load_graph(tables, {*sides[0], *sides[1]})
    guards = graph_rules(config).guards
    causes = why_apart(graph, sides[0], sides[1], "all", guards)
    if is_past:
        recorded = refused_then(recorded, graph, sides, guards)
        causes = [_then(item) for item in causes]
    values = [part.profile.survivor.record.values for part in (one, other)]
    found = [
        *_between(recorded, *ids),
        *explained_causes(graph, causes, "all"),
        *unused_values(values[0], values[1], config),
    ]
    found = found or list(_of_values(recorded, *ids))
    # What the identity graph ties otherwise is pending only if nothing else keeps the two apart.
    found = [item for item in found if item.code not in ("pending", "parted_since")] or found
    return tuple(_each_once(found)[:CAUSES_MAX]) or (ExplainedCause("nothing_in_common"),)


def _then(cause: ApartCause) -> ApartCause:
    """A cause as of the past: what would have to be computed again was one, if only a moment later."""
    return msgspec.structs.replace(cause, code="parted_since") if cause.code == "pending" else cause


async def _up(tables: Tables, profile_id: UUID) -> list[MergeRow]:
    """The merges that lead from a profile up to its survivor, none twice."""
    way: list[MergeRow] = []
    seen = {profile_id}
    for merge in await tables.explanations.find_merges_up(profile_id, MERGES_MAX):
        if merge.survivor_id in seen:
            break
        seen.add(merge.survivor_id)
        way.append(merge)
    return way


async def _explained(tables: Tables, merges: Sequence[MergeRow]) -> list[ExplainedJoin]:
    ids = {part_id for item in merges for part_id in (item.absorbed_id, item.survivor_id)}
    rows = await tables.fragments.find(ids)
    parts = {row.fragment.fragment_id: part_of(row.fragment, "all") for row in rows}
    claims = await tables.explanations.find_claims(
        (item.identifier, part_id)
        for item in merges
        if item.identifier is not None
        for part_id in (item.absorbed_id, item.survivor_id)
    )
    decided = await _decided(tables, ids)
    seqs = {item.seq for item in merges} | {claim.since for claim in claims.values()} | {*decided.values()}
    noted = await tables.explanations.find_observations(seqs)
    joins = [_joined(item, parts, claims, noted) for item in merges]
    return [_by_hand(join, decided, noted) for join in joins]


async def _decided(tables: Tables, ids: Collection[UUID]) -> dict[UUID, int]:
    """Fragment → the seq of the merge by hand that it stands for a profile in."""
    made = [item for item in await tables.person_joins.find(ids) if item.reason == MANUAL]
    return {item: join.since for join in made for item in (join.one, join.other)}


def _by_hand(join: ExplainedJoin, decided: Mapping[UUID, int], noted: _Noted) -> ExplainedJoin:
    """The merge as the person made it, if a person did: the view `all` follows later."""
    absorbed_id = join.sides[0].part.part_id
    if join.reason != MANUAL or join.identifier is not None or absorbed_id not in decided:
        return join
    since = decided[absorbed_id]
    sides = [
        msgspec.structs.replace(side, observation=observation_about(noted.get(since, ()), side.part.part_id))
        for side in join.sides
    ]
    return msgspec.structs.replace(join, evidence="proven", since=since, sides=(sides[0], sides[1]))


def _joined(
    merge: MergeRow, parts: Mapping[UUID, ExplainedPart], claims: _Claims, noted: _Noted
) -> ExplainedJoin:
    one, other = (
        _side(merge, part_id, parts, claims, noted) for part_id in (merge.absorbed_id, merge.survivor_id)
    )
    evidence: EvidenceName = max((side.evidence or "asserted" for side in (one, other)), key=_ORDER.index)
    if merge.identifier is not None and merge.identifier.namespace == USER_ID:
        evidence = "same_user"
    return ExplainedJoin(merge.reason, evidence, merge.seq, merge.identifier, (one, other))


def _side(
    merge: MergeRow,
    part_id: UUID,
    parts: Mapping[UUID, ExplainedPart],
    claims: _Claims,
    noted: _Noted,
) -> ExplainedSide:
    """One side of a merge: what said the identifier of it, else the observation that merged.

    An identifier that only a page had said of it may have been proven by the observation that merged.
    """
    part = parts.get(part_id) or ExplainedPart(part_id, "profile")
    claim = claims.get((merge.identifier, part_id)) if merge.identifier is not None else None
    merging = next(iter(noted.get(merge.seq, ())), None)
    if claim is not None and (claim.trust == "server" or merging is None or not _proves(merging)):
        observation = observation_about(noted.get(claim.since, ()), part_id)
        return ExplainedSide(part, observation, _evidence(claim.trust))
    trust = "server" if merging is not None and _proves(merging) else "browser"
    return ExplainedSide(part, observation_about(noted.get(merge.seq, ()), part_id), _evidence(trust))


def _proves(merging: NotedObservation) -> bool:
    """Whether the observation that merged says itself what it merged by: a job only reads what is stored."""
    return merging.trust == "server" and merging.kind != Reindex.kind


def _evidence(trust: str) -> EvidenceName:
    return "proven" if trust == "server" else "asserted"


def _strength(join: ExplainedJoin) -> tuple[int, int]:
    return _ORDER.index(join.evidence), join.since


def _between(recorded: Iterable[RefusalRow], ones: set[UUID], others: set[UUID]) -> list[ExplainedCause]:
    """The recorded refusals of merges between two profiles."""
    return [
        _cause(item)
        for item in recorded
        if {item.profile_id, item.other_id} & ones and {item.profile_id, item.other_id} & others
    ]


def _of_values(recorded: Iterable[RefusalRow], ones: set[UUID], others: set[UUID]) -> list[ExplainedCause]:
    """The recorded refusals of values, in namespaces in which both profiles have some."""
    alone = [item for item in recorded if item.profile_id == item.other_id]
    kinds = [
        {(item.code, item.namespace) for item in alone if item.profile_id in side} for side in (ones, others)
    ]
    return [_cause(item) for item in alone if (item.code, item.namespace) in kinds[0] & kinds[1]]


def _cause(row: RefusalRow) -> ExplainedCause:
    parts = None
    if row.profile_id != row.other_id:
        parts = ExplainedPart(row.profile_id, "profile"), ExplainedPart(row.other_id, "profile")
    return ExplainedCause(
        row.code, namespace=row.namespace, parts=parts, since=row.first_seq, times=row.times
    )


def _each_once(causes: Iterable[ExplainedCause]) -> list[ExplainedCause]:
    """The first cause of each code and namespace."""
    found: dict[tuple[str, str], ExplainedCause] = {}
    for item in causes:
        namespace = item.namespace or (item.identifier.namespace if item.identifier is not None else "")
        known = found.setdefault((item.code, namespace), item)
        if known.identifier is None and item.identifier is not None:
            found[item.code, namespace] = msgspec.structs.replace(
                item, times=known.times, since=known.since or item.since
            )
    return list(found.values())
