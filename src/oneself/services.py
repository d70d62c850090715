"""The services of one process, in groups named after their packages: `services.directory.accounts`.

What lives here: types only. `bootstrap` builds the services; wires, sign-in pages and commands use them.
Invariants: this module imports use-cases and what identifies callers, never a wire, a page or a command.
"""

from __future__ import annotations

import msgspec

from oneself.adapters.identity_server.client import IdentityServerClient
from oneself.adapters.identity_server.introspection import IntrospectionClient
from oneself.adapters.identity_server.issuer_keys import IssuerKeys
from oneself.adapters.webhook import WebhookClient
from oneself.auth.callers.client_basic import ClientBasic
from oneself.auth.callers.guard import Guard
from oneself.service.as_of.reading import AsOf
from oneself.service.by_hand.decisions import Decisions
from oneself.service.configuration import Configurations
from oneself.service.crypto import SecretBox
from oneself.service.delivery.outbox import Outbox
from oneself.service.delivery.postman import Postman
from oneself.service.directory.account_changes import AccountChanges
from oneself.service.directory.accounts import Accounts
from oneself.service.directory.address_changes import AddressChanges
from oneself.service.directory.address_proofs import AddressProofs
from oneself.service.directory.applications import Applications
from oneself.service.directory.code_webhooks import CodeWebhooks
from oneself.service.directory.console_sessions import ConsoleSessions
from oneself.service.directory.console_users import ConsoleUsers
from oneself.service.directory.expired_rows import ExpiredRowSweeper
from oneself.service.directory.grants import Grants
from oneself.service.directory.issuers import Issuers
from oneself.service.directory.mobile_proofs import MobileProofs
from oneself.service.directory.organisations import Organisations
from oneself.service.directory.recovery import Recoveries
from oneself.service.directory.sign_in import SignIns
from oneself.service.directory.signing_keys import SigningKeys
from oneself.service.directory.throttle import Throttle
from oneself.service.directory.tokens import AccessTokens
from oneself.service.directory.users import Users
from oneself.service.events.interactions import Interactions
from oneself.service.events.token_keys import TokenKeys
from oneself.service.events.write_keys import WriteKeys
from oneself.service.explain.explanations import Explanations
from oneself.service.feed.dispatcher import Dispatcher
from oneself.service.feed.publisher import Publisher
from oneself.service.feed.webhooks import Webhooks
from oneself.service.history.change_feed import ChangeFeed
from oneself.service.history.event_stream import EventStream
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.identity.attributes import IdentityBindings
from oneself.service.identity.manifest.manifest import IdentityManifest
from oneself.service.identity.resolution_switch import ResolutionSwitch
from oneself.service.identity_provider.claim_sync import ClaimSync
from oneself.service.identity_provider.directory_claims import DirectoryClaims
from oneself.service.identity_provider.issuer_reports import IssuerReports
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.reports import IdentityReports
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.identity_provider.verification_relay import VerificationRelay
from oneself.service.ingest.ingest import Ingest
from oneself.service.log.audit import Audit
from oneself.service.log.join_reviewer import JoinReviewer
from oneself.service.log.reconciler import Reconciler
from oneself.service.overview.counts import Overviews
from oneself.service.overview.health import Health
from oneself.service.preview.previews import ChangePreviews
from oneself.service.privacy.erasure import Erasure
from oneself.service.privacy.export import Exports
from oneself.service.privacy.persons import Persons
from oneself.service.profiles.consents import Consents
from oneself.service.profiles.invalid_values import InvalidValues
from oneself.service.profiles.listing import ProfileListing
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.profiles import Profiles
from oneself.service.profiles.refusals import Refusals
from oneself.service.profiles.search import ProfileSearch
from oneself.service.profiles.stored_values import StoredValues
from oneself.service.rules.preview import Previews
from oneself.service.rules.proven_preview import ProvenPreviews
from oneself.service.rules.rules import Reindexer, Rules
from oneself.service.sample.sample_data import SampleData
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.schema.schemas import Schemas
from oneself.service.setup.activation import ServiceActivation
from oneself.service.setup.provisioning import OrganisationSetup
from oneself.settings import Settings
from oneself.store.database import Database


class CallerServices(msgspec.Struct, frozen=True):
    """Who is calling, and with which permissions."""

    guard: Guard
    client_basic: ClientBasic
    issuer_keys: IssuerKeys
    introspection: IntrospectionClient


class DirectoryServices(msgspec.Struct, frozen=True):
    """Organisations, their applications and users, and how both sign in."""

    organisations: Organisations
    applications: Applications
    accounts: Accounts
    console_users: ConsoleUsers
    console_sessions: ConsoleSessions
    users: Users
    issuers: Issuers
    tokens: AccessTokens
    signing_keys: SigningKeys
    grants: Grants
    sign_ins: SignIns
    expired_rows: ExpiredRowSweeper
    throttle: Throttle
    address_proofs: AddressProofs
    recoveries: Recoveries
    account_changes: AccountChanges
    address_changes: AddressChanges
    mobile_proofs: MobileProofs
    code_webhooks: CodeWebhooks
    webhook_client: WebhookClient
    outbox: Outbox
    postman: Postman


class SchemaServices(msgspec.Struct, frozen=True):
    """What a dataset stores: its attributes and its identity types."""

    schemas: Schemas
    datasets: Datasets
    identity_types: IdentityTypes


class IdentityServices(msgspec.Struct, frozen=True):
    """What identifies a person in a dataset."""

    attributes: IdentityBindings
    documents: IdentityManifest
    resolution_switch: ResolutionSwitch


class RuleServices(msgspec.Struct, frozen=True):
    """Unification rules, their previews and the reindex jobs that follow a change."""

    rules: Rules
    previews: Previews
    proven_previews: ProvenPreviews
    change_previews: ChangePreviews
    reindexer: Reindexer


class ProfileServices(msgspec.Struct, frozen=True):
    """Profiles: writing, reading, searching."""

    profiles: Profiles
    listing: ProfileListing
    lookup: Lookup
    search: ProfileSearch
    consents: Consents
    refusals: Refusals
    explanations: Explanations
    invalid_values: InvalidValues
    stored_values: StoredValues


class EventServices(msgspec.Struct, frozen=True):
    """What the event wires need."""

    interactions: Interactions
    token_keys: TokenKeys
    write_keys: WriteKeys


class HistoryServices(msgspec.Struct, frozen=True):
    """Readers of the log: per person, per profile, per dataset."""

    person_events: PersonEvents
    timeline: ProfileHistory
    event_stream: EventStream
    change_feed: ChangeFeed


class FeedServices(msgspec.Struct, frozen=True):
    """Changes of profiles that are sent to other systems."""

    webhooks: Webhooks
    dispatcher: Dispatcher
    publisher: Publisher


class LogServices(msgspec.Struct, frozen=True):
    """The log as a record of what administrators did, and the view that follows from it later."""

    audit: Audit
    reconciler: Reconciler
    join_reviewer: JoinReviewer


class OverviewServices(msgspec.Struct, frozen=True):
    """Datasets as a whole, whether what they need works, and sample data to look at."""

    overviews: Overviews
    health: Health
    sample_data: SampleData


class PrivacyServices(msgspec.Struct, frozen=True):
    """Erasure and export."""

    erasure: Erasure
    exports: Exports
    persons: Persons


class IdentityProviderServices(msgspec.Struct, frozen=True):
    """The organisation's identity server: its address, its claims, its reports."""

    servers: IdentityServers
    client: IdentityServerClient
    directory_claims: DirectoryClaims
    claim_sync: ClaimSync
    reports: IdentityReports
    issuer_reports: IssuerReports
    rejected_claims: RejectedClaims
    verification_relay: VerificationRelay


class SetupServices(msgspec.Struct, frozen=True):
    """New organisations, and the switch that enables an organisation's service."""

    provisioning: OrganisationSetup
    activation: ServiceActivation


class Services(msgspec.Struct, frozen=True):
    """Every service of one process, on one pool of connections."""

    settings: Settings
    database: Database
    configurations: Configurations
    secret_box: SecretBox
    ingest: Ingest
    callers: CallerServices
    directory: DirectoryServices
    schema: SchemaServices
    identity: IdentityServices
    rules: RuleServices
    profiles: ProfileServices
    events: EventServices
    history: HistoryServices
    feed: FeedServices
    log: LogServices
    overview: OverviewServices
    privacy: PrivacyServices
    decisions: Decisions
    as_of: AsOf
    identity_provider: IdentityProviderServices
    setup: SetupServices
