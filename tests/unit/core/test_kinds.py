"""The table of kinds: the manual shows it, and no other code depends on the kind of an observation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

import oneself.core
from oneself.core.config.configuration import Config
from oneself.core.fold.apply import fold
from oneself.core.identity.identifier import ANONYMOUS_ID, Identifier
from oneself.core.resolution.kinds import KINDS, KindPolicy, policy_of
from oneself.core.resolution.observation import (
    ConsentChange,
    Envelope,
    Observation,
    PageEvent,
    consent_of,
)
from oneself.core.resolution.working_set import WorkingSet

ROOT = Path(__file__).parents[3]
MANUAL = ROOT / "docs/concepts/observations.md"
CLASSES: tuple[type[Envelope], ...] = Observation.__args__
BROWSER = "0123456789abcdef"
FIXED = {"observation_id": UUID(int=1), "new_profile_id": UUID(int=2**127 + 5)}


def _table() -> str:
    """The table of the manual: one line per field of KindPolicy, one column per row of KINDS."""
    rows = {
        f"{kind} ({interface})" if interface else kind: policy
        for kind, by_interface in KINDS.items()
        for interface, policy in by_interface.items()
    }
    head = ["", *(f"`{name}`" for name in rows)]
    lines = [head, ["---"] * len(head)]
    for field in KindPolicy.__struct_fields__:
        lines.append([f"`{field}`", *(_cell(getattr(policy, field)) for policy in rows.values())])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: bool | str) -> str:
    return value.replace("_", " ") if isinstance(value, str) else "yes" if value else "no"


def test_the_manual_shows_the_table() -> None:
    assert _table() in MANUAL.read_text(), f"{MANUAL.name} should show:\n{_table()}"


def test_the_manual_explains_every_column() -> None:
    text = MANUAL.read_text()
    assert [name for name in KindPolicy.__struct_fields__ if f"* `{name}`" not in text] == []


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.kind)
def test_every_kind_has_a_row_for_every_interface(kind: type[Envelope]) -> None:
    assert kind.kind == kind.__struct_config__.tag
    assert policy_of(kind(**FIXED, interface="new wire")) is KINDS[kind.kind][None]


def test_no_other_code_depends_on_the_kind() -> None:
    """Neither on its class nor on its name; only the table may say what a kind does."""
    names = {kind.__name__ for kind in CLASSES}
    core = Path(oneself.core.__file__).parent
    tables = {core / "resolution/kinds.py", core / "resolution/observation.py"}
    dependents = {
        f"{path.relative_to(core)}:{node.lineno}"
        for path in core.rglob("*.py")
        if path not in tables
        for node in _uses_of_kind(ast.parse(path.read_text()), names)
    }
    assert dependents == set()


def _uses_of_kind(tree: ast.AST, names: set[str]) -> Iterator[ast.expr]:
    """Expressions that name a class of observations, except to create one, or that read a kind."""
    constructors = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names and id(node) not in constructors:
            yield node
        if isinstance(node, ast.Attribute) and node.attr == "kind" and "observation" in ast.dump(node.value):
            yield node


def test_a_statement_lists_the_kinds_that_make_active() -> None:
    """The statement that finds activity repeats these kinds, because SQL cannot read the table."""
    active = {kind for kind, rows in KINDS.items() if any(row.makes_active for row in rows.values())}
    listed = ", ".join(f"'{kind}'" for kind in KINDS if kind in active)
    statements = [path.read_text() for path in (ROOT / "src/oneself/store").rglob("*.sql")]
    assert any(f"kind IN ({_in_any_order(text, active)})" in text for text in statements), listed


def _in_any_order(text: str, kinds: set[str]) -> str:
    for part in text.split("kind IN (")[1:]:
        inside = part.partition(")")[0]
        if {word.strip(" '") for word in inside.split(",")} == kinds:
            return inside
    return "none"


def _primary_id_created_by(event: PageEvent) -> str:
    state = WorkingSet()
    plan = fold(state, event, Config(), 1_000)
    return state.profiles[plan.profile_id].primary_id


def _event(interface: str) -> PageEvent:
    return PageEvent(**FIXED, interface=interface, identifiers=(Identifier(ANONYMOUS_ID, BROWSER),))


def test_an_interactions_event_names_a_profile_after_its_device() -> None:
    assert _primary_id_created_by(_event("interactions")) == BROWSER


@pytest.mark.parametrize("interface", ["tracking", "import", "test"])
def test_events_of_another_interface_do_not_name_a_profile(interface: str) -> None:
    """The anonymous id of the tracking wire can be any text, also the primary id of another profile."""
    assert _primary_id_created_by(_event(interface)) == FIXED["new_profile_id"].hex[:16]


STORED = {
    "event": {
        "kind": "event", "face": "interactions", "trust": "browser", "authority": "event", "occurred_at": 7,
        "identifiers": [{"namespace": "anonymous_id", "value": BROWSER}], "received_at": 8, "channel": "Web",
        "values": {"traits": {"plan": "gold"}}, "choices": {"event/Tracking/x": [False, 7]},
        "remembered": {"primary_id": "a" * 24, "identities": {"emailAddress": "a@b.ch"}, "sealed_at": 6},
        "is_interactive": False, "new_tracker": "t", "new_anonymous_id": "n",
        "objects": {"Car": [{"id": "1"}]},
        "event_id": "e", "name": "View", "body": {"interaction": {"name": "View"}},
    },
    "write": {"kind": "write", "face": "cds", "application": "app", "creates": True,
              "values": {"traits": {}}},
    "sign_in": {"kind": "sign_in", "face": "sync", "authority": "identity_server", "name": "LOGIN",
                "values": {"identity_attributes": {"email": "a@b.ch"}}, "fresh_tracker": "t"},
    "sign_out": {"kind": "sign_out", "face": "sync", "name": "LOGOUT"},
    "tracker_end": {"kind": "tracker_end", "face": "trackers",
                    "identifiers": [{"namespace": "tracker", "value": "t"}]},
    "claims": {"kind": "claims", "face": "legacy", "authority": "identity_server",
               "values": {"identity_attributes": {"email": None}}},
    "consent": {"kind": "consent", "face": "cds", "consents": {"c": [True, 5]}},
    "match": {"kind": "match", "face": "rules", "identifiers": [{"namespace": "traits.card", "value": "1"}]},
}  # fmt: skip


@pytest.mark.parametrize("kind", STORED)
def test_a_stored_entry_decodes_and_encodes_as_before(kind: str) -> None:
    stored = {"observation_id": str(UUID(int=1)), "new_profile_id": str(UUID(int=2)), **STORED[kind]}
    read: Observation = msgspec.convert(stored, Observation)
    assert read.kind == kind
    # The authority is not stored any more: it follows from the kind.
    assert msgspec.json.decode(msgspec.json.encode(read)) == {
        key: value for key, value in stored.items() if key != "authority"
    }


def test_a_consent_of_an_event_is_an_observation_without_its_content() -> None:
    event = msgspec.convert({**STORED["event"], **{k: str(v) for k, v in FIXED.items()}}, Observation)
    identifiers = (Identifier(ANONYMOUS_ID, BROWSER),)
    choice = consent_of(event, UUID(int=9), identifiers)
    assert isinstance(choice, ConsentChange)
    assert (choice.observation_id, choice.new_profile_id) == (UUID(int=9), FIXED["new_profile_id"])
    assert (choice.choices, choice.identifiers, choice.name) == (event.choices, identifiers, None)
    assert (choice.values, choice.objects, choice.body, choice.token) == ({}, {}, None, event.token)
    assert policy_of(choice).opt_out == "choice_only"
