"""Identity bindings: names of identities in events, identity types, attributes and channels.

Lives here: which binding is valid, and what a change of the schema may not do to a bound attribute. Pure.

Invariants: a type is bound once, to one attribute under one name. A missing attribute is created together
with its binding. A bound attribute stays one string that events may write: what mirrors provider claims keeps
it, and other changes of the schema that would break a binding are rejected. Source: docs/wire/interactions.md
§3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from oneself.core.config.changes import (
    PutAttributes,
    PutChannels,
    PutIdentityAttributes,
    Several,
    SingleChange,
)
from oneself.core.config.configuration import Config
from oneself.core.config.mirrored_attributes import RequiredAttribute, as_required, with_parents
from oneself.core.identity.identity_type import (
    CHANNELS,
    DEFAULT_CHANNELS,
    PROFILE_ID,
    IdentityBinding,
    IdentityType,
    can_bind,
)
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, TRAITS, Attribute
from oneself.core.values.definition_rules import AttributeRejected, check_attribute
from oneself.core.values.schema import Schema
from oneself.errors import Conflict, InvalidInput
from oneself.service.schema.user_attributes import NAME, NAME_SENTENCE, check_names

#: Identity type, in lower case → the provider claim of the same meaning.
_CLAIMS = {
    "emailaddress": "emailaddress",
    "mobile": "mobile",
    "mobilenumber": "mobile",
    "phone": "mobile",
    "phonenumber": "mobile",
}


class Binding(msgspec.Struct, frozen=True):
    """A binding to make."""

    #: The name of the identity in events.
    name: str
    identity_type: str
    #: The full name of the attribute; None: `default_attribute`.
    attribute: str | None = None


def rebind(
    config: Config,
    bindings: Sequence[Binding] | None,
    channels: Mapping[str, str | None] | None,
    new_id: Callable[[], str],
) -> Several | None:
    """The change after which there are exactly these bindings and channels; None if there already are.

    None for `bindings` or `channels` leaves them as they are. Raises InvalidInput, Conflict.
    """
    bound, parts = config.identity_attributes, list[SingleChange]()
    if bindings is not None:
        bound = _bound(config, bindings)
        missing = _missing(config, bound, new_id)
        if missing:
            parts.append(PutAttributes(missing))
        if bound != config.identity_attributes:
            parts.append(PutIdentityAttributes(tuple(bound.values())))
    channels_after = config.channels if channels is None else _channels(config, bound, channels)
    if channels is None:
        _check_channels(config, bound)
    if channels_after != config.channels:
        parts.append(PutChannels(channels_after))
    return Several(tuple(parts)) if parts else None


def default_attribute(config: Config, binding: Binding) -> str:
    """The attribute of a binding that names none.

    It is the one that is bound already; else the provider claim of the same meaning, so that what a page says
    and what the identity provider knows are one identifier; else `identity_attributes.<name>`.
    """
    held = config.identity_attributes.get(binding.name)
    if held is not None and held.type_id == binding.identity_type:
        return held.attribute
    claim = _CLAIMS.get(binding.identity_type.casefold(), binding.name)
    name = f"{IDENTITY_ATTRIBUTES}.{claim}"
    found = config.schema.find(name) or next(iter(config.schema.find_alike(name)), None)
    if found is not None and can_bind(config.schema, found.attribute_name):
        return found.attribute_name
    return f"{IDENTITY_ATTRIBUTES}.{binding.name}"


def effective_channels(config: Config) -> dict[str, str]:
    """Channel → the name of the identity that a user id means there;

    a channel where it means none is absent.
    """
    named = {channel: config.channels.get(channel) or DEFAULT_CHANNELS[channel] for channel in CHANNELS}
    return {
        channel: name
        for channel, name in named.items()
        if _can_name_channel(config, config.identity_attributes, name)
    }


def with_bound(config: Config, required: Sequence[RequiredAttribute]) -> Sequence[RequiredAttribute]:
    """The attributes that claims require, and the bound identity attributes that no claim requires."""
    names = {attribute.name for attribute in required}
    bound = {binding.attribute for binding in config.identity_attributes.values()}
    others = [
        as_required(attribute)
        for attribute in config.schema.in_scope(IDENTITY_ATTRIBUTES)
        if attribute.attribute_name in bound - names
    ]
    return with_parents([*required, *others]) if others else required


def check_required(config: Config, required: Sequence[RequiredAttribute]) -> None:
    """Raise Conflict if a bound identity attribute would be removed, or could no longer hold identities."""
    by_name = {attribute.name: attribute for attribute in required}
    for binding in _current_bindings(config):
        if binding.attribute.startswith(f"{IDENTITY_ATTRIBUTES}."):
            found = by_name.get(binding.attribute)
            if found is None or not _can_hold_identities(found):
                raise Conflict(bound_sentence(binding), code="bound")


def broken_binding(config: Config, schema: Schema) -> IdentityBinding | None:
    """A binding whose attribute could not hold identities in another schema; None if there is none."""
    bindings = _current_bindings(config)
    return next((binding for binding in bindings if not can_bind(schema, binding.attribute)), None)


def bound_sentence(binding: IdentityBinding) -> str:
    """Why a bound attribute cannot change."""
    return (
        f"'{binding.attribute}' holds the identity attribute '{binding.name}' ({binding.type_id}) and has to "
        "stay one string that events may write; unbind it first."
    )


def _bound(config: Config, bindings: Sequence[Binding]) -> dict[str, IdentityBinding]:
    found: dict[str, IdentityBinding] = {}
    for binding in bindings:
        attribute = binding.attribute or default_attribute(config, binding)
        _check_name(binding.name)
        _check_type(config, binding)
        found[binding.name] = IdentityBinding(binding.name, binding.identity_type, attribute)
    _check_once("name", [binding.name.casefold() for binding in bindings])
    _check_once("identity_type", [binding.identity_type for binding in bindings])
    _check_once("attribute", [bound.attribute for bound in found.values()])
    for bound in found.values():
        _check_attribute(config.schema, bound.attribute)
    return found


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput("name", f"{name[:100]!r} is not a name of an identity attribute. {NAME_SENTENCE}")
    if name == PROFILE_ID:
        raise InvalidInput("name", f"{PROFILE_ID!r} names the primary id in events; choose another name.")


def _check_type(config: Config, binding: Binding) -> None:
    if binding.identity_type == PROFILE_ID:
        raise InvalidInput(
            "identity_type", f"{PROFILE_ID!r} is the primary id itself; no attribute can be bound to it."
        )
    if binding.identity_type not in config.types:
        sentence = f"There is no identity type {binding.identity_type[:100]!r}; create it first."
        raise InvalidInput("identity_type", sentence)


def _check_once(field: str, values: Sequence[str]) -> None:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise InvalidInput(field, f"{field} {twice[:100]!r} is given twice; a dataset binds each once.")


def _check_attribute(schema: Schema, name: str) -> None:
    if schema.find(name) is not None:
        if not can_bind(schema, name):
            sentence = (
                f"{name!r} cannot hold identities: it must be one readWrite string without canonical values."
            )
            raise InvalidInput("attribute", sentence)
        return
    if not name.startswith((f"{IDENTITY_ATTRIBUTES}.", f"{TRAITS}.")):
        sentence = (
            f"There is no attribute {name[:100]!r}, and only identity_attributes and traits are created here."
        )
        raise InvalidInput("attribute", sentence)
    if not NAME.fullmatch(name.partition(".")[2]):
        raise InvalidInput("attribute", f"{name[:100]!r} cannot be created here. {NAME_SENTENCE}")
    above = schema.complex_above(name)
    if above is not None:
        sentence = f"{name[:100]!r} is part of {above.attribute_name!r}; add it to the profile schema first."
        raise InvalidInput("attribute", sentence)


def _missing(
    config: Config, bound: Mapping[str, IdentityBinding], new_id: Callable[[], str]
) -> tuple[Attribute, ...]:
    missing = [binding for binding in bound.values() if config.schema.find(binding.attribute) is None]
    attributes = tuple(_new_attribute(config, binding, new_id()) for binding in missing)
    check_names(config.schema, attributes)
    return attributes


def _new_attribute(config: Config, binding: IdentityBinding, attribute_id: str) -> Attribute:
    identity_type: IdentityType = config.types[binding.type_id]
    plain = Attribute(
        attribute_id=attribute_id,
        attribute_name=binding.attribute,
        value_type="string",
        merge_strategy="latest",
        display_name=binding.attribute.rpartition(".")[2],
    )
    labelled = msgspec.structs.replace(plain, display_name=identity_type.label)
    try:
        _check_definition(config.schema, plain)
    except AttributeRejected as error:
        raise InvalidInput("attribute", error.detail) from None
    try:
        _check_definition(config.schema, labelled)
    except AttributeRejected:
        return plain
    return labelled


def _check_definition(schema: Schema, attribute: Attribute) -> None:
    """Checks the rules of every definition; they do not know `latest`, the strategy of values from events."""
    check_attribute(
        schema, attribute.scope, msgspec.structs.replace(attribute, merge_strategy="overwrite"), {}
    )


def _channels(
    config: Config, bound: Mapping[str, IdentityBinding], channels: Mapping[str, Any]
) -> dict[str, str]:
    """The channels that differ from the defaults."""
    for channel, name in channels.items():
        if channel not in CHANNELS:
            raise InvalidInput(
                "channel", f"{channel[:100]!r} is not a channel; channels are {', '.join(CHANNELS)}."
            )
        if name is not None and not _can_name_channel(config, bound, name):
            sentence = f"{channel}: {name[:100]!r} is not a matching identity attribute; bind it first."
            raise InvalidInput("channel", sentence)
    return {
        channel: name for channel, name in channels.items() if name not in (None, DEFAULT_CHANNELS[channel])
    }


def _check_channels(config: Config, bound: Mapping[str, IdentityBinding]) -> None:
    for channel, name in config.channels.items():
        if not _can_name_channel(config, bound, name):
            sentence = f"The channel {channel} uses {name!r} as user id; choose another identity first."
            raise Conflict(sentence, code="channel_identity")


def _can_name_channel(config: Config, bound: Mapping[str, IdentityBinding], name: str) -> bool:
    binding = bound.get(name)
    return binding is not None and config.types[binding.type_id].can_match


def _current_bindings(config: Config) -> list[IdentityBinding]:
    bindings = config.identity_attributes.values()
    return [binding for binding in bindings if can_bind(config.schema, binding.attribute)]


def _can_hold_identities(required: RequiredAttribute) -> bool:
    is_one_string = required.value_type == "string" and not required.multi_valued
    return is_one_string and not required.read_only and not required.canonical_values
