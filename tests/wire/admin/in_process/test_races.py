"""Concurrent requests of administrators: one wins, the others are told so, and no change is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from oneself.service.directory.issuers import ISSUERS_MAX
from support.caller import Cds

REQUESTS = 8
SERVER = {"url": "https://is.example", "client_id": "oneself", "client_secret": "a secret"}
ISSUERS = "/identity-provider/trusted-issuers"
TYPE = {"label": "Loyalty", "uniqueness": "Identity Namespace", "case_sensitive": False}
PERSON = {
    "username": "ann@acme.example",
    "password": "a password of hers",
    "given_name": "A",
    "last_name": "L",
}


async def admin(cds: Cds, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {await cds.token()}"}
    options = {} if body is None else {"json": body}
    return await cds.http.request(
        method, f"/t/{cds.dataset_ref.handle}/api/v1{path}", headers=headers, **options
    )


async def posted(cds: Cds, path: str, *bodies: Any) -> list[httpx.Response]:
    return await asyncio.gather(*(admin(cds, "POST", path, body) for body in bodies))


async def patched(cds: Cds, path: str, *bodies: Any) -> dict[str, Any]:
    """The resource after all these changes at once, each of which is accepted."""
    answers = await asyncio.gather(*(admin(cds, "PATCH", path, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return dict((await admin(cds, "GET", path)).json())


def winner(answers: list[httpx.Response]) -> dict[str, Any]:
    """The answer of the one request that succeeded; every other one is a conflict."""
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [201] + [409] * (len(answers) - 1), [answer.text for answer in answers]
    return dict(next(answer.json() for answer in answers if answer.status_code == 201))


class TestIdentityProvider:
    async def test_one_of_several_servers_is_configured(self, cds: Cds) -> None:
        bodies = [{**SERVER, "client_id": f"client-{number}"} for number in range(REQUESTS)]
        made = winner(await posted(cds, "/identity-provider", *bodies))
        assert (await admin(cds, "GET", "/identity-provider")).json()["identity_server"] == made

    async def test_changes_of_different_fields_are_all_kept(self, cds: Cds) -> None:
        await posted(cds, "/identity-provider", SERVER)
        sync = {"sync_username": "them", "sync_password": "their password"}
        changes = [{"url": "https://other.example"}, {"client_id": "x"}, {"grant": "system_app_grant"}, sync]
        left = (await patched(cds, "/identity-provider", *changes))["identity_server"]
        assert left == {
            "own": True,
            "url": "https://other.example",
            "client_id": "x",
            "grant": "system_app_grant",
            "sync_username": "them",
        }

    async def test_a_removed_server_does_not_come_back(self, cds: Cds) -> None:
        await posted(cds, "/identity-provider", SERVER)
        changes = (
            admin(cds, "PATCH", "/identity-provider", {"client_id": f"c-{n}"}) for n in range(REQUESTS)
        )
        answers = await asyncio.gather(admin(cds, "DELETE", "/identity-provider"), *changes)
        assert {answer.status_code for answer in answers} <= {200, 204, 404}
        assert (await admin(cds, "GET", "/identity-provider")).json()["identity_server"] is None


class TestTrustedIssuers:
    async def test_one_of_several_alike_is_trusted(self, cds: Cds) -> None:
        made = winner(await posted(cds, ISSUERS, *[{"issuer": "https://id.example"}] * REQUESTS))
        assert (await admin(cds, "GET", ISSUERS)).json()["trusted_issuers"] == [made]

    async def test_no_more_than_the_limit_is_trusted(self, cds: Cds) -> None:
        bodies = [{"issuer": f"https://{number}.example"} for number in range(ISSUERS_MAX + REQUESTS)]
        statuses = sorted(answer.status_code for answer in await posted(cds, ISSUERS, *bodies))
        assert statuses == [201] * ISSUERS_MAX + [409] * REQUESTS

    async def test_changes_of_different_fields_are_all_kept(self, cds: Cds) -> None:
        (made,) = await posted(cds, ISSUERS, {"issuer": "https://id.example"})
        keys = "https://id.example/keys"
        changes = [{"audience": "us"}, {"jwks_uri": keys}, {"permissions": ["internal_cds_profile_view"]}]
        left = await patched(cds, f"{ISSUERS}/{made.json()['issuer_id']}", *changes)
        found = (left["audience"], left["jwks_uri"], left["permissions"])
        assert found == ("us", keys, ["internal_cds_profile_view"])


class TestApplications:
    async def test_one_of_several_of_one_id_is_created(self, cds: Cds) -> None:
        bodies = [{"name": f"name {number}", "client_id": "shop"} for number in range(REQUESTS)]
        made = winner(await posted(cds, "/applications", *bodies))
        assert (await admin(cds, "GET", "/applications/shop")).json()["name"] == made["name"]

    async def test_changes_of_different_fields_are_all_kept(self, cds: Cds) -> None:
        uris = ["https://shop.example/callback"]
        await posted(
            cds, "/applications", {"name": "a", "client_id": "shop", "kind": "web", "redirect_uris": uris}
        )
        later = ["https://shop.example/later"]
        changes = [{"name": "b"}, {"redirect_uris": later}, {"permissions": ["internal_cds_profile_view"]}]
        left = await patched(cds, "/applications/shop", *changes)
        found = (left["name"], left["redirect_uris"], left["permissions"])
        assert found == ("b", later, ["internal_cds_profile_view"])


class TestDatasets:
    async def test_one_of_several_of_one_name_is_created(self, cds: Cds) -> None:
        winner(await posted(cds, "/datasets", *[{"name": "web"}] * REQUESTS))

    async def test_a_dataset_is_deleted_once(self, cds: Cds) -> None:
        await posted(cds, "/datasets", {"name": "web"})
        answers = await asyncio.gather(*(admin(cds, "DELETE", "/datasets/web") for _ in range(REQUESTS)))
        assert sorted(answer.status_code for answer in answers) == [204] + [404] * (REQUESTS - 1)

    async def test_a_deleted_dataset_leaves_no_configuration(self, cds: Cds) -> None:
        await posted(cds, "/datasets", {"name": "web"})
        changes = (admin(cds, "PATCH", "/datasets/web", {"label": f"Web {n}"}) for n in range(REQUESTS))
        types = (admin(cds, "POST", "/identity-types", {"id": f"type{n}", **TYPE}) for n in range(REQUESTS))
        answers = await asyncio.gather(*changes, admin(cds, "DELETE", "/datasets/web"), *types)
        assert {answer.status_code for answer in answers} <= {200, 201, 204, 404}
        orphans = "SELECT dataset_id FROM config WHERE dataset_id NOT IN (SELECT dataset_id FROM dataset)"
        assert await cds.services.database.fetch(orphans) == []


async def test_one_of_several_identity_types_of_one_id_is_created(cds: Cds) -> None:
    winner(await posted(cds, "/identity-types", *[{"id": "loyalty", **TYPE}] * REQUESTS))


async def test_one_of_several_rules_on_one_attribute_is_created(cds: Cds) -> None:
    await cds.define("traits", {"attribute_name": "traits.phone"})
    rule = {"rule_name": "by phone", "property_name": "traits.phone", "is_active": True}
    made = await asyncio.gather(
        *(cds("POST", "/unification-rules", json={**rule, "priority": n}) for n in range(1, REQUESTS + 1))
    )
    assert sum(answer.status_code == 201 for answer in made) == 1, [answer.text for answer in made]
    assert {answer.status_code for answer in made} <= {201, 400, 409}


@pytest.mark.parametrize("keys", [REQUESTS, 3 * REQUESTS])
async def test_token_keys_are_created_one_after_the_other(cds: Cds, keys: int) -> None:
    answers = await posted(cds, "/token-keys", *[None] * keys)
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    made = sorted((answer.json() for answer in answers), key=lambda key: key["key_id"])
    assert [key["key_id"] for key in made] == list(range(2, keys + 2))
    instants = [key["created_at"] for key in made]
    assert instants == sorted(instants), "a later id is a later key"


async def test_changes_of_different_claims_are_all_kept(cds: Cds) -> None:
    (made,) = await posted(cds, "/users", PERSON)
    changes = [{"given_name": "Ann"}, {"last_name": "Lee"}, {"mobile": "+44 20 7946 0958"}]
    left = await patched(cds, f"/users/{made.json()['user_id']}", *changes)
    found = (left["given_name"], left["last_name"], left["mobile"])
    assert found == ("Ann", "Lee", "+44 20 7946 0958")
