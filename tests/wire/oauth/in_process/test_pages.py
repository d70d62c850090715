"""The pages for sign-in and registration: accessibility, security headers, validation and rate limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from oneself.service.context import DatasetRef
from oneself.service.directory.throttle import AttemptLimit, ThrottleLimits
from support.tunables import tuned
from support.visitor import PASSWORD, Application, Page, Visitor, heading

EMAIL = "ann@acme.example"
PAGES = ["accounts/login", "accounts/register"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_field_has_a_label_and_an_autocomplete_attribute(
    visitor: Visitor, dataset_ref: DatasetRef, path: str
) -> None:
    page = Page((await visitor.open(path)).text)
    visible = {name: field for name, field in page.fields.items() if field["type"] != "hidden"}
    assert set(visible) == page.labels
    assert all(field["autocomplete"] for field in visible.values())
    assert {field["autocomplete"] for field in visible.values()} <= {
        *("username", "current-password", "new-password", "given-name", "family-name", "tel"),
    }


async def test_errors_are_shown_at_the_field_and_at_the_top(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    answer = await visitor.register("ann", given_name="", password="short", mobile="call me")
    page = Page(answer.text)
    assert answer.status_code == 400
    assert "<title>Error: Create an account</title>" in answer.text
    assert 'role="alert"' in answer.text
    for name in ("email", "given_name", "mobile", "password"):
        assert page.fields[name]["aria-invalid"] == "true"
        assert set(page.fields[name]["aria-describedby"].split()) <= page.ids
        assert f"#{name}" in page.links
    assert page.fields["email"]["value"] == "ann"
    assert page.fields["password"]["value"] == ""


@pytest.mark.parametrize("path", [*PAGES, "accounts", "oauth2/logout", "oauth2/authorize"])
async def test_pages_have_no_script_and_cannot_be_framed_or_cached(
    visitor: Visitor, dataset_ref: DatasetRef, path: str
) -> None:
    answer = await visitor.follow(await visitor.open(path))
    page = Page(answer.text)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert not {"script", "style", "iframe"} & set(page.tags)
    assert not page.inline


async def test_the_policy_allows_forms_to_the_application_only(shop: Application) -> None:
    login = await shop.authorize()
    policy = login.headers["content-security-policy"]
    assert policy.endswith("form-action 'self' https://shop.example")


async def test_the_stylesheet_is_served_locally(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    answer = await visitor.open("accounts/pages.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"]
    assert "http" not in answer.text


async def test_input_is_escaped(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    answer = await visitor.register('"><script>alert(1)</script>')
    assert "<script" not in answer.text


@pytest.mark.parametrize("path", PAGES)
async def test_a_form_of_another_browser_is_rejected(
    visitor: Visitor, new_visitor: Callable[..., Visitor], dataset_ref: DatasetRef, path: str
) -> None:
    other_page = Page((await new_visitor().open(path)).text)
    person = {"email": EMAIL, "given_name": "Ann", "last_name": "Archer", "password": PASSWORD}
    for form in (person, {**person, "csrf": other_page.csrf}, {**person, "csrf": "\u20ac"}):
        answer = await visitor.http.post(visitor.at(path), data=form)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers or "oneself_session" not in answer.headers["set-cookie"]


async def test_scripts_and_other_sites_cannot_read_the_session_cookie(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    answer = await visitor.register(EMAIL)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("oneself_session="))
    parts = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert parts == {"httponly", "path=/t/acme", "samesite=lax"}


@pytest.mark.parametrize("host", ["acme.example", "localhost.evil.example"])
async def test_cookies_are_secure_except_on_localhost(
    visitor: Visitor, dataset_ref: DatasetRef, host: str
) -> None:
    answer = await visitor.http.get(visitor.at("accounts/login"), headers={"Host": host})
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_unknown_users_and_wrong_passwords_get_the_same_answer(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    await visitor.register(EMAIL)
    wrong = await visitor.sign_in(EMAIL, "not the password")
    unknown = await visitor.sign_in("unknown@acme.example", "not the password")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(EMAIL, "") == unknown.text.replace("unknown@acme.example", "")


async def test_an_address_in_use_is_registered_like_any_other(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    first, second = [await visitor.register(email) for email in (EMAIL, "Ann@ACME.example")]
    assert (first.status_code, first.headers["location"]) == (second.status_code, second.headers["location"])
    assert first.status_code == 303


@pytest.mark.parametrize("password", ["1234567", "12345678", "PassWord1", EMAIL, "x" * 1025, "\u20ac" * 342])
async def test_a_weak_or_too_long_password_is_rejected(
    visitor: Visitor, dataset_ref: DatasetRef, password: str
) -> None:
    answer = await visitor.register(EMAIL, password=password)
    assert answer.status_code == 400
    assert "password" in answer.text


@pytest.mark.parametrize("password", ["exactly8", " spaces at both ends ", "пароль длинный", "x" * 1024])
async def test_any_other_password_is_accepted_unchanged(
    visitor: Visitor, dataset_ref: DatasetRef, password: str
) -> None:
    assert (await visitor.register(EMAIL, password=password)).status_code == 303
    assert (await visitor.sign_in(EMAIL, password)).status_code == 303
    assert (await visitor.sign_in(EMAIL, password + " ")).status_code == 401


async def test_failed_sign_ins_to_one_account_are_limited(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    await visitor.register(EMAIL)
    await visitor.register("bob@acme.example")
    statuses = [(await visitor.sign_in(EMAIL, f"guess number {n}")).status_code for n in range(11)]
    assert statuses == [401] * 10 + [429]
    limited = await visitor.sign_in(EMAIL)
    assert limited.status_code == 429
    assert 0 < int(limited.headers["retry-after"]) <= 900
    assert (await visitor.sign_in("bob@acme.example")).status_code == 303


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(address=AttemptLimit(3, 900)))])
async def test_failed_sign_ins_from_one_address_are_limited(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    for n in range(3):
        assert (await visitor.sign_in(f"person{n}@acme.example", "a guess")).status_code == 401
    assert (await visitor.sign_in("person9@acme.example", "a guess")).status_code == 429
    assert (await visitor.register("new@acme.example")).status_code == 429


async def test_an_account_with_the_same_address_does_not_reset_failures(
    new_visitor: Callable[..., Visitor], dataset_ref: DatasetRef
) -> None:
    """Whoever registers with somebody's address, before or after, may guess their password ten times."""
    early, late = new_visitor(), new_visitor()
    await early.register(EMAIL, password="the early stranger")
    await new_visitor().register(EMAIL)
    await late.register(EMAIL, password="the later stranger")
    codes = []
    for stranger, own in ((early, "the early stranger"), (late, "the later stranger")):
        for n in range(6):
            codes.append((await stranger.sign_in(EMAIL, f"guess number {n}")).status_code)
            codes.append((await stranger.sign_in(EMAIL, own)).status_code)
    assert codes.count(401) == 10
    assert set(codes[-2:]) == {429}


@pytest.mark.parametrize("tunables", [tuned(attempts=ThrottleLimits(account=AttemptLimit(3, 900)))])
async def test_guesses_that_arrive_together_are_counted(
    new_visitor: Callable[..., Visitor], dataset_ref: DatasetRef
) -> None:
    guesses = [new_visitor().sign_in(EMAIL, f"guess number {n}") for n in range(12)]
    codes = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert sorted(codes) == [401] * 3 + [429] * 9


async def test_failures_are_reset_by_a_success(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    await visitor.register(EMAIL)
    for _ in range(2):
        for n in range(9):
            await visitor.sign_in(EMAIL, f"guess number {n}")
        assert (await visitor.sign_in(EMAIL)).status_code == 303


@pytest.mark.parametrize(
    "tunables", [tuned(attempts=ThrottleLimits(account=AttemptLimit(2, 0), address=AttemptLimit(2, 0)))]
)
async def test_failures_are_forgotten_after_their_window(visitor: Visitor, dataset_ref: DatasetRef) -> None:
    for n in range(12):
        assert (await visitor.sign_in("late@acme.example", f"guess {n}")).status_code == 401


@pytest.mark.parametrize("path", [*PAGES, "oauth2/authorize", "oauth2/logout", "accounts"])
@pytest.mark.parametrize(
    "query", ["client_id=%00", "a=%00", "%00=a", "&".join(f"a{n}=1" for n in range(200)), "%ff=%fe"]
)
async def test_an_invalid_query_is_not_a_server_error(
    visitor: Visitor, dataset_ref: DatasetRef, path: str, query: str
) -> None:
    answer = await visitor.http.get(f"{visitor.at(path)}?{query}")
    assert answer.status_code < 500


@pytest.mark.parametrize("body", [b"\xff\xfe", b"email=%00&csrf=x", b"=" * 70_000, b"email=" + b"x" * 60_000])
async def test_an_invalid_form_is_not_a_server_error(
    visitor: Visitor, dataset_ref: DatasetRef, body: bytes
) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in (*PAGES, "oauth2/authorize", "oauth2/logout"):
        answer = await visitor.http.post(visitor.at(path), content=body, headers=headers)
        assert answer.status_code < 500
    assert (await visitor.open("accounts/login")).status_code == 200


@pytest.mark.parametrize(
    ("email", "registered"),
    [("a" * 60_000, 400), ("a\x0b@b.example", 400), ("\u202e@\u202e", 400), ("ann@acme.example\n", 303)],
    ids=["60 000 characters", "vertical tab", "direction mark", "line break at its end"],
)
async def test_a_malformed_address_does_not_sign_in(
    visitor: Visitor, dataset_ref: DatasetRef, email: str, registered: int
) -> None:
    assert (await visitor.sign_in(email, "a guess")).status_code == 401
    assert (await visitor.register(email)).status_code == registered


async def test_pages_of_an_unknown_organisation_are_404(new_visitor: Callable[..., Visitor]) -> None:
    other_visitor = new_visitor("unknown")
    for path in (*PAGES, "oauth2/authorize", "oauth2/jwks", ".well-known/openid-configuration"):
        assert (await other_visitor.open(path)).status_code == 404


async def test_a_sign_in_without_an_application_shows_the_account_page(
    visitor: Visitor, dataset_ref: DatasetRef
) -> None:
    await visitor.register(EMAIL)
    visitor.http.cookies.clear()
    answer = await visitor.follow(await visitor.sign_in(EMAIL))
    assert heading(answer) == "You are signed in"


async def test_the_pages_lead_to_each_other(visitor: Visitor) -> None:
    login, register = await visitor.open("accounts/login"), await visitor.open("accounts/register")
    assert re.search(r'>New here\? <a href="[^"]*/accounts/register">Create an account</a>', login.text)
    assert re.search(r'>Already have an account\? <a href="[^"]*/accounts/login">Sign in</a>', register.text)
