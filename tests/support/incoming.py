"""Events for tests of the service, as a wire would decode them."""

from __future__ import annotations

from typing import Any

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import Identifier
from oneself.core.identity.identity_type import LEGACY_ID
from oneself.service.events.incoming import IncomingEvent

Object = dict[str, Any]
CHANNEL = "Web"


def incoming_event(
    config: Config,
    user: Object,
    *,
    consents: list[Object] | None = None,
    interaction: Object | None = None,
    source: Object | None = None,
) -> IncomingEvent:
    """An event on the channel `Web`. `user` uses the field names of the interactions wire."""
    is_legacy = not config.dataset.resolves_identities
    named = {**user.get("attributes", {}), **user.get("identities", {})}
    identifiers = {} if is_legacy else {_type_id(config, name): value for name, value in named.items()}
    default = LEGACY_ID if is_legacy else _channel_type_id(config)
    if "id" in user:
        identifiers[default] = user["id"]
    time_ms = (source or {}).get("time")
    return IncomingEvent(
        name=(interaction or {}).get("name"),
        channel=CHANNEL,
        anonymous_id=user.get("anonymousId"),
        identifiers=tuple(Identifier(type_id, value) for type_id, value in identifiers.items()),
        values=_plain_values(config, named) if is_legacy else {},
        body={"user": user},
        token=user.get("encryptedId"),
        tracker=user.get("anonymousProfileTracker"),
        occurred_at=None if time_ms is None else time_ms * 1000,
        consents={(c["purpose"], c["provider"]): c["status"] == "Opt In" for c in consents or ()},
        names_channel_identity=default in identifiers,
    )


def _type_id(config: Config, name: str) -> str:
    return config.identity_attributes[name].type_id


def _channel_type_id(config: Config) -> str:
    default = config.channel_identity(CHANNEL)
    assert default is not None, "the channel has no default identity"
    return default.type_id


def _plain_values(config: Config, named: Object) -> Object:
    values: Object = {}
    for name, value in named.items():
        scope, _, key = config.identity_attributes[name].attribute.partition(".")
        is_list = config.schema.fields(scope)[key].attribute.multi_valued
        values.setdefault(scope, {})[key] = [value] if is_list else value
    return values
