"""Tests pass a limit or a life time to a constructor (`oneself.tunables`); they never replace a constant.

A patched constant does not show which class uses it, and the test passes even if no code reads it.
"""

from __future__ import annotations

import ast
import re

from .tree import ROOT

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
PATCHES = {"setattr", "delattr", "patch", "object", "multiple"}


def patched_constants(tree: ast.AST) -> list[str]:
    """The constants that a test replaces: by a call such as `setattr(module, "NAME", …)` or
    `patch("module.NAME")`, or by an assignment to `module.NAME`."""
    names = (name for node in ast.walk(tree) for name in _patched(node))
    return [name for name in names if CONSTANT.fullmatch(name)]


def test_no_test_patches_a_constant() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): names
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if (names := patched_constants(ast.parse(path.read_text("utf-8"))))
    }
    assert not found


def test_every_way_to_patch_a_constant_is_found() -> None:
    ways = """
monkeypatch.setattr("oneself.service.ingest.batcher.ITEMS_MAX", 1)
monkeypatch.setattr(batcher, "POLL_S", 0.0)
mock.patch("oneself.service.batcher.RETRY_S", 0.0)
mock.patch.object(batcher, "_LIFE_S", 0.0)
mock.patch.multiple(batcher, PAGE=1)
setattr(batcher, "SIZE", 1)
batcher.LIMIT = 1
"""
    names = ["ITEMS_MAX", "POLL_S", "RETRY_S", "_LIFE_S", "PAGE", "SIZE", "LIMIT"]
    assert sorted(patched_constants(ast.parse(ways))) == sorted(names)
    harmless = 'monkeypatch.setattr(sys, "stderr", stream)\nmonkeypatch.setattr("os.name", "NT")'
    assert patched_constants(ast.parse(harmless)) == []


def _patched(node: ast.AST) -> list[str]:
    """The names of what a node replaces."""
    if isinstance(node, ast.Attribute):
        return [] if isinstance(node.ctx, ast.Load) else [node.attr]
    if not isinstance(node, ast.Call) or _name(node.func) not in PATCHES:
        return []
    words = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
    return [word.rpartition(".")[2] for word in words[:1]] + [each.arg for each in node.keywords if each.arg]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
