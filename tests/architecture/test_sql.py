"""SQL is source code: statements are in files below `store`, named, described, readable and used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import SOURCE, STORE, imports, modules

LINE_CHARS_MAX = 110
FILES = sorted(
    file for file in STORE.rglob("*.sql") if "migrations" not in file.parts and file.stem != "schema"
)
STATEMENT = re.compile(r"^-- name: (?P<name>.*)\n(?P<header>(?:--.*\n)*)", re.MULTILINE)
IN_PYTHON = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s.+\sSET|DELETE\s+FROM)\s"
    r"|\b(CREATE|ALTER|DROP)\s+(TEMP\s+)?(TABLE|INDEX)\s",
    re.DOTALL,
)


def described(file: Path) -> Iterator[tuple[str, str]]:
    """The names of the statements of a file, with the header up to the first full sentence."""
    for match in STATEMENT.finditer(file.read_text("utf-8")):
        lines = [line.removeprefix("--").strip() for line in match["header"].splitlines()]
        ends = [number for number, line in enumerate(lines, 1) if line.endswith(".")]
        yield match["name"], " ".join(lines[: ends[0]] if ends else lines)


def test_every_file_has_statements() -> None:
    assert FILES
    assert [file.name for file in FILES if not STATEMENT.search(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_statement_has_a_name_and_one_sentence(file: Path) -> None:
    for name, sentence in described(file):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert sentence, f"{name} has no sentence"
        assert re.fullmatch(r"[A-Z][^.]*(\.\w[^.]*)*\.", sentence), f"{name}: {sentence}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_line_of_a_statement_is_too_long(file: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    long = [number for number, line in enumerate(lines, 1) if len(line) > LINE_CHARS_MAX]
    assert not long, f"{file.name}: lines {long}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_statement_is_named_once_and_used(file: Path) -> None:
    names = [match["name"] for match in STATEMENT.finditer(file.read_text("utf-8"))]
    assert len(names) == len(set(names))
    code = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    # A name may be put together, as in getattr(SQL, f"{field}_{operator}").
    built = [re.sub(r"\{[^}]*\}", r"\\w+", form) for form in re.findall(r'getattr\(\w+, f"([^"]*)"\)', code)]
    used = rf"\b({'|'.join(built)})\b" if built else r"(?!)"
    unused = [name for name in names if not re.search(rf"\.{name}\b|[\"']{name}[\"']", code)]
    assert [name for name in unused if not re.fullmatch(used, name)] == []


def test_only_store_writes_sql() -> None:
    outside = {name: tree for name, tree in modules().items() if not name.startswith("store/")}
    problems = {name: found for name, tree in outside.items() if (found := _sql_in(tree))}
    assert not problems


def test_only_store_uses_the_driver() -> None:
    using = {
        name
        for name, tree in modules().items()
        if any(module.startswith("asyncpg") for module in imports(tree))
    }
    assert {name for name in using if not name.startswith("store/")} == set()


def _sql_in(tree: ast.Module) -> list[str]:
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [text[:60] for text in strings if isinstance(text, str) and IN_PYTHON.search(text)]


def test_migrations_have_numbers_of_their_own() -> None:
    numbers = [file.name[:4] for file in (STORE / "sql" / "migrations").glob("*.sql")]
    assert len(numbers) == len(set(numbers))
