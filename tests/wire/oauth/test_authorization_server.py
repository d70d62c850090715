"""The embedded authorization server, as clients see it (docs/wire/cds.md §2)."""

from __future__ import annotations

import base64
import dataclasses
import json
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from wire.browser import CALLBACK, Browser, WebApplication, new_person, pkce, register, sign_in, value_for
from wire.client import Cds, fresh

GUESSES_MAX = 30


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _post(cds: Cds, endpoint: str, form: dict[str, str], secret: str | None = "") -> httpx.Response:
    auth = None if secret is None else (cds.client_id, secret or cds.client_secret)
    return cds.http.post(f"/t/{cds.org}/oauth2/{endpoint}", data=form, auth=auth)


# -- token: client credentials ----------------------------------------------------------------------


def test_a_token_response_has_the_fields_of_the_standard(cds: Cds) -> None:
    answer = cds.request_token("internal_cds_profile_view")
    body = answer.json()
    assert body["token_type"].lower() == "bearer"
    assert body["expires_in"] > 0
    assert body["access_token"].count(".") == 2
    assert body.get("scope", "internal_cds_profile_view") == "internal_cds_profile_view"
    assert "no-store" in answer.headers["cache-control"]
    assert "refresh_token" not in body


@pytest.mark.parametrize(
    ("secret", "client"), [("wrong", None), ("", "unknown")], ids=["wrong secret", "unknown application"]
)
def test_wrong_credentials_are_401(cds: Cds, secret: str, client: str | None) -> None:
    auth = (client or cds.client_id, secret or cds.client_secret)
    answer = cds.http.post(f"/t/{cds.org}/oauth2/token", data={"grant_type": "client_credentials"}, auth=auth)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "basic" in answer.headers["www-authenticate"].lower()


def test_missing_credentials_are_401(cds: Cds) -> None:
    answer = _post(cds, "token", {"grant_type": "client_credentials"}, None)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_credentials_of_another_organisation_are_401(cds: Cds, other: Cds) -> None:
    answer = cds.http.post(
        f"/t/{cds.org}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(other.client_id, other.client_secret),
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_the_token_endpoint_accepts_post_only(cds: Cds) -> None:
    assert cds.http.get(f"/t/{cds.org}/oauth2/token").status_code == 405


@pytest.mark.parametrize("handle", ["unknown", "ACME", "a" * 200, "%00", "acme%20"])
def test_an_unknown_organisation_has_no_token_endpoint(cds: Cds, handle: str) -> None:
    answer = cds.http.post(
        f"/t/{handle}/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=(cds.client_id, cds.client_secret),
    )
    assert answer.status_code == 404


# -- discovery and keys -----------------------------------------------------------------------------


def test_discovery_lists_the_endpoints(cds: Cds) -> None:
    metadata = cds.http.get(f"/t/{cds.org}/.well-known/openid-configuration").json()
    for name, path in (
        ("token_endpoint", "token"),
        ("authorization_endpoint", "authorize"),
        ("jwks_uri", "jwks"),
        ("introspection_endpoint", "introspect"),
        ("revocation_endpoint", "revoke"),
        ("end_session_endpoint", "logout"),
    ):
        assert urlsplit(metadata[name]).path == f"/t/{cds.org}/oauth2/{path}"
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert set(metadata["grant_types_supported"]) >= {
        "authorization_code",
        "client_credentials",
        "refresh_token",
    }
    assert metadata["response_types_supported"] == ["code"]
    assert cds.http.get(urlsplit(metadata["jwks_uri"]).path).status_code == 200
    assert metadata["issuer"] == _claims(cds.token())["iss"]


def test_a_token_verifies_with_the_published_keys(cds: Cds) -> None:
    keys = cds.http.get(f"/t/{cds.org}/oauth2/jwks").json()
    decoded = jwt.decode(
        cds.token(), KeySet.import_key_set(keys), algorithms=["RS256", "ES256", "PS256", "EdDSA"]
    )
    claims = decoded.claims
    assert "iam-cds" in claims["aud"]
    assert claims["org_handle"] == cds.org
    assert claims["azp"] == cds.client_id
    assert claims["client_id"] == cds.client_id
    assert claims["exp"] > time.time() >= claims["iat"] - 5


def test_published_keys_have_no_private_part(cds: Cds) -> None:
    for key in cds.http.get(f"/t/{cds.org}/oauth2/jwks").json()["keys"]:
        assert key["kty"] in ("RSA", "EC", "OKP")
        assert key["kid"]
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & set(key)


def test_two_organisations_sign_with_different_keys(cds: Cds, other: Cds) -> None:
    own_keys, other_keys = (
        {key["kid"] for key in c.http.get(f"/t/{c.org}/oauth2/jwks").json()["keys"]} for c in (cds, other)
    )
    assert not own_keys & other_keys


# -- introspection and revocation -------------------------------------------------------------------


def test_introspection_of_a_valid_token_is_active(cds: Cds) -> None:
    token = cds.request_token("internal_cds_profile_view").json()["access_token"]
    answer = _post(cds, "introspect", {"token": token})
    assert answer.status_code == 200
    body = answer.json()
    assert body["active"] is True
    assert body["client_id"] == cds.client_id
    assert body["scope"] == "internal_cds_profile_view"
    assert body["exp"] == _claims(token)["exp"]


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "e30.e30.x", "x" * 20_000, "\u20ac"])
def test_introspection_of_an_invalid_token_is_inactive(cds: Cds, token: str) -> None:
    answer = _post(cds, "introspect", {"token": token})
    assert (answer.status_code, answer.json()) == (200, {"active": False})


def test_introspection_of_a_token_of_another_organisation_is_inactive(cds: Cds, other: Cds) -> None:
    assert _post(cds, "introspect", {"token": other.token()}).json() == {"active": False}


@pytest.mark.parametrize("endpoint", ["introspect", "revoke"])
def test_introspection_and_revocation_need_credentials(cds: Cds, endpoint: str) -> None:
    for secret in (None, "wrong"):
        assert _post(cds, endpoint, {"token": cds.token()}, secret).status_code == 401


def test_a_revoked_token_is_no_longer_active(cds: Cds) -> None:
    token = cds.request_token("internal_cds_profile_view").json()["access_token"]
    assert _post(cds, "revoke", {"token": token}).status_code == 200
    assert _post(cds, "introspect", {"token": token}).json() == {"active": False}


def test_revoking_an_unknown_token_succeeds(cds: Cds) -> None:
    assert _post(cds, "revoke", {"token": "nonsense"}).status_code == 200


# -- the authorization code flow --------------------------------------------------------------------


def test_the_code_flow_gives_access_id_and_refresh_tokens(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    app = dataclasses.replace(web_app, scope=web_app.scope + " offline_access")
    tokens = register(browser, app, new_person(fresh("flow")))
    access, identity = _claims(tokens["access_token"]), _claims(tokens["id_token"])
    assert "iam-cds" in access["aud"]
    assert access["org_handle"] == cds.org
    assert access["azp"] == web_app.client_id
    assert access["client_id"] == web_app.client_id
    assert "internal_cds_profile_view" in access["scope"].split()
    assert identity["sub"] == access["sub"]
    assert identity["nonce"] == "nonce-of-the-shop"
    assert identity["aud"] in (web_app.client_id, [web_app.client_id])
    assert tokens["refresh_token"]


def test_a_refresh_token_needs_the_scope_offline_access(web_app: WebApplication, browser: Browser) -> None:
    assert "refresh_token" not in register(browser, web_app, new_person(fresh("online")))


def test_a_refresh_token_gives_a_new_token_of_the_same_user(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    app = dataclasses.replace(web_app, scope=web_app.scope + " offline_access")
    tokens = register(browser, app, new_person(fresh("refresh")))
    answer = app.token_request({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 200, answer.text
    assert _claims(answer.json()["access_token"])["sub"] == _claims(tokens["access_token"])["sub"]
    me = cds.get("/profiles/Me", token=answer.json()["access_token"])
    assert me.status_code == 200


def test_a_revoked_refresh_token_is_rejected(web_app: WebApplication, browser: Browser) -> None:
    app = dataclasses.replace(web_app, scope=web_app.scope + " offline_access")
    tokens = register(browser, app, new_person(fresh("revoked")))
    answer = httpx.post(
        f"{app.base_url}/t/{app.org}/oauth2/revoke",
        data={"token": tokens["refresh_token"]},
        auth=(app.client_id, app.client_secret or ""),
        timeout=30,
    )
    assert answer.status_code == 200
    answer = app.token_request({"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_refresh_token_used_twice_ends_the_grant(web_app: WebApplication, browser: Browser) -> None:
    """RFC 9700 §4.14.2: a reused token may be stolen, so its successor is revoked too."""
    app = dataclasses.replace(web_app, scope=web_app.scope + " offline_access")
    first = register(browser, app, new_person(fresh("reuse")))["refresh_token"]
    answer = app.token_request({"grant_type": "refresh_token", "refresh_token": first})
    second = answer.json()["refresh_token"]
    assert second != first
    answer = app.token_request({"grant_type": "refresh_token", "refresh_token": second})
    for used in (first, answer.json()["refresh_token"]):
        answer = app.token_request({"grant_type": "refresh_token", "refresh_token": used})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_user_gets_no_permission_that_the_application_does_not_hold(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    app = dataclasses.replace(web_app, scope="openid internal_cds_profile_view internal_cds_profile_delete")
    token = register(browser, app, new_person(fresh("greedy")))["access_token"]
    assert "internal_cds_profile_delete" not in _claims(token)["scope"].split()
    assert cds.delete("/profiles/x", token=token).status_code == 403


def test_a_sign_in_only_application_cannot_access_profiles(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    app = dataclasses.replace(web_app, scope="openid")
    token = register(browser, app, new_person(fresh("openid")))["access_token"]
    assert cds.get("/profiles/Me", token=token).status_code == 403


def test_prompt_none_redirects_without_a_page(web_app: WebApplication, browser: Browser) -> None:
    url = web_app.authorize_url(pkce()[1], prompt="none")
    callback = browser.open(url).callback_query
    assert (callback["error"], callback["state"]) == ("login_required", "state-of-the-shop")
    register(browser, web_app, new_person(fresh("silent")))
    assert browser.open(url).callback_query["code"]


def test_failed_sign_ins_are_limited_for_their_account_only(cds: Cds, web_app: WebApplication) -> None:
    person, browser = new_person(fresh("guessed")), Browser(cds.base_url)
    register(Browser(cds.base_url), web_app, person)
    page = browser.open(web_app.authorize_url(pkce()[1]))
    for guess in range(GUESSES_MAX):
        page = browser.fill(page, {**person, "password": f"a guess, number {guess}"})
        if page.answer.status_code == 429:
            break
    assert page.answer.status_code == 429
    assert int(page.answer.headers["retry-after"]) > 0
    register(Browser(cds.base_url), web_app, new_person(fresh("neighbour")))


def _code(browser: Browser, app: WebApplication, challenge: str, **extra: str) -> str:
    page = browser.open(app.authorize_url(challenge, **extra))
    if not page.url.startswith(CALLBACK):
        person = new_person(fresh("code"))
        registration = next(link for link in page.links if "register" in link)
        page = browser.fill(browser.open(urljoin(page.url, registration)), person)
    return page.callback_query["code"]


def test_a_code_is_used_once(web_app: WebApplication, browser: Browser) -> None:
    verifier, challenge = pkce()
    code = _code(browser, web_app, challenge)
    assert web_app.exchange(code, verifier).status_code == 200
    answer = web_app.exchange(code, verifier)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_public_application_signs_in_without_a_secret(
    cds: Cds, public_app: WebApplication, browser: Browser
) -> None:
    tokens = register(browser, public_app, new_person(fresh("spa")))
    assert cds.get("/profiles/Me", token=tokens["access_token"]).status_code == 200


def test_a_signed_in_browser_gets_a_code_without_a_form(web_app: WebApplication, browser: Browser) -> None:
    person = new_person(fresh("sso"))
    first = register(browser, web_app, person)
    page = browser.open(web_app.authorize_url(pkce()[1]))
    assert page.callback_query["code"]
    second = sign_in(browser, web_app, person)
    assert _claims(second["access_token"])["sub"] == _claims(first["access_token"])["sub"]


# -- pages ------------------------------------------------------------------------------------------


def test_the_pages_work_without_javascript_and_cannot_be_framed(
    web_app: WebApplication, browser: Browser
) -> None:
    page = browser.open(web_app.authorize_url(pkce()[1]))
    assert page.answer.status_code == 200
    assert page.forms
    policy = page.answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "<label" in page.answer.text
    assert 'lang="' in page.answer.text


def test_a_form_without_its_csrf_token_is_403(cds: Cds, web_app: WebApplication, browser: Browser) -> None:
    person = new_person(fresh("csrf"))
    register(browser, web_app, person)
    other = Browser(cds.base_url)
    page = other.open(web_app.authorize_url(pkce()[1]))
    form = next(f for f in page.forms if f.has("password"))
    hidden = {f.name: f.value for f in form.fields if f.type == "hidden"}
    assert hidden, "the form has no hidden token"
    without_hidden = {
        f.name: person["password"] if f.type == "password" else person["username"]
        for f in form.fields
        if f.type not in ("hidden", "submit")
    }
    answer = httpx.post(
        urljoin(page.url, form.action or page.url),
        data={**without_hidden},
        follow_redirects=False,
        timeout=30,
    )
    assert answer.status_code == 403, answer.headers.get("location")


def test_the_registration_page_does_not_tell_who_has_an_account(cds: Cds, web_app: WebApplication) -> None:
    """An address reserves nothing until it is verified."""
    person = new_person(fresh("taken"))
    other = {**person, "password": "another Password 77!"}
    tokens = [register(Browser(cds.base_url), web_app, who) for who in (person, other)]
    users = {_claims(answer["access_token"])["sub"] for answer in tokens}
    assert len(users) == 2


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"password": "a"}, 400),
        ({"email": "no-address"}, 400),
        ({"email": ""}, 400),
        ({"given": "a\x00b"}, 403),
        ({"given": "x" * 5000}, 400),
    ],
    ids=["short password", "invalid address", "no address", "NUL", "long name"],
)
def test_an_invalid_registration_is_rejected(
    cds: Cds, web_app: WebApplication, changes: dict[str, str], status: int
) -> None:
    browser = Browser(cds.base_url)
    page = browser.open(web_app.authorize_url(pkce()[1]))
    registration = next(link for link in page.links if "register" in link)
    page = browser.open(urljoin(page.url, registration))
    form = next(f for f in page.forms if f.has("password"))
    person = {**new_person(fresh("bad")), **changes}
    form_data = {f.name: value for f in form.fields if (value := value_for(f, person)) is not None}
    assert set(changes.values()) <= set(form_data.values())
    page = browser.submit(page, form, form_data)
    assert not page.url.startswith(CALLBACK)
    assert page.answer.status_code == status
    assert "Traceback" not in page.answer.text


def test_input_is_escaped(cds: Cds, web_app: WebApplication) -> None:
    browser = Browser(cds.base_url)
    page = browser.open(web_app.authorize_url(pkce()[1]))
    person = {
        **new_person("x"),
        "username": '"><script>alert(1)</script>',
        "email": '"><script>alert(1)</script>',
    }
    page = browser.fill(page, person)
    assert "<script>alert(1)" not in page.answer.text


def test_logout_ends_the_session_of_the_browser(cds: Cds, web_app: WebApplication, browser: Browser) -> None:
    tokens = register(browser, web_app, new_person(fresh("logout")))
    page = browser.open(f"/t/{cds.org}/oauth2/logout?id_token_hint={tokens['id_token']}")
    assert page.answer.status_code < 400
    page = browser.open(web_app.authorize_url(pkce()[1]))
    assert not page.url.startswith(CALLBACK)
    assert page.forms


def test_logout_never_redirects_to_an_unregistered_address(
    cds: Cds, web_app: WebApplication, browser: Browser
) -> None:
    tokens = register(browser, web_app, new_person(fresh("open")))
    url = f"{cds.base_url}/t/{cds.org}/oauth2/logout"
    query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://evil.example/"}
    answer = browser.http.get(url, params=query, follow_redirects=False)
    assert "evil.example" not in answer.headers.get("location", "")
