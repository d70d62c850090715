"""Renders set-ups and steps as scenario text, so that a failing random history can be copied to a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scenarios.flow import render_flow
from scenarios.words import SECOND_US, START_US, AttributeLine, IdentityType, RuleLine, Setup, Step


def render_history(setup: Setup, steps: Iterable[Step]) -> str:
    """The history as a scenario; every expected outcome is the placeholder `-> nothing`."""
    lines = [*render_setup(setup), "", *(f"{render_step(step)}   -> nothing" for step in steps)]
    return "\n".join(lines)


def render_setup(setup: Setup) -> Iterator[str]:
    """The set-up lines."""
    yield from map(_identity_type, setup.identity_types)
    yield from map(_attribute, setup.attributes)
    yield from map(_rule, setup.rules)
    if setup.detach_on_sign_out:
        yield "setting detach_on_sign_out"
    if setup.profiles_per_merge_max is not None:
        yield f"limit profiles_per_merge_max {setup.profiles_per_merge_max}"
    if setup.values_per_namespace_max is not None:
        yield f"limit values_per_namespace_max {setup.values_per_namespace_max}"


def render_step(step: Step) -> str:
    """An observation with all its fields, or the change of a rule, or `index`."""
    if step.act == "index":
        return "index"
    if step.rule is not None:
        return _rule(step.rule)
    return " ".join([*_actor(step), step.act, *_fields(step)])


def _actor(step: Step) -> Iterator[str]:
    if step.profile is not None:
        yield step.profile
    if step.devices:
        yield f"device {'+'.join(step.devices)}"
    if step.profile is None and not step.devices:
        yield "server"


def _fields(step: Step) -> Iterator[str]:
    if step.user is not None:
        yield f"user={_text(step.user)}"
    yield from (f"{name}={_text(value)}" for name, value in step.identities)
    for scope, values in step.values.items():
        yield from (f"{scope}.{key}={render_flow(value)}" for key, value in values.items())
    yield f"trust={step.trust}"
    yield f"at={(step.at - START_US) // SECOND_US}s"


def _text(value: str) -> str:
    return value if value and not set(value) & set(' \t\n,[]{}"#') else f'"{value}"'


def _rule(line: RuleLine) -> str:
    options = [line.attribute] if line.attribute else []
    options += [] if line.priority is None else [f"priority={line.priority}"]
    options += [] if line.is_active is None else ["active" if line.is_active else "inactive"]
    options += ["gone"] if line.gone else []
    return " ".join(["rule", line.name, *options])


def _identity_type(kind: IdentityType) -> str:
    options = [
        name
        for name in ("bound", "case_sensitive", "trusted_only", "conflict_blocks_merge")
        if getattr(kind, name)
    ]
    options += [f"blocks=[{','.join(kind.blocked_values)}]"] if kind.blocked_values else []
    return " ".join(["identity", kind.name, *options])


def _attribute(line: AttributeLine) -> str:
    options = ["multi-valued"] if line.multi_valued else []
    options += [f"application={line.application}"] if line.application else []
    options += [] if line.mutability == "readWrite" else [f"mutability={line.mutability}"]
    return " ".join(["attribute", line.name, line.value_type, line.merge_strategy, *options])
