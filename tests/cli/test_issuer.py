"""`oneself issuer`: add and remove trusted issuers, as the REST resource shows them."""

from __future__ import annotations

import json
import uuid
from typing import Any

import httpx
import pytest

from support.service import RunningService

VIEW = "internal_cds_profile_view"


def _trusted(service: RunningService) -> list[dict[str, Any]]:
    """What the running service trusts."""
    address = f"{service.base_url}/t/{service.org}/api/v1/identity-provider/trusted-issuers"
    headers = {"Authorization": f"Bearer {service.token('internal_cds_admin_config_view')}"}
    found: list[dict[str, Any]] = httpx.get(address, headers=headers, timeout=30).json()["trusted_issuers"]
    return found


def test_an_issuer_is_trusted_until_it_is_removed(service: RunningService) -> None:
    url = f"https://login-{uuid.uuid4().hex[:8]}.acme.example/realms/shop"
    added = service.command(
        *("issuer", "add", url, "--audience", "shop", "-p", VIEW, "--org", service.org, "--json")
    )
    assert added.returncode == 0, added.stderr
    facts = json.loads(added.stdout)
    assert (facts["issuer"], facts["audience"], facts["permissions"]) == (url, "shop", [VIEW])
    (known,) = [each for each in _trusted(service) if each["issuer"] == url]
    assert known["issuer_id"] == facts["issuer_id"]
    assert facts["issuer_id"] in service.command("issuer", "list", "--org", service.org).stdout

    again = service.command("issuer", "add", url, "--org", service.org)
    assert again.returncode == 1
    assert "already trusted" in again.stderr

    remove = ("issuer", "remove", facts["issuer_id"], "--org", service.org)
    assert service.command(*remove).returncode == 1, "nobody said yes"
    assert service.command(*remove, "--yes").returncode == 0
    assert url not in [each["issuer"] for each in _trusted(service)]
    gone = service.command(*remove, "--yes")
    assert gone.returncode == 1
    assert "No trusted issuer" in gone.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["add", "http://login.acme.example"], "https://"),
        (["add", "https://login.acme.example", "-p", "internal_cds_nonsense"], "no permission"),
        (["add", "https://login.acme.example", "--jwks-uri", "ftp://x"], "jwks_uri"),
    ],
)
def test_an_invalid_issuer_prints_one_sentence(
    service: RunningService, arguments: list[str], sentence: str
) -> None:
    said = service.command("issuer", *arguments, "--org", service.org)
    assert said.returncode == 1
    assert sentence in said.stderr
    assert "Traceback" not in said.stderr
