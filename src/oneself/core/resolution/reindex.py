"""Reindex jobs: the observations that index existing profiles after rules or bindings change.

The reindexer hands these observations to the write path. The preview folds them into a working set that it
discards.

Invariants: pure; the caller generates ids.

Source: docs/wire/cds.md §9, docs/concepts/resolution.md, rule 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import IdentifierSource, identifiers_in_values
from oneself.core.identity.identity_type import LEGACY_ID, LEGACY_ID_JOB
from oneself.core.resolution.evidence import first_recorded, unindexed_identifiers
from oneself.core.resolution.observation import ClaimsReport, Observation, Reindex
from oneself.core.values.record import Record, read


class Reindexable(Protocol):
    """The fields of a survivor that a job reads."""

    @property
    def created_at(self) -> int: ...
    @property
    def record(self) -> Record: ...
    @property
    def identities(self) -> dict[str, tuple[str, ...]]: ...


class ReindexJob(msgspec.Struct, frozen=True):
    """One job. It processes the profiles with a value of `source`, or an identity in `namespace`."""

    #: The rule or binding whose values are indexed.
    source: IdentifierSource
    #: The namespace of the profiles' identities.
    namespace: str

    def count_identifiers(self, profile: Reindexable) -> int:
        """How many identifiers of a profile the job reads: its values, and what it has in the namespace."""
        values = identifiers_in_values(profile.record.values, self.source)
        return len(values) + len(profile.identities.get(self.namespace, ()))

    def observations(
        self,
        profiles: Iterable[tuple[UUID, Reindexable]],
        config: Config,
        new_id: Callable[[], UUID],
    ) -> Iterator[Observation]:
        """The observations that index what is not indexed yet, in the order of the profiles.

        `profiles`: pairs of profile id and survivor. `new_id`: generates an id.
        """
        observe = _observe_former_id if self.namespace == LEGACY_ID else _observe_values
        for profile_id, profile in profiles:
            observation = observe(self.source, profile_id, profile, config, new_id)
            if observation is not None:
                yield observation


def find_job(config: Config, job_id: str) -> ReindexJob | None:
    """The job with this id; None if the configuration no longer contains it.

    The job LEGACY_ID_JOB is for a dataset that did not resolve identities before. It turns the former id of
    each named user into the identity that `user.id` stands for (docs/wire/interactions.md §11).
    """
    if job_id == LEGACY_ID_JOB:
        channel_identity = config.channel_identity("Web")
        source = config.bindings.get(channel_identity.type_id) if channel_identity is not None else None
        return None if source is None else ReindexJob(source, LEGACY_ID)
    source = next((s for s in config.identifier_sources if s.source_id == job_id), None)
    return None if source is None else ReindexJob(source, source.name)


def reindex_position(profile_id: UUID, profile: Reindexable, source: IdentifierSource) -> tuple[int, UUID]:
    """The sort key of a profile in a job: the age of its value, else its own, as a seq; then its id."""
    since = first_recorded(profile.record, source)
    return (profile.created_at if since is None else since), profile_id


def _observe_values(
    source: IdentifierSource,
    profile_id: UUID,
    profile: Reindexable,
    config: Config,
    new_id: Callable[[], UUID],
) -> Observation | None:
    """The observation that indexes the values of a profile; None if they are indexed already."""
    identifiers = unindexed_identifiers(
        profile.record, profile.identities, profile.created_at, source, config
    )
    if identifiers is None:
        return None
    return Reindex(
        observation_id=new_id(),
        new_profile_id=new_id(),
        interface="rules",
        profile_id=profile_id,
        identifiers=identifiers,
    )


def _observe_former_id(
    source: IdentifierSource,
    profile_id: UUID,
    profile: Reindexable,
    config: Config,
    new_id: Callable[[], UUID],
) -> Observation | None:
    """The observation that sets the identity attribute to the former id of a named user; None: no change."""
    former = profile.identities.get(LEGACY_ID)
    if not former or read(profile.record.values, source.path) == former[0]:
        return None
    scope, key = source.path
    return ClaimsReport(
        observation_id=new_id(),
        new_profile_id=new_id(),
        interface="legacy",
        profile_id=profile_id,
        values={scope: {key: former[0]}},
    )
