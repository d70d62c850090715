"""The `user_id` in the body of a request. Source: docs/wire/cds.md §5.1, §5.5."""

from __future__ import annotations

from oneself.api.cds.errors import PROFILE_UPDATE_FAILED
from oneself.api.http.errors import wire_error
from oneself.core.identity.identifier import (
    IDENTIFIER_CHARS_MAX,
    USER_ID,
    USER_ID_NAMESPACE,
    Dropped,
    Identifier,
)
from oneself.core.identity.normalise import normalise

PLACEHOLDER = "a placeholder such as null or guest is the id of no user"


def decode_user_id(text: str | None) -> str | None:
    """The user id that a body names; None if it is empty. Raises WireError (400) for what names no user."""
    user_id = (text or "").strip()
    if len(user_id) > IDENTIFIER_CHARS_MAX:
        raise wire_error(PROFILE_UPDATE_FAILED, f"user_id: at most {IDENTIFIER_CHARS_MAX} characters")
    if user_id and isinstance(normalise(Identifier(USER_ID, user_id), USER_ID_NAMESPACE), Dropped):
        raise wire_error(PROFILE_UPDATE_FAILED, f"user_id: {PLACEHOLDER}")
    return user_id or None
