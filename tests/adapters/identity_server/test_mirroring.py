"""`/profile-schema/sync`, activation and polling: attributes mirror claims (docs/wire/cds.md §13)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from adapters.identity_server.conftest import Reporter, beside
from adapters.identity_server.stand_in import CLIENT, USER, IdentityServer, identifier
from oneself.adapters.identity_server.connection import Connection
from oneself.errors import IdentityServerFailed
from oneself.service.identity_provider.settings import OwnIdentityServer
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.tables.claim_sync import ClaimSyncProgress
from oneself.tunables import Tunables
from support.caller import Cds
from support.service import SYNC
from support.tunables import tuned
from support.waiting import until_async

pytestmark = pytest.mark.asyncio

DIALECTS = "/api/server/v1/claim-dialects"
CLAIM_EVENTS = [
    "POST_ADD_EXTERNAL_CLAIM",
    "POST_UPDATE_EXTERNAL_CLAIM",
    "POST_DELETE_EXTERNAL_CLAIM",
    "POST_UPDATE_LOCAL_CLAIM",
    "POST_DELETE_LOCAL_CLAIM",
]
DEADLINE_S = 15.0


@pytest.fixture
def settings(settings: Settings, identity_server: IdentityServer) -> Settings:
    return beside(settings, identity_server)


@pytest.fixture
def tunables() -> Tunables:
    """The background task polls more often than in a deployment."""
    return tuned(claim_sync_poll_s=0.05, claim_sync_schedule_s=0.05)


@pytest_asyncio.fixture(autouse=True)
async def background(services: Services) -> AsyncIterator[None]:
    """The task that runs in every process."""
    task = asyncio.create_task(services.identity_provider.claim_sync.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await services.identity_provider.client.close()


async def attributes(cds: Cds) -> dict[str, dict[str, Any]]:
    answer = await cds("GET", "/profile-schema/identity_attributes")
    return {each["attribute_name"].partition(".")[2]: each for each in answer.json()}


async def until_names(cds: Cds, names: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    async def are_there() -> bool:
        nonlocal found
        found = await attributes(cds)
        return set(found) == names

    await until_async(are_there, lambda: f"{sorted(found)} instead of {sorted(names)}", DEADLINE_S)
    return found


async def until_read(cds: Cds, requested: int = 0) -> None:
    """Until everything that was asked for is done."""

    async def is_read() -> bool:
        progress = await cds.services.identity_provider.claim_sync.progress(cds.dataset_ref)
        return bool(
            progress and progress.succeeded_at and progress.done >= max(progress.requested, requested)
        )

    await until_async(is_read, "the claims are not read", DEADLINE_S)


async def until_failed(cds: Cds) -> ClaimSyncProgress:
    """Until a reading has failed; how far it came."""

    async def failed() -> ClaimSyncProgress | None:
        progress = await cds.services.identity_provider.claim_sync.progress(cds.dataset_ref)
        return progress if progress and progress.failures else None

    return await until_async(failed, "no reading fails", DEADLINE_S)


MIRRORED = {"emailaddress", "givenname", "created"}


async def test_an_organisation_comes_to_mirror_its_identity_server(cds: Cds) -> None:
    found = await until_names(cds, MIRRORED)
    assert (found["created"]["mutability"], found["created"]["value_type"]) == ("readOnly", "date_time")


@pytest.mark.parametrize("event", CLAIM_EVENTS)
async def test_each_event_reads_the_whole_set(
    cds: Cds, report: Reporter, identity_server: IdentityServer, event: str
) -> None:
    await until_names(cds, MIRRORED)
    identity_server.add("country", canonicalValues=[{"value": "CH", "label": "Schweiz"}])
    identity_server.remove("givenname")
    answer = await report(event, path="/profile-schema/sync")
    assert answer.status_code == 200
    assert answer.json() == {"message": "Profile schema sync request accepted for processing."}
    await until_names(cds, {"emailaddress", "created", "country"})


@pytest.mark.parametrize("event", ["POST_ADD_USER", "", "POST_ADD_LOCAL_CLAIM"])
async def test_any_other_event_is_404(cds: Cds, report: Reporter, event: str) -> None:
    answer = await report(event, path="/profile-schema/sync")
    assert (answer.status_code, answer.json()) == (404, {"message": "Unknown sync event."})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "Invalid request."),
        (b"", 400, "Invalid request."),
        (b'{"event": "POST_ADD_EXTERNAL_CLAIM"}', 400, "CDS-11011"),
        (b'{"event": "POST_ADD_EXTERNAL_CLAIM", "orgHandle": "nobody"}', 400, "CDS-16001"),
    ],
)
async def test_bad_reports(cds: Cds, body: bytes, status: int, said: str) -> None:
    answer = await cds.http.post("/t/acme/cds/api/v1/profile-schema/sync", content=body, auth=SYNC)
    assert answer.status_code == status
    assert said in answer.text
    if said == "Invalid request.":
        assert answer.text == said
        assert answer.headers["content-type"].startswith("text/plain")


async def test_the_gate_has_its_own_sentence(cds: Cds, report: Reporter) -> None:
    await cds("PATCH", "/config", json={"cds_enabled": False})
    answer = await report("POST_ADD_EXTERNAL_CLAIM", path="/profile-schema/sync")
    assert answer.json()["description"] == (
        "Unable to process profile sync event as CDS is not enabled for organization: acme"
    )


async def test_ids_rules_and_consents_survive(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    before = await until_names(cds, MIRRORED)
    rule = {"rule_name": "mail", "property_name": "identity_attributes.emailaddress", "priority": 1}
    assert (await cds("POST", "/unification-rules", json=rule)).status_code == 201
    category = {
        "category_name": "Offers",
        "purpose": "profiling",
        "attributes": [{"attribute_name": "identity_attributes.emailaddress"}],
    }
    assert (await cds("POST", "/consent-categories", json=category)).status_code == 201
    identity_server.add("emailaddress", scim="emails", displayName="E-mail", readOnly=True)
    identity_server.add("country")
    for _ in range(3):
        await report.claims_changed()
    after = await until_names(cds, MIRRORED | {"country"})
    await until_read(cds, 3)
    after = await attributes(cds)
    assert {name: after[name]["attribute_id"] for name in before} == {
        name: each["attribute_id"] for name, each in before.items()
    }
    assert (after["emailaddress"]["display_name"], after["emailaddress"]["mutability"]) == (
        "E-mail",
        "readOnly",
    )
    assert len((await cds("GET", "/unification-rules")).json()) == 1
    offers = next(
        c for c in (await cds("GET", "/consent-categories")).json() if c["category_name"] == "Offers"
    )
    assert len(offers["attributes"]) == 1


async def test_a_removed_claim_hides_values_and_comes_back(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    before = await until_names(cds, MIRRORED)
    created = await cds.create(identity_attributes={"givenname": "Ann"})
    path = f"/profiles/{created['profile_id']}"
    identity_server.remove("givenname")
    await report.claims_changed("POST_DELETE_LOCAL_CLAIM")
    await until_names(cds, MIRRORED - {"givenname"})
    assert "identity_attributes" not in (await cds("GET", path)).json()
    change = {"identity_attributes": {"emailaddress": "ann@acme.example"}}
    assert (await cds("PATCH", path, json=change)).status_code == 200
    identity_server.add("givenname")
    await report.claims_changed("POST_ADD_EXTERNAL_CLAIM")
    after = await until_names(cds, MIRRORED)
    assert after["givenname"]["attribute_id"] == before["givenname"]["attribute_id"]
    shown = (await cds("GET", path)).json()["identity_attributes"]
    assert shown == {"givenname": "Ann", "emailaddress": "ann@acme.example"}


async def test_a_dialect_that_fails_half_way_changes_nothing(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    before = await attributes(cds)
    identity_server.failing[f"{DIALECTS}/{identifier('urn:scim:wso2:schema')}"] = 500
    identity_server.add("country")
    await report.claims_changed()
    progress = await until_failed(cds)
    assert "500" in (progress.failure or "")
    assert await attributes(cds) == before
    identity_server.failing.clear()
    # It is tried again without another event.
    await until_names(cds, MIRRORED | {"country"})


async def test_a_server_that_shows_nothing_takes_nothing_away(
    cds: Cds, identity_server: IdentityServer
) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    identity_server.local.clear()
    with pytest.raises(IdentityServerFailed):
        await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    assert set(await attributes(cds)) == MIRRORED


async def test_answers_do_not_wait_for_a_slow_server(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    identity_server.delays[DIALECTS] = 0.5
    identity_server.add("country")
    started = time.monotonic()
    await report.claims_changed()
    assert time.monotonic() - started < 0.5
    await until_names(cds, MIRRORED | {"country"})


async def test_an_event_during_a_reading_is_not_lost(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    """The reading had passed the list when the claim came: it is read once more."""

    async def list_is_read() -> bool:
        return any("local/claims" in path for path in identity_server.paths()[-2:])

    await until_names(cds, MIRRORED)
    await until_read(cds)
    identity_server.delays[f"{DIALECTS}/{identifier(USER)}"] = 0.3
    await report.claims_changed()
    await until_async(list_is_read, "the list is not read", DEADLINE_S)
    identity_server.add("country")
    await report.claims_changed()
    await until_names(cds, MIRRORED | {"country"})


async def test_a_missed_event_is_made_good(
    cds: Cds, identity_server: IdentityServer, services: Services
) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    identity_server.add("country")
    await services.database.execute("update claim_sync set next_at = now()")
    await until_names(cds, MIRRORED | {"country"})


async def test_one_at_a_time(cds: Cds, identity_server: IdentityServer, services: Services) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    inside, most = 0, 0
    usual = identity_server.answer

    def counted(*request: Any) -> tuple[int, Any]:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.02)
        try:
            return usual(*request)
        finally:
            inside -= 1

    identity_server.answer = counted  # type: ignore[method-assign]
    await asyncio.gather(*(services.identity_provider.claim_sync.run_now(cds.dataset_ref) for _ in range(4)))
    assert most == 1


async def test_a_dead_reader_is_replaced(
    cds: Cds, identity_server: IdentityServer, services: Services
) -> None:
    await until_names(cds, MIRRORED)
    await until_read(cds)
    identity_server.add("country")
    # Somebody took the work and died: nothing happens until the lease is over.
    await services.database.execute(
        "update claim_sync set next_at = now(), lease_until = now() + interval '1 s'"
    )
    await until_names(cds, MIRRORED | {"country"})


class TestEnabling:
    @pytest_asyncio.fixture
    async def disabled(self, cds: Cds) -> Cds:
        await until_read(cds)
        await cds("PATCH", "/config", json={"cds_enabled": False})
        return cds

    async def test_it_fetches_the_attributes_before_it_answers(
        self, disabled: Cds, identity_server: IdentityServer
    ) -> None:
        identity_server.add("country")
        answer = await disabled("PATCH", "/config", json={"cds_enabled": True})
        assert (answer.status_code, answer.json()["cds_enabled"]) == (200, True)
        assert set(await attributes(disabled)) == MIRRORED | {"country"}
        assert any(c["is_mandatory"] for c in (await disabled("GET", "/consent-categories")).json())

    @pytest.mark.parametrize("trouble", ["away", "500", "401"])
    async def test_or_nothing_is_enabled(
        self, disabled: Cds, identity_server: IdentityServer, trouble: str
    ) -> None:
        if trouble == "away":
            identity_server.stop()
        else:
            identity_server.failing["/"] = int(trouble)
        answer = await disabled("PATCH", "/config", json={"cds_enabled": True, "detach_on_sign_out": True})
        assert (answer.status_code, answer.json()) == (500, {"error": "Internal server error"})
        settings = (await disabled("GET", "/config")).json()
        assert not settings["cds_enabled"]
        assert "detach_on_sign_out" not in settings


class TestApplications:
    async def define(self, cds: Cds, application: str) -> httpx.Response:
        draft = {
            "attribute_name": "application_data.score",
            "value_type": "integer",
            "merge_strategy": "overwrite",
            "application_identifier": application,
        }
        return await cds("POST", "/profile-schema/application_data", json=[draft])

    async def test_they_are_looked_up_there(self, cds: Cds, identity_server: IdentityServer) -> None:
        identity_server.applications["shop"] = "app-1"
        assert (await self.define(cds, "shop")).status_code == 201
        for unknown in ("nobody", "nobody or name co a", "app-1"):
            answer = await self.define(cds, unknown)
            assert (answer.status_code, answer.json()["code"]) == (400, "CDS-13005")

    async def test_a_server_that_is_away_is_our_failure(
        self, cds: Cds, identity_server: IdentityServer
    ) -> None:
        identity_server.stop()
        assert (await self.define(cds, "shop")).status_code == 500


class TestApplicationIds:
    @pytest.fixture
    def settings(self, settings: Settings, identity_server: IdentityServer) -> Settings:
        return beside(settings, identity_server, application_keys="application_id")

    async def test_system_applications_must_exist(self, cds: Cds, identity_server: IdentityServer) -> None:
        identity_server.applications["shop"] = "app-1"
        good = await cds("PATCH", "/config", json={"system_applications": ["app-1", "crm"]})
        assert good.status_code == 200
        answer = await cds("PATCH", "/config", json={"system_applications": ["app-1", "shop"]})
        assert (answer.status_code, answer.json()["code"]) == (400, "CDS-16002")
        assert (await cds("GET", "/config")).json()["system_applications"] == ["app-1", "crm"]


class TestAnOrganisationsOwnServer:
    async def test_it_wins_and_its_secrets_are_sealed(self, cds: Cds, other: Cds, services: Services) -> None:
        own = IdentityServer(other.dataset_ref.handle).start()
        own.add("shoe")
        try:
            connection = Connection(own.base_url, *CLIENT, "system_app_grant")
            await services.identity_provider.servers.create(
                other.dataset_ref, OwnIdentityServer(connection, "them", "their password")
            )
            await until_names(other, {"shoe"})
            await until_names(cds, MIRRORED)
            sealed = await services.database.fetchval("select secrets_sealed from identity_server")
            assert b"their password" not in sealed
            assert CLIENT[1].encode() not in sealed
        finally:
            own.stop()

    async def test_its_credentials_open_its_own_organisation_only(
        self, cds: Cds, other: Cds, services: Services, identity_server: IdentityServer
    ) -> None:
        connection = Connection(identity_server.base_url, *CLIENT)
        await services.identity_provider.servers.create(
            other.dataset_ref, OwnIdentityServer(connection, "them", "their password")
        )
        theirs, ours = Reporter(cds, other.dataset_ref.handle), Reporter(cds)
        theirs.auth = ours.auth = ("them", "their password")
        assert (await theirs("POST_ADD_USER", userId="u")).status_code == 200
        assert (await ours("POST_ADD_USER", userId="u")).status_code == 401
        answer = await cds.http.post("/t/acme/cds/api/v1/profiles/sync", content=b"{", auth=theirs.auth)
        assert answer.status_code == 401
        await services.identity_provider.servers.delete(other.dataset_ref)
        assert (await theirs("POST_ADD_USER", userId="u")).status_code == 401
