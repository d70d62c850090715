"""Words that are not used for identifiers, because the field has a standard term.

An identifier is split at underscores and capitals: `KeyRing` and `key_ring` are `key`, `ring`. The names of
modules, classes, functions, parameters, attributes and variables are searched.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from .tree import modules

# Each row: the words, and what to call it instead.
ANYWHERE = {
    "door doors": "guard, endpoint, page context",
    "lane lanes": "batcher",
    "wanted": "footprint, required, filter",
    "meeting meetings": "footprint, component",
    "taken": "accepted, in use, result",
    "told tell tells": "reported, answered, written",
    "unfit fits misfit misfits": "invalid, valid",
    "figures": "telemetry, metrics",
    "deed deeds": "audit entry",
    "hear heard": "handle, report",
    "founding founded enabling furnish": "setup, provision, activation",
    "seal seals sealed unseal": "encrypt, encrypted, decrypt",
    "vault": "keyring",
    "weigh": "extract",
    "sought brought": "look-up, reported",
    "judge judges judged verdict verdicts": "screen, decide, validate, decision",
    "recall recalls recalled remembers remembered": "token evidence, stored, valid",
    "outdone settled": "superseded, released",
    "place places": "cursor, position, path, address",
    "face faces": "interface",
    "shown showing": "visible, rendered",
    "said": "reported, answer",
    "people everybody nobody somebody": "profiles, users, visitors",
    "whole": "full, integer",
    "news": "batch, changes",
}
# Fine for a variable.
AS_CLASS_OR_FUNCTION = {"kept": "stored, kept state by its name", "held": "claim, value, lock"}
AS_CLASS = {"found": "the name of the thing", "tail": "event stream"}
STANDARD = {"NotFound"}
WHOLE_NAME = {"ring": "key_ring", "rings": "key_rings", "past": "history", "let_go": "released"}
LOOP_VARIABLE = {"each": "the noun"}


class Identifier(NamedTuple):
    kind: str
    name: str
    module: str


def test_identifiers_use_standard_terms() -> None:
    problems = [
        f"{found.module}: {found.kind} {found.name}: {word!r}: {instead}"
        for found in identifiers()
        for word, instead in words_to_replace(found)
    ]
    assert not problems, "\n".join(sorted(set(problems)))


def identifiers() -> Iterator[Identifier]:
    for module, tree in modules().items():
        for part in PurePosixPath(module).with_suffix("").parts:
            yield Identifier("module", part, module)
        for node in ast.walk(tree):
            if named := _named(node):
                yield Identifier(*named, module)
        for name in _loop_variables(tree):
            yield Identifier("loop variable", name, module)


def words_to_replace(found: Identifier) -> Iterator[tuple[str, str]]:
    """Every word of an identifier that is not used, with the words to use."""
    for word in split(found.name):
        for row, instead in ANYWHERE.items():
            if word in row.split():
                yield word, instead
        if found.kind in ("class", "function") and word in AS_CLASS_OR_FUNCTION:
            yield word, AS_CLASS_OR_FUNCTION[word]
        if found.kind == "class" and word in AS_CLASS and found.name not in STANDARD:
            yield word, AS_CLASS[word]
    whole_name = found.name.strip("_").lower()
    if whole_name in WHOLE_NAME:
        yield whole_name, WHOLE_NAME[whole_name]
    if found.kind == "loop variable" and found.name in LOOP_VARIABLE:
        yield found.name, LOOP_VARIABLE[found.name]


def split(name: str) -> list[str]:
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


def test_an_identifier_is_split_at_underscores_and_capitals() -> None:
    assert split("_KeyRing") == ["key", "ring"]
    assert split("MAX_AGE_S") == ["max", "age", "s"]
    assert split("readJWKSet2") == ["read", "jwk", "set"]


def _named(node: ast.AST) -> tuple[str, str] | None:
    match node:
        case ast.ClassDef(name=name):
            return "class", name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return "function", name
        case ast.arg(arg=name):
            return "parameter", name
        case ast.Name(id=name, ctx=ast.Store()):
            return "variable", name
        case ast.Attribute(attr=name, ctx=ast.Store()):
            return "attribute", name
        case _:
            return None


def _loop_variables(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from (part.id for part in ast.walk(node.target) if isinstance(part, ast.Name))
