"""Attributes that are bound to identity types stay what they are while they are bound (wire/interactions §3).

Law of this module: whoever changes a schema asks here. What mirrors claims keeps a bound attribute that no
claim asks for; what a person asks for and would break a binding is refused, with the name to unbind.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import RequiredAttribute, as_wanted, with_parents
from oneself.core.identity.identity_type import IdentityBinding, can_bind
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES
from oneself.core.values.schema import Schema
from oneself.errors import Conflict


def with_bound(config: Config, wanted: Sequence[RequiredAttribute]) -> Sequence[RequiredAttribute]:
    """What claims ask for, and the bound identity attributes that no claim asks for."""
    names = {each.name for each in wanted}
    bound = {binding.attribute for binding in config.identity_attributes.values()}
    kept = [
        as_wanted(attribute)
        for attribute in config.schema.in_scope(IDENTITY_ATTRIBUTES)
        if attribute.attribute_name in bound - names
    ]
    return with_parents([*wanted, *kept]) if kept else wanted


def check_wanted(config: Config, wanted: Sequence[RequiredAttribute]) -> None:
    """Raise Conflict if a bound identity attribute would go, or hold no identities any more."""
    by_name = {each.name: each for each in wanted}
    for binding in _holding(config):
        if binding.attribute.startswith(f"{IDENTITY_ATTRIBUTES}."):
            found = by_name.get(binding.attribute)
            if found is None or not _holds_identities(found):
                raise Conflict(bound_sentence(binding), code="bound")


def broken(config: Config, schema: Schema) -> IdentityBinding | None:
    """A binding that another schema would leave without an attribute that holds identities."""
    return next((each for each in _holding(config) if not can_bind(schema, each.attribute)), None)


def bound_sentence(binding: IdentityBinding) -> str:
    """Why a bound attribute stays as it is."""
    return (
        f"'{binding.attribute}' holds the identity attribute '{binding.name}' ({binding.type_id}) and stays "
        "one string that events may write; take it out of identity-attributes first."
    )


def _holding(config: Config) -> list[IdentityBinding]:
    return [each for each in config.identity_attributes.values() if can_bind(config.schema, each.attribute)]


def _holds_identities(wanted: RequiredAttribute) -> bool:
    is_one_string = wanted.value_type == "string" and not wanted.multi_valued
    return is_one_string and not wanted.read_only and not wanted.canonical_values
