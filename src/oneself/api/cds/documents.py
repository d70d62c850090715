"""The documents of the CDS wire alone, field by field. Profiles themselves are in `api.documents.profile`.

These structs name what travels: strict decoding reads the allowed fields from the request documents, and
responses and the published API description are built from them.
Source: docs/wire/cds.md §5, §7, §11.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from oneself.api.documents.profile import ApplicationValues, ProfileDocument, Values
from oneself.core.values.attribute import MUTABILITIES, VALUE_TYPES
from oneself.core.values.definition_rules import DEFINABLE_STRATEGIES

ValueType = Annotated[str, Meta(extra_json_schema={"enum": list(VALUE_TYPES)})]
MergeStrategy = Annotated[str, Meta(extra_json_schema={"enum": list(DEFINABLE_STRATEGIES)})]
Mutability = Annotated[str, Meta(extra_json_schema={"enum": list(MUTABILITIES)})]


class ProfileDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST `/profiles`. Every field is optional, unknown fields are rejected."""

    user_id: str | None = None
    identity_attributes: Values | None = None
    traits: Values | None = None
    application_data: ApplicationValues | None = None


class ProfilePatch(Struct, frozen=True):
    """Body of PATCH. Null unsets an attribute; a section that is null is ignored."""

    user_id: str | None = None
    identity_attributes: Values | None = None
    traits: Values | None = None
    application_data: ApplicationValues | None = None


class CursorPagination(Struct, frozen=True, omit_defaults=True):
    """The position of this page. A cursor is present only if there is a page in its direction."""

    count: int
    page_size: int
    next_cursor: str = ""
    previous_cursor: str = ""


class ProfileList(Struct, frozen=True):
    """One page of profiles that are not absorbed, newest first."""

    pagination: CursorPagination
    profiles: list[ProfileDocument]


class AttributeCanonicalValueDocument(Struct, frozen=True, omit_defaults=True):
    """One of the values that an attribute may have."""

    value: str
    label: str = ""


class SubAttributeDocument(Struct, frozen=True):
    """A child of a complex attribute."""

    attribute_id: str
    attribute_name: str


class AttributeDocument(Struct, frozen=True, omit_defaults=True):
    """The definition of a profile attribute. `scope` is present only when it is read by id."""

    attribute_id: str
    attribute_name: str
    display_name: str
    value_type: ValueType
    merge_strategy: str
    mutability: Mutability
    multi_valued: bool = False
    application_identifier: str = ""
    canonical_values: list[AttributeCanonicalValueDocument] = []
    sub_attributes: list[SubAttributeDocument] = []
    scope: str = ""


class AttributeCanonicalValueDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """One of the values that an attribute may have, as it is sent."""

    value: str | None = None
    label: str | None = None


class SubAttributeDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """A child of a complex attribute, named by its id."""

    attribute_id: str | None = None
    attribute_name: str | None = None


class AttributeDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of POST `/profile-schema/{scope}`, and the body of PUT by id."""

    attribute_name: str | None = None
    value_type: ValueType | None = None
    merge_strategy: MergeStrategy | None = None
    mutability: Mutability | None = None
    display_name: str | None = None
    multi_valued: bool | None = None
    application_identifier: str | None = None
    canonical_values: list[AttributeCanonicalValueDraft] | None = None
    sub_attributes: list[SubAttributeDraft] | None = None
    attribute_id: str | None = None
    scope: str | None = None
    org_id: str | None = None
    scim_dialect: str | None = None


class CoreAttributeDocument(Struct, frozen=True):
    """A built-in attribute."""

    value_type: ValueType
    mutability: Mutability


class CoreMeta(Struct, frozen=True):
    """The built-in attributes below `meta`."""

    created_at: CoreAttributeDocument
    updated_at: CoreAttributeDocument
    location: CoreAttributeDocument


class SchemaDocument(Struct, frozen=True):
    """The complete profile schema of an organisation."""

    profile_id: CoreAttributeDocument
    user_id: CoreAttributeDocument
    meta: CoreMeta
    identity_attributes: list[AttributeDocument]
    traits: list[AttributeDocument]
    application_data: dict[str, list[AttributeDocument]]


class ConfigurationDocument(Struct, frozen=True, omit_defaults=True):
    """Response of `/config`. What follows the applications is an extension, absent while it has its default.

    `email_verified_by`, `mobile_verified_by`: who verifies addresses and numbers; absent: everybody who can.
    """

    cds_enabled: Annotated[bool, Meta()]
    system_applications: list[str] = []
    detach_on_sign_out: bool = False
    verified_address_first: bool = False
    email_verified_by: list[str] | None = None
    mobile_verified_by: list[str] | None = None


class ConfigurationPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH `/config`. An absent field is unchanged, `[]` clears.

    `email_verified_by`: some of `mail`, `provider`, `administrator`. `mobile_verified_by`: some of `code`,
    `provider`, `administrator`.
    """

    cds_enabled: bool | None = None
    system_applications: list[str] | None = None
    detach_on_sign_out: bool | None = None
    verified_address_first: bool | None = None
    email_verified_by: list[str] | None = None
    mobile_verified_by: list[str] | None = None
