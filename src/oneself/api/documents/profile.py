"""Profiles as this wire shows them (wire/cds §5): documents from what `service` found. Decides nothing.

An absorbed profile keeps its own id and `merged_to`; user id, meta and values are its survivor's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from oneself.api.documents.cursor import Cursor, Direction, encode_cursor
from oneself.api.documents.wire import (
    APPLICATION,
    IDENTITY,
    TRAITS,
    CursorPagination,
    MergedProfileDocument,
    ProfileDocument,
    ProfileMeta,
    SourceDocument,
)
from oneself.api.http.timestamps import rfc3339
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.values.record import ValueSource
from oneself.service.profiles.listing import ProfilePage
from oneself.store.profile_listing import ListedProfile, PagePosition

Values = Mapping[str, Any]
_LAST_ID = 2**128 - 1


def location(org: str, profile_id: UUID) -> str:
    """The path of a profile as `meta.location` has it: no leading slash, no `/t/`."""
    return f"{org}/cds/api/v1/profiles/{profile_id}"


def render_profile(
    org: str,
    profile: Profile,
    survivor: Profile,
    absorbed: Sequence[Absorbed],
    values: Values,
    *,
    tracker: str = "",
    with_provenance: bool = False,
) -> ProfileDocument:
    """The document of `profile`; `values` is the part of the survivor's that the caller is shown."""
    return ProfileDocument(
        profile_id=str(profile.profile_id),
        user_id=survivor.user_id or "",
        anonymous_profile_tracker=tracker,
        meta=_meta(org, survivor.profile_id, survivor.created_at, survivor.updated_at),
        identity_attributes=values.get(IDENTITY, {}),
        traits=values.get(TRAITS, {}),
        application_data=values.get(APPLICATION, {}),
        merged_to=_merged_to(profile),
        merged_from=[]
        if profile.is_absorbed
        else [MergedProfileDocument(str(a.profile_id), a.reason) for a in absorbed],
        provenance=_provenance(survivor.record.provenance, values) if with_provenance else {},
    )


def render_page(
    org: str, page: ProfilePage, values: Sequence[Values], *, size: int, edge: PagePosition | None
) -> tuple[CursorPagination, list[ProfileDocument]]:
    """A page of the list; `values` are, item by item, the selected ones."""
    profiles = [_render_listed(org, item, shown) for item, shown in zip(page.items, values, strict=True)]
    return _pagination(page, size, edge), profiles


def version_tag(survivor: Profile) -> str:
    """The `ETag` of a unified profile."""
    return f'"{survivor.updated_at}"'


def _meta(org: str, profile_id: UUID, created_at: int, updated_at: int) -> ProfileMeta:
    return ProfileMeta(rfc3339(created_at), rfc3339(updated_at), location(org, profile_id))


def _merged_to(profile: Profile) -> MergedProfileDocument | None:
    if profile.survivor_id is None:
        return None
    return MergedProfileDocument(str(profile.survivor_id), profile.reason or "")


def _provenance(
    provenance: Mapping[str, Sequence[ValueSource]], values: Values
) -> dict[str, list[SourceDocument]]:
    """The sources of what is shown, and of nothing else."""
    shown = frozenset(_paths(values, ""))
    return {path: list(map(_source, sources)) for path, sources in provenance.items() if path in shown}


def _paths(values: Values, prefix: str) -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")


def _source(source: ValueSource) -> SourceDocument:
    return SourceDocument(rfc3339(source.at), source.face, source.application)


def _render_listed(org: str, item: ListedProfile, values: Values) -> ProfileDocument:
    return ProfileDocument(
        profile_id=str(item.profile_id),
        user_id=item.user_id or "",
        meta=_meta(org, item.profile_id, item.created_at, item.updated_at),
        identity_attributes=values.get(IDENTITY, {}),
        traits=values.get(TRAITS, {}),
        application_data=values.get(APPLICATION, {}),
        merged_from=[MergedProfileDocument(profile_id, reason) for profile_id, reason in item.absorbed],
    )


def _pagination(page: ProfilePage, size: int, edge: PagePosition | None) -> CursorPagination:
    """Going on, something precedes because the page was reached from there; going back, something follows."""
    backwards = edge is not None and edge.backwards
    follows = page.has_more or backwards
    precedes = page.has_more if backwards else edge is not None
    return CursorPagination(
        count=len(page.items),
        page_size=size,
        next_cursor=_cursor(page.items[-1:], edge, "next") if follows else "",
        previous_cursor=_cursor(page.items[:1], edge, "previous") if precedes else "",
    )


def _cursor(outermost: Sequence[ListedProfile], edge: PagePosition | None, direction: Direction) -> str:
    """A cursor that begins beyond the outermost item; on an empty page it turns round at its edge."""
    for item in outermost:
        return encode_cursor(Cursor(item.created_at, item.profile_id, direction))
    if edge is None:
        return ""
    aside = edge.profile_id.int + (1 if direction == "next" else -1)
    return encode_cursor(Cursor(edge.created_at, UUID(int=min(max(aside, 0), _LAST_ID)), direction))
