"""A profile as several wires render it: the document, its location and its version. Decides nothing.

An absorbed profile keeps its own id and `merged_to`; its user id, meta and values are those of its survivor.
Source: docs/wire/cds.md §5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct, field

from oneself.api.http.timestamps import Timestamp, rfc3339
from oneself.core.profiles.profile import Absorbed, Profile
from oneself.core.values.attribute import SCOPES
from oneself.core.values.record import ValueSource

IDENTITY, TRAITS, APPLICATION = SCOPES

ProfileId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]
Values = Annotated[dict[str, Any], Meta(description="Attribute → value, as the profile schema declares it.")]
ApplicationValues = Annotated[
    dict[str, dict[str, Any]], Meta(description="Application (client id) → attribute → value.")
]


class ProfileMeta(Struct, frozen=True):
    """When the profile was created and last changed, and its path (no leading slash, no `/t/`)."""

    created_at: Timestamp
    updated_at: Timestamp
    location: str


class MergedProfileDocument(Struct, frozen=True):
    """The other profile of a merge, and why: the name of a rule or `system:user_id_match`."""

    profile_id: ProfileId
    reason: str


class SourceDocument(Struct, frozen=True, omit_defaults=True):
    """Where a value came from."""

    time: Timestamp
    interface: str = field(name="face")
    application: str | None = None


class ProfileDocument(Struct, frozen=True, omit_defaults=True):
    """A profile. An absorbed one keeps its id and has its survivor's data."""

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


def location(org: str, profile_id: UUID) -> str:
    """The path of a profile in `meta.location`: no leading slash, no `/t/`."""
    return f"{org}/cds/api/v1/profiles/{profile_id}"


def render_profile(
    org: str,
    profile: Profile,
    survivor: Profile,
    absorbed: Sequence[Absorbed],
    values: Mapping[str, Any],
    *,
    tracker: str = "",
    with_provenance: bool = False,
) -> ProfileDocument:
    """The document of `profile`. `values`: the part of the survivor's that the caller may read."""
    return ProfileDocument(
        profile_id=str(profile.profile_id),
        user_id=survivor.user_id or "",
        anonymous_profile_tracker=tracker,
        meta=profile_meta(org, survivor.profile_id, survivor.created_at, survivor.updated_at),
        identity_attributes=values.get(IDENTITY, {}),
        traits=values.get(TRAITS, {}),
        application_data=values.get(APPLICATION, {}),
        merged_to=_merged_to(profile),
        merged_from=[]
        if profile.is_absorbed
        else [MergedProfileDocument(str(a.profile_id), a.reason) for a in absorbed],
        provenance=_provenance(survivor.record.provenance, values) if with_provenance else {},
    )


def version_tag(survivor: Profile) -> str:
    """The `ETag` of a unified profile."""
    return f'"{survivor.updated_at}"'


def profile_meta(org: str, profile_id: UUID, created_at: int, updated_at: int) -> ProfileMeta:
    return ProfileMeta(rfc3339(created_at), rfc3339(updated_at), location(org, profile_id))


def _merged_to(profile: Profile) -> MergedProfileDocument | None:
    if profile.survivor_id is None:
        return None
    return MergedProfileDocument(str(profile.survivor_id), profile.reason or "")


def _provenance(
    provenance: Mapping[str, Sequence[ValueSource]], values: Mapping[str, Any]
) -> dict[str, list[SourceDocument]]:
    """The sources of the values in the document."""
    visible = frozenset(_paths(values, ""))
    return {path: list(map(_source, sources)) for path, sources in provenance.items() if path in visible}


def _paths(values: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for key, value in values.items():
        yield prefix + key
        if isinstance(value, dict):
            yield from _paths(value, f"{prefix}{key}.")


def _source(source: ValueSource) -> SourceDocument:
    return SourceDocument(rfc3339(source.at), source.interface, source.application)
