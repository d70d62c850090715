"""The composition root: the only place that sees every part and puts them together (DESIGN §12).

`open_services` builds the use-cases on a database; `api.app.create_app` puts the faces in front of them.
Processes, sockets and signals are in `server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from oneself.adapters.identity_server.client import IdentityServerClient
from oneself.auth.callers.guard import Guard
from oneself.bootstrap_identity import Identity, assemble
from oneself.service.configuration import Configurations
from oneself.service.directory.organisations import Organisations
from oneself.service.directory.users import Users
from oneself.service.events.interactions import Interactions
from oneself.service.events.token_keys import TokenKeys
from oneself.service.history.event_stream import EventStream
from oneself.service.history.person_events import PersonEvents
from oneself.service.history.timeline import ProfileHistory
from oneself.service.identity_provider.application_registry import ApplicationRegistry
from oneself.service.identity_provider.claim_sync import ClaimSync
from oneself.service.identity_provider.directory_claims import DirectoryClaims
from oneself.service.identity_provider.rejected_claims import RejectedClaims
from oneself.service.identity_provider.reports import IdentityReports
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.ingest.ingest import Ingest
from oneself.service.log.audit import Audit
from oneself.service.privacy.erasure import Erasure
from oneself.service.privacy.export import Exports
from oneself.service.privacy.people import People
from oneself.service.profiles.consents import Consents
from oneself.service.profiles.invalid_values import InvalidValues
from oneself.service.profiles.listing import ProfileListing
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.profiles import Profiles
from oneself.service.profiles.refusals import Refusals
from oneself.service.rules.preview import Previews
from oneself.service.rules.rules import Reindexer, Rules
from oneself.service.schema.schemas import Schemas
from oneself.service.setup.activation import ServiceActivation
from oneself.service.setup.secret_key import confirmed_secret_key
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.profile_listing import ProfileListingStore as ListingStore
from oneself.store.tombstones import Tombstones


class Services(msgspec.Struct, frozen=True):
    """Every use-case of one process, on one pool of connections. `identity`: see `auth.assembly`."""

    settings: Settings
    database: Database
    configurations: Configurations
    ingest: Ingest
    profiles: Profiles
    listing: ProfileListing
    schemas: Schemas
    erasure: Erasure
    consents: Consents
    rules: Rules
    previews: Previews
    indexer: Reindexer
    interactions: Interactions
    refusals: Refusals
    exports: Exports
    people: People
    unfit_values: InvalidValues
    identity: Identity
    organisations: Organisations
    guard: Guard
    identity_servers: IdentityServers
    identity_server_client: IdentityServerClient
    enabling: ServiceActivation
    claims: DirectoryClaims
    claim_sync: ClaimSync
    profile_sync: IdentityReports
    skipped_claims: RejectedClaims
    users: Users
    token_keys: TokenKeys
    lookup: Lookup
    events: PersonEvents
    past: ProfileHistory
    tail: EventStream
    audit: Audit


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """The services of this process, on a database whose migrations are applied.

    Raises Unavailable when the database does not answer, SettingsError when it was set up with another secret
    key. Nothing is sealed or written before the keys are compared.
    """
    async with await Database.open(database_url, max_size=settings.database_connections) as database:
        secret_key = await confirmed_secret_key(database, settings)
        services = build_services(msgspec.structs.replace(settings, secret_key=secret_key), database)
        try:
            yield services
        finally:
            await services.identity_server_client.close()
            await services.identity.close()


def build_services(settings: Settings, database: Database) -> Services:
    """Put the use-cases together; opens nothing. Expects a confirmed secret key (`open_services`)."""
    secret_key = settings.secret_key
    assert secret_key, "open_services sets it"
    configurations = Configurations(database)
    ingest = Ingest(database, configurations, Tombstones(secret_key))
    profiles = Profiles(database, configurations, ingest)
    identity = assemble(database, configurations, profiles, secret_key=secret_key, settings=settings)
    servers, client = identity.identity_servers, IdentityServerClient()
    skipped = RejectedClaims(database)
    claim_sync = ClaimSync(
        database,
        configurations,
        identity.organisations,
        servers,
        client,
        skipped,
        interval_s=settings.claim_sync_interval_s,
    )
    erasure, exports = Erasure(database, ingest.tombstones), Exports(database, configurations)
    lookup = Lookup(database, configurations, profiles)
    token_keys = TokenKeys(database, identity.vault)
    applications = ApplicationRegistry(servers, client, identity.applications, settings.application_keys)
    return Services(
        settings=settings,
        database=database,
        configurations=configurations,
        ingest=ingest,
        profiles=profiles,
        listing=ProfileListing(ListingStore(database)),
        schemas=Schemas(configurations, applications),
        erasure=erasure,
        consents=Consents(configurations, profiles),
        rules=Rules(database, configurations),
        previews=Previews(database, configurations),
        refusals=Refusals(database, configurations),
        exports=exports,
        people=People(lookup, exports, erasure),
        unfit_values=InvalidValues(database, configurations),
        interactions=Interactions(ingest, configurations, token_keys, identity.vault),
        indexer=Reindexer(database, configurations, ingest),
        identity=identity,
        organisations=identity.organisations,
        guard=identity.guard,
        identity_servers=servers,
        identity_server_client=client,
        enabling=ServiceActivation(configurations, claim_sync, applications),
        claims=DirectoryClaims(configurations, servers, claim_sync),
        claim_sync=claim_sync,
        profile_sync=IdentityReports(profiles, ingest, erasure, skipped),
        skipped_claims=skipped,
        users=Users(identity.accounts, profiles, erasure, configurations),
        token_keys=token_keys,
        lookup=lookup,
        events=PersonEvents(database),
        past=ProfileHistory(database),
        tail=EventStream(database),
        audit=Audit(database),
    )
