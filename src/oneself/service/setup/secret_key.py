"""The deployment's secret key and its database belong together.

    check value in the database    organisations    secret key of this process
    yes                            any              has to match
    no                             none             becomes the key of this database, generated if missing
    no (set up before 0009)        some             has to open the oldest sealed value

Law of this module: nothing is sealed, hashed or erased by a process whose key does not match. A key is
generated only together with a new database. No error shows key material.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.errors import SettingsError
from oneself.secrets_file import find_secret_key, make_secret_key, secret_key_file
from oneself.service.crypto import SecretBox
from oneself.service.directory import signing_keys
from oneself.service.events import token_keys
from oneself.service.identity_provider import settings as identity_servers
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("secret_key.sql")

Kind = Literal["signing_key", "token_key", "identity_server"]


class SealedValue(msgspec.Struct, frozen=True):
    """A key or secret that is stored sealed. `organisation`: its handle; `key_id`: "" for a secret."""

    kind: Kind
    organisation: str
    key_id: str
    sealed: bytes
    purpose: str

    def opens_with(self, vault: SecretBox) -> bool:
        try:
            vault.unseal(self.sealed, self.purpose)
        except SettingsError:
            return False
        return True


async def confirmed_secret_key(database: Database, settings: Settings) -> str:
    """The secret key of this process, which is the one that the database was set up with.

    Raises SettingsError when it is another one, or when there is none and the database is not new.
    """
    recorded = await database.fetchval(_sql.find_secret_key_check)
    if recorded is None:
        recorded = await _record(database, settings)
    secret_key = _found(settings)
    if not hmac.compare_digest(recorded, SecretBox(secret_key).check_value):
        raise _mismatch(settings)
    return secret_key


async def list_sealed_values(database: Database | Connection) -> list[SealedValue]:
    """Everything sealed that is still used, the oldest first."""
    since = time.time_ns() // 1000 - signing_keys.RETIRED_KEY_LIFE_US
    rows = await database.fetch(_sql.list_sealed_values, since)
    return [
        SealedValue(
            row["kind"],
            row["handle"],
            row["key_id"],
            row["sealed"],
            _purpose(row["kind"], row["org_id"], row["key_id"]),
        )
        for row in rows
    ]


async def _record(database: Database, settings: Settings) -> bytes:
    """Record the check value of this process's key; what is recorded, also if another process was first."""
    async with database.transaction() as transaction:
        # Locked before a key is generated: of several first starts, only one writes a key file.
        await transaction.execute(_sql.lock_secret_key_check)
        recorded = await transaction.fetchval(_sql.find_secret_key_check)
        if recorded is None:
            secret_key = await _first_secret_key(transaction, settings)
            await transaction.execute(_sql.put_secret_key_check, SecretBox(secret_key).check_value)
            recorded = await transaction.fetchval(_sql.find_secret_key_check)
    assert isinstance(recorded, bytes)
    return recorded


async def _first_secret_key(transaction: Connection, settings: Settings) -> str:
    if not await transaction.fetchval(_sql.has_organisations):
        return find_secret_key(settings) or make_secret_key(settings)
    secret_key, sealed = _found(settings), await list_sealed_values(transaction)
    # The oldest was sealed when the organisation was made. A newer one may come from a command that ran with
    # another key, which was possible before the database kept a check value.
    if sealed and not sealed[0].opens_with(SecretBox(secret_key)):
        raise _mismatch(settings)
    return secret_key


def _found(settings: Settings) -> str:
    secret_key = find_secret_key(settings)
    if secret_key is None:
        raise SettingsError(
            f"The secret key of this database is missing: ONESELF_SECRET_KEY is not set and "
            f"{secret_key_file(settings)} does not exist; {_REMEDY}."
        )
    return secret_key


_REMEDY = (
    "set ONESELF_SECRET_KEY to the secret key of the service that uses this database, "
    "or name that service's data folder with --data-dir"
)


def _mismatch(settings: Settings) -> SettingsError:
    place = (
        "ONESELF_SECRET_KEY is not" if settings.secret_key else f"{secret_key_file(settings)} does not hold"
    )
    return SettingsError(f"{place} the secret key that this database was set up with; {_REMEDY}.")


def _purpose(kind: Kind, org_id: int, key_id: str) -> str:
    match kind:
        case "signing_key":
            return signing_keys.purpose(org_id)
        case "token_key":
            return token_keys.purpose(org_id, int(key_id))
        case "identity_server":
            return identity_servers.purpose(org_id)
