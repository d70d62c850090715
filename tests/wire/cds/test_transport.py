"""Paths, methods, health, CORS and timestamps (docs/wire/cds.md §1)."""

from __future__ import annotations

import httpx
import pytest

from wire.client import TIMESTAMP, Cds, assert_error_text


@pytest.mark.parametrize("path", ["/t", "/t/", "/t/acme", "/t/acme/"])
def test_the_path_of_an_organisation_alone_is_invalid(cds: Cds, path: str) -> None:
    assert_error_text(cds.http.get(path), 400, "Invalid tenant path format")


def test_health_needs_no_token_and_no_organisation(cds: Cds) -> None:
    answer = cds.http.get("/cds/api/v1/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})


def test_ready_needs_no_token(cds: Cds) -> None:
    answer = cds.http.get("/cds/api/v1/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_health_and_ready_are_also_at_the_root(cds: Cds, path: str) -> None:
    assert cds.http.get(path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/cds/api/v1/profiles", "/cds/api/v1/config", "/cds/api/v1/profile-schema", "/nowhere"]
)
def test_other_paths_outside_an_organisation_are_unknown(cds: Cds, path: str) -> None:
    assert cds.http.get(path, headers={"Authorization": f"Bearer {cds.token()}"}).status_code == 404


@pytest.mark.parametrize(
    "path", ["/events", "/nowhere", "", "/profiles/a/b/c", "/config/x", "/profiles/a/merge-history"]
)
def test_an_unknown_path_is_a_text_error(cds: Cds, path: str) -> None:
    assert_error_text(cds.get(path), 404, "404 page not found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/profiles", {"GET", "POST"}),
        ("DELETE", "/profiles", {"GET", "POST"}),
        ("PUT", "/profiles/00000000-0000-4000-8000-000000000001", {"GET", "PATCH", "DELETE"}),
        ("POST", "/profiles/00000000-0000-4000-8000-000000000001", {"GET", "PATCH", "DELETE"}),
        ("POST", "/profiles/Me", {"GET", "PATCH"}),
        ("POST", "/profile-schema", {"GET", "DELETE"}),
        ("PUT", "/profile-schema/traits", {"GET", "POST", "DELETE"}),
        ("POST", "/profile-schema/traits/some-id", {"GET", "PUT", "DELETE"}),
        ("DELETE", "/config", {"GET", "PATCH"}),
        ("POST", "/config", {"GET", "PATCH"}),
    ],
)
def test_an_unsupported_method_lists_the_allowed_methods(
    cds: Cds, method: str, path: str, allowed: set[str]
) -> None:
    answer = cds.request(method, path)
    assert answer.status_code == 405
    listed = {verb.strip() for verb in answer.headers["allow"].split(",")}
    assert allowed <= listed, listed
    assert method not in listed


@pytest.mark.parametrize("path", ["/profiles", "/profile-schema", "/profile-schema/traits", "/config"])
def test_one_trailing_slash_is_ignored(cds: Cds, path: str) -> None:
    answer = cds.get(path + "/")
    assert answer.status_code == 200
    assert type(answer.json()) is type(cds.get(path).json())


def test_a_trailing_slash_is_ignored_on_writes(cds: Cds) -> None:
    assert cds.post("/profiles/", {}).status_code == 201


@pytest.mark.parametrize("path", ["/profiles", "/profile-schema", "/profile-schema/traits", "/config"])
def test_get_routes_answer_head(cds: Cds, path: str) -> None:
    answer = cds.request("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_head_of_a_profile_has_its_version(cds: Cds) -> None:
    created = cds.create()
    answer = cds.request("HEAD", f"/profiles/{created['profile_id']}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["etag"]


@pytest.mark.parametrize(
    "path", ["/profiles", "/profiles/Me", "/profile-schema/traits", "/config", "/unification-rules"]
)
def test_options_is_empty_and_needs_no_token(cds: Cds, path: str) -> None:
    answer = cds.request("OPTIONS", path, anonymous=True)
    assert (answer.status_code, answer.content) == (200, b"")


def _preflight(configured: Cds, origin: str, **headers: str) -> httpx.Response:
    all_headers = {"Origin": origin, "Access-Control-Request-Method": "PATCH", **headers}
    return configured.request("OPTIONS", "/profiles", anonymous=True, headers=all_headers)


def test_a_configured_origin_is_allowed(configured: Cds, origin: str) -> None:
    answer = _preflight(configured, origin, **{"Access-Control-Request-Headers": "X-One, X-Two"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, OPTIONS, PATCH"
    assert answer.headers["access-control-allow-headers"] == "X-One, X-Two"


def test_content_type_and_authorization_are_allowed_by_default(configured: Cds, origin: str) -> None:
    answer = _preflight(configured, origin)
    assert answer.headers["access-control-allow-headers"] == "Content-Type, Authorization"


def test_the_etag_is_exposed_to_a_configured_origin(configured: Cds, origin: str) -> None:
    answer = configured.post("/profiles", {}, headers={"Origin": origin})
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "Content-Length, ETag"


def test_an_error_is_readable_by_a_configured_origin(configured: Cds, origin: str) -> None:
    answer = configured.get("/profiles", anonymous=True, headers={"Origin": origin})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == origin


def test_another_origin_is_not_allowed(configured: Cds) -> None:
    answer = _preflight(configured, "https://elsewhere.example")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


def test_answers_are_json_in_utf_8(cds: Cds) -> None:
    key = cds.trait()
    text = "žluťoučký kůň 🐎 \u2028 ñ"
    created = cds.create({"traits": {key: text}})
    answer = cds.patch(f"/profiles/{created['profile_id']}", {})
    assert answer.headers["content-type"].split(";")[0] == "application/json"
    assert answer.content.decode("utf-8")
    assert answer.json()["traits"][key] == text


def test_timestamps_are_utc_with_microseconds(cds: Cds) -> None:
    meta = cds.create()["meta"]
    assert TIMESTAMP.match(meta["created_at"])
    assert TIMESTAMP.match(meta["updated_at"])
