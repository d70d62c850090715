"""Creation of organisations, by command and by bootstrap settings, and their signing keys."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from oneself.auth.callers.permissions import PERMISSIONS
from oneself.bootstrap import build_services
from oneself.core.config.changes import PutSettings
from oneself.errors import Conflict, InvalidInput, SettingsError
from oneself.service.context import DatasetRef
from oneself.services import Services
from oneself.settings import Settings
from support.tunables import FAST, tuned
from support.visitor import Application, Visitor
from wire.oauth.in_process.conftest import SECRET, SYSTEM

pytestmark = pytest.mark.postgres

BOOTSTRAP = {
    "bootstrap_org": "acme",
    "bootstrap_client_id": SYSTEM,
    "bootstrap_client_secret": SECRET,
    "bootstrap_admin_password": "correct horse",
}
CLAIMS = {"userid", "username", "emailaddress", "givenname", "lastname", "mobile"}


def _settings(services: Services, **changes: Any) -> Settings:
    return msgspec.structs.replace(services.settings, **{**BOOTSTRAP, **changes})


async def _all_rows(services: Services) -> list[tuple[str, list[tuple[object, ...]]]]:
    """Every row of every table."""
    tables = await services.database.fetch(
        "select tablename from pg_tables where schemaname = 'oneself' order by 1"
    )
    found = []
    for (table,) in tables:
        rows = await services.database.fetch(f"select t::text from {table} t order by 1")
        found.append((table, [tuple(row) for row in rows]))
    return found


async def test_a_bootstrap_creates_a_usable_organisation(services: Services) -> None:
    dataset_ref = await services.setup.provisioning.provision(_settings(services))
    assert dataset_ref is not None
    config = await services.configurations.current(dataset_ref.dataset_id)
    assert config.settings.cds_enabled
    assert config.settings.system_applications == (SYSTEM,)
    attributes = {attribute.attribute_name: attribute for attribute in config.schema.attributes}
    assert set(attributes) == {f"identity_attributes.{claim}" for claim in CLAIMS}
    assert {(a.value_type, a.merge_strategy) for a in attributes.values()} == {("string", "overwrite")}
    read_only = {name for name, attribute in attributes.items() if attribute.mutability == "readOnly"}
    assert read_only == {"identity_attributes.userid"}
    application = await services.directory.applications.get(dataset_ref, SYSTEM)
    assert (application.kind, set(application.permissions)) == ("machine", set(PERMISSIONS))
    users = services.directory.console_users
    assert await users.find_of(dataset_ref) == {"admin": "administrator"}
    assert await users.authenticate("admin", "correct horse")
    assert not await users.authenticate("admin", "wrong")
    assert not await users.authenticate("root", "correct horse")


async def test_bootstrapping_twice_changes_nothing(services: Services) -> None:
    await services.setup.provisioning.provision(_settings(services))
    before = await _all_rows(services)
    restarted = build_services(services.settings, services.database, tunables=FAST)
    await restarted.setup.provisioning.provision(_settings(services))
    changed = {"bootstrap_client_secret": "another secret", "bootstrap_admin_password": "another password"}
    await restarted.setup.provisioning.provision(_settings(services, **changed))
    assert await _all_rows(services) == before


async def test_a_second_bootstrap_keeps_later_changes(services: Services) -> None:
    dataset_ref = await services.setup.provisioning.provision(_settings(services))
    assert dataset_ref is not None
    disabled = PutSettings(cds_enabled=False, system_applications=())
    await services.configurations.change(dataset_ref.dataset_id, lambda _: disabled)
    await services.setup.provisioning.provision(_settings(services))
    config = await services.configurations.current(dataset_ref.dataset_id)
    assert not config.settings.cds_enabled
    assert config.settings.system_applications == ()


async def test_a_failed_start_is_resumed(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks_off(*_: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch, pytest.raises(ConnectionError):
        patch.setattr(services.directory.applications, "create", breaks_off)
        await services.setup.provisioning.provision(_settings(services))
    dataset_ref = await services.setup.provisioning.provision(_settings(services))
    assert dataset_ref is not None
    assert await services.directory.applications.find(dataset_ref, SYSTEM)


async def test_concurrent_bootstraps_create_one_organisation(services: Services) -> None:
    processes = [build_services(services.settings, services.database, tunables=FAST) for _ in range(4)]
    await asyncio.gather(
        *(process.setup.provisioning.provision(_settings(services)) for process in processes)
    )
    (found,) = await processes[0].directory.organisations.list()
    assert (found.handle, found.applications) == ("acme", 1)


async def test_without_bootstrap_settings_nothing_is_created(services: Services) -> None:
    assert await services.setup.provisioning.provision(services.settings) is None
    assert await services.directory.organisations.list() == []


async def test_a_new_organisation_gets_valid_credentials(services: Services, visitor: Visitor) -> None:
    created = await services.setup.provisioning.create("other", name="The Other Shop")
    visitor.handle = "other"
    application = Application(visitor, str(created.client_id), created.client_secret)
    answer = await application.token(grant_type="client_credentials", scope="internal_cds_profile_view")
    assert answer.status_code == 200


async def test_a_handle_is_unique(services: Services, dataset_ref: DatasetRef) -> None:
    with pytest.raises(Conflict):
        await services.setup.provisioning.create("acme")


@pytest.mark.parametrize("name", [" ", "Acme\nBcc: ben@acme.example", "Acme\0", "a" * 101])
async def test_a_name_is_one_line(services: Services, name: str) -> None:
    """It is in the header of each mail of the organisation."""
    with pytest.raises(InvalidInput):
        await services.setup.provisioning.create("acme", name=name)
    assert await services.directory.organisations.find("acme") is None


@pytest.mark.parametrize("handle", ["", "Acme", "a b", "-a", ".a", "a" * 64, "a/b", "a\0b", "\u00e9"])
async def test_a_handle_must_be_a_valid_path_segment(services: Services, handle: str) -> None:
    with pytest.raises(InvalidInput):
        await services.setup.provisioning.create(handle)
    assert await services.directory.organisations.find(handle) is None


async def test_after_a_key_rotation_old_tokens_stay_valid(
    services: Services, dataset_ref: DatasetRef, system: Application, visitor: Visitor
) -> None:
    form = {"grant_type": "client_credentials", "scope": "internal_cds_profile_view"}
    old = (await system.token(**form)).json()["access_token"]
    key_id = await services.directory.signing_keys.rotate(dataset_ref)
    new = (await system.token(**form)).json()["access_token"]
    for token in (old, new):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    keys = (await visitor.open("oauth2/jwks")).json()["keys"]
    assert next(key["kid"] for key in keys) == key_id
    assert len(keys) == 2


@pytest.mark.parametrize("tunables", [tuned(unknown_key_reread_s=0.0)])
async def test_a_key_rotated_by_another_process_verifies_here(
    services: Services, dataset_ref: DatasetRef
) -> None:
    await services.directory.signing_keys.key_ring(dataset_ref)
    other_directory = build_services(services.settings, services.database, tunables=FAST).directory
    key_id = await other_directory.signing_keys.rotate(dataset_ref)
    assert key_id in (await services.directory.signing_keys.key_ring_with(dataset_ref, key_id)).public


async def test_private_keys_are_encrypted_with_the_secret_key(
    services: Services, dataset_ref: DatasetRef
) -> None:
    await services.directory.signing_keys.key_ring(dataset_ref)
    sealed = await services.database.fetchval("select private_sealed from signing_key")
    assert b"kty" not in sealed
    other_settings = msgspec.structs.replace(services.settings, secret_key="another secret key, long enough")
    with pytest.raises(SettingsError, match="ONESELF_SECRET_KEY"):
        keys = build_services(other_settings, services.database, tunables=FAST).directory.signing_keys
        await keys.signing_key(dataset_ref)


async def test_a_signing_key_that_cannot_be_decrypted_does_not_affect_others(
    services: Services, dataset_ref: DatasetRef
) -> None:
    before = await services.directory.signing_keys.signing_key(dataset_ref)
    other = msgspec.structs.replace(services.settings, secret_key="another secret key, long enough")
    await build_services(other, services.database, tunables=FAST).directory.signing_keys.rotate(dataset_ref)
    keys = build_services(services.settings, services.database, tunables=FAST).directory.signing_keys
    assert (await keys.signing_key(dataset_ref)).kid == before.kid
    assert len((await keys.key_ring(dataset_ref)).public) == 2


async def test_no_secret_is_readable_in_the_database(
    services: Services, shop: Application, visitor: Visitor
) -> None:
    page = await shop.registration(scope="openid offline_access")
    redirect = await visitor.register("ann@acme.example", page, password="a very private password")
    tokens = await shop.tokens(redirect)
    session = str(visitor.http.cookies.get("oneself_session"))
    stored = str(await _all_rows(services))
    for secret in ("a very private password", SECRET, str(shop.secret), tokens["refresh_token"], session):
        assert secret not in stored
        assert secret.encode().hex() not in stored
