"""With real processes: a requested sync survives a restart, and the commands for claims."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from adapters.identity_server.stand_in import CLIENT, IdentityServer
from support.service import SYNC, RunningService
from support.waiting import until

DIALECTS = "/api/server/v1/claim-dialects"
MIRRORED = {"emailaddress", "givenname", "created"}


@pytest.fixture
def environment(identity_server: IdentityServer) -> dict[str, str]:
    return {
        "ONESELF_IDENTITY_SERVER_URL": identity_server.base_url,
        "ONESELF_IDENTITY_SERVER_CLIENT_ID": CLIENT[0],
        "ONESELF_IDENTITY_SERVER_CLIENT_SECRET": CLIENT[1],
    }


@pytest.fixture
def running(start_service: Callable[..., RunningService], environment: dict[str, str]) -> RunningService:
    return start_service(environment=environment)


def names(service: RunningService) -> set[str]:
    with service.client() as client:
        answer = client.get(
            "/t/acme/cds/api/v1/profile-schema/identity_attributes",
            headers={"Authorization": f"Bearer {service.token('internal_cds_profile_schema_view')}"},
        )
    assert answer.status_code == 200, answer.text + service.log()
    return {attribute["attribute_name"].partition(".")[2] for attribute in answer.json()}


def until_names(service: RunningService, wanted: set[str]) -> None:
    until(
        lambda: names(service) == wanted,
        lambda: f"{sorted(names(service))} instead of {sorted(wanted)}\n{service.log()}",
    )


def report_change(service: RunningService) -> None:
    url = f"{service.base_url}/t/acme/cds/api/v1/profile-schema/sync"
    sent = {"event": "POST_ADD_EXTERNAL_CLAIM", "orgHandle": "acme"}
    assert httpx.post(url, json=sent, auth=SYNC, timeout=30).status_code == 200


def test_a_reading_is_repeated_after_the_process_is_killed(
    running: RunningService, identity_server: IdentityServer
) -> None:
    """The event was answered, so the next process reads the claims without another event."""
    until_names(running, MIRRORED)
    identity_server.add("country")
    identity_server.delays[f"{DIALECTS}/local"] = 5.0
    identity_server.requests.clear()
    report_change(running)
    until(lambda: f"{DIALECTS}/local/claims" in identity_server.paths(), "the claims are not read")
    running.kill()
    identity_server.delays.clear()
    running.start()
    until_names(running, MIRRORED | {"country"})


def test_the_sync_command_reads_at_once(running: RunningService, identity_server: IdentityServer) -> None:
    until_names(running, MIRRORED)
    identity_server.add("country")
    identity_server.remove("givenname")
    synced = running.command("claims", "sync", "--org", "acme", "--json")
    assert synced.returncode == 0, synced.stderr
    facts = json.loads(synced.stdout)
    assert (facts["added"], facts["removed"]) == (["country"], ["givenname"])
    assert names(running) == {"emailaddress", "created", "country"}
    identity_server.stop()
    failed = running.command("claims", "sync")
    assert failed.returncode != 0
    assert "identity server cannot be reached" in failed.stderr
    assert "Traceback" not in failed.stderr
    rejected = running.command("claims", "add", "shoe")
    assert rejected.returncode == 1
    assert "change them there" in rejected.stderr


def test_the_commands_for_claims_of_the_directory(start_service: Callable[..., RunningService]) -> None:
    service = start_service()
    added = service.command("claims", "add", "country", "--value", "CH", "--value", "LI", "--json")
    assert added.returncode == 0, added.stderr
    assert json.loads(added.stdout)["values"] == ["CH", "LI"]
    changed = service.command(
        "claims", "change", "country", "--display-name", "Land", "--read-only", "--json"
    )
    facts = json.loads(changed.stdout)
    assert (facts["display_name"], facts["read_only"], facts["values"]) == ("Land", True, ["CH", "LI"])
    assert "country" in service.command("claims", "list").stdout
    assert "nothing" not in service.command("claims", "sync").stderr
    assert service.command("claims", "delete", "country", "--yes").returncode == 0
    again = json.loads(service.command("claims", "add", "country", "--json").stdout)
    assert again["attribute_id"] == facts["attribute_id"]
    assert service.command("claims", "skipped").returncode == 0
