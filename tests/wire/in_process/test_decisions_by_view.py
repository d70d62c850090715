"""Refusals, previews and invalid values in the view of the caller.

Vera and Ben are users of whom servers say one card. Mal's page names Vera's address and that card.
`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from support.application import ORG
from support.view_stage import Stage

STORY = """
    post V TV
    registers vera TV
    verifies vera
    patch V card=c1
    post B TB
    registers ben TB
    patch B card=c1
    post P TM mood=his
    page TM am mail=vera@ card=c1 plan=typed
    page TM am mail=null
"""
PLAIN = ("profile_view", "admin_config_view")


async def _ask(stage: Stage, path: str, *permissions: str, **params: str) -> httpx.Response:
    """The answer to an application; without permissions, to one that has them all."""
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    return await stage.cds.http.get(f"/t/{ORG}/api/v1{path}", headers=headers, params=params)


async def _listed(stage: Stage, path: str, *permissions: str, **params: str) -> dict[str, Any]:
    answer = await _ask(stage, path, *permissions, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("path", ["/refusals", "/unfit-values"])
async def test_the_decisions_of_the_view_all_take_its_permission(stage: Stage, path: str) -> None:
    refused = await _ask(stage, path, *PLAIN, view="all")
    assert (refused.status_code, "internal_cds_profile_view_all" in refused.text) == (403, True)
    assert (await _ask(stage, path, view="all")).status_code == 200
    for view in ("own", "everything"):
        assert (await _ask(stage, path, view=view)).status_code == 400


async def test_by_default_the_refusals_are_those_that_servers_indicate(stage: Stage) -> None:
    await stage.play(STORY)
    for permissions in (PLAIN, ()):
        listed = await _listed(stage, "/refusals", *permissions)
        (refusal,) = listed["refusals"]
        assert refusal["code"] == "different_user"
        assert set(refusal["profiles"]) == {stage.profile_id("V"), stage.profile_id("B")}
        assert (refusal["times"], listed["counts"]) == (1, {})
    believed = await _listed(stage, "/refusals", view="all")
    assert {"different_user", "blocked_value"} == believed["counts"].keys()
    assert len(believed["refusals"]) > 1


async def test_refusals_do_not_change_with_what_pages_say(stage: Stage) -> None:
    await stage.play(STORY)
    before = (await _ask(stage, "/refusals", *PLAIN)).content
    await stage.play("page TM am card=c1\npage TN an mail=vera@ card=c1\npage TN an mail=ben@ card=c1")
    assert (await _ask(stage, "/refusals", *PLAIN)).content == before


async def test_a_dataset_that_defaults_to_all_is_narrowed_without_the_permission(stage: Stage) -> None:
    await stage.admin("PATCH", "/datasets/default", json={"default_view": "all"})
    await stage.play(STORY)
    assert (await _listed(stage, "/refusals", *PLAIN))["counts"] == {}
    assert (await _listed(stage, "/refusals"))["counts"] != {}


async def test_invalid_values_are_counted_for_the_profiles_of_the_view(stage: Stage) -> None:
    await stage.play("server mail=vera@ plan=trial\npost P TM mood=his\npage TM am mail=vera@")
    attributes = (await stage.cds("GET", "/profile-schema/traits")).json()
    for attribute in attributes:
        if attribute["attribute_name"] in ("traits.plan", "traits.mood"):
            await stage.cds("DELETE", f"/profile-schema/traits/{attribute['attribute_id']}")
    proven = await _listed(stage, "/unfit-values", *PLAIN)
    examples = {item["path"]: item["example"] for item in proven["unfit_values"]}
    assert examples["traits.mood"] == stage.profile_id("P")
    assert examples["traits.plan"] != stage.profile_id("P")
    assert proven["profiles_seen"] == 2
    believed = await _listed(stage, "/unfit-values", view="all")
    assert len({item["example"] for item in believed["unfit_values"]}) == believed["profiles_seen"] == 1


async def test_a_preview_counts_the_profiles_of_the_view(stage: Stage) -> None:
    await stage.play("server mail=vera@ plan=gold\npost P TM mood=his\npage TM am plan=gold")
    rule = {"rule_name": "plan", "property_name": "traits.plan", "priority": 7}
    path, permission = f"/t/{ORG}/api/v1/unification-rules/preview", "unification_rule_view"

    async def preview(*permissions: str, **params: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
        return await stage.cds.http.post(path, headers=headers, params=params, json=rule)

    for permissions in ((permission,), ()):
        found = (await preview(*permissions)).json()
        assert (found["counts"]["profiles"], found["counts"]["groups"], found["merges"]) == (1, 0, [])
    believed = (await preview(view="all")).json()
    assert (believed["counts"]["profiles"], believed["counts"]["groups"]) == (2, 1)
    assert (await preview(permission, view="all")).status_code == 403
    assert (await preview(view="own")).status_code == 400


async def test_a_change_of_bindings_lists_profiles_only_for_who_may_read_all(stage: Stage) -> None:
    await stage.play("server mail=vera@ plan=gold\npage TM am plan=gold")
    await stage.admin(
        "POST", "/identity-types", json={"id": "plan", "label": "plan", "uniqueness": "Identity Namespace"}
    )
    path, permission = f"/t/{ORG}/api/v1/datasets/default/identity-attributes", "identity_update"
    bindings = [{"name": "plan", "identity_type": "plan", "attribute": "traits.plan"}]

    async def put(*permissions: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
        answer = await stage.cds.http.put(path, headers=headers, json=bindings)
        assert answer.status_code == 409, answer.text
        return dict(answer.json())

    everything, counts = await put(), await put(permission)
    assert len(everything["preview"]["merges"]) == 1
    assert counts["preview"]["merges"] == counts["preview"]["values_changed"] == []
    assert counts["preview"]["counts"] == everything["preview"]["counts"]
    assert counts["confirmation"] == everything["confirmation"]
