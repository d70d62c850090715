"""Tokens of an external identity server, claim by claim (docs/wire/cds.md §2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.service import RunningService
from wire.client import Cds, assert_error
from wire.issuer import Issuer

UNAUTHENTICATED = "Missing or invalid Authorization header"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    yield issuer
    issuer.stop()


@pytest.fixture(scope="module")
def external(
    service: RunningService, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cds]:
    """`acme` through a second process whose identity server is the issuer."""
    settings = {
        "ONESELF_IDENTITY_SERVER_URL": issuer.url,
        "ONESELF_IDENTITY_SERVER_CLIENT_ID": "oneself",
        "ONESELF_IDENTITY_SERVER_CLIENT_SECRET": "secret",
    }
    running = RunningService(tmp_path_factory.mktemp("outside") / "data", service.database_url, settings)
    running.start()
    caller = Cds(running.base_url, running.org, running.client_id, running.client_secret)
    yield caller
    caller.close()
    running.stop()


def test_a_token_of_the_identity_server_is_accepted(external: Cds, issuer: Issuer) -> None:
    assert external.get("/profiles", token=issuer.token()).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "iam-cds"},
        {"iss": None},
        {"azp": None, "client_id": "outside-client"},
        {"nbf": None},
        {"sub": None, "aut": "APPLICATION"},
        {"scope": "openid internal_cds_profile_view internal_cds_profile_update"},
        {"exp": 4102444800.5},
    ],
    ids=str,
)
def test_optional_claims_can_be_omitted(external: Cds, issuer: Issuer, changes: dict[str, Any]) -> None:
    assert external.get("/profiles", token=issuer.token(**changes)).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1700000000},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 0},
        {"aud": None},
        {"aud": "some-client"},
        {"aud": ["some-client"]},
        {"aud": "iam-cds-not"},
        {"aud": "some iam-cds"},
        {"aud": []},
        {"aud": {"iam-cds": True}},
        {"org_handle": None},
        {"org_handle": "other"},
        {"org_handle": "ACME"},
        {"org_handle": ["acme"]},
    ],
    ids=str,
)
def test_a_token_that_fails_one_check_is_unauthenticated(
    external: Cds, issuer: Issuer, changes: dict[str, Any]
) -> None:
    assert_error(external.get("/profiles", token=issuer.token(**changes)), 401, "CDS-10002", UNAUTHENTICATED)


@pytest.mark.parametrize("scope", [None, 7, ["internal_cds_profile_view"], {"a": 1}], ids=str)
def test_a_token_without_a_scope_is_forbidden(external: Cds, issuer: Issuer, scope: Any) -> None:
    answer = external.get("/profiles", token=issuer.token(scope=scope))
    assert_error(answer, 403, "CDS-10003", "You do not have enough permission to access this resource.")


@pytest.mark.parametrize(
    "scope", ["", "openid", "internal_cds_profile_view2", "INTERNAL_CDS_PROFILE_VIEW", "profile_view"]
)
def test_a_scope_without_the_permission_is_forbidden(external: Cds, issuer: Issuer, scope: str) -> None:
    answer = external.get("/profiles", token=issuer.token(scope=scope))
    assert_error(answer, 403, "CDS-10003", "Do not have permission to perform this operation")


def test_me_of_an_unknown_user_is_not_found(external: Cds, issuer: Issuer) -> None:
    scope = "internal_cds_profile_view internal_cds_profile_update"
    unknown = issuer.token(scope=scope, sub="u-unknown")
    assert_error(external.get("/profiles/Me", token=unknown), 404, "CDS-11001")
    answer = external.patch("/profiles/Me", {}, token=unknown)
    assert (answer.status_code, answer.text.strip()) == (401, "Profile not found for token subject")


@pytest.mark.parametrize("sub", [None, "", 7], ids=str)
def test_me_without_a_valid_sub_is_401(external: Cds, issuer: Issuer, sub: Any) -> None:
    scope = "internal_cds_profile_view internal_cds_profile_update"
    token = issuer.token(scope=scope, sub=sub)
    assert_error(external.get("/profiles/Me", token=token), 401, "CDS-11003")
    answer = external.patch("/profiles/Me", {}, token=token)
    assert (answer.status_code, answer.text.strip()) == (401, "Missing 'sub' in token")
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_application_is_the_azp_of_the_token(external: Cds, issuer: Issuer) -> None:
    """`azp` takes precedence over `client_id`."""
    key = external.trait()
    profile_id = external.create({"traits": {key: "x"}})["profile_id"]
    system = issuer.token(azp=external.client_id, client_id="other-application", aut="APPLICATION")
    regular = issuer.token(azp="other-application", client_id=external.client_id, aut="APPLICATION")
    assert external.get(f"/profiles/{profile_id}", token=system).json()["traits"] == {key: "x"}
    assert "traits" not in external.get(f"/profiles/{profile_id}", token=regular).json()


def test_tokens_of_the_embedded_server_are_still_accepted(external: Cds) -> None:
    assert external.get("/profiles").status_code == 200
