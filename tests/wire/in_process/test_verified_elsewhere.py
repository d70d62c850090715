"""What users verify in `default` gives them what servers began elsewhere (docs/concepts/trust.md)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oneself.core.identity_graph.joins import View
from oneself.errors import Contended
from oneself.service.context import DEFAULT_DATASET
from oneself.service.identity_provider import verification_relay
from oneself.service.ingest.batch_decision import BatchDecision
from oneself.service.log.rebuild import rebuild
from oneself.service.log.verify import verify
from oneself.service.schema.datasets import DatasetRef
from support.application import ORG, SECRET, SYSTEM
from support.profiles_harness import ACTOR
from support.view_stage import Stage
from wire.in_process.test_other_datasets import WEB, erased, open_web, said, say

MAIL = "vera@acme.example"


async def open_web_with_phones(stage: Stage) -> None:
    """Create the dataset of events with both claims that users verify."""
    mobile = {"name": "phone", "identity_type": "mobileNumber", "attribute": "identity_attributes.mobile"}
    bound = {"name": "mail", "identity_type": "emailAddress", "attribute": "identity_attributes.emailaddress"}
    await open_web(stage)
    await stage.admin("PUT", f"/datasets/{WEB}/identity-attributes", json=[bound, mobile])


async def relay(stage: Stage) -> int:
    """Record everything that is queued; the log must fold to the state before, between and after."""
    steps = 0
    await folds(stage)
    while await stage.services.identity_provider.verification_relay.step():
        steps += 1
        await folds(stage)
    return steps


async def folds(stage: Stage) -> None:
    """The log of every dataset folds to its state."""
    report = await verify(stage.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def web(stage: Stage) -> DatasetRef:
    return await stage.services.schema.datasets.get(stage.cds.dataset_ref, WEB)


async def owners(stage: Stage) -> dict[str, str | None]:
    """The name of each event in the dataset of events → the user who owns it."""
    rows = await stage.services.database.fetch(
        """
        SELECT log.name, fragment.owner_id
        FROM log
        JOIN fragment USING (dataset_id, fragment_id)
        WHERE log.kind = 'event' AND log.dataset_id = $1
        """,
        (await web(stage)).dataset_id,
    )
    return {row["name"]: stage.users.get(row["owner_id"], row["owner_id"]) for row in rows}


async def shown(stage: Stage, identity: str, view: str = "proven") -> dict[str, Any]:
    """The profile that an identity names in the dataset of events."""
    answer = await stage.admin("GET", f"/datasets/{WEB}/profiles/{identity}", params={"view": view})
    return dict(answer.json())


async def stored(stage: Stage, text: str) -> list[str]:
    """The tables that have a text in rows of other datasets than `default`, or for them."""
    tables = await stage.services.database.fetch(
        """
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = 'oneself' AND column_name = 'dataset_id' AND table_name <> 'dataset'
        """
    )
    found = []
    for (name,) in tables:
        query = f"SELECT EXISTS (SELECT FROM {name} AS item WHERE dataset_id <> $1 AND item::text ILIKE $2)"
        home = stage.cds.dataset_ref.dataset_id
        if await stage.services.database.fetchval(query, home, f"%{text}%"):
            found.append(name)
    return sorted(found)


@pytest.mark.parametrize("order", ["said first", "verified first", "said between"])
async def test_the_user_is_shown_for_what_servers_began_with_their_address(stage: Stage, order: str) -> None:
    await open_web(stage)
    await relay(stage)
    await stage.play("registers vera")

    async def hear() -> None:
        await say(stage, "hers", mail="Vera@acme.example")
        await say(stage, "of both", mail=MAIL, card="L-1")
        await say(stage, "of the card", card="L-1")
        await say(stage, "of others", mail="ben@acme.example")

    if order == "said first":
        await hear()
    await stage.play("verifies vera")
    if order == "said between":
        await hear()
    assert await relay(stage) == 1
    if order == "verified first":
        await hear()
    assert await owners(stage) == {"hers": "vera", "of both": "vera", "of the card": None, "of others": None}
    seen = await shown(stage, f"emailAddress:{MAIL}")
    assert seen["user_id"] == stage.user_id("vera")
    own = await shown(stage, f"emailAddress:{MAIL}", "own")
    assert (await shown(stage, "card:L-1"))["profile_id"] == seen["profile_id"]
    assert (own["user_id"], own["profile_id"]) == (seen["user_id"], seen["profile_id"])
    assert "user_id" not in await shown(stage, "emailAddress:ben@acme.example")
    await folds(stage)


async def test_two_records_without_a_common_name_are_one_person(stage: Stage) -> None:
    await open_web_with_phones(stage)
    await say(stage, "by mail", mail=MAIL)
    await say(stage, "by phone", phone="7")
    await stage.play("report vera mail!=vera@ phone!=7")
    await relay(stage)
    assert await owners(stage) == {"by mail": "vera", "by phone": "vera"}
    by_mail, by_phone = await shown(stage, f"emailAddress:{MAIL}"), await shown(stage, "mobileNumber:7")
    assert by_mail["profile_id"] == by_phone["profile_id"]


async def test_a_profile_that_the_users_records_absorb_is_absorbed_since_then(stage: Stage) -> None:
    """Not since the last word of the profile, which a rebuild would find later."""
    await open_web(stage)
    await say(stage, "one", mail=MAIL, card="L-1")
    await say(stage, "two", mail=MAIL)
    await stage.play("report vera mail!=vera@")
    await relay(stage)
    await say(stage, "three", mail="VERA@acme.example")
    assert set((await owners(stage)).values()) == {"vera"}
    await folds(stage)


async def test_a_record_makes_no_profile_of_the_user(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("registers vera\nverifies vera")
    assert await relay(stage) == 2
    kinds = "SELECT kind FROM log WHERE dataset_id = $1 AND kind <> 'configure'"
    at = (await web(stage)).dataset_id
    assert [row["kind"] for row in await stage.services.database.fetch(kinds, at)] == ["verification"]
    for table in ("profile", "fragment", "view_profile"):
        query = f"SELECT count(*) FROM {table} WHERE dataset_id = $1"
        assert await stage.services.database.fetchval(query, at) == 0
    # An unused dataset can be deleted.
    await stage.admin("DELETE", f"/datasets/{WEB}")
    assert await stored(stage, MAIL) == []


async def test_the_spelling_of_the_attribute_makes_no_difference(stage: Stage) -> None:
    await open_web(stage, "identity_attributes.emailAddress")
    await stage.play("registers vera\nverifies vera")
    await say(stage, "before", mail=MAIL)
    await relay(stage)
    await say(stage, "after", mail=MAIL, card="L-1")
    assert await owners(stage) == {"before": "vera", "after": "vera"}


async def test_an_address_that_changes_hands_is_of_the_next_from_then_on(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("report ann mail!=shared@")
    await relay(stage)
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("claims ann mail!=ann@")
    await relay(stage)
    await say(stage, "to nobody yet", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": "ann", "to nobody yet": None}
    await stage.play("report ben mail!=shared@")
    await relay(stage)
    await say(stage, "to ben", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": "ann", "to nobody yet": "ben", "to ben": "ben"}
    await stage.play("report cid mail!=shared@")
    await relay(stage)
    await say(stage, "to cid", mail="shared@acme.example")
    assert await owners(stage) == {
        "to ann": "ann", "to nobody yet": "ben", "to ben": "ben", "to cid": "cid",
    }  # fmt: skip
    await folds(stage)


async def test_an_address_bound_after_its_verification_changes_hands_too(stage: Stage) -> None:
    await stage.admin("POST", "/datasets", json={"name": WEB})
    await stage.play("report ann mail!=shared@")
    await relay(stage)
    bound = {"name": "mail", "identity_type": "emailAddress", "attribute": "identity_attributes.emailaddress"}
    await stage.admin("PUT", f"/datasets/{WEB}/identity-attributes", json=[bound])
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("report ben mail!=shared@")
    await relay(stage)
    await say(stage, "to ben", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": "ann", "to ben": "ben"}
    await folds(stage)


async def test_everything_that_is_queued_at_once_gives_the_same_order(stage: Stage) -> None:
    """Nothing was recorded until the address changed hands; what was said before that is the first one's."""
    await open_web(stage)
    await relay(stage)
    await stage.play("report ann mail!=shared@")
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("claims ann mail!=ann@\nreport ben mail!=shared@")
    await relay(stage)
    await say(stage, "to ben", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": "ann", "to ben": "ben"}


async def test_a_crash_before_or_while_it_is_recorded_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_web(stage)
    await relay(stage)
    await say(stage, "hers", mail=MAIL)
    await stage.play("registers vera\nverifies vera")
    save = verification_relay.identity_graph.save

    async def crash(*arguments: Any) -> None:
        await save(*arguments)
        raise Contended("the process ended")

    monkeypatch.setattr(verification_relay.identity_graph, "save", crash)
    assert not await stage.services.identity_provider.verification_relay.step()
    monkeypatch.undo()
    assert await stage.services.database.fetchval("SELECT count(*) FROM verification_queue") == 1
    assert await owners(stage) == {"hers": None}
    # Another process goes on.
    other = verification_relay.VerificationRelay(stage.services.database)
    assert await other.step()
    assert not await other.step()
    assert await owners(stage) == {"hers": "vera"}
    await folds(stage)


async def test_a_batch_that_is_rolled_back_queues_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await open_web(stage)
    await relay(stage)
    await stage.play("registers vera")
    attempts = 0
    save = BatchDecision.save

    async def lose(decision: BatchDecision, transaction: Any) -> None:
        nonlocal attempts
        attempts += 1
        await save(decision, transaction)
        if attempts == 1:
            raise Contended("another request was faster")

    monkeypatch.setattr(BatchDecision, "save", lose)
    await stage.play("verifies vera")
    assert attempts == 2
    assert await stage.services.database.fetchval("SELECT count(*) FROM verification_queue") == 1


@pytest.mark.parametrize("state", ["recorded", "queued"])
@pytest.mark.parametrize("by", ["person", "account", "server"])
async def test_an_erasure_takes_the_record_with_the_person(stage: Stage, by: str, state: str) -> None:
    await open_web(stage)
    await relay(stage)
    await stage.play("registers vera\nverifies vera\nreport ben mail!=ben@")
    await say(stage, "hers", mail=MAIL)
    await say(stage, "of both", mail=MAIL, card="L-1")
    await say(stage, "of the card", card="L-1")
    await say(stage, "of ben", mail="ben@acme.example")
    if state == "recorded":
        await relay(stage)
    await erased(stage, "vera", by)
    assert await said(stage) == {"of the card", "of ben"}
    assert await stored(stage, MAIL) == await stored(stage, stage.user_id("vera")) == []
    await relay(stage)
    assert await stored(stage, MAIL) == []
    await say(stage, "later", mail=MAIL)
    assert await owners(stage) == {"of the card": None, "of ben": "ben", "later": None}
    await folds(stage)


@pytest.mark.parametrize("by", ["person", "account"])
async def test_an_erasure_takes_the_record_of_whom_nobody_spoke(stage: Stage, by: str) -> None:
    await open_web(stage)
    await stage.play("registers vera\nverifies vera")
    await relay(stage)
    await erased(stage, "vera", by)
    assert await stored(stage, MAIL) == []
    assert await relay(stage) == 0


async def test_who_lost_an_address_to_the_erased_has_it_again(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("report ann mail!=shared@\nreport ben mail!=shared@")
    await relay(stage)
    await say(stage, "to ben", mail="shared@acme.example")
    await erased(stage, "ben", "server")
    await relay(stage)
    await say(stage, "to ann", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": "ann"}
    await folds(stage)


@pytest.mark.parametrize("state", ["recorded", "queued"])
async def test_what_a_loser_gave_up_meanwhile_stays_given_up(stage: Stage, state: str) -> None:
    """`default` folds the reports again without the erased; the other datasets never heard this one."""
    await open_web(stage)
    await relay(stage)
    await stage.play("report ann mail!=shared@\nreport ben mail!=shared@\nclaims ann mail=shared@")
    if state == "recorded":
        await relay(stage)
    await erased(stage, "ben", "server")
    await relay(stage)
    await say(stage, "to nobody", mail="shared@acme.example")
    assert await owners(stage) == {"to nobody": None}
    assert await stage.services.database.fetchval("SELECT count(*) FROM verified_claim") == 0


async def test_an_erasure_takes_only_the_words_of_its_own_period(stage: Stage) -> None:
    """What was said between the verification by the next and its record is the next one's."""
    await open_web(stage)
    await stage.play("report ann mail!=shared@")
    await relay(stage)
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("claims ann mail!=ann@\nreport ben mail!=shared@")
    await say(stage, "to ben", mail="shared@acme.example")
    await relay(stage)
    await erased(stage, "ann", "server")
    assert await said(stage) == {"to ben"}
    await folds(stage)
    assert await owners(stage) == {"to ben": "ben"}


@pytest.mark.parametrize("state", ["recorded", "queued"])
async def test_an_application_that_erases_the_profile_takes_the_record(stage: Stage, state: str) -> None:
    """The address leaves `default`, so that nothing proves whose it was; the words of servers stay."""
    await open_web(stage)
    await relay(stage)
    await stage.play("registers vera\nverifies vera\nname V Me vera")
    await say(stage, "hers", mail=MAIL)
    if state == "recorded":
        await relay(stage)
    await stage.play("delete V own")
    await relay(stage)
    assert await owners(stage) == {"hers": None}
    assert await stored(stage, stage.user_id("vera")) == []
    assert "verified_claim" not in await stored(stage, MAIL)


@pytest.mark.parametrize("view", ["own", "proven", "all"])
async def test_an_erasure_in_the_dataset_leaves_the_record(stage: Stage, view: View) -> None:
    """It is of the account, and what servers say later is the user's again."""
    await open_web(stage)
    await stage.play("registers vera\nverifies vera")
    await relay(stage)
    await say(stage, "hers", mail=MAIL)
    await say(stage, "of both", mail=MAIL, card="L-1")
    await say(stage, "of the card", card="L-1")
    seen = await shown(stage, f"emailAddress:{MAIL}", view)
    persons, at = stage.services.privacy.persons, await web(stage)
    assert await persons.erase(at, ACTOR, seen["profile_id"], view) is not None
    await folds(stage)
    assert "hers" not in await said(stage)
    await say(stage, "later", mail=MAIL)
    assert (await owners(stage))["later"] == "vera"
    await folds(stage)


async def test_verifications_race_with_what_servers_say(stage: Stage) -> None:
    await open_web(stage)
    people = [f"p{number}" for number in range(12)]

    async def hear(name: str) -> None:
        await say(stage, f"first of {name}", mail=f"{name}@acme.example")
        await say(stage, f"second of {name}", mail=f"{name.upper()}@acme.example", card=f"L-{name}")

    async def verify_all() -> None:
        for name in people:
            await stage.play(f"report {name} mail!={name}@")

    async def record() -> None:
        for _ in range(40):
            await stage.services.identity_provider.verification_relay.step()

    await asyncio.gather(verify_all(), record(), record(), *(hear(name) for name in people))
    await relay(stage)
    owned = await owners(stage)
    assert owned == {f"{number} of {name}": name for name in people for number in ("first", "second")}


async def test_a_record_that_is_being_copied_is_forgotten_too(stage: Stage) -> None:
    await stage.play("registers vera\nverifies vera\nname V Me vera")
    await open_web(stage)
    await stage.play("delete V own")
    at = stage.cds.dataset_ref.dataset_id
    changes = "SELECT change FROM verification_queue WHERE dataset_id <> $1 ORDER BY position"
    assert [row["change"] for row in await stage.services.database.fetch(changes, at)] == ["all", "forgotten"]
    await relay(stage)
    assert await stored(stage, MAIL) == []


async def test_a_new_dataset_gets_what_is_verified_already(stage: Stage) -> None:
    await stage.play("report ann mail!=shared@\nclaims ann mail!=ann@\nreport ben mail!=shared@")
    await stage.play("report cid mail!=cid@ phone!=7\nreport dan mail=dan@")
    await open_web(stage)
    for name, mail in (("ann", "ann@"), ("ben", "shared@"), ("cid", "cid@"), ("dan", "dan@")):
        await say(stage, f"to {name}", mail=f"{mail}acme.example")
    # Four claims, two at a time, and the end.
    relay_by_two = verification_relay.VerificationRelay(stage.services.database, changes_max=2)
    assert [await relay_by_two.step() for _ in range(4)] == [True, True, True, False]
    expected = {"to ann": "ann", "to ben": "ben", "to cid": "cid", "to dan": None}
    assert await owners(stage) == expected


async def test_what_was_said_before_the_upgrade_stays_with_the_former_holder(stage: Stage) -> None:
    """An earlier version recorded nothing: everything is copied as it is now."""
    await open_web(stage)
    await relay(stage)
    await stage.play("report ann mail!=shared@")
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("claims ann mail!=ann@\nreport ben mail!=shared@")
    await say(stage, "to ben with a card", mail="shared@acme.example", card="L-1")
    queue = "UPDATE verification_queue SET change = 'all', user_id = '', path = '{}'"
    await stage.services.database.execute(queue)
    await relay(stage)
    await say(stage, "to ben", mail="shared@acme.example")
    assert await owners(stage) == {"to ann": None, "to ben with a card": "ben", "to ben": "ben"}
    await erased(stage, "ann", "server")
    assert await said(stage) == {"to ben with a card", "to ben"}


async def test_what_is_recorded_twice_changes_nothing(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("report ann mail!=ann@")
    await relay(stage)
    await say(stage, "hers", mail="ann@acme.example")
    entries = "SELECT count(*) FROM log WHERE kind = 'verification'"
    before = await stage.services.database.fetchval(entries)
    at = (await web(stage)).dataset_id
    await stage.services.database.execute(
        "INSERT INTO verification_queue (dataset_id, change) VALUES ($1, 'all')", at
    )
    await relay(stage)
    assert await stage.services.database.fetchval(entries) == before == 1


async def test_nothing_that_a_stranger_says_is_queued(stage: Stage) -> None:
    await open_web(stage)
    await relay(stage)
    await stage.play("page T1 mail=vera@\nregisters mal T1\npost P1 T2 mail=vera@\nserver T1 mail=vera@")
    await stage.play("report eve mail=vera@\nclaims eve mail=vera@")
    event = {"interaction": {"name": "hers"}, "user": {"attributes": {"mail": MAIL}}}
    await stage.cds.http.post(f"/t/{ORG}/api2/event/{WEB}", json=event)
    assert await stage.services.database.fetchval("SELECT count(*) FROM verification_queue") == 0
    assert not await stage.services.identity_provider.verification_relay.step()


async def test_another_organisation_hears_nothing(stage: Stage) -> None:
    other = await stage.services.setup.provisioning.create("other", client_id=SYSTEM, client_secret=SECRET)
    await stage.services.schema.datasets.create(other.dataset_ref, WEB, {})
    await open_web(stage)
    await stage.play("registers vera\nverifies vera")
    await relay(stage)
    rows = await stage.services.database.fetch("SELECT dataset_id FROM log WHERE kind = 'verification'")
    assert [row["dataset_id"] for row in rows] == [(await web(stage)).dataset_id]


async def test_a_rebuild_restores_the_owners(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("registers vera\nverifies vera")
    await relay(stage)
    await say(stage, "hers", mail=MAIL)
    await say(stage, "of both", mail=MAIL, card="L-1")
    unchanged = await rebuild(stage.services.database, lambda done, total: None)
    assert not any(unchanged.corrected.values())
    await stage.services.database.execute("DELETE FROM verified_claim")
    await stage.services.database.execute("UPDATE fragment SET owner_id = NULL WHERE origin = 'server'")
    corrected = (await rebuild(stage.services.database, lambda done, total: None)).corrected
    assert corrected["verified_claim"]
    assert corrected["fragment"]
    assert await owners(stage) == {"hers": "vera", "of both": "vera"}


async def test_one_process_at_a_time_records_for_a_dataset(stage: Stage) -> None:
    await open_web(stage)
    at = await web(stage)
    async with verification_relay.begin(stage.services.database, at.dataset_id) as transaction:
        assert await transaction.verification_queue.try_lock()
        assert not await stage.services.identity_provider.verification_relay.step()
    assert await stage.services.identity_provider.verification_relay.step()
    assert at.dataset != DEFAULT_DATASET
