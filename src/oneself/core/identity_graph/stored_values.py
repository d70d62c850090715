"""What the values of a fragment identify, whether or not a rule or binding has read them yet.

Invariants: pure.

Source: docs/concepts/trust.md, "Joins".
"""

from collections.abc import Mapping

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import IdentifierSource, identifiers_in_values
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import VerifiedClaim
from oneself.core.resolution.evidence import admit
from oneself.core.values.record import Path

#: User and path of the attribute → the verified claim.
Verified = Mapping[tuple[str, Path], VerifiedClaim]


def stored_identifiers(fragment: Fragment, match: IdentifierSource, config: Config) -> list[Identifier]:
    """The identifiers of a source in the record of a fragment."""
    stored = identifiers_in_values(fragment.record.values, match)
    found = (admit(item, "server", config) for item in stored)
    return [item for item in found if isinstance(item, Identifier)]


def stored_level(fragment: Fragment, path: Path, verified: Verified) -> EvidenceLevel:
    """The evidence for the value that a fragment has at a path."""
    user = fragment.own_user
    if user is not None and (user, path) in verified:
        return EvidenceLevel.VERIFIED
    levels = [item.level for item in fragment.writes if item.path == path[: len(item.path)]]
    return max(levels, default=EvidenceLevel.ASSERTED)
