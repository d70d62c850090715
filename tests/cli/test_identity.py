"""`oneself dataset`, `identity-type` and `identity`: the same facts as the REST resources, and one file."""

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

Say = Callable[..., subprocess.CompletedProcess[str]]

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
def say(service: RunningService) -> Say:
    """A command on an organisation of its own."""
    handle = f"shop-{uuid.uuid4().hex[:8]}"
    assert service.command("org", "create", handle).returncode == 0

    def command(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        said = service.command(*words, "--org", handle)
        assert said.returncode == code, said.stdout + said.stderr
        return said

    return command


def _json(said: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(said.stdout)


def test_datasets(say: Say) -> None:
    made = _json(say(
        "dataset", "create", "web", "--label", "Shop", "--merged-anonymous", "fresh", "--json",
        "--user-attribute", "colour", "--user-attribute", "visits=Number",
        "--allowed-origin", "https://shop.acme.example",
    ))  # fmt: skip
    assert (made["label"], made["merged_anonymous"]) == ("Shop", "fresh")
    assert made["channel_identity_conflict"] == "keep_apart"
    assert made["user_attributes"] == {"colour": "String", "visits": "Number"}
    changed = _json(say(
        "dataset", "change", "web", "--drop-user-attribute", "visits", "--allowed-origin", "",
        "--remember-me", "--channel-identity-conflict", "replace", "--json",
    ))  # fmt: skip
    assert (changed["user_attributes"], changed["allowed_origins"]) == ({"colour": "String"}, [])
    assert changed["enable_remember_me_user_ids"] is True
    assert changed["channel_identity_conflict"] == "replace"
    assert _json(say("dataset", "show", "web", "--json")) == changed
    assert "web" in say("dataset", "list").stdout
    assert [each["name"] for each in _json(say("dataset", "list", "--json"))["datasets"]] == [
        "default",
        "web",
    ]
    say("dataset", "delete", "web", code=1)
    say("dataset", "delete", "web", "--yes")
    assert "no dataset" in say("dataset", "show", "web", code=1).stderr
    assert "cannot be deleted" in say("dataset", "delete", "default", "--yes", code=1).stderr
    assert "between" in say("dataset", "create", "x", "--visit-timeout-millis", "1", code=1).stderr


def test_identity_types(say: Say) -> None:
    made = _json(say("identity-type", "create", "loyaltyId", "--label", "Card", "--trusted-only", "--json"))
    assert (made["label"], made["trusted_only"], made["uniqueness"]) == ("Card", True, "Identity Namespace")
    changed = _json(say("identity-type", "change", "loyaltyId", "--any-source", "--block", "x", "--json"))
    assert (changed["trusted_only"], changed["blocked_values"]) == (False, ["x"])
    assert _json(say("identity-type", "change", "loyaltyId", "--block", "", "--json"))["blocked_values"] == []
    assert "loyaltyId" in say("identity-type", "list").stdout
    say("identity-type", "delete", "loyaltyId", code=1)
    say("identity-type", "delete", "loyaltyId", "--yes")
    assert "built in" in say("identity-type", "delete", "emailAddress", "--yes", code=1).stderr


def test_bindings_and_channels(say: Say) -> None:
    assert "has no identity attribute" in say("dataset", "attributes", "default").stdout
    say("dataset", "attributes", "default", "--bind", "customerId", "--bind", "mail=emailAddress@traits.mail")
    found = _json(say("dataset", "attributes", "default", "--json"))["identity_attributes"]
    assert found == [
        {"name": "customerId", "identity_type": "customerId", "attribute": "identity_attributes.customerId"},
        {"name": "mail", "identity_type": "emailAddress", "attribute": "traits.mail"},
    ]
    assert "mail" in say("dataset", "channels", "default", "--set", "Web=mail").stdout
    assert "Web" in say("dataset", "attributes", "default", "--unbind", "mail", code=1).stderr
    say("dataset", "channels", "default", "--set", "Web=")
    assert "mail" not in say("dataset", "attributes", "default", "--unbind", "mail").stdout
    assert "not bound" in say("dataset", "attributes", "default", "--unbind", "mail", code=1).stderr
    assert "form" in say("dataset", "channels", "default", "--set", "Web", code=1).stderr


def test_a_file_is_compared_applied_and_exported(say: Say, tmp_path: Path) -> None:
    file, copy = tmp_path / "identity.yaml", tmp_path / "copy.yaml"
    file.write_text(FILE, "utf-8")
    told = say("identity", "diff", str(file), code=1).stdout.splitlines()
    assert "+ dataset web: label Web shop, visit_timeout_millis 600000" in told
    assert (
        "+ dataset default identity attribute loyaltyId: identity_type loyaltyId, attribute traits.loyalty"
        in told
    )
    say("identity", "apply", str(file), code=1)
    assert say("identity", "diff", str(file), code=1).stdout.splitlines() == told, "nobody said yes"
    assert "Applied" in say("identity", "apply", str(file), "--yes").stderr
    assert say("identity", "diff", str(file)).stdout == ""
    assert "There are no differences" in say("identity", "apply", str(file)).stderr
    say("identity", "export", str(copy))
    exported = yaml.safe_load(copy.read_text("utf-8"))
    assert exported == yaml.safe_load(say("identity", "export").stdout)
    assert exported["datasets"]["web"]["user_attributes"] == {
        "favColour": {"label": "Colour", "type": "String"}
    }
    assert set(exported["identity_types"]) == {"loyaltyId", "household"}
    assert say("identity", "diff", str(copy)).stdout == ""


@pytest.mark.parametrize("text", ["{", "colour: red", "- 1", "datasets: {web: {identity_trust: none}}"])
def test_an_invalid_file_prints_one_sentence(say: Say, tmp_path: Path, text: str) -> None:
    file = tmp_path / "identity.yaml"
    file.write_text(text, "utf-8")
    for verb in ("diff", "apply"):
        told = say("identity", verb, str(file), code=1)
        assert told.stderr.startswith("oneself: ")
        assert "Traceback" not in told.stderr
    assert "cannot be read" in say("identity", "diff", str(tmp_path / "nothing"), code=1).stderr
