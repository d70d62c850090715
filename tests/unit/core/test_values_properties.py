"""Properties of values, checked on random schemas, records and JSON (docs/concepts/merging.md)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneself.core.values.attribute import MUTABILITIES
from oneself.core.values.merge import STRATEGIES, merge_values
from oneself.core.values.patch import apply_patch
from oneself.core.values.record import EMPTY, Provenance, Record, leaves, write
from oneself.core.values.reported_claims import accept_valid
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue
from oneself.core.values.value_types import canonical_key, same
from oneself.core.values.visibility import invalid_values, visible_values
from unit.core.samples import attribute, complex_attribute, schema, source

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=3)
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "decimal": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "date": st.dates().map(lambda day: day.isoformat()),
    "date_time": st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    "epoch": st.integers(-(10**12), 10**12) | st.integers(0, 10**12).map(str),
}
SIMPLE = sorted(OF_TYPE)
KEYS = st.sampled_from(["a", "b", "c", "l", "m", "k", "a.b"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@st.composite
def schemas(
    draw: st.DrawFn, mutabilities: tuple[str, ...] = ("readWrite",), merge: str | None = None
) -> Schema:
    """A schema with simple values, lists, objects and lists of objects in each scope."""

    def plain(name: str, **fields: Any) -> Any:
        multi = draw(st.booleans())
        strategy = merge or draw(
            st.sampled_from(sorted(set(STRATEGIES) - {"sum"} - (set() if multi else {"combine"})))
        )
        mutability = draw(st.sampled_from(mutabilities))
        value_type = draw(st.sampled_from(SIMPLE))
        return attribute(name, value_type, multi=multi, merge=strategy, mutability=mutability, **fields)

    attributes = []
    for scope in ("identity_attributes", "traits", "application_data"):
        mutability = draw(st.sampled_from(mutabilities))
        attributes += [plain(f"{scope}.{key}") for key in ("a", "b")]
        attributes += [
            complex_attribute(f"{scope}.c", "k", "m", mutability=mutability),
            plain(f"{scope}.c.k"),
        ]
        attributes += [complex_attribute(f"{scope}.c.m", "k"), plain(f"{scope}.c.m.k")]
        strategy = merge or draw(st.sampled_from(["overwrite", "combine"]))
        attributes += [
            complex_attribute(f"{scope}.l", "k", multi=True, merge=strategy),
            plain(f"{scope}.l.k"),
        ]
    return schema(*attributes)


def _unique_key(element: Any) -> Any:
    """The key by which list elements are unique; "1" and 1 are the same epoch."""
    return canonical_key(
        int(element) if isinstance(element, str) and element.isascii() and element.isdigit() else element
    )


def values_for(given_schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    """Values that fit a schema, some members missing."""

    def values_of(field: Any) -> st.SearchStrategy[Any]:
        single = (
            members(field.children)
            if field.attribute.value_type == "complex"
            else OF_TYPE[field.attribute.value_type]
        )
        return st.lists(single, max_size=3, unique_by=_unique_key) if field.attribute.multi_valued else single

    def members(fields: Any) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional={key: values_of(field) for key, field in fields.items()})

    scopes = {scope: members(given_schema.fields(scope)) for scope in ("identity_attributes", "traits")}
    application = members(given_schema.fields("application_data", "shop"))
    return st.fixed_dictionaries(
        {}, optional={**scopes, "application_data": st.fixed_dictionaries({}, optional={"shop": application})}
    )


@st.composite
def schema_and_records(draw: st.DrawFn, count: int, **options: Any) -> tuple[Schema, list[Record]]:
    """A schema, and records that were written under it by an identity server at creation."""
    given_schema = draw(schemas(**options))
    records = []
    for number in range(count):
        record = EMPTY
        for step in range(draw(st.integers(1, 2))):
            values = draw(values_for(given_schema))
            changes = apply_patch(given_schema, record, values, creating=True, authority="identity_server")
            record = write(record, changes, source(10 * number + step, at=draw(st.integers(0, 3))))
        records.append(record)
    return given_schema, records


@st.composite
def with_any_mutability(draw: st.DrawFn, writable: Schema) -> Schema:
    """The same attributes, each with any mutability."""
    mutabilities = st.sampled_from(MUTABILITIES)
    attributes = writable.attributes
    return Schema(tuple(msgspec.structs.replace(one, mutability=draw(mutabilities)) for one in attributes))


def assert_sound(record: Record) -> None:
    """No value without a source, no source without a value, no empty object."""
    paths = {path for scope, section in record.values.items() for path in leaves(section, scope)}
    assert paths == set(record.provenance)
    assert all(record.provenance.values())
    assert not _has_empty_object(record.values) or record.values == {}


def _has_empty_object(value: Any) -> bool:
    return (
        value == {}
        if not isinstance(value, dict) or not value
        else any(map(_has_empty_object, value.values()))
    )


@given(st.data())
def test_sending_back_a_read_record_changes_nothing(data: st.DataObject) -> None:
    given_schema, (record,) = data.draw(schema_and_records(1))
    assert_sound(record)
    visible = visible_values(given_schema, record.values)
    assert same(visible, record.values)
    assert invalid_values(given_schema, record.values) == []
    for creating in (True, False):
        assert not apply_patch(given_schema, record, visible, creating=creating, authority="application")


@given(st.data())
def test_sending_back_a_record_is_no_change_under_any_mutability(data: st.DataObject) -> None:
    writable, (record,) = data.draw(schema_and_records(1))
    restricted = data.draw(with_any_mutability(writable))
    visible = visible_values(restricted, record.values)
    assert not apply_patch(restricted, record, visible, creating=False, authority="application")


@given(st.data())
def test_a_write_under_any_mutability_is_sound_or_rejected(data: st.DataObject) -> None:
    writable, (record,) = data.draw(schema_and_records(1))
    restricted = data.draw(with_any_mutability(writable))
    patch = data.draw(values_for(writable))
    try:
        changes = apply_patch(restricted, record, patch, creating=False, authority="application")
    except InvalidValue:
        return
    after = write(record, changes, source(99))
    assert_sound(after)
    assert not apply_patch(restricted, after, patch, creating=False, authority="application")


@given(st.data())
def test_any_json_is_written_or_rejected(data: st.DataObject) -> None:
    given_schema, (record,) = data.draw(schema_and_records(1))
    sections = st.dictionaries(KEYS | st.just("shop"), JSON, max_size=3)
    names = st.sampled_from(["identity_attributes", "traits", "application_data", "other"])
    patch = data.draw(st.dictionaries(names, sections | JSON, max_size=3))
    for creating in (True, False):
        try:
            changes = apply_patch(given_schema, record, patch, creating=creating, authority="application")
        except InvalidValue as invalid:
            str(invalid).encode()
        else:
            after = write(record, changes, source(99))
            assert_sound(after)
            assert invalid_values(given_schema, after.values) == []
            assert msgspec.json.encode(after.values)
    changes, skipped = accept_valid(given_schema, record, patch)
    assert_sound(write(record, changes, source(99)))
    assert all(claim.problem for claim in skipped)


@given(st.data())
def test_reading_and_merging_work_under_another_schema(data: st.DataObject) -> None:
    _, (record, other) = data.draw(schema_and_records(2))
    later = data.draw(schemas(mutabilities=MUTABILITIES))
    visible = visible_values(later, record.values)
    assert_sound(merge_values(later, record, other, absorbed_fills_identity_only=True))
    assert not apply_patch(later, record, visible, creating=False, authority="application")
    for path, problem in invalid_values(later, record.values):
        assert path
        assert problem


@given(st.data(), st.booleans())
def test_a_merge_is_sound_complete_and_idempotent(data: st.DataObject, fills: bool) -> None:
    given_schema, (surviving, absorbed) = data.draw(schema_and_records(2))
    once = merge_values(given_schema, surviving, absorbed, absorbed_fills_identity_only=fills)
    assert_sound(once)
    assert set(once.provenance) == set(surviving.provenance) | set(absorbed.provenance)
    twice = merge_values(given_schema, once, absorbed, absorbed_fills_identity_only=fills)
    assert same(twice.values, once.values)
    assert twice.provenance == once.provenance
    assert invalid_values(given_schema, once.values) == []


@given(st.data())
def test_merging_with_nothing_changes_nothing(data: st.DataObject) -> None:
    given_schema, (record,) = data.draw(schema_and_records(1))
    assert merge_values(given_schema, record, EMPTY, absorbed_fills_identity_only=False) == record
    assert merge_values(given_schema, EMPTY, record, absorbed_fills_identity_only=False) == record


@given(st.data())
def test_every_source_of_a_merge_comes_from_one_side(data: st.DataObject) -> None:
    given_schema, (surviving, absorbed) = data.draw(schema_and_records(2))
    merged = merge_values(given_schema, surviving, absorbed, absorbed_fills_identity_only=False)
    for path, sources in merged.provenance.items():
        sources_before = {*surviving.provenance.get(path, ()), *absorbed.provenance.get(path, ())}
        # A value that both sides have keeps the age of the older one.
        assert {msgspec.structs.replace(source, since=None) for source in sources} <= sources_before


@given(st.data())
def test_combining_is_associative(data: st.DataObject) -> None:
    given_schema, (a, b, c) = data.draw(schema_and_records(3, merge="combine"))
    assert_associative(given_schema, a, b, c)


@pytest.mark.parametrize("lists", [([0], [0], [1]), ([1], [0], [0]), ([1], [2], [1])])
@pytest.mark.parametrize("strategy", ["combine", "sum"])
def test_sources_do_not_depend_on_which_two_were_merged_first(lists: Any, strategy: str) -> None:
    is_list = strategy == "combine"
    given_schema = schema(attribute("traits.a", "integer", multi=is_list, merge=strategy))
    a, b, c = (
        Record({"traits": {"a": value if is_list else value[0]}}, {"traits.a": (source(10 * number),)})
        for number, value in enumerate(lists)
    )
    assert_associative(given_schema, a, b, c)


def assert_associative(given_schema: Schema, a: Record, b: Record, c: Record) -> None:
    def join(surviving: Record, absorbed: Record) -> Record:
        return merge_values(given_schema, surviving, absorbed, absorbed_fills_identity_only=False)

    left, right = join(join(a, b), c), join(a, join(b, c))
    assert same(left.values, right.values)
    assert ages_of_combined(left) == ages_of_combined(right)


def ages_of_combined(record: Record) -> Provenance:
    """The sources; those of a single value without its age, which begins again where another replaced it."""
    return {
        leaf: sources if len(sources) > 1 else tuple(msgspec.structs.replace(s, since=None) for s in sources)
        for leaf, sources in record.provenance.items()
    }
