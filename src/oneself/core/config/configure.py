"""`configure` folds a change into the configuration; `required_reindexing` names the jobs that follow it.

Invariants: pure; each kind of change replaces the fields that `_PARTS` names, and no others. This module does
not know profiles.

Source: docs/concepts/log-and-fold.md, "Configuration is in the log".
"""

from collections.abc import Callable
from typing import Any

import msgspec

from oneself.core.config.changes import (
    ConfigChange,
    DropAttributes,
    DropCategory,
    DropIdentityType,
    DropRule,
    DropWriteKey,
    PutAttributes,
    PutBlocked,
    PutCategory,
    PutChannels,
    PutDatasetSettings,
    PutIdentityAttributes,
    PutIdentityType,
    PutLimits,
    PutRule,
    PutSettings,
    PutWriteKey,
    Several,
)
from oneself.core.config.configuration import Config
from oneself.core.config.guard_history import merge_limits, separated, separates_since
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import Namespace
from oneself.core.identity.identity_type import LEGACY_ID_JOB
from oneself.core.profiles.consent import Category
from oneself.core.values.schema import Schema


def configure(config: Config, change: ConfigChange, seq: int) -> Config:
    """The configuration after a change that was recorded at `seq`."""
    changed = config
    for part in change.changes if isinstance(change, Several) else (change,):
        changed = msgspec.structs.replace(changed, **_PARTS[type(part)](changed, part))
    return msgspec.structs.replace(
        changed,
        version=config.version + 1,
        seq=seq,
        dataset=_resolving(config.dataset, changed.dataset, seq),
        indexed_since=_indexed_since(config, changed, seq),
        matched_until=_matched_until(config, changed, seq),
        separates_since=separates_since(config, changed, seq),
        separated=separated(config, changed, seq),
        merge_limits=merge_limits(config, changed, seq),
    )


def required_reindexing(before: Config, after: Config) -> list[str]:
    """The ids of the reindexing jobs that a change requires.

    A rule or identity attribute needs one if it was not active before, if it reads stored values differently
    (docs/wire/cds.md §8: invalid values are hidden from matching), or if blocked values became valid. Turning
    identity resolution on needs `LEGACY_ID_JOB`.
    """
    moving = [LEGACY_ID_JOB] if after.dataset.resolves_since != before.dataset.resolves_since else []
    return moving + [
        match.source_id
        for match in after.identifier_sources
        if after.indexed_since.get(match.name, 0) != before.indexed_since.get(match.name, 0)
        or not _blocks_all(after.namespace(match.name), before.namespace(match.name))
    ]


def _resolving(before: DatasetSettings, after: DatasetSettings, seq: int) -> DatasetSettings:
    """The settings, with the seq of a change that turns identity resolution on.

    Source: docs/wire/interactions.md §11.
    """
    if not after.resolves_identities or before.resolves_identities:
        return after
    return msgspec.structs.replace(after, resolves_since=seq)


def _indexed_since(before: Config, after: Config, seq: int) -> dict[str, int]:
    ways = {match.name: match.read_signature for match in before.identifier_sources}
    return {
        match.name: before.indexed_since.get(match.name, 0)
        if ways.get(match.name) == match.read_signature
        else seq
        for match in after.identifier_sources
    }


def _matched_until(before: Config, after: Config, seq: int) -> dict[str, int]:
    """When the rule or binding of each namespace ended, for those that are not active."""
    ended = before.matched_until | dict.fromkeys(before.value_namespaces, seq)
    return {name: until for name, until in ended.items() if name not in after.value_namespaces}


def _without_attributes(config: Config, change: DropAttributes) -> dict[str, Any]:
    """Deleting an attribute deletes the rules and consent entries on it (docs/wire/cds.md §7)."""
    schema = config.schema.without(change.attribute_ids)
    left = {attribute.attribute_name for attribute in schema.attributes}
    gone = {attribute.attribute_name for attribute in config.schema.attributes} - left
    return {
        "schema": schema,
        "rules": {i: rule for i, rule in config.rules.items() if rule.property_name not in gone},
        "categories": {i: _with_known(category, schema) for i, category in config.categories.items()},
    }


def _with_known(category: Category, schema: Schema) -> Category:
    known = tuple(
        entry
        for entry in category.attributes
        if schema.find(entry.attribute_name, entry.application_identifier) is not None
    )
    return msgspec.structs.replace(category, attributes=known)


def _settings(config: Config, change: PutSettings) -> dict[str, Any]:
    given = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not None}
    return {"settings": msgspec.structs.replace(config.settings, **given)}


#: Kind of change → the fields of the configuration that it replaces, with their new values.
_PARTS: dict[type, Callable[[Config, Any], dict[str, Any]]] = {
    PutAttributes: lambda config, change: {"schema": config.schema.with_(change.attributes)},
    DropAttributes: _without_attributes,
    PutSettings: _settings,
    PutIdentityType: lambda config, change: {
        "identity_types": {**config.identity_types, change.identity_type.type_id: change.identity_type}
    },
    DropIdentityType: lambda config, change: {"identity_types": _but(config.identity_types, change.type_id)},
    PutIdentityAttributes: lambda _, change: {
        "identity_attributes": {item.name: item for item in change.identity_attributes}
    },
    PutChannels: lambda _, change: {"channels": change.channels},
    PutDatasetSettings: lambda _, change: {"dataset": change.settings},
    PutLimits: lambda _, change: {"limits": change.limits},
    PutRule: lambda config, change: {"rules": {**config.rules, change.rule.rule_id: change.rule}},
    DropRule: lambda config, change: {"rules": _but(config.rules, change.rule_id)},
    PutBlocked: lambda _, change: {"blocked": change.blocked},
    PutCategory: lambda config, change: {
        "categories": {**config.categories, change.category.category_identifier: change.category}
    },
    DropCategory: lambda config, change: {"categories": _but(config.categories, change.category_identifier)},
    PutWriteKey: lambda config, _: {"write_keys_version": config.write_keys_version + 1},
    DropWriteKey: lambda config, _: {"write_keys_version": config.write_keys_version + 1},
}


def _but(entries: dict[str, Any], key: str) -> dict[str, Any]:
    return {item: entry for item, entry in entries.items() if item != key}


def _blocks_all(now: Namespace | None, before: Namespace | None) -> bool:
    if now is None or before is None:
        return True
    return (
        before.blocked_values <= now.blocked_values
        and set(before.blocked_patterns) <= set(now.blocked_patterns)
        and before.blocks_placeholders <= now.blocks_placeholders
        and before.comparison <= now.comparison
    )
