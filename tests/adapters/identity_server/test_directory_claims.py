"""Claims of the embedded directory become identity attributes, as those of an identity server do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from oneself.adapters.identity_server.connection import Connection
from oneself.errors import Conflict, InvalidInput, NotFound
from oneself.service.identity_provider.directory_claims import DirectoryClaim
from oneself.service.identity_provider.settings import OwnIdentityServer
from oneself.services import Services
from support.caller import Cds

pytestmark = pytest.mark.asyncio
DEFAULT_CLAIMS = {"userid", "username", "emailaddress", "givenname", "lastname", "mobile"}


@pytest.fixture
def admin(cds: Cds) -> Any:
    """Calls `/t/acme/api/v1`."""

    async def call(method: str, path: str, *permissions: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await cds.token(*permissions)}"}
        return await cds.http.request(method, f"/t/acme/api/v1{path}", headers=headers, **request)

    return call


async def names(cds: Cds) -> set[str]:
    found = (await cds("GET", "/profile-schema/identity_attributes")).json()
    return {attribute["attribute_name"].partition(".")[2] for attribute in found}


async def test_a_new_organisation_has_the_default_claims(cds: Cds, services: Services) -> None:
    assert (
        {claim.name for claim in await services.identity_provider.directory_claims.list(cds.dataset_ref)}
        == DEFAULT_CLAIMS
        == await names(cds)
    )


async def test_adding_changing_deleting_reconciles_at_once(cds: Cds, services: Services) -> None:
    added = await services.identity_provider.directory_claims.add(
        cds.dataset_ref, DirectoryClaim("age", display_name="Age")
    )
    assert await names(cds) == DEFAULT_CLAIMS | {"age"}
    profile = await cds.create(identity_attributes={"age": "old", "givenname": "Ann"})
    path = f"/profiles/{profile['profile_id']}"
    changed = await services.identity_provider.directory_claims.change(
        cds.dataset_ref, "age", {"value_type": "integer"}
    )
    assert (changed.attribute_id, changed.display_name) == (added.attribute_id, "Age")
    # A value that is no longer valid is stored, but not shown, and the profile can still be changed.
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "Ann"}
    assert (await cds("PATCH", path, json={"identity_attributes": {"age": 42}})).status_code == 200
    assert await services.identity_provider.directory_claims.delete(cds.dataset_ref, "age")
    assert not await services.identity_provider.directory_claims.delete(cds.dataset_ref, "age")
    assert await names(cds) == DEFAULT_CLAIMS
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "Ann"}
    assert (await cds("PATCH", path, json={"identity_attributes": {"givenname": "A"}})).status_code == 200
    again = await services.identity_provider.directory_claims.add(
        cds.dataset_ref, DirectoryClaim("age", value_type="integer")
    )
    assert again.attribute_id == added.attribute_id
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "A", "age": 42}


async def test_a_parent_claim_exists_while_it_has_members(cds: Cds, services: Services) -> None:
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.city"))
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.zip"))
    profile = await cds.create(identity_attributes={"address": {"city": "Bern"}})
    assert profile["identity_attributes"] == {"address": {"city": "Bern"}}
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address.zip")
    assert await names(cds) == DEFAULT_CLAIMS | {"address", "address.city"}
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address.city")
    assert await names(cds) == DEFAULT_CLAIMS
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.city"))
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address")
    assert await names(cds) == DEFAULT_CLAIMS
    with pytest.raises(Conflict):
        await services.identity_provider.directory_claims.add(
            cds.dataset_ref, DirectoryClaim("givenname.first")
        )


@pytest.mark.parametrize(
    ("claim", "field"),
    [
        (DirectoryClaim(""), "name"),
        (DirectoryClaim("a.b.c.d.e"), "name"),
        (DirectoryClaim("a/b"), "name"),
        (DirectoryClaim("a", value_type="text"), "value_type"),
        (DirectoryClaim("a", value_type="complex"), "value_type"),
        (DirectoryClaim("a", display_name="x" * 51), "display_name"),
    ],
)
async def test_invalid_claims_are_rejected(
    cds: Cds, services: Services, claim: DirectoryClaim, field: str
) -> None:
    with pytest.raises(InvalidInput) as rejected:
        await services.identity_provider.directory_claims.add(cds.dataset_ref, claim)
    assert rejected.value.code == field
    assert await names(cds) == DEFAULT_CLAIMS


async def test_a_taken_name_is_a_conflict_and_an_unknown_one_not_found(cds: Cds, services: Services) -> None:
    with pytest.raises(Conflict):
        await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("givenname"))
    with pytest.raises(NotFound):
        await services.identity_provider.directory_claims.change(
            cds.dataset_ref, "nothing", {"display_name": "x"}
        )


async def test_claims_of_an_identity_server_cannot_be_changed_here(cds: Cds, services: Services) -> None:
    connection = Connection("http://127.0.0.1:9", "a", "b")
    await services.identity_provider.servers.create(cds.dataset_ref, OwnIdentityServer(connection))
    with pytest.raises(Conflict, match="mirrored"):
        await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("age"))


class TestOverRest:
    async def test_create_change_read_and_delete_a_claim(self, admin: Any) -> None:
        claim = {"name": "country", "canonical_values": [{"value": "CH", "label": "Schweiz"}]}
        created = await admin("POST", "/claims", json=claim)
        assert created.status_code == 201
        assert created.json()["attribute_id"]
        assert (await admin("POST", "/claims", json=claim)).status_code == 409
        changed = await admin("PATCH", "/claims/country", json={"display_name": "Land", "read_only": True})
        assert changed.status_code == 200
        assert changed.json() == {**created.json(), "display_name": "Land", "read_only": True}
        assert (await admin("GET", "/claims/country")).json() == changed.json()
        for _ in range(2):
            assert (await admin("DELETE", "/claims/country")).status_code == 204
        assert (await admin("GET", "/claims/country")).status_code == 404
        assert (await admin("PATCH", "/claims/country", json={})).status_code == 404

    async def test_the_list_has_pages(self, admin: Any) -> None:
        found, cursor = [], ""
        while True:
            page = (await admin("GET", "/claims", params={"page_size": 4, "cursor": cursor})).json()
            found += [claim["name"] for claim in page["claims"]]
            if not (cursor := page["pagination"].get("next_cursor", "")):
                break
        assert found == sorted(DEFAULT_CLAIMS)
        for bad in ({"page_size": "0"}, {"page_size": "x"}, {"cursor": "!"}):
            assert (await admin("GET", "/claims", params=bad)).status_code == 400

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": 5}', b'{"name": "a", "x": 1}'])
    async def test_invalid_bodies_are_400(self, admin: Any, body: bytes) -> None:
        assert (await admin("POST", "/claims", content=body)).status_code == 400

    async def test_permissions(self, admin: Any) -> None:
        assert (await admin("GET", "/claims", "admin_config_view")).status_code == 200
        assert (await admin("GET", "/claim-sync", "admin_config_view")).status_code == 200
        assert (await admin("GET", "/claims", "profile_view")).status_code == 403
        assert (await admin("POST", "/claims", "admin_config_view", json={"name": "a"})).status_code == 403
        assert (await admin("DELETE", "/claims/mobile", "admin_config_view")).status_code == 403
