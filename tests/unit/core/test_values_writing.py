"""Writes: what they change and why they are rejected (docs/wire/cds.md §5.1, §5.4, §8)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from oneself.core.values.patch import apply_patch
from oneself.core.values.record import EMPTY, Record, write
from oneself.core.values.schema import Schema
from oneself.core.values.validation import InvalidValue
from oneself.core.values.value_types import ELEMENTS_MAX, TEXT_LENGTH_MAX
from oneself.core.values.visibility import visible_values
from unit.core.samples import APP, attribute, complex_attribute, patched, schema, source, stored

SHOP = schema(
    attribute("identity_attributes.emailaddress"),
    attribute("identity_attributes.created", "date_time", mutability="readOnly"),
    attribute("traits.plan", canonical=("trial", "gold")),
    attribute("traits.interests", multi=True, merge="combine"),
    attribute("traits.badges", multi=True, canonical=("a", "b")),
    attribute("traits.visits", "integer"),
    attribute("traits.spent", "decimal"),
    attribute("traits.newsletter", "boolean"),
    attribute("traits.born", "date"),
    attribute("traits.seen", "epoch"),
    attribute("traits.seen_all", "epoch", multi=True),
    attribute("traits.secret", mutability="writeOnly"),
    attribute("traits.level", mutability="readOnly"),
    attribute("traits.origin", mutability="immutable"),
    attribute("traits.referrer", mutability="writeOnce"),
    attribute("traits.ids", "integer", multi=True, mutability="writeOnce"),
    complex_attribute("traits.address", "city", "zip", "geo"),
    attribute("traits.address.city"),
    attribute("traits.address.zip"),
    complex_attribute("traits.address.geo", "lat", "deep"),
    attribute("traits.address.geo.lat", "decimal"),
    complex_attribute("traits.address.geo.deep", "note"),
    attribute("traits.address.geo.deep.note"),
    complex_attribute("traits.orders", "id", "total", "token", multi=True),
    attribute("traits.orders.id", "integer", mutability="immutable"),
    attribute("traits.orders.total", "decimal"),
    attribute("traits.orders.token", mutability="writeOnly"),
    complex_attribute("traits.account", "number", "iban", "state", "pin"),
    attribute("traits.account.number", mutability="readOnly"),
    attribute("traits.account.iban", mutability="writeOnce"),
    attribute("traits.account.state"),
    attribute("traits.account.pin", mutability="writeOnly"),
    attribute("traits.orphan.leaf"),
    attribute("application_data.score", "integer"),
    attribute("application_data.score", "string", app="crm"),
    complex_attribute("application_data.cart", "items", "coupon", "secret", "first"),
    attribute("application_data.cart.items", multi=True),
    attribute("application_data.cart.coupon"),
    attribute("application_data.cart.secret", mutability="writeOnly"),
    attribute("application_data.cart.first", mutability="writeOnce"),
)


def traits(**values: Any) -> dict[str, Any]:
    return {"traits": values}


def rejection_of(patch: dict[str, Any], record: Record = EMPTY, *, creating: bool = False) -> str:
    with pytest.raises(InvalidValue) as caught:
        apply_patch(SHOP, record, patch, creating=creating, authority="application")
    return str(caught.value)


def problem_of(patch: dict[str, Any], record: Record = EMPTY, *, creating: bool = False) -> str:
    """The reason of the rejection, without the path."""
    return rejection_of(patch, record, creating=creating).partition(": ")[2]


def changes(patch: dict[str, Any], record: Record = EMPTY, **options: Any) -> list[tuple[str, Any]]:
    options = {"creating": False, "authority": "application"} | options
    return [(".".join(change.path), change.value) for change in apply_patch(SHOP, record, patch, **options)]


REJECTIONS: list[tuple[dict[str, Any], str]] = [
    ({"identity_attributes": {"x": 1}}, "identity attribute 'identity_attributes.x' not defined in schema"),
    ({"traits": {"x": 1}}, "trait 'traits.x' not defined in schema"),
    ({"traits": {"x": None}}, "trait 'traits.x' not defined in schema"),
    ({"application_data": {APP: {"x": 1}}}, "application_data 'shop.x' not defined in schema"),
    (
        {"application_data": {"unknown": {"score": 1}}},
        "application_data 'unknown.score' not defined in schema",
    ),
    ({"traits": {"score": 1}}, "trait 'traits.score' not defined in schema"),
    ({"application_data": {APP: {"plan": "gold"}}}, "application_data 'shop.plan' not defined in schema"),
    (
        {"identity_attributes": {"plan": "gold"}},
        "identity attribute 'identity_attributes.plan' not defined in schema",
    ),
    (traits(address={"street": "x"}), "trait 'address.street' not defined in schema"),
    (traits(address={"geo": {"alt": 1}}), "trait 'address.geo.alt' not defined in schema"),
    (traits(orders=[{"id": 1}, {"x": 1}]), "trait 'orders[1].x' not defined in schema"),
    ({"application_data": {APP: {"cart": {"x": 1}}}}, "application_data 'shop.cart.x' not defined in schema"),
    (
        {"traits": {"address.city": "x"}},
        "trait 'address.city': 'traits.address' is complex, send it as an object",
    ),
    (
        {"traits": {"address.geo.lat": 1}},
        "trait 'address.geo.lat': 'traits.address' is complex, send it as an object",
    ),
    (
        {"application_data": {APP: {"cart.coupon": "x"}}},
        "application_data 'shop.cart.coupon': 'application_data.cart' is complex, send it as an object",
    ),
    (traits(visits="5"), "trait 'visits': type mismatch"),
    (traits(visits=True), "trait 'visits': type mismatch"),
    (traits(visits=2**63), "trait 'visits': type mismatch"),
    (traits(spent=float("inf")), "trait 'spent': type mismatch"),
    (traits(born="2026-02-30"), "trait 'born': type mismatch"),
    (traits(interests="chess"), "trait 'interests': type mismatch"),
    (traits(interests=["chess", 5]), "trait 'interests': type mismatch"),
    (traits(interests=["chess", None]), "trait 'interests': type mismatch"),
    (traits(interests=[["chess"]]), "trait 'interests': type mismatch"),
    (traits(plan=["gold"]), "trait 'plan': type mismatch"),
    (traits(address="x"), "trait 'address': type mismatch"),
    (traits(address=[{"city": "x"}]), "trait 'address': type mismatch"),
    (traits(address={"geo": {"lat": "x"}}), "trait 'address.geo.lat': type mismatch"),
    (traits(orders={"id": 1}), "trait 'orders': type mismatch"),
    (traits(orders=[{"id": 1}, 5]), "trait 'orders': type mismatch"),
    (traits(orders=[{"id": 1}, {"total": "x"}]), "trait 'orders[1].total': type mismatch"),
    ({"identity_attributes": {"emailaddress": 5}}, "identity attribute 'emailaddress': type mismatch"),
    ({"application_data": {APP: {"score": "5"}}}, "application_data 'shop.score': type mismatch"),
    ({"application_data": {"crm": {"score": 5}}}, "application_data 'crm.score': type mismatch"),
    (traits(plan="silver"), "trait 'plan': value not in canonical values"),
    (traits(badges=["a", "c"]), "trait 'badges': value not in canonical values"),
    (traits(plan="a\x00b"), "trait 'plan': text must not contain NUL or unpaired surrogates"),
    (traits(level="1"), "trait 'level': field is read-only or computed"),
    (traits(origin="ad"), "trait 'origin': immutable field cannot be updated"),
    (traits(account={"number": "1"}), "trait 'account.number': field is read-only or computed"),
    (
        {"identity_attributes": {"created": "2026-06-05T03:38:04Z"}},
        "identity attribute 'created': field is read-only or computed",
    ),
]


@pytest.mark.parametrize(("patch", "message"), REJECTIONS)
def test_a_rejection_names_the_path_and_the_reason(patch: dict[str, Any], message: str) -> None:
    assert rejection_of(patch) == message


def test_a_rejection_has_label_path_and_problem() -> None:
    with pytest.raises(InvalidValue) as caught:
        apply_patch(SHOP, EMPTY, traits(level="1"), creating=True, authority="application")
    assert (caught.value.label, caught.value.path) == ("trait", "level")
    assert caught.value.problem == "field is read-only or computed"


def test_at_creation_an_application_entry_must_be_an_object() -> None:
    for entry in (5, None, [], "x"):
        patch = {"application_data": {"crm": entry}}
        assert rejection_of(patch, creating=True) == "application_data entry 'crm' must be of object type"
        assert changes(patch) == []


@pytest.mark.parametrize(
    "patch",
    [{}, {"traits": None}, {"traits": 5}, {"application_data": []}, {"user_id": "x"}, {"other": {"a": 1}}],
)
def test_an_unknown_section_is_ignored(patch: dict[str, Any]) -> None:
    assert changes(patch) == []


def test_values_are_stored_in_the_form_of_their_type() -> None:
    patch = traits(
        visits=5.0, spent=7, newsletter=False, born="2026-06-05", seen="12", seen_all=["1", 2, 3.0]
    )
    record = stored(SHOP, patch)
    assert record.values["traits"] == {
        "visits": 5, "spent": 7, "newsletter": False, "born": "2026-06-05", "seen": 12, "seen_all": [1, 2, 3],
    }  # fmt: skip
    assert type(record.values["traits"]["visits"]) is int


def test_each_application_has_its_own_attributes() -> None:
    patch = {"application_data": {APP: {"score": 5}, "crm": {"score": "high"}}}
    assert stored(SHOP, patch).values == patch


def test_a_dotted_name_without_a_complex_attribute_is_one_key() -> None:
    record = stored(SHOP, {"traits": {"orphan.leaf": "x"}})
    assert record.values == {"traits": {"orphan.leaf": "x"}}
    assert (
        rejection_of({"traits": {"orphan": {"leaf": "x"}}}) == "trait 'traits.orphan' not defined in schema"
    )


# Merging (docs/wire/cds.md §5.4)


def test_traits_merge_deeply_and_lists_are_replaced() -> None:
    record = stored(
        SHOP, traits(plan="trial", interests=["chess"], address={"city": "Rome", "geo": {"lat": 1.5}})
    )
    after = patched(
        SHOP, record, traits(interests=["go"], address={"zip": "00100", "geo": {"deep": {"note": "x"}}})
    )
    assert after.values["traits"] == {
        "plan": "trial",
        "interests": ["go"],
        "address": {"city": "Rome", "zip": "00100", "geo": {"lat": 1.5, "deep": {"note": "x"}}},
    }
    assert record.values["traits"]["interests"] == ["chess"]


def test_application_data_replaces_first_level_keys() -> None:
    record = stored(SHOP, {"application_data": {APP: {"score": 1, "cart": {"items": ["a"], "coupon": "X"}}}})
    after = patched(SHOP, record, {"application_data": {APP: {"cart": {"items": ["b"]}}}})
    assert after.values["application_data"] == {APP: {"score": 1, "cart": {"items": ["b"]}}}
    emptied = patched(SHOP, after, {"application_data": {APP: {"cart": {}}}})
    assert emptied.values["application_data"] == {APP: {"score": 1}}


def test_replacing_removes_only_visible_and_mutable_members() -> None:
    cart = {"items": ["a"], "coupon": "X", "secret": "s", "first": "f"}
    record = stored(SHOP, {"application_data": {APP: {"cart": cart}}})
    visible = visible_values(SHOP, record.values)
    assert visible == {"application_data": {APP: {"cart": {"items": ["a"], "coupon": "X", "first": "f"}}}}
    assert changes(visible, record) == []
    after = patched(SHOP, record, {"application_data": {APP: {"cart": {"items": ["b"]}}}})
    assert after.values["application_data"][APP]["cart"] == {"items": ["b"], "secret": "s", "first": "f"}


# null

WRITE_ONCE = "write-once field cannot be changed after being set"


def test_null_removes_a_value_and_leaves_no_empty_object() -> None:
    record = stored(SHOP, traits(plan="trial", address={"city": "Rome", "geo": {"lat": 1.5}}))
    without_city = patched(SHOP, record, traits(address={"city": None}))
    assert without_city.values == traits(plan="trial", address={"geo": {"lat": 1.5}})
    without_lat = patched(SHOP, without_city, traits(address={"geo": {"lat": None}}))
    assert without_lat.values == traits(plan="trial")
    assert patched(SHOP, record, traits(plan=None, address=None)).values == {}
    assert patched(SHOP, record, traits(plan=None, address=None)).provenance == {}


def test_null_for_a_missing_value_is_not_a_change() -> None:
    assert changes(traits(plan=None, level=None, origin=None, referrer=None, address={"city": None})) == []
    assert changes(traits(plan=None), creating=True) == []


def test_null_removes_an_application_value_but_not_its_entry() -> None:
    record = stored(SHOP, {"application_data": {APP: {"score": 1}, "crm": {"score": "x"}}})
    assert changes({"application_data": {APP: None}}, record) == []
    assert patched(SHOP, record, {"application_data": {APP: {"score": None}}}).values == {
        "application_data": {"crm": {"score": "x"}}
    }


def test_null_inside_a_list_element_omits_the_member() -> None:
    assert stored(SHOP, traits(orders=[{"id": 1, "total": None}])).values == traits(orders=[{"id": 1}])


@pytest.mark.parametrize(
    ("stored_values", "patch", "message"),
    [
        (traits(origin="ad"), traits(origin=None), "immutable field cannot be updated"),
        (traits(referrer="x"), traits(referrer=None), WRITE_ONCE),
        (traits(account={"iban": "1", "state": "a"}), traits(account=None), WRITE_ONCE),
        (traits(account={"iban": "1"}), traits(account={"iban": None}), WRITE_ONCE),
    ],
)
def test_null_respects_mutability(stored_values: dict[str, Any], patch: dict[str, Any], message: str) -> None:
    assert problem_of(patch, stored(SHOP, stored_values)) == message


def test_null_cannot_remove_a_read_only_value() -> None:
    record = write_raw({"traits": {"level": "1", "account": {"number": "5", "state": "a"}}})
    for patch in (traits(level=None), traits(account=None), traits(account={"number": None})):
        assert problem_of(patch, record) == "field is read-only or computed"


# Mutability


def write_raw(values: dict[str, Any]) -> Record:
    """A record with these values, whatever the mutability of their attributes."""
    writable = Schema(tuple(structs.replace(one, mutability="readWrite") for one in SHOP.attributes))
    return stored(writable, values)


def test_repeating_a_stored_value_is_not_a_change() -> None:
    values = {
        "identity_attributes": {"created": "2026-06-05T03:38:04Z"},
        "traits": {
            "level": "1", "origin": "ad", "referrer": "x", "ids": [1, 2], "seen": 12, "visits": 1,
            "account": {"number": "5", "iban": "DE", "state": "a"}, "orders": [{"id": 1, "total": 2.0}],
        },
    }  # fmt: skip
    record = write_raw(values)
    assert changes(values, record) == []
    assert changes(traits(seen="12", visits=1.0, ids=[1.0, 2], orders=[{"id": 1, "total": 2}]), record) == []
    assert changes(traits(account={"number": "5"}), record) == []


def test_an_immutable_value_can_be_set_only_at_creation() -> None:
    assert stored(SHOP, traits(origin="ad")).values == traits(origin="ad")
    record = stored(SHOP, traits(origin="ad"))
    assert problem_of(traits(origin="tv"), record) == "immutable field cannot be updated"


def test_a_write_once_value_can_be_set_once() -> None:
    record = patched(SHOP, EMPTY, traits(referrer="", ids=[]))
    written = patched(SHOP, record, traits(referrer="x", ids=[1]))
    assert written.values == traits(referrer="x", ids=[1])
    for patch in (traits(referrer="y"), traits(referrer=""), traits(ids=[1, 2]), traits(ids=[True])):
        assert problem_of(patch, written) == "write-once field cannot be changed after being set"


def test_write_only_values_are_stored_and_never_returned() -> None:
    record = stored(SHOP, traits(secret="s", account={"pin": "1", "state": "a"}))
    assert record.values == traits(secret="s", account={"pin": "1", "state": "a"})
    assert visible_values(SHOP, record.values) == traits(account={"state": "a"})
    assert patched(SHOP, record, traits(secret="t")).values["traits"]["secret"] == "t"


def test_the_identity_server_sets_only_its_read_only_attributes() -> None:
    created = {"identity_attributes": {"created": "2026-06-05T03:38:04Z"}}
    assert changes(created, authority="identity_server") == [
        ("identity_attributes.created", "2026-06-05T03:38:04Z")
    ]
    with pytest.raises(InvalidValue, match="read-only"):
        changes(traits(level="1"), authority="identity_server")


def test_mutability_of_a_complex_attribute_covers_its_members() -> None:
    with_schema = schema(
        complex_attribute("traits.a", "b", "c", mutability="writeOnce"),
        attribute("traits.a.b"),
        attribute("traits.a.c"),
    )
    record = stored(with_schema, traits(a={"b": "1"}))
    assert (
        apply_patch(with_schema, record, traits(a={"b": "1"}), creating=False, authority="application").items
        == ()
    )
    with pytest.raises(InvalidValue, match="write-once"):
        apply_patch(with_schema, record, traits(a={"c": "2"}), creating=False, authority="application")


# Lists of objects


ORDERS = [{"id": 1, "total": 5.0, "token": "t1"}, {"id": 2, "total": 6.0, "token": "t2"}]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([{"id": 1, "total": 5}, {"id": 2, "total": 6}], ORDERS),
        ([{"id": 2, "total": 6}], [ORDERS[1]]),
        ([{"id": 2, "total": 6}, {"id": 1, "total": 5}], [ORDERS[1], ORDERS[0]]),
        ([{"id": 3}, {"id": 1, "total": 5}], [{"id": 3}, ORDERS[0]]),
        ([{"id": 1, "total": 9}, {"id": 2, "total": 6}], [{"id": 1, "total": 9}, ORDERS[1]]),
        ([{"id": 1, "total": 5}, {"id": 2, "total": 6}, {"id": 3}], [*ORDERS, {"id": 3}]),
        ([], []),
    ],
)
def test_an_element_equal_to_a_stored_one_keeps_its_hidden_members(
    sent: list[Any], expected: list[Any]
) -> None:
    record = stored(SHOP, traits(orders=ORDERS))
    assert patched(SHOP, record, traits(orders=sent)).values == traits(orders=expected)


@pytest.mark.parametrize(
    "sent", [[{"id": 7, "total": 5}], [{"total": 5}], [{"id": 1, "total": 5}, {"id": 9}]]
)
def test_members_of_an_element_keep_their_mutability(sent: list[Any]) -> None:
    assert (
        problem_of(traits(orders=sent), stored(SHOP, traits(orders=ORDERS)))
        == "immutable field cannot be updated"
    )


# Schema changes (docs/wire/cds.md §8): only values that the request changes are checked


def test_a_stored_value_that_became_invalid_never_blocks_a_write() -> None:
    record = write_raw(traits(referrer="x", plan="trial"))
    retyped = SHOP.with_([attribute("traits.referrer", "integer", mutability="writeOnce")])
    after = patched(retyped, record, traits(plan="gold", referrer=5))
    assert after.values == traits(referrer=5, plan="gold")


def test_an_object_can_replace_text_and_text_an_object() -> None:
    record = stored(schema(attribute("traits.address")), traits(address="Rome"))
    after = patched(SHOP, record, traits(address={"city": "Rome"}))
    assert after.values == traits(address={"city": "Rome"})
    assert list(after.provenance) == ["traits.address.city"]
    restored = patched(schema(attribute("traits.address")), after, traits(address="Rome"))
    assert (restored.values, list(restored.provenance)) == (traits(address="Rome"), ["traits.address"])


def test_undeclared_members_survive_a_deep_merge() -> None:
    record = stored(SHOP, traits(address={"city": "Rome", "zip": "1"}))
    smaller = SHOP.without({"traits.address.zip"})
    assert patched(smaller, record, traits(address={"city": "Oslo"})).values == traits(
        address={"city": "Oslo", "zip": "1"}
    )


# Size


def test_the_size_of_a_value_is_limited() -> None:
    assert changes(traits(interests=["a"] * ELEMENTS_MAX))
    assert "elements" in rejection_of(traits(interests=["a"] * (ELEMENTS_MAX + 1)))
    assert changes({"identity_attributes": {"emailaddress": "a" * TEXT_LENGTH_MAX}})
    assert "longer" in rejection_of({"identity_attributes": {"emailaddress": "a" * (TEXT_LENGTH_MAX + 1)}})
    assert "longer" in rejection_of(traits(address={"city": "a" * (TEXT_LENGTH_MAX + 1)}))


def test_the_rejection_of_a_huge_key_is_short_and_encodable() -> None:
    for key in ("k" * 100_000, "." * 100_000, "a.b" * 30_000, "\ud800", "\x00"):
        assert len(rejection_of({"traits": {key: 1}}).encode()) < 500


def test_many_unknown_keys_are_rejected() -> None:
    assert "not defined" in rejection_of({"traits": {f"k{number}": 1 for number in range(100_000)}})


# The log


def test_replaying_the_log_ignores_mutability() -> None:
    record = stored(SHOP, traits(origin="ad", referrer="x"))
    patch = traits(origin="tv", referrer="y", level="1", account={"number": "1"})
    after = write(record, apply_patch(SHOP, record, patch, creating=False, authority="log"), source(2))
    assert after.values == patch
    with pytest.raises(InvalidValue):
        apply_patch(SHOP, record, traits(visits="x"), creating=False, authority="log")


# Records


def test_values_have_a_source() -> None:
    record = stored(SHOP, traits(plan="trial", address={"city": "Rome"}), 1)
    after = patched(SHOP, record, traits(plan="gold", interests=["a"]), 2)
    assert after.provenance == {
        "traits.plan": (source(2),),
        "traits.interests": (source(2),),
        "traits.address.city": (source(1),),
    }
    assert record.provenance["traits.plan"] == (source(1),)


def test_a_write_without_changes_returns_the_same_record() -> None:
    record = stored(SHOP, traits(plan="trial"))
    unchanged = apply_patch(SHOP, record, traits(plan="trial"), creating=False, authority="application")
    assert not unchanged
    assert write(record, unchanged, source(9)) is record
