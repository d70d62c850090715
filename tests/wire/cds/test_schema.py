"""The profile schema — reading, defining, changing, deleting attributes (docs/wire/cds.md §7)."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, assert_error_b, draft, fresh

SCOPES = ("identity_attributes", "traits", "application_data")
TYPES = ("string", "integer", "decimal", "boolean", "date", "date_time", "epoch")


def _define_one(
    cds: Cds, name: str, value_type: str = "string", scope: str = "traits", **fields: Any
) -> dict[str, Any]:
    (defined,) = cds.define(scope, draft(name, value_type, **fields))
    return defined


def _put_body(name: str, **fields: Any) -> dict[str, Any]:
    """A body with the fields that PUT requires, and `fields`."""
    return draft(name, mutability="readWrite") | fields


def _entry(attribute: dict[str, Any]) -> dict[str, Any]:
    return {"attribute_id": attribute["attribute_id"], "attribute_name": attribute["attribute_name"]}


def _put(cds: Cds, attribute: dict[str, Any], body: Any, scope: str = "traits") -> Any:
    return cds.put(f"/profile-schema/{scope}/{attribute['attribute_id']}", body)


# -- GET /profile-schema ----------------------------------------------------------------------------


def test_the_whole_schema_has_the_core_attributes_and_three_scopes(cds: Cds) -> None:
    schema = cds.get("/profile-schema").json()
    assert set(schema) >= {"profile_id", "user_id", "meta", *SCOPES}
    assert schema["profile_id"] == {"value_type": "string", "mutability": "immutable"}
    assert schema["user_id"] == {"value_type": "string", "mutability": "writeOnce"}
    assert schema["meta"] == {
        "created_at": {"value_type": "date_time", "mutability": "readOnly"},
        "updated_at": {"value_type": "date_time", "mutability": "readOnly"},
        "location": {"value_type": "string", "mutability": "readOnly"},
    }
    assert isinstance(schema["identity_attributes"], list)
    assert isinstance(schema["traits"], list)
    assert isinstance(schema["application_data"], dict)


def test_the_whole_schema_lists_each_attribute_in_its_scope(cds: Cds) -> None:
    trait = _define_one(cds, f"traits.{fresh()}")
    data = _define_one(
        cds, f"application_data.{fresh()}", scope="application_data", application_identifier=cds.client_id
    )
    schema = cds.get("/profile-schema").json()
    assert trait in schema["traits"]
    assert data in schema["application_data"][cds.client_id]


def test_internal_fields_are_never_sent(cds: Cds) -> None:
    (defined,) = cds.define(
        "traits", draft(f"traits.{fresh()}", org_id="x", scope="traits", scim_dialect="y")
    )
    assert not {"org_id", "scim_dialect", "scope"} & set(defined)
    read = cds.get(f"/profile-schema/traits/{defined['attribute_id']}").json()
    assert not {"org_id", "scim_dialect"} & set(read)
    assert read["scope"] == "traits"
    for attribute in cds.get("/profile-schema/traits").json():
        assert not {"org_id", "scim_dialect", "scope"} & set(attribute)


def test_claims_of_the_directory_are_identity_attributes(cds: Cds) -> None:
    names = {a["attribute_name"] for a in cds.get("/profile-schema/identity_attributes").json()}
    expected = {"username", "emailaddress", "givenname", "lastname", "mobile"}
    assert {f"identity_attributes.{claim}" for claim in expected} <= names


# -- GET /profile-schema/{scope} --------------------------------------------------------------------


def test_an_empty_scope_is_an_empty_array_or_object(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert org.get("/profile-schema/traits").json() == []
    assert org.get("/profile-schema/application_data").json() == {}


def test_application_data_is_listed_by_application(cds: Cds) -> None:
    defined = _define_one(
        cds, f"application_data.{fresh()}", scope="application_data", application_identifier=cds.client_id
    )
    listed = cds.get("/profile-schema/application_data").json()
    assert defined in listed[cds.client_id]
    assert defined["application_identifier"] == cds.client_id


def test_a_scope_is_filtered_by_attribute_name(cds: Cds) -> None:
    word = fresh("filtered")
    for tail in ("first", "second"):
        _define_one(cds, f"traits.{word}_{tail}")
    names = {f"traits.{word}_first", f"traits.{word}_second"}

    def found(condition: str) -> set[str]:
        answer = cds.get("/profile-schema/traits", params={"filter": condition})
        assert answer.status_code == 200, answer.text
        return {a["attribute_name"] for a in answer.json()}

    assert found(f"attribute_name eq traits.{word}_first") == {f"traits.{word}_first"}
    assert found(f"attribute_name sw traits.{word}") == names
    assert found(f"attribute_name co {word}") == names
    assert found(f"attribute_name co {word} and attribute_name co second") == {f"traits.{word}_second"}
    assert found("attribute_name eq unknown") == set()


def test_a_filter_applies_within_the_scope(cds: Cds) -> None:
    word = fresh("both")
    _define_one(cds, f"traits.{word}")
    _define_one(
        cds, f"application_data.{word}", scope="application_data", application_identifier=cds.client_id
    )
    traits = cds.get("/profile-schema/traits", params={"filter": f"attribute_name co {word}"}).json()
    assert [a["attribute_name"] for a in traits] == [f"traits.{word}"]
    data = cds.get("/profile-schema/application_data", params={"filter": f"attribute_name co {word}"}).json()
    assert [a["attribute_name"] for a in data[cds.client_id]] == [f"application_data.{word}"]


def test_application_data_is_filtered_by_application(cds: Cds, regular: Cds) -> None:
    for application in (cds.client_id, regular.client_id):
        _define_one(
            cds, f"application_data.{fresh()}", scope="application_data", application_identifier=application
        )
    found = cds.get(
        "/profile-schema/application_data",
        params={"filter": f"application_identifier eq {regular.client_id}"},
    ).json()
    assert set(found) == {regular.client_id}


@pytest.mark.parametrize(
    "condition",
    ["attribute_name", "attribute_name eq", "value_type eq string", "attribute_name ne x", "nonsense"],
)
def test_an_invalid_schema_filter_is_rejected(cds: Cds, condition: str) -> None:
    assert_error(cds.get("/profile-schema/traits", params={"filter": condition}), 400, "CDS-15102")


# -- POST -------------------------------------------------------------------------------------------


def test_the_example_of_the_contract(new_org: Callable[[], Cds]) -> None:
    body = [
        {
            "attribute_name": "traits.interests",
            "value_type": "string",
            "merge_strategy": "combine",
            "multi_valued": True,
        }
    ]
    answer = new_org().post("/profile-schema/traits", body)
    assert answer.status_code == 201
    (defined,) = answer.json()
    assert uuid.UUID(defined.pop("attribute_id"))
    assert defined == {
        "attribute_name": "traits.interests",
        "display_name": "interests",
        "value_type": "string",
        "merge_strategy": "combine",
        "mutability": "readWrite",
        "multi_valued": True,
    }


def test_attributes_are_returned_in_their_order(cds: Cds) -> None:
    names = [f"traits.{fresh()}" for _ in range(4)]
    defined = cds.define("traits", *(draft(name) for name in names))
    assert [a["attribute_name"] for a in defined] == names
    assert len({a["attribute_id"] for a in defined}) == 4


def test_every_field_is_stored(cds: Cds) -> None:
    body = draft(
        f"traits.{fresh()}",
        display_name="Favourite Colour-1.2_3+",
        mutability="writeOnce",
        multi_valued=True,
        merge_strategy="combine",
        canonical_values=[{"value": "r", "label": "Red"}, {"value": "g", "label": "Green"}],
    )
    (defined,) = cds.define("traits", body)
    assert {key: defined[key] for key in body} == body
    assert cds.get(f"/profile-schema/traits/{defined['attribute_id']}").json() == {
        **defined,
        "scope": "traits",
    }


def test_a_given_id_is_used(cds: Cds) -> None:
    attribute_id = str(uuid.uuid4())
    defined = _define_one(cds, f"traits.{fresh()}", attribute_id=attribute_id)
    assert defined["attribute_id"] == attribute_id


def test_false_and_empty_fields_are_omitted(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}", multi_valued=False)
    assert "multi_valued" not in defined
    assert "application_identifier" not in defined


def test_identity_attributes_cannot_be_defined(cds: Cds) -> None:
    answer = cds.post("/profile-schema/identity_attributes", [draft("identity_attributes.x")])
    assert_error_b(answer, 400, "CDS-13006")


def test_invalid_json_is_reported_before_the_scope(cds: Cds) -> None:
    for scope in ("identity_attributes", "nonsense"):
        description = assert_error_b(cds.raw("POST", f"/profile-schema/{scope}", "{x"), 400, "CDS-13001")
        assert description == "Malformed JSON in profile schema attributes request body."


def test_an_application_is_valid_for_application_data_only(cds: Cds) -> None:
    answer = cds.post(
        "/profile-schema/traits", [draft(f"traits.{fresh()}", application_identifier=cds.client_id)]
    )
    assert_error_b(answer, 400, "CDS-13001")


def test_an_empty_array_is_rejected(cds: Cds) -> None:
    assert_error_b(cds.post("/profile-schema/traits", []), 400, "CDS-13001")


def test_a_name_in_use_is_a_conflict(cds: Cds) -> None:
    name = f"traits.{fresh()}"
    _define_one(cds, name)
    assert_error(cds.post("/profile-schema/traits", [draft(name, "integer")]), 409, "CDS-13003")


def test_a_name_twice_in_one_request_is_a_conflict(cds: Cds) -> None:
    name = f"traits.{fresh()}"
    assert_error(cds.post("/profile-schema/traits", [draft(name), draft(name)]), 409, "CDS-13003")
    assert cds.get("/profile-schema/traits", params={"filter": f"attribute_name eq {name}"}).json() == []


def test_application_data_names_are_unique_per_application(cds: Cds, regular: Cds) -> None:
    name = f"application_data.{fresh()}"
    _define_one(cds, name, scope="application_data", application_identifier=cds.client_id)
    _define_one(cds, name, scope="application_data", application_identifier=regular.client_id)
    duplicate = draft(name, application_identifier=regular.client_id)
    description = assert_error(cds.post("/profile-schema/application_data", [duplicate]), 409, "CDS-13003")
    assert "already exists for application" in description


def test_one_invalid_attribute_rejects_them_all(cds: Cds) -> None:
    valid_name = f"traits.{fresh()}"
    assert_error(
        cds.post("/profile-schema/traits", [draft(valid_name), draft(f"traits.{fresh()}", "colour")]),
        400,
        "CDS-13002",
    )
    assert (
        cds.get("/profile-schema/traits", params={"filter": f"attribute_name eq {valid_name}"}).json() == []
    )


# -- definition rules -------------------------------------------------------------------------------


def _assert_rejected(cds: Cds, body: dict[str, Any], code: str = "CDS-13002", scope: str = "traits") -> str:
    description = assert_error(cds.post(f"/profile-schema/{scope}", [body]), 400, code)
    stored = cds.get(f"/profile-schema/{scope}").json()
    names = [
        a["attribute_name"]
        for a in (stored if isinstance(stored, list) else itertools.chain(*stored.values()))
    ]
    assert body.get("attribute_name") not in names
    return description


@pytest.mark.parametrize("parts", [2, 3, 4, 5])
def test_a_name_has_two_to_five_parts(cds: Cds, parts: int) -> None:
    name = ".".join(["traits", *(fresh("part") for _ in range(parts - 1))])
    assert _define_one(cds, name)["attribute_name"] == name


@pytest.mark.parametrize("parts", [6, 9])
def test_a_name_with_more_than_five_parts_is_rejected(cds: Cds, parts: int) -> None:
    name = ".".join(["traits", *(fresh("part") for _ in range(parts - 1))])
    assert "Attribute exceeds the maximum depth of 4." in _assert_rejected(cds, draft(name))


@pytest.mark.parametrize("name", ["traits", "", "traits.", ".x", "traits..x", "traits.x."])
def test_an_incomplete_name_is_rejected(cds: Cds, name: str) -> None:
    _assert_rejected(cds, draft(name))


def test_a_name_begins_with_a_scope(cds: Cds) -> None:
    assert "Invalid scope" in _assert_rejected(cds, draft("nonsense.x"))


@pytest.mark.parametrize("other_scope", ["identity_attributes", "application_data"])
def test_a_name_begins_with_the_scope_of_the_url(cds: Cds, other_scope: str) -> None:
    assert "does not match the scope" in _assert_rejected(cds, draft(f"{other_scope}.x"))


@pytest.mark.parametrize("value_type", TYPES)
def test_every_scalar_type_can_be_defined(cds: Cds, value_type: str) -> None:
    assert _define_one(cds, f"traits.{fresh()}", value_type)["value_type"] == value_type


@pytest.mark.parametrize("value_type", ["", "text", "String", "int", "object", "datetime"])
def test_an_unknown_type_is_rejected(cds: Cds, value_type: str) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", value_type))


@pytest.mark.parametrize("missing", ["attribute_name", "value_type", "merge_strategy"])
def test_a_missing_required_field_is_rejected(cds: Cds, missing: str) -> None:
    body = draft(f"traits.{fresh()}")
    del body[missing]
    assert_error(cds.post("/profile-schema/traits", [body]), 400, "CDS-13002")


@pytest.mark.parametrize("mutability", ["readWrite", "readOnly", "writeOnly", "immutable", "writeOnce"])
def test_every_mutability_can_be_defined(cds: Cds, mutability: str) -> None:
    assert _define_one(cds, f"traits.{fresh()}", mutability=mutability)["mutability"] == mutability


def test_an_unknown_mutability_is_rejected(cds: Cds) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", mutability="sometimes"))


@pytest.mark.parametrize("strategy", ["average", "", "Combine", "append"])
def test_an_unknown_merge_strategy_is_rejected(cds: Cds, strategy: str) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", merge_strategy=strategy))


@pytest.mark.parametrize("value_type", TYPES)
def test_combine_needs_a_multi_valued_attribute(cds: Cds, value_type: str) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", value_type, merge_strategy="combine"))
    _assert_rejected(
        cds, draft(f"traits.{fresh()}", value_type, merge_strategy="combine", multi_valued=False)
    )
    defined = _define_one(cds, f"traits.{fresh()}", value_type, merge_strategy="combine", multi_valued=True)
    assert defined["merge_strategy"] == "combine"


@pytest.mark.parametrize("display_name", ["A", "a" * 50, "Plan 2.0 - new_one+", "0"])
def test_a_valid_display_name_is_stored(cds: Cds, display_name: str) -> None:
    assert _define_one(cds, f"traits.{fresh()}", display_name=display_name)["display_name"] == display_name


@pytest.mark.parametrize("display_name", ["a" * 51, "plan!", "<b>", "Größe", "a\tb", "a/b", "a,b"])
def test_an_invalid_display_name_is_rejected(cds: Cds, display_name: str) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", display_name=display_name))


def test_the_default_display_name_is_the_last_part(cds: Cds) -> None:
    last = fresh("last")
    assert _define_one(cds, f"traits.{fresh()}.{last}", display_name="")["display_name"] == last


@pytest.mark.parametrize("value_type", [t for t in TYPES if t != "string"])
def test_canonical_values_are_valid_for_strings_only(cds: Cds, value_type: str) -> None:
    _assert_rejected(
        cds, draft(f"traits.{fresh()}", value_type, canonical_values=[{"value": "1", "label": "One"}])
    )


def test_application_data_needs_an_existing_application(cds: Cds) -> None:
    name = f"application_data.{fresh()}"
    _assert_rejected(cds, draft(name), "CDS-13005", "application_data")
    _assert_rejected(cds, draft(name, application_identifier=""), "CDS-13005", "application_data")
    _assert_rejected(cds, draft(name, application_identifier="unknown"), "CDS-13005", "application_data")


def test_an_application_of_another_organisation_is_unknown(cds: Cds, other: Cds) -> None:
    body = draft(f"application_data.{fresh()}", application_identifier=other.client_id)
    _assert_rejected(cds, body, "CDS-13005", "application_data")


# -- sub-attributes ---------------------------------------------------------------------------------


def test_a_complex_attribute_lists_its_children(cds: Cds) -> None:
    key = fresh("address")
    child = _define_one(cds, f"traits.{key}.city")
    defined = _define_one(cds, f"traits.{key}", "complex", sub_attributes=[_entry(child)])
    assert defined["sub_attributes"] == [_entry(child)]


@pytest.mark.parametrize("fields", [{}, {"sub_attributes": []}])
def test_a_complex_attribute_without_children_is_rejected(cds: Cds, fields: dict[str, Any]) -> None:
    _assert_rejected(cds, draft(f"traits.{fresh()}", "complex", **fields), "CDS-13001")


def test_a_scalar_attribute_with_children_is_rejected(cds: Cds) -> None:
    key = fresh("address")
    child = _define_one(cds, f"traits.{key}.city")
    _assert_rejected(cds, draft(f"traits.{key}", "string", sub_attributes=[_entry(child)]))


def test_an_unknown_child_is_rejected(cds: Cds) -> None:
    key = fresh("address")
    child = {"attribute_id": UNKNOWN_ID, "attribute_name": f"traits.{key}.city"}
    _assert_rejected(cds, draft(f"traits.{key}", "complex", sub_attributes=[child]))


def test_a_child_listed_under_another_name_is_rejected(cds: Cds) -> None:
    key = fresh("address")
    child = _define_one(cds, f"traits.{key}.city")
    listed = {"attribute_id": child["attribute_id"], "attribute_name": f"traits.{key}.town"}
    _assert_rejected(cds, draft(f"traits.{key}", "complex", sub_attributes=[listed]))


def test_a_child_of_another_application_is_rejected(cds: Cds, regular: Cds) -> None:
    key = fresh("cart")
    child = _define_one(
        cds,
        f"application_data.{key}.item",
        scope="application_data",
        application_identifier=regular.client_id,
    )
    body = draft(
        f"application_data.{key}",
        "complex",
        sub_attributes=[_entry(child)],
        application_identifier=cds.client_id,
    )
    _assert_rejected(cds, body, scope="application_data")


@pytest.mark.parametrize("tail", ["", "x.y"])
def test_a_child_must_be_one_level_deeper(cds: Cds, tail: str) -> None:
    key = fresh("address")
    name = f"traits.{key}.{tail}" if tail else f"traits.{fresh('elsewhere')}"
    child = _define_one(cds, name)
    description = _assert_rejected(cds, draft(f"traits.{key}", "complex", sub_attributes=[_entry(child)]))
    assert "exactly one level deeper" in description


def test_complex_attributes_nest_up_to_five_parts(cds: Cds) -> None:
    names = ["traits", *(fresh("level") for _ in range(4))]
    child = _define_one(cds, ".".join(names))
    for length in (4, 3, 2):
        child = _define_one(cds, ".".join(names[:length]), "complex", sub_attributes=[_entry(child)])
    value: Any = "deep"
    for name in reversed(names[1:]):
        value = {name: value}
    defined = cds.create({"traits": value})
    assert defined["traits"] == value


# -- GET by id --------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_any_valid_scope_finds_an_attribute_by_id(cds: Cds, scope: str) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    answer = cds.get(f"/profile-schema/{scope}/{defined['attribute_id']}")
    assert answer.status_code == 200
    assert answer.json() == {**defined, "scope": "traits"}


@pytest.mark.parametrize("attribute_id", [UNKNOWN_ID, "nonsense"])
def test_an_undefined_attribute_is_not_found(cds: Cds, attribute_id: str) -> None:
    assert_error(cds.get(f"/profile-schema/traits/{attribute_id}"), 404, "CDS-13004")


# -- PUT --------------------------------------------------------------------------------------------


def test_put_changes_an_attribute_and_returns_it(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    answer = _put(
        cds, defined, _put_body(defined["attribute_name"], display_name="Renamed", multi_valued=True)
    )
    assert answer.status_code == 200
    assert answer.json()["display_name"] == "Renamed"
    assert answer.json()["multi_valued"] is True
    assert answer.json() == cds.get(f"/profile-schema/traits/{defined['attribute_id']}").json()
    assert answer.json()["scope"] == "traits"


def test_put_keeps_omitted_fields(cds: Cds) -> None:
    canonical = [{"value": "a", "label": "A"}]
    defined = _define_one(
        cds, f"traits.{fresh()}", display_name="Kept", multi_valued=True, canonical_values=canonical
    )
    answer = _put(cds, defined, _put_body(defined["attribute_name"], mutability="writeOnce")).json()
    assert answer["mutability"] == "writeOnce"
    assert answer["display_name"] == "Kept"
    assert answer["multi_valued"] is True
    assert answer["canonical_values"] == canonical


def test_put_accepts_the_id_and_the_scope(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    body = _put_body(defined["attribute_name"], attribute_id=defined["attribute_id"], scope="traits")
    assert _put(cds, defined, body).status_code == 200


@pytest.mark.parametrize("changed", [{"attribute_id": UNKNOWN_ID}, {"scope": "application_data"}])
def test_put_rejects_another_id_or_scope(cds: Cds, changed: dict[str, str]) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    assert_error(_put(cds, defined, _put_body(defined["attribute_name"], **changed)), 400, "CDS-13002")


def test_put_accepts_the_answer_of_get(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}", multi_valued=True, merge_strategy="combine")
    read = cds.get(f"/profile-schema/traits/{defined['attribute_id']}").json()
    answer = _put(cds, defined, read)
    assert answer.status_code == 200
    assert answer.json() == read


@pytest.mark.parametrize("missing", ["attribute_name", "value_type", "merge_strategy", "mutability"])
@pytest.mark.parametrize("kind", ["absent", "empty"])
def test_put_names_the_required_field_that_is_missing(cds: Cds, missing: str, kind: str) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    body = _put_body(defined["attribute_name"])
    if kind == "absent":
        del body[missing]
    else:
        body[missing] = ""
    assert_error(
        _put(cds, defined, body), 400, "CDS-13002", f"Required field '{missing}' is missing or empty"
    )


def test_put_of_an_identity_attribute_is_rejected(cds: Cds) -> None:
    attributes = cds.get("/profile-schema/identity_attributes").json()
    body = _put_body("identity_attributes.givenname")
    answer = _put(cds, attributes[0], body, "identity_attributes")
    assert_error_b(answer, 400, "CDS-13006")


@pytest.mark.parametrize("body", [{}, {"multi_valued": "yes"}, {"multi_valued": 1}])
def test_put_of_an_empty_body_or_an_invalid_multi_valued_is_rejected(cds: Cds, body: dict[str, Any]) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    answer = _put(cds, defined, {**_put_body(defined["attribute_name"]), **body} if body else {})
    assert_error(answer, 400, "CDS-13002")


def test_put_of_an_unknown_id_is_not_found(cds: Cds) -> None:
    answer = cds.put(f"/profile-schema/traits/{UNKNOWN_ID}", _put_body(f"traits.{fresh()}"))
    assert_error(answer, 404, "CDS-13004")


@pytest.mark.parametrize(
    "change",
    [
        {"value_type": "text"},
        {"mutability": "sometimes"},
        {"merge_strategy": "average"},
        {"merge_strategy": "combine"},
        {"display_name": "plan!"},
        {"value_type": "integer", "canonical_values": [{"value": "1", "label": "One"}]},
        {"attribute_name": "nonsense.x"},
        {"attribute_name": "application_data.x"},
        {"attribute_name": "traits.a.b.c.d.e"},
        {"colour": "red"},
    ],
    ids=str,
)
def test_put_applies_the_rules_of_post(cds: Cds, change: dict[str, Any]) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    assert_error(_put(cds, defined, _put_body(defined["attribute_name"], **change)), 400, "CDS-13002")
    assert cds.get(f"/profile-schema/traits/{defined['attribute_id']}").json() == {
        **defined,
        "scope": "traits",
    }


def test_put_can_rename_an_attribute_but_not_to_a_name_in_use(cds: Cds) -> None:
    first, second = (_define_one(cds, f"traits.{fresh()}") for _ in range(2))
    assert_error(_put(cds, first, _put_body(second["attribute_name"])), 409, "CDS-13003")
    new = f"traits.{fresh('renamed')}"
    assert _put(cds, first, _put_body(new)).json()["attribute_name"] == new
    assert cds.get(f"/profile-schema/traits/{first['attribute_id']}").json()["attribute_name"] == new


# -- DELETE -----------------------------------------------------------------------------------------


def test_a_deleted_attribute_is_not_found_and_its_name_is_free(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    path = f"/profile-schema/traits/{defined['attribute_id']}"
    answer = cds.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_error(cds.get(path), 404, "CDS-13004")
    assert cds.delete(path).status_code == 204
    assert _define_one(cds, defined["attribute_name"])["attribute_id"] != defined["attribute_id"]


def test_a_child_cannot_be_deleted_before_its_parent(cds: Cds) -> None:
    key = fresh("address")
    child = _define_one(cds, f"traits.{key}.city")
    parent = _define_one(cds, f"traits.{key}", "complex", sub_attributes=[_entry(child)])
    path = f"/profile-schema/traits/{child['attribute_id']}"
    assert_error(cds.delete(path), 400, "CDS-15104")
    assert cds.get(path).status_code == 200
    assert cds.delete(f"/profile-schema/traits/{parent['attribute_id']}").status_code == 204
    assert cds.delete(path).status_code == 204


def test_an_identity_attribute_cannot_be_deleted(cds: Cds) -> None:
    attribute = cds.get("/profile-schema/identity_attributes").json()[0]
    answer = cds.delete(f"/profile-schema/identity_attributes/{attribute['attribute_id']}")
    assert_error_b(answer, 405, "CDS-13002")
    assert cds.get(f"/profile-schema/identity_attributes/{attribute['attribute_id']}").status_code == 200


def test_the_identity_scope_cannot_be_deleted(cds: Cds) -> None:
    assert_error_b(cds.delete("/profile-schema/identity_attributes"), 405, "CDS-13002")


def test_deleting_a_scope_keeps_the_others(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    org.address(city="string")
    org.application_attribute()
    assert org.delete("/profile-schema/traits").status_code == 204
    assert org.get("/profile-schema/traits").json() == []
    assert org.get("/profile-schema/application_data").json() != {}
    assert org.delete("/profile-schema/application_data").status_code == 204
    assert org.get("/profile-schema/application_data").json() == {}


def test_deleting_the_schema_keeps_identity_attributes(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    org.trait()
    org.application_attribute()
    before = org.get("/profile-schema/identity_attributes").json()
    assert org.delete("/profile-schema").status_code == 204
    schema = org.get("/profile-schema").json()
    assert schema["traits"] == []
    assert schema["application_data"] == {}
    assert schema["identity_attributes"] == before
    assert before


def test_values_of_a_deleted_attribute_are_hidden_until_it_is_defined_again(cds: Cds) -> None:
    key, other_key = cds.trait(), cds.trait()
    (attribute,) = cds.get(
        "/profile-schema/traits", params={"filter": f"attribute_name eq traits.{key}"}
    ).json()
    profile_id = cds.create({"traits": {key: "x", other_key: "y"}})["profile_id"]
    cds.delete(f"/profile-schema/traits/{attribute['attribute_id']}")
    assert cds.read(profile_id)["traits"] == {other_key: "y"}
    found = cds.get("/profiles", params={"filter": f"traits.{key} eq x"})
    assert found.status_code == 200
    assert found.json()["profiles"] == []
    assert cds.write(profile_id, {"traits": {other_key: "z"}})["traits"] == {other_key: "z"}
    cds.trait(key=key)
    assert cds.read(profile_id)["traits"] == {key: "x", other_key: "z"}


def test_values_that_became_invalid_are_hidden_and_do_not_block_updates(cds: Cds) -> None:
    defined = _define_one(cds, f"traits.{fresh()}")
    key, other_key = defined["attribute_name"].split(".")[1], cds.trait()
    profile_id = cds.create({"traits": {key: "words", other_key: "y"}})["profile_id"]
    assert _put(cds, defined, _put_body(defined["attribute_name"], value_type="integer")).status_code == 200
    assert cds.read(profile_id)["traits"] == {other_key: "y"}
    assert cds.write(profile_id, {"traits": {other_key: "z"}})["traits"] == {other_key: "z"}
    assert cds.write(profile_id, {"traits": {key: 7}})["traits"] == {key: 7, other_key: "z"}
