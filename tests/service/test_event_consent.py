"""Whom a choice in an event binds (docs/concepts/trust.md, "Consent")."""

from __future__ import annotations

import uuid

import pytest

from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.profiles.consent import EVENT_CHOICES_MAX, event_category
from oneself.core.resolution.observation import ConsentChange, SenderTrust
from oneself.service.ingest.submission import ObservationRejected, Submission
from oneself.service.log.verify import verify
from oneself.services import Services
from support.interactions_harness import InteractionsHarness, mail

pytestmark = pytest.mark.postgres

X, Y = "0123456789abcdef", "fedcba9876543210"
ANN = mail("ann@acme.example")


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def assert_verified(harness: InteractionsHarness) -> None:
    report = await verify(harness.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def is_tracked(harness: InteractionsHarness, device: str, *named: tuple[str, str]) -> bool:
    try:
        await harness.event(*named, device=device)
    except ObservationRejected as error:
        return error.rejection.code != "opted_out"
    return True


async def opt_out(
    harness: InteractionsHarness,
    *named: tuple[str, str],
    device: str | None = None,
    trust: SenderTrust = "browser",
    is_consented: bool = False,
    at: int = 1,
) -> None:
    """Store the choice of an event, as the event wire does for who does not want to be tracked."""
    devices = [] if device is None else [Identifier(ANONYMOUS_ID, device)]
    observation = ConsentChange(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface="interactions",
        trust=trust,
        identifiers=(*devices, *(Identifier(*identity) for identity in named)),
        choices={event_category("Tracking", "cmp"): (is_consented, at)},
    )
    await harness.services.ingest.submit(harness.dataset_ref.dataset_id, Submission(observation))


async def test_a_browser_binds_itself_whoever_it_names(harness: InteractionsHarness) -> None:
    await harness.event(ANN, device=X)
    await opt_out(harness, ANN, device=Y)
    assert await is_tracked(harness, X, ANN)
    assert not await is_tracked(harness, Y)
    assert not await is_tracked(harness, Y, ANN)
    await opt_out(harness, device=Y, is_consented=True, at=2)
    assert await is_tracked(harness, Y)


async def test_a_server_binds_the_person_on_every_browser(harness: InteractionsHarness) -> None:
    await harness.event(ANN, device=X)
    await opt_out(harness, ANN, trust="server")
    assert not await is_tracked(harness, X)
    assert not await is_tracked(harness, Y, ANN)
    await opt_out(harness, ANN, device=X, is_consented=True, at=2)
    assert not await is_tracked(harness, X), "a browser ends only what it said itself"
    await opt_out(harness, ANN, trust="server", is_consented=True, at=3)
    assert await is_tracked(harness, X)


async def test_a_server_binds_whom_nobody_knew(harness: InteractionsHarness) -> None:
    """The profile that begins with the choice has what names them; the browser beside it is not theirs."""
    visitor = await harness.event(device=X)
    await opt_out(harness, ANN, device=X, trust="server")
    person = await harness.found("emailAddress:ann@acme.example")
    assert person not in (None, visitor.survivor.profile_id)
    assert not await is_tracked(harness, Y, ANN)
    assert await is_tracked(harness, X)
    await assert_verified(harness)


async def test_a_choice_without_a_browser_binds_nobody(harness: InteractionsHarness) -> None:
    await harness.event(ANN, device=X)
    await opt_out(harness, ANN)
    assert await is_tracked(harness, X)


async def test_choices_of_browsers_leave_room_for_those_of_servers(harness: InteractionsHarness) -> None:
    await harness.event(ANN, trust="server")
    for number in range(EVENT_CHOICES_MAX + 5):
        await opt_out(harness, device=f"{number:016x}", is_consented=True)
        await harness.event(ANN, device=f"{number:016x}")
    await opt_out(harness, ANN, trust="server")
    view = await harness.services.profiles.lookup.find(harness.dataset_ref, "emailAddress:ann@acme.example")
    assert view is not None
    assert len(view.survivor.consents) == EVENT_CHOICES_MAX + 1
    assert not await is_tracked(harness, X, ANN)
    await assert_verified(harness)
