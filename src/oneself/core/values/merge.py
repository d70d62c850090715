"""Merges the values of two profiles and their provenance, each attribute by its strategy.

The absorbed profile is the incoming side. Objects merge member by member, application data application by
application. An attribute that is not in the schema merges as `overwrite`. Of one that is written
once, the value that was recorded first stays, whatever its strategy.

Invariants: an empty value never replaces another. A value that only one side has stays.

Source: docs/concepts/merging.md, docs/wire/cds.md §9 (last part).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from msgspec import Struct

from oneself.core.units import SEQ_MAX
from oneself.core.values.attribute import APPLICATION_DATA, IDENTITY_ATTRIBUTES, SCOPES, WRITE_ONCE, Field
from oneself.core.values.record import Path, Provenance, Record, Values, ValueSource, as_old_as, leaves
from oneself.core.values.schema import Schema
from oneself.core.values.validation import is_valid
from oneself.core.values.value_types import INTEGER_MAX, INTEGER_MIN, canonical_key, instant, is_empty

DECIMAL_MAX = math.nextafter(math.inf, 0)


class _SourcedValue(Struct, frozen=True):
    """A value of one attribute, with the observations it comes from."""

    value: Any
    sources: tuple[ValueSource, ...]


Strategy = Callable[[_SourcedValue, _SourcedValue, str], _SourcedValue]
"""(existing, incoming, value type) → what remains; neither side is empty."""


def overwrite(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The incoming value."""
    return incoming


def keep(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The existing value."""
    return existing


def combine(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The union in order of appearance, without duplicates; a single value is treated as a list of one."""
    union: dict[Hashable, Any] = {}
    for element in (*_as_list(existing.value), *_as_list(incoming.value)):
        union.setdefault(canonical_key(element), element)
    return _SourcedValue(list(union.values()), _of_both(existing, incoming))


def latest(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The trusted one; of equal trust the later one (docs/wire/interactions.md §10)."""
    mine, theirs = _is_trusted(existing), _is_trusted(incoming)
    if mine != theirs:
        return incoming if theirs else existing
    return by_time(existing, incoming, value_type)


def by_time(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The later one, whatever its trust. Only identities use it; definitions cannot choose it."""
    return incoming if _reported_at(incoming) > _reported_at(existing) else existing


def earliest(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The earlier one, whatever its trust."""
    return incoming if _reported_at(incoming) < _reported_at(existing) else existing


def sum_(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """Numbers add up and stay within what their type can hold; anything else is overwritten."""
    if not (_is_number(existing.value) and _is_number(incoming.value)):
        return incoming
    return _SourcedValue(_within_range(existing.value + incoming.value), _of_both(existing, incoming))


def max_(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The greater; the incoming one if they do not compare."""
    return _by_rank(existing, incoming, value_type, lambda mine, theirs: theirs > mine)


def min_(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The smaller; the incoming one if they do not compare."""
    return _by_rank(existing, incoming, value_type, lambda mine, theirs: theirs < mine)


def first(existing: _SourcedValue, incoming: _SourcedValue, value_type: str) -> _SourcedValue:
    """The one that was recorded first: of attributes that are written once. Definitions cannot choose it."""
    return incoming if _first_recorded(incoming) < _first_recorded(existing) else existing


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
    """The survivor's record, merged with the absorbed one's.

    `strategies`: dotted path → a strategy that overrides that of the attribute.
    `absorbed_fills_identity_only`: the absorbed profile's identity attributes fill gaps and replace nothing,
    because only the survivor has a user, whose identity attributes the identity provider owns.
    """
    sides = _Sides(survivor.provenance, absorbed.provenance, strategies)
    values, updates = dict(survivor.values), dict[str, tuple[ValueSource, ...] | None]()
    for scope in SCOPES:
        section = absorbed.values.get(scope)
        if not section:
            continue
        only = keep if absorbed_fills_identity_only and scope == IDENTITY_ATTRIBUTES else None
        mine = values.get(scope, {})
        if scope == APPLICATION_DATA:
            values[scope], changed = _applications(schema, sides, mine, section)
        else:
            values[scope], changed = _members(sides, schema.fields(scope), scope, mine, section, only)
        updates |= changed
    provenance = survivor.provenance | updates
    return Record(values, {leaf: sources for leaf, sources in provenance.items() if sources is not None})


#: Changes of the survivor's provenance by a merge: leaf → sources, None for a replaced leaf.
_Updates = dict[str, tuple[ValueSource, ...] | None]


class _Sides(Struct, frozen=True):
    """The provenance of both sides, and the strategies that override those of attributes."""

    mine: Provenance
    theirs: Provenance
    strategies: Mapping[str, Strategy]


def _applications(schema: Schema, sides: _Sides, mine: Values, theirs: Values) -> tuple[Values, _Updates]:
    merged, updates = dict(mine), _Updates()
    for application, bucket in theirs.items():
        fields = schema.fields(APPLICATION_DATA, application)
        path = f"{APPLICATION_DATA}.{application}"
        merged[application], changed = _members(sides, fields, path, mine.get(application, {}), bucket, None)
        updates |= changed
    return merged, updates


def _members(
    sides: _Sides,
    fields: Mapping[str, Field],
    path: str,
    mine: Values,
    theirs: Values,
    only: Strategy | None,
) -> tuple[Values, _Updates]:
    merged, updates = dict(mine), _Updates()
    for key, value in theirs.items():
        merged[key], changed = _value(sides, fields.get(key), f"{path}.{key}", mine.get(key), value, only)
        updates |= changed
    return merged, updates


def _value(
    sides: _Sides, field: Field | None, path: str, mine: Any, theirs: Any, only: Strategy | None
) -> tuple[Any, _Updates]:
    is_once = field is not None and field.attribute.mutability == WRITE_ONCE
    if type(mine) is dict and type(theirs) is dict and not is_once:
        return _members(sides, field.children if field is not None else {}, path, mine, theirs, only)
    if mine is None or (is_empty(mine) and not is_empty(theirs)):
        return theirs, _replacing(sides, path, mine, theirs, None)
    if is_empty(theirs):
        return mine, {}
    chosen = _of_valid(field, mine, theirs) if field is not None and is_once else _strategy(field)
    strategy = only or sides.strategies.get(path) or chosen
    existing = _SourcedValue(mine, _sources(sides.mine, mine, path))
    incoming = _SourcedValue(theirs, _sources(sides.theirs, theirs, path))
    won = strategy(existing, incoming, field.attribute.value_type if field is not None else "string")
    updates: _Updates = {}
    if won is not existing:
        updates = _replacing(sides, path, mine, won.value, None if won is incoming else won.sources)
    keeps_both = won is not existing and won is not incoming
    if not keeps_both and canonical_key(mine) == canonical_key(theirs):
        updates |= _with_first_age(sides, path, updates, (*existing.sources, *incoming.sources))
    return won.value, updates


def _replacing(
    sides: _Sides, path: str, mine: Any, value: Any, sources: tuple[ValueSource, ...] | None
) -> _Updates:
    """Replaces the survivor's value by `value`, with these sources or those of the absorbed side."""
    updates: _Updates = {} if mine is None else dict.fromkeys(leaves(mine, path))
    for leaf in leaves(value, path):
        updates[leaf] = sides.theirs.get(leaf, ()) if sources is None else sources
    return updates


def _with_first_age(sides: _Sides, path: str, updates: _Updates, both: tuple[ValueSource, ...]) -> _Updates:
    """A value that both sides have, of the sources of one, keeps the earliest seq that set it.

    With the sources of both, the earliest is among them. A mark would say which two were merged first.
    """
    sources = updates[path] if path in updates else sides.mine.get(path)
    return {} if sources is None else {path: as_old_as(both, sources)}


def strategy_at(schema: Schema, path: Path) -> Strategy:
    """The strategy by which the value at a path merges."""
    return _strategy(schema.field_at(path))


def _strategy(field: Field | None) -> Strategy:
    if field is not None and field.attribute.mutability == WRITE_ONCE:
        return first
    if field is None or (field.attribute.merge_strategy == "combine" and not field.attribute.multi_valued):
        return overwrite
    return STRATEGIES[field.attribute.merge_strategy]


def _of_valid(field: Field, mine: Any, theirs: Any) -> Strategy:
    """The strategy of what is written once. What is not valid any more counts as not set (cds.md §8)."""
    if not is_valid(field, mine):
        return overwrite
    return first if is_valid(field, theirs) else keep


def _sources(provenance: Provenance, value: Any, path: str) -> tuple[ValueSource, ...]:
    sources = (source for leaf in leaves(value, path) for source in provenance.get(leaf, ()))
    return tuple(dict.fromkeys(sources))


def _of_both(existing: _SourcedValue, incoming: _SourcedValue) -> tuple[ValueSource, ...]:
    return tuple(dict.fromkeys((*existing.sources, *incoming.sources)))


def _as_list(value: Any) -> list[Any]:
    return value if type(value) is list else [value]


def _reported_at(value: _SourcedValue) -> tuple[tuple[int, int, str], ...]:
    """The last report of a value as a sort key; empty for a value without a source."""
    return tuple(sorted((source.at, source.seq, source.observation_id) for source in value.sources))[-1:]


def _first_recorded(value: _SourcedValue) -> int:
    """The seq of the observation that first set a value."""
    return min((source.first_seq for source in value.sources), default=SEQ_MAX)


def _is_trusted(value: _SourcedValue) -> bool:
    return any(source.trust == "server" for source in value.sources)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _within_range(total: Any) -> Any:
    if type(total) is int:
        return max(INTEGER_MIN, min(INTEGER_MAX, total))
    return max(-DECIMAL_MAX, min(DECIMAL_MAX, total))


def _by_rank(
    existing: _SourcedValue, incoming: _SourcedValue, value_type: str, beats: Callable[[Any, Any], bool]
) -> _SourcedValue:
    """The side that beats the other; the existing one on a draw, the incoming one if they do not compare."""
    mine, theirs = _rank(existing.value, value_type), _rank(incoming.value, value_type)
    if mine is None or theirs is None or type(mine) is not type(theirs):
        return incoming
    return incoming if beats(mine, theirs) else existing


def _rank(value: Any, value_type: str) -> Any:
    """The sort key of a value: numbers and booleans as numbers, dates as instants, text as text."""
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
