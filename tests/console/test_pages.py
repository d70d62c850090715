"""The form of every page: headers, no inline scripts or styles, and the pinned files of other projects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from oneself.console.rendering import MEDIA_TYPES
from oneself.services import Services
from support.console_browser import ConsoleBrowser

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "src" / "oneself" / "console" / "static"
PAGES = ["", "/attributes", "/attributes/new", "/attributes/new?scope=application_data", "/attributes/check"]
PAGES += ["/profiles", "/profiles?q=ann", "/profiles/values?q=ann", "/erasures"]


@pytest.mark.parametrize("path", PAGES)
async def test_pages_forbid_what_they_do_not_need(ada: ConsoleBrowser, path: str) -> None:
    page = await ada.open(f"/console/o/acme{path}")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert ada.parsed.inline == []
    assert re.findall(r"<script(?![^>]* src=)", page.text) == []
    assert "<style" not in page.text
    assert not re.search(r"""(?:src|href)="(?:https?:)?//""", page.text)


async def test_static_files_are_cached_by_their_version(ada: ConsoleBrowser) -> None:
    page = await ada.open("/console/o/acme")
    files = re.findall(r'"(/console/static/[^"]+)"', page.text)
    assert {re.sub(r"^.*/|\?.*", "", file) for file in files} == set(MEDIA_TYPES)
    for file in files:
        answer = await ada.http.get(file)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        plain = await ada.http.get(file, headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == answer.content
    assert (await ada.http.get("/console/static/VERSIONS")).status_code == 404


async def test_cookies_are_of_the_console_alone(ada: ConsoleBrowser) -> None:
    answer = await ada.http.get("/console/o/acme")
    for header in answer.headers.get_list("set-cookie"):
        assert "HttpOnly" in header
        assert "Path=/console" in header
        assert "SameSite=lax" in header


async def test_no_other_origin_reads_the_console(services: Services, ada: ConsoleBrowser, app: Any) -> None:
    import msgspec

    from oneself.api.app import create_app

    settings = msgspec.structs.replace(services.settings, cors_origins=("https://shop.example",))
    browser = ConsoleBrowser(create_app(services, settings))
    for path, is_readable in (("/console/oauth2/authorize", False), ("/health", True)):
        answer = await browser.http.get(path, headers={"Origin": "https://shop.example"})
        assert ("access-control-allow-origin" in answer.headers) == is_readable


def test_files_of_other_projects_are_the_pinned_ones() -> None:
    """`tools/vendor-console` copies them; the lock file names no address to load them from."""
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    assert not [name for name, package in locked.items() if "resolved" in package]
    vendored = dict(line.rsplit(" ", 1) for line in (STATIC / "VERSIONS").read_text("utf-8").splitlines())
    for name, version in vendored.items():
        assert locked[f"node_modules/{name}"]["version"] == version
        assert locked[""]["dependencies"][name] == version
    assert f"Tabler v{vendored['@tabler/core']} " in (STATIC / "tabler.min.css").read_text("utf-8")[:200]
    assert f'version:"{vendored["htmx.org"]}"' in (STATIC / "htmx.min.js").read_text("utf-8")
    assert {"tabler.LICENSE.txt", "htmx.LICENSE.txt"} <= {file.name for file in STATIC.iterdir()}
