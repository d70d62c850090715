"""Who is calling, once that is known."""

from __future__ import annotations

import msgspec


class Principal(msgspec.Struct, frozen=True):
    """What a verified access token says about the request that carries it (wire/cds §2).

    `application`: the token's `azp`, else its `client_id`. `subject`: its `sub`, a user id where a person
    is behind the request. `permissions`: its scopes, `org`: the organisation's handle.
    """

    application: str | None
    subject: str | None
    permissions: frozenset[str]
    org: str

    def holds(self, permission: str) -> bool:
        """Whether the caller may do what `permission` names."""
        return permission in self.permissions
