"""`/t/{org}/api/v1`: the permission of every operation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_client_error, assert_error

ROUTES = {
    "POST /unification-rules/preview": "unification_rule_view",
    "GET /unification-rules/progress": "unification_rule_view",
    "GET /refusals": "profile_view",
    "GET /protection": "admin_config_view",
    "PATCH /protection": "admin_config_update",
    f"GET /profiles/{UNKNOWN_ID}/export": "privacy_export",
    f"POST /profiles/{UNKNOWN_ID}/erase": "profile_delete",
    f"POST /profiles/{UNKNOWN_ID}/split": "profile_merge",
    f"POST /profiles/{UNKNOWN_ID}/merge": "profile_merge",
    f"POST /datasets/default/profiles/{UNKNOWN_ID}/split": "profile_merge",
    f"POST /datasets/default/profiles/{UNKNOWN_ID}/merge": "profile_merge",
    "GET /erasures": "profile_view",
    f"GET /erasures/{UNKNOWN_ID}": "profile_view",
    "GET /unfit-values": "admin_config_view",
}
UNGATED = {
    "GET /claims": "admin_config_view",
    "POST /claims": "admin_config_update",
    "GET /claims/nothing": "admin_config_view",
    "PATCH /claims/nothing": "admin_config_update",
    "DELETE /claims/nothing": "admin_config_update",
    "GET /applications": "admin_config_view",
    "POST /applications": "admin_config_update",
    f"GET /applications/{UNKNOWN_ID}": "admin_config_view",
    f"PATCH /applications/{UNKNOWN_ID}": "admin_config_update",
    f"DELETE /applications/{UNKNOWN_ID}": "admin_config_update",
    "GET /users": "admin_config_view",
    "POST /users": "admin_config_update",
    f"GET /users/{UNKNOWN_ID}": "admin_config_view",
    f"PATCH /users/{UNKNOWN_ID}": "admin_config_update",
    f"DELETE /users/{UNKNOWN_ID}": "admin_config_update",
    "GET /identity-provider": "admin_config_view",
    "POST /identity-provider": "admin_config_update",
    "PATCH /identity-provider": "admin_config_update",
    "DELETE /identity-provider": "admin_config_update",
    "GET /identity-provider/trusted-issuers": "admin_config_view",
    "POST /datasets/default/resolve": "profile_view",
    f"GET /datasets/default/profiles/{UNKNOWN_ID}": "profile_view",
    f"GET /datasets/default/profiles/{UNKNOWN_ID}/events": "profile_view",
    f"GET /datasets/default/profiles/{UNKNOWN_ID}/identifiers": "profile_view",
    f"GET /datasets/default/profiles/{UNKNOWN_ID}/history": "profile_view",
    "GET /datasets/default/write-keys": "identity_view",
    "POST /datasets/default/write-keys": "identity_update",
    f"DELETE /datasets/default/write-keys/{UNKNOWN_ID}": "identity_update",
}
ALL = {**ROUTES, **UNGATED}
MISSING_PATHS = {"/claims/nothing"}
EVERY_ROUTE = pytest.mark.parametrize(("route", "permission"), ALL.items(), ids=ALL)


@EVERY_ROUTE
def test_a_token_of_another_organisation_is_401(cds: Cds, other: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    assert_error(cds.raw(method, path, "{", face="/api/v1", token=other.token(permission)), 401, "CDS-10002")


@EVERY_ROUTE
def test_a_request_without_valid_credentials_is_401(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    for header in ("", "Bearer", "Bearer x.y.z", "Basic YTpi"):
        answer = cds.raw(method, path, "{", face="/api/v1", authorization=header)
        assert_error(answer, 401, "CDS-10002")


@EVERY_ROUTE
def test_all_other_permissions_are_403(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    others = [name for name in cds.permissions if not name.endswith(f"cds_{permission}")]
    assert_error(cds.raw(method, path, "{", face="/api/v1", token=cds.token(*others)), 403, "CDS-10003")


@EVERY_ROUTE
def test_with_the_permission_invalid_bodies_are_client_errors(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    token = cds.token(permission)
    if method in ("POST", "PATCH") and "/erase" not in path:
        for content in ("{", "[]", "5", '{"unknown_field": 1}', "\x00", '"' * 9):
            answer = cds.raw(method, path, content, face="/api/v1", token=token)
            assert_client_error(answer)
            assert answer.status_code not in (401, 403)
    elif method == "GET":
        missing = UNKNOWN_ID in path or path in MISSING_PATHS
        assert cds.admin(method, path, token=token).status_code == (404 if missing else 200)


@pytest.mark.parametrize("route", ROUTES)
def test_every_profile_operation_needs_an_enabled_service(disabled: Cds, route: str) -> None:
    method, path = route.split()
    assert_error(disabled.raw(method, path, "{}", face="/api/v1"), 400, "CDS-16001")


@pytest.fixture(scope="module")
def disabled(new_org: Callable[[], Cds]) -> Cds:
    """An organisation whose service is disabled."""
    org = new_org()
    assert org.patch("/config", {"cds_enabled": False}).status_code == 200
    return org


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/profiles", f"/profiles/{UNKNOWN_ID}/nothing"])
def test_an_unknown_path_is_404(cds: Cds, path: str) -> None:
    assert cds.admin("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/refusals"), ("PUT", "/protection"), ("GET", "/unification-rules/preview")],
)
def test_an_unsupported_method_is_405(cds: Cds, method: str, path: str) -> None:
    answer = cds.admin(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]
