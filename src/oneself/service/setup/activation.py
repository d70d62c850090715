"""Activation: what turning the customer data service on for an organisation includes.

Invariants: the settings, the mandatory consent category and the identity attributes that the identity
server's claims require are written in one change, or not at all. Source: docs/wire/cds.md §11.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from typing import Protocol

import msgspec

from oneself.core.config.changes import (
    EMAIL_SOURCES,
    MOBILE_SOURCES,
    ConfigChange,
    PutCategory,
    PutSettings,
    Several,
    SingleChange,
)
from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import reconcile
from oneself.core.profiles.consent import MANDATORY_NAME, MANDATORY_PURPOSE, Category
from oneself.errors import InvalidInput
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.identity_provider.claim_sync import ClaimSync
from oneself.service.schema.identity_bindings import with_bound


def with_mandatory_category(config: Config, change: PutSettings) -> ConfigChange:
    """A change of settings; the first activation adds the mandatory consent category."""
    if not change.cds_enabled or any(category.is_mandatory for category in config.categories.values()):
        return change
    mandatory = Category(str(uuid.uuid4()), MANDATORY_NAME, MANDATORY_PURPOSE, is_mandatory=True)
    return Several((change, PutCategory(mandatory)))


class ApplicationChecker(Protocol):
    """Tells which of some applications do not exist."""

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
        """Change settings; an activation fetches the identity attributes first.

        Raises IdentityServerFailed, InvalidInput for a system application that does not exist, or settings
        that contradict each other; then nothing is changed.
        """
        change = msgspec.structs.replace(
            change,
            email_verified_by=_in_order("email_verified_by", change.email_verified_by, EMAIL_SOURCES),
            mobile_verified_by=_in_order("mobile_verified_by", change.mobile_verified_by, MOBILE_SOURCES),
        )
        if unknown := await self._applications.unknown(dataset_ref, change.system_applications or ()):
            sentence = f"System application '{min(unknown)}' does not exist."
            raise InvalidInput("system_applications", sentence)
        before = await self._configurations.current(dataset_ref.dataset_id)
        enables = change.cds_enabled and not before.settings.cds_enabled
        required = await self._claim_sync.fetch(dataset_ref) if enables else None
        new_id = await self._claim_sync.attribute_ids(dataset_ref, required or ())

        def decide(config: Config) -> ConfigChange:
            _check_sign_in_is_possible(config, change)
            settings = with_mandatory_category(config, change)
            if required is None:
                return settings
            attributes, _ = reconcile(config.schema, with_bound(config, required), new_id)
            return Several((*_parts(settings), *(_parts(attributes) if attributes else ())))

        return await self._configurations.change(dataset_ref.dataset_id, decide)


def _in_order(setting: str, given: Collection[str] | None, known: Collection[str]) -> tuple[str, ...] | None:
    """Who verifies, each once, in the order of `known`. Raises InvalidInput for anybody else."""
    if given is None:
        return None
    if not set(given) <= set(known):
        raise InvalidInput(setting, f"{setting} must contain nothing but: {', '.join(known)}.")
    return tuple(source for source in known if source in given)


def _check_sign_in_is_possible(config: Config, change: PutSettings) -> None:
    """Raise InvalidInput if people must verify their addresses before they sign in, and cannot."""
    settings, is_first, sources = config.settings, change.verified_address_first, change.email_verified_by
    is_first = settings.verified_address_first if is_first is None else is_first
    if is_first and "mail" not in (settings.email_verified_by if sources is None else sources):
        sentence = "verified_address_first requires mail in email_verified_by, so that people can sign in."
        raise InvalidInput("verified_address_first", sentence)


def _parts(change: ConfigChange) -> tuple[SingleChange, ...]:
    return change.changes if isinstance(change, Several) else (change,)
