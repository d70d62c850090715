"""Both namespaces of an event decode to one form; fields have types (docs/wire/interactions.md §5)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneself.api.interactions.decode.encodings import InvalidEvent, decode_json
from oneself.api.interactions.decode.event import (
    ATTRIBUTES_MAX,
    CONSENTS_MAX,
    EPOCH_MS_MAX,
    EVENT,
    IDENTITIES_MAX,
    LINES_MAX,
    PROFILE_OBJECT_TYPES_MAX,
    PROFILE_OBJECTS_PER_TYPE_MAX,
    Check,
    Consent,
    Event,
    Path,
    decode_event,
)

EVENT_ID = "0123456789abcdef0123456789abcdef"
DEVICE = "0123456789abcdef"
TIME_MS = 1_760_000_000_000

SHARED: dict[str, Any] = {
    "account": {"id": "A1", "domain": "acme.example", "encryptedId": "secret", "attributes": {"tier": 1}},
    "consents": [{"purpose": "Tracking", "provider": "OneTrust", "status": "Opt In"}],
    "campaignStats": [{"experienceId": "E1", "stat": "Click", "control": False, "catalog": {"P": ["1"]}}],
    "source": {
        "channel": "Web", "application": "shop", "pageType": "product", "url": "https://a.example/",
        "urlReferrer": "https://b.example/", "locale": "en_GB", "userAgent": "Mozilla",
        "clientIp": "192.0.2.1", "contentZones": ["home_hero"], "configVersion": "3", "beaconVersion": 16,
        "time": TIME_MS,
    },
    "_toolsEventLinkId": "x",
}  # fmt: skip
RELATED = {"Category": ["shoes"]}
INTERACTIONS: dict[str, Any] = {
    **SHARED,
    "eventId": EVENT_ID,
    "interaction": {
        "name": "Purchase",
        "catalogObject": {"type": "Product", "id": "P1", "attributes": {}, "relatedCatalogObjects": RELATED},
        "lineItem": {"catalogObjectType": "Product", "catalogObjectId": "P1", "quantity": 1, "price": 9.5,
                     "currency": "EUR", "attributes": {}},
        "lineItems": [{"catalogObjectType": "Product", "catalogObjectId": "P1"}],
        "order": {"id": "O1", "totalValue": 9.5, "currency": "EUR", "lineItems": [{"quantity": 2}]},
    },
    "user": {
        "id": "abc123", "anonymousId": DEVICE, "encryptedId": "token", "anonymousProfileTracker": "c2b7",
        "attributes": {"favColour": "red"}, "identities": {"emailAddress": "ann@acme.example"},
        "profileObjects": {"Lease": [{"id": "L1", "attributes": {}, "relatedCatalogObjects": RELATED}]},
    },
    "source": {**SHARED["source"], "operatingSystem": "Linux", "device": "phone", "surveyId": "S1",
               "surveyStartTime": TIME_MS},
    "flags": {"noCampaigns": True, "nonInteractive": True},
    "pageView": True,
    "explain": True,
    "performance": {"sdkLoadTimeMs": 1.5},
    "debug": {"testMessages": "true"},
}  # fmt: skip
EVERGAGE: dict[str, Any] = {
    "eventId": EVENT_ID,
    **SHARED,
    "action": "Purchase",
    "itemAction": "Purchase",
    "user": {
        "id": "abc123", "anonId": DEVICE, "encryptedId": "token", "anonymousProfileTracker": "c2b7",
        "attributes": {"favColour": "red"},
    },
    "flags": {"noCampaigns": True, "doNotTrack": False, "pageView": True, "nonInteractive": True},
    "catalog": {"Product": {"_id": "P1", "name": "Red shoes"}},
    "cart": {"singleLine": {"Product": {"_id": "P1", "price": 9.5, "quantity": 1}},
             "complete": {"Product": [{"_id": "P1"}]}},
    "order": {"Product": {"orderId": "O1", "totalValue": 9.5, "currency": "EUR", "lineItems": [{}]}},
    "performance": {"sdkLoadTime": 1},
    "debug": {"explanations": True, "testMessages": "E1,E2"},
}  # fmt: skip

# One value of every JSON type; containers are empty, so that no inner field can be invalid.
VALUES: tuple[Any, ...] = ("word", 1, 1.5, True, {}, [])


def fields(check: Check, path: Path = ()) -> Iterator[tuple[Path, Check]]:
    """Every path of the field table; `Any` stands for a name that the client chooses."""
    yield path, check
    for name, inner in (check.fields or {}).items():
        yield from fields(inner, (*path, name))
    if check.entry is not None:
        yield from fields(check.entry, (*path, 0 if list in check.types else "Any"))


def paths_in(value: Any, check: Check, path: Path = ()) -> Iterator[Path]:
    """The paths of the field table that an example contains."""
    yield path
    for step, inner in (
        (enumerate(value) if isinstance(value, list) else value.items()) if check.entry else ()
    ):
        yield from paths_in(inner, check.entry or EVENT, (*path, 0 if isinstance(step, int) else "Any"))
    for name, field_check in (check.fields or {}).items():
        if name in value:
            yield from paths_in(value[name], field_check, (*path, name))


def document_with(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def dotted(path: Path) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


TABLE = dict(fields(EVENT))
WRONG = [(path, value) for path, check in TABLE.items() for value in VALUES if type(value) not in check.types]


def description_of(document: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        decode_event(document)
    return caught.value.sentence


def without_body(event: Event, **changes: Any) -> Event:
    return msgspec.structs.replace(event, body={}, **changes)


def test_every_field_of_an_event_is_decoded() -> None:
    assert without_body(decode_event(INTERACTIONS)) == Event(
        name="Purchase",
        channel="Web",
        event_id=EVENT_ID,
        anonymous_id=DEVICE,
        anonymous_id_invalid=False,
        user_id="abc123",
        attributes={"favColour": "red"},
        identities={"emailAddress": "ann@acme.example"},
        token="token",
        tracker="c2b7",
        occurred_at=TIME_MS * 1000,
        is_interactive=False,
        do_not_track=False,
        explains=True,
        consents=(Consent("Tracking", "OneTrust", "Opt In"),),
        profile_objects={"Lease": [{"id": "L1", "attributes": {}, "relatedCatalogObjects": RELATED}]},
        body={},
        warnings=(),
    )


def test_both_namespaces_decode_to_the_same_event() -> None:
    """Only identities by name and profile objects have no field in the Evergage namespace."""
    interactions = decode_event(INTERACTIONS)
    assert without_body(decode_event(EVERGAGE)) == without_body(
        interactions, identities={}, profile_objects={}
    )


def test_an_empty_event_has_defaults() -> None:
    assert decode_event({}) == Event(
        name=None,
        channel="Web",
        event_id=None,
        anonymous_id=None,
        anonymous_id_invalid=False,
        user_id=None,
        attributes={},
        identities={},
        token=None,
        tracker=None,
        occurred_at=None,
        is_interactive=True,
        do_not_track=False,
        explains=False,
        consents=(),
        profile_objects={},
        body={},
        warnings=(),
    )


EMAIL = {"emailAddress": "ann@acme.example"}


@pytest.mark.parametrize(
    ("user", "user_id", "attributes", "identities"),
    [
        ({"anonymousId": DEVICE, "id": "abc123"}, "abc123", {}, {}),
        ({"anonymousId": DEVICE, "identities": {"webId": "abc123"}}, None, {}, {"webId": "abc123"}),
        ({"anonymousId": DEVICE, "attributes": {"webId": "abc123"}}, None, {"webId": "abc123"}, {}),
        ({"anonId": DEVICE, "id": "abc123"}, "abc123", {}, {}),
        ({"anonId": DEVICE, "attributes": {"webId": "abc123"}}, None, {"webId": "abc123"}, {}),
        ({"anonymousId": DEVICE, "identities": EMAIL}, None, {}, EMAIL),
        ({"anonymousId": DEVICE, "attributes": EMAIL}, None, EMAIL, {}),
        ({"anonId": DEVICE, "attributes": EMAIL}, None, EMAIL, {}),
        (
            {"anonymousId": DEVICE, "identities": {"webId": "abc123", **EMAIL}},
            None, {}, {"webId": "abc123", **EMAIL},
        ),
        ({"anonymousId": DEVICE, "id": "abc123", "attributes": EMAIL}, "abc123", EMAIL, {}),
        ({"anonId": DEVICE, "id": "abc123", "attributes": EMAIL}, "abc123", EMAIL, {}),
    ],
)  # fmt: skip
def test_the_eleven_spellings_of_a_user(
    user: dict[str, Any], user_id: str | None, attributes: dict[str, Any], identities: dict[str, Any]
) -> None:
    event = decode_event({"user": user})
    assert event.anonymous_id == DEVICE
    assert (event.user_id, event.attributes, event.identities) == (user_id, attributes, identities)
    assert event.body == {"user": user}


def test_the_examples_name_every_field_of_the_table() -> None:
    """Otherwise the table has a field that the wire lacks. Lines and orders appear in full only once."""
    named = {*paths_in(INTERACTIONS, EVENT), *paths_in(EVERGAGE, EVENT)}
    unnamed = {
        path for path in set(TABLE) - named if not {"cart", "order", "lineItem", "lineItems"} & {*path}
    }
    assert not unnamed


@pytest.mark.parametrize(
    ("path", "value"), WRONG, ids=lambda part: dotted(part) if type(part) is tuple else repr(part)
)
def test_a_value_of_the_wrong_type_is_rejected(path: Path, value: Any) -> None:
    expected = f"{dotted(path) or 'The event'} must be {TABLE[path].words}."
    assert description_of(document_with(path, value)) == expected


@pytest.mark.parametrize(
    "path", [path for path in TABLE if path and path[:-1] != ("consents", 0)], ids=dotted
)
def test_a_null_field_is_treated_as_absent(path: Path) -> None:
    assert without_body(decode_event(document_with(path, None))).warnings == ()


def test_the_description_names_the_invalid_field() -> None:
    assert description_of({"interaction": {"name": 1}}) == "interaction.name must be a string."
    assert description_of({"cart": {"complete": {"P": [None, {"price": "9"}]}}}) == (
        "cart.complete.P[1].price must be a number."
    )
    assert (
        description_of({"source": {"configVersion": []}})
        == "source.configVersion must be a string or a number."
    )
    assert len(description_of({"catalog": {"P" * 10_000: 1}})) < 120


def test_unknown_fields_are_stored_and_ignored() -> None:
    document = {"nonsense": [{}], "user": {"name": 5}, "interaction": {"catalogObject": {"colour": []}}}
    assert decode_event(document).body == document


@pytest.mark.parametrize(
    ("document", "name"),
    [
        ({"interaction": {"name": "a"}}, "a"), ({"action": "a"}, "a"), ({"action": ""}, None),
        ({"interaction": {"name": ""}, "action": "a"}, "a"),
        ({"interaction": {"name": None}, "action": "a"}, "a"),
        ({"interaction": None, "action": "a"}, "a"), ({"itemAction": "View Item"}, None),
    ],
)  # fmt: skip
def test_an_empty_name_is_treated_as_absent(document: dict[str, Any], name: str | None) -> None:
    assert decode_event(document).name == name


@pytest.mark.parametrize(
    ("source", "channel"),
    [
        ({}, "Web"), ({"channel": None}, "Web"), ({"channel": ""}, "Web"), (None, "Web"),
        ({"channel": "web"}, "web"), ({"channel": "Server"}, "Server"),
        ({"channel": "Mobile App"}, "Mobile App"), ({"channel": " "}, " "),
    ],
)  # fmt: skip
def test_the_default_channel_is_web(source: Any, channel: str) -> None:
    assert decode_event({"source": source}).channel == channel


@pytest.mark.parametrize("spelling", ["anonymousId", "anonId"])
@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (DEVICE, True), (DEVICE.upper(), True), ("a", True), ("-", True), ("_-_", True), ("a" * 64, True),
        ("a" * 23, True), ("a" * 25, True), ("g" * 24, True), ("0" * 24 + "-", True),
        ("a" * 65, False), ("a" * 24, False), ("A" * 24, False), ("8675309abacab5551212acdc", False),
        ("a b", False), (" a", False), ("a\n", False), ("é", False), ("١", False), ("a.b", False),
        (0, False), (1, False), (1.5, False), (False, False), (True, False), ([], False), ({}, False),
        (["a"], False), ({"a": 1}, False),
    ],
)  # fmt: skip
def test_an_anonymous_id_has_a_format(spelling: str, value: Any, is_valid: bool) -> None:
    event = decode_event({"user": {spelling: value}})
    assert event.anonymous_id == (value if is_valid else None)
    assert event.anonymous_id_invalid is not is_valid


@pytest.mark.parametrize("user", [{}, None, {"anonymousId": None}, {"anonymousId": ""}, {"anonId": ""}])
def test_a_missing_anonymous_id_is_not_an_invalid_one(user: Any) -> None:
    event = decode_event({"user": user})
    assert (event.anonymous_id, event.anonymous_id_invalid) == (None, False)


@pytest.mark.parametrize("value", ["abc", "", 7, 1.5, False, ["abc"], {"a": 1}, []])
def test_identity_values_of_any_type_are_decoded(value: Any) -> None:
    event = decode_event({"user": {"id": value, "attributes": {"a": value}, "identities": {"b": value}}})
    assert (event.user_id, event.attributes, event.identities) == (value, {"a": value}, {"b": value})


def test_an_empty_token_is_absent_and_an_empty_tracker_is_not() -> None:
    assert [decode_event({"user": {"encryptedId": token}}).token for token in ("t", "", None)] == [
        "t",
        None,
        None,
    ]
    trackers = [
        decode_event({"user": {"anonymousProfileTracker": tracker}}).tracker for tracker in ("t", "", None)
    ]
    assert trackers == ["t", "", None]


def test_the_body_omits_only_tokens() -> None:
    before = json.dumps(INTERACTIONS)
    body = decode_event(INTERACTIONS).body
    assert json.dumps(INTERACTIONS) == before
    expected = json.loads(before)
    del expected["user"]["encryptedId"], expected["_toolsEventLinkId"]
    assert json.dumps(body) == json.dumps(expected)  # in the same order


@pytest.mark.parametrize("token", ["", None, "secret"])
def test_the_body_of_an_event_with_only_a_token_is_an_empty_user(token: str | None) -> None:
    document = {"user": {"encryptedId": token}}
    assert decode_event(document).body == {"user": {}}


@pytest.mark.parametrize(
    ("time", "occurred_at"),
    [
        (None, None), (0, 0), (TIME_MS, TIME_MS * 1000), (float(TIME_MS), TIME_MS * 1000),
        (TIME_MS + 0.5, TIME_MS * 1000 + 500), (1.7600000000004e12, TIME_MS * 1000 + 400),
    ],
)  # fmt: skip
def test_times_are_decoded_to_microseconds(time: float | None, occurred_at: int | None) -> None:
    event = decode_event({"source": {"time": time}})
    assert event.occurred_at == occurred_at
    assert event.occurred_at is None or type(event.occurred_at) is int


@pytest.mark.parametrize("time", [EPOCH_MS_MAX, EPOCH_MS_MAX + 1, TIME_MS * 1000, 2**63 - 1, 1e308])
def test_times_after_the_year_9999_are_limited_to_it(time: float) -> None:
    occurred_at = decode_event({"source": {"time": time}}).occurred_at
    assert occurred_at is not None
    assert datetime.fromtimestamp(occurred_at // 1_000_000, UTC).year == 9999


@pytest.mark.parametrize("time", [-1, -0.5, -1e308])
def test_times_before_1970_are_rejected(time: float) -> None:
    assert description_of({"source": {"time": time}}).startswith("source.time must be in epoch milliseconds")


def test_flags_of_both_namespaces_are_decoded() -> None:
    assert decode_event({"flags": {"doNotTrack": True}}).do_not_track
    assert not decode_event({"flags": {"nonInteractive": True}}).is_interactive
    assert decode_event({"flags": {"nonInteractive": False}}).is_interactive
    assert decode_event({"explain": True}).explains
    assert decode_event({"debug": {"explanations": True}}).explains


ITEM = {"interaction": {"catalogObject": {"type": "Product", "id": "P1"}}}


@pytest.mark.parametrize(
    ("document", "field", "value"),
    [
        ({"interaction": {"name": "a"}, "action": "b"}, "name", "a"),
        ({"user": {"anonymousId": "a", "anonId": "b"}}, "anonymous_id", "a"),
        ({"user": {"anonymousId": 5, "anonId": "b"}}, "anonymous_id_invalid", True),
        ({"pageView": False, "flags": {"pageView": True}}, "name", None),
        ({"explain": False, "debug": {"explanations": True}}, "explains", False),
        ({**ITEM, "catalog": {"Product": {"_id": "P2"}}}, "name", None),
        ({**ITEM, "catalog": {"Article": {"_id": "P1"}}}, "name", None),
    ],
)
def test_conflicting_namespaces_cause_a_warning(document: dict[str, Any], field: str, value: Any) -> None:
    event = decode_event(document)
    assert event.warnings == ("namespace_conflict",)
    assert getattr(event, field) == value


@pytest.mark.parametrize(
    "document",
    [
        {"interaction": {"name": "a"}, "action": "a"}, {"interaction": {"name": "a"}, "action": None},
        {"interaction": {"name": "a"}, "action": ""}, {"user": {"anonymousId": "a", "anonId": "a"}},
        {"user": {"anonymousId": "", "anonId": "b"}}, {"pageView": True, "flags": {"pageView": True}},
        {"explain": True, "debug": {"explanations": None}}, {**ITEM, "catalog": {}},
        {**ITEM, "catalog": {"Product": {"_id": "P1"}, "Article": {"_id": "A1"}}},
        {**ITEM, "catalog": {"Product": {"_id": None}}}, {**ITEM, "catalog": {"Product": None}},
        {"interaction": {"catalogObject": {"id": "P1"}}, "catalog": {"Product": {"_id": "P2"}}},
    ],
)  # fmt: skip
def test_agreeing_namespaces_cause_no_warning(document: dict[str, Any]) -> None:
    assert decode_event(document).warnings == ()


def test_the_provider_of_a_consent_is_optional() -> None:
    entries = [None, {"purpose": "Personalization", "status": "Opt Out"}]
    assert decode_event({"consents": entries}).consents == (Consent("Personalization", "", "Opt Out"),)


@pytest.mark.parametrize("status", [None, "", "opt in", "Opt in", "OptIn", "Opt In ", "Denied"])
def test_a_consent_status_must_be_opt_in_or_opt_out(status: str | None) -> None:
    document = {"consents": [None, {"purpose": "Tracking", "provider": "p", "status": status}]}
    assert description_of(document) == 'consents[1].status must be "Opt In" or "Opt Out".'


@pytest.mark.parametrize("purpose", [None, ""])
def test_a_consent_must_have_a_purpose(purpose: str | None) -> None:
    document = {"consents": [{"purpose": purpose, "provider": "p", "status": "Opt In"}]}
    assert description_of(document) == "consents[0].purpose must not be empty."


def test_nulls_in_profile_objects_are_removed() -> None:
    objects = {"Lease": [None, {"id": "L1"}], "Car": None, "Boat": []}
    assert decode_event({"user": {"profileObjects": objects}}).profile_objects == {
        "Lease": [{"id": "L1"}],
        "Boat": [],
    }


@pytest.mark.parametrize(
    ("path", "entries_max"),
    [
        (("user", "attributes"), ATTRIBUTES_MAX),
        (("user", "identities"), IDENTITIES_MAX),
        (("user", "profileObjects"), PROFILE_OBJECT_TYPES_MAX),
        (("user", "profileObjects", "Lease"), PROFILE_OBJECTS_PER_TYPE_MAX),
        (("interaction", "lineItems"), LINES_MAX),
        (("interaction", "order", "lineItems"), LINES_MAX),
        (("cart", "complete", "Product"), LINES_MAX),
        (("order", "Product", "lineItems"), LINES_MAX),
        (("consents",), CONSENTS_MAX),
    ],
    ids=str,
)
def test_the_number_of_entries_is_limited(path: Path, entries_max: int) -> None:
    def many(count: int) -> Any:
        is_list = path[-1] in ("Lease", "Product", "lineItems", "consents")
        return [None] * count if is_list else dict.fromkeys(map(str, range(count)))

    decode_event(document_with(path, many(entries_max)))
    expected = f"{dotted(path)} has more than {entries_max} entries; send fewer."
    assert description_of(document_with(path, many(entries_max + 1))) == expected


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
NUMBERS = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXT | st.sampled_from(["Opt In", DEVICE, TIME_MS])
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)


def shaped(check: Check) -> st.SearchStrategy[Any]:
    """Values that mostly have the types of the table."""
    if check.fields is not None:
        names = {name: shaped(inner) for name, inner in check.fields.items()}
        return st.fixed_dictionaries({}, optional=names) | st.none()
    if check.entry is not None and list in check.types:
        return st.lists(shaped(check.entry), max_size=2)
    if check.entry is not None:
        return st.dictionaries(TEXT, shaped(check.entry), max_size=2)
    valid = LEAVES.filter(lambda value: value is None or type(value) in check.types)
    return JSON if dict in check.types else valid


@given(st.dictionaries(TEXT | st.sampled_from(list(EVENT.fields or ())), JSON) | shaped(EVENT))
@settings(max_examples=300, deadline=None)
def test_any_object_is_accepted_or_rejected(document: Any) -> None:
    with contextlib.suppress(InvalidEvent):
        event = decode_event(decode_json(msgspec.json.encode(document)))
        assert event.occurred_at is None or 0 <= event.occurred_at < (EPOCH_MS_MAX + 1) * 1000
        assert event.anonymous_id is None or not event.anonymous_id_invalid
        assert "encryptedId" not in (event.body.get("user") or {})
        assert msgspec.json.decode(msgspec.json.encode(event), type=Event) == event
