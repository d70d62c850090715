"""Concurrent requests of administrators: one succeeds, the others are conflicts, and no change is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from oneself.service.directory.issuers import ISSUERS_MAX
from oneself.store.directory import Directory
from support.caller import Cds
from support.waiting import is_waited_for, until_async

REQUESTS = 8
SERVER = {"url": "https://is.example", "client_id": "oneself", "client_secret": "a secret"}
ISSUERS = "/identity-provider/trusted-issuers"
TYPE = {"label": "Loyalty", "uniqueness": "Identity Namespace", "case_sensitive": False}
PERSON = {
    "username": "ann@acme.example",
    "password": "a valid password",
    "given_name": "A",
    "last_name": "L",
}


async def admin(cds: Cds, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await cds.token()}"}
    options = {} if body is None else {"json": body}
    return await cds.http.request(
        method, f"/t/{cds.dataset_ref.handle}/api/v1{path}", headers=headers, **options
    )


async def post_all(cds: Cds, path: str, *bodies: Any) -> list[httpx.Response]:
    return await asyncio.gather(*(admin(cds, "POST", path, body) for body in bodies))


async def patch_all(cds: Cds, path: str, *bodies: Any) -> dict[str, Any]:
    """Apply the changes concurrently, all of which must succeed; the resource afterwards."""
    answers = await asyncio.gather(*(admin(cds, "PATCH", path, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return dict((await admin(cds, "GET", path)).json())


def only_created(answers: list[httpx.Response]) -> dict[str, Any]:
    """The answer of the only request that succeeded; all others must be conflicts."""
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [409] * (len(answers) - 1), [answer.text for answer in answers]
    return dict(next(answer.json() for answer in answers if answer.status_code == 201))


class TestIdentityProvider:
    async def test_one_of_several_concurrent_servers_is_stored(self, cds: Cds) -> None:
        bodies = [{**SERVER, "client_id": f"client-{number}"} for number in range(REQUESTS)]
        created = only_created(await post_all(cds, "/identity-provider", *bodies))
        assert (await admin(cds, "GET", "/identity-provider")).json()["identity_server"] == created

    async def test_concurrent_changes_of_different_fields_are_all_stored(self, cds: Cds) -> None:
        await post_all(cds, "/identity-provider", SERVER)
        sync = {"sync_username": "reporter", "sync_password": "sync password"}
        changes = [{"url": "https://other.example"}, {"client_id": "x"}, {"grant": "system_app_grant"}, sync]
        changed = (await patch_all(cds, "/identity-provider", *changes))["identity_server"]
        assert changed == {
            "own": True,
            "url": "https://other.example",
            "client_id": "x",
            "grant": "system_app_grant",
            "sync_username": "reporter",
        }

    async def test_a_deleted_server_is_not_restored_by_changes(self, cds: Cds) -> None:
        await post_all(cds, "/identity-provider", SERVER)
        changes = (
            admin(cds, "PATCH", "/identity-provider", {"client_id": f"c-{n}"}) for n in range(REQUESTS)
        )
        answers = await asyncio.gather(admin(cds, "DELETE", "/identity-provider"), *changes)
        assert {answer.status_code for answer in answers} <= {200, 204, 404}
        assert (await admin(cds, "GET", "/identity-provider")).json()["identity_server"] is None


class TestDeletion:
    async def test_a_deletion_waits_for_a_change_that_began_before_it(self, cds: Cds) -> None:
        """Otherwise the change stores again what is deleted."""
        await post_all(cds, "/identity-provider", SERVER)
        (issuer,) = await post_all(cds, ISSUERS, {"issuer": "https://id.example"})
        database = cds.services.database
        for path in ("/identity-provider", f"{ISSUERS}/{issuer.json()['issuer_id']}"):
            async with Directory(database).transaction() as changing:
                await changing.lock(cds.dataset_ref.org_id)
                deletion = asyncio.create_task(admin(cds, "DELETE", path))
                await until_async(lambda: is_waited_for(database), "The deletion does not wait.", 10)
            assert (await deletion).status_code == 204


class TestTrustedIssuers:
    async def test_one_of_several_equal_issuers_is_added(self, cds: Cds) -> None:
        created = only_created(await post_all(cds, ISSUERS, *[{"issuer": "https://id.example"}] * REQUESTS))
        assert (await admin(cds, "GET", ISSUERS)).json()["trusted_issuers"] == [created]

    async def test_the_limit_of_issuers_applies_to_concurrent_requests(self, cds: Cds) -> None:
        bodies = [{"issuer": f"https://{number}.example"} for number in range(ISSUERS_MAX + REQUESTS)]
        statuses = sorted(answer.status_code for answer in await post_all(cds, ISSUERS, *bodies))
        assert statuses == [201] * ISSUERS_MAX + [409] * REQUESTS

    async def test_concurrent_changes_of_different_fields_are_all_stored(self, cds: Cds) -> None:
        (created,) = await post_all(cds, ISSUERS, {"issuer": "https://id.example"})
        keys = "https://id.example/keys"
        changes = [{"audience": "us"}, {"jwks_uri": keys}, {"permissions": ["internal_cds_profile_view"]}]
        changed = await patch_all(cds, f"{ISSUERS}/{created.json()['issuer_id']}", *changes)
        found = (changed["audience"], changed["jwks_uri"], changed["permissions"])
        assert found == ("us", keys, ["internal_cds_profile_view"])


class TestApplications:
    async def test_one_of_several_applications_with_one_id_is_created(self, cds: Cds) -> None:
        bodies = [{"name": f"name {number}", "client_id": "shop"} for number in range(REQUESTS)]
        created = only_created(await post_all(cds, "/applications", *bodies))
        assert (await admin(cds, "GET", "/applications/shop")).json()["name"] == created["name"]

    async def test_concurrent_changes_of_different_fields_are_all_stored(self, cds: Cds) -> None:
        uris = ["https://shop.example/callback"]
        await post_all(
            cds, "/applications", {"name": "a", "client_id": "shop", "kind": "web", "redirect_uris": uris}
        )
        later = ["https://shop.example/later"]
        changes = [{"name": "b"}, {"redirect_uris": later}, {"permissions": ["internal_cds_profile_view"]}]
        changed = await patch_all(cds, "/applications/shop", *changes)
        found = (changed["name"], changed["redirect_uris"], changed["permissions"])
        assert found == ("b", later, ["internal_cds_profile_view"])


class TestDatasets:
    async def test_one_of_several_datasets_with_one_name_is_created(self, cds: Cds) -> None:
        only_created(await post_all(cds, "/datasets", *[{"name": "web"}] * REQUESTS))

    async def test_one_of_several_deletions_succeeds(self, cds: Cds) -> None:
        await post_all(cds, "/datasets", {"name": "web"})
        answers = await asyncio.gather(*(admin(cds, "DELETE", "/datasets/web") for _ in range(REQUESTS)))
        assert sorted(answer.status_code for answer in answers) == [204] + [404] * (REQUESTS - 1)

    async def test_a_deleted_dataset_leaves_no_configuration(self, cds: Cds) -> None:
        await post_all(cds, "/datasets", {"name": "web"})
        changes = (admin(cds, "PATCH", "/datasets/web", {"label": f"Web {n}"}) for n in range(REQUESTS))
        types = (admin(cds, "POST", "/identity-types", {"id": f"type{n}", **TYPE}) for n in range(REQUESTS))
        answers = await asyncio.gather(*changes, admin(cds, "DELETE", "/datasets/web"), *types)
        assert {answer.status_code for answer in answers} <= {200, 201, 204, 404}
        orphans = "SELECT dataset_id FROM config WHERE dataset_id NOT IN (SELECT dataset_id FROM dataset)"
        assert await cds.services.database.fetch(orphans) == []


async def test_one_of_several_identity_types_with_one_id_is_created(cds: Cds) -> None:
    only_created(await post_all(cds, "/identity-types", *[{"id": "loyalty", **TYPE}] * REQUESTS))


async def test_one_of_several_rules_on_one_attribute_is_created(cds: Cds) -> None:
    await cds.define("traits", {"attribute_name": "traits.phone"})
    rule = {"rule_name": "by phone", "property_name": "traits.phone", "is_active": True}
    created = await asyncio.gather(
        *(cds("POST", "/unification-rules", json={**rule, "priority": n}) for n in range(1, REQUESTS + 1))
    )
    assert sum(answer.status_code == 201 for answer in created) == 1, [answer.text for answer in created]
    assert {answer.status_code for answer in created} <= {201, 400, 409}


@pytest.mark.parametrize("keys", [REQUESTS, 3 * REQUESTS])
async def test_concurrent_token_keys_have_consecutive_ids(cds: Cds, keys: int) -> None:
    answers = await post_all(cds, "/token-keys", *[None] * keys)
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    created = sorted((answer.json() for answer in answers), key=lambda key: key["key_id"])
    assert [key["key_id"] for key in created] == list(range(2, keys + 2))
    instants = [key["created_at"] for key in created]
    assert instants == sorted(instants), "keys are created in the order of their ids"


async def test_concurrent_changes_of_different_claims_are_all_stored(cds: Cds) -> None:
    (created,) = await post_all(cds, "/users", PERSON)
    changes = [{"given_name": "Ann"}, {"last_name": "Lee"}, {"mobile": "+44 20 7946 0958"}]
    changed = await patch_all(cds, f"/users/{created.json()['user_id']}", *changes)
    found = (changed["given_name"], changed["last_name"], changed["mobile"])
    assert found == ("Ann", "Lee", "+44 20 7946 0958")
