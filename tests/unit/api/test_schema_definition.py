"""Accepted and rejected attribute definitions, with the codes of the wire (docs/wire/cds.md §7)."""

# Each case is one line of a table, however long.
# ruff: noqa: E501

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from oneself.api.cds.attribute_change import decode_change
from oneself.api.documents.rejections import ATTRIBUTE_ERRORS, RULE_ERRORS, attribute_error
from oneself.core.config.rule_checks import RuleReason
from oneself.core.values.attribute import Attribute
from oneself.core.values.definition import AttributeChange, define, redefine, undefine
from oneself.core.values.definition_rules import AttributeReason, AttributeRejected
from unit.core.samples import APP, attribute, complex_attribute, schema

EXISTING = schema(
    attribute("identity_attributes.emailaddress"),
    attribute("traits.plan", canonical=("trial", "gold")),
    attribute("traits.address.city"),
    complex_attribute("traits.address", "city"),
    attribute("application_data.score", "integer"),
    attribute("application_data.cart.items"),
)


def draft(name: str, value_type: str = "string", **fields: Any) -> Attribute:
    attribute_id = fields.pop("attribute_id", "new")
    return structs.replace(attribute(name, value_type, **fields), attribute_id=attribute_id)


def rejection_of(scope: str, *drafts: Attribute, **options: Any) -> tuple[str, str, str]:
    with pytest.raises(AttributeRejected) as caught:
        define(EXISTING, scope, drafts, **options)
    row = ATTRIBUTE_ERRORS[caught.value.reason]
    return row.code.number, row.shape, caught.value.detail


REJECTED: list[tuple[str, list[Attribute], tuple[str, str, str]]] = [
    ("identity_attributes", [draft("identity_attributes.x")], ("13006", "B", "identity server")),
    ("identity_attributes", [], ("13006", "B", "")),
    ("habits", [draft("habits.x")], ("13001", "B", "Invalid scope")),
    ("traits", [draft("traits.x", app=APP)], ("13001", "B", "application_identifier")),
    ("traits", [draft("x"), draft("traits.x", app=APP)], ("13001", "B", "application_identifier")),
    ("traits", [], ("13001", "B", "At least one")),
    ("traits", [draft("plan")], ("13002", "A", "<scope>.<name>")),
    ("traits", [draft("")], ("13002", "A", "<scope>.<name>")),
    ("traits", [draft("traits.")], ("13002", "A", "<scope>.<name>")),
    ("traits", [draft("traits..x")], ("13002", "A", "<scope>.<name>")),
    ("traits", [draft("traits. .x")], ("13002", "A", "<scope>.<name>")),
    ("traits", [draft("traits.a.b.c.d.e")], ("13002", "A", "Attribute exceeds the maximum depth of 4.")),
    ("traits", [draft("habits.a")], ("13002", "A", "Invalid scope")),
    ("traits", [draft("profile_id.x")], ("13002", "A", "Invalid scope")),
    ("traits", [draft("meta.created_at")], ("13002", "A", "Invalid scope")),
    ("traits", [draft("application_data.x", app=None)], ("13002", "A", "does not match the scope")),
    ("traits", [draft("identity_attributes.x")], ("13002", "A", "does not match the scope")),
    ("traits", [draft("traits." + "x" * 250)], ("13002", "A", "at most 255")),
    ("traits", [draft("traits.a\x00")], ("13002", "A", "printable")),
    ("traits", [draft("traits.\ud800")], ("13002", "A", "printable")),
    ("application_data", [draft("application_data.x", app=None)], ("13005", "A", "Application identifier is required")),
    ("application_data", [draft("application_data.x", app="")], ("13005", "A", "Application identifier is required")),
    ("traits", [draft("traits.x", "text")], ("13002", "A", "value_type: 'text'")),
    ("traits", [draft("traits.x", "")], ("13002", "A", "value_type")),
    ("traits", [draft("traits.x", sub_attributes=("traits.x.y",))], ("13002", "A", "complex")),
    ("traits", [draft("traits.x", "complex")], ("13001", "A", "required")),
    ("traits", [draft("traits.x", "complex", sub_attributes=("none",))], ("13002", "A", "does not exist")),
    ("traits", [draft("traits.x", "complex", sub_attributes=("traits.plan",))], ("13002", "A", "exactly one level deeper")),
    ("traits", [draft("traits", "complex", sub_attributes=("traits.plan",))], ("13002", "A", "<scope>.<name>")),
    ("application_data", [draft("application_data.cart", "complex", app="crm", sub_attributes=("shop:application_data.cart.items",))], ("13002", "A", "application identifier")),
    ("traits", [draft("traits.x", mutability="sometimes")], ("13002", "A", "mutability")),
    ("traits", [draft("traits.x", merge="latest")], ("13002", "A", "merge_strategy")),
    ("traits", [draft("traits.x", merge="")], ("13002", "A", "merge_strategy")),
    ("traits", [draft("traits.x", merge="combine")], ("13002", "A", "multi_valued: true")),
    ("traits", [draft("traits.x", display_name="x" * 51)], ("13002", "A", "display_name")),
    ("traits", [draft("traits.x", display_name="größe")], ("13002", "A", "display_name")),
    ("traits", [draft("traits.x", display_name="line\n")], ("13002", "A", "display_name")),
    ("traits", [draft("traits.x", "integer", canonical=("a",))], ("13002", "A", "value_type string")),
    ("traits", [draft("traits.x", canonical=("a\x00",))], ("13002", "A", "canonical_values")),
    ("traits", [draft("traits.x", canonical=tuple(map(str, range(1001))))], ("13002", "A", "1000")),
    ("traits", [draft("traits.plan")], ("13003", "A", "already exists")),
    ("traits", [draft("traits.x", attribute_id="a"), draft("traits.x", attribute_id="b")], ("13003", "A", "already exists")),
    ("traits", [draft("traits.x", attribute_id="a"), draft("traits.y", attribute_id="a")], ("13003", "A", "already exists")),
    ("traits", [draft("traits.x", attribute_id="traits.plan")], ("13003", "A", "already exists")),
    ("traits", [draft("traits.x", attribute_id="i" * 256)], ("13002", "A", "attribute_id")),
    ("application_data", [draft("application_data.score")], ("13003", "A", "already exists for application")),
    ("traits", [draft("traits.Plan")], ("13003", "A", "differs only in case from 'traits.plan'")),
    ("traits", [draft("traits.address.CITY")], ("13003", "A", "differs only in case")),
    ("traits", [draft("traits.x", attribute_id="a"), draft("traits.X", attribute_id="b")], ("13003", "A", "differs only in case")),
    ("application_data", [draft("application_data.Score")], ("13003", "A", "differs only in case")),
    # The order of the checks.
    ("traits", [draft("traits.x", "text", mutability="x")], ("13002", "A", "value_type")),
    ("traits", [draft("traits.plan", mutability="x", merge="x")], ("13002", "A", "mutability")),
    ("traits", [draft("traits.a.b.c.d.e", "text")], ("13002", "A", "depth")),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "drafts", "expected"), REJECTED)
def test_an_invalid_definition_is_rejected(
    scope: str, drafts: list[Attribute], expected: tuple[str, str, str]
) -> None:
    code, shape, description = rejection_of(scope, *drafts)
    assert (code, shape) == expected[:2]
    assert expected[2] in description
    assert description.encode()


def test_the_listed_name_of_a_sub_attribute_is_checked() -> None:
    address = draft("traits.address", "complex", sub_attributes=("traits.address.city",))
    for listed_name, detail in (
        ("traits.address.zip", "is not named"),
        ("traits.city", "exactly one level deeper"),
    ):
        code, _, description = rejection_of(
            "traits", address, child_names=[{"traits.address.city": listed_name}]
        )
        assert code == "13002"
        assert detail in description


ACCEPTED: list[tuple[str, list[Attribute]]] = [
    ("traits", [draft("traits.a.b.c.d")]),
    ("traits", [draft("traits.x", display_name="A-Z a_z 0.9+")]),
    ("traits", [draft("traits.größe")]),
    ("traits", [draft("traits.x", canonical=("a", "b"), multi=True, merge="combine")]),
    ("application_data", [draft("application_data.score", app="crm")]),
    ("application_data", [draft("application_data.cart", "complex", sub_attributes=("shop:application_data.cart.items",))]),
    ("traits", [draft("traits.a", "complex", sub_attributes=("child",)), draft("traits.a.b", attribute_id="child")]),
    *[("traits", [draft("traits.x", value_type)]) for value_type in ("string", "integer", "decimal", "boolean", "date", "date_time", "epoch")],
    *[("traits", [draft("traits.x", mutability=word)]) for word in ("readWrite", "readOnly", "writeOnly", "immutable", "writeOnce")],
]  # fmt: skip


@pytest.mark.parametrize(("scope", "drafts"), ACCEPTED)
def test_a_valid_definition_is_accepted(scope: str, drafts: list[Attribute]) -> None:
    defined = define(EXISTING, scope, drafts)
    assert [added.attribute_name for added in defined] == [added.attribute_name for added in drafts]


def test_mutability_and_display_name_have_defaults() -> None:
    (defined,) = define(EXISTING, "traits", [draft("traits.a.b", mutability="", display_name="")])
    assert (defined.mutability, defined.display_name) == ("readWrite", "b")


# PUT


FULL = {"attribute_name": "traits.plan", "value_type": "string", "merge_strategy": "overwrite", "mutability": "readWrite"}  # fmt: skip


def put(attribute_id: str = "traits.plan", scope: str = "traits", **changes: Any) -> Attribute:
    return change(attribute_id, scope, FULL | changes)


def change(attribute_id: str, scope: str, document: dict[str, Any]) -> Attribute:
    decoded, child_names = decode_change(EXISTING, scope, attribute_id, document)
    return redefine(EXISTING, scope, attribute_id, decoded, child_names=child_names)


REJECTED_PUTS: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"scope": "identity_attributes"}, ("13006", "B", "")),
    ({"scope": "habits"}, ("13001", "B", "")),
    ({"attribute_id": "none"}, ("13004", "A", "does not exist")),
    ({"attribute_id": "identity_attributes.emailaddress"}, ("13006", "B", "")),
    ({"attribute_name": ""}, ("13002", "A", "Required field 'attribute_name' is missing or empty")),
    ({"value_type": None}, ("13002", "A", "Required field 'value_type' is missing or empty")),
    ({"mutability": 5}, ("13002", "A", "'mutability' must be a string")),
    ({"multi_valued": "true"}, ("13002", "A", "'multi_valued' must be a boolean")),
    ({"colour": "red"}, ("13002", "A", "Unknown field 'colour'")),
    ({"canonical_values": ["a"]}, ("13002", "A", "canonical_values")),
    ({"canonical_values": [{"label": "a"}]}, ("13002", "A", "canonical_values")),
    ({"sub_attributes": [{"attribute_name": "x"}]}, ("13002", "A", "sub_attributes")),
    ({"sub_attributes": "x"}, ("13002", "A", "sub_attributes")),
    ({"application_identifier": "crm"}, ("13001", "B", "application_identifier")),
    ({"merge_strategy": "combine"}, ("13002", "A", "multi_valued")),
    ({"value_type": "complex"}, ("13001", "A", "required")),
    ({"attribute_name": "traits.address.city"}, ("13003", "A", "already exists")),
    ({"attribute_name": "traits.address.City"}, ("13003", "A", "differs only in case")),
    ({"attribute_name": "application_data.plan"}, ("13002", "A", "does not match the scope")),
    ({"display_name": "größe"}, ("13002", "A", "display_name")),
    ({"attribute_id": "shop:application_data.score"}, ("13002", "A", "does not match the scope")),
    ({"attribute_id": "traits.address.city", "attribute_name": "traits.town"}, ("13002", "A", "exactly one level deeper")),
    ({"attribute_id": "traits.address", "attribute_name": "traits.home", "value_type": "complex"}, ("13002", "A", "exactly one level deeper")),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), REJECTED_PUTS)
def test_an_invalid_put_is_rejected(changes: dict[str, Any], expected: tuple[str, str, str]) -> None:
    changes = dict(changes)
    attribute_id, scope = changes.pop("attribute_id", "traits.plan"), changes.pop("scope", "traits")
    with pytest.raises(AttributeRejected) as caught:
        put(attribute_id, scope, **changes)
    row = ATTRIBUTE_ERRORS[caught.value.reason]
    assert (row.code.number, row.shape) == expected[:2]
    assert expected[2] in caught.value.detail


def test_an_empty_put_or_another_id_or_scope_is_rejected() -> None:
    for changes in ({}, FULL | {"attribute_id": "other"}, FULL | {"scope": "application_data"}):
        with pytest.raises(AttributeRejected) as caught:
            change("traits.plan", "traits", changes)
        assert ATTRIBUTE_ERRORS[caught.value.reason].code.number == "13002"


def test_put_keeps_fields_that_it_omits() -> None:
    assert put() == structs.replace(EXISTING.attributes[1], display_name="plan")
    assert (
        put(mutability="writeOnce", canonical_values=None).canonical_values
        == EXISTING.attributes[1].canonical_values
    )
    assert (
        put(attribute_id="traits.plan", scope="traits", org_id="x", scim_dialect="y").attribute_name
        == "traits.plan"
    )


def test_put_changes_the_fields_that_it_contains() -> None:
    changed = put(
        attribute_name="traits.tier", display_name="Tier", multi_valued=True, merge_strategy="combine",
        canonical_values=[{"value": "a", "label": "A"}], mutability="writeOnly",
    )  # fmt: skip
    assert (changed.attribute_name, changed.display_name, changed.multi_valued) == (
        "traits.tier",
        "Tier",
        True,
    )
    assert [(canonical.value, canonical.label) for canonical in changed.canonical_values] == [("a", "A")]
    assert put(canonical_values=[]).canonical_values == ()


def test_a_new_type_removes_fields_that_do_not_apply_to_it() -> None:
    assert put(value_type="integer").canonical_values == ()
    plain = put("traits.address", attribute_name="traits.address")
    assert plain.sub_attributes == ()


def test_put_of_application_data_keeps_its_application() -> None:
    for fields in ({}, {"application_identifier": ""}, {"application_identifier": APP}):
        changed = put(
            "shop:application_data.score",
            "application_data",
            attribute_name="application_data.score",
            **fields,
        )
        assert changed.application_identifier == APP  # fmt: skip


# DELETE


def test_a_deletion_removes_attributes_of_the_scope() -> None:
    assert undefine(EXISTING, "traits", "traits.plan") == ("traits.plan",)
    assert undefine(EXISTING, "traits", "none") == ()
    assert undefine(EXISTING, "application_data") == (
        "shop:application_data.score",
        "shop:application_data.cart.items",
    )
    everything = undefine(EXISTING)
    assert [kept.attribute_name for kept in EXISTING.without(everything).attributes] == [
        "identity_attributes.emailaddress"
    ]


@pytest.mark.parametrize(
    ("scope", "attribute_id", "code", "not_allowed"),
    [
        ("identity_attributes", None, "13002", True),
        ("identity_attributes", "none", "13002", True),
        ("traits", "identity_attributes.emailaddress", "13002", True),
        ("traits", "traits.address.city", "15104", False),
        ("habits", None, "13001", False),
    ],
)
def test_an_invalid_deletion_is_rejected(
    scope: str, attribute_id: str | None, code: str, not_allowed: bool
) -> None:
    with pytest.raises(AttributeRejected) as caught:
        undefine(EXISTING, scope, attribute_id)
    row = ATTRIBUTE_ERRORS[caught.value.reason]
    assert (row.code.number, row.status == 405) == (code, not_allowed)
    assert row.shape == ("A" if code == "15104" else "B")
    assert attribute_error(caught.value).headers == ({"Allow": "GET, HEAD"} if not_allowed else {})


def test_every_reason_has_an_error() -> None:
    assert set(ATTRIBUTE_ERRORS) == set(get_args(AttributeReason))
    assert set(RULE_ERRORS) == set(get_args(RuleReason))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["attribute_id", "value", "x"]), inner)
    ),
    max_leaves=6,
)
FIELDS = st.sampled_from([*FULL, "display_name", "multi_valued", "application_identifier", "canonical_values",
                          "sub_attributes", "attribute_id", "scope", "colour"])  # fmt: skip


@given(st.dictionaries(FIELDS, JSON, max_size=4))
def test_any_put_is_accepted_or_rejected(changes: dict[str, Any]) -> None:
    try:
        changed = put(
            **{name: value for name, value in changes.items() if name not in ("attribute_id", "scope")}
        )
    except AttributeRejected as rejected:
        rejected.detail.encode()
    else:
        assert EXISTING.with_([changed]).fields("traits") is not None


def test_stored_names_that_differ_only_in_case_stay_usable() -> None:
    """A schema from before the rule: what is not renamed can be changed, and a clash can be renamed away."""
    schema = EXISTING.with_([draft("traits.Plan", attribute_id="old")])
    change = AttributeChange(
        attribute_name="traits.Plan", value_type="integer", merge_strategy="overwrite", mutability="readWrite"
    )
    assert redefine(schema, "traits", "old", change).value_type == "integer"
    renamed = redefine(schema, "traits", "old", structs.replace(change, attribute_name="traits.contract"))
    again = structs.replace(change, attribute_name="traits.Contract")
    assert redefine(schema.with_([renamed]), "traits", "old", again).attribute_name == "traits.Contract"


def test_applications_do_not_share_names() -> None:
    (made,) = define(EXISTING, "application_data", [draft("application_data.SCORE", app="crm")])
    assert made.attribute_name == "application_data.SCORE"
