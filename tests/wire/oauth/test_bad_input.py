"""Bad input at the authorization server and its pages."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from wire.browser import CALLBACK, Browser, WebApplication, pkce
from wire.client import Cds, fresh

BYTES = [
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
    cds.ask_token("internal_cds_profile_view")


def _fine(answer: httpx.Response) -> None:
    assert answer.status_code < 500, f"{answer.status_code} {answer.text[:300]}"
    assert "Traceback" not in answer.text


def _refused(answer: httpx.Response) -> None:
    _fine(answer)
    assert answer.status_code >= 400, f"{answer.status_code} {answer.headers}"


# -- token, introspect, revoke ----------------------------------------------------------------------


@pytest.mark.parametrize("value", BYTES)
@pytest.mark.parametrize(
    "field", ["scope", "grant_type", "client_id", "code", "refresh_token", "token", "extra"]
)
@pytest.mark.parametrize("endpoint", ["token", "introspect", "revoke"])
def test_an_absurd_field_is_answered(cds: Cds, endpoint: str, field: str, value: str) -> None:
    grant = {"code": "authorization_code", "refresh_token": "refresh_token"}.get(field, "client_credentials")
    body = f"grant_type={grant}&{field}={value}" if field != "grant_type" else f"grant_type={value}"
    answer = cds.http.post(
        f"/t/{cds.org}/oauth2/{endpoint}",
        content=body,
        headers=FORM,
        auth=(cds.client_id, cds.client_secret),
    )
    _fine(answer)
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
def test_absurd_credentials_are_refused(cds: Cds, endpoint: str, authorization: str) -> None:
    answer = cds.http.post(
        f"/t/{cds.org}/oauth2/{endpoint}",
        data={"grant_type": "client_credentials", "token": "x"},
        headers={"Authorization": authorization},
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_credentials_with_nul_bytes_are_refused(cds: Cds) -> None:
    for pair in (("a\x00b", "c"), (cds.client_id, "a\x00b"), ("\ud7ff" * 500, "x")):
        answer = cds.http.post(
            f"/t/{cds.org}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=httpx.BasicAuth(pair[0].encode(), pair[1].encode()),
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"x", "multipart/form-data"),
        (b"", "nonsense"),
        (b"&" * 50_000, "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&" + b"a=b&" * 50_000, "application/x-www-form-urlencoded"),
    ],
    ids=["json", "no utf-8", "half multipart", "no boundary", "nothing", "ampersands", "many fields"],
)
def test_an_absurd_form_is_answered(cds: Cds, content: bytes, kind: str) -> None:
    for endpoint in ("token", "introspect", "revoke"):
        answer = cds.http.post(
            f"/t/{cds.org}/oauth2/{endpoint}",
            content=content,
            headers={"Content-Type": kind},
            auth=(cds.client_id, cds.client_secret),
        )
        _fine(answer)


@pytest.mark.parametrize("path", ["oauth2/token", "oauth2/introspect", "accounts/login", "accounts/register"])
def test_a_form_that_is_too_large_is_refused(cds: Cds, path: str) -> None:
    try:
        answer = cds.http.post(
            f"/t/{cds.org}/{path}",
            content=b"a=" + b"x" * (24 * 1024 * 1024),
            headers=FORM,
            auth=(cds.client_id, cds.client_secret),
        )
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return
    _refused(answer)


# -- authorize, the pages, logout -------------------------------------------------------------------


@pytest.mark.parametrize("value", BYTES)
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
def test_an_absurd_authorize_request_is_answered(
    cds: Cds, web_app: WebApplication, browser: Browser, field: str, value: str
) -> None:
    url = web_app.authorize_url(pkce()[1])
    parts = [part for part in url.split("?")[1].split("&") if not part.startswith(field + "=")]
    path = f"/t/{cds.org}/oauth2/authorize?" + "&".join([*parts, f"{field}={value}"])
    answer = browser.http.get(cds.base_url + path, follow_redirects=False)
    _fine(answer)
    assert "x-a" not in answer.headers
    to = answer.headers.get("location", "")
    assert not to or urlsplit(to).netloc in ("shop.example", urlsplit(cds.base_url).netloc, "")


def test_a_repeated_field_is_accepted(web_app: WebApplication, browser: Browser) -> None:
    for field in ("client_id", "redirect_uri", "response_type", "scope", "state"):
        url = web_app.authorize_url(pkce()[1]) + f"&{field}=https://evil.example/"
        answer = browser.http.get(url, follow_redirects=False)
        _fine(answer)
        assert not answer.headers.get("location", "").startswith("https://evil.example")


@pytest.mark.parametrize("value", BYTES)
@pytest.mark.parametrize("page", ["login", "register"])
def test_an_absurd_form_at_the_pages_is_answered(
    cds: Cds, web_app: WebApplication, page: str, value: str
) -> None:
    browser = Browser(cds.base_url)
    shown = browser.open(web_app.authorize_url(pkce()[1]))
    if page == "register":
        shown = browser.open(next(link for link in shown.links if "register" in link))
    form = next(f for f in shown.forms if f.has("password"))
    hidden = [f"{f.name}={f.value}" for f in form.fields if f.type == "hidden"]
    typed = [f"{f.name}={value}" for f in form.fields if f.type not in ("hidden", "submit")]
    answer = browser.http.post(
        cds.base_url + form.action,
        content="&".join(hidden + typed),
        headers={**FORM, **browser.cookie_header(urlsplit(cds.base_url).hostname or "")},
        follow_redirects=False,
    )
    _fine(answer)
    assert not answer.headers.get("location", "").startswith(CALLBACK)
    browser.close()


@pytest.mark.parametrize("cookie", ["", "x", "%00", "a" * 5000, '"', "=;=;="], ids=repr)
def test_an_absurd_cookie_is_not_a_session(cds: Cds, web_app: WebApplication, cookie: str) -> None:
    browser = Browser(cds.base_url)
    browser.open(web_app.authorize_url(pkce()[1]))
    names = {name for jar in browser.cookies.values() for name in jar} | {"oneself_session", "cds_profile"}
    said = "; ".join(f"{name}={cookie}" for name in sorted(names))
    answer = browser.http.get(
        web_app.authorize_url(pkce()[1]), headers={"Cookie": said}, follow_redirects=True
    )
    assert answer.status_code == 200
    assert "password" in answer.text
    browser.close()


@pytest.mark.parametrize("value", [*BYTES, "a.b.c", "e30.e30.e30"])
def test_an_absurd_logout_is_answered(cds: Cds, value: str) -> None:
    for field in ("id_token_hint", "post_logout_redirect_uri", "client_id", "state"):
        answer = cds.http.get(f"/t/{cds.org}/oauth2/logout?{field}={value}", follow_redirects=False)
        _fine(answer)
        to = answer.headers.get("location", "")
        assert urlsplit(to).netloc in ("", urlsplit(cds.base_url).netloc)


def test_a_page_shows_what_it_was_sent_escaped(web_app: WebApplication, browser: Browser) -> None:
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
def test_an_absurd_organisation_is_unknown(cds: Cds, org: str, path: str) -> None:
    answer = cds.http.get(f"/t/{org}{path}", headers={"Authorization": f"Bearer {cds.token()}"})
    _refused(answer)


def test_a_token_request_to_an_absurd_organisation_is_refused(cds: Cds) -> None:
    for org in ("%00", "%ff", "x" * 3000, fresh("nobody")):
        answer = cds.http.post(
            f"/t/{org}/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(cds.client_id, cds.client_secret),
        )
        _refused(answer)
