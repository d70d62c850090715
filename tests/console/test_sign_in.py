"""Signing in to the console: authorization code with PKCE, sessions, throttling, and no trace in the log."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from oneself.service.context import DatasetRef
from oneself.service.profiles.invalid_values import START
from oneself.services import Services
from support.console_browser import ADMIN, ADMIN_PASSWORD, ConsoleBrowser, new_console_user

ATTRIBUTES = "/console/o/acme/attributes"


async def test_a_sign_in_leads_to_the_only_organisation(ada: ConsoleBrowser) -> None:
    assert ada.page.status_code == 200
    assert ada.page.url.path == "/console/o/acme"
    assert ada.heading == "Acme Books"


async def test_a_sign_in_returns_to_the_page_that_was_asked_for(ada: ConsoleBrowser, app: Any) -> None:
    browser = ConsoleBrowser(app)
    await browser.open(ATTRIBUTES, scope="application_data", q="basket")
    await browser.submit(username=ADMIN, password=ADMIN_PASSWORD)
    assert str(browser.page.url).endswith(f"{ATTRIBUTES}?scope=application_data&q=basket")


async def test_the_request_carries_a_challenge_and_its_verifier_stays_in_the_browser(
    ada: ConsoleBrowser, app: Any
) -> None:
    answer = await ConsoleBrowser(app).http.get("/console")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["code_challenge"][0] not in answer.headers["set-cookie"]


async def test_a_code_is_worth_nothing_in_another_browser(ada: ConsoleBrowser, app: Any) -> None:
    browser, thief = ConsoleBrowser(app), ConsoleBrowser(app)
    await thief.open("/console/")
    page = await browser.open("/console/")
    csrf = browser.parsed.csrf
    sent = {"username": ADMIN, "password": ADMIN_PASSWORD, "csrf": csrf}
    redirect = await browser.http.post(str(page.url), data=sent)
    assert redirect.headers["location"].startswith("/console/signed-in?")
    stolen = await thief.open(redirect.headers["location"])
    assert stolen.status_code == 400
    # The code was not redeemed: the thief's browser does not know the state.
    assert (await browser.open(redirect.headers["location"])).url.path == "/console/o/acme"
    assert (await browser.open(redirect.headers["location"])).status_code == 400


async def test_a_code_needs_the_verifier_of_its_challenge(ada: ConsoleBrowser, app: Any) -> None:
    browser = ConsoleBrowser(app)
    page = await browser.open("/console/")
    form = {"username": ADMIN, "password": ADMIN_PASSWORD, "csrf": browser.parsed.csrf}
    location = (await browser.http.post(str(page.url), data=form)).headers["location"]
    state, _, back = browser.http.cookies["oneself_console_request"].split(".")
    browser.http.cookies.clear()
    browser.http.cookies.set("oneself_console_request", f"{state}.{'x' * 43}.{back}", path="/console")
    assert (await browser.open(location)).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        ("redirect_uri=%2Fconsole%2Fsigned-in", "redirect_uri=https%3A%2F%2Fevil.example"),
        ("client_id=console", "client_id=acme-backend"),
        ("code_challenge_method=S256", "code_challenge_method=plain"),
        ("code_challenge=", "no_challenge="),
        ("response_type=code", "response_type=token"),
    ],
)
async def test_other_authorization_requests_are_rejected(
    app: Any, services: Services, change: tuple[str, str]
) -> None:
    browser = ConsoleBrowser(app)
    page = await browser.open("/console/")
    answer = await browser.open(str(page.url).replace(*change))
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_wrong_passwords_are_counted(ada: ConsoleBrowser, app: Any) -> None:
    stranger = ConsoleBrowser(app)
    await stranger.open("/console/")
    for _ in range(10):
        await stranger.submit(username=ADMIN, password="a wrong password")
        assert stranger.page.status_code == 401
    await stranger.submit(username=ADMIN, password=ADMIN_PASSWORD)
    assert stranger.page.status_code == 429
    assert int(stranger.page.headers["retry-after"]) > 0
    # Ada's own browser signed in before: strangers do not lock her out.
    await ada.submit_sign_out()
    assert (await ada.sign_in()).status_code == 200


async def test_unknown_names_get_the_same_answer(ada: ConsoleBrowser, app: Any) -> None:
    stranger = ConsoleBrowser(app)
    await stranger.sign_in("nobody", "a wrong password")
    unknown = stranger.text.replace("nobody", "")
    await stranger.sign_in(ADMIN, "a wrong password")
    assert stranger.text.replace(ADMIN, "") == unknown
    assert stranger.page.status_code == 401


async def test_signing_out_ends_the_session(ada: ConsoleBrowser) -> None:
    cookie = ada.http.cookies["oneself_console"]
    await ada.submit_sign_out()
    assert ada.heading == "You are signed out"
    ada.http.cookies.set("oneself_console", cookie, domain="localhost.local", path="/console")
    await ada.open(ATTRIBUTES)
    assert ada.heading == "Sign in to the console"


async def test_a_new_password_or_a_deletion_ends_the_sessions(
    ada: ConsoleBrowser, services: Services
) -> None:
    await services.directory.console_users.set_password(ADMIN, "another good password")
    await ada.open(ATTRIBUTES)
    assert ada.heading == "Sign in to the console"
    await ada.sign_in(password="another good password")
    await services.directory.console_users.delete(ADMIN)
    await ada.open(ATTRIBUTES)
    assert ada.heading == "Sign in to the console"


async def test_a_role_that_is_taken_is_gone_at_once(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    await services.directory.console_users.set_role(ADMIN, acme, None)
    assert (await ada.open(ATTRIBUTES)).status_code == 404
    await ada.open("/console/")
    assert "You have no role" in ada.text


async def test_a_user_of_several_organisations_chooses_one(
    app: Any, services: Services, acme: DatasetRef
) -> None:
    await services.setup.provisioning.create("zenith", name="Zenith")
    await services.setup.provisioning.create("secret", name="Secret")
    await new_console_user(services, "eve", "analyst", "acme", "zenith")
    browser = ConsoleBrowser(app)
    await browser.sign_in("eve")
    assert browser.heading == "Choose an organisation"
    assert {"/console/o/acme", "/console/o/zenith"} <= set(browser.parsed.links)
    assert "Secret" not in browser.text
    assert (await browser.open("/console/o/secret")).status_code == 404
    assert (await browser.open("/console/o/unknown")).status_code == 404


async def test_a_sign_in_is_no_observation(ada: ConsoleBrowser, services: Services, acme: DatasetRef) -> None:
    entries = await services.log.audit.list_entries(acme, 0, 2**62, limit=100, offset=0)
    assert {entry.kind for entry in entries} == {"configure", "organisation", "application", "console_user"}
    assert (await services.profiles.invalid_values.page(acme, START)).seen == 0
    assert await services.directory.accounts.list(acme, "", 10) == []
