"""A caller of the CDS wire in the same process: the whole application, a real database, no socket."""

from __future__ import annotations

from typing import Any

import httpx

from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.context import DatasetRef
from oneself.service.directory.tokens import access_claims, sign_access_token
from oneself.services import Services

ORG, SYSTEM = "acme", "crm"


class Cds:
    """One application that calls one organisation."""

    def __init__(
        self, http: httpx.AsyncClient, services: Services, dataset_ref: DatasetRef, client_id: str
    ) -> None:
        self.http, self.services, self.dataset_ref, self.client_id = http, services, dataset_ref, client_id

    async def token(self, *permissions: str, subject: str | None = None) -> str:
        tokens, keys = self.services.directory.tokens, self.services.directory.signing_keys
        scope = " ".join(f"internal_cds_{name}" for name in permissions) or " ".join(PERMISSIONS)
        issuer = tokens.issuer(self.dataset_ref)
        claims = access_claims(
            issuer, self.dataset_ref, self.client_id, subject or self.client_id, scope, None
        )
        return sign_access_token(await keys.signing_key(self.dataset_ref), claims)

    async def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> httpx.Response:
        sent = {"Authorization": f"Bearer {token or await self.token()}", **(headers or {})}
        return await self.http.request(
            method, f"/t/{self.dataset_ref.handle}/cds/api/v1{path}", headers=sent, **kwargs
        )

    async def define(self, scope: str, *drafts: dict[str, Any]) -> list[dict[str, Any]]:
        filled = [{"value_type": "string", "merge_strategy": "overwrite", **draft} for draft in drafts]
        answer = await self("POST", f"/profile-schema/{scope}", json=filled)
        assert answer.status_code == 201, answer.text
        return list(answer.json())

    async def create(self, **body: Any) -> dict[str, Any]:
        answer = await self("POST", "/profiles", json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def listed(self, **params: Any) -> dict[str, Any]:
        answer = await self("GET", "/profiles", params=params)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
