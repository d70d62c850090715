"""Splits and merges by hand, told as stories of browsers and servers.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any
from uuid import UUID

import pytest

from oneself.core.fold.reconcile import ExpectedPartition
from oneself.core.identity_graph.joins import View
from oneself.core.identity_graph.views import Views
from oneself.core.resolution.observation import TokenClaims
from oneself.errors import Conflict, Contended, InvalidInput
from oneself.service.by_hand.asked import (
    Decided,
    SplitAbsorbed,
    SplitAsked,
    SplitBrowser,
    SplitFragments,
    SplitIdentifier,
    SplitSources,
    Why,
)
from oneself.service.by_hand.decisions import Decisions
from oneself.service.context import Actor
from oneself.service.ingest.trackers import new_tracker
from oneself.service.log import affected
from oneself.service.log.verify import verify
from oneself.service.lost_races import ATTEMPTS_MAX
from oneself.services import Services
from oneself.store.database import SERVER_SETTINGS, Database
from oneself.store.graph_writer import COMPUTED_AT_ONCE_MAX
from oneself.store.identity_graph import ADDED_AT_ONCE
from oneself.store.tables import fragment as fragment_table
from oneself.store.tables.fragment import READ_AT_ONCE, UPDATED_AT_ONCE, FragmentRow
from oneself.store.tables.log import PROFILES_READ_AT_ONCE_MAX
from oneself.store.tables.unreconciled_fragment import UnreconciledFragmentTable
from oneself.store.transaction import begin
from support.interactions_harness import ACTOR, InteractionsHarness, customer, mail
from support.reconciled_view import assert_reconciled

pytestmark = pytest.mark.postgres
INFO = mail("info@acme.example")
SERVER = {"trust": "server"}
#: When the profile is looked up, before the locks, when it is locked to be written, and of the outcome.
READS_OF_A_PART_MAX = 4
#: Of one browser that is taken out: what it and the rest become, and the entries that joined them.
ROWS_CHANGED_MAX = 3


@pytest.fixture
async def site(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


async def split(
    site: InteractionsHarness, text: str, asked: SplitAsked, view: View = "all", **why: Any
) -> Decided:
    decided = await site.services.decisions.split(
        site.dataset_ref, Actor("cli"), text, asked, Why(view, **why)
    )
    assert decided is not None
    return decided


async def merge(site: InteractionsHarness, one: str, other: str, view: View = "all", **why: Any) -> Decided:
    decided = await site.services.decisions.merge(site.dataset_ref, ACTOR, one, other, Why(view, **why))
    assert decided is not None
    return decided


async def assert_sound(site: InteractionsHarness) -> None:
    report = await verify(site.services.database, lambda done, total: None)
    assert report.difference is None, report.difference
    await site.services.log.reconciler.reconcile_all()
    await assert_reconciled(site.services.database)


def ids(decided: Decided) -> list[UUID]:
    return [item.view.survivor.profile_id for item in decided.profiles]


def told(decided: Decided) -> list[tuple[Any, ...]]:
    return [
        (
            item.view.survivor.profile_id,
            item.view.survivor.record.values,
            item.fragment_ids,
            [found.identifier for found in item.identifiers],
            item.events,
        )
        for item in decided.profiles
    ]


async def test_browsers_that_a_shared_address_joined_are_parted(site: InteractionsHarness) -> None:
    await site.event(INFO, device="one", values={"traits": {"plan": "gold"}})
    await site.event(INFO, device="two", values={"traits": {"plan": "trial"}})
    await site.event(device="two")
    assert await site.found("one") == await site.found("two")
    asked = SplitIdentifier(":".join(INFO))
    before = await split(site, "one", asked, dry_run=True)
    assert before.decision_id is None
    assert await site.found("one") == await site.found("two")
    decided = await split(site, "one", asked, reason="info@ is everybody's")
    assert decided.decision_id is not None
    assert told(decided) == told(before)
    assert ids(decided) == [await site.found("one"), await site.found("two")]
    assert len(set(ids(decided))) == 2
    one, two = decided.profiles
    assert one.view.survivor.record.values["traits"] == {"plan": "gold"}
    assert two.view.survivor.record.values["traits"] == {"plan": "trial"}
    assert (one.events, two.events) == (1, 2)
    await assert_sound(site)


async def test_an_anonymous_id_names_the_browser_that_it_came_with(site: InteractionsHarness) -> None:
    for device in ("one", "two"):
        await site.event(INFO, device=device, new_tracker=new_tracker())
    assert await site.found("one") == await site.found("two")
    decided = await split(site, "one", SplitBrowser("two"))
    assert ids(decided) == [await site.found("one"), await site.found("two")]
    assert len(set(ids(decided))) == 2
    with pytest.raises(InvalidInput, match="no part that this browser names"):
        await split(site, "one", SplitBrowser("two"))
    await assert_sound(site)


async def test_later_words_of_a_browser_are_no_piece_of_their_own(services: Services) -> None:
    """Where a browser is not followed to whom it named, its later words are another profile."""
    site = await InteractionsHarness(services).begin(merged_anonymous="fresh")
    await site.event(customer("lena"), device="pc", trust="server")
    await site.event(customer("lena"), device="pc")
    lena = await site.found("customerId:lena")
    await site.event(device="pc")
    other = await site.found("pc")
    assert other != lena
    await site.event(customer("ben"), device="phone")
    for asked in (SplitBrowser("pc"), SplitSources()):
        with pytest.raises(Conflict, match=str(lena)) as refused:
            await split(site, str(other), asked, dry_run=True)
        assert refused.value.code == "shared_browser"
    with pytest.raises(Conflict, match=str(lena)):
        await merge(site, str(other), "phone")
    assert len((await merge(site, str(lena), "phone")).profiles) == 1
    await assert_sound(site)


async def test_what_comes_later_goes_to_the_right_side(site: InteractionsHarness) -> None:
    await site.event(INFO, device="one")
    await site.event(INFO, device="two")
    await split(site, "one", SplitBrowser("two"))
    one, two = await site.found("one"), await site.found("two")
    for device, profile_id in (("one", one), ("two", two)):
        for identities in ((), (INFO,), (INFO, customer(device)), (INFO,), (customer(device),)):
            resolution = await site.event(*identities, device=device)
            assert resolution.survivor.profile_id == profile_id, (device, identities)
    assert await site.found("one") == one
    assert await site.found("two") == two
    await assert_sound(site)


@pytest.mark.parametrize("identities", [(), (INFO,)])
async def test_a_token_of_before_leads_no_browser_to_the_other_side(
    site: InteractionsHarness, identities: tuple[tuple[str, str], ...]
) -> None:
    """The browsers got it while they were one profile, and send their id beside it."""
    await site.event(INFO, device="one")
    merged = await site.event(INFO, device="two")
    issued_at = time.time_ns() // 1000
    token = TokenClaims(merged.survivor.primary_id, dict([INFO]), issued_at)
    await split(site, "one", SplitBrowser("two"))
    for device in ("two", "one"):
        side = await site.found(device)
        for _ in range(2):
            event = await site.event(*identities, device=device, token=token, received_at=issued_at)
            assert event.survivor.profile_id == side, device
    assert await site.found("one") != await site.found("two")
    await assert_sound(site)


async def test_nothing_joins_them_again_but_a_person(site: InteractionsHarness) -> None:
    await site.event(INFO, device="one")
    await site.event(INFO, device="two")
    await split(site, "one", SplitBrowser("two"))
    one, two = str(await site.found("one")), str(await site.found("two"))
    # A third browser says what both say; servers tie both to one customer; then the browsers do.
    await site.event(INFO, device="three")
    await site.event(INFO, customer("7"), device="one", **SERVER)
    await site.event(INFO, customer("7"), device="two", **SERVER)
    await site.event(INFO, customer("7"), device="one")
    await site.event(INFO, customer("7"), device="two")
    await assert_sound(site)
    assert await site.found(one) != await site.found(two)
    assert "split_kept_apart" in await site.services.profiles.refusals.count(site.dataset_ref)
    merged = await merge(site, one, two, reason="the same household after all")
    assert len(merged.profiles) == 1
    assert await site.found(one) == await site.found(two)
    await site.event(INFO, device="two")
    assert await site.found(one) == await site.found(two)
    await assert_sound(site)


async def test_a_merge_by_hand_and_its_split_leave_things_as_they_were(site: InteractionsHarness) -> None:
    await site.event(mail("ann@acme.example"), device="one", values={"traits": {"plan": "gold"}})
    await site.event(mail("ben@acme.example"), device="two", values={"traits": {"plan": "trial"}})
    before = [await site.found("one"), await site.found("two")]
    with pytest.raises(InvalidInput, match="already"):
        await merge(site, "one", "one")
    dry = await merge(site, "one", "two", dry_run=True)
    assert [await site.found("one"), await site.found("two")] == before
    merged = await merge(site, "one", "two")
    assert told(merged) == told(dry)
    survivor = await site.found("one")
    assert survivor == await site.found("two")
    (absorbed,) = set(before) - {survivor}
    assert absorbed is not None
    await site.event(mail("ben@acme.example"), device="two", values={"traits": {"plan": "silver"}})
    await assert_sound(site)
    decided = await split(site, "one", SplitAbsorbed(absorbed))
    assert [await site.found("one"), await site.found("two")] == before
    survivors = [item.view.survivor for item in decided.profiles]
    plans = {item.profile_id: item.record.values["traits"]["plan"] for item in survivors}
    assert plans == {before[0]: "gold", before[1]: "silver"}
    await assert_sound(site)


async def test_everything_is_taken_apart_at_once(site: InteractionsHarness) -> None:
    devices = [f"d{number}" for number in range(12)]
    for device in devices:
        await site.event(INFO, device=device)
    await site.event(INFO, **SERVER)
    assert len({await site.found(device) for device in devices}) == 1
    decided = await split(site, "d0", SplitSources())
    assert len(decided.profiles) == 13
    assert len({await site.found(device) for device in devices}) == 12
    await assert_sound(site)


async def test_a_narrower_view_is_split_by_itself(site: InteractionsHarness) -> None:
    await site.event(mail("ann@acme.example"), customer("1"), **SERVER)
    await site.event(mail("ann@acme.example"), customer("2"), **SERVER)
    lookup = site.services.profiles.lookup
    found = await lookup.find(site.dataset_ref, "emailAddress:ann@acme.example", "proven")
    assert found is not None
    dry = await split(site, str(found.survivor.profile_id), SplitSources(), "proven", dry_run=True)
    decided = await split(site, str(found.survivor.profile_id), SplitSources(), "proven")
    assert told(dry) == told(decided)
    assert len(decided.profiles) == 2
    assert [item.view.view for item in decided.profiles] == ["proven", "proven"]
    await assert_sound(site)


async def test_a_split_that_parts_nothing_is_rejected(site: InteractionsHarness) -> None:
    made = await site.event(INFO, device="one")
    whole = frozenset({made.profile.profile_id})
    for asked, word in (
        (SplitBrowser("two"), "browser"),
        (SplitBrowser("one"), "browser"),
        (SplitFragments(whole), "fragments"),
        (SplitFragments(frozenset({UUID(int=1)})), "fragments"),
        (SplitAbsorbed(UUID(int=1)), "profile_id"),
        (SplitIdentifier("nothing:at all"), "identifier"),
        (SplitIdentifier("emailAddress:other@acme.example"), "identifier"),
        (SplitSources(), "all"),
    ):
        with pytest.raises(InvalidInput) as rejected:
            await split(site, "one", asked)
        assert rejected.value.code == word
    with pytest.raises(InvalidInput):
        await split(site, "one", SplitSources(), reason="x" * 501)
    unknown = await site.services.decisions.split(
        site.dataset_ref, ACTOR, "unknown", SplitSources(), Why("all")
    )
    assert unknown is None


async def test_two_users_are_never_merged(services: Services, site: InteractionsHarness) -> None:
    profiles = services.profiles.profiles
    for user in ("ann", "ben"):
        await profiles.sign_in(site.dataset_ref, Actor("sign-in", "spa"), user)
    with pytest.raises(Conflict) as rejected:
        await merge(site, "user_id:ann", "user_id:ben")
    assert rejected.value.code == "different_user"


async def test_an_erasure_takes_the_words_of_a_decision_and_nothing_else(site: InteractionsHarness) -> None:
    for device in ("one", "two", "three"):
        await site.event(INFO, device=device)
    await split(site, "one", SplitSources(), reason="Mrs Archer called")
    two, three = await site.found("two"), await site.found("three")
    assert two is not None
    await site.erase(two)
    (entry,) = await site.services.database.fetch("SELECT content::text FROM log WHERE kind = 'split'")
    assert "Archer" not in entry["content"]
    await site.event(INFO, device="three")
    assert await site.found("three") == three != await site.found("one")
    await assert_sound(site)


@pytest.mark.parametrize("view", ["proven", "all"])
async def test_decisions_that_arrive_together_come_one_after_the_other(
    site: InteractionsHarness, view: View
) -> None:
    names = [customer(f"c-{number}") for number in range(3)]
    for name in names:
        await site.event(name, **SERVER)
    one, two, three = (":".join(name) for name in names)
    asked = [(one, two), (two, one), (two, three), (one, three), (one, two)]
    outcomes = await asyncio.gather(
        *(merge(site, *pair, view) for pair in asked),
        split(site, one, SplitSources(), view),
        return_exceptions=True,
    )
    for outcome in outcomes:
        assert isinstance(outcome, Decided | InvalidInput), outcome
    assert any(isinstance(outcome, Decided) for outcome in outcomes)
    await assert_sound(site)


async def test_a_large_profile_is_computed_in_a_thread_and_read_and_written_in_pieces(
    site: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [f"browser-{number}" for number in range(COMPUTED_AT_ONCE_MAX + 1)]
    assert len(devices) > max(READ_AT_ONCE, PROFILES_READ_AT_ONCE_MAX, ADDED_AT_ONCE)
    await asyncio.gather(*(site.event(device=device) for device in devices))
    await asyncio.gather(*(site.event(INFO, device=device, **SERVER) for device in devices))
    threads: set[int] = set()
    written: list[int] = []
    each, columns = Views.each, fragment_table._columns

    def computed(views: Views, *asked: Any) -> Any:
        threads.add(threading.get_ident())
        return each(views, *asked)

    def counted(changed: Sequence[FragmentRow]) -> Any:
        written.append(len(changed))
        return columns(changed)

    monkeypatch.setattr(Views, "each", computed)
    monkeypatch.setattr(fragment_table, "_columns", counted)
    await split(site, devices[0], SplitSources(), "proven")
    assert threads
    assert threading.get_ident() not in threads
    assert sum(written) >= len(devices)
    assert max(written) <= UPDATED_AT_ONCE
    await assert_sound(site)


async def test_how_often_the_parts_of_a_profile_are_read(
    site: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await site.event(device=f"browser-{number}")
        await site.event(INFO, device=f"browser-{number}", **SERVER)
    read: Counter[UUID] = Counter()
    read_fragment = fragment_table.read_fragment

    def counted(row: Any) -> FragmentRow:
        read[row["fragment_id"]] += 1
        return read_fragment(row)

    monkeypatch.setattr(fragment_table, "read_fragment", counted)
    await split(site, "browser-0", SplitBrowser("browser-19"), "proven")
    assert len(read) > 20
    # What is looked up or changes is read more often.
    assert median(read.values()) <= READS_OF_A_PART_MAX


async def rows_of_all(site: InteractionsHarness) -> dict[str, set[tuple[str, str]]]:
    """Table of the view `all` → the versions of its rows, each with its place."""
    find = "SELECT ctid::text, xmin::text FROM {} WHERE dataset_id = $1"
    return {
        table: {
            tuple(row)
            for row in await site.services.database.fetch(find.format(table), site.dataset_ref.dataset_id)
        }
        for table in ("log", "profile", "claim", "merge")
    }


async def test_a_split_writes_only_what_it_changes(site: InteractionsHarness) -> None:
    for number in range(9):
        await site.event(device=f"browser-{number}")
        await site.event(INFO, device=f"browser-{number}", **SERVER)
    await split(site, "browser-0", SplitBrowser("browser-8"))
    before = await rows_of_all(site)
    await split(site, "browser-0", SplitBrowser("browser-7"))
    after = await rows_of_all(site)
    changed = {table: len(rows - after[table]) for table, rows in before.items()}
    assert max(changed.values()) <= ROWS_CHANGED_MAX, changed
    await assert_sound(site)


async def test_a_long_decision_is_not_ended_because_its_transaction_is_idle(
    services: Services, site: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.event(INFO, device="one")
    await site.event(INFO, device="two")
    expect = affected.expect

    def slow(*known: Any) -> ExpectedPartition:
        time.sleep(0.4)
        return expect(*known)

    monkeypatch.setattr(affected, "expect", slow)
    monkeypatch.setitem(SERVER_SETTINGS, "idle_in_transaction_session_timeout", "200ms")
    async with await Database.open(services.database.url, max_size=1) as database:
        decisions = Decisions(database, services.profiles.lookup, services.directory.accounts)
        decided = await decisions.split(
            site.dataset_ref, Actor("cli"), "one", SplitBrowser("two"), Why("all")
        )
    assert decided is not None
    assert len(set(ids(decided))) == 2


async def test_a_profile_of_too_many_observations_is_not_decided_about(
    services: Services, site: InteractionsHarness
) -> None:
    await site.event(INFO, device="one")
    await site.event(INFO, device="two")
    decisions = Decisions(
        services.database, services.profiles.lookup, services.directory.accounts, entries_max=1
    )
    with pytest.raises(Conflict) as refused:
        await decisions.split(site.dataset_ref, Actor("cli"), "one", SplitBrowser("two"), Why("all"))
    assert refused.value.code == "too_large"


async def test_a_decision_waits_for_a_reconciliation(
    services: Services, site: InteractionsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.event(INFO, device="one")
    await site.event(INFO, device="two")
    tries, tried_often = Counter[int](), asyncio.Event()
    try_lock = UnreconciledFragmentTable.try_lock

    async def counted(table: UnreconciledFragmentTable) -> bool:
        tries[0] += 1
        if tries[0] > ATTEMPTS_MAX + 1:
            tried_often.set()
        return await try_lock(table)

    database, dataset_id = services.database, site.dataset_ref.dataset_id
    impatient = Decisions(database, services.profiles.lookup, services.directory.accounts, wait_max_s=0)
    asked = site.dataset_ref, Actor("cli"), "one", SplitBrowser("two"), Why("all")
    async with begin(database, dataset_id) as reconciliation:
        assert await reconciliation.unreconciled_fragments.try_lock()
        with pytest.raises(Contended, match="being reconciled"):
            await impatient.split(*asked)
        monkeypatch.setattr(UnreconciledFragmentTable, "try_lock", counted)
        waiting = asyncio.create_task(services.decisions.split(*asked))
        await tried_often.wait()
        assert not waiting.done()
    decided = await waiting
    assert decided is not None
    assert len(set(ids(decided))) == 2
