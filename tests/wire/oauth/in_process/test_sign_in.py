"""The authorization code flow: authorize, sign-in, codes, tokens, refresh and userinfo."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from oneself.errors import Unauthenticated, Unavailable
from oneself.service.context import DatasetRef
from oneself.services import Services
from oneself.store.directory import Directory
from support.tunables import tuned
from support.visitor import CALLBACK, PASSWORD, Application, Page, Visitor, arrived, claims_of, heading
from wire.oauth.in_process.conftest import NewClient

pytestmark = pytest.mark.postgres

EMAIL = "ann@acme.example"


async def test_a_registration_gives_the_application_tokens(shop: Application, visitor: Visitor) -> None:
    redirect = await visitor.register(EMAIL, await shop.registration(), mobile="+44 20 7946 0958")
    assert redirect.status_code == 303
    callback = arrived(redirect)
    assert (callback["state"], callback["iss"]) == ("the state", "http://localhost:8700/t/acme")
    tokens = await shop.tokens(redirect)
    identity, access = claims_of(tokens["id_token"]), claims_of(tokens["access_token"])
    assert (identity["aud"], identity["nonce"], identity["iss"]) == (
        shop.client_id,
        "the nonce",
        callback["iss"],
    )
    assert (identity["email"], identity["name"], identity["username"]) == (EMAIL, "Ann Archer", EMAIL)
    assert {"sid", "auth_time", "at_hash"} <= set(identity)
    assert identity["sub"] == access["sub"] == str(UUID(access["sub"]))
    assert (access["aud"], access["azp"], access["client_id"]) == ("iam-cds", shop.client_id, shop.client_id)
    assert "internal_cds_profile_view" in access["scope"].split()
    assert "refresh_token" not in tokens


async def test_a_sign_in_on_another_browser_has_the_same_subject(
    shop: Application, new_visitor: Callable[..., Visitor], visitor: Visitor
) -> None:
    first = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    shop.visitor = new_visitor()
    login = await shop.authorize()
    assert heading(login) == "Sign in"
    second = await shop.tokens(await shop.visitor.sign_in("ANN@acme.example ", page=login))
    assert claims_of(first["access_token"])["sub"] == claims_of(second["access_token"])["sub"]


async def test_a_signed_in_user_is_not_prompted_again(shop: Application, visitor: Visitor) -> None:
    first = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    answer = await visitor.open("oauth2/authorize", **shop.query(prompt="none"))
    assert answer.status_code == 302
    second = await shop.tokens(answer)
    one, two = claims_of(first["id_token"]), claims_of(second["id_token"])
    assert (one["sub"], one["sid"], one["auth_time"]) == (two["sub"], two["sid"], two["auth_time"])


@pytest.mark.parametrize("parameters", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}])
async def test_an_application_can_require_a_new_sign_in(
    shop: Application, visitor: Visitor, parameters: dict[str, str]
) -> None:
    """The user continues the session, under a new cookie."""
    first = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    cookie = visitor.http.cookies["oneself_session"]
    page = await shop.authorize(**parameters)
    assert heading(page) == "Sign in"
    second = await shop.tokens(await visitor.sign_in(EMAIL, page=page))
    assert claims_of(first["id_token"])["sid"] == claims_of(second["id_token"])["sid"]
    assert visitor.http.cookies["oneself_session"] != cookie


async def test_prompt_create_shows_the_registration_page(shop: Application) -> None:
    assert heading(await shop.authorize(prompt="create")) == "Create an account"


async def test_the_login_hint_is_the_value_of_the_field(shop: Application) -> None:
    page = Page((await shop.authorize(login_hint='ann"><b>@acme.example')).text)
    assert page.fields["email"]["value"] == 'ann"><b>@acme.example'


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"prompt": "none"}, "login_required"),
        ({"prompt": "none", "scope": "internal_cds_profile_view"}, "login_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": 'co"de \u20ac'}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "https://shop.example/r"}, "request_uri_not_supported"),
        ({"max_age": "soon"}, "invalid_request"),
    ],
)
async def test_an_invalid_request_redirects_with_an_error(
    shop: Application, visitor: Visitor, changes: dict[str, str | None], error: str
) -> None:
    answer = await visitor.open("oauth2/authorize", **shop.query(**changes))
    callback = arrived(answer)
    assert (callback["error"], callback["state"], callback["iss"]) == (
        error,
        "the state",
        "http://localhost:8700/t/acme",
    )
    assert "code" not in callback


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "unknown"},
        {"client_id": ""},
        {"client_id": "a'; drop table \u20ac"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": CALLBACK + "?x=1"},
        {"redirect_uri": 'https://shop.example/"\u20ac'},
        {"redirect_uri": "javascript:alert(1)"},
    ],
)
@pytest.mark.parametrize("path", ["oauth2/authorize", "accounts/login", "accounts/register"])
async def test_a_browser_is_never_redirected_to_an_unregistered_address(
    shop: Application, visitor: Visitor, changes: dict[str, str | None], path: str
) -> None:
    answer = await visitor.open(path, **shop.query(**changes))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert heading(answer) == "This link does not work"


async def test_a_repeated_parameter_is_rejected(shop: Application, visitor: Visitor) -> None:
    query = [*shop.query().items(), ("client_id", shop.client_id)]
    answer = await visitor.http.get(visitor.at("oauth2/authorize"), params=query)
    assert answer.status_code == 400


async def test_a_machine_application_cannot_sign_users_in(new_client: NewClient, visitor: Visitor) -> None:
    machine = await new_client("machine")
    answer = await visitor.open("oauth2/authorize", **machine.query())
    assert answer.status_code == 400


async def test_authorize_accepts_post(shop: Application, visitor: Visitor) -> None:
    answer = await visitor.http.post(visitor.at("oauth2/authorize"), data=shop.query())
    assert heading(await visitor.follow(answer)) == "Sign in"


async def test_pkce_is_optional_for_an_application_with_a_secret(shop: Application, visitor: Visitor) -> None:
    page = await shop.authorize(code_challenge=None, code_challenge_method=None)
    assert heading(page) == "Sign in"
    link = next(link for link in Page(page.text).links if "register" in link)
    redirect = await visitor.register(EMAIL, await visitor.http.get(link))
    answer = await shop.token(
        grant_type="authorization_code", code=arrived(redirect)["code"], redirect_uri=CALLBACK
    )
    assert answer.status_code == 200


async def test_a_browser_application_must_use_pkce(new_client: NewClient, visitor: Visitor) -> None:
    spa = await new_client("browser")
    answer = await visitor.open(
        "oauth2/authorize", **spa.query(code_challenge=None, code_challenge_method=None)
    )
    assert arrived(answer)["error"] == "invalid_request"


async def test_only_the_origin_of_a_browser_application_can_read_its_tokens(
    new_client: NewClient, visitor: Visitor
) -> None:
    spa = await new_client("browser")
    redirect = await visitor.register(EMAIL, await spa.registration())
    form = {
        "grant_type": "authorization_code",
        "client_id": spa.client_id,
        "code": arrived(redirect)["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": spa.verifier,
    }
    answer = await visitor.http.post(
        visitor.at("oauth2/token"), data=form, headers={"Origin": "https://shop.example"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    other_origin = await visitor.http.post(
        visitor.at("oauth2/token"), data=form, headers={"Origin": "https://evil.example"}
    )
    assert "access-control-allow-origin" not in other_origin.headers


@pytest.mark.parametrize(
    "changes",
    [
        {"code_verifier": "x" * 43},
        {"code_verifier": "short"},
        {"redirect_uri": "https://shop.example/other"},
        {"code": "invented"},
    ],
)
async def test_a_code_needs_its_verifier_and_redirect_uri(
    shop: Application, visitor: Visitor, changes: dict[str, str]
) -> None:
    redirect = await visitor.register(EMAIL, await shop.registration())
    answer = await shop.exchange(redirect, **changes)
    assert answer.status_code == 400
    assert answer.json()["error"] in ("invalid_grant", "invalid_request")


async def test_a_code_of_another_application_is_rejected(
    shop: Application, new_client: NewClient, visitor: Visitor
) -> None:
    redirect = await visitor.register(EMAIL, await shop.registration())
    other = await new_client("web")
    other.verifier = shop.verifier
    assert (await other.exchange(redirect)).json()["error"] == "invalid_grant"
    assert (await shop.exchange(redirect)).status_code == 200


async def test_a_code_used_twice_revokes_its_tokens(
    shop: Application, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    page = await shop.registration(scope="openid offline_access internal_cds_profile_view")
    redirect = await visitor.register(EMAIL, page)
    tokens = await shop.tokens(redirect)
    header = f"Bearer {tokens['access_token']}"
    await services.callers.guard.authenticate(header, dataset_ref)
    assert (await shop.exchange(redirect)).json()["error"] == "invalid_grant"
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(header, dataset_ref)
    assert (await shop.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("tunables", [tuned(code_life_us=0)])
async def test_an_expired_code_is_rejected(shop: Application, visitor: Visitor) -> None:
    redirect = await visitor.register(EMAIL, await shop.registration())
    assert (await shop.exchange(redirect)).json()["error"] == "invalid_grant"


async def _offline_tokens(shop: Application) -> dict[str, Any]:
    page = await shop.registration(scope="openid offline_access email internal_cds_profile_view")
    return await shop.tokens(await shop.visitor.register(EMAIL, page))


async def test_a_refresh_token_is_replaced_at_every_use(shop: Application) -> None:
    first = await _offline_tokens(shop)
    second = (await shop.refresh(first["refresh_token"])).json()
    third = (await shop.refresh(second["refresh_token"])).json()
    assert len({t["refresh_token"] for t in (first, second, third)}) == 3
    one, three = claims_of(first["id_token"]), claims_of(third["id_token"])
    assert (one["sub"], one["auth_time"], one["sid"]) == (three["sub"], three["auth_time"], three["sid"])
    assert claims_of(third["access_token"])["scope"] == claims_of(first["access_token"])["scope"]


async def test_a_refresh_token_used_twice_ends_the_grant(
    shop: Application, services: Services, dataset_ref: DatasetRef
) -> None:
    first = await _offline_tokens(shop)
    second = (await shop.refresh(first["refresh_token"])).json()
    # From now on, the first one is no repeated request: its successor is in use.
    third = (await shop.refresh(second["refresh_token"])).json()
    assert (await shop.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await shop.refresh(third["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {third['access_token']}", dataset_ref)


async def test_a_refresh_can_reduce_the_scope_only(shop: Application) -> None:
    first = await _offline_tokens(shop)
    less = (await shop.refresh(first["refresh_token"], scope="openid")).json()
    assert claims_of(less["access_token"])["scope"] == "openid"
    more = await shop.refresh(less["refresh_token"], scope="openid internal_cds_profile_update")
    assert more.json()["error"] == "invalid_scope"
    again = (await shop.refresh(less["refresh_token"])).json()
    assert "internal_cds_profile_view" in claims_of(again["access_token"])["scope"].split()


async def test_revoking_a_refresh_token_revokes_its_access_tokens(
    shop: Application, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    tokens = await _offline_tokens(shop)
    form = {"token": tokens["refresh_token"]}
    auth = (shop.client_id, shop.secret or "")
    callback = await visitor.http.post(visitor.at("oauth2/introspect"), data=form, auth=auth)
    assert (callback.json()["active"], callback.json()["username"]) == (True, EMAIL)
    assert (await visitor.http.post(visitor.at("oauth2/revoke"), data=form, auth=auth)).status_code == 200
    assert (await shop.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {tokens['access_token']}", dataset_ref)


async def test_userinfo_has_the_claims_of_the_scope(shop: Application, visitor: Visitor) -> None:
    tokens = await shop.tokens(await visitor.register(EMAIL, await shop.registration()))
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    answer = await visitor.http.get(visitor.at("oauth2/userinfo"), headers=headers)
    assert answer.json()["email"] == EMAIL
    assert answer.json()["sub"] == claims_of(tokens["id_token"])["sub"]
    assert "phone_number" not in answer.json()


async def test_userinfo_needs_a_token_with_openid(
    shop: Application, system: Application, visitor: Visitor
) -> None:
    path = visitor.at("oauth2/userinfo")
    unauthenticated = await visitor.http.get(path)
    assert (unauthenticated.status_code, unauthenticated.headers["www-authenticate"][:6]) == (401, "Bearer")
    machine = (await system.token(grant_type="client_credentials")).json()["access_token"]
    answer = await visitor.http.get(path, headers={"Authorization": f"Bearer {machine}"})
    assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")


async def test_a_new_password_ends_sessions_and_tokens(
    shop: Application, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    tokens = await _offline_tokens(shop)
    user_id = UUID(claims_of(tokens["access_token"])["sub"])
    await services.directory.accounts.set_password(dataset_ref, user_id, "another long password")
    assert (await shop.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {tokens['access_token']}", dataset_ref)
    page = await shop.authorize()
    assert heading(page) == "Sign in"
    assert (await visitor.sign_in(EMAIL, PASSWORD, page)).status_code == 401
    assert arrived(await visitor.sign_in(EMAIL, "another long password", page))["code"]


async def test_tokens_and_sessions_of_another_organisation_are_rejected(
    shop: Application, visitor: Visitor, services: Services, dataset_ref: DatasetRef
) -> None:
    tokens = await _offline_tokens(shop)
    other = (await services.setup.provisioning.create("other")).dataset_ref
    with pytest.raises(Unauthenticated):
        await services.callers.guard.authenticate(f"Bearer {tokens['access_token']}", other)
    answer = await visitor.http.get(
        "/t/other/oauth2/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"}
    )
    assert answer.status_code == 401
    visitor.handle = "other"
    assert (await shop.refresh(tokens["refresh_token"])).json()["error"] == "invalid_client"
    cookie = visitor.http.cookies.get("oneself_session", path="/t/acme")
    page = await visitor.http.get("/t/other/accounts", headers={"Cookie": f"oneself_session={cookie}"})
    assert page.headers["location"] == "/t/other/accounts/login"


async def test_expired_records_are_deleted_and_valid_ones_stay(
    shop: Application, visitor: Visitor, services: Services
) -> None:
    tokens = await _offline_tokens(shop)
    count = "select count(*) from oauth_grant"
    await visitor.follow(await visitor.open("oauth2/authorize", **shop.query()))
    assert await services.database.fetchval(count) == 2
    late = time.time_ns() // 1000 + 2 * 24 * 3600 * 1_000_000
    await Directory(services.database).expired.delete(late, late, late, 0)
    assert await services.database.fetchval(count) == 1
    assert await services.database.fetchval("select count(*) from authorization_code") == 0
    assert (await shop.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_code_can_be_redeemed_again_if_the_database_could_not_record_the_sign_in(
    shop: Application, visitor: Visitor, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The database cannot be reached.")

    redirect = await visitor.register(EMAIL, await shop.registration())
    with monkeypatch.context() as patch:
        patch.setattr(services.directory.sign_ins, "record_sign_in", away)
        answer = await shop.exchange(redirect)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert (await shop.exchange(redirect)).status_code == 200


async def test_a_page_says_so_if_the_database_cannot_be_reached(
    visitor: Visitor, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise Unavailable("The database cannot be reached.")

    page = await visitor.open("accounts/register")
    with monkeypatch.context() as patch:
        patch.setattr(services.directory.sign_ins, "record_sign_in", away)
        answer = await visitor.register(EMAIL, page)
    assert (answer.status_code, heading(answer)) == (503, "Temporarily unavailable")
    assert answer.headers["retry-after"] == "2"


async def test_concurrent_exchanges_of_a_code_give_tokens_once(shop: Application, visitor: Visitor) -> None:
    redirect = await visitor.register(EMAIL, await shop.registration())
    answers = await asyncio.gather(*(shop.exchange(redirect) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400, 400, 400]


async def test_a_name_that_is_too_long_is_not_normalised(
    visitor: Visitor, dataset_ref: DatasetRef, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normalisation takes quadratic time and blocks the event loop."""
    normalize = unicodedata.normalize

    def checked(form: Any, text: str) -> str:
        assert len(text) < 1000, "a long text was normalised"
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", checked)
    name = "a" + "\u0300" * 9000
    assert (await visitor.sign_in(name)).status_code == 401
    for email in (f"{name}@acme.example", f"{'a' * 243}@acme.example"):
        rejected = await visitor.register(email)
        assert rejected.status_code == 400
        assert "Use at most 254 characters." in rejected.text
    assert (await visitor.register(EMAIL, password="\u0300" * 500)).status_code == 303
    assert await services.directory.accounts.list(dataset_ref, after=name) == []
