"""Checks the links in the documentation: their files and headings must exist.

Reads README.md, CHANGELOG.md and docs/**/*.md. Does not check links to other hosts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
ANCHOR = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def main() -> int:
    """Print the broken links. Returns 1 if there are any."""
    pages = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
    problems = [problem for page in pages for problem in problems_of(page)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def problems_of(page: Path) -> Iterator[str]:
    """Return one line for each broken link of a page."""
    prose = CODE.sub("", FENCE.sub("", page.read_text("utf-8")))
    for match in LINK.finditer(prose):
        target = match[1] or match[2]
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        if problem := _problem(page, unquote(target)):
            yield f"{page.relative_to(ROOT)}: {target}: {problem}"


def _problem(page: Path, target: str) -> str | None:
    name, _, anchor = target.partition("#")
    file = (page.parent / name).resolve() if name else page
    if not file.is_relative_to(ROOT):
        return "outside the project"
    if not file.exists():
        return "no such file"
    if anchor and file.suffix == ".md" and anchor not in anchors(file):
        return "no such heading"
    return None


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: those that GitHub derives from headings, and explicit ones."""
    text = FENCE.sub("", page.read_text("utf-8"))
    found = {_slug(match[1]) for match in HEADING.finditer(text)}
    return found | {match[1] for match in ANCHOR.finditer(text)}


def _slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


if __name__ == "__main__":
    sys.exit(main())
