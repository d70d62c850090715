"""`/t/{org}/api/v1/datasets/{dataset}/…`: profiles by id and by identities, with their events, identifiers
and history (docs/wire/interactions.md §9.3).
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wire.client import TIMESTAMP, UNKNOWN_ID, Cds, assert_client_error, assert_error, fresh

IDENTITY = frozenset({"internal_cds_identity_view", "internal_cds_identity_update"})
NAMES = ("emailAddress", "customerId")
BAD_IDS = [
    UNKNOWN_ID,
    "no-uuid",
    "%00",
    "a" * 300,
    "0" * 24,
    "0" * 16,
    "a%2Fb",
    "a%2F%2Fb",
    "customerId:a%2Fb",
]
BELOW = ("", "/events", "/identifiers", "/history")


class WebDataset:
    """A new dataset: its admin resources and its event endpoint."""

    def __init__(self, org: Cds) -> None:
        self.org, self.name = org, fresh("web")
        json_of(org.admin("POST", "/datasets", {"name": self.name}, token=org.token(*IDENTITY)), 201)
        bindings = [{"name": name, "identity_type": name} for name in NAMES]
        self._put("identity-attributes", bindings)

    def _put(self, resource: str, body: Any) -> None:
        answer = self.org.admin("PUT", self.path(resource), body, token=self.org.token(*IDENTITY))
        assert answer.status_code == 200, answer.text

    def path(self, resource: str) -> str:
        return f"/datasets/{self.name}/{resource}"

    def event(self, name: str, device: str | None = None, at: int | None = None, **identities: str) -> str:
        """Send an event and return the primary id of its profile; `at` in ms."""
        user: dict[str, Any] = {"attributes": identities}
        if device is not None:
            user["anonymousId"] = device
        event = {"user": user, "interaction": {"name": name}, "source": {"channel": "Web", "time": at}}
        answer = self.org.http.post(f"/t/{self.org.org}/api2/event/{self.name}", json=event)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["resolvedUserId"])

    def ask(self, text: str, below: str = "", **params: Any) -> httpx.Response:
        return self.org.admin("GET", self.path(f"profiles/{text}{below}"), params=params)

    def profile(self, text: str) -> dict[str, Any]:
        return dict(json_of(self.ask(text)))

    def resolve(self, **identities: Any) -> httpx.Response:
        return self.org.admin("POST", self.path("resolve"), {"identities": identities})

    def all_of(self, text: str, resource: str, size: int = 2, **params: Any) -> list[dict[str, Any]]:
        """All pages of a list."""
        found: list[dict[str, Any]] = []
        while True:
            body = json_of(self.ask(text, f"/{resource}", page_size=size, **params))
            assert body["pagination"]["count"] == len(body[resource]) <= size
            found += body[resource]
            if "next_cursor" not in body["pagination"]:
                return found
            params["cursor"] = body["pagination"]["next_cursor"]


def json_of(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def device() -> str:
    return secrets.token_hex(8)


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


@pytest.fixture
def web(org: Cds) -> WebDataset:
    return WebDataset(org)


# -- profiles by id -----------------------------------------------------------------------------------------


def test_every_id_of_a_person_returns_the_same_document(web: WebDataset) -> None:
    x, y = device(), device()
    assert web.event("View", x) == x
    anonymous = web.profile(x)
    assert (anonymous["primary_id"], anonymous["aliases"], anonymous["devices"]) == (x, [], [x])
    primary = web.event("Sign up", x, emailAddress="ann@acme.example")
    web.event("View", y)
    assert web.event("Sign in", y, emailAddress="ANN@acme.example") == primary
    ids = (x, y, primary, anonymous["profile_id"])
    documents = [web.profile(text) for text in ids]
    assert all(document == documents[0] for document in documents)
    document = documents[0]
    assert document["primary_id"] == primary
    assert document["aliases"] == [x, y]
    assert sorted(document["devices"]) == sorted((x, y))
    assert document["identity_attributes"]["emailAddress"].lower() == "ann@acme.example"
    assert len(document["merged_from"]) == 1
    absorbed = web.profile(document["merged_from"][0]["profile_id"])
    assert absorbed["merged_to"]["profile_id"] == document["profile_id"]
    assert absorbed["primary_id"] == primary
    assert "ETag" in web.ask(primary).headers


def test_an_anonymous_id_in_the_form_of_a_profile_id(web: WebDataset) -> None:
    browser = str(uuid.uuid4())
    assert web.event("View", browser) == browser
    anonymous = web.profile(browser)
    web.event("Sign up", browser, emailAddress="ann@acme.example")
    for below in BELOW:
        assert web.ask(browser, below).status_code == 200
    assert web.profile(browser)["profile_id"] == anonymous["profile_id"]
    assert web.profile(f"anonymous_id:{browser}")["aliases"] == [browser]


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("crm/7", "crm%2F7"),
        ("crm/events", "crm%2fevents"),
        ("/7//", "%2F7%2F%2F"),
        ("a%2Fb", "a%252Fb"),
        ("50%/7", "50%25%2F7"),
        ("50%2F/ü", "50%252F%2F%C3%BC"),
        ("crm:7", "crm:7"),
    ],
)
def test_an_identity_in_a_path_can_contain_slashes(web: WebDataset, value: str, sent: str) -> None:
    primary = web.event("In", customerId=value)
    for below in BELOW:
        assert web.ask(f"customerId:{sent}", below).status_code == 200
    assert web.profile(f"customerId:{sent}")["primary_id"] == primary


def test_an_alias_stays_when_the_browser_moves(web: WebDataset) -> None:
    x = device()
    web.event("View", x)
    ann, bob = web.event("In", x, customerId="ann"), web.event("In", x, customerId="bob")
    assert ann != bob
    assert web.profile(x)["primary_id"] == ann
    assert web.profile(ann)["devices"] == []
    assert web.profile(bob)["devices"] == [x]


def _answers_to(application: Cds, web: WebDataset, text: str) -> list[httpx.Response]:
    answers = [application.admin("GET", web.path(f"profiles/{text}{below}")) for below in BELOW]
    assert {answer.status_code for answer in answers} == {200}
    return answers


def test_a_regular_application_sees_identity_attributes_and_no_event_attributes(
    cds: Cds, regular: Cds
) -> None:
    web, x = WebDataset(cds), device()
    identities = {"emailAddress": "ann@acme.example", "customerId": "c-1"}
    web.event("View", x, **identities)
    document, events, identifiers, _ = (answer.json() for answer in _answers_to(regular, web, x))
    assert document["identity_attributes"] == identities
    values = {identifier["namespace"]: identifier["value"] for identifier in identifiers["identifiers"]}
    assert values == {"anonymous_id": x, **identities}
    assert [event["body"]["user"] for event in events["events"]] == [{"anonymousId": x}]
    (event,) = web.all_of(x, "events")
    assert event["body"]["user"]["attributes"] == identities


def test_a_regular_application_does_not_see_an_identifier_that_is_a_trait(cds: Cds, regular: Cds) -> None:
    web, x = WebDataset(cds), device()
    bindings = [{"name": "customerId", "identity_type": "customerId", "attribute": "traits.customer"}]
    web._put("identity-attributes", bindings)
    web.event("View", x, customerId="c-hidden")
    answers = _answers_to(regular, web, x)
    assert all("c-hidden" not in answer.text for answer in answers)
    identifiers = answers[2].json()["identifiers"]
    values = {identifier["namespace"]: identifier["value"] for identifier in identifiers}
    assert values == {"anonymous_id": x, "customerId": None}


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("text", BAD_IDS)
def test_unknown_ids_find_no_profile(web: WebDataset, text: str, below: str) -> None:
    assert_error(web.ask(text, below), 404, "CDS-11001")


def test_an_unknown_dataset_is_404(org: Cds) -> None:
    for name in ("nothing", "%00", "a" * 100):
        assert org.admin("GET", f"/datasets/{name}/profiles/{UNKNOWN_ID}").status_code == 404
        assert org.admin("POST", f"/datasets/{name}/resolve", {"identities": {"a": "b"}}).status_code == 404


def test_other_datasets_and_organisations_find_no_profile(web: WebDataset, org: Cds, other: Cds) -> None:
    x = device()
    primary = web.event("Sign up", x, emailAddress="ann@acme.example")
    for dataset in (WebDataset(org), WebDataset(other)):
        for text in (x, primary, web.profile(x)["profile_id"]):
            assert_error(dataset.ask(text), 404, "CDS-11001")
        assert_error(dataset.resolve(emailAddress="ann@acme.example"), 404, "CDS-11001")
    assert other.admin("GET", web.path(f"profiles/{x}")).status_code == 404


def test_an_erased_user_is_not_found(web: WebDataset, org: Cds) -> None:
    x = device()
    web.event("View", x)
    primary = web.event("Sign up", x, emailAddress="ann@acme.example")
    profile_id = web.profile(x)["profile_id"]
    answer = org.http.post(
        f"/t/{org.org}/api/dataset/{web.name}/users/delete",
        files={"file": ("users.csv", f"name\n{x}\n", "text/csv")},
        auth=(org.client_id, org.client_secret),
    )
    assert answer.text == "Deleted 1 users (1 requested)", answer.text
    for text in (x, primary, profile_id):
        for below in BELOW:
            assert_error(web.ask(text, below), 404, "CDS-11001")
    assert_error(web.resolve(emailAddress="ann@acme.example"), 404, "CDS-11001")


# -- profiles by identities ---------------------------------------------------------------------------------


def test_identities_resolve_to_a_primary_id(web: WebDataset) -> None:
    assert_error(web.resolve(emailAddress="ann@acme.example"), 404, "CDS-11001")
    ann = web.event("In", emailAddress="ann@acme.example")
    bob = web.event("In", customerId="17")
    found = json_of(web.resolve(EmailAddress=" ANN@acme.example"))
    assert found == {"primary_id": ann, "profile_id": web.profile(ann)["profile_id"], "matched": [ann]}
    both = json_of(web.resolve(emailAddress="ann@acme.example", customerId=17))
    assert (both["primary_id"], both["matched"]) == (bob, [bob, ann])
    assert web.event("In", emailAddress="ann@acme.example", customerId="17") == bob
    assert json_of(web.resolve(emailAddress="ann@acme.example"))["matched"] == [bob]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"identities": {}},
        {"identities": None},
        {"identities": []},
        {"identities": {"mail": "x"}},
        {"identities": {"emailAddress": None}},
        {"identities": {"emailAddress": ["x"]}},
        {"identities": {"emailAddress": True}},
        {"identities": {"": "x"}},
        {"identities": {"emailAddress": "x"}, "more": 1},
    ],
)
def test_invalid_resolve_requests_are_rejected(web: WebDataset, body: Any) -> None:
    answer = web.org.admin("POST", web.path("resolve"), body)
    assert_client_error(answer)
    assert_error(answer, 400, "CDS-10001")


def test_an_unknown_identity_name_lists_the_valid_names(web: WebDataset) -> None:
    assert "customerId, emailAddress" in assert_error(web.resolve(mail="x"), 400, "CDS-10001")


# -- events -------------------------------------------------------------------------------------------------


def test_events_are_stored_newest_first_and_follow_a_merge(web: WebDataset) -> None:
    x, y = device(), device()
    for name, device_id in (("one", x), ("two", y), ("three", x)):
        web.event(name, device_id)
    web.event("four", x, emailAddress="ann@acme.example")
    primary = web.event("five", y, emailAddress="ann@acme.example")
    events = web.all_of(primary, "events")
    assert [event["name"] for event in events] == ["five", "four", "three", "two", "one"]
    for event in events:
        assert set(event) == {"event_id", "name", "occurred_at", "received_at", "face", "body"}
        assert len(event["event_id"]) == 24
        assert TIMESTAMP.match(event["occurred_at"])
        assert TIMESTAMP.match(event["received_at"])
        assert event["body"]["interaction"] == {"name": event["name"]}
    assert web.all_of(x, "events", name="two") == [events[3]]


def test_events_are_filtered_by_time(web: WebDataset) -> None:
    x, now = device(), int(time.time() * 1000)
    for hours in (3, 2, 1):
        web.event(f"{hours}", x, at=now - hours * 3_600_000)
    first, second, third = (f"{hours}" for hours in (3, 2, 1))

    def names(**params: Any) -> list[str]:
        return [event["name"] for event in web.all_of(x, "events", **params)]

    assert names() == [third, second, first]
    middle = web.all_of(x, "events")[1]["occurred_at"]
    for instant in (middle, now - 2 * 3_600_000, middle.replace("Z", "+00:00")):
        assert names(since=instant) == [third, second]
        assert names(until=instant) == [second, first]
    assert names(since=middle, until=middle, name=second) == [second]
    assert names(since=now) == []


@pytest.mark.parametrize(
    "params",
    [
        {"since": "yesterday"},
        {"until": "2026-01-01"},
        {"since": "-1"},
        {"until": "9" * 30},
        {"name": "\x00"},
        {"name": "a" * 2000},
        {"page_size": "0"},
        {"cursor": "x"},
        {"cursor": "WzEsMl0"},
        {"cursor": "WzFlOTksIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwMCJd"},
    ],
)
def test_invalid_event_queries_are_rejected(web: WebDataset, params: dict[str, str]) -> None:
    x = device()
    web.event("View", x)
    assert_error(web.ask(x, "/events", **params), 400, "CDS-10001")
    # The filters of events are unknown to the other two.
    for below in ("/identifiers", "/history"):
        assert_error(web.ask(x, below, **params), 400, "CDS-10001")


# -- identifiers and history --------------------------------------------------------------------------------


def test_identifiers_and_history(web: WebDataset) -> None:
    x, y = device(), device()
    web.event("View", x)
    web.event("View", y)
    web.event("In", x, customerId="c-1", emailAddress="old@acme.example")
    web.event("In", y, customerId="c-1", emailAddress="new@acme.example")
    identifiers = web.all_of(x, "identifiers")
    assert [identifier["since"] for identifier in identifiers] == sorted(
        identifier["since"] for identifier in identifiers
    )
    by_value = {identifier["value"]: identifier for identifier in identifiers}
    assert set(by_value) == {x, y, "c-1", "old@acme.example", "new@acme.example"}
    assert [value for value, identifier in by_value.items() if not identifier["live"]] == ["old@acme.example"]
    assert by_value["old@acme.example"]["until"] == by_value["new@acme.example"]["since"]
    assert by_value["new@acme.example"]["until"] is None
    assert by_value["c-1"]["trust"] == "browser"
    listed = web.all_of(x, "history", size=1)
    promotion, merge = [step for step in listed if step["kind"] in ("promotion", "merge")]
    assert (promotion["kind"], promotion["alias"]) == ("promotion", x)
    assert (merge["kind"], merge["alias"], merge["reason"]) == ("merge", y, "identity:customerId")
    assert merge["identifier"] == {"namespace": "customerId", "value": "c-1"}
    assert merge["profile_id"] == promotion["profile_id"] == web.profile(x)["profile_id"]
