"""Normalisation of identities, invalid and blocked values (docs/wire/interactions.md §9.1)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import PRIMARY, Dataset, new_device, warnings_of
from wire.interactions.conftest import NewDataset

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

BLOCKED = (
    "null", "NULL", "(null)", "undefined", "Undefined", "nan", "NaN", "none", "None", "n/a", "N/A",
    "anonymous", "Anonymous", "[object object]", "[object Object]",
    "-1", "0", "000", "-", "---", "0-0", "00000000-0000-0000",
    "guest", "Unknown", "nil", "[]", "{}", "true", "False", "email", "id", "anon",
    "{{user.id}}", "u-{{id}}", "%%ID%%", "${id}", "{user_id}", "<user id>", "[[id]]", "*|ID|*",
    "123456", "1234567890", "0123456789", "987654321", "111111", "xxxxxx", "nu\u200bll", "\ufeff{{id}}",
)  # fmt: skip


def _identities(**identities: Any) -> dict[str, Any]:
    return {"anonymousId": new_device(), "identities": identities}


def _resolved(web: Dataset, **identities: Any) -> str:
    return str(web.send({"user": _identities(**identities)})["resolvedUserId"])


def _is_anonymous(web: Dataset, user: dict[str, Any]) -> bool:
    answer = web.send({"user": user})
    assert (answer["resolvedUserId"] == user["anonymousId"]) == ("persistedUserId" not in answer)
    return bool(answer["resolvedUserId"] == user["anonymousId"])


# -- equal values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("around", [" {} ", "\t{}\n", "\r\n{}", "\u00a0{}\u2003"], ids=repr)
def test_white_space_at_both_ends_is_ignored(web: Dataset, around: str) -> None:
    value = fresh("w")
    assert _resolved(web, webId=around.format(value)) == _resolved(web, webId=value)
    assert web.values(web.resolve(webId=value) or "")["webId"] == value


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Ann", "aNN"),
        ("STRASSE", "straße"),
        ("ÉLAN", "élan"),
        ("e\u0301lan", "\u00e9lan"),
        ("Ǆ", "ǆ"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
    ids=str,
)
def test_case_and_composition_are_ignored(web: Dataset, one: str, two: str) -> None:
    end = fresh("x")
    assert _resolved(web, webId=f"{one}{end}") == _resolved(web, webId=f"{two}{end}")


def test_a_case_sensitive_type_distinguishes_case(web: Dataset) -> None:
    value = fresh("Gold")
    for name in ("loyaltyId", "sfcrmContactId"):
        assert _resolved(web, **{name: value}) != _resolved(web, **{name: value.lower()})
        assert _resolved(web, **{name: f" {value} "}) == _resolved(web, **{name: value})


def test_a_case_sensitive_type_ignores_composition(web: Dataset) -> None:
    end = fresh("x")
    assert _resolved(web, loyaltyId=f"e\u0301{end}") == _resolved(web, loyaltyId=f"\u00e9{end}")


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("emailAddress", "a.nn@{}.example", "ann@{}.example"),
        ("emailAddress", "ann+news@{}.example", "ann@{}.example"),
        ("webId", "a b {}", "ab {}"),
        ("webId", "a  b {}", "a b {}"),
        ("webId", "+49 30 {}", "+4930 {}"),
        ("webId", "{}-1", "{}1"),
    ],
)
def test_there_is_no_other_normalisation(web: Dataset, name: str, one: str, two: str) -> None:
    end = fresh("x")
    assert _resolved(web, **{name: one.format(end)}) != _resolved(web, **{name: two.format(end)})


def test_the_last_spelling_is_shown(web: Dataset) -> None:
    email = fresh("Ann") + "@Acme.example"
    user = _resolved(web, emailAddress=email)
    assert web.values(user)["emailAddress"] == email
    _resolved(web, emailAddress=f" {email.upper()} ")
    assert web.values(user)["emailAddress"] == email.upper()


def test_each_type_is_a_namespace(web: Dataset) -> None:
    value = fresh("x")
    assert _resolved(web, webId=value) != _resolved(web, customerId=value)


# -- other JSON values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["id", "identities", "attributes"])
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["{}"], "{}"),
        ([["{}"]], None),
        (7001, "7001"),
        (-7.25, "-7.25"),
        ([7002], "7002"),
    ],
    ids=str,
)
def test_numbers_and_arrays_of_one_element_are_values(
    web: Dataset, field: str, value: Any, text: str | None
) -> None:
    word = fresh("w")
    if value == ["{}"]:
        value, text = [word], word
    user: dict[str, Any] = {"anonymousId": new_device()}
    user.update({"id": value} if field == "id" else {field: {"webId": value}})
    answer = web.send({"user": user})
    if text is None:
        assert answer["resolvedUserId"] == user["anonymousId"]
    else:
        assert answer["resolvedUserId"] == web.resolve(webId=text)


@pytest.mark.parametrize("field", ["id", "identities", "attributes"])
@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_its_json_text_which_is_blocked(web: Dataset, field: str, value: bool) -> None:
    user: dict[str, Any] = {"anonymousId": new_device()}
    user.update({"id": value} if field == "id" else {field: {"sfmcContactKey": value, "webId": value}})
    assert _is_anonymous(web, user)
    assert "value_blocked" in web.warnings(user)


@pytest.mark.parametrize("field", ["id", "identities", "attributes"])
@pytest.mark.parametrize("value", [[], ["a", "b"], {"a": "b"}, [{"a": 1}], [[]]], ids=str)
def test_other_values_are_ignored_with_a_warning(web: Dataset, field: str, value: Any) -> None:
    user: dict[str, Any] = {"anonymousId": new_device()}
    user.update({"id": value} if field == "id" else {field: {"webId": value}})
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] == user["anonymousId"]
    assert "value_type" in warnings_of(answer)


@pytest.mark.parametrize("field", ["id", "identities", "attributes"])
@pytest.mark.parametrize("value", ["", " ", "\t\n", None, "\u00a0"], ids=repr)
def test_a_blank_value_is_ignored(web: Dataset, field: str, value: Any) -> None:
    user: dict[str, Any] = {"anonymousId": new_device()}
    user.update({"id": value} if field == "id" else {field: {"webId": value}})
    assert _is_anonymous(web, user)


# -- 256 bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("letter", ["x", "é", "☕", "😀"])
def test_a_value_has_at_most_256_bytes(web: Dataset, letter: str) -> None:
    start = fresh("w").ljust(16, "_")
    fits = start + letter * ((256 - len(start)) // len(letter.encode()))
    assert len(fits.encode()) == 256
    assert PRIMARY.fullmatch(_resolved(web, webId=fits))
    assert PRIMARY.fullmatch(_resolved(web, webId=f"  {fits}  "))
    assert _is_anonymous(web, _identities(webId=fits + "x"))
    assert "value_too_long" in web.warnings(_identities(webId=fits + "x"))


# -- blocked values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["id", "identities", "attributes"])
@pytest.mark.parametrize("value", BLOCKED)
def test_blocked_values_leave_the_event_anonymous(web: Dataset, field: str, value: str) -> None:
    user: dict[str, Any] = {"anonymousId": new_device()}
    user.update({"id": f" {value}"} if field == "id" else {field: {"webId": value}})
    assert _is_anonymous(web, user)


def test_a_blocked_value_has_a_warning_and_other_identities_apply(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    answer = web.send(
        {"user": {"id": "undefined", "identities": {"emailAddress": email}}, "explain": True},
        endpoint="authevent",
    )
    assert answer["resolvedUserId"] == web.resolve(emailAddress=email)
    assert {"value_blocked", "user_id_unusable"} <= warnings_of(answer)


@pytest.mark.parametrize("value", ["12345", "guest", "GUEST", " Guest "])
def test_values_blocked_by_a_type_are_ignored(web: Dataset, value: str) -> None:
    assert _is_anonymous(web, _identities(memberNumber=value))


def test_a_value_blocked_by_one_type_is_valid_for_another(web: Dataset) -> None:
    assert PRIMARY.fullmatch(_resolved(web, webId="12345"))


@pytest.mark.parametrize(
    "value",
    [
        *(
            "1",
            "01",
            "0a",
            "nulls",
            "none of it",
            "-12",
            "anonymous1",
            "0.0",
            "42",
            "12345",
            "11111",
            "234567",
        ),
        *("guests", "true1", "{3f2504e0-4f89-11d3-9a0c-0305e82c3301}", "a{b", "50%"),
    ],
)
def test_values_similar_to_blocked_ones_identify(web: Dataset, value: str) -> None:
    assert PRIMARY.fullmatch(_resolved(web, sfmcContactKey=value))


@pytest.mark.parametrize("invisible", ["\u200b", "\ufeff", "\u00ad", "\u2060", "\u202e", "\ufe0f"], ids=ascii)
def test_invisible_characters_are_removed_from_identities(web: Dataset, invisible: str) -> None:
    value = fresh("w")
    user = _resolved(web, webId=value)
    assert _resolved(web, webId=f"{invisible}{value[0]}{invisible}{value[1:]}") == user
    assert web.resolve(webId=f"{value}{invisible}") == user


def test_an_emoji_sequence_identifies(web: Dataset) -> None:
    family = fresh("\U0001f468\u200d\U0001f469\u200d\U0001f467")
    assert _resolved(web, webId=family) == _resolved(web, webId=family.replace("\u200d", ""))
    assert PRIMARY.fullmatch(web.resolve(webId=family) or "")


# -- precedence of fields -----------------------------------------------------------------------------------


def test_user_id_takes_precedence_over_identities_and_attributes(web: Dataset) -> None:
    one, two, three = fresh("w"), fresh("w"), fresh("w")
    user = {"id": one, "identities": {"webId": two}, "attributes": {"webId": three}}
    assert "identity_conflict" in web.warnings(user)
    assert [web.resolve(webId=identity) is not None for identity in (one, two, three)] == [True, False, False]
    four, five = fresh("w"), fresh("w")
    assert "identity_conflict" in web.warnings({"identities": {"webId": four}, "attributes": {"webId": five}})
    assert [web.resolve(webId=identity) is not None for identity in (four, five)] == [True, False]


def test_equal_values_are_not_a_conflict(web: Dataset) -> None:
    one = fresh("w")
    user = {"id": one, "identities": {"webId": one.upper()}, "attributes": {"webId": f" {one}"}}
    assert "identity_conflict" not in web.warnings(user)


@pytest.mark.parametrize("blank", [None, "", "undefined", {"a": 1}], ids=str)
def test_an_empty_field_does_not_take_precedence(web: Dataset, blank: Any) -> None:
    one = fresh("w")
    answer = web.send({"user": {"id": blank, "identities": {"webId": one}, "attributes": {"webId": blank}}})
    assert answer["resolvedUserId"] == web.resolve(webId=one)


def test_names_match_exactly_then_without_case_with_a_warning(web: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    for field in ("identities", "attributes"):
        assert "name_case" in web.warnings({field: {"emailaddress": email}})
        assert "name_case" not in web.warnings({field: {"emailAddress": email}})
    assert PRIMARY.fullmatch(web.resolve(emailAddress=email) or "")


def test_an_unknown_name_among_the_identities_is_ignored_with_a_warning(web: Dataset) -> None:
    user = {"anonymousId": new_device(), "identities": {"shoeSize": "44"}}
    answer = web.send({"user": user, "explain": True}, endpoint="authevent")
    assert answer["resolvedUserId"] == user["anonymousId"]
    assert "identity_unknown" in warnings_of(answer)


def test_a_profile_id_matches_nothing(web: Dataset) -> None:
    web_id = fresh("w")
    primary_id = web.identify(webId=web_id)
    for field in ("identities", "attributes"):
        user = {"anonymousId": new_device(), field: {"profileId": primary_id}}
        answer = web.send({"user": user, "explain": True}, endpoint="authevent")
        assert answer["resolvedUserId"] == user["anonymousId"]
        assert "profile_id_ignored" in warnings_of(answer)
    assert web.values(primary_id) == {"webId": web_id}


def test_a_primary_id_as_user_id_does_not_match_its_user(web: Dataset) -> None:
    primary_id = web.identify(webId=fresh("w"))
    other = web.send({"user": {"anonymousId": new_device(), "id": primary_id}})["resolvedUserId"]
    assert other != primary_id
    assert web.values(other) == {"webId": primary_id}


# -- Not Unique ---------------------------------------------------------------------------------------------


def test_a_not_unique_value_is_written_and_never_matched(web: Dataset) -> None:
    phone = "+49 30 901820"
    assert _is_anonymous(web, _identities(phone=phone))
    first, second = (_resolved(web, webId=fresh("w"), phone=phone) for _ in range(2))
    assert first != second
    assert [web.values(user)["phone"] for user in (first, second)] == [phone, phone]


def test_a_not_unique_value_of_an_anonymous_visitor_is_kept(web: Dataset) -> None:
    page = web.page()
    page.send(attributes={"phone": "1234567"})
    assert web.values(page.device) == {"phone": "1234567"}
    assert web.values(page.send(id=fresh("w")))["phone"] == "1234567"


# -- user attributes ----------------------------------------------------------------------------------------


def test_user_attributes_are_stored_unchanged(default: Dataset) -> None:
    page = default.page()
    attributes = {"favColour": "red", "visits": 3, "score": 1.5, "vip": True}
    page.send(attributes=attributes)
    assert default.values(page.device) == attributes
    user = page.send(attributes={"favColour": "blue", "visits": 4}, id=(web_id := fresh("w")))
    assert default.values(user) == {**attributes, "favColour": "blue", "visits": 4, "webId": web_id}
    page.send(attributes={"favColour": None, "vip": None})
    assert default.values(user)["favColour"] == "blue"
    assert default.values(user)["vip"] is True


@pytest.mark.parametrize(
    ("name", "value", "stored"),
    [
        ("visits", "3", 3),
        ("visits", 3.0, 3),
        ("score", "1.5", 1.5),
        ("score", 2, 2),
        ("vip", "true", True),
        ("favColour", 5, "5"),
    ],
    ids=str,
)
def test_a_wrong_type_is_converted_if_nothing_is_lost(
    default: Dataset, name: str, value: Any, stored: Any
) -> None:
    device = new_device()
    default.send({"user": {"anonymousId": device, "attributes": {name: value}}})
    found = default.values(device)[name]
    assert (found, type(found) is bool) == (stored, type(stored) is bool)


@pytest.mark.parametrize(
    ("name", "value"),
    [("visits", "three"), ("visits", 1.5), ("vip", "perhaps"), ("score", "x"), ("favColour", {"a": 1})],
    ids=str,
)
def test_a_wrong_type_that_does_not_convert_is_ignored_with_a_warning(
    default: Dataset, name: str, value: Any
) -> None:
    device = new_device()
    warnings = default.warnings({"anonymousId": device, "attributes": {name: value, "webId": fresh("w")}})
    assert "value_type" in warnings
    assert name not in default.values(device)


def test_names_without_a_defined_attribute_are_ignored_with_a_warning(default: Dataset) -> None:
    device = new_device()
    warnings = default.warnings(
        {"anonymousId": device, "attributes": {"starSign": "leo", "favColour": "red"}}
    )
    assert "attribute_unknown" in warnings
    assert default.values(device) == {"favColour": "red"}


@pytest.fixture(scope="module")
def dated(new_dataset: NewDataset) -> Dataset:
    return new_dataset(user_attributes={"born": {"type": "Date"}})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1_577_836_800_000, "2020-01-01T00:00:00Z"),
        (1_577_836_800_250, "2020-01-01T00:00:00.250Z"),
        (0, "1970-01-01T00:00:00Z"),
        (-86_400_000, "1969-12-31T00:00:00Z"),
        (1_577_836_800_000.0, "2020-01-01T00:00:00Z"),
        ("2020-01-01", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T12:30:00.5+02:00", "2020-01-01T10:30:00.5Z"),
    ],
    ids=str,
)
def test_a_date_is_accepted_as_a_day_or_an_instant(dated: Dataset, value: Any, shown: str) -> None:
    device = new_device()
    warnings = dated.warnings({"anonymousId": device, "attributes": {"born": value}})
    assert warnings == set()
    stored = dated.values(device)["born"]
    assert RFC_3339.fullmatch(stored), stored
    assert datetime.fromisoformat(stored) == datetime.fromisoformat(shown)


@pytest.mark.parametrize(
    "value",
    ["tomorrow", "2020-13-01", "2020-02-30", "1577836800000x", True, 1e300, -1e300, {"a": 1}],
    ids=str,
)
def test_an_invalid_date_is_ignored_with_a_warning(dated: Dataset, value: Any) -> None:
    device = new_device()
    warnings = dated.warnings({"anonymousId": device, "attributes": {"born": value, "webId": fresh("w")}})
    assert "value_type" in warnings
    assert "born" not in dated.values(device)
