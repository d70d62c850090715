"""Client credentials at the token endpoint, revocation, and keys of tokens."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from oneself.bootstrap import build_services
from oneself.errors import Forbidden, Unauthenticated
from oneself.service.context import DatasetRef
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from oneself.services import Services
from oneself.tunables import Tunables
from support.tunables import tuned
from support.visitor import Application, Visitor, claims_of
from wire.oauth.in_process.conftest import SECRET, SYSTEM, NewClient

SCOPE = "internal_cds_profile_create internal_cds_profile_update internal_cds_profile_view"


async def test_a_requested_scope_is_granted(system: Application) -> None:
    answer = await system.token(grant_type="client_credentials", scope=SCOPE)
    body = answer.json()
    claims = claims_of(body["access_token"])
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, SCOPE)
    assert (claims["aud"], claims["org_handle"], claims["scope"]) == ("iam-cds", "acme", SCOPE)
    assert claims["azp"] == claims["client_id"] == claims["sub"] == SYSTEM
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["jti"]
    assert "refresh_token" not in body


async def test_the_published_keys_verify_a_token(system: Application, visitor: Visitor) -> None:
    token = (await system.token(grant_type="client_credentials", scope=SCOPE)).json()["access_token"]
    keys = KeySet.import_key_set((await visitor.open("oauth2/jwks")).json())
    decoded = jwt.decode(token, keys, algorithms=["RS256"])
    assert decoded.header["typ"] == "at+jwt"
    assert decoded.claims["sub"] == SYSTEM


async def test_published_keys_have_no_private_part(visitor: Visitor) -> None:
    for key in (await visitor.open("oauth2/jwks")).json()["keys"]:
        assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


async def test_the_secret_can_be_sent_in_the_form(visitor: Visitor) -> None:
    form = {"grant_type": "client_credentials", "client_id": SYSTEM, "client_secret": SECRET}
    answer = await visitor.http.post(visitor.at("oauth2/token"), data=form)
    assert answer.status_code == 200


@pytest.mark.parametrize("encoded", ["p%3Aa%20ss%2B%25word", "p:a ss+%word", "p%3Aa+ss%2B%25word"])
async def test_a_secret_is_accepted_encoded_and_unencoded(
    new_client: NewClient, visitor: Visitor, encoded: str
) -> None:
    client = await new_client("machine", client_secret="p:a ss+%word")
    pair = base64.b64encode(f"{client.client_id}:{encoded}".encode()).decode()
    answer = await visitor.http.post(
        visitor.at("oauth2/token"),
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {pair}"},
    )
    assert answer.status_code == 200, answer.text


async def test_permissions_that_the_application_lacks_are_not_granted(new_client: NewClient) -> None:
    client = await new_client("machine", permissions=("internal_cds_profile_view",))
    answer = await client.token(
        grant_type="client_credentials", scope="internal_cds_profile_view internal_cds_profile_delete openid"
    )
    assert answer.json()["scope"] == "internal_cds_profile_view"


@pytest.mark.parametrize("scope", [None, "", "internal_cds_profile_delete"])
async def test_a_token_without_any_permission_has_no_scope(new_client: NewClient, scope: str | None) -> None:
    client = await new_client("machine", permissions=("internal_cds_profile_view",))
    form = {"grant_type": "client_credentials", **({} if scope is None else {"scope": scope})}
    answer = await client.token(**form)
    assert answer.status_code == 200
    assert "scope" not in answer.json()
    assert "scope" not in claims_of(answer.json()["access_token"])


async def test_a_wrong_secret_is_401_with_a_challenge(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    answer = await Application(visitor, SYSTEM, "wrong").token(grant_type="client_credentials")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("grant_type", ["client_credentials", "authorization_code"])
async def test_an_unknown_client_and_a_wrong_secret_get_the_same_answer(
    visitor: Visitor, dataset_ref: DatasetRef, grant_type: str
) -> None:
    async def answers(client_id: str) -> list[tuple[int, bytes, str]]:
        form = {"grant_type": grant_type, "code": "c"}
        requests: list[dict[str, Any]] = [
            {"data": form, "auth": (client_id, "wrong")},
            {"data": {**form, "client_id": client_id, "client_secret": "wrong"}},
            {"data": {**form, "client_id": client_id}},
        ]
        received = [await visitor.http.post(visitor.at("oauth2/token"), **request) for request in requests]
        return [
            (answer.status_code, answer.content, answer.headers["www-authenticate"]) for answer in received
        ]

    unknown_client, wrong_secret = await answers("nobody"), await answers(SYSTEM)
    assert unknown_client == wrong_secret
    assert {status for status, _, _ in wrong_secret} == {401}
    assert b"Client authentication failed." in wrong_secret[0][1]


@pytest.mark.parametrize(
    "authorization",
    ["", "Basic", "Basic !!!", "Basic /////w==", "Basic YQ==", "Bearer abc", "Basic bm9ib2R5OnNlY3JldA=="],
)
async def test_an_invalid_authorization_header_is_401(
    visitor: Visitor, dataset_ref: DatasetRef, authorization: str
) -> None:
    answer = await visitor.http.post(
        visitor.at("oauth2/token"),
        data={"grant_type": "client_credentials"},
        headers={"Authorization": authorization},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code"}, "unauthorized_client"),
        ({"grant_type": 'quote" \u20ac'}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "a\0b"}, "invalid_request"),
    ],
)
async def test_an_invalid_grant_is_rejected_with_its_reason(
    system: Application, form: dict[str, str], error: str
) -> None:
    answer = await system.token(**form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"] or error == "unauthorized_client"


async def test_a_body_of_another_type_is_rejected(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    answer = await visitor.http.post(
        visitor.at("oauth2/token"), json={"grant_type": "client_credentials"}, auth=(SYSTEM, SECRET)
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_browser_application_cannot_use_client_credentials(new_client: NewClient) -> None:
    client = await new_client("browser")
    answer = await client.token(grant_type="client_credentials")
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(client=AttemptLimit(2, 600)))])
async def test_wrong_secrets_are_limited_and_the_right_one_is_not(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    owner, guesser = Application(visitor, SYSTEM, SECRET), Application(visitor, SYSTEM, "wrong")
    assert (await owner.token(grant_type="client_credentials")).status_code == 200
    codes = [(await guesser.token(grant_type="client_credentials")).status_code for _ in range(3)]
    assert codes == [401, 401, 429]
    assert (await owner.token(grant_type="client_credentials")).status_code == 200
    limited = await guesser.token(grant_type="client_credentials")
    assert 0 < int(limited.headers["retry-after"]) <= 900


async def test_a_revoked_token_is_rejected_and_inactive(
    system: Application, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    token = (await system.token(grant_type="client_credentials", scope=SCOPE)).json()["access_token"]
    assert (await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)).application == SYSTEM
    answer = await visitor.http.post(
        visitor.at("oauth2/revoke"),
        data={"token": token, "token_type_hint": "nonsense"},
        auth=(SYSTEM, SECRET),
    )
    assert answer.status_code == 200
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    introspected = await visitor.http.post(
        visitor.at("oauth2/introspect"), data={"token": token}, auth=(SYSTEM, SECRET)
    )
    assert introspected.json() == {"active": False}


@pytest.mark.parametrize("tunables", [tuned(revocations_reread_s=0.0)])
async def test_a_token_revoked_by_another_process_is_rejected(
    system: Application, services: Services, dataset_ref: DatasetRef, tunables: Tunables
) -> None:
    token = (await system.token(grant_type="client_credentials", scope=SCOPE)).json()["access_token"]
    await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
    other_directory = build_services(services.settings, services.database, tunables=tunables).directory
    await other_directory.tokens.revoke(dataset_ref, claims_of(token)["jti"])
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)


async def test_an_application_cannot_revoke_the_token_of_another(
    system: Application, new_client: NewClient, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    token = (await system.token(grant_type="client_credentials", scope=SCOPE)).json()["access_token"]
    other = await new_client("machine")
    answer = await visitor.http.post(
        visitor.at("oauth2/revoke"), data={"token": token}, auth=(other.client_id, other.secret or "")
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)


async def test_tokens_of_a_deleted_application_are_rejected(
    new_client: NewClient, services: Services, dataset_ref: DatasetRef
) -> None:
    client = await new_client("machine")
    answer = await client.token(grant_type="client_credentials", scope="internal_cds_profile_view")
    header = f"Bearer {answer.json()['access_token']}"
    await services.callers.guard.authenticate(header, dataset_ref)
    await services.directory.applications.delete(dataset_ref, client.client_id)
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(header, dataset_ref)
    assert (await client.token(grant_type="client_credentials")).json()["error"] == "invalid_client"


async def test_a_rotated_secret_replaces_the_old_one(
    new_client: NewClient, services: Services, dataset_ref: DatasetRef
) -> None:
    client = await new_client("machine")
    assert (await client.token(grant_type="client_credentials")).status_code == 200
    secret = await services.directory.applications.rotate_secret(dataset_ref, client.client_id)
    assert (await client.token(grant_type="client_credentials")).status_code == 401
    client.secret = secret
    assert (await client.token(grant_type="client_credentials")).status_code == 200


async def test_a_token_without_scope_is_forbidden(
    system: Application, services: Services, dataset_ref: DatasetRef
) -> None:
    token = (await system.token(grant_type="client_credentials")).json()["access_token"]
    with pytest.raises(Forbidden, match="You do not have enough permission"):
        await services.callers.guard.authenticate(f"Bearer {token}", dataset_ref)
