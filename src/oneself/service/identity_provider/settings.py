"""Which identity server an organisation has: its own, the deployment's, or none (DESIGN §10, wire/cds §13).

Law of this module: an organisation's own settings win as a whole; secrets are sealed for their organisation
and leave this module only to be used.
"""

from __future__ import annotations

import re
from typing import Any, get_args

import msgspec

from oneself.adapters.identity_server.connection import Connection, Grant
from oneself.errors import InvalidInput
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox, same
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.queries import Queries

_sql = Queries("identity_server.sql")

TEXT_CHARACTERS_MAX = 1_000


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed."""

    client_secret: str
    sync_password: str | None = None


class OwnIdentityServer(msgspec.Struct, frozen=True):
    """An organisation's own settings. `sync_username`, `sync_password`: the Basic credentials with which its
    identity server may call the two sync operations, for this organisation alone; None: the deployment's."""

    connection: Connection
    sync_username: str | None = None
    sync_password: str | None = None


class IdentityServers:
    """Keeps and finds the settings of identity servers."""

    def __init__(self, database: Database, vault: SecretBox, settings: Settings) -> None:
        self._database = database
        self._vault = vault
        self._default = _connection_of(settings)
        self._sync = (settings.sync_username, settings.sync_password)

    @property
    def default(self) -> Connection | None:
        """The deployment's identity server."""
        return self._default

    async def find(self, dataset_ref: DatasetRef) -> Connection | None:
        """How to reach its identity server; None where the embedded directory is all there is."""
        own = await self.get(dataset_ref)
        return own.connection if own else self._default

    async def get(self, dataset_ref: DatasetRef) -> OwnIdentityServer | None:
        """The organisation's own settings, if it has some."""
        row = await self._database.fetchrow(_sql.find_identity_server, dataset_ref.org_id)
        return None if row is None else self._own(dataset_ref, row)

    async def put(self, dataset_ref: DatasetRef, own: OwnIdentityServer) -> None:
        """Give the organisation settings of its own, or other ones; its claims are read at once."""
        connection = own.connection
        secrets = msgspec.json.encode(Secrets(connection.client_secret, own.sync_password))
        sealed = self._vault.seal(secrets, purpose(dataset_ref.org_id))
        url, grant = connection.url.rstrip("/"), connection.grant
        async with self._database.transaction() as transaction:
            await transaction.execute(
                _sql.put_identity_server,
                dataset_ref.org_id, url, connection.client_id, grant, own.sync_username, sealed,
            )  # fmt: skip
            await transaction.execute(_sql.request_claim_sync, dataset_ref.org_id)

    async def delete(self, dataset_ref: DatasetRef) -> bool:
        """Let the deployment's settings count again; False if there were none of its own."""
        return await self._database.fetchval(_sql.delete_identity_server, dataset_ref.org_id) is not None

    def is_sync_caller(self, name: str, password: str) -> bool:
        """Whether these are the deployment's credentials for the sync operations."""
        return _both_same((name, password), self._sync)

    async def is_own_sync_caller(self, dataset_ref: DatasetRef, name: str, password: str) -> bool:
        """Whether these are the organisation's own ones."""
        own = await self.get(dataset_ref)
        return own is not None and _both_same((name, password), (own.sync_username, own.sync_password))

    def _own(self, dataset_ref: DatasetRef, row: Any) -> OwnIdentityServer:
        plain = self._vault.unseal(row["secrets_sealed"], purpose(dataset_ref.org_id))
        secrets = msgspec.json.decode(plain, type=Secrets)
        grant: Grant = row["grant_type"]
        return OwnIdentityServer(
            Connection(row["url"], row["client_id"], secrets.client_secret, grant),
            sync_username=row["sync_username"],
            sync_password=secrets.sync_password,
        )


def check(own: OwnIdentityServer) -> None:
    """Raise InvalidInput naming the first field that cannot be."""
    connection = own.connection
    for name, text in (
        ("url", connection.url),
        ("client_id", connection.client_id),
        ("client_secret", connection.client_secret),
        ("sync_username", own.sync_username or "-"),
        ("sync_password", own.sync_password or "-"),
    ):
        if not 0 < len(text) <= TEXT_CHARACTERS_MAX or not text.isprintable():
            raise _invalid(name, f"1 to {TEXT_CHARACTERS_MAX} printable characters are needed")
    if not re.fullmatch(r"https?://[^/@?#\\\s]+(/[^@?#\\\s]*)?", connection.url):
        raise _invalid("url", "the URL has to begin with https:// and has no user, query or fragment")
    if connection.grant not in get_args(Grant):
        raise _invalid("grant", f"a grant is one of {', '.join(get_args(Grant))}")
    if bool(own.sync_username) != bool(own.sync_password):
        raise _invalid("sync_username", "sync_username and sync_password belong together")
    if ":" in (own.sync_username or ""):
        raise _invalid("sync_username", "HTTP Basic has no colon in a name")


def _invalid(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(field, "Invalid request.", f"{field}: {sentence}.")


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
    """Compared in constant time, both whatever the first says; unset credentials match nothing."""
    if not expected[0] or not expected[1]:
        return False
    names, passwords = same(given[0], expected[0]), same(given[1], expected[1])
    return names and passwords


def purpose(org_id: int) -> str:
    """What the secrets are sealed for."""
    return f"identity server of {org_id}"
