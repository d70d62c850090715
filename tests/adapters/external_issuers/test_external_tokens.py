"""Tokens of external issuers: what is checked, and where keys come from (docs/wire/cds.md §2)."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any, ClassVar

import httpx
import msgspec
import pytest
from joserfc.jwk import ECKey, OctKey

from adapters.external_issuers.issuer import JWKS, URL, Issuer, new_rsa_key
from oneself.adapters.identity_server.issuer_keys import (
    KEYS_LIFE_S,
    RESPONSE_BYTES_MAX,
    STALE_KEYS_MAX_S,
    IssuerKeys,
    KeySource,
)
from oneself.bootstrap import build_services
from oneself.services import Services
from oneself.tunables import Tunables
from support.caller import Cds
from support.tunables import SettableClock, tuned

SERVER = "https://login.example"
DISCOVERY = "/.well-known/openid-configuration"


RARELY = tuned(trusts_life_s=0.0, issuer_keys_retry_s=60.0)


@pytest.fixture
def tunables() -> Tunables:
    """Trust and keys are read again at every request."""
    return tuned(trusts_life_s=0.0, issuer_keys_retry_s=0.0)


@pytest.fixture
def issuer(cds: Cds, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """Replaces the network."""
    issuer = Issuer()
    monkeypatch.setattr(cds.services.callers.issuer_keys._http, "_transport", issuer.transport())
    return issuer


@pytest.fixture
def trusted(issuer: Issuer, cds: Cds) -> Any:
    async def trust(caller: Cds = cds, **fields: Any) -> Any:
        return await caller.services.directory.issuers.add(caller.dataset_ref, **{"issuer": URL, **fields})

    return trust


async def status(cds: Cds, token: str) -> int:
    answer = await cds("GET", "/profiles", token=token)
    if answer.status_code in (401, 403):
        assert answer.json()["code"] == {401: "CDS-10002", 403: "CDS-10003"}[answer.status_code]
    return answer.status_code


async def test_no_issuer_is_trusted_by_default(cds: Cds, issuer: Issuer) -> None:
    assert await status(cds, issuer.token()) == 401
    assert issuer.requested_urls == []


async def test_a_token_of_a_trusted_issuer_is_accepted(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted()
    assert await status(cds, issuer.token()) == 200
    assert issuer.requested_urls == [URL + DISCOVERY, JWKS]
    assert await status(cds, issuer.token(jti="another")) == 200
    assert len(issuer.requested_urls) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "iam-cds"},
        {"org_handle": "acme"},
        {"client_id": None, "azp": "shop"},
        {"sub": None, "aut": "APPLICATION"},
        {"exp": 4102444800.5},
        {"exp": "now-30"},
        {"nbf": "now+30"},
    ],
    ids=str,
)
async def test_valid_tokens_are_accepted(
    cds: Cds, issuer: Issuer, trusted: Any, changes: dict[str, Any]
) -> None:
    await trusted()
    assert await status(cds, issuer.token(**changes)) == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": "https://evil.example"},
        {"iss": URL + "/"},
        {"iss": [URL]},
        {"aud": None},
        {"aud": "some-client"},
        {"aud": "iam-cds-not"},
        {"aud": []},
        {"aud": {"iam-cds": True}},
        {"org_handle": "other"},
        {"org_handle": "ACME"},
        {"org_handle": ["acme"]},
        {"org_handle": ""},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": 0},
        {"exp": 10**400},
        {"exp": "now-90"},
        {"nbf": "now+300"},
    ],
    ids=lambda changes: str(changes)[:40],
)
async def test_a_token_that_fails_one_check_is_rejected(
    cds: Cds, issuer: Issuer, trusted: Any, changes: dict[str, Any]
) -> None:
    await trusted()
    assert await status(cds, issuer.token(**changes)) == 401


async def test_a_token_without_the_permission(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted()
    assert await status(cds, issuer.token(scope=None)) == 403
    assert await status(cds, issuer.token(scope=["internal_cds_profile_view"])) == 403
    assert await status(cds, issuer.token(scope="openid profile")) == 403


async def test_permissions_come_from_the_trust_or_the_scope(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    added = await trusted(permissions=("internal_cds_profile_view",))
    without_scope, with_other_scope = issuer.token(scope=None), issuer.token(scope="openid")
    assert await status(cds, without_scope) == await status(cds, with_other_scope) == 200
    await cds.services.directory.issuers.change(cds.dataset_ref, added.issuer_id, permissions=())
    assert await status(cds, without_scope) == await status(cds, with_other_scope) == 403
    await cds.services.directory.issuers.remove(cds.dataset_ref, added.issuer_id)
    assert await status(cds, without_scope) == 401


async def test_a_configured_audience_is_required(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted(audience="https://api.acme.example")
    assert await status(cds, issuer.token(aud="https://api.acme.example")) == 200
    assert await status(cds, issuer.token()) == 401


async def test_trust_applies_to_one_organisation(
    cds: Cds, stranger: Cds, issuer: Issuer, trusted: Any
) -> None:
    await trusted()
    assert await status(stranger, issuer.token()) == 401
    await trusted(stranger)
    assert await status(stranger, issuer.token()) == 200
    assert await status(stranger, issuer.token(org_handle="acme")) == 401


async def test_a_wso2_issuer_address_names_the_organisation(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    wso2 = f"{URL}/t/acme/oauth2/token"
    await trusted()
    issuer.answers[DISCOVERY] = httpx.Response(404)
    assert await status(cds, issuer.token(iss=wso2, org_handle="acme")) == 200
    assert issuer.requested_urls == [URL + DISCOVERY, f"{URL}/t/acme/oauth2/jwks"]
    assert await status(cds, issuer.token(iss=wso2)) == 401
    assert await status(cds, issuer.token(iss=f"{URL}/t/other/oauth2/token", org_handle="acme")) == 401


async def test_rotated_keys_are_read_and_withdrawn_keys_expire(
    cds: Cds, issuer: Issuer, trusted: Any
) -> None:
    await trusted()
    assert await status(cds, issuer.token()) == 200
    old = issuer.keys[0]
    issuer.keys = [ECKey.generate_key("P-256", parameters={"kid": "two"})]
    assert await status(cds, issuer.token()) == 200
    assert await status(cds, issuer.token(key=old, jti="x")) == 401


async def test_keys_of_an_issuer_that_does_not_answer_stay_valid_for_a_day() -> None:
    issuer, clock = Issuer(), SettableClock()
    keys, source = IssuerKeys(issuer.transport(), monotonic=clock), KeySource(URL, JWKS)
    clock.now_s = 0.0
    assert await keys.find(source, "one", "RS256")
    issuer.answers["/keys"] = httpx.ConnectError("down")
    clock.now_s = KEYS_LIFE_S + 1
    assert await keys.find(source, "one", "RS256")
    assert issuer.requested_urls == [JWKS, JWKS]
    clock.now_s = STALE_KEYS_MAX_S + 1
    assert await keys.find(source, "one", "RS256") == []
    await keys.close()


@pytest.mark.parametrize("tunables", [RARELY])
async def test_unknown_key_ids_do_not_repeat_the_request_for_keys(
    cds: Cds, issuer: Issuer, trusted: Any
) -> None:
    await trusted()
    for number in range(5):
        assert await status(cds, issuer.token(header={"kid": f"unknown-{number}"})) == 401
    assert len(issuer.requested_urls) == 2
    issuer.answers[DISCOVERY] = httpx.ConnectError("down")
    assert await status(cds, issuer.token()) == 200


@pytest.mark.parametrize("tunables", [RARELY])
async def test_an_unreachable_issuer_is_not_requested_for_every_token(
    cds: Cds, issuer: Issuer, trusted: Any
) -> None:
    await trusted(jwks_uri=JWKS)
    issuer.answers["/keys"] = httpx.ConnectError("down")
    assert [await status(cds, issuer.token(jti=str(n))) for n in range(4)] == [401] * 4
    assert issuer.requested_urls == [JWKS]


def keys_of(*keys: Any, **members: Any) -> httpx.Response:
    return httpx.Response(200, json={"keys": [{**key.as_dict(private=False), **members} for key in keys]})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(200, content=b"{"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": "none"}),
        httpx.Response(200, json={"keys": [7, None, {"kty": "RSA"}, {"kty": "what"}]}),
        httpx.Response(200, content=b" " * (RESPONSE_BYTES_MAX + 1)),
        httpx.Response(302, headers={"location": "https://evil.example/keys"}),
        httpx.Response(302, headers={"location": "/keys"}),
        httpx.ReadTimeout("slow"),
    ],
    ids=str,
)
async def test_an_invalid_key_document_is_rejected(
    cds: Cds, issuer: Issuer, trusted: Any, answer: Any
) -> None:
    await trusted()
    issuer.answers["/keys"] = answer
    assert await status(cds, issuer.token()) == 401
    assert not any("evil" in url for url in issuer.requested_urls)


async def test_a_redirect_on_the_same_host_is_followed(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted(jwks_uri=f"{URL}/old")
    issuer.answers["/old"] = httpx.Response(307, headers={"location": "/keys"})
    assert await status(cds, issuer.token()) == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example", "jwks_uri": JWKS},
        {"jwks_uri": JWKS},
        {"issuer": URL},
        {"issuer": URL, "jwks_uri": 7},
        {"issuer": URL, "jwks_uri": "http://login.example/keys"},
    ],
    ids=str,
)
async def test_a_discovery_document_of_another_issuer_is_rejected(
    cds: Cds, issuer: Issuer, trusted: Any, metadata: dict[str, Any]
) -> None:
    await trusted()
    issuer.metadata = metadata
    assert await status(cds, issuer.token()) == 401


async def test_unsigned_and_symmetric_tokens_are_rejected(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted()
    valid = issuer.token()
    header, payload, _ = valid.split(".")
    unsigned_header = encoded_header({"alg": "none", "kid": "one"})
    assert await status(cds, f"{unsigned_header}.{payload}.") == 401
    assert await status(cds, f"{header}.{payload}.") == 401
    assert await status(cds, f"{header}.{payload}.AAAA") == 401
    for secret in (issuer.keys[0].as_pem(private=False), json.dumps(issuer.keys[0].as_dict(False)).encode()):
        signed_part = f"{encoded_header({'alg': 'HS256', 'kid': 'one'})}.{payload}"
        assert (
            await status(
                cds, f"{signed_part}.{unpadded(hmac.digest(secret, signed_part.encode(), 'sha256'))}"
            )
            == 401
        )
    symmetric_key = OctKey.generate_key(256, parameters={"kid": "shared"})
    issuer.answers["/keys"] = httpx.Response(200, json={"keys": [symmetric_key.as_dict(private=True)]})
    assert await status(cds, issuer.token(key=symmetric_key)) == 401


async def test_keys_not_suitable_for_signing_are_rejected(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted()
    issuer.answers["/keys"] = keys_of(*issuer.keys, use="enc")
    assert await status(cds, issuer.token()) == 401
    issuer.answers["/keys"] = keys_of(*issuer.keys, alg="RS512")
    assert await status(cds, issuer.token()) == 401
    issuer.keys = [new_rsa_key(1024, parameters={"kid": "short"})]
    del issuer.answers["/keys"]
    assert await status(cds, issuer.token()) == 401


async def test_a_token_without_key_id(cds: Cds, issuer: Issuer, trusted: Any) -> None:
    await trusted()
    issuer.keys.append(new_rsa_key(2048, parameters={"kid": "two"}))
    assert await status(cds, issuer.token(header={"kid": None})) == 200
    assert await status(cds, issuer.token(key=new_rsa_key(2048), header={"kid": None})) == 401


@pytest.mark.parametrize("token", ["a.b.c", "..", "e30.e30.e30", "W10.W10.", "a" * 20_000])
async def test_an_invalid_token_is_401(cds: Cds, trusted: Any, token: str) -> None:
    await trusted()
    assert await status(cds, token) == 401


async def test_a_person_of_a_trusted_issuer_is_the_issuers_user(
    cds: Cds, issuer: Issuer, trusted: Any
) -> None:
    """The same `sub` at the organisation's identity provider is somebody else."""
    added = await trusted(permissions=("internal_cds_profile_view",))
    await cds.create(user_id="u-outside")
    token = issuer.token(sub="u-outside")
    assert (await cds("GET", "/profiles/Me", token=token)).status_code == 404
    user_id = f"{added.issuer_id}:u-outside"
    await cds.create(user_id=user_id)
    me = await cds("GET", "/profiles/Me", token=token)
    assert me.json()["user_id"] == user_id
    own = await cds("GET", "/profiles/Me", token=await cds.token(subject="u-outside"))
    assert own.json()["user_id"] == "u-outside"


@pytest.mark.parametrize("subject", ["u-outside", None, "", 7], ids=str)
async def test_a_token_without_an_application_lists_no_profiles(
    cds: Cds, issuer: Issuer, trusted: Any, subject: Any
) -> None:
    """Also if the `permissions` of the trusted issuer, which apply to all its tokens, allow it."""
    await trusted(permissions=("internal_cds_profile_view", "internal_cds_privacy_export"))
    profile = await cds.create(user_id="u-other")
    token = issuer.token(sub=subject)
    assert await status(cds, token) == 403
    assert (await cds("GET", f"/profiles/{profile['profile_id']}", token=token)).status_code == 404
    tracker = {"Cookie": f"cds_profile={profile['anonymous_profile_tracker']}"}
    me = await cds("GET", "/profiles/Me", token=token, headers=tracker)
    assert me.status_code == (404 if subject == "u-outside" else 401)


class TestIdentityServer:
    """Tokens of the organisation's own identity server (docs/wire/cds.md §2)."""

    @pytest.fixture
    def services(self, services: Services, tunables: Tunables) -> Services:
        settings = msgspec.structs.replace(
            services.settings,
            identity_server_url=SERVER,
            identity_server_client_id="oneself",
            identity_server_client_secret="secret",
            introspection_path="/oauth2/introspect",
            introspection_username="introspector",
            introspection_password="password",
        )
        return build_services(settings, services.database, tunables=tunables)

    def token(self, issuer: Issuer, **changes: Any) -> str:
        return issuer.token(**{"iss": None, "org_handle": "acme", **changes})

    @pytest.mark.parametrize("iss", [None, "any issuer", f"{URL}/t/acme/oauth2/token"])
    async def test_its_tokens_are_accepted_with_any_iss(
        self, cds: Cds, issuer: Issuer, iss: str | None
    ) -> None:
        assert await status(cds, self.token(issuer, iss=iss)) == 200
        assert issuer.requested_urls == [f"{SERVER}/t/acme/oauth2/jwks"]

    @pytest.mark.parametrize(
        "changes",
        [{"org_handle": None}, {"org_handle": "other"}, {"aud": "x"}, {"exp": 1}, {"exp": None}],
        ids=str,
    )
    async def test_tokens_for_another_organisation_or_audience_are_rejected(
        self, cds: Cds, issuer: Issuer, changes: dict[str, Any]
    ) -> None:
        assert await status(cds, self.token(issuer, **changes)) == 401

    @pytest.fixture
    def introspection(self, cds: Cds, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """The identity server's answer to introspection; `requests` collects the requests."""
        introspection: dict[str, Any] = {"answer": {}, "requests": []}

        def answer(request: httpx.Request) -> httpx.Response:
            introspection["requests"].append(request)
            return httpx.Response(200, json=introspection["answer"])

        monkeypatch.setattr(
            cds.services.callers.introspection._http, "_transport", httpx.MockTransport(answer)
        )
        return introspection

    ACTIVE_TOKEN: ClassVar[dict[str, Any]] = {
        "active": True,
        "client_id": "CONSOLE",
        "org_handle": "acme",
        "scope": "internal_cds_profile_view",
    }

    async def test_an_opaque_token_is_introspected(self, cds: Cds, introspection: dict[str, Any]) -> None:
        introspection["answer"] = self.ACTIVE_TOKEN
        assert await status(cds, "opaque") == await status(cds, "opaque") == 200
        (request,) = introspection["requests"]
        assert str(request.url) == f"{SERVER}/t/carbon.super/oauth2/introspect"
        assert request.content == b"token=opaque"
        assert request.headers["authorization"].startswith("Basic ")

    @pytest.mark.parametrize(
        "changes",
        [
            {"active": False},
            {"active": "true"},
            {"client_id": "console"},
            {"client_id": None},
            {"org_handle": "other"},
            {"org_handle": None},
            {"exp": 1},
        ],
        ids=str,
    )
    async def test_an_invalid_opaque_token_is_rejected(
        self, cds: Cds, introspection: dict[str, Any], changes: dict[str, Any]
    ) -> None:
        answer = {**self.ACTIVE_TOKEN, **changes}
        introspection["answer"] = {name: value for name, value in answer.items() if value is not None}
        assert await status(cds, "opaque") == await status(cds, "opaque") == 401
        assert len(introspection["requests"]) == 1

    async def test_an_administrator_in_the_console_reads_all_profiles(
        self, cds: Cds, introspection: dict[str, Any]
    ) -> None:
        await cds.create(user_id="u-other")
        introspection["answer"] = {**self.ACTIVE_TOKEN, "sub": "u-administrator"}
        assert await status(cds, "opaque") == 200
        assert (await cds("GET", "/profiles/Me", token="opaque")).status_code == 404

    async def test_the_scope_of_an_opaque_token(self, cds: Cds, introspection: dict[str, Any]) -> None:
        introspection["answer"] = {**self.ACTIVE_TOKEN, "scope": "openid"}
        assert await status(cds, "opaque") == 403


class TestSystemApplication(TestIdentityServer):
    """With `system_app_grant`: the address names the organisation."""

    @pytest.fixture
    def services(self, services: Services, tunables: Tunables) -> Services:
        settings = msgspec.structs.replace(
            services.settings,
            identity_server_url=SERVER,
            identity_server_client_id="oneself",
            identity_server_client_secret="secret",
            identity_server_grant="system_app_grant",
            introspection_path="/oauth2/introspect",
            introspection_username="introspector",
            introspection_password="password",
        )
        return build_services(settings, services.database, tunables=tunables)

    async def test_an_opaque_token_is_introspected(self, cds: Cds, introspection: dict[str, Any]) -> None:
        introspection["answer"] = {
            name: value for name, value in self.ACTIVE_TOKEN.items() if name != "org_handle"
        }
        assert await status(cds, "opaque") == 200
        (request,) = introspection["requests"]
        assert str(request.url) == f"{SERVER}/t/acme/oauth2/introspect"
        assert request.content == b"token=opaque&appTenant=carbon.super"

    @pytest.mark.parametrize(
        "changes", [{"active": False}, {"client_id": "x"}, {"org_handle": "other"}], ids=str
    )
    async def test_an_invalid_opaque_token_is_rejected(
        self, cds: Cds, introspection: dict[str, Any], changes: dict[str, Any]
    ) -> None:
        introspection["answer"] = {**self.ACTIVE_TOKEN, **changes}
        assert await status(cds, "opaque") == 401


def encoded_header(header: dict[str, Any]) -> str:
    return unpadded(json.dumps(header).encode())


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
