"""`/t/{org}/api/v1/users`: claims that an administrator verifies (docs/wire/cds.md §12)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from wire.client import TIMESTAMP, Cds, fresh

MOBILE, OTHER_MOBILE = "+44 20 7946 0018", "+44 20 7946 0019"
UNVERIFIED = {
    "email_verified": False,
    "email_verified_at": None,
    "mobile_verified": False,
    "mobile_verified_at": None,
}


def request(cds: Cds, method: str, path: str = "", body: Any = None) -> httpx.Response:
    token = cds.token("admin_config_view" if method == "GET" else "admin_config_update")
    return cds.admin(method, f"/users{path}", body, token=token)


@pytest.fixture
def user(cds: Cds) -> dict[str, Any]:
    """A new user with a mobile number."""
    answer = request(cds, "POST", body=_draft())
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _draft(**more: Any) -> dict[str, Any]:
    names = {"given_name": "Ann", "last_name": "Archer", "mobile": MOBILE}
    return {"username": f"{fresh('ann')}@acme.example", "password": "a long enough password", **names, **more}


def _patched(cds: Cds, user: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = request(cds, "PATCH", f"/{user['user_id']}", body)
    assert answer.status_code == 200, answer.text
    assert request(cds, "GET", f"/{user['user_id']}").json() == answer.json()
    return dict(answer.json())


def _verified(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in UNVERIFIED}


def test_a_new_user_has_no_verified_claims(cds: Cds, user: dict[str, Any]) -> None:
    assert _verified(user) == UNVERIFIED
    assert request(cds, "POST", body=_draft(email_verified=True)).status_code == 400


def test_an_administrator_verifies_and_unverifies_a_claim(cds: Cds, user: dict[str, Any]) -> None:
    verified = _patched(cds, user, email_verified=True)
    assert TIMESTAMP.match(verified["email_verified_at"])
    assert (verified["email_verified"], verified["mobile_verified"]) == (True, False)
    assert _patched(cds, user, email_verified=None, given_name="Anna") == {**verified, "given_name": "Anna"}
    assert _verified(_patched(cds, user, email_verified=False)) == UNVERIFIED


def test_a_changed_number_is_not_verified(cds: Cds, user: dict[str, Any]) -> None:
    assert _patched(cds, user, mobile_verified=True)["mobile_verified"]
    assert not _patched(cds, user, mobile=OTHER_MOBILE)["mobile_verified"]
    assert _patched(cds, user, mobile=MOBILE, mobile_verified=True)["mobile_verified"]


@pytest.mark.parametrize(
    "body",
    [
        {"email_verified": "true"},
        {"mobile_verified": 1},
        {"verified": ["email"]},
        {"mobile": "", "mobile_verified": True},
    ],
)
def test_an_invalid_verification_changes_nothing(
    cds: Cds, user: dict[str, Any], body: dict[str, Any]
) -> None:
    assert request(cds, "PATCH", f"/{user['user_id']}", body).status_code == 400
    assert request(cds, "GET", f"/{user['user_id']}").json() == user


def test_verifying_requires_the_permission_in_the_same_organisation(
    cds: Cds, other: Cds, user: dict[str, Any]
) -> None:
    path, body = f"/users/{user['user_id']}", {"email_verified": True}
    assert cds.admin("PATCH", path, body, token=cds.token("admin_config_view")).status_code == 403
    assert request(other, "PATCH", f"/{user['user_id']}", body).status_code == 404
    assert request(cds, "GET", f"/{user['user_id']}").json() == user


def test_the_history_contains_the_verifications(cds: Cds, user: dict[str, Any]) -> None:
    _patched(cds, user, email_verified=True)
    _patched(cds, user, email_verified=False)
    token = cds.token("profile_view")
    path = f"/datasets/default/profiles/user_id:{user['user_id']}/history"
    answer = cds.admin("GET", path, token=token)
    assert answer.status_code == 200, answer.text
    listed = [step for step in answer.json()["history"] if step["kind"] == "verification"]
    assert [(step["claim"], step["verified"]) for step in listed] == [
        ("emailaddress", True),
        ("emailaddress", False),
    ]
    assert {step["observation"]["name"] for step in listed} == {"verification"}
