"""The form of the code: sizes that a person can read, headers, and names that are unique."""

from __future__ import annotations

import ast
import statistics
from collections import defaultdict

from .tree import body_lines, functions, lines_of, modules

MODULE_LINES_MAX = 450
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
FUNCTION_LINES_P95_MAX = 50


def test_every_module_has_a_header() -> None:
    assert not [module for module, tree in modules().items() if tree.body and not ast.get_docstring(tree)]


def test_no_module_is_too_long() -> None:
    assert not {module: lines_of(module) for module in modules() if lines_of(module) > MODULE_LINES_MAX}


def test_no_function_is_too_long() -> None:
    sizes = {
        f"{module}:{function.name}": body_lines(function)
        for module, tree in modules().items()
        for function in functions(tree)
    }
    assert not {name: size for name, size in sizes.items() if size > FUNCTION_LINES_MAX}
    ordered = sorted(sizes.values())
    assert statistics.median(ordered) <= FUNCTION_LINES_MEDIAN_MAX
    assert ordered[len(ordered) * 95 // 100] <= FUNCTION_LINES_P95_MAX


def test_no_class_name_is_used_twice() -> None:
    """Private classes included: a reader who searches for a name finds one class."""
    places = defaultdict(list)
    for module, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(module)
    assert not {name: found for name, found in places.items() if len(found) > 1}
