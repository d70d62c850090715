"""The configuration that observations are resolved with, as one versioned value.

A change of the configuration is an observation too; `configure.configure` folds it in. Each observation in
the log names the version of the configuration that it was resolved with.

Invariants: a configuration is a function of the changes in the log. This module does not know profiles.

Source: docs/concepts/log-and-fold.md, "Configuration is in the log".
"""

from functools import cached_property

import msgspec

from oneself.core.config.changes import BlockList, Limits, OrganisationSettings
from oneself.core.identity.dataset_settings import DatasetSettings
from oneself.core.identity.identifier import (
    ANONYMOUS_ID,
    DEVICE_NAMESPACE,
    DEVICE_NAMESPACES,
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
    CUSTOMER_CHANNELS,
    DEFAULT_CHANNELS,
    FORMER_NAMESPACE,
    LEGACY_ID,
    LEGACY_NAMESPACE,
    IdentityBinding,
    IdentityType,
    namespace_of,
)
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.consent import Category
from oneself.core.units import SEQ_MAX
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
    #: By namespace whose rule or binding is no longer active: the seq of the change that ended it.
    matched_until: dict[str, int] = {}
    #: By namespace: since when two different values in it are two people, if they were not before; as a seq.
    separates_since: dict[str, int] = {}
    #: By namespace: when they were before, from one seq up to another.
    separated: dict[str, tuple[tuple[int, int], ...]] = {}
    #: The limits of profiles per merge that there were, each with the seq since which; empty: one alone.
    merge_limits: tuple[tuple[int, int], ...] = ()
    #: How often the write keys of the dataset changed: whoever caches them reads them again when it rises.
    write_keys_version: int = 0
    #: Of a reading (`reading_of`): later configurations that admit identifiers which this one drops.
    admitting: tuple["Config", ...] = ()

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
    def namespace_names(self) -> tuple[str, ...]:
        """The name of every namespace of the dataset, the built-in ones first."""
        return tuple(self._namespaces)

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
        return namespace_of(
            self.types[type_id],
            is_bound=is_bound,
            keeps_apart=type_id in self._separating_types,
            values_max=self.limits.values_per_namespace_max,
        )

    @cached_property
    def _separating_types(self) -> frozenset[str]:
        """The types of the customer number, if two different ones are two people."""
        if self.dataset.channel_identity_conflict == "replace":
            return frozenset()
        found = (self.channel_identity(channel) for channel in CUSTOMER_CHANNELS)
        return frozenset(binding.type_id for binding in found if binding is not None)

    @cached_property
    def matching(self) -> dict[str, int]:
        """Namespace → the seq until which equal values were one person; one that never matched is missing."""
        active = dict.fromkeys((name for name in self._namespaces if name not in DEVICE_NAMESPACES), SEQ_MAX)
        return self.matched_until | active

    @cached_property
    def separating(self) -> frozenset[str]:
        """The namespaces in which two different values are two people."""
        return frozenset(name for name, item in self._namespaces.items() if item.conflict_blocks_merge)

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
        found |= _BUILT_IN
        if self.dataset.resolves_identities:
            found[LEGACY_ID] = FORMER_NAMESPACE
        comparison = self.dataset.comparison
        return {name: msgspec.structs.replace(item, comparison=comparison) for name, item in found.items()}

    def _with_blocked(self, namespace: Namespace) -> Namespace:
        return msgspec.structs.replace(
            namespace,
            blocked_values=namespace.blocked_values | self.blocked.values,
            blocked_patterns=(*namespace.blocked_patterns, *self.blocked.patterns),
        )
