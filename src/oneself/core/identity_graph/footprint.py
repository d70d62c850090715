"""What a batch of observations may touch in the identity graph, computed before anything is looked up.

Invariants: pure; it knows observations and the configuration.

Source: docs/concepts/log-and-fold.md, docs/concepts/trust.md.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.observe import (
    claim_identifiers,
    device_that_only_acts,
    made_devices,
    persons_of,
    verified_identifiers,
)
from oneself.core.identity_graph.owners import respelled
from oneself.core.identity_graph.rules import GraphRules
from oneself.core.profiles.verification import ClaimVerification
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
    #: Further browsers, of events that only act: only the fragment matters in which each speaks.
    acting: frozenset[Identifier]
    users: frozenset[str]
    #: The fragments that it addresses or joins.
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
    #: Whether it records what users verified in another dataset.
    records_verifications: bool = False


def graph_footprint(
    batch: Sequence[tuple[Observation, Evidence]],
    config: Config,
    rules: GraphRules,
    detached: Iterable[Identifier] = (),
    joined: Iterable[UUID] = (),
    verifications: Collection[ClaimVerification] = (),
    *,
    is_viewed: bool = False,
) -> GraphFootprint:
    """What a batch of observations, each with its evidence, may touch.

    `detached`: browsers that an erasure lets begin anew. `joined`: fragments that it joins. `verifications`:
    what users verified in another dataset. `is_viewed`: a caller sees a narrower view, which any fragment may
    belong to, so that none is left out.
    """
    gathered = _Gathered(config, rules)
    for observation, evidence in batch:
        gathered.add(observation, evidence)
    for verification in verifications:
        gathered.add_verification(verification)
    effects = gathered.effects
    devices = gathered.devices.union(detached, gathered.acting if is_viewed else ())
    return GraphFootprint(
        devices=frozenset(devices),
        acting=frozenset(gathered.acting - devices),
        users=frozenset(gathered.users),
        fragment_ids=frozenset(gathered.fragment_ids).union(joined),
        persons=frozenset(gathered.persons),
        exact=tuple(gathered.exact),
        moves_trackers=bool(effects & {"sign_in", "report"}),
        claimed=frozenset(gathered.claimed),
        claim_identifiers=frozenset(gathered.claim_identifiers),
        proving=frozenset(gathered.proving),
        reports_claims=bool(effects & {"sign_in", "report", "claims"}),
        verified_as_known=frozenset(gathered.verified_as_known),
        has_values=gathered.has_values or bool(effects & {"sign_in", "report", "claims", "reindex"}),
        reindexes="reindex" in effects,
        records_verifications=bool(verifications),
    )


class _Gathered:
    """What the observations of a batch name, gathered in one pass."""

    def __init__(self, config: Config, rules: GraphRules) -> None:
        self._config = config
        self._owners = rules.owners
        self.effects: set[str] = set()
        self.devices: set[Identifier] = set()
        self.acting: set[Identifier] = set()
        self.users: set[str] = set()
        self.fragment_ids: set[UUID] = set()
        self.persons: set[Identifier] = set()
        self.exact: list[ExactWord] = []
        self.claimed: set[tuple[Path, str]] = set()
        self.claim_identifiers: set[Identifier] = set()
        self.proving: set[Identifier] = set()
        self.verified_as_known: set[str] = set()
        self.has_values = False

    def add(self, observation: Observation, evidence: Evidence) -> None:
        policy = policy_of(observation)
        self.effects.add(policy.graph_effect)
        acting = device_that_only_acts(observation, evidence)
        if acting is None:
            self.devices.update(evidence.devices)
        else:
            self.acting.add(acting)
        # An event that only acts and has an anonymous id speaks for nothing else, whatever becomes of that.
        if acting is None or acting.namespace == TRACKER:
            self.devices.update(made_devices(observation))
        if observation.values:
            self.has_values = True
        if observation.profile_id is not None:
            self.fragment_ids.add(observation.profile_id)
        if observation.fragment_ids is not None:
            self.fragment_ids.update(observation.fragment_ids)
        if evidence.persons:
            self._add_persons(observation, evidence)
        if policy.values_policy == "identity_provider":
            self._add_claims(observation, evidence)

    def add_verification(self, verification: ClaimVerification) -> None:
        path = respelled(verification.path, self._owners.claim_paths.values())
        self.users.add(verification.user_id)
        self.claimed.add((path, verification.value))
        self.claim_identifiers.update(verified_identifiers(verification, self._config))

    def _add_persons(self, observation: Observation, evidence: Evidence) -> None:
        persons, user = persons_of(evidence), evidence.user_id
        if user is not None:
            self.users.add(user)
        if not persons:
            return
        self.has_values = True
        self.persons.update(persons)
        is_server = observation.trust == "server"
        # What a page says belongs to its browser, if it has one that cannot have ended.
        is_of_browser = not is_server and any(item.namespace == ANONYMOUS_ID for item in evidence.devices)
        if observation.profile_id is None and not is_of_browser:
            self.exact.append(ExactWord(is_server, persons, observation.occurred_at))
        if is_server:
            paths, proving = self._owners.claim_paths, self._owners.proving
            self.claimed.update((paths[i.namespace], i.value) for i in persons if i.namespace in paths)
            self.proving.update(item for item in persons if item.namespace in proving)

    def _add_claims(self, observation: Observation, evidence: Evidence) -> None:
        """Add the provider claims that an observation reports."""
        for path, value, identifiers in claim_identifiers(observation, self._config):
            self.claimed.add((path, str(value)))
            self.claim_identifiers.update(identifiers)
        user = evidence.user_id
        if user is not None and _verifies_known_values(observation, self._config):
            self.verified_as_known.add(user)


def _verifies_known_values(observation: Observation, config: Config) -> bool:
    reported = {path for path, _, _ in claim_identifiers(observation, config)}
    return any((IDENTITY_ATTRIBUTES, *name.split(".")) not in reported for name in observation.verified)
