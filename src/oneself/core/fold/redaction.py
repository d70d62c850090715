"""Redaction: remove erased identifiers from log entries that stay.

Invariants: pure; it decides what an entry keeps. The service reads and writes the entries.

Source: docs/concepts/trust.md (erasure).
"""

from typing import Any

import msgspec

from oneself.core.identity.identifier import TRACKER, Identifier
from oneself.core.resolution.observation import Observation, TokenClaims


def without_identifiers(
    observation: Observation, named: tuple[Identifier, ...], erased: frozenset[Identifier]
) -> Observation:
    """The observation with only the identifiers that are not erased; these are removed everywhere else.

    `named`: its identifiers, normalised.
    """
    cleared: dict[str, Any] = {"identifiers": tuple(item for item in named if item not in erased)}
    if observation.token is not None:
        cleared["token"] = _token_without(observation.token, erased)
    if observation.fresh_tracker is not None:
        is_erased = Identifier(TRACKER, observation.fresh_tracker) in erased
        cleared["fresh_tracker"] = None if is_erased else observation.fresh_tracker
    if observation.body is not None:
        cleared["body"] = _without_user(observation.body)
    return msgspec.structs.replace(observation, **cleared)


def _token_without(token: TokenClaims, identifiers: frozenset[Identifier]) -> TokenClaims:
    """The token claims without the erased identities."""
    left = {name: key for name, key in token.identities.items() if Identifier(name, key) not in identifiers}
    return msgspec.structs.replace(token, identities=left)


def _without_user(body: Any) -> Any:
    """The body of an event without `user`, which may contain an erased identifier."""
    return {key: value for key, value in body.items() if key != "user"} if isinstance(body, dict) else body
