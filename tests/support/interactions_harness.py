"""A dataset that receives events of a web site."""

from __future__ import annotations

import uuid
from itertools import count
from typing import Any
from uuid import UUID

from oneself.core.config.changes import (
    ConfigChange,
    PutAttributes,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    Several,
)
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.resolution.observation import PageEvent
from oneself.core.values.attribute import Attribute
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.submission import Resolution, Submission
from oneself.service.privacy.selection import ErasureTarget
from oneself.services import Services

ACTOR = Actor("test", "shop")
#: Name on the wire (also the key of the attribute) → identity type.
BOUND = {"emailAddress": "emailAddress", "customerId": "customerId", "sfcrmLeadId": "sfcrmLeadId"}
_datasets = count(5000)


def configuration(**settings: Any) -> ConfigChange:
    """The change that adds the bindings of BOUND, the trait `plan` and these dataset settings."""
    keys = [f"identity_attributes.{key}" for key in BOUND]
    attributes = tuple(
        Attribute(attribute_id=name, attribute_name=name, value_type="string", merge_strategy="overwrite")
        for name in (*keys, "traits.plan")
    )
    bindings = tuple(
        IdentityBinding(name, type_id, f"identity_attributes.{name}") for name, type_id in BOUND.items()
    )
    return Several(
        (
            PutAttributes(attributes),
            PutIdentityType(IdentityType("loyaltyId", "Loyalty")),
            PutIdentityAttributes(bindings),
            PutDatasetSettings(DatasetSettings(**settings)),
        )
    )


class InteractionsHarness:
    """Sends events to a new dataset, or to `dataset_ref`."""

    def __init__(self, services: Services, dataset_ref: DatasetRef | None = None) -> None:
        dataset_id = next(_datasets)
        self.services = services
        self.dataset_ref = dataset_ref or DatasetRef(dataset_id, f"site-{dataset_id}", dataset_id)

    async def begin(self, **settings: Any) -> InteractionsHarness:
        await self.services.configurations.change(
            self.dataset_ref.dataset_id, lambda _: configuration(**settings)
        )
        return self

    async def event(
        self,
        *identifiers: tuple[str, str],
        device: str | None = None,
        name: str | None = "View",
        at: int | None = None,
        **fields: Any,
    ) -> Resolution:
        """Send an event of a browser with identities (type, value) that occurred `at` µs since 1970."""
        devices = [] if device is None else [Identifier("anonymous_id", device)]
        observation = PageEvent(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface="interactions",
            occurred_at=at,
            identifiers=(*devices, *(Identifier(*identity) for identity in identifiers)),
            name=name,
            **{"trust": "browser", "body": {"interaction": {"name": name}}, **fields},
        )
        return await self.services.ingest.submit(self.dataset_ref.dataset_id, Submission(observation))

    async def found(self, text: str) -> UUID | None:
        """The survivor of the profile with this id; None if there is none."""
        view = await self.services.profiles.lookup.find(self.dataset_ref, text)
        return None if view is None else view.survivor.profile_id

    async def erase(self, profile_id: UUID) -> None:
        assert (
            await self.services.privacy.erasure.erase(
                self.dataset_ref, ACTOR, ErasureTarget(profile_id=profile_id)
            )
            is not None
        )


def mail(value: str) -> tuple[str, str]:
    return "emailAddress", value


def customer(value: str) -> tuple[str, str]:
    return "customerId", value
