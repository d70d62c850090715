"""Puts the directory's services together, once per process; `serve.py` is the only caller."""

from __future__ import annotations

import msgspec

from oneself.adapters.identity_server.issuer_keys import IssuerKeys
from oneself.auth.callers.external_tokens import ExternalTokens
from oneself.auth.callers.guard import Guard, OwnKeys
from oneself.auth.callers.introspection import TokenIntrospection
from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.configuration import Configurations
from oneself.service.crypto import Hasher, SecretBox
from oneself.service.directory.accounts import Accounts, Administrators
from oneself.service.directory.applications import Applications
from oneself.service.directory.grants import Grants
from oneself.service.directory.issuers import Issuers
from oneself.service.directory.login_throttle import LoginThrottle
from oneself.service.directory.organisations import Organisations
from oneself.service.directory.sign_in import SignIns
from oneself.service.directory.signing_keys import SigningKeys
from oneself.service.directory.tokens import AccessTokens
from oneself.service.identity.attributes import IdentityBindings
from oneself.service.identity.manifest.document import IdentityDocuments
from oneself.service.identity.resolution_switch import ResolutionSwitch
from oneself.service.identity_provider.settings import IdentityServers
from oneself.service.profiles.profiles import Profiles
from oneself.service.rules.preview import Previews
from oneself.service.schema.datasets import Datasets
from oneself.service.schema.identity_types import IdentityTypes
from oneself.service.setup.provisioning import OrganisationSetup
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.directory import Directory


class Identity(msgspec.Struct, frozen=True):
    """Everything about who is who: tenants, callers, people, keys."""

    organisations: Organisations
    datasets: Datasets
    identity_types: IdentityTypes
    identity_attributes: IdentityBindings
    identity_resolution: ResolutionSwitch
    identity_documents: IdentityDocuments
    founding: OrganisationSetup
    applications: Applications
    accounts: Accounts
    administrators: Administrators
    signing_keys: SigningKeys
    tokens: AccessTokens
    grants: Grants
    sign_ins: SignIns
    attempts: LoginThrottle
    vault: SecretBox
    guard: Guard
    identity_servers: IdentityServers
    issuers: Issuers
    issuer_keys: IssuerKeys
    introspection: TokenIntrospection

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
    directory, vault, hasher = Directory(database), SecretBox(secret_key), Hasher()
    organisations = Organisations(directory)
    keys = SigningKeys(directory, vault)
    tokens = AccessTokens(directory, keys, settings.url)
    applications = Applications(directory, hasher, tokens, PERMISSIONS)
    administrators = Administrators(directory, hasher)
    servers = IdentityServers(database, vault, settings)
    issuers, issuer_keys = Issuers(database, PERMISSIONS), IssuerKeys()
    introspection = TokenIntrospection(servers, settings)
    outside = ExternalTokens(servers, issuers, issuer_keys)
    datasets, types = Datasets(directory, configurations), IdentityTypes(database, configurations)
    previews = Previews(database, configurations)
    bindings = IdentityBindings(database, configurations, previews)
    return Identity(
        organisations=organisations,
        datasets=datasets,
        identity_types=types,
        identity_attributes=bindings,
        identity_resolution=ResolutionSwitch(configurations, previews),
        identity_documents=IdentityDocuments(configurations, datasets, types, bindings),
        founding=OrganisationSetup(organisations, applications, administrators, keys, configurations),
        applications=applications,
        accounts=Accounts(directory, hasher, tokens),
        administrators=administrators,
        signing_keys=keys,
        tokens=tokens,
        grants=Grants(directory, tokens),
        sign_ins=SignIns(directory, profiles, configurations),
        attempts=LoginThrottle(directory, vault),
        vault=vault,
        guard=Guard((OwnKeys(tokens), outside, introspection)),
        identity_servers=servers,
        issuers=issuers,
        issuer_keys=issuer_keys,
        introspection=introspection,
    )
