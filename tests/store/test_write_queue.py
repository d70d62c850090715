"""Writes that are sent together are one statement, with what each of them would have written."""

from __future__ import annotations

from uuid import UUID

import pytest

from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.identity_graph.browser import BrowserFragments
from oneself.core.identity_graph.evidence_level import EvidenceLevel
from oneself.core.identity_graph.fragment import Tenure
from oneself.core.profiles.claim import Claim
from oneself.services import Services
from oneself.store.transaction import begin
from support.statements import STATEMENTS, counted_statements

DEVICE = Identifier(ANONYMOUS_ID, "a b;c$2")
ONE, OTHER = UUID(int=1), UUID(int=2)


async def test_writes_to_several_tables_are_one_statement(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted_statements(monkeypatch) as counts:
        async with begin(services.database, 1) as transaction:
            later = transaction.later
            await later.claims.put([Claim(DEVICE, ONE, 5, "server", 6, 7)])
            await later.browsers.put({DEVICE: BrowserFragments().with_fragment(OTHER)}, ())
            await later.fragments.put_claims([(Tenure(DEVICE), OTHER, EvidenceLevel.PROVEN, 8)])
            assert counts[STATEMENTS] == 0
            await transaction.flush()
            assert counts[STATEMENTS] == 1
            await transaction.flush()
            assert counts[STATEMENTS] == 1
    async with begin(services.database, 1) as transaction:
        (claim,) = [found.claim for found in await transaction.claims.find_history([DEVICE])]
        assert (claim.profile_id, claim.seq, claim.trust, claim.at, claim.since) == (ONE, 5, "server", 6, 7)
        browsers = await transaction.browsers.find([DEVICE])
        assert browsers[DEVICE].every == (OTHER,)
        assert await transaction.fragments.find_proven_claimants([DEVICE]) == {OTHER}


async def test_a_lone_write_is_sent_as_it_is(services: Services) -> None:
    async with begin(services.database, 1) as transaction:
        await transaction.later.claims.put([Claim(DEVICE, ONE, 5, "server", 6, 7)])
        await transaction.flush()
        assert await transaction.claims.find_holder(DEVICE) is None, "No profile has this id."
        assert len(await transaction.claims.find_history([DEVICE])) == 1
