"""SQL is source code (STYLE): named, described, used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oneself.store.queries import Queries

from .tree import SOURCE, SQL, TABLES

OF_TABLES = sorted(TABLES.glob("*.sql"))
FILES = [*sorted(SQL.glob("*.sql")), *OF_TABLES]
LINE_MAX = 110
STATEMENT = re.compile(r"^-- name: (?P<name>.*)\n(?P<next>.*)$", re.MULTILINE)


def test_every_file_has_statements() -> None:
    assert FILES
    assert [file.name for file in FILES if not STATEMENT.search(file.read_text("utf-8"))] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_statement_has_a_name_and_a_sentence(file: Path) -> None:
    for match in STATEMENT.finditer(file.read_text("utf-8")):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", match["name"]), match["name"]
        assert match["next"].startswith("-- "), f"{match['name']} has no sentence"


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


@pytest.mark.parametrize("file", OF_TABLES, ids=lambda file: file.name)
def test_no_line_is_too_long(file: Path) -> None:
    lines = enumerate(file.read_text("utf-8").splitlines(), 1)
    assert [number for number, line in lines if len(line) > LINE_MAX] == []


@pytest.mark.parametrize("file", OF_TABLES, ids=lambda file: file.name)
def test_every_table_has_a_repository_that_loads_it(file: Path) -> None:
    """Loading checks the fragments and the declared parameters."""
    assert file.with_suffix(".py").exists()
    assert Queries(file.stem).names()
