"""An operator says where webhooks, issuers and identity servers of organisations may be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from oneself.adapters.identity_server.connection import Connection
from oneself.bootstrap import build_services
from oneself.errors import InvalidInput
from oneself.service.context import DatasetRef
from oneself.service.feed.webhooks import NewWebhook
from oneself.service.identity_provider.settings import OwnIdentityServer
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from support.code_receiver import CodeReceiver
from support.service import SECRET_KEY
from support.tunables import FAST

pytestmark = pytest.mark.postgres
REFUSED = "leads to an address that ONESELF_OUTGOING_NETWORKS does not permit"


@pytest.fixture
def receiver() -> Iterator[CodeReceiver]:
    receiver = CodeReceiver()
    yield receiver
    receiver.stop()


def services_of(database: Database, folder: Path, *networks: str) -> Services:
    settings = Settings(data_dir=folder, secret_key=SECRET_KEY, outgoing_networks=networks)
    return build_services(settings, database, tunables=FAST)


@pytest.fixture
def public(database: Database, tmp_path: Path) -> Services:
    return services_of(database, tmp_path, "public")


@pytest.fixture
async def acme(public: Services) -> DatasetRef:
    return (await public.setup.provisioning.create("acme")).dataset_ref


async def test_nothing_is_stored_that_leads_where_nothing_may_be_sent(
    public: Services, acme: DatasetRef, receiver: CodeReceiver
) -> None:
    for url in (receiver.url, "https://10.0.0.1/x", "https://[::ffff:169.254.169.254]/latest"):
        with pytest.raises(InvalidInput, match=REFUSED):
            await public.feed.webhooks.create(acme, NewWebhook(url))
        with pytest.raises(InvalidInput, match=REFUSED):
            await public.directory.code_webhooks.put(acme, url)
        with pytest.raises(InvalidInput, match=REFUSED):
            await public.directory.issuers.add(acme, issuer=url)
        with pytest.raises(InvalidInput, match=REFUSED):
            await public.directory.issuers.add(acme, issuer="https://93.184.215.14", jwks_uri=url)
        with pytest.raises(InvalidInput, match=REFUSED):
            own = OwnIdentityServer(Connection(url, "client", "secret"))
            await public.identity_provider.servers.create(acme, own)
    webhook = await public.feed.webhooks.create(acme, NewWebhook("https://93.184.215.14/changes"))
    with pytest.raises(InvalidInput, match=REFUSED):
        await public.feed.webhooks.change(acme, webhook.row.webhook_id, {"url": receiver.url})
    issuer = await public.directory.issuers.add(acme, issuer="https://93.184.215.14")
    with pytest.raises(InvalidInput, match=REFUSED):
        await public.directory.issuers.change(acme, issuer.issuer_id, jwks_uri=receiver.url)


async def test_what_was_stored_before_is_not_sent(
    public: Services, acme: DatasetRef, receiver: CodeReceiver, database: Database, tmp_path: Path
) -> None:
    everywhere = services_of(database, tmp_path, "public", "private", "loopback")
    webhook = await everywhere.feed.webhooks.create(acme, NewWebhook(receiver.url))
    assert (await everywhere.feed.webhooks.test(acme, webhook.row.webhook_id)).failure is None
    failed = await public.feed.webhooks.test(acme, webhook.row.webhook_id)
    assert failed.failure == "The webhook has an address that ONESELF_OUTGOING_NETWORKS does not permit."
    assert len(receiver.received) == 1


async def test_link_local_addresses_are_never_permitted(
    acme: DatasetRef, database: Database, tmp_path: Path
) -> None:
    everywhere = services_of(database, tmp_path, "public", "private", "loopback", "169.254.0.0/16")
    for host in ("169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]"):
        with pytest.raises(InvalidInput, match=REFUSED):
            await everywhere.feed.webhooks.create(acme, NewWebhook(f"https://{host}/"))
    assert await everywhere.feed.webhooks.find_all(acme) == []
    assert not await everywhere.feed.webhooks.delete(acme, UUID(int=1))
