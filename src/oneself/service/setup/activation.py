"""Enabling: what turning the service on for an organisation brings with it (wire/cds §11).

Law of this module: all of it is there when the change is answered, or nothing of it: the settings, the
mandatory consent category, and the identity attributes that the identity server's claims ask for.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Protocol

from oneself.core.config.changes import ConfigChange, PutCategory, PutSettings, Several, SingleChange
from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import reconcile
from oneself.core.profiles.consent import MANDATORY_NAME, MANDATORY_PURPOSE, Category
from oneself.errors import InvalidInput
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.claim_sync import ClaimSync
from oneself.service.schema.bound_attributes import with_bound


def with_mandatory_category(config: Config, change: PutSettings) -> ConfigChange:
    """A change of settings; the first enabling makes the mandatory consent category together with it."""
    if not change.cds_enabled or any(category.is_mandatory for category in config.categories.values()):
        return change
    mandatory = Category(str(uuid.uuid4()), MANDATORY_NAME, MANDATORY_PURPOSE, is_mandatory=True)
    return Several((change, PutCategory(mandatory)))


class ApplicationChecker(Protocol):
    """Knows which of some system applications the identity server does not have."""

    async def unknown(self, dataset_ref: DatasetRef, named: Collection[str]) -> frozenset[str]: ...


class ServiceActivation:
    """Changes the settings of organisations."""

    def __init__(
        self, configurations: Configurations, claim_sync: ClaimSync, applications: ApplicationChecker
    ) -> None:
        self._configurations = configurations
        self._claim_sync = claim_sync
        self._applications = applications

    async def change(self, dataset_ref: DatasetRef, change: PutSettings) -> Config:
        """Change settings; enabling fetches the identity attributes first.

        Raises IdentityServerFailed, InvalidInput for a system application that does not exist; nothing is
        changed then.
        """
        if unknown := await self._applications.unknown(dataset_ref, change.system_applications or ()):
            sentence = f"System application '{min(unknown)}' does not exist."
            raise InvalidInput("system_applications", sentence)
        before = await self._configurations.current(dataset_ref.dataset_id)
        enables = change.cds_enabled and not before.settings.cds_enabled
        wanted = await self._claim_sync.fetch(dataset_ref) if enables else None
        new_id = await self._claim_sync.attribute_ids(dataset_ref, wanted or ())

        def decide(config: Config) -> ConfigChange:
            settings = with_mandatory_category(config, change)
            if wanted is None:
                return settings
            attributes, _ = reconcile(config.schema, with_bound(config, wanted), new_id)
            return Several((*_parts(settings), *(_parts(attributes) if attributes else ())))

        return await self._configurations.change(dataset_ref.dataset_id, decide)


def _parts(change: ConfigChange) -> tuple[SingleChange, ...]:
    return change.changes if isinstance(change, Several) else (change,)
