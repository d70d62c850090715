"""`/datasets/{dataset}/resolve`, and what routes of one profile share: find a person by any identifier.

Decode, one use-case, render.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import post
from litestar.params import FromPath
from msgspec import Struct

from oneself.api.admin.requirements import requires
from oneself.api.documents.person import Disclosure
from oneself.api.http.errors import INVALID_REQUEST, profile_unknown, wire_error
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_object
from oneself.api.http.openapi import described, error_responses
from oneself.api.http.query import (
    ViewParameter,
    asked_categories,
)
from oneself.core.identity_graph.joins import View
from oneself.errors import InvalidInput
from oneself.service.context import DatasetRef
from oneself.service.profiles.profiles import ProfileView
from oneself.store.tables.profile_listing import ListView

VIEW = requires("profile_view")
PROFILE = "/datasets/{dataset:str}/profiles/{profile_id:str}"
NO_PROFILE = "No profile of this dataset has any of these identities."


class ResolveRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`identities`: name of an identity attribute → value, a text or a number."""

    identities: dict[str, Any] | None = None


class ResolvedDocument(Struct, frozen=True):
    """The profile that the identities name. `matched`: the primary ids of all profiles that hold one of
    them; the next event with these identities goes to the first, unless a guard forbids it.
    """

    primary_id: str
    profile_id: str
    matched: list[str]


RESOLVE = Body("resolve", INVALID_REQUEST, ResolveRequest)


@post(
    "/datasets/{dataset:str}/resolve",
    opt=VIEW,
    status_code=200,
    operation_class=described(takes=ResolveRequest),
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def resolve_identities(
    request: AnyRequest, dataset: FromPath[str], view: ViewParameter = None
) -> ResolvedDocument:
    """Resolve identities to a primary id, as the next event with them would. Writes nothing. A narrower view
    resolves only what servers said.
    """
    call = context_of(request)
    document = await decode_object(request, RESOLVE)
    at = await dataset_of(call, dataset)
    seen = await view_of(call, at, view)
    try:
        found = await call.services.profiles.lookup.resolve(at, _identities(document), seen)
    except InvalidInput as error:
        raise wire_error(INVALID_REQUEST, error.description) from None
    if found is None:
        raise profile_unknown(NO_PROFILE)
    return ResolvedDocument(found.primary_id, str(found.profile_id), list(found.matched))


ROUTES = [resolve_identities]


async def dataset_of(call: RequestContext, name: str) -> DatasetRef:
    """The dataset in the path; raises NotFound."""
    return await call.services.schema.datasets.get(call.dataset_ref, name)


async def view_of(call: RequestContext, at: DatasetRef, text: str | None) -> View:
    """The view of a dataset that a request asks for; raises WireError 400, 403."""
    return call.requested_view(text, await call.services.configurations.current(at.dataset_id))


async def listed_view_of(call: RequestContext, at: DatasetRef, text: str | None) -> ListView:
    """The view of a list of a dataset that a request asks for; raises WireError 400, 403."""
    return call.listed_view(text, await call.services.configurations.current(at.dataset_id))


async def resolve_profile(
    call: RequestContext, dataset: str, text: str, view: str | None
) -> tuple[DatasetRef, ProfileView]:
    """The dataset in the path and the profile that an id in it names, in the requested view.

    Raises NotFound, WireError 400, 403, 404.
    """
    at = await dataset_of(call, dataset)
    found = await call.services.profiles.lookup.find(at, text, await view_of(call, at, view))
    if found is None:
        raise profile_unknown()
    return at, found


def reader_for(call: RequestContext, view: ProfileView, categories: list[str] | None) -> Disclosure:
    """What the caller may read of a person."""
    reader = call.reader(with_application_data=False, applications=None)
    return Disclosure.of(call, view, reader, asked_categories(categories))


def _identities(document: Object) -> dict[str, str]:
    given = document.get("identities") or {}
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise wire_error(
                INVALID_REQUEST, f"identities: the value of {name[:100]!r} must be a text or a number."
            )
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in given.items()
    }
