"""The change feed: what is written, what is read, and what is not there any more."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from oneself.core.fold.profile_changes import ProfileChange
from oneself.core.identity_graph.joins import View
from oneself.errors import Expired
from oneself.service.by_hand.asked import SplitBrowser, Why
from oneself.service.context import Actor, DatasetRef
from oneself.service.history.change_feed import ChangeFeed
from oneself.service.log.rebuild import rebuild
from oneself.services import Services
from oneself.store.tables.profile_change import BEGINNING, StoredChange
from oneself.store.transaction import Tables, begin
from support.feed_consumer import FollowedDataset
from support.interactions_harness import InteractionsHarness, mail
from support.profiles_harness import ProfilesHarness
from support.view_histories import PlayedHistory
from unit.core.identity_graph.steps import Page, Server, Settings, SignIn

pytestmark = pytest.mark.postgres
ROWS = "SELECT recorded_at, observation_id, changes::text FROM profile_change ORDER BY recorded_at"


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    return await ProfilesHarness(services).begin()


@pytest.fixture
def feed(services: Services) -> ChangeFeed:
    return ChangeFeed(services.database, days=7)


async def changes(harness: ProfilesHarness, feed: ChangeFeed, view: View = "proven") -> list[ProfileChange]:
    page = await feed.page(harness.dataset_ref, view, size=100)
    assert not page.more
    return [item.change for item in page.changes]


async def test_a_profile_is_created_updated_and_merged(harness: ProfilesHarness, feed: ChangeFeed) -> None:
    rule = await harness.rule("mail")
    one = await harness.person(plan="trial")
    await harness.write(one, plan="gold", mail="ann@acme.example")
    other = await harness.person(mail="ann@acme.example")
    found = await changes(harness, feed)
    assert found == [
        ProfileChange(kind="created", profile_id=one),
        ProfileChange(kind="updated", profile_id=one, paths=("traits.mail", "traits.plan", "primary_id")),
        ProfileChange(kind="merged", profile_id=one, absorbed_id=other, reason=rule.rule_name),
    ]
    assert [item.kind for item in await changes(harness, feed, "own")] == ["created", "updated", "created"]


async def test_in_one_batch_a_profile_is_created_before_others_are_merged_into_it(
    harness: ProfilesHarness, feed: ChangeFeed
) -> None:
    """The ids of observations are random: the smaller one of a batch may be the later one."""
    await harness.rule("mail")
    await asyncio.gather(*(harness.person(mail=f"{number // 2}@acme.example") for number in range(60)))
    known: set[UUID] = set()
    for change in await changes(harness, feed):
        assert change.profile_id not in known or change.kind != "created"
        known |= {change.profile_id} | ({change.absorbed_id} if change.absorbed_id else set())
    assert len(known) == 60


async def test_what_never_was_a_profile_of_its_own_is_split_off_by_hand(
    services: Services, feed: ChangeFeed
) -> None:
    """The browser named the address in its first event, so that it never had a profile in `all`."""
    site = await InteractionsHarness(services).begin()
    address = mail("info@acme.example")
    one = (await site.event(address, trust="server")).survivor.profile_id
    await site.event(address, device="known")
    start = await feed.now(site.dataset_ref)
    await services.decisions.split(
        site.dataset_ref, Actor("cli"), str(one), SplitBrowser("known"), Why("all")
    )
    page = await feed.page(site.dataset_ref, "all", after=start, size=10)
    (parted,) = [item.change for item in page.changes if item.change.kind != "updated"]
    ((moved, head),) = parted.moved
    assert (parted.kind, parted.profile_id, parted.reason) == ("split", one, "manual")
    assert (moved, set(parted.parts)) == (head, {one, head})


async def test_a_split_says_what_refused_the_join(services: Services, feed: ChangeFeed) -> None:
    """A browser typed an address that a server knows, and somebody else signed in on it."""
    ref = DatasetRef(94_000, "history-94000", 94_000)
    played = await PlayedHistory(services, ref.dataset_id).begin(Settings())
    steps = [Server(ids={"mail": "a@"}), Page(tracker="t1"), Page(tracker="t1", ids={"mail": "a@"})]
    await played.play(enumerate([*steps, SignIn(user="ben", tracker="t1")]))
    await services.log.reconciler.reconcile_all()
    page = await feed.page(ref, "all", size=100)
    assert [(item.change.kind, item.change.reason) for item in page.changes if item.change.reason] == [
        ("merged", "identity:emailAddress"),
        ("split", "untrusted_evidence"),
        ("merged", "system:user_id_match"),
    ]


async def test_a_change_of_several_views_is_stored_once(harness: ProfilesHarness) -> None:
    await harness.person(plan="trial")
    (row,) = await harness.database.fetch(ROWS)
    assert row["changes"].startswith("[[7,")
    (observed,) = await harness.database.fetch("SELECT observation_id FROM log WHERE kind <> 'configure'")
    assert row["observation_id"] == observed["observation_id"]


async def test_what_changes_nothing_visible_writes_nothing(services: Services) -> None:
    pages = await InteractionsHarness(services).begin()
    await pages.event(device="known")
    before = await services.database.fetch(ROWS)
    await asyncio.gather(*(pages.event(device="known") for _ in range(5)))
    assert await services.database.fetch(ROWS) == before
    assert len(before) == 1


async def test_a_page_is_continued_inside_of_an_observation(harness: ProfilesHarness) -> None:
    table = Tables(harness.database, harness.dataset_ref.dataset_id).profile_changes
    ids = [UUID(int=number) for number in range(1, 6)]
    stored = [StoredChange(2, ProfileChange(kind="created", profile_id=item)) for item in ids]
    hidden = StoredChange(1, ProfileChange(kind="created", profile_id=UUID(int=9)))
    await table.put({(0, UUID(int=1)): [stored[0], hidden, *stored[1:]]})
    feed, position, found = ChangeFeed(harness.database, days=7), BEGINNING, list[UUID]()
    for _ in range(3):
        page = await feed.page(harness.dataset_ref, "proven", after=position, size=2)
        position, found = page.position, [*found, *(item.change.profile_id for item in page.changes)]
    assert (found, page.more) == (ids, False)


async def test_changes_stay_in_order_when_the_clock_is_set_back(
    harness: ProfilesHarness, feed: ChangeFeed
) -> None:
    one = await harness.person(plan="trial")
    ahead = "UPDATE profile_change SET recorded_at = recorded_at + 60000000"
    await harness.database.execute(ahead)
    await harness.write(one, plan="gold")
    rows = await harness.database.fetch(ROWS)
    assert ["created" in row["changes"] for row in rows] == [True, False]
    assert rows[0]["recorded_at"] < rows[1]["recorded_at"]


async def test_nothing_passes_a_transaction_that_is_still_open(
    harness: ProfilesHarness, feed: ChangeFeed
) -> None:
    one = await harness.person(plan="trial")
    start = await feed.now(harness.dataset_ref)
    async with begin(harness.database, harness.dataset_ref.dataset_id) as erasure:
        await erasure.lock_config()
        change = StoredChange(7, ProfileChange(kind="erased", profile_id=one))
        await erasure.profile_changes.put({(0, UUID(int=1)): [change]})
        page = await feed.page(harness.dataset_ref, "proven", after=start, size=10)
        assert page.changes == ()
    page = await feed.page(harness.dataset_ref, "proven", after=page.position, size=10)
    assert [item.change for item in page.changes] == [change.change]


async def test_what_is_too_old_is_deleted_and_a_reader_hears_of_it(
    harness: ProfilesHarness, feed: ChangeFeed
) -> None:
    await harness.person(plan="trial")
    old = "UPDATE profile_change SET recorded_at = recorded_at - 8 * 24 * 3600 * 1000000::bigint"
    await harness.database.execute(old)
    page = await feed.page(harness.dataset_ref, "proven", size=1)
    former = (await feed.page(harness.dataset_ref, "own", size=1)).changes[0].position
    late = await harness.person(plan="gold")
    assert await feed.sweep() == 1
    assert [item.profile_id for item in await changes(harness, feed)] == [late]
    with pytest.raises(Expired) as raised:
        await feed.page(harness.dataset_ref, "own", after=former, size=10)
    assert raised.value.code == "cursor_expired"
    following = await feed.page(harness.dataset_ref, "proven", after=page.position, size=10)
    assert [item.change.profile_id for item in following.changes] == [late]


async def test_a_rebuild_that_changes_who_is_with_whom_is_in_the_feed(harness: ProfilesHarness) -> None:
    followed = FollowedDataset(harness.database, harness.dataset_ref)
    await harness.rule("mail")
    one = await harness.person(mail="ann@acme.example")
    other = await harness.person(mail="ann@acme.example")
    await followed.read()
    await followed.assert_right()
    for statement in (
        "UPDATE fragment SET proven_id = fragment_id",
        "UPDATE profile SET survivor_id = NULL, reason = NULL",
    ):
        await harness.database.execute(statement)
    for view in ("proven", "all"):
        followed.consumers[view].current = {one: one, other: other}
    await rebuild(harness.database, lambda done, total: None)
    await followed.read()
    await followed.assert_right()
    assert followed.consumers["proven"].current == {one: one, other: one}


async def test_a_rebuild_that_changes_very_much_lets_others_begin_anew(
    harness: ProfilesHarness, feed: ChangeFeed
) -> None:
    for plan in ("a", "b", "c"):
        await harness.person(plan=plan)
    first = (await feed.page(harness.dataset_ref, "proven", size=1)).position
    await harness.database.execute("UPDATE fragment SET record_values = '{}'")
    await rebuild(harness.database, lambda done, total: None, changes_max=2)
    assert await changes(harness, feed) == []
    with pytest.raises(Expired):
        await feed.page(harness.dataset_ref, "proven", after=first, size=1)


async def test_an_erasure_leaves_ids_and_no_value(harness: ProfilesHarness) -> None:
    followed = FollowedDataset(harness.database, harness.dataset_ref)
    one = await harness.person(mail="vera@acme.example", plan="secret")
    await harness.erase(one)
    await followed.read()
    await followed.assert_right()
    text = " ".join(row["changes"] for row in await harness.database.fetch(ROWS))
    assert str(one) in text
    assert "vera" not in text
    assert "secret" not in text
    assert [item.type for item in followed.consumers["proven"].documents] == [
        "profile.created",
        "profile.erased",
    ]
