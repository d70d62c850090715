"""`/t/{org}/api/v1`: datasets, identity types, identity attributes, channel identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.service import RunningService
from wire.client import TIMESTAMP, Cds, assert_client_error, assert_error, fresh
from wire.person import is_one_person, wait_until_applied

ATTRIBUTES = "/datasets/default/identity-attributes"
CHANNELS = "/datasets/default/channel-identities"
ROUTES = {
    "GET /datasets": "identity_view",
    "POST /datasets": "identity_update",
    "GET /datasets/default": "identity_view",
    "PATCH /datasets/default": "identity_update",
    "DELETE /datasets/default": "identity_update",
    "GET /identity-types": "identity_view",
    "POST /identity-types": "identity_update",
    "GET /identity-types/emailAddress": "identity_view",
    "PATCH /identity-types/emailAddress": "identity_update",
    "DELETE /identity-types/emailAddress": "identity_update",
    f"GET {ATTRIBUTES}": "identity_view",
    f"PUT {ATTRIBUTES}": "identity_update",
    f"GET {CHANNELS}": "identity_view",
    f"PUT {CHANNELS}": "identity_update",
}
EVERY_ROUTE = pytest.mark.parametrize(("route", "permission"), ROUTES.items(), ids=ROUTES)
TYPE = {
    "id": "loyaltyId",
    "label": "Loyalty number",
    "uniqueness": "Identity Namespace",
    "case_sensitive": False,
    "built_in": False,
    "trusted_only": False,
    "proves_identity": False,
    "conflict_blocks_merge": False,
    "blocked_values": [],
    "blocks_default_values": True,
}


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def ask(org: Cds, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
    token = org.token("identity_view" if method == "GET" else "identity_update")
    return org.admin(method, path, body, token=token, **kwargs)


def request_json(org: Cds, method: str, path: str, body: Any = None, status: int = 200, **kwargs: Any) -> Any:
    answer = ask(org, method, path, body, **kwargs)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def error_description(org: Cds, method: str, path: str, body: Any = None, status: int = 400) -> str:
    """The description of an error of shape A."""
    answer = ask(org, method, path, body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "description"}
    return str(answer.json()["description"])


@EVERY_ROUTE
def test_a_missing_permission_is_403(org: Cds, other: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    assert_error(org.admin(method, path, token=other.token(permission)), 401, "CDS-10002")
    assert_error(org.admin(method, path, anonymous=True), 401, "CDS-10002")
    assert_error(org.admin(method, path, token=org.token(*org.permissions)), 403, "CDS-10003")
    wrong = org.token(*{"identity_view", "identity_update"} - {permission})
    assert_error(org.admin(method, path, token=wrong), 403, "CDS-10003")


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.startswith(("GET", "DELETE"))])
def test_invalid_bodies_are_client_errors(org: Cds, route: str) -> None:
    method, path = route.split()
    bodies = [
        "", "{", "5", '"x"', "\x00", "[5]", "[[]]", '{"unknown_field": 1}', '[{"unknown_field": 1}]',
        '{"name": 5}', '{"id": 5}', '{"label": []}', '{"blocked_values": [5]}', '{"user_attributes": []}',
        '{"user_attributes": {"x": 5}}', '{"identity_attributes": {}}', '{"Web": 5}', '[{"name": 5}]',
        '{"allowed_origins": "x"}', '{"visit_timeout_millis": 1e99}', '{"visit_timeout_millis": true}',
    ]  # fmt: skip
    token = org.token("identity_update")
    for content in bodies:
        answer = org.raw(method, path, content, face="/api/v1", token=token)
        assert_client_error(answer)
        assert answer.status_code not in (401, 403), content


# -- identity types -----------------------------------------------------------------------------------------


def test_the_built_in_types_are_listed(org: Cds) -> None:
    found = request_json(org, "GET", "/identity-types")
    built_in = {
        identity_type["id"]: identity_type
        for identity_type in found["identity_types"]
        if identity_type["built_in"]
    }
    assert set(built_in) == {
        "emailAddress", "SecondaryEmail", "sfmcContactKey", "sfcrmContactId", "sfcrmLeadId", "customerId",
        "profileId",
    }  # fmt: skip
    assert {name for name, identity_type in built_in.items() if identity_type["case_sensitive"]} == {
        "sfcrmContactId",
        "sfcrmLeadId",
    }
    assert {identity_type["uniqueness"] for identity_type in built_in.values()} == {"Identity Namespace"}
    assert request_json(org, "GET", "/identity-types/emailAddress") == built_in["emailAddress"]


def test_create_change_and_delete_a_type(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert (
        request_json(org, "POST", "/identity-types", {"id": "loyaltyId", "label": "Loyalty number"}, 201)
        == TYPE
    )
    assert request_json(org, "GET", "/identity-types")["identity_types"][-1] == TYPE
    changes = {"label": "Card", "trusted_only": True, "conflict_blocks_merge": True, "blocked_values": ["X"]}
    assert request_json(org, "PATCH", "/identity-types/loyaltyId", changes) == {**TYPE, **changes}
    unchanged_fields = {"id": "loyaltyId", "uniqueness": "Identity Namespace", "case_sensitive": False}
    assert request_json(org, "PATCH", "/identity-types/loyaltyId", unchanged_fields) == {**TYPE, **changes}
    other = request_json(org, "POST", "/identity-types", {"id": "household", "uniqueness": "Not Unique"}, 201)
    assert (other["label"], other["uniqueness"]) == ("household", "Not Unique")
    assert request_json(org, "DELETE", "/identity-types/loyaltyId", status=204) is None
    error_description(org, "GET", "/identity-types/loyaltyId", status=404)
    error_description(org, "DELETE", "/identity-types/loyaltyId", status=404)


def test_invalid_type_changes_are_rejected(org: Cds) -> None:
    for body in ({}, {"id": "a b"}, {"id": "x", "uniqueness": "Often"}, {"id": "x", "label": " " * 0}):
        error_description(org, "POST", "/identity-types", body)
    assert "already" in error_description(org, "POST", "/identity-types", {"id": "emailAddress"}, 409)
    for body in ({"uniqueness": "Not Unique"}, {"case_sensitive": True}, {"id": "mail"}):
        assert "never change" in error_description(org, "PATCH", "/identity-types/emailAddress", body)
    error_description(org, "PATCH", "/identity-types/profileId", {"trusted_only": True}, 409)
    error_description(org, "DELETE", "/identity-types/emailAddress", status=409)
    error_description(org, "PATCH", "/identity-types/nothing", {}, 404)


def test_types_are_listed_page_by_page(org: Cds) -> None:
    all_ids = [
        identity_type["id"] for identity_type in request_json(org, "GET", "/identity-types")["identity_types"]
    ]
    found, params = [], {"page_size": "2"}
    while True:
        page = request_json(org, "GET", "/identity-types", params=params)
        found += [identity_type["id"] for identity_type in page["identity_types"]]
        if "next_cursor" not in page["pagination"]:
            break
        params["cursor"] = page["pagination"]["next_cursor"]
    assert found == all_ids
    for path in ("/identity-types", "/datasets", ATTRIBUTES):
        for invalid in ({"page_size": "0"}, {"cursor": "x"}, {"cursor": "WzVd"}):
            assert_error(ask(org, "GET", path, params=invalid), 400, "CDS-10001")


# -- datasets -----------------------------------------------------------------------------------------------


def test_create_change_and_delete_a_dataset(org: Cds) -> None:
    name = fresh("web").replace("_", "-")
    body = {
        "name": name,
        "label": "Web shop",
        "identity_trust": "tiered",
        "allowed_origins": ["https://shop.acme.example"],
        "user_attributes": {"favColour": {"label": "Colour", "type": "String"}, "since": {"type": "Date"}},
    }
    created = request_json(org, "POST", "/datasets", body, 201)
    assert TIMESTAMP.match(created.pop("created_at"))
    assert created == {
        "name": name,
        "label": "Web shop",
        "pipeline_identity_resolution": True,
        "identity_trust": "tiered",
        "merged_anonymous": "follow",
        "channel_identity_conflict": "keep_apart",
        "default_view": "all",
        "asserted_merges": "all",
        "report_joins": "at_once",
        "visit_timeout_millis": 1_800_000,
        "enable_remember_me_user_ids": False,
        "remember_me_user_ids_millis": 63_072_000_000,
        "allowed_origins": ["https://shop.acme.example"],
        "user_attributes": {
            "favColour": {"label": "Colour", "type": "String"},
            "since": {"label": "since", "type": "Date"},
        },
    }
    changes = {
        "merged_anonymous": "fresh",
        "channel_identity_conflict": "replace",
        "allowed_origins": [],
        "user_attributes": {"since": None, "favColour": {"classification_override": "NonSensitive"}},
    }
    changed = request_json(org, "PATCH", f"/datasets/{name}", changes)
    assert (changed["merged_anonymous"], changed["allowed_origins"]) == ("fresh", [])
    assert changed["channel_identity_conflict"] == "replace"
    assert changed["user_attributes"] == {
        "favColour": {"label": "Colour", "type": "String", "classification_override": "NonSensitive"}
    }
    assert request_json(org, "GET", f"/datasets/{name}") == changed
    assert changed in request_json(org, "GET", "/datasets")["datasets"]
    assert "already" in error_description(org, "POST", "/datasets", body, 409)
    assert request_json(org, "DELETE", f"/datasets/{name}", status=204) is None
    error_description(org, "GET", f"/datasets/{name}", status=404)


def test_the_default_dataset_keeps_channel_identities_apart(org: Cds) -> None:
    assert request_json(org, "GET", "/datasets/default")["channel_identity_conflict"] == "keep_apart"


def test_the_user_attributes_of_default_are_its_traits(org: Cds) -> None:
    key, listed = org.trait(), org.trait(multi_valued=True)
    number = org.trait("integer")
    shown = request_json(org, "GET", "/datasets/default")["user_attributes"]
    assert (shown[key], shown[number]["type"]) == ({"label": key, "type": "String"}, "Number")
    assert listed not in shown
    name = fresh("made")
    request_json(org, "PATCH", "/datasets/default", {"user_attributes": {name: {}}})
    assert any(
        attribute["attribute_name"] == f"traits.{name}"
        for attribute in org.get("/profile-schema/traits").json()
    )


def test_invalid_dataset_changes_are_rejected(org: Cds, other: Cds) -> None:
    for body in (
        {},
        {"name": "a b"},
        {"name": "x", "visit_timeout_millis": 1},
        {"name": "x", "identity_trust": "no"},
        {"name": "x", "channel_identity_conflict": "no"},
    ):
        error_description(org, "POST", "/datasets", body)
    without_identity = fresh("old").replace("_", "-")
    request_json(
        org, "POST", "/datasets", {"name": without_identity, "pipeline_identity_resolution": False}, 201
    )
    description = error_description(
        org, "PATCH", f"/datasets/{without_identity}", {"pipeline_identity_resolution": True}, 409
    )
    assert f"oneself dataset enable-identity {without_identity}" in description
    error_description(org, "PATCH", "/datasets/default", {"pipeline_identity_resolution": False}, 409)
    error_description(org, "DELETE", "/datasets/default", status=409)
    for path in ("/datasets/nothing", "/datasets/%00", f"/datasets/{'a' * 300}"):
        error_description(org, "GET", path, status=404)
    for part in ("", "/identity-attributes", "/channel-identities"):
        error_description(other, "GET", f"/datasets/{without_identity}{part}", status=404)
    error_description(org, "PUT", "/datasets/nothing/identity-attributes", [], 404)
    error_description(org, "PUT", "/datasets/nothing/channel-identities", {}, 404)


# -- identity attributes ------------------------------------------------------------------------------------


@pytest.fixture
def shop(new_org: Callable[[], Cds]) -> Cds:
    org = new_org()
    request_json(org, "POST", "/identity-types", {"id": "loyaltyId", "label": "Loyalty number"}, 201)
    return org


def test_bindings_are_accepted_as_a_list_or_an_object(shop: Cds) -> None:
    binding = {
        "name": "loyaltyId",
        "identity_type": "loyaltyId",
        "attribute": "identity_attributes.loyaltyId",
    }
    expected = {"identity_attributes": [binding], "pagination": {"count": 1, "page_size": 200}}
    assert (
        request_json(shop, "PUT", ATTRIBUTES, [{"name": "loyaltyId", "identity_type": "loyaltyId"}])
        == expected
    )
    assert request_json(shop, "PUT", ATTRIBUTES, {"identity_attributes": [binding]}) == expected
    assert request_json(shop, "GET", ATTRIBUTES)["identity_attributes"] == [binding]
    names = [
        attribute["attribute_name"] for attribute in shop.get("/profile-schema/identity_attributes").json()
    ]
    assert "identity_attributes.loyaltyId" in names
    assert request_json(shop, "PUT", ATTRIBUTES, [])["identity_attributes"] == []


def test_a_binding_to_stored_values_is_previewed_confirmed_and_applied(shop: Cds) -> None:
    key, plan = shop.trait(), shop.trait()
    profile = shop.create({"user_id": fresh("u"), "traits": {key: "c1", plan: "trial"}})
    same, different = (shop.create({"traits": {key: word}}) for word in ("C1", "c2"))
    body = [{"name": "loyaltyId", "identity_type": "loyaltyId", "attribute": f"traits.{key}"}]
    token = shop.token("identity_update", "profile_view_all")
    answer = shop.admin("PUT", ATTRIBUTES, body, token=token)
    assert answer.status_code == 409, answer.text
    shown = answer.json()
    assert set(shown) == {"code", "message", "description", "preview", "confirmation"}
    assert shown["confirmation"] in shown["description"]
    assert shown["preview"]["counts"]["absorbed"] == 1
    (merge,) = shown["preview"]["merges"]
    assert merge == {
        "survivor": profile["profile_id"],
        "absorbed": [same["profile_id"]],
        "identifier": {"namespace": "loyaltyId", "value": "c1"},
    }
    assert request_json(shop, "GET", ATTRIBUTES)["identity_attributes"] == []
    assert not is_one_person(shop, profile, same)
    unconfirmed = ask(shop, "PUT", ATTRIBUTES, body, params={"confirmation": "1-nothing"})
    assert unconfirmed.status_code == 409
    request_json(shop, "PUT", ATTRIBUTES, body, params={"confirmation": shown["confirmation"]})
    assert wait_until_applied(shop, {"rule_id": "identity:loyaltyId"})["merged"] == 1
    assert is_one_person(shop, profile, same)
    assert not is_one_person(shop, profile, different)
    assert "bound" in error_description(shop, "DELETE", "/identity-types/loyaltyId", status=409)
    answer = shop.delete(f"/profile-schema/traits/{_id_of(shop, key)}")
    assert_error(answer, 400, "CDS-15104")


def _id_of(org: Cds, key: str) -> str:
    found = org.get("/profile-schema/traits").json()
    return str(
        next(
            attribute["attribute_id"] for attribute in found if attribute["attribute_name"] == f"traits.{key}"
        )
    )


def test_invalid_bindings_are_rejected(org: Cds) -> None:
    for entry in (
        {},
        {"name": "x"},
        {"name": "x", "identity_type": "nothing"},
        {"name": "x", "identity_type": "profileId"},
        {"name": "x y", "identity_type": "emailAddress"},
        {"name": "x", "identity_type": "emailAddress", "attribute": "user_id"},
        {"name": "x", "identity_type": "emailAddress", "attribute": f"traits.{org.trait('integer')}"},
    ):
        error_description(org, "PUT", ATTRIBUTES, [entry])
    assert_error(ask(org, "PUT", ATTRIBUTES, {}), 400, "CDS-10001")


def test_progress_is_shown_for_one_dataset(shop: Cds) -> None:
    request_json(shop, "POST", "/datasets", {"name": "web"}, 201)
    request_json(
        shop, "PUT", "/datasets/web/identity-attributes", [{"name": "mail", "identity_type": "emailAddress"}]
    )
    progress = "/unification-rules/progress"
    found = shop.admin("GET", progress, params={"dataset": "web"}).json()["progress"]
    assert [job["rule_id"] for job in found] == ["identity:mail"]
    assert shop.admin("GET", progress).json()["progress"] == []
    assert shop.admin("GET", progress, params={"dataset": "nothing"}).status_code == 404


# -- channels -----------------------------------------------------------------------------------------------


def test_channels_accept_bound_identities_only(shop: Cds) -> None:
    assert request_json(shop, "GET", CHANNELS) == {}
    bindings = [{"name": name, "identity_type": name} for name in ("customerId", "emailAddress", "loyaltyId")]
    request_json(shop, "PUT", ATTRIBUTES, bindings)
    default = {**dict.fromkeys(("Web", "Server", "Mobile"), "customerId"), "OpenTimeEmail": "emailAddress"}
    assert request_json(shop, "GET", CHANNELS) == default
    assert request_json(shop, "PUT", CHANNELS, {"Web": "loyaltyId"}) == {**default, "Web": "loyaltyId"}
    assert "choose another identity first" in error_description(shop, "PUT", ATTRIBUTES, bindings[:2], 409)
    assert request_json(shop, "PUT", CHANNELS, {"Web": None}) == default
    error_description(shop, "PUT", CHANNELS, {"Web": "nothing"})
    assert_error(ask(shop, "PUT", CHANNELS, {"Fax": "loyaltyId"}), 400, "CDS-10001")


def test_a_channel_with_profiles_changes_only_with_confirmation(shop: Cds) -> None:
    request_json(shop, "PUT", ATTRIBUTES, [{"name": "loyaltyId", "identity_type": "loyaltyId"}])
    shop.create()
    answer = ask(shop, "PUT", CHANNELS, {"Web": "loyaltyId"})
    assert answer.status_code == 409
    assert answer.json()["preview"]["counts"]["absorbed"] == 0
    confirmed = {"confirmation": answer.json()["confirmation"]}
    assert request_json(shop, "PUT", CHANNELS, {"Web": "loyaltyId"}, params=confirmed) == {"Web": "loyaltyId"}


def test_the_log_folds_to_the_state(org: Cds, service: RunningService) -> None:
    result = service.command("verify", deadline_s=300)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
