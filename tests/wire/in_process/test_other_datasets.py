"""What a person owns in other datasets than the one where they verify addresses (docs/concepts/trust.md)."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.service.log.verify import verify
from support.application import ORG, SECRET, SYSTEM
from support.view_stage import Stage

WEB = "web"


async def open_web(stage: Stage, attribute: str = "identity_attributes.emailaddress") -> None:
    """Create a dataset of events, in which an address is bound to the provider claim."""
    await stage.admin("POST", "/datasets", json={"name": WEB})
    bound = {"name": "mail", "identity_type": "emailAddress", "attribute": attribute}
    cards = {"name": "card", "identity_type": "card", "attribute": "traits.card"}
    await stage.admin("PUT", f"/datasets/{WEB}/identity-attributes", json=[bound, cards])


async def say(stage: Stage, name: str, **attributes: str) -> None:
    """A server says something of a person in the dataset of events."""
    event = {
        "interaction": {"name": name},
        "user": {"attributes": attributes},
        "source": {"channel": "Server"},
    }
    answer = await stage.cds.http.post(f"/t/{ORG}/api2/authevent/{WEB}", json=event, auth=(SYSTEM, SECRET))
    assert answer.status_code == 200, answer.text


async def said(stage: Stage) -> set[str]:
    """The names of the events that are left."""
    rows = await stage.services.database.fetch(
        "SELECT content::jsonb ->> 'name' AS name FROM log WHERE kind = 'event'"
    )
    return {row["name"] for row in rows}


async def erased(stage: Stage, user: str, by: str) -> None:
    """Erase a person: by their own request, with their account, or at the identity server."""
    act = {"person": "erases", "account": "closes", "server": "deletes"}[by]
    await stage.play(f"{act} {user}")
    report = await verify(stage.services.database, lambda done, total: None)
    assert report.difference is None, report.difference


async def previewed(stage: Stage, user: str) -> dict[str, Any]:
    """What the person's own request to erase everything would take."""
    me = (await stage.read(f"Me {user}")).json()
    answer = await stage.cds(
        "DELETE", f"/profiles/{me['profile_id']}", params={"dry_run": "true"}, token=stage.token(user)
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("by", ["person", "account"])
async def test_the_spelling_of_the_attribute_makes_no_difference(stage: Stage, by: str) -> None:
    """`oneself dataset attributes web --bind emailAddress` binds this attribute."""
    await open_web(stage, "identity_attributes.emailAddress")
    await stage.play("registers vera\nverifies vera")
    before = await previewed(stage, "vera")
    await say(stage, "hers", mail="Vera@acme.example")
    assert (await previewed(stage, "vera"))["entries"] == before["entries"] + 1
    await erased(stage, "vera", by)
    assert "hers" not in await said(stage)


@pytest.mark.parametrize("by", ["person", "account", "server"])
@pytest.mark.parametrize("order", ["said first", "verified first"])
async def test_a_person_erases_what_servers_began_with_their_address(
    stage: Stage, order: str, by: str
) -> None:
    await open_web(stage)
    await stage.play("registers vera")
    if order == "verified first":
        await stage.play("verifies vera")
    await say(stage, "hers", mail="Vera@acme.example")
    await say(stage, "of both", mail="vera@acme.example", card="L-1")
    await say(stage, "of the card", card="L-1")
    await say(stage, "of others", mail="ben@acme.example")
    if order == "said first":
        await stage.play("verifies vera")
    await erased(stage, "vera", by)
    assert await said(stage) == {"of the card", "of others"}


async def test_the_dry_run_shows_what_it_would_take_in_every_dataset(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("registers vera")
    await stage.play("verifies vera")
    before = await previewed(stage, "vera")
    await say(stage, "hers", mail="vera@acme.example")
    after = await previewed(stage, "vera")
    assert (after["entries"], after["users"]) == (before["entries"] + 1, [stage.user_id("vera")])
    assert set(before["profile_ids"]) < set(after["profile_ids"])
    assert await said(stage) == {"hers"}


async def test_an_address_that_nobody_verified_erases_nothing(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("registers mal")
    await say(stage, "of the address", mail="mal@acme.example")
    assert (await previewed(stage, "mal"))["entries"] == 1
    await erased(stage, "mal", "person")
    assert await said(stage) == {"of the address"}


async def test_an_address_that_changes_hands_takes_each_its_own_words(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("report ann mail!=shared@")
    await say(stage, "to ann", mail="shared@acme.example")
    await stage.play("claims ann mail!=ann@")
    await say(stage, "to nobody", mail="shared@acme.example")
    await stage.play("report ben mail!=shared@")
    await say(stage, "to ben", mail="shared@acme.example")
    await erased(stage, "ann", "server")
    assert await said(stage) == {"to nobody", "to ben"}
    await erased(stage, "ben", "server")
    assert await said(stage) == set()


async def test_a_record_of_which_an_earlier_holder_has_a_part_stays(stage: Stage) -> None:
    """A server says the same card of the address before and after it changes hands: one record."""
    await open_web(stage)
    await stage.play("report cid mail!=shared@")
    await say(stage, "to cid", mail="shared@acme.example", card="L-1")
    await stage.play("report ann mail!=shared@")
    await say(stage, "to ann", mail="shared@acme.example", card="L-1")
    await erased(stage, "ann", "server")
    assert await said(stage) == {"to cid"}
    await erased(stage, "cid", "server")
    assert await said(stage) == set()


async def test_of_two_addresses_the_older_verification_owns_what_names_both(stage: Stage) -> None:
    await open_web(stage)
    mobile = {"name": "phone", "identity_type": "mobileNumber", "attribute": "identity_attributes.mobile"}
    bound = {"name": "mail", "identity_type": "emailAddress", "attribute": "identity_attributes.emailaddress"}
    await stage.admin("PUT", f"/datasets/{WEB}/identity-attributes", json=[bound, mobile])
    await stage.play("report vera mail!=vera@")
    await stage.play("report mal phone!=7")
    await say(stage, "at the till", mail="vera@acme.example", phone="7")
    await erased(stage, "mal", "server")
    assert await said(stage) == {"at the till"}
    await erased(stage, "vera", "server")
    assert await said(stage) == set()


async def test_what_is_dated_before_the_erasure_stays_out(stage: Stage) -> None:
    await open_web(stage)
    await stage.play("registers vera")
    await stage.play("verifies vera")
    await say(stage, "hers", mail="vera@acme.example")
    await erased(stage, "vera", "account")
    event = {
        "interaction": {"name": "again"},
        "user": {"attributes": {"mail": "vera@acme.example", "card": "L-2"}},
        "source": {"channel": "Server", "time": 1_700_000_000_000},
    }
    await stage.cds.http.post(f"/t/{ORG}/api2/authevent/{WEB}", json=event, auth=(SYSTEM, SECRET))
    assert await said(stage) == set()
