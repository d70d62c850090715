"""Export: everything that is stored about one person, as one document.

Invariants: one instant, nothing left out, whatever the attributes' mutability or a consent filter hides from
applications: the document is for the person. Source: docs/concepts/trust.md.
"""

from typing import Any
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import LogEntry
from oneself.core.profiles.profile import Profile
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store.database import Database
from oneself.store.tables.claim import RecordedClaim
from oneself.store.transaction import Tables, snapshot

FORMAT = "oneself-person-1"


class Exports:
    """Writes exports."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def export(self, dataset_ref: DatasetRef, profile_id: UUID) -> dict[str, Any] | None:
        """The document, instants in µs since 1970; None if the profile is unknown or erased."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            return await _export(tables, dataset_ref, profile_id, config)


async def _export(
    tables: Tables, dataset_ref: DatasetRef, profile_id: UUID, config: Config
) -> dict[str, Any] | None:
    profiles = {profile.profile_id: profile for profile in await tables.profiles.find_unified(profile_id)}
    if profile_id not in profiles:
        return None
    survivor = next(profile for profile in profiles.values() if not profile.is_absorbed)
    ids = sorted(profiles)
    entries = await tables.log.find_of_profiles(ids)
    return {
        "format": FORMAT,
        "organisation": dataset_ref.handle,
        "profile": _profile(survivor),
        "absorbed_profiles": [_absorbed(p) for p in profiles.values() if p.is_absorbed],
        "values": survivor.record.values,
        "provenance": survivor.record.provenance,
        "consents": [_consent(config, category, choice) for category, choice in survivor.consents.items()],
        "identifiers": [_claim(claim) for claim in await tables.claims.find_of_profiles(ids)],
        "merges": await tables.merges.find_of_profiles(ids),
        "refusals": await tables.refusals.find_of_profiles(ids),
        "observations": [_observation(entry) for entry in entries],
    }


def _profile(profile: Profile) -> dict[str, Any]:
    return {
        "profile_id": profile.profile_id,
        "primary_id": profile.primary_id,
        "user_id": profile.user_id,
        "created_at": profile.created_at,
        "updated_at": profile.updated_at,
        "active_at": profile.active_at,
    }


def _absorbed(profile: Profile) -> dict[str, Any]:
    return {**_profile(profile), "reason": profile.reason}


def _consent(config: Config, category: str, choice: Any) -> dict[str, Any]:
    known = config.categories.get(category)
    return {
        "category_identifier": category,
        "category_name": known.category_name if known else None,
        "is_consented": choice.is_consented,
        "consented_at": choice.consented_at,
        "profile_id": choice.profile_id,
    }


def _claim(recorded: RecordedClaim) -> dict[str, Any]:
    claim = recorded.claim
    return {
        "namespace": claim.identifier.namespace,
        "value": claim.identifier.value,
        "profile_id": claim.profile_id,
        "seq": claim.seq,
        "trust": claim.trust,
        "at": claim.at,
        "until_seq": recorded.until_seq,
    }


def _observation(entry: LogEntry) -> dict[str, Any]:
    return {
        "recorded_at": entry.seq,
        "profile_id": entry.profile_id,
        "redacted": entry.content_redacted,
        **entry.content,
    }
