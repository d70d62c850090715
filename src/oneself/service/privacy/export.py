"""Export: everything that is kept about one person, as one document (DESIGN §8).

Law of this module: one instant, nothing left out, whatever the attributes' mutability or a consent filter
would hide from applications: the document is for the person.
"""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from oneself.core.config.configuration import Config
from oneself.core.profiles.profile import Profile
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.log_reader import find_person_entries
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_ingest = Queries("ingest.sql")
_privacy = Queries("privacy.sql")

FORMAT = "oneself-person-1"


class Exports:
    """Writes a person down."""

    def __init__(self, database: Database, configurations: Configurations) -> None:
        self._database = database
        self._configurations = configurations

    async def export(self, dataset_ref: DatasetRef, profile_id: UUID) -> dict[str, Any] | None:
        """The document, instants in µs since 1970; None if the profile is unknown or erased."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            return await _export(connection, dataset_ref, profile_id, config)


async def _export(
    connection: "Connection", dataset_ref: DatasetRef, profile_id: UUID, config: Config
) -> dict[str, Any] | None:
    found = await connection.fetch(_ingest.find_view, dataset_ref.dataset_id, profile_id)
    profiles = {profile.profile_id: profile for profile in (rows.read_profile(row) for row in found)}
    if profile_id not in profiles:
        return None
    survivor = next(profile for profile in profiles.values() if not profile.is_absorbed)
    ids = sorted(profiles)
    entries = await find_person_entries(connection, dataset_ref.dataset_id, ids)
    return {
        "format": FORMAT,
        "organisation": dataset_ref.handle,
        "profile": _profile(survivor),
        "absorbed_profiles": [_absorbed(p) for p in profiles.values() if p.is_absorbed],
        "values": survivor.record.values,
        "provenance": survivor.record.provenance,
        "consents": [_consent(config, category, choice) for category, choice in survivor.consents.items()],
        "identifiers": await _rows(connection, _privacy.find_person_claims, dataset_ref, ids),
        "merges": await _rows(connection, _privacy.find_person_merges, dataset_ref, ids),
        "refusals": await _rows(connection, _privacy.find_person_refusals, dataset_ref, ids),
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


async def _rows(
    connection: "Connection", sql: str, dataset_ref: DatasetRef, ids: list[UUID]
) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(sql, dataset_ref.dataset_id, ids)]


def _observation(entry: Any) -> dict[str, Any]:
    return {
        "recorded_at": entry.seq,
        "profile_id": entry.profile_id,
        "redacted": entry.redacted,
        **entry.content,
    }
