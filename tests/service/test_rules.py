"""Rules on the profiles that exist: applied in the background, resumed where somebody stopped (wire §9)."""

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
from oneself.service.rules.rules import UnknownRule
from oneself.services import Services
from service.crowd import Crowd, unknown

pytestmark = pytest.mark.postgres

LEASE_LOST = "UPDATE indexing SET lease_until = now() - interval '1 second'"


@pytest.fixture
async def crowd(services: Services) -> Crowd:
    return await Crowd(services).begin()


async def _pairs(crowd: Crowd, number: int) -> list[tuple[UUID, UUID]]:
    """Pairs of profiles, each with a value of its own."""
    return [(await crowd.person(mail=f"m{n}"), await crowd.person(mail=f"M{n} ")) for n in range(number)]


async def _joined(crowd: Crowd, pairs: list[tuple[UUID, UUID]]) -> int:
    found = [await crowd.survivors(*pair) for pair in pairs]
    assert len({survivors[0] for survivors in found}) == len(pairs), "strangers were joined"
    return sum(one == other for one, other in found)


async def _progress(crowd: Crowd, rule: UnificationRule) -> tuple[str, int, int, int, int]:
    work = next(
        w for w in await crowd.services.rules.rules.progress(crowd.dataset_ref) if w.rule_id == rule.rule_id
    )
    return work.state, work.seen, work.indexed, work.merged, work.total


async def test_a_new_rule_joins_the_profiles_that_exist(crowd: Crowd) -> None:
    pairs = await _pairs(crowd, 5)
    await crowd.person("u1")
    rule = await crowd.rule("mail")
    assert (await _progress(crowd, rule))[0] == "running"
    await crowd.index()
    assert await _joined(crowd, pairs) == 5
    state, seen, indexed, merged, total = await _progress(crowd, rule)
    assert (state, merged, total) == ("done", 5, 11)
    assert 5 <= indexed <= seen <= total
    await crowd.verified()


async def test_chains_across_pages_become_one(crowd: Crowd) -> None:
    crowd.index_by(profiles_per_page=2)
    people = [await crowd.person(tags=[f"t{n}", f"t{n + 1}"]) for n in range(9)]
    await crowd.rule("tags")
    await crowd.index()
    assert len(set(await crowd.survivors(*people))) == 1
    await crowd.verified()


async def test_an_inactive_rule_is_not_applied(crowd: Crowd) -> None:
    pairs = await _pairs(crowd, 2)
    await crowd.rule("mail", is_active=False)
    assert await crowd.services.rules.reindexer.step() is False
    assert await crowd.services.rules.rules.progress(crowd.dataset_ref) == []
    assert await _joined(crowd, pairs) == 0


async def test_a_rule_that_is_switched_on_later_is_applied_then(crowd: Crowd) -> None:
    pairs = await _pairs(crowd, 2)
    rule = await crowd.rule("mail", is_active=False)
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, is_active=True)
    await crowd.index()
    assert await _joined(crowd, pairs) == 2
    await crowd.verified()


async def test_reactivation_finds_what_was_written_in_between(crowd: Crowd) -> None:
    before = await _pairs(crowd, 1)
    rule = await crowd.rule("mail")
    await crowd.index()
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, is_active=False)
    between = (await crowd.person(mail="x1"), await crowd.person(mail="x1"))
    await crowd.write(before[0][0], mail="y1")
    late = await crowd.person(mail="y1")
    assert len(set(await crowd.survivors(*between))) == 2
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, is_active=True)
    await crowd.index()
    assert (
        await _joined(
            crowd,
            [
                *before,
                between,
            ],
        )
        == 2
    )
    assert len(set(await crowd.survivors(late, *before[0]))) == 1
    await crowd.verified()


async def test_work_that_was_cancelled_in_the_middle_is_taken_up(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.index_by(profiles_per_page=4)
    pairs = await _pairs(crowd, 20)
    rule = await crowd.rule("mail")
    stopped = asyncio.Event()
    submit, indexer = crowd.services.ingest.submit, crowd.services.rules.reindexer
    calls = 0

    async def third_page_never_comes(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls > 10:
            stopped.set()
            await asyncio.Event().wait()
        return await submit(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(crowd.services.ingest, "submit", third_page_never_comes)
        work = asyncio.create_task(indexer.run())
        await asyncio.wait_for(stopped.wait(), 60)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    state, seen, *_ = await _progress(crowd, rule)
    assert (state, seen) == ("running", 8)
    assert await _joined(crowd, pairs) < 20
    assert await indexer.step() is False, "the lease of the one who stopped still holds"
    await crowd.database.execute(LEASE_LOST)
    await crowd.index()
    assert await _joined(crowd, pairs) == 20
    assert (await _progress(crowd, rule))[0] == "done"
    await crowd.verified()


@pytest.mark.parametrize("by", ["change", "delete"])
async def test_a_rule_that_is_switched_off_in_the_middle_stops(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    crowd.index_by(profiles_per_page=2)
    pairs = await _pairs(crowd, 10)
    rule = await crowd.rule("mail")
    rules, submit = crowd.services.rules.rules, crowd.services.ingest.submit
    calls = 0

    async def off_at_the_third(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3 and by == "change":
            await rules.change(crowd.dataset_ref, rule.rule_id, is_active=False)
        elif calls == 3:
            await rules.delete(crowd.dataset_ref, rule.rule_id)
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(crowd.services.ingest, "submit", off_at_the_third)
    await crowd.index()
    assert await _joined(crowd, pairs) < 10
    assert (await _progress(crowd, rule))[0] == "cancelled"
    await crowd.verified()


@pytest.mark.parametrize("call", [3, 19])
async def test_a_rule_that_is_switched_off_and_on_in_the_middle_begins_anew(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """The worker of before, in the middle or on its last page, moves the new work on by nothing."""
    crowd.index_by(profiles_per_page=2)
    pairs = await _pairs(crowd, 10)
    rule = await crowd.rule("mail")
    rules, submit = crowd.services.rules.rules, crowd.services.ingest.submit
    between: list[tuple[UUID, UUID]] = []
    calls = 0

    async def off_and_on(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            await rules.change(crowd.dataset_ref, rule.rule_id, is_active=False)
            between.extend(
                [(await crowd.person(mail=f"b{n}"), await crowd.person(mail=f"b{n}")) for n in range(6)]
            )
            await rules.change(crowd.dataset_ref, rule.rule_id, is_active=True)
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(crowd.services.ingest, "submit", off_and_on)
    await crowd.index()
    assert len(between) == 6
    assert await _joined(crowd, pairs + between) == 16
    assert (await _progress(crowd, rule))[0] == "done"
    await crowd.verified()


async def test_who_is_absorbed_before_the_work_has_come_to_them_is_not_left_out(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the work is done when people are joined by another rule: some of those who are absorbed were
    not indexed yet, and stand behind one whom the work has passed."""
    crowd.index_by(profiles_per_page=2)
    await crowd.rule("card", 1)
    people = [await crowd.person(tags=[f"t{n}"], card=f"c{n}") for n in range(20)]
    twins = [await crowd.person(tags=[f"t{n}"]) for n in range(20)]
    submit, calls = crowd.services.ingest.submit, 0

    async def joined_in_the_middle(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 20:
            for number in range(0, 20, 2):
                await crowd.write(people[number + 1], card=f"c{number}")
        return await submit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(crowd.services.ingest, "submit", joined_in_the_middle)
    await crowd.rule("tags", 2)
    await crowd.index()
    assert calls > 20
    for number in range(0, 20, 2):
        assert len(set(await crowd.survivors(*people[number : number + 2], *twins[number : number + 2]))) == 1
    await crowd.verified()


async def test_writers_beside_the_work_lose_nothing(crowd: Crowd) -> None:
    crowd.index_by(profiles_per_page=3)
    pairs = await _pairs(crowd, 12)
    chance = random.Random(7)

    async def write(number: int) -> tuple[UUID, int]:
        await asyncio.sleep(chance.uniform(0, 0.2))
        return await crowd.person(mail=f"m{number}"), number

    await crowd.rule("mail")
    made, _ = await asyncio.gather(asyncio.gather(*(write(n % 12) for n in range(36))), crowd.index())
    assert await _joined(crowd, pairs) == 12
    for profile_id, number in made:
        assert len(set(await crowd.survivors(profile_id, *pairs[number]))) == 1
    await crowd.verified()


async def test_two_workers_share_the_work(crowd: Crowd) -> None:
    pairs = await _pairs(crowd, 4)
    await crowd.rule("mail", 1)
    await crowd.rule("card", 2)
    await asyncio.gather(crowd.index(), crowd.index())
    assert await _joined(crowd, pairs) == 4
    await crowd.verified()


async def test_two_users_stay_two(crowd: Crowd) -> None:
    one, two = await crowd.person("u1", mail="a1"), await crowd.person("u2", mail="a1")
    third = await crowd.person(mail="a1")
    await crowd.rule("mail")
    await crowd.index()
    survivors = await crowd.survivors(one, two, third)
    assert survivors[:2] == [one, two]
    assert survivors[2] in (one, two)
    assert {code for code, _, _ in await crowd.refusals()} == {"different_user"}
    await crowd.verified()


async def test_unset_and_erased_values_are_nobodys(crowd: Crowd) -> None:
    one, two = await crowd.person(mail="a1"), await crowd.person(mail="a1")
    await crowd.write(one, mail=None)
    await crowd.erase(two)
    three = await crowd.person(mail="a1")
    await crowd.rule("mail")
    await crowd.index()
    assert await crowd.survivors(one, two, three) == [one, None, three]
    await crowd.verified()


async def test_blocked_values_and_limits_hold_in_the_background(crowd: Crowd) -> None:
    await crowd.services.profiles.refusals.protect(
        crowd.dataset_ref, blocked_values=("Shop@Acme.example",), blocked_patterns=("*@test.example",)
    )
    for mail in ("shop@acme.example", "x@test.example", "null"):
        pair = [await crowd.person(mail=mail) for _ in range(2)]
        await crowd.person(card=mail)
        assert len(set(await crowd.survivors(*pair))) == 2
    await crowd.rule("mail")
    await crowd.index()
    assert await crowd.groups() == {}
    await crowd.verified()


async def test_rules_are_listed_by_priority_and_found_by_id(crowd: Crowd) -> None:
    second, first = await crowd.rule("mail", 7), await crowd.rule("card", -1)
    assert await crowd.services.rules.rules.list_rules(crowd.dataset_ref) == [first, second]
    assert await crowd.services.rules.rules.find(crowd.dataset_ref, first.rule_id) == first
    for call in (
        crowd.services.rules.rules.find(crowd.dataset_ref, str(unknown())),
        crowd.services.rules.rules.change(crowd.dataset_ref, str(unknown()), is_active=True),
    ):
        with pytest.raises(UnknownRule):
            await call
    await crowd.services.rules.rules.delete(crowd.dataset_ref, str(unknown()))


async def test_rules_made_at_once_never_share_a_property_or_a_priority(crowd: Crowd) -> None:
    tries = [crowd.rule(key, priority) for key in ("mail", "card") for priority in (1, 2) for _ in range(3)]
    made = [
        each
        for each in await asyncio.gather(*tries, return_exceptions=True)
        if isinstance(each, UnificationRule)
    ]
    assert len({rule.property_name for rule in made}) == len(made) == 2
    assert len({rule.priority for rule in made}) == 2
    with pytest.raises(RuleRejected):
        await crowd.rule("plan", 1)


def _mail(value_type: Any) -> PutAttributes:
    attribute = Attribute(
        attribute_id="mail",
        attribute_name="traits.mail",
        value_type=value_type,
        merge_strategy="overwrite",
    )
    return PutAttributes((attribute,))


async def test_a_changed_type_hides_values_from_matching_until_it_is_back(crowd: Crowd) -> None:
    """wire/cds §8: what does not fit its attribute is hidden from matching."""
    change, dataset_id = crowd.services.configurations.change, crowd.dataset_ref.dataset_id
    await crowd.rule("mail")
    word = await crowd.person(mail="417")
    await change(dataset_id, lambda _: _mail("integer"))
    await crowd.index()
    number = await crowd.person(mail=417)
    assert await crowd.survivors(word, number) == [word, number]
    await crowd.verified()
    await change(dataset_id, lambda _: _mail("string"))
    await crowd.index()
    again = await crowd.person(mail="417")
    survivors = await crowd.survivors(word, number, again)
    assert survivors[0] == survivors[2] != survivors[1]
    await crowd.verified()


async def test_a_value_held_before_the_type_changed_back_joins_nobody_until_it_is_indexed(
    crowd: Crowd,
) -> None:
    change, dataset_id = crowd.services.configurations.change, crowd.dataset_ref.dataset_id
    await crowd.rule("mail")
    await change(dataset_id, lambda _: _mail("integer"))
    number = await crowd.person(mail=417)
    await change(dataset_id, lambda _: _mail("string"))
    word = await crowd.person(mail="417")
    assert await crowd.survivors(number, word) == [number, word]
    await crowd.index()
    assert await crowd.survivors(number, word) == [number, word]
    await crowd.verified()


async def test_a_value_left_while_the_rule_was_inactive_joins_nobody_when_it_is_active_again(
    crowd: Crowd,
) -> None:
    rule = await crowd.rule("mail")
    moved, stayed = await crowd.person(mail="old@x.example"), await crowd.person(mail="stays@x.example")
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, is_active=False)
    await crowd.write(moved, mail="new@x.example")
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, is_active=True)
    heir = await crowd.person(mail="old@x.example")
    await crowd.index()
    assert await crowd.survivors(moved, stayed, heir) == [moved, stayed, heir]
    await crowd.verified()
    for person, mail in ((moved, "new@x.example"), (stayed, "stays@x.example")):
        found = await crowd.person(mail=mail)
        assert len(set(await crowd.survivors(person, found))) == 1
    await crowd.verified()


async def test_a_value_that_is_no_longer_blocked_joins_those_who_hold_it(crowd: Crowd) -> None:
    await crowd.rule("mail")
    protect = crowd.services.profiles.refusals.protect
    await protect(crowd.dataset_ref, blocked_values=("office@x.example",))
    one, two = [await crowd.person(mail="office@x.example") for _ in range(2)]
    await crowd.index()
    assert await crowd.survivors(one, two) == [one, two]
    await protect(crowd.dataset_ref, blocked_values=())
    await crowd.index()
    assert len(set(await crowd.survivors(one, two))) == 1
    await crowd.verified()


async def test_a_changed_type_reads_stored_values_anew(crowd: Crowd) -> None:
    await crowd.rule("mail")
    one = await crowd.person(mail="2026-06-05T03:38:04Z")
    two = await crowd.person(mail="2026-06-05T05:38:04+02:00")
    assert await crowd.survivors(one, two) == [one, two]
    await crowd.services.configurations.change(crowd.dataset_ref.dataset_id, lambda _: _mail("date_time"))
    await crowd.index()
    assert len(set(await crowd.survivors(one, two))) == 1
    await crowd.verified()


async def test_another_attribute_or_a_new_name_indexes_nothing_again(crowd: Crowd) -> None:
    rule = await crowd.rule("mail")
    await crowd.index()
    other = Attribute(
        attribute_id="new", attribute_name="traits.new", value_type="date", merge_strategy="overwrite"
    )
    shown = structs.replace(_mail("string").attributes[0], display_name="Mail")
    for attribute in (other, shown):
        await crowd.services.configurations.change(
            crowd.dataset_ref.dataset_id, lambda _, added=attribute: PutAttributes((added,))
        )
    await crowd.services.rules.rules.change(crowd.dataset_ref, rule.rule_id, rule_name="renamed")
    assert (await _progress(crowd, rule))[0] == "done"
