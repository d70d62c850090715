"""`oneself person`: explain, export and erase, in any dataset."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import httpx

from support.service import RunningService

IDENTITY = ("internal_cds_identity_view", "internal_cds_identity_update")


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


def test_a_profile_is_explained_in_sentences(service: RunningService) -> None:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    with service.client(headers={"Authorization": f"Bearer {service.token(*IDENTITY)}"}) as client:
        base = f"/t/{service.org}/api/v1/datasets"
        assert client.post(base, json={"name": name}).status_code == 201
        bindings = [{"name": item, "identity_type": item} for item in ("emailAddress", "customerId")]
        assert client.put(f"{base}/{name}/identity-attributes", json=bindings).status_code == 200
    trackers = [_page(service, name, emailAddress="ann@acme.example"), _page(service, name, customerId="c-1")]
    both = _page(service, name, emailAddress="ann@acme.example", customerId="c-1")

    def why(*arguments: str) -> tuple[int, str]:
        found = service.command("person", "why", *arguments, "--org", service.org, "--dataset", name)
        return found.returncode, found.stdout

    ann, card = "emailAddress:ann@acme.example", "customerId:c-1"
    status, text = why(ann)
    assert status == 0
    assert "held together by these joins, the strongest evidence first:" in text
    assert "both have" in text
    assert "asserted, not proven" in text
    assert not any(tracker in text for tracker in (*trackers, both) if tracker)
    status, text = why(ann, card)
    assert (status, "are one profile in the view all" in text) == (0, True)
    facts = json.loads(why(ann, "--json")[1])
    assert {join["evidence"] for join in facts["joins"]} == {"asserted"}
    assert json.loads(why(ann, card, "--json")[1])["one_profile"] is True
    _page(service, name, emailAddress="ben@acme.example")
    status, text = why(ann, "emailAddress:ben@acme.example")
    assert "are two profiles in the view all:" in text
    assert "They have nothing in common that merges profiles. (nothing_in_common)" in text
    status, text = why("emailAddress:ben@acme.example")
    assert "has one part" in text
    assert why("emailAddress:carl@acme.example")[0] == 1
    assert why(ann, card, "--view", "proven")[0] == 1


def _page(service: RunningService, dataset: str, **identities: str) -> str:
    event = {
        "user": {"attributes": identities, "anonymousProfileTracker": ""},
        "interaction": {"name": "Sign up"},
    }
    answer = httpx.post(f"{service.base_url}/t/{service.org}/api2/event/{dataset}", json=event)
    answer.raise_for_status()
    return str(answer.json().get("anonymousProfileTracker", ""))


def test_a_profile_is_split_and_merged(service: RunningService) -> None:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    org = ("--org", service.org)
    assert service.command("dataset", "create", name, *org).returncode == 0
    for browser in ("one", "two"):
        event = {"user": {"anonymousId": browser}, "interaction": {"name": "Look"}}
        httpx.post(f"{service.base_url}/t/{service.org}/api2/event/{name}", json=event).raise_for_status()

    def person(*arguments: str) -> tuple[int, str, str]:
        result = service.command("person", *arguments, *org, "--dataset", name)
        return result.returncode, result.stdout, result.stderr

    code, dry, _ = person("merge", "one", "two", "--dry-run")
    assert (code, "It would leave these profiles: 1" in dry) == (0, True)
    code, printed, _ = person("merge", "one", "two", "--yes", "--json", "--reason", "the same household")
    merged = json.loads(printed)
    assert (code, len(merged["profiles"]), merged["profiles"][0]["events"]) == (0, 1, 2)
    assert "anonymous_id:two" in merged["profiles"][0]["identifiers"]
    code, parted, _ = person("split", "one", "--browser", "two", "--yes")
    assert (code, "It left these profiles: 2" in parted) == (0, True)
    for arguments in (("one",), ("one", "--all", "--browser", "two"), ("one", "--absorbed", "nothing")):
        code, _, told = person("split", *arguments, "--yes")
        assert code == 1, told
    code, _, told = person("split", "one", "--browser", "unknown", "--yes")
    assert (code, "browser" in told) == (1, True)
    code, _, told = person("merge", "one", "unknown", "--yes")
    assert (code, name in told) == (1, True)


def test_a_profile_is_explained_as_it_was(service: RunningService) -> None:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    assert service.command("dataset", "create", name, "--org", service.org).returncode == 0
    for browser in ("one", "two"):
        event = {"user": {"anonymousId": browser}, "interaction": {"name": "Look"}}
        httpx.post(f"{service.base_url}/t/{service.org}/api2/event/{name}", json=event).raise_for_status()

    def person(*arguments: str) -> tuple[int, str, str]:
        result = service.command("person", *arguments, "--org", service.org, "--dataset", name)
        return result.returncode, result.stdout, result.stderr

    assert person("merge", "one", "two", "--yes")[0] == 0
    merged = datetime.now(UTC).isoformat()
    assert person("split", "one", "--browser", "two", "--yes")[0] == 0
    assert "are two profiles" in person("why", "one", "two")[1]
    code, told, _ = person("why", "one", "two", "--at", merged, "--view", "proven")
    assert (code, "are one profile in the view proven" in told) == (0, True), told
    assert "This is as of " in told
    told = person("why", "one", "two", "--at", merged, "--view", "all")[1]
    assert "People who were split or reconciled since are shown as they are believed today." in told
    code, told, _ = person("why", "one", "--at", merged, "--view", "proven")
    assert "has one part" in told
    assert "Parts that it had then, and that are no part of it today, are left out." in told
    facts = json.loads(person("why", "one", "--at", merged, "--view", "proven", "--json")[1])
    assert (facts["joins"], facts["left_out"]) == ([], True)
    code, _, told = person("why", "one", "--at", "2020-01-01T00:00:00Z")
    assert code == 1
    assert "There was no such profile at 2020-01-01T00:00:00Z. It began at 20" in told
    for wrong in ("yesterday", "2999-01-01T00:00:00Z"):
        code, _, told = person("why", "one", "--at", wrong)
        assert (code, "instant" in told) == (1, True), told
