"""`/t/{org}/api/v1/datasets/{dataset}/events`: the events of a dataset, as a list and as a stream."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from conftest import StartService
from support.service import RunningService
from wire.admin.test_lookup import WebDataset, device, json_of
from wire.client import PREFIX, TIMESTAMP, Cds, assert_error, fresh

DEADLINE_S = 30.0
#: A stopping service ends its streams within one poll; it waits up to 20 s for other requests.
STREAMS_END_MAX_S = 8.0
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


@pytest.fixture
def web(org: Cds) -> WebDataset:
    return WebDataset(org)


def ask(web: WebDataset, **params: Any) -> httpx.Response:
    return web.org.admin("GET", web.path("events"), params=params)


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["name"] for event in events]


@contextmanager
def stream(
    web: WebDataset, last_event_id: str | None = None, *, of: str = "events", **params: Any
) -> Iterator[Iterator[tuple[str, Any]]]:
    """An open stream: pairs of event id and event; the event of a heartbeat is None."""
    headers = {**STREAM, "Authorization": f"Bearer {web.org.token('profile_view', 'profile_view_all')}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    path = web.org.path(web.path(of), "/api/v1")
    with web.org.http.stream("GET", path, headers=headers, params=params, timeout=DEADLINE_S) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield _parsed(answer.iter_lines())


def _parsed(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            yield fields["id"], json.loads(fields["data"]) if "data" in fields else None
            fields = {}


def take(following: Iterator[tuple[str, Any]], count: int) -> list[tuple[str, Any]]:
    """The next events, without heartbeats."""
    found: list[tuple[str, Any]] = []
    while len(found) < count:
        event_id, event = next(following)
        found += [] if event is None else [(event_id, event)]
    return found


# -- the list -----------------------------------------------------------------------------------------------


def test_events_are_listed_newest_first(web: WebDataset) -> None:
    x, y = device(), device()
    web.event("View", x)
    web.event("View", y)
    ann = web.event("Sign up", x, emailAddress="ann@acme.example")
    web.event("Order", y, customerId="c-1")
    web.event("Open", emailAddress="ann@acme.example", customerId="c-1")
    body = json_of(ask(web))
    assert body["pagination"] == {"count": 5, "page_size": 50}
    assert names(body["events"]) == ["Open", "Order", "Sign up", "View", "View"]
    newest, first = body["events"][0], body["events"][-1]
    assert newest["decision"] == {"effect": "merged", "merged": 1, "refusals": []}
    assert newest["identity_types"] == ["emailAddress", "customerId"]
    assert first["decision"] == {"effect": "created", "merged": 0, "refusals": []}
    assert first["identity_types"] == []
    assert len({event["primary_id"] for event in body["events"]}) == 1, "all profiles are merged"
    assert ann in web.profile(newest["primary_id"])["aliases"] or ann == newest["primary_id"]
    assert (first["face"], first["trust"]) == ("interactions", "browser")
    assert TIMESTAMP.match(first["occurred_at"]) or first["occurred_at"].endswith("Z")
    assert len(first["event_id"]) == 24
    assert "ann@acme.example" not in json.dumps(body), "bodies are not listed"


def test_events_have_pages_and_filters(web: WebDataset) -> None:
    x = device()
    for number in range(5):
        web.event(f"{number}", x)
    found, cursor = list[dict[str, Any]](), None
    while True:
        body = json_of(ask(web, page_size=2, **({"cursor": cursor} if cursor else {})))
        found += body["events"]
        if not (cursor := body["pagination"].get("next_cursor")):
            break
    assert names(found) == ["4", "3", "2", "1", "0"]
    assert names(json_of(ask(web, name="3"))["events"]) == ["3"]
    assert names(json_of(ask(web, since="2999-01-01T00:00:00Z"))["events"]) == []
    assert names(json_of(ask(web, until=found[2]["occurred_at"]))["events"]) == ["2", "1", "0"]


def test_the_body_of_an_event_is_shown_on_request(web: WebDataset) -> None:
    web.event("Sign up", device(), emailAddress="ann@acme.example")
    (event,) = json_of(ask(web, body="true"))["events"]
    assert event["body"]["interaction"] == {"name": "Sign up"}
    assert event["body"]["user"]["attributes"] == {"emailAddress": "ann@acme.example"}


def test_a_regular_application_sees_only_the_browser(cds: Cds, regular: Cds) -> None:
    web, x = WebDataset(cds), device()
    web.event("Sign up", x, emailAddress="ann@acme.example")
    answer = regular.admin("GET", web.path("events"), params={"body": "true"})
    (event,) = json_of(answer)["events"]
    assert event["body"]["user"] == {"anonymousId": x}


def test_a_reader_without_permission_sees_no_profiles(web: WebDataset, cds: Cds, unprivileged: Cds) -> None:
    assert unprivileged.admin("GET", WebDataset(cds).path("events")).status_code == 403
    assert web.org.admin("GET", web.path("events"), token="none").status_code == 401
    permissions = [PREFIX + name for name in ("profile_update", "admin_config_view")]
    assert web.org.admin("GET", web.path("events"), token=web.org.token(*permissions)).status_code == 403


@pytest.mark.parametrize(
    "params",
    [{"cursor": "x"}, {"page_size": "0"}, {"since": "yesterday"}, {"name": "a\x00b"}, {"name": "x" * 1025}],
)
@pytest.mark.parametrize("accept", ["application/json", STREAM["Accept"]])
def test_invalid_parameters_are_rejected(web: WebDataset, params: dict[str, str], accept: str) -> None:
    answer = web.org.admin("GET", web.path("events"), params=params, headers={"Accept": accept})
    assert_error(answer, 400, "CDS-10001")


def test_a_dataset_of_another_organisation_is_404(web: WebDataset, other: Cds) -> None:
    assert other.admin("GET", web.path("events")).status_code == 404


# -- the stream ---------------------------------------------------------------------------------------------


def test_a_stream_sends_new_events_and_resumes_after_an_id(web: WebDataset) -> None:
    x = device()
    web.event("before", x)
    with stream(web) as following:
        start_id, no_event = next(following)
        assert no_event is None, "the first message has an id and no event"
        web.event("one", x)
        web.event("two", x, emailAddress="ann@acme.example")
        (first_id, one), (_, two) = take(following, 2)
        assert names([one, two]) == ["one", "two"]
        assert two["decision"]["effect"] == "promoted"
        assert "body" not in two
    web.event("three", x)
    with stream(web, first_id) as following:
        assert names([event for _, event in take(following, 2)]) == ["two", "three"]
    with stream(web, start_id, name="three", body="true") as following:
        ((_, event),) = take(following, 1)
        assert event["body"]["interaction"] == {"name": "three"}


def test_a_stream_resumes_only_from_a_valid_event_id(web: WebDataset) -> None:
    for accept, status in ((STREAM["Accept"], 400), ("application/json", 200)):
        headers = {"Accept": accept, "Last-Event-ID": "elsewhere"}
        assert web.org.admin("GET", web.path("events"), headers=headers).status_code == status


def test_an_idle_stream_sends_heartbeats_with_an_id(web: WebDataset) -> None:
    """A heartbeat detects closed connections, and a reader can resume from its id."""
    with stream(web) as following:
        start_id, _ = next(following)
        heartbeat_id, no_event = next(following)
        assert no_event is None
        assert heartbeat_id != start_id
    web.event("later", device())
    with stream(web, heartbeat_id) as following:
        assert names([event for _, event in take(following, 1)]) == ["later"]


def test_concurrent_streams_get_the_same_events(web: WebDataset) -> None:
    count, streams = 60, 4
    ready = threading.Barrier(streams + 1, timeout=DEADLINE_S)

    def listen(_: int) -> list[str]:
        with stream(web) as following:
            next(following)
            ready.wait()
            return names([event for _, event in take(following, count)])

    with ThreadPoolExecutor(streams + 8) as pool:
        listeners = [pool.submit(listen, number) for number in range(streams)]
        ready.wait()
        writes = [pool.submit(web.event, f"{n}", device(), customerId=f"c-{n % 5}") for n in range(count)]
        assert all(task.result(DEADLINE_S) for task in writes)
        found = [task.result(DEADLINE_S) for task in listeners]
    assert sorted(found[0], key=int) == [f"{number}" for number in range(count)]
    assert all(names_of_stream == found[0] for names_of_stream in found)


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_end_promptly_when_the_service_stops(
    start_service: StartService, service_database_url: str, workers: int
) -> None:
    running = start_service(database_url=service_database_url, workers=workers)
    org = Cds(running.base_url, running.org, running.client_id, running.client_secret)
    web = WebDataset(org)
    opened = threading.Event()

    def listen() -> str:
        with stream(web) as following:
            event_id, _ = next(following)
            opened.set()
            for event_id, _ in following:  # noqa: B007
                pass
            return event_id

    with ThreadPoolExecutor(1) as pool:
        listener = pool.submit(listen)
        assert opened.wait(DEADLINE_S)
        started_s = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - started_s < STREAMS_END_MAX_S
        event_id = listener.result(DEADLINE_S)
    assert "Traceback" not in running.log()
    running.start()
    web.event("after the restart", device())
    with stream(web, event_id) as following:
        assert names([event for _, event in take(following, 1)]) == ["after the restart"]
    org.close()


def test_closed_streams_free_their_slots(start_service: StartService, service_database_url: str) -> None:
    """Opens more streams in sequence than can be open at the same time."""
    running = start_service(database_url=service_database_url)
    org = Cds(running.base_url, running.org, running.client_id, running.client_secret)
    web = WebDataset(org)
    for _ in range(110):
        with stream(web) as following:
            next(following)
    org.close()
    assert "Traceback" not in running.log()


# -- metrics ------------------------------------------------------------------------------------------------


def metrics(service: RunningService) -> dict[str, float]:
    """The samples of `/metrics`: name with labels → value."""
    lines = httpx.get(f"{service.base_url}/metrics").text.splitlines()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}


def test_metrics_count_the_outcomes_of_events(service: RunningService, cds: Cds) -> None:
    web, x, y = WebDataset(cds), device(), device()
    before = metrics(service)
    web.event("View", x)
    web.event("View", x)
    web.event("View", x, emailAddress="ann@acme.example")
    web.event("View", y, customerId="c-1")
    web.event("View", emailAddress="ann@acme.example", customerId="c-1")
    web.event("View", x, customerId="null")
    path = f"/t/{cds.org}/api2/event/{web.name}"
    assert cds.http.post(path, content=b"[").status_code == 400
    assert cds.http.post(f"{path}-none", json={}).status_code == 404
    assert cds.http.post(path, json={"flags": {"doNotTrack": True}}).status_code == 200
    assert cds.http.post(path, json={"user": {"attributes": {"made up": 1}}}).status_code == 200
    after = metrics(service)

    def increase(line: str) -> float:
        return after.get(line, 0.0) - before.get(line, 0.0)

    for outcome, count in {
        "created_anonymous": 2, "anonymous": 2, "named": 1, "created_named": 1, "merged": 1,
        "invalid": 1, "refused": 1, "do_not_track": 1,
    }.items():  # fmt: skip
        assert increase(f'oneself_events_total{{outcome="{outcome}"}}') == count, outcome
    assert increase('oneself_event_warnings_total{code="attribute_unknown"}') == 1
    assert increase('oneself_merges_total{reason="identity:emailAddress"}') == 1
    assert increase('oneself_refusals_total{code="blocked_value"}') == 1
    assert increase("oneself_batch_observations_count") == increase("oneself_batch_seconds_count") > 0
    assert increase("oneself_batch_observations_sum") == 7
    assert increase('oneself_http_request_seconds_count{route="/api2/event/{dataset}"}') == 10
    assert increase(_requests(200)) == 8
    assert increase(_requests(400)) == increase(_requests(404)) == 1


def _requests(status: int) -> str:
    return f'oneself_http_requests_total{{method="POST",route="/api2/event/{{dataset}}",status="{status}"}}'


def test_unknown_paths_never_become_metric_labels(service: RunningService, cds: Cds) -> None:
    mark = fresh("madeup")
    for method, path in (
        ("GET", f"/{mark}"), (mark.upper(), "/health"), ("GET", f"/t/{mark}/api2/event/{mark}?event={mark}"),
        ("POST", f"/api2/authevent/{mark}"), ("GET", f"/t/{cds.org}/api/v1/datasets/{mark}/events"),
    ):  # fmt: skip
        cds.http.request(method, path)
    web = WebDataset(cds)
    web.event(mark, device(), **{mark: mark, "emailAddress": mark})
    assert mark not in httpx.get(f"{service.base_url}/metrics").text
