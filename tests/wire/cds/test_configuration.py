"""The organisation's configuration (docs/wire/cds.md §11)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wire.client import Cds, assert_error, draft, fresh


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


def _config(org: Cds, **changes: Any) -> dict[str, Any]:
    answer = org.patch("/config", changes)
    assert answer.status_code == 200, answer.text
    assert answer.json() == org.get("/config").json()
    return dict(answer.json())


def test_the_bootstrap_application_is_a_system_application(cds: Cds) -> None:
    config = cds.get("/config").json()
    assert config["cds_enabled"] is True
    assert cds.client_id in config["system_applications"]


def test_a_new_organisation_is_enabled_with_its_application(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    assert org.get("/config").json() == {"cds_enabled": True, "system_applications": [org.client_id]}


def test_the_example_of_the_contract(org: Cds) -> None:
    config = {"cds_enabled": True, "system_applications": ["crm-client", org.client_id]}
    assert _config(org, **config) == config


def test_an_omitted_field_is_not_changed(org: Cds) -> None:
    _config(org, cds_enabled=True, system_applications=["a", "b"], detach_on_sign_out=False)
    assert _config(org, cds_enabled=True) == {"cds_enabled": True, "system_applications": ["a", "b"]}
    assert _config(org) == {"cds_enabled": True, "system_applications": ["a", "b"]}


def test_an_empty_array_clears_the_system_applications(org: Cds) -> None:
    _config(org, system_applications=["a"])
    assert "system_applications" not in _config(org, system_applications=[])


def test_detach_on_sign_out_is_left_out_while_false(org: Cds) -> None:
    assert _config(org, detach_on_sign_out=True)["detach_on_sign_out"] is True
    assert "detach_on_sign_out" not in _config(org, detach_on_sign_out=False)


def test_forty_system_applications_are_accepted(org: Cds) -> None:
    names = [f"application-{n}" for n in range(40)]
    assert _config(org, system_applications=names)["system_applications"] == names
    _config(org, system_applications=[])


@pytest.mark.parametrize(
    "body",
    [
        {"cds_enabled": "yes"},
        {"cds_enabled": 1},
        {"system_applications": "crm"},
        {"system_applications": [1]},
        {"system_applications": [["a"]]},
        {"detach_on_sign_out": "no"},
        {"colour": "red"},
        {"cds_enabled": True, "colour": "red"},
    ],
    ids=str,
)
def test_an_invalid_change_changes_nothing(org: Cds, body: dict[str, Any]) -> None:
    before = org.get("/config").json()
    assert_error(org.patch("/config", body), 400, "CDS-16002")
    assert org.get("/config").json() == before


def test_a_configuration_applies_to_its_organisation(org: Cds, cds: Cds) -> None:
    _config(org, detach_on_sign_out=True)
    assert "detach_on_sign_out" not in cds.get("/config").json()
    _config(org, detach_on_sign_out=False)


def test_a_removed_system_application_is_a_regular_one_at_once(new_org: Callable[[], Cds]) -> None:
    org = new_org()
    name = f"traits.{fresh()}"
    org.define("traits", draft(name))
    profile_id = org.create({"traits": {name.split(".")[1]: "x"}})["profile_id"]
    assert "traits" in org.read(profile_id)
    org.patch("/config", {"system_applications": []})
    assert "traits" not in org.read(profile_id)
    org.patch("/config", {"system_applications": [org.client_id]})
    assert "traits" in org.read(profile_id)
