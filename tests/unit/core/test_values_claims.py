"""Provider claims are converted and nested; invalid ones are skipped (docs/wire/cds.md §12)."""

from __future__ import annotations

from typing import Any

import pytest

from oneself.core.values.record import EMPTY, Record, write
from oneself.core.values.reported_claims import RejectedClaimValue, accept_valid
from unit.core.samples import attribute, complex_attribute, schema, source, stored

CLAIMS = schema(
    attribute("identity_attributes.emailaddress"),
    attribute("identity_attributes.userid", mutability="readOnly"),
    attribute("identity_attributes.groups", multi=True),
    attribute("identity_attributes.logins", "integer"),
    attribute("identity_attributes.ratio", "decimal"),
    attribute("identity_attributes.verified", "boolean"),
    attribute("identity_attributes.born", "date"),
    attribute("identity_attributes.modified", "date_time", mutability="readOnly"),
    attribute("identity_attributes.seen", "epoch"),
    attribute("identity_attributes.years", "integer", multi=True),
    attribute("identity_attributes.once", mutability="writeOnce"),
    attribute("identity_attributes.literal.key"),
    complex_attribute("identity_attributes.name", "given", "deep"),
    attribute("identity_attributes.name.given"),
    complex_attribute("identity_attributes.name.deep", "count"),
    attribute("identity_attributes.name.deep.count", "integer"),
)


def reported(record: Record = EMPTY, **claims: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    changes, skipped = accept_valid(CLAIMS, record, {"identity_attributes": claims})
    after = write(record, changes, source(2)).values.get("identity_attributes", {})
    return after, [(claim.path.removeprefix("identity_attributes."), claim.problem) for claim in skipped]


@pytest.mark.parametrize(
    ("claim", "value", "stored_value"),
    [
        ("emailaddress", "ann@acme.example", "ann@acme.example"),
        ("userid", "u-1", "u-1"),
        ("groups", "staff", ["staff"]),
        ("groups", ["staff", "vip"], ["staff", "vip"]),
        ("logins", "42", 42),
        ("logins", 42, 42),
        ("ratio", "0.5", 0.5),
        ("verified", "true", True),
        ("born", "1990-02-03", "1990-02-03"),
        ("modified", "2026-06-05T03:38:04Z", "2026-06-05T03:38:04Z"),
        ("seen", "1780630684834", 1780630684834),
        ("years", "1990", [1990]),
        ("years", ["1990", 1991], [1990, 1991]),
        ("literal.key", "x", "x"),
    ],
)
def test_a_claim_is_converted_to_its_declared_type(claim: str, value: Any, stored_value: Any) -> None:
    assert reported(**{claim: value}) == ({claim: stored_value}, [])


def test_dotted_claims_are_nested() -> None:
    after, skipped = reported(**{"name.given": "Ann", "name.deep.count": "3"})
    assert after == {"name": {"given": "Ann", "deep": {"count": 3}}}
    assert skipped == []
    assert reported(name={"given": "Ann"})[0] == {"name": {"given": "Ann"}}


def test_invalid_values_are_skipped_and_the_rest_applies() -> None:
    after, skipped = reported(
        emailaddress="ann@acme.example",
        unknown="x",
        logins="many",
        verified="maybe",
        years=["1990", "soon"],
        groups=5,
        **{"name.given": "Ann", "name.family": "Lee", "name.deep.count": "x", "emailaddress.work": "x"},
    )
    assert after == {"emailaddress": "ann@acme.example", "name": {"given": "Ann"}}
    assert skipped == [
        ("unknown", "not defined in schema"),
        ("logins", "type mismatch"),
        ("verified", "type mismatch"),
        ("years", "type mismatch"),
        ("groups", "type mismatch"),
        ("name.family", "not defined in schema"),
        ("name.deep.count", "type mismatch"),
        ("emailaddress.work", "not defined in schema"),
    ]


def test_a_changed_write_once_claim_is_skipped() -> None:
    record = stored(CLAIMS, {"identity_attributes": {"once": "a", "userid": "u-1"}})
    after, skipped = reported(record, once="b", userid="u-2")
    assert after == {"once": "a", "userid": "u-2"}
    assert skipped == [("once", "write-once field cannot be changed after being set")]


def test_a_repeated_claim_changes_nothing_and_null_removes_one() -> None:
    record = stored(CLAIMS, {"identity_attributes": {"emailaddress": "a", "groups": ["x"], "logins": 1}})
    assert not accept_valid(CLAIMS, record, {"identity_attributes": {"groups": "x", "logins": "1"}})[0]
    assert reported(record, emailaddress=None)[0] == {"groups": ["x"], "logins": 1}


def test_a_skipped_claim_is_reported_with_its_full_path() -> None:
    assert accept_valid(
        CLAIMS, EMPTY, {"identity_attributes": {"x": 1}, "application_data": {"a": {"b": 1}}}
    )[1] == (RejectedClaimValue("identity_attributes.x", "not defined in schema"),)
