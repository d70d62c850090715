"""The reference pages list exactly the commands, settings, addresses and error codes that exist."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from oneself.api.cds import errors as cds_errors
from oneself.api.documents import rejections
from oneself.api.http import errors
from oneself.api.http.errors import ErrorCode
from oneself.settings import list_settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|[\s`/])oneself((?: [a-z][a-z-]+)+)")
VARIABLE = re.compile(r"\bONESELF_[A-Z_]*[A-Z]\b")
#: Variables that are not settings.
NOT_SETTINGS = {"ONESELF_SETTINGS", "ONESELF_TEST_DATABASE_URL", "ONESELF_TEST_CHROMIUM"}


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = load_tool("write_reference")


@pytest.mark.parametrize("name", ["cli.md", "settings.md", "rest.md"])
def test_a_generated_page_is_up_to_date(name: str) -> None:
    written = (DOCS / "reference" / name).read_text("utf-8")
    assert written == reference.pages()[name], "run make reference"


@pytest.mark.parametrize("name", ["draw_request", "draw_views"])
def test_a_drawing_is_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    drawing = load_tool(name)
    assert drawing.DRAWING.read_text("utf-8") == drawing.drawing(), "run make pictures"


def test_commands_in_the_manual_exist() -> None:
    known = {name for name, _ in reference.commands()}
    groups = {name for name, command in reference.commands() if hasattr(command, "commands")}
    unknown = {
        f"{page.name}: oneself {words}"
        for page, words in mentioned_commands()
        if _command_of(words, groups) not in known
    }
    assert unknown == set()


def test_settings_in_the_manual_exist() -> None:
    known = {setting.variable for setting in list_settings()} | NOT_SETTINGS
    for page in PAGES:
        unknown = set(VARIABLE.findall(page.read_text("utf-8"))) - known
        # `ONESELF_BOOTSTRAP_…` stands for all settings with this prefix.
        assert not {name for name in unknown if not any(variable.startswith(name) for variable in known)}, (
            page
        )


def test_every_error_code_is_explained() -> None:
    page = (DOCS / "reference" / "errors.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `CDS-(\d+)` \| ([^|]+?) \|", page, re.MULTILINE))
    codes = [
        constant
        for module in (errors, rejections, cds_errors)
        for constant in vars(module).values()
        if isinstance(constant, ErrorCode)
    ]
    assert rows == {code.number: code.message for code in codes}


def test_every_page_is_linked_from_the_index() -> None:
    reached: set[Path] = set()
    to_visit = [DOCS / "index.md"]
    while to_visit:
        page = to_visit.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))
        to_visit += [(page.parent / link).resolve() for link in links if "://" not in link]
    assert set(DOCS.rglob("*.md")) - reached == set()


def mentioned_commands() -> Iterator[tuple[Path, str]]:
    """Every `oneself …` command in the code of a page, with the page."""
    for page in PAGES:
        for code in CODE.findall(page.read_text("utf-8")):
            for match in COMMAND.finditer(code.replace("`", "\n")):
                yield page, match[1].strip()


def _command_of(words: str, groups: set[str]) -> str:
    """The command at the beginning of a command line: `org create HANDLE` → `org create`."""
    first, _, rest = words.partition(" ")
    return f"{first} {rest.partition(' ')[0]}".strip() if first in groups and rest else first
