"""The user record of the vendor's look-up calls, as JSON and as a row of CSV.

Instants are milliseconds since 1970. Lists that the service does not store are empty.
Source: docs/wire/interactions.md §3.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from oneself.api.documents.person import disclosed_values
from oneself.api.http.guard import RequestContext
from oneself.core.config.configuration import Config
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import identities_of
from oneself.core.units import MILLISECOND_US
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, TRAITS
from oneself.core.values.record import ValueSource, leaves
from oneself.service.events.interactions import INTERFACE
from oneself.service.profiles.ids import AliasedProfile

PERSONAL = "PersonallyIdentifiable"
_CORE_COLUMNS = (
    "id",
    "isAnonymous",
    "displayName",
    "anonAliases",
    "firstActivity",
    "lastActivity",
    "created",
    "updated",
)


class UserRecord(msgspec.Struct, frozen=True):
    """A user. `anonAliases` and `anonMergeTimes` are parallel."""

    id: str
    isAnonymous: bool
    displayName: str | None
    attributes: dict[str, Any]
    anonAliases: list[str]
    anonMergeTimes: list[int]
    firstActivity: int
    lastActivity: int
    created: int
    updated: int
    profileObjects: dict[str, Any] = {}
    visitHistory: list[Any] = []
    orderHistory: list[Any] = []
    segmentMembership: list[Any] = []
    originatingReferrer: dict[str, Any] = {}
    location: dict[str, Any] = {}
    pageLocale: str | None = None
    engagement: dict[str, Any] = {}


def render_user(call: RequestContext, person: AliasedProfile, config: Config) -> UserRecord:
    """The record of a person, with the attributes that the caller may read. `config`: of the dataset."""
    survivor = person.survivor
    return UserRecord(
        id=survivor.primary_id,
        isAnonymous=survivor.is_anonymous,
        displayName=None,
        attributes=_attributes(survivor, disclosed_values(call, survivor, config), config),
        anonAliases=list(person.aliases),
        anonMergeTimes=[at // MILLISECOND_US for at in person.aliases.values()],
        firstActivity=(survivor.first_active_at or survivor.created_at) // MILLISECOND_US,
        lastActivity=(survivor.active_at or survivor.created_at) // MILLISECOND_US,
        created=survivor.created_at // MILLISECOND_US,
        updated=survivor.updated_at // MILLISECOND_US,
        profileObjects=_objects(survivor),
        visitHistory=_visits(survivor),
    )


def _objects(survivor: Profile) -> dict[str, Any]:
    return {
        kind: [
            {"id": object_id, "attributes": owned.attributes, "relatedCatalogObjects": owned.related}
            for object_id, owned in known.items()
        ]
        for kind, known in survivor.objects.items()
    }


def _visits(survivor: Profile) -> list[dict[str, Any]]:
    """The newest first. A visit has no id; its start identifies it."""
    known = (*survivor.visits, (survivor.visit_at, survivor.active_at)) if survivor.active_at else ()
    return [
        {
            "_id": f"{start:024x}",
            "start": start // MILLISECOND_US,
            "lastEventTime": end // MILLISECOND_US,
            "visitIndex": index,
        }
        for index, (start, end) in reversed(list(enumerate(known, 1)))
    ]


def render_csv(records: Iterable[UserRecord], config: Config) -> str:
    """A row per user: the fields that every user has, then the attributes of the dataset."""
    names = _names(config)
    columns = sorted(set(names.values()))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*_CORE_COLUMNS, *columns))
    for record in records:
        core = [_cell(getattr(record, name)) for name in _CORE_COLUMNS]
        values = [record.attributes.get(name, {}).get("value") for name in columns]
        writer.writerow((*core, *map(_cell, values)))
    return out.getvalue()


def _attributes(survivor: Profile, visible: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """Traits and identity attributes by their name on this wire; the latter take precedence. A value of a
    trusted-only type that no server sent does not appear under the name of an identity.
    """
    names = _names(config)
    bound = {binding.attribute for binding in config.identity_attributes.values()}
    identities = identities_of(survivor.record, config)
    disbelieved = {
        ".".join(match.path)
        for match in config.bindings.values()
        if match.namespace.trusted_only and not identities[match.name]
    }
    found: dict[str, Any] = {}
    for scope in (TRAITS, IDENTITY_ATTRIBUTES):
        for key, value in visible.get(scope, {}).items():
            full = f"{scope}.{key}"
            if full in disbelieved:
                continue
            sources = _sources(survivor, full, value)
            name = names.get(full, key)
            word = config.dataset.classifications.get(name, PERSONAL if full in bound else None)
            found[name] = {"value": value, "metadata": _metadata(sources, word)}
    return found


def _names(config: Config) -> dict[str, str]:
    """Attribute → its name on this wire."""
    named = {
        attribute.attribute_name: attribute.key
        for attribute in config.schema.attributes
        if attribute.scope in (TRAITS, IDENTITY_ATTRIBUTES) and attribute.attribute_name.count(".") == 1
    }
    return named | {binding.attribute: binding.name for binding in config.identity_attributes.values()}


def _sources(survivor: Profile, full: str, value: Any) -> Sequence[ValueSource]:
    provenance = survivor.record.provenance
    return [source for leaf in leaves(value, full) for source in provenance.get(leaf, ())]


def _metadata(sources: Sequence[ValueSource], classification: str | None) -> dict[str, Any]:
    last = max(sources, key=lambda source: source.at, default=None)
    if last is None:
        return {}
    metadata = {
        "origin": _origin(last),
        "provider": "",
        "gearId": "",
        "lastUpdated": last.at // MILLISECOND_US,
        "lastVerified": None,
    }
    return metadata if classification is None else {**metadata, "classification": classification}


def _origin(source: ValueSource) -> str:
    if source.interface != INTERFACE:
        return source.interface
    return "Server" if source.trust == "server" else "Web"


def _cell(value: Any) -> Any:
    """Ids in a list are separated by blanks. Values that are neither text nor number are JSON."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return " ".join(value)
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
