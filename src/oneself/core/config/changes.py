"""Changes of the configuration, as values: what the log keeps of each, and what the next version is made of.

Here: what can be said. What follows from it is in `config`.
"""

import msgspec

from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier_source import VALUES_PER_NAMESPACE_MAX, UnificationRule
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.profiles.consent import Category
from oneself.core.values.attribute import Attribute


class OrganisationSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `/config` of the CDS wire holds (wire/cds §11)."""

    cds_enabled: bool = False
    system_applications: tuple[str, ...] = ()
    detach_on_sign_out: bool = False


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far one observation may join (DESIGN §4.6). Beyond it a person is asked for.

    A household or a shop's tablet collects some dozens of browsers; a group that grows by more than
    `profiles_per_merge_max` at once is nearly always one bad value.
    """

    profiles_per_merge_max: int = 100
    values_per_namespace_max: int = VALUES_PER_NAMESPACE_MAX


class BlockList(msgspec.Struct, frozen=True, omit_defaults=True):
    """The organisation's own values that identify nobody: exact (compared case-folded), and patterns."""

    values: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()


class PutAttributes(msgspec.Struct, frozen=True, tag="put_attributes"):
    """Define attributes, or redefine those with the same id."""

    attributes: tuple[Attribute, ...]


class DropAttributes(msgspec.Struct, frozen=True, tag="drop_attributes"):
    """Remove attributes by id; values on profiles stay."""

    attribute_ids: tuple[str, ...]


class PutSettings(msgspec.Struct, frozen=True, tag="put_settings", omit_defaults=True):
    """Change organisation settings; None leaves one as it is."""

    cds_enabled: bool | None = None
    system_applications: tuple[str, ...] | None = None
    detach_on_sign_out: bool | None = None


class PutIdentityType(msgspec.Struct, frozen=True, tag="put_identity_type"):
    """Add an identity type, or change what may change of one."""

    identity_type: IdentityType


class DropIdentityType(msgspec.Struct, frozen=True, tag="drop_identity_type"):
    """Remove an identity type; a built-in one is as it was at first."""

    type_id: str


class PutIdentityAttributes(msgspec.Struct, frozen=True, tag="put_identity_attributes"):
    """Bind exactly these; an unbound attribute keeps its values and stops matching (wire/interactions §3)."""

    identity_attributes: tuple[IdentityBinding, ...]


class PutChannels(msgspec.Struct, frozen=True, tag="put_channels"):
    """Say what `user.id` stands for, channel → name; a channel that is not named is as it was at first."""

    channels: dict[str, str]


class PutDatasetSettings(msgspec.Struct, frozen=True, tag="put_dataset_settings"):
    """Replace the choices of a dataset; turning identity resolution on notes when that was."""

    settings: DatasetSettings


class PutLimits(msgspec.Struct, frozen=True, tag="put_limits"):
    """Change how far one observation may join."""

    limits: Limits


class PutRule(msgspec.Struct, frozen=True, tag="put_rule"):
    """Add a unification rule, or change the one with the same id."""

    rule: UnificationRule


class DropRule(msgspec.Struct, frozen=True, tag="drop_rule"):
    """Remove a rule; what it joined stays joined (wire/cds §9)."""

    rule_id: str


class PutBlocked(msgspec.Struct, frozen=True, tag="put_blocked"):
    """Replace the organisation's own values that identify nobody."""

    blocked: BlockList


class PutCategory(msgspec.Struct, frozen=True, tag="put_category"):
    """Add a consent category, or change the one with the same id."""

    category: Category


class DropCategory(msgspec.Struct, frozen=True, tag="drop_category"):
    """Remove a consent category; choices made in it stay, and open nothing."""

    category_identifier: str


SingleChange = (
    PutAttributes
    | DropAttributes
    | PutSettings
    | PutIdentityType
    | DropIdentityType
    | PutIdentityAttributes
    | PutChannels
    | PutDatasetSettings
    | PutLimits
    | PutRule
    | DropRule
    | PutBlocked
    | PutCategory
    | DropCategory
)


class Several(msgspec.Struct, frozen=True, tag="several"):
    """Changes that are made together or not at all, as one version."""

    changes: tuple[SingleChange, ...]


ConfigChange = SingleChange | Several
