"""What people change of their own accounts with the password: the password, the mobile number, all of it.

    change_password ─▶ sessions and grants end ─▶ a notice by mail
    delete          ─▶ what they own is erased ─▶ a receipt by mail

Lives here: changes that need nothing but the password. `address_changes` has that of the e-mail address.

Invariants: the password is compared again, as it is stored, in the transaction that changes it. A notice is
stored in the transaction of what it tells. Source: docs/guides/anonymous-to-registered.md, "Changes".
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from oneself.errors import InvalidInput
from oneself.service.context import Actor, DatasetRef
from oneself.service.delivery.outbox import Letter, MailText, Outbox
from oneself.service.directory.accounts import (
    ADDRESS_CLAIM,
    Account,
    Accounts,
    Also,
    account_of,
    password_problem,
)
from oneself.service.directory.address_proofs import INTERFACE, Asker
from oneself.service.directory.recovery import PASSWORD_REPLACED
from oneself.service.directory.throttle import Subject, Throttle
from oneself.service.directory.tokens import AccessTokens
from oneself.service.directory.users import Users
from oneself.service.privacy.erasure import Receipt
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.delivery import DueDelivery

#: The kind of mail.
ACCOUNT_DELETED = "account_deleted"


class ChangeNotices(Protocol):
    """Says what notices say. `handle` and `name`: of the organisation. `at`: in µs since 1970."""

    def account_deleted(self, handle: str, name: str, receipt_ids: Sequence[str], at: int) -> MailText: ...


class AccountChanges:
    """Changes and deletes accounts for whoever is signed in to them and has the password."""

    def __init__(
        self,
        directory: Directory,
        accounts: Accounts,
        users: Users,
        tokens: AccessTokens,
        outbox: Outbox,
        throttle: Throttle,
        notices: ChangeNotices,
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._users = users
        self._tokens = tokens
        self._outbox = outbox
        self._throttle = throttle
        self._notices = notices

    async def change_password(
        self, dataset_ref: DatasetRef, account: Account, current: str, new: str, asker: Asker
    ) -> Account | int | None:
        """Replace the password, and end every session and grant; None if `current` is not the password.

        Each change of a verified account is a mail to its address. Seconds to wait, at least one, if it got
        too many. Raises InvalidInput.
        """
        check_new_password(new, account.username)
        known = await self._accounts.find_by_password(dataset_ref, account.user_id, current)
        if known is None:
            return None
        hashed = await self._accounts.hash_password(dataset_ref, known.username, new)
        counted = _counted(dataset_ref, account, asker)
        wait_s = await self._throttle.acquire_together(dataset_ref, *counted)
        if wait_s and ADDRESS_CLAIM in account.verified:
            return wait_s
        sends_notice = bool(counted) and not wait_s
        async with self._directory.transaction() as tables:
            accounts = tables.of(dataset_ref.org_id).accounts
            row = await accounts.lock(account.user_id)
            if row is not None and row.password_hash == known.password_hash:
                await accounts.put_password(row.user_id, hashed, time.time_ns() // 1000)
                await self._tokens.revoke_user(tables, dataset_ref, row.user_id)
                if sends_notice:
                    facts = {"browser": asker.browser}
                    letter = Letter(PASSWORD_REPLACED, account.claims[ADDRESS_CLAIM], row.user_id, facts)
                    await self._outbox.put(tables, dataset_ref, letter)
                changed = account_of(row)
            else:
                changed = None
        if sends_notice:
            await self._settle(dataset_ref, account, asker, counted, is_sent=changed is not None)
        return changed

    async def change_mobile(
        self, dataset_ref: DatasetRef, account: Account, mobile: str, password: str
    ) -> Account | None:
        """Replace the mobile number, which is not verified then; None if this is not the password.

        Raises InvalidRegistration.
        """
        if not await self._accounts.is_password(dataset_ref, account.user_id, password):
            return None
        return await self._users.change(dataset_ref, Actor(INTERFACE), account.user_id, {"mobile": mobile})

    async def delete(
        self, dataset_ref: DatasetRef, account: Account, password: str, asker: Asker
    ) -> tuple[Receipt, ...] | None:
        """Erase what the user owns, and delete the account; None if this is not the password.

        Returns the receipts of the erasures, as `Users.delete`.
        """
        if not await self._accounts.is_password(dataset_ref, account.user_id, password):
            return None
        sends_notice = ADDRESS_CLAIM in account.verified

        def receipt_of(erased: tuple[Receipt, ...]) -> Also:
            ids = " ".join(str(receipt.receipt_id) for receipt in erased)
            letter = Letter(ACCOUNT_DELETED, account.username, facts={"receipts": ids})

            async def put(tables: DirectoryTables) -> None:
                if sends_notice:
                    await self._outbox.put(tables, dataset_ref, letter)

            return put

        receipts = await self._users.delete(dataset_ref, Actor(INTERFACE), account.user_id, receipt_of)
        if sends_notice:
            await self._throttle.record(dataset_ref, *_senders(dataset_ref, asker))
            self._outbox.wake()
        return receipts

    async def compose(self, _tables: DirectoryTables, mail: DueDelivery) -> MailText:
        """What a receipt says."""
        receipts = mail.facts.get("receipts", "").split()
        return self._notices.account_deleted(mail.handle, mail.name, receipts, mail.created_at)

    async def _settle(
        self,
        dataset_ref: DatasetRef,
        account: Account,
        asker: Asker,
        counted: Sequence[Subject],
        *,
        is_sent: bool,
    ) -> None:
        """Send what was counted, or count it no longer."""
        if not is_sent:
            await self._throttle.give_back(dataset_ref, *counted)
            return
        if ADDRESS_CLAIM in account.verified:
            await self._throttle.record(dataset_ref, *_senders(dataset_ref, asker))
        self._outbox.wake()


def check_new_password(password: str, username: str) -> None:
    """Raises InvalidInput unless an account with this username may get this password."""
    if problem := password_problem(password, username):
        raise InvalidInput("password", problem)


def _counted(dataset_ref: DatasetRef, account: Account, asker: Asker) -> tuple[Subject, ...]:
    """What limits the notices to an account; nothing if it has no address.

    A verified address has one account, and nothing that others do keeps its notices back. Another one may
    be a stranger's, so it gets no more mails than anybody may ask for.
    """
    if ADDRESS_CLAIM not in account.claims:
        return ()
    if ADDRESS_CLAIM in account.verified:
        return (("recipient", f"{PASSWORD_REPLACED} {account.user_id}"),)
    recipient: Subject = "recipient", f"{PASSWORD_REPLACED} {account.username.casefold()}"
    return recipient, *_senders(dataset_ref, asker)


def _senders(dataset_ref: DatasetRef, asker: Asker) -> tuple[Subject, ...]:
    return ("mail_sender", asker.network), ("organisation", dataset_ref.handle)
