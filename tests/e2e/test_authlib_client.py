"""Authlib's own client against a running service, configured by discovery alone."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.jwk import KeySet

from support.service import RunningService
from support.visitor import CALLBACK, PASSWORD, Page


@pytest.fixture(scope="module")
def web_client(service: RunningService) -> tuple[str, str]:
    created = service.command(
        *("app", "create", "Book shop", "--kind", "web", "--redirect-uri", CALLBACK),
        *("--permission", "internal_cds_profile_view"),
    )
    assert created.returncode == 0, created.stderr
    found = re.search(r"client id +(\S+)\nclient secret +(\S+)", created.stdout)
    assert found, created.stdout
    return found[1], found[2]


async def _discovered(service: RunningService) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=service.base_url) as http:
        answer = await http.get(f"/t/{service.org}/.well-known/openid-configuration")
    return dict(answer.json())


# The status of a GET without parameters: 405 where only POST is allowed; a missing endpoint would answer 404.
GET_STATUS = {
    "authorization_endpoint": 400,
    "token_endpoint": 405,
    "userinfo_endpoint": 401,
    "jwks_uri": 200,
    "introspection_endpoint": 405,
    "revocation_endpoint": 405,
    "end_session_endpoint": 200,
}


async def test_the_discovery_document_lists_endpoints_that_exist(service: RunningService) -> None:
    document = await _discovered(service)
    issuer = f"{service.base_url}/t/{service.org}"
    assert document["issuer"] == issuer
    required = {
        *("authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"),
        *("response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported"),
        *("introspection_endpoint", "revocation_endpoint", "end_session_endpoint"),
    }
    assert required <= set(document)
    async with httpx.AsyncClient() as http:
        for name, address in document.items():
            if name.endswith(("_endpoint", "_uri")):
                assert str(address).startswith(issuer)
                assert (await http.get(str(address))).status_code == GET_STATUS[name], name


async def test_authlibs_client_signs_a_person_in_with_code_and_pkce(
    service: RunningService, web_client: tuple[str, str]
) -> None:
    document = await _discovered(service)
    client = AsyncOAuth2Client(
        *web_client,
        scope="openid email offline_access internal_cds_profile_view",
        redirect_uri=CALLBACK,
        code_challenge_method="S256",
        metadata=document,
        token_endpoint=document["token_endpoint"],
    )
    verifier = "a-code-verifier-of-forty-three-characters-and-more"
    address, state = client.create_authorization_url(
        document["authorization_endpoint"], code_verifier=verifier, nonce="n-1"
    )
    location = await _register(address, "reader@acme.example")
    assert parse_qs(urlsplit(location).query)["iss"] == [document["issuer"]]
    token = await client.fetch_token(authorization_response=location, state=state, code_verifier=verifier)

    async with httpx.AsyncClient() as http:
        keys = KeySet.import_key_set((await http.get(str(document["jwks_uri"]))).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": document["issuer"]},
        aud={"essential": True, "value": web_client[0]},
        nonce={"essential": True, "value": "n-1"},
    )
    registry.validate(claims)
    userinfo = (await client.get(str(document["userinfo_endpoint"]))).json()
    assert (userinfo["sub"], userinfo["email"]) == (claims["sub"], "reader@acme.example")

    refreshed = await client.refresh_token(str(document["token_endpoint"]))
    assert refreshed["refresh_token"] != token["refresh_token"]
    introspected = await client.introspect_token(
        str(document["introspection_endpoint"]), token=token["refresh_token"]
    )
    assert introspected.json() == {"active": False}
    revoked = await client.revoke_token(str(document["revocation_endpoint"]), token=refreshed["access_token"])
    assert revoked.status_code == 200
    assert (await client.get(str(document["userinfo_endpoint"]))).status_code == 401
    await client.aclose()


async def test_authlibs_client_gets_a_token_by_client_credentials(service: RunningService) -> None:
    document = await _discovered(service)
    async with AsyncOAuth2Client(service.client_id, service.client_secret) as client:
        token = await client.fetch_token(
            document["token_endpoint"],
            grant_type="client_credentials",
            scope="internal_cds_profile_view",
        )
        answer = await client.get(f"{service.base_url}/t/{service.org}/cds/api/v1/profiles")
    assert token["scope"] == "internal_cds_profile_view"
    assert answer.status_code == 200, answer.text


async def _register(address: str, email: str) -> str:
    """Register on the pages of an authorize request. Returns the final redirect location."""
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        login = await browser.get(address)
        link = next(link for link in Page(login.text).links if "register" in link)
        page = await browser.get(str(login.url.join(link)))
        shown = Page(page.text)
        form = {
            "csrf": shown.csrf,
            "email": email,
            "given_name": "Rea",
            "last_name": "Der",
            "password": PASSWORD,
        }
        answer = await browser.post(str(page.url.join(shown.actions[0])), data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])
