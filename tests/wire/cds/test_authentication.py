"""Authentication and permissions, and the answers to rejected requests (docs/wire/cds.md §2)."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from support.service import RunningService
from wire.browser import Browser, WebApplication, new_person, register
from wire.client import Cds, assert_error, fresh

UNAUTHENTICATED = "Missing or invalid Authorization header"
NO_SCOPE = "You do not have enough permission to access this resource."
NOT_IN_SCOPE = "Do not have permission to perform this operation"


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _header(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _forge(token: str, **changes: Any) -> str:
    """The token with changed claims, signed with another key under the id of the real key."""
    header = _header(token)
    key = ECKey.generate_key("P-256") if header["alg"].startswith("ES") else RSAKey.generate_key(2048)
    return jwt.encode(
        {"alg": header["alg"], "kid": header.get("kid", "1")}, {**_claims(token), **changes}, key
    )


def _b64(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


CLOCK_ONE_DAY_BEHIND = """
import time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() - 86400
time.time_ns = lambda: now_ns() - 86400 * 10**9
"""


@pytest.fixture(scope="module")
def expired_token(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A token of the organisation, signed by a process whose clock is one day behind."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "sitecustomize.py").write_text(CLOCK_ONE_DAY_BEHIND)
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    slow = RunningService(folder / "data", service.database_url, {"PYTHONPATH": path}).start()
    try:
        return slow.token("internal_cds_profile_view")
    finally:
        slow.stop()


def test_a_token_of_the_organisation_is_accepted(cds: Cds) -> None:
    assert cds.get("/profiles").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="missing"),
        "",
        "Bearer",
        "Bearer a b",
        "Bearer not-a-token",
        "Bearer a.b.c",
        "Bearer ..",
        "Token abc",
        "Basic YWxhZGRpbjpvcGVuc2VzYW1l",
        "Bearer eyJhbGciOiJub25lIn0.e30.",
        "Bearer " + "x" * 6000,
    ],
)
def test_a_missing_or_malformed_header_is_unauthenticated(cds: Cds, authorization: str | None) -> None:
    if authorization is None:
        answer = cds.get("/profiles", anonymous=True)
    else:
        answer = cds.get("/profiles", authorization=authorization)
    assert_error(answer, 401, "CDS-10002", UNAUTHENTICATED)


def test_a_header_that_is_not_utf_8_is_unauthenticated(cds: Cds) -> None:
    headers = [(b"Authorization", b"Bearer \xff\xfe\x00a"[:-2])]
    answer = cds.http.get(cds.path("/profiles"), headers=headers)
    assert_error(answer, 401, "CDS-10002", UNAUTHENTICATED)


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_is_case_insensitive(cds: Cds, scheme: str) -> None:
    """RFC 9110 §11.1."""
    assert cds.get("/profiles", authorization=f"{scheme} {cds.token()}").status_code == 200


def test_client_credentials_are_not_a_token(cds: Cds) -> None:
    pair = base64.b64encode(f"{cds.client_id}:{cds.client_secret}".encode()).decode()
    assert_error(cds.get("/profiles", authorization=f"Basic {pair}"), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_signed_with_another_key_is_unauthenticated(cds: Cds) -> None:
    assert_error(cds.get("/profiles", token=_forge(cds.token())), 401, "CDS-10002", UNAUTHENTICATED)


def test_an_expired_forgery_is_unauthenticated(cds: Cds) -> None:
    forged = _forge(cds.token(), exp=int(time.time()) - 60)
    assert_error(cds.get("/profiles", token=forged), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_that_expired_is_unauthenticated(cds: Cds, expired_token: str) -> None:
    assert _claims(expired_token)["exp"] < time.time()
    assert _claims(expired_token)["org_handle"] == cds.org
    assert_error(cds.get("/profiles", token=expired_token), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_with_changed_claims_is_unauthenticated(cds: Cds) -> None:
    header, _, signature = cds.token().split(".")
    changed = _b64({**_claims(cds.token()), "exp": int(time.time()) + 10**8})
    assert_error(
        cds.get("/profiles", token=f"{header}.{changed}.{signature}"), 401, "CDS-10002", UNAUTHENTICATED
    )


def test_a_token_without_signature_is_unauthenticated(cds: Cds) -> None:
    _, claims, _ = cds.token().split(".")
    for algorithm in ("none", "None", "NONE"):
        unsigned = f"{_b64({'alg': algorithm, 'typ': 'JWT'})}.{claims}."
        assert_error(cds.get("/profiles", token=unsigned), 401, "CDS-10002", UNAUTHENTICATED)


def test_the_public_key_is_not_a_shared_secret(cds: Cds) -> None:
    keys = cds.http.get(f"/t/{cds.org}/oauth2/jwks").json()["keys"]
    secret = OctKey.import_key(json.dumps(keys[0]).encode())
    forged = jwt.encode({"alg": "HS256", "kid": keys[0].get("kid", "1")}, _claims(cds.token()), secret)
    assert_error(cds.get("/profiles", token=forged), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_for_another_audience_is_unauthenticated(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    id_token = register(browser, web_app, new_person(fresh("audience")))["id_token"]
    assert "iam-cds" not in _claims(id_token)["aud"]
    assert_error(cds.get("/profiles", token=id_token), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_of_another_organisation_is_unauthenticated(cds: Cds, other: Cds) -> None:
    assert_error(cds.get("/profiles", token=other.token()), 401, "CDS-10002", UNAUTHENTICATED)
    assert_error(other.get("/profiles", token=cds.token()), 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_at_an_unknown_organisation_is_unauthenticated(cds: Cds) -> None:
    answer = cds.http.get(
        f"/t/{fresh('nobody').replace('_', '-')}/cds/api/v1/profiles",
        headers={"Authorization": f"Bearer {cds.token()}"},
    )
    assert_error(answer, 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_in_the_query_is_ignored(cds: Cds) -> None:
    answer = cds.get("/profiles", anonymous=True, params={"access_token": cds.token()})
    assert_error(answer, 401, "CDS-10002", UNAUTHENTICATED)


def test_a_token_without_scope_is_forbidden(unprivileged: Cds) -> None:
    token = unprivileged.request_token().json()["access_token"]
    assert "scope" not in _claims(token)
    assert_error(unprivileged.get("/profiles", token=token), 403, "CDS-10003", NO_SCOPE)


def test_a_permission_outside_the_scope_is_forbidden(cds: Cds) -> None:
    answer = cds.get("/profiles", token=cds.token("profile_create"))
    assert_error(answer, 403, "CDS-10003", NOT_IN_SCOPE)


def test_a_permission_is_matched_as_a_whole_word(cds: Cds) -> None:
    answer = cds.get("/profile-schema", token=cds.token("profile_view"))
    assert_error(answer, 403, "CDS-10003", NOT_IN_SCOPE)


def test_a_requested_scope_is_granted(cds: Cds) -> None:
    scope = "internal_cds_profile_create internal_cds_profile_update internal_cds_profile_view"
    token = cds.request_token(scope).json()["access_token"]
    claims = _claims(token)
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    assert "iam-cds" in audience
    assert claims["org_handle"] == cds.org
    assert set(claims["scope"].split()) == set(scope.split())
    assert claims.get("azp", claims.get("client_id")) == cds.client_id
    assert claims["exp"] > time.time()
    assert cds.get("/profiles", token=token).status_code == 200


def test_a_permission_that_the_application_lacks_is_not_granted(view_only: Cds) -> None:
    answer = view_only.http.post(
        f"/t/{view_only.org}/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "scope": "internal_cds_profile_view internal_cds_profile_delete",
        },
        auth=(view_only.client_id, view_only.client_secret),
    )
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    assert _claims(token)["scope"] == "internal_cds_profile_view"
    assert_error(view_only.delete("/profiles/x", token=token), 403, "CDS-10003")
