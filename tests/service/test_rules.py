"""Rules on existing profiles: reindex jobs, which resume after a stop (docs/wire/cds.md §9)."""

from __future__ import annotations

import asyncio
import random
from typing import Any
from uuid import UUID

import pytest
from msgspec import structs

from oneself.core.config.changes import PutAttributes
from oneself.core.config.rule_checks import RuleRejected
from oneself.core.identity.identifier_source import UnificationRule
from oneself.core.values.attribute import Attribute
from oneself.service.ingest.submission import Resolution, Submission
from oneself.service.rules.rules import UnknownRule
from oneself.services import Services
from support.profiles_harness import ProfilesHarness, unknown

pytestmark = pytest.mark.postgres

EXPIRE_LEASES = "UPDATE reindex_job SET lease_until = now() - interval '1 second'"


@pytest.fixture
async def harness(services: Services) -> ProfilesHarness:
    return await ProfilesHarness(services).begin()


async def _pairs(harness: ProfilesHarness, number: int) -> list[tuple[UUID, UUID]]:
    """Create pairs of profiles; each pair shares one value."""
    return [(await harness.person(mail=f"m{n}"), await harness.person(mail=f"M{n} ")) for n in range(number)]


async def _count_merged(harness: ProfilesHarness, pairs: list[tuple[UUID, UUID]]) -> int:
    """How many pairs are merged. No profiles of different pairs may be merged."""
    found = [await harness.survivors(*pair) for pair in pairs]
    assert len({survivors[0] for survivors in found}) == len(pairs), "profiles of different pairs were merged"
    return sum(one == other for one, other in found)


async def _progress(harness: ProfilesHarness, rule: UnificationRule) -> tuple[str, int, int, int, int]:
    job = next(
        job
        for job in await harness.services.rules.rules.progress(harness.dataset_ref)
        if job.job_id == rule.rule_id
    )
    return job.state, job.seen, job.indexed, job.merged, job.total


async def test_a_new_rule_merges_existing_profiles(harness: ProfilesHarness) -> None:
    pairs = await _pairs(harness, 5)
    await harness.person("u1")
    rule = await harness.rule("mail")
    assert (await _progress(harness, rule))[0] == "running"
    await harness.index()
    assert await _count_merged(harness, pairs) == 5
    state, seen, indexed, merged, total = await _progress(harness, rule)
    assert (state, merged, total) == ("done", 5, 11)
    assert 5 <= indexed <= seen <= total
    await harness.verified()


async def test_a_chain_across_pages_becomes_one_profile(harness: ProfilesHarness) -> None:
    harness.index_by(profiles_per_page=2)
    people = [await harness.person(tags=[f"t{n}", f"t{n + 1}"]) for n in range(9)]
    await harness.rule("tags")
    await harness.index()
    assert len(set(await harness.survivors(*people))) == 1
    await harness.verified()


async def test_a_page_has_a_limited_number_of_identifiers(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.index_by(identifiers_per_page_max=10)
    large = await harness.person(tags=[f"large {n}" for n in range(20)])
    people = [await harness.person(tags=[f"p{n} {tag}" for tag in range(4)]) for n in range(9)]
    others = [await harness.person(tags=[f"p{n} 0"]) for n in range(9)]
    submit, in_flight, seen = harness.services.ingest.submit, 0, list[int]()

    async def counting(dataset_id: int, submission: Submission) -> Resolution:
        nonlocal in_flight
        identifiers = len(submission.observation.identifiers)
        in_flight += identifiers
        seen.append(in_flight)
        try:
            return await submit(dataset_id, submission)
        finally:
            in_flight -= identifiers

    monkeypatch.setattr(harness.services.ingest, "submit", counting)
    await harness.rule("tags")
    await harness.index()
    assert sorted(set(seen))[-1] == 20, "a profile with more values is the only one of its page"
    assert all(count <= 10 for count in seen if count != 20)
    assert await _count_merged(harness, list(zip(people, others, strict=True))) == 9
    assert await harness.survivors(large) == [large]
    await harness.verified()


async def test_an_inactive_rule_is_not_applied(harness: ProfilesHarness) -> None:
    pairs = await _pairs(harness, 2)
    await harness.rule("mail", is_active=False)
    assert await harness.services.rules.reindexer.step() is False
    assert await harness.services.rules.rules.progress(harness.dataset_ref) == []
    assert await _count_merged(harness, pairs) == 0


async def test_a_rule_is_applied_when_it_is_activated(harness: ProfilesHarness) -> None:
    pairs = await _pairs(harness, 2)
    rule = await harness.rule("mail", is_active=False)
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, is_active=True)
    await harness.index()
    assert await _count_merged(harness, pairs) == 2
    await harness.verified()


async def test_reactivation_matches_values_written_in_between(harness: ProfilesHarness) -> None:
    before = await _pairs(harness, 1)
    rule = await harness.rule("mail")
    await harness.index()
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, is_active=False)
    between = (await harness.person(mail="x1"), await harness.person(mail="x1"))
    await harness.write(before[0][0], mail="y1")
    late = await harness.person(mail="y1")
    assert len(set(await harness.survivors(*between))) == 2
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, is_active=True)
    await harness.index()
    assert await _count_merged(harness, [*before, between]) == 2
    assert len(set(await harness.survivors(late, *before[0]))) == 1
    await harness.verified()


async def test_a_cancelled_job_is_resumed(harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.index_by(profiles_per_page=4)
    pairs = await _pairs(harness, 20)
    rule = await harness.rule("mail")
    stopped = asyncio.Event()
    submit, indexer = harness.services.ingest.submit, harness.services.rules.reindexer
    calls = 0

    async def block_on_third_page(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 10:
            stopped.set()
            await asyncio.Event().wait()
        return await submit(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(harness.services.ingest, "submit", block_on_third_page)
        task = asyncio.create_task(indexer.run())
        await asyncio.wait_for(stopped.wait(), 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    state, seen, *_ = await _progress(harness, rule)
    assert (state, seen) == ("running", 8)
    assert await _count_merged(harness, pairs) < 20
    assert await indexer.step() is False, "the lease of the cancelled worker was ignored"
    await harness.database.execute(EXPIRE_LEASES)
    await harness.index()
    assert await _count_merged(harness, pairs) == 20
    assert (await _progress(harness, rule))[0] == "done"
    await harness.verified()


@pytest.mark.parametrize("means", ["change", "delete"])
async def test_deactivating_or_deleting_a_rule_cancels_its_job(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch, means: str
) -> None:
    harness.index_by(profiles_per_page=2)
    pairs = await _pairs(harness, 10)
    rule = await harness.rule("mail")
    rules, submit = harness.services.rules.rules, harness.services.ingest.submit
    calls = 0

    async def deactivate_on_third_call(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3 and means == "change":
            await rules.change(harness.dataset_ref, rule.rule_id, is_active=False)
        elif calls == 3:
            await rules.delete(harness.dataset_ref, rule.rule_id)
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.services.ingest, "submit", deactivate_on_third_call)
    await harness.index()
    assert await _count_merged(harness, pairs) < 10
    assert (await _progress(harness, rule))[0] == "cancelled"
    await harness.verified()


@pytest.mark.parametrize("call", [3, 19])
async def test_reactivating_a_rule_during_its_job_restarts_the_job(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The worker of the old job, in the middle or on its last page, must not advance the new job."""
    harness.index_by(profiles_per_page=2)
    pairs = await _pairs(harness, 10)
    rule = await harness.rule("mail")
    rules, submit = harness.services.rules.rules, harness.services.ingest.submit
    between: list[tuple[UUID, UUID]] = []
    calls = 0

    async def reactivate(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            await rules.change(harness.dataset_ref, rule.rule_id, is_active=False)
            between.extend(
                [(await harness.person(mail=f"b{n}"), await harness.person(mail=f"b{n}")) for n in range(6)]
            )
            await rules.change(harness.dataset_ref, rule.rule_id, is_active=True)
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.services.ingest, "submit", reactivate)
    await harness.index()
    assert len(between) == 6
    assert await _count_merged(harness, pairs + between) == 16
    assert (await _progress(harness, rule))[0] == "done"
    await harness.verified()


async def test_a_profile_absorbed_before_its_turn_is_still_reindexed(
    harness: ProfilesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the job, another rule merges profiles. Some absorbed profiles were not indexed yet,
    and their survivor already was."""
    harness.index_by(profiles_per_page=2)
    await harness.rule("card", 1)
    people = [await harness.person(tags=[f"t{n}"], card=f"c{n}") for n in range(20)]
    twins = [await harness.person(tags=[f"t{n}"]) for n in range(20)]
    submit, calls = harness.services.ingest.submit, 0

    async def merge_in_the_middle(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 20:
            for number in range(0, 20, 2):
                await harness.write(people[number + 1], card=f"c{number}")
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.services.ingest, "submit", merge_in_the_middle)
    await harness.rule("tags", 2)
    await harness.index()
    assert calls > 20
    for number in range(0, 20, 2):
        assert (
            len(set(await harness.survivors(*people[number : number + 2], *twins[number : number + 2]))) == 1
        )
    await harness.verified()


async def test_writers_during_a_job_lose_nothing(harness: ProfilesHarness) -> None:
    harness.index_by(profiles_per_page=3)
    pairs = await _pairs(harness, 12)
    chance = random.Random(7)

    async def write(number: int) -> tuple[UUID, int]:
        await asyncio.sleep(chance.uniform(0, 0.2))
        return await harness.person(mail=f"m{number}"), number

    await harness.rule("mail")
    created, _ = await asyncio.gather(asyncio.gather(*(write(n % 12) for n in range(36))), harness.index())
    assert await _count_merged(harness, pairs) == 12
    for profile_id, number in created:
        assert len(set(await harness.survivors(profile_id, *pairs[number]))) == 1
    await harness.verified()


async def test_two_workers_share_the_jobs(harness: ProfilesHarness) -> None:
    pairs = await _pairs(harness, 4)
    await harness.rule("mail", 1)
    await harness.rule("card", 2)
    await asyncio.gather(harness.index(), harness.index())
    assert await _count_merged(harness, pairs) == 4
    await harness.verified()


async def test_two_users_with_one_value_are_not_merged(harness: ProfilesHarness) -> None:
    one, two = await harness.person("u1", mail="a1"), await harness.person("u2", mail="a1")
    third = await harness.person(mail="a1")
    await harness.rule("mail")
    await harness.index()
    survivors = await harness.survivors(one, two, third)
    assert survivors[:2] == [one, two]
    assert survivors[2] in (one, two)
    assert {code for code, _, _ in await harness.refusals()} == {"different_user"}
    await harness.verified()


async def test_removed_and_erased_values_match_nothing(harness: ProfilesHarness) -> None:
    one, two = await harness.person(mail="a1"), await harness.person(mail="a1")
    await harness.write(one, mail=None)
    await harness.erase(two)
    three = await harness.person(mail="a1")
    await harness.rule("mail")
    await harness.index()
    assert await harness.survivors(one, two, three) == [one, None, three]
    await harness.verified()


async def test_blocked_values_match_nothing_during_indexing(harness: ProfilesHarness) -> None:
    await harness.services.profiles.refusals.protect(
        harness.dataset_ref, blocked_values=("Shop@Acme.example",), blocked_patterns=("*@test.example",)
    )
    for mail in ("shop@acme.example", "x@test.example", "null"):
        pair = [await harness.person(mail=mail) for _ in range(2)]
        await harness.person(card=mail)
        assert len(set(await harness.survivors(*pair))) == 2
    await harness.rule("mail")
    await harness.index()
    assert await harness.groups() == {}
    await harness.verified()


async def test_rules_are_listed_by_priority_and_found_by_id(harness: ProfilesHarness) -> None:
    second, first = await harness.rule("mail", 7), await harness.rule("card", -1)
    assert await harness.services.rules.rules.list_rules(harness.dataset_ref) == [first, second]
    assert await harness.services.rules.rules.find(harness.dataset_ref, first.rule_id) == first
    for call in (
        harness.services.rules.rules.find(harness.dataset_ref, str(unknown())),
        harness.services.rules.rules.change(harness.dataset_ref, str(unknown()), is_active=True),
    ):
        with pytest.raises(UnknownRule):
            await call
    await harness.services.rules.rules.delete(harness.dataset_ref, str(unknown()))


async def test_concurrent_rules_never_share_a_property_or_a_priority(harness: ProfilesHarness) -> None:
    attempts = [
        harness.rule(key, priority) for key in ("mail", "card") for priority in (1, 2) for _ in range(3)
    ]
    created = [
        result
        for result in await asyncio.gather(*attempts, return_exceptions=True)
        if isinstance(result, UnificationRule)
    ]
    assert len({rule.property_name for rule in created}) == len(created) == 2
    assert len({rule.priority for rule in created}) == 2
    with pytest.raises(RuleRejected):
        await harness.rule("plan", 1)


def _mail(value_type: Any) -> PutAttributes:
    attribute = Attribute(
        attribute_id="mail",
        attribute_name="traits.mail",
        value_type=value_type,
        merge_strategy="overwrite",
    )
    return PutAttributes((attribute,))


async def test_values_of_a_changed_type_match_again_when_it_is_restored(harness: ProfilesHarness) -> None:
    """docs/wire/cds.md §8: values that do not fit their attribute do not match."""
    change, dataset_id = harness.services.configurations.change, harness.dataset_ref.dataset_id
    await harness.rule("mail")
    word = await harness.person(mail="417")
    await change(dataset_id, lambda _: _mail("integer"))
    await harness.index()
    number = await harness.person(mail=417)
    assert await harness.survivors(word, number) == [word, number]
    await harness.verified()
    await change(dataset_id, lambda _: _mail("string"))
    await harness.index()
    again = await harness.person(mail="417")
    survivors = await harness.survivors(word, number, again)
    assert survivors[0] == survivors[2] != survivors[1]
    await harness.verified()


async def test_an_old_value_of_a_changed_type_matches_only_after_reindexing(
    harness: ProfilesHarness,
) -> None:
    change, dataset_id = harness.services.configurations.change, harness.dataset_ref.dataset_id
    await harness.rule("mail")
    await change(dataset_id, lambda _: _mail("integer"))
    number = await harness.person(mail=417)
    await change(dataset_id, lambda _: _mail("string"))
    word = await harness.person(mail="417")
    assert await harness.survivors(number, word) == [number, word]
    await harness.index()
    assert await harness.survivors(number, word) == [number, word]
    await harness.verified()


async def test_a_value_removed_under_an_inactive_rule_never_matches_again(
    harness: ProfilesHarness,
) -> None:
    rule = await harness.rule("mail")
    moved, stayed = await harness.person(mail="old@x.example"), await harness.person(mail="stays@x.example")
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, is_active=False)
    await harness.write(moved, mail="new@x.example")
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, is_active=True)
    other = await harness.person(mail="old@x.example")
    await harness.index()
    assert await harness.survivors(moved, stayed, other) == [moved, stayed, other]
    await harness.verified()
    for person, mail in ((moved, "new@x.example"), (stayed, "stays@x.example")):
        found = await harness.person(mail=mail)
        assert len(set(await harness.survivors(person, found))) == 1
    await harness.verified()


async def test_unblocking_a_value_merges_the_profiles_that_have_it(harness: ProfilesHarness) -> None:
    await harness.rule("mail")
    protect = harness.services.profiles.refusals.protect
    await protect(harness.dataset_ref, blocked_values=("office@x.example",))
    one, two = [await harness.person(mail="office@x.example") for _ in range(2)]
    await harness.index()
    assert await harness.survivors(one, two) == [one, two]
    await protect(harness.dataset_ref, blocked_values=())
    await harness.index()
    assert len(set(await harness.survivors(one, two))) == 1
    await harness.verified()


async def test_a_changed_type_reindexes_stored_values(harness: ProfilesHarness) -> None:
    await harness.rule("mail")
    one = await harness.person(mail="2026-06-05T03:38:04Z")
    two = await harness.person(mail="2026-06-05T05:38:04+02:00")
    assert await harness.survivors(one, two) == [one, two]
    await harness.services.configurations.change(harness.dataset_ref.dataset_id, lambda _: _mail("date_time"))
    await harness.index()
    assert len(set(await harness.survivors(one, two))) == 1
    await harness.verified()


async def test_another_attribute_or_a_new_name_starts_no_job(harness: ProfilesHarness) -> None:
    rule = await harness.rule("mail")
    await harness.index()
    other = Attribute(
        attribute_id="new", attribute_name="traits.new", value_type="date", merge_strategy="overwrite"
    )
    shown = structs.replace(_mail("string").attributes[0], display_name="Mail")
    for attribute in (other, shown):
        await harness.services.configurations.change(
            harness.dataset_ref.dataset_id, lambda _, added=attribute: PutAttributes((added,))
        )
    await harness.services.rules.rules.change(harness.dataset_ref, rule.rule_id, rule_name="renamed")
    assert (await _progress(harness, rule))[0] == "done"
