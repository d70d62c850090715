"""Identity types, the attributes bound to them, and the channels of events.

A type is a matchable field of the organisation. A dataset binds a name in its events and an attribute of its
schema to the type. A bound attribute holds one value per profile, and that value is an identifier.

Invariants: this module holds definitions only. It does not know profiles or their values.

Source: docs/wire/interactions.md §2, §3, §14.
"""

from typing import Literal

import msgspec

from oneself.core.identity.identifier import Namespace
from oneself.core.values.attribute import READ_WRITE
from oneself.core.values.schema import Schema

#: A channel whose `user.id` is an identity; on others it is plain data (docs/wire/interactions.md §4).
Channel = Literal["Web", "Server", "Mobile", "OpenTimeEmail"]
CHANNELS: tuple[str, ...] = ("Web", "Server", "Mobile", "OpenTimeEmail")
#: Channels whose only identity is `user.id`.
SOLE_IDENTITY_CHANNELS = frozenset({"Mobile", "OpenTimeEmail"})

#: The channels whose `user.id` is the customer number. Of an opened e-mail it is the address, which people
#: change.
CUSTOMER_CHANNELS: tuple[str, ...] = ("Web", "Server", "Mobile")

#: The primary id as a type: listed, never matched (docs/wire/interactions.md §3).
PROFILE_ID = "profileId"

IDENTITY_VALUE_BYTES_MAX = 256


class IdentityType(msgspec.Struct, frozen=True, omit_defaults=True):
    """An organisation's matchable field."""

    type_id: str
    label: str
    #: One profile per dataset may hold a value; values of a type that is not unique are never matched.
    is_unique: bool = True
    case_sensitive: bool = False
    built_in: bool = False
    #: Accepts values only from servers.
    trusted_only: bool = False
    #: A user of whom a server said a value owns what servers began with it.
    proves_identity: bool = False
    #: Two profiles with different values are never merged.
    conflict_blocks_merge: bool = False
    #: Values that do not identify a person, in any case.
    blocked_values: tuple[str, ...] = ()
    #: Also blocks placeholders (`blocklist.is_placeholder`).
    blocks_default_values: bool = True

    @property
    def can_match(self) -> bool:
        """Whether values of this type are identifiers."""
        return self.is_unique and self.type_id != PROFILE_ID


class IdentityBinding(msgspec.Struct, frozen=True):
    """Binds a name in events to an identity type and to the attribute that stores its value."""

    #: The name in events.
    name: str
    type_id: str
    #: The full name of the attribute.
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

#: The default name that `user.id` stands for, by channel.
DEFAULT_CHANNELS: dict[str, str] = {
    "Web": "customerId",
    "Server": "customerId",
    "Mobile": "customerId",
    "OpenTimeEmail": "emailAddress",
}

#: The namespace of user ids where identity resolution is off: the id is the primary id
#: (docs/wire/interactions.md §11). The dot keeps it apart from the names of identity types.
LEGACY_ID = "legacy.id"
LEGACY_ID_BYTES_MAX = 200
LEGACY_NAMESPACE = Namespace(
    reason="legacy_id",
    case_sensitive=True,
    conflict_blocks_merge=True,
    values_max=1,
    bytes_max=LEGACY_ID_BYTES_MAX,
    former_blocks="nothing",
)

#: Once identity resolution is on, former ids are aliases: different ones do not block a merge.
FORMER_NAMESPACE = Namespace(
    reason="legacy_id", case_sensitive=True, bytes_max=LEGACY_ID_BYTES_MAX, former_blocks="nothing"
)
#: The id of the job that gives named users their identity when identity resolution is turned on.
LEGACY_ID_JOB = "identity-resolution:on"


def namespace_of(
    identity_type: IdentityType, *, is_bound: bool, keeps_apart: bool, values_max: int
) -> Namespace:
    """The namespace of a type. If an attribute is bound to it, a profile holds only the newest value.

    `keeps_apart`: whether two different values are two people in this dataset, whatever the type says.
    """
    return Namespace(
        reason=f"identity:{identity_type.type_id}",
        case_sensitive=identity_type.case_sensitive,
        trusted_only=identity_type.trusted_only,
        proves_identity=identity_type.proves_identity,
        conflict_blocks_merge=identity_type.conflict_blocks_merge or keeps_apart,
        blocked_values=frozenset(value.casefold() for value in identity_type.blocked_values),
        values_max=values_max,
        bytes_max=IDENTITY_VALUE_BYTES_MAX,
        blocks_placeholders=identity_type.blocks_default_values,
        former_blocks="event_wire" if identity_type.blocks_default_values else "nothing",
        is_single=is_bound,
    )


def can_bind(schema: Schema, name: str) -> bool:
    """Whether an attribute can hold identities: it is one free string that events may write.

    Source: docs/wire/interactions.md §3.
    """
    attribute = schema.find(name)
    return (
        attribute is not None
        and attribute.value_type == "string"
        and attribute.mutability == READ_WRITE
        and not attribute.multi_valued
        and not attribute.canonical_values
    )
