"""`/profiles/{id}/explain`: why a profile is one person, or how two ids belong together.

Decode, one use-case, render.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal
from uuid import UUID

from litestar import get
from litestar.params import FromPath, QueryParameter
from msgspec import Struct, field

from oneself.api.admin.as_of import (
    AtParameter,
    Reading,
    position_as_of,
    read_profiles,
    requested_instant,
)
from oneself.api.admin.profiles import PROFILE
from oneself.api.admin.requirements import requires
from oneself.api.documents.paging import (
    CursorWord,
    PageSize,
    Pagination,
    page_size,
    paginate,
)
from oneself.api.documents.person import AsOfDocument, Disclosure
from oneself.api.http.guard import RequestContext, context_of
from oneself.api.http.json_body import AnyRequest
from oneself.api.http.openapi import Described, error_responses
from oneself.api.http.query import AskedCategories, ViewParameter
from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.core.identity_graph.joins import View
from oneself.service.explain.values import (
    FIRST_JOIN,
    EvidenceName,
    ExplainedCause,
    ExplainedJoin,
    ExplainedPart,
    ExplainedSide,
    PartKind,
    SourceObservation,
)
from oneself.service.profiles.parts import ProfilePart

VIEW = requires("profile_view")
DEFAULT_DATASET = "default"

With = Annotated[
    str | None,
    QueryParameter(name="with", description="A second id. The answer says how the two belong together."),
]


class SharedIdentifier(Struct, frozen=True):
    """What two parts have in common. `value`: null if the caller may not read the attribute."""

    namespace: str
    value: str | None


class SourceObservationDocument(Struct, frozen=True):
    """The observation that said it."""

    event_id: str
    kind: str
    name: str | None
    interface: str | None = field(name="face")
    application: str | None
    at: Timestamp


class PartDocument(Struct, frozen=True, omit_defaults=True):
    """A part of a profile: what a browser said, a record that a server began, a profile that an application
    created, or a user's own part; in the view `all` a profile of before. `browser`: an anonymous id, or the
    digest of a tracker.
    """

    id: UUID
    kind: PartKind
    browser: str | None = None
    user_id: str | None = None


class SideDocument(Struct, frozen=True, omit_defaults=True):
    """A part, and how it has what joins it. `observation`: missing if the observation was erased."""

    part: PartDocument
    evidence: EvidenceName | None = None
    observation: SourceObservationDocument | None = None


class JoinDocument(Struct, frozen=True, omit_defaults=True):
    """Two parts are one person, since `since`. `identifier`: missing if a person or an erasure decided."""

    reason: str
    evidence: EvidenceName
    since: Timestamp
    sides: list[SideDocument]
    identifier: SharedIdentifier | None = None


class CauseOfSeparation(Struct, frozen=True, omit_defaults=True):
    """Why two profiles are not one. `since`: when it was indicated; `times`: how often it was recorded;
    `rule`: the rule or identity type that does not match.
    """

    code: str
    identifier: SharedIdentifier | None = None
    namespace: str | None = None
    parts: list[PartDocument] | None = None
    rule: str | None = None
    since: Timestamp | None = None
    times: int | None = None


class Explanation(Struct, frozen=True, omit_defaults=True):
    """Without `with`: a page of the joins that hold the profile together, the strongest evidence first. A
    page may be short or empty and still have a next one.

    With it: whether the two ids are `one_profile`. Then `path` has the fewest joins from one to the other;
    `path_complete` is false if they are farther apart than is looked at. If not, `causes` say why, and
    `one_in` names the views in which they are one.
    """

    profile_id: UUID
    view: View
    joins: list[JoinDocument] | None = None
    pagination: Pagination | None = None
    with_id: UUID | None = field(name="with", default=None)
    one_profile: bool | None = None
    path: list[JoinDocument] | None = None
    path_complete: Literal[False] | None = None
    causes: list[CauseOfSeparation] | None = None
    one_in: list[View] | None = None
    as_of: AsOfDocument | None = None


@get(
    "/profiles/{profile_id:str}/explain",
    opt=VIEW,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404, 409),
)
async def explain_profile(
    request: AnyRequest,
    profile_id: FromPath[str],
    other: With = None,
    size: PageSize = None,
    cursor: CursorWord = None,
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
    at: AtParameter = None,
) -> Explanation:
    """Explain why a profile of the dataset `default` is one person, or how two ids belong together."""
    asked = _ExplanationAsked(DEFAULT_DATASET, profile_id, other, view, size, cursor, consent_category_id, at)
    return await _explain(context_of(request), asked)


@get(
    f"{PROFILE}/explain",
    opt=VIEW,
    operation_class=Described,
    responses=error_responses(400, 401, 403, 404, 409),
)
async def explain_profile_of_dataset(
    request: AnyRequest,
    dataset: FromPath[str],
    profile_id: FromPath[str],
    other: With = None,
    size: PageSize = None,
    cursor: CursorWord = None,
    consent_category_id: AskedCategories = None,
    view: ViewParameter = None,
    at: AtParameter = None,
) -> Explanation:
    """Explain why a profile is one person: every join that holds it together, with the identifier, the
    evidence and who said it. With `with`, how two ids belong together. With `at`, as it was then.
    """
    asked = _ExplanationAsked(dataset, profile_id, other, view, size, cursor, consent_category_id, at)
    return await _explain(context_of(request), asked)


ROUTES = [explain_profile, explain_profile_of_dataset]


class _ExplanationAsked(Struct, frozen=True):
    """What a request asks for."""

    dataset: str
    profile_id: str
    other: str | None
    view: str | None
    size: str | None
    cursor: str | None
    categories: list[str] | None
    at: str | None

    @property
    def ids(self) -> list[str]:
        return [self.profile_id] if self.other is None else [self.profile_id, self.other]


async def _explain(call: RequestContext, asked: _ExplanationAsked) -> Explanation:
    limit = page_size(asked.size)
    after, instant = position_as_of(asked.cursor, FIRST_JOIN, requested_instant(asked.at))
    async with read_profiles(call, asked.dataset, asked.ids, asked.view, instant) as reading:
        parts = await reading.parts()
        readers = reading.disclosures([part.profile for part in parts], asked.categories)
        if asked.other is not None:
            return await _relate(reading, parts[0], parts[1], readers)
        page = await reading.explanations.joins(reading.dataset_ref, parts[0], after=after, limit=limit)
    joins = [_join(item, readers) for item in page.joins]
    pagination = paginate(joins, limit, page.next_position, instant)
    return Explanation(
        parts[0].part_id, reading.view, joins=joins, pagination=pagination, as_of=reading.as_of
    )


async def _relate(
    reading: Reading, one: ProfilePart, other: ProfilePart, readers: list[Disclosure]
) -> Explanation:
    found = await reading.explanations.relation(
        reading.dataset_ref, one, other, sees_all=reading.call.may_read_all
    )
    if found.is_one_profile:
        return Explanation(
            one.part_id,
            one.view,
            with_id=other.part_id,
            one_profile=True,
            path=[_join(item, readers) for item in found.path],
            path_complete=None if found.is_complete else False,
            as_of=reading.as_of,
        )
    causes = [_cause(item, readers) for item in found.causes if _may_disclose(item, readers)]
    return Explanation(
        one.part_id,
        one.view,
        with_id=other.part_id,
        one_profile=False,
        causes=causes or [CauseOfSeparation("nothing_in_common")],
        one_in=list(found.one_in),
        as_of=reading.as_of,
    )


def _join(join: ExplainedJoin, readers: list[Disclosure]) -> JoinDocument:
    return JoinDocument(
        reason=join.reason,
        evidence=join.evidence,
        since=rfc3339(join.since),
        sides=[_side(side) for side in join.sides],
        identifier=_identifier(join.identifier, readers),
    )


def _side(side: ExplainedSide) -> SideDocument:
    observation = None if side.observation is None else render_observation(side.observation)
    return SideDocument(_part(side.part), side.evidence, observation)


def render_observation(found: SourceObservation) -> SourceObservationDocument:
    """The document of an observation that is named as a source."""
    return SourceObservationDocument(
        event_id=found.event_id,
        kind=found.kind,
        name=found.name,
        interface=found.interface,
        application=found.application,
        at=rfc3339(found.at),
    )


def _part(part: ExplainedPart) -> PartDocument:
    browser = None if part.browser is None else visible_value(part.browser)
    return PartDocument(part.part_id, part.kind, browser, part.user_id)


def _cause(cause: ExplainedCause, readers: list[Disclosure]) -> CauseOfSeparation:
    return CauseOfSeparation(
        code=cause.code,
        identifier=_identifier(cause.identifier, readers),
        namespace=cause.namespace or None,
        parts=None if cause.parts is None else [_part(part) for part in cause.parts],
        rule=cause.rule or None,
        since=rfc3339(cause.since) if cause.since else None,
        times=cause.times or None,
    )


def _may_disclose(cause: ExplainedCause, readers: Iterable[Disclosure]) -> bool:
    """Whether a caller may know that two profiles have an equal value which joins nobody."""
    value = cause.identifier
    return not cause.is_value or value is None or all(reader.shows(value) for reader in readers)


def _identifier(identifier: Identifier | None, readers: Iterable[Disclosure]) -> SharedIdentifier | None:
    if identifier is None:
        return None
    is_visible = all(reader.shows(identifier) for reader in readers)
    return SharedIdentifier(identifier.namespace, visible_value(identifier) if is_visible else None)
