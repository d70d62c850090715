"""Accounts of the embedded directory: the users who sign in.

Lives here: registration, passwords, claims of an account. Must not know: what a sign-in does to profiles
(`sign_in`), and pages.

Invariants: a username is an e-mail address, whatever its case. It reserves nothing until it is verified:
several accounts may have it, of which one at most has verified it. Passwords are stored as argon2 hashes
alone. An unknown username takes as long to reject as a wrong password, and so do several accounts with one.

Source: docs/guides/anonymous-to-registered.md, "Verified addresses".
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.context import DatasetRef
from oneself.service.crypto import Hasher, SecretBox
from oneself.service.directory.account_audit import (
    CREATED,
    DELETED,
    NEW_PASSWORD,
    account_differences,
    put_account_change,
)
from oneself.service.directory.common_passwords import COMMON_PASSWORDS
from oneself.service.directory.mobile_numbers import digits_of
from oneself.service.directory.tokens import AccessTokens
from oneself.service.directory.usernames import address_problem, sign_in_key, stored_address, username_key
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.account import AccountRow, ClaimsChange

#: The claims that `identity_attributes` mirror.
CLAIMS = ("userid", "username", "emailaddress", "givenname", "lastname", "mobile")
#: The claims that can be verified.
VERIFIABLE_CLAIMS = ("emailaddress", "mobile")
#: The claim that is the username.
ADDRESS_CLAIM = "emailaddress"
MOBILE_CLAIM = "mobile"
#: How many accounts with one unverified address are read at once, the newest ones; others are found by hash.
ACCOUNTS_AT_ONCE = 1_000
#: How many accounts with one address a message names.
ACCOUNTS_NAMED = 5
SALT_BYTES = 16
#: After every user id.
LAST_ID = UUID(int=2**128 - 1)
NAME_CHARACTERS_MAX = 100
PASSWORD_CHARACTERS_MIN = 8
PASSWORD_BYTES_MAX = 1_024
_CLAIM_OF = {"given_name": "givenname", "last_name": "lastname", "mobile": "mobile"}
_NOTHING: Mapping[str, bool] = {}
#: What is written in the transaction of a change.
Also = Callable[[DirectoryTables], Awaitable[None]]
_MOBILE = re.compile(r"\+?[0-9][0-9 ()./-]{3,30}")


class Account(msgspec.Struct, frozen=True):
    """A user of the embedded directory."""

    user_id: UUID
    username: str
    #: Claim → value; claims without a value are absent.
    claims: dict[str, str]
    #: In µs since 1970.
    created_at: int = 0
    #: Verified claim → since when, in µs since 1970.
    verified: dict[str, int] = {}


class Registration(msgspec.Struct, frozen=True):
    """A registration form as it was filled in."""

    username: str
    password: str
    given_name: str
    last_name: str
    mobile: str = ""


class InvalidRegistration(InvalidInput):
    """A registration with invalid fields. `problems`: field → sentence, one per invalid field."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        field, sentence = next(iter(problems.items()))
        super().__init__(field, sentence)
        self.problems = dict(problems)


class Accounts:
    """Registers, finds, changes and authenticates users."""

    def __init__(
        self, directory: Directory, hasher: Hasher, tokens: AccessTokens, secret_box: SecretBox
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._tokens = tokens
        self._secret_box = secret_box

    async def register(self, dataset_ref: DatasetRef, registration: Registration) -> Account:
        """Create an account, whoever else has its address. Raises InvalidRegistration."""
        if problems := problems_of(registration):
            raise InvalidRegistration(problems)
        user_id, username = uuid.uuid4(), stored_address(registration.username)
        claims = _claims(user_id, username, registration)
        hashed = await self.hash_password(dataset_ref, username, registration.password)
        row = AccountRow(user_id, username, hashed, claims, time.time_ns() // 1000)
        async with self._directory.transaction() as transaction:
            tables = transaction.of(dataset_ref.org_id)
            await tables.accounts.put(row, _stored_key(username))
            await put_account_change(tables, CREATED)
        return account_of(row)

    async def create(self, dataset_ref: DatasetRef, registration: Registration) -> Account:
        """Create an account for somebody else.

        Raises InvalidRegistration, or Conflict if an account has verified the address.
        """
        known = await self._find_by_username(dataset_ref, registration.username)
        if any(ADDRESS_CLAIM in row.verified for row in known):
            raise Conflict("A user has verified this e-mail address already.", code="username")
        return await self.register(dataset_ref, registration)

    async def authenticate(self, dataset_ref: DatasetRef, username: str, password: str) -> Account | None:
        """The account with this username, or user id, and password; None if there is none.

        Of several, it is the one that has verified the address; else the newest one whose password it is.
        """
        rows: tuple[AccountRow, ...] = ()
        if len(_utf8(password)) <= PASSWORD_BYTES_MAX:
            rows = await self._find_by_username(dataset_ref, username)
        if not rows:
            await self._hasher.reject_slowly(password[:PASSWORD_BYTES_MAX])
            return None
        number = await self._hasher.find_match([row.password_hash for row in rows], password)
        if number is not None:
            return account_of(rows[number])
        if len(rows) < ACCOUNTS_AT_ONCE:
            return None
        return await self._authenticate_older(dataset_ref, username, password)

    async def find_sole(self, dataset_ref: DatasetRef, username: str) -> Account | None:
        """The account that a username leads to, whatever the password; None if there are several, or none.

        Of several, who signs in to one shows nothing about the others.
        """
        rows = await self._find_by_username(dataset_ref, username, 2)
        return account_of(rows[0]) if len(rows) == 1 else None

    async def find(self, dataset_ref: DatasetRef, user_id: UUID) -> Account | None:
        """The account of a user; None if there is none."""
        row = await self._directory.of(dataset_ref.org_id).accounts.find(user_id)
        return account_of(row) if row else None

    async def find_by_name(self, dataset_ref: DatasetRef, name: str) -> Account:
        """The account with this username or user id.

        Raises NotFound, or Conflict if several have the username and no one has verified it.
        """
        rows = await self._find_by_username(dataset_ref, name)
        if not rows and (user_id := _uuid(name)):
            found = await self._directory.of(dataset_ref.org_id).accounts.find(user_id)
            rows = () if found is None else (found,)
        if not rows:
            raise NotFound(f"There is no user {name!r} in {dataset_ref.handle}.")
        if len(rows) > 1:
            raise _ambiguous(name, [row.user_id for row in rows])
        return account_of(rows[0])

    async def list(
        self, dataset_ref: DatasetRef, after: str = "", count: int = 100, *, after_id: UUID | None = None
    ) -> list[Account]:
        """The next `count` accounts after the username `after`, in the order of usernames.

        `after_id`: of the accounts with this username, those after this user id belong to them; None: none.
        """
        key = username_key(after)
        if key is None:
            return []
        position = key, LAST_ID if after_id is None else after_id
        rows = await self._directory.of(dataset_ref.org_id).accounts.list(position, count)
        return [account_of(row) for row in rows]

    async def change(
        self,
        dataset_ref: DatasetRef,
        account: Account,
        changes: Mapping[str, str],
        verified: Mapping[str, bool] = _NOTHING,
    ) -> Account:
        """Change names, mobile number or password, by the field names of `Registration`.

        `verified`: claim → whether it is verified from now on. A claim whose value changes is not, unless it
        is named here. Raises InvalidInput, NotFound, or Conflict if a value to verify changed meanwhile.
        """
        if problems := problems_of_change(account, changes):
            raise InvalidRegistration(problems)
        now = time.time_ns() // 1000
        change = _claims_change(account, changes, verified, now)
        async with self._directory.transaction() as transaction:
            tables = transaction.of(dataset_ref.org_id)
            accounts = tables.accounts
            if ADDRESS_CLAIM in change.verified:
                await accounts.lock_username(_stored_key(account.username))
                await accounts.withdraw_from_others(account.user_id, now)
            if digits := digits_of(change.expected.get(MOBILE_CLAIM, "")):
                await accounts.lock_mobile(digits)
                await accounts.withdraw_mobile_from_others(account.user_id, digits, now)
            row = await accounts.put_claims(account.user_id, change, now)
            if row is None:
                raise await self._not_changed(dataset_ref, account.user_id)
            was, now_is = account.claims.get, row.claims.get
            fields = [field for field, claim in _CLAIM_OF.items() if was(claim) != now_is(claim)]
            await put_account_change(tables, account_differences(fields, account.verified, row.verified))
        if "password" in changes:
            await self.set_password(dataset_ref, account.user_id, changes["password"])
        return msgspec.structs.replace(account, claims=row.claims, verified=row.verified)

    async def set_password(self, dataset_ref: DatasetRef, user_id: UUID, password: str) -> None:
        """Replace a password, end the user's sessions and revoke their tokens.

        Raises InvalidInput, NotFound.
        """
        if problem := password_problem(password):
            raise InvalidInput("password", problem)
        account = await self.find(dataset_ref, user_id)
        if account is None:
            raise NotFound(f"There is no user {user_id} in {dataset_ref.handle}.")
        hashed = await self.hash_password(dataset_ref, account.username, password)
        async with self._directory.transaction() as transaction:
            tables = transaction.of(dataset_ref.org_id)
            if not await tables.accounts.put_password(user_id, hashed, time.time_ns() // 1000):
                raise NotFound(f"There is no user {user_id} in {dataset_ref.handle}.")
            await self._tokens.revoke_user(transaction, dataset_ref, user_id)
            await put_account_change(tables, NEW_PASSWORD)

    async def is_password(self, dataset_ref: DatasetRef, user_id: UUID, password: str) -> bool:
        """Whether this is the password of a user. Takes equally long either way."""
        return await self.find_by_password(dataset_ref, user_id, password) is not None

    async def find_by_password(
        self, dataset_ref: DatasetRef, user_id: UUID, password: str
    ) -> AccountRow | None:
        """The stored account of a user, if this is its password. Takes equally long either way."""
        row = None
        if len(_utf8(password)) <= PASSWORD_BYTES_MAX:
            row = await self._directory.of(dataset_ref.org_id).accounts.find(user_id)
        if row is None:
            await self._hasher.reject_slowly(password[:PASSWORD_BYTES_MAX])
            return None
        return row if await self._hasher.matches(row.password_hash, password) else None

    async def hash_password(self, dataset_ref: DatasetRef, username: str, password: str) -> str:
        """The hash of a password for an account that has this username. All accounts with one username have
        one salt, so that one hash finds which of them somebody signs in to."""
        key = _stored_key(username)
        salt = self._secret_box.keyed_digest("password salt", str(dataset_ref.org_id), key)[:SALT_BYTES]
        return await self._hasher.hash(password, salt)

    async def withdraw_address(self, dataset_ref: DatasetRef, account: Account) -> Account:
        """Take the address from an account: its user id is its username from now on. Raises NotFound."""
        username = str(account.user_id)
        accounts = self._directory.of(dataset_ref.org_id).accounts
        row = await accounts.put_username(account.user_id, username, username, None, time.time_ns() // 1000)
        if row is None:
            raise await self._not_changed(dataset_ref, account.user_id)
        return msgspec.structs.replace(account, username=username, claims=row.claims, verified=row.verified)

    async def delete(self, dataset_ref: DatasetRef, user_id: UUID, also: Also | None = None) -> None:
        """Delete an account with its sessions and tokens; the profile stays. Raises NotFound.

        `also`: what is written in the same transaction.
        """
        async with self._directory.transaction() as tables:
            if not await self.delete_in(tables, dataset_ref, user_id):
                raise NotFound(f"There is no user {user_id} in {dataset_ref.handle}.")
            if also is not None:
                await also(tables)

    async def delete_in(self, tables: DirectoryTables, dataset_ref: DatasetRef, user_id: UUID) -> bool:
        """The same in a transaction that does more; False if there is no such account."""
        if not await tables.of(dataset_ref.org_id).accounts.delete(user_id):
            return False
        # Its grants went with it.
        await self._tokens.put_revoked(tables, dataset_ref, f"user:{user_id}")
        await put_account_change(tables.of(dataset_ref.org_id), DELETED)
        return True

    async def _not_changed(self, dataset_ref: DatasetRef, user_id: UUID) -> Conflict | NotFound:
        if await self.find(dataset_ref, user_id) is None:
            return NotFound(f"There is no user {user_id} in {dataset_ref.handle}.")
        return Conflict("The value to verify has changed. Read the user again.", code="value_changed")

    async def _authenticate_older(
        self, dataset_ref: DatasetRef, username: str, password: str
    ) -> Account | None:
        """The newest account of very many with one username whose password this is."""
        key = sign_in_key(username) or ""
        accounts = self._directory.of(dataset_ref.org_id).accounts
        hashes = await self._hasher.hashes_like(await accounts.list_kinds_of_hashes(key), password)
        row = await accounts.find_by_password(key, hashes)
        return account_of(row) if row else None

    async def _find_by_username(
        self, dataset_ref: DatasetRef, username: str, count: int = ACCOUNTS_AT_ONCE
    ) -> tuple[AccountRow, ...]:
        """The account that has verified a username; else those that have it, the newest first.

        A user id leads to its account, too: another account may have proved the address.
        """
        key = sign_in_key(username)
        if key is None or not username.isprintable():
            return ()
        accounts = self._directory.of(dataset_ref.org_id).accounts
        found = await accounts.find_by_username(key, count)
        if not found and (user_id := _uuid(key)) and str(user_id) == key:
            row = await accounts.find(user_id)
            return () if row is None else (row,)
        return tuple(row for row in found if ADDRESS_CLAIM in row.verified) or tuple(found)


def _ambiguous(name: str, user_ids: Sequence[UUID]) -> Conflict:
    named = ", ".join(map(str, user_ids[:ACCOUNTS_NAMED])) + (", …" if len(user_ids) > ACCOUNTS_NAMED else "")
    sentence = f"{len(user_ids)} users have the address {name!r}, and no one has verified it."
    return Conflict(f"{sentence} Name one by its user id: {named}.", code="ambiguous_user")


def _stored_key(username: str) -> str:
    """The same, of an account: `problems_of` checked its length."""
    key = username_key(username)
    assert key is not None
    return key


def account_of(row: AccountRow) -> Account:
    """The account of a stored row, without its password."""
    return Account(row.user_id, row.username, dict(row.claims), row.created_at, dict(row.verified))


def problems_of(registration: Registration) -> dict[str, str]:
    """Field → a sentence for the user about what is wrong with it."""
    checks = {
        "username": address_problem(registration.username),
        "given_name": _name_problem(registration.given_name, "your first name"),
        "last_name": _name_problem(registration.last_name, "your last name"),
        "mobile": _mobile_problem(registration.mobile),
        "password": password_problem(registration.password, registration.username),
    }
    return {field: problem for field, problem in checks.items() if problem}


def problems_of_change(account: Account, changes: Mapping[str, str]) -> dict[str, str]:
    """As `problems_of`, for the fields that change."""
    claims = account.claims
    changed = Registration(
        username=account.username,
        password=changes.get("password", ""),
        given_name=changes.get("given_name", claims.get("givenname", "")),
        last_name=changes.get("last_name", claims.get("lastname", "")),
        mobile=changes.get("mobile", claims.get("mobile", "")),
    )
    return {field: problem for field, problem in problems_of(changed).items() if field in changes}


def _name_problem(name: str, what: str) -> str | None:
    if not name.strip():
        return f"Enter {what}."
    if len(name) > NAME_CHARACTERS_MAX:
        return f"Use at most {NAME_CHARACTERS_MAX} characters."
    return None if name.strip().isprintable() else "Use letters, spaces and punctuation only."


def _mobile_problem(mobile: str) -> str | None:
    if not mobile.strip() or _MOBILE.fullmatch(mobile.strip()):
        return None
    return "Enter a phone number, such as +44 20 7946 0958, or leave it empty."


def password_problem(password: str, username: str = "") -> str | None:
    """What is wrong with a new password, as a sentence for the user; None: nothing."""
    if len(password) < PASSWORD_CHARACTERS_MIN:
        return f"Use at least {PASSWORD_CHARACTERS_MIN} characters."
    if len(_utf8(password)) > PASSWORD_BYTES_MAX:
        return f"Use at most {PASSWORD_BYTES_MAX} bytes."
    if password.casefold() in COMMON_PASSWORDS:
        return "This password is one of the most common ones. Choose another."
    key = username_key(username)
    if key and username_key(password) == key:
        return "Choose a password that is not your e-mail address."
    return None


def _claims(user_id: UUID, username: str, registration: Registration) -> dict[str, str]:
    given = {
        "userid": str(user_id),
        "username": username,
        "emailaddress": username,
        "givenname": registration.given_name.strip(),
        "lastname": registration.last_name.strip(),
        "mobile": registration.mobile.strip(),
    }
    return {claim: value for claim, value in given.items() if value}


def _claims_change(
    account: Account, changes: Mapping[str, str], verified: Mapping[str, bool], now: int
) -> ClaimsChange:
    """The change of the account's claims. Raises InvalidInput for a claim that cannot be verified."""
    values = {_CLAIM_OF[f]: text.strip() or None for f, text in changes.items() if f in _CLAIM_OF}
    after = {**account.claims, **values}
    expected = {claim: _verifiable(claim, after.get(claim)) for claim, is_so in verified.items() if is_so}
    withdrawn = tuple(claim for claim, is_so in verified.items() if not is_so)
    return ClaimsChange(values, dict.fromkeys(expected, now), withdrawn, expected)


def _verifiable(claim: str, value: str | None) -> str:
    if claim not in VERIFIABLE_CLAIMS:
        raise InvalidInput(claim, f"Only {' and '.join(VERIFIABLE_CLAIMS)} can be verified.")
    if not value:
        raise InvalidInput(claim, f"The user has no {claim}, so it cannot be verified.")
    return value


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
