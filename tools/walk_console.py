"""The first walk through the console as a new administrator, with pictures of what they see.

Source: docs/guides/console.md, "The first five minutes".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SCREEN = {"width": 1280, "height": 800}
#: Somebody of the sample data: two devices and a present are hers, though the present was ordered by another.
SOMEBODY, SOMEBODY_ELSE = "ann@shop.example", "sample-gift"


def walk(browser: Any, console: str, name: str, password: str, take: Callable[[Any, str], None]) -> None:
    """Walk through the console of an empty organisation.

    `take` is called with the page and the name of its picture.
    """
    page = browser.new_context(viewport=SCREEN).new_page()
    page.goto(console)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Add sample data").click()
    page.get_by_role("heading", name="Newest events").wait_for()
    take(page, "console-overview")
    page.get_by_role("link", name="Profiles", exact=True).click()
    page.get_by_label("Dataset").select_option("sample")
    page.get_by_role("searchbox").fill(SOMEBODY)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("table").first.get_by_role("link").first.click()
    take(page, "console-profile")
    page.get_by_role("link", name="Identity graph").click()
    page.get_by_role("heading", name="The same as a table").wait_for()
    take(page, "console-graph")
    page.get_by_role("link", name="Profile", exact=True).click()
    page.get_by_role("link", name="Split…").click()
    page.get_by_role("radio", name=SOMEBODY_ELSE).check()
    page.get_by_role("button", name="Show both sides").click()
    take(page, "console-split")
    page.context.close()
