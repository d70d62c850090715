"""`/t/{org}/api/v1`: datasets, identity types, identity attributes, channel identities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from support.service import RunningService
from wire.client import TIMESTAMP, Cds, fresh, refused, understood
from wire.person import applied, is_one

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
DOORS = pytest.mark.parametrize(("route", "permission"), ROUTES.items(), ids=ROUTES)
TYPE = {
    "id": "loyaltyId",
    "label": "Loyalty number",
    "uniqueness": "Identity Namespace",
    "case_sensitive": False,
    "built_in": False,
    "trusted_only": False,
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


def told(org: Cds, method: str, path: str, body: Any = None, status: int = 200, **kwargs: Any) -> Any:
    answer = ask(org, method, path, body, **kwargs)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def said(org: Cds, method: str, path: str, body: Any = None, status: int = 400) -> str:
    """The sentence of a refusal of shape A."""
    answer = ask(org, method, path, body)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message", "description"}
    return str(answer.json()["description"])


@DOORS
def test_a_missing_permission_is_403(org: Cds, other: Cds, route: str, permission: str) -> None:
    method, path = route.split()
    refused(org.admin(method, path, token=other.token(permission)), 401, "CDS-10002")
    refused(org.admin(method, path, anonymous=True), 401, "CDS-10002")
    refused(org.admin(method, path, token=org.token(*org.permissions)), 403, "CDS-10003")
    wrong = org.token(*{"identity_view", "identity_update"} - {permission})
    refused(org.admin(method, path, token=wrong), 403, "CDS-10003")


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.startswith(("GET", "DELETE"))])
def test_bad_bodies_are_understood(org: Cds, route: str) -> None:
    method, path = route.split()
    bodies = [
        "", "{", "5", '"x"', "\x00", "[5]", "[[]]", '{"nobody_knows_this": 1}', '[{"nobody_knows_this": 1}]',
        '{"name": 5}', '{"id": 5}', '{"label": []}', '{"blocked_values": [5]}', '{"user_attributes": []}',
        '{"user_attributes": {"x": 5}}', '{"identity_attributes": {}}', '{"Web": 5}', '[{"name": 5}]',
        '{"allowed_origins": "x"}', '{"visit_timeout_millis": 1e99}', '{"visit_timeout_millis": true}',
    ]  # fmt: skip
    token = org.token("identity_update")
    for content in bodies:
        answer = org.raw(method, path, content, face="/api/v1", token=token)
        understood(answer)
        assert answer.status_code not in (401, 403), content


# -- identity types -----------------------------------------------------------------------------------------


def test_the_built_in_types_are_there(org: Cds) -> None:
    found = told(org, "GET", "/identity-types")
    built_in = {each["id"]: each for each in found["identity_types"] if each["built_in"]}
    assert set(built_in) == {
        "emailAddress", "SecondaryEmail", "sfmcContactKey", "sfcrmContactId", "sfcrmLeadId", "customerId",
        "profileId",
    }  # fmt: skip
    assert {name for name, each in built_in.items() if each["case_sensitive"]} == {
        "sfcrmContactId",
        "sfcrmLeadId",
    }
    assert {each["uniqueness"] for each in built_in.values()} == {"Identity Namespace"}
    assert told(org, "GET", "/identity-types/emailAddress") == built_in["emailAddress"]


def test_a_type_is_made_changed_and_removed(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert told(org, "POST", "/identity-types", {"id": "loyaltyId", "label": "Loyalty number"}, 201) == TYPE
    assert told(org, "GET", "/identity-types")["identity_types"][-1] == TYPE
    changes = {"label": "Card", "trusted_only": True, "conflict_blocks_merge": True, "blocked_values": ["X"]}
    assert told(org, "PATCH", "/identity-types/loyaltyId", changes) == {**TYPE, **changes}
    same = {"id": "loyaltyId", "uniqueness": "Identity Namespace", "case_sensitive": False}
    assert told(org, "PATCH", "/identity-types/loyaltyId", same) == {**TYPE, **changes}
    other = told(org, "POST", "/identity-types", {"id": "household", "uniqueness": "Not Unique"}, 201)
    assert (other["label"], other["uniqueness"]) == ("household", "Not Unique")
    assert told(org, "DELETE", "/identity-types/loyaltyId", status=204) is None
    said(org, "GET", "/identity-types/loyaltyId", status=404)
    said(org, "DELETE", "/identity-types/loyaltyId", status=404)


def test_invalid_type_changes_are_rejected(org: Cds) -> None:
    for body in ({}, {"id": "a b"}, {"id": "x", "uniqueness": "Often"}, {"id": "x", "label": " " * 0}):
        said(org, "POST", "/identity-types", body)
    assert "already" in said(org, "POST", "/identity-types", {"id": "emailAddress"}, 409)
    for body in ({"uniqueness": "Not Unique"}, {"case_sensitive": True}, {"id": "mail"}):
        assert "never change" in said(org, "PATCH", "/identity-types/emailAddress", body)
    said(org, "PATCH", "/identity-types/profileId", {"trusted_only": True}, 409)
    said(org, "DELETE", "/identity-types/emailAddress", status=409)
    said(org, "PATCH", "/identity-types/nothing", {}, 404)


def test_types_are_listed_page_by_page(org: Cds) -> None:
    whole = [each["id"] for each in told(org, "GET", "/identity-types")["identity_types"]]
    found, params = [], {"page_size": "2"}
    while True:
        page = told(org, "GET", "/identity-types", params=params)
        found += [each["id"] for each in page["identity_types"]]
        if "next_cursor" not in page["pagination"]:
            break
        params["cursor"] = page["pagination"]["next_cursor"]
    assert found == whole
    for path in ("/identity-types", "/datasets", ATTRIBUTES):
        for wrong in ({"page_size": "0"}, {"cursor": "x"}, {"cursor": "WzVd"}):
            refused(ask(org, "GET", path, params=wrong), 400, "CDS-10001")


# -- datasets -----------------------------------------------------------------------------------------------


def test_a_dataset_is_made_changed_and_removed(org: Cds) -> None:
    name = fresh("web").replace("_", "-")
    body = {
        "name": name,
        "label": "Web shop",
        "identity_trust": "tiered",
        "allowed_origins": ["https://shop.acme.example"],
        "user_attributes": {"favColour": {"label": "Colour", "type": "String"}, "since": {"type": "Date"}},
    }
    made = told(org, "POST", "/datasets", body, 201)
    assert TIMESTAMP.match(made.pop("created_at"))
    assert made == {
        "name": name,
        "label": "Web shop",
        "pipeline_identity_resolution": True,
        "identity_trust": "tiered",
        "merged_anonymous": "follow",
        "channel_identity_conflict": "keep_apart",
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
    changed = told(org, "PATCH", f"/datasets/{name}", changes)
    assert (changed["merged_anonymous"], changed["allowed_origins"]) == ("fresh", [])
    assert changed["channel_identity_conflict"] == "replace"
    assert changed["user_attributes"] == {
        "favColour": {"label": "Colour", "type": "String", "classification_override": "NonSensitive"}
    }
    assert told(org, "GET", f"/datasets/{name}") == changed
    assert changed in told(org, "GET", "/datasets")["datasets"]
    assert "already" in said(org, "POST", "/datasets", body, 409)
    assert told(org, "DELETE", f"/datasets/{name}", status=204) is None
    said(org, "GET", f"/datasets/{name}", status=404)


def test_default_keeps_customer_numbers_apart_too(org: Cds) -> None:
    assert told(org, "GET", "/datasets/default")["channel_identity_conflict"] == "keep_apart"


def test_default_shows_what_the_schema_holds(org: Cds) -> None:
    key, listed = org.trait(), org.trait(multi_valued=True)
    number = org.trait("integer")
    shown = told(org, "GET", "/datasets/default")["user_attributes"]
    assert (shown[key], shown[number]["type"]) == ({"label": key, "type": "String"}, "Number")
    assert listed not in shown
    name = fresh("made")
    told(org, "PATCH", "/datasets/default", {"user_attributes": {name: {}}})
    assert any(
        each["attribute_name"] == f"traits.{name}" for each in org.get("/profile-schema/traits").json()
    )


def test_invalid_dataset_changes_are_rejected(org: Cds, other: Cds) -> None:
    for body in (
        {},
        {"name": "a b"},
        {"name": "x", "visit_timeout_millis": 1},
        {"name": "x", "identity_trust": "no"},
        {"name": "x", "channel_identity_conflict": "no"},
    ):
        said(org, "POST", "/datasets", body)
    legacy = fresh("old").replace("_", "-")
    told(org, "POST", "/datasets", {"name": legacy, "pipeline_identity_resolution": False}, 201)
    sentence = said(org, "PATCH", f"/datasets/{legacy}", {"pipeline_identity_resolution": True}, 409)
    assert f"oneself dataset enable-identity {legacy}" in sentence
    said(org, "PATCH", "/datasets/default", {"pipeline_identity_resolution": False}, 409)
    said(org, "DELETE", "/datasets/default", status=409)
    for path in ("/datasets/nothing", "/datasets/%00", f"/datasets/{'a' * 300}"):
        said(org, "GET", path, status=404)
    for part in ("", "/identity-attributes", "/channel-identities"):
        said(other, "GET", f"/datasets/{legacy}{part}", status=404)
    said(org, "PUT", "/datasets/nothing/identity-attributes", [], 404)
    said(org, "PUT", "/datasets/nothing/channel-identities", {}, 404)


# -- identity attributes ------------------------------------------------------------------------------------


@pytest.fixture
def shop(new_org: Callable[[], Cds]) -> Cds:
    org = new_org()
    told(org, "POST", "/identity-types", {"id": "loyaltyId", "label": "Loyalty number"}, 201)
    return org


def test_both_forms_of_the_body(shop: Cds) -> None:
    bound = {"name": "loyaltyId", "identity_type": "loyaltyId", "attribute": "identity_attributes.loyaltyId"}
    whole = {"identity_attributes": [bound], "pagination": {"count": 1, "page_size": 200}}
    assert told(shop, "PUT", ATTRIBUTES, [{"name": "loyaltyId", "identity_type": "loyaltyId"}]) == whole
    assert told(shop, "PUT", ATTRIBUTES, {"identity_attributes": [bound]}) == whole
    assert told(shop, "GET", ATTRIBUTES)["identity_attributes"] == [bound]
    names = [each["attribute_name"] for each in shop.get("/profile-schema/identity_attributes").json()]
    assert "identity_attributes.loyaltyId" in names
    assert told(shop, "PUT", ATTRIBUTES, [])["identity_attributes"] == []


def test_a_link_to_stored_values_is_previewed_confirmed_and_applied(shop: Cds) -> None:
    key, plan = shop.trait(), shop.trait()
    known = shop.create({"user_id": fresh("u"), "traits": {key: "c1", plan: "trial"}})
    same, another = (shop.create({"traits": {key: word}}) for word in ("C1", "c2"))
    body = [{"name": "loyaltyId", "identity_type": "loyaltyId", "attribute": f"traits.{key}"}]
    answer = ask(shop, "PUT", ATTRIBUTES, body)
    assert answer.status_code == 409, answer.text
    shown = answer.json()
    assert set(shown) == {"code", "message", "description", "preview", "confirmation"}
    assert shown["confirmation"] in shown["description"]
    assert shown["preview"]["counts"]["absorbed"] == 1
    (joined,) = shown["preview"]["merges"]
    assert joined == {
        "survivor": known["profile_id"],
        "absorbed": [same["profile_id"]],
        "identifier": {"namespace": "loyaltyId", "value": "c1"},
    }
    assert told(shop, "GET", ATTRIBUTES)["identity_attributes"] == []
    assert not is_one(shop, known, same)
    wrong = ask(shop, "PUT", ATTRIBUTES, body, params={"confirmation": "1-nothing"})
    assert wrong.status_code == 409
    told(shop, "PUT", ATTRIBUTES, body, params={"confirmation": shown["confirmation"]})
    assert applied(shop, {"rule_id": "identity:loyaltyId"})["merged"] == 1
    assert is_one(shop, known, same)
    assert not is_one(shop, known, another)
    assert "bound" in said(shop, "DELETE", "/identity-types/loyaltyId", status=409)
    answer = shop.delete(f"/profile-schema/traits/{_id_of(shop, key)}")
    refused(answer, 400, "CDS-15104")


def _id_of(org: Cds, key: str) -> str:
    found = org.get("/profile-schema/traits").json()
    return str(next(each["attribute_id"] for each in found if each["attribute_name"] == f"traits.{key}"))


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
        said(org, "PUT", ATTRIBUTES, [entry])
    refused(ask(org, "PUT", ATTRIBUTES, {}), 400, "CDS-10001")


def test_the_work_of_a_dataset_is_shown(shop: Cds) -> None:
    told(shop, "POST", "/datasets", {"name": "web"}, 201)
    told(
        shop, "PUT", "/datasets/web/identity-attributes", [{"name": "mail", "identity_type": "emailAddress"}]
    )
    progress = "/unification-rules/progress"
    found = shop.admin("GET", progress, params={"dataset": "web"}).json()["progress"]
    assert [work["rule_id"] for work in found] == ["identity:mail"]
    assert shop.admin("GET", progress).json()["progress"] == []
    assert shop.admin("GET", progress, params={"dataset": "nothing"}).status_code == 404


# -- channels -----------------------------------------------------------------------------------------------


def test_channels_stand_for_what_is_bound(shop: Cds) -> None:
    assert told(shop, "GET", CHANNELS) == {}
    bound = [{"name": name, "identity_type": name} for name in ("customerId", "emailAddress", "loyaltyId")]
    told(shop, "PUT", ATTRIBUTES, bound)
    default = {**dict.fromkeys(("Web", "Server", "Mobile"), "customerId"), "OpenTimeEmail": "emailAddress"}
    assert told(shop, "GET", CHANNELS) == default
    assert told(shop, "PUT", CHANNELS, {"Web": "loyaltyId"}) == {**default, "Web": "loyaltyId"}
    assert "choose another identity first" in said(shop, "PUT", ATTRIBUTES, bound[:2], 409)
    assert told(shop, "PUT", CHANNELS, {"Web": None}) == default
    said(shop, "PUT", CHANNELS, {"Web": "nothing"})
    refused(ask(shop, "PUT", CHANNELS, {"Fax": "loyaltyId"}), 400, "CDS-10001")


def test_a_channel_with_users_changes_only_with_confirmation(shop: Cds) -> None:
    told(shop, "PUT", ATTRIBUTES, [{"name": "loyaltyId", "identity_type": "loyaltyId"}])
    shop.create()
    answer = ask(shop, "PUT", CHANNELS, {"Web": "loyaltyId"})
    assert answer.status_code == 409
    assert answer.json()["preview"]["counts"]["absorbed"] == 0
    confirmed = {"confirmation": answer.json()["confirmation"]}
    assert told(shop, "PUT", CHANNELS, {"Web": "loyaltyId"}, params=confirmed) == {"Web": "loyaltyId"}


def test_all_of_this_folds(org: Cds, service: RunningService) -> None:
    done = service.command("verify", deadline_s=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
