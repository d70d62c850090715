"""The shop page of the demo in a real Chromium."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from e2e.conftest import RunningDemo

# All these tests share one demo, so they run on one worker process.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]

PASSWORD = "a long enough password"


def test_an_anonymous_visit_becomes_a_persons_profile(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    first = _profile_id(page)
    assert _profile_kind(page) == "temporary"
    cookie = next(c for c in page.context.cookies() if c["name"] == "cds_profile")
    assert (cookie["domain"], cookie["httpOnly"], cookie["sameSite"]) == ("localhost", True, "Lax")

    page.reload()
    assert _profile_id(page) == first, "the browser did not send the cookie on http://localhost"

    _put_in_basket(page, "Knots")
    assert _visible_values(page) == {
        "traits.interests": "sailing",
        "application_data.bookshop-backend.basket": "Knots",
    }

    email = _register(page)
    assert page.url == demo.shop
    assert _profile_kind(page) == "permanent"
    assert _profile_id(page) == first, "the temporary profile was not promoted"
    assert _visible_values(page)["traits.interests"] == "sailing"
    assert _visible_values(page)["identity_attributes.emailaddress"] == email
    assert page.get_by_text("Hello, Chris").is_visible()


def test_a_second_browser_is_merged_at_sign_in(demo: RunningDemo, page: Any, chromium: Any) -> None:
    page.goto(demo.shop)
    _put_in_basket(page, "Roses")
    email = _register(page)
    permanent = _profile_id(page)

    other = chromium.new_context().new_page()
    other.goto(demo.shop)
    temporary = _profile_id(other)
    assert temporary != permanent
    _put_in_basket(other, "The Night Sky")
    _sign_in(other, email)
    assert _profile_id(other) == temporary, "the id of the absorbed profile is no longer shown"
    assert f"{permanent} system:user_id_match" in " ".join(_panel(other).split())
    assert _visible_values(other)["traits.interests"] == "gardens, astronomy"
    other.context.close()

    page.reload()
    assert f"{temporary} system:user_id_match" in " ".join(_panel(page).split())
    assert _visible_values(page)["traits.interests"] == "gardens, astronomy"


def test_a_browser_keeps_its_profile_after_sign_out(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    _register(page)
    before = _profile_id(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)
    assert page.get_by_role("link", name="Sign in").is_visible()
    assert (_profile_id(page), _profile_kind(page)) == (before, "permanent")


def test_a_second_user_on_the_same_browser_gets_a_new_profile(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    _put_in_basket(page, "Knots")
    first_email = _register(page)
    first, first_values = _profile_id(page), _visible_values(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)

    second_email = _register(page)
    assert _profile_id(page) != first
    assert _visible_values(page)["identity_attributes.emailaddress"] == second_email
    assert "traits.interests" not in _visible_values(page)

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)
    _sign_in(page, first_email)
    assert (_profile_id(page), _visible_values(page)) == (first, first_values), (
        "the profile of the first user changed"
    )


def test_the_pages_need_no_javascript(demo: RunningDemo, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(demo.shop)
    _put_in_basket(page, "Knots")
    _register(page)
    assert _profile_kind(page) == "permanent"
    context.close()


def test_the_reference_page_shows_the_operations(demo: RunningDemo, page: Any) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    service = re.sub(r":\d+/.*", "", demo.shop)
    found = re.search(r"reference +(\S+)", demo.output)
    assert found
    page.goto(found[1])
    page.get_by_text("/cds/api/v1/profiles/{profile_id}").first.wait_for()
    outside = [url for url in requested if not url.startswith((service, "data:"))]
    assert outside == [], "the page loads external resources"


def _put_in_basket(page: Any, book: str) -> None:
    page.get_by_role("button", name=f"Put in basket: {book}").click()
    page.get_by_role("status").wait_for()


def _register(page: Any) -> str:
    """Register a new account. Returns its e-mail address."""
    email = f"chris-{secrets.token_hex(4)}@shop.example"
    page.get_by_role("link", name="Register").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("First name").fill("Chris")
    page.get_by_label("Last name").fill("Castle")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("status").wait_for()
    return email


def _sign_in(page: Any, email: str) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("status").wait_for()


def _profile_id(page: Any) -> str:
    return str(page.locator("#profile-id").inner_text())


def _profile_kind(page: Any) -> str:
    return str(page.locator(".chip").inner_text())


def _panel(page: Any) -> str:
    return str(page.get_by_role("complementary").inner_text())


def _visible_values(page: Any) -> dict[str, str]:
    """The values in the table of the page, by path."""
    values = {}
    for cell in page.locator("tbody tr td:first-child").all():
        # `text_content` does not depend on the style sheet, which may load after the page.
        path = cell.locator(".path").text_content()
        values[path] = cell.text_content().removeprefix(path)
    return values
