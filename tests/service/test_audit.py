"""The audit log: every kind of change has an entry with its actor, what differs, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio

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
from oneself.service.acting import act_as
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.applications import NewApplication
from oneself.service.events.write_keys import NewWriteKey
from oneself.service.feed.webhooks import NewWebhook
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


async def test_datasets(services: Services, acme: DatasetRef) -> None:
    await services.schema.datasets.create(acme, "web", {"label": "Web"})
    found = await entries(services, acme)
    assert {item.kind for item in found[:2]} == {"dataset", "configure"}
    assert {item.console_user for item in found[:2]} == {"ada"}
    await services.schema.datasets.delete(acme, "web")
    assert await changed(services, acme) == [("dataset web", "name", "web", None)]


async def test_another_organisation_has_none_of_it(services: Services, acme: DatasetRef) -> None:
    other = (await services.setup.provisioning.create("zenith", name="Zenith")).dataset_ref
    await services.directory.console_users.create("eve", "a good password", {acme: "analyst"})
    kinds = {item.kind for item in await entries(services, other)}
    assert kinds <= {"configure", "application"}
    assert (
        SettingDifference("console user eve", "role", None, "analyst")
        in (await last(services, acme)).differences
    )


async def stored(services: Services) -> list[str]:
    """The content of every entry of the audit log that belongs to no dataset."""
    async with services.database.connection() as connection:
        return [row["content"] for row in await connection.fetch("SELECT content::text FROM audit_entry")]
