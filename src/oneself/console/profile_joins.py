"""Why the parts of a profile are one, and why two profiles are one or not.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response

from oneself.console.forms import page
from oneself.console.handlers import page_at
from oneself.console.profile_lists import source_words
from oneself.console.profile_reading import NoSuchProfile, ProfileReading, open_profile
from oneself.console.profile_search import SEE
from oneself.console.profile_words import cause_sentence, join_sentence
from oneself.console.query import optional_id, query_number, required_text
from oneself.core.identity.identifier import visible_value
from oneself.core.units import SEQ_MAX
from oneself.service.explain.sentences import EVIDENCE, PARTS
from oneself.service.explain.values import (
    FIRST_JOIN,
    ExplainedCause,
    ExplainedJoin,
    ExplainedPart,
    ExplainedSide,
    JoinPosition,
)
from oneself.web.forms import AnyRequest

AnyResponse = Response[Any]
JOINS_PER_PAGE = 20
KINDS_MAX = 9


class ListedSide(msgspec.Struct, frozen=True):
    """One of two joined parts, and who said it of it."""

    part_id: str
    part: str
    evidence: str
    source: str


class ListedJoin(msgspec.Struct, frozen=True):
    """Two parts of a profile that are one, in words."""

    sentence: str
    evidence: str
    reason: str
    since: int
    sides: list[ListedSide]


class ListedCause(msgspec.Struct, frozen=True):
    """Why two profiles are not one, in words."""

    sentence: str
    shared: str
    times: int
    code: str


@page_at("/profiles/joins", SEE)
async def profile_joins(request: AnyRequest) -> AnyResponse:
    """List the joins that hold a profile together, those with the strongest evidence first."""
    after = join_position(request)
    async with open_profile(request) as reading:
        part = await reading.part()
        found = await reading.explanations.joins(
            reading.context.dataset_ref, part, after=after, limit=JOINS_PER_PAGE
        )
    further = ""
    if (following := found.next_position) is not None:
        further = reading.query.url("joins", **next_query(following))
    return page(
        reading.context,
        "profile_joins.html",
        reading=reading,
        tab="joins",
        joins=[listed_join(reading, join) for join in found.joins],
        further=further,
        is_first=after == FIRST_JOIN,
        api=_explain_request(reading),
    )


@page_at("/profiles/compare", SEE)
async def compare_profiles(request: AnyRequest) -> AnyResponse:
    """Say how two ids belong together: the way of joins from one to the other, or why there is none."""
    text = required_text(request, "with")
    async with open_profile(request, is_now=True) as reading:
        one = await reading.part()
        other = await reading.explanations.find(reading.context.dataset_ref, text, reading.query.view)
        if other is None:
            sentence = "No profile has the second id in this view."
            raise NoSuchProfile(reading.context, reading.query, sentence)
        found = await reading.explanations.relation(reading.context.dataset_ref, one, other, sees_all=True)
    return page(
        reading.context,
        "profile_compare.html",
        reading=reading,
        tab="joins",
        other=other,
        text=text,
        relation=found,
        path=[listed_join(reading, join) for join in found.path],
        causes=[_listed_cause(reading, cause) for cause in found.causes]
        or [ListedCause(cause_sentence(ExplainedCause("nothing_in_common")), "", 0, "nothing_in_common")],
        api=_explain_request(reading, text),
    )


def listed_join(reading: ProfileReading, join: ExplainedJoin) -> ListedJoin:
    """A join in words."""
    value = None if join.identifier is None else reading.visible_value_of(join.identifier)
    return ListedJoin(
        join_sentence(join, value),
        EVIDENCE[join.evidence],
        join.reason,
        join.since,
        [_listed_side(side) for side in join.sides],
    )


def part_words(part: ExplainedPart) -> str:
    """What a part of a profile is, in words."""
    browser = f", {visible_value(part.browser)}" if part.browser is not None else ""
    user = f", of the user {part.user_id}" if part.user_id else ""
    return f"{PARTS[part.kind]}{browser}{user}"


def _listed_side(side: ExplainedSide) -> ListedSide:
    part = side.part
    return ListedSide(
        str(part.part_id), part_words(part), side.evidence or "", source_words(side.observation)
    )


def _listed_cause(reading: ProfileReading, cause: ExplainedCause) -> ListedCause:
    shared = ""
    if cause.identifier is not None:
        value = reading.visible_value_of(cause.identifier)
        shared = f"Both have {cause.identifier.namespace} " + (
            "a hidden value" if value is None else f"“{value}”"
        )
    return ListedCause(cause_sentence(cause), shared, cause.times, cause.code)


def _explain_request(reading: ProfileReading, other: str = "") -> str:
    return reading.api_request("/explain", **({"with": other} if other else {}))


def next_query(following: JoinPosition) -> dict[str, object]:
    """A position in the joins of a profile, as the query of a page has it."""
    fields = ("kind", "since", "skipped")
    position = {name: getattr(following, name) for name in fields if getattr(following, name) >= 0}
    return {"after": following.part_id, **position}


def join_position(request: AnyRequest) -> JoinPosition:
    """The position in the query of a page. Raises InvalidParameter."""
    kind, skipped = (
        query_number(request, "kind", most=KINDS_MAX),
        query_number(request, "skipped", most=2**31),
    )
    since, after = query_number(request, "since", -1, SEQ_MAX), optional_id(request, "after")
    return FIRST_JOIN if after is None else JoinPosition(kind, since, after, skipped)


ROUTES = (profile_joins, compare_profiles)
