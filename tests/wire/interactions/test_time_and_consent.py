"""Time, flags and consent of events (docs/wire/interactions.md §5, §9.5)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import MINUTE_MS, Dataset, assert_invalid_event, new_device, now_ms, warnings_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


def _consent(purpose: str, status: str, provider: str = "site") -> dict[str, str]:
    return {"purpose": purpose, "provider": provider, "status": status}


# -- time ---------------------------------------------------------------------------------------------------


def test_a_time_in_the_future_is_replaced_by_now(web: Dataset) -> None:
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


def test_the_default_time_is_the_time_of_receipt(web: Dataset) -> None:
    pages = [web.page() for _ in range(3)]
    for page in pages:
        page.send()
        page.send(id=fresh("w"))
    listed = web.org.admin("GET", f"/datasets/{web.name}/events").json()["events"]
    for events in (listed[:6], *(web.events(page.device) for page in pages)):
        assert events
        for event in events:
            assert event["occurred_at"] <= event["received_at"], event


def test_a_future_time_does_not_make_a_user_most_recently_active(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    web.identify(at=now + 9_000_000, webId=web_id)
    newer = web.identify(emailAddress=email)
    assert web.identify(webId=web_id, emailAddress=email) == newer


def test_a_late_event_is_stored_at_its_time(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    page.send(at=now - MINUTE_MS, event={"interaction": {"name": "late"}})
    page.send(at=now - 90 * MINUTE_MS, event={"interaction": {"name": "later"}})
    times = {event["name"]: event["occurred_at"] for event in web.events(page.device)}
    assert times["later"] < times["late"]
    assert web.record(page.device)["lastActivity"] == now - MINUTE_MS


def test_the_first_activity_is_the_earliest(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    page.send(at=now - MINUTE_MS)
    page.send(at=now - 90 * MINUTE_MS)
    assert web.record(page.device)["firstActivity"] == now - 90 * MINUTE_MS
    user = web.identify(at=now - 200 * MINUTE_MS, webId=(web_id := fresh("w")))
    assert page.send(id=web_id) == user
    assert web.record(user)["firstActivity"] == now - 200 * MINUTE_MS


def test_a_late_user_attribute_does_not_replace_a_newer_one(default: Dataset) -> None:
    page, now = default.page(), now_ms()
    page.send(at=now - MINUTE_MS, attributes={"favColour": "new"})
    page.send(at=now - 90 * MINUTE_MS, attributes={"favColour": "old", "visits": 1})
    assert default.values(page.device) == {"favColour": "new", "visits": 1}


def test_a_visit_ends_after_30_minutes_without_events(web: Dataset) -> None:
    page, now = web.page(), now_ms()
    for minutes in (200, 180, 100, 90, 10):
        page.send(at=now - minutes * MINUTE_MS)
    visits = web.record(page.device)["visitHistory"]
    spans = sorted(
        ((now - visit["start"]) // MINUTE_MS, (now - visit["lastEventTime"]) // MINUTE_MS) for visit in visits
    )
    assert spans == [(10, 10), (100, 90), (200, 180)]


# -- flags --------------------------------------------------------------------------------------------------


def test_a_non_interactive_event_does_not_change_last_activity(web: Dataset) -> None:
    page, now, email = web.page(), now_ms(), _email()
    user = page.send(at=now - 50 * MINUTE_MS, id=fresh("w"))
    flags = {"flags": {"nonInteractive": True}}
    assert page.send(at=now, event=flags, identities={"emailAddress": email}) == user
    assert web.resolve(emailAddress=email) == user
    assert web.record(user)["lastActivity"] == now - 50 * MINUTE_MS
    assert len(web.events(user)) == 2


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_do_not_track_stores_and_resolves_nothing(web: Dataset, endpoint: str) -> None:
    device, web_id = new_device(), fresh("w")
    event = {"user": {"anonymousId": device, "id": web_id}, "flags": {"doNotTrack": True}}
    answer = web.send(event, endpoint=endpoint)
    assert answer["errorCode"] == 0
    assert "resolvedUserId" not in answer
    assert "persistedUserId" not in answer
    assert answer["campaignResponses"] == []
    assert web.resolve(webId=web_id) is None
    assert web.user(device) is None


def test_do_not_track_ignores_invalid_fields(web: Dataset) -> None:
    flags = {"flags": {"doNotTrack": True}}
    user = web.page()
    user.send(id=fresh("w"))
    answer = web.send({"user": {"anonymousId": "bad id", "encryptedId": "x"}, **flags})
    assert answer["errorCode"] == 0
    assert "anonymousId" not in answer
    assert "resolvedUserId" not in web.send({"user": {"encryptedId": user.token}, **flags})


def test_no_campaigns_does_not_change_resolution(web: Dataset) -> None:
    web_id = fresh("w")
    answer = web.send({"user": {"id": web_id}, "flags": {"noCampaigns": True}})
    assert answer["resolvedUserId"] == web.resolve(webId=web_id)


# -- consent ------------------------------------------------------------------------------------------------


def test_an_event_with_a_personalization_opt_out_does_not_resolve(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    user = web.identify(webId=web_id)
    page.send()
    opt_out = {"consents": [_consent("Personalization", "Opt Out")]}
    assert page.send(id=web_id, event=opt_out) == page.device
    assert "persistedUserId" not in page.answer
    assert len(web.events(user)) == 1
    new_email = _email()
    assert page.send(identities={"emailAddress": new_email}, event=opt_out) == page.device
    assert web.resolve(emailAddress=new_email) is None


def test_new_identities_of_a_browser_that_opted_out_are_not_stored(web: Dataset) -> None:
    """The consent is stored for the anonymous profile that the event resolves to."""
    page, email = web.page(), _email()
    page.send(event={"consents": [_consent("Personalization", "Opt Out")]})
    assert page.send(identities={"emailAddress": email}) == page.device
    assert web.resolve(emailAddress=email) is None


def test_a_personalization_opt_in_ends_an_opt_out(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    user = web.identify(webId=web_id)
    page.send(id=web_id, event={"consents": [_consent("Personalization", "Opt Out")]})
    assert page.send(id=web_id, event={"consents": [_consent("Personalization", "Opt In")]}) == user
    assert web.survivor(page.device) == user
    assert page.send(identities={"loyaltyId": fresh("L")}) == user


def test_an_opt_out_of_a_known_user_prevents_merges(web: Dataset) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"))
    other = web.identify(emailAddress=email)
    opt_out = {"consents": [_consent("Personalization", "Opt Out")]}
    assert page.send(identities={"emailAddress": email}, event=opt_out) == user
    assert web.survivor(other) == other
    assert web.resolve(emailAddress=email) == other
    assert page.send(identities={"emailAddress": email}) == user
    assert web.survivor(other) == other


def test_an_opt_out_of_a_browser_binds_that_browser(web: Dataset) -> None:
    """Anybody can name the user in a page; only a server's word binds the user."""
    first, second, web_id = web.page(), web.page(), fresh("w")
    user = first.send(id=web_id)
    first.send(event={"consents": [_consent("Personalization", "Opt Out")]})
    second.send()
    assert second.send(id=web_id) == user
    assert first.send(identities={"emailAddress": _email()}) == user
    assert web.survivor(first.device) == user


def test_tracking_opt_out_stores_the_consent_only(web: Dataset) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"))
    events = len(web.events(user))
    page.send(identities={"emailAddress": email}, event={"consents": [_consent("Tracking", "Opt Out")]})
    assert page.answer["errorCode"] == 0
    page.send(identities={"emailAddress": email})
    assert web.resolve(emailAddress=email) is None
    assert [event["name"] for event in web.events(user)].count("View") == events
    page.send(identities={"emailAddress": email}, event={"consents": [_consent("Tracking", "Opt In")]})
    assert web.resolve(emailAddress=email) == user


def test_a_tracking_opt_out_of_an_anonymous_visitor_stores_no_values(default: Dataset) -> None:
    page = default.page()
    page.send(attributes={"favColour": "red"}, event={"consents": [_consent("Tracking", "Opt Out")]})
    page.send(attributes={"favColour": "blue"})
    found = default.user(page.device)
    assert found is None or found["attributes"] == {}
    page.send(attributes={"favColour": "green"}, event={"consents": [_consent("Tracking", "Opt In")]})
    assert default.values(page.device) == {"favColour": "green"}


def test_other_purposes_change_nothing(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    user = page.send(id=web_id, event={"consents": [_consent("Marketing", "Opt Out")]})
    assert web.resolve(webId=web_id) == user


def test_a_metadata_update_resolves_like_other_events(web: Dataset) -> None:
    page = web.page()
    user = page.send(id=fresh("w"))
    opt_out = [_consent("Personalization", "Opt Out")]
    assert page.send(event={"interaction": {"name": "MetadataUpdate"}, "consents": opt_out}) == user
    assert page.answer["errorCode"] == 0


@pytest.mark.parametrize(
    ("consent", "message"),
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
def test_an_invalid_consent_is_rejected(web: Dataset, consent: dict[str, Any], message: str) -> None:
    answer = web.try_send({"user": {"anonymousId": new_device()}, "consents": [consent]})
    assert_invalid_event(answer, 400)
    assert answer.json()["message"] == message


def test_a_consent_without_a_provider_is_accepted(web: Dataset) -> None:
    device = new_device()
    consent = {"purpose": "Personalization", "provider": None, "status": "Opt In"}
    answer = web.send({"user": {"anonymousId": device}, "consents": [consent]})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)


def test_an_opt_out_of_another_purpose_does_not_prevent_a_merge(web: Dataset) -> None:
    web_id, email, now = fresh("w"), _email(), now_ms()
    first = web.page()
    first.send(at=now - 50 * MINUTE_MS, id=web_id)
    opt_out = {"consents": [_consent("Marketing", "Opt Out")]}
    first.send(at=now - 40 * MINUTE_MS, event=opt_out)
    second = web.page()
    second.send(at=now - 30 * MINUTE_MS, identities={"emailAddress": email})
    survivor = web.identify(webId=web_id, emailAddress=email)
    assert web.survivor(first.answer["resolvedUserId"]) == survivor


def test_a_choice_without_a_browser_is_rejected_with_a_warning(web: Dataset) -> None:
    user = {"id": fresh("w")}
    opt_in = {"consents": [_consent("Personalization", "Opt In")]}
    assert "consent_without_browser" in web.warnings(user, **opt_in)
    assert web.resolve(webId=user["id"]) is not None
    assert "consent_without_browser" not in web.warnings(user | {"anonymousId": new_device()}, **opt_in)


def test_a_server_says_the_choice_of_a_person(web: Dataset) -> None:
    named, page = {"emailAddress": _email()}, web.page()
    web.identify(**named)
    opt_out = {"consents": [_consent("Personalization", "Opt Out")]}
    assert "consent_without_browser" not in web.warnings({"identities": named}, channel="Server", **opt_out)
    assert page.send(identities=named) == page.device


def test_a_valid_event_has_no_warnings(new_dataset: NewDataset) -> None:
    web = new_dataset()
    answer = web.send({"user": {"id": fresh("w")}, "explain": True}, endpoint="authevent")
    assert warnings_of(answer) == set()
