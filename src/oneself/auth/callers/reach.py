"""What a caller reaches: whatever its permissions name, or only what one person owns.

    caller                                                    reaches
    application: acts for itself (client credentials, Basic)  what its permissions name
    console: an administrator in the identity server's        what its permissions name
    person: a user signed in                                  what the user owns, whatever the permissions
    unnamed: the token names neither                          nothing

Invariants: the token alone decides, never a cookie or parameter beside it. A token that does not say that it
is an application's is not taken for one. Source: docs/concepts/trust.md.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from oneself.core.text import is_storable

CallerKind = Literal["application", "console", "person", "unnamed"]

#: How issuers mark the token of an application whose `sub` is not the application's id: WSO2, Auth0, Entra.
_APPLICATION_MARKS = {"aut": "APPLICATION", "gty": "client-credentials", "idtyp": "app"}


class Reach(msgspec.Struct, frozen=True):
    """Which profiles a caller reaches."""

    #: Every profile, as far as the permissions go.
    is_everything: bool
    #: Else the profile that this user owns; None: no profile.
    user_id: str | None = None

    def covers(self, owner: str | None) -> bool:
        """Whether it includes a profile. `owner`: the user of the profile, None if it has no user."""
        return self.is_everything or (owner is not None and owner == self.user_id)


def reach_of(kind: CallerKind, subject: str | None) -> Reach:
    """The reach of a caller. `subject`: the `sub` of its token."""
    match kind:
        case "application" | "console":
            return Reach(is_everything=True)
        case "person":
            return Reach(is_everything=False, user_id=subject)
        case "unnamed":
            return Reach(is_everything=False)


def application_in(claims: dict[str, Any]) -> str | None:
    """The application that verified claims name."""
    return _text(claims.get("azp")) or _text(claims.get("client_id"))


def subject_in(claims: dict[str, Any]) -> str | None:
    """The `sub` of verified claims."""
    return _text(claims.get("sub"))


def user_in(claims: dict[str, Any]) -> str | None:
    """The `sub` of verified claims if it is a person's."""
    subject = subject_in(claims)
    return subject if caller_kind(claims, application_in(claims), subject) == "person" else None


def caller_kind(claims: dict[str, Any], application: str | None, subject: str | None) -> CallerKind:
    """The kind of caller that verified claims describe.

    `sub` is the client of a token without a user (RFC 9068 §5), unless the issuer marks such tokens.
    """
    is_marked = any(claims.get(name) == value for name, value in _APPLICATION_MARKS.items())
    if is_marked or (subject is not None and subject == application):
        return "application"
    return "unnamed" if subject is None else "person"


def _text(value: object) -> str | None:
    """A text; None for one that nothing can be called, because it cannot be stored."""
    return value if isinstance(value, str) and value and is_storable(value) else None
