"""`/datasets/{dataset}/identity-attributes` and `…/channel-identities`: which attributes identify persons.

A PUT that would merge or move profiles returns 409 with a preview and a confirmation. The same PUT with
`?confirmation=` applies it; existing profiles are reindexed in the background.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, put
from litestar.enums import MediaType
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from oneself.api.admin.profiles import dataset_of
from oneself.api.admin.requirements import requires
from oneself.api.admin.rules import PreviewDocument, render_counts, render_preview
from oneself.api.documents.paging import PAGE_SIZE_MAX, CursorWord, PageSize, Pagination, named_page
from oneself.api.http.errors import INVALID_REQUEST, ErrorDocument
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_array, decode_object
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.status import status_of
from oneself.core.identity.identity_type import IdentityBinding
from oneself.service.identity.attributes import ConfirmationRequired
from oneself.service.schema.identity_bindings import Binding


class BindingDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """`name`: on the interactions wire. `attribute`: its full name. The default is the provider claim of the
    same meaning (`identity_attributes.emailaddress` for `emailAddress`), else `identity_attributes.<name>`,
    which is created if it does not exist.
    """

    name: str | None = None
    identity_type: str | None = None
    attribute: str | None = None


class BindingsPut(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PUT; a bare array is accepted as well. Bindings that are not in it are removed."""

    identity_attributes: list[BindingDraft] | None = None


class BindingDocument(Struct, frozen=True):
    """An identity attribute."""

    name: str
    identity_type: str
    attribute: str


class BindingList(Struct, frozen=True):
    """One page of identity attributes, by name."""

    identity_attributes: list[BindingDocument]
    pagination: Pagination


class ChannelsPut(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of PUT: channel → name of an identity attribute. A channel that is null or absent has its
    default.
    """

    Web: str | None = None
    Server: str | None = None
    Mobile: str | None = None
    OpenTimeEmail: str | None = None


class ChannelsDocument(Struct, frozen=True, omit_defaults=True):
    """Channel → the identity attribute of `user.id`. Channels without one are absent."""

    Web: str | None = None
    Server: str | None = None
    Mobile: str | None = None
    OpenTimeEmail: str | None = None


class UnconfirmedDocument(Struct, frozen=True):
    """What the change would do in the view `all`, and the confirmation that applies it.

    The lists of `preview` are empty for a caller without `profile_view_all`.
    """

    code: str
    message: str
    description: str
    preview: PreviewDocument
    confirmation: str


Confirmation = Annotated[
    str | None, QueryParameter(description="`confirmation` of the 409 response to the same change.")
]

ARRAY = Body("identity attributes", INVALID_REQUEST, BindingDraft, outermost="array")
OBJECT = Body("identity attributes", INVALID_REQUEST, BindingsPut)
CHANNELS = Body("channel identities", INVALID_REQUEST, ChannelsPut)
VIEW = requires("identity_view")
UPDATE = requires("identity_update")
ATTRIBUTES_OF = "/datasets/{dataset:str}/identity-attributes"
CHANNELS_OF = "/datasets/{dataset:str}/channel-identities"
#: A union is no class, but the generator of the reference takes it.
CONFLICT: Any = UnconfirmedDocument | ErrorDocument
WRITTEN = {
    **error_responses(400, 401, 403, 404, 413, 415),
    409: ResponseSpec(
        CONFLICT,
        description="It would merge or move profiles: `preview` says how, `confirmation` applies it. "
        "Or, without these two, a channel uses an attribute that would be unbound.",
        generate_examples=False,
    ),
}


@get(ATTRIBUTES_OF, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def list_identity_attributes(
    request: AnyRequest, dataset: FromPath[str], size: PageSize = None, cursor: CursorWord = None
) -> BindingList:
    """List the identity attributes of a dataset."""
    call = context_of(request)
    found = await call.services.identity.attributes.list(await dataset_of(call, dataset))
    page, pagination = named_page(found, lambda binding: binding.name, size, cursor)
    return BindingList([_render(binding) for binding in page], pagination)


@put(
    ATTRIBUTES_OF,
    opt=UPDATE,
    operation_class=described(takes=BindingsPut | list[BindingDraft]),
    responses=WRITTEN,
)
async def put_identity_attributes(
    request: AnyRequest, dataset: FromPath[str], confirmation: Confirmation = None
) -> Response[BindingList]:
    """Replace the bindings to identity types. Unbound attributes keep their values and stop matching."""
    call = context_of(request)
    at = await dataset_of(call, dataset)
    bindings = [read_binding(entry) for entry in await _entries(request)]
    try:
        found = await call.services.identity.attributes.put(at, bindings, confirmation)
    except ConfirmationRequired as unconfirmed:
        return _unconfirmed(call, unconfirmed)
    page, pagination = named_page(found, lambda binding: binding.name, str(PAGE_SIZE_MAX), None)
    return _answer(200, BindingList([_render(binding) for binding in page], pagination))


@get(CHANNELS_OF, opt=VIEW, operation_class=Described, responses=error_responses(400, 401, 403, 404))
async def read_channel_identities(request: AnyRequest, dataset: FromPath[str]) -> ChannelsDocument:
    """Read which identity attribute `user.id` is on each channel."""
    call = context_of(request)
    at = await dataset_of(call, dataset)
    return ChannelsDocument(**await call.services.identity.attributes.channels(at))


@put(CHANNELS_OF, opt=UPDATE, operation_class=described(takes=ChannelsPut), responses=WRITTEN)
async def put_channel_identities(
    request: AnyRequest, dataset: FromPath[str], confirmation: Confirmation = None
) -> Response[ChannelsDocument]:
    """Set which identity attribute `user.id` is on each channel, for events from then on."""
    call = context_of(request)
    at = await dataset_of(call, dataset)
    document = await decode_object(request, CHANNELS)
    try:
        found = await call.services.identity.attributes.put_channels(at, document, confirmation)
    except ConfirmationRequired as unconfirmed:
        return _unconfirmed(call, unconfirmed)
    return _answer(200, ChannelsDocument(**found))


ROUTES = (
    list_identity_attributes,
    put_identity_attributes,
    read_channel_identities,
    put_channel_identities,
)


async def _entries(request: AnyRequest) -> list[Object]:
    """The entries of the bare array, or of the object around it."""
    if (await request.body()).lstrip()[:1] != b"[":
        document = await decode_object(request, OBJECT)
        entries: list[Object] | None = document.get("identity_attributes")
        if entries is None:
            raise OBJECT.refusal("identity_attributes is missing; an empty array unbinds all.")
        return entries
    return await decode_array(request, ARRAY)


def read_binding(entry: Object) -> Binding:
    """The binding that an entry of a body asks for."""
    return Binding(entry.get("name") or "", entry.get("identity_type") or "", entry.get("attribute"))


def _render(binding: IdentityBinding) -> BindingDocument:
    return BindingDocument(binding.name, binding.type_id, binding.attribute)


def _unconfirmed(call: RequestContext, error: ConfirmationRequired) -> Response[Any]:
    render = render_preview if call.may_read_all else render_counts
    sentence = f"{error.description} Send it again with ?confirmation={error.confirmation}"
    document = UnconfirmedDocument(
        error.code, error.message, sentence, render(error.preview), error.confirmation
    )
    return _answer(status_of(error), document)


def _answer(status: int, document: Struct) -> Response[Any]:
    return Response(msgspec.json.encode(document), status_code=status, media_type=MediaType.JSON)
