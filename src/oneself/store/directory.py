"""The directory: what belongs to organisations rather than to a dataset, one repository per table.

Invariants: a repository runs statements and decides nothing. An organisation's tables are reached with its
key, so no statement on them leaves the organisation. Instants are in µs since 1970.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from oneself.store.tables.account import AccountTable
from oneself.store.tables.account_link import AccountLinkTable
from oneself.store.tables.application import ApplicationTable
from oneself.store.tables.attempt_count import AttemptCountTable
from oneself.store.tables.audit import AuditTable
from oneself.store.tables.broker import BrokerTable
from oneself.store.tables.browser_session import SessionTable
from oneself.store.tables.claim_sync import ClaimSyncQueue, ClaimSyncTable
from oneself.store.tables.code_webhook import CodeWebhookTable
from oneself.store.tables.console_session import ConsoleSessionTable
from oneself.store.tables.console_user import ConsoleUserTable
from oneself.store.tables.dataset import DatasetTable
from oneself.store.tables.delivery import DeliveryQueue, DeliveryTable
from oneself.store.tables.expired import ExpiredRows
from oneself.store.tables.identity_server import IdentityServerTable
from oneself.store.tables.mobile_code import MobileCodeTable
from oneself.store.tables.oauth_grant import GrantTable
from oneself.store.tables.organisation import OrganisationsTable
from oneself.store.tables.revoked_token import RevokedTokenTable
from oneself.store.tables.sample_dataset import SampleDatasetTable
from oneself.store.tables.secret_key_check import SecretKeyCheckTable
from oneself.store.tables.signing_key import SigningKeyTable
from oneself.store.tables.token_key import TokenKeyTable
from oneself.store.tables.trusted_issuer import TrustedIssuerTable
from oneself.store.tables.verification_queue import VerificationQueue
from oneself.store.tables.webhook import WebhookQueue, WebhookTable

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database
    from oneself.store.tables.table import Executor


class OrganisationTables:
    """The tables of one organisation. A repository is two references, made when it is asked for."""

    __slots__ = ("_executor", "org_id")

    def __init__(self, executor: Executor, org_id: int) -> None:
        self._executor = executor
        self.org_id = org_id

    @property
    def accounts(self) -> AccountTable:
        return AccountTable(self._executor, self.org_id)

    @property
    def account_links(self) -> AccountLinkTable:
        return AccountLinkTable(self._executor, self.org_id)

    @property
    def applications(self) -> ApplicationTable:
        return ApplicationTable(self._executor, self.org_id)

    @property
    def audit(self) -> AuditTable:
        return AuditTable(self._executor, self.org_id)

    @property
    def claim_sync(self) -> ClaimSyncTable:
        return ClaimSyncTable(self._executor, self.org_id)

    @property
    def code_webhook(self) -> CodeWebhookTable:
        return CodeWebhookTable(self._executor, self.org_id)

    @property
    def webhooks(self) -> WebhookTable:
        return WebhookTable(self._executor, self.org_id)

    @property
    def datasets(self) -> DatasetTable:
        return DatasetTable(self._executor, self.org_id)

    @property
    def grants(self) -> GrantTable:
        return GrantTable(self._executor, self.org_id)

    @property
    def identity_server(self) -> IdentityServerTable:
        return IdentityServerTable(self._executor, self.org_id)

    @property
    def attempt_counts(self) -> AttemptCountTable:
        return AttemptCountTable(self._executor, self.org_id)

    @property
    def deliveries(self) -> DeliveryTable:
        return DeliveryTable(self._executor, self.org_id)

    @property
    def mobile_codes(self) -> MobileCodeTable:
        return MobileCodeTable(self._executor, self.org_id)

    @property
    def sample_datasets(self) -> SampleDatasetTable:
        return SampleDatasetTable(self._executor, self.org_id)

    @property
    def sessions(self) -> SessionTable:
        return SessionTable(self._executor, self.org_id)

    @property
    def signing_keys(self) -> SigningKeyTable:
        return SigningKeyTable(self._executor, self.org_id)

    @property
    def token_keys(self) -> TokenKeyTable:
        return TokenKeyTable(self._executor, self.org_id)

    @property
    def trusted_issuers(self) -> TrustedIssuerTable:
        return TrustedIssuerTable(self._executor, self.org_id)


class DirectoryTables:
    """The tables of every organisation, over a database or within a transaction."""

    __slots__ = ("_executor",)

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def of(self, org_id: int) -> OrganisationTables:
        """The tables of one organisation."""
        return OrganisationTables(self._executor, org_id)

    @property
    def claim_sync_queue(self) -> ClaimSyncQueue:
        return ClaimSyncQueue(self._executor)

    @property
    def console_users(self) -> ConsoleUserTable:
        return ConsoleUserTable(self._executor)

    @property
    def console_sessions(self) -> ConsoleSessionTable:
        return ConsoleSessionTable(self._executor)

    @property
    def expired(self) -> ExpiredRows:
        return ExpiredRows(self._executor)

    @property
    def delivery_queue(self) -> DeliveryQueue:
        return DeliveryQueue(self._executor)

    @property
    def broker(self) -> BrokerTable:
        return BrokerTable(self._executor)

    @property
    def webhook_queue(self) -> WebhookQueue:
        return WebhookQueue(self._executor)

    @property
    def organisations(self) -> OrganisationsTable:
        return OrganisationsTable(self._executor)

    @property
    def revoked_tokens(self) -> RevokedTokenTable:
        return RevokedTokenTable(self._executor)

    @property
    def secret_key_check(self) -> SecretKeyCheckTable:
        return SecretKeyCheckTable(self._executor)

    @property
    def verification_queue(self) -> VerificationQueue:
        return VerificationQueue(self._executor)


class DirectoryTransaction(DirectoryTables):
    """The tables of every organisation in one transaction, over an open connection."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.connection = connection

    async def lock(self, org_id: int) -> OrganisationTables:
        """The tables of one organisation, whose settings no other transaction changes until this one ends.

        What is read before a write is read after this.
        """
        await self.organisations.lock(org_id)
        return self.of(org_id)


class Directory(DirectoryTables):
    """The tables of every organisation; each statement is its own transaction unless one is begun."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[DirectoryTransaction]:
        """One READ COMMITTED transaction: commits at the end, rolls back when anything is raised.

        Raises Contended when the transaction lost a race, Unavailable when the connection is lost.
        """
        async with self._database.transaction() as connection:
            yield DirectoryTransaction(connection)
