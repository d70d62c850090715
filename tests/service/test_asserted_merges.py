"""A page that names two profiles of whom servers said who they are (docs/concepts/trust.md, "Views")."""

from __future__ import annotations

import asyncio

import pytest

from oneself.core.identity.identifier import USER_ID
from oneself.core.resolution.plan import Refusal
from oneself.service.log.verify import verify
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, customer, mail

pytestmark = pytest.mark.postgres

X = "0123456789abcdef"
ANN = mail("ann@acme.example")


async def begin(services: Services, asserted_merges: str) -> InteractionsHarness:
    return await InteractionsHarness(services).begin(asserted_merges=asserted_merges)


async def assert_verified(harness: InteractionsHarness) -> None:
    report = await verify(harness.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


@pytest.mark.parametrize(
    ("asserted_merges", "is_merged"), [("unprotected", False), ("all", True), ("unrestricted", True)]
)
async def test_what_a_page_names_merges_what_servers_said_only_where_the_dataset_says_so(
    services: Services, asserted_merges: str, is_merged: bool
) -> None:
    harness = await begin(services, asserted_merges)
    one = await harness.event(ANN, trust="server")
    other = await harness.event(customer("c-7"), trust="server")
    page = await harness.event(ANN, customer("c-7"), device=X)
    assert page.plan is not None
    assert bool(page.plan.merges) is is_merged
    if not is_merged:
        (refusal,) = page.plan.refusals
        assert refusal == Refusal("untrusted_evidence", one.profile.profile_id, "emailAddress")
        assert page.survivor.profile_id == other.profile.profile_id, "the one that was active last"
    await assert_verified(harness)


@pytest.mark.parametrize(
    ("asserted_merges", "is_merged"), [("unprotected", False), ("all", False), ("unrestricted", True)]
)
async def test_a_page_never_merges_two_of_whom_one_has_a_user(
    services: Services, asserted_merges: str, is_merged: bool
) -> None:
    harness = await begin(services, asserted_merges)
    await harness.event(ANN, (USER_ID, "u-1"), trust="server")
    await harness.event(customer("c-7"), trust="server")
    page = await harness.event(ANN, customer("c-7"), device=X)
    assert page.plan is not None
    assert bool(page.plan.merges) is is_merged
    await assert_verified(harness)


@pytest.mark.parametrize("asserted_merges", ["unprotected", "all"])
async def test_the_honest_twins_are_merged(services: Services, asserted_merges: str) -> None:
    """A page joins its browser to whoever is known, and two whom only pages named; a server joins all."""
    harness = await begin(services, asserted_merges)
    known = await harness.event(ANN, trust="server")
    visitor = await harness.event(device=X)
    named = await harness.event(ANN, device=X)
    assert named.survivor.profile_id == known.profile.profile_id
    assert await harness.found(str(visitor.profile.profile_id)) == known.profile.profile_id
    await harness.event(mail("ben@acme.example"))
    await harness.event(customer("c-8"))
    page = await harness.event(mail("ben@acme.example"), customer("c-8"))
    assert page.plan is not None
    assert len(page.plan.merges) == 1
    await harness.event(customer("c-9"), trust="server")
    server = await harness.event(ANN, customer("c-9"), trust="server")
    assert server.plan is not None
    assert len(server.plan.merges) == 1
    await assert_verified(harness)


async def test_what_else_is_in_the_batch_changes_no_refusal(services: Services) -> None:
    """A page names one by what only a page said of them, and one who begins in the same batch."""
    harness = await begin(services, "unprotected")
    known = await harness.event(("loyaltyId", "l-1"), trust="server")
    await harness.event(("loyaltyId", "l-1"), ("sfcrmLeadId", "lead-1"), device=X)
    _, page = await asyncio.gather(
        harness.event(customer("c-7"), trust="server"),
        harness.event(("sfcrmLeadId", "lead-1"), customer("c-7")),
    )
    assert page.plan is not None
    assert page.plan.merges == ()
    assert [refusal.code for refusal in page.plan.refusals] == ["untrusted_evidence"]
    assert known.profile.profile_id in {page.survivor.profile_id, page.plan.refusals[0].other_id}
    await assert_verified(harness)
