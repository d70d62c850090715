"""The house of DESIGN §12 and the numbers of its style. Arrows between rooms: `[tool.importlinter]`."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys

import pytest

from .tree import ROOT, body_lines, functions, imports, lines_of, modules

# Besides these, core may use what computes and nothing else: no clock, no randomness, no files, no network.
CORE_LIBRARIES = {"msgspec", "phonenumbers", "email_validator", "oneself"}
IMPURE = {
    "asyncio", "io", "os", "pathlib", "random", "secrets", "shutil", "signal", "socket", "sqlite3", "ssl",
    "subprocess", "tempfile", "threading", "time", "urllib.request", "logging", "multiprocessing",
}  # fmt: skip
CLOCK_AND_CHANCE = {"now", "utcnow", "today", "uuid1", "uuid4", "urandom"}

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 11

CORE = [name for name in modules() if name.startswith("core/")]


def test_arrows_between_rooms() -> None:
    """`make check` runs the same contracts; here they fail beside the other tests."""
    command = [f"{sys.prefix}/bin/lint-imports", "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("module", CORE)
def test_core_computes_and_does_nothing_else(module: str) -> None:
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


def test_text_is_normalised_in_one_module() -> None:
    """It checks the length first; `unicodedata.normalize` of long text stops the process for seconds."""
    assert [name for name, tree in modules().items() if "unicodedata" in imports(tree)] == ["core/text.py"]


def test_wire_packages_never_import_each_other() -> None:
    """A wire is a package below `api`; `api.http` and `api.documents` are below all of them."""
    shared = ("oneself.api.http", "oneself.api.documents")
    for module, tree in modules().items():
        room, _, rest = module.partition("/")
        if room != "api" or "/" not in rest:
            continue
        wire = f"oneself.api.{rest.partition('/')[0]}"
        for name in imports(tree):
            foreign = name.startswith("oneself.api.") and not name.startswith((wire, *shared))
            assert not foreign, f"{module} imports {name}"


def test_heavy_optional_parts_are_behind_a_lazy_door() -> None:
    """The command line answers without loading the service, the HTTP framework or the database driver."""
    script = (
        "import sys, oneself.cli.main; "
        "print([name for name in ('litestar', 'asyncpg', 'authlib', 'uvicorn') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_every_module_says_what_it_is_for() -> None:
    missing = [module for module, tree in modules().items() if not ast.get_docstring(tree)]
    assert not missing


def test_modules_are_of_a_size_to_read() -> None:
    long = {module: lines_of(module) for module in modules() if lines_of(module) > MODULE_LINES_MAX}
    assert not long


def test_functions_are_of_a_size_to_read() -> None:
    sizes = {
        f"{module}:{function.name}": body_lines(function)
        for module, tree in modules().items()
        for function in functions(tree)
    }
    long = {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX}
    assert not long
    assert statistics.median(sizes.values()) <= FUNCTION_LINES_MEDIAN_MAX
    ordered = sorted(sizes.values())
    assert ordered[len(ordered) * 95 // 100] <= 50
