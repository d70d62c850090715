"""The audit log: every kind of change has an entry with its actor, what differs, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from oneself.adapters.identity_server.connection import Connection
from oneself.core.config.changes import (
    BlockList,
    DropAttributes,
    PutAttributes,
    PutBlocked,
    PutDatasetSettings,
    PutIdentityType,
    PutLimits,
    PutSettings,
)
from oneself.core.config.difference import SettingDifference
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import IdentityType
from oneself.core.units import SEQ_MAX
from oneself.core.values.attribute import Attribute
from oneself.errors import Conflict
from oneself.service.acting import act_as, administrator
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Registration
from oneself.service.directory.applications import NewApplication
from oneself.service.directory.code_webhooks import new_secret
from oneself.service.events.write_keys import NewWriteKey
from oneself.service.feed.webhooks import NewWebhook
from oneself.service.identity_provider.settings import OwnIdentityServer
from oneself.service.log.audit import AuditEntry
from oneself.services import Services

ADA = Actor("console", console_user="ada")
SECRET = "a secret that nobody may read"
PLAN = Attribute("a-plan", "traits.plan", "string", "overwrite")


@pytest.fixture(autouse=True)
def acting_ada() -> Iterator[None]:
    act_as(ADA)
    yield
    act_as(None)


@pytest_asyncio.fixture
async def acme(services: Services) -> DatasetRef:
    return (await services.setup.provisioning.create("acme", name="Acme")).dataset_ref


async def entries(services: Services, acme: DatasetRef) -> list[AuditEntry]:
    return await services.log.audit.list_entries(acme, 0, SEQ_MAX, limit=100, offset=0)


async def last(services: Services, acme: DatasetRef) -> AuditEntry:
    found = (await entries(services, acme))[0]
    assert (found.interface, found.console_user, found.application) == ("console", "ada", None)
    return found


async def changed(services: Services, acme: DatasetRef) -> list[tuple[Any, ...]]:
    """What the last entry changed."""
    return [msgspec.structs.astuple(item) for item in (await last(services, acme)).differences]


async def test_settings_say_only_what_differs(services: Services, acme: DatasetRef) -> None:
    change, dataset_id = services.configurations.change, acme.dataset_id
    await change(dataset_id, lambda _: PutAttributes((PLAN,)))
    assert await changed(services, acme) == [
        ("attribute traits.plan", "attribute_name", None, "traits.plan"),
        ("attribute traits.plan", "value_type", None, "string"),
        ("attribute traits.plan", "merge_strategy", None, "overwrite"),
        ("attribute traits.plan", "mutability", None, "readWrite"),
    ]
    again = msgspec.structs.replace(PLAN, merge_strategy="latest", multi_valued=True)
    await change(dataset_id, lambda _: PutAttributes((again,)))
    assert await changed(services, acme) == [
        ("attribute traits.plan", "merge_strategy", "overwrite", "latest"),
        ("attribute traits.plan", "multi_valued", False, True),
    ]
    await change(dataset_id, lambda _: DropAttributes((PLAN.attribute_id,)))
    assert ("attribute traits.plan", "merge_strategy", "latest", None) in await changed(services, acme)
    await change(dataset_id, lambda _: PutSettings(detach_on_sign_out=True))
    assert await changed(services, acme) == [("organisation", "detach_on_sign_out", False, True)]
    await change(
        dataset_id,
        lambda config: PutLimits(msgspec.structs.replace(config.limits, profiles_per_merge_max=7)),
    )
    assert await changed(services, acme) == [("limits", "profiles_per_merge_max", 100, 7)]
    await change(
        dataset_id,
        lambda config: PutDatasetSettings(msgspec.structs.replace(config.dataset, label="Shop")),
    )
    assert await changed(services, acme) == [("dataset", "label", "", "Shop")]
    await change(dataset_id, lambda _: PutIdentityType(IdentityType("loyaltyId", "Loyalty")))
    assert ("identity type loyaltyId", "label", None, "Loyalty") in await changed(services, acme)


async def test_blocked_values_are_counted_and_never_named(services: Services, acme: DatasetRef) -> None:
    change, dataset_id = services.configurations.change, acme.dataset_id
    await change(dataset_id, lambda _: PutBlocked(BlockList(frozenset({"ann@x.org"}), ("*@spam.example",))))
    assert await changed(services, acme) == [
        ("blocked values", "values", 0, 1),
        ("blocked values", "patterns", 0, 1),
    ]
    await change(dataset_id, lambda _: PutBlocked(BlockList(frozenset({"ben@x.org"}), ("*@spam.example",))))
    assert await changed(services, acme) == [("blocked values", "values", 1, "1 others")]
    blocking = IdentityType("loyaltyId", "Loyalty", blocked_values=("cleo@x.org",))
    await change(dataset_id, lambda _: PutIdentityType(blocking))
    assert ("identity type loyaltyId", "blocked_values", None, 1) in await changed(services, acme)
    listed = msgspec.json.encode([item.differences for item in await entries(services, acme)])
    assert b"x.org" not in listed


async def test_rules_and_write_keys_name_who_made_them(services: Services, acme: DatasetRef) -> None:
    await services.configurations.change(acme.dataset_id, lambda _: PutAttributes((PLAN,)))
    rule = await services.rules.rules.create(acme, UnificationRule("", "By plan", "traits.plan", 1, True))
    assert ("rule By plan", "is_active", None, True) in await changed(services, acme)
    await services.rules.rules.change(acme, rule.rule_id, is_active=False)
    assert await changed(services, acme) == [("rule By plan", "is_active", True, False)]
    await services.rules.rules.delete(acme, rule.rule_id)
    assert ("rule By plan", "property_name", "traits.plan", None) in await changed(services, acme)
    write_key, text = await services.events.write_keys.create(acme, NewWriteKey("server", "Shop"), ADA)
    assert await changed(services, acme) == [("write key Shop", "kind", None, "server")]
    await services.events.write_keys.delete(acme, write_key.key_id, ADA)
    assert await changed(services, acme) == [("write key", "key_id", str(write_key.key_id), None)]
    assert text not in str(await entries(services, acme))


async def test_applications(services: Services, acme: DatasetRef) -> None:
    applications = services.directory.applications
    new = NewApplication("Shop", client_id="shop", client_secret=SECRET)
    await applications.create(acme, new)
    assert await changed(services, acme) == [
        ("application shop", "kind", None, "machine"),
        ("application shop", "name", None, "Shop"),
    ]
    assert (await last(services, acme)).kind == "application"
    permission = applications.known[0]
    await applications.change(acme, "shop", permissions=[permission])
    assert await changed(services, acme) == [("application shop", "permissions", [], [permission])]
    before = len(await entries(services, acme))
    await applications.change(acme, "shop", permissions=[permission])
    with pytest.raises(Conflict):
        await applications.create(acme, new)
    assert len(await entries(services, acme)) == before
    secret = await applications.rotate_secret(acme, "shop")
    assert await changed(services, acme) == [("application shop", "secret", None, "replaced")]
    await applications.delete(acme, "shop")
    assert ("application shop", "name", "Shop", None) in await changed(services, acme)
    written = str(await stored(services))
    assert secret not in written
    assert SECRET not in written
    assert "argon2" not in written


async def test_webhooks(services: Services, acme: DatasetRef) -> None:
    webhooks = services.feed.webhooks
    webhook = await webhooks.create(acme, NewWebhook("https://example.com/changes"))
    subject = f"webhook {webhook.row.webhook_id}"
    assert (subject, "url", None, "https://example.com/changes") in await changed(services, acme)
    await webhooks.change(acme, webhook.row.webhook_id, {"view": "all"})
    assert await changed(services, acme) == [(subject, "view", "proven", "all")]
    await webhooks.change(acme, webhook.row.webhook_id, {}, rotates=True)
    assert await changed(services, acme) == [(subject, "secret", None, "replaced")]
    assert await webhooks.delete(acme, webhook.row.webhook_id)
    assert (subject, "url", "https://example.com/changes", None) in await changed(services, acme)
    assert not await webhooks.delete(acme, webhook.row.webhook_id)
    written = str(await stored(services))
    assert webhook.secrets[0].text not in written


async def test_console_users_roles_and_passwords(services: Services, acme: DatasetRef) -> None:
    users = services.directory.console_users
    await users.create("eve", "a good password", {acme: "analyst"})
    assert await changed(services, acme) == [("console user eve", "role", None, "analyst")]
    await users.set_role("eve", acme, "privacy_officer")
    assert await changed(services, acme) == [("console user eve", "role", "analyst", "privacy_officer")]
    await users.set_password("eve", "another good password")
    assert await changed(services, acme) == [("console user eve", "password", None, "replaced")]
    before = len(await entries(services, acme))
    await users.set_role("eve", acme, "privacy_officer")
    assert len(await entries(services, acme)) == before
    await users.delete("eve")
    assert await changed(services, acme) == [("console user eve", "role", "privacy_officer", None)]
    written = str(await stored(services))
    assert "good password" not in written
    assert "argon2" not in written


async def test_the_webhook_for_codes(services: Services, acme: DatasetRef) -> None:
    webhooks, subject = services.directory.code_webhooks, "webhook for codes"
    first, _ = await webhooks.put(acme, "https://sms.example")
    assert await changed(services, acme) == [(subject, "url", None, "https://sms.example")]
    await webhooks.put(acme, "https://sms.example/v2")
    assert await changed(services, acme) == [
        (subject, "url", "https://sms.example", "https://sms.example/v2")
    ]
    before = len(await entries(services, acme))
    await webhooks.put(acme, "https://sms.example/v2", first.secret)
    assert len(await entries(services, acme)) == before
    replaced = new_secret()
    await webhooks.put(acme, "https://sms.example/v2", replaced)
    assert await changed(services, acme) == [(subject, "secret", None, "replaced")]
    assert await webhooks.delete(acme)
    assert await changed(services, acme) == [(subject, "url", "https://sms.example/v2", None)]
    before = len(await entries(services, acme))
    assert not await webhooks.delete(acme)
    assert len(await entries(services, acme)) == before
    written = str(await stored(services))
    assert first.secret not in written
    assert replaced not in written


async def test_trusted_issuers(services: Services, acme: DatasetRef) -> None:
    issuers, subject = services.directory.issuers, "issuer https://login.example"
    issuer = await issuers.add(acme, issuer="https://login.example", audience="shop")
    assert await changed(services, acme) == [
        (subject, "issuer", None, "https://login.example"),
        (subject, "audience", None, "shop"),
        (subject, "verified_claims", None, "as_stated"),
    ]
    await issuers.change(
        acme, issuer.issuer_id, verified_claims="always", jwks_uri="https://login.example/keys"
    )
    assert await changed(services, acme) == [
        (subject, "jwks_uri", None, "https://login.example/keys"),
        (subject, "verified_claims", "as_stated", "always"),
    ]
    before = len(await entries(services, acme))
    with pytest.raises(Conflict):
        await issuers.add(acme, issuer="https://login.example")
    assert len(await entries(services, acme)) == before
    assert await issuers.remove(acme, issuer.issuer_id)
    assert (subject, "audience", "shop", None) in await changed(services, acme)
    before = len(await entries(services, acme))
    assert not await issuers.remove(acme, issuer.issuer_id)
    assert len(await entries(services, acme)) == before


async def test_the_identity_server(services: Services, acme: DatasetRef) -> None:
    servers, subject = services.identity_provider.servers, "identity server"
    connection = Connection("https://is.example", "oneself", SECRET, "client_credentials")
    await servers.create(acme, OwnIdentityServer(connection))
    assert await changed(services, acme) == [
        (subject, "url", None, "https://is.example"),
        (subject, "client_id", None, "oneself"),
        (subject, "grant", None, "client_credentials"),
    ]
    moved = msgspec.structs.replace(connection, url="https://is2.example", client_secret="another secret")
    await servers.change(acme, lambda _: OwnIdentityServer(moved, "is", "a password of the sync"))
    assert await changed(services, acme) == [
        (subject, "url", "https://is.example", "https://is2.example"),
        (subject, "sync_username", None, "is"),
        (subject, "client_secret", None, "replaced"),
        (subject, "sync_password", None, "replaced"),
    ]
    before = len(await entries(services, acme))
    await servers.change(acme, lambda own: own)
    assert len(await entries(services, acme)) == before
    assert await servers.delete(acme)
    assert (subject, "url", "https://is2.example", None) in await changed(services, acme)
    written = str(await stored(services))
    for secret in (SECRET, "another secret", "a password of the sync"):
        assert secret not in written


async def test_keys(services: Services, acme: DatasetRef) -> None:
    signing = services.directory.signing_keys
    former = (await signing.key_ring(acme)).current_id
    present = await signing.rotate(acme)
    assert await changed(services, acme) == [("signing key", "key_id", former, present)]
    token_keys = services.events.token_keys
    key = await token_keys.rotate(acme)
    assert await changed(services, acme) == [(f"token key {key.key_id}", "state", None, "waiting")]
    before = len(await entries(services, acme))
    (active,) = [item for item in await token_keys.list(acme) if item.state == "active"]
    with pytest.raises(Conflict):
        await token_keys.destroy(acme, active.key_id)
    assert not await token_keys.destroy(acme, 200)
    assert len(await entries(services, acme)) == before
    assert await token_keys.destroy(acme, key.key_id)
    assert await changed(services, acme) == [(f"token key {key.key_id}", "state", "waiting", None)]


async def test_accounts_without_whose_they_are(services: Services, acme: DatasetRef) -> None:
    accounts, users = services.directory.accounts, services.directory.users
    ann = Registration("ann@x.org", "a good password", "Ann", "Lee")
    account = await accounts.create(acme, ann)
    assert await changed(services, acme) == [("account", "stored", 0, 1)]
    await users.change(acme, ADA, account.user_id, {"given_name": "Anna"}, {"emailaddress": True})
    named = next(entry for entry in await entries(services, acme) if entry.kind == "account")
    assert [msgspec.structs.astuple(item) for item in named.differences] == [
        ("account", "given_name", None, "replaced"),
        ("account", "emailaddress_verified", False, True),
    ]
    await accounts.set_password(acme, account.user_id, "another good password")
    assert await changed(services, acme) == [("account", "password", None, "replaced")]
    await users.delete(acme, ADA, account.user_id)
    found = await entries(services, acme)
    assert [("account", "stored", 1, 0)] in [
        [msgspec.structs.astuple(item) for item in entry.differences] for entry in found
    ]
    written = str(await stored(services))
    for text in ("ann@x.org", "Ann", "password another", str(account.user_id)):
        assert text not in written


async def test_what_people_change_of_their_own_account_has_no_entry(
    services: Services, acme: DatasetRef
) -> None:
    act_as(None)
    before = await entries(services, acme)
    account = await services.directory.accounts.register(
        acme, Registration("ann@x.org", "a good password", "Ann", "Lee")
    )
    await services.directory.accounts.set_password(acme, account.user_id, "another good password")
    await services.directory.accounts.delete(acme, account.user_id)
    assert await entries(services, acme) == before


async def test_datasets(services: Services, acme: DatasetRef) -> None:
    await services.schema.datasets.create(acme, "web", {"label": "Web"})
    found = await entries(services, acme)
    assert {item.kind for item in found[:2]} == {"dataset", "configure"}
    assert {item.console_user for item in found[:2]} == {"ada"}
    await services.schema.datasets.delete(acme, "web")
    assert await changed(services, acme) == [("dataset web", "name", "web", None)]


async def test_what_was_configured_in_a_deleted_dataset_stays(services: Services, acme: DatasetRef) -> None:
    datasets, change = services.schema.datasets, services.configurations.change
    await datasets.create(acme, "web", {"label": "Web"})
    web = await datasets.get(acme, "web")
    await datasets.change(acme, "web", {"allowed_origins": ["https://shop.example"]}, actor=ADA)
    await change(web.dataset_id, lambda _: PutBlocked(BlockList(frozenset({"ann@x.org"}))))
    await services.events.write_keys.create(web, NewWriteKey("server", "Shop"), ADA)
    act_as(Actor("admin", "crm"))
    await change(web.dataset_id, lambda _: PutAttributes((PLAN,)))
    before = await entries(services, acme)
    assert [entry.kind for entry in before if entry.dataset == "web"] == ["configure"] * 5
    act_as(ADA)
    await datasets.delete(acme, "web")
    deleted, *after = await entries(services, acme)
    assert deleted.kind == "dataset"
    assert after == before
    written = " ".join(await stored(services))
    assert "https://shop.example" in written
    assert "ann@x.org" not in written
    await datasets.create(acme, "web", {})
    await datasets.delete(acme, "web")
    assert (await entries(services, acme))[-len(before) :] == before


async def test_removed_sample_data_leaves_that_it_was_added_and_removed(
    services: Services, acme: DatasetRef
) -> None:
    samples = services.overview.sample_data
    before = {entry.entry_id for entry in await entries(services, acme)}
    await samples.add(acme, ADA)
    await samples.remove(acme, ADA)
    while await samples.step():
        pass
    left = [entry for entry in await entries(services, acme) if entry.entry_id not in before]
    assert [(entry.kind, entry.dataset) for entry in left] == [("dataset", ""), ("dataset", "")]


async def test_what_the_settings_of_the_service_make_is_made_by_its_start(services: Services) -> None:
    act_as(None)
    settings = msgspec.structs.replace(
        services.settings, bootstrap_org="globex", bootstrap_client_id="crm", bootstrap_admin_password=SECRET
    )
    globex = await services.setup.provisioning.provision(settings)
    assert globex is not None
    found = await entries(services, globex)
    assert {item.kind for item in found} == {"organisation", "configure", "application", "console_user"}
    assert {item.interface for item in found} == {"start"}
    assert administrator() is None


async def test_another_organisation_has_none_of_it(services: Services, acme: DatasetRef) -> None:
    other = (await services.setup.provisioning.create("zenith", name="Zenith")).dataset_ref
    await services.directory.console_users.create("eve", "a good password", {acme: "analyst"})
    kinds = {item.kind for item in await entries(services, other)}
    assert kinds <= {"organisation", "configure", "application"}
    assert (
        SettingDifference("console user eve", "role", None, "analyst")
        in (await last(services, acme)).differences
    )


async def stored(services: Services) -> list[str]:
    """The content of every entry of the audit log that belongs to no dataset."""
    async with services.database.connection() as connection:
        return [row["content"] for row in await connection.fetch("SELECT content::text FROM audit_entry")]
