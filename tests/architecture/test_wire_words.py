"""`core` and `service` know no wire: no error code, HTTP status, header, path or query of one.

`api/<wire>` turns their results and errors into its own words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .tree import SOURCE, modules

CODE = re.compile(r"CDS-")
IN_STRINGS = {
    "path": re.compile(r"/t/|/cds/|/api2?/|/oauth2|/profiles|/unification-rules"),
    "query": re.compile(r"\?[a-z_]+="),
    "header": re.compile(r"\b(If-Match|ETag|Idempotency-Key|Content-Type|Retry-After|Set-Cookie)\b"),
    "event of the identity server": re.compile(r"\b(POST|PRE)_[A-Z]+_[A-Z_]+\b"),
}
STATUS = {
    *(
        200,
        201,
        202,
        204,
        301,
        302,
        303,
        304,
        307,
        308,
        400,
        401,
        403,
        404,
        405,
        406,
        409,
        410,
        412,
        413,
        415,
    ),
    *(422, 428, 429, 500, 501, 502, 503, 504),
}
# A limit such as `PAGE_SIZE_MAX = 200` is not a status.
LIMIT = re.compile(r"(_MAX|_MIN|_S|_MS|_BYTES|_CHARS|_PER_[A-Z]+)$")

# The issuer identifier of an organisation is an address of this deployment; tokens contain it.
ALLOWED = {"service/directory/tokens.py"}

INSIDE = [name for name in modules() if name.startswith(("core/", "service/"))]


def test_core_and_service_know_no_wire() -> None:
    problems = [
        f"{module}: {problem}" for module in INSIDE if module not in ALLOWED for problem in wire_words(module)
    ]
    assert not problems, "\n".join(problems)


def wire_words(module: str) -> Iterator[str]:
    tree = modules()[module]
    if CODE.search((SOURCE / module).read_text("utf-8")):
        yield "an error code (CDS-…)"
    for text in _strings(tree):
        yield from (f"{kind}: {text!r}" for kind, pattern in IN_STRINGS.items() if pattern.search(text))
    yield from (f"status {number}" for number in _numbers(tree) if number in STATUS)


def _strings(tree: ast.Module) -> Iterator[str]:
    """String constants, parts of f-strings included; docstrings are not."""
    described = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    docstrings = {id(node.value) for node in described}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def _numbers(tree: ast.Module) -> Iterator[int]:
    """Integers that are not the value of a constant named as a limit."""
    limits = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_limit(node)
        for part in ast.walk(node.value)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and type(node.value) is int and id(node) not in limits:
            yield node.value


def _is_limit(node: ast.Assign | ast.AnnAssign) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    names = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    return bool(names) and all(LIMIT.search(name) for name in names)
