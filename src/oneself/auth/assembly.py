"""Puts the directory's services together, once per process; `serve.py` is the only caller."""

from __future__ import annotations

import msgspec

from oneself.auth.guard import Guard, OwnKeys
from oneself.auth.introspection import Introspection
from oneself.auth.issued_outside import IssuedOutside
from oneself.auth.permissions import PERMISSIONS
from oneself.identity_server.issuer_keys import IssuerKeys
from oneself.service.accounts import Accounts, Administrators
from oneself.service.applications import Applications
from oneself.service.attempts import Attempts
from oneself.service.configuration import Configurations
from oneself.service.datasets import Datasets
from oneself.service.founding import Founding
from oneself.service.grants import Grants
from oneself.service.identity_attributes import IdentityAttributes
from oneself.service.identity_document import IdentityDocuments
from oneself.service.identity_resolution import IdentityResolution
from oneself.service.identity_servers import IdentityServers
from oneself.service.identity_types import IdentityTypes
from oneself.service.issuers import Issuers
from oneself.service.organisations import Organisations
from oneself.service.preview import Previews
from oneself.service.profiles import Profiles
from oneself.service.secrets import Hasher, Vault
from oneself.service.sign_in import SignIns
from oneself.service.signing_keys import SigningKeys
from oneself.service.tokens import AccessTokens
from oneself.settings import Settings
from oneself.store.directory import Directory
from oneself.store.pool import Database


class Identity(msgspec.Struct, frozen=True):
    """Everything about who is who: tenants, callers, people, keys."""

    organisations: Organisations
    datasets: Datasets
    identity_types: IdentityTypes
    identity_attributes: IdentityAttributes
    identity_resolution: IdentityResolution
    identity_documents: IdentityDocuments
    founding: Founding
    applications: Applications
    accounts: Accounts
    administrators: Administrators
    signing_keys: SigningKeys
    tokens: AccessTokens
    grants: Grants
    sign_ins: SignIns
    attempts: Attempts
    vault: Vault
    guard: Guard
    identity_servers: IdentityServers
    issuers: Issuers
    issuer_keys: IssuerKeys
    introspection: Introspection

    async def close(self) -> None:
        """Close connections to issuers outside."""
        await self.issuer_keys.close()
        await self.introspection.close()


def assemble(
    database: Database,
    configurations: Configurations,
    profiles: Profiles,
    *,
    secret_key: str,
    settings: Settings,
) -> Identity:
    """The directory on an open database."""
    directory, vault, hasher = Directory(database), Vault(secret_key), Hasher()
    organisations = Organisations(directory)
    keys = SigningKeys(directory, vault)
    tokens = AccessTokens(directory, keys, settings.url)
    applications = Applications(directory, hasher, tokens, PERMISSIONS)
    administrators = Administrators(directory, hasher)
    servers = IdentityServers(database, vault, settings)
    issuers, issuer_keys = Issuers(database, PERMISSIONS), IssuerKeys()
    introspection = Introspection(servers, settings)
    outside = IssuedOutside(servers, issuers, issuer_keys)
    datasets, types = Datasets(directory, configurations), IdentityTypes(database, configurations)
    previews = Previews(database, configurations)
    bindings = IdentityAttributes(database, configurations, previews)
    return Identity(
        organisations=organisations,
        datasets=datasets,
        identity_types=types,
        identity_attributes=bindings,
        identity_resolution=IdentityResolution(configurations, previews),
        identity_documents=IdentityDocuments(configurations, datasets, types, bindings),
        founding=Founding(organisations, applications, administrators, keys, configurations),
        applications=applications,
        accounts=Accounts(directory, hasher, tokens),
        administrators=administrators,
        signing_keys=keys,
        tokens=tokens,
        grants=Grants(directory, tokens),
        sign_ins=SignIns(directory, profiles, configurations),
        attempts=Attempts(directory, vault),
        vault=vault,
        guard=Guard((OwnKeys(tokens), outside, introspection)),
        identity_servers=servers,
        issuers=issuers,
        issuer_keys=issuer_keys,
        introspection=introspection,
    )
