"""What may be bound to what: the names of the event wire, identity types, attributes, channels.

Pure. A type is bound once, to one attribute under one name; an attribute that is missing is made together
with its binding. Source: wire/interactions §3, DESIGN §9.
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
from oneself.service.schema.user_attributes import NAME, NAME_SENTENCE


class Binding(msgspec.Struct, frozen=True):
    """A binding as it is asked for. `attribute`: its full name; `identity_attributes.<name>` if absent."""

    name: str
    identity_type: str
    attribute: str | None = None


def rebind(
    config: Config,
    wanted: Sequence[Binding] | None,
    channels: Mapping[str, str | None] | None,
    new_id: Callable[[], str],
) -> Several | None:
    """The change that binds exactly `wanted` and makes the channels these; None if they are already.

    `wanted`, `channels`: None leaves them as they are. Raises InvalidInput, Conflict.
    """
    bound, parts = config.identity_attributes, list[SingleChange]()
    if wanted is not None:
        bound = _bound(config, wanted)
        missing = _missing(config, bound, new_id)
        if missing:
            parts.append(PutAttributes(missing))
        if bound != config.identity_attributes:
            parts.append(PutIdentityAttributes(tuple(bound.values())))
    kept = config.channels if channels is None else _channels(config, bound, channels)
    if channels is None:
        _check_channels_kept(config, bound)
    if kept != config.channels:
        parts.append(PutChannels(kept))
    return Several(tuple(parts)) if parts else None


def effective_channels(config: Config) -> dict[str, str]:
    """Channel → the name that `user.id` stands for there; those that stand for nothing are not named."""
    named = {channel: config.channels.get(channel) or DEFAULT_CHANNELS[channel] for channel in CHANNELS}
    return {
        channel: name
        for channel, name in named.items()
        if _can_be_channel(config, config.identity_attributes, name)
    }


def _bound(config: Config, wanted: Sequence[Binding]) -> dict[str, IdentityBinding]:
    found: dict[str, IdentityBinding] = {}
    for each in wanted:
        attribute = each.attribute or f"{IDENTITY_ATTRIBUTES}.{each.name}"
        _check_name(each.name)
        _check_type(config, each)
        found[each.name] = IdentityBinding(each.name, each.identity_type, attribute)
    _check_once("name", [each.name.casefold() for each in wanted])
    _check_once("identity_type", [each.identity_type for each in wanted])
    _check_once("attribute", [each.attribute for each in found.values()])
    for binding in found.values():
        _check_attribute(config.schema, binding.attribute)
    return found


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput("name", f"{name[:100]!r} is no name of an identity attribute. {NAME_SENTENCE}")
    if name == PROFILE_ID:
        raise InvalidInput("name", "'profileId' names the primary id on the event wire; choose another name.")


def _check_type(config: Config, binding: Binding) -> None:
    if binding.identity_type == PROFILE_ID:
        raise InvalidInput(
            "identity_type", "'profileId' is the primary id itself; no attribute is bound to it."
        )
    if binding.identity_type not in config.types:
        sentence = f"There is no identity type {binding.identity_type[:100]!r}; make it under identity-types."
        raise InvalidInput("identity_type", sentence)


def _check_once(field: str, values: Sequence[str]) -> None:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise InvalidInput(field, f"{field} {twice[:100]!r} is there twice; each is bound once in a dataset.")


def _check_attribute(schema: Schema, name: str) -> None:
    if schema.find(name) is not None:
        if not can_bind(schema, name):
            sentence = (
                f"{name!r} cannot hold identities: they need one string, readWrite, without canonical values."
            )
            raise InvalidInput("attribute", sentence)
        return
    if not name.startswith((f"{IDENTITY_ATTRIBUTES}.", f"{TRAITS}.")):
        sentence = f"{name[:100]!r} is not there, and only identity_attributes and traits are made here."
        raise InvalidInput("attribute", sentence)
    if not NAME.fullmatch(name.partition(".")[2]):
        raise InvalidInput("attribute", f"{name[:100]!r} cannot be made here. {NAME_SENTENCE}")
    above = schema.complex_above(name)
    if above is not None:
        sentence = f"{name[:100]!r} lies in {above.attribute_name!r}; add it to the profile schema first."
        raise InvalidInput("attribute", sentence)


def _missing(
    config: Config, bound: Mapping[str, IdentityBinding], new_id: Callable[[], str]
) -> tuple[Attribute, ...]:
    return tuple(
        _made(config, each, new_id()) for each in bound.values() if config.schema.find(each.attribute) is None
    )


def _made(config: Config, binding: IdentityBinding, attribute_id: str) -> Attribute:
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
    """By the rules of every definition; `latest` is for what arrives as events, so no wire defines it."""
    check_attribute(
        schema, attribute.scope, msgspec.structs.replace(attribute, merge_strategy="overwrite"), {}
    )


def _channels(
    config: Config, bound: Mapping[str, IdentityBinding], wanted: Mapping[str, Any]
) -> dict[str, str]:
    """Without what says no more than the default."""
    for channel, name in wanted.items():
        if channel not in CHANNELS:
            raise InvalidInput(
                "channel", f"{channel[:100]!r} is no channel; there are {', '.join(CHANNELS)}."
            )
        if name is not None and not _can_be_channel(config, bound, name):
            sentence = f"{channel}: {name[:100]!r} is no identity attribute that matches; bind it first."
            raise InvalidInput("channel", sentence)
    return {
        channel: name for channel, name in wanted.items() if name not in (None, DEFAULT_CHANNELS[channel])
    }


def _check_channels_kept(config: Config, bound: Mapping[str, IdentityBinding]) -> None:
    for channel, name in config.channels.items():
        if not _can_be_channel(config, bound, name):
            sentence = (
                f"user.id stands for {name!r} on the channel {channel}; change channel-identities first."
            )
            raise Conflict(sentence, code="channel_identity")


def _can_be_channel(config: Config, bound: Mapping[str, IdentityBinding], name: str) -> bool:
    binding = bound.get(name)
    return binding is not None and config.types[binding.type_id].can_match
