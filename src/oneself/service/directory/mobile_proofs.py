"""How somebody proves that a mobile number is theirs: a code that is sent to it, entered by who is signed in.

    ask ─▶ a message in the outbox ─▶ a code when it is sent ─▶ confirm
                                                            └▶ withdraw (“this is not my number”)

Invariants: a code works once, for the account that asked and the number that it was sent to, for ten minutes,
and until five wrong ones were entered. It is stored as a keyed digest, because a million codes are soon
tried. Asking again ends the code before. A proven number is stored in E.164. Source:
docs/guides/mobile-numbers.md, docs/decisions/0038-codes-are-sent-by-a-webhook.md.
"""

from __future__ import annotations

import hmac
import secrets
import time
from typing import Literal
from uuid import UUID

import msgspec

from oneself.errors import InvalidInput
from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.delivery.outbox import CodeMessage, Letter, Outbox
from oneself.service.directory.accounts import ADDRESS_CLAIM, MOBILE_CLAIM, Account, account_of
from oneself.service.directory.address_proofs import INTERFACE, Asker
from oneself.service.directory.mobile_numbers import digits_of, e164
from oneself.service.directory.throttle import Subject, Throttle
from oneself.service.directory.users import Users
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.account import ClaimsChange
from oneself.store.tables.delivery import DueDelivery
from oneself.store.tables.mobile_code import MobileCodeRow

#: The kind of message.
MOBILE_CODE = "mobile_code"
#: What a webhook is told that the code is for.
PURPOSE = "verify_mobile"
CODE_DIGITS = 6
CODE_LIFE_S = 600
#: How many wrong codes end a code: one of 200 000 who guess succeeds.
ATTEMPTS_MAX = 5

#: Why a code does not work. `none`: nobody asked for one. `moved`: the account has another number by now.
CodeProblem = Literal["none", "wrong", "spent", "used", "expired", "moved"]


class SentCode(msgspec.Struct, frozen=True):
    """A code that was asked for last, and whether it can be used."""

    #: In E.164.
    number: str
    #: None: it can be used.
    problem: CodeProblem | None
    #: How many wrong codes it takes yet.
    attempts_left: int
    #: When it was asked for, and until when it works, in µs since 1970.
    asked_at: int
    expires_at: int


class MobileProofs:
    """Sends codes to mobile numbers, and verifies the numbers of those who enter them."""

    def __init__(
        self, directory: Directory, users: Users, outbox: Outbox, throttle: Throttle, secret_box: SecretBox
    ) -> None:
        self._directory = directory
        self._users = users
        self._outbox = outbox
        self._throttle = throttle
        self._secret_box = secret_box

    async def is_accepted(self, dataset_ref: DatasetRef) -> bool:
        """Whether people can verify their numbers by a code."""
        return await self._users.accepts(dataset_ref, MOBILE_CLAIM, "code")

    async def ask(self, dataset_ref: DatasetRef, account: Account, asker: Asker, locale: str = "") -> int:
        """Send a code to the number of an account. Seconds to wait if there were too many; 0: sent.

        Raises InvalidInput if the number is not one that a message can be sent to.
        """
        number = number_of(account)
        if number is None:
            raise InvalidInput("mobile", "Write the number with its country code, such as +44 7700 900123.")
        subjects = _subjects(dataset_ref, account, number, asker)
        if wait_s := await self._throttle.acquire_together(dataset_ref, *subjects):
            return wait_s
        user_id, now = account.user_id, time.time_ns() // 1000
        facts = {"locale": locale} if locale else {}
        letter = Letter(MOBILE_CODE, number, user_id, facts, life_s=CODE_LIFE_S, channel="webhook")
        async with self._directory.transaction() as tables:
            organisation = tables.of(dataset_ref.org_id)
            # An attempt to send the code before would reach the person after this one.
            await organisation.deliveries.delete_waiting(user_id, MOBILE_CODE)
            delivery_id = await self._outbox.put(tables, dataset_ref, letter)
            expires_at = now + CODE_LIFE_S * 1_000_000
            await organisation.mobile_codes.put(user_id, delivery_id, number, now, expires_at)
        self._outbox.wake()
        return 0

    async def compose(self, tables: DirectoryTables, delivery: DueDelivery) -> CodeMessage | None:
        """Make a code; None if the account asked for another one, or has another number by now."""
        assert delivery.user_id is not None, "a code is for an account"
        organisation, number = tables.of(delivery.org_id), delivery.recipient
        row = await organisation.accounts.find(delivery.user_id)
        if row is None or not _proves(account_of(row), number):
            return None
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        digest = self._digest(delivery.org_id, row.user_id, number, code)
        if not await organisation.mobile_codes.put_digest(row.user_id, delivery.delivery_id, digest):
            return None
        return CodeMessage(number, code, PURPOSE, delivery.facts.get("locale", ""))

    async def find(self, dataset_ref: DatasetRef, account: Account) -> SentCode | None:
        """The code that was sent to the number of an account last; None if none was."""
        row = await self._directory.of(dataset_ref.org_id).mobile_codes.find(account.user_id)
        if row is None or row.number != number_of(account):
            return None
        left = max(0, ATTEMPTS_MAX - row.attempts)
        return SentCode(row.number, _problem_of(row), left, row.created_at, row.expires_at)

    async def confirm(self, dataset_ref: DatasetRef, account: Account, code: str) -> Account | CodeProblem:
        """Verify the number of an account by a code. Others lose it, and the codes that they have for it."""
        number, user_id = number_of(account), account.user_id
        now, codes = time.time_ns() // 1000, self._directory.of(dataset_ref.org_id).mobile_codes
        # Counted before it is compared, so that guesses that arrive together are counted too.
        row = number and await codes.count_attempt(user_id, number, ATTEMPTS_MAX, now)
        if not number or not row:
            return (sent.problem or "wrong") if (sent := await self.find(dataset_ref, account)) else "none"
        expected = self._digest(dataset_ref.org_id, user_id, number, code)
        if row.code_digest is None or not hmac.compare_digest(expected, row.code_digest):
            return "wrong" if row.attempts < ATTEMPTS_MAX else "spent"
        proved = await self._put_verified(dataset_ref, user_id, number, row.delivery_id)
        if isinstance(proved, Account):
            await self._users.record_proof(dataset_ref, Actor(INTERFACE), account, proved, MOBILE_CLAIM)
        return proved

    async def withdraw(self, dataset_ref: DatasetRef, account: Account) -> Account:
        """Take the number from an account, because its owner says that it is not theirs."""
        after = await self._users.change(dataset_ref, Actor(INTERFACE), account.user_id, {"mobile": ""})
        async with self._directory.transaction() as tables:
            organisation = tables.of(dataset_ref.org_id)
            await organisation.deliveries.delete_waiting(account.user_id, MOBILE_CODE)
            await organisation.mobile_codes.delete(account.user_id)
        return after

    async def _put_verified(
        self, dataset_ref: DatasetRef, user_id: UUID, number: str, delivery_id: UUID
    ) -> Account | CodeProblem:
        now, digits = time.time_ns() // 1000, digits_of(number)
        async with self._directory.transaction() as tables:
            organisation = tables.of(dataset_ref.org_id)
            await organisation.accounts.lock_mobile(digits)
            row = await organisation.accounts.lock(user_id)
            if row is None or not _proves(account_of(row), number):
                return "moved"
            if not await organisation.mobile_codes.put_used(user_id, delivery_id, now):
                return "used"
            await organisation.mobile_codes.put_used_of_others(user_id, number, now)
            await organisation.accounts.withdraw_mobile_from_others(user_id, digits, now)
            change = ClaimsChange({MOBILE_CLAIM: number}, {MOBILE_CLAIM: now}, (), {MOBILE_CLAIM: number})
            claims = await organisation.accounts.put_claims(user_id, change, now)
            assert claims is not None, "the account is locked"
        return Account(user_id, row.username, claims.claims, row.created_at, claims.verified)

    def _digest(self, org_id: int, user_id: UUID, number: str, code: str) -> bytes:
        return self._secret_box.keyed_digest("mobile code", str(org_id), str(user_id), number, code)


def number_of(account: Account) -> str | None:
    """The number of an account in E.164; None if no message can be sent to it."""
    return e164(account.claims.get(MOBILE_CLAIM, ""))


def _proves(account: Account, number: str) -> bool:
    """Whether a code for a number proves something of an account."""
    return number_of(account) == number and MOBILE_CLAIM not in account.verified


def _problem_of(row: MobileCodeRow) -> CodeProblem | None:
    if row.used_at is not None:
        return "used"
    if row.expires_at <= time.time_ns() // 1000:
        return "expired"
    return "spent" if row.attempts >= ATTEMPTS_MAX else None


def _subjects(dataset_ref: DatasetRef, account: Account, number: str, asker: Asker) -> tuple[Subject, ...]:
    """What codes are counted by.

    An account whose address nobody has proved costs a stranger nothing, so it uses up nothing of what the
    others may ask for.
    """
    group = "proven" if ADDRESS_CLAIM in account.verified else "unproven"
    return (
        ("code_number", f"{group} {number}"),
        ("code_account", str(account.user_id)),
        ("code_network", f"{group} {asker.network}"),
        ("code_organisation", f"{group} {dataset_ref.handle}"),
    )
