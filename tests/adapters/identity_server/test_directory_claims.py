"""The claims of the embedded directory are the identity attributes, as with an identity server."""

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
FOUNDED = {"userid", "username", "emailaddress", "givenname", "lastname", "mobile"}


@pytest.fixture
def admin(cds: Cds) -> Any:
    """Calls `/t/acme/api/v1`."""

    async def call(method: str, path: str, *permissions: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await cds.token(*permissions)}"}
        return await cds.http.request(method, f"/t/acme/api/v1{path}", headers=headers, **request)

    return call


async def names(cds: Cds) -> set[str]:
    found = (await cds("GET", "/profile-schema/identity_attributes")).json()
    return {each["attribute_name"].partition(".")[2] for each in found}


async def test_a_new_organisation_is_listed(cds: Cds, services: Services) -> None:
    assert (
        {claim.name for claim in await services.identity_provider.directory_claims.list(cds.dataset_ref)}
        == FOUNDED
        == await names(cds)
    )


async def test_adding_changing_deleting_reconciles_at_once(cds: Cds, services: Services) -> None:
    made = await services.identity_provider.directory_claims.add(
        cds.dataset_ref, DirectoryClaim("age", display_name="Age")
    )
    assert await names(cds) == FOUNDED | {"age"}
    profile = await cds.create(identity_attributes={"age": "old", "givenname": "Ann"})
    path = f"/profiles/{profile['profile_id']}"
    changed = await services.identity_provider.directory_claims.change(
        cds.dataset_ref, "age", {"value_type": "integer"}
    )
    assert (changed.attribute_id, changed.display_name) == (made.attribute_id, "Age")
    # What no longer fits is kept and hidden, and blocks nothing.
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "Ann"}
    assert (await cds("PATCH", path, json={"identity_attributes": {"age": 42}})).status_code == 200
    assert await services.identity_provider.directory_claims.delete(cds.dataset_ref, "age")
    assert not await services.identity_provider.directory_claims.delete(cds.dataset_ref, "age")
    assert await names(cds) == FOUNDED
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "Ann"}
    assert (await cds("PATCH", path, json={"identity_attributes": {"givenname": "A"}})).status_code == 200
    again = await services.identity_provider.directory_claims.add(
        cds.dataset_ref, DirectoryClaim("age", value_type="integer")
    )
    assert again.attribute_id == made.attribute_id
    assert (await cds("GET", path)).json()["identity_attributes"] == {"givenname": "A", "age": 42}


async def test_members_of_a_complex_claim(cds: Cds, services: Services) -> None:
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.city"))
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.zip"))
    profile = await cds.create(identity_attributes={"address": {"city": "Bern"}})
    assert profile["identity_attributes"] == {"address": {"city": "Bern"}}
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address.zip")
    assert await names(cds) == FOUNDED | {"address", "address.city"}
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address.city")
    assert await names(cds) == FOUNDED
    await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("address.city"))
    await services.identity_provider.directory_claims.delete(cds.dataset_ref, "address")
    assert await names(cds) == FOUNDED
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
    with pytest.raises(InvalidInput) as refused:
        await services.identity_provider.directory_claims.add(cds.dataset_ref, claim)
    assert refused.value.code == field
    assert await names(cds) == FOUNDED


async def test_taken_and_unknown_names(cds: Cds, services: Services) -> None:
    with pytest.raises(Conflict):
        await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("givenname"))
    with pytest.raises(NotFound):
        await services.identity_provider.directory_claims.change(
            cds.dataset_ref, "nothing", {"display_name": "x"}
        )


async def test_an_identity_servers_claims_are_changed_there(cds: Cds, services: Services) -> None:
    connection = Connection("http://127.0.0.1:9", "a", "b")
    await services.identity_provider.servers.create(cds.dataset_ref, OwnIdentityServer(connection))
    with pytest.raises(Conflict, match="mirrored"):
        await services.identity_provider.directory_claims.add(cds.dataset_ref, DirectoryClaim("age"))


class TestOverRest:
    async def test_a_claims_life(self, admin: Any) -> None:
        draft = {"name": "country", "canonical_values": [{"value": "CH", "label": "Schweiz"}]}
        made = await admin("POST", "/claims", json=draft)
        assert made.status_code == 201
        assert made.json()["attribute_id"]
        assert (await admin("POST", "/claims", json=draft)).status_code == 409
        changed = await admin("PATCH", "/claims/country", json={"display_name": "Land", "read_only": True})
        assert changed.status_code == 200
        assert changed.json() == {**made.json(), "display_name": "Land", "read_only": True}
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
        assert found == sorted(FOUNDED)
        for bad in ({"page_size": "0"}, {"page_size": "x"}, {"cursor": "!"}):
            assert (await admin("GET", "/claims", params=bad)).status_code == 400

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"name": 5}', b'{"name": "a", "x": 1}'])
    async def test_bad_bodies(self, admin: Any, body: bytes) -> None:
        assert (await admin("POST", "/claims", content=body)).status_code == 400

    async def test_permissions(self, admin: Any) -> None:
        assert (await admin("GET", "/claims", "admin_config_view")).status_code == 200
        assert (await admin("GET", "/claim-sync", "admin_config_view")).status_code == 200
        assert (await admin("GET", "/claims", "profile_view")).status_code == 403
        assert (await admin("POST", "/claims", "admin_config_view", json={"name": "a"})).status_code == 403
        assert (await admin("DELETE", "/claims/mobile", "admin_config_view")).status_code == 403
