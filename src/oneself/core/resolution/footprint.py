"""Footprints: what a batch of observations may touch, computed before anything is looked up.

The write path looks all of it up at once.

Invariants: pure; it knows observations and the configuration, and must not know the database.

Source: docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

from collections.abc import Hashable
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.profile import is_primary_id
from oneself.core.resolution.evidence import Evidence, lookup_identifiers
from oneself.core.resolution.kinds import policy_of
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.repetition import browser_that_repeats
from oneself.core.units import SEQ_MAX


class ObservationFootprint(msgspec.Struct, frozen=True):
    """What one observation may touch."""

    #: The identifiers that it may look up, normalised.
    identifiers: tuple[Identifier, ...]
    #: The primary id of the user that its token names.
    primary_id: str | None = None
    #: When it occurred, in µs since 1970, if it is resolved as of then; else None.
    occurred_at: int | None = None
    #: The namespaces where it may change identities of the profiles that it leads to.
    namespaces: frozenset[str] = frozenset()
    #: Whether it only asserts who it is about, so that who said that of the profiles decides.
    is_asserted: bool = False
    #: Whether it may repeat whom its browser is.
    may_repeat: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it changes no identities and leads to profiles by one name alone, as most do."""
        return not self.namespaces and len(self.identifiers) + (self.primary_id is not None) == 1

    @property
    def names(self) -> tuple[Hashable, ...]:
        """Everything by which it leads to profiles."""
        return self.identifiers if self.primary_id is None else (*self.identifiers, self.primary_id)


class Footprint(msgspec.Struct, frozen=True):
    """What a batch may touch."""

    #: The identifiers that it may look up, normalised.
    identifiers: frozenset[Identifier]
    #: The ids of the profiles that it addresses.
    profile_ids: frozenset[UUID]
    #: Idempotency keys.
    keys: frozenset[str] = frozenset()
    #: Whether a response lists the absorbed profiles of a survivor.
    members: bool = False
    #: Every claim of the survivors in these namespaces is needed: values are written there, or indexed.
    namespaces: frozenset[str] = frozenset()
    #: Whether the profiles stay locked for this transaction, which writes them.
    lock: bool = True
    #: The primary ids of the users that tokens name.
    primary_ids: frozenset[str] = frozenset()
    #: The footprint of each observation, in order.
    parts: tuple[ObservationFootprint, ...] = ()
    #: Namespaces where a profile holds one value: a merge may release claims there.
    single_namespaces: frozenset[str] = frozenset()
    #: Read the log only before this seq.
    before_seq: int = SEQ_MAX
    #: Whether tokens name everything, so that no full look-up is needed unless a profile has changed
    #: meanwhile.
    token_fast_path: bool = False
    #: Claims made before this seq may no longer be current.
    claims_current_since: int = 0


def footprint_of(
    batch: list[tuple[Observation, Evidence]],
    config: Config,
    *,
    keys: frozenset[str] = frozenset(),
    profile_ids: frozenset[UUID] = frozenset(),
    before_seq: int = SEQ_MAX,
    detached: frozenset[Identifier] = frozenset(),
    try_token_fast_path: bool = False,
) -> Footprint:
    """The footprint of a batch of observations, each with its evidence.

    `profile_ids`: more profiles to load. `detached`: browsers that an erasure lets begin anew.
    `try_token_fast_path`: if tokens name everything, look up nothing else.
    """
    identifiers = [lookup_identifiers(observation, evidence, config) for observation, evidence in batch]
    written = [_written_namespaces(observation, evidence, config) for observation, evidence in batch]
    addressed = frozenset(item for o, _ in batch if (item := o.addressed_id) is not None)
    return Footprint(
        identifiers=detached.union(*identifiers),
        profile_ids=addressed | profile_ids,
        keys=keys,
        members=any(policy_of(observation).answer == "profile" for observation, _ in batch),
        # A plan that is applied as recorded (`profile_ids`) may reach profiles that no identifier leads to.
        namespaces=frozenset[str]().union(
            *(
                namespaces
                for (observation, _), namespaces in zip(batch, written, strict=True)
                if profile_ids or observation.profile_id is not None
            )
        ),
        primary_ids=_token_ids(batch, config),
        parts=tuple(
            _part(observation, found, named, namespaces)
            for (observation, found), named, namespaces in zip(batch, identifiers, written, strict=True)
        ),
        single_namespaces=frozenset(config.bindings),
        before_seq=before_seq,
        claims_current_since=max(config.indexed_since.values(), default=0),
        token_fast_path=try_token_fast_path
        and not keys
        and config.dataset.resolves_identities
        and all(is_covered_by_token(observation, evidence) for observation, evidence in batch),
    )


def is_covered_by_token(observation: Observation, evidence: Evidence) -> bool:
    """Whether a token names the user and everything else in an observation (docs/wire/interactions.md §7).

    Then nothing is resolved as long as the profile is unchanged.
    """
    token = observation.token
    if token is None or observation.choices or observation.new_tracker:
        return False
    if not (policy_of(observation).token_fast_path and is_primary_id(token.primary_id)):
        return False
    is_plain = not (observation.values or observation.objects) and observation.occurred_at is None
    known = all(token.identities.get(person.namespace) == person.value for person in evidence.persons)
    return is_plain and known and len(evidence.devices) <= 1


def _token_ids(batch: list[tuple[Observation, Evidence]], config: Config) -> frozenset[str]:
    """The generated ids that tokens name; a token from before identity resolution was on names none."""
    named = {observation.token.primary_id for observation, _ in batch if observation.token is not None}
    if not named or not config.dataset.resolves_identities:
        return frozenset()
    return frozenset(filter(is_primary_id, named))


def _written_namespaces(observation: Observation, evidence: Evidence, config: Config) -> frozenset[str]:
    """The namespaces where an observation may change identities: all that have values, or none.

    Claims are computed from the values after the observation, so any of these namespaces may change.
    """
    brings_values = bool(evidence.persons or observation.values)
    writes = brings_values or policy_of(observation).reads_stored_values
    return config.value_namespaces if writes else frozenset()


def _part(
    observation: Observation,
    evidence: Evidence,
    identifiers: tuple[Identifier, ...],
    namespaces: frozenset[str],
) -> ObservationFootprint:
    primary_id = observation.token.primary_id if observation.token is not None else None
    is_as_of_then = policy_of(observation).state_as_of == "occurred_at"
    occurred_at = observation.occurred_at if is_as_of_then else None
    is_asserted = observation.trust == "browser"
    may_repeat = browser_that_repeats(observation, evidence) is not None
    return ObservationFootprint(identifiers, primary_id, occurred_at, namespaces, is_asserted, may_repeat)
