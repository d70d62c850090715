"""What became of an event: the values that a wire renders, derived once from the resolution.

Pure. An anonymous visitor is named by the id of their browser, everybody else by the primary id.
Source: docs/wire/interactions.md §6.
"""

from __future__ import annotations

import msgspec

from oneself.core.identity.identifier import ANONYMOUS_ID
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.observation import PageEvent
from oneself.core.resolution.plan import Plan
from oneself.service.ingest.submission import ReplayableResponse, Resolution


class EventResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one event."""

    event_id: str
    #: The primary id, or the browser's id for an anonymous visitor; None if nothing was processed.
    resolved_id: str | None = None
    #: The persisted token of the visit; None while nobody is identified.
    token: str | None = None
    #: A token was sent that could not be decrypted.
    token_unreadable: bool = False
    #: The id that the browser has from now on; only if the service generated it.
    anonymous_id: str | None = None
    #: The event named its browser with an id that is not acceptable; `anonymous_id` replaces it.
    anonymous_id_invalid: bool = False
    #: The tracker of the browser from now on, if it has one.
    tracker: str | None = None
    plan: Plan | None = None
    #: Identities of the visit: type → normalised value.
    identities: dict[str, str] = {}
    #: The users that the event led to, by their ids on the wire.
    matched: tuple[str, ...] = ()
    #: (id on the wire, reason) of each profile that was merged.
    merges: tuple[tuple[str, str], ...] = ()
    #: Codes: those of decoding, then those of processing.
    warnings: tuple[str, ...] = ()
    #: The stored response, if the event is a repeat; then nothing else is known but the id.
    first_response: ReplayableResponse | None = None

    @property
    def is_processed(self) -> bool:
        return self.resolved_id is not None

    def gives_browser_id(self, sent_tracker: str | None) -> bool:
        """Whether a browser learns an id here that has not shown its tracker: a secret of that browser."""
        if self.tracker is not None:
            return self.tracker != sent_tracker
        return self.anonymous_id is not None


class ResolvedUsers(msgspec.Struct, frozen=True):
    """The users of a resolution by their ids on the wire."""

    resolved: str
    matched: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]


def resolved_users(observation: PageEvent, resolution: Resolution) -> ResolvedUsers:
    """Who the event belongs to, led to, and merged."""
    device = _device(observation)
    resolved = _wire_id(device, resolution.survivor)
    merged = [_wire_id(device, profile) for profile in resolution.merged]
    plan = resolution.plan
    is_new = plan is None or (plan.creates and plan.profile_id == plan.survivor_id)
    reasons = [merge.reason for merge in plan.merges] if plan is not None and merged else []
    return ResolvedUsers(
        resolved=resolved,
        matched=tuple(merged if is_new else (resolved, *merged)),
        merges=tuple(zip(merged, reasons, strict=True)) if reasons else (),
    )


def _device(observation: PageEvent) -> str | None:
    """The id of the browser: the one that was sent, else the one that was generated."""
    devices = (named for named in observation.identifiers if named.namespace == ANONYMOUS_ID)
    sent = next(devices, None)
    return observation.new_anonymous_id if sent is None else sent.value


def _wire_id(device: str | None, profile: Profile) -> str:
    return device if profile.is_anonymous and device else profile.primary_id
