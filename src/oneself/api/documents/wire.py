"""The documents of the CDS wire, field by field (wire/cds §5, §7, §11).

These structs name what travels: strict decoding reads the allowed fields from the request documents,
answers are built from the others, and the published API description is generated from both.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from oneself.core.values.attribute import MUTABILITIES, SCOPES, VALUE_TYPES
from oneself.core.values.definition import DEFINABLE_STRATEGIES

IDENTITY, TRAITS, APPLICATION = SCOPES

ValueType = Annotated[str, Meta(extra_json_schema={"enum": list(VALUE_TYPES)})]
MergeStrategy = Annotated[str, Meta(extra_json_schema={"enum": list(DEFINABLE_STRATEGIES)})]
Mutability = Annotated[str, Meta(extra_json_schema={"enum": list(MUTABILITIES)})]
Timestamp = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, examples=["2026-06-05T03:38:04.834627Z"])
]
ProfileId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Values = Annotated[dict[str, Any], Meta(description="Attribute → value, as the profile schema declares it.")]
ApplicationValues = Annotated[
    dict[str, dict[str, Any]], Meta(description="Application (client id) → attribute → value.")
]


class ProfileDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST `/profiles`: everything is optional, unknown fields are refused."""

    user_id: str | None = None
    identity_attributes: Values | None = None
    traits: Values | None = None
    application_data: ApplicationValues | None = None


class ProfilePatch(Struct, frozen=True):
    """Body of PATCH: null unsets an attribute, a whole section that is null is ignored."""

    user_id: str | None = None
    identity_attributes: Values | None = None
    traits: Values | None = None
    application_data: ApplicationValues | None = None


class ProfileMeta(Struct, frozen=True):
    """When the profile was made and last changed, and where it is (no leading slash, no `/t/`)."""

    created_at: Timestamp
    updated_at: Timestamp
    location: str


class MergedProfileDocument(Struct, frozen=True):
    """The other end of a merge, and why: a rule's name or `system:user_id_match`."""

    profile_id: ProfileId
    reason: str


class SourceDocument(Struct, frozen=True, omit_defaults=True):
    """Where a value came from."""

    time: Timestamp
    face: str
    application: str | None = None


class ProfileDocument(Struct, frozen=True, omit_defaults=True):
    """A profile as asked for: an absorbed one keeps its id and shows its survivor's data."""

    profile_id: ProfileId
    meta: ProfileMeta
    user_id: str = ""
    anonymous_profile_tracker: str = ""
    identity_attributes: Values = {}
    traits: Values = {}
    application_data: ApplicationValues = {}
    merged_to: MergedProfileDocument | None = None
    merged_from: list[MergedProfileDocument] = []
    provenance: Annotated[
        dict[str, list[SourceDocument]],
        Meta(description="Only with `provenance=true`: attribute path → the sources of its value."),
    ] = {}


class CursorPagination(Struct, frozen=True, omit_defaults=True):
    """Where in the list this page is; a cursor is there only if there is something behind it."""

    count: int
    page_size: int
    next_cursor: str = ""
    previous_cursor: str = ""


class ProfileList(Struct, frozen=True):
    """One page of survivors, newest first."""

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
    """The definition of a profile attribute. `scope` is there when it is read by id."""

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
    """The whole profile schema of an organisation."""

    profile_id: CoreAttributeDocument
    user_id: CoreAttributeDocument
    meta: CoreMeta
    identity_attributes: list[AttributeDocument]
    traits: list[AttributeDocument]
    application_data: dict[str, list[AttributeDocument]]


class ConfigurationDocument(Struct, frozen=True, omit_defaults=True):
    """Answer of `/config`; `detach_on_sign_out` is ours and left out while false."""

    cds_enabled: Annotated[bool, Meta()]
    system_applications: list[str] = []
    detach_on_sign_out: bool = False


class ConfigurationPatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PATCH `/config`: an absent field stays, `[]` clears."""

    cds_enabled: bool | None = None
    system_applications: list[str] | None = None
    detach_on_sign_out: bool | None = None


class HealthDocument(Struct, frozen=True):
    """The process is up."""

    status: Literal["healthy"] = "healthy"


class ReadyDocument(Struct, frozen=True, omit_defaults=True):
    """Whether requests can be served: the database answers."""

    status: Literal["ready", "not ready"]
    error: str = ""
