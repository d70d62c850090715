"""Refusals in the view `proven`: profiles that servers say one identifier of and that are not one profile.

They are not recorded: they follow from the identity graph. So what was only asserted neither adds one nor
hides one. The table `refusal` has the decisions of the view `all`.

Invariants: read-only. A refusal belongs to the newer one of its two profiles.

Source: docs/concepts/trust.md, "Views"; docs/concepts/resolution.md, rule 6.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.partition import partition
from oneself.core.identity_graph.rules import graph_rules
from oneself.store.identity_graph import read_decisions
from oneself.store.tables.fragment import ProvenHead
from oneself.store.tables.refusal import ListedRefusal, RefusalPosition
from oneself.store.transaction import Tables

#: With how many older profiles each one is compared.
PARTNERS_MAX = 20
_FIRST_ID = UUID(int=0)
_LAST_KIND = -(2**63)


async def find_proven_refusals(
    tables: Tables,
    config: Config,
    limit: int,
    before: RefusalPosition,
    code: str | None = None,
    *,
    profiles_per_page: int,
) -> tuple[list[ListedRefusal], RefusalPosition | None]:
    """The refusals before a position, those of the newest profile first, and where the next page begins.

    A page examines `profiles_per_page` profiles. It may be short, and even empty, although another one
    follows.
    """
    found: list[_Placed] = []
    heads = await tables.fragments.list_proven_heads(before.seq, before.profile_id, profiles_per_page)
    for head in heads:
        if head.shares:
            placed = await _refusals_of(tables, head, config)
            found += [item for item in placed if item.follows(before) and code in (None, item.refusal.code)]
        if len(found) > limit:
            return [item.refusal for item in found[:limit]], found[limit - 1].position
    rest = None
    if len(heads) == profiles_per_page:
        rest = RefusalPosition(heads[-1].created_at, heads[-1].fragment_id, _FIRST_ID, _LAST_KIND)
    return [item.refusal for item in found], rest


class _Placed(msgspec.Struct, frozen=True):
    """A refusal and where it is in the list."""

    position: RefusalPosition
    refusal: ListedRefusal

    def follows(self, before: RefusalPosition) -> bool:
        return msgspec.structs.astuple(self.position) < msgspec.structs.astuple(before)


async def _refusals_of(tables: Tables, head: ProvenHead, config: Config) -> list[_Placed]:
    """The refusals of a profile and older ones, in the order of the list."""
    refused = sorted((await _refused_joins(tables, head, config)).items(), reverse=True)
    placed: list[_Placed] = []
    for number, ((other, code, namespace), moments) in enumerate(refused):
        position = RefusalPosition(head.created_at, head.fragment_id, other, -number)
        refusal = ListedRefusal(
            code=code,
            profile_id=head.fragment_id,
            other_id=other,
            namespace=namespace,
            first_seq=min(moments),
            last_seq=max(moments),
            times=len(moments),
            kind=position.kind,
        )
        placed.append(_Placed(position, refusal))
    return placed


async def _refused_joins(
    tables: Tables, head: ProvenHead, config: Config
) -> dict[tuple[UUID, str, str], list[int]]:
    """Other profile, code and namespace → since when each join with it would count, as a seq."""
    others = await tables.fragments.find_sharing_heads(head, PARTNERS_MAX)
    graph, heads = IdentityGraph(), dict[UUID, UUID]()
    for profile_id in (head.fragment_id, *others):
        for row in await tables.fragments.find_members("proven", profile_id):
            heads[graph.put(row.fragment).fragment_id] = profile_id
    await read_decisions(tables, graph)
    found: dict[tuple[UUID, str, str], list[int]] = {}
    guards = graph_rules(config).guards
    for item in partition(graph, graph.fragments.values(), "proven", guards).refused:
        sides = {heads[item.join.one], heads[item.join.other]}
        if head.fragment_id in sides and len(sides) > 1:
            (other,) = sides - {head.fragment_id}
            found.setdefault((other, item.code, item.namespace), []).append(item.join.since)
    return found
