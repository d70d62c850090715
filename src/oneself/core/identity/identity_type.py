"""The identity system of the event wire: types, the attributes bound to them, channels, a dataset's choices.

A type is a matchable field of the organisation; a dataset binds a name of the wire and an attribute of its
schema to it. A bound attribute holds one value per profile, and that value is an identifier.

Source: wire/interactions §2, §3, §14; DESIGN §9.
"""

from typing import Literal

import msgspec

from oneself.core.identity.identifier import Namespace
from oneself.core.values.attribute import READ_WRITE
from oneself.core.values.schema import Schema

#: A channel whose `user.id` is an identity; the rest is plain data (wire/interactions §4).
Channel = Literal["Web", "Server", "Mobile", "OpenTimeEmail"]
CHANNELS: tuple[str, ...] = ("Web", "Server", "Mobile", "OpenTimeEmail")
#: Channels whose one identity is `user.id` alone.
SOLE_IDENTITY_CHANNELS = frozenset({"Mobile", "OpenTimeEmail"})

#: The primary id as a type: shown, never matched (wire/interactions §3).
PROFILE_ID = "profileId"

IDENTITY_VALUE_BYTES_MAX = 256


class IdentityType(msgspec.Struct, frozen=True, omit_defaults=True):
    """An organisation's matchable field. `is_unique`: "Identity Namespace", one user per dataset may hold a
    value; else "Not Unique", never matched. `blocks_default_values`: also what identifies nobody anywhere."""

    type_id: str
    label: str
    is_unique: bool = True
    case_sensitive: bool = False
    built_in: bool = False
    trusted_only: bool = False
    conflict_blocks_merge: bool = False
    blocked_values: tuple[str, ...] = ()
    blocks_default_values: bool = True

    @property
    def can_match(self) -> bool:
        """Whether values of this type are identifiers."""
        return self.is_unique and self.type_id != PROFILE_ID


class IdentityBinding(msgspec.Struct, frozen=True):
    """What the event wire calls `name` is of this type, and kept in `attribute` (its full name)."""

    name: str
    type_id: str
    attribute: str


BUILT_IN_TYPES: dict[str, IdentityType] = {
    item.type_id: item
    for item in (
        IdentityType("emailAddress", "Email Address", built_in=True),
        IdentityType("SecondaryEmail", "Secondary email address", built_in=True),
        IdentityType("sfmcContactKey", "Salesforce Marketing Cloud Contact Key", built_in=True),
        IdentityType("sfcrmContactId", "Salesforce CRM Contact ID", case_sensitive=True, built_in=True),
        IdentityType("sfcrmLeadId", "Salesforce CRM Lead ID", case_sensitive=True, built_in=True),
        IdentityType("customerId", "Customer ID", built_in=True),
        IdentityType(PROFILE_ID, "Profile ID", built_in=True),
    )
}

#: The name that `user.id` stands for on each channel until somebody says otherwise.
DEFAULT_CHANNELS: dict[str, str] = {
    "Web": "customerId",
    "Server": "customerId",
    "Mobile": "customerId",
    "OpenTimeEmail": "emailAddress",
}

#: The name space of user ids where identity resolution is off: the id is the primary id (§11). A dot, so that
#: no identity type can have the name.
LEGACY_ID = "legacy.id"
LEGACY_ID_BYTES_MAX = 200
LEGACY_NAMESPACE = Namespace(
    reason="legacy_id",
    case_sensitive=True,
    conflict_blocks_merge=True,
    values_max=1,
    bytes_max=LEGACY_ID_BYTES_MAX,
    blocks="nothing",
)

#: Once identity resolution is on, former ids are aliases and keep nobody apart.
FORMER_NAMESPACE = Namespace(
    reason="legacy_id", case_sensitive=True, bytes_max=LEGACY_ID_BYTES_MAX, blocks="nothing"
)
#: The id of the work that gives named users their identity when identity resolution is turned on.
LEGACY_ID_JOB = "identity-resolution:on"


def namespace_of(identity_type: IdentityType, *, is_bound: bool, values_max: int) -> Namespace:
    """How the values of a type are read. A bound one is held once per profile, the newest value wins."""
    return Namespace(
        reason=f"identity:{identity_type.type_id}",
        case_sensitive=identity_type.case_sensitive,
        trusted_only=identity_type.trusted_only,
        conflict_blocks_merge=identity_type.conflict_blocks_merge,
        blocked_values=frozenset(value.casefold() for value in identity_type.blocked_values),
        values_max=values_max,
        bytes_max=IDENTITY_VALUE_BYTES_MAX,
        blocks="event_wire" if identity_type.blocks_default_values else "nothing",
        is_single=is_bound,
    )


def can_bind(schema: Schema, name: str) -> bool:
    """Whether an attribute can hold identities: any one string, which events may write (wire §3)."""
    attribute = schema.find(name)
    return (
        attribute is not None
        and attribute.value_type == "string"
        and attribute.mutability == READ_WRITE
        and not attribute.multi_valued
        and not attribute.canonical_values
    )
