"""Look-up: an id finds at most one person (docs/wire/interactions.md §9.3, §9.4)."""

from __future__ import annotations

from uuid import UUID

import pytest

from oneself.errors import InvalidInput
from oneself.service.ingest.trackers import new_tracker
from oneself.service.privacy.selection import ErasureTarget
from oneself.services import Services
from oneself.store.queries import Queries
from support.interactions_harness import ACTOR, InteractionsHarness, customer, mail
from support.statement_plans import plan_of

X, Y, Z = "0123456789abcdef", "fedcba9876543210", "00000000000000aa"
UNKNOWN = "00000000-0000-4000-8000-00000000dead"
LIKE_A_UUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"


@pytest.fixture
async def harness(services: Services) -> InteractionsHarness:
    return await InteractionsHarness(services).begin()


# -- ids ----------------------------------------------------------------------------------------------------


async def test_an_anonymous_visitor_is_found_by_every_form_of_its_id(
    harness: InteractionsHarness,
) -> None:
    visitor = await harness.event(device=X)
    profile_id = visitor.profile.profile_id
    assert visitor.survivor.primary_id == X
    for text in (X, f" {X} ", str(profile_id), str(profile_id).upper()):
        assert await harness.found(text) == profile_id
    assert await harness.found(profile_id.hex[:16]) is None, "this was never its primary id"
    assert await harness.found(profile_id.hex[:24]) is None, "this was never its primary id either"


async def test_the_id_before_a_promotion_is_an_alias(harness: InteractionsHarness) -> None:
    visitor = await harness.event(device=X)
    known = await harness.event(mail("ann@acme.example"), device=X)
    assert known.survivor.primary_id == visitor.profile.profile_id.hex[:24]
    for text in (X, known.survivor.primary_id):
        assert await harness.found(text) == visitor.profile.profile_id
    person = await harness.services.profiles.lookup.person(harness.dataset_ref, known.survivor)
    assert person.aliases == {X: known.seq}


async def test_ids_of_absorbed_profiles_lead_to_the_survivor(harness: InteractionsHarness) -> None:
    ann = await harness.event(mail("ann@acme.example"), device=X)
    await harness.event(device=Y)
    await harness.event(customer("c-7"), device=Z)
    joined = await harness.event(mail("ann@acme.example"), device=Y)
    both = await harness.event(mail("ann@acme.example"), customer("c-7"), device=Z)
    survivor = both.survivor
    first = {ann.survivor.primary_id, joined.survivor.primary_id}
    for text in (Y, *first, survivor.primary_id):
        assert await harness.found(text) == survivor.profile_id
    assert await harness.found(X) == survivor.profile_id, "not found through the browser"
    view = await harness.services.profiles.lookup.find(harness.dataset_ref, Y)
    assert view is not None
    assert view.profile.profile_id == survivor.profile_id
    absorbed = view.absorbed[0].profile_id
    by_profile_id = await harness.services.profiles.lookup.find(harness.dataset_ref, str(absorbed))
    assert by_profile_id is not None
    assert by_profile_id.profile.profile_id == absorbed
    assert by_profile_id.survivor.profile_id == survivor.profile_id
    person = await harness.services.profiles.lookup.person(harness.dataset_ref, survivor)
    assert Y in person.aliases


async def test_the_alias_stays_when_the_browser_moves_to_a_second_user(harness: InteractionsHarness) -> None:
    await harness.event(device=X)
    ann = await harness.event(customer("ann"), device=X)
    bob = await harness.event(customer("bob"), device=X)
    assert bob.survivor.profile_id != ann.survivor.profile_id
    assert await harness.found(X) == ann.survivor.profile_id
    for resolution, devices in ((ann, []), (bob, [X])):
        view = await harness.services.profiles.lookup.find(
            harness.dataset_ref, resolution.survivor.primary_id
        )
        assert view is not None
        assert [
            device.value
            for device in await harness.services.profiles.lookup.devices(harness.dataset_ref, view)
        ] == devices


async def test_the_current_visitor_ranks_first_with_merged_anonymous_fresh(services: Services) -> None:
    harness = await InteractionsHarness(services).begin(merged_anonymous="fresh")
    first = await harness.event(device=X)
    ann = await harness.event(customer("ann"), device=X)
    second = await harness.event(device=X)
    assert second.survivor.profile_id != ann.survivor.profile_id
    assert await harness.found(X) == second.survivor.profile_id
    bob = await harness.event(customer("bob"), device=X)
    assert bob.survivor.profile_id == second.profile.profile_id
    assert await harness.found(X) == bob.survivor.profile_id, "not the last profile with this id"
    third = await harness.event(device=X)
    await harness.event(customer("ann"), device=X)
    assert await harness.found(X) == ann.survivor.profile_id, "the third visitor was merged into Ann"
    assert third.profile.profile_id not in (first.profile.profile_id, second.profile.profile_id)
    person = await services.profiles.lookup.person(harness.dataset_ref, ann.survivor)
    assert list(person.aliases) == [X]


async def test_a_user_id_of_a_legacy_dataset_ranks_before_a_browser(services: Services) -> None:
    harness = await InteractionsHarness(services).begin(resolves_identities=False)
    anonymous = await harness.event(device=X)
    named = await harness.event(("legacy.id", "Ann 7/ä"), device=Y)
    namesake = await harness.event(("legacy.id", X), device=Z)
    assert await harness.found("Ann 7/ä") == named.survivor.profile_id
    assert await harness.found("ann 7/ä") is None, "user ids are case-sensitive"
    assert await harness.found(X) == namesake.survivor.profile_id, "a user id ranks before a browser"
    assert await harness.found(str(anonymous.profile.profile_id)) == anonymous.profile.profile_id


@pytest.mark.parametrize(
    "text", [LIKE_A_UUID, LIKE_A_UUID.upper(), X, "0123456789abcdef01234567", "visitor_7"]
)
async def test_an_anonymous_id_of_any_form_finds_the_person(harness: InteractionsHarness, text: str) -> None:
    visitor = await harness.event(device=text)
    forms = (text, f"anonymous_id:{text}", f" anonymous_id:{text} ")
    for form in forms:
        assert await harness.found(form) == visitor.profile.profile_id
    known = await harness.event(mail("ann@acme.example"), device=text)
    await harness.event(mail("ann@acme.example"), device=Y)
    for form in forms:
        assert await harness.found(form) == known.survivor.profile_id


async def test_a_profile_id_ranks_before_an_anonymous_id(harness: InteractionsHarness) -> None:
    ann = await harness.event(mail("ann@acme.example"), device=X)
    profile_id = str(ann.profile.profile_id)
    lookalike = await harness.event(device=profile_id)
    assert lookalike.survivor.profile_id != ann.survivor.profile_id
    assert await harness.found(profile_id) == ann.survivor.profile_id
    assert await harness.found(f"anonymous_id:{profile_id}") == lookalike.survivor.profile_id


async def test_an_identity_finds_the_person_that_holds_it(harness: InteractionsHarness) -> None:
    ann = await harness.event(mail("Ann@acme.example"), customer("https://acme.example/c/7:a"), device=X)
    for text in ("emailAddress:ANN@acme.example ", "customerId:https://acme.example/c/7:a"):
        view = await harness.services.profiles.lookup.find(harness.dataset_ref, text)
        assert view is not None
        assert view.profile.profile_id == ann.survivor.profile_id
    for text in ("ann@acme.example", "mail:ann@acme.example", "emailAddress:", ":", "emailAddress:null"):
        assert await harness.found(text) is None
    assert await harness.found("emailAddress:a\x00@acme.example") is None


async def test_an_identity_of_an_absorbed_profile_leads_to_the_survivor(harness: InteractionsHarness) -> None:
    await harness.event(mail("ann@acme.example"), device=X)
    await harness.event(customer("c-7"), device=Y)
    both = await harness.event(mail("ann@acme.example"), customer("c-7"), device=Z)
    assert (
        len((await harness.services.profiles.lookup.person(harness.dataset_ref, both.survivor)).aliases) == 1
    )
    for text in (
        "emailAddress:ann@acme.example",
        "customerId:c-7",
        *(f"anonymous_id:{d}" for d in (X, Y, Z)),
    ):
        view = await harness.services.profiles.lookup.find(harness.dataset_ref, text)
        assert view is not None
        assert view.profile.profile_id == view.survivor.profile_id == both.survivor.profile_id


async def test_a_replaced_identity_leads_to_its_last_holder_until_another_has_it(
    harness: InteractionsHarness,
) -> None:
    ann = await harness.event(customer("ann"), mail("old@acme.example"), device=X)
    await harness.event(customer("ann"), mail("new@acme.example"), device=X)
    assert await harness.found("emailAddress:old@acme.example") == ann.survivor.profile_id
    bob = await harness.event(customer("bob"), mail("old@acme.example"), device=Y)
    assert await harness.found("emailAddress:old@acme.example") == bob.survivor.profile_id


async def test_an_anonymous_id_with_namespace_finds_the_current_person(harness: InteractionsHarness) -> None:
    await harness.event(device=X)
    ann = await harness.event(customer("ann"), device=X)
    bob = await harness.event(customer("bob"), device=X)
    assert await harness.found(X) == ann.survivor.profile_id
    assert await harness.found(f"anonymous_id:{X}") == bob.survivor.profile_id


async def test_a_generated_id_is_unique(harness: InteractionsHarness) -> None:
    """A browser whose id is the primary id of a profile does not hide that profile."""
    visitor = await harness.services.profiles.profiles.create(
        harness.dataset_ref, ACTOR, {}, tracker=new_tracker()
    )
    primary_id = visitor.profile.primary_id
    assert primary_id == visitor.profile.profile_id.hex[:16]
    assert await harness.found(primary_id) == visitor.profile.profile_id
    lookalike = await harness.event(device=primary_id)
    assert lookalike.survivor.profile_id != visitor.profile.profile_id
    assert await harness.found(primary_id) == visitor.profile.profile_id


async def test_an_erased_user_is_not_found_by_any_id(harness: InteractionsHarness) -> None:
    await harness.event(device=X)
    ann = await harness.event(mail("ann@acme.example"), device=X)
    joined = await harness.event(device=Y)
    await harness.event(mail("ann@acme.example"), device=Y)
    ids = [X, Y, ann.survivor.primary_id, *map(str, (ann.survivor.profile_id, joined.profile.profile_id))]
    ids += ["emailAddress:ann@acme.example", f"anonymous_id:{X}"]
    assert all([await harness.found(text) for text in ids])
    await harness.erase(ann.survivor.profile_id)
    assert [await harness.found(text) for text in ids] == [None] * len(ids)
    assert (
        await harness.services.profiles.lookup.resolve(
            harness.dataset_ref, {"emailAddress": "ann@acme.example"}
        )
        is None
    )
    assert await harness.services.profiles.lookup.page(harness.dataset_ref, 10, 0) == []


async def test_the_id_of_an_erased_profile_finds_no_browser_and_no_user(services: Services) -> None:
    harness = await InteractionsHarness(services).begin(resolves_identities=False)
    created = await harness.services.profiles.profiles.create(
        harness.dataset_ref, ACTOR, {}, tracker=new_tracker()
    )
    erased = created.profile.profile_id
    ids = [str(erased), str(erased).upper(), erased.hex[:16], erased.hex[:24]]
    for text in ids:
        await harness.event(device=text)
        await harness.event(("legacy.id", text), device=Y)
    await harness.erase(erased)
    assert [await harness.found(text) for text in ids] == [None] * len(ids)
    persons = harness.services.privacy.persons
    assert [await persons.erase(harness.dataset_ref, ACTOR, text, "all") for text in ids] == [None] * len(ids)
    assert await harness.found(f"anonymous_id:{erased}") is not None, "the browser itself was erased"


async def test_ids_are_not_found_in_another_dataset(harness: InteractionsHarness, services: Services) -> None:
    other = await InteractionsHarness(services).begin()
    await harness.event(device=X)
    ann = await harness.event(mail("ann@acme.example"), device=X)
    ids = (X, ann.survivor.primary_id, str(ann.survivor.profile_id), "emailAddress:ann@acme.example")
    for text in ids:
        assert await other.found(text) is None
    assert (
        await services.profiles.lookup.resolve(other.dataset_ref, {"emailAddress": "ann@acme.example"})
        is None
    )


@pytest.mark.parametrize("text", ["", " ", "\x00", "a" * 201, "g" * 24, X, "0" * 24, UNKNOWN, "%"])
async def test_unknown_ids_find_no_profile(harness: InteractionsHarness, text: str) -> None:
    assert await harness.found(text) is None


@pytest.mark.parametrize(
    ("table", "name", "parameters"),
    [
        ("profile", "find_called", (X, None, None, "anonymous_id", "legacy.id")),
        ("claim", "find_last_holder", ("customerId", "c-7", 0)),
    ],
)
async def test_look_ups_never_scan_a_table(
    harness: InteractionsHarness, table: str, name: str, parameters: tuple[object, ...]
) -> None:
    person = (await harness.event(device=X)).profile.profile_id
    database, dataset_id = harness.services.database, harness.dataset_ref.dataset_id
    plan = await plan_of(database, dataset_id, person, getattr(Queries(table), name), *parameters)
    assert "Seq Scan" not in plan, plan


# -- export and erasure -------------------------------------------------------------------------------------


async def _joined(harness: InteractionsHarness) -> tuple[UUID, UUID]:
    """The survivor and the absorbed profile of Ann, who used two browsers."""
    await harness.event(device=LIKE_A_UUID)
    ann = await harness.event(mail("ann@acme.example"), device=LIKE_A_UUID)
    other = await harness.event(device=Y)
    await harness.event(mail("ann@acme.example"), device=Y)
    return ann.survivor.profile_id, other.profile.profile_id


IDS_OF_ANN = (LIKE_A_UUID, Y, "emailAddress:ann@acme.example", f"anonymous_id:{Y}")


@pytest.mark.parametrize("text", IDS_OF_ANN)
async def test_a_person_is_exported_and_erased_by_any_id(harness: InteractionsHarness, text: str) -> None:
    survivor, absorbed = await _joined(harness)
    export = await harness.services.privacy.persons.export(harness.dataset_ref, text, "all")
    assert export is not None
    assert (export.profile_id, export.document["profile"]["profile_id"]) == (survivor, survivor)
    receipt = await harness.services.privacy.persons.erase(harness.dataset_ref, ACTOR, text, "all")
    assert receipt is not None
    assert set(receipt.profile_ids) == {survivor, absorbed}
    assert await harness.services.privacy.persons.export(harness.dataset_ref, text, "all") is None
    assert await harness.services.privacy.persons.erase(harness.dataset_ref, ACTOR, text, "all") is None


async def test_an_absorbed_profile_id_erases_only_that_profile(
    harness: InteractionsHarness,
) -> None:
    survivor, absorbed = await _joined(harness)
    receipt = await harness.services.privacy.persons.erase(harness.dataset_ref, ACTOR, str(absorbed), "all")
    assert receipt is not None
    assert receipt.profile_ids == (absorbed,)
    receipt = await harness.services.privacy.persons.erase(
        harness.dataset_ref, ACTOR, survivor.hex[:24], "all"
    )
    assert receipt is not None
    assert receipt.profile_ids == (survivor,)


async def test_as_person_erases_the_survivor_of_an_absorbed_profile(harness: InteractionsHarness) -> None:
    survivor, absorbed = await _joined(harness)
    receipt = await harness.services.privacy.erasure.erase(
        harness.dataset_ref, ACTOR, ErasureTarget(profile_id=absorbed, as_person=True)
    )
    assert receipt is not None
    assert set(receipt.profile_ids) == {survivor, absorbed}
    assert await harness.found(str(survivor)) is None


# -- identities ---------------------------------------------------------------------------------------------


async def test_identities_resolve_to_the_profile_of_the_next_event(harness: InteractionsHarness) -> None:
    resolve = harness.services.profiles.lookup.resolve
    assert await resolve(harness.dataset_ref, {"emailAddress": "ann@acme.example"}) is None
    ann = await harness.event(mail("Ann@acme.example"), device=X)
    bob = await harness.event(customer("bob"), device=Y)
    found = await resolve(harness.dataset_ref, {"EMAILADDRESS": " ANN@acme.example "})
    assert found is not None
    assert (found.primary_id, found.profile_id) == (ann.survivor.primary_id, ann.survivor.profile_id)
    assert found.matched == (ann.survivor.primary_id,)
    both = await resolve(harness.dataset_ref, {"emailAddress": "ann@acme.example", "customerId": "bob"})
    assert both is not None
    assert both.matched == (bob.survivor.primary_id, ann.survivor.primary_id), (
        "the most recently active profile is not first"
    )
    event = await harness.event(mail("ann@acme.example"), customer("bob"), device=Z)
    assert both.primary_id == event.survivor.primary_id
    after = await resolve(harness.dataset_ref, {"customerId": "bob"})
    assert after is not None
    assert after.matched == (event.survivor.primary_id,)


async def test_case_matters_for_a_case_sensitive_type(harness: InteractionsHarness) -> None:
    await harness.event(("sfcrmLeadId", "00Q5e"), device=X)
    assert (
        await harness.services.profiles.lookup.resolve(harness.dataset_ref, {"sfcrmLeadId": "00Q5e"})
        is not None
    )
    assert (
        await harness.services.profiles.lookup.resolve(harness.dataset_ref, {"sfcrmLeadId": "00q5E"}) is None
    )


async def test_an_unknown_name_lists_the_known_ones(harness: InteractionsHarness) -> None:
    for identities in ({"mail": "x"}, {"loyaltyId": "x"}, {"profileId": "x"}):
        with pytest.raises(InvalidInput) as caught:
            await harness.services.profiles.lookup.resolve(harness.dataset_ref, identities)
        assert "customerId, emailAddress, sfcrmLeadId" in caught.value.description
    unknown = {f"name-{number}": "x" for number in range(101)}
    with pytest.raises(InvalidInput, match="1 to 100"):
        await harness.services.profiles.lookup.resolve(harness.dataset_ref, unknown)
    with pytest.raises(InvalidInput, match="1 to 100"):
        await harness.services.profiles.lookup.resolve(harness.dataset_ref, {})


async def test_blocked_and_released_values_resolve_to_nothing(harness: InteractionsHarness) -> None:
    resolve = harness.services.profiles.lookup.resolve
    ann = await harness.event(customer("c-1"), mail("old@acme.example"), device=X)
    await harness.event(customer("c-1"), mail("new@acme.example"), device=X)
    assert await resolve(harness.dataset_ref, {"emailAddress": "old@acme.example"}) is None
    assert await resolve(harness.dataset_ref, {"emailAddress": "null"}) is None
    found = await resolve(harness.dataset_ref, {"emailAddress": "new@acme.example"})
    assert found is not None
    assert found.profile_id == ann.survivor.profile_id


async def test_identities_do_not_resolve_in_a_legacy_dataset(services: Services) -> None:
    harness = await InteractionsHarness(services).begin(resolves_identities=False)
    with pytest.raises(InvalidInput, match="Identity resolution is off"):
        await services.profiles.lookup.resolve(harness.dataset_ref, {"emailAddress": "ann@acme.example"})


async def test_resolving_changes_nothing(harness: InteractionsHarness) -> None:
    await harness.event(mail("ann@acme.example"), device=X)

    async def state() -> list[object]:
        return [
            await harness.services.database.fetchval(
                f"SELECT md5(string_agg(t::text, '' ORDER BY t)) FROM {name} AS t"
            )
            for name in ("log", "profile", "claim")
        ]

    before = await state()
    await harness.services.profiles.lookup.resolve(
        harness.dataset_ref, {"emailAddress": "ann@acme.example", "customerId": "c"}
    )
    assert await state() == before
