"""Evidence: the normalised identifiers of an observation, and of the stored values of a profile.

Here: which identifiers are used and which are dropped. Not here: the profiles that they lead to
(`candidates`).

Invariants: pure; it reads no profile but the record that it is given.

Source: docs/concepts/resolution.md (normalise), docs/concepts/trust.md (evidence).
"""

from collections.abc import Container, Iterable, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import TRACKER, USER_ID, Dropped, Identifier
from oneself.core.identity.identifier_source import (
    IdentifierSource,
    identifiers_in_patch,
    identifiers_in_values,
)
from oneself.core.identity.normalise import normalise
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation, SenderTrust
from oneself.core.resolution.token_evidence import TokenEvidence, token_identifier
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.record import Record


class Evidence(msgspec.Struct, frozen=True):
    """The identifiers of an observation, normalised."""

    #: Identifiers that name a person.
    persons: tuple[Identifier, ...]
    #: Identifiers that name a browser.
    devices: tuple[Identifier, ...]
    #: Identifiers that are not used.
    dropped: tuple[Dropped, ...]
    #: Those among `persons` that nothing proves, though a server sends them: unverified claims of a provider.
    unverified: frozenset[Identifier] = frozenset()
    #: The user who signed in on the browser that speaks.
    speaker: str | None = None
    #: Whether a server or a sign-in said who the browser or the profile is for which it names a user.
    is_known: bool = True
    #: The evidence of the token; UNSET: the token is not read yet; None: it has none.
    token_evidence: TokenEvidence | UnsetType | None = UNSET

    @property
    def identifiers(self) -> tuple[Identifier, ...]:
        """All identifiers that are used."""
        return (*self.persons, *self.devices)

    @property
    def proven(self) -> tuple[Identifier, ...]:
        """The identifiers that name a person and are proven, if a server sends them."""
        return tuple(item for item in self.persons if item not in self.unverified)

    @property
    def user_id(self) -> str | None:
        """The user that the observation names."""
        for identifier in self.persons:
            if identifier.namespace == USER_ID:
                return identifier.value
        return None


def extract_evidence(observation: Observation, config: Config) -> Evidence:
    """Extract the evidence of an observation: normalise it, drop invalid, blocked and untrusted values.

    Source: docs/concepts/resolution.md, rule 1; docs/concepts/trust.md.
    """
    persons: dict[Identifier, None] = {}
    devices: dict[Identifier, None] = {}
    dropped: dict[Dropped, None] = {}
    named = observation.identifiers
    if observation.values or (config.bindings and config.rule_namespaces):
        named = (*named, *_of_attributes(observation, config))
    for raw in named:
        outcome = admit(raw, observation.trust, config)
        if isinstance(outcome, Dropped):
            dropped[outcome] = None
        else:
            (devices if outcome.is_device else persons)[outcome] = None
    unverified = unverified_identifiers(observation, config) if observation.values else frozenset()
    return Evidence(tuple(persons), tuple(devices), tuple(dropped), unverified)


def unverified_identifiers(observation: Observation, config: Config) -> frozenset[Identifier]:
    """The identifiers of a provider's report that are claims which nobody has verified.

    Source: docs/concepts/trust.md, "Evidence".
    """
    is_report = policy_of(observation).values_policy == "identity_provider" and bool(observation.values)
    if not (is_report and config.dataset.guards_asserted_merges and _names_user(observation)):
        return frozenset()
    found: dict[bool, set[Identifier]] = {True: set(), False: set()}
    for match in config.identifier_sources:
        is_verified = match.scope != IDENTITY_ATTRIBUTES or _is_verified(match, observation)
        for raw in identifiers_in_patch(observation.values, match):
            if isinstance(outcome := admit(raw, observation.trust, config), Identifier):
                found[is_verified].add(outcome)
    return frozenset(found[False] - found[True])


def _names_user(observation: Observation) -> bool:
    return any(identifier.namespace == USER_ID for identifier in observation.identifiers)


def _is_verified(match: IdentifierSource, observation: Observation) -> bool:
    return ".".join(match.keys) in observation.verified


def admit(raw: Identifier, trust: SenderTrust, config: Config) -> Identifier | Dropped:
    """The normalised identifier, or why it is dropped. `raw`: as sent. `trust`: of the sender.

    What the configuration drops, a later one may admit (`Config.admitting`).
    """
    outcome = _admit(raw, trust, config)
    if isinstance(outcome, Identifier) or not config.admitting:
        return outcome
    later = (_admit(raw, trust, item) for item in config.admitting)
    return next((item for item in later if isinstance(item, Identifier)), outcome)


def _admit(raw: Identifier, trust: SenderTrust, config: Config) -> Identifier | Dropped:
    namespace = config.namespace(raw.namespace)
    if namespace is None:
        return Dropped(raw.namespace, "unknown_namespace")
    if namespace.trusted_only and trust != "server":
        return Dropped(raw.namespace, "untrusted_evidence")
    return normalise(raw, namespace)


def _of_attributes(observation: Observation, config: Config) -> list[Identifier]:
    """The identifiers that are values of attributes, as sent.

    They come from the patch, and from the identities of an event if a rule reads the attribute that the
    identity type is bound to.
    """
    found: list[Identifier] = []
    if observation.values:
        found += [
            item
            for match in config.identifier_sources
            for item in identifiers_in_patch(observation.values, match)
        ]
    if config.bindings and config.rule_namespaces:
        for identifier in observation.identifiers:
            if isinstance(admit(identifier, observation.trust, config), Identifier):
                found += _same_by_rules(identifier, config)
    return found


def _same_by_rules(identifier: Identifier, config: Config) -> list[Identifier]:
    """An identity of an event in the namespaces of the rules on the attribute that its type is bound to."""
    binding = config.bindings.get(identifier.namespace)
    if binding is None:
        return []
    same = (
        match for match in config.identifier_sources if match is not binding and match.path == binding.path
    )
    return [Identifier(match.name, identifier.value) for match in same]


def lookup_identifiers(
    observation: Observation, evidence: Evidence, config: Config
) -> tuple[Identifier, ...]:
    """The identifiers whose holders `resolve` may look up."""
    found = [*evidence.identifiers]
    if (token_user := token_identifier(observation, config)) is not None:
        found.append(token_user)
    if observation.new_tracker is not None:
        found.append(Identifier(TRACKER, observation.new_tracker))
    return tuple(found)


def identities_of(
    record: Record, config: Config, namespaces: Container[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """The identities in the stored values of a record: namespace → normalised values, in order.

    Contains every active rule and every identity type that is bound to an attribute, also without values;
    of these, only those in `namespaces`, if given.
    """
    return {
        match.name: _values_of(record, match, config)
        for match in config.identifier_sources
        if namespaces is None or match.name in namespaces
    }


def identities_before_and_after(
    before: Record, after: Record, config: Config, namespaces: Container[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """The identities of a record before and after a merge; read once if nothing changed it."""
    now = identities_of(after, config, namespaces)
    return now if before is after else identities_of(before, config, namespaces), now


def _values_of(record: Record, match: IdentifierSource, config: Config) -> tuple[str, ...]:
    trust = _trust(record, match)
    found = (admit(identifier, trust, config) for identifier in identifiers_in_values(record.values, match))
    return tuple({i.value: None for i in found if isinstance(i, Identifier)})


def first_recorded(record: Record, match: IdentifierSource) -> int | None:
    """The seq of the observation that first brought the value of an identifier source; None: no value.

    The age of a list is that of its last change.
    """
    leaves = (".".join(match.path[:depth]) for depth in range(1, len(match.path) + 1))
    sources = (source for leaf in leaves for source in record.provenance.get(leaf, ()))
    return min((source.first_seq for source in sources), default=None)


def claim_ages(
    records: Sequence[Record], identifiers: Iterable[Identifier], seq: int, config: Config
) -> dict[Identifier, int]:
    """The ages of claims that are made at `seq`: those of their values (docs/concepts/resolution.md, rule 7).

    Each is a seq: the earliest at which one of the records got the value, else `seq`. The values of a record
    are normalised once, however many claims there are.
    """
    ages = dict.fromkeys(identifiers, seq)
    namespaces = {identifier.namespace for identifier in ages}
    for match in config.identifier_sources:
        if match.name not in namespaces:
            continue
        for record in records:
            since = first_recorded(record, match)
            if since is None or since >= seq:
                continue
            for value in _values_of(record, match, config):
                identifier = Identifier(match.name, value)
                if identifier in ages:
                    ages[identifier] = min(ages[identifier], since)
    return ages


def _trust(record: Record, match: IdentifierSource) -> SenderTrust:
    """The trust of a stored value. It is `server` unless the namespace accepts only trusted evidence."""
    if not match.namespace.trusted_only:
        return "server"
    sources = record.provenance.get(".".join(match.path), ())
    return "server" if any(source.trust == "server" for source in sources) else "browser"


def unindexed_identifiers(
    record: Record,
    identities: dict[str, tuple[str, ...]],
    created_at: int,
    match: IdentifierSource,
    config: Config,
) -> tuple[Identifier, ...] | None:
    """The identifiers of a record in the namespace of a rule or binding; None if they are indexed already.

    They are indexed if `identities` holds exactly these values and their claims are current.
    `created_at`: of the profile, in µs since 1970. Claims of a profile that is younger than the rule are
    current.
    """
    now = identities_of(record, config, {match.name})[match.name]
    is_young = created_at >= config.indexed_since.get(match.name, 0)
    if set(now) == set(identities.get(match.name, ())) and (is_young or not now):
        return None
    return tuple(Identifier(match.name, value) for value in now)
