"""Endpoints, encodings, headers (docs/wire/interactions.md §4, §6)."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from wire.client import Cds, fresh
from wire.interactions.client import (
    ENCODINGS,
    FORM,
    PRIMARY,
    Dataset,
    assert_invalid_event,
    base64_of,
    new_device,
    token_of,
    warnings_of,
)
from wire.interactions.conftest import NewDataset, configure

SUCCESS = {"id", "campaignResponses", "compiledCampaignTemplates", "errorCode", "resolvedUserId"}
VECTOR = "eyJhY3Rpb24iOiJoZWxsbyB3b3JsZCIsInVzZXIiOnsiaWQiOiJ0ZXN0dXNlciJ9fQ=="


def _event(**identities: str) -> dict[str, Any]:
    return {
        "interaction": {"name": "Café ☕ visit"},
        "user": {"anonymousId": new_device(), "identities": identities},
    }


# -- encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_gives_the_same_result(web: Dataset, encoding: str) -> None:
    email = f"{fresh('zoë')}@acme.example"
    answer = web.send(_event(emailAddress=email), encoding)
    assert set(answer) == SUCCESS | {"persistedUserId"}
    assert answer["errorCode"] == 0
    assert PRIMARY.fullmatch(answer["id"])
    assert (answer["campaignResponses"], answer["compiledCampaignTemplates"]) == ([], [])
    assert token_of(answer)
    assert web.resolve(emailAddress=email) == answer["resolvedUserId"]
    (event,) = web.events(answer["resolvedUserId"])
    assert (event["event_id"], event["name"]) == (answer["id"], "Café ☕ visit")


@pytest.fixture(scope="module")
def unprefixed(cds: Cds) -> Dataset:
    """A dataset of the default organisation, whose paths need no `/t/{org}`."""
    permissions = cds.permissions | {"internal_cds_identity_view", "internal_cds_identity_update"}
    org = Cds(cds.base_url, cds.org, cds.client_id, cds.client_secret, permissions)
    name = fresh("web").replace("_", "")
    answer = org.admin("POST", "/datasets", {"name": name, "label": "Web"})
    assert answer.status_code == 201, answer.text
    return configure(org, name, ("emailAddress", "customerId"), {"Web": "customerId", "Server": "customerId"})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_default_organisation_needs_no_prefix(unprefixed: Dataset, encoding: str) -> None:
    event = _event(emailAddress=f"{fresh('ann')}@acme.example")
    without_prefix = unprefixed.send(event, encoding, prefix=False)
    assert without_prefix["resolvedUserId"] == unprefixed.send(event, encoding)["resolvedUserId"]


def test_an_authenticated_event_needs_no_prefix_for_the_default_organisation(unprefixed: Dataset) -> None:
    event = _event(emailAddress=f"{fresh('ann')}@acme.example")
    without_prefix = unprefixed.send(event, endpoint="authevent", prefix=False)
    assert without_prefix["resolvedUserId"] == unprefixed.send(event, endpoint="authevent")["resolvedUserId"]


@pytest.mark.parametrize("encoding", ENCODINGS[1:3])
def test_an_authenticated_event_is_json_only(web: Dataset, encoding: str) -> None:
    email = f"{fresh('ann')}@acme.example"
    answer = web.try_send(_event(emailAddress=email), encoding, endpoint="authevent")
    assert_invalid_event(answer, 400)
    assert web.resolve(emailAddress=email) is None


def test_an_authenticated_event_is_not_a_get(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    assert web.try_send(_event(emailAddress=email), "get", endpoint="authevent").status_code == 405
    assert web.resolve(emailAddress=email) is None


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_other_methods_are_not_allowed(web: Dataset, endpoint: str, method: str) -> None:
    body = json.dumps(_event(emailAddress="x@acme.example"))
    assert web.request(method, web.path(endpoint), content=body, auth=web.basic).status_code == 405


def test_the_example_of_the_contract(new_dataset: NewDataset) -> None:
    web = new_dataset()
    answer = web.request("GET", f"{web.path()}?event={VECTOR}").json()
    assert web.resolve(webId="testuser") == answer["resolvedUserId"]
    (event,) = web.events(answer["resolvedUserId"])
    assert event["name"] == "hello world"
    assert event["body"]["user"]["id"] == "testuser"


def _blank_for_plus(text: str) -> str:
    return text.replace("+", " ")


def _escaped(text: str) -> str:
    return quote(text, safe="")


def _spellings(email: str) -> dict[str, str]:
    """One event in all forms of `event=`, escaped; its base64 has a `+`, a `/` and padding."""
    event = {"action": "", "user": {"anonId": new_device(), "attributes": {"emailAddress": email}}}
    for length in range(200):
        event["action"] = "a" * (length % 7) + "~~~???>>>" + "ÿ" * (length // 7)
        raw = json.dumps(event, ensure_ascii=False).encode()
        standard = base64.b64encode(raw).decode()
        if "+" in standard and "/" in standard and standard.endswith("="):
            break
    else:  # pragma: no cover
        raise AssertionError("no text has such a base64 form")
    url_safe = base64.urlsafe_b64encode(raw).decode()
    return {
        "standard": _escaped(standard),
        "a blank instead of a plus": _blank_for_plus(standard).replace(" ", "%20"),
        "an unescaped plus": standard,
        "url-safe": url_safe,
        "without padding": _escaped(standard.rstrip("=")),
        "url-safe without padding": url_safe.rstrip("="),
        "raw": _escaped(raw.decode()),
        "raw after blanks": _escaped(" \t\n " + raw.decode()),
    }


@pytest.mark.parametrize("spelling", _spellings(""))
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_parameter_is_decoded_in_every_form(web: Dataset, method: str, spelling: str) -> None:
    email = f"{fresh('ann')}@acme.example"
    parameter = f"event={_spellings(email)[spelling]}"
    if method == "GET":
        answer = web.request("GET", f"{web.path()}?{parameter}")
    else:
        answer = web.request("POST", content=parameter, headers=FORM)
    assert answer.status_code == 200, answer.text
    assert web.resolve(emailAddress=email) == answer.json()["resolvedUserId"]


def test_a_charset_in_the_content_type_is_accepted(web: Dataset) -> None:
    for content_type, content in (
        ("application/json; charset=UTF-8", json.dumps(_event(emailAddress="charset@acme.example"))),
        ("APPLICATION/JSON", json.dumps(_event(emailAddress="charset@acme.example"))),
        (
            f"{FORM['Content-Type']}; charset=UTF-8",
            f"event={base64_of(_event(emailAddress='charset@acme.example'))}",
        ),
    ):
        answer = web.request("POST", content=content, headers={"Content-Type": content_type})
        assert answer.status_code == 200, (content_type, answer.text)
        assert PRIMARY.fullmatch(answer.json()["resolvedUserId"])


def test_other_parameters_are_ignored(web: Dataset) -> None:
    parameter = urlencode({"_r": "123456", "event": base64_of(_event()), "_anon": "true"})
    assert web.request("GET", f"{web.path()}?{parameter}").status_code == 200
    assert web.request("POST", content=parameter, headers=FORM).status_code == 200


# -- headers ------------------------------------------------------------------------------------------------


def _all_kinds_of_answers(web: Dataset) -> dict[str, Any]:
    headers = {"Origin": "https://www.acme.example"}
    return {
        "success": web.try_send(_event(), headers=headers),
        "get": web.try_send(_event(), "get", headers=headers),
        "named": web.try_send(_event(webId=fresh("w")), headers=headers),
        "server": web.try_send(_event(), endpoint="authevent", headers=headers),
        "undecodable": web.request(
            "POST", content="{", headers={"Content-Type": "application/json", **headers}
        ),
        "not an object": web.try_send([], headers=headers),
        "wrong credentials": web.try_send(_event(), endpoint="authevent", auth=("a", "b"), headers=headers),
        "unknown dataset": web.request(
            "GET", f"/t/{web.org.org}/api2/event/nowhere?event=e30", headers=headers
        ),
        "too large": web.try_send({"action": "x" * 300_000}, headers=headers),
    }


def test_every_answer_has_the_headers_of_the_contract(web: Dataset) -> None:
    for name, answer in _all_kinds_of_answers(web).items():
        headers = answer.headers
        assert headers["content-type"].lower() == "application/json;charset=utf-8", name
        assert headers["access-control-allow-origin"] == "https://www.acme.example", name
        assert headers["access-control-allow-credentials"] == "true", name
        assert headers["timing-allow-origin"] == "*", name
        assert headers["cache-control"].replace(" ", "") == "no-cache,no-store", name
        assert headers["x-content-type-options"] == "nosniff", name
        assert "set-cookie" not in headers, name
        assert isinstance(answer.json(), dict), name


def test_without_an_origin_none_is_allowed(web: Dataset) -> None:
    assert web.try_send(_event()).headers.get("access-control-allow-origin") in (None, "*")


def test_no_cookie_is_ever_set(web: Dataset) -> None:
    event = _event(webId=fresh("w"))
    event["user"]["anonymousProfileTracker"] = ""
    answer = web.try_send(event, headers={"Cookie": "cds_profile=x; _evga_1234=y"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
@pytest.mark.parametrize("prefix", [True, False])
def test_options_allows_the_origin_and_headers(unprefixed: Dataset, endpoint: str, prefix: bool) -> None:
    headers = {
        "Origin": "https://www.acme.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, authorization",
    }
    answer = unprefixed.request("OPTIONS", unprefixed.path(endpoint, prefix), headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "https://www.acme.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    methods = {method.strip() for method in answer.headers["access-control-allow-methods"].split(",")}
    assert {"GET", "POST"} <= methods
    allowed = {header.strip().lower() for header in answer.headers["access-control-allow-headers"].split(",")}
    assert {"content-type", "authorization"} <= allowed


def test_an_answer_is_compressed_when_accepted(web: Dataset) -> None:
    event = {**_event(webId=fresh("w")), "explain": True}
    with web.org.http.stream(
        "POST", web.path("authevent"), json=event, auth=web.basic, headers={"Accept-Encoding": "gzip"}
    ) as answer:
        raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert "accept-encoding" in answer.headers["vary"].lower()
    assert json.loads(gzip.decompress(raw))["errorCode"] == 0
    uncompressed = web.try_send(event, endpoint="authevent", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in uncompressed.headers
    assert uncompressed.json()["errorCode"] == 0


@pytest.mark.parametrize(
    ("accepted", "is_gzipped"),
    [
        ("gzip;q=0", False),
        ("gzip; q=0.000, identity", False),
        ("br, gzip;q=0", False),
        ("gzip;q=0.5", True),
        ("gzip;q=0.001", True),
        ("identity;q=0, gzip", True),
    ],
)
def test_an_encoding_with_quality_zero_is_not_used(web: Dataset, accepted: str, is_gzipped: bool) -> None:
    answer = web.try_send(_event(), headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding") == "gzip") is is_gzipped
    assert answer.json()["errorCode"] == 0


@pytest.mark.parametrize(
    "path", ["event", "event/", "authevent", "nothing", "nothing/web", "event/web/more", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("prefix", [True, False])
def test_an_unknown_path_is_a_json_404(unprefixed: Dataset, prefix: bool, method: str, path: str) -> None:
    base = f"/t/{unprefixed.org.org}" if prefix else ""
    assert_invalid_event(unprefixed.request(method, f"{base}/api2/{path}"), 404)


# -- answers ------------------------------------------------------------------------------------------------


def test_an_anonymous_event_gets_no_token(web: Dataset) -> None:
    device = new_device()
    answer = web.send({"user": {"anonymousId": device}})
    assert set(answer) == SUCCESS
    assert answer["resolvedUserId"] == device


def test_explanations_are_for_authenticated_callers_only(web: Dataset) -> None:
    for event in ({**_event(), "explain": True}, {**_event(), "debug": {"explanations": True}}):
        assert not {"eventDetails", "campaignExplanations"} & set(web.send(event))
        answer = web.send(event, endpoint="authevent")
        assert answer["campaignExplanations"] == []
        assert isinstance(answer["eventDetails"], dict)
    assert not {"eventDetails", "campaignExplanations"} & set(web.send(_event(), endpoint="authevent"))


def test_interactions_fields_take_precedence_over_the_other_namespace(web: Dataset) -> None:
    one, two = new_device(), new_device()
    answer = web.send(
        {
            "action": "b",
            "interaction": {"name": "a"},
            "user": {"anonymousId": one, "anonId": two},
            "explain": True,
        },
        endpoint="authevent",
    )
    assert answer["resolvedUserId"] == one
    assert "namespace_conflict" in warnings_of(answer)
    assert [event["name"] for event in web.events(one)] == ["a"]
    assert web.user(two) is None


def test_unknown_fields_are_ignored(web: Dataset) -> None:
    device = new_device()
    event = {"user": {"anonymousId": device, "colour": {"a": [1]}}, "weather": [None], "_toolsEventLinkId": 5}
    assert web.send(event)["resolvedUserId"] == device


def test_events_are_stored_newest_first_and_found_by_name_and_time(web: Dataset) -> None:
    page = web.page()
    ids = []
    for name in ("a", "b", "a"):
        page.send(event={"interaction": {"name": name}})
        ids.append(page.answer["id"])
    events = web.events(page.device)
    assert [event["event_id"] for event in events] == ids[::-1]
    path = f"/datasets/{web.name}/profiles/{page.device}/events"
    named_a = web.org.admin("GET", path, params={"name": "a"}).json()["events"]
    assert [event["event_id"] for event in named_a] == [ids[2], ids[0]]
    newest = events[0]["occurred_at"]
    since = web.org.admin("GET", path, params={"since": newest}).json()["events"]
    assert since == [event for event in events if event["occurred_at"] >= newest]


ORDER = {"totalValue": 5.5, "currency": "EUR", "lineItems": []}
LEASE = {"id": "L1", "attributes": {}, "relatedCatalogObjects": {"P": ["1"]}}
ALL_FIELDS: dict[str, dict[str, Any]] = {
    "SalesforceInteractions": {
        "interaction": {
            "name": "Purchase",
            "catalogObject": {"type": "Product", "id": "p1", "attributes": {"price": 5}},
            "lineItem": {"catalogObjectType": "Product", "catalogObjectId": "p1", "quantity": 1},
            "lineItems": [],
            "order": {"id": "o1", **ORDER},
        },
        "user": {"profileObjects": {"Lease": [LEASE]}},
        "source": {"channel": "Web", "pageType": "home", "url": "https://acme.example/", "urlReferrer": "",
                   "locale": "en_US", "contentZones": ["a"], "configVersion": "7", "beaconVersion": 16,
                   "operatingSystem": "x", "device": "y", "surveyId": "s", "surveyStartTime": 5},
        "pageView": True, "explain": False, "account": {"id": "a", "attributes": {}},
        "performance": {"sdkLoadTimeMs": 5, "pageLoadTimeMs": 6.5}, "flags": {"noCampaigns": True},
        "campaignStats": [{"experienceId": "e", "stat": "Click", "control": False, "catalog": {"P": ["1"]}}],
    },
    "Evergage": {
        "action": "Homepage", "itemAction": "View Item",
        "account": {"id": "a", "domain": "d", "attributes": {}},
        "catalog": {"Product": {"_id": "p1", "name": "Shirt"}},
        "cart": {"singleLine": {"Product": {"_id": "p1", "price": 5, "quantity": 1}},
                 "complete": {"Product": []}},
        "order": {"Product": {"orderId": "o1", **ORDER}},
        "flags": {"noCampaigns": False, "doNotTrack": False, "pageView": True, "nonInteractive": False},
        "debug": {"explanations": False, "testMessages": True}, "performance": {"sdkLoadTime": 5},
        "source": {"application": "x", "userAgent": "y", "clientIp": "192.0.2.1", "configVersion": 7},
    },
}  # fmt: skip


@pytest.mark.parametrize("namespace", ALL_FIELDS)
def test_every_field_of_a_namespace_is_stored(web: Dataset, namespace: str) -> None:
    event, device = ALL_FIELDS[namespace], new_device()
    complete = {**event, "user": {**event.get("user", {}), "anonymousId": device}}
    answer = web.send(complete)
    assert answer["errorCode"] == 0
    (stored,) = web.events(device)
    for part in ("interaction", "catalog", "cart", "order", "campaignStats", "performance", "account"):
        if part in event:
            assert stored["body"][part] == event[part]


@pytest.mark.parametrize("beacon", ["msreceiver", "pr", "er", "twreceiver", "jsreceiver"])
def test_side_beacons_get_an_empty_answer_and_store_nothing(unprefixed: Dataset, beacon: str) -> None:
    device = new_device()
    query = urlencode(
        {"_ak": "acme", "_ds": unprefixed.name, ".anonId": device, "userId": fresh("u"), ".bv": "16"}
    )
    for method in ("GET", "POST") if beacon in ("msreceiver", "pr", "er") else ("GET",):
        answer = unprefixed.request(method, f"/{beacon}?{query}")
        assert (answer.status_code, answer.content) == (200, b"")
    assert unprefixed.user(device) is None
