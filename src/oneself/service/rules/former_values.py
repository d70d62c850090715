"""What rules and bindings would have read of fragments before values were replaced, from the log.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0061-former-values.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID, uuid4

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity_graph.claims import covers
from oneself.core.identity_graph.former_values import former_claims, may_have_former_values
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.resolution.observation import FormerTime, Reindex
from oneself.service.log.graph_fold import observed_then
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.log import ChangingEntry
from oneself.store.transaction import Tables

#: Fragment → the claims on what it had before, all of which have ended.
FormerClaims = Mapping[UUID, tuple[FragmentClaim, ...]]

#: How many entries of the log are looked at together. Of a fragment with more, the first ones.
ENTRIES_MAX = 20_000


async def find_former(
    tables: Tables, rows: Iterable[FragmentRow], match: IdentifierSource, config: Config
) -> FormerClaims:
    """Fragment → what servers had said of it that the source reads, and that something else replaced."""
    concerned = [row.fragment for row in rows if may_have_former_values(row.fragment, match)]
    found = await _find_entries(tables, [fragment.fragment_id for fragment in concerned])
    configs = await tables.log.find_configurations() if found else {}
    return {
        fragment_id: claims
        for fragment_id, entries in found.items()
        if (claims := former_claims((observed_then(entry, configs) for entry in entries), match, config))
    }


def former_identifiers(found: FormerClaims, row: FragmentRow) -> list[Identifier]:
    """What `find_former` found of a fragment."""
    return [claim.tenure.identifier for claim in found.get(row.fragment.fragment_id, ())]


async def unindexed_former(
    tables: Tables, rows: Sequence[FragmentRow], match: IdentifierSource, config: Config
) -> list[Reindex]:
    """The observations that index former values of fragments, as far as they do not claim them already."""
    found = await find_former(tables, rows, match, config)
    return [
        _reindex(row, claim)
        for row in rows
        for claim in found.get(row.fragment.fragment_id, ())
        if not _is_claimed(row.fragment, claim)
    ]


def _is_claimed(fragment: Fragment, former: FragmentClaim) -> bool:
    identifier = former.tenure.identifier
    return any(known.tenure.identifier == identifier and covers(known, former) for known in fragment.claims)


def _reindex(row: FragmentRow, claim: FragmentClaim) -> Reindex:
    """The observation that a fragment claimed an identifier until another value took its place."""
    assert claim.until is not None
    return Reindex(
        observation_id=uuid4(),
        new_profile_id=uuid4(),
        interface="rules",
        profile_id=row.believed_id,
        identifiers=(claim.tenure.identifier,),
        fragment_ids=(row.fragment.fragment_id,),
        former=FormerTime(claim.since, claim.until, claim.at),
    )


async def _find_entries(tables: Tables, fragment_ids: Sequence[UUID]) -> dict[UUID, list[ChangingEntry]]:
    """Fragment → its entries that may write values, in order. Of too many fragments, each half by itself."""
    if not fragment_ids:
        return {}
    entries, is_complete = await tables.log.list_changing(fragment_ids, ENTRIES_MAX, by_fragment=True)
    if not is_complete and len(fragment_ids) > 1:
        middle = len(fragment_ids) // 2
        halves = fragment_ids[:middle], fragment_ids[middle:]
        return {key: found for half in halves for key, found in (await _find_entries(tables, half)).items()}
    found: dict[UUID, list[ChangingEntry]] = {}
    for entry in entries:
        found.setdefault(entry.fragment_id, []).append(entry)
    return found
