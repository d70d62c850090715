"""What a change made different, setting by setting, for people who read the audit log.

Invariants: pure. A blocked value may be of a person, so blocked values are counted and never named.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from oneself.core.config.changes import ConfigChange, DropWriteKey, PutWriteKey, Several
from oneself.core.config.configuration import Config
from oneself.core.values.attribute import Attribute

#: Kind of a thing and its key → how people know it, and its settings.
Described = dict[tuple[str, str], tuple[str, dict[str, Any]]]
#: A new thing is described without these.
_EMPTY: tuple[object, ...] = (None, "", False, (), [], {}, frozenset())
#: What the service sets for itself.
_INTERNAL = frozenset(
    {"attribute_id", "rule_id", "type_id", "category_identifier", "resolves_since", "comparison"}
)


class SettingDifference(msgspec.Struct, frozen=True, array_like=True):
    """A setting with two values. None: there was none, or there is none."""

    #: What it is a setting of, such as `attribute traits.plan`.
    subject: str
    name: str
    before: Any
    after: Any


def differences(
    subject: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> list[SettingDifference]:
    """The settings of one thing that differ. None: it did not exist, or does not any more."""
    if before is None or after is None:
        present = {name: value for name, value in (before or after or {}).items() if value not in _EMPTY}
        before, after = (present if before is not None else {}, present if after is not None else {})
    names = dict.fromkeys((*before, *after))
    return [
        _difference(subject, name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def config_differences(before: Config, after: Config, change: ConfigChange) -> list[SettingDifference]:
    """The settings of a dataset that a change made different."""
    known, changed = _described(before), _described(after)
    found: list[SettingDifference] = []
    for key in dict.fromkeys((*known, *changed)):
        (former, old), (present, new) = known.get(key, ("", None)), changed.get(key, ("", None))
        found += differences(f"{key[0]} {present or former}".rstrip(), old, new)
    return [*found, *_of_write_keys(change)]


def _described(config: Config) -> Described:
    names = {item.attribute_id: item.attribute_name for item in config.schema.attributes}
    found: Described = {
        ("organisation", ""): ("", _settings(config.settings)),
        ("limits", ""): ("", _settings(config.limits)),
        ("dataset", ""): ("", _settings(config.dataset)),
        ("channels", ""): ("", dict(config.channels)),
        ("blocked values", ""): (
            "",
            {"values": config.blocked.values, "patterns": frozenset(config.blocked.patterns)},
        ),
    }
    for attribute in config.schema.attributes:
        found["attribute", attribute.attribute_id] = attribute.attribute_name, _attribute(attribute, names)
    for rule in config.rules.values():
        found["rule", rule.rule_id] = rule.rule_name, _settings(rule)
    for category in config.categories.values():
        found["consent category", category.category_identifier] = category.category_name, _settings(category)
    for key, identity_type in config.identity_types.items():
        blocked = frozenset(identity_type.blocked_values)
        found["identity type", key] = key, {**_settings(identity_type), "blocked_values": blocked}
    for name, binding in config.identity_attributes.items():
        found["identity attribute", name] = name, {"type": binding.type_id, "attribute": binding.attribute}
    return found


def _settings(item: msgspec.Struct) -> dict[str, Any]:
    """Every field of a value under its stored name."""
    names = zip(item.__struct_encode_fields__, item.__struct_fields__, strict=True)
    return {name: msgspec.to_builtins(getattr(item, field)) for name, field in names if name not in _INTERNAL}


def _attribute(attribute: Attribute, names: Mapping[str, str]) -> dict[str, Any]:
    parts = [names.get(item, item) for item in attribute.sub_attributes]
    return {**_settings(attribute), "sub_attributes": parts}


def _of_write_keys(change: ConfigChange) -> Iterator[SettingDifference]:
    for part in change.changes if isinstance(change, Several) else (change,):
        if isinstance(part, PutWriteKey):
            yield SettingDifference(f"write key {part.name}", "kind", None, part.kind)
            if part.allowed_origins:
                yield SettingDifference(
                    f"write key {part.name}", "allowed_origins", None, list(part.allowed_origins)
                )
        elif isinstance(part, DropWriteKey):
            yield SettingDifference("write key", "key_id", part.key_id, None)


def _difference(subject: str, name: str, before: Any, after: Any) -> SettingDifference:
    old, new = (len(item) if isinstance(item, frozenset) else item for item in (before, after))
    if old == new and isinstance(new, int):
        new = f"{new} others"
    return SettingDifference(subject, name, old, new)
