"""Authenticates applications by HTTP Basic, with their client id and secret in every request.

The event interfaces use it. Invariants: a failed check does not reveal whether the id or the secret was
wrong. Wrong secrets are throttled as at the token endpoint; a caller with the correct secret is not delayed
by other callers who guess. Source: docs/wire/interactions.md §4.
"""

from __future__ import annotations

from urllib.parse import unquote

from oneself.auth.callers.guard import basic_credentials, unauthenticated
from oneself.auth.callers.principal import Principal
from oneself.service.context import DatasetRef
from oneself.service.directory.applications import Application, Applications
from oneself.service.directory.throttle import Subject, Throttle


class ClientBasic:
    """Authenticates applications by HTTP Basic."""

    def __init__(self, applications: Applications, throttle: Throttle) -> None:
        self._applications = applications
        self._throttle = throttle

    async def authenticate(
        self, dataset_ref: DatasetRef, authorization: str | None, address: str = ""
    ) -> Principal:
        """Return the application of the header.

        `address`: the caller's IP address. Raises Unauthenticated.
        """
        credentials = basic_credentials(authorization)
        if credentials is None:
            raise unauthenticated()
        client_id, secret = credentials
        application = await self._applications.find(dataset_ref, unquote(client_id))
        if application is None or not await self._verify_secret(dataset_ref, application, secret, address):
            raise unauthenticated()
        return Principal(
            application=application.client_id,
            subject=application.client_id,
            permissions=frozenset(application.permissions),
            org=dataset_ref.handle,
            kind="application",
        )

    async def _verify_secret(
        self, dataset_ref: DatasetRef, application: Application, secret: str, address: str
    ) -> bool:
        if self._applications.has_verified_secret(application, secret):
            return True
        subject: Subject = ("client", f"{application.client_id} {address}")
        if await self._throttle.retry_after_s(dataset_ref, subject):
            return False
        for candidate in dict.fromkeys((secret, unquote(secret))):
            if await self._applications.secret_matches(application, candidate):
                return True
        await self._throttle.record(dataset_ref, subject)
        return False
