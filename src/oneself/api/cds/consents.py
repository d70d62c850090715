"""`/profiles/{id}/consents`: the consents of a person. Decode, one use-case, render.

Source: docs/wire/cds.md §6.
"""

from __future__ import annotations

import time

import msgspec
from litestar import get, put
from litestar.params import FromPath
from msgspec import Struct

from oneself.api.cds.errors import CATEGORY_MANDATORY, CATEGORY_NOT_FOUND, CONSENT_FETCH_FAILED
from oneself.api.http.errors import WireError, line, profile_unknown, wire_error
from oneself.api.http.guard import context_of, requires
from oneself.api.http.json_body import AnyRequest, Body, Object, decode_array
from oneself.api.http.openapi import Described, described, error_responses
from oneself.api.http.query import ViewParameter
from oneself.api.http.request_options import decode_profile_id
from oneself.api.http.timestamps import Timestamp, instant_of, rfc3339
from oneself.core.config.configuration import Config
from oneself.core.profiles.consent import Choices
from oneself.service.ingest.submission import ObservationRejected
from oneself.service.profiles.consents import MandatoryCategory, UnknownCategory, known_choices

CHOICES_MAX = 1_000
PAYLOAD_LINE = "Invalid request body"


class ConsentDocument(Struct, frozen=True):
    """A choice: in which category, yes or no, and when."""

    category_identifier: str
    is_consented: bool
    consented_at: Timestamp


class ConsentDraft(Struct, frozen=True):
    """A choice as it is sent. `consented_at` is now by default."""

    category_identifier: str
    is_consented: bool
    consented_at: Timestamp | None = None


CHOICES = Body("profile consents", CONSENT_FETCH_FAILED, outermost="array", plain_line=PAYLOAD_LINE)


@get(
    "/profiles/{profile_id:str}/consents",
    opt=requires("profile_view", serves_persons=True),
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404),
)
async def read_consents(
    request: AnyRequest,
    profile_id: FromPath[str],
    view: ViewParameter = None,
) -> list[ConsentDocument]:
    """Read the consents of a person, by any profile id."""
    call = context_of(request)
    found = await call.find_profile(decode_profile_id(profile_id), call.requested_view(view))
    if found is None:
        raise profile_unknown()
    return _render(found.config, found.survivor.consents)


@put(
    "/profiles/{profile_id:str}/consents",
    opt=requires("profile_update", serves_persons=True),
    operation_class=described(takes=list[ConsentDraft], plain=(400,)),
    responses=error_responses(400, 401, 403, 404, 413, 415),
)
async def replace_consents(
    request: AnyRequest,
    profile_id: FromPath[str],
    view: ViewParameter = None,
) -> list[ConsentDocument]:
    """Replace all consents of a person. The order has no effect: a refusal wins in a repeated category."""
    call = context_of(request)
    choices = _decode(await decode_array(request, CHOICES))
    known_id = decode_profile_id(profile_id)
    if known_id is None or not await call.reaches(known_id):
        raise profile_unknown()
    try:
        made = await call.services.profiles.consents.replace_choices(
            call.dataset_ref, call.actor, known_id, choices, view=call.requested_view(view)
        )
    except ObservationRejected:
        raise profile_unknown() from None
    except UnknownCategory as error:
        raise wire_error(CATEGORY_NOT_FOUND, error.message, 404) from None
    except MandatoryCategory as error:
        raise wire_error(CATEGORY_MANDATORY, error.message, 403) from None
    return _render(made.config, made.survivor.consents)


def _decode(documents: list[Object]) -> dict[str, tuple[bool, int]]:
    try:
        drafts = msgspec.convert(documents, list[ConsentDraft])
    except msgspec.ValidationError:
        raise _undecodable() from None
    if len(drafts) > CHOICES_MAX:
        raise _undecodable()
    now = time.time_ns() // 1000
    choices: dict[str, tuple[bool, int]] = {}
    for draft in drafts:
        category, choice = draft.category_identifier, (draft.is_consented, _instant(draft, now))
        choices[category] = _stricter(choices.get(category, choice), choice)
    return choices


def _stricter(one: tuple[bool, int], other: tuple[bool, int]) -> tuple[bool, int]:
    """Of two choices in one category: the refusal, as for merged profiles (§6); of equal ones the later."""
    return min(one, other, key=lambda choice: (choice[0], -choice[1]))


def _instant(draft: ConsentDraft, now: int) -> int:
    """When the choice was made. Go's zero time means now."""
    if not draft.consented_at or draft.consented_at.startswith("0001-01-01T00:00:00"):
        return now
    instant = instant_of(draft.consented_at)
    if instant is None:
        raise _undecodable()
    return instant


def _undecodable() -> WireError:
    return line(400, PAYLOAD_LINE)


def _render(config: Config, choices: Choices) -> list[ConsentDocument]:
    return [
        ConsentDocument(category, choice.is_consented, rfc3339(choice.consented_at))
        for category, choice in sorted(known_choices(config, choices).items())
    ]
