"""`/profile-schema`: the attributes of an organisation. Decode, one use-case, render.

Source: docs/wire/cds.md §7.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Annotated, TypeAlias

from litestar import delete, get, post, put
from litestar.params import FromPath, PathParameter, QueryParameter

from oneself.api.cds.attribute_change import REQUIRED_FIELDS, decode_change
from oneself.api.cds.documents import (
    AttributeCanonicalValueDocument,
    AttributeDocument,
    AttributeDraft,
    CoreAttributeDocument,
    CoreMeta,
    SchemaDocument,
    SubAttributeDocument,
)
from oneself.api.cds.errors import INVALID_SCHEMA_FILTER
from oneself.api.cds.filters import InvalidFilter, decode_schema_filter
from oneself.api.documents.profile import IDENTITY, TRAITS
from oneself.api.documents.rejections import ATTRIBUTE_NOT_FOUND, INVALID_ATTRIBUTE, INVALID_SCHEMA_PAYLOAD
from oneself.api.http.errors import wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_array, decode_object
from oneself.api.http.openapi import Described, described, error_responses
from oneself.core.values.attribute import APPLICATION_DATA, CORE_ATTRIBUTES, SCOPES, Attribute, CanonicalValue
from oneself.core.values.schema import Schema

DEFINITIONS = Body(
    "profile schema attributes", INVALID_SCHEMA_PAYLOAD, AttributeDraft, outermost="array", shape="B"
)
REDEFINITION = Body("profile schema attributes", INVALID_ATTRIBUTE, plain_line="Invalid request payload")

Rendered: TypeAlias = AttributeDocument
ByApplication: TypeAlias = dict[str, list[AttributeDocument]]
Section = Annotated[str, PathParameter(schema_extra={"enum": list(SCOPES)})]
Filter = Annotated[
    str | None,
    QueryParameter(
        name="filter",
        description="`field op value`; field: `attribute_name`, `application_identifier`; op: eq, co, sw.",
    ),
]


@get(
    "/profile-schema",
    opt=requires("profile_schema_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def read_schema(request: AnyRequest) -> SchemaDocument:
    """Read the complete profile schema, built-in attributes included."""
    schema = context_of(request).config.schema
    core = {name: CoreAttributeDocument(it.value_type, it.mutability) for name, it in CORE_ATTRIBUTES.items()}
    return SchemaDocument(
        profile_id=core["profile_id"],
        user_id=core["user_id"],
        meta=CoreMeta(core["meta.created_at"], core["meta.updated_at"], core["meta.location"]),
        identity_attributes=_rendered(schema, schema.in_scope(IDENTITY)),
        traits=_rendered(schema, schema.in_scope(TRAITS)),
        application_data=_by_application(schema, schema.in_scope(APPLICATION_DATA)),
    )


@delete(
    "/profile-schema",
    opt=requires("profile_schema_delete"),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def delete_schema(request: AnyRequest) -> None:
    """Delete every attribute except the identity attributes. Values stay stored, hidden."""
    call = context_of(request)
    await call.services.schema.schemas.undefine(call.dataset_ref)


@get(
    "/profile-schema/{section:str}",
    opt=requires("profile_schema_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, shape="B"),
)
async def read_scope(
    request: AnyRequest, section: Section, schema_filter: Filter = None
) -> list[AttributeDocument] | ByApplication:
    """List the attributes of a scope: an array; for application data, application → array."""
    _check_scope(section)
    schema = context_of(request).config.schema
    holds = _schema_filter(request)
    found = [attribute for attribute in schema.in_scope(section) if holds(attribute)]
    return _by_application(schema, found) if section == APPLICATION_DATA else _rendered(schema, found)


@post(
    "/profile-schema/{section:str}",
    opt=requires("profile_schema_create"),
    operation_class=described(takes=list[AttributeDraft], required=REQUIRED_FIELDS[:3]),
    responses=error_responses(400, 401, 403, 409, 413, 415, shape="B"),
)
async def define_attributes(request: AnyRequest, section: Section) -> list[AttributeDocument]:
    """Add attributes to a scope, all or none."""
    call = context_of(request)
    documents = await decode_array(request, DEFINITIONS)
    drafts = [_draft(document) for document in documents]
    names = [_child_names(document) for document in documents]
    defined = await call.services.schema.schemas.define(call.dataset_ref, section, drafts, names)
    schema = call.config.schema.with_(defined)
    return _rendered(schema, defined)


@delete(
    "/profile-schema/{section:str}",
    opt=requires("profile_schema_delete"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 405, shape="B"),
)
async def delete_scope(request: AnyRequest, section: Section) -> None:
    """Delete the attributes of a scope. Identity attributes follow the identity server and are kept."""
    call = context_of(request)
    await call.services.schema.schemas.undefine(call.dataset_ref, section)


@get(
    "/profile-schema/{section:str}/{attribute_id:str}",
    opt=requires("profile_schema_view"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404, shape="B"),
)
async def read_attribute(
    request: AnyRequest, section: Section, attribute_id: FromPath[str]
) -> AttributeDocument:
    """Read one attribute by id, under any valid scope."""
    _check_scope(section)
    schema = context_of(request).config.schema
    attribute = schema.get(attribute_id)
    if attribute is None:
        raise wire_error(
            ATTRIBUTE_NOT_FOUND, f"Attribute with id '{attribute_id[:100]}' does not exist.", 404
        )
    return _render(schema, attribute, scope=attribute.scope)


@put(
    "/profile-schema/{section:str}/{attribute_id:str}",
    opt=requires("profile_schema_update"),
    operation_class=described(takes=AttributeDraft, required=REQUIRED_FIELDS, plain=(400,)),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415, shape="B"),
)
async def redefine_attribute(
    request: AnyRequest, section: Section, attribute_id: FromPath[str]
) -> AttributeDocument:
    """Change one attribute. Absent fields are unchanged."""
    call = context_of(request)
    document = await decode_object(request, REDEFINITION)
    if "multi_valued" in document and not isinstance(document["multi_valued"], bool):
        raise wire_error(INVALID_ATTRIBUTE, "Field 'multi_valued' must be a boolean.")
    change, child_names = decode_change(call.config.schema, section, attribute_id, document)
    changed = await call.services.schema.schemas.redefine(
        call.dataset_ref, section, attribute_id, change, child_names
    )
    return _render(call.config.schema.with_([changed]), changed, scope=changed.scope)


@delete(
    "/profile-schema/{section:str}/{attribute_id:str}",
    opt=requires("profile_schema_delete"),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 405, shape="B"),
)
async def delete_attribute(request: AnyRequest, section: Section, attribute_id: FromPath[str]) -> None:
    """Delete one attribute. Returns 204 if it does not exist."""
    call = context_of(request)
    await call.services.schema.schemas.undefine(call.dataset_ref, section, attribute_id)


def _schema_filter(request: AnyRequest) -> Callable[[Attribute], bool]:
    try:
        return decode_schema_filter(request.query_params.getall("filter", []))
    except InvalidFilter as error:
        raise wire_error(INVALID_SCHEMA_FILTER, str(error)) from None


def _check_scope(section: str) -> None:
    if section not in SCOPES:
        raise wire_error(INVALID_SCHEMA_PAYLOAD, f"Invalid scope: {section[:100]}.", shape="B")


def _draft(document: Object) -> Attribute:
    return Attribute(
        attribute_id=document.get("attribute_id") or str(uuid.uuid4()),
        attribute_name=document.get("attribute_name") or "",
        value_type=document.get("value_type") or "",
        merge_strategy=document.get("merge_strategy") or "",
        mutability=document.get("mutability") or "",
        display_name=document.get("display_name") or "",
        multi_valued=document.get("multi_valued") or False,
        application_identifier=document.get("application_identifier") or None,
        canonical_values=tuple(
            CanonicalValue(entry.get("value") or "", entry.get("label") or None)
            for entry in document.get("canonical_values") or ()
        ),
        sub_attributes=tuple(
            entry.get("attribute_id") or "" for entry in document.get("sub_attributes") or ()
        ),
    )


def _child_names(document: Object) -> dict[str, str]:
    """Sub-attribute id → the name in the request, if there is one."""
    listed = document.get("sub_attributes") or ()
    return {
        child["attribute_id"]: child["attribute_name"]
        for child in listed
        if child.get("attribute_id") and child.get("attribute_name")
    }


def _rendered(schema: Schema, attributes: Iterable[Attribute]) -> list[Rendered]:
    return [_render(schema, attribute) for attribute in attributes]


def _by_application(schema: Schema, attributes: Iterable[Attribute]) -> ByApplication:
    buckets: ByApplication = {}
    for attribute in attributes:
        buckets.setdefault(attribute.application_identifier or "", []).append(_render(schema, attribute))
    return buckets


def _render(schema: Schema, attribute: Attribute, *, scope: str = "") -> Rendered:
    children = (schema.get(child_id) for child_id in attribute.sub_attributes)
    return AttributeDocument(
        attribute_id=attribute.attribute_id,
        attribute_name=attribute.attribute_name,
        display_name=attribute.display_name,
        value_type=attribute.value_type,
        merge_strategy=attribute.merge_strategy,
        mutability=attribute.mutability,
        multi_valued=attribute.multi_valued,
        application_identifier=attribute.application_identifier or "",
        canonical_values=[
            AttributeCanonicalValueDocument(canonical.value, canonical.label or "")
            for canonical in attribute.canonical_values
        ],
        sub_attributes=[
            SubAttributeDocument(child.attribute_id, child.attribute_name)
            for child in children
            if child is not None
        ],
        scope=scope,
    )
