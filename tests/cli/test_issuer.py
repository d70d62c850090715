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
    """The trusted issuers of the running service."""
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
    (trusted,) = [issuer for issuer in _trusted(service) if issuer["issuer"] == url]
    assert trusted["issuer_id"] == facts["issuer_id"]
    assert facts["issuer_id"] in service.command("issuer", "list", "--org", service.org).stdout
    assert facts["verified_claims"] == trusted["verified_claims"] == "as_stated"
    change = ("issuer", "change", facts["issuer_id"], "--org", service.org)
    changed = service.command(*change, "--verified-claims", "never", "--json")
    assert json.loads(changed.stdout) == {**facts, "verified_claims": "never"}
    assert "as_stated, always, never" in service.command(*change, "--verified-claims", "often").stderr

    second = service.command("issuer", "add", url, "--org", service.org)
    assert second.returncode == 1
    assert "already trusted" in second.stderr

    remove = ("issuer", "remove", facts["issuer_id"], "--org", service.org)
    assert service.command(*remove).returncode == 1, "not confirmed"
    assert service.command(*remove, "--yes").returncode == 0
    assert url not in [issuer["issuer"] for issuer in _trusted(service)]
    repeated = service.command(*remove, "--yes")
    assert repeated.returncode == 1
    assert "No trusted issuer" in repeated.stderr


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
    result = service.command("issuer", *arguments, "--org", service.org)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
