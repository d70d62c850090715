"""Invalid events are rejected with an error and not stored (docs/wire/interactions.md §6, §14)."""

from __future__ import annotations

import base64
import functools
import json
from typing import Any
from urllib.parse import quote

import pytest

from wire.client import Cds, fresh
from wire.interactions.client import ENCODINGS, FORM, Dataset, assert_invalid_event, base64_of, new_device

BODY_BYTES_MAX = 256 * 1024
URL_CHARACTERS_MAX = 16_384


def _event(email: str, device: str) -> dict[str, Any]:
    return {
        "interaction": {"name": "x"},
        "user": {"anonymousId": device, "identities": {"emailAddress": email}},
    }


def _merged(event: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    created = dict(event)
    for key, value in change.items():
        inner = created.get(key)
        created[key] = (
            _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) and value else value
        )
    return created


# -- structural fields of the wrong type --------------------------------------------------------------------

OBJECTS = (
    "user", "source", "flags", "interaction", "account", "debug", "performance", "catalog", "cart", "order"
)  # fmt: skip
LISTS = ("consents", "campaignStats")
PARTS = ("attributes", "identities", "profileObjects")
FLAGS = ("doNotTrack", "nonInteractive", "noCampaigns", "pageView")

WRONG_TYPES: list[dict[str, Any]] = [
    *({field: value} for field in OBJECTS for value in ("x", 5, [], True)),
    *({field: value} for field in LISTS for value in ("x", 5, {"a": 1}, True)),
    *({field: [value]} for field in LISTS for value in ("x", 5, [], True)),
    *({"user": {field: value}} for field in PARTS for value in ("x", 5, [], True)),
    *({"user": {"encryptedId": value}} for value in (5, ["x"], {"a": 1}, True)),
    *({"user": {"profileObjects": {"Lease": value}}} for value in ("x", 5, {"id": "L1"}, ["x"])),
    *({"source": {"time": value}} for value in ("x", [5], {"a": 1}, True)),
    *({"source": {"channel": value}} for value in (5, ["Web"], {"a": 1}, True)),
    *({"source": {"contentZones": value}} for value in ("x", 5, {"a": 1})),
    *({"flags": {field: value}} for field in FLAGS for value in ("yes", 5, [], {"a": 1})),
    *({"interaction": {"name": value}} for value in (5, ["x"], {"a": 1}, True)),
    *({"action": value} for value in (5, ["x"], {"a": 1}, True)),
    {"catalog": {"Product": 5}},
    {"cart": {"singleLine": 5}},
    {"order": {"Product": 5}},
    {"interaction": {"catalogObject": 5}},
    {"interaction": {"lineItems": 5}},
    {"interaction": {"order": []}},
    {"pageView": 5},
    {"explain": "yes"},
    {"source": {"url": 5}},
]  # fmt: skip


@pytest.mark.parametrize("change", WRONG_TYPES, ids=json.dumps)
def test_a_structural_field_of_the_wrong_type_is_rejected(web: Dataset, change: dict[str, Any]) -> None:
    email, device = f"{fresh('ann')}@acme.example", new_device()
    assert_invalid_event(web.try_send(_merged(_event(email, device), change)), 400)
    assert web.resolve(emailAddress=email) is None
    assert web.user(device) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("event", [[], [{}], "x", 5, None, True], ids=json.dumps)
def test_an_event_must_be_an_object(web: Dataset, encoding: str, event: Any) -> None:
    assert_invalid_event(web.try_send(event, encoding), 400)


def test_null_means_absent(web: Dataset) -> None:
    fields = (*OBJECTS, *LISTS)
    device = new_device()
    assert web.send(dict.fromkeys(fields))["errorCode"] == 0
    assert web.send({"user": {"anonymousId": device, **dict.fromkeys(PARTS)}})["resolvedUserId"] == device
    source = dict.fromkeys(("time", "channel", "url", "contentZones"))
    assert web.send({"user": {"anonymousId": device}, "source": source})["resolvedUserId"] == device


@pytest.mark.parametrize("number", ["12345678901234567890123", "1e400"])
def test_an_inexact_number_identifies_no_other_profile(web: Dataset, number: str) -> None:
    """If the number were rounded, two customers could be the same user."""
    content = f'{{"user": {{"id": {number}}}}}'
    answer = web.request("POST", content=content, headers={"Content-Type": "application/json"})
    if answer.status_code == 200:
        assert web.resolve(webId=number) == answer.json()["resolvedUserId"]
    else:
        assert_invalid_event(answer, 400)


def test_a_number_of_64_bits_is_stored_exactly(web: Dataset) -> None:
    one, two = (web.send({"user": {"id": number}})["resolvedUserId"] for number in (2**53, 2**53 + 1))
    assert one != two
    assert web.resolve(webId=str(2**53 + 1)) == two


NUL = "a\x00b"


@pytest.mark.parametrize(
    "change",
    [
        {"interaction": {"name": NUL}},
        {"user": {"id": NUL}},
        {"user": {"attributes": {"favColour": NUL}}},
        {"user": {"attributes": {NUL: "x"}}},
        {"user": {"identities": {"webId": NUL}}},
        {"user": {"anonId": NUL}},
        {"user": {"encryptedId": NUL}},
        {"source": {"url": NUL}},
        {"account": {"attributes": {"x": [NUL]}}},
        {"whatever": {"deep": [{"x": NUL}]}},
    ],
    ids=json.dumps,
)
def test_a_nul_in_a_string_is_rejected_and_nothing_is_stored(web: Dataset, change: dict[str, Any]) -> None:
    email, device = f"{fresh('ann')}@acme.example", new_device()
    assert_invalid_event(web.try_send(_merged(_event(email, device), change)), 400)
    assert web.resolve(emailAddress=email) is None
    assert web.user(device) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"{",
        b"{,}",
        b"\xff\xfe",
        b'{"action": "\xff"}',
        b'{"action": "\xed\xa0\x80"}',
        b'{"a": NaN}',
        b"{'a': 1}",
        b'{"a": 1} x',
        b"[" * 50_000,
        b'{"user":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a": "\\ud800"}',
    ],
    ids=lambda content: repr(content[:16]),
)
def test_an_undecodable_body_is_rejected(web: Dataset, content: bytes) -> None:
    answer = web.request("POST", content=content, headers={"Content-Type": "application/json"})
    assert_invalid_event(answer, 400)


@pytest.mark.parametrize(
    "parameter",
    [
        "",
        "event=",
        "event=%20",
        "event=%00",
        "event=*",
        "event=e30x",
        "event={",
        "event=%7B%22a%22",
        "event=%ff%fe",
        f"event={quote(base64.b64encode(b'not json').decode())}",
        f"event={quote(base64.b64encode(b'[]').decode())}",
        f"event={quote(base64.b64encode(bytes(range(128, 255))).decode())}",
        f"event={quote(quote(base64_of({}) + '=='))}%25",
        f"Event={base64_of({})}",
        "e30=",
    ],
)
def test_an_undecodable_parameter_is_rejected(web: Dataset, parameter: str) -> None:
    assert_invalid_event(web.request("GET", f"{web.path()}?{parameter}"), 400)
    assert_invalid_event(web.request("POST", content=parameter, headers=FORM), 400)


# -- limits -------------------------------------------------------------------------------------------------


def _padded(email: str, size: int) -> bytes:
    body = json.dumps(_event(email, new_device()))
    return (body[:-1] + f', "x": "{"x" * (size - len(body) - 9)}"' + "}").encode()


def test_a_body_has_at_most_256_kib(web: Dataset) -> None:
    headers = {"Content-Type": "application/json"}
    email, body = f"{fresh('ann')}@acme.example", b""
    body = _padded(email, BODY_BYTES_MAX)
    assert len(body) == BODY_BYTES_MAX
    assert web.request("POST", content=body, headers=headers).status_code == 200
    email = f"{fresh('ann')}@acme.example"
    assert_invalid_event(
        web.request("POST", content=_padded(email, BODY_BYTES_MAX + 1), headers=headers), 413
    )
    assert web.resolve(emailAddress=email) is None


def test_a_large_body_without_a_length_is_rejected(web: Dataset) -> None:
    headers, email = {"Content-Type": "application/json"}, f"{fresh('ann')}@acme.example"
    body = _padded(email, BODY_BYTES_MAX + 1)
    pieces = (body[i : i + 8192] for i in range(0, len(body), 8192))
    assert_invalid_event(web.request("POST", content=pieces, headers=headers), 413)
    assert web.resolve(emailAddress=email) is None


def test_a_large_form_is_rejected(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    content = b"event=" + quote(_padded(email, BODY_BYTES_MAX)).encode()
    assert_invalid_event(web.request("POST", content=content, headers=FORM), 413)
    assert web.resolve(emailAddress=email) is None


def test_a_large_authenticated_event_is_rejected(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    headers = {"Content-Type": "application/json"}
    content = _padded(email, BODY_BYTES_MAX + 1)
    answer = web.request("POST", web.path("authevent"), content=content, headers=headers, auth=web.basic)
    assert_invalid_event(answer, 413)
    assert web.resolve(emailAddress=email) is None


def test_a_url_has_at_most_16384_characters(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"

    def url(length: int) -> str:
        event = quote(base64_of(_event(email, new_device())), safe="")
        start = f"{web.path()}?event={event}&x="
        return start + "x" * (length - len(start))

    longest = url(URL_CHARACTERS_MAX - len(web.org.base_url))
    assert web.request("GET", longest).status_code == 200
    email = f"{fresh('ann')}@acme.example"
    assert_invalid_event(web.request("GET", url(URL_CHARACTERS_MAX + 1)), 413)
    assert web.resolve(emailAddress=email) is None


DEEP: Any = functools.reduce(lambda inner, _: {"a": inner}, range(60), "x")


@pytest.mark.parametrize(
    "change",
    [
        {"interaction": {"name": "x" * 5000}},
        {"source": {"url": "https://acme.example/" + "x" * 10_000, "time": 1e300}},
        {"source": {"time": 0}},
        {"source": {"time": 1.5e12}},
        {"user": {"attributes": {"x" * 3000: "y" * 3000}}},
    ],
    ids=["long name", "long URL and late time", "time 0", "time as a float", "long attribute"],
)
def test_extreme_values_are_accepted(web: Dataset, change: dict[str, Any]) -> None:
    email = f"{fresh('ann')}@acme.example"
    answer = web.send(_merged(_event(email, new_device()), change))
    assert answer["errorCode"] == 0
    assert web.resolve(emailAddress=email) == answer["resolvedUserId"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"whatever": DEEP}, "nested deeper than 32 levels"),
        ({"source": {"time": -5}}, "source.time must be in epoch milliseconds"),
        (
            {"user": {"identities": {f"name{i}": "x" for i in range(2000)}}},
            "user.identities has more than 100 entries",
        ),
    ],
    ids=["too deep", "time before 1970", "too many identities"],
)
def test_values_beyond_the_limits_are_rejected(web: Dataset, change: dict[str, Any], message: str) -> None:
    email = f"{fresh('ann')}@acme.example"
    answer = web.try_send(_merged(_event(email, new_device()), change))
    assert_invalid_event(answer, 400)
    assert message in answer.json()["message"]
    assert web.resolve(emailAddress=email) is None


# -- datasets, organisations, credentials -------------------------------------------------------------------


@pytest.mark.parametrize("dataset", ["nowhere", "%00", "a" * 300, "..", "%E2%98%95"])
@pytest.mark.parametrize("encoding", ["json", "get"])
def test_an_unknown_dataset_is_404(web: Dataset, dataset: str, encoding: str) -> None:
    answer = Dataset(web.org, dataset).try_send(_event("x@acme.example", new_device()), encoding)
    if dataset == "..":
        assert answer.status_code == 404
    else:
        assert_invalid_event(answer, 404)


def test_an_unknown_organisation_is_404(web: Dataset) -> None:
    path = f"/t/unknown/api2/event/{web.name}"
    assert_invalid_event(web.request("POST", path, json={"user": {}}), 404)


def test_the_dataset_of_another_organisation_is_unknown(web: Dataset, other: Cds) -> None:
    assert_invalid_event(Dataset(other, web.name).try_send({"user": {"anonymousId": new_device()}}), 404)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !",
        "Basic " + base64.b64encode(b"unknown").decode(),
        "Basic " + base64.b64encode(b"unknown:nothing").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"a\x00:b\x00").decode(),
        "Bearer x",
    ],
)
def test_an_authenticated_event_needs_credentials(web: Dataset, authorization: str | None) -> None:
    email = f"{fresh('ann')}@acme.example"
    headers = {"Authorization": authorization} if authorization is not None else {}
    assert_invalid_event(
        web.try_send(_event(email, new_device()), endpoint="authevent", auth=None, headers=headers), 401
    )
    assert web.resolve(emailAddress=email) is None


def test_a_wrong_secret_is_401(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    answer = web.try_send(
        _event(email, new_device()), endpoint="authevent", auth=(web.org.client_id, "wrong")
    )
    assert_invalid_event(answer, 401)
    assert web.resolve(emailAddress=email) is None


def test_the_credentials_of_another_organisation_are_401(web: Dataset, other: Cds) -> None:
    auth = (other.client_id, other.client_secret)
    assert_invalid_event(web.try_send({"user": {}}, endpoint="authevent", auth=auth), 401)


def test_credentials_without_the_permission_are_403(web: Dataset) -> None:
    body = {"name": fresh("reader"), "kind": "machine", "permissions": ["internal_cds_profile_view"]}
    token = web.org.token("internal_cds_admin_config_update")
    created = web.org.admin("POST", "/applications", body, token=token)
    assert created.status_code == 201, created.text
    email = f"{fresh('ann')}@acme.example"
    auth = (created.json()["client_id"], created.json()["client_secret"])
    answer = web.try_send(_event(email, new_device()), endpoint="authevent", auth=auth)
    assert answer.status_code == 403
    assert answer.json()["errorCode"] == 5
    assert web.resolve(emailAddress=email) is None


def test_an_application_with_the_permission_can_send_events(web: Dataset) -> None:
    body = {"name": fresh("sender"), "kind": "machine", "permissions": ["internal_cds_event_create"]}
    created = web.org.admin("POST", "/applications", body).json()
    email = f"{fresh('ann')}@acme.example"
    auth = (created["client_id"], created["client_secret"])
    assert web.try_send(_event(email, new_device()), endpoint="authevent", auth=auth).status_code == 200
    assert web.resolve(emailAddress=email)


def test_an_open_event_ignores_wrong_credentials(web: Dataset) -> None:
    assert web.try_send({"user": {"anonymousId": new_device()}}, auth=("a", "b")).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "multipart/form-data", ""])
def test_any_other_content_type_is_read_as_json(web: Dataset, content_type: str) -> None:
    device = new_device()
    content = json.dumps({"user": {"anonymousId": device}})
    answer = web.request("POST", content=content, headers={"Content-Type": content_type})
    assert answer.status_code == 200
    assert (answer.json()["errorCode"], answer.json()["resolvedUserId"]) == (0, device)
