"""What a batch of observations may touch: said before anything is looked up, so that it is looked up at once.

Law of this module: pure; it knows observations and the configuration, and no database.
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

#: A 64-bit integer that no clock reaches.
SEQ_MAX = 2**63 - 1


class ObservationFootprint(msgspec.Struct, frozen=True):
    """What one observation brings together: identifiers, perhaps the user of a token, and when it happened if
    that was not just now. `namespaces`: where it may change what those hold whom it leads to."""

    identifiers: tuple[Identifier, ...]
    primary_id: str | None = None
    happened: int | None = None
    namespaces: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[Hashable, ...]:
        """All by which it leads to people."""
        return self.identifiers if self.primary_id is None else (*self.identifiers, self.primary_id)


class Footprint(msgspec.Struct, frozen=True):
    """What a batch may touch: normalised identifiers, addressed profiles, and request keys.

    `members`: also whom the survivors stand for, because an answer shows it. `namespaces`: also every claim
    of the survivors in these, because values are written there, or indexed. `lock`: keep the profiles for
    this transaction, which will write them. `primary_ids`: of the users that tokens name. `meetings`: who is
    led to, whose claims in the meeting's own namespaces may change; who may join, whose claims in
    `single_namespaces` may then be outdone. `before_seq`: where to stop reading the log. `is_remembered`:
    tokens say it all, unless somebody has moved meanwhile. `counting_since`: claims from before this seq may
    count no more."""

    identifiers: frozenset[Identifier]
    profile_ids: frozenset[UUID]
    keys: frozenset[str] = frozenset()
    members: bool = False
    namespaces: frozenset[str] = frozenset()
    lock: bool = True
    primary_ids: frozenset[str] = frozenset()
    meetings: tuple[ObservationFootprint, ...] = ()
    single_namespaces: frozenset[str] = frozenset()
    before_seq: int = SEQ_MAX
    is_remembered: bool = False
    counting_since: int = 0


def footprint_of(
    both: list[tuple[Observation, Evidence]],
    config: Config,
    *,
    keys: frozenset[str] = frozenset(),
    profile_ids: frozenset[UUID] = frozenset(),
    before_seq: int = SEQ_MAX,
    trusts_tokens: bool = False,
) -> Footprint:
    """What observations, each with its evidence, may touch. `profile_ids`: and these profiles.
    `trusts_tokens`: if tokens name everybody, nobody else is looked for at first."""
    named = [
        (observation, lookup_identifiers(observation, evidence, config)) for observation, evidence in both
    ]
    written = [_written(*each, config) for each in both]
    addressed = frozenset(each.profile_id for each, _ in both if each.profile_id is not None)
    return Footprint(
        identifiers=frozenset(identifier for _, identifiers in named for identifier in identifiers),
        profile_ids=addressed | profile_ids,
        keys=keys,
        members=any(policy_of(each).answer == "profile" for each, _ in both),
        # A plan that is carried out as it was (`profile_ids`) may reach whom nothing leads to any more.
        namespaces=frozenset[str]().union(
            *(
                namespaces
                for (observation, _), namespaces in zip(both, written, strict=True)
                if profile_ids or observation.profile_id is not None
            )
        ),
        primary_ids=_remembered_ids(both, config),
        meetings=tuple(_meeting(*each, namespaces) for each, namespaces in zip(named, written, strict=True)),
        single_namespaces=frozenset(config.bound),
        before_seq=before_seq,
        counting_since=max(config.read_since.values(), default=0),
        is_remembered=trusts_tokens
        and not keys
        and config.dataset.pipeline_identity_resolution
        and all(is_covered_by_token(*each) for each in both),
    )


def is_covered_by_token(observation: Observation, evidence: Evidence) -> bool:
    """Whether a token names the user and everything that the observation brings (wire/interactions §7), so
    that nothing is to be resolved if they still are who they were."""
    token = observation.token
    if token is None or observation.choices or observation.new_tracker:
        return False
    if not policy_of(observation).token_fast_path:
        return False
    if not is_primary_id(token.primary_id):
        return False
    is_plain = not (observation.values or observation.objects) and observation.occurred_at is None
    known = all(token.identities.get(each.namespace) == each.value for each in evidence.persons)
    return is_plain and known and len(evidence.devices) <= 1


def _remembered_ids(both: list[tuple[Observation, Evidence]], config: Config) -> frozenset[str]:
    """The generated ids that tokens name; a token from before identity resolution was on names none."""
    named = {each.token.primary_id for each, _ in both if each.token is not None}
    if not named or not config.dataset.pipeline_identity_resolution:
        return frozenset()
    return frozenset(filter(is_primary_id, named))


def _written(observation: Observation, evidence: Evidence, config: Config) -> frozenset[str]:
    """The namespaces where an observation may change what profiles hold. Whatever it brings, what the values
    turn out to hold in the end is settled for all of them."""
    is_bringing = bool(evidence.persons or observation.values) or policy_of(observation).reads_stored_values
    return config.value_namespaces if is_bringing else frozenset()


def _meeting(
    observation: Observation, identifiers: tuple[Identifier, ...], namespaces: frozenset[str]
) -> ObservationFootprint:
    primary = observation.token.primary_id if observation.token is not None else None
    is_late = policy_of(observation).judged_as_of == "occurred_at"
    happened = observation.occurred_at if is_late else None
    return ObservationFootprint(identifiers, primary, happened, namespaces)
