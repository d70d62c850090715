"""The table `trusted_issuer`: other token issuers that an organisation trusts."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from oneself.store.errors import ISSUER_CONSTRAINT, constraint_of
from oneself.store.queries import Queries
from oneself.store.tables.table import OrganisationTable, structs_of

_sql = Queries("trusted_issuer")


class TrustedIssuerRow(msgspec.Struct, frozen=True):
    """An issuer as it is stored. Instants in µs since 1970."""

    issuer_id: UUID
    #: The `iss` of its tokens.
    issuer: str
    audience: str
    #: Where its keys are; None: where its discovery document says.
    jwks_uri: str | None
    permissions: Sequence[str]
    #: Which claims in its tokens are verified: as_stated, always or never.
    verified_claims: str
    created_at: int = 0
    updated_at: int = 0


class TrustedIssuerTable(OrganisationTable):
    """The issuers that an organisation trusts."""

    __slots__ = ()

    async def list(self) -> list[TrustedIssuerRow]:
        """Every trusted issuer, by address."""
        return structs_of(TrustedIssuerRow, await self._executor.fetch(_sql.list, self._org_id))

    async def put(self, row: TrustedIssuerRow, now: int) -> bool:
        """Insert or replace an issuer; False if another entry has the same issuer."""
        try:
            await self._executor.execute(
                _sql.put,
                self._org_id, row.issuer_id, row.issuer, row.audience, row.jwks_uri, list(row.permissions),
                row.verified_claims, now,
            )  # fmt: skip
        except Exception as error:
            if constraint_of(error) == ISSUER_CONSTRAINT:
                return False
            raise
        return True

    async def delete(self, issuer_id: UUID) -> bool:
        """Delete an issuer; False if there was none of this id."""
        return await self._executor.fetchval(_sql.delete, self._org_id, issuer_id) is not None
