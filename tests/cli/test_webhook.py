"""`oneself webhook`: add, change, test and remove webhooks, as the REST resource shows them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.code_receiver import CodeReceiver
from support.service import RunningService
from support.waiting import until


@pytest.fixture
def receiver() -> Iterator[CodeReceiver]:
    receiver = CodeReceiver()
    yield receiver
    receiver.stop()


def test_a_webhook_receives_changes_until_it_is_removed(
    service: RunningService, receiver: CodeReceiver
) -> None:
    def command(*words: str) -> Any:
        done = service.command("webhook", *words, "--org", service.org, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    made = command("add", receiver.url, "--type", "profile.created")
    assert made["secret"].startswith("whsec_")
    assert [item["id"] for item in command("list")["webhooks"]] == [made["id"]]
    assert command("test", made["id"]) == {"accepted": True, "failure": ""}
    headers = {"Authorization": f"Bearer {service.token('internal_cds_profile_create')}"}
    address = f"{service.base_url}/t/{service.org}/cds/api/v1/profiles"
    created = httpx.post(address, headers=headers, json={}, timeout=30).json()["profile_id"]
    until(lambda: any(r.document.get("profile_id") == created for r in receiver.received), "it arrives")
    until(
        lambda: command("deliveries", made["id"], "--state", "delivered")["deliveries"] != [],
        "it is recorded",
    )
    assert command("send-again", made["id"]) == {"deliveries": 0}
    assert command("change", made["id"], "--paused", "--rotate-secret")["secret"] != made["secret"]
    audit = httpx.get(
        f"{service.base_url}/t/{service.org}/api/audit/list",
        auth=(service.client_id, service.client_secret),
        timeout=30,
    ).json()["audits"]
    of_it = [item for item in audit if made["id"] in str(item["changed"])]
    assert {item["face"] for item in of_it} == {"cli"}
    assert [item["name"] for item in of_it[0]["changed"]] == ["is_active", "secret"]
    assert made["secret"] not in str(audit)
    receiver.behaviour = "fails"
    assert service.command("webhook", "test", made["id"], "--org", service.org).returncode == 1
    assert (
        "profile.touched"
        in service.command(
            *("webhook", "add", receiver.url, "--type", "profile.touched", "--org", service.org)
        ).stderr
    )
    assert service.command("webhook", "remove", made["id"], "--org", service.org, "--yes").returncode == 0
    assert service.command("webhook", "remove", made["id"], "--org", service.org, "--yes").returncode == 1
