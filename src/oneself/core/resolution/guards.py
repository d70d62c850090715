"""Guards: which candidates are the same person, and which must not be merged.

Here: the refusals, checked in the order of survivors before anything is merged. Not here: where candidates
come from (`candidates`).

Invariants: pure; it decides on candidates alone and reads no other profile.

Source: docs/concepts/resolution.md (refusals).
"""

from collections.abc import Callable, Collection
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.resolution.candidates import Candidate, rank
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.plan import Refusal
from oneself.core.resolution.token_evidence import TokenEvidence


def _never(one: UUID, other: UUID) -> bool:
    return False


class Screening(msgspec.Struct, frozen=True):
    """The outcome of the guards."""

    #: The candidates that are one person, best-ranked first.
    accepted: tuple[Candidate, ...]
    #: The candidates that must not be merged, each with the reason.
    refused: tuple[tuple[Candidate, Refusal], ...]


def screen_candidates(
    candidates: dict[UUID, Candidate],
    evidence: Evidence,
    token_evidence: TokenEvidence | None,
    config: Config,
    protected: Collection[UUID] = (),
    *,
    is_proof: bool = False,
    are_separated: Callable[[UUID, UUID], bool] = _never,
) -> Screening:
    """Decide which candidates are one person (docs/concepts/resolution.md, rule 6).

    `candidates`: by profile id. `token_evidence`: the evidence of the token, if it identifies a profile.
    `protected`: if something is only asserted, the profiles that it must not merge. `is_proof`: whether a
    server sends the observation. `are_separated`: whether a person has parted two profiles.
    """
    ordered = sorted(candidates.values(), key=lambda c: (not c.required, *rank(c.profile)))
    user_id = _whose(ordered, evidence)
    accepted: list[Candidate] = []
    refused: list[tuple[Candidate, Refusal]] = []
    known = () if token_evidence is None else token_evidence.identities
    identities = _own_identities((*evidence.persons, *known))
    for candidate in ordered:
        code = None
        if not candidate.required:
            code = _refusal(candidate, user_id, accepted, identities, config)
            code = code or _parted(candidate, accepted, evidence, are_separated)
            code = code or _unprovable(candidate, accepted, evidence if is_proof else None, config, protected)
        if code is not None:
            refused.append((candidate, code))
            continue
        accepted.append(candidate)
        _unite(identities, candidate.profile.identities)
    return Screening(tuple(sorted(accepted, key=lambda c: rank(c.profile))), tuple(refused))


def _whose(ordered: list[Candidate], evidence: Evidence) -> str | None:
    """The user id of the person; None if no candidate is identified.

    It is the user that the observation names, else that of the candidate with the lowest priority, then the
    oldest claim (docs/wire/cds.md §9), then the best rank.
    """
    if evidence.user_id is not None:
        return evidence.user_id
    identified = [c for c in ordered if c.profile.is_identified]
    best = min(identified, key=lambda c: (c.priority, c.since, *rank(c.profile)), default=None)
    return best.profile.user_id if best else None


def _refusal(
    candidate: Candidate,
    user_id: str | None,
    accepted: list[Candidate],
    identities: dict[str, set[str]],
    config: Config,
) -> Refusal | None:
    """Why a candidate must not be merged with those accepted so far; None if it may."""
    profile = candidate.profile
    if profile.user_id is not None and profile.user_id != user_id:
        return Refusal("different_user", profile.profile_id)
    if len(accepted) > config.limits.profiles_per_merge_max:
        return Refusal("limit_exceeded", profile.profile_id)
    for name, values in sorted(profile.identities.items()):
        namespace = config.namespace(name)
        held = identities.get(name)
        if namespace is None or not held:
            continue
        if namespace.conflict_blocks_merge and held.isdisjoint(values):
            return Refusal("conflicting_identity", profile.profile_id, name)
        if accepted and len(held.union(values)) > namespace.values_max:
            return Refusal("limit_exceeded", profile.profile_id, name)
    return None


def _parted(
    candidate: Candidate,
    accepted: list[Candidate],
    evidence: Evidence,
    are_separated: Callable[[UUID, UUID], bool],
) -> Refusal | None:
    """The refusal of a merge of what a person has parted.

    What a user proves to be theirs is: the browser on which they sign in.
    """
    is_users = evidence.user_id is not None and candidate.via is not None and candidate.via.is_device
    profile_id = candidate.profile.profile_id
    if is_users or not any(are_separated(profile_id, item.profile.profile_id) for item in accepted):
        return None
    return Refusal("split_kept_apart", profile_id, None if candidate.via is None else candidate.via.namespace)


def _unprovable(
    candidate: Candidate,
    accepted: list[Candidate],
    proof: Evidence | None,
    config: Config,
    protected: Collection[UUID],
) -> Refusal | None:
    """The refusal of a merge of two protected profiles by what is only asserted; None if it may be.

    `proof`: the evidence, if a server sends it; what it proves is of a protected profile.
    Source: docs/concepts/trust.md, "Joins".
    """
    rule, profile = config.dataset.asserted_merges, candidate.profile
    is_open = rule == "unrestricted" and not any(item.is_speaker for item in accepted)
    if is_open or profile.profile_id not in protected or (proof is not None and not candidate.is_asserted):
        return None
    others = [item.profile for item in accepted if item.profile.profile_id in protected]
    has_user = any(item.is_identified for item in (profile, *others))
    has_user = has_user or (proof is not None and proof.user_id is not None)
    is_between_protected = bool(others) or (proof is not None and bool(proof.proven))
    if is_between_protected and (rule == "unprotected" or has_user):
        namespace = None if candidate.via is None else candidate.via.namespace
        return Refusal("untrusted_evidence", profile.profile_id, namespace)
    return None


def _own_identities(persons: tuple[Identifier, ...]) -> dict[str, set[str]]:
    identities: dict[str, set[str]] = {}
    for identifier in persons:
        identities.setdefault(identifier.namespace, set()).add(identifier.value)
    return identities


def _unite(identities: dict[str, set[str]], more: dict[str, tuple[str, ...]]) -> None:
    for name, values in more.items():
        identities.setdefault(name, set()).update(values)
