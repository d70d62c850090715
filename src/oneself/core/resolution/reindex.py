"""Reindex jobs: what a change of rules or bindings says about the profiles that exist.

Invariants: pure; ids are drawn outside. The reindexer hands these observations to the write path, the
preview folds them on a working set that it discards. Source: docs/wire/cds.md §9,
docs/concepts/resolution.md, rule 7.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity.identity_type import LEGACY_ID, LEGACY_ID_JOB
from oneself.core.resolution.evidence import first_recorded, unindexed_identifiers
from oneself.core.resolution.observation import ClaimsReport, Observation, Reindex
from oneself.core.values.record import Record, read


class Reindexable(Protocol):
    """What a job reads of a survivor."""

    @property
    def created_at(self) -> int: ...
    @property
    def record(self) -> Record: ...
    @property
    def identities(self) -> dict[str, tuple[str, ...]]: ...


class ReindexJob(msgspec.Struct, frozen=True):
    """One job. It concerns the profiles that hold a value where `source` reads, or in `namespace`."""

    source: IdentifierSource
    namespace: str

    def observations(
        self,
        profiles: Iterable[tuple[UUID, Reindexable]],
        config: Config,
        new_id: Callable[[], UUID],
    ) -> Iterator[Observation]:
        """What the profiles (id, survivor) hold and is not indexed, in their order."""
        observe = _observe_former_id if self.namespace == LEGACY_ID else _observe_values
        for profile_id, profile in profiles:
            observation = observe(self.source, profile_id, profile, config, new_id)
            if observation is not None:
                yield observation


def find_job(config: Config, job_id: str) -> ReindexJob | None:
    """The job of this id; None if the configuration has it no longer.

    The job LEGACY_ID_JOB gives named users of a dataset that did not resolve identities their former id as
    the identity that `user.id` stands for. Source: docs/wire/interactions.md §11.
    """
    if job_id == LEGACY_ID_JOB:
        channel_identity = config.channel_identity("Web")
        source = config.bindings.get(channel_identity.type_id) if channel_identity is not None else None
        return None if source is None else ReindexJob(source, LEGACY_ID)
    source = next((s for s in config.identifier_sources if s.source_id == job_id), None)
    return None if source is None else ReindexJob(source, source.name)


def reindex_position(profile_id: UUID, profile: Reindexable, source: IdentifierSource) -> tuple[int, UUID]:
    """Where a job comes to a profile: by the age of its value, else by its own."""
    since = first_recorded(profile.record, source)
    return (profile.created_at if since is None else since), profile_id


def _observe_values(
    source: IdentifierSource,
    profile_id: UUID,
    profile: Reindexable,
    config: Config,
    new_id: Callable[[], UUID],
) -> Observation | None:
    """The observation that a profile holds values which are not indexed."""
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
    """The observation that a named user's former id is the value of an identity attribute."""
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
