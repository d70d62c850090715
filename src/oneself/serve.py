"""The composition root: the only place that sees every part and puts them together (DESIGN §12).

`open_services` builds the use-cases on a database; `api.app.create_app` puts the faces in front of them.
Processes, sockets and signals are in `server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from oneself.auth.guard import Guard, OwnKeys
from oneself.auth.permissions import PERMISSIONS
from oneself.service.accounts import Accounts, Administrators
from oneself.service.applications import Applications
from oneself.service.attempts import Attempts
from oneself.service.configuration import Configurations
from oneself.service.erase import Erasure
from oneself.service.grants import Grants
from oneself.service.ingest import Ingest
from oneself.service.listing import Listing
from oneself.service.organisations import Founding, Organisations
from oneself.service.profiles import Profiles
from oneself.service.schemas import Schemas
from oneself.service.secrets import Hasher, Vault
from oneself.service.sign_in import SignIns
from oneself.service.signing_keys import SigningKeys
from oneself.service.tokens import AccessTokens
from oneself.settings import Settings, load_secret_key
from oneself.store.directory import Directory
from oneself.store.listing import Listing as ListingStore
from oneself.store.pool import Database


class Services(msgspec.Struct, frozen=True):
    """Every use-case of one process, on one pool of connections."""

    settings: Settings
    database: Database
    directory: Directory
    organisations: Organisations
    founding: Founding
    configurations: Configurations
    applications: Applications
    accounts: Accounts
    administrators: Administrators
    attempts: Attempts
    vault: Vault
    signing_keys: SigningKeys
    tokens: AccessTokens
    grants: Grants
    guard: Guard
    ingest: Ingest
    profiles: Profiles
    listing: Listing
    schemas: Schemas
    erasure: Erasure
    sign_ins: SignIns


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """The services of this process; raises Unavailable when the database does not answer."""
    settings = msgspec.structs.replace(settings, secret_key=load_secret_key(settings))
    async with await Database.open(database_url, max_size=settings.database_connections) as database:
        services = build_services(settings, database)
        try:
            yield services
        finally:
            await services.ingest.close()


def build_services(settings: Settings, database: Database) -> Services:
    """Put the use-cases together; opens nothing."""
    directory, hasher, vault = Directory(database), Hasher(), Vault(load_secret_key(settings))
    organisations, configurations = Organisations(directory), Configurations(database)
    signing_keys = SigningKeys(directory, vault)
    tokens = AccessTokens(directory, signing_keys, settings.url)
    applications = Applications(directory, hasher, tokens, PERMISSIONS)
    administrators = Administrators(directory, hasher)
    ingest = Ingest(database, configurations)
    profiles = Profiles(database, configurations, ingest)
    return Services(
        settings=settings,
        database=database,
        directory=directory,
        organisations=organisations,
        founding=Founding(organisations, applications, administrators, signing_keys, configurations),
        configurations=configurations,
        applications=applications,
        accounts=Accounts(directory, hasher, tokens),
        administrators=administrators,
        attempts=Attempts(directory, vault),
        vault=vault,
        signing_keys=signing_keys,
        tokens=tokens,
        grants=Grants(directory, tokens),
        guard=Guard([OwnKeys(tokens)]),
        ingest=ingest,
        profiles=profiles,
        listing=Listing(ListingStore(database)),
        schemas=Schemas(configurations, applications),
        erasure=Erasure(database),
        sign_ins=SignIns(directory, profiles),
    )
