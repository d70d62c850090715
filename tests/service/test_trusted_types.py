"""Trusted-only types: values from browsers neither match nor replace those from servers."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import msgspec
import pytest

from oneself.core.config.changes import PutIdentityType, PutRule
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.identity.identity_type import BUILT_IN_TYPES
from oneself.service.log.verify import verify
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail

HOUR_US = 3600 * 1_000_000
ANN, BOB = mail("ann@x.org"), mail("bob@x.org")
A1, B2 = customer("a1"), customer("b2")


class TrustHarness(InteractionsHarness):
    """A dataset in which `customerId` can be trusted only from servers."""

    async def set_trusted_only(self, only: bool = True) -> None:
        changed = msgspec.structs.replace(BUILT_IN_TYPES["customerId"], trusted_only=only)
        await self.services.configurations.change(
            self.dataset_ref.dataset_id, lambda _: PutIdentityType(changed)
        )
        while await self.services.rules.reindexer.step():
            pass

    async def server(self, *identifiers: tuple[str, str], **fields: Any) -> UUID:
        return (await self.event(*identifiers, trust="server", **fields)).survivor.profile_id

    async def browser(self, *identifiers: tuple[str, str], **fields: Any) -> UUID:
        return (await self.event(*identifiers, **fields)).survivor.profile_id

    async def holder(self, identity: tuple[str, str]) -> UUID | None:
        found = await self.services.profiles.lookup.resolve(self.dataset_ref, dict([identity]))
        return None if found is None else found.profile_id

    async def folds(self) -> bool:
        return (await verify(self.services.database, lambda done, total: None)).difference is None


@pytest.fixture
async def harness(services: Services) -> TrustHarness:
    harness = TrustHarness(services)
    await harness.begin()
    return harness


async def test_a_rule_on_the_attribute_ignores_browser_values(harness: TrustHarness) -> None:
    rule = UnificationRule("by-number", "by number", "identity_attributes.customerId", 2, is_active=True)
    await harness.services.configurations.change(harness.dataset_ref.dataset_id, lambda _: PutRule(rule))
    await harness.set_trusted_only()
    ann = await harness.server(A1, ANN)
    assert await harness.browser(BOB, A1) != ann
    assert await harness.browser(A1, device="00000000000000aa") != ann
    assert await harness.server(A1) == ann
    assert await harness.folds()


async def test_a_merge_keeps_the_value_from_a_server(harness: TrustHarness) -> None:
    await harness.server(A1, ANN)
    await harness.browser(B2, BOB)
    await harness.set_trusted_only()
    assert await harness.holder(B2) is None
    merged = await harness.browser(ANN, BOB)
    assert await harness.holder(A1) == merged
    assert await harness.holder(B2) is None
    assert await harness.server(A1) == merged
    assert await harness.folds()


async def test_a_late_value_from_a_server_replaces_one_from_a_browser(harness: TrustHarness) -> None:
    bob = await harness.browser(B2, BOB)
    await harness.set_trusted_only()
    hour_ago = time.time_ns() // 1000 - HOUR_US
    assert await harness.server(BOB, A1, at=hour_ago) == bob
    assert await harness.holder(A1) == bob
    assert await harness.folds()


async def test_browser_values_match_again_without_trusted_only(harness: TrustHarness) -> None:
    bob = await harness.browser(B2, BOB)
    await harness.set_trusted_only()
    assert await harness.holder(B2) is None
    await harness.set_trusted_only(False)
    assert await harness.holder(B2) == bob
    assert await harness.folds()
