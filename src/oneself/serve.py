"""The composition root: the only place that sees every part and puts them together (DESIGN §12).

`open_services` builds the use-cases on a database; `api.app.create_app` puts the faces in front of them.
Processes, sockets and signals are in `server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from oneself.auth.assembly import Identity, assemble
from oneself.auth.guard import Guard
from oneself.service.configuration import Configurations
from oneself.service.consents import Consents
from oneself.service.erase import Erasure
from oneself.service.ingest import Ingest
from oneself.service.listing import Listing
from oneself.service.organisations import Organisations
from oneself.service.preview import Previews
from oneself.service.profiles import Profiles
from oneself.service.rules import Indexer, Rules
from oneself.service.schemas import Schemas
from oneself.service.tombstones import Tombstones
from oneself.settings import Settings, load_secret_key
from oneself.store.listing import Listing as ListingStore
from oneself.store.pool import Database


class Services(msgspec.Struct, frozen=True):
    """Every use-case of one process, on one pool of connections. `identity`: see `auth.assembly`."""

    settings: Settings
    database: Database
    configurations: Configurations
    ingest: Ingest
    profiles: Profiles
    listing: Listing
    schemas: Schemas
    erasure: Erasure
    consents: Consents
    rules: Rules
    previews: Previews
    indexer: Indexer
    identity: Identity
    organisations: Organisations
    guard: Guard


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """The services of this process; raises Unavailable when the database does not answer."""
    async with await Database.open(database_url, max_size=settings.database_connections) as database:
        yield build_services(settings, database)


def build_services(settings: Settings, database: Database) -> Services:
    """Put the use-cases together; opens nothing but the secret key."""
    secret_key = load_secret_key(settings)
    configurations = Configurations(database)
    ingest = Ingest(database, configurations, Tombstones(secret_key))
    profiles = Profiles(database, configurations, ingest)
    identity = assemble(database, configurations, profiles, secret_key=secret_key, public_url=settings.url)
    return Services(
        settings=settings,
        database=database,
        configurations=configurations,
        ingest=ingest,
        profiles=profiles,
        listing=Listing(ListingStore(database)),
        schemas=Schemas(configurations, identity.applications),
        erasure=Erasure(database, ingest.tombstones),
        consents=Consents(configurations, profiles),
        rules=Rules(database, configurations),
        previews=Previews(database, configurations),
        indexer=Indexer(database, configurations, ingest),
        identity=identity,
        organisations=identity.organisations,
        guard=identity.guard,
    )
