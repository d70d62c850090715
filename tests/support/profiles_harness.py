"""A dataset with profiles that applications write."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from oneself.core.config.changes import PutAttributes
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity_graph.joins import View
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.trackers import new_tracker
from oneself.service.log.verify import verify
from oneself.service.privacy.selection import ErasureTarget
from oneself.service.profiles.refusals import Refusals
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.service.rules.rules import Reindexer
from oneself.services import Services

ACTOR = Actor("test", "shop")
KEYS = ("mail", "card", "plan", "tags")
_datasets = count(1000)


class ProfilesHarness:
    """A new dataset with the traits `mail`, `card`, `plan` (strings) and `tags` (list, `combine`)."""

    def __init__(self, services: Services) -> None:
        dataset_id = next(_datasets)
        self.services = services
        self.database = services.database
        self.dataset_ref = DatasetRef(dataset_id, f"crowd-{dataset_id}", dataset_id)

    async def begin(self) -> ProfilesHarness:
        attributes = tuple(
            Attribute(
                attribute_id=key,
                attribute_name=f"traits.{key}",
                value_type="string",
                merge_strategy="combine" if key == "tags" else "overwrite",
                multi_valued=key == "tags",
            )
            for key in KEYS
        )
        await self.services.configurations.change(
            self.dataset_ref.dataset_id, lambda _: PutAttributes(attributes)
        )
        return self

    async def person(self, user_id: str | None = None, tracker: str | None = None, **traits: Any) -> UUID:
        """Create a profile. Returns its id, even if it was absorbed immediately."""
        made = await self.services.profiles.profiles.create(
            self.dataset_ref, ACTOR, {"traits": traits}, tracker=tracker or new_tracker(), user_id=user_id
        )
        return made.profile.profile_id

    async def write(self, profile_id: UUID, user_id: str | None = None, **traits: Any) -> None:
        await self.services.profiles.profiles.patch(
            self.dataset_ref, ACTOR, profile_id, {"traits": traits}, user_id=user_id
        )

    async def rule(self, key: str, priority: int = 1, *, is_active: bool = True) -> UnificationRule:
        draft = UnificationRule("", f"by {key}", f"traits.{key}", priority, is_active)
        return await self.services.rules.rules.create(self.dataset_ref, draft)

    def index_by(self, **limits: int) -> None:
        """Run background work with these limits of `Reindexer`."""
        services = self.services
        reindexer = Reindexer(
            services.database,
            services.configurations,
            services.ingest,
            AdmittedLater(services.database, services.ingest.tombstones),
            **limits,
        )
        rules = msgspec.structs.replace(services.rules, reindexer=reindexer)
        self.services = msgspec.structs.replace(services, rules=rules)

    def examine(self, profiles_per_page: int) -> None:
        """Examine so many profiles for each page of refusals."""
        services = self.services
        refusals = Refusals(services.database, services.configurations, profiles_per_page=profiles_per_page)
        profiles = msgspec.structs.replace(services.profiles, refusals=refusals)
        self.services = msgspec.structs.replace(services, profiles=profiles)

    async def index(self) -> None:
        """Run all waiting reindex jobs."""
        while await self.services.rules.reindexer.step():
            pass

    async def erase(self, profile_id: UUID, view: View = "all") -> Any:
        target = ErasureTarget(view=view, profile_id=profile_id)
        return await self.services.privacy.erasure.erase(self.dataset_ref, ACTOR, target)

    async def survivors(self, *profile_ids: UUID) -> list[UUID | None]:
        """The survivor of each profile; None for an erased one."""
        views = [
            await self.services.profiles.profiles.find(self.dataset_ref, profile_id)
            for profile_id in profile_ids
        ]
        return [view.survivor.profile_id if view else None for view in views]

    async def groups(self) -> dict[UUID, frozenset[UUID]]:
        """Survivor → the profiles that it absorbed."""
        found = await self.database.fetch(
            "SELECT survivor_id, profile_id FROM profile WHERE dataset_id = $1 AND survivor_id IS NOT NULL",
            self.dataset_ref.dataset_id,
        )
        groups: dict[UUID, set[UUID]] = {}
        for row in found:
            groups.setdefault(row["survivor_id"], set()).add(row["profile_id"])
        return {survivor: frozenset(absorbed) for survivor, absorbed in groups.items()}

    async def values(self) -> dict[UUID, dict[str, Any]]:
        """The stored traits of every profile."""
        found = await self.database.fetch(
            "SELECT profile_id, record_values -> 'traits' AS traits FROM profile WHERE dataset_id = $1",
            self.dataset_ref.dataset_id,
        )
        return {row["profile_id"]: row["traits"] or {} for row in found}

    async def refusals(self) -> set[tuple[str, UUID, UUID]]:
        found = await self.database.fetch(
            "SELECT code, profile_id, other_id FROM refusal WHERE dataset_id = $1",
            self.dataset_ref.dataset_id,
        )
        return {(row["code"], row["profile_id"], row["other_id"]) for row in found}

    async def verified(self) -> None:
        """Fail unless the log folds to the live state."""
        report = await verify(self.database, lambda done, total: None)
        assert report.difference is None, report.difference

    async def text(self) -> str:
        """Every row of this database that could contain personal data, as text."""
        tables = (
            "log",
            "claim",
            "profile",
            "merge",
            "refusal",
            "idempotency_record",
            "tombstone",
            "skipped_claim",
        )
        existing = {
            row["tablename"]
            for row in await self.database.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'oneself'"
            )
        }
        rows = [
            row["text"]
            for name in tables
            if name in existing
            for row in await self.database.fetch(f"SELECT row_to_json(t)::text AS text FROM {name} AS t")
        ]
        select = "SELECT response FROM idempotency_record WHERE response IS NOT NULL"
        bodies = await self.database.fetch(select)
        return "\n".join([*rows, *(bytes(row["response"]).decode() for row in bodies)])


def unknown() -> UUID:
    """An id that no profile has."""
    return uuid.uuid4()
