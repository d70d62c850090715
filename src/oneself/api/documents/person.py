"""A person as the wires beside the CDS wire render them, disclosed by the same rules.

A value that an application may not read (docs/wire/cds.md §5.3) is hidden as an identifier of the person, as
the cause of a merge, and in the `user` of an event as well. Consent categories and system applications
belong to the organisation, whatever the dataset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from oneself.api.documents.profile import ProfileDocument, render_profile
from oneself.api.http.guard import RequestContext
from oneself.core.config.configuration import Config
from oneself.core.disclosure import ANY, Grant, Reader, disclose, grants_of
from oneself.core.identity.identifier import (
    DEVICE_NAMESPACES,
    USER_ID,
    Identifier,
    tracker_digest,
    visible_value,
)
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.consent import consented_in
from oneself.core.profiles.profile import Profile
from oneself.core.values.attribute import SCOPES, TRAITS, WRITE_ONLY
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.ids import AliasedProfile
from oneself.service.profiles.profiles import ProfileView

#: What says only which profile it is, as its own documents do.
_PLAIN_NAMESPACES = DEVICE_NAMESPACES | {USER_ID, LEGACY_ID}
_TRACKER_FIELD = "anonymousProfileTracker"
_BROWSER_FIELDS = ("anonymousId", "anonId")


class PersonDocument(ProfileDocument, frozen=True, omit_defaults=True, kw_only=True):
    """A profile as the CDS wire renders it, with every id that names it."""

    primary_id: str
    aliases: Annotated[list[str], Meta(description="Primary ids of before, its own and of those absorbed.")]
    devices: Annotated[
        list[str], Meta(description="Anonymous ids, and digests of trackers, that point at it now.")
    ]


class Disclosure(msgspec.Struct, frozen=True):
    """What one reader may read of one person."""

    view: ProfileView
    reader: Reader
    grants: frozenset[Grant]

    @classmethod
    def of(cls, call: RequestContext, view: ProfileView, reader: Reader, asked: frozenset[str]) -> Disclosure:
        """`asked`: the consent categories whose attributes the reader requests."""
        return cls(view, reader, grants_of(call.config, consented_in(view.survivor.consents), asked))

    def values(self) -> dict[str, Any]:
        """The values of the person that the reader may read."""
        values = visible_values(self.view.config.schema, self.view.survivor.record.values)
        return disclose(values, self.reader, self.grants)

    def shows(self, identifier: Identifier) -> bool:
        """Whether the reader may read the value of an identifier. Its existence is always visible."""
        if identifier.namespace in _PLAIN_NAMESPACES:
            return True
        path = _path(identifier.namespace, self.view.config)
        if path is None:
            return self.reader.is_system
        return not _is_write_only(path, self.view.config) and self._is_granted(path)

    def value(self, path: Sequence[str], value: Any) -> Any:
        """A value that stood at a path of the profile, as far as the reader may read it; None: not at all."""
        nested = value
        for key in reversed(path):
            nested = {key: nested}
        seen: Any = disclose(visible_values(self.view.config.schema, nested), self.reader, self.grants)
        for key in path:
            seen = seen.get(key) if isinstance(seen, Mapping) else None
        return seen

    def body(self, body: Any) -> Any:
        """The body of an event; see `disclosed_body`."""
        return disclosed_body(body, self.reader, self.view.config)

    def _is_granted(self, path: Sequence[str]) -> bool:
        scope, key = path[0], path[1]
        return self.reader.is_system or not self.grants.isdisjoint({Grant(scope, ANY), Grant(scope, key)})


def disclosed_body(body: Any, reader: Reader, config: Config) -> Any:
    """The body of an event that a reader may read. `config`: of its dataset. Applications that are not
    system applications see only the browser's fields of `user`; nobody sees write-only attributes, and of a
    tracker more than its digest.
    """
    user = body.get("user") if isinstance(body, Mapping) else None
    if not isinstance(user, Mapping):
        return body
    if not reader.is_system:
        return {**body, "user": {name: user[name] for name in _BROWSER_FIELDS if name in user}}
    return {**body, "user": {name: _readable(name, part, config) for name, part in user.items()}}


def _readable(name: str, part: Any, config: Config) -> Any:
    if name == _TRACKER_FIELD and part:
        return tracker_digest(str(part))
    if name not in ("attributes", "identities") or not isinstance(part, Mapping):
        return part
    return {key: value for key, value in part.items() if not _is_write_only(_named(key, config), config)}


def disclosed_values(call: RequestContext, survivor: Profile, config: Config) -> dict[str, Any]:
    """Traits and identity attributes that the caller may read without further consent categories. `config`:
    of the dataset.
    """
    reader = call.reader(with_application_data=False, applications=None)
    grants = grants_of(call.config, consented_in(survivor.consents), frozenset())
    return disclose(visible_values(config.schema, survivor.record.values), reader, grants)


def render_person(
    org: str,
    disclosure: Disclosure,
    person: AliasedProfile,
    devices: Sequence[Identifier],
    *,
    with_provenance: bool = False,
) -> PersonDocument:
    """The document of the profile that was asked for."""
    view = disclosure.view
    document = render_profile(
        org, view.profile, view.survivor, view.absorbed, disclosure.values(), with_provenance=with_provenance
    )
    return PersonDocument(
        **{name: getattr(document, name) for name in document.__struct_fields__},
        primary_id=person.survivor.primary_id,
        aliases=list(person.aliases),
        devices=[visible_value(device) for device in devices],
    )


def _path(namespace: str, config: Config) -> Sequence[str] | None:
    """Where the values of a namespace stand in a profile: by a binding, else the namespace is the name of an
    attribute.
    """
    if (match := config.bindings.get(namespace)) is not None:
        return match.path
    scope, _, key = namespace.partition(".")
    return (scope, *key.split(".")) if scope in SCOPES and key else None


def _named(name: str, config: Config) -> Sequence[str]:
    """The attribute that a name in an event means, compared without case."""
    binding = next(
        (b for n, b in config.identity_attributes.items() if n.casefold() == name.casefold()), None
    )
    if binding is not None:
        return binding.attribute.split(".")
    keys = (key for key in config.schema.fields(TRAITS) if key.casefold() == name.casefold())
    return (TRAITS, next(keys, name))


def _is_write_only(path: Sequence[str], config: Config) -> bool:
    names = (".".join(path[:count]) for count in range(2, len(path) + 1))
    found = (config.schema.find(name) for name in names)
    return any(attribute is not None and attribute.mutability == WRITE_ONLY for attribute in found)
