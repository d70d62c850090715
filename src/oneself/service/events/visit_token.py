"""The persisted token of a visit: what it says on the way in, and which one goes back.

    token of the event ─▶ decrypt ─▶ TokenClaims for the observation
    resolution ─▶ the same token if nothing changed, else a new one

Source: docs/wire/interactions.md §7 (tokens), §11 (legacy mode).
"""

from __future__ import annotations

import time

from oneself.core.config.configuration import Config
from oneself.core.resolution.observation import TokenClaims
from oneself.core.units import MILLISECOND_US
from oneself.service.context import DatasetRef
from oneself.service.events.incoming import IncomingEvent
from oneself.service.events.persisted_token import (
    TokenKeyRing,
    TokenPayload,
    decrypt_token,
    encrypt_token,
    truncate_to_limit,
)
from oneself.service.ingest.submission import Resolution


class VisitToken:
    """The token that came with one event, and the one that is returned for it."""

    def __init__(self, keys: TokenKeyRing, dataset_ref: DatasetRef, incoming: IncomingEvent) -> None:
        self._keys = keys
        self._dataset_ref = dataset_ref
        self._incoming = incoming
        self.payload: TokenPayload | None = None
        if incoming.token is not None:
            self.payload = decrypt_token(keys, dataset_ref.handle, dataset_ref.dataset, incoming.token)

    @property
    def is_unreadable(self) -> bool:
        """A token came that could not be decrypted. It is treated as absent."""
        return self._incoming.token is not None and self.payload is None

    def claims(self, config: Config) -> TokenClaims | None:
        """What the token says; None if it says nothing under this configuration.

        In legacy mode a token names its user alone. Such a token is void once identity resolution is on, and
        the other way round (docs/wire/interactions.md §11).
        """
        payload = self.payload
        if payload is None or (payload.identities is None) == config.dataset.resolves_identities:
            return None
        issued_at = payload.issued_at_ms * MILLISECOND_US
        return TokenClaims(payload.primary_id, payload.identities or {}, issued_at)

    def renew(self, resolution: Resolution) -> tuple[str | None, bool]:
        """The token to return, None while nobody is identified; whether identities were left out."""
        if not resolution.identities:
            return None, False
        if not resolution.config.dataset.resolves_identities:
            return self._renew_legacy(resolution), False
        default = resolution.config.channel_identity(self._incoming.channel)
        identities, is_full = truncate_to_limit(
            resolution.identities, default.type_id if default is not None else ""
        )
        if self._is_current(resolution, identities):
            return self._incoming.token, is_full
        return self._encrypt(resolution.survivor.primary_id, identities), is_full

    def _is_current(self, resolution: Resolution, identities: dict[str, str]) -> bool:
        """Whether the token that came says the same, with the key that encrypts now."""
        payload = self.payload
        if payload is None or not resolution.token_was_valid or _is_of_earlier_visit(payload, resolution):
            return False
        current = (resolution.survivor.primary_id, identities, self._keys.active_id)
        return (payload.primary_id, payload.identities, payload.key_id) == current

    def _renew_legacy(self, resolution: Resolution) -> str | None:
        """In legacy mode only the first event of a visit that names the user gets a token."""
        primary_id = resolution.survivor.primary_id
        payload = self.payload
        is_known = payload is not None and payload.primary_id == primary_id and resolution.token_was_valid
        if not self._incoming.names_channel_identity or is_known or not self._begins_visit(resolution):
            return None
        return self._encrypt(primary_id, None)

    def _begins_visit(self, resolution: Resolution) -> bool:
        """Whether the event began the user's visit, or is the first of the user on this browser."""
        plan = resolution.plan
        if plan is not None and (plan.creates or plan.promotes or plan.merges or plan.devices):
            return True
        return resolution.survivor.visit_at >= (self._incoming.occurred_at or resolution.seq)

    def _encrypt(self, primary_id: str, identities: dict[str, str] | None) -> str:
        issued_at_ms = time.time_ns() // 1_000_000
        account, dataset = self._dataset_ref.handle, self._dataset_ref.dataset
        return encrypt_token(self._keys, account, dataset, primary_id, identities, issued_at_ms)


def _is_of_earlier_visit(payload: TokenPayload, resolution: Resolution) -> bool:
    """Where users are remembered, each visit has its own token (docs/wire/interactions.md §7)."""
    if not resolution.config.dataset.tokens_outlive_visits:
        return False
    return payload.issued_at_ms * MILLISECOND_US < resolution.survivor.visit_at
