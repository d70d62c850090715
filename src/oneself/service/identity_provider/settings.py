"""Which identity server an organisation has: its own, the deployment's, or none.

Invariants: an organisation's own settings replace the deployment's completely. A change is decided on the
current settings while they are locked. Secrets are stored encrypted for their organisation and leave this
module only to be used. Source: docs/wire/cds.md §13.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast, get_args

import msgspec

from oneself.adapters.identity_server.connection import Connection, Grant
from oneself.adapters.outgoing import outgoing_policy
from oneself.core.config.difference import differences
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.audited import new_secret_of, put_audited
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox, same
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.directory import Directory, OrganisationTables
from oneself.store.tables.identity_server import IdentityServerRow

TEXT_CHARACTERS_MAX = 1_000
#: What the audit log calls it.
_SUBJECT = "identity server"


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values that are stored encrypted."""

    client_secret: str
    sync_password: str | None = None


class OwnIdentityServer(msgspec.Struct, frozen=True):
    """An organisation's own settings."""

    connection: Connection
    #: The credentials with which its identity server reports, for this organisation alone; None: the
    #: deployment's.
    sync_username: str | None = None
    sync_password: str | None = None


class IdentityServers:
    """Stores and finds the settings of identity servers."""

    def __init__(self, database: Database, secret_box: SecretBox, settings: Settings) -> None:
        self._directory = Directory(database)
        self._secret_box = secret_box
        self._default = _connection_of(settings)
        self._policy = outgoing_policy(settings)
        self._sync = (settings.sync_username, settings.sync_password)

    @property
    def default(self) -> Connection | None:
        """The deployment's identity server."""
        return self._default

    async def find(self, dataset_ref: DatasetRef) -> Connection | None:
        """How to reach the organisation's identity server; None if it uses the embedded directory alone."""
        own = await self.get(dataset_ref)
        return own.connection if own else self._default

    async def get(self, dataset_ref: DatasetRef) -> OwnIdentityServer | None:
        """The organisation's own settings; None if it has none."""
        row = await self._directory.of(dataset_ref.org_id).identity_server.find()
        return None if row is None else self._own(dataset_ref, row)

    async def create(self, dataset_ref: DatasetRef, own: OwnIdentityServer) -> OwnIdentityServer:
        """Store the organisation's first own settings and request that its claims are read at once.

        Raises InvalidInput; Conflict if it has settings of its own already.
        """
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            if await tables.identity_server.find() is not None:
                raise Conflict("This organisation has an identity server of its own already.")
            return await self._put(tables, None, own)

    async def change(
        self, dataset_ref: DatasetRef, change: Callable[[OwnIdentityServer], OwnIdentityServer]
    ) -> OwnIdentityServer:
        """Change the organisation's own settings and request that its claims are read at once.

        Raises InvalidInput; NotFound if it has none.
        """
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            row = await tables.identity_server.find()
            if row is None:
                raise NotFound("This organisation has no identity server of its own.")
            before = self._own(dataset_ref, row)
            return await self._put(tables, before, change(before))

    async def delete(self, dataset_ref: DatasetRef) -> bool:
        """Delete the organisation's own settings, so that the deployment's apply; False if it had none."""
        async with self._directory.transaction() as transaction:
            tables = await transaction.lock(dataset_ref.org_id)
            row = await tables.identity_server.find()
            if row is not None:
                await tables.identity_server.delete()
                await _put_change(tables, self._own(dataset_ref, row), None)
        return row is not None

    def is_sync_caller(self, name: str, password: str) -> bool:
        """Whether these are the deployment's credentials for reports."""
        return _both_same((name, password), self._sync)

    async def is_own_sync_caller(self, dataset_ref: DatasetRef, name: str, password: str) -> bool:
        """Whether these are the organisation's own credentials for reports."""
        own = await self.get(dataset_ref)
        return own is not None and _both_same((name, password), (own.sync_username, own.sync_password))

    async def _put(
        self, tables: OrganisationTables, before: OwnIdentityServer | None, given: OwnIdentityServer
    ) -> OwnIdentityServer:
        check(given)
        if problem := await self._policy.problem(given.connection.url):
            raise InvalidInput("url", f"The url {problem}.")
        url = given.connection.url.rstrip("/")
        own = msgspec.structs.replace(given, connection=msgspec.structs.replace(given.connection, url=url))
        await tables.identity_server.put(self._row(tables.org_id, own))
        await tables.claim_sync.request()
        await _put_change(tables, before, own)
        return own

    def _row(self, org_id: int, own: OwnIdentityServer) -> IdentityServerRow:
        connection = own.connection
        secrets = msgspec.json.encode(Secrets(connection.client_secret, own.sync_password))
        encrypted = self._secret_box.encrypt(secrets, purpose(org_id))
        return IdentityServerRow(
            connection.url, connection.client_id, connection.grant, own.sync_username, encrypted
        )

    def _own(self, dataset_ref: DatasetRef, row: IdentityServerRow) -> OwnIdentityServer:
        plain = self._secret_box.decrypt(row.secrets_encrypted, purpose(dataset_ref.org_id))
        secrets = msgspec.json.decode(plain, type=Secrets)
        return OwnIdentityServer(
            Connection(row.url, row.client_id, secrets.client_secret, cast(Grant, row.grant_type)),
            sync_username=row.sync_username,
            sync_password=secrets.sync_password,
        )


def check(own: OwnIdentityServer) -> None:
    """Raise InvalidInput for the first invalid field."""
    connection = own.connection
    for name, text in (
        ("url", connection.url),
        ("client_id", connection.client_id),
        ("client_secret", connection.client_secret),
        ("sync_username", own.sync_username or "-"),
        ("sync_password", own.sync_password or "-"),
    ):
        if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not text.isprintable():
            raise InvalidInput(name, f"{name} must have 1 to {TEXT_CHARACTERS_MAX} printable characters.")
    if not re.fullmatch(r"https?://[^/@?#\\\s]+(/[^@?#\\\s]*)?", connection.url):
        raise InvalidInput(
            "url", "url must begin with https:// and must not contain a user, query or fragment."
        )
    if connection.grant not in get_args(Grant):
        raise InvalidInput("grant", f"grant must be one of: {', '.join(get_args(Grant))}.")
    if bool(own.sync_username) != bool(own.sync_password):
        raise InvalidInput("sync_username", "Set both sync_username and sync_password, or neither.")
    if ":" in (own.sync_username or ""):
        raise InvalidInput("sync_username", "sync_username must not contain a colon.")


async def _put_change(
    tables: OrganisationTables, before: OwnIdentityServer | None, after: OwnIdentityServer | None
) -> None:
    """Record what changed; None: the organisation has no settings of its own."""
    changed = differences(_SUBJECT, _audited(before), _audited(after))
    if before and after:
        if before.connection.client_secret != after.connection.client_secret:
            changed.append(new_secret_of(_SUBJECT, "client_secret"))
        if after.sync_password and before.sync_password != after.sync_password:
            changed.append(new_secret_of(_SUBJECT, "sync_password"))
    await put_audited(tables, "identity_server", changed)


def _audited(own: OwnIdentityServer | None) -> dict[str, Any] | None:
    """What the audit log has of an identity server."""
    if own is None:
        return None
    connection = own.connection
    return {
        "url": connection.url,
        "client_id": connection.client_id,
        "grant": connection.grant,
        "sync_username": own.sync_username,
    }


def _connection_of(settings: Settings) -> Connection | None:
    if not settings.identity_server_url or not settings.identity_server_client_id:
        return None
    return Connection(
        url=settings.identity_server_url.rstrip("/"),
        client_id=settings.identity_server_client_id,
        client_secret=settings.identity_server_client_secret or "",
        grant=settings.identity_server_grant,
    )


def _both_same(given: tuple[str, str], expected: tuple[str | None, str | None]) -> bool:
    """Compares both in constant time, also if the first differ; unset credentials match nothing."""
    if not expected[0] or not expected[1]:
        return False
    names, passwords = same(given[0], expected[0]), same(given[1], expected[1])
    return names and passwords


def purpose(org_id: int) -> str:
    """The purpose the secrets are encrypted for: a row copied to another organisation cannot be decrypted."""
    return f"identity server of {org_id}"
