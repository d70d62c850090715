"""Flags, §9.5: time, what is not interactive, what is not tracked, consent (docs/wire/interactions.md §5)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import MINUTE_MS, Dataset, new_device, now_ms, refused_event, warnings_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


def _choice(purpose: str, status: str, provider: str = "site") -> dict[str, str]:
    return {"purpose": purpose, "provider": provider, "status": status}


# -- time ---------------------------------------------------------------------------------------------------


def test_a_time_in_the_future_counts_as_now(web: Dataset) -> None:
    before, device = now_ms(), new_device()
    user = {"anonymousId": device}
    assert "time_in_future" in web.warnings(user, source={"time": before + 3_600_000})
    after = now_ms()
    assert before - 1 <= web.record(device)["lastActivity"] <= after + 1
    assert "time_in_future" not in web.warnings(user, source={"time": before - 5})


@pytest.mark.parametrize("unit", [1_000, 1_000_000], ids=["microseconds", "nanoseconds"])
@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_a_time_in_a_finer_unit_is_far_in_the_future(web: Dataset, endpoint: str, unit: int) -> None:
    before, device = now_ms(), new_device()
    event = {"user": {"anonymousId": device}, "source": {"time": before * unit}, "explain": True}
    answer = web.send(event, endpoint=endpoint)
    assert answer["resolvedUserId"] == device
    assert before - 1 <= web.record(device)["lastActivity"] <= now_ms() + 1
    if endpoint == "authevent":
        assert "time_in_future" in warnings_of(answer)


def test_an_event_without_a_time_happened_when_it_was_received(web: Dataset) -> None:
    pages = [web.page() for _ in range(3)]
    for page in pages:
        page.send()
        page.send(id=fresh("w"))
    listed = web.org.admin("GET", f"/datasets/{web.name}/events").json()["events"]
    for kept in (listed[:6], *(web.events(page.device) for page in pages)):
        assert kept
        for each in kept:
            assert each["occurred_at"] <= each["received_at"], each


def test_a_future_time_does_not_make_a_user_most_recently_active(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    web.named(at=now + 9_000_000, webId=web_id)
    newer = web.named(emailAddress=email)
    assert web.named(webId=web_id, emailAddress=email) == newer


def test_a_late_event_is_recorded_at_its_time(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    page.send(at=now - MINUTE_MS, event={"interaction": {"name": "late"}})
    page.send(at=now - 90 * MINUTE_MS, event={"interaction": {"name": "later"}})
    times = {each["name"]: each["occurred_at"] for each in web.events(page.device)}
    assert times["later"] < times["late"]
    assert web.record(page.device)["lastActivity"] == now - MINUTE_MS


def test_the_first_activity_is_the_earliest(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    page.send(at=now - MINUTE_MS)
    page.send(at=now - 90 * MINUTE_MS)
    assert web.record(page.device)["firstActivity"] == now - 90 * MINUTE_MS
    known = web.named(at=now - 200 * MINUTE_MS, webId=(web_id := fresh("w")))
    assert page.send(id=web_id) == known
    assert web.record(known)["firstActivity"] == now - 200 * MINUTE_MS


def test_a_late_value_does_not_replace_a_newer_plain_one(default: Dataset) -> None:
    page, now = default.page(), now_ms()
    page.send(at=now - MINUTE_MS, attributes={"favColour": "new"})
    page.send(at=now - 90 * MINUTE_MS, attributes={"favColour": "old", "visits": 1})
    assert default.values(page.device) == {"favColour": "new", "visits": 1}


def test_visits_end_after_their_time(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    for minutes in (200, 180, 100, 90, 10):
        page.send(at=now - minutes * MINUTE_MS)
    visits = web.record(page.device)["visitHistory"]
    spans = sorted(
        ((now - each["start"]) // MINUTE_MS, (now - each["lastEventTime"]) // MINUTE_MS) for each in visits
    )
    assert spans == [(10, 10), (100, 90), (200, 180)]


# -- not interactive, not tracked ---------------------------------------------------------------------------


def test_a_non_interactive_event_resolves_and_leaves_last_activity(web: Dataset) -> None:
    page, now, email = web.page(), now_ms(), _email()
    user = page.send(at=now - 50 * MINUTE_MS, id=fresh("w"))
    flags = {"flags": {"nonInteractive": True}}
    assert page.send(at=now, event=flags, identities={"emailAddress": email}) == user
    assert web.resolve(emailAddress=email) == user
    assert web.record(user)["lastActivity"] == now - 50 * MINUTE_MS
    assert len(web.events(user)) == 2


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_do_not_track_reads_and_writes_nothing(web: Dataset, endpoint: str) -> None:
    device, web_id = new_device(), fresh("w")
    event = {"user": {"anonymousId": device, "id": web_id}, "flags": {"doNotTrack": True}}
    answer = web.send(event, endpoint=endpoint)
    assert answer["errorCode"] == 0
    assert "resolvedUserId" not in answer
    assert "persistedUserId" not in answer
    assert answer["campaignResponses"] == []
    assert web.resolve(webId=web_id) is None
    assert web.user(device) is None


def test_do_not_track_looks_at_nothing_else(web: Dataset) -> None:
    flags = {"flags": {"doNotTrack": True}}
    known = web.page()
    known.send(id=fresh("w"))
    answer = web.send({"user": {"anonymousId": "bad id", "encryptedId": "x"}, **flags})
    assert answer["errorCode"] == 0
    assert "anonymousId" not in answer
    assert "resolvedUserId" not in web.send({"user": {"encryptedId": known.token}, **flags})


def test_no_campaigns_is_about_campaigns_only(web: Dataset) -> None:
    web_id = fresh("w")
    answer = web.send({"user": {"id": web_id}, "flags": {"noCampaigns": True}})
    assert answer["resolvedUserId"] == web.resolve(webId=web_id)


# -- consent ------------------------------------------------------------------------------------------------


def test_personalization_opt_out_in_the_event_matches_and_claims_nothing(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    known = web.named(webId=web_id)
    page.send()
    out = {"consents": [_choice("Personalization", "Opt Out")]}
    assert page.send(id=web_id, event=out) == page.device
    assert "persistedUserId" not in page.answer
    assert len(web.events(known)) == 1
    fresh_email = _email()
    assert page.send(identities={"emailAddress": fresh_email}, event=out) == page.device
    assert web.resolve(emailAddress=fresh_email) is None


def test_new_identities_of_a_browser_that_opted_out_are_not_stored(web: Dataset) -> None:
    """The choice is stored for the anonymous profile, which is the user the event would go to."""
    page, email = web.page(), _email()
    page.send(event={"consents": [_choice("Personalization", "Opt Out")]})
    assert page.send(identities={"emailAddress": email}) == page.device
    assert web.resolve(emailAddress=email) is None


def test_personalization_opt_in_ends_it(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    known = web.named(webId=web_id)
    page.send(id=web_id, event={"consents": [_choice("Personalization", "Opt Out")]})
    assert page.send(id=web_id, event={"consents": [_choice("Personalization", "Opt In")]}) == known
    assert web.survivor(page.device) == known
    assert page.send(identities={"loyaltyId": fresh("L")}) == known


def test_an_opt_out_of_a_known_user_stays_where_the_browser_is(web: Dataset) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"))
    other = web.named(emailAddress=email)
    out = {"consents": [_choice("Personalization", "Opt Out")]}
    assert page.send(identities={"emailAddress": email}, event=out) == user
    assert web.survivor(other) == other
    assert web.resolve(emailAddress=email) == other
    assert page.send(identities={"emailAddress": email}) == user
    assert web.survivor(other) == other


def test_an_opt_out_stored_for_the_user_it_would_go_to(web: Dataset) -> None:
    """The user said no on another device: this browser stays where it is."""
    first, second, web_id = web.page(), web.page(), fresh("w")
    user = first.send(id=web_id)
    first.send(event={"consents": [_choice("Personalization", "Opt Out")]})
    second.send()
    assert second.send(id=web_id) == second.device
    assert web.survivor(second.device) == second.device
    assert web.survivor(user) == user


def test_tracking_opt_out_stores_the_consent_only(web: Dataset) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"))
    events = len(web.events(user))
    page.send(identities={"emailAddress": email}, event={"consents": [_choice("Tracking", "Opt Out")]})
    assert page.answer["errorCode"] == 0
    page.send(identities={"emailAddress": email})
    assert web.resolve(emailAddress=email) is None
    assert [each["name"] for each in web.events(user)].count("View") == events
    page.send(identities={"emailAddress": email}, event={"consents": [_choice("Tracking", "Opt In")]})
    assert web.resolve(emailAddress=email) == user


def test_tracking_opt_out_of_a_stranger(default: Dataset) -> None:
    page = default.page()
    page.send(attributes={"favColour": "red"}, event={"consents": [_choice("Tracking", "Opt Out")]})
    page.send(attributes={"favColour": "blue"})
    found = default.user(page.device)
    assert found is None or found["attributes"] == {}
    page.send(attributes={"favColour": "green"}, event={"consents": [_choice("Tracking", "Opt In")]})
    assert default.values(page.device) == {"favColour": "green"}


def test_other_purposes_change_nothing(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    user = page.send(id=web_id, event={"consents": [_choice("Marketing", "Opt Out")]})
    assert web.resolve(webId=web_id) == user


def test_a_metadata_update_is_an_event_like_others(web: Dataset) -> None:
    page = web.page()
    user = page.send(id=fresh("w"))
    out = [_choice("Personalization", "Opt Out")]
    assert page.send(event={"interaction": {"name": "MetadataUpdate"}, "consents": out}) == user
    assert page.answer["errorCode"] == 0


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({}, "consents[0].purpose must not be empty."),
        ({"purpose": "Personalization"}, 'consents[0].status must be "Opt In" or "Opt Out".'),
        (
            {"purpose": "Personalization", "provider": "x", "status": "Perhaps"},
            'consents[0].status must be "Opt In" or "Opt Out".',
        ),
        ({"purpose": 5, "provider": "x", "status": "Opt In"}, "consents[0].purpose must be a string."),
    ],
    ids=str,
)
def test_an_invalid_choice_is_refused(web: Dataset, choice: dict[str, Any], sentence: str) -> None:
    answer = web.ask({"user": {"anonymousId": new_device()}, "consents": [choice]})
    refused_event(answer, 400)
    assert answer.json()["message"] == sentence


def test_a_choice_without_a_provider_is_accepted(web: Dataset) -> None:
    device = new_device()
    choice = {"purpose": "Personalization", "provider": None, "status": "Opt In"}
    answer = web.send({"user": {"anonymousId": device}, "consents": [choice]})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)


def test_at_a_merge_the_newest_choice_counts(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    first = web.page()
    first.send(at=now - 50 * MINUTE_MS, id=web_id)
    choices = {"consents": [_choice("Marketing", "Opt Out")]}
    first.send(at=now - 40 * MINUTE_MS, event=choices)
    second = web.page()
    second.send(at=now - 30 * MINUTE_MS, identities={"emailAddress": email})
    survivor = web.named(webId=web_id, emailAddress=email)
    assert web.survivor(first.answer["resolvedUserId"]) == survivor


def test_warnings_are_reported_and_never_block(new_dataset: NewDataset) -> None:
    web = new_dataset()
    answer = web.send({"user": {"id": fresh("w")}, "explain": True}, endpoint="authevent")
    assert warnings_of(answer) == set()
