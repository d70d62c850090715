"""Creates the pictures of the documentation: `make pictures`.

Runs the demo and takes screenshots of its terminal output, its shop, the sign-in page, the console and the
API reference, with the Chromium of the browser tests.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from draw_request import main as draw_request
from draw_views import main as draw_views
from walk_console import walk

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
COLUMNS = 104
#: The first and last line of the chapter in the picture.
FIRST_LINE, LAST_LINE = "Ann signs in on the phone", "Later, on the phone"
DEADLINE_S = 180.0


def main() -> int:
    """Create all pictures."""
    draw_request()
    draw_views()
    with running_demo() as output, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        take_terminal(browser, output)
        shop, reference = address(output, "shop"), address(output, "reference")
        take_shop(browser, shop)
        take_reference(browser, reference)
        take_console(browser, output)
        browser.close()
    return 0


@contextmanager
def running_demo() -> Iterator[str]:
    """Run the demo and yield its output, with colours, after the story."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONESELF_")}
    with tempfile.TemporaryFile("w+") as log:
        demo = subprocess.Popen(
            [sys.executable, "-m", "oneself", "demo"],
            env={**environment, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"},
            stdin=subprocess.DEVNULL,
            stdout=log,
        )
        try:
            yield wait_for_story(demo, log)
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()


def wait_for_story(demo: subprocess.Popen[bytes], log: Any) -> str:
    """Return the output of the demo after the story."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and demo.poll() is None:
        log.seek(0)
        output: str = log.read()
        if "Stop everything" in output:
            return output
        time.sleep(0.1)
    raise SystemExit(f"The demo did not complete its story within {DEADLINE_S} s.")


def take_terminal(browser: Any, output: str) -> None:
    """Take a picture of one chapter in a terminal."""
    lines = output.splitlines()
    first = next(number for number, line in enumerate(lines) if FIRST_LINE in line)
    last = next(number for number, line in enumerate(lines) if LAST_LINE in line)
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines[first:last]:
        console.print(Text.from_ansi(line), overflow="ignore", no_wrap=True, crop=True)
    svg = console.export_svg(title="make demo", theme=MONOKAI)
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.set_content(f'<body style="margin:0">{svg}</body>')
    page.locator("svg").screenshot(path=PICTURES / "demo.png")
    page.close()


def take_shop(browser: Any, shop: str) -> None:
    """Take pictures of the sign-in page, and of the shop after a registration."""
    page = browser.new_context(viewport={"width": 1180, "height": 760}).new_page()
    page.goto(shop)
    page.get_by_role("button", name="Put in basket: Roses").click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_label("Password").wait_for()
    page.screenshot(path=PICTURES / "sign-in.png")
    page.get_by_role("link", name="Create an account").click()
    for label, entry in (
        ("E-mail address", "dora@shop.example"),
        ("First name", "Dora"),
        ("Last name", "Dale"),
        ("Password", "a long enough password"),
    ):
        page.get_by_label(label).fill(entry)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("status").wait_for()
    page.screenshot(path=PICTURES / "shop.png")
    page.context.close()


def take_reference(browser: Any, reference: str) -> None:
    """Take a picture of the API reference."""
    page = browser.new_page(viewport={"width": 1180, "height": 900})
    page.goto(reference)
    page.get_by_text("/cds/api/v1/profiles/{profile_id}").first.wait_for()
    page.screenshot(path=PICTURES / "reference.png")
    page.close()


def take_console(browser: Any, output: str) -> None:
    """Take pictures of the first walk of a new administrator through the console."""
    folder = ("--data-dir", address(output, "folder"))
    password = secrets.token_urlsafe(16)
    for command in (
        ("org", "create", "bookshop-2", "--name", "Bookshop"),
        ("console-user", "create", "ada", "--org", "bookshop-2", "--password", password),
    ):
        subprocess.run([sys.executable, "-m", "oneself", *command, *folder], check=True, capture_output=True)
    console = address(output, "console")
    walk(browser, console, "ada", password, lambda page, name: page.screenshot(path=PICTURES / f"{name}.png"))


def address(output: str, name: str) -> str:
    """Return a URL that the demo printed."""
    match = re.search(rf"^  {name} +(\S+)", re.sub(r"\x1b\[[0-9;]*m", "", output), re.MULTILINE)
    assert match, name
    return match[1]


def chromium() -> str:
    """Return the path of a Chromium; installs one if possible."""
    done = subprocess.run([ROOT / "tools" / "ensure-chromium"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
