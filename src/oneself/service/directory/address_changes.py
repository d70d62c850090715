"""How the e-mail address of an account changes: proved first, and for a day taken back by the former one.

    ask ─▶ a mail to the new address ─▶ find ─▶ confirm (with the password): the account has the address
                                             └▶ cancel (“this was not me”)
    confirm ─▶ a mail to the former address, if it was verified ─▶ find_return ─▶ take_back

Invariants: nothing changes before the new address is proved, by its mailbox and the password together. A link
to it works only while the account has the password that it was asked for with: another password, however it
was set, ends the changes that somebody else has begun. A link to take back sets the password anew, because
whoever changed the address knew it. It ends the links of later changes and outlives everything that happens
to the account, so that whoever took an account over cannot keep it. An address of another account is answered
as any other one is. Source: docs/decisions/0036-a-changed-address-can-be-taken-back.md.
"""

from __future__ import annotations

import time
from typing import Protocol
from uuid import UUID

import msgspec

from oneself.errors import InvalidInput
from oneself.service.context import Actor, DatasetRef
from oneself.service.crypto import digest
from oneself.service.delivery.outbox import Letter, MailText, Outbox
from oneself.service.directory.account_changes import check_new_password
from oneself.service.directory.account_links import LinkProblem, find_link, make_link
from oneself.service.directory.accounts import (
    ADDRESS_CLAIM,
    Account,
    Accounts,
    account_of,
)
from oneself.service.directory.address_proofs import INTERFACE, Asker, MailCounts
from oneself.service.directory.tokens import AccessTokens
from oneself.service.directory.usernames import checked_address, username_key
from oneself.service.directory.users import Users
from oneself.store.directory import Directory, DirectoryTables, OrganisationTables
from oneself.store.tables.account import AccountRow, ClaimsChange
from oneself.store.tables.account_link import LinkRow
from oneself.store.tables.delivery import DueDelivery

#: The kinds of mail, and the purposes of their links: to the new address, and to the former one.
ADDRESS_CHANGE, ADDRESS_RETURN = "address_change", "address_return"
#: The fact of a change: with which password it was asked for.
ASKED_WITH = "asked_with"
CHANGE_LIFE_S = RETURN_LIFE_S = 86_400


class ChangeLink(msgspec.Struct, frozen=True):
    """A link that can be used, and what its page and its mail say."""

    account: Account
    #: Where it was sent: the new address, or the former one.
    address: str
    #: The browser that asked for the change, in our words.
    browser: str
    #: When it was asked for, and until when it works, in µs since 1970.
    asked_at: int
    expires_at: int
    #: Digest of the password that it was asked for with; empty for a link to a former address.
    asked_with: str = ""

    def is_void(self, password_hash: str) -> bool:
        """Whether the account has another password than when the link was asked for."""
        return bool(self.asked_with) and self.asked_with != _digest_of(password_hash)


class ChangeMailTexts(Protocol):
    """Says what mails say. `handle` and `name`: of the organisation. `secret`: of the link in the mail."""

    def address_change(self, handle: str, name: str, link: ChangeLink, secret: str) -> MailText: ...

    def address_in_use(self, handle: str, name: str, link: ChangeLink) -> MailText: ...

    def address_return(self, handle: str, name: str, link: ChangeLink, secret: str) -> MailText: ...


class AddressChanges:
    """Changes the addresses of accounts, and takes changes back."""

    def __init__(
        self,
        directory: Directory,
        accounts: Accounts,
        users: Users,
        tokens: AccessTokens,
        outbox: Outbox,
        counts: MailCounts,
        texts: ChangeMailTexts,
    ) -> None:
        self._directory = directory
        self._accounts = accounts
        self._users = users
        self._tokens = tokens
        self._outbox = outbox
        self._counts = counts
        self._texts = texts

    async def ask(
        self, dataset_ref: DatasetRef, account: Account, address: str, password: str, asker: Asker
    ) -> int | None:
        """Send a link to a new address.

        Seconds to wait if it got too many mails; 0: sent. None if this is not the password. Raises
        InvalidInput.
        """
        address = checked_address(address)
        if username_key(address) == username_key(account.username):
            raise InvalidInput("username", "The account has this address already.")
        known = await self._accounts.find_by_password(dataset_ref, account.user_id, password)
        if known is None:
            return None
        if wait_s := await self._counts.acquire(dataset_ref, ADDRESS_CHANGE, address, asker):
            return wait_s
        facts = {"browser": asker.browser, ASKED_WITH: _digest_of(known.password_hash)}
        letter = Letter(ADDRESS_CHANGE, address, account.user_id, facts, life_s=CHANGE_LIFE_S)
        async with self._directory.transaction() as tables:
            await self._outbox.put(tables, dataset_ref, letter)
        self._outbox.wake()
        return 0

    async def compose(self, tables: DirectoryTables, mail: DueDelivery) -> MailText | None:
        """Make the link of a mail and say what it says; None if there is nothing to say any more."""
        assert mail.user_id is not None, "a change is about an account"
        organisation = tables.of(mail.org_id)
        row = await organisation.accounts.lock(mail.user_id)
        if row is None or await _is_overtaken(organisation, mail):
            return None
        link = ChangeLink(
            account_of(row),
            mail.recipient,
            mail.facts.get("browser", ""),
            mail.created_at,
            mail.expires_at,
            mail.facts.get(ASKED_WITH, ""),
        )
        if link.is_void(row.password_hash):
            return None
        if mail.kind == ADDRESS_CHANGE and await _is_in_use(organisation, row.user_id, mail.recipient):
            return self._texts.address_in_use(mail.handle, mail.name, link)
        secret = await make_link(tables, mail, mail.kind, row.user_id, mail.recipient)
        text = self._texts.address_change if mail.kind == ADDRESS_CHANGE else self._texts.address_return
        return text(mail.handle, mail.name, link, secret)

    async def find(self, dataset_ref: DatasetRef, secret: str) -> ChangeLink | LinkProblem:
        """What a link to a new address is for, or why it cannot be used. Changes nothing."""
        link = await self._find(dataset_ref, secret, ADDRESS_CHANGE)
        if isinstance(link, ChangeLink):
            organisation = self._directory.of(dataset_ref.org_id)
            if await _is_in_use(organisation, link.account.user_id, link.address):
                return "moved"
        return link

    async def find_return(self, dataset_ref: DatasetRef, secret: str) -> ChangeLink | LinkProblem:
        """The same of a link to take a change back."""
        return await self._find(dataset_ref, secret, ADDRESS_RETURN)

    async def confirm(
        self, dataset_ref: DatasetRef, secret: str, password: str
    ) -> Account | LinkProblem | None:
        """Give the account the address of a link; None if this is not its password.

        It is verified, unless the organisation lets nobody verify by mail.

        Its sessions and grants end. Whoever had its former address, if verified, can take the change back.
        """
        link = await self.find(dataset_ref, secret)
        if not isinstance(link, ChangeLink):
            return link
        known = await self._accounts.find_by_password(dataset_ref, link.account.user_id, password)
        if known is None:
            return None
        hashed = await self._accounts.hash_password(dataset_ref, link.address, password)
        is_accepted = await self._users.accepts(dataset_ref, ADDRESS_CLAIM, "mail")
        async with self._directory.transaction() as tables:
            organisation, now = tables.of(dataset_ref.org_id), time.time_ns() // 1000
            await organisation.accounts.lock_username(_key(link.address))
            row = await organisation.accounts.lock(known.user_id)
            if row is None or row.password_hash != known.password_hash:
                return None
            if link.is_void(row.password_hash):
                return "used"
            if await _is_in_use(organisation, row.user_id, link.address):
                return "moved"
            if not await organisation.account_links.put_used(digest(secret), now):
                return "used"
            after = await _put_address(organisation, row, link.address, hashed, now, is_verified=is_accepted)
            await organisation.account_links.put_all_used(row.user_id, ADDRESS_RETURN, now, now)
            await self._tokens.revoke_user(tables, dataset_ref, row.user_id)
            if ADDRESS_CLAIM in row.verified:
                facts, former = {"browser": link.browser}, row.claims[ADDRESS_CLAIM]
                letter = Letter(ADDRESS_RETURN, former, row.user_id, facts, life_s=RETURN_LIFE_S)
                await self._outbox.put(tables, dataset_ref, letter)
        self._outbox.wake()
        before, actor = account_of(row), Actor(INTERFACE)
        await self._users.record_proof(dataset_ref, actor, before, after, ADDRESS_CLAIM)
        return after

    async def cancel(self, dataset_ref: DatasetRef, secret: str) -> ChangeLink | LinkProblem:
        """End a link to a new address, because its owner says that they did not ask for it."""
        link = await self.find(dataset_ref, secret)
        if isinstance(link, ChangeLink):
            links = self._directory.of(dataset_ref.org_id).account_links
            await links.put_used(digest(secret), time.time_ns() // 1000)
        return link

    async def take_back(self, dataset_ref: DatasetRef, secret: str, password: str) -> Account | LinkProblem:
        """Give the account its former address again, verified, with a new password.

        Its sessions and grants end, and so do the links of this change and of later ones.
        Raises InvalidInput.
        """
        link = await self.find_return(dataset_ref, secret)
        if not isinstance(link, ChangeLink):
            return link
        user_id = link.account.user_id
        check_new_password(password, link.address)
        if await self._accounts.is_password(dataset_ref, user_id, password):
            sentence = "This is the password that the address was changed with. Choose another."
            raise InvalidInput("password", sentence)
        hashed = await self._accounts.hash_password(dataset_ref, link.address, password)
        async with self._directory.transaction() as tables:
            organisation, now = tables.of(dataset_ref.org_id), time.time_ns() // 1000
            await organisation.accounts.lock_username(_key(link.address))
            row = await organisation.accounts.lock(user_id)
            if row is None or not await organisation.account_links.put_used(digest(secret), now):
                return "used"
            after = await _put_address(organisation, row, link.address, hashed, now)
            await organisation.account_links.put_all_used(user_id, ADDRESS_RETURN, link.asked_at, now)
            await self._tokens.revoke_user(tables, dataset_ref, user_id)
        before, actor = account_of(row), Actor(INTERFACE)
        await self._users.record_proof(dataset_ref, actor, before, after, ADDRESS_CLAIM)
        return after

    async def _find(self, dataset_ref: DatasetRef, secret: str, purpose: str) -> ChangeLink | LinkProblem:
        row = await find_link(self._directory, dataset_ref, secret, (purpose,))
        if isinstance(row, str):
            return row
        account = await self._directory.of(dataset_ref.org_id).accounts.find(row.user_id)
        if account is None:
            return "unknown"
        link = _link(row, account_of(account))
        return "used" if link.is_void(account.password_hash) else link


def _link(row: LinkRow, account: Account) -> ChangeLink:
    return ChangeLink(
        account,
        row.address,
        row.facts.get("browser", ""),
        row.created_at,
        row.expires_at,
        row.facts.get(ASKED_WITH, ""),
    )


def _digest_of(password_hash: str) -> str:
    return digest(password_hash).hex()


async def _is_overtaken(organisation: OrganisationTables, mail: DueDelivery) -> bool:
    """Whether a mail is about a change that was taken back before it could be sent."""
    assert mail.user_id is not None
    return await organisation.account_links.is_overtaken(mail.user_id, ADDRESS_RETURN, mail.created_at)


async def _is_in_use(organisation: OrganisationTables, user_id: UUID, address: str) -> bool:
    """Whether another account has verified an address."""
    holders = await organisation.accounts.find_by_username(_key(address), 1)
    return any(ADDRESS_CLAIM in row.verified and row.user_id != user_id for row in holders)


async def _put_address(
    organisation: OrganisationTables,
    row: AccountRow,
    address: str,
    password_hash: str,
    now: int,
    *,
    is_verified: bool = True,
) -> Account:
    """Give a locked account an address. If it has verified it, no other account has it verified any more."""
    accounts, user_id = organisation.accounts, row.user_id
    await accounts.put_username(user_id, address, _key(address), address, now)
    if is_verified:
        await accounts.withdraw_from_others(user_id, now)
    change = ClaimsChange({}, {ADDRESS_CLAIM: now} if is_verified else {}, (), {ADDRESS_CLAIM: address})
    claims = await accounts.put_claims(user_id, change, now)
    assert claims is not None, "the account is locked"
    await accounts.put_password(user_id, password_hash, now)
    if is_verified:
        await organisation.account_links.put_used_of_address(user_id, now)
    return Account(user_id, address, claims.claims, row.created_at, claims.verified)


def _key(address: str) -> str:
    key = username_key(address)
    assert key is not None, "a checked address is short enough"
    return key
