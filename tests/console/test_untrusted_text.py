"""What strangers name and say cannot hide or reorder what pages say around it."""

from __future__ import annotations

import pytest

from oneself.console.rendering import html, notice
from oneself.console.untrusted_text import fenced, without_tricks
from oneself.service.context import DatasetRef
from oneself.services import Services
from support.console_browser import ConsoleBrowser
from support.interactions_harness import InteractionsHarness, mail

OVERRIDE, ZERO_WIDTH, BELL, ARABIC = "\u202e", "\u200b", "\x07", "\u0645\u0631\u064a\u0645"
MARKS = {OVERRIDE: "⟨U+202E⟩", ZERO_WIDTH: "⟨U+200B⟩", BELL: "⟨U+0007⟩", "\ufeff": "⟨U+FEFF⟩"}


@pytest.mark.parametrize(("character", "shown"), MARKS.items())
def test_invisible_characters_are_shown_by_their_code(character: str, shown: str) -> None:
    page = notice(f"a{character}b", f"c{character}d", status=400).content
    assert f'a<span class="mark">{shown}</span>b</h1>' in page
    assert f"<title>a{shown}b · Oneself</title>" in page
    assert character not in page


def test_text_from_right_to_left_is_isolated() -> None:
    page = notice(ARABIC, f"{ARABIC} 1", status=400).content
    assert f"<h1><bdi>{ARABIC}</bdi></h1>" in page
    assert f"<bdi>{ARABIC} 1</bdi>" in page
    assert f"<title>\u2068{ARABIC}\u2069 · Oneself</title>" in page


def test_nobody_ends_the_isolation_of_a_value() -> None:
    name = f"{ARABIC}\ufdd1\u2069x"
    page = without_tricks(f"<p>{fenced(name)}</p>")
    assert page == f'<p><bdi>{ARABIC}\ufffd<span class="mark">⟨U+2069⟩</span>x</bdi></p>'


def test_a_field_contains_what_was_entered() -> None:
    entered = f"{ARABIC}{OVERRIDE}"
    values = {"action": "/", "csrf": "", "problem": "", "username": entered}
    assert f'value="{entered}"' in html("sign_in.html", **values).content
    assert without_tricks(f"<textarea>{fenced(entered)}</textarea>") == f"<textarea>{entered}</textarea>"
    label = without_tricks(f'<a aria-label="{fenced(entered)}">')
    assert label == f'<a aria-label="\u2068{ARABIC}⟨U+202E⟩\u2069">'


def test_joined_emoji_and_letters_stay() -> None:
    for text in (
        "\U0001f469\u200d\U0001f4bb",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "line\n\tline",
    ):
        assert without_tricks(f"<p>{text}</p>") == f"<p>{text}</p>"
    assert "⟨U+200D⟩" in without_tricks("<p>ad\u200dmin</p>")


async def test_pages_of_a_profile_show_the_marks_of_its_values(
    ada: ConsoleBrowser, services: Services, acme: DatasetRef
) -> None:
    site = await InteractionsHarness(services, acme).begin()
    address = f"ann{OVERRIDE}moc.@x.org"
    await site.event(mail(address), name=f"Bu{ZERO_WIDTH}y", values={"traits": {"plan": f"gold{OVERRIDE}"}})
    for path in ("", "?q=gold", "/values?q=gold"):
        await ada.open(f"/console/o/acme/profiles{path}")
        assert ada.page.status_code == 200
    await ada.open("/console/o/acme/profiles")
    profile = next(link for link in ada.parsed.links if "/profiles/profile?id=" in link)
    for step in ("profile", "events", "identifiers", "joins", "history", "graph"):
        await ada.open(profile.replace("/profiles/profile?", f"/profiles/{step}?"))
        assert (ada.page.status_code, OVERRIDE in ada.page.text, ZERO_WIDTH in ada.page.text) == (
            200,
            False,
            False,
        )
        assert "⟨U+202E⟩" in ada.page.text, step
