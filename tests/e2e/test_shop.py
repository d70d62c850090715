"""The shop page of the demo in a real Chromium: the seed's story, clicked."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from e2e.conftest import RunningDemo

# One demo serves all of them, in one process of the test run.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("demo")]

PASSWORD = "a long enough password"


def test_an_anonymous_visit_becomes_a_persons_profile(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    first = _profile_id(page)
    assert _chip(page) == "temporary"
    cookie = next(c for c in page.context.cookies() if c["name"] == "cds_profile")
    assert (cookie["domain"], cookie["httpOnly"], cookie["sameSite"]) == ("localhost", True, "Lax")

    page.reload()
    assert _profile_id(page) == first, "the browser keeps the cookie on http://localhost"

    _put_in_basket(page, "Knots")
    assert _known(page) == {
        "traits.interests": "sailing",
        "application_data.bookshop-backend.basket": "Knots",
    }

    email = _register(page)
    assert page.url == demo.shop
    assert _chip(page) == "permanent"
    assert _profile_id(page) == first, "the temporary profile became the permanent one"
    assert _known(page)["traits.interests"] == "sailing"
    assert _known(page)["identity_attributes.emailaddress"] == email
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
    assert _profile_id(other) == temporary, "the id that this browser knows still answers"
    assert f"{permanent} system:user_id_match" in " ".join(_panel(other).split())
    assert _known(other)["traits.interests"] == "gardens, astronomy"
    other.context.close()

    page.reload()
    assert f"{temporary} system:user_id_match" in " ".join(_panel(page).split())
    assert _known(page)["traits.interests"] == "gardens, astronomy"


def test_after_signing_out_the_browser_is_still_the_same_persons(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    _register(page)
    before = _profile_id(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)
    assert page.get_by_role("link", name="Sign in").is_visible()
    assert (_profile_id(page), _chip(page)) == (before, "permanent")


def test_a_stranger_on_the_same_browser_has_a_profile_of_their_own(demo: RunningDemo, page: Any) -> None:
    page.goto(demo.shop)
    _put_in_basket(page, "Knots")
    first_email = _register(page)
    first, first_known = _profile_id(page), _known(page)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)

    second_email = _register(page)
    assert _profile_id(page) != first
    assert _known(page)["identity_attributes.emailaddress"] == second_email
    assert "traits.interests" not in _known(page)

    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(demo.shop)
    _sign_in(page, first_email)
    assert (_profile_id(page), _known(page)) == (first, first_known), "nobody touched the first one's"


def test_the_pages_need_no_javascript(demo: RunningDemo, chromium: Any) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(demo.shop)
    _put_in_basket(page, "Knots")
    _register(page)
    assert _chip(page) == "permanent"
    context.close()


def test_the_reference_page_shows_the_operations(demo: RunningDemo, page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    service = re.sub(r":\d+/.*", "", demo.shop)
    found = re.search(r"reference +(\S+)", demo.output)
    assert found
    page.goto(found[1])
    page.get_by_text("/cds/api/v1/profiles/{profile_id}").first.wait_for()
    outside = [url for url in asked if not url.startswith((service, "data:"))]
    assert outside == [], "everything comes from the service itself"


def _put_in_basket(page: Any, book: str) -> None:
    page.get_by_role("button", name=f"Put in basket: {book}").click()
    page.get_by_role("status").wait_for()


def _register(page: Any) -> str:
    """Register somebody new; their e-mail address."""
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


def _chip(page: Any) -> str:
    return str(page.locator(".chip").inner_text())


def _panel(page: Any) -> str:
    return str(page.get_by_role("complementary").inner_text())


def _known(page: Any) -> dict[str, str]:
    """The table of values, by path."""
    found = {}
    for cell in page.locator("tbody tr td:first-child").all():
        # From the markup, not from the layout: the style sheet may arrive later than the page.
        path = cell.locator(".path").text_content()
        found[path] = cell.text_content().removeprefix(path)
    return found
