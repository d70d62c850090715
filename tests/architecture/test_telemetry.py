"""Telemetry is passed to constructors; nothing assigns it to a finished service."""

from __future__ import annotations

import ast
from pathlib import Path

from oneself.bootstrap import build_services
from oneself.services import Services

PARTS = ("src", "tests", "bench", "tools")
ROOT = Path(__file__).parents[2]


def _patches(tree: ast.AST) -> list[int]:
    """Lines that assign telemetry to anything but an attribute of `self`."""
    return [
        target.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute)
        and target.attr.lstrip("_") in ("telemetry", "figures", "metrics")
        and not (isinstance(target.value, ast.Name) and target.value.id == "self" and target.attr[0] == "_")
    ]


def test_nothing_assigns_telemetry_afterwards() -> None:
    files = [path for part in PARTS for path in (ROOT / part).rglob("*.py")]
    found = {str(path): lines for path in files if (lines := _patches(ast.parse(path.read_text("utf-8"))))}
    assert found == {}


def test_the_check_finds_a_patched_service() -> None:
    assert _patches(ast.parse("services.ingest.figures = figures")) == [1]
    assert _patches(ast.parse("self._telemetry = telemetry")) == []


def test_each_service_is_built_once(services: Services) -> None:
    built = build_services(services.settings, services.database)
    erasure, previews = built.privacy.erasure, built.rules.previews
    assert built.privacy.persons._erasure is erasure
    assert built.directory.users._erasure is erasure
    assert built.identity_provider.reports._erasure is erasure
    assert built.identity.attributes._previews is previews
    assert built.identity.resolution_switch._previews is previews
