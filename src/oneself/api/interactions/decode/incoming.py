"""From an event document to the `IncomingEvent` that the service ingests, by the dataset's configuration.

    user.attributes, user.identities, user.id ─▶ one value per identity type ─▶ identifiers
    the other user.attributes                 ─▶ values of attributes that are defined

Pure but for the clock, which no event may be ahead of. Whether a value may identify anybody (blocked,
trusted only, refused) is decided with the event, in `core.resolution`; identifiers are normalised here only
to compare them.
Source: docs/wire/interactions.md §4 (channels), §9.1 (NORMALISE, EXTRACT), §10 (plain values), §11 (legacy
mode).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from oneself.api.interactions.decode.event import Event
from oneself.core.config.configuration import Config
from oneself.core.identity.blocklist import is_blocked
from oneself.core.identity.identifier import ANONYMOUS_ID, Dropped, Identifier
from oneself.core.identity.identity_type import (
    CHANNELS,
    LEGACY_ID,
    PROFILE_ID,
    SOLE_IDENTITY_CHANNELS,
    IdentityBinding,
)
from oneself.core.identity.normalise import normalise
from oneself.core.values.attribute import TRAITS, Field
from oneself.core.values.value_types import EPOCH_MS_MAX, EPOCH_MS_MIN, TypeMismatch, parse_text
from oneself.service.events.incoming import IncomingEvent

#: The shortest identity of an opened e-mail (docs/wire/interactions.md §14).
OPEN_TIME_EMAIL_CHARS_MIN = 4
VALUE_BYTES_MAX = 1024
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Why a value identifies nobody → the warning of the wire.
_WARNINGS = {"blocked_value": "value_blocked", "too_long": "value_too_long"}

Found = TypeVar("Found")


def decode_incoming(event: Event, config: Config) -> IncomingEvent:
    """The event as the service ingests it, by one configuration of its dataset."""
    extraction = _Extraction(event, config)
    if config.dataset.resolves_identities:
        extraction.read()
    else:
        extraction.read_legacy()
    return extraction.result()


class _Extraction:
    """An event while it is decoded."""

    def __init__(self, event: Event, config: Config) -> None:
        self._event, self._config = event, config
        self._found: dict[str, Identifier] = {}
        self._unusable: dict[str, Identifier] = {}
        self._keys: dict[str, str] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._warnings = dict.fromkeys(event.warnings)
        self._names_channel_identity = False

    def read(self) -> None:
        event = self._event
        is_known = event.channel in CHANNELS
        if not is_known:
            self._warn("channel_unknown")
        for name, value in event.attributes.items():
            if not self._read_identity(name, value, is_known):
                self._read_plain(name, value)
        for name, value in event.identities.items():
            if not self._read_identity(name, value, is_known):
                self._warn("identity_unknown")
        default = self._config.channel_identity(event.channel)
        if event.user_id is not None and is_known:
            self._read_default(default, event.user_id)
        if event.channel in SOLE_IDENTITY_CHANNELS:
            self._keep_only(default)

    def read_legacy(self) -> None:
        """Without identity resolution, `user.id` is the primary id and all attributes are plain ones."""
        if self._event.channel not in CHANNELS:
            self._warn("channel_unknown")
        elif text := self._text(self._event.user_id):
            self._put(LEGACY_ID, text)
            self._names_channel_identity = LEGACY_ID in self._found
            if not self._names_channel_identity:
                self._warn("user_id_unusable")
        for name, value in self._event.attributes.items():
            binding = self._lookup_binding(name)
            if binding is not None:
                self._set_bound(binding, value)
            else:
                self._read_plain(name, value)

    def result(self) -> IncomingEvent:
        event = self._event
        is_invalid = _is_anonymous_id_invalid(event, self._config)
        unusable = [raw for type_id, raw in self._unusable.items() if type_id not in self._found]
        return IncomingEvent(
            name=event.name,
            channel=event.channel,
            anonymous_id=None if is_invalid else event.anonymous_id,
            anonymous_id_invalid=is_invalid,
            identifiers=(*self._found.values(), *unusable),
            values=self._values,
            body=event.body,
            token=event.token,
            tracker=event.tracker,
            occurred_at=self._occurred_at(),
            is_interactive=event.is_interactive,
            consents={(c.purpose, c.provider): c.status == "Opt In" for c in event.consents},
            names_channel_identity=self._names_channel_identity,
            objects=event.profile_objects,
            warnings=tuple(self._warnings),
        )

    def _occurred_at(self) -> int | None:
        """When the event occurred, in µs; a time in the future means now."""
        occurred_at = self._event.occurred_at
        if occurred_at is None or occurred_at <= time.time_ns() // 1000:
            return occurred_at
        self._warn("time_in_future")
        return None

    def _read_identity(self, name: str, value: Any, is_known: bool) -> bool:
        """True if the name belongs to an identity attribute, whether or not its value is used."""
        if name == PROFILE_ID:
            self._warn("profile_id_ignored")
            return True
        binding = self._lookup_binding(name)
        if binding is None:
            return False
        if binding.type_id not in self._config.bindings:
            self._set_bound(binding, value)
        elif is_known:
            self._put(binding.type_id, self._text(value))
        return True

    def _read_default(self, default: IdentityBinding | None, value: Any) -> None:
        text = self._text(value)
        if default is not None and default.type_id in self._config.bindings and self._is_long_enough(text):
            self._put(default.type_id, text)
            self._names_channel_identity = default.type_id in self._found
        if not self._names_channel_identity:
            self._warn("user_id_unusable")

    def _is_long_enough(self, text: str) -> bool:
        return self._event.channel != "OpenTimeEmail" or len(text.strip()) >= OPEN_TIME_EMAIL_CHARS_MIN

    def _keep_only(self, default: IdentityBinding | None) -> None:
        type_id = default.type_id if default is not None else None
        self._found = {name: found for name, found in self._found.items() if name == type_id}
        self._unusable = {}

    def _put(self, type_id: str, text: str) -> None:
        """A later value of a type replaces an earlier one. A value that identifies nobody replaces none."""
        namespace = self._config.namespace(type_id)
        if namespace is None or not text:
            return
        raw = Identifier(type_id, text)
        outcome = normalise(raw, namespace)
        if isinstance(outcome, Dropped):
            if outcome.code in _WARNINGS:
                self._warn(_WARNINGS[outcome.code])
                self._unusable[type_id] = raw
            return
        if self._keys.setdefault(type_id, outcome.value) != outcome.value:
            self._warn("identity_conflict")
        self._keys[type_id] = outcome.value
        self._found[type_id] = raw

    def _text(self, value: Any) -> str:
        """The value as text; empty if it is neither text nor a scalar (NORMALISE)."""
        if type(value) is list and len(value) == 1:
            value = value[0]
        if type(value) is str:
            return value
        if type(value) in (bool, int, float):
            return msgspec.json.encode(value).decode()
        if value is not None:
            self._warn("value_type")
        return ""

    def _read_plain(self, name: str, value: Any) -> None:
        fields = self._config.schema.fields(TRAITS)
        field = self._lookup(name, fields, self._config.folded_names[TRAITS])
        # The attribute of an identity is written by the identity's name alone, where its guards apply.
        if field is None or field.attribute.attribute_name in self._config.identity_holders:
            self._warn("attribute_unknown")
        elif value is not None:
            self._set(TRAITS, field.attribute.key, value, field)

    def _set(self, scope: str, key: str, value: Any, field: Field | None = None) -> None:
        field = field or self._config.schema.fields(scope).get(key)
        if value is None or field is None:
            return
        converted = _converted(field, value)
        if converted is None:
            self._warn("value_type")
        else:
            self._values.setdefault(scope, {})[key] = converted

    def _set_bound(self, binding: IdentityBinding, value: Any) -> None:
        """An identity attribute whose type does not match in this dataset is a plain one."""
        scope, _, key = binding.attribute.partition(".")
        self._set(scope, key, value)

    def _lookup_binding(self, name: str) -> IdentityBinding | None:
        return self._lookup(name, self._config.identity_attributes, self._config.folded_names["identity"])

    def _lookup(self, name: str, named: Mapping[str, Found], folded: Mapping[str, list[str]]) -> Found | None:
        """The entry with this name, compared without case if only one entry has it then."""
        found = named.get(name)
        if found is not None or not named:
            return found
        fitting = folded.get(name.casefold(), ())
        if len(fitting) != 1:
            return None
        self._warn("name_case")
        return named[fitting[0]]

    def _warn(self, code: str) -> None:
        self._warnings[code] = None


def _is_anonymous_id_invalid(event: Event, config: Config) -> bool:
    """Whether the browser is named by an id that is not acceptable, or that many browsers share."""
    sent, namespace = event.anonymous_id, config.namespace(ANONYMOUS_ID)
    assert namespace is not None
    return event.anonymous_id_invalid or (sent is not None and is_blocked(sent, namespace))


def _converted(field: Field, value: Any) -> Any:
    """The value as its attribute accepts it, converted if nothing is lost; None if it is invalid."""
    value_type = field.attribute.value_type
    if type(value) not in (str, int, float, bool):
        return None
    if value_type == "date_time":
        value = _instant(value)
    elif value_type == "string" and type(value) is not str:
        value = msgspec.json.encode(value).decode()
    elif type(value) is str and value_type != "string":
        value = parse_text(value_type, value)
    if type(value) is str and len(value) > VALUE_BYTES_MAX // 4 and len(value.encode()) > VALUE_BYTES_MAX:
        return None
    try:
        converted = field.fit(value)
    except TypeMismatch:
        return None
    return [converted] if field.attribute.multi_valued else converted


def _instant(value: Any) -> Any:
    """Epoch milliseconds or a day as an RFC 3339 instant; other values are unchanged."""
    if type(value) is str and _DAY.fullmatch(value):
        return f"{value}T00:00:00Z"
    if type(value) not in (int, float) or not EPOCH_MS_MIN <= value <= EPOCH_MS_MAX:
        return value
    return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
