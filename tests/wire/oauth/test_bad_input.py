"""Invalid input at the authorization server and its pages."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from wire.browser import CALLBACK, Browser, WebApplication, pkce
from wire.client import Cds, fresh

INVALID_VALUES = [
    "%00",
    "a%00b",
    "%ff",
    "%c3%28",
    "%ed%a0%80",
    "x" * 20_000,
    "%F0%9F%90%B4",
    "'%20or%201=1--",
    "%0d%0aX-A:%20b",
]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def the_next_request_works(cds: Cds) -> Iterator[None]:
    yield
    cds.request_token("internal_cds_profile_view")


def _assert_no_server_error(answer: httpx.Response) -> None:
    assert answer.status_code < 500, f"{answer.status_code} {answer.text[:300]}"
    assert "Traceback" not in answer.text


def _assert_client_error(answer: httpx.Response) -> None:
    _assert_no_server_error(answer)
    assert answer.status_code >= 400, f"{answer.status_code} {answer.headers}"


# -- token, introspect, revoke ----------------------------------------------------------------------


@pytest.mark.parametrize("value", INVALID_VALUES)
@pytest.mark.parametrize(
    "field", ["scope", "grant_type", "client_id", "code", "refresh_token", "token", "extra"]
)
@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_an_invalid_field_is_not_a_server_error(cds: Cds, endpoint: str, field: str, value: str) -> None:
    grant = {"code": "authorization_code", "refresh_token": "refresh_token"}.get(field, "client_credentials")
    body = f"grant_type={grant}&{field}={value}" if field != "grant_type" else f"grant_type={value}"
    answer = cds.http.post(
        f"/t/{cds.org}/oauth2/{endpoint}",
        content=body,
        headers=FORM,
        auth=(cds.client_id, cds.client_secret),
    )
    _assert_no_server_error(answer)
    assert answer.headers["content-type"].startswith("application/json") or not answer.content


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic YQ==",
        "Basic AAAA",
        "Basic //79",
        "Bearer x",
        "Basic " + "Q" * 9000,
        "Basic OjA=",
    ],
)
@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_invalid_credentials_are_401(cds: Cds, endpoint: str, authorization: str) -> None:
    answer = cds.http.post(
        f"/t/{cds.org}/oauth2/{endpoint}",
        data={"grant_type": "client_credentials", "token": "x"},
        headers={"Authorization": authorization},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_credentials_with_nul_bytes_are_401(cds: Cds) -> None:
    for pair in (("a\x00b", "c"), (cds.client_id, "a\x00b"), ("\ud7ff" * 500, "x")):
        answer = cds.http.post(
            f"/t/{cds.org}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth(pair[0].encode(), pair[1].encode()),
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (b"", "nonsense"),
        (b"&" * 50_000, "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&" + b"a=b&" * 50_000, "application/x-www-form-urlencoded"),
    ],
    ids=["json", "no utf-8", "incomplete multipart", "no boundary", "empty", "ampersands", "many fields"],
)
def test_an_invalid_form_is_not_a_server_error(cds: Cds, content: bytes, content_type: str) -> None:
    for endpoint in ("token", "introspect", "revoke"):
        answer = cds.http.post(
            f"/t/{cds.org}/oauth2/{endpoint}",
            content=content,
            headers={"Content-Type": content_type},
            auth=(cds.client_id, cds.client_secret),
        )
        _assert_no_server_error(answer)


@pytest.mark.parametrize("path", ["oauth2/token", "oauth2/introspect", "accounts/login", "accounts/register"])
def test_a_form_that_is_too_large_is_rejected(cds: Cds, path: str) -> None:
    try:
        answer = cds.http.post(
            f"/t/{cds.org}/{path}",
            content=b"a=" + b"x" * (24 * 1024 * 1024),
            headers=FORM,
            auth=(cds.client_id, cds.client_secret),
        )
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return
    _assert_client_error(answer)


# -- authorize, the pages, logout -------------------------------------------------------------------


@pytest.mark.parametrize("value", INVALID_VALUES)
@pytest.mark.parametrize(
    "field",
    [
        "client_id",
        "redirect_uri",
        "state",
        "scope",
        "nonce",
        "anonymous_profile_tracker",
        "prompt",
        "code_challenge",
    ],
)
def test_an_invalid_authorize_request_is_not_a_server_error(
    cds: Cds, web_app: WebApplication, browser: Browser, field: str, value: str
) -> None:
    url = web_app.authorize_url(pkce()[1])
    parts = [part for part in url.split("?")[1].split("&") if not part.startswith(field + "=")]
    path = f"/t/{cds.org}/oauth2/authorize?" + "&".join([*parts, f"{field}={value}"])
    answer = browser.http.get(cds.base_url + path, follow_redirects=False)
    _assert_no_server_error(answer)
    assert "x-a" not in answer.headers
    location = answer.headers.get("location", "")
    assert not location or urlsplit(location).netloc in ("shop.example", urlsplit(cds.base_url).netloc, "")


def test_a_repeated_field_does_not_redirect_elsewhere(web_app: WebApplication, browser: Browser) -> None:
    for field in ("client_id", "redirect_uri", "response_type", "scope", "state"):
        url = web_app.authorize_url(pkce()[1]) + f"&{field}=https://evil.example/"
        answer = browser.http.get(url, follow_redirects=False)
        _assert_no_server_error(answer)
        assert not answer.headers.get("location", "").startswith("https://evil.example")


@pytest.mark.parametrize("value", INVALID_VALUES)
@pytest.mark.parametrize("page", ["login", "register"])
def test_an_invalid_form_of_a_page_is_not_a_server_error(
    cds: Cds, web_app: WebApplication, page: str, value: str
) -> None:
    browser = Browser(cds.base_url)
    form_page = browser.open(web_app.authorize_url(pkce()[1]))
    if page == "register":
        form_page = browser.open(next(link for link in form_page.links if "register" in link))
    form = next(f for f in form_page.forms if f.has("password"))
    hidden = [f"{f.name}={f.value}" for f in form.fields if f.type == "hidden"]
    visible = [f"{f.name}={value}" for f in form.fields if f.type not in ("hidden", "submit")]
    answer = browser.http.post(
        cds.base_url + form.action,
        content="&".join(hidden + visible),
        headers={**FORM, **browser.cookie_header(urlsplit(cds.base_url).hostname or "")},
        follow_redirects=False,
    )
    _assert_no_server_error(answer)
    assert not answer.headers.get("location", "").startswith(CALLBACK)
    browser.close()


@pytest.mark.parametrize("cookie", ["", "x", "%00", "a" * 5000, '"', "=;=;="], ids=repr)
def test_an_invalid_cookie_is_not_a_session(cds: Cds, web_app: WebApplication, cookie: str) -> None:
    browser = Browser(cds.base_url)
    browser.open(web_app.authorize_url(pkce()[1]))
    names = {name for jar in browser.cookies.values() for name in jar} | {"oneself_session", "cds_profile"}
    cookies = "; ".join(f"{name}={cookie}" for name in sorted(names))
    answer = browser.http.get(
        web_app.authorize_url(pkce()[1]), headers={"Cookie": cookies}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert "password" in answer.text
    browser.close()


@pytest.mark.parametrize("value", [*INVALID_VALUES, "a.b.c", "e30.e30.e30"])
def test_an_invalid_logout_is_not_a_server_error(cds: Cds, value: str) -> None:
    for field in ("id_token_hint", "post_logout_redirect_uri", "client_id", "state"):
        answer = cds.http.get(f"/t/{cds.org}/oauth2/logout?{field}={value}", follow_redirects=False)
        _assert_no_server_error(answer)
        location = answer.headers.get("location", "")
        assert urlsplit(location).netloc in ("", urlsplit(cds.base_url).netloc)


def test_a_page_escapes_parameters(web_app: WebApplication, browser: Browser) -> None:
    script = '"><script>alert(1)</script>'
    for field in (
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "response_type",
        "prompt",
        "ui_locales",
        "login_hint",
    ):
        page = browser.open(web_app.authorize_url(pkce()[1], **{field: script}))
        assert "<script>alert(1)" not in page.answer.text, field


# -- organisations ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "org",
    ["%00", "a%00b", "%ff", "..", "%2e%2e", "x" * 4000, "ACME", "acme%20", "%F0%9F%90%B4", "'", "%2F", "*"],
)
@pytest.mark.parametrize(
    "path",
    [
        "/cds/api/v1/profiles",
        "/oauth2/jwks",
        "/oauth2/authorize?client_id=a",
        "/.well-known/openid-configuration",
        "/accounts/login",
        "",
    ],
)
def test_an_invalid_organisation_is_a_client_error(cds: Cds, org: str, path: str) -> None:
    answer = cds.http.get(f"/t/{org}{path}", headers={"Authorization": f"Bearer {cds.token()}"})
    if answer.request.url.path != "/":  # the client resolves `/t/..`, to the page of the service
        _assert_client_error(answer)


def test_a_token_request_to_an_invalid_organisation_is_a_client_error(cds: Cds) -> None:
    for org in ("%00", "%ff", "x" * 3000, fresh("unknown")):
        answer = cds.http.post(
            f"/t/{org}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(cds.client_id, cds.client_secret),
        )
        _assert_client_error(answer)
