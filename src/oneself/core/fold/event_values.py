"""The values that an event writes to a profile.

An identity is the value of the attribute that its type is bound to; every other value belongs to a plain
attribute. Invalid values are left out. A value is never replaced by an older or less trusted one.

Invariants: pure; returns changes and writes nothing.

Source: docs/wire/interactions.md §9.2 (CLAIM), §10 (precedence).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Dropped
from oneself.core.identity.identifier_source import IdentifierSource
from oneself.core.identity.normalise import display_value
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.evidence import admit
from oneself.core.resolution.observation import Observation
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.core.values.explicit_changes import fitting_changes
from oneself.core.values.record import Change, Path, ValueChanges, ValueSource, leaves, read
from oneself.core.values.schema import Schema


def event_changes(
    state: WorkingSet,
    observation: Observation,
    profile: Profile,
    plan: Plan,
    config: Config,
    source: ValueSource,
) -> ValueChanges:
    """The changes that an event makes to the values of the profile it is attached to.

    `profile`: the profile after the merges of the plan. An identity is written if the plan claims it, or if a
    member of the merge holds it.
    `source`: the source of the values.
    """
    changes: list[Change] = []
    # A plan that is applied as recorded may be older than the configuration that admits what it dropped.
    dropped = {item.namespace for item in plan.dropped} if config.admitting else ()
    for raw in observation.identifiers:
        match = config.bindings.get(raw.namespace)
        if match is None or raw.namespace in dropped:
            continue
        if isinstance(found := admit(raw, observation.trust, config), Dropped):
            continue
        is_own = found in plan.claims or state.has_holder(found, plan.unified_ids)
        if is_own and may_replace_identity(profile, match, source, config):
            displayed = display_value(raw.value)
            assert displayed is not None  # `admit` accepts only identities that are short enough
            changes.append(Change(match.path, displayed))
    for path, value in _plain(observation.values):
        changes.extend(_fitting(config.schema, profile, observation, path, value, source))
    return ValueChanges(tuple(changes))


def may_replace_identity(
    profile: Profile, match: IdentifierSource, source: ValueSource, config: Config
) -> bool:
    """Whether an identity may replace the present one.

    A browser must not change what the identity provider reported of a user (docs/concepts/merging.md).
    """
    present = _source_at(profile, match.path)
    if present is None:
        return True
    if profile.is_identified and present.trust == "server" and source.trust != "server":
        return False
    if config.is_tiered(match):
        return _weight(source) >= _weight(present)
    return source.at >= present.at


def _plain(values: dict[str, Any]) -> Iterator[tuple[Path, Any]]:
    for scope, section in values.items():
        for key, value in section.items():
            yield (scope, key), value


def _fitting(
    schema: Schema, profile: Profile, observation: Observation, path: Path, value: Any, source: ValueSource
) -> Iterator[Change]:
    """The changes that one value makes, unless a more trusted or later one stands there."""
    creating = observation.new_profile_id == profile.profile_id
    for change in fitting_changes(schema, profile.record, path, value, creating=creating):
        present = _source_at(profile, change.path)
        if change.value is not None and (present is None or _weight(source) >= _weight(present)):
            yield change


def _source_at(profile: Profile, path: Path) -> ValueSource | None:
    """The most trusted, then latest, source of the value at a path; None if there is no value."""
    value = read(profile.record.values, path)
    if value is None:
        return None
    provenance = profile.record.provenance
    sources = [source for leaf in leaves(value, ".".join(path)) for source in provenance.get(leaf, ())]
    return max(sources, key=_weight, default=None)


def _weight(source: ValueSource) -> tuple[bool, int]:
    """The order of sources: trusted over untrusted, then the later over the earlier."""
    return source.trust == "server", source.at
