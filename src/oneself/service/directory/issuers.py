"""Issuers outside whose access tokens an organisation honours (DESIGN §10).

Law of this module: trust is the organisation's own and named exactly; nobody is trusted by default. Keys are
not kept here, and no secret is: an issuer is public.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.context import DatasetRef
from oneself.service.directory.tokens import AUDIENCE
from oneself.store.database import Database
from oneself.store.errors import constraint_of
from oneself.store.queries import Queries

_sql = Queries("issuers.sql")

URL_CHARACTERS_MAX = 500
AUDIENCE_CHARACTERS_MAX = 200
#: Each may cost a fetch of keys; an organisation has one or a few.
ISSUERS_MAX = 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class TrustedIssuer(msgspec.Struct, frozen=True):
    """`issuer`: the `iss` of its tokens. `audience`: what their `aud` has to contain. `jwks_uri`: where its
    keys are; None: where its discovery document says. `permissions`: what holders of its tokens may do
    beside what the scope of the token says."""

    issuer_id: UUID
    issuer: str
    audience: str = AUDIENCE
    jwks_uri: str | None = None
    permissions: tuple[str, ...] = ()
    created_at: int = 0
    updated_at: int = 0


class Issuers:
    """Keeps whom an organisation trusts. `known` are the permissions that exist."""

    def __init__(self, database: Database, known: Sequence[str]) -> None:
        self._database = database
        self._known = tuple(known)

    async def list(self, dataset_ref: DatasetRef) -> list[TrustedIssuer]:
        """Every trusted issuer, by address."""
        return [_issuer(row) for row in await self._database.fetch(_sql.list_issuers, dataset_ref.org_id)]

    async def get(self, dataset_ref: DatasetRef, issuer_id: UUID) -> TrustedIssuer:
        """One of them; raises NotFound."""
        for issuer in await self.list(dataset_ref):
            if issuer.issuer_id == issuer_id:
                return issuer
        raise NotFound("No trusted issuer has this id.")

    async def add(self, dataset_ref: DatasetRef, **fields: Any) -> TrustedIssuer:
        """Trust another issuer. Raises InvalidInput naming the field, Conflict when it is trusted already."""
        if len(await self.list(dataset_ref)) >= ISSUERS_MAX:
            raise Conflict(f"An organisation trusts at most {ISSUERS_MAX} issuers.", code="too_many")
        return await self._put(dataset_ref, TrustedIssuer(issuer_id=uuid.uuid4(), **fields))

    async def change(self, dataset_ref: DatasetRef, issuer_id: UUID, **fields: Any) -> TrustedIssuer:
        """Change what is named; as `add`, and raises NotFound."""
        return await self._put(
            dataset_ref, msgspec.structs.replace(await self.get(dataset_ref, issuer_id), **fields)
        )

    async def remove(self, dataset_ref: DatasetRef, issuer_id: UUID) -> bool:
        """Trust it no more; False if it was not trusted."""
        found = await self._database.fetchval(_sql.delete_issuer, dataset_ref.org_id, issuer_id)
        return found is not None

    async def _put(self, dataset_ref: DatasetRef, issuer: TrustedIssuer) -> TrustedIssuer:
        check(issuer, self._known)
        now = time.time_ns() // 1000
        try:
            await self._database.execute(
                _sql.put_issuer,
                dataset_ref.org_id, issuer.issuer_id, issuer.issuer, issuer.audience, issuer.jwks_uri,
                list(issuer.permissions), now,
            )  # fmt: skip
        except Exception as error:
            if constraint_of(error) == "trusted_issuer_once":
                raise Conflict("This issuer is trusted already.", code="issuer") from None
            raise
        return await self.get(dataset_ref, issuer.issuer_id)


def check(issuer: TrustedIssuer, known: Collection[str]) -> None:
    """Raise InvalidInput naming the first field that cannot be."""
    if problem := _url_problem(issuer.issuer):
        raise _invalid("issuer", problem)
    if issuer.jwks_uri is not None and (problem := _url_problem(issuer.jwks_uri)):
        raise _invalid("jwks_uri", problem)
    audience = issuer.audience
    if not 0 < len(audience) <= AUDIENCE_CHARACTERS_MAX or not audience.isprintable():
        raise _invalid("audience", f"1 to {AUDIENCE_CHARACTERS_MAX} printable characters")
    if unknown := sorted(set(issuer.permissions) - set(known)):
        raise _invalid("permissions", f"there is no permission {unknown[0][:100]!r}")


def _url_problem(url: str) -> str | None:
    """Keys decide who is let in, so they travel over TLS, except from this very machine."""
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"a URL of at most {URL_CHARACTERS_MAX} plain characters is needed"
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return "this is not a URL"
    if parts.scheme not in ("https", "http") or not host:
        return "the URL has to begin with https://"
    if parts.scheme == "http" and host not in LOOPBACK:
        return "the URL has to begin with https://, except on this very machine"
    if parts.username or parts.password or "?" in url or "#" in url:
        return "the URL has no user, query or fragment"
    return None


def _invalid(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(field, "Invalid request.", f"{field}: {sentence}.")


def _issuer(row: Any) -> TrustedIssuer:
    return TrustedIssuer(
        issuer_id=row["issuer_id"],
        issuer=row["issuer"],
        audience=row["audience"],
        jwks_uri=row["jwks_uri"],
        permissions=tuple(row["permissions"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
