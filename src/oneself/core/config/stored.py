"""The stored form of a configuration.

Invariants: stored field names never change, so documents of earlier versions stay readable.
"""

import msgspec

from oneself.core.config.changes import (
    BlockList,
    Limits,
    OrganisationSettings,
)
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier_source import (
    UnificationRule,
)
from oneself.core.identity.identity_type import (
    IdentityBinding,
    IdentityType,
)
from oneself.core.profiles.consent import Category
from oneself.core.values.attribute import Attribute
from oneself.core.values.schema import Schema


class ConfigDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stored form of a configuration: it holds the schema as a list of attributes."""

    version: int
    seq: int
    attributes: tuple[Attribute, ...] = ()
    settings: OrganisationSettings = OrganisationSettings()
    limits: Limits = Limits()
    rules: dict[str, UnificationRule] = {}
    blocked: BlockList = BlockList()
    categories: dict[str, Category] = {}
    dataset: DatasetSettings = DatasetSettings()
    identity_types: dict[str, IdentityType] = {}
    identity_attributes: dict[str, IdentityBinding] = {}
    channels: dict[str, str] = {}
    indexed_since: dict[str, int] = msgspec.field(default_factory=dict, name="read_since")
    matched_until: dict[str, int] = {}
    separates_since: dict[str, int] = {}
    separated: dict[str, tuple[tuple[int, int], ...]] = {}
    merge_limits: tuple[tuple[int, int], ...] = ()
    write_keys_version: int = 0


#: The fields that both forms have.
_SHARED = tuple(name for name in Config.__struct_fields__ if name not in ("schema", "admitting"))


def to_document(config: Config) -> ConfigDocument:
    """The stored form of a configuration."""
    shared = {name: getattr(config, name) for name in _SHARED}
    return ConfigDocument(attributes=config.schema.attributes, **shared)


def from_document(document: ConfigDocument) -> Config:
    """The configuration of a stored form."""
    shared = {name: getattr(document, name) for name in _SHARED}
    return Config(schema=Schema(document.attributes), **shared)
