"""An event as every event wire decodes it, and who sent it.

Invariants: no wire's field names. A wire has one function `(document, configuration) → IncomingEvent`; the
version of that configuration is checked when the event is submitted.
"""

from __future__ import annotations

from typing import Any

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.resolution.observation import SenderTrust


class IncomingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event, decoded by one configuration of its dataset."""

    name: str | None
    #: On which channel it came; the configuration gives each channel a default identity.
    channel: str
    #: The browser, if the event names one with an acceptable id.
    anonymous_id: str | None
    #: The event named its browser with an id that is not acceptable: the response names another one.
    anonymous_id_invalid: bool = False
    #: Person identifiers as sent, not normalised, one per identity type.
    identifiers: tuple[Identifier, ...] = ()
    #: A patch: scope → attribute → value.
    values: dict[str, Any] = {}
    #: The event as received, without secrets. It shares its parts with `values`: nobody changes it.
    body: dict[str, Any] = {}
    #: The persisted token of the browser, encrypted. A secret.
    token: str | None = None
    #: The tracker of the browser; "" requests one.
    tracker: str | None = None
    #: In µs since 1970; None means now.
    occurred_at: int | None = None
    is_interactive: bool = True
    #: (purpose, provider) → consented.
    consents: dict[tuple[str, str], bool] = {}
    #: Whether the event names the user of its channel by the channel's default identity.
    names_channel_identity: bool = False
    #: Type → objects that the person owns.
    objects: dict[str, list[Any]] = {}
    #: Codes of what decoding left out or corrected.
    warnings: tuple[str, ...] = ()


class EventSource(msgspec.Struct, frozen=True):
    """Who sent an event."""

    #: How far the identifiers in it are trusted.
    trust: SenderTrust = "browser"
    #: The application that authenticated, if one did.
    application: str | None = None
