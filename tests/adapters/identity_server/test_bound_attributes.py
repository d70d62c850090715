"""Attributes bound to identity types remain when the claims of the identity server change."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.identity_server.conftest import beside
from adapters.identity_server.stand_in import IdentityServer
from oneself.service.schema.identity_bindings import Binding
from oneself.settings import Settings
from support.caller import Cds

pytestmark = pytest.mark.asyncio


@pytest.fixture
def settings(settings: Settings, identity_server: IdentityServer) -> Settings:
    return beside(settings, identity_server)


async def _attributes(cds: Cds) -> dict[str, dict[str, Any]]:
    answer = await cds("GET", "/profile-schema/identity_attributes")
    return {attribute["attribute_name"].partition(".")[2]: attribute for attribute in answer.json()}


async def _bind(cds: Cds, *names: str) -> None:
    bindings = [Binding(name, kind) for name, _, kind in (name.partition("=") for name in names)]
    await cds.services.identity.attributes.put(cds.dataset_ref, bindings)


async def test_mirroring_keeps_bound_attributes(cds: Cds, identity_server: IdentityServer) -> None:
    await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    await _bind(cds, "customerId=customerId", "emailaddress=emailAddress")
    before = await _attributes(cds)
    assert {"customerId", "emailaddress", "givenname"} <= before.keys()
    identity_server.remove("emailaddress")
    identity_server.remove("givenname")
    mirrored = await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    after = await _attributes(cds)
    assert {name: after[name] for name in ("customerId", "emailaddress")} == {
        name: before[name] for name in ("customerId", "emailaddress")
    }
    assert "givenname" not in after
    assert mirrored.removed == ("identity_attributes.givenname",)


async def test_enabling_keeps_bound_attributes(cds: Cds) -> None:
    await _bind(cds, "customerId=customerId")
    before = (await _attributes(cds))["customerId"]
    for enabled in (False, True):
        answer = await cds("PATCH", "/config", json={"cds_enabled": enabled})
        assert answer.status_code == 200, answer.text
    assert (await _attributes(cds))["customerId"] == before


async def test_an_unbound_attribute_is_removed_at_the_next_sync(cds: Cds) -> None:
    await _bind(cds, "customerId=customerId")
    await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    await _bind(cds)
    await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    assert "customerId" not in await _attributes(cds)
