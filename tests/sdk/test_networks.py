"""The web SDK on broken networks, and on pages that go: each event is stored once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Site, Visit

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("sdk")]

EVENTS = "**/api2/event/**"
#: In the outbox of the page, for the next one.
OUTBOX = "JSON.parse(localStorage.getItem('oneself_sdk_outbox') || '[]')"
#: Time passes at once: the SDK waits a second and more before it tries again.
FAST = """
const real = window.setTimeout;
window.waits = [];
window.setTimeout = (run, ms, ...more) => {
  waits.push(ms);
  return real(run, ms === 15000 ? ms : Math.min(ms, 20), ...more);
};
"""


class Network:
    """Answers the first requests itself, each with one of `answers`; the service answers the rest."""

    def __init__(self, visit: Visit, *answers: dict[str, Any] | None) -> None:
        self.answers = list(answers)
        visit.page.route(EVENTS, self._answer)

    def _answer(self, route: Any) -> None:
        answer = self.answers.pop(0) if self.answers else {}
        if answer is None:
            route.abort()
        elif answer:
            headers = {"Access-Control-Allow-Origin": "*", **answer.get("headers", {})}
            route.fulfill(status=answer["status"], headers=headers, body="{}")
        else:
            route.continue_()


FAILURES: dict[str, list[dict[str, Any] | None]] = {
    "the network is cut": [None, None],
    "the service is down": [{"status": 503}, {"status": 500}, {"status": 502}],
    "too many requests": [
        {"status": 429, "headers": {"Retry-After": "7", "Access-Control-Expose-Headers": "*"}}
    ],
    "the service is slow": [{"status": 408}],
}


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_an_event_is_sent_until_it_is_accepted(
    shop: Site, visit: Visit, stored_events: Callable[..., list[int]], name: str
) -> None:
    shop.setup(before=FAST)
    failures = FAILURES[name]
    visit.open()
    Network(visit, *failures)
    visit.call("oneself.track('First'); oneself.track('Second')")
    visit.wait("response", 2)
    names = [event["interaction"]["name"] for event in visit.sent]
    assert names == ["First"] * (len(failures) + 1) + ["Second"], "out of order"
    first = [event for event in visit.sent if event["interaction"]["name"] == "First"]
    assert all(event == first[0] for event in first)
    assert stored_events(first[0]["eventId"], visit.sent[-1]["eventId"]) == [1, 1]
    if name == "too many requests":
        assert 7000 in visit.call("waits")
    assert visit.call(OUTBOX) == []


def test_the_waits_grow_and_end(shop: Site, visit: Visit) -> None:
    shop.setup(before=FAST)
    visit.open()
    Network(visit, *[{"status": 503}] * 9)
    visit.track("View")
    waits = [ms for ms in visit.call("waits") if ms != 15_000]
    assert len(waits) == 9
    for number, ms in enumerate(waits):
        longest = min(60_000, 1000 * 2**number)
        assert longest / 2 <= ms <= longest


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_rejected_is_not_sent_again(visit: Visit, status: int) -> None:
    visit.open()
    Network(visit, {"status": status})
    visit.call("oneself.track('Bad'); oneself.track('Good')")
    visit.wait("response")
    assert [event["interaction"]["name"] for event in visit.sent] == ["Bad", "Good"]
    assert [(item["event"]["interaction"]["name"], item["reason"]) for item in visit.heard("drop")] == [
        ("Bad", "rejected")
    ]


def test_an_answer_that_is_lost_changes_nothing(
    shop: Site, visit: Visit, stored_events: Callable[..., list[int]]
) -> None:
    """The service has stored the event, and the browser does not know."""
    shop.setup(before=FAST)
    visit.open()
    lost: list[Any] = []

    def lose(route: Any) -> None:
        if lost:
            return route.continue_()
        lost.append(route.fetch())
        return route.abort()

    visit.page.route(EVENTS, lose)
    visit.call("oneself.identify({emailAddress: 'ida@acme.example'})")
    visit.wait("response")
    visit.track("View", 2)
    assert stored_events(visit.sent[0]["eventId"]) == [1]
    assert [event["eventId"] for event in visit.sent[:2]] == [visit.sent[0]["eventId"]] * 2
    # The repeat reveals nobody's tracker; the next event asks for one.
    assert visit.stored()["tracker"]


def test_what_was_on_its_way_when_the_page_went_is_sent_again(
    visit: Visit, stored_events: Callable[..., list[int]]
) -> None:
    visit.open()
    visit.page.route(EVENTS, lambda route: None)
    with visit.page.expect_request(EVENTS):
        visit.call("oneself.track('Buy')")
    visit.page.unroute(EVENTS)
    visit.open(path="/thanks")
    visit.wait("response")
    assert {event["interaction"]["name"] for event in visit.sent} == {"Buy"}
    assert {event["eventId"] for event in visit.sent} == {visit.sent[0]["eventId"]}
    assert {event["source"]["url"] for event in visit.sent} == {visit.site.address()}
    assert stored_events(visit.sent[0]["eventId"]) == [1]


def test_what_a_page_left_is_taken_over_when_it_is_seen(
    visit: Visit, shop: Site, stored_events: Callable[..., list[int]]
) -> None:
    """Pages may be in different processes, and the next one be there before what the last one stored."""
    visit.open().track("View")
    gone = Visit(visit.page.context.new_page(), shop).open()
    left = {
        "id": "f" * 32,
        "visitor": visit.stored()["id"],
        "at": int(time.time() * 1000),
        "event": {"interaction": {"name": "Left"}},
        "left": True,
    }
    gone.call(f"localStorage.setItem('oneself_sdk_outbox', JSON.stringify([{json.dumps(left)}]))")
    visit.wait("response", 2)
    assert visit.sent[-1]["eventId"] == left["id"]
    assert stored_events(left["id"]) == [1]


def test_a_large_outbox_does_not_leave_at_once(visit: Visit, stored_events: Callable[..., list[int]]) -> None:
    """Browsers refuse more than 64 KiB of what outlives a page; the rest waits for the next page."""
    visit.open().track("View")
    visit.page.route(EVENTS, lambda route: None)
    visit.call("for (let n = 0; n < 12; n++) oneself.track('Large ' + n, {text: 'x'.repeat(8000)})")
    visit.page.unroute(EVENTS)
    before = len(visit.sent)
    visit.call("dispatchEvent(new PageTransitionEvent('pagehide'))")
    leaving = visit.sent[before:]
    assert 0 < sum(len(json.dumps(event)) for event in leaving) < 64 * 1024
    assert len(visit.call(OUTBOX)) > 0
    visit.open(path="/next")
    visit.page.wait_for_function(f"{OUTBOX}.length === 0")
    ids = {event["interaction"]["name"]: event["eventId"] for event in visit.sent}
    assert len(ids) == 13
    assert stored_events(*ids.values()) == [1] * 13


def test_an_outbox_does_not_grow_without_bound(visit: Visit) -> None:
    visit.open()
    visit.page.route(EVENTS, lambda route: None)
    visit.call("for (let n = 0; n < 150; n++) oneself.track('View ' + n)")
    waiting = [item["event"]["interaction"]["name"] for item in visit.call(OUTBOX)]
    assert (len(waiting), waiting[-1]) == (100, "View 149")
    assert {item["reason"] for item in visit.heard("drop")} == {"queue_full"}
    visit.call("for (let n = 0; n < 10; n++) oneself.track('Large', {text: 'x'.repeat(50_000)})")
    assert visit.call("localStorage.getItem('oneself_sdk_outbox').length") <= 200_000


def test_a_page_that_comes_back_is_who_is_here_now(visit: Visit, shop: Site) -> None:
    """From the back/forward cache: meanwhile somebody signed out on another page."""
    visit.open()
    visit.call("oneself.identify({emailAddress: 'jan@acme.example'})")
    visit.wait("response")
    other = Visit(visit.page.context.new_page(), shop).open()
    other.call("oneself.logout()")
    visit.call("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert visit.heard("identity")[-1]["anonymousId"] == other.stored()["id"]


def test_signing_out_drops_what_was_not_sent(visit: Visit) -> None:
    visit.open()
    visit.page.route(EVENTS, lambda route: route.abort())
    visit.call("oneself.identify({emailAddress: 'kim@acme.example'}); oneself.track('View')")
    visit.page.wait_for_function(f"{OUTBOX}.length === 2")
    visit.call("oneself.logout()")
    assert visit.call(OUTBOX) == []
    visit.page.unroute(EVENTS)
    before = len(visit.sent)
    visit.open()
    visit.track("New")
    assert [event["interaction"]["name"] for event in visit.sent[before:]] == ["New"]


def test_two_tabs_are_one_visitor(visit: Visit, shop: Site, stored_events: Callable[..., list[int]]) -> None:
    visit.open().track("View")
    other = Visit(visit.page.context.new_page(), shop).open()
    for number in range(2, 5):
        visit.track("View", number)
        other.track("View", number - 1)
    sent = visit.sent + other.sent
    assert len({event["user"]["anonymousId"] for event in sent}) == 1
    assert len({event["user"]["anonymousProfileTracker"] for event in sent} - {""}) == 1
    assert stored_events(*(event["eventId"] for event in sent)) == [1] * 7
