"""`oneself dataset`, `identity-type` and `identity`: single changes, and the configuration as a file."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.service import RunningService

RunCommand = Callable[..., subprocess.CompletedProcess[str]]

FILE = """
identity_types:
  loyaltyId:
    label: Loyalty number
  household: {uniqueness: Not Unique}
datasets:
  default:
    identity_attributes:
      emailAddress:
      loyaltyId: {attribute: traits.loyalty}
    channel_identities: {Web: loyaltyId}
  web:
    label: Web shop
    visit_timeout_millis: 600000
    user_attributes:
      favColour: {label: Colour}
    identity_attributes:
      customerId:
"""


@pytest.fixture
def run(service: RunningService) -> RunCommand:
    """Runs a command for a new organisation."""
    handle = f"shop-{uuid.uuid4().hex[:8]}"
    assert service.command("org", "create", handle).returncode == 0

    def command(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        result = service.command(*arguments, "--org", handle)
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return command


def _json(result: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(result.stdout)


def test_datasets(run: RunCommand) -> None:
    created = _json(run(
        "dataset", "create", "web", "--label", "Shop", "--merged-anonymous", "fresh", "--json",
        "--user-attribute", "colour", "--user-attribute", "visits=Number",
        "--allowed-origin", "https://shop.acme.example",
    ))  # fmt: skip
    assert (created["label"], created["merged_anonymous"]) == ("Shop", "fresh")
    assert created["channel_identity_conflict"] == "keep_apart"
    assert created["user_attributes"] == {"colour": "String", "visits": "Number"}
    changed = _json(run(
        "dataset", "change", "web", "--drop-user-attribute", "visits", "--allowed-origin", "",
        "--remember-me", "--channel-identity-conflict", "replace", "--json",
    ))  # fmt: skip
    assert (changed["user_attributes"], changed["allowed_origins"]) == ({"colour": "String"}, [])
    assert changed["enable_remember_me_user_ids"] is True
    assert changed["channel_identity_conflict"] == "replace"
    assert _json(run("dataset", "show", "web", "--json")) == changed
    assert "web" in run("dataset", "list").stdout
    assert [dataset["name"] for dataset in _json(run("dataset", "list", "--json"))["datasets"]] == [
        "default",
        "web",
    ]
    run("dataset", "delete", "web", code=1)
    run("dataset", "delete", "web", "--yes")
    assert "no dataset" in run("dataset", "show", "web", code=1).stderr
    assert "cannot be deleted" in run("dataset", "delete", "default", "--yes", code=1).stderr
    assert "between" in run("dataset", "create", "x", "--visit-timeout-millis", "1", code=1).stderr


def test_identity_types(run: RunCommand) -> None:
    created = _json(
        run("identity-type", "create", "loyaltyId", "--label", "Card", "--trusted-only", "--json")
    )
    assert (created["label"], created["trusted_only"], created["uniqueness"]) == (
        "Card",
        True,
        "Identity Namespace",
    )
    changed = _json(run("identity-type", "change", "loyaltyId", "--any-source", "--block", "x", "--json"))
    assert (changed["trusted_only"], changed["blocked_values"]) == (False, ["x"])
    assert changed["proves_identity"] is False
    proving = _json(run("identity-type", "change", "loyaltyId", "--proves-identity", "--json"))
    assert proving["proves_identity"] is True
    assert _json(run("identity-type", "change", "loyaltyId", "--block", "", "--json"))["blocked_values"] == []
    assert "loyaltyId" in run("identity-type", "list").stdout
    run("identity-type", "delete", "loyaltyId", code=1)
    run("identity-type", "delete", "loyaltyId", "--yes")
    assert "built in" in run("identity-type", "delete", "emailAddress", "--yes", code=1).stderr


def test_bindings_and_channels(run: RunCommand) -> None:
    assert "has no identity attribute" in run("dataset", "attributes", "default").stdout
    run("dataset", "attributes", "default", "--bind", "customerId", "--bind", "mail=emailAddress@traits.mail")
    found = _json(run("dataset", "attributes", "default", "--json"))["identity_attributes"]
    assert found == [
        {"name": "customerId", "identity_type": "customerId", "attribute": "identity_attributes.customerId"},
        {"name": "mail", "identity_type": "emailAddress", "attribute": "traits.mail"},
    ]
    assert "mail" in run("dataset", "channels", "default", "--set", "Web=mail").stdout
    assert "Web" in run("dataset", "attributes", "default", "--unbind", "mail", code=1).stderr
    run("dataset", "channels", "default", "--set", "Web=")
    assert "mail" not in run("dataset", "attributes", "default", "--unbind", "mail").stdout
    assert "not bound" in run("dataset", "attributes", "default", "--unbind", "mail", code=1).stderr
    assert "form" in run("dataset", "channels", "default", "--set", "Web", code=1).stderr


PREVIEWS = [
    ("dataset", "change", "web", "--asserted-merges", "unprotected"),
    ("dataset", "attributes", "web", "--bind", "customerId"),
    ("dataset", "channels", "web", "--set", "Web="),
    ("identity-type", "change", "emailAddress", "--conflict-blocks-merge", "--dataset", "web"),
    ("protection", "change", "--block", "desk@acme.example", "--profiles-per-merge-max", "7"),
    ("rule", "create", "identity_attributes.emailaddress"),
]


def test_a_preview_changes_nothing(run: RunCommand) -> None:
    before = _json(run("dataset", "create", "web", "--json"))
    for command in PREVIEWS:
        found = _json(run(*command, "--preview", "--json"))
        assert (found["truncated"], found["profiles_examined"]) == (False, 0)
        assert found["views"].keys() == {"own", "proven", "all"}
    printed = run(*PREVIEWS[0], "--preview").stdout
    assert printed == (
        "Preview in the dataset web: nothing was changed.\nThe change concerns no existing profile.\n"
    )
    assert _json(run("dataset", "show", "web", "--json")) == before
    assert _json(run("protection", "show", "--json"))["profiles_per_merge_max"] == 100
    assert run("rule", "list").stdout == "There is no rule.\n"
    assert "no rule with this id" in run("rule", "activate", "nothing", "--preview", code=1).stderr
    assert (
        "identity_attributes.x" in run("rule", "create", "identity_attributes.x", "--preview", code=1).stderr
    )


def test_protection(run: RunCommand) -> None:
    options = ("--block", "X", "--block-pattern", "*@test.example", "--values-per-namespace-max", "9")
    changed = _json(run("protection", "change", *options, "--json"))
    assert changed == {
        "blocked_values": ["x"],
        "blocked_patterns": ["*@test.example"],
        "profiles_per_merge_max": 100,
        "values_per_namespace_max": 9,
    }
    assert _json(run("protection", "change", "--block", "", "--json")) == changed | {"blocked_values": []}
    assert "between 1" in run("protection", "change", "--profiles-per-merge-max", "0", code=1).stderr


def test_a_file_is_compared_applied_and_exported(run: RunCommand, tmp_path: Path) -> None:
    file, copy = tmp_path / "identity.yaml", tmp_path / "copy.yaml"
    file.write_text(FILE, "utf-8")
    differences = run("identity", "diff", str(file), code=1).stdout.splitlines()
    assert "+ dataset web: label Web shop, visit_timeout_millis 600000" in differences
    assert (
        "+ dataset default identity attribute loyaltyId: identity_type loyaltyId, attribute traits.loyalty"
        in differences
    )
    run("identity", "apply", str(file), code=1)
    assert run("identity", "diff", str(file), code=1).stdout.splitlines() == differences, (
        "not confirmed, so not applied"
    )
    assert "Applied" in run("identity", "apply", str(file), "--yes").stderr
    assert run("identity", "diff", str(file)).stdout == ""
    assert "There are no differences" in run("identity", "apply", str(file)).stderr
    run("identity", "export", str(copy))
    exported = yaml.safe_load(copy.read_text("utf-8"))
    assert exported == yaml.safe_load(run("identity", "export").stdout)
    assert exported["datasets"]["web"]["user_attributes"] == {
        "favColour": {"label": "Colour", "type": "String"}
    }
    assert set(exported["identity_types"]) == {"loyaltyId", "household"}
    assert run("identity", "diff", str(copy)).stdout == ""


@pytest.mark.parametrize("text", ["{", "colour: red", "- 1", "datasets: {web: {identity_trust: none}}"])
def test_an_invalid_file_prints_one_sentence(run: RunCommand, tmp_path: Path, text: str) -> None:
    file = tmp_path / "identity.yaml"
    file.write_text(text, "utf-8")
    for verb in ("diff", "apply"):
        result = run("identity", verb, str(file), code=1)
        assert result.stderr.startswith("oneself: ")
        assert "Traceback" not in result.stderr
    assert "cannot be read" in run("identity", "diff", str(tmp_path / "nothing"), code=1).stderr
