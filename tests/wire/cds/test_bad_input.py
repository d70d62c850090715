"""Invalid input: a 4xx with a code and a description, nothing stored, and the next request works."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from wire.client import Cds, assert_client_error, fresh


@pytest.fixture(autouse=True)
def the_next_request_works(cds: Cds) -> Iterator[None]:
    yield
    assert cds.create()["profile_id"]


@pytest.fixture(scope="module")
def trait(cds: Cds) -> str:
    return cds.trait()


@pytest.fixture(scope="module")
def number(cds: Cds) -> str:
    return cds.trait("integer")


@pytest.fixture(scope="module")
def decimal(cds: Cds) -> str:
    return cds.trait("decimal")


def _assert_rejected(cds: Cds, content: bytes | str, **kwargs: Any) -> httpx.Response:
    """POST and PATCH the content; both must reject it and store nothing."""
    profile = cds.create()
    patch_answer = cds.raw("PATCH", f"/profiles/{profile['profile_id']}", content, **kwargs)
    assert_client_error(patch_answer)
    assert cds.read(profile["profile_id"])["meta"] == profile["meta"]
    post_answer = cds.raw("POST", "/profiles", content, **kwargs)
    assert_client_error(post_answer)
    assert "set-cookie" not in post_answer.headers
    return post_answer


# -- JSON -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"}",
        b'{"traits": }',
        b"{'traits': {}}",
        b'{"traits": {}',
        b'{"traits": {},}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{",
        b'{"traits": {"a": "\x00"}}',
        b'{"traits": {"a": "\xc3\x28"}}',
        b'{"traits": {"a": NaN}}',
        b'{"traits": {"a": Infinity}}',
        b'{"traits": {"a": undefined}}',
        b"<xml/>",
        b"traits=x",
        b"\x1f\x8b\x08\x00",
        "{}".encode("utf-16"),
    ],
    ids=repr,
)
def test_invalid_json_is_rejected(cds: Cds, content: bytes) -> None:
    _assert_rejected(cds, content)


@pytest.mark.parametrize(("open_", "close"), [("[", "]"), ('{"a":', "}")], ids=["arrays", "objects"])
@pytest.mark.parametrize("depth", [200, 5000, 100_000])
def test_a_document_that_is_too_deep_is_rejected(
    cds: Cds, trait: str, open_: str, close: str, depth: int
) -> None:
    _assert_rejected(cds, f'{{"traits": {{"{trait}": {open_ * depth}1{close * depth}}}}}')


@pytest.mark.parametrize("depth", [200, 100_000])
def test_schema_and_configuration_reject_documents_that_are_too_deep(cds: Cds, depth: int) -> None:
    content = "[" * depth + "]" * depth
    assert_client_error(cds.raw("POST", "/profile-schema/traits", content))
    assert_client_error(cds.raw("PATCH", "/config", '{"system_applications": ' + content + "}"))


def _answer_or_none(send: Any) -> httpx.Response | None:
    """Send a request; None if the server closed the connection before it read the body."""
    try:
        return send()
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return None


@pytest.mark.parametrize("path", ["/profiles", "/profile-schema/traits"])
def test_a_body_that_is_too_large_is_413(cds: Cds, trait: str, path: str) -> None:
    content = json.dumps({"traits": {trait: "x" * (24 * 1024 * 1024)}})
    answer = _answer_or_none(lambda: cds.raw("POST", path, content))
    if answer is not None:
        assert answer.status_code == 413
        assert_client_error(answer)


def test_a_large_body_without_a_length_is_rejected(cds: Cds) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"traits": {"x": "'
        for _ in range(24):
            yield b"x" * 1024 * 1024
        yield b'"}}'

    answer = _answer_or_none(lambda: cds.raw("POST", "/profiles", pieces()))  # type: ignore[arg-type]
    if answer is not None:
        assert answer.status_code == 413


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "nonsense",
    ],
)
def test_another_content_type_is_rejected(cds: Cds, content_type: str) -> None:
    profile = cds.create()
    for method, path in (
        ("POST", "/profiles"),
        ("PATCH", f"/profiles/{profile['profile_id']}"),
        ("PATCH", "/config"),
    ):
        assert_client_error(cds.raw(method, path, "{}", headers={"Content-Type": content_type}))


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "APPLICATION/JSON"]
)
def test_json_with_a_utf_8_charset_is_accepted(cds: Cds, content_type: str) -> None:
    assert cds.raw("POST", "/profiles", "{}", headers={"Content-Type": content_type}).status_code == 201


def test_an_unreadable_compressed_body_is_rejected(cds: Cds) -> None:
    headers = {"Content-Encoding": "gzip"}
    assert_client_error(cds.raw("POST", "/profiles", b"\x1f\x8b\x08\x00garbage", headers=headers))


def test_a_hundred_thousand_keys_are_rejected(cds: Cds) -> None:
    keys = {f"k{n}": n for n in range(100_000)}
    _assert_rejected(cds, json.dumps({"traits": keys}))
    assert_client_error(cds.raw("POST", "/profiles", json.dumps(keys)))
    _assert_rejected(cds, json.dumps({"application_data": {f"a{n}": {"k": 1} for n in range(100_000)}}))


def test_a_hundred_thousand_attributes_are_rejected(cds: Cds) -> None:
    content = json.dumps([{"attribute_name": "traits"}] * 100_000)
    answer = _answer_or_none(lambda: cds.raw("POST", "/profile-schema/traits", content))
    if answer is not None:
        assert_client_error(answer)


# -- text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["\\u0000", "a\\u0000b", "\\ud800", "\\udfff", "\\ud800\\ud800", "a\\udc00b"]
)
def test_nul_bytes_and_lone_surrogates_are_rejected(cds: Cds, trait: str, text: str) -> None:
    _assert_rejected(cds, f'{{"traits": {{"{trait}": "{text}"}}}}')
    _assert_rejected(cds, f'{{"traits": {{"{text}": "x"}}}}')
    _assert_rejected(cds, f'{{"application_data": {{"{text}": {{"x": 1}}}}}}')
    _assert_rejected(cds, f'{{"user_id": "{text}"}}')


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
def test_schema_and_configuration_reject_nul_and_lone_surrogates(cds: Cds, text: str) -> None:
    body = f'[{{"attribute_name": "traits.{text}", "value_type": "string", "merge_strategy": "overwrite"}}]'
    assert_client_error(cds.raw("POST", "/profile-schema/traits", body))
    name = fresh("label")
    body = (
        f'[{{"attribute_name": "traits.{name}", "value_type": "string", "merge_strategy": "overwrite",'
        f' "canonical_values": [{{"value": "a", "label": "{text}"}}]}}]'
    )
    assert_client_error(cds.raw("POST", "/profile-schema/traits", body))
    assert_client_error(cds.raw("PATCH", "/config", f'{{"system_applications": ["{text}"]}}'))


def test_a_surrogate_pair_is_one_character(cds: Cds, trait: str) -> None:
    answer = cds.raw("POST", "/profiles", f'{{"traits": {{"{trait}": "\\ud83d\\udc34"}}}}')
    assert answer.status_code == 201
    assert answer.json()["traits"] == {trait: "🐴"}


@pytest.mark.parametrize("user", ["x" * 100_000, "\u202e" * 3000], ids=["letters", "invisible characters"])
def test_a_user_id_that_is_too_long_is_rejected(cds: Cds, user: str) -> None:
    _assert_rejected(cds, json.dumps({"user_id": user}))


# -- numbers and dates ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digits", ["1e400", "-1e400", "9" * 400, "-" + "9" * 5000, "1e-400000000", "1E+99999999999"]
)
def test_extreme_numbers_leave_the_profile_readable(cds: Cds, number: str, decimal: str, digits: str) -> None:
    for key in (number, decimal):
        profile = cds.create()
        answer = cds.raw(
            "PATCH", f"/profiles/{profile['profile_id']}", f'{{"traits": {{"{key}": {digits}}}}}'
        )
        if answer.status_code != 200:
            assert_client_error(answer)
        assert cds.get(f"/profiles/{profile['profile_id']}").status_code == 200


@pytest.mark.parametrize("digits", ["9" * 400, "-" + "9" * 5000, "9223372036854775808", "1e30"])
def test_an_integer_out_of_range_is_rejected(cds: Cds, number: str, digits: str) -> None:
    _assert_rejected(cds, f'{{"traits": {{"{number}": {digits}}}}}')


@pytest.mark.parametrize("digits", ["1e400", "-1e400"])
def test_a_decimal_out_of_range_is_rejected(cds: Cds, decimal: str, digits: str) -> None:
    _assert_rejected(cds, f'{{"traits": {{"{decimal}": {digits}}}}}')


@pytest.mark.parametrize(
    "digits", ['"' + "9" * 400 + '"', "9" * 400, "-" + "9" * 30, '"٣"', '"²"', '"1_000"', '"+5 "']
)
def test_an_invalid_epoch_is_rejected(cds: Cds, digits: str) -> None:
    key = cds.trait("epoch")
    _assert_rejected(cds, f'{{"traits": {{"{key}": {digits}}}}}')


@pytest.mark.parametrize(
    "day",
    [
        "99999-01-01",
        "0000-00-00",
        "2026-06-5",
        "2026-W23-5",
        "+2026-06-05",
        "-0001-01-01",
        "２０２６-06-05",
        "2026-06-05\n",
    ],
)
def test_an_invalid_date_is_rejected(cds: Cds, day: str) -> None:
    key = cds.trait("date")
    _assert_rejected(cds, json.dumps({"traits": {key: day}}))


@pytest.mark.parametrize(
    "moment",
    [
        "99999-01-01T00:00:00Z",
        "2026-06-05T24:00:01Z",
        "2026-06-05T00:60:00Z",
        "2026-06-05T00:00:00+99:00",
        "2026-06-05T00:00:00Zulu",
        "2026-06-05T",
        "T00:00:00Z",
        "2026-06-05T03:38:04Z\n",
        "x" * 10_000,
    ],
)
def test_an_invalid_date_time_is_rejected(cds: Cds, moment: str) -> None:
    key = cds.trait("date_time")
    _assert_rejected(cds, json.dumps({"traits": {key: moment}}))


# -- paths, queries, headers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tail",
    [
        "%00",
        "a%00b",
        "%ff",
        "%c3%28",
        "%ed%a0%80",
        "%2e%2e%2f",
        "..%2f..%2fetc",
        "x" * 4000,
        "'%20or%201=1",
        "%F0%9F%90%B4",
    ],
)
def test_an_invalid_profile_id_is_unknown(cds: Cds, tail: str) -> None:
    for method in ("GET", "PATCH"):
        answer = (
            cds.raw(method, f"/profiles/{tail}", "{}") if method == "PATCH" else cds.get(f"/profiles/{tail}")
        )
        assert_client_error(answer)
    # Deleting a profile that does not exist succeeds; an encoded slash is part of the id.
    assert cds.delete(f"/profiles/{tail}").status_code == 204
    assert_client_error(cds.get(f"/profile-schema/traits/{tail}"))


@pytest.mark.parametrize(
    "query",
    [
        "page_size=%00",
        "page_size=1&page_size=two",
        "cursor=%00",
        "cursor=%ff%fe",
        "cursor=" + "A" * 6000,
        "filter=%00",
        "filter=traits.a%20eq%20%00",
        "filter=traits.%00%20eq%20x",
        "filter=traits.a%20co%20%ff",
        "filter=traits.a%20eq%20%ed%a0%80",
        "attributes=%00",
        "attributes=traits.%00",
        "attributes=" + "traits.a," * 800,
        "&&&===",
        "filter",
    ],
)
def test_an_invalid_query_is_not_a_server_error(cds: Cds, query: str) -> None:
    answer = cds.http.get(
        cds.path("/profiles") + "?" + query, headers={"Authorization": f"Bearer {cds.token()}"}
    )
    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


def test_a_filter_with_300_conditions_is_accepted(cds: Cds, trait: str) -> None:
    condition = " and ".join([f"traits.{trait} eq x"] * 300)
    answer = cds.get("/profiles", params={"filter": condition})
    assert answer.status_code == 200
    assert answer.json()["profiles"] == []


@pytest.mark.parametrize(
    "value", ["%", "'; drop table profile; --", "\\", "\\u0000", "$1", "{}", "[", "(?:", "\u202e"]
)
def test_a_filter_value_is_never_interpreted(cds: Cds, trait: str, value: str) -> None:
    for operator in ("eq", "co", "sw"):
        answer = cds.get("/profiles", params={"filter": f"traits.{trait} {operator} {value}"})
        assert answer.status_code == 200
        assert answer.json()["profiles"] == []


@pytest.mark.parametrize("header", ["If-Match", "Idempotency-Key", "Cookie"])
@pytest.mark.parametrize(
    "value", ["\x7f", '"', "x" * 6000, "é".encode().decode("latin-1"), ";;;=,=", '"a", W/"b"']
)
def test_an_invalid_header_is_not_a_server_error(cds: Cds, header: str, value: str) -> None:
    profile_id = cds.create()["profile_id"]
    for method, path in (("POST", "/profiles"), ("PATCH", f"/profiles/{profile_id}")):
        headers = [
            (b"Authorization", f"Bearer {cds.token()}".encode()),
            (b"Content-Type", b"application/json"),
            (header.encode(), value.encode("latin-1")),
        ]
        answer = cds.http.request(method, cds.path(path), headers=headers, content=b"{}")
        assert answer.status_code < 500, answer.text


def _send_raw(cds: Cds, request: bytes) -> bytes:
    at = urlsplit(cds.base_url)
    with socket.create_connection((at.hostname or "", at.port or 80), timeout=10) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    return answer


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /t/acme/cds/api/v1/profiles\r\n\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET /t/acme/cds/api/v1/profiles HTTP/1.1\r\nHost: a\r\nBad Header\r\n\r\n",
        b"POST /t/acme/cds/api/v1/profiles HTTP/1.1\r\nHost: a\r\nContent-Length: minus\r\n\r\n{}",
        b"POST /t/acme/cds/api/v1/profiles HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n{",
    ],
    ids=range(5),
)
def test_invalid_http_is_not_a_server_error(cds: Cds, request_: bytes) -> None:
    answer = _send_raw(cds, request_)
    assert b"Traceback" not in answer
    assert not answer.startswith(b"HTTP/1.1 5")


# -- API documents ----------------------------------------------------------------------------------


def test_the_openapi_document_names_the_operations(cds: Cds) -> None:
    document = cds.http.get("/openapi.json")
    assert document.status_code == 200
    paths = document.json()["paths"]
    for tail in ("/profiles", "/profiles/Me", "/profile-schema", "/config"):
        assert any(path.endswith("/cds/api/v1" + tail) for path in paths), tail


def test_the_reference_page_loads_nothing_from_the_internet(cds: Cds) -> None:
    page = cds.http.get("/docs", follow_redirects=True)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "https://cdn" not in page.text
    assert "//unpkg" not in page.text
    assert "jsdelivr" not in page.text
