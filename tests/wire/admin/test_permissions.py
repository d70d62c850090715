"""`/t/{org}/api/v1`: the permission of every operation; the test walks every route."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wire.client import UNKNOWN_ID, Cds, refused, understood

ROUTES = {
    "POST /unification-rules/preview": "unification_rule_view",
    "GET /unification-rules/progress": "unification_rule_view",
    "GET /refusals": "profile_view",
    "GET /protection": "admin_config_view",
    "PATCH /protection": "admin_config_update",
    f"GET /profiles/{UNKNOWN_ID}/export": "privacy_export",
    f"POST /profiles/{UNKNOWN_ID}/erase": "profile_delete",
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
ABSENT = {"/claims/nothing"}
DOORS = pytest.mark.parametrize(("route", "permission"), ALL.items(), ids=ALL)


@DOORS
def test_another_organisations_token_opens_nothing(cds: Cds, other: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    refused(cds.raw(method, path, "{", face="/api/v1", token=other.token(permission)), 401, "CDS-10002")


@DOORS
def test_a_request_without_valid_credentials_is_401(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    for header in ("", "Bearer", "Bearer x.y.z", "Basic YTpi"):
        answer = cds.raw(method, path, "{", face="/api/v1", authorization=header)
        refused(answer, 401, "CDS-10002")


@DOORS
def test_every_other_permission_is_not_enough(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    others = [name for name in cds.permissions if not name.endswith(f"cds_{permission}")]
    refused(cds.raw(method, path, "{", face="/api/v1", token=cds.token(*others)), 403, "CDS-10003")


@DOORS
def test_the_permission_opens_and_bad_input_is_understood(cds: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    token = cds.token(permission)
    if method in ("POST", "PATCH") and "/erase" not in path:
        for content in ("{", "[]", "5", '{"nobody_knows_this": 1}', "\x00", '"' * 9):
            answer = cds.raw(method, path, content, face="/api/v1", token=token)
            understood(answer)
            assert answer.status_code not in (401, 403)
    elif method == "GET":
        missing = UNKNOWN_ID in path or path in ABSENT
        assert cds.admin(method, path, token=token).status_code == (404 if missing else 200)


@pytest.mark.parametrize("route", ROUTES)
def test_every_profile_operation_needs_an_enabled_service(closed: Cds, route: str) -> None:
    method, path = route.split()
    refused(closed.raw(method, path, "{}", face="/api/v1"), 400, "CDS-16001")


@pytest.fixture(scope="module")
def closed(new_org: Callable[[], Cds]) -> Cds:
    """An organisation where the service is switched off."""
    org = new_org()
    assert org.patch("/config", {"cds_enabled": False}).status_code == 200
    return org


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/profiles", f"/profiles/{UNKNOWN_ID}/nothing"])
def test_an_unknown_path(cds: Cds, path: str) -> None:
    assert cds.admin("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/refusals"), ("PUT", "/protection"), ("GET", "/unification-rules/preview")],
)
def test_a_wrong_verb(cds: Cds, method: str, path: str) -> None:
    answer = cds.admin(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]
