"""The caller of a request, after authentication."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """The caller as a verified access token describes it. Source: docs/wire/cds.md §2."""

    #: The token's `azp`, else its `client_id`.
    application: str | None
    #: The token's `sub`: the user id if a user is signed in.
    subject: str | None
    #: The token's scopes.
    permissions: frozenset[str]
    #: The organisation's handle.
    org: str

    def holds(self, permission: str) -> bool:
        """Whether the caller has the permission."""
        return permission in self.permissions
