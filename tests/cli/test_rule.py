"""`oneself rule`: preview, create, switch and delete."""

from __future__ import annotations

import json
from typing import Any

from support.service import RunningService

EMAIL = "identity_attributes.emailaddress"
USERNAME = "identity_attributes.username"


def test_a_rule_is_asked_made_switched_and_removed(service: RunningService) -> None:
    def rule(*words: str) -> dict[str, Any]:
        done = service.command("rule", *words, "--org", service.org, "--json")
        assert done.returncode == 0, done.stderr
        facts: dict[str, Any] = json.loads(done.stdout)
        return facts

    first = rule("create", EMAIL)
    assert rule("preview", USERNAME)["profiles_absorbed"] == 0, "beside a rule that is there already"
    second = rule("create", USERNAME)
    assert second["priority"] == first["priority"] + 1, "after all other rules"
    assert rule("deactivate", second["rule_id"])["active"] is False
    for made in (first, second):
        remove = ("rule", "delete", made["rule_id"], "--org", service.org)
        assert service.command(*remove).returncode == 1, "nobody said yes"
        assert service.command(*remove, "--yes").returncode == 0
    assert made["rule_id"] not in service.command("rule", "list", "--org", service.org).stdout
    gone = service.command(*remove, "--yes")
    assert gone.returncode == 1
    assert "no rule with this id" in gone.stderr
