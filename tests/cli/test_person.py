"""`oneself person`: export and erase, in any dataset."""

from __future__ import annotations

import json
import uuid

import httpx

from support.service import RunningService


def test_a_person_of_another_dataset_is_exported_and_erased(service: RunningService) -> None:
    name, browser = f"cli-{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    org = ("--org", service.org)
    assert service.command("dataset", "create", name, *org).returncode == 0
    event = {"user": {"anonymousId": browser}, "interaction": {"name": "Look"}}
    httpx.post(f"{service.base_url}/t/{service.org}/api2/event/{name}", json=event).raise_for_status()
    printed_event = json.loads(service.command("events", *org, "--dataset", name, "--json").stdout)
    headers = {"Authorization": f"Bearer {service.token('internal_cds_profile_view')}"}
    address = (
        f"{service.base_url}/t/{service.org}/api/v1/datasets/{name}/profiles/{printed_event['primary_id']}"
    )
    profile_id = httpx.get(address, headers=headers).json()["profile_id"]

    def person(*arguments: str, dataset: tuple[str, ...] = ("--dataset", name)) -> tuple[int, str]:
        result = service.command("person", *arguments, *org, *dataset)
        return result.returncode, result.stdout

    assert person("export", profile_id, dataset=())[0] == 1, "the profile is not in `default`"
    exported = person("export", profile_id)
    assert (exported[0], browser in exported[1]) == (0, True)
    for text in (printed_event["primary_id"], browser, f"anonymous_id:{browser}"):
        assert person("export", text) == exported
    assert person("erase", f"anonymous_id:{browser}", "--yes")[0] == 0
    assert person("erase", browser, "--yes")[0] == 1
    assert person("export", profile_id)[0] == 1
    assert "1" in person("receipts")[1]
