"""What the values of a fragment identify, whether or not a rule or binding has read them yet.

Invariants: pure.

Source: docs/concepts/trust.md, "Joins".
"""

from collections.abc import Mapping
from typing import cast
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource, identifiers_in_values
from oneself.core.identity_graph.claims import hold_stored
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, Write
from oneself.core.identity_graph.graph import IdentityGraph, VerifiedClaim
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.resolution.evidence import admit, first_recorded
from oneself.core.values.record import Path, Record, Values, read

#: User and path of the attribute → the verified claim.
Verified = Mapping[tuple[str, Path], VerifiedClaim]


def stored_identifiers(fragment: Fragment, match: IdentifierSource, config: Config) -> list[Identifier]:
    """The identifiers of a source in the record of a fragment."""
    return identifiers_of(fragment.record, match, config)


def identifiers_of(record: Record, match: IdentifierSource, config: Config) -> list[Identifier]:
    """The identifiers of a source in a record."""
    stored = identifiers_in_values(record.values, match)
    found = (admit(item, "server", config) for item in stored)
    return [item for item in found if isinstance(item, Identifier)]


def hold_values(
    graph: IdentityGraph, fragment_id: UUID, match: IdentifierSource, config: Config, seq: int
) -> None:
    """Let a fragment claim what a source reads in its record, since it was stored.

    `seq`: of the observation since which the source reads it.
    """
    fragment = graph.fragments[fragment_id]
    since = first_recorded(fragment.record, match)
    level = stored_level(fragment, match.path, graph.verified)
    if since is None or (match.namespace.trusted_only and level == EvidenceLevel.ASSERTED):
        return
    identifiers = stored_identifiers(fragment, match, config)
    newest_wins = graph_rules(config).fold.newest_wins
    hold_stored(graph, fragment, match.name, identifiers, level, since, seq, newest_wins=newest_wins)


def stored_level(fragment: Fragment, path: Path, verified: Verified) -> EvidenceLevel:
    """The evidence for the value that a fragment, with its record, has at a path.

    A verification is evidence for the value that the user verified, and for no other one that was written
    there since. A proven value that an asserted one has replaced is no evidence for that one.
    """
    value, user = read(fragment.record.values, path), fragment.own_user
    if value is None:
        return EvidenceLevel.ASSERTED
    claim = verified.get((user, path)) if user is not None else None
    if claim is not None and claim.value == str(value):
        return EvidenceLevel.VERIFIED
    levels = (item.level for item in fragment.writes if _says(item, path, value))
    return max(levels, default=EvidenceLevel.ASSERTED)


def _says(item: Write, path: Path, value: object) -> bool:
    """Whether a write gave a path its value, by itself or as a part of an object."""
    depth = len(item.path)
    if item.path != path[:depth]:
        return False
    written = item.value if depth == len(path) else read(cast(Values, item.value), path[depth:])
    return written == value
