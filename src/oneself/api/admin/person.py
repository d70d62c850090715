"""`/datasets/{dataset}/profiles/{id}`: one person, now or as they were.

Decode, one use-case, render.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get
from litestar.enums import MediaType
from litestar.params import FromPath
from msgspec.structs import replace

from oneself.api.admin.as_of import AtParameter, read_profiles, requested_instant
from oneself.api.admin.profiles import PROFILE, VIEW
from oneself.api.documents.person import PersonDocument, render_person
from oneself.api.documents.profile import version_tag
from oneself.api.http.guard import context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.query import (
    AskedApplications,
    AskedCategories,
    IncludeApplicationData,
    IncludeProvenance,
    ViewParameter,
    query_flag,
    query_list,
)


@get(PROFILE, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404, 409))
async def read_person(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    include_application_data: IncludeApplicationData = None,
    application_identifier: AskedApplications = None,
    consent_category_id: AskedCategories = None,
    provenance: IncludeProvenance = None,
    view: ViewParameter = None,
    at: AtParameter = None,
) -> Response[PersonDocument]:
    """Read a profile by profile id, primary id, alias, anonymous id or `namespace:value`. With `at`, as a
    read at that instant would have answered; there is no `ETag` then.
    """
    call, instant = context_of(request), requested_instant(at)
    reader = call.reader(
        with_application_data=query_flag(include_application_data),
        applications=query_list(application_identifier),
    )
    async with read_profiles(call, dataset, [profile_id], view, instant) as reading:
        found = await reading.profile()
        person = await reading.lookup.person_in(reading.dataset_ref, found)
        devices = await reading.lookup.devices(reading.dataset_ref, found)
    (disclosure,) = reading.disclosures([found], consent_category_id, reader)
    document = render_person(
        call.dataset_ref.handle, disclosure, person, devices, with_provenance=query_flag(provenance)
    )
    body: Any = msgspec.json.encode(replace(document, as_of=reading.as_of))
    headers = {"ETag": version_tag(found.survivor)} if instant is None else {}
    return Response(body, media_type=MediaType.JSON, headers=headers)


ROUTES = [read_person]
