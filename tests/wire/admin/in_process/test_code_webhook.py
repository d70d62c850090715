"""The webhook for codes over REST."""

from __future__ import annotations

from typing import Any

import pytest

from support.caller import Cds
from wire.admin.in_process.test_directory import admin

URL = "https://codes.example/oneself"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def stored_secret(cds: Cds) -> str:
    webhook = await cds.services.directory.code_webhooks.find(cds.dataset_ref.org_id)
    assert webhook is not None
    return webhook.secret


async def test_set_read_change_and_delete_the_webhook(cds: Cds) -> None:
    assert (await admin(cds, "GET", "/code-webhook")).status_code == 404
    first = await admin(cds, "PUT", "/code-webhook", json={"url": URL})
    assert first.status_code == 200, first.text
    secret = first.json()["secret"]
    assert (secret[:6], await stored_secret(cds)) == ("whsec_", secret)
    read = await admin(cds, "GET", "/code-webhook")
    assert read.json() == {name: value for name, value in first.json().items() if name != "secret"}
    # Another URL keeps the secret; another secret is known to whoever sent it.
    moved = await admin(cds, "PUT", "/code-webhook", json={"url": f"{URL}/v2"})
    assert "secret" not in moved.json()
    assert await stored_secret(cds) == secret
    replaced = await admin(cds, "PUT", "/code-webhook", json={"url": URL, "secret": SECRET})
    assert "secret" not in replaced.json()
    assert await stored_secret(cds) == SECRET
    for _ in range(2):
        assert (await admin(cds, "DELETE", "/code-webhook")).status_code == 204
    assert (await admin(cds, "GET", "/code-webhook")).status_code == 404


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://codes.example/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://user:password@codes.example/"}, "url"),
        ({"url": f"{URL}?to=me"}, "url"),
        ({"url": f"https://codes.example/{'x' * 500}"}, "url"),
        ({"url": "https://codes.example:port/"}, "url"),
        ({"url": URL, "secret": "a secret of my own"}, "secret"),
        ({"url": URL, "unknown": 1}, "unknown"),
        ({"url": 7}, "url"),
    ],
)
async def test_an_invalid_webhook_is_rejected(cds: Cds, document: dict[str, Any], field: str) -> None:
    answer = await admin(cds, "PUT", "/code-webhook", json=document)
    assert answer.status_code == 400
    assert field in answer.text
    assert (await admin(cds, "GET", "/code-webhook")).status_code == 404


async def test_an_organisation_has_its_own_webhook(cds: Cds, stranger: Cds) -> None:
    assert (await admin(cds, "PUT", "/code-webhook", json={"url": URL})).status_code == 200
    assert (await admin(stranger, "GET", "/code-webhook")).status_code == 404
    token = await cds.token()
    assert (await admin(stranger, "GET", "/code-webhook", token)).status_code in (401, 403)
