"""Provisioning: making organisations that can be used at once.

Invariants: a new organisation has a dataset, the directory's claims as identity attributes, the active
customer data service, a system application with every permission and, on request, a console user. Each step
is skipped if it was done before, so an interrupted start continues; later changes by operators are never
undone.
"""

from __future__ import annotations

import uuid

import msgspec

from oneself.core.config.changes import PutAttributes, PutDatasetSettings, PutSettings
from oneself.core.config.configuration import Config
from oneself.core.identity.dataset_settings import NEW_DEFAULT_DATASET
from oneself.core.values.attribute import IDENTITY_ATTRIBUTES, READ_ONLY, READ_WRITE, Attribute
from oneself.errors import Conflict
from oneself.service.acting import acting_as
from oneself.service.configuration import Configurations
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import CLAIMS
from oneself.service.directory.applications import Application, Applications, NewApplication
from oneself.service.directory.console_users import ConsoleUsers
from oneself.service.directory.organisations import Organisations
from oneself.service.directory.signing_keys import SigningKeys
from oneself.service.setup.activation import with_mandatory_category
from oneself.settings import Settings

ADMIN = "admin"
#: Who provisions an organisation that the settings of the service name.
_START = Actor("start")


class ProvisionedOrganisation(msgspec.Struct, frozen=True):
    """A new organisation."""

    dataset_ref: DatasetRef
    created: bool
    client_id: str | None = None
    #: Set only if it was generated or given in this call.
    client_secret: str | None = None


class OrganisationSetup:
    """Provisions organisations, on demand and at an unattended first start."""

    def __init__(
        self,
        organisations: Organisations,
        applications: Applications,
        console_users: ConsoleUsers,
        signing_keys: SigningKeys,
        configurations: Configurations,
    ) -> None:
        self._organisations = organisations
        self._applications = applications
        self._console_users = console_users
        self._signing_keys = signing_keys
        self._configurations = configurations

    async def create(
        self,
        handle: str,
        *,
        name: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
    ) -> ProvisionedOrganisation:
        """Create an organisation with its system application. Raises InvalidInput, Conflict if it exists."""
        if not await self._organisations.put(handle, name or handle):
            raise Conflict(f"An organisation {handle!r} already exists.", code="taken")
        dataset_ref = await self._organisations.get(handle)
        application, secret = await self._provision_application(
            dataset_ref, client_id or uuid.uuid4().hex, client_secret
        )
        return ProvisionedOrganisation(dataset_ref, True, application.client_id, secret)

    async def provision(self, settings: Settings) -> DatasetRef | None:
        """Provision the organisation of the bootstrap settings as far as it is not done; None if none is set.

        A second call changes nothing.
        """
        if settings.bootstrap_org is None:
            return None
        with acting_as(_START):
            return await self._provision(settings, settings.bootstrap_org)

    async def _provision(self, settings: Settings, handle: str) -> DatasetRef:
        created = await self._organisations.put(handle, handle)
        dataset_ref = await self._organisations.get(handle)
        if settings.bootstrap_client_id:
            await self._ensure_application(
                dataset_ref, settings.bootstrap_client_id, settings.bootstrap_client_secret
            )
        elif created:
            await self._prepare(dataset_ref, ())
        if settings.bootstrap_admin_password:
            password = settings.bootstrap_admin_password
            await self._console_users.ensure(ADMIN, password, dataset_ref, "administrator")
        return dataset_ref

    async def _ensure_application(self, dataset_ref: DatasetRef, client_id: str, secret: str | None) -> None:
        if await self._applications.find(dataset_ref, client_id) is not None:
            return
        try:
            await self._provision_application(dataset_ref, client_id, secret)
        except Conflict:
            # Another process that starts now was first.
            return

    async def _provision_application(
        self, dataset_ref: DatasetRef, client_id: str, secret: str | None
    ) -> tuple[Application, str | None]:
        # The application comes last: while it is missing, the next start continues here.
        await self._prepare(dataset_ref, (client_id,))
        new = NewApplication(
            name="System application",
            permissions=self._applications.known,
            client_id=client_id,
            client_secret=secret,
        )
        return await self._applications.create(dataset_ref, new)

    async def add_system_application(self, dataset_ref: DatasetRef, client_id: str) -> None:
        """Add an application to the organisation's list of system applications."""

        def decide(config: Config) -> PutSettings | None:
            listed = config.settings.system_applications
            return None if client_id in listed else PutSettings(system_applications=(*listed, client_id))

        await self._configurations.change(dataset_ref.dataset_id, decide)

    async def _prepare(self, dataset_ref: DatasetRef, system_applications: tuple[str, ...]) -> None:
        await self._signing_keys.signing_key(dataset_ref)
        await self._configurations.change(dataset_ref.dataset_id, _first_settings)
        await self._configurations.change(dataset_ref.dataset_id, _missing_attributes)
        enable = PutSettings(cds_enabled=True)
        await self._configurations.change(
            dataset_ref.dataset_id, lambda config: with_mandatory_category(config, enable)
        )
        for client_id in system_applications:
            await self.add_system_application(dataset_ref, client_id)


#: Claims that only the identity provider may write.
PROVIDER_ONLY = frozenset({f"{IDENTITY_ATTRIBUTES}.userid"})


def _first_settings(config: Config) -> PutDatasetSettings | None:
    """The settings of a new dataset; None if it is not new."""
    return PutDatasetSettings(NEW_DEFAULT_DATASET) if config.version == 0 else None


def _missing_attributes(config: Config) -> PutAttributes | None:
    """The identity attributes of the directory's claims that the schema lacks."""
    names = [f"{IDENTITY_ATTRIBUTES}.{claim}" for claim in CLAIMS]
    missing = tuple(
        Attribute(
            attribute_id=str(uuid.uuid4()),
            attribute_name=name,
            value_type="string",
            merge_strategy="overwrite",
            mutability=READ_ONLY if name in PROVIDER_ONLY else READ_WRITE,
            display_name=name.rpartition(".")[2],
        )
        for name in names
        if config.schema.find(name) is None
    )
    return PutAttributes(missing) if missing else None
