"""Applications, users and the identity provider of an organisation over REST."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from support.application import SECRET, SYSTEM
from support.caller import Cds

NAMES = {"given_name": "Ann", "last_name": "Lee"}
PASSWORD = "a valid password"
CLIENT_SECRET = "a secret of the identity server"
SERVER = {"url": "https://is.example/", "client_id": "oneself", "client_secret": CLIENT_SECRET}


async def admin(cds: Cds, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token or await cds.token()}"}
    return await cds.http.request(
        method, f"/t/{cds.dataset_ref.handle}/api/v1{path}", headers=headers, **options
    )


async def create(cds: Cds, path: str, **body: Any) -> dict[str, Any]:
    answer = await admin(cds, "POST", path, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def token_of(cds: Cds, application: dict[str, Any]) -> httpx.Response:
    form = {"grant_type": "client_credentials", "scope": " ".join(application["permissions"])}
    auth = (application["client_id"], application["client_secret"])
    return await cds.http.post(f"/t/{cds.dataset_ref.handle}/oauth2/token", data=form, auth=auth)


async def user(cds: Cds, name: str = "ann") -> dict[str, Any]:
    return await create(cds, "/users", username=f"{name}@acme.example", password=PASSWORD, **NAMES)


class TestApplications:
    async def test_the_secret_is_shown_once_and_works(self, cds: Cds) -> None:
        new = await create(cds, "/applications", name="backend", permissions=["internal_cds_profile_view"])
        assert (new["kind"], new["permissions"]) == ("machine", ["internal_cds_profile_view"])
        assert (await token_of(cds, new)).status_code == 200
        read = (await admin(cds, "GET", f"/applications/{new['client_id']}")).json()
        assert read == {name: value for name, value in new.items() if name != "client_secret"}
        assert new["client_secret"] not in (await admin(cds, "GET", "/applications")).text

    async def test_the_audit_log_has_who_made_it_and_what_changed(self, cds: Cds) -> None:
        new = await create(cds, "/applications", name="backend")
        path = f"/applications/{new['client_id']}"
        assert (await admin(cds, "PATCH", path, json={"name": "shop"})).status_code == 200
        listed = await cds.http.get(f"/t/{cds.dataset_ref.handle}/api/audit/list", auth=(SYSTEM, SECRET))
        entry = listed.json()["audits"][0]
        assert (entry["action"], entry["user"], entry["face"]) == ("application", SYSTEM, "admin")
        subject = f"application {new['client_id']}"
        assert entry["changed"] == [
            {"subject": subject, "name": "name", "before": "backend", "after": "shop"}
        ]
        assert new["client_secret"] not in listed.text

    async def test_a_browser_application_has_no_secret(self, cds: Cds) -> None:
        uris = ["https://shop.example/callback"]
        new = await create(cds, "/applications", name="shop", kind="browser", redirect_uris=uris)
        assert "client_secret" not in new
        assert new["redirect_uris"] == uris

    async def test_removing_a_permission_revokes_its_tokens(self, cds: Cds) -> None:
        permissions = ["internal_cds_profile_view", "internal_cds_profile_update"]
        new = await create(cds, "/applications", name="backend", permissions=permissions)
        token = (await token_of(cds, new)).json()["access_token"]
        assert (await cds("GET", "/profiles", token=token)).status_code == 200
        path = f"/applications/{new['client_id']}"
        changed = await admin(cds, "PATCH", path, json={"name": "back", "permissions": permissions[1:]})
        assert (changed.json()["name"], changed.json()["permissions"]) == ("back", permissions[1:])
        assert (await cds("GET", "/profiles", token=token)).status_code == 401

    async def test_a_deleted_application_is_not_found(self, cds: Cds) -> None:
        new = await create(cds, "/applications", name="backend")
        path = f"/applications/{new['client_id']}"
        assert (await admin(cds, "DELETE", path)).status_code == 204
        assert (await admin(cds, "DELETE", path)).status_code == 204
        assert (await admin(cds, "GET", path)).status_code == 404
        assert (await token_of(cds, new)).status_code == 401

    async def test_the_list_of_applications_has_pages(self, cds: Cds) -> None:
        for name in "abc":
            await create(cds, "/applications", name=name, client_id=f"client-{name}")
        found, cursor = [], ""
        for _ in range(4):
            page = (await admin(cds, "GET", f"/applications?page_size=1&cursor={cursor}")).json()
            found += [application["client_id"] for application in page["applications"]]
            cursor = page["pagination"].get("next_cursor", "")
        assert (found, cursor) == (["client-a", "client-b", "client-c", "crm"], "")

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "x", "kind": "robot"},
            {"name": "x", "kind": "web"},
            {"name": "x", "permissions": ["all"]},
            {"name": "x", "permissions": "all"},
            {"name": "x", "kind": "web", "redirect_uris": ["javascript:alert(1)"]},
            {"name": "x", "client_id": "a b"},
            {"name": "x", "client_secret": "chosen by the caller"},
            {"name": 7},
        ],
        ids=str,
    )
    async def test_invalid_applications_are_rejected(self, cds: Cds, body: dict[str, Any]) -> None:
        assert (await admin(cds, "POST", "/applications", json=body)).status_code == 400

    async def test_a_client_id_in_use_is_a_conflict(self, cds: Cds) -> None:
        answer = await admin(cds, "POST", "/applications", json={"name": "x", "client_id": "crm"})
        assert answer.status_code == 409

    async def test_a_machine_application_cannot_get_a_redirect_uri(self, cds: Cds) -> None:
        body = {"redirect_uris": ["https://shop.example/"]}
        assert (await admin(cds, "PATCH", "/applications/crm", json=body)).status_code == 400
        assert (await admin(cds, "PATCH", "/applications/unknown", json={})).status_code == 404


class TestUsers:
    async def test_a_user_is_created_read_and_listed_without_password(self, cds: Cds) -> None:
        ann = await user(cds)
        assert ann["username"] == "ann@acme.example"
        assert set(ann) == {
            *("user_id", "username", "given_name", "last_name", "mobile", "created_at"),
            *("email_verified", "email_verified_at", "mobile_verified", "mobile_verified_at"),
        }
        assert (await admin(cds, "GET", f"/users/{ann['user_id']}")).json() == ann
        await user(cds, "ben")
        first = (await admin(cds, "GET", "/users?page_size=1")).json()
        assert first["users"] == [ann]
        cursor = first["pagination"]["next_cursor"]
        second = (await admin(cds, "GET", f"/users?page_size=1&cursor={cursor}")).json()
        assert [user["username"] for user in second["users"]] == ["ben@acme.example"]
        assert "next_cursor" not in second["pagination"]

    async def test_a_changed_user_updates_the_profile_at_once(self, cds: Cds) -> None:
        ann = await user(cds)
        profile = await cds.create(user_id=ann["user_id"])
        path = f"/users/{ann['user_id']}"
        changed = await admin(cds, "PATCH", path, json={"given_name": "Anna", "mobile": "+44 20 7946 0958"})
        assert (changed.json()["given_name"], changed.json()["mobile"]) == ("Anna", "+44 20 7946 0958")
        found = (await cds("GET", f"/profiles/{profile['profile_id']}")).json()["identity_attributes"]
        assert (found["givenname"], found["mobile"]) == ("Anna", "+44 20 7946 0958")
        assert (await admin(cds, "PATCH", path, json={"mobile": ""})).json()["mobile"] == ""
        found = (await cds("GET", f"/profiles/{profile['profile_id']}")).json()["identity_attributes"]
        assert "mobile" not in found

    async def test_a_new_password_replaces_the_old_one(self, cds: Cds) -> None:
        ann, accounts = await user(cds), cds.services.directory.accounts
        path, new_password = f"/users/{ann['user_id']}", "another valid password"
        assert (await admin(cds, "PATCH", path, json={"password": new_password})).status_code == 200
        assert await accounts.authenticate(cds.dataset_ref, ann["username"], PASSWORD) is None
        assert await accounts.authenticate(cds.dataset_ref, ann["username"], new_password) is not None

    async def test_a_deleted_user_is_erased(self, cds: Cds) -> None:
        ann = await user(cds)
        profile = await cds.create(user_id=ann["user_id"])
        path = f"/users/{ann['user_id']}"
        assert (await admin(cds, "DELETE", path)).status_code == 204
        assert (await cds("GET", f"/profiles/{profile['profile_id']}")).status_code == 404
        assert (await admin(cds, "GET", path)).status_code == 404
        assert (await admin(cds, "DELETE", path)).status_code == 204
        erasures = (await admin(cds, "GET", "/erasures")).json()["erasures"]
        assert [erasure["profile_ids"] for erasure in erasures] == [[profile["profile_id"]]]

    async def test_a_user_of_another_directory_is_not_erased(self, cds: Cds) -> None:
        user_id = str(uuid.uuid4())
        profile = await cds.create(user_id=user_id)
        assert (await admin(cds, "DELETE", f"/users/{user_id}")).status_code == 204
        assert (await cds("GET", f"/profiles/{profile['profile_id']}")).status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"username": "nobody"},
            {"username": None},
            {"password": "short"},
            {"password": "password1"},
            {"given_name": ""},
            {"mobile": "call me"},
            {"sub": "x"},
        ],
        ids=str,
    )
    async def test_invalid_users_are_rejected(self, cds: Cds, changes: dict[str, Any]) -> None:
        valid = {"username": "ann@acme.example", "password": PASSWORD, **NAMES}
        assert (await admin(cds, "POST", "/users", json={**valid, **changes})).status_code == 400

    async def test_an_address_in_use_and_invalid_changes_are_rejected(self, cds: Cds) -> None:
        ann = await user(cds)
        taken = {"username": "ANN@acme.example", "password": PASSWORD, **NAMES}
        path = f"/users/{ann['user_id']}"
        await admin(cds, "PATCH", path, json={"email_verified": True})
        assert (await admin(cds, "POST", "/users", json=taken)).status_code == 409
        for body in (
            {"given_name": ""},
            {"password": "short"},
            {"username": "x@acme.example"},
            {"mobile": 7},
        ):
            assert (await admin(cds, "PATCH", path, json=body)).status_code == 400
        for unknown in (str(uuid.uuid4()), "unknown"):
            assert (await admin(cds, "PATCH", f"/users/{unknown}", json={})).status_code == 404


class TestIdentityProvider:
    async def test_create_change_read_and_delete_an_identity_server(self, cds: Cds) -> None:
        empty = {"identity_server": None, "trusted_issuers": []}
        assert (await admin(cds, "GET", "/identity-provider")).json() == empty
        assert (await admin(cds, "PATCH", "/identity-provider", json={"url": "https://x"})).status_code == 404
        answer = await admin(cds, "POST", "/identity-provider", json=SERVER)
        expected = {
            "own": True,
            "url": "https://is.example",
            "client_id": "oneself",
            "grant": "client_credentials",
            "sync_username": None,
        }
        assert (answer.status_code, answer.json()) == (201, expected)
        assert (await admin(cds, "POST", "/identity-provider", json=SERVER)).status_code == 409
        changes = {"sync_username": "is", "sync_password": "sync secret", "grant": "system_app_grant"}
        changed = await admin(cds, "PATCH", "/identity-provider", json=changes)
        assert (changed.json()["sync_username"], changed.json()["grant"]) == ("is", "system_app_grant")
        stored = await cds.services.identity_provider.servers.get(cds.dataset_ref)
        assert stored is not None
        assert (stored.connection.client_secret, stored.sync_password) == (CLIENT_SECRET, "sync secret")
        read = await admin(cds, "GET", "/identity-provider")
        assert CLIENT_SECRET not in read.text
        assert "sync secret" not in read.text
        assert (await admin(cds, "DELETE", "/identity-provider")).status_code == 204
        assert (await admin(cds, "GET", "/identity-provider")).json() == empty

    @pytest.mark.parametrize(
        "changes",
        [
            {"url": None},
            {"url": "ftp://is.example"},
            {"url": "https://user:word@is.example"},
            {"url": "https://is.example?x=1"},
            {"client_id": ""},
            {"client_secret": None},
            {"grant": "password"},
            {"sync_username": "is"},
            {"sync_username": "i:s", "sync_password": "x"},
            {"more": 1},
        ],
        ids=str,
    )
    async def test_invalid_server_settings_are_rejected(self, cds: Cds, changes: dict[str, Any]) -> None:
        answer = await admin(cds, "POST", "/identity-provider", json={**SERVER, **changes})
        assert answer.status_code == 400, answer.text

    async def test_create_change_list_and_delete_a_trusted_issuer(self, cds: Cds) -> None:
        path = "/identity-provider/trusted-issuers"
        new = await create(cds, path, issuer="https://login.example/realm")
        assert (new["audience"], new["jwks_uri"], new["permissions"]) == ("iam-cds", None, [])
        one = f"{path}/{new['issuer_id']}"
        assert (await admin(cds, "GET", one)).json() == new
        assert new["verified_claims"] == "as_stated"
        changes = {
            "jwks_uri": "https://login.example/keys",
            "permissions": ["internal_cds_profile_view"],
            "verified_claims": "never",
        }
        changed = (await admin(cds, "PATCH", one, json=changes)).json()
        assert {name: changed[name] for name in changes} == changes
        assert (await admin(cds, "PATCH", one, json={"jwks_uri": ""})).json()["jwks_uri"] is None
        listed = (await admin(cds, "GET", path)).json()
        assert [trusted_issuer["issuer_id"] for trusted_issuer in listed["trusted_issuers"]] == [
            new["issuer_id"]
        ]
        again = await admin(cds, "POST", path, json={"issuer": "https://login.example/realm"})
        assert again.status_code == 409
        assert (await admin(cds, "DELETE", one)).status_code == 204
        assert (await admin(cds, "DELETE", one)).status_code == 204
        assert (await admin(cds, "GET", one)).status_code == 404
        assert (await admin(cds, "GET", f"{path}/nonsense")).status_code == 404

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"issuer": "http://login.example"},
            {"issuer": "login.example"},
            {"issuer": "https://"},
            {"issuer": "https://a:b@login.example"},
            {"issuer": "https://login.example?x"},
            {"issuer": "https://login.example:port"},
            {"issuer": "https://" + "x" * 600},
            {"issuer": "https://login.example", "jwks_uri": "file:///etc/passwd"},
            {"issuer": "https://login.example", "audience": ""},
            {"issuer": "https://login.example", "permissions": ["everything"]},
            {"issuer": "https://login.example", "verified_claims": "often"},
            {"issuer": 7},
        ],
        ids=lambda body: str(body)[:60],
    )
    async def test_invalid_issuers_are_rejected(self, cds: Cds, body: dict[str, Any]) -> None:
        answer = await admin(cds, "POST", "/identity-provider/trusted-issuers", json=body)
        assert answer.status_code == 400, answer.text


ISSUER_PATH = f"/identity-provider/trusted-issuers/{uuid.uuid4()}"
ROUTES = [
    *((verb, "/identity-provider") for verb in ("GET", "POST", "PATCH", "DELETE")),
    *((verb, "/identity-provider/trusted-issuers") for verb in ("GET", "POST")),
    *((verb, ISSUER_PATH) for verb in ("GET", "PATCH", "DELETE")),
    *((verb, "/code-webhook") for verb in ("GET", "PUT", "DELETE")),
    *((verb, "/applications") for verb in ("GET", "POST")),
    *((verb, "/applications/crm") for verb in ("GET", "PATCH", "DELETE")),
    *((verb, "/users") for verb in ("GET", "POST")),
    *((verb, f"/users/{uuid.uuid4()}") for verb in ("GET", "PATCH", "DELETE")),
]


async def test_every_route_requires_its_permission_in_its_organisation(cds: Cds, stranger: Cds) -> None:
    view, update = await cds.token("admin_config_view"), await cds.token("admin_config_update")
    for verb, path in ROUTES:
        foreign = await admin(cds, verb, path, token=await stranger.token(), json={})
        assert (foreign.status_code, foreign.json()["code"]) == (401, "CDS-10002"), (verb, path)
        wrong = await admin(cds, verb, path, token=update if verb == "GET" else view, json={})
        assert (wrong.status_code, wrong.json()["code"]) == (403, "CDS-10003"), (verb, path)
    assert (await admin(cds, "GET", "/applications/crm", token=view)).status_code == 200


async def test_resources_of_another_organisation_are_not_found(cds: Cds, stranger: Cds) -> None:
    ann = await user(cds)
    new = await create(cds, "/identity-provider/trusted-issuers", issuer="https://login.example")
    for path in (
        f"/users/{ann['user_id']}",
        "/applications/crm",
        f"/identity-provider/trusted-issuers/{new['issuer_id']}",
    ):
        assert (await admin(stranger, "GET", path)).status_code == 404
        assert (await admin(stranger, "PATCH", path, json={})).status_code == 404
        assert (await admin(stranger, "DELETE", path)).status_code == 204
        assert (await admin(cds, "GET", path)).status_code == 200
