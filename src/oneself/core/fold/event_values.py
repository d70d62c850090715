"""What an event writes to a profile, and what stands against it.

An identity is the value of the attribute that its type is bound to; every other value is one of a plain
attribute. What does not fit is left out, and nothing gives way to what is older or less trusted.

Source: wire/interactions §9.2 (CLAIM), §10 (who may overwrite whom).
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
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import Change, Path, ValueChanges, ValueSource, leaves, read
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue
from oneself.core.values.value_types import parse_text


def event_changes(
    state: WorkingSet,
    observation: Observation,
    profile: Profile,
    plan: Plan,
    config: Config,
    source: ValueSource,
) -> ValueChanges:
    """What an event changes about the values of the person that it is attached to: `profile`, as it is after
    the merges of the plan. Identities count if they are newly claimed, or held by any of those that merge."""
    changes: list[Change] = []
    for raw in observation.identifiers:
        match = config.bindings.get(raw.namespace)
        if match is None or isinstance(found := admit(raw, observation.trust, config), Dropped):
            continue
        is_own = found in plan.claims or state.has_holder(found, plan.unified_ids)
        if is_own and _may_replace_identity(profile, match, source, config):
            displayed = display_value(raw.value)
            assert displayed is not None  # what is admitted is short enough
            changes.append(Change(match.path, displayed))
    for path, value in _plain(observation.values):
        changes.extend(_fitting(config.schema, profile, observation, path, value, source))
    return ValueChanges(tuple(changes))


def _may_replace_identity(
    profile: Profile, match: IdentifierSource, source: ValueSource, config: Config
) -> bool:
    """Whether an identity may take the place of the one that is there. What the identity provider said of a
    user is not a browser's to change (DESIGN §5)."""
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
    """The changes that one value makes, itself again if it is there already: it was said anew."""
    field = schema.field_at(path)
    if field is None or value is None:
        return
    converted = parse_text(field.attribute.value_type, value) if type(value) is str else value
    patch = {path[0]: {path[1]: converted}}
    creating = observation.new_profile_id == profile.profile_id
    try:
        found = apply_patch(schema, profile.record, patch, creating=creating, authority="application")
    except InvalidValue:
        return
    for change in found or ValueChanges((Change(path, read(profile.record.values, path)),)):
        present = _source_at(profile, change.path)
        if change.value is not None and (present is None or _weight(source) >= _weight(present)):
            yield change


def _source_at(profile: Profile, path: Path) -> ValueSource | None:
    """Who said last what stands at a path; None if nothing stands there."""
    value = read(profile.record.values, path)
    if value is None:
        return None
    provenance = profile.record.provenance
    sources = [source for leaf in leaves(value, ".".join(path)) for source in provenance.get(leaf, ())]
    return max(sources, key=_weight, default=None)


def _weight(source: ValueSource) -> tuple[bool, int]:
    """The trusted before the untrusted, within a tier the later."""
    return source.trust == "server", source.at
