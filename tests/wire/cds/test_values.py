"""Valid and invalid values, by type, mutability and scope (docs/wire/cds.md §8)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import Cds, assert_error, draft, fresh

VALID: dict[str, list[Any]] = {
    "string": ["x", "", " ", "0", "žluť 🐎", "a" * 2000],
    "integer": [0, -1, 7, 2**53, -(2**53)],
    "decimal": [0, 1, -2.5, 1e-7, 3.14],
    "boolean": [True, False],
    "date": ["2026-06-05", "2024-02-29", "0001-01-01", "9999-12-31"],
    "date_time": [
        "2026-06-05T03:38:04Z",
        "2026-06-05T03:38:04.834627Z",
        "2026-06-05T03:38:04+02:00",
        "2026-06-05T23:59:59-11:30",
    ],
    "epoch": [0, 1780630684000, -1],
}

INVALID: dict[str, list[Any]] = {
    "string": [1, 1.5, True, ["x"], {"a": "x"}],
    "integer": [1.5, "7", True, [7], {"a": 7}, "", "seven"],
    "decimal": ["1.5", True, [1.5], {"a": 1}, ""],
    "boolean": ["true", 1, 0, "", [True], {"a": True}],
    "date": [
        "2026-13-01",
        "2026-02-30",
        "June 5",
        "",
        20260605,
        True,
        "2026-06-05T03:38:04Z",
        "05/06/2026",
        "0000-01-01",
    ],
    "date_time": [
        "2026-06-05T25:00:00Z",
        "2026-06-31T00:00:00Z",
        "yesterday",
        "",
        1780630684000,
        True,
        "03:38:04Z",
    ],
    "epoch": ["12a", "1.5", "", 1.5, True, "2026-06-05", [1], {"a": 1}, "0x10", " 12"],
}


@pytest.fixture(scope="module")
def keys(cds: Cds) -> dict[str, str]:
    """One single-valued trait per type."""
    return {value_type: cds.trait(value_type) for value_type in VALID}


@pytest.fixture(scope="module")
def multi_valued(cds: Cds) -> dict[str, str]:
    """One multi-valued trait per type."""
    return {value_type: cds.trait(value_type, multi_valued=True) for value_type in VALID}


@pytest.mark.parametrize(
    ("value_type", "value"), [(t, v) for t, values in VALID.items() for v in values], ids=repr
)
def test_a_valid_value_is_stored_unchanged(
    cds: Cds, keys: dict[str, str], value_type: str, value: Any
) -> None:
    key = keys[value_type]
    created = cds.create({"traits": {key: value}})
    assert created["traits"] == {key: value}
    assert type(created["traits"][key]) in (type(value), float)
    assert cds.read(created["profile_id"])["traits"] == {key: value}


@pytest.mark.parametrize(
    ("value_type", "value"), [(t, v) for t, values in INVALID.items() for v in values], ids=repr
)
def test_an_invalid_value_is_rejected(cds: Cds, keys: dict[str, str], value_type: str, value: Any) -> None:
    key, description = keys[value_type], f"trait '{keys[value_type]}': type mismatch"
    assert_error(cds.post("/profiles", {"traits": {key: value}}), 400, "CDS-11011", description)


@pytest.mark.parametrize(("value_type", "value"), [(t, values[0]) for t, values in INVALID.items()], ids=repr)
def test_an_invalid_value_is_rejected_on_update(
    cds: Cds, keys: dict[str, str], value_type: str, value: Any
) -> None:
    key, profile_id = keys[value_type], cds.create()["profile_id"]
    answer = cds.patch(f"/profiles/{profile_id}", {"traits": {key: value}})
    assert_error(answer, 400, "CDS-11011", f"trait '{key}': type mismatch")


def test_a_string_of_digits_is_stored_as_an_epoch(cds: Cds, keys: dict[str, str]) -> None:
    created = cds.create({"traits": {keys["epoch"]: "1780630684000"}})
    assert created["traits"] == {keys["epoch"]: 1780630684000}
    assert cds.read(created["profile_id"])["traits"] == {keys["epoch"]: 1780630684000}


@pytest.mark.parametrize("value_type", VALID)
def test_a_multi_valued_attribute_accepts_an_array(
    cds: Cds, multi_valued: dict[str, str], value_type: str
) -> None:
    key, values = multi_valued[value_type], VALID[value_type]
    assert cds.create({"traits": {key: values}})["traits"] == {key: values}


@pytest.mark.parametrize("value_type", VALID)
def test_a_multi_valued_attribute_rejects_a_scalar(
    cds: Cds, multi_valued: dict[str, str], value_type: str
) -> None:
    key = multi_valued[value_type]
    answer = cds.post("/profiles", {"traits": {key: VALID[value_type][0]}})
    assert_error(answer, 400, "CDS-11011", f"trait '{key}': type mismatch")


@pytest.mark.parametrize("value_type", VALID)
def test_an_array_with_one_invalid_element_is_rejected(
    cds: Cds, multi_valued: dict[str, str], value_type: str
) -> None:
    key = multi_valued[value_type]
    for invalid in (INVALID[value_type][0], None, [VALID[value_type][0]]):
        description = assert_error(
            cds.post("/profiles", {"traits": {key: [VALID[value_type][0], invalid]}}), 400, "CDS-11011"
        )
        assert description.startswith(f"trait '{key}")
        assert description.endswith("': type mismatch")


def test_strings_of_digits_in_an_array_are_stored_as_epochs(cds: Cds, multi_valued: dict[str, str]) -> None:
    assert cds.create({"traits": {multi_valued["epoch"]: ["5", 6]}})["traits"] == {
        multi_valued["epoch"]: [5, 6]
    }


# -- not in the schema ------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["create", "update"])
def test_an_undefined_attribute_is_named_in_the_error(cds: Cds, verb: str) -> None:
    key = fresh("undefined")

    def send(body: dict[str, Any]) -> Any:
        if verb == "create":
            return cds.post("/profiles", body)
        return cds.patch(f"/profiles/{cds.create()['profile_id']}", body)

    description = f"identity attribute 'identity_attributes.{key}' not defined in schema"
    assert_error(send({"identity_attributes": {key: "x"}}), 400, "CDS-11011", description)
    assert_error(
        send({"traits": {key: "x"}}), 400, "CDS-11011", f"trait 'traits.{key}' not defined in schema"
    )
    app = cds.client_id
    description = f"application_data '{app}.{key}' not defined in schema"
    assert_error(send({"application_data": {app: {key: "x"}}}), 400, "CDS-11011", description)


def test_a_value_in_the_wrong_scope_is_rejected(cds: Cds) -> None:
    trait, data, app = cds.trait(), cds.application_attribute(), cds.client_id
    description = f"identity attribute 'identity_attributes.{trait}' not defined in schema"
    assert_error(cds.post("/profiles", {"identity_attributes": {trait: "x"}}), 400, "CDS-11011", description)
    description = f"application_data '{app}.{trait}' not defined in schema"
    assert_error(
        cds.post("/profiles", {"application_data": {app: {trait: "x"}}}), 400, "CDS-11011", description
    )
    assert_error(
        cds.post("/profiles", {"traits": {data: "x"}}),
        400,
        "CDS-11011",
        f"trait 'traits.{data}' not defined in schema",
    )
    assert_error(
        cds.post("/profiles", {"traits": {"givenname": "x"}}),
        400,
        "CDS-11011",
        "trait 'traits.givenname' not defined in schema",
    )


def test_an_attribute_of_one_application_is_not_defined_for_another(cds: Cds, regular: Cds) -> None:
    key = cds.application_attribute()
    answer = cds.post("/profiles", {"application_data": {regular.client_id: {key: "x"}}})
    assert_error(
        answer, 400, "CDS-11011", f"application_data '{regular.client_id}.{key}' not defined in schema"
    )


def test_a_value_error_in_application_data_names_the_application(cds: Cds) -> None:
    key, app = cds.application_attribute("integer"), cds.client_id
    answer = cds.post("/profiles", {"application_data": {app: {key: "x"}}})
    assert_error(answer, 400, "CDS-11011", f"application_data '{app}.{key}': type mismatch")


def test_a_value_error_in_identity_attributes_names_them(cds: Cds) -> None:
    answer = cds.post("/profiles", {"identity_attributes": {"givenname": 7}})
    assert_error(answer, 400, "CDS-11011", "identity attribute 'givenname': type mismatch")


# -- complex values ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(cds: Cds) -> str:
    return cds.address(city="string", floor="integer")


def test_a_complex_value_is_an_object(cds: Cds, address: str) -> None:
    value = {"city": "London", "floor": 3}
    assert cds.create({"traits": {address: value}})["traits"] == {address: value}


@pytest.mark.parametrize("value", ["x", 7, True, ["x"], [{"city": "x"}]], ids=repr)
def test_a_complex_value_that_is_not_an_object_is_rejected(cds: Cds, address: str, value: Any) -> None:
    answer = cds.post("/profiles", {"traits": {address: value}})
    assert_error(answer, 400, "CDS-11011", f"trait '{address}': type mismatch")


def test_an_invalid_child_is_named_by_its_path(cds: Cds, address: str) -> None:
    answer = cds.post("/profiles", {"traits": {address: {"floor": "three"}}})
    assert_error(answer, 400, "CDS-11011", f"trait '{address}.floor': type mismatch")


def test_an_undeclared_child_is_named_by_its_path(cds: Cds, address: str) -> None:
    answer = cds.post("/profiles", {"traits": {address: {"city": "x", "zip": "1"}}})
    assert_error(answer, 400, "CDS-11011", f"trait '{address}.zip' not defined in schema")


def test_a_child_that_is_defined_but_not_listed_is_undeclared(cds: Cds) -> None:
    key = cds.address(city="string")
    cds.define("traits", draft(f"traits.{key}.zip"))
    answer = cds.post("/profiles", {"traits": {key: {"zip": "1"}}})
    assert_error(answer, 400, "CDS-11011", f"trait '{key}.zip' not defined in schema")


def test_a_flattened_key_is_rejected(cds: Cds, address: str) -> None:
    assert_error(cds.post("/profiles", {"traits": {f"{address}.city": "x"}}), 400, "CDS-11011")
    profile_id = cds.create()["profile_id"]
    assert_error(cds.patch(f"/profiles/{profile_id}", {"traits": {f"{address}.city": "x"}}), 400, "CDS-11011")


def test_an_invalid_element_of_a_complex_array_is_named_by_its_index(cds: Cds) -> None:
    key = fresh("stays")
    child = cds.define("traits", draft(f"traits.{key}.nights", "integer"))[0]
    entries = [{name: child[name] for name in ("attribute_id", "attribute_name")}]
    cds.define("traits", draft(f"traits.{key}", "complex", multi_valued=True, sub_attributes=entries))
    value = [{"nights": 1}, {"nights": 2}]
    assert cds.create({"traits": {key: value}})["traits"] == {key: value}
    answer = cds.post("/profiles", {"traits": {key: [{"nights": 1}, {"nights": "two"}]}})
    assert_error(answer, 400, "CDS-11011", f"trait '{key}[1].nights': type mismatch")
    answer = cds.post("/profiles", {"traits": {key: [{"days": 1}]}})
    assert_error(answer, 400, "CDS-11011", f"trait '{key}[0].days' not defined in schema")


# -- canonical values -------------------------------------------------------------------------------

COLOURS = [{"value": "red", "label": "Red"}, {"value": "green", "label": "Green"}]


def test_only_canonical_values_are_accepted(cds: Cds) -> None:
    key = cds.trait(canonical_values=COLOURS)
    assert cds.create({"traits": {key: "red"}})["traits"] == {key: "red"}
    for value in ("blue", "Red", "RED", ""):
        answer = cds.post("/profiles", {"traits": {key: value}})
        assert_error(answer, 400, "CDS-11011", f"trait '{key}': value not in canonical values")


def test_every_element_must_be_a_canonical_value(cds: Cds) -> None:
    key = cds.trait(canonical_values=COLOURS, multi_valued=True)
    assert cds.create({"traits": {key: ["red", "green"]}})["traits"] == {key: ["red", "green"]}
    description = assert_error(cds.post("/profiles", {"traits": {key: ["red", "blue"]}}), 400, "CDS-11011")
    assert description.startswith(f"trait '{key}")
    assert description.endswith("value not in canonical values")


# -- mutability -------------------------------------------------------------------------------------


def test_applications_cannot_write_a_read_only_value(cds: Cds) -> None:
    key = cds.trait(mutability="readOnly")
    description = assert_error(cds.post("/profiles", {"traits": {key: "x"}}), 400, "CDS-11011")
    assert "field is read-only or computed" in description
    profile_id = cds.create()["profile_id"]
    description = assert_error(cds.patch(f"/profiles/{profile_id}", {"traits": {key: "x"}}), 400, "CDS-11011")
    assert "field is read-only or computed" in description


def test_an_immutable_value_can_be_set_at_creation_only(cds: Cds) -> None:
    key = cds.trait(mutability="immutable")
    profile_id = cds.create({"traits": {key: "x"}})["profile_id"]
    for value in ("y", None):
        description = assert_error(
            cds.patch(f"/profiles/{profile_id}", {"traits": {key: value}}), 400, "CDS-11011"
        )
        assert "immutable field cannot be updated" in description
    assert cds.read(profile_id)["traits"] == {key: "x"}
    empty = cds.create()["profile_id"]
    description = assert_error(cds.patch(f"/profiles/{empty}", {"traits": {key: "x"}}), 400, "CDS-11011")
    assert "immutable field cannot be updated" in description


def test_a_write_once_value_can_be_set_once(cds: Cds) -> None:
    key = cds.trait(mutability="writeOnce")
    profile_id = cds.create()["profile_id"]
    assert cds.write(profile_id, {"traits": {key: "x"}})["traits"] == {key: "x"}
    for value in ("y", None, ""):
        description = assert_error(
            cds.patch(f"/profiles/{profile_id}", {"traits": {key: value}}), 400, "CDS-11011"
        )
        assert "write-once field cannot be changed after being set" in description
    assert cds.read(profile_id)["traits"] == {key: "x"}


@pytest.mark.parametrize("mutability", ["immutable", "writeOnce", "readWrite"])
def test_repeating_a_stored_value_is_not_a_change(cds: Cds, mutability: str) -> None:
    key = cds.trait("string", mutability=mutability, multi_valued=True)
    profile_id = cds.create({"traits": {key: ["x", "y"]}})["profile_id"]
    assert cds.write(profile_id, {"traits": {key: ["x", "y"]}})["traits"] == {key: ["x", "y"]}


def test_the_mutability_of_a_child_applies(cds: Cds) -> None:
    key = fresh("contract")
    parts = cds.define(
        "traits", draft(f"traits.{key}.number", mutability="writeOnce"), draft(f"traits.{key}.note")
    )
    entries = [{name: a[name] for name in ("attribute_id", "attribute_name")} for a in parts]
    cds.define("traits", draft(f"traits.{key}", "complex", sub_attributes=entries))
    profile_id = cds.create({"traits": {key: {"number": "1"}}})["profile_id"]
    written = cds.write(profile_id, {"traits": {key: {"number": "1", "note": "n"}}})
    assert written["traits"] == {key: {"number": "1", "note": "n"}}
    answer = cds.patch(f"/profiles/{profile_id}", {"traits": {key: {"number": "2"}}})
    assert "write-once field cannot be changed after being set" in assert_error(answer, 400, "CDS-11011")


def test_a_write_only_child_is_never_returned(cds: Cds) -> None:
    key = fresh("login")
    parts = cds.define(
        "traits", draft(f"traits.{key}.pin", mutability="writeOnly"), draft(f"traits.{key}.name")
    )
    entries = [{name: a[name] for name in ("attribute_id", "attribute_name")} for a in parts]
    cds.define("traits", draft(f"traits.{key}", "complex", sub_attributes=entries))
    created = cds.create({"traits": {key: {"pin": "1234", "name": "ann"}}})
    assert created["traits"] == {key: {"name": "ann"}}
