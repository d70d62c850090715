"""GET /profiles/{profileId} (docs/wire/cds.md §5.3)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, draft, fresh

UNKNOWN = "No user profile record found for the given profile_id"


@pytest.mark.parametrize("profile_id", [UNKNOWN_ID, "not-an-id", "7", "%20", "me", "a'b", "x" * 500])
def test_an_unknown_id_is_not_found(cds: Cds, profile_id: str) -> None:
    assert_error(cds.get(f"/profiles/{profile_id}"), 404, "CDS-11001", UNKNOWN)


def test_a_system_application_reads_every_scope(cds: Cds) -> None:
    key = cds.trait()
    created = cds.create({"traits": {key: "x"}, "identity_attributes": {"givenname": "Ann"}})
    read = cds.get(f"/profiles/{created['profile_id']}").json()
    created.pop("anonymous_profile_tracker")
    assert read == created


def test_an_absorbed_id_returns_the_survivors_data_under_its_own_id(cds: Cds) -> None:
    key, user = cds.trait(), fresh("user")
    survivor = cds.create({"user_id": user, "traits": {key: "x"}})["profile_id"]
    absorbed = cds.create({"user_id": user})["profile_id"]
    one, two = cds.get(f"/profiles/{survivor}"), cds.get(f"/profiles/{absorbed}", follow_redirects=False)
    assert two.status_code == 200
    assert two.json()["profile_id"] == absorbed
    assert two.json()["merged_to"] == {"profile_id": survivor, "reason": "system:user_id_match"}
    for part in ("user_id", "meta", "traits"):
        assert two.json()[part] == one.json()[part]
    assert "merged_from" not in two.json()
    assert one.json()["merged_from"] == [{"profile_id": absorbed, "reason": "system:user_id_match"}]
    assert one.headers["etag"] == two.headers["etag"]


def test_an_absorbed_profile_points_at_the_current_survivor_after_a_chain(cds: Cds) -> None:
    user = fresh("user")
    visitors = [cds.create()["profile_id"] for _ in range(3)]
    for visitor in visitors:
        cds.write(visitor, {"user_id": user})
    reads = [cds.read(visitor) for visitor in visitors]
    survivors = {r["merged_to"]["profile_id"] for r in reads if "merged_to" in r}
    (survivor,) = [r for r in reads if "merged_to" not in r]
    assert survivors == {survivor["profile_id"]}
    assert len(survivor["merged_from"]) == 2


# -- application data -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(cds: Cds, regular: Cds) -> dict[str, Any]:
    """A profile with data of two applications and a trait."""
    system_key, regular_key, key = cds.application_attribute(), fresh("theirs"), cds.trait()
    cds.define(
        "application_data", draft(f"application_data.{regular_key}", application_identifier=regular.client_id)
    )
    data = {cds.client_id: {system_key: "system"}, regular.client_id: {regular_key: "regular"}}
    created = cds.create(
        {"application_data": data, "traits": {key: "x"}, "identity_attributes": {"givenname": "Ann"}}
    )
    return {"id": created["profile_id"], "data": data, "traits": {key: "x"}}


def test_application_data_is_omitted_by_default(cds: Cds, shared: dict[str, Any]) -> None:
    assert "application_data" not in cds.get(f"/profiles/{shared['id']}").json()
    for value in ("false", "", "no", "0"):
        answer = cds.get(f"/profiles/{shared['id']}", params={"includeApplicationData": value})
        assert "application_data" not in answer.json()


def test_a_system_application_reads_the_data_of_every_application(cds: Cds, shared: dict[str, Any]) -> None:
    assert cds.read(shared["id"])["application_data"] == shared["data"]
    assert cds.read(shared["id"], application_identifier="*")["application_data"] == shared["data"]


def test_a_system_application_can_filter_by_application(
    cds: Cds, regular: Cds, shared: dict[str, Any]
) -> None:
    data, both = shared["data"], f"{cds.client_id},{regular.client_id}"
    filtered = cds.read(shared["id"], application_identifier=regular.client_id)
    assert filtered["application_data"] == {regular.client_id: data[regular.client_id]}
    assert cds.read(shared["id"], application_identifier=both)["application_data"] == data
    assert "application_data" not in cds.read(shared["id"], application_identifier="unknown")


def test_a_regular_application_reads_identity_attributes_only(
    cds: Cds, regular: Cds, shared: dict[str, Any]
) -> None:
    for params in ({}, {"application_identifier": "*"}, {"application_identifier": cds.client_id}):
        read = regular.read(shared["id"], **params)
        assert read["identity_attributes"] == {"givenname": "Ann"}
        assert not {"traits", "application_data"} & set(read)


# -- write-only values ------------------------------------------------------------------------------


def test_a_write_only_value_is_accepted_and_never_returned(cds: Cds) -> None:
    secret, plain = cds.trait(mutability="writeOnly"), cds.trait()
    created = cds.create({"traits": {secret: "s", plain: "p"}})
    assert created["traits"] == {plain: "p"}
    assert cds.write(created["profile_id"], {"traits": {secret: "t"}})["traits"] == {plain: "p"}
    assert cds.read(created["profile_id"])["traits"] == {plain: "p"}
    assert cds.create({"traits": {secret: "s"}}).keys() == {"profile_id", "anonymous_profile_tracker", "meta"}
