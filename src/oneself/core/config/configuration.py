"""The configuration that observations are resolved with, as one versioned value.

A change of the configuration is an observation too; `configure` folds it in. Each observation in the log
names the version of the configuration that it was resolved with.

Invariants: a configuration is a function of the changes in the log. This module does not know profiles.

Source: docs/concepts/log-and-fold.md, "Configuration is in the log".
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from oneself.core.config.changes import (
    BlockList,
    ConfigChange,
    DropAttributes,
    DropCategory,
    DropIdentityType,
    DropRule,
    Limits,
    OrganisationSettings,
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
    Several,
)
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import (
    ANONYMOUS_ID,
    DEVICE_NAMESPACE,
    TRACKER,
    USER_ID,
    USER_ID_NAMESPACE,
    Namespace,
)
from oneself.core.identity.identifier_source import (
    IdentifierSource,
    UnificationRule,
    binding_source,
    rule_source,
)
from oneself.core.identity.identity_type import (
    BUILT_IN_TYPES,
    CHANNELS,
    DEFAULT_CHANNELS,
    FORMER_NAMESPACE,
    LEGACY_ID,
    LEGACY_ID_JOB,
    LEGACY_NAMESPACE,
    IdentityBinding,
    IdentityType,
    namespace_of,
)
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import Category
from oneself.core.values.attribute import TRAITS
from oneself.core.values.merge import Strategy, by_time, latest
from oneself.core.values.schema import Schema

_BUILT_IN = {
    USER_ID: USER_ID_NAMESPACE,
    TRACKER: DEVICE_NAMESPACE,
    ANONYMOUS_ID: DEVICE_NAMESPACE,
    LEGACY_ID: LEGACY_NAMESPACE,
}


class Config(msgspec.Struct, frozen=True, dict=True):
    """Everything that determines how an observation is resolved."""

    #: The number of changes since the dataset was created.
    version: int = 0
    #: The seq of the last change.
    seq: int = 0
    schema: Schema = Schema(())
    settings: OrganisationSettings = OrganisationSettings()
    limits: Limits = Limits()
    #: By id, active or not.
    rules: dict[str, UnificationRule] = {}
    blocked: BlockList = BlockList()
    #: By id.
    categories: dict[str, Category] = {}
    dataset: DatasetSettings = DatasetSettings()
    #: By id, without the built-in types that were never changed.
    identity_types: dict[str, IdentityType] = {}
    #: By their name in events.
    identity_attributes: dict[str, IdentityBinding] = {}
    #: Channel → the name that `user.id` stands for there.
    channels: dict[str, str] = {}
    #: By namespace: the seq of the change since which its rule or binding reads stored values as it does now.
    indexed_since: dict[str, int] = {}

    @cached_property
    def types(self) -> dict[str, IdentityType]:
        """Every identity type, the built-in ones first."""
        return BUILT_IN_TYPES | self.identity_types

    def channel_identity(self, channel: str | None) -> IdentityBinding | None:
        """The identity attribute that `user.id` stands for on a channel; None if it is plain data there."""
        if channel not in CHANNELS or not self.dataset.resolves_identities:
            return None
        return self.identity_attributes.get(self.channels.get(channel) or DEFAULT_CHANNELS[channel])

    def namespace(self, name: str) -> Namespace | None:
        """The namespace of that name; None if the dataset does not have it."""
        return self._namespaces.get(name)

    @cached_property
    def identifier_sources(self) -> tuple[IdentifierSource, ...]:
        """The attributes whose values are identifiers: active rules by priority, then identity attributes."""
        return (*self._by_rule, *self._by_type)

    @cached_property
    def bindings(self) -> dict[str, IdentifierSource]:
        """The identity attributes whose values are identifiers, by type."""
        return {item.name: item for item in self._by_type}

    @cached_property
    def folded_names(self) -> dict[str, dict[str, list[str]]]:
        """For "identity" and for traits: case-folded name → the names that fold to it."""
        found: dict[str, dict[str, list[str]]] = {"identity": {}, TRAITS: {}}
        for kind, names in (("identity", self.identity_attributes), (TRAITS, self.schema.fields(TRAITS))):
            for name in names:
                found[kind].setdefault(name.casefold(), []).append(name)
        return found

    @cached_property
    def identity_holders(self) -> frozenset[str]:
        """The full names of the attributes that store identities."""
        return frozenset(item.attribute for item in self.identity_attributes.values())

    @cached_property
    def merge_strategies(self) -> dict[str, Strategy]:
        """Dotted path → the strategy of an identity, which overrides that of its attribute.

        Source: docs/wire/interactions.md §10.
        """
        return {
            ".".join(match.path): latest if self.is_tiered(match) else by_time
            for match in self.bindings.values()
        }

    def is_tiered(self, match: IdentifierSource) -> bool:
        """Whether a trusted value of an identity attribute wins over a later one.

        If the namespace trusts only servers, a browser's value is not an identity and must not replace one.
        """
        return self.dataset.identity_trust == "tiered" or match.namespace.trusted_only

    @cached_property
    def value_namespaces(self) -> frozenset[str]:
        """The names of the namespaces whose identifiers are values of attributes."""
        return frozenset(item.name for item in self.identifier_sources)

    @cached_property
    def rule_namespaces(self) -> frozenset[str]:
        """The names of the namespaces that active rules make."""
        return frozenset(item.name for item in self._by_rule)

    @cached_property
    def _by_rule(self) -> tuple[IdentifierSource, ...]:
        active = sorted(
            (r for r in self.rules.values() if r.is_active), key=lambda r: (r.priority, r.rule_id)
        )
        found = (rule_source(rule, self.schema, self.limits.values_per_namespace_max) for rule in active)
        return tuple(item for item in found if item is not None)

    @cached_property
    def _by_type(self) -> tuple[IdentifierSource, ...]:
        if not self.dataset.resolves_identities:
            return ()
        # Sorted, because the log does not keep the order of the bindings.
        named = sorted(self.identity_attributes.items())
        bindings = (item for _, item in named if self.types[item.type_id].can_match)
        found = (
            binding_source(item, self._type_namespace(item.type_id, is_bound=True), self.schema)
            for item in bindings
        )
        return tuple(item for item in found if item is not None)

    def _type_namespace(self, type_id: str, *, is_bound: bool) -> Namespace:
        values_max = self.limits.values_per_namespace_max
        return namespace_of(self.types[type_id], is_bound=is_bound, values_max=values_max)

    def is_current(self, claim: Claim) -> bool:
        """False if the claim's rule or binding was inactive, or read values differently, after the claim.

        Such a claim is ignored until its profile is reindexed.
        """
        return claim.seq >= self.indexed_since.get(claim.identifier.namespace, 0)

    @cached_property
    def _namespaces(self) -> dict[str, Namespace]:
        types = [item.type_id for item in self.types.values() if item.can_match]
        found = {type_id: self._type_namespace(type_id, is_bound=False) for type_id in types}
        found |= {item.name: item.namespace for item in self.identifier_sources}
        if self.blocked != BlockList():
            found = {name: self._with_blocked(namespace) for name, namespace in found.items()}
        if self.dataset.resolves_identities:
            return found | _BUILT_IN | {LEGACY_ID: FORMER_NAMESPACE}
        return found | _BUILT_IN

    def _with_blocked(self, namespace: Namespace) -> Namespace:
        return msgspec.structs.replace(
            namespace,
            blocked_values=namespace.blocked_values | self.blocked.values,
            blocked_patterns=(*namespace.blocked_patterns, *self.blocked.patterns),
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


def _blocks_all(now: Namespace | None, before: Namespace | None) -> bool:
    if now is None or before is None:
        return True
    return (
        before.blocked_values <= now.blocked_values
        and set(before.blocked_patterns) <= set(now.blocked_patterns)
        and (before.blocks in ("nothing", now.blocks) or now.blocks == "shared")
    )


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
    )


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
}


def _but(entries: dict[str, Any], key: str) -> dict[str, Any]:
    return {item: entry for item, entry in entries.items() if item != key}
