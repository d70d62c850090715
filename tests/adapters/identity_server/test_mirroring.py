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
    """The task of every process."""
    task = asyncio.create_task(services.identity_provider.claim_sync.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await services.identity_provider.client.close()


async def attributes(cds: Cds) -> dict[str, dict[str, Any]]:
    answer = await cds("GET", "/profile-schema/identity_attributes")
    return {attribute["attribute_name"].partition(".")[2]: attribute for attribute in answer.json()}


async def until_names(cds: Cds, names: set[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}

    async def names_match() -> bool:
        nonlocal found
        found = await attributes(cds)
        return set(found) == names

    await until_async(names_match, lambda: f"{sorted(found)} instead of {sorted(names)}", DEADLINE_S)
    return found


async def until_sync_done(cds: Cds, requested: int = 0) -> None:
    """Wait until all requested readings are done."""

    async def is_read() -> bool:
        progress = await cds.services.identity_provider.claim_sync.progress(cds.dataset_ref)
        return bool(
            progress and progress.succeeded_at and progress.done >= max(progress.requested, requested)
        )

    await until_async(is_read, "the claims are not read", DEADLINE_S)


async def until_failed(cds: Cds) -> ClaimSyncProgress:
    """Wait until a reading has failed; its progress."""

    async def failed() -> ClaimSyncProgress | None:
        progress = await cds.services.identity_provider.claim_sync.progress(cds.dataset_ref)
        return progress if progress and progress.failures else None

    return await until_async(failed, "no reading fails", DEADLINE_S)


MIRRORED = {"emailaddress", "givenname", "created"}


async def test_an_organisation_mirrors_its_identity_server(cds: Cds) -> None:
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
    ("body", "status", "message"),
    [
        (b"{", 400, "Invalid request."),
        (b"", 400, "Invalid request."),
        (b'{"event": "POST_ADD_EXTERNAL_CLAIM"}', 400, "CDS-11011"),
        (b'{"event": "POST_ADD_EXTERNAL_CLAIM", "orgHandle": "nobody"}', 400, "CDS-16001"),
    ],
)
async def test_invalid_reports_are_rejected(cds: Cds, body: bytes, status: int, message: str) -> None:
    answer = await cds.http.post("/t/acme/cds/api/v1/profile-schema/sync", content=body, auth=SYNC)
    assert answer.status_code == status
    assert message in answer.text
    if message == "Invalid request.":
        assert answer.text == message
        assert answer.headers["content-type"].startswith("text/plain")


async def test_a_report_for_a_disabled_organisation_has_its_own_message(cds: Cds, report: Reporter) -> None:
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
    await until_sync_done(cds, 3)
    after = await attributes(cds)
    assert {name: after[name]["attribute_id"] for name in before} == {
        name: attribute["attribute_id"] for name, attribute in before.items()
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


async def test_a_removed_claim_hides_its_values_until_it_is_added_again(
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


async def test_a_failed_dialect_changes_nothing_and_is_retried(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    before = await attributes(cds)
    identity_server.failing[f"{DIALECTS}/{identifier('urn:scim:wso2:schema')}"] = 500
    identity_server.add("country")
    await report.claims_changed()
    progress = await until_failed(cds)
    assert "500" in (progress.failure or "")
    assert await attributes(cds) == before
    identity_server.failing.clear()
    # The reading is retried without another event.
    await until_names(cds, MIRRORED | {"country"})


async def test_an_empty_claim_list_removes_nothing(cds: Cds, identity_server: IdentityServer) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    identity_server.local.clear()
    with pytest.raises(IdentityServerFailed):
        await cds.services.identity_provider.claim_sync.run_now(cds.dataset_ref)
    assert set(await attributes(cds)) == MIRRORED


async def test_a_report_is_answered_before_a_slow_server_is_read(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    identity_server.delays[DIALECTS] = 0.5
    identity_server.add("country")
    started = time.monotonic()
    await report.claims_changed()
    assert time.monotonic() - started < 0.5
    await until_names(cds, MIRRORED | {"country"})


async def test_an_event_during_a_reading_is_not_lost(
    cds: Cds, report: Reporter, identity_server: IdentityServer
) -> None:
    """The claim is added after the list was read, so a second reading has to follow."""

    async def list_is_read() -> bool:
        return any("local/claims" in path for path in identity_server.paths()[-2:])

    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    identity_server.delays[f"{DIALECTS}/{identifier(USER)}"] = 0.3
    await report.claims_changed()
    await until_async(list_is_read, "the list is not read", DEADLINE_S)
    identity_server.add("country")
    await report.claims_changed()
    await until_names(cds, MIRRORED | {"country"})


async def test_a_missed_event_is_repaired_by_polling(
    cds: Cds, identity_server: IdentityServer, services: Services
) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    identity_server.add("country")
    await services.database.execute("update claim_sync set next_at = now()")
    await until_names(cds, MIRRORED | {"country"})


async def test_readings_of_an_organisation_do_not_overlap(
    cds: Cds, identity_server: IdentityServer, services: Services
) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    running, most_running = 0, 0
    original_answer = identity_server.answer

    def count_running(*request: Any) -> tuple[int, Any]:
        nonlocal running, most_running
        running += 1
        most_running = max(most_running, running)
        time.sleep(0.02)
        try:
            return original_answer(*request)
        finally:
            running -= 1

    identity_server.answer = count_running  # type: ignore[method-assign]
    await asyncio.gather(*(services.identity_provider.claim_sync.run_now(cds.dataset_ref) for _ in range(4)))
    assert most_running == 1


async def test_an_expired_lease_is_taken_over(
    cds: Cds, identity_server: IdentityServer, services: Services
) -> None:
    await until_names(cds, MIRRORED)
    await until_sync_done(cds)
    identity_server.add("country")
    # Another process holds the lease and has died: the work starts when the lease expires.
    await services.database.execute(
        "update claim_sync set next_at = now(), lease_until = now() + interval '1 s'"
    )
    await until_names(cds, MIRRORED | {"country"})


class TestEnabling:
    @pytest_asyncio.fixture
    async def disabled(self, cds: Cds) -> Cds:
        await until_sync_done(cds)
        await cds("PATCH", "/config", json={"cds_enabled": False})
        return cds

    async def test_the_attributes_are_read_before_the_answer(
        self, disabled: Cds, identity_server: IdentityServer
    ) -> None:
        identity_server.add("country")
        answer = await disabled("PATCH", "/config", json={"cds_enabled": True})
        assert (answer.status_code, answer.json()["cds_enabled"]) == (200, True)
        assert set(await attributes(disabled)) == MIRRORED | {"country"}
        assert any(c["is_mandatory"] for c in (await disabled("GET", "/consent-categories")).json())

    @pytest.mark.parametrize("trouble", ["away", "500", "401"])
    async def test_a_failed_reading_enables_nothing(
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

    async def test_applications_are_looked_up_at_the_identity_server(
        self, cds: Cds, identity_server: IdentityServer
    ) -> None:
        identity_server.applications["shop"] = "app-1"
        assert (await self.define(cds, "shop")).status_code == 201
        for unknown in ("unknown", "unknown or name co a", "app-1"):
            answer = await self.define(cds, unknown)
            assert (answer.status_code, answer.json()["code"]) == (400, "CDS-13005")

    async def test_an_unreachable_server_is_500(self, cds: Cds, identity_server: IdentityServer) -> None:
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


class TestServerOfOneOrganisation:
    async def test_it_takes_precedence_and_its_secrets_are_encrypted(
        self, cds: Cds, other: Cds, services: Services
    ) -> None:
        server = IdentityServer(other.dataset_ref.handle).start()
        server.add("shoe")
        try:
            connection = Connection(server.base_url, *CLIENT, "system_app_grant")
            await services.identity_provider.servers.create(
                other.dataset_ref, OwnIdentityServer(connection, "other-reporter", "other password")
            )
            await until_names(other, {"shoe"})
            await until_names(cds, MIRRORED)
            sealed = await services.database.fetchval("select secrets_sealed from identity_server")
            assert b"other password" not in sealed
            assert CLIENT[1].encode() not in sealed
        finally:
            server.stop()

    async def test_its_credentials_are_valid_for_its_organisation_only(
        self, cds: Cds, other: Cds, services: Services, identity_server: IdentityServer
    ) -> None:
        connection = Connection(identity_server.base_url, *CLIENT)
        await services.identity_provider.servers.create(
            other.dataset_ref, OwnIdentityServer(connection, "other-reporter", "other password")
        )
        from_other, from_acme = Reporter(cds, other.dataset_ref.handle), Reporter(cds)
        from_other.auth = from_acme.auth = ("other-reporter", "other password")
        assert (await from_other("POST_ADD_USER", userId="u")).status_code == 200
        assert (await from_acme("POST_ADD_USER", userId="u")).status_code == 401
        answer = await cds.http.post("/t/acme/cds/api/v1/profiles/sync", content=b"{", auth=from_other.auth)
        assert answer.status_code == 401
        await services.identity_provider.servers.delete(other.dataset_ref)
        assert (await from_other("POST_ADD_USER", userId="u")).status_code == 401
