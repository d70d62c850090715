"""What a rule or binding would have read of a fragment before its values were replaced.

The observations of the fragment are taken again, in the order of the log, and each value that the source
reads is claimed as if the source had been there then.

Invariants: pure; the caller finds the observations.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0061-former-values.md.
"""

from collections.abc import Iterable
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity_graph.claims import hold
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim, Write
from oneself.core.identity_graph.graph import IdentityGraph
from oneself.core.identity_graph.observe import Observed
from oneself.core.identity_graph.replay import put
from oneself.core.identity_graph.rules import graph_rules
from oneself.core.identity_graph.stored_values import identifiers_of
from oneself.core.identity_graph.value_history import writes_of
from oneself.core.values.record import EMPTY, Path


def may_have_former_values(fragment: Fragment, match: IdentifierSource) -> bool:
    """Whether a fragment can have had another value before. One that it was begun with is its first one."""
    return any(_concerns(item, match.path) and item.seq > fragment.began_at for item in fragment.writes)


def former_claims(
    observations: Iterable[Observed], match: IdentifierSource, config: Config
) -> tuple[FragmentClaim, ...]:
    """The claims of servers that have ended by now, if the source had read every value of a fragment.

    `observations`: of the fragment, in the order of the log. `config`: by which the source reads them.
    """
    graph, newest_wins = IdentityGraph(), graph_rules(config).fold.newest_wins
    fragment = graph.put(Fragment(fragment_id=UUID(int=0), origin="server", began_at=0))
    record = EMPTY
    for observed in observations:
        level: EvidenceLevel | None = None
        for item in writes_of(observed, record):
            record = put(record, item, observed.rules.fold.values)
            if _concerns(item, match.path):
                level = item.level
        if level is None or (match.namespace.trusted_only and level == EvidenceLevel.ASSERTED):
            continue
        fragment = hold(
            graph,
            fragment,
            identifiers_of(record, match, config),
            level,
            observed.seq,
            observed.at,
            newest_wins=newest_wins,
            rewritten=(match.name,),
        )
    return tuple(
        claim for claim in fragment.claims if claim.level > EvidenceLevel.ASSERTED and not claim.is_present
    )


def _concerns(item: Write, path: Path) -> bool:
    """Whether a write changes what stands at a path: there, above it or below."""
    depth = min(len(item.path), len(path))
    return item.path[:depth] == path[:depth]
