"""Changes of the configuration, as values that the log stores.

Invariants: this module defines the changes only. `configuration` applies them.
"""

from typing import Literal

import msgspec

from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier_source import VALUES_PER_NAMESPACE_MAX, UnificationRule
from oneself.core.identity.identity_type import IdentityBinding, IdentityType
from oneself.core.profiles.consent import Category
from oneself.core.values.attribute import Attribute

#: Who verifies a claim: the person with the link of a mail or with a code, the identity provider, an
#: administrator.
VerificationSource = Literal["mail", "code", "provider", "administrator"]
#: Who can verify the e-mail address, and the mobile number.
EMAIL_SOURCES: tuple[VerificationSource, ...] = ("mail", "provider", "administrator")
MOBILE_SOURCES: tuple[VerificationSource, ...] = ("code", "provider", "administrator")


class OrganisationSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The settings of an organisation. Source: docs/wire/cds.md §11."""

    cds_enabled: bool = False
    system_applications: tuple[str, ...] = ()
    detach_on_sign_out: bool = False
    #: Nobody signs in to an account of the embedded directory before its address is verified.
    verified_address_first: bool = False
    #: Who verifies e-mail addresses from now on, and who mobile numbers. What is verified stays so.
    email_verified_by: tuple[str, ...] = EMAIL_SOURCES
    mobile_verified_by: tuple[str, ...] = MOBILE_SOURCES

    def accepts(self, claim: str, source: VerificationSource) -> bool:
        """Whether somebody can verify a claim."""
        accepted = {"emailaddress": self.email_verified_by, "mobile": self.mobile_verified_by}
        return source in accepted.get(claim, ())


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much one observation may merge without review. Source: docs/concepts/resolution.md, rule 6."""

    #: A household or a shop's tablet collects some dozens of browsers. One bad value nearly always causes a
    #: larger merge at once.
    profiles_per_merge_max: int = 100
    #: Values of one namespace that a profile may hold.
    values_per_namespace_max: int = VALUES_PER_NAMESPACE_MAX


class BlockList(msgspec.Struct, frozen=True, omit_defaults=True):
    """The organisation's own blocked values, which do not identify a person."""

    #: Exact values, case-folded.
    values: frozenset[str] = frozenset()
    #: Shell patterns (`*@test.example`).
    patterns: tuple[str, ...] = ()


class PutAttributes(msgspec.Struct, frozen=True, tag="put_attributes"):
    """Define attributes, or redefine those with the same id."""

    attributes: tuple[Attribute, ...]


class DropAttributes(msgspec.Struct, frozen=True, tag="drop_attributes"):
    """Remove attributes by id; profiles keep the values."""

    attribute_ids: tuple[str, ...]


class PutSettings(msgspec.Struct, frozen=True, tag="put_settings", omit_defaults=True):
    """Change organisation settings; None leaves a setting unchanged."""

    cds_enabled: bool | None = None
    system_applications: tuple[str, ...] | None = None
    detach_on_sign_out: bool | None = None
    verified_address_first: bool | None = None
    email_verified_by: tuple[str, ...] | None = None
    mobile_verified_by: tuple[str, ...] | None = None


class PutIdentityType(msgspec.Struct, frozen=True, tag="put_identity_type"):
    """Add an identity type, or replace the one with the same id."""

    identity_type: IdentityType


class DropIdentityType(msgspec.Struct, frozen=True, tag="drop_identity_type"):
    """Remove an identity type; a built-in type returns to its default."""

    type_id: str


class PutIdentityAttributes(msgspec.Struct, frozen=True, tag="put_identity_attributes"):
    """Replace all bindings. An attribute without a binding keeps its values and stops matching.

    Source: docs/wire/interactions.md §3.
    """

    identity_attributes: tuple[IdentityBinding, ...]


class PutChannels(msgspec.Struct, frozen=True, tag="put_channels"):
    """Set the name that `user.id` stands for on each channel; other channels return to the default."""

    #: Channel → name.
    channels: dict[str, str]


class PutDatasetSettings(msgspec.Struct, frozen=True, tag="put_dataset_settings"):
    """Replace the settings of a dataset. Turning identity resolution on records the seq of the change."""

    settings: DatasetSettings


class PutLimits(msgspec.Struct, frozen=True, tag="put_limits"):
    """Replace the limits on merges."""

    limits: Limits


class PutRule(msgspec.Struct, frozen=True, tag="put_rule"):
    """Add a unification rule, or change the one with the same id."""

    rule: UnificationRule


class DropRule(msgspec.Struct, frozen=True, tag="drop_rule"):
    """Remove a rule; existing merges stay (docs/wire/cds.md §9)."""

    rule_id: str


class PutBlocked(msgspec.Struct, frozen=True, tag="put_blocked"):
    """Replace the organisation's own blocked values."""

    blocked: BlockList


class PutCategory(msgspec.Struct, frozen=True, tag="put_category"):
    """Add a consent category, or change the one with the same id."""

    category: Category


class DropCategory(msgspec.Struct, frozen=True, tag="drop_category"):
    """Remove a consent category; choices made in it stay stored and disclose nothing."""

    category_identifier: str


class PutWriteKey(msgspec.Struct, frozen=True, tag="put_write_key"):
    """Record that a write key of the dataset was created. The key itself is never in the log."""

    key_id: str
    #: server or browser.
    kind: str
    name: str
    allowed_origins: tuple[str, ...] = ()


class DropWriteKey(msgspec.Struct, frozen=True, tag="drop_write_key"):
    """Record that a write key of the dataset was deleted."""

    key_id: str


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
    | PutWriteKey
    | DropWriteKey
)


class Several(msgspec.Struct, frozen=True, tag="several"):
    """Changes that apply together, as one version."""

    changes: tuple[SingleChange, ...]


ConfigChange = SingleChange | Several
