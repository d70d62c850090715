"""Which values of a profile a reader is shown (wire/cds §5.3). Pure.

    system application   everything; application data narrowed to the applications it names
    any other            what is granted: (scope, application, first-level key), and of application data its
                         own only

A grant works on first-level keys: one on `address` lets all of an address through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from oneself.core.config.configuration import Config
from oneself.core.profiles.consent import Choices
from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, SCOPES

Values = Mapping[str, Any]
ANY = "*"


class Grant(Struct, frozen=True):
    """Permission to show one first-level key of a scope (of an application); `ANY` = all of them."""

    scope: str
    key: str
    application: str | None = None


#: The mandatory category, `Identity Data`: every identity attribute (wire/cds §10).
IDENTITY_DATA = frozenset({Grant(IDENTITY_ATTRIBUTES, ANY)})


def grants_of(config: Config, choices: Choices, asked: frozenset[str]) -> frozenset[Grant]:
    """What a reader who asks for these categories is granted: what the mandatory one opens, if there is one,
    and what those open to which the person consented."""
    if not any(category.is_mandatory for category in config.categories.values()):
        return frozenset()
    consented = {i for i, choice in choices.items() if choice.is_consented}
    opened = (config.categories[i] for i in asked & consented & config.categories.keys())
    return IDENTITY_DATA.union(
        Grant(scope, name.partition(".")[0], entry.application_identifier)
        for category in opened
        for entry in category.attributes
        for scope, _, name in (entry.attribute_name.partition("."),)
    )


class Reader(Struct, frozen=True):
    """Who reads, and what of application data they ask for.

    `applications`: the only ones a system application asks for, None for all.
    """

    application: str | None
    is_system: bool
    with_application_data: bool = False
    applications: frozenset[str] | None = None


def disclose(values: Values, reader: Reader, grants: frozenset[Grant]) -> dict[str, Any]:
    """The part of `values` that `reader` is shown; empty sections are left out."""
    visible: dict[str, Any] = {scope: _section(values, scope, reader, grants) for scope in SCOPES[:2]}
    if reader.with_application_data:
        visible[APPLICATION_DATA] = _application_data(values.get(APPLICATION_DATA, {}), reader, grants)
    return {scope: section for scope, section in visible.items() if section}


def _section(values: Values, scope: str, reader: Reader, grants: frozenset[Grant]) -> dict[str, Any]:
    section: dict[str, Any] = values.get(scope, {})
    return section if reader.is_system else _granted(section, scope, None, grants)


def _application_data(buckets: Values, reader: Reader, grants: frozenset[Grant]) -> dict[str, Any]:
    if reader.is_system:
        requested = reader.applications
        return {name: bucket for name, bucket in buckets.items() if requested is None or name in requested}
    own = reader.application or ""
    bucket = _granted(buckets.get(own, {}), APPLICATION_DATA, own, grants)
    return {own: bucket} if bucket else {}


def _granted(
    section: Values, scope: str, application: str | None, grants: frozenset[Grant]
) -> dict[str, Any]:
    if Grant(scope, ANY, application) in grants:
        return dict(section)
    return {key: value for key, value in section.items() if Grant(scope, key, application) in grants}
