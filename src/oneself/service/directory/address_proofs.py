"""How somebody proves that an e-mail address is theirs: a link by mail, and the password of the account.

    ask ─▶ a mail in the outbox ─▶ a link when it is sent ─▶ find ─▶ confirm (with the password)
                                                                 └▶ withdraw (“this was not me”)

Invariants: a link proves nothing by itself: whoever registered has the password, whoever has the mailbox has
the link, and only one person has both. Secrets of links are stored as digests. A link works once, for the
address that it was sent to, and until it expires. Source: docs/concepts/trust.md, "Verified addresses".
"""

from __future__ import annotations

import time

import msgspec

from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import digest
from oneself.service.delivery.outbox import Letter, MailText, Outbox
from oneself.service.directory.account_links import LinkProblem, find_link, make_link
from oneself.service.directory.accounts import ADDRESS_CLAIM, Account, Accounts, account_of
from oneself.service.directory.mail_texts import MailTexts
from oneself.service.directory.throttle import Subject, Throttle
from oneself.service.directory.users import Users
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.account_link import LinkRow
from oneself.store.tables.delivery import DueDelivery

#: The kind of mail, and the purpose of its link.
VERIFICATION = "verification"
LINK_LIFE_S = 3 * 86_400
#: The actor of what people prove on the pages.
INTERFACE = "accounts"


class Asker(msgspec.Struct, frozen=True):
    """Who asks for a mail: a description of the browser, in our words, and its network."""

    browser: str
    network: str


class VerificationLink(msgspec.Struct, frozen=True):
    """A link that can be used, and what its page and its mail say."""

    account: Account
    address: str
    #: The browser that asked for it, in our words.
    browser: str
    #: When it was asked for, and until when it works, in µs since 1970.
    asked_at: int
    expires_at: int


class MailCounts:
    """Counts mails, so that nobody gets many and nobody sends many."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    async def acquire(self, dataset_ref: DatasetRef, kind: str, recipient: str, asker: Asker) -> int:
        """Count a mail. Seconds to wait if there were too many; 0: it may be sent."""
        subjects: tuple[Subject, ...] = (
            ("recipient", f"{kind} {recipient.casefold()}"),
            ("mail_sender", asker.network),
            ("organisation", dataset_ref.handle),
        )
        return await self._throttle.acquire_together(dataset_ref, *subjects)


class AddressProofs:
    """Sends links to addresses, and verifies the addresses of those who use them."""

    def __init__(
        self,
        directory: Directory,
        accounts: Accounts,
        users: Users,
        outbox: Outbox,
        counts: MailCounts,
        texts: MailTexts,
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._users = users
        self._outbox = outbox
        self._counts = counts
        self._texts = texts

    async def ask(self, dataset_ref: DatasetRef, account: Account, asker: Asker) -> int:
        """Send a link to the address of an account, unless the organisation lets nobody verify by mail.

        Seconds to wait if it got too many mails; 0: sent.
        """
        if not await self.is_accepted(dataset_ref):
            return 0
        if wait_s := await self._counts.acquire(dataset_ref, VERIFICATION, account.username, asker):
            return wait_s
        facts = {"browser": asker.browser}
        letter = Letter(VERIFICATION, account.username, account.user_id, facts, life_s=LINK_LIFE_S)
        async with self._directory.transaction() as tables:
            await self._outbox.put(tables, dataset_ref, letter)
        self._outbox.wake()
        return 0

    async def is_accepted(self, dataset_ref: DatasetRef) -> bool:
        """Whether people can verify their addresses by mail."""
        return await self._users.accepts(dataset_ref, ADDRESS_CLAIM, "mail")

    async def compose(self, tables: DirectoryTables, mail: DueDelivery) -> MailText | None:
        """Make the link of a mail and say what it says; None if there is nothing to prove any more."""
        assert mail.user_id is not None, "a verification is about an account"
        row = await tables.of(mail.org_id).accounts.find(mail.user_id)
        if row is None or row.claims.get(ADDRESS_CLAIM) != mail.recipient or ADDRESS_CLAIM in row.verified:
            return None
        browser = mail.facts.get("browser", "")
        link = VerificationLink(account_of(row), mail.recipient, browser, mail.created_at, mail.expires_at)
        secret = await make_link(tables, mail, VERIFICATION, row.user_id, mail.recipient)
        return self._texts.verification(mail.handle, mail.name, link, secret)

    async def find(self, dataset_ref: DatasetRef, secret: str) -> VerificationLink | LinkProblem:
        """What a link is for, or why it cannot be used. Changes nothing."""
        row = await find_link(self._directory, dataset_ref, secret, (VERIFICATION,))
        return row if isinstance(row, str) else await self._usable(dataset_ref, row)

    async def confirm(
        self, dataset_ref: DatasetRef, secret: str, password: str, *, begins_profile: bool = True
    ) -> Account | LinkProblem | None:
        """Verify the address of a link; None if this is not the password of the account.

        The links that others have for this address can no longer be used. `begins_profile`: as in `Users`.
        """
        link = await self.find(dataset_ref, secret)
        if not isinstance(link, VerificationLink):
            return link
        user_id = link.account.user_id
        if not await self._accounts.is_password(dataset_ref, user_id, password):
            return None
        verified = await self._users.change(
            dataset_ref,
            Actor(INTERFACE),
            user_id,
            {},
            {ADDRESS_CLAIM: True},
            source="mail",
            begins_profile=begins_profile,
        )
        async with self._directory.transaction() as tables:
            links, now = tables.of(dataset_ref.org_id).account_links, time.time_ns() // 1000
            await links.put_used(digest(secret), now)
            await links.put_used_of_address(user_id, now)
        return verified

    async def withdraw(self, dataset_ref: DatasetRef, secret: str) -> VerificationLink | LinkProblem:
        """Take the address from the account of a link, because its owner says that it is not theirs."""
        link = await self.find(dataset_ref, secret)
        if isinstance(link, VerificationLink):
            await self._users.withdraw_address(dataset_ref, Actor(INTERFACE), link.account)
            async with self._directory.transaction() as tables:
                links = tables.of(dataset_ref.org_id).account_links
                purposes = (VERIFICATION,)
                await links.put_used_of_account(link.account.user_id, purposes, time.time_ns() // 1000)
        return link

    async def _usable(self, dataset_ref: DatasetRef, row: LinkRow) -> VerificationLink | LinkProblem:
        account = await self._accounts.find(dataset_ref, row.user_id)
        if account is None or account.claims.get(ADDRESS_CLAIM) != row.address:
            return "moved"
        if ADDRESS_CLAIM in account.verified:
            return "used"
        if not await self.is_accepted(dataset_ref):
            return "not_accepted"
        browser = row.facts.get("browser", "")
        return VerificationLink(account, row.address, browser, row.created_at, row.expires_at)
