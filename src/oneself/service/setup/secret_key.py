"""The deployment's secret key and its database belong together.

    check value in the database    organisations    secret key of this process
    yes                            any              has to match
    no                             none             becomes the key of this database, generated if missing;
                                                    must have SECRET_KEY_CHARS_MIN characters
    no (set up before 0009)        some             has to decrypt the oldest encrypted value

Invariants: a process whose key does not match encrypts, hashes and erases nothing. A key is generated only
together with a new database. No error contains key material.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from oneself.errors import SettingsError
from oneself.secrets_file import SECRET_KEY_CHARS_MIN, find_secret_key, make_secret_key, secret_key_file
from oneself.service.crypto import SecretBox
from oneself.service.directory import code_webhooks, signing_keys
from oneself.service.events import token_keys
from oneself.service.identity_provider import settings as identity_servers
from oneself.settings import Settings
from oneself.store.directory import Directory

if TYPE_CHECKING:
    from oneself.store.database import Database
    from oneself.store.directory import DirectoryTables

Kind = Literal["signing_key", "token_key", "identity_server", "code_webhook"]


class EncryptedValue(msgspec.Struct, frozen=True):
    """A key or secret that is stored encrypted."""

    kind: Kind
    #: The handle of its organisation.
    organisation: str
    #: Empty for a secret.
    key_id: str
    encrypted: bytes
    #: The purpose that it is encrypted for.
    purpose: str

    def opens_with(self, secret_box: SecretBox) -> bool:
        """Whether this secret key decrypts it."""
        try:
            secret_box.decrypt(self.encrypted, self.purpose)
        except SettingsError:
            return False
        return True


async def confirmed_secret_key(database: Database, settings: Settings) -> str:
    """The secret key of this process, which is the one that the database was set up with.

    Raises SettingsError if it is another one, or if there is none and the database is not new.
    """
    directory = Directory(database)
    recorded = await directory.secret_key_check.find()
    if recorded is None:
        recorded = await _record(directory, settings)
    secret_key = _found(settings)
    if not hmac.compare_digest(recorded, SecretBox(secret_key).check_value):
        raise _mismatch(settings)
    return secret_key


async def list_encrypted_values(directory: DirectoryTables) -> list[EncryptedValue]:
    """Every encrypted value that is still used, the oldest first."""
    since = time.time_ns() // 1000 - signing_keys.RETIRED_KEY_LIFE_US
    rows = await directory.secret_key_check.list_encrypted(since)
    return [
        EncryptedValue(
            row.kind, row.handle, row.key_id, row.encrypted, _purpose(row.kind, row.org_id, row.key_id)
        )
        for row in rows
    ]


def check_new_secret_key(settings: Settings) -> None:
    """Raise SettingsError if this process has a secret key that is too short for a new database."""
    secret_key = find_secret_key(settings)
    if secret_key is not None and len(secret_key) < SECRET_KEY_CHARS_MIN:
        source = "ONESELF_SECRET_KEY" if settings.secret_key else str(secret_key_file(settings))
        raise SettingsError(
            f"{source} has {len(secret_key)} characters; a new database needs at least "
            f"{SECRET_KEY_CHARS_MIN}. Make one with: openssl rand -base64 48"
        )


async def _record(directory: Directory, settings: Settings) -> bytes:
    """Record the check value of this process's key;

    returns the recorded one, also if another process was first.
    """
    async with directory.transaction() as tables:
        # Locked before a key is generated: of several first starts, only one writes a key file.
        await tables.secret_key_check.lock()
        recorded = await tables.secret_key_check.find()
        if recorded is None:
            secret_key = await _first_secret_key(tables, settings)
            await tables.secret_key_check.put(SecretBox(secret_key).check_value)
            recorded = await tables.secret_key_check.find()
    assert recorded is not None
    return recorded


async def _first_secret_key(tables: DirectoryTables, settings: Settings) -> str:
    if not await tables.organisations.exists():
        check_new_secret_key(settings)
        return find_secret_key(settings) or make_secret_key(settings)
    secret_key, values = _found(settings), await list_encrypted_values(tables)
    # The oldest value was encrypted when the organisation was made. A newer one may come from a command that
    # ran with another key, which was possible before the database had a check value.
    if values and not values[0].opens_with(SecretBox(secret_key)):
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
    source = (
        "ONESELF_SECRET_KEY is not" if settings.secret_key else f"{secret_key_file(settings)} does not hold"
    )
    return SettingsError(f"{source} the secret key that this database was set up with; {_REMEDY}.")


def _purpose(kind: Kind, org_id: int, key_id: str) -> str:
    match kind:
        case "signing_key":
            return signing_keys.purpose(org_id)
        case "token_key":
            return token_keys.purpose(org_id, int(key_id))
        case "identity_server":
            return identity_servers.purpose(org_id)
        case "code_webhook":
            return code_webhooks.purpose(org_id)
