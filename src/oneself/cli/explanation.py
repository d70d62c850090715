"""Explanations as sentences and as JSON.

Invariants: both contain the same facts, and a tracker only as its digest. Values cannot send control
sequences to the terminal.

Source: docs/decisions/0043-explanations.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from oneself.cli.output import escaped, timestamp
from oneself.core.identity.identifier import Identifier, visible_value
from oneself.service.explain.sentences import CAUSES, DECIDED, EVIDENCE, PARTS

if TYPE_CHECKING:
    from oneself.service.explain.values import (
        ExplainedCause,
        ExplainedJoin,
        ExplainedPart,
        ExplainedSide,
        ProfileRelation,
        SourceObservation,
    )
    from oneself.service.profiles.parts import ProfilePart


def join_sentences(join: ExplainedJoin) -> Iterator[str]:
    """What a join says: first what the two parts have, then who said it of each."""
    one, other = (_part(side.part) for side in join.sides)
    if join.evidence == "same_user":
        shared = f"belong to {_shared(join.identifier) or 'the same user'}"
    elif join.identifier is not None:
        shared = f"both have {_shared(join.identifier)}"
    else:
        shared = DECIDED.get(join.reason, "were merged")
    yield (
        f"{one} and {other} {shared}, since {timestamp(join.since)} "
        f"({EVIDENCE[join.evidence]}; reason {escaped(join.reason)})."
    )
    for side in join.sides:
        if side.observation is not None:
            yield f"  Of {side.part.part_id}: {_observation(side.observation)}{_level(side)}."
        else:
            yield f"  Of {side.part.part_id}: the observation was erased."


def relation_sentences(relation: ProfileRelation, one: ProfilePart, other: ProfilePart) -> Iterator[str]:
    """What there is to say of two parts."""
    pair = f"{one.part_id} and {other.part_id}"
    if not relation.is_one_profile:
        yield f"{pair} are two profiles in the view {relation.view}:"
        for cause in relation.causes:
            yield f"- {_cause(cause)}"
        for view in relation.one_in:
            yield f"They are one profile in the view {view}: see --view {view}."
        return
    if not relation.path and relation.is_complete:
        yield f"{pair} are the same part of one profile."
        return
    if not relation.is_complete:
        yield f"{pair} are one profile in the view {relation.view}, but too far apart to find the way."
        return
    yield f"{pair} are one profile in the view {relation.view}. The way from one to the other:"
    yield from numbered_sentences(relation.path)


def numbered_sentences(joins: Iterable[ExplainedJoin]) -> Iterator[str]:
    """The sentences of joins, numbered."""
    for number, join in enumerate(joins, 1):
        first, *others = join_sentences(join)
        yield f"{number}. {first}"
        yield from others


def join_facts(join: ExplainedJoin) -> dict[str, Any]:
    """A join with the names of the REST interface."""
    return {
        "reason": join.reason,
        "evidence": join.evidence,
        "since": timestamp(join.since),
        "sides": [
            _known(
                part=_part_facts(side.part),
                evidence=side.evidence,
                observation=None if side.observation is None else _observation_facts(side.observation),
            )
            for side in join.sides
        ],
        "identifier": _identifier_facts(join.identifier),
    }


def relation_facts(relation: ProfileRelation, one: ProfilePart, other: ProfilePart) -> dict[str, Any]:
    """How two parts belong together, with the names of the REST interface."""
    facts: dict[str, Any] = {
        "profile_id": str(one.part_id),
        "view": relation.view,
        "with": str(other.part_id),
        "one_profile": relation.is_one_profile,
    }
    if relation.is_one_profile:
        complete = {} if relation.is_complete else {"path_complete": False}
        return {**facts, "path": [join_facts(join) for join in relation.path], **complete}
    causes = [_cause_facts(cause) for cause in relation.causes]
    return {**facts, "causes": causes, "one_in": list(relation.one_in)}


def _cause(cause: ExplainedCause) -> str:
    rule, namespace = escaped(cause.rule), escaped(cause.namespace)
    why = CAUSES.get(cause.code, "{code}.").format(rule=rule, namespace=namespace, code=cause.code)
    shared = _shared(cause.identifier)
    sentence = why if shared is None else f"Both have {shared}. {why}"
    times = f" It happened {cause.times} times." if cause.times > 1 else ""
    return f"{sentence}{times} ({cause.code})"


def _part(part: ExplainedPart) -> str:
    words = PARTS[part.kind]
    if part.browser is not None:
        words += f", browser {escaped(visible_value(part.browser))}"
    return f"{part.part_id} ({words})"


def _shared(identifier: Identifier | None) -> str | None:
    if identifier is None:
        return None
    return f"{escaped(identifier.namespace)} {escaped(visible_value(identifier))}"


def _observation(observation: SourceObservation) -> str:
    name = f" {escaped(observation.name)}" if observation.name else ""
    through = f" through {escaped(observation.interface)}" if observation.interface else ""
    by = f" by {escaped(observation.application)}" if observation.application else ""
    return f"{observation.kind}{name}{through}{by} at {timestamp(observation.at)}, id {observation.event_id}"


def _level(side: ExplainedSide) -> str:
    return "" if side.evidence is None else f" ({side.evidence})"


def _part_facts(part: ExplainedPart) -> dict[str, Any]:
    browser = None if part.browser is None else visible_value(part.browser)
    return _known(id=str(part.part_id), kind=part.kind, browser=browser, user_id=part.user_id)


def _observation_facts(observation: SourceObservation) -> dict[str, Any]:
    return {
        "event_id": observation.event_id,
        "kind": observation.kind,
        "name": observation.name,
        "face": observation.interface,
        "application": observation.application,
        "at": timestamp(observation.at),
    }


def _cause_facts(cause: ExplainedCause) -> dict[str, Any]:
    return _known(
        code=cause.code,
        identifier=_identifier_facts(cause.identifier),
        namespace=cause.namespace or None,
        parts=None if cause.parts is None else [_part_facts(part) for part in cause.parts],
        rule=cause.rule or None,
        since=timestamp(cause.since) if cause.since else None,
        times=cause.times or None,
    )


def _identifier_facts(identifier: Identifier | None) -> dict[str, str] | None:
    if identifier is None:
        return None
    return {"namespace": identifier.namespace, "value": visible_value(identifier)}


def _known(**facts: Any) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}
