"""What a batch of observations may touch in the identity graph, computed before anything is looked up.

Invariants: pure; it knows observations and the configuration.

Source: docs/concepts/log-and-fold.md, docs/concepts/trust.md.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.observe import claim_identifiers, devices_of, persons_of
from oneself.core.identity_graph.rules import GraphRules
from oneself.core.resolution.evidence import Evidence
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.record import Path


class ExactWord(msgspec.Struct, frozen=True):
    """A word that belongs to the fragment of exactly the identifiers that it names."""

    is_server: bool
    identifiers: tuple[Identifier, ...]
    #: When it happened, in µs since 1970; None: when it is recorded.
    occurred_at: int | None

    @property
    def level(self) -> EvidenceLevel:
        """The evidence for the identifiers."""
        return EvidenceLevel.PROVEN if self.is_server else EvidenceLevel.ASSERTED


class GraphFootprint(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch may touch."""

    devices: frozenset[Identifier]
    users: frozenset[str]
    #: The fragments that it addresses.
    fragment_ids: frozenset[UUID]
    #: The person identifiers that it names, `user_id` not among them.
    persons: frozenset[Identifier]
    exact: tuple[ExactWord, ...]
    #: Whether users move trackers, so that the former fragments of these browsers may come back.
    moves_trackers: bool
    #: Provider claims that it reports, and identifiers by which a server may name a user: path and value.
    claimed: frozenset[tuple[Path, str]]
    #: The identifiers of the provider claims that it reports.
    claim_identifiers: frozenset[Identifier]
    #: The identifiers that servers name and by which users prove what servers began.
    proving: frozenset[Identifier]
    #: Whether providers report claims of users, so that what these had verified before may end.
    reports_claims: bool
    #: Users of whose claims it says only that they are verified, with the value that they have.
    verified_as_known: frozenset[str]
    #: Whether values are read or written.
    has_values: bool
    #: Whether stored values are read that a rule or binding now matches.
    reindexes: bool


def graph_footprint(
    batch: Sequence[tuple[Observation, Evidence]],
    config: Config,
    rules: GraphRules,
    detached: Iterable[Identifier] = (),
) -> GraphFootprint:
    """What a batch of observations, each with its evidence, may touch.

    `detached`: browsers that an erasure lets begin anew.
    """
    effects = {policy_of(observation).graph_effect for observation, _ in batch}
    claims = [
        (path, str(value), identifiers)
        for observation, _ in batch
        for path, value, identifiers in claim_identifiers(observation, config)
    ]
    named = [(observation, persons_of(evidence)) for observation, evidence in batch]
    every_person = frozenset(item for _, persons in named for item in persons)
    by_servers = {
        (rules.owners.claim_paths[item.namespace], item.value)
        for observation, persons in named
        if observation.trust == "server"
        for item in persons
        if item.namespace in rules.owners.claim_paths
    }
    return GraphFootprint(
        devices=frozenset(item for pair in batch for item in devices_of(*pair)).union(detached),
        users=frozenset(evidence.user_id for _, evidence in batch if evidence.user_id is not None),
        fragment_ids=frozenset(
            observation.profile_id for observation, _ in batch if observation.profile_id is not None
        ),
        persons=every_person,
        exact=tuple(
            ExactWord(observation.trust == "server", persons, observation.occurred_at)
            for observation, persons in named
            if observation.profile_id is None and persons
        ),
        moves_trackers=bool(effects & {"sign_in", "report"}),
        claimed=frozenset({(path, value) for path, value, _ in claims} | by_servers),
        claim_identifiers=frozenset(item for _, _, identifiers in claims for item in identifiers),
        proving=frozenset(
            item
            for observation, persons in named
            if observation.trust == "server"
            for item in persons
            if item.namespace in rules.owners.proving
        ),
        reports_claims=bool(effects & {"sign_in", "report", "claims"}),
        verified_as_known=frozenset(
            evidence.user_id
            for observation, evidence in batch
            if evidence.user_id is not None and _verifies_known_values(observation, config)
        ),
        has_values=bool(every_person)
        or any(observation.values for observation, _ in batch)
        or bool(effects & {"sign_in", "report", "claims", "reindex"}),
        reindexes="reindex" in effects,
    )


def _verifies_known_values(observation: Observation, config: Config) -> bool:
    reported = {path for path, _, _ in claim_identifiers(observation, config)}
    return any((IDENTITY_ATTRIBUTES, *name.split(".")) not in reported for name in observation.verified)
