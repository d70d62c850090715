"""The service on PostgreSQL as an engine of the scenarios: one dataset, the one write path, plain reads."""

from __future__ import annotations

from uuid import UUID

import msgspec

from oneself.core.config import ConfigChange
from oneself.core.identifier import ANONYMOUS_ID
from oneself.core.observation import Observation
from oneself.service.actor import Actor
from oneself.service.configuration import Configurations
from oneself.service.erase import Erasure
from oneself.service.ingest import Ingest, Rejected, Resolution, Submission
from oneself.service.organisations import Tenant
from oneself.service.tombstones import Tombstones
from oneself.store.pool import Database
from oneself.store.rows import read_profile
from scenarios.engine import Outcome, World
from scenarios.translate import changes, facts, observation, outcome
from scenarios.words import Setup, Step

_PROFILES = "select * from profile where dataset_id = $1 and not erased"
_DEVICES = """
    select claim.value, coalesce(profile.survivor_id, profile.profile_id) as survivor_id
    from claim join profile using (dataset_id, profile_id)
    where dataset_id = $1 and namespace = $2 and until_seq is null and not profile.erased
"""
_ACTOR = Actor(face="test", application="shop", trust="server")


class Service:
    """A dataset that is new to the database; its number is the caller's choice."""

    def __init__(self, database: Database, dataset_id: int) -> None:
        self._database = database
        self._configurations = Configurations(database)
        self._tenant = Tenant(org_id=dataset_id, handle=f"tenant-{dataset_id}", dataset_id=dataset_id)
        self.dataset_id = dataset_id
        self.ingest = Ingest(database, self._configurations)

    async def begin(self, setup: Setup) -> None:
        for change in changes(setup):
            await self._configurations.change(self.dataset_id, _always(change))

    async def act(self, step: Step, addressed: UUID | None, new_id: UUID) -> Outcome:
        if step.act == "erase":
            return await self._erase(addressed)
        return await self.tell(observation(step, addressed, new_id))

    async def tell(self, told: Observation) -> Outcome:
        """Hand one observation to the write path."""
        try:
            return described(await self.ingest.submit(self.dataset_id, Submission(observation=told)))
        except Rejected as rejected:
            return Outcome(rejected=rejected.rejection.code)

    async def world(self) -> World:
        rows = await self._database.fetch(_PROFILES, self.dataset_id)
        profiles = [read_profile(_texts(row)) for row in rows]
        devices = await self._database.fetch(_DEVICES, self.dataset_id, ANONYMOUS_ID)
        assert len({row["value"] for row in devices}) == len(devices), "a device points at one profile"
        return World(
            {profile.profile_id: facts(profile, profile.survivor_id) for profile in profiles},
            {row["value"]: row["survivor_id"] for row in devices},
        )

    async def _erase(self, addressed: UUID | None) -> Outcome:
        assert addressed is not None
        gone = await Erasure(self._database, Tombstones("")).erase(self._tenant, _ACTOR, addressed)
        return Outcome() if gone else Outcome(rejected="profile_not_found")


def described(resolution: Resolution) -> Outcome:
    """What the resolution says was done; a repeat did nothing but say where the first one went."""
    if resolution.plan is None:
        return Outcome(attached=resolution.survivor.profile_id)
    return outcome(resolution.plan)


def _always(change: ConfigChange) -> object:
    return lambda config: change


def _texts(row: object) -> dict[str, object]:
    """The row with its JSON columns as text, as `read_profile` takes them."""
    texts = ("record_values", "provenance", "identities")
    return {
        name: msgspec.json.encode(value).decode() if name in texts else value
        for name, value in dict(row).items()  # type: ignore[call-overload]
    }
