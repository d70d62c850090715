"""Which package may import which.

The contracts between packages are in `pyproject.toml`, `[tool.importlinter]`. This file runs them, and checks
what they cannot express.
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from .tree import ROOT, imports, modules

# `core` may also use the parts of the standard library that only compute: no clock, no files, no network.
CORE_LIBRARIES = {"msgspec", "phonenumbers", "email_validator", "oneself"}
IMPURE = {
    "asyncio", "io", "os", "pathlib", "random", "secrets", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "tempfile", "threading", "time", "urllib.request", "logging", "multiprocessing",
}  # fmt: skip
CLOCK_AND_CHANCE = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom"}

CORE = [name for name in modules() if name.startswith("core/")]


def test_imports_follow_the_contracts() -> None:
    """`make check` runs the same contracts; here they fail beside the other tests."""
    command = [f"{sys.prefix}/bin/lint-imports", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("module", CORE)
def test_core_imports_only_what_computes(module: str) -> None:
    for name in imports(modules()[module]):
        top = name.partition(".")[0]
        assert top in CORE_LIBRARIES or top in sys.stdlib_module_names, f"{module} imports {name}"
        assert name not in IMPURE, f"{module} imports {name}"
        assert top != "oneself" or name.startswith("oneself.core"), f"{module} imports {name}"


@pytest.mark.parametrize("module", CORE)
def test_core_reads_no_clock_and_draws_no_randomness(module: str) -> None:
    called = {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.Call)
    }
    assert not called & CLOCK_AND_CHANCE
    assert not called & {"open", "print", "input"}


@pytest.mark.parametrize(
    ("module", "too_heavy"),
    [
        pytest.param("cli.main", {"litestar", "asyncpg", "authlib", "uvicorn"}, id="help"),
        pytest.param("bootstrap", {"litestar", "authlib", "uvicorn"}, id="commands"),
    ],
)
def test_the_command_line_loads_no_heavy_libraries(module: str, too_heavy: set[str]) -> None:
    """`--help` must not wait for the database driver, and no command for the HTTP framework."""
    script = f"import sys, oneself.{module}; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not too_heavy & set(result.stdout.split())
