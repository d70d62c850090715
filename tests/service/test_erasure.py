"""Erasure removes all data of a person and no other data (docs/concepts/log-and-fold.md)."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any
from uuid import UUID

import pytest

from oneself.core.identity.identifier import TRACKER, USER_ID, Identifier
from oneself.core.resolution.observation import PageEvent
from oneself.service.ingest.submission import ObservationRejected, ReplayableResponse, Submission
from oneself.service.ingest.trackers import new_tracker
from oneself.service.lost_races import ATTEMPTS_BESIDE_WRITERS
from oneself.service.privacy import erasure
from oneself.service.privacy.erasure import ErasureOptions, Receipt
from oneself.service.privacy.selection import ErasureSelection, ErasureTarget, select
from oneself.service.profiles.profiles import RequestOptions
from oneself.services import Services
from oneself.store.transaction import Tables
from support.profiles_harness import ACTOR, ProfilesHarness, unknown
from support.statements import STATEMENTS, counted_statements
from support.waiting import is_waited_for, until_async

pytestmark = pytest.mark.postgres

MAIL = "ann.of.gables@acme.example"
USER = "user-4711-ann"
SECOND_US = 1_000_000


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    harness = await ProfilesHarness(services).begin()
    await harness.rule("mail")
    await harness.index()
    return harness


async def _observe(harness: ProfilesHarness, at: int | None, *identifiers: Identifier, **values: Any) -> UUID:
    observation = PageEvent(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface="interactions",
        occurred_at=at,
        identifiers=identifiers,
        values={"traits": values} if values else {},
    )
    resolution = await harness.services.ingest.submit(harness.dataset_ref.dataset_id, Submission(observation))
    return resolution.survivor.profile_id


def _now() -> int:
    return time.time_ns() // 1000


async def _traces(harness: ProfilesHarness, *words: str) -> list[str]:
    """Stored rows that contain one of the words."""
    text = await harness.text()
    return [line for line in text.splitlines() if any(word.casefold() in line.casefold() for word in words)]


async def test_after_an_erasure_no_data_of_the_person_is_left(harness: ProfilesHarness) -> None:
    trackers = [new_tracker() for _ in range(3)]
    profiles = harness.services.profiles.profiles
    keyed = RequestOptions("key-1", "print " + MAIL, None, lambda _: ReplayableResponse(MAIL.encode()))
    created = await profiles.create(
        harness.dataset_ref,
        ACTOR,
        {"traits": {"mail": MAIL}},
        tracker=trackers[0],
        user_id=USER,
        request=keyed,
    )
    ann = created.profile.profile_id
    absorbed = await harness.person(None, trackers[1], mail=MAIL, plan="ann's own plan")
    active = await profiles.find_active_tracker(harness.dataset_ref, [trackers[2]])
    await profiles.sign_in(harness.dataset_ref, ACTOR, USER, tracker=active)
    await profiles.replace_consents(harness.dataset_ref, ACTOR, ann, {"9d41": (True, _now())})
    bob = await harness.person("bob", mail=MAIL, plan="bob's")
    receipt: Receipt = await harness.erase(ann)
    assert set(receipt.profile_ids) == {ann, absorbed}
    assert receipt.application == "shop"
    assert receipt.entries >= 4
    assert receipt.identifiers >= 4
    assert await harness.survivors(ann, absorbed, bob) == [None, None, bob]
    words = [USER, "ann's own plan", *trackers]
    assert await _traces(harness, *words) == []
    # Bob has the same address: only his rows may contain it.
    assert all(str(bob) in line or "bob" in line for line in await _traces(harness, MAIL))
    await harness.erase(bob)
    assert await _traces(harness, MAIL, "bob's", *words) == []
    await harness.verified()


async def test_ids_of_erased_profiles_are_never_reused(harness: ProfilesHarness) -> None:
    ann = await harness.person(USER, mail=MAIL)
    await harness.erase(ann)
    row = await harness.database.fetchrow("SELECT * FROM profile WHERE profile_id = $1", ann)
    assert row["erased"]
    assert row["user_id"] is None
    assert (row["record_values"], row["identities"], row["consents"]) == ({}, {}, {})
    assert await harness.erase(ann) is None
    with pytest.raises(ObservationRejected):
        await harness.write(ann, plan="x")


async def test_an_unknown_profile_is_not_erased(harness: ProfilesHarness) -> None:
    assert await harness.erase(unknown()) is None
    assert await harness.services.privacy.erasure.list_receipts(harness.dataset_ref, 2**62, 10) == []


async def test_a_profile_of_another_dataset_is_not_erased(
    harness: ProfilesHarness, services: Services
) -> None:
    other = await ProfilesHarness(services).begin()
    ann = await harness.person(USER, mail=MAIL)
    assert await other.erase(ann) is None
    assert await harness.survivors(ann) == [ann]


@pytest.mark.parametrize("namespace", [USER_ID, TRACKER])
async def test_an_event_before_the_erasure_is_refused(harness: ProfilesHarness, namespace: str) -> None:
    tracker, before = new_tracker(), _now()
    value = {USER_ID: USER, TRACKER: tracker}[namespace]
    ann = await harness.person(USER, tracker, mail=MAIL)
    await harness.erase(ann)
    count = await harness.database.fetchval("SELECT count(*) FROM profile")
    for at in (before, before - 10**6 * SECOND_US):
        with pytest.raises(ObservationRejected) as refused:
            await _observe(harness, at, Identifier(namespace, value))
        assert refused.value.rejection.code == "erased"
    assert await harness.database.fetchval("SELECT count(*) FROM profile") == count
    assert await _traces(harness, MAIL, USER, tracker) == []
    await harness.verified()


async def test_an_event_before_the_erasure_is_refused_by_all_that_a_server_named(
    harness: ProfilesHarness,
) -> None:
    """The record was a server's own. An event that names somebody else as well is not about it alone."""
    before = _now()
    mail = Identifier("traits.mail", MAIL)
    await harness.erase(await _observe(harness, None, mail))
    with pytest.raises(ObservationRejected):
        await _observe(harness, before, mail)
    assert await _traces(harness, MAIL) == []
    assert await _observe(harness, before, mail, Identifier(USER_ID, "bob"))
    await harness.verified()


async def test_what_a_form_said_keeps_nobody_out(harness: ProfilesHarness) -> None:
    """Somebody typed another person's address, and has their own data erased."""
    before = _now()
    await harness.erase(await harness.person(None, new_tracker(), mail=MAIL))
    assert await _observe(harness, before, Identifier("traits.mail", MAIL))
    await harness.verified()


async def test_later_activity_of_an_erased_person_is_stored(harness: ProfilesHarness) -> None:
    ann = await harness.person(USER, mail=MAIL)
    await harness.erase(ann)
    again = await harness.person(USER, mail=MAIL)
    assert again != ann
    assert await _observe(harness, _now() + SECOND_US, Identifier(USER_ID, USER)) == again
    assert await _observe(harness, None, Identifier(USER_ID, USER)) == again
    await harness.verified()


async def test_an_old_event_of_another_person_is_stored(harness: ProfilesHarness) -> None:
    before = _now()
    await harness.erase(await harness.person(USER, mail=MAIL))
    assert await _observe(harness, before, Identifier(USER_ID, "bob"))
    await harness.verified()


async def test_an_old_event_in_another_dataset_is_stored(
    harness: ProfilesHarness, services: Services
) -> None:
    other, before = await ProfilesHarness(services).begin(), _now()
    await harness.erase(await harness.person(USER, mail=MAIL))
    assert await _observe(other, before, Identifier(USER_ID, USER))


@pytest.mark.parametrize("order", [(1, 2, 3, 0), (3, 1, 2, 0), (2, 0), (0,)], ids=str)
async def test_profiles_of_a_person_are_erased_in_any_order(
    harness: ProfilesHarness, order: tuple[int, ...]
) -> None:
    people = [await harness.person(USER, mail=f"{n}.{MAIL}", plan=f"plan-{n}") for n in range(4)]
    remaining = list(people)
    for number in order:
        receipt: Receipt = await harness.erase(people[number])
        remaining = [profile for profile in remaining if profile not in receipt.profile_ids]
        for profile, survivor in zip(people, await harness.survivors(*people), strict=True):
            assert survivor == (people[0] if profile in remaining else None)
        await harness.verified()
        if number:
            assert receipt.profile_ids == (people[number],)
            assert await _traces(harness, f"{number}.{MAIL}", f"plan-{number}") == []
    assert remaining == []
    assert await _traces(harness, MAIL, USER, "plan-") == []


async def test_erasing_an_absorbed_profile_removes_only_its_values(harness: ProfilesHarness) -> None:
    survivor = await harness.person(USER, mail=MAIL, tags=["a", "b"], plan="trial")
    absorbed = await harness.person(mail=MAIL, tags=["c"], plan="gold")
    await harness.write(survivor, card="c1")
    await harness.erase(absorbed)
    view = await harness.services.profiles.profiles.find(harness.dataset_ref, survivor)
    assert view is not None
    assert view.absorbed == ()
    traits = view.survivor.record.values["traits"]
    assert (traits["tags"], traits["plan"], traits["card"]) == (["a", "b"], "trial", "c1")
    await harness.verified()


async def test_a_value_that_the_remaining_profiles_hold_still_matches(harness: ProfilesHarness) -> None:
    survivor = await harness.person(USER)
    absorbed = await harness.person(mail=MAIL)
    await harness.write(absorbed, USER)
    await harness.write(survivor, mail=MAIL)
    await harness.erase(absorbed)
    late = await harness.person(mail=MAIL)
    assert await harness.survivors(survivor, absorbed, late) == [survivor, None, survivor]
    await harness.verified()


async def test_a_value_released_by_the_remaining_profiles_leaves_no_trace(harness: ProfilesHarness) -> None:
    survivor = await harness.person(USER)
    absorbed = await harness.person(mail=MAIL)
    await harness.write(absorbed, USER)
    await harness.write(survivor, mail="another@x.example")
    await harness.erase(absorbed)
    assert await _traces(harness, MAIL) == []
    await harness.verified()


async def test_a_value_that_the_remaining_profiles_released_matches_nothing(harness: ProfilesHarness) -> None:
    survivor = await harness.person(USER)
    absorbed = await harness.person(mail=MAIL)
    await harness.write(absorbed, USER)
    for mail in (MAIL, "another@x.example"):
        await harness.write(survivor, mail=mail)
    await harness.erase(absorbed)
    late, later = await harness.person(mail=MAIL), await harness.person(mail="another@x.example")
    assert await harness.survivors(survivor, late, later) == [survivor, late, survivor]
    await harness.verified()


async def test_erasing_a_profile_that_joined_others_does_not_split_them(harness: ProfilesHarness) -> None:
    await harness.rule("card", 2)
    await harness.index()
    one, two = await harness.person("u1", mail=MAIL), await harness.person(card="c1")
    joining = await harness.person(mail=MAIL, card="c1")
    assert len(set(await harness.survivors(one, two, joining))) == 1
    await harness.erase(joining)
    assert await harness.survivors(one, two, joining) == [one, one, None]
    await harness.verified()


async def test_erasing_the_holder_passes_a_contested_value_on(
    harness: ProfilesHarness,
) -> None:
    one, two = [await harness.person(user, mail=MAIL) for user in ("u1", "u2")]
    await harness.erase(one)
    three = await harness.person(mail=MAIL)
    assert await harness.survivors(two, three) == [two, two]
    await harness.verified()


async def test_receipts_are_listed_from_new_to_old(harness: ProfilesHarness, services: Services) -> None:
    other = await ProfilesHarness(services).begin()
    receipts = [await harness.erase(await harness.person(f"u{n}")) for n in range(3)]
    erasure = harness.services.privacy.erasure
    assert await erasure.list_receipts(harness.dataset_ref, 2**62, 10) == receipts[::-1]
    assert await erasure.list_receipts(harness.dataset_ref, receipts[1].erased_at, 10) == receipts[:1]
    assert await erasure.find_receipt(harness.dataset_ref, receipts[1].receipt_id) == receipts[1]
    assert await erasure.find_receipt(harness.dataset_ref, unknown()) is None
    assert await erasure.find_receipt(other.dataset_ref, receipts[1].receipt_id) is None
    assert await erasure.list_receipts(other.dataset_ref, 2**62, 10) == []


async def test_the_idempotency_record_of_an_erasure_has_no_personal_data(harness: ProfilesHarness) -> None:
    ann = await harness.person(USER, mail=MAIL)
    options = ErasureOptions("request:k", "a digest")
    receipt = await harness.services.privacy.erasure.erase(
        harness.dataset_ref, ACTOR, ErasureTarget(profile_id=ann), once=options
    )
    assert receipt is not None
    assert (
        await harness.services.privacy.erasure.erase(
            harness.dataset_ref, ACTOR, ErasureTarget(profile_id=ann), once=options
        )
        is None
    )
    (stored,) = await harness.database.fetch("SELECT * FROM idempotency_record WHERE key = $1", options.key)
    assert (stored["profile_id"], stored["fingerprint"], stored["response"]) == (ann, "a digest", None)
    assert await _traces(harness, USER, MAIL) == []
    await harness.verified()


async def test_an_erasure_succeeds_beside_a_client_that_never_stops_writing(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the erasure has found the person, another browser of theirs is stored before it locks them."""
    ann = await harness.person(None, new_tracker(), mail=MAIL)
    writes: list[asyncio.Task[UUID]] = []

    async def select_beside_writes(tables: Tables, target: ErasureTarget) -> ErasureSelection | None:
        found = await select(tables, target)
        if not writes or writes[-1].done():
            writes.append(asyncio.create_task(harness.person(None, new_tracker(), mail=MAIL)))

            async def ended() -> bool:
                return writes[-1].done() or await is_waited_for(harness.database)

            await until_async(ended, "The write neither ends nor waits.")
        return found

    monkeypatch.setattr(erasure, "select", select_beside_writes)
    receipt = await harness.erase(ann)
    later = await asyncio.gather(*writes)
    assert ann in receipt.profile_ids
    assert len(later) > ATTEMPTS_BESIDE_WRITERS
    assert await harness.survivors(ann, *later) == [None] * len(later) + [later[-1]]
    await harness.verified()


async def _count_statements(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch, profile_id: UUID
) -> int:
    with counted_statements(monkeypatch) as counts:
        assert await harness.erase(profile_id) is not None
    return counts[STATEMENTS]


async def test_an_erasure_costs_the_same_statements_for_any_number_of_browsers(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each browser belonged to another user before, and returns to that user."""
    profiles, statement_counts = harness.services.profiles.profiles, set[int]()
    for count in (1, 7):
        trackers = [new_tracker() for _ in range(count)]
        for user in (f"bob-{count}", f"ann-{count}"):
            for tracker in trackers:
                active = await profiles.find_active_tracker(harness.dataset_ref, [tracker])
                if active is None:
                    await harness.person(user, tracker)
                else:
                    await profiles.sign_in(harness.dataset_ref, ACTOR, user, tracker=active)
        ann = await profiles.find_by_user(harness.dataset_ref, f"ann-{count}")
        assert ann is not None
        statement_counts.add(await _count_statements(harness, monkeypatch, ann.profile.profile_id))
        bob = await profiles.find_by_user(harness.dataset_ref, f"bob-{count}")
        assert bob is not None
        for tracker in trackers:
            view = await profiles.find_by_tracker(harness.dataset_ref, tracker)
            assert view is not None
            assert view.survivor.profile_id == bob.survivor.profile_id
    # Fragments that are read with their browsers already need no look-up of their own.
    assert max(statement_counts) - min(statement_counts) <= 1, statement_counts
    await harness.verified()


async def test_redaction_costs_the_same_statements_for_any_number_of_entries(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement_counts = set[int]()
    for count in (1, 9):
        mail = f"{count}.{MAIL}"
        absorbed = await harness.person(None, new_tracker(), plan="own")
        for number in range(count):
            await harness.write(absorbed, plan=f"plan {number}")
        ann = await harness.person(f"ann-{count}", new_tracker(), mail=mail)
        await harness.write(absorbed, mail=mail)
        assert await harness.survivors(absorbed) == [ann]
        statement_counts.add(await _count_statements(harness, monkeypatch, absorbed))
    assert len(statement_counts) == 1, statement_counts
    await harness.verified()
