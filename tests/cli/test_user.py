"""`oneself user delete` deletes account and profile and prints a receipt, as the REST resource does.
`oneself user verify` and `unverify` say what is verified.
"""

from __future__ import annotations

import json
import uuid

import httpx
import pytest

from support.service import RunningService

PERMISSIONS = (
    "internal_cds_profile_create",
    "internal_cds_profile_update",
    "internal_cds_profile_view",
    "internal_cds_admin_config_view",
)


@pytest.fixture
def person(service: RunningService) -> dict[str, str]:
    """A person with an account and a profile: `username`, `user_id`, `profile_id`."""
    name = f"{uuid.uuid4().hex}@acme.example"
    created = service.command(
        *("user", "create", name, "--given-name", "Ann", "--last-name", "Ash", "--org", service.org, "--json")
    )
    user_id = json.loads(created.stdout)["user_id"]
    answer = _request(service, "POST", "/cds/api/v1/profiles", {"user_id": user_id})
    assert answer.status_code == 201, answer.text
    return {"username": name, "user_id": user_id, "profile_id": answer.json()["profile_id"]}


def _request(service: RunningService, method: str, path: str, body: object = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.token(*PERMISSIONS)}"}
    address = f"{service.base_url}/t/{service.org}{path}"
    return httpx.request(method, address, json=body, headers=headers, timeout=30)


def _statuses(service: RunningService, person: dict[str, str]) -> tuple[int, int]:
    """The status codes of the profile and of the account."""
    paths = f"/cds/api/v1/profiles/{person['profile_id']}", f"/api/v1/users/{person['user_id']}"
    profile, account = (_request(service, "GET", path).status_code for path in paths)
    return profile, account


def test_deleting_a_user_erases_the_profile_and_prints_the_receipt(
    service: RunningService, person: dict[str, str]
) -> None:
    deleted = service.command("user", "delete", person["username"], "--org", service.org, "--yes", "--json")
    facts = json.loads(deleted.stdout)
    assert (facts["removed"], facts["profiles"], len(facts["receipts"])) == (person["username"], 1, 1)
    assert facts["log_entries"] >= 1
    assert _statuses(service, person) == (404, 404)
    erasures = _request(service, "GET", "/api/v1/erasures").json()["erasures"]
    assert facts["receipts"][0] in [erasure["receipt_id"] for erasure in erasures]


def test_deleting_a_user_needs_confirmation(service: RunningService, person: dict[str, str]) -> None:
    result = service.command("user", "delete", person["username"], "--org", service.org)
    assert result.returncode == 1
    assert "erase all data about" in result.stdout + result.stderr
    assert _statuses(service, person) == (200, 200)


def test_deleting_a_user_without_a_profile_leaves_no_receipt(service: RunningService) -> None:
    name = f"{uuid.uuid4().hex}@acme.example"
    service.command("user", "create", name, "--given-name", "Bo", "--last-name", "Best", "--org", service.org)
    deleted = service.command("user", "delete", name, "--org", service.org, "--yes")
    assert deleted.returncode == 0, deleted.stderr
    lines = [line.split() for line in deleted.stdout.splitlines()]
    assert [line for line in lines if line[0] in ("removed", "receipts")] == [
        ["removed", name],
        ["receipts", "-"],
    ]


def _verified(service: RunningService, *words: str) -> dict[str, str]:
    result = service.command("user", *words, "--org", service.org, "--json")
    assert result.returncode == 0, result.stderr
    return dict(json.loads(result.stdout)["verified"])


def test_verify_and_unverify_print_the_verified_claims(
    service: RunningService, person: dict[str, str]
) -> None:
    name = person["username"]
    verified = _verified(service, "verify", name, "emailaddress")
    assert set(verified) == {"emailaddress"}
    assert _verified(service, "show", name) == verified
    account = _request(service, "GET", f"/api/v1/users/{person['user_id']}").json()
    assert (account["email_verified"], account["mobile_verified"]) == (True, False)
    assert _verified(service, "unverify", name, "emailaddress") == {}


@pytest.mark.parametrize(("claim", "code"), [("mobile", 1), ("givenname", 2)])
def test_a_claim_that_cannot_be_verified(
    service: RunningService, person: dict[str, str], claim: str, code: int
) -> None:
    result = service.command("user", "verify", person["username"], claim, "--org", service.org)
    assert result.returncode == code
    assert claim in result.stderr
    assert "Traceback" not in result.stderr
