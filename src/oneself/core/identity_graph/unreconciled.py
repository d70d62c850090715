"""Which changes of a fragment, or of a configuration, may part or join people in the view `all`.

Source: docs/concepts/trust.md, "Joins".
"""

from oneself.core.config.configuration import Config
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Fragment, FragmentClaim
from oneself.core.identity_graph.rules import graph_rules


def needs_reconciliation(before: Fragment | None, after: Fragment) -> bool:
    """Whether evidence that came after others had been merged with a fragment may part or join them.

    Who is with a new fragment is decided by the observation that begins it.
    """
    if before is None or not after.claims:
        return False
    if (before.owner, before.reported) != (after.owner, after.reported):
        return True
    if before.claims is after.claims:
        return False
    return _proven(before) != _proven(after) or bool(_indexed_unproven(after) - _indexed_unproven(before))


def changes_guards(before: Config, after: Config) -> bool:
    """Whether a change of the settings may admit joins that were refused before, or refuse admitted ones."""
    if not after.dataset.guards_asserted_merges:
        return False
    guards, former = graph_rules(after).guards, graph_rules(before).guards
    return (
        not before.dataset.guards_asserted_merges
        or not _trusted_only(before) & after.value_namespaces <= _trusted_only(after)
        or (guards.joins_protected, guards.separating, guards.profiles_per_merge_max)
        != (former.joins_protected, former.separating, former.profiles_per_merge_max)
    )


def admits_more(before: Config, after: Config) -> bool:
    """Whether a change of the settings may admit joins in the view `proven` that were refused before."""
    is_raised = after.limits.profiles_per_merge_max > before.limits.profiles_per_merge_max
    return is_raised or not before.separating <= after.separating


def _trusted_only(config: Config) -> set[str]:
    """The namespaces in which only servers identify people."""
    return {match.name for match in config.identifier_sources if match.namespace.trusted_only}


def _proven(fragment: Fragment) -> set[tuple[object, EvidenceLevel]]:
    """What a server or a provider says of a fragment now."""
    present = fragment.present_claims
    return {(claim.tenure, claim.level) for claim in present if claim.level > EvidenceLevel.ASSERTED}


def _indexed_unproven(fragment: Fragment) -> set[FragmentClaim]:
    """What a rule or binding read that came after a user's values, and that nobody has verified."""
    if fragment.user_id is None:
        return set()
    claims = fragment.present_claims
    return {claim for claim in claims if claim.known_since and claim.level == EvidenceLevel.ASSERTED}
