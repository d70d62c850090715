"""Equal values of two profiles that do not make them one: nothing reads them, or they identify nobody.

Invariants: pure.

Source: docs/concepts/resolution.md, rule 1; docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identifier_source import (
    IdentifierSource,
    binding_source,
    identifiers_in_values,
    rule_source,
)
from oneself.core.identity.identity_type import namespace_of
from oneself.core.identity.normalise import normalise
from oneself.service.explain.values import ExplainedCause

#: How many values of one attribute are compared.
VALUES_MAX = 100


def unused_values(ones: dict[str, Any], others: dict[str, Any], config: Config) -> Iterator[ExplainedCause]:
    """The equal values of two profiles that identify nobody, or that no rule and no binding reads.

    `ones`, `others`: their values by scope.
    """
    for source in config.identifier_sources:
        namespace = config.namespace(source.name)
        for identifier in sorted(_equal(ones, others, source)):
            found = None if namespace is None else normalise(identifier, namespace)
            if found is not None and not isinstance(found, Identifier) and found.code != "empty":
                yield ExplainedCause(found.code, identifier=identifier, namespace=source.name, is_value=True)
    for code, name, source in _sources_off(config):
        for identifier in sorted(_equal(ones, others, source)):
            if isinstance(normalise(identifier, source.namespace), Identifier):
                yield ExplainedCause(
                    code, identifier=identifier, namespace=source.name, rule=name, is_value=True
                )


def _sources_off(config: Config) -> Iterator[tuple[str, str, IdentifierSource]]:
    """The rules and bindings that do not match: why, the name, and what they would read."""
    values_max = config.limits.values_per_namespace_max
    for rule in sorted(config.rules.values(), key=lambda item: (item.priority, item.rule_id)):
        source = None if rule.is_active else rule_source(rule, config.schema, values_max)
        if source is not None and source.name not in config.rule_namespaces:
            yield "rule_inactive", rule.rule_name, source
    for _, binding in sorted(config.identity_attributes.items()):
        identity_type = config.types[binding.type_id]
        if binding.type_id in config.bindings:
            continue
        namespace = namespace_of(identity_type, is_bound=True, keeps_apart=False, values_max=values_max)
        source = binding_source(binding, namespace, config.schema)
        if source is not None:
            code = "type_not_unique" if not identity_type.can_match else "identity_resolution_off"
            yield code, binding.type_id, source


def _equal(ones: dict[str, Any], others: dict[str, Any], source: IdentifierSource) -> set[Identifier]:
    """The values that both have where a source reads, as they are compared if they are normal."""
    return _texts(ones, source) & _texts(others, source)


def _texts(values: dict[str, Any], source: IdentifierSource) -> set[Identifier]:
    found = identifiers_in_values(values, source)[:VALUES_MAX]
    normal = (normalise(item, source.namespace) for item in found)
    return {
        other if isinstance(other, Identifier) else Identifier(item.namespace, item.value.strip().casefold())
        for item, other in zip(found, normal, strict=True)
    }
