"""`oneself token-key`: list, rotate and destroy, as the REST resource shows them."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from support.service import RunningService


@pytest.fixture(scope="module")
def org(service: RunningService) -> str:
    """A new organisation, so that no other test rotates its keys."""
    handle = f"keys-{uuid.uuid4().hex[:8]}"
    assert service.command("org", "create", handle).returncode == 0
    return handle


def test_a_new_key_waits_and_can_be_destroyed(service: RunningService, org: str) -> None:
    def listed() -> dict[int, str]:
        result = service.command("token-key", "list", "--org", org, "--json")
        assert result.returncode == 0, result.stderr
        keys: list[dict[str, Any]] = json.loads(result.stdout)["token_keys"]
        return {key["key_id"]: key["state"] for key in keys}

    assert "no token key yet" in service.command("token-key", "list", "--org", org).stdout
    rotated = service.command("token-key", "rotate", "--org", org, "--json")
    assert rotated.returncode == 0, rotated.stderr
    assert json.loads(rotated.stdout)["key_id"] == 2
    assert listed() == {2: "waiting", 1: "active"}

    destroy = ("token-key", "destroy", "2", "--org", org)
    assert service.command(*destroy).returncode == 1, "not confirmed"
    assert service.command(*destroy, "--yes").returncode == 0
    assert listed() == {1: "active"}
    repeated = service.command(*destroy, "--yes")
    assert repeated.returncode == 1
    assert "no token key with this number" in repeated.stderr


def test_the_active_key_cannot_be_destroyed(service: RunningService, org: str) -> None:
    assert service.command("token-key", "rotate", "--org", org).returncode == 0
    result = service.command("token-key", "destroy", "1", "--org", org, "--yes")
    assert result.returncode == 1
    assert "rotate first" in result.stderr


@pytest.mark.parametrize("key_id", ["0", "65536", "two"])
def test_an_invalid_key_id_is_a_usage_error(service: RunningService, org: str, key_id: str) -> None:
    assert service.command("token-key", "destroy", key_id, "--org", org, "--yes").returncode == 2
