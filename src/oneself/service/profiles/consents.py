"""Consent: the categories of an organisation, and what users chose.

Invariants: categories are configuration; choices are observations on the one write path. The mandatory
category exists from the first activation of the service on, and stays. Source: docs/wire/cds.md §6, §10.
"""

from __future__ import annotations

import uuid
from uuid import UUID

import msgspec

from oneself.core.config.changes import ConfigChange, DropCategory, PutCategory
from oneself.core.config.configuration import Config
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.consent import Category, Choices
from oneself.core.values.schema import Schema
from oneself.errors import OneselfError
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.submission import Resolution
from oneself.service.profiles.profiles import Profiles


class InvalidCategory(OneselfError):
    """The category is invalid; the message says why."""


class DuplicateCategory(OneselfError):
    """Another category of the organisation has this name."""


class UnknownCategory(OneselfError):
    """There is no such category in the organisation."""


class MandatoryCategory(OneselfError):
    """The mandatory category cannot be changed, deleted or chosen."""


class Consents:
    """The use-cases of consent."""

    def __init__(self, configurations: Configurations, profiles: Profiles) -> None:
        self._configurations = configurations
        self._profiles = profiles

    async def create(self, dataset_ref: DatasetRef, draft: Category) -> Category:
        """Add a category with a generated id. Raises InvalidCategory, DuplicateCategory."""
        category = msgspec.structs.replace(draft, category_identifier=str(uuid.uuid4()))

        def put(config: Config) -> ConfigChange:
            _check(config, category)
            return PutCategory(category)

        await self._configurations.change(dataset_ref.dataset_id, put)
        return category

    async def replace(self, dataset_ref: DatasetRef, category: Category) -> Category:
        """Replace the category of this id.

        Raises UnknownCategory, MandatoryCategory, InvalidCategory, DuplicateCategory.
        """

        def put(config: Config) -> ConfigChange | None:
            before = _changeable(config, category.category_identifier)
            _check(config, category)
            return PutCategory(category) if category != before else None

        await self._configurations.change(dataset_ref.dataset_id, put)
        return category

    async def delete(self, dataset_ref: DatasetRef, category_identifier: str) -> None:
        """Delete a category if it exists. Raises MandatoryCategory."""

        def drop(config: Config) -> ConfigChange | None:
            if category_identifier not in config.categories:
                return None
            _changeable(config, category_identifier)
            return DropCategory(category_identifier)

        await self._configurations.change(dataset_ref.dataset_id, drop)

    async def replace_choices(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        choices: dict[str, tuple[bool, int]],
        *,
        view: View = "all",
    ) -> Resolution:
        """Replace all choices of the survivor of `profile_id`: category → (consented, instant in µs).

        Raises UnknownCategory, MandatoryCategory, ObservationRejected `profile_not_found`.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        for category_identifier in choices:
            _changeable(config, category_identifier)
        return await self._profiles.replace_consents(dataset_ref, actor, profile_id, choices, view=view)


def known_choices(config: Config, choices: Choices) -> Choices:
    """The choices in categories that exist; the mandatory one is not chosen."""
    return {
        i: choice
        for i, choice in choices.items()
        if (category := config.categories.get(i)) and not category.is_mandatory
    }


def _changeable(config: Config, category_identifier: str) -> Category:
    category = config.categories.get(category_identifier)
    if category is None:
        raise UnknownCategory(f"No consent category found for the id: {category_identifier}")
    if category.is_mandatory:
        raise MandatoryCategory(f"'{category.category_name}' is mandatory.")
    return category


def _check(config: Config, category: Category) -> None:
    for entry in category.attributes:
        _check_attribute(config.schema, entry.attribute_name, entry.application_identifier)
    for other in config.categories.values():
        if other.category_identifier != category.category_identifier and (
            other.category_name == category.category_name
        ):
            raise DuplicateCategory(f"A consent category named '{category.category_name}' already exists.")


def _check_attribute(schema: Schema, name: str, application: str | None) -> None:
    if name.startswith("application_data.") and not application:
        raise InvalidCategory(f"application_identifier is required for '{name}'.")
    if not name.startswith("application_data.") and application:
        raise InvalidCategory(f"application_identifier is not allowed for '{name}'.")
    if schema.find(name, application) is None:
        raise InvalidCategory(f"Attribute '{name}' is not found in the profile schema.")
