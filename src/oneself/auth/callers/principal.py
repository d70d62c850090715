"""The caller of a request, after authentication."""

from __future__ import annotations

import msgspec

from oneself.auth.callers.reach import CallerKind, Reach, reach_of
from oneself.service.identity_provider.issuer_reports import IssuerReport


class Principal(msgspec.Struct, frozen=True):
    """The caller as a verified access token describes it. Source: docs/wire/cds.md §2."""

    #: The token's `azp`, else its `client_id`.
    application: str | None
    #: The token's `sub`.
    subject: str | None
    #: The token's scopes.
    permissions: frozenset[str]
    #: The organisation's handle.
    org: str
    kind: CallerKind
    #: What the token of a trusted issuer says of its user.
    report: IssuerReport | None = None

    def holds(self, permission: str) -> bool:
        """Whether the caller has the permission."""
        return permission in self.permissions

    @property
    def user_id(self) -> str | None:
        """The user who is signed in; None for an application that acts for itself."""
        acts_for_itself = self.kind == "application" or self.subject == self.application
        return None if acts_for_itself else self.subject

    @property
    def reach(self) -> Reach:
        """The profiles that the caller reaches."""
        return reach_of(self.kind, self.subject)
