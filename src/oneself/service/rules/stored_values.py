"""The identifiers in values that fragments have stored, whether or not a rule or binding has read them yet.

Source: docs/concepts/trust.md, "Joins".
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.fragment_record import record_of
from oneself.core.identity_graph.graph import VerifiedClaim
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.identity_graph.stored_values import Verified, stored_identifiers, stored_level
from oneself.core.resolution.observation import Reindex
from oneself.core.values.record import Path
from oneself.store.tables.fragment import FragmentRow
from oneself.store.transaction import Tables


async def find_verified(
    tables: Tables, fragments: Iterable[Fragment]
) -> dict[tuple[str, Path], VerifiedClaim]:
    """The verified provider claims of the users whose own fragments are among some."""
    users = {user for item in fragments if (user := item.own_user) is not None}
    return await tables.verified_claims.find(users, ()) if users else {}


def proven_values(
    fragment: Fragment, match: IdentifierSource, config: Config, verified: Verified
) -> list[Identifier]:
    """The identifiers of a source that servers or providers said of a fragment.

    `fragment`: as it is stored, without its record.
    """
    record = record_of(fragment.writes, graph_rules(config).fold.values)
    recorded = msgspec.structs.replace(fragment, record=record)
    if stored_level(recorded, match.path, verified) == EvidenceLevel.ASSERTED:
        return []
    return stored_identifiers(recorded, match, config)


async def unindexed(
    tables: Tables, rows: Iterable[FragmentRow], match: IdentifierSource, config: Config
) -> list[Reindex]:
    """The observations that index what servers said of fragments and no claim of them names.

    The believed profile of such a fragment has another value by now, or none.
    """
    rows = list(rows)
    verified = await find_verified(tables, (row.fragment for row in rows))
    found: list[Reindex] = []
    for row in rows:
        claimed = {claim.tenure.identifier for claim in row.fragment.claims}
        named = proven_values(row.fragment, match, config, verified)
        if not claimed.issuperset(named):
            found.append(_reindex(row.believed_id, tuple(named)))
    return found


def _reindex(believed_id: UUID, identifiers: tuple[Identifier, ...]) -> Reindex:
    return Reindex(
        observation_id=uuid4(),
        new_profile_id=uuid4(),
        interface="rules",
        profile_id=believed_id,
        identifiers=identifiers,
    )
