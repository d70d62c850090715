"""Trusted issuers: other services whose access tokens an organisation accepts.

Invariants: an organisation names each issuer exactly and trusts none by default. A change is decided on the
current list while it is locked. Neither keys nor secrets are stored: an issuer is public.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args
from uuid import UUID

import msgspec

from oneself.adapters.outgoing import OutgoingPolicy
from oneself.core.config.difference import differences
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.audited import put_audited
from oneself.service.context import DatasetRef
from oneself.service.directory.outgoing_urls import url_problem
from oneself.service.directory.tokens import AUDIENCE
from oneself.store.directory import Directory, OrganisationTables
from oneself.store.tables.trusted_issuer import TrustedIssuerRow, TrustedIssuerTable

if TYPE_CHECKING:
    from oneself.store.database import Database

AUDIENCE_CHARACTERS_MAX = 200
#: Each may cost a request for its keys; an organisation has a few at most.
ISSUERS_MAX = 20
#: Which claims in tokens are verified: those of which the token says so, all, or none.
VerifiedClaims = Literal["as_stated", "always", "never"]
#: What the audit log has of an issuer.
_AUDITED = ("issuer", "audience", "jwks_uri", "permissions", "verified_claims")


class TrustedIssuer(msgspec.Struct, frozen=True):
    """An issuer whose access tokens are accepted."""

    issuer_id: UUID
    #: The `iss` of its tokens.
    issuer: str
    #: What the `aud` of its tokens has to contain.
    audience: str = AUDIENCE
    #: Where its keys are; None: where its discovery document says.
    jwks_uri: str | None = None
    #: What its tokens permit beside their own scope.
    permissions: tuple[str, ...] = ()
    #: Which claims in its tokens are verified.
    verified_claims: VerifiedClaims = "as_stated"
    #: In µs since 1970.
    created_at: int = 0
    updated_at: int = 0


class Issuers:
    """Lists, adds, changes and removes trusted issuers. `known`: the permissions that exist."""

    def __init__(
        self, database: Database, known: Sequence[str], policy: OutgoingPolicy | None = None
    ) -> None:
        """`policy`: where issuers may be."""
        self._policy = policy or OutgoingPolicy()
        self._directory = Directory(database)
        self._known = tuple(known)

    async def list(self, dataset_ref: DatasetRef) -> list[TrustedIssuer]:
        """Every trusted issuer, by address."""
        return await _list(self._directory.of(dataset_ref.org_id).trusted_issuers)

    async def get(self, dataset_ref: DatasetRef, issuer_id: UUID) -> TrustedIssuer:
        """One issuer; raises NotFound."""
        return await _get(self._directory.of(dataset_ref.org_id).trusted_issuers, issuer_id)

    async def add(self, dataset_ref: DatasetRef, **fields: Any) -> TrustedIssuer:
        """Trust another issuer.

        Raises InvalidInput for an invalid field; Conflict if it is already trusted, or there are too many.
        """
        await self._check_addresses(fields)
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            if len(await tables.trusted_issuers.list()) >= ISSUERS_MAX:
                raise Conflict(f"An organisation trusts at most {ISSUERS_MAX} issuers.", code="too_many")
            return await self._put(tables, None, TrustedIssuer(issuer_id=uuid.uuid4(), **fields))

    async def change(self, dataset_ref: DatasetRef, issuer_id: UUID, **fields: Any) -> TrustedIssuer:
        """Change the named fields. Raises as `add`, and NotFound."""
        await self._check_addresses(fields)
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            before = await _get(tables.trusted_issuers, issuer_id)
            return await self._put(tables, before, msgspec.structs.replace(before, **fields))

    async def remove(self, dataset_ref: DatasetRef, issuer_id: UUID) -> bool:
        """Remove a trusted issuer; False if there was none of this id."""
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            before = await _find(tables.trusted_issuers, issuer_id)
            if before is not None:
                await tables.trusted_issuers.delete(issuer_id)
                await _put_change(tables, before, None)
        return before is not None

    async def _check_addresses(self, fields: Mapping[str, Any]) -> None:
        """Look names up before the organisation is locked; `check` says what else is wrong."""
        for name in ("issuer", "jwks_uri"):
            url = fields.get(name)
            if url and not url_problem(url) and (problem := await self._policy.problem(url)):
                raise InvalidInput(name, f"The {name} {problem}.")

    async def _put(
        self, tables: OrganisationTables, before: TrustedIssuer | None, issuer: TrustedIssuer
    ) -> TrustedIssuer:
        check(issuer, self._known)
        row = TrustedIssuerRow(
            issuer.issuer_id,
            issuer.issuer,
            issuer.audience,
            issuer.jwks_uri,
            issuer.permissions,
            issuer.verified_claims,
        )
        if not await tables.trusted_issuers.put(row, time.time_ns() // 1000):
            raise Conflict("This issuer is already trusted.", code="issuer")
        await _put_change(tables, before, issuer)
        return await _get(tables.trusted_issuers, issuer.issuer_id)


async def _list(issuers: TrustedIssuerTable) -> list[TrustedIssuer]:
    return [_issuer(row) for row in await issuers.list()]


async def _find(issuers: TrustedIssuerTable, issuer_id: UUID) -> TrustedIssuer | None:
    return next((issuer for issuer in await _list(issuers) if issuer.issuer_id == issuer_id), None)


async def _get(issuers: TrustedIssuerTable, issuer_id: UUID) -> TrustedIssuer:
    issuer = await _find(issuers, issuer_id)
    if issuer is None:
        raise NotFound("No trusted issuer has this id.")
    return issuer


async def _put_change(
    tables: OrganisationTables, before: TrustedIssuer | None, after: TrustedIssuer | None
) -> None:
    """Record what changed; None: it is not trusted."""
    described = [
        {name: getattr(issuer, name) for name in _AUDITED} if issuer else None for issuer in (before, after)
    ]
    named = after or before
    assert named is not None
    await put_audited(tables, "issuer", differences(f"issuer {named.issuer}", *described))


def check(issuer: TrustedIssuer, known: Collection[str]) -> None:
    """Raise InvalidInput for the first invalid field."""
    if problem := url_problem(issuer.issuer):
        raise InvalidInput("issuer", f"The issuer {problem}.")
    if issuer.jwks_uri is not None and (problem := url_problem(issuer.jwks_uri)):
        raise InvalidInput("jwks_uri", f"The jwks_uri {problem}.")
    audience = issuer.audience
    if not 0 < len(audience) <= AUDIENCE_CHARACTERS_MAX or not audience.isprintable():
        raise InvalidInput(
            "audience", f"The audience must have 1 to {AUDIENCE_CHARACTERS_MAX} printable characters."
        )
    if issuer.verified_claims not in (choices := get_args(VerifiedClaims)):
        raise InvalidInput("verified_claims", f"verified_claims must be one of: {', '.join(choices)}.")
    if unknown := sorted(set(issuer.permissions) - set(known)):
        raise InvalidInput("permissions", f"There is no permission {unknown[0][:100]!r}.")


def _issuer(row: TrustedIssuerRow) -> TrustedIssuer:
    return TrustedIssuer(
        issuer_id=row.issuer_id,
        issuer=row.issuer,
        audience=row.audience,
        jwks_uri=row.jwks_uri,
        permissions=tuple(row.permissions),
        verified_claims=cast(VerifiedClaims, row.verified_claims),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
