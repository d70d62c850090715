"""`/consent-categories`: what a person may consent to. Decode, one use-case, render.

Source: docs/wire/cds.md §10.
"""

from __future__ import annotations

from typing import Annotated, get_args

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath
from msgspec import Meta, Struct

from oneself.api.cds.errors import (
    CATEGORY_EXISTS,
    CATEGORY_MANDATORY,
    CATEGORY_NOT_FOUND,
    INVALID_CATEGORY,
    INVALID_CATEGORY_PAYLOAD,
    INVALID_CATEGORY_UPDATE,
)
from oneself.api.http.errors import WireError, wire_error
from oneself.api.http.guard import RequestContext, context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object
from oneself.api.http.openapi import Described, described, error_responses
from oneself.core.profiles.consent import Category, CategoryAttribute, Purpose
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.schema import Schema
from oneself.service.profiles.consents import (
    DuplicateCategory,
    InvalidCategory,
    MandatoryCategory,
    UnknownCategory,
)

PURPOSES = get_args(Purpose)
#: The wire spells the scope of the mandatory category differently (docs/wire/cds.md §10).
MANDATORY_SCOPE = "identityAttributes"
NAME_CHARS_MAX = 255
ENTRIES_MAX = 1_000

PurposeName = Annotated[str, Meta(extra_json_schema={"enum": list(PURPOSES)})]


class CategoryAttributeDraft(Struct, frozen=True):
    """An attribute that a category discloses; application data names its application."""

    attribute_name: str | None = None
    application_identifier: str | None = None


class CategoryDraft(Struct, frozen=True):
    """Body of POST and PUT. Unknown fields are ignored."""

    category_name: str | None = None
    purpose: PurposeName | None = None
    destinations: list[str] | None = None
    attributes: list[CategoryAttributeDraft] | None = None


class CategoryAttributeDocument(Struct, frozen=True, omit_defaults=True):
    """An attribute that a category discloses. `attribute_id` is always present and always empty."""

    scope: str
    attribute_name: str
    attribute_id: Annotated[str, Meta()]
    application_identifier: str = ""


class CategoryDocument(Struct, frozen=True, omit_defaults=True):
    """A consent category."""

    category_name: str
    category_identifier: str
    purpose: PurposeName
    is_mandatory: Annotated[bool, Meta()]
    destinations: list[str] = []
    attributes: list[CategoryAttributeDocument] = []


DRAFT = Body("consent category", INVALID_CATEGORY_PAYLOAD, CategoryDraft, strict=False)
REPLACEMENT = Body("consent category", INVALID_CATEGORY_UPDATE, CategoryDraft, strict=False)


@get(
    "/consent-categories",
    opt=requires("consent_category_view", gate=None),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def list_categories(request: AnyRequest) -> list[CategoryDocument]:
    """List the consent categories; the mandatory one comes first."""
    config = context_of(request).config
    ordered = sorted(config.categories.values(), key=lambda c: (not c.is_mandatory, c.category_name))
    return [_render(category, config.schema) for category in ordered]


@post(
    "/consent-categories",
    opt=requires("consent_category_create", gate=None),
    operation_class=described(takes=CategoryDraft),
    responses=error_responses(400, 401, 403, 409, 413, 415),
)
async def create_category(request: AnyRequest) -> CategoryDocument:
    """Create a consent category."""
    call = context_of(request)
    draft = _decode(await decode_object(request, DRAFT))
    try:
        category = await call.services.profiles.consents.create(call.dataset_ref, draft)
    except (InvalidCategory, DuplicateCategory) as error:
        raise _refusal(error) from None
    return _render(category, call.config.schema)


@get(
    "/consent-categories/{category_id:str}",
    opt=requires("consent_category_view", gate=None),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_category(request: AnyRequest, category_id: FromPath[str]) -> CategoryDocument:
    """Read one consent category."""
    config = context_of(request).config
    category = config.categories.get(category_id)
    if category is None:
        raise _refusal(UnknownCategory(f"No consent category found for the id: {category_id[:100]}"))
    return _render(category, config.schema)


@put(
    "/consent-categories/{category_id:str}",
    opt=requires("consent_category_update", gate=None),
    operation_class=described(takes=CategoryDraft),
    responses=error_responses(400, 401, 403, 404, 409, 413, 415),
)
async def replace_category(request: AnyRequest, category_id: FromPath[str]) -> CategoryDocument:
    """Replace the consent category with this id. Existing choices are kept."""
    call = context_of(request)
    document = await decode_object(request, REPLACEMENT)
    _check_changeable(call, category_id)
    draft = _decode(document, category_id)
    try:
        category = await call.services.profiles.consents.replace(call.dataset_ref, draft)
    except (InvalidCategory, DuplicateCategory, UnknownCategory, MandatoryCategory) as error:
        raise _refusal(error) from None
    return _render(category, call.config.schema)


@delete(
    "/consent-categories/{category_id:str}",
    opt=requires("consent_category_delete", gate=None),
    operation_class=Described,
    responses=error_responses(400, 401, 403),
)
async def delete_category(request: AnyRequest, category_id: FromPath[str]) -> None:
    """Delete a consent category. Its choices disclose nothing. Returns 204 if it does not exist."""
    call = context_of(request)
    try:
        await call.services.profiles.consents.delete(call.dataset_ref, category_id)
    except MandatoryCategory as error:
        raise _refusal(error) from None


def _check_changeable(call: RequestContext, category_id: str) -> None:
    """Whether the category exists and may change is checked before the new one is."""
    category = call.config.categories.get(category_id)
    if category is None:
        raise _refusal(UnknownCategory(f"No consent category found for the id: {category_id[:100]}"))
    if category.is_mandatory:
        raise _refusal(MandatoryCategory(f"'{category.category_name}' is mandatory."))


def _decode(document: Object, category_id: str = "") -> Category:
    draft = msgspec.convert(document, CategoryDraft)
    name = (draft.category_name or "").strip()
    if not name or len(name) > NAME_CHARS_MAX:
        raise wire_error(
            INVALID_CATEGORY, f"category_name is required and has at most {NAME_CHARS_MAX} characters."
        )
    if draft.purpose not in PURPOSES:
        raise wire_error(INVALID_CATEGORY, f"purpose must be one of: {', '.join(PURPOSES)}.")
    attributes, destinations = draft.attributes or [], draft.destinations or []
    if max(len(attributes), len(destinations)) > ENTRIES_MAX:
        raise wire_error(
            INVALID_CATEGORY, f"A category lists at most {ENTRIES_MAX} attributes and destinations."
        )
    return Category(
        category_identifier=category_id,
        category_name=name,
        purpose=msgspec.convert(draft.purpose, Purpose),
        destinations=tuple(destinations),
        attributes=tuple(
            CategoryAttribute(entry.attribute_name or "", entry.application_identifier or None)
            for entry in attributes
        ),
    )


def _refusal(error: InvalidCategory | DuplicateCategory | UnknownCategory | MandatoryCategory) -> WireError:
    match error:
        case InvalidCategory():
            return wire_error(INVALID_CATEGORY, error.message)
        case DuplicateCategory():
            return wire_error(CATEGORY_EXISTS, error.message, 409)
        case UnknownCategory():
            return wire_error(CATEGORY_NOT_FOUND, error.message, 404)
        case MandatoryCategory():
            return wire_error(CATEGORY_MANDATORY, error.message, 403)


def _render(category: Category, schema: Schema) -> CategoryDocument:
    return CategoryDocument(
        category_name=category.category_name,
        category_identifier=category.category_identifier,
        purpose=category.purpose,
        is_mandatory=category.is_mandatory,
        destinations=list(category.destinations),
        attributes=_attributes(category, schema),
    )


def _attributes(category: Category, schema: Schema) -> list[CategoryAttributeDocument]:
    if category.is_mandatory:
        known = schema.in_scope(IDENTITY_ATTRIBUTES)
        return [CategoryAttributeDocument(MANDATORY_SCOPE, a.attribute_name, "") for a in known]
    return [
        CategoryAttributeDocument(scope, entry.attribute_name, "", entry.application_identifier or "")
        for entry in category.attributes
        for scope, _, _ in (entry.attribute_name.partition("."),)
    ]
