"""The identity graph of a transaction: loaded from PostgreSQL, changed by `core`, written back.

Source: docs/concepts/trust.md, docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from itertools import islice
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.footprint import GraphFootprint, graph_footprint
from oneself.core.identity_graph.graph import ExactKey, IdentityGraph
from oneself.core.identity_graph.rules import GraphRules, graph_rules
from oneself.core.units import SEQ_MAX
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.graph_writer import GraphWriter
from oneself.store.loaded_graph import LoadedGraph, exact_digest
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables, Transaction

#: So many fragments are added before other requests go on: about a millisecond.
ADDED_AT_ONCE = 200


async def gather(
    transaction: Transaction,
    footprint: GraphFootprint,
    rules: GraphRules,
    reindexed_ids: Collection[UUID] = (),
    read: Iterable[FragmentRow] = (),
) -> LoadedGraph:
    """What a batch may touch of the identity graph. `reindexed_ids`: profiles that a job may reindex.

    `read`: fragments that are read already.
    """
    loaded = LoadedGraph(rules, with_records=footprint.has_values)
    await _add_pieces(loaded, read)
    graph, fragments = loaded.graph, transaction.fragments
    await _add_browsers(transaction, loaded, footprint)
    if footprint.claimed or footprint.reports_claims:
        graph.verified = await transaction.verified_claims.find(footprint.users, footprint.claimed)
    verified = {item for claim in graph.verified.values() for item in claim.identifiers}
    named = footprint.persons | footprint.claim_identifiers | verified
    graph.transfers = await _find_transfers(transaction, loaded, named)
    if graph.transfers:
        loaded.add(await fragments.find(await fragments.find_claimants(graph.transfers.keys())))
    exact = dict(_exact_keys(graph, footprint)) if footprint.exact else {}
    needed = footprint.fragment_ids - loaded.rows.keys()
    if needed or exact:
        loaded.add(await fragments.find(needed, (), exact))
    if footprint.reindexes:
        loaded.add(await fragments.find(await fragments.find_believed(reindexed_ids)))
    known = await _add_known_claims(transaction, loaded, footprint)
    proofs = footprint.claim_identifiers | footprint.proving | known
    await _add_users(transaction, loaded, footprint, proofs)
    if footprint.records_verifications:
        await _add_transfers(transaction, loaded)
    for row in loaded.rows.values() if exact else ():
        if row.exact_key in exact:
            graph.exact[exact[row.exact_key]] = row.fragment.fragment_id
    loaded.begin()
    return loaded


async def _add_pieces(loaded: LoadedGraph, read: Iterable[FragmentRow]) -> None:
    """Add fragments; of very many, other requests go on between the pieces."""
    rows = iter(read)
    while piece := list(islice(rows, ADDED_AT_ONCE)):
        loaded.add(piece)
        await asyncio.sleep(0)


async def read_decisions(tables: Tables, graph: IdentityGraph) -> None:
    """Add what people and erasures decided about the fragments of a graph."""
    graph.person_joins = await tables.person_joins.find(graph.fragments)
    graph.separations = await tables.separations.find(graph.fragments)


async def add_decisions(
    transaction: Transaction, loaded: LoadedGraph, fragment_ids: Collection[UUID]
) -> None:
    """Add what people and erasures decided about fragments before."""
    loaded.add_joins(await transaction.person_joins.find(fragment_ids))
    loaded.graph.separations = await transaction.separations.find(fragment_ids)


async def gather_decided(
    transaction: Transaction,
    fragment_ids: Collection[UUID],
    config: Config,
    read: Iterable[FragmentRow] = (),
) -> LoadedGraph:
    """Fragments about which something is decided, with what was decided before. `read`: as of `gather`."""
    rules = graph_rules(config)
    footprint = graph_footprint([], config, rules, joined=fragment_ids)
    loaded = await gather(transaction, footprint, rules, read=read)
    await add_decisions(transaction, loaded, fragment_ids)
    return loaded


async def _add_browsers(transaction: Transaction, loaded: LoadedGraph, footprint: GraphFootprint) -> None:
    browsers = transaction.browsers
    found = await browsers.find_with_fragments(
        footprint.devices, footprint.acting, footprint.users, former=footprint.moves_trackers
    )
    loaded.graph.browsers, loaded.graph.acting = found.browsers, found.acting
    loaded.acting_seq, loaded.clock = found.acting_seq, found.clock
    loaded.add(found.fragments)
    if found.unclear:
        known = await browsers.find_with_fragments(found.unclear, former=footprint.moves_trackers)
        loaded.graph.browsers |= known.browsers
        loaded.clock = known.clock
        loaded.add(known.fragments)


async def _add_known_claims(
    transaction: Transaction, loaded: LoadedGraph, footprint: GraphFootprint
) -> set[Identifier]:
    """Add who else verified the known claims that are verified now; returns their identifiers."""
    graph, claims = loaded.graph, transaction.verified_claims
    own = [item for user in footprint.verified_as_known if (item := graph.own_fragment(user)) is not None]
    values = {
        (write.path, str(write.value)) for item in own for write in item.writes if write.value is not None
    }
    identifiers = {claim.tenure.identifier for item in own for claim in item.claims}
    if values:
        graph.verified |= await claims.find((), values)
        graph.transfers |= await _find_transfers(transaction, loaded, identifiers - graph.transfers.keys())
    return identifiers


async def _find_transfers(
    transaction: Transaction, loaded: LoadedGraph, identifiers: Collection[Identifier]
) -> dict[Identifier, tuple[int, ...]]:
    """When identifiers changed hands. Nothing is asked where none of the dataset ever did."""
    if loaded.clock is not None and not loaded.clock.has_transfers:
        return {}
    return await transaction.verified_claims.find_transfers(identifiers)


async def _add_transfers(transaction: Transaction, loaded: LoadedGraph) -> None:
    """Add when everything changed hands that waiting fragments began with, in whatever case."""
    graph = loaded.graph
    began_with = {tenure.identifier for item in graph.waiting for tenure in item.began_with}
    graph.transfers |= await _find_transfers(transaction, loaded, began_with - graph.transfers.keys())


async def _add_users(
    transaction: Transaction,
    loaded: LoadedGraph,
    footprint: GraphFootprint,
    proofs: Collection[Identifier],
) -> None:
    """Add the users whom verified claims and addressed fragments name, and what these may own."""
    fragments, graph = transaction.fragments, loaded.graph
    addressed = (graph.fragments.get(item) for item in footprint.fragment_ids)
    users = {item.user_id for item in addressed if item is not None and item.user_id is not None}
    users |= {user for user, _ in graph.verified}
    if missing := users - graph.own.keys():
        loaded.add(await fragments.find((), missing))
    if proofs:
        loaded.add(await fragments.find(await _find_provable(transaction, loaded, proofs)))


async def _find_provable(
    transaction: Transaction, loaded: LoadedGraph, proofs: Collection[Identifier]
) -> set[UUID]:
    """The fragments that users may own by identifiers, and the users' own.

    Who else holds them matters only where they changed hands: it decides which tenure is meant.
    """
    moved = loaded.graph.transfers.keys() & proofs
    found = await transaction.fragments.find_proven_claimants(moved)
    found |= await transaction.fragments.find_waiting(set(proofs) - moved)
    return found - loaded.rows.keys()


def _exact_keys(graph: IdentityGraph, footprint: GraphFootprint) -> Iterable[tuple[bytes, ExactKey]]:
    for word in footprint.exact:
        at = SEQ_MAX if word.occurred_at is None else word.occurred_at
        tenures = graph.tenures_of(word.identifiers, at, word.level)
        key: ExactKey = ("server" if word.is_server else "browser", tenures)
        yield exact_digest(key), key


async def save(
    transaction: Transaction, loaded: LoadedGraph, recorder: ChangeRecorder | None = None
) -> dict[UUID, int]:
    """Write what has changed, after the entries of the log and of the fragments, and what was left for later.

    Returns the fragments whose people may have to part, or be joined, in the view `all`, each with its last
    observation, by its place in the log. Raises Contended if another transaction changed the same meanwhile.
    `recorder`: gathers the changes for those who follow; they are stored with the rest.
    """
    if loaded.first_seq is None:
        if recorder is not None:
            await recorder.put(transaction.later)
        await transaction.flush()
        return {}
    await loaded.save_names(transaction)
    changed = loaded.changed()
    writer = GraphWriter(transaction, loaded, loaded.first_seq, changed)
    if changed or loaded.new_joins or loaded.reviewed:
        await writer.save()
    if recorder is not None:
        recorder.note_graph(*writer.readings)
        await recorder.put(transaction.later)
    await transaction.flush()
    return {item: loaded.graph.fragments[item].seq for item in writer.unreconciled}
