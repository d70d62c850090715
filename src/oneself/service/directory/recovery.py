"""Recovery: somebody who forgot a password proves by a mail that the address is theirs.

    ask ─▶ a mail ─▶ a link when it is sent, if an account has the address ─▶ find
                        ├▶ set_password   for the account that has verified the address
                        ├▶ reclaim        for an account that nobody has proved, if it is theirs
                        └▶ begin_anew     a new account, if none is

Invariants: asking does the same whether an account exists or not. The mail goes to the address that the
account has, never to what was typed. An account that nobody has proved may be a stranger's who registered
with this address. So whoever says that it is theirs gets it without what it said of itself, and without the
browsers that it brought: nobody who used it before reads or sends anything in it.
Source: docs/guides/anonymous-to-registered.md, "Forgotten passwords".
"""

from __future__ import annotations

import time
from typing import Literal
from uuid import UUID

import msgspec

from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import digest
from oneself.service.delivery.outbox import Letter, MailText, Outbox
from oneself.service.directory.account_links import LinkProblem, find_link, make_link
from oneself.service.directory.accounts import (
    ADDRESS_CLAIM,
    MOBILE_CLAIM,
    Account,
    Accounts,
    InvalidRegistration,
    Registration,
    account_of,
    password_problem,
    problems_of,
)
from oneself.service.directory.address_proofs import INTERFACE, Asker, MailCounts
from oneself.service.directory.mail_texts import MailTexts
from oneself.service.directory.usernames import checked_address, sign_in_key
from oneself.service.directory.users import Users
from oneself.store.directory import Directory, DirectoryTables
from oneself.store.tables.delivery import DueDelivery

#: The kind of mail.
RECOVERY = "recovery"
#: The mail after a password was replaced.
PASSWORD_REPLACED = "password_replaced"  # noqa: S105
#: The purposes of links: a new password, and a new account.
RENEWAL: Literal["renewal"] = "renewal"
NEW_ACCOUNT: Literal["new_account"] = "new_account"
LINK_LIFE_S = 3_600
#: What somebody says anew of an account that they reclaim.
_REPLACED = ("given_name", "last_name", "mobile")
#: Of more unproven accounts with an address, a page names the newest ones.
NAMED_MAX = 5


class RecoveryLink(msgspec.Struct, frozen=True):
    """A link that can be used, and what its page and its mail say."""

    purpose: Literal["renewal", "new_account"]
    address: str
    #: The account that has verified the address; else the newest ones that have it.
    accounts: tuple[Account, ...]
    #: The browser that asked for it, in our words.
    browser: str
    #: When it was asked for, and until when it works, in µs since 1970.
    asked_at: int
    expires_at: int


class Recoveries:
    """Sends links to forgetful people, and replaces their passwords."""

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

    async def ask(self, dataset_ref: DatasetRef, address: str, asker: Asker) -> int:
        """Send a link to an address if an account has it.

        Seconds to wait if it got too many mails; 0: a mail is on its way, or there is no account. Raises
        InvalidInput.
        """
        address = checked_address(address)
        if wait_s := await self._counts.acquire(dataset_ref, RECOVERY, address, asker):
            return wait_s
        letter = Letter(RECOVERY, address, facts={"browser": asker.browser}, life_s=LINK_LIFE_S)
        async with self._directory.transaction() as tables:
            await self._outbox.put(tables, dataset_ref, letter)
        self._outbox.wake()
        return 0

    async def compose(self, tables: DirectoryTables, mail: DueDelivery) -> MailText | None:
        """Make the link of a mail and say what it says; None if no account has the address."""
        accounts = await _accounts_with(tables, mail.org_id, mail.recipient)
        if not accounts:
            return None
        first = accounts[0]
        purpose = RENEWAL if ADDRESS_CLAIM in first.verified else NEW_ACCOUNT
        link = RecoveryLink(
            purpose, first.username, accounts, mail.facts["browser"], mail.created_at, mail.expires_at
        )
        secret = await make_link(tables, mail, purpose, first.user_id, first.username)
        text = self._texts.recovery(mail.handle, mail.name, link, secret)
        return msgspec.structs.replace(text, recipient=first.username)

    async def compose_notice(self, tables: DirectoryTables, mail: DueDelivery) -> MailText:
        """Say that a password was replaced."""
        browser = mail.facts["browser"]
        return self._texts.password_replaced(mail.handle, mail.name, browser, mail.created_at)

    async def find(self, dataset_ref: DatasetRef, secret: str) -> RecoveryLink | LinkProblem:
        """What a link is for, or why it cannot be used. Changes nothing."""
        row = await find_link(self._directory, dataset_ref, secret, (RENEWAL, NEW_ACCOUNT))
        if isinstance(row, str):
            return row
        accounts = await _accounts_with(self._directory, dataset_ref.org_id, row.address)
        is_verified = bool(accounts) and ADDRESS_CLAIM in accounts[0].verified
        if is_verified != (row.purpose == RENEWAL) or row.user_id not in {a.user_id for a in accounts}:
            return "moved"
        purpose = RENEWAL if is_verified else NEW_ACCOUNT
        browser = row.facts.get("browser", "")
        return RecoveryLink(purpose, row.address, accounts, browser, row.created_at, row.expires_at)

    async def set_password(
        self, dataset_ref: DatasetRef, secret: str, password: str, asker: Asker
    ) -> Account | LinkProblem:
        """Replace the password of the account that has verified the address; end its sessions and tokens.

        Raises InvalidRegistration.
        """
        link = await self.find(dataset_ref, secret)
        if not isinstance(link, RecoveryLink) or link.purpose != RENEWAL:
            return link if isinstance(link, str) else "unknown"
        (account,) = link.accounts
        if problem := password_problem(password, account.username):
            raise InvalidRegistration({"password": problem})
        if not await self._use(dataset_ref, secret):
            return "used"
        await self._accounts.set_password(dataset_ref, account.user_id, password)
        facts = {"browser": asker.browser}
        async with self._directory.transaction() as tables:
            now, links = time.time_ns() // 1000, tables.of(dataset_ref.org_id).account_links
            await links.put_used_of_account(account.user_id, (RENEWAL,), now)
            letter = Letter(PASSWORD_REPLACED, account.username, account.user_id, facts)
            await self._outbox.put(tables, dataset_ref, letter)
        self._outbox.wake()
        return account

    async def begin_anew(
        self, dataset_ref: DatasetRef, secret: str, registration: Registration
    ) -> Account | LinkProblem:
        """Create an account that has verified the address of a link; the others lose it.

        `registration`: its username is ignored. Raises InvalidRegistration.
        """
        link = await self.find(dataset_ref, secret)
        if not isinstance(link, RecoveryLink) or link.purpose != NEW_ACCOUNT:
            return link if isinstance(link, str) else "unknown"
        registration = msgspec.structs.replace(registration, username=link.address)
        if problems := problems_of(registration):
            raise InvalidRegistration(problems)
        if not await self._use(dataset_ref, secret):
            return "used"
        account = await self._accounts.register(dataset_ref, registration)
        proved = await self._users.change(
            dataset_ref,
            Actor(INTERFACE),
            account.user_id,
            {},
            await self._proved(dataset_ref),
            source="mail",
        )
        await self._withdraw_from_others(dataset_ref, link, proved)
        async with self._directory.transaction() as tables:
            links = tables.of(dataset_ref.org_id).account_links
            await links.put_used_of_address(account.user_id, time.time_ns() // 1000)
        return proved

    async def reclaim(
        self, dataset_ref: DatasetRef, secret: str, user_id: UUID, registration: Registration
    ) -> Account | LinkProblem:
        """Give an account that nobody has proved to whoever has its address; the others lose the address.

        Sessions, grants, links, ties to browsers and what the account said of itself end. An interruption
        leaves the link usable. Raises InvalidRegistration.
        """
        link = await self.find(dataset_ref, secret)
        if not isinstance(link, RecoveryLink) or link.purpose != NEW_ACCOUNT:
            return link if isinstance(link, str) else "unknown"
        if user_id not in {account.user_id for account in link.accounts}:
            return "moved"
        registration = msgspec.structs.replace(registration, username=link.address)
        if problems := problems_of(registration):
            raise InvalidRegistration(problems)
        actor, fields = Actor(INTERFACE), {name: getattr(registration, name) for name in _REPLACED}
        await self._accounts.set_password(dataset_ref, user_id, registration.password)
        await self._users.forget_words(dataset_ref, actor, user_id)
        verified = {**await self._proved(dataset_ref), MOBILE_CLAIM: False}
        proved = await self._users.change(dataset_ref, actor, user_id, fields, verified, source="mail")
        await self._withdraw_from_others(dataset_ref, link, proved)
        async with self._directory.transaction() as tables:
            now, links = time.time_ns() // 1000, tables.of(dataset_ref.org_id).account_links
            # Every link, whatever it is for and whenever it was asked for.
            await links.put_all_used(user_id, purpose="", before=0, now=now)
            await links.put_used(digest(secret), now)
            await links.put_used_of_address(user_id, now)
        return proved

    async def _withdraw_from_others(
        self, dataset_ref: DatasetRef, link: RecoveryLink, proved: Account
    ) -> None:
        """Take the address from the accounts that somebody was asked about and that are not theirs.

        Where the organisation does not accept mails, nobody has verified it, and they keep it.
        """
        if ADDRESS_CLAIM in proved.verified:
            for other in link.accounts:
                if other.user_id != proved.user_id:
                    await self._users.withdraw_address(dataset_ref, Actor(INTERFACE), other)

    async def _proved(self, dataset_ref: DatasetRef) -> dict[str, bool]:
        """What whoever has the mailbox verifies: the address, if the organisation accepts mails."""
        is_accepted = await self._users.accepts(dataset_ref, ADDRESS_CLAIM, "mail")
        return {ADDRESS_CLAIM: True} if is_accepted else {}

    async def _use(self, dataset_ref: DatasetRef, secret: str) -> bool:
        links = self._directory.of(dataset_ref.org_id).account_links
        return await links.put_used(digest(secret), time.time_ns() // 1000)


async def _accounts_with(tables: DirectoryTables, org_id: int, address: str) -> tuple[Account, ...]:
    """The account that has verified an address; else the newest ones that have it."""
    key = sign_in_key(address)
    rows = [] if key is None else await tables.of(org_id).accounts.find_by_username(key, NAMED_MAX)
    accounts = tuple(account_of(row) for row in rows if ADDRESS_CLAIM in row.claims)
    return accounts[:1] if accounts and ADDRESS_CLAIM in accounts[0].verified else accounts
