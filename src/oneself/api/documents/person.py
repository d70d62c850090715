"""A person as the wires beside the CDS wire render them, disclosed by the same rules.

A value that an application may not read (docs/wire/cds.md §5.3) is hidden as an identifier of the person, as
the cause of a merge, and in the `user` of an event as well. Consent categories and system applications
belong to the organisation, whatever the dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from oneself.api.documents.profile import ProfileDocument, render_profile
from oneself.api.http.guard import RequestContext
from oneself.api.http.timestamps import Timestamp
from oneself.core.config.configuration import Config
from oneself.core.disclosure import ANY, Grant, Reader, disclose, grants_of
from oneself.core.identity.identifier import DEVICE_NAMESPACES, USER_ID, Identifier, visible_value
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.core.profiles.consent import consented_in
from oneself.core.profiles.profile import Profile
from oneself.core.values.visibility import visible_values
from oneself.service.profiles.ids import AliasedProfile
from oneself.service.profiles.profiles import ProfileView
from oneself.service.profiles.readable import attribute_path, disclosed_body, is_write_only

#: What says only which profile it is, as its own documents do.
_PLAIN_NAMESPACES = DEVICE_NAMESPACES | {USER_ID, LEGACY_ID}


class AsOfDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """The instant as of which an answer is. `left_out`: the profile had parts then that it does not have
    today; they are not in the answer.
    """

    at: Timestamp
    left_out: Literal[True] | None = None


class PersonDocument(ProfileDocument, frozen=True, omit_defaults=True, kw_only=True):
    """A profile as the CDS wire renders it, with every id that names it."""

    primary_id: str
    aliases: Annotated[list[str], Meta(description="Primary ids of before, its own and of those absorbed.")]
    devices: Annotated[
        list[str], Meta(description="Anonymous ids, and digests of trackers, that point at it now.")
    ]
    as_of: AsOfDocument | None = None


class Disclosure(msgspec.Struct, frozen=True):
    """What one reader may read of one person."""

    view: ProfileView
    reader: Reader
    grants: frozenset[Grant]
    #: What defines attributes: the configuration of the view, and that of today if the view is earlier.
    configs: tuple[Config, ...]

    @classmethod
    def of(
        cls,
        call: RequestContext,
        view: ProfileView,
        reader: Reader,
        asked: frozenset[str],
        today: ProfileView | None = None,
    ) -> Disclosure:
        """`asked`: the consent categories whose attributes the reader requests. `today`: of an earlier view,
        the profile as it is now: the reader sees what both show.
        """
        views = (view,) if today is None else (view, today)
        consented = frozenset.intersection(*(consented_in(item.survivor.consents) for item in views))
        grants = grants_of(call.config, consented, asked)
        return cls(view, reader, grants, tuple(item.config for item in views))

    def values(self) -> dict[str, Any]:
        """The values of the person that the reader may read."""
        return disclose(self._visible(self.view.survivor.record.values), self.reader, self.grants)

    def shows(self, identifier: Identifier) -> bool:
        """Whether the reader may read the value of an identifier. Its existence is always visible."""
        if identifier.namespace in _PLAIN_NAMESPACES:
            return True
        return all(self._shows(identifier.namespace, config) for config in self.configs)

    def value(self, path: Sequence[str], value: Any) -> Any:
        """A value that stood at a path of the profile, as far as the reader may read it; None: not at all."""
        nested = value
        for key in reversed(path):
            nested = {key: nested}
        seen: Any = disclose(self._visible(nested), self.reader, self.grants)
        for key in path:
            seen = seen.get(key) if isinstance(seen, Mapping) else None
        return seen

    def body(self, body: Any) -> Any:
        """The body of an event; see `disclosed_body`."""
        return disclosed_body(body, self.reader, *self.configs)

    def _visible(self, values: Mapping[str, Any]) -> dict[str, Any]:
        visible = dict(values)
        for config in self.configs:
            visible = visible_values(config.schema, visible)
        return visible

    def _shows(self, namespace: str, config: Config) -> bool:
        path = attribute_path(namespace, config)
        if path is None:
            return self.reader.is_system
        return not is_write_only(path, config) and self._is_granted(path)

    def _is_granted(self, path: Sequence[str]) -> bool:
        scope, key = path[0], path[1]
        return self.reader.is_system or not self.grants.isdisjoint({Grant(scope, ANY), Grant(scope, key)})


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


def discloses_of_all_profiles(call: RequestContext, config: Config) -> Callable[[Identifier], bool]:
    """Whether the caller may read the value of an identifier of every person of a dataset, whatever they
    consented to. `config`: of the dataset."""

    def shows(identifier: Identifier) -> bool:
        if identifier.namespace in _PLAIN_NAMESPACES:
            return True
        path = attribute_path(identifier.namespace, config)
        if path is None or is_write_only(path, config):
            return path is None and call.access(frozenset()).reader.is_system
        return call.access(frozenset()).opening(path[0], path[1], None) is None

    return shows
