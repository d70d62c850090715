"""`/datasets/{dataset}/preview`: who may preview what, and what each caller is shown.

A page says Vera's address and a number. Servers have said each of them of somebody else.
`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG
from support.caller import Cds
from support.view_stage import Stage

PATH = f"/t/{ORG}/api/v1/datasets/default/preview"
STORY = """
    server mail=vera@ plan=gold
    server number=n1 plan=trial
    page TM am mail=vera@ number=n1
"""
ALL = {"settings": {"asserted_merges": "all"}}
READS = ("identity_view", "profile_view")


async def _preview(stage: Stage, body: Any, *permissions: str, path: str = PATH) -> httpx.Response:
    """The answer to an application; without permissions, to one that has them all."""
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    return await stage.cds.http.post(path, headers=headers, json=body)


async def _previewed(stage: Stage, body: Any, *permissions: str) -> dict[str, Any]:
    answer = await _preview(stage, body, *permissions)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_preview_says_who_is_joined_by_what(stage: Stage) -> None:
    await stage.play(STORY)
    found = await _previewed(stage, ALL)
    assert (found["truncated"], found["profiles_examined"] >= 2) == (False, True)
    views = found["views"]
    assert views["own"]["counts"] == views["proven"]["counts"] == dict.fromkeys(views["own"]["counts"], 0)
    believed = views["all"]
    assert (believed["counts"]["groups"], believed["largest_group"]) == (1, 2)
    (merge,) = believed["merges"]
    (join, *_) = merge["joins"]
    assert join["evidence"] == "asserted"
    assert join["identifier"] in (
        {"namespace": "emailAddress", "value": "vera@acme.example"},
        {"namespace": "customerId", "value": "n1"},
    )
    assert {change["profile"] for change in believed["values_changed"]} == {merge["survivor"]}


async def test_a_reader_of_proven_learns_nothing_of_all(stage: Stage) -> None:
    await stage.play(STORY)
    found = await _previewed(stage, ALL, *READS)
    assert found["views"]["all"] is None


async def test_whoever_makes_a_change_learns_how_much_it_would_do(stage: Stage) -> None:
    await stage.play(STORY)
    believed = (await _previewed(stage, ALL, "identity_update"))["views"]["all"]
    assert believed["counts"]["groups"] == 1
    assert believed["merges"] == believed["values_changed"] == believed["refusals"] == []


async def test_a_value_is_shown_to_whoever_may_read_it(stage: Stage) -> None:
    """Without a mandatory consent category, an application that is no system application reads no value."""
    await stage.play("server mail=vera@ plan=gold\nserver phone=1 plan=gold")
    rule = {"rule": {"property_name": "traits.plan", "rule_name": "plan", "priority": 7}}
    permissions = ("unification_rule_view", "profile_view")
    cds = stage.cds
    other = Cds(cds.http, cds.services, cds.dataset_ref, "no-system-application")
    headers = {"Authorization": f"Bearer {await other.token(*permissions)}"}
    answer = await cds.http.post(PATH, headers=headers, json=rule)
    (merge,) = answer.json()["views"]["proven"]["merges"]
    assert [join["identifier"] for join in merge["joins"]] == [{"namespace": "traits.plan", "value": None}]
    (shown,) = (await _previewed(stage, rule))["views"]["proven"]["merges"]
    assert [join["identifier"]["value"] for join in shown["joins"]] == ["gold"]


@pytest.mark.parametrize("part", ["protection", "identity_types"])
@pytest.mark.parametrize("missing", ["profile_view", "update"])
async def test_a_preview_is_no_way_to_guess_values(stage: Stage, part: str, missing: str) -> None:
    """With a rule, the counts would tell whether a value matches a pattern."""
    await stage.play("server mail=vera@ plan=gold\nserver phone=1 plan=gold")
    blocked: Any = {"blocked_patterns": ["g*"]}
    if part == "identity_types":
        blocked = [{"id": "plan", "blocked_values": ["gold"]}]
    rule = {"property_name": "traits.plan", "rule_name": "plan", "priority": 7}
    permissions = {"identity_view", "unification_rule_view", "admin_config_view"}
    makes = {"identity_update", "admin_config_update", "unification_rule_create"}
    permissions |= makes if missing == "profile_view" else {"profile_view"}
    answer = await _preview(stage, {"rule": rule, part: blocked}, *sorted(permissions))
    assert answer.status_code == 403, answer.text
    answer = await _preview(
        stage, {"rule": rule, part: blocked}, *sorted(permissions | makes | {"profile_view"})
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("body", "permission"),
    [
        (ALL, "unification_rule_view"),
        (ALL, "admin_config_update"),
        ({"protection": {"profiles_per_merge_max": 2}}, "identity_update"),
        ({"rule": {"property_name": "traits.card"}}, "identity_view"),
        (ALL | {"protection": {"profiles_per_merge_max": 2}}, "admin_config_view"),
        (ALL, "profile_view"),
    ],
)
async def test_each_part_takes_its_permission(stage: Stage, body: Any, permission: str) -> None:
    assert (await _preview(stage, body, permission)).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"settings": None}, 400),
        ({"settings": []}, 400),
        ({"settings": {"asserted_merges": "everybody"}}, 400),
        ({"settings": {"unknown": True}}, 400),
        ({"settings": {"pipeline_identity_resolution": False}}, 409),
        ({"everything": {}}, 400),
        ({"identity_types": [{"label": "no id"}]}, 400),
        ({"identity_types": [{"id": "emailAddress", "case_sensitive": True}]}, 400),
        ({"identity_attributes": [{"name": "x", "identity_type": "nothing"}]}, 400),
        ({"channel_identities": {"Web": "nothing"}}, 400),
        ({"protection": {"profiles_per_merge_max": 0}}, 400),
        ({"rule": {"property_name": "traits.nothing"}}, 400),
        ({"rule": {"rule_id": "nothing"}}, 404),
        ({"identity_resolution": {}}, 409),
    ],
)
async def test_an_invalid_change_is_rejected_as_when_it_is_made(stage: Stage, body: Any, status: int) -> None:
    answer = await _preview(stage, body)
    assert (answer.status_code, answer.json().keys() >= {"code", "description"}) == (status, True), (
        answer.text
    )


async def test_every_part_of_a_change_is_accepted(stage: Stage) -> None:
    await stage.play(STORY)
    body = {
        "identity_types": [{"id": "plan"}, {"id": "mobileNumber", "conflict_blocks_merge": True}],
        "settings": {"asserted_merges": "all"},
        "identity_attributes": [
            {"name": "plan", "identity_type": "plan", "attribute": "traits.plan"},
            {"name": "emailAddress", "identity_type": "emailAddress"},
        ],
        "channel_identities": {"Web": "emailAddress"},
        "protection": {"blocked_values": ["gold"], "profiles_per_merge_max": 10},
        "rule": {"property_name": "traits.interests", "rule_name": "interests", "priority": 8},
    }
    found = await _previewed(stage, body)
    assert found["views"]["all"] is not None


async def test_rules_and_protection_are_those_of_the_default_dataset(stage: Stage) -> None:
    await stage.admin("POST", "/datasets", json={"name": "web"})
    path = f"/t/{ORG}/api/v1/datasets/web/preview"
    for body in ({"rule": {"property_name": "traits.x"}}, {"protection": {"blocked_values": []}}):
        answer = await _preview(stage, body, path=path)
        assert (answer.status_code, "default" in answer.text) == (400, True)
    assert (await _preview(stage, ALL, path=path)).json()["profiles_examined"] == 0
    unknown = await _preview(stage, ALL, path=f"/t/{ORG}/api/v1/datasets/nothing/preview")
    assert unknown.status_code == 404
