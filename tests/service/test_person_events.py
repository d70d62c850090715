"""The events of a person in pages, and the identifiers and history of the person."""

from __future__ import annotations

import msgspec
import pytest

from oneself.service.history.entries import HistoryMerge, HistoryRefusal, Promotion
from oneself.service.history.person_events import EventPage, ListedEvent, PersonEvents
from oneself.service.profiles.profiles import ProfileView
from oneself.services import Services
from oneself.store.queries import Queries
from oneself.store.tables.event import NOW, EventFilter
from support.interactions_harness import ACTOR, InteractionsHarness, customer, mail
from support.statement_plans import plan_of

X, Y = "0123456789abcdef", "fedcba9876543210"
DAY_US = 24 * 3600 * 1_000_000
#: 2026-01-01T00:00:00Z
BEGINNING_US = 1_767_225_600_000_000


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def view_of(harness: InteractionsHarness, text: str) -> ProfileView:
    view = await harness.services.profiles.lookup.find(harness.dataset_ref, text)
    assert view is not None
    return view


async def page(
    harness: InteractionsHarness,
    text: str,
    event_filter: EventFilter = EventFilter(),
    size: int = 200,
    **options: object,
) -> EventPage:
    view = await view_of(harness, text)
    return await harness.services.history.person_events.page(
        harness.dataset_ref, view, event_filter, size=size, **options
    )  # type: ignore[arg-type]


async def read_all_pages(
    harness: InteractionsHarness, text: str, event_filter: EventFilter = EventFilter(), size: int = 2
) -> list[ListedEvent]:
    """All pages, one after another."""
    events, before = list[ListedEvent](), NOW
    while True:
        found = await page(harness, text, event_filter, size, before=before)
        assert len(found.events) <= size
        events += found.events
        if found.next_position is None:
            return events
        before = found.next_position


def names(events: object) -> list[str | None]:
    return [event.name for event in events]  # type: ignore[attr-defined]


async def test_a_page_has_events_of_all_profiles_newest_first(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="one")
    await harness.event(device=Y, name="two")
    await harness.event(mail("ann@acme.example"), device=X, name="three")
    await harness.event(mail("ann@acme.example"), device=Y, name="four")
    last = await harness.event(device=X, name=None)
    found = (await page(harness, Y)).events
    assert names(found) == [None, "four", "three", "two", "one"]
    newest = found[0]
    assert newest.event_id == (await _observation_id(harness, last.seq))[:24]
    assert newest.interface == "interactions"
    assert newest.body == {"interaction": {"name": None}}
    assert newest.occurred_at == newest.received_at == last.seq
    assert names(await read_all_pages(harness, Y)) == [None, "four", "three", "two", "one"]


async def _observation_id(harness: InteractionsHarness, seq: int) -> str:
    found = await harness.services.database.fetchval(
        "SELECT observation_id FROM log WHERE dataset_id = $1 AND seq = $2",
        harness.dataset_ref.dataset_id,
        seq,
    )
    return str(found.hex)


async def test_events_are_filtered_by_name_and_time(harness: InteractionsHarness) -> None:
    for day, name in enumerate(("View", "Buy", "View", "Leave")):
        await harness.event(device=X, name=name, at=BEGINNING_US + day * DAY_US)
    assert names(await read_all_pages(harness, X, EventFilter(name="View"), 1)) == ["View", "View"]
    assert names(await read_all_pages(harness, X, EventFilter(name="view"))) == []
    since, until = BEGINNING_US + DAY_US, BEGINNING_US + 2 * DAY_US
    assert names(await read_all_pages(harness, X, EventFilter(since=since))) == ["Leave", "View", "Buy"]
    assert names(await read_all_pages(harness, X, EventFilter(until=until))) == ["View", "Buy", "View"]
    assert names(await read_all_pages(harness, X, EventFilter(since=since, until=until))) == ["View", "Buy"]
    assert names(await read_all_pages(harness, X, EventFilter("View", since, until))) == ["View"]


async def test_late_events_are_filtered_by_their_time_of_occurrence(harness: InteractionsHarness) -> None:
    await harness.event(device=X, name="now")
    await harness.event(device=X, name="late", at=BEGINNING_US)
    assert names(await read_all_pages(harness, X)) == ["late", "now"], "not in the order of recording"
    assert names(await read_all_pages(harness, X, EventFilter(until=BEGINNING_US))) == ["late"]
    assert names(await read_all_pages(harness, X, EventFilter(since=BEGINNING_US + 1))) == ["now"]


async def test_a_profile_write_is_not_listed_as_an_event(harness: InteractionsHarness) -> None:
    resolution = await harness.event(device=X, name="View")
    await harness.services.profiles.profiles.patch(
        harness.dataset_ref, ACTOR, resolution.profile.profile_id, {"traits": {"plan": "gold"}}
    )
    assert names(await read_all_pages(harness, X)) == ["View"]


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_bounded_scans_still_return_all_events(harness: InteractionsHarness, size: int) -> None:
    """For any number of entries per scan and of profiles of the person."""
    expected: list[str] = []
    for number in range(12):
        device = (X, Y)[number % 3 == 0]
        await harness.event(device=device, name=f"{number}")
        expected.insert(0, f"{number}")
    await harness.event(mail("ann@acme.example"), device=X, name="Sign in")
    await harness.event(mail("ann@acme.example"), device=Y, name="Sign in")
    events = PersonEvents(harness.services.database, scanned_max=3)
    history = msgspec.structs.replace(harness.services.history, person_events=events)
    harness.services = msgspec.structs.replace(harness.services, history=history)
    assert names(await read_all_pages(harness, X, size=size)) == ["Sign in", "Sign in", *expected]
    assert names(await read_all_pages(harness, X, EventFilter(name="0"), size)) == ["0"]
    bounded = await page(harness, X, EventFilter(name="0"), size=1)
    assert bounded.events == ()
    assert bounded.next_position is not None, "an empty page may have a next page"


@pytest.mark.parametrize(
    ("name", "last"), [("find_of_profiles", (None, 0, 1, 10, 10)), ("find_scan_end", (10,))]
)
async def test_a_page_is_read_through_the_index(
    harness: InteractionsHarness, name: str, last: tuple[object, ...]
) -> None:
    person = (await harness.event(device=X)).profile.profile_id
    database, dataset_id = harness.services.database, harness.dataset_ref.dataset_id
    before = (NOW.seq, NOW.observation_id, 0)
    plan = await plan_of(
        database, dataset_id, person, getattr(Queries("event"), name), [person], *before, *last
    )
    assert "log_by_profile" in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_released_identifiers_stay_in_the_list(harness: InteractionsHarness) -> None:
    resolution = await harness.event(device=X)
    first = await harness.event(customer("c-1"), mail("old@acme.example"), device=X)
    second = await harness.event(customer("c-1"), mail("new@acme.example"), device=X, trust="server")
    view = await view_of(harness, X)
    found = await harness.services.history.timeline.identifiers(harness.dataset_ref, view, limit=10)
    assert [(h.identifier.namespace, h.identifier.value, h.since, h.until, h.trust) for h in found] == [
        ("anonymous_id", X, resolution.seq, None, "browser"),
        ("customerId", "c-1", first.seq, None, "browser"),
        ("emailAddress", "old@acme.example", first.seq, second.seq, "browser"),
        ("emailAddress", "new@acme.example", second.seq, None, "server"),
    ]
    for offset in range(len(found) + 1):
        page = await harness.services.history.timeline.identifiers(
            harness.dataset_ref, view, offset=offset, limit=1
        )
        assert page == found[offset : offset + 1]


async def test_history_lists_promotions_merges_and_refusals_in_order(harness: InteractionsHarness) -> None:
    await harness.event(device=X)
    await harness.event(device=Y)
    ann = await harness.event(mail("ann@acme.example"), device=X)
    joined = await harness.event(mail("ann@acme.example"), device=Y)
    await harness.event(customer("null"), device=X)
    view = await view_of(harness, X)
    person = await harness.services.profiles.lookup.person(harness.dataset_ref, view.survivor)
    promotion, merge, refusal = await harness.services.history.timeline.history(
        harness.dataset_ref, view, person
    )
    assert promotion == Promotion(ann.seq, ann.survivor.profile_id, X)
    assert isinstance(merge, HistoryMerge)
    assert (merge.at, merge.survivor_id, merge.alias) == (joined.seq, ann.survivor.profile_id, Y)
    assert merge.reason == "identity:emailAddress"
    assert isinstance(refusal, HistoryRefusal)
    assert (refusal.code, refusal.namespace, refusal.times, refusal.other_id) == (
        "blocked_value",
        "customerId",
        1,
        None,
    )


async def test_an_event_stays_after_the_profile_it_was_refused_with_is_erased(
    harness: InteractionsHarness,
) -> None:
    """The event has no name. Its content is not redacted, in lists and in the export."""
    ann = await harness.event(mail("ann@acme.example"), trust="server", name="first")
    bob = await harness.event(customer("c-2"), trust="server", name="second")
    for user, event in (("u1", ann), ("u2", bob)):
        await harness.services.profiles.profiles.patch(
            harness.dataset_ref, ACTOR, event.profile.profile_id, {}, user_id=user
        )
    both = await harness.event(
        mail("ann@acme.example"), customer("c-2"), trust="server", name=None, body={"user": {}}
    )
    assert both.plan is not None
    assert [refusal.code for refusal in both.plan.refusals] == ["different_user"]
    survivor = both.survivor.profile_id
    (erased,) = {refusal.other_id for refusal in both.plan.refusals} - {survivor, None}
    await harness.erase(erased)
    assert None in names(await read_all_pages(harness, str(survivor)))
    assert None in names(
        (await harness.services.history.event_stream.page(harness.dataset_ref, EventFilter(), size=50)).events
    )
    persons = harness.services.privacy.persons
    export = await persons.export(harness.dataset_ref, str(survivor), "all")
    assert export is not None
    observations = export.document["observations"]
    assert [entry["redacted"] for entry in observations] == [False] * len(observations)
