"""Which values of a profile a reader may see.

    system application   all values; application data only of the applications it requests
    other application    the granted values; application data only of its own

A filter finds a profile by a value only where its reader may read the value (`ReaderAccess.opening`).

A grant names a scope, an application for application data, and a first-level key. A grant on `address`
discloses the complete address.

Invariants: pure functions of values, grants and configuration. This module does not authenticate readers.

Source: docs/wire/cds.md §5.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from oneself.core.config.configuration import Config
from oneself.core.profiles.consent import Category
from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, SCOPES

Values = Mapping[str, Any]
ANY = "*"


class Grant(Struct, frozen=True):
    """Permission to disclose one first-level key of a scope."""

    scope: str
    #: The first-level key; `ANY` for all keys.
    key: str
    #: The application, for application data.
    application: str | None = None


#: The grants of the mandatory category: every identity attribute (docs/wire/cds.md §10).
IDENTITY_DATA = frozenset({Grant(IDENTITY_ATTRIBUTES, ANY)})


def grants_of(config: Config, consented: frozenset[str], asked: frozenset[str]) -> frozenset[Grant]:
    """The grants of a reader that requests the categories `asked`. `consented`: to which the person did.

    They are those of the mandatory category, and of each requested category to which the person consented.
    Without a mandatory category nothing is granted.
    """
    if not _has_mandatory(config):
        return frozenset()
    opened = (config.categories[i] for i in asked & consented & config.categories.keys())
    return IDENTITY_DATA.union(*map(_grants_in, opened))


def _has_mandatory(config: Config) -> bool:
    return any(category.is_mandatory for category in config.categories.values())


def _grants_in(category: Category) -> frozenset[Grant]:
    return frozenset(
        Grant(scope, name.partition(".")[0], entry.application_identifier)
        for entry in category.attributes
        for scope, _, name in (entry.attribute_name.partition("."),)
    )


class Reader(Struct, frozen=True):
    """The application that reads, and the application data that it requests."""

    application: str | None
    #: Whether it is a system application, which needs no grants.
    is_system: bool
    with_application_data: bool = False
    #: The applications whose data a system application requests; None for all.
    applications: frozenset[str] | None = None


class ReaderAccess(Struct, frozen=True):
    """What one reader may read of any person."""

    #: Of the organisation, whose consent categories apply.
    config: Config
    reader: Reader
    #: The consent categories that it requests.
    asked: frozenset[str] = frozenset()

    def disclosed(self, values: Values, consented: frozenset[str]) -> dict[str, Any]:
        """The part of a person's values that it may read. `consented`: the categories to which they did."""
        return disclose(values, self.reader, grants_of(self.config, consented, self.asked))

    def opening(self, scope: str, key: str, application: str | None) -> frozenset[str] | None:
        """The categories that disclose a first-level key, if the person consented to one of them.

        None: every person's value is disclosed; empty: nobody's.
        """
        if self.reader.is_system:
            return None
        if not _has_mandatory(self.config) or application not in (None, self.reader.application):
            return frozenset()
        if Grant(scope, ANY, application) in IDENTITY_DATA:
            return None
        asked = self.asked & self.config.categories.keys()
        grant = Grant(scope, key, application)
        return frozenset(i for i in asked if grant in _grants_in(self.config.categories[i]))


def disclose(values: Values, reader: Reader, grants: frozenset[Grant]) -> dict[str, Any]:
    """The part of `values` that `reader` may see, without empty sections."""
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
