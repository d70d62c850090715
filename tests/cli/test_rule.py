"""`oneself rule`: preview, create, switch and delete."""

from __future__ import annotations

import json
from typing import Any

from support.service import RunningService

EMAIL = "identity_attributes.emailaddress"
USERNAME = "identity_attributes.username"


def test_preview_create_deactivate_and_delete_a_rule(service: RunningService) -> None:
    def rule(*arguments: str) -> dict[str, Any]:
        result = service.command("rule", *arguments, "--org", service.org, "--json")
        assert result.returncode == 0, result.stderr
        facts: dict[str, Any] = json.loads(result.stdout)
        return facts

    first = rule("create", EMAIL)
    assert rule("preview", USERNAME)["profiles_absorbed"] == 0, "a preview works beside an existing rule"
    assert rule("preview", USERNAME)["view"] == "proven"
    assert rule("preview", USERNAME, "--view", "all")["view"] == "all"
    second = rule("create", USERNAME)
    assert second["priority"] == first["priority"] + 1, "a new rule gets the last priority"
    assert rule("change", second["rule_id"], "--proves-identity")["proves_identity"] is True
    assert rule("change", second["rule_id"], "--proves-nothing")["proves_identity"] is False
    assert rule("deactivate", second["rule_id"])["active"] is False
    for created in (first, second):
        remove = ("rule", "delete", created["rule_id"], "--org", service.org)
        assert service.command(*remove).returncode == 1, "not confirmed"
        assert service.command(*remove, "--yes").returncode == 0
    assert created["rule_id"] not in service.command("rule", "list", "--org", service.org).stdout
    repeated = service.command(*remove, "--yes")
    assert repeated.returncode == 1
    assert "no rule with this id" in repeated.stderr
