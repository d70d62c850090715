"""How the values of two profiles become one: attribute by attribute, each by its strategy, sources alongside.

The absorbed profile is the incoming one. Objects merge member by member, application data application by
application; an attribute that the schema does not know merges as `overwrite`. An empty value never replaces
another, and nothing is taken away: what only one side has stays.

Source: DESIGN §5, wire/cds §9 (last part), seeds/profile-attributes (merge strategies).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from msgspec import Struct

from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, SCOPES, Field
from oneself.core.values.record import Path, Provenance, Record, Values, ValueSource, as_old_as, leaves
from oneself.core.values.schema import Schema
from oneself.core.values.value_types import INTEGER_MAX, INTEGER_MIN, canonical_key, instant, is_empty

DECIMAL_MAX = math.nextafter(math.inf, 0)


class _HeldValue(Struct, frozen=True):
    """A value of one attribute, with the observations it comes from."""

    value: Any
    sources: tuple[ValueSource, ...]


Strategy = Callable[[_HeldValue, _HeldValue, str], _HeldValue]
"""(existing, incoming, value type) → what remains; neither side is empty."""


def overwrite(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The incoming value."""
    return incoming


def keep(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The existing value."""
    return existing


def combine(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """Union in order of appearance, equal elements once; a single value counts as a list of one."""
    union: dict[Hashable, Any] = {}
    for each in (*_as_list(existing.value), *_as_list(incoming.value)):
        union.setdefault(canonical_key(each), each)
    return _HeldValue(list(union.values()), _of_both(existing, incoming))


def latest(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The trusted before the untrusted, within a tier the later (wire/interactions §10)."""
    mine, theirs = _is_trusted(existing), _is_trusted(incoming)
    if mine != theirs:
        return incoming if theirs else existing
    return by_time(existing, incoming, value_type)


def by_time(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The later, whoever said it; not to be chosen for an attribute: identities merge so."""
    return incoming if _said_at(incoming) > _said_at(existing) else existing


def earliest(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """What was said first, whoever said it."""
    return incoming if _said_at(incoming) < _said_at(existing) else existing


def sum_(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """Numbers add up and stay within what their type can hold; anything else is overwritten."""
    if not (_is_number(existing.value) and _is_number(incoming.value)):
        return incoming
    return _HeldValue(_within_range(existing.value + incoming.value), _of_both(existing, incoming))


def max_(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The greater; the incoming one if they do not compare."""
    return _by_rank(existing, incoming, value_type, lambda mine, theirs: theirs > mine)


def min_(existing: _HeldValue, incoming: _HeldValue, value_type: str) -> _HeldValue:
    """The smaller; the incoming one if they do not compare."""
    return _by_rank(existing, incoming, value_type, lambda mine, theirs: theirs < mine)


STRATEGIES: Mapping[str, Strategy] = {
    "overwrite": overwrite,
    "combine": combine,
    "latest": latest,
    "earliest": earliest,
    "keep": keep,
    "sum": sum_,
    "max": max_,
    "min": min_,
}


_NO_STRATEGIES: Mapping[str, Strategy] = {}


def merge_values(
    schema: Schema,
    survivor: Record,
    absorbed: Record,
    *,
    absorbed_fills_identity_only: bool,
    strategies: Mapping[str, Strategy] = _NO_STRATEGIES,
) -> Record:
    """The survivor's record with the absorbed one's merged in. `strategies`: dotted path → how the value
    there merges, whatever its attribute says.

    `absorbed_fills_identity_only`: the absorbed profile has no user and the survivor does, so its identity
    attributes fill gaps and replace nothing (the identity provider owns them).
    """
    join = _ValueMerge(survivor.provenance, absorbed.provenance, dict(survivor.provenance), strategies)
    values = dict(survivor.values)
    for scope in SCOPES:
        section = absorbed.values.get(scope)
        if not section:
            continue
        only = keep if absorbed_fills_identity_only and scope == IDENTITY_ATTRIBUTES else None
        mine = values.get(scope, {})
        if scope == APPLICATION_DATA:
            values[scope] = _applications(schema, join, mine, section)
        else:
            values[scope] = _members(join, schema.fields(scope), scope, mine, section, only)
    return Record(values, join.provenance)


class _ValueMerge(Struct, frozen=True):
    """The sources of both sides, and those of the result, filled on the way."""

    mine: Provenance
    theirs: Provenance
    provenance: Provenance
    strategies: Mapping[str, Strategy]


def _applications(schema: Schema, join: _ValueMerge, mine: Values, theirs: Values) -> Values:
    merged = dict(mine)
    for application, bucket in theirs.items():
        fields = schema.fields(APPLICATION_DATA, application)
        path = f"{APPLICATION_DATA}.{application}"
        merged[application] = _members(join, fields, path, mine.get(application, {}), bucket, None)
    return merged


def _members(
    join: _ValueMerge,
    fields: Mapping[str, Field],
    path: str,
    mine: Values,
    theirs: Values,
    only: Strategy | None,
) -> Values:
    merged = dict(mine)
    for key, value in theirs.items():
        merged[key] = _value(join, fields.get(key), f"{path}.{key}", mine.get(key), value, only)
    return merged


def _value(
    join: _ValueMerge, field: Field | None, path: str, mine: Any, theirs: Any, only: Strategy | None
) -> Any:
    if type(mine) is dict and type(theirs) is dict:
        return _members(join, field.children if field is not None else {}, path, mine, theirs, only)
    if mine is None or (is_empty(mine) and not is_empty(theirs)):
        return _settle(join, path, mine, theirs, None)
    if is_empty(theirs):
        return mine
    strategy = only or join.strategies.get(path) or _strategy(field)
    existing = _HeldValue(mine, _sources(join.mine, mine, path))
    incoming = _HeldValue(theirs, _sources(join.theirs, theirs, path))
    won = strategy(existing, incoming, field.attribute.value_type if field is not None else "string")
    if canonical_key(mine) == canonical_key(theirs):
        return _same_on_both(join, path, won, existing, incoming)
    if won is existing:
        return mine
    return _settle(join, path, mine, won.value, None if won is incoming else won.sources)


def _settle(
    join: _ValueMerge, path: str, mine: Any, value: Any, sources: tuple[ValueSource, ...] | None
) -> Any:
    """Replaces mine in the provenance by the value: with these sources, or with the absorbed side's own."""
    if mine is not None:
        for leaf in leaves(mine, path):
            join.provenance.pop(leaf, None)
    for leaf in leaves(value, path):
        join.provenance[leaf] = join.theirs.get(leaf, ()) if sources is None else sources
    return value


def _same_on_both(
    join: _ValueMerge, path: str, won: _HeldValue, existing: _HeldValue, incoming: _HeldValue
) -> Any:
    """What both sides have is as old as the side that had it first."""
    if won is not existing:
        _settle(join, path, existing.value, won.value, None if won is incoming else won.sources)
    if path in join.provenance:
        both = (*existing.sources, *incoming.sources)
        join.provenance[path] = as_old_as(both, join.provenance[path])
    return won.value


def strategy_at(schema: Schema, path: Path) -> Strategy:
    """By which strategy the value at a path merges."""
    return _strategy(schema.field_at(path))


def _strategy(field: Field | None) -> Strategy:
    if field is None or (field.attribute.merge_strategy == "combine" and not field.attribute.multi_valued):
        return overwrite
    return STRATEGIES[field.attribute.merge_strategy]


def _sources(provenance: Provenance, value: Any, path: str) -> tuple[ValueSource, ...]:
    said = (source for leaf in leaves(value, path) for source in provenance.get(leaf, ()))
    return tuple(dict.fromkeys(said))


def _of_both(existing: _HeldValue, incoming: _HeldValue) -> tuple[ValueSource, ...]:
    return tuple(dict.fromkeys((*existing.sources, *incoming.sources)))


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _said_at(held: _HeldValue) -> tuple[tuple[int, int, str], ...]:
    """When a value was last said; one without a source counts as never said."""
    return tuple(sorted((each.at, each.seq, each.observation_id) for each in held.sources))[-1:]


def _is_trusted(held: _HeldValue) -> bool:
    return any(source.trust == "server" for source in held.sources)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _within_range(total: Any) -> Any:
    if type(total) is int:
        return max(INTEGER_MIN, min(INTEGER_MAX, total))
    return max(-DECIMAL_MAX, min(DECIMAL_MAX, total))


def _by_rank(
    existing: _HeldValue, incoming: _HeldValue, value_type: str, beats: Callable[[Any, Any], bool]
) -> _HeldValue:
    """The side that beats the other; the existing one on a draw, the incoming one if they do not compare."""
    mine, theirs = _rank(existing.value, value_type), _rank(incoming.value, value_type)
    if mine is None or theirs is None or type(mine) is not type(theirs):
        return incoming
    return incoming if beats(mine, theirs) else existing


def _rank(value: Any, value_type: str) -> Any:
    """What a value compares by: numbers and booleans as numbers, dates as moments, text as text."""
    if type(value) is str and value_type in ("date", "date_time"):
        try:
            return instant(value)
        except ValueError:
            return None
    if type(value) in (int, float, bool):
        return _Number(value)
    return value if type(value) is str else None


class _Number(Struct, frozen=True, order=True):
    """A number or boolean under one type, so that 1 and 1.5 compare."""

    value: float
