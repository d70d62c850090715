"""The table `account`: users of the embedded directory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from oneself.store.queries import Queries
from oneself.store.rows import lock_hash
from oneself.store.tables.table import OrganisationTable, struct_of, structs_of

_sql = Queries("account")


class AccountRow(msgspec.Struct, frozen=True):
    """An account as it is stored."""

    user_id: UUID
    username: str
    password_hash: str
    #: Claim → value.
    claims: dict[str, str]
    #: In µs since 1970.
    created_at: int
    #: Verified claim → since when, in µs since 1970.
    verified: dict[str, int] = {}


class ClaimsChange(msgspec.Struct, frozen=True):
    """A change of claims and of what is known to be verified."""

    #: Claim → value; None removes it.
    values: dict[str, str | None]
    #: Claim → when it was verified, in µs since 1970.
    verified: dict[str, int] = {}
    #: The claims whose verification is withdrawn.
    withdrawn: tuple[str, ...] = ()
    #: Claim → value that the account has to have after the change.
    expected: dict[str, str] = {}


class ClaimsRow(msgspec.Struct, frozen=True):
    """The claims of an account."""

    claims: dict[str, str]
    verified: dict[str, int]


class AccountTable(OrganisationTable):
    """The accounts of an organisation."""

    __slots__ = ()

    async def find(self, user_id: UUID) -> AccountRow | None:
        """The account of a user."""
        return struct_of(AccountRow, await self._executor.fetchrow(_sql.find, self._org_id, user_id))

    async def lock(self, user_id: UUID) -> AccountRow | None:
        """The account of a user, which nobody else changes until the transaction ends."""
        return struct_of(AccountRow, await self._executor.fetchrow(_sql.lock, self._org_id, user_id))

    async def find_by_username(self, username_key: str, limit: int) -> list[AccountRow]:
        """The accounts with a normalised username: the one that has verified it, else the newest first."""
        found = await self._executor.fetch(_sql.find_by_username, self._org_id, username_key, limit)
        return structs_of(AccountRow, found)

    async def list_kinds_of_hashes(self, username_key: str) -> list[str]:
        """Of the hashes of a username's passwords, one of each salt and parameters."""
        found = await self._executor.fetch(_sql.list_kinds_of_hashes, self._org_id, username_key)
        return [row["password_hash"] for row in found]

    async def find_by_password(self, username_key: str, hashes: Sequence[str]) -> AccountRow | None:
        """The newest account with a normalised username and one of some password hashes."""
        found = await self._executor.fetchrow(_sql.find_by_password, self._org_id, username_key, list(hashes))
        return struct_of(AccountRow, found)

    async def list(self, after: tuple[str, UUID], limit: int) -> list[AccountRow]:
        """The accounts after a normalised username and a user id, in the order of these."""
        return structs_of(AccountRow, await self._executor.fetch(_sql.list, self._org_id, *after, limit))

    async def put(self, row: AccountRow, username_key: str) -> None:
        """Insert an account."""
        await self._executor.execute(
            _sql.put,
            self._org_id, row.user_id, row.username, username_key, row.password_hash, row.claims,
            row.created_at,
        )  # fmt: skip

    async def lock_username(self, username_key: str) -> None:
        """Let nobody else verify a username until the transaction ends."""
        await self._executor.execute(_sql.lock_value, lock_hash(self._org_id, "username", username_key))

    async def lock_mobile(self, digits: str) -> None:
        """Let nobody else verify the mobile number with these digits until the transaction ends."""
        await self._executor.execute(_sql.lock_value, lock_hash(self._org_id, "mobile", digits))

    async def withdraw_from_others(self, user_id: UUID, now: int) -> None:
        """End the verification of the address of an account by the others that have it."""
        await self._executor.execute(_sql.withdraw_from_others, self._org_id, user_id, now)

    async def withdraw_mobile_from_others(self, user_id: UUID, digits: str, now: int) -> None:
        """End the verification of the mobile number with these digits by other accounts."""
        await self._executor.execute(_sql.withdraw_mobile_from_others, self._org_id, user_id, digits, now)

    async def put_claims(self, user_id: UUID, change: ClaimsChange, now: int) -> ClaimsRow | None:
        """Change claims and return all of them; None if no account has this id and the expected values."""
        row = await self._executor.fetchrow(
            _sql.put_claims,
            self._org_id, user_id, change.values, change.verified, change.withdrawn, change.expected, now,
        )  # fmt: skip
        return struct_of(ClaimsRow, row)

    async def put_username(
        self, user_id: UUID, username: str, username_key: str, address: str | None, now: int
    ) -> ClaimsRow | None:
        """Give an account another username and address, which nobody has verified; None: no such account."""
        asked = user_id, username, username_key, address, now
        return struct_of(ClaimsRow, await self._executor.fetchrow(_sql.put_username, self._org_id, *asked))

    async def put_used(self, user_id: UUID, now: int) -> None:
        """Record that somebody signed in to an account."""
        await self._executor.execute(_sql.put_used, self._org_id, user_id, now)

    async def put_password(self, user_id: UUID, password_hash: str, now: int) -> bool:
        """Replace the password of a user; False if there is no such account."""
        found = await self._executor.fetchval(_sql.put_password, self._org_id, user_id, password_hash, now)
        return found is not None

    async def delete(self, user_id: UUID) -> bool:
        """Delete an account with its sessions and grants; False if there was none."""
        return await self._executor.fetchval(_sql.delete, self._org_id, user_id) is not None
