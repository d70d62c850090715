"""The composition root: the only module that sees every part and puts the parts together.

`open_services` builds the services on a database; `api.app.create_app` puts the wires in front of them.
Processes, sockets and signals are in `processes`. Each service is built once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from oneself import services as groups
from oneself.adapters.identity_server.client import IdentityServerClient
from oneself.adapters.identity_server.introspection import IntrospectionClient
from oneself.adapters.identity_server.issuer_keys import IssuerKeys
from oneself.adapters.mail import mailer_of
from oneself.adapters.nats import broker_of
from oneself.adapters.outgoing import outgoing_policy
from oneself.adapters.webhook import WebhookClient
from oneself.auth.callers.client_basic import ClientBasic
from oneself.auth.callers.external_tokens import ExternalTokens
from oneself.auth.callers.guard import Guard, OwnKeys
from oneself.auth.callers.introspection import TokenIntrospection
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.auth.provider.change_texts import ChangeTexts
from oneself.auth.provider.mail_texts import PageMailTexts
from oneself.service.as_of.reading import AsOf
from oneself.service.by_hand.decisions import Decisions
from oneself.service.configuration import Configurations
from oneself.service.crypto import Hasher, SecretBox
from oneself.service.delivery.outbox import Channel, Outbox
from oneself.service.delivery.postman import Carrier, MailCarrier, Postman
from oneself.service.directory.account_changes import ACCOUNT_DELETED, AccountChanges
from oneself.service.directory.accounts import Accounts
from oneself.service.directory.address_changes import ADDRESS_CHANGE, ADDRESS_RETURN, AddressChanges
from oneself.service.directory.address_proofs import VERIFICATION, AddressProofs, MailCounts
from oneself.service.directory.applications import Applications
from oneself.service.directory.code_webhooks import CodeCarrier, CodeWebhooks
from oneself.service.directory.console_sessions import ConsoleSessions
from oneself.service.directory.console_users import ConsoleUsers
from oneself.service.directory.expired_rows import ExpiredRowSweeper
from oneself.service.directory.grants import Grants
from oneself.service.directory.issuers import Issuers
from oneself.service.directory.mobile_proofs import MOBILE_CODE, MobileProofs
from oneself.service.directory.organisations import Organisations
from oneself.service.directory.recovery import PASSWORD_REPLACED, RECOVERY, Recoveries
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
from oneself.service.history.followers import Followers
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.identity.attributes import IdentityBindings
from oneself.service.identity.manifest.manifest import IdentityManifest
from oneself.service.identity.resolution_switch import ResolutionSwitch
from oneself.service.identity_provider.application_registry import ApplicationRegistry
from oneself.service.identity_provider.claim_sync import ClaimSync
from oneself.service.identity_provider.directory_claims import DirectoryClaims
from oneself.service.identity_provider.issuer_reports import IssuerReports
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.reports import IdentityReports
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.identity_provider.verification_relay import VerificationRelay
from oneself.service.ingest.ingest import Ingest
from oneself.service.ingest.trackers import Trackers
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
from oneself.service.rules.admitted_later import AdmittedLater
from oneself.service.rules.preview import Previews
from oneself.service.rules.proven_preview import ProvenPreviews
from oneself.service.rules.rules import Reindexer, Rules
from oneself.service.sample.sample_data import SampleData
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.schema.schemas import Schemas
from oneself.service.setup.activation import ServiceActivation
from oneself.service.setup.provisioning import OrganisationSetup
from oneself.service.setup.secret_key import confirmed_secret_key
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.tombstones import Tombstones
from oneself.telemetry import NullTelemetry, Telemetry
from oneself.tunables import Tunables


@asynccontextmanager
async def open_services(
    settings: Settings, database_url: str, telemetry: Telemetry | None = None
) -> AsyncIterator[Services]:
    """The services of this process, on a database whose migrations are applied.

    Raises Unavailable when the database does not answer, SettingsError when the database was set up with
    another secret key. Nothing is encrypted or written before the keys are compared.
    """
    async with await Database.open(database_url, max_size=settings.database_connections) as database:
        secret_key = await confirmed_secret_key(database, settings)
        confirmed = msgspec.structs.replace(settings, secret_key=secret_key)
        services = build_services(confirmed, database, telemetry)
        try:
            yield services
        finally:
            await close_clients(services)


async def close_clients(services: Services) -> None:
    """Close the connections to identity servers, token issuers and webhooks."""
    await services.directory.webhook_client.close()
    await services.identity_provider.client.close()
    await services.callers.issuer_keys.close()
    await services.callers.introspection.close()


class _Foundation(msgspec.Struct, frozen=True):
    """What several groups are built on."""

    settings: Settings
    tunables: Tunables
    database: Database
    telemetry: Telemetry
    configurations: Configurations
    directory: Directory
    secret_box: SecretBox
    reconciler: Reconciler
    ingest: Ingest
    erasure: Erasure
    previews: Previews


def build_services(
    settings: Settings,
    database: Database,
    telemetry: Telemetry | None = None,
    tunables: Tunables | None = None,
) -> Services:
    """Put the services together; opens nothing. Expects a confirmed secret key (`open_services`)."""
    base = _foundation(settings, tunables or Tunables(), database, telemetry or NullTelemetry())
    profiles = _profiles(base)
    directory = _directory(base, profiles.profiles)
    identity_provider = _identity_provider(base, profiles.profiles, directory.organisations)
    applications = ApplicationRegistry(
        identity_provider.servers, identity_provider.client, directory.applications, settings.application_keys
    )
    schema = _schema(base, applications)
    events, history = _events(base), _history(base)
    activation = ServiceActivation(base.configurations, identity_provider.claim_sync, applications)
    reviewer = JoinReviewer(database, base.reconciler.wake)
    return Services(
        settings=settings,
        database=database,
        configurations=base.configurations,
        secret_box=base.secret_box,
        ingest=base.ingest,
        callers=_callers(base, directory, identity_provider.servers),
        directory=directory,
        schema=schema,
        identity=_identity(base, schema),
        rules=_rules(base),
        profiles=profiles,
        events=events,
        history=history,
        feed=_feed(base, history, directory),
        log=groups.LogServices(audit=Audit(database), reconciler=base.reconciler, join_reviewer=reviewer),
        overview=groups.OverviewServices(
            overviews=Overviews(database, base.tunables.count_limits),
            health=Health(base.directory, directory.signing_keys, events.token_keys, directory.outbox),
            sample_data=SampleData(
                base.directory, base.configurations, schema.datasets, events.interactions, profiles.profiles
            ),
        ),
        privacy=_privacy(base, profiles.lookup),
        decisions=Decisions(database, profiles.lookup, directory.accounts),
        as_of=AsOf(database, entries_max=base.tunables.as_of_entries_max),
        identity_provider=identity_provider,
        setup=groups.SetupServices(provisioning=_provisioning(base, directory), activation=activation),
    )


def _foundation(
    settings: Settings, tunables: Tunables, database: Database, telemetry: Telemetry
) -> _Foundation:
    assert settings.secret_key, "open_services sets it"
    configurations, tombstones = Configurations(database), Tombstones(settings.secret_key)
    reconciler = Reconciler(database)
    return _Foundation(
        settings=settings,
        tunables=tunables,
        database=database,
        telemetry=telemetry,
        configurations=configurations,
        directory=Directory(database),
        secret_box=SecretBox(settings.secret_key),
        reconciler=reconciler,
        ingest=Ingest(
            database,
            configurations,
            tombstones,
            telemetry,
            batch_limits=tunables.batches,
            on_unreconciled=reconciler.wake,
        ),
        erasure=Erasure(database, tombstones),
        previews=Previews(database, configurations, entries_max=tunables.preview_entries_max),
    )


def _profiles(base: _Foundation) -> groups.ProfileServices:
    database, configurations = base.database, base.configurations
    profiles = Profiles(database, configurations, base.ingest)
    lookup, listing = Lookup(database, configurations), ProfileListing(database)
    return groups.ProfileServices(
        profiles=profiles,
        listing=listing,
        lookup=lookup,
        search=ProfileSearch(database, configurations, lookup, listing),
        consents=Consents(configurations, profiles),
        refusals=Refusals(database, configurations),
        explanations=Explanations(database, lookup),
        invalid_values=InvalidValues(database, configurations),
        stored_values=StoredValues(database, configurations),
    )


def _directory(base: _Foundation, profiles: Profiles) -> groups.DirectoryServices:
    directory, tunables = base.directory, base.tunables
    hasher = Hasher(tunables.hash_parameters)
    signing_keys = _signing_keys(base)
    tokens = AccessTokens(
        directory,
        signing_keys,
        base.settings.url,
        revocations_reread_s=tunables.revocations_reread_s,
        now=tunables.now,
    )
    accounts = Accounts(directory, hasher, tokens, base.secret_box)
    users = Users(accounts, profiles, base.erasure, base.configurations)
    throttle = Throttle(directory, base.secret_box, tunables.attempts)
    mailer, webhook_client = mailer_of(base.settings), WebhookClient(policy=outgoing_policy(base.settings))
    outbox = Outbox(directory, base.secret_box, is_visible=mailer is None)
    texts = PageMailTexts(tokens.public_url)
    counts = MailCounts(throttle)
    proofs = AddressProofs(directory, accounts, users, outbox, counts, texts)
    recoveries = Recoveries(directory, accounts, users, outbox, counts, texts)
    notices, shared = ChangeTexts(tokens.public_url), (directory, accounts, users, tokens, outbox)
    account_changes = AccountChanges(*shared, throttle, notices)
    address_changes = AddressChanges(*shared, counts, notices)
    webhooks = CodeWebhooks(directory, base.secret_box, webhook_client.policy)
    mobile_proofs = MobileProofs(directory, users, outbox, throttle, base.secret_box)
    carriers: dict[Channel, Carrier] = {
        "mail": MailCarrier(mailer),
        "webhook": CodeCarrier(webhooks, webhook_client),
    }
    compose = {
        VERIFICATION: proofs.compose,
        RECOVERY: recoveries.compose,
        PASSWORD_REPLACED: recoveries.compose_notice,
        **dict.fromkeys((ADDRESS_CHANGE, ADDRESS_RETURN), address_changes.compose),
        ACCOUNT_DELETED: account_changes.compose,
        MOBILE_CODE: mobile_proofs.compose,
    }
    return groups.DirectoryServices(
        organisations=Organisations(directory),
        applications=Applications(directory, hasher, tokens, PERMISSIONS),
        accounts=accounts,
        console_users=ConsoleUsers(directory, hasher),
        console_sessions=ConsoleSessions(directory),
        users=users,
        issuers=Issuers(base.database, PERMISSIONS, webhook_client.policy),
        tokens=tokens,
        signing_keys=signing_keys,
        grants=Grants(directory, tokens, base.secret_box, code_life_us=tunables.code_life_us),
        sign_ins=SignIns(directory, tokens, profiles, base.configurations),
        expired_rows=ExpiredRowSweeper(directory),
        throttle=throttle,
        address_proofs=proofs,
        recoveries=recoveries,
        account_changes=account_changes,
        address_changes=address_changes,
        mobile_proofs=mobile_proofs,
        code_webhooks=webhooks,
        webhook_client=webhook_client,
        outbox=outbox,
        postman=Postman(directory, outbox, carriers, compose),
    )


def _signing_keys(base: _Foundation) -> SigningKeys:
    return SigningKeys(
        base.directory,
        base.secret_box,
        unknown_key_reread_s=base.tunables.unknown_key_reread_s,
        generate_key=base.tunables.generate_key,
    )


def _identity_provider(
    base: _Foundation, profiles: Profiles, organisations: Organisations
) -> groups.IdentityProviderServices:
    servers = IdentityServers(base.database, base.secret_box, base.settings)
    client = IdentityServerClient(policy=outgoing_policy(base.settings))
    rejected_claims = RejectedClaims(base.database)
    claim_sync = ClaimSync(
        base.database,
        base.configurations,
        organisations,
        servers,
        client,
        rejected_claims,
        interval_s=base.settings.claim_sync_interval_s,
        poll_s=base.tunables.claim_sync_poll_s,
        schedule_s=base.tunables.claim_sync_schedule_s,
    )
    return groups.IdentityProviderServices(
        servers=servers,
        client=client,
        directory_claims=DirectoryClaims(base.configurations, servers, claim_sync),
        claim_sync=claim_sync,
        reports=IdentityReports(
            base.database, profiles, base.ingest, base.erasure, rejected_claims, base.configurations
        ),
        issuer_reports=IssuerReports(
            base.database, base.configurations, profiles, rejected_claims, base.secret_box
        ),
        rejected_claims=rejected_claims,
        verification_relay=VerificationRelay(base.database, changes_max=base.tunables.verifications_max),
    )


def _callers(
    base: _Foundation, directory: groups.DirectoryServices, servers: IdentityServers
) -> groups.CallerServices:
    tunables, introspection = base.tunables, _introspection(base.settings)
    issuer_keys = IssuerKeys(policy=outgoing_policy(base.settings), retry_s=tunables.issuer_keys_retry_s)
    external = ExternalTokens(
        servers,
        directory.issuers,
        issuer_keys,
        trusts_life_s=tunables.trusts_life_s,
        now=tunables.now,
    )
    introspected = TokenIntrospection(servers, introspection, now=tunables.now)
    verifiers = (OwnKeys(directory.tokens), external, introspected)
    return groups.CallerServices(
        guard=Guard(verifiers, now=tunables.now),
        client_basic=ClientBasic(directory.applications, directory.throttle),
        issuer_keys=issuer_keys,
        introspection=introspection,
    )


def _introspection(settings: Settings) -> IntrospectionClient:
    credentials = (settings.introspection_username or "", settings.introspection_password or "")
    return IntrospectionClient(settings.introspection_path, credentials, policy=outgoing_policy(settings))


def _schema(base: _Foundation, applications: ApplicationRegistry) -> groups.SchemaServices:
    attributes_max = base.tunables.user_attributes_max
    return groups.SchemaServices(
        schemas=Schemas(base.configurations, applications),
        datasets=Datasets(base.directory, base.configurations, user_attributes_max=attributes_max),
        identity_types=IdentityTypes(base.database, base.configurations),
    )


def _identity(base: _Foundation, schema: groups.SchemaServices) -> groups.IdentityServices:
    attributes = IdentityBindings(base.database, base.configurations, base.previews)
    return groups.IdentityServices(
        attributes=attributes,
        documents=IdentityManifest(base.configurations, schema.datasets, schema.identity_types, attributes),
        resolution_switch=ResolutionSwitch(base.configurations, base.previews),
    )


def _rules(base: _Foundation) -> groups.RuleServices:
    shared, tunables = (base.database, base.configurations), base.tunables
    admitted_later = AdmittedLater(base.database, base.ingest.tombstones, base.reconciler.wake)
    return groups.RuleServices(
        rules=Rules(*shared),
        previews=base.previews,
        proven_previews=ProvenPreviews(*shared, entries_max=tunables.preview_entries_max),
        change_previews=ChangePreviews(*shared, tunables.preview_limits, tunables.preview_entries_max),
        reindexer=Reindexer(*shared, base.ingest, admitted_later),
    )


def _events(base: _Foundation) -> groups.EventServices:
    token_keys, trackers = TokenKeys(base.database, base.secret_box), Trackers(base.database, base.ingest)
    interactions = Interactions(base.ingest, token_keys, base.secret_box, trackers)
    write_keys = WriteKeys(base.database, base.configurations)
    return groups.EventServices(interactions=interactions, token_keys=token_keys, write_keys=write_keys)


def _history(base: _Foundation) -> groups.HistoryServices:
    database, followers = base.database, Followers()
    return groups.HistoryServices(
        person_events=PersonEvents(database),
        timeline=ProfileHistory(database),
        event_stream=EventStream(database, followers=followers),
        change_feed=ChangeFeed(database, days=base.settings.change_retention_days, followers=followers),
    )


def _feed(
    base: _Foundation, history: groups.HistoryServices, directory: groups.DirectoryServices
) -> groups.FeedServices:
    webhooks = Webhooks(base.directory, base.secret_box, directory.webhook_client)
    dispatcher = Dispatcher(base.directory, history.change_feed, webhooks, directory.webhook_client)
    parts = (base.directory, history.change_feed, broker_of(base.settings), base.telemetry)
    publisher = Publisher(*parts, views=base.settings.published_views)
    return groups.FeedServices(webhooks=webhooks, dispatcher=dispatcher, publisher=publisher)


def _privacy(base: _Foundation, lookup: Lookup) -> groups.PrivacyServices:
    exports = Exports(base.database, base.configurations)
    persons = Persons(lookup, exports, base.erasure)
    return groups.PrivacyServices(erasure=base.erasure, exports=exports, persons=persons)


def _provisioning(base: _Foundation, directory: groups.DirectoryServices) -> OrganisationSetup:
    parts = (directory.organisations, directory.applications, directory.console_users)
    return OrganisationSetup(*parts, directory.signing_keys, base.configurations)
