"""`…/profiles/{id}/history`: what happened to a person, with the observation that did it.

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

from support.application import ORG
from support.view_stage import Stage

PLAIN = ("profile_view",)


async def history(stage: Stage, name: str, *permissions: str, **params: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    path = f"/t/{ORG}/api/v1/datasets/default/profiles/{stage.profile_id(name)}/history"
    answer = await stage.cds.http.get(path, headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    assert "complete" not in answer.json()
    return list(answer.json()["history"])


def values(steps: list[dict[str, Any]], attribute: str) -> list[tuple[Any, Any]]:
    return [
        (step.get("before"), step.get("after"))
        for step in steps
        if step["kind"] == "value" and step["attribute"] == attribute
    ]


async def test_values_have_what_stood_there_before_and_who_changed_it(stage: Stage) -> None:
    await stage.play("post P TP plan=gold\npatch P plan=trial\npatch P plan=trial\npatch P plan=-")
    steps = await history(stage, "P")
    assert values(steps, "traits.plan") == [(None, "gold"), ("gold", "trial"), ("trial", None)]
    assert [step["kind"] for step in steps] == ["creation", "value", "value", "value"]
    for step in steps:
        assert (step["observation"]["kind"], step["observation"]["application"]) == ("write", "crm")
        assert step["profile_id"] == stage.profile_id("P")


async def test_a_merge_stands_between_what_came_before_and_after_it(stage: Stage) -> None:
    await stage.play("post P card=c1 plan=gold\npost Q plan=trial\npatch Q card=c1\npatch P plan=silver")
    steps = await history(stage, "P")
    kinds = [step["kind"] for step in steps]
    assert kinds.count("creation") == 2
    assert kinds.count("merge") == 1
    assert values(steps, "traits.plan")[-1][1] == "silver"
    (merge,) = [step for step in steps if step["kind"] == "merge"]
    assert merge["observation"]["kind"] == "write"
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)


async def test_identities_of_pages_are_only_in_the_view_all(stage: Stage) -> None:
    await stage.play("post P TP\npage TP mail=p@ plan=gold")
    for permissions in (PLAIN, ()):
        steps = await history(stage, "P", *permissions)
        assert values(steps, "identity_attributes.emailaddress") == []
        assert "p@acme.example" not in str(steps)
    believed = await history(stage, "P", view="all")
    assert values(believed, "identity_attributes.emailaddress") == [(None, "p@acme.example")]
    assert values(believed, "traits.plan") == [(None, "gold")]


async def test_an_application_without_consent_reads_no_values(stage: Stage) -> None:
    await stage.play("post P plan=gold")
    await stage.cds("PATCH", "/config", json={"system_applications": []})
    (step,) = [item for item in await history(stage, "P") if item["kind"] == "value"]
    assert (step["attribute"], "before" in step, "after" in step) == ("traits.plan", False, False)


async def test_choices_are_steps(stage: Stage) -> None:
    category = {
        "category_name": "Offers",
        "purpose": "personalization",
        "attributes": [{"attribute_name": "traits.plan"}],
    }
    created = (await stage.cds("POST", "/consent-categories", json=category)).json()
    await stage.play("post P plan=gold")
    choice = [{"category_identifier": created["category_identifier"], "is_consented": True}]
    answer = await stage.cds("PUT", f"/profiles/{stage.profile_id('P')}/consents", json=choice)
    assert answer.status_code == 200
    (step,) = [item for item in await history(stage, "P") if item["kind"] == "consent"]
    assert (step["category"], step["consented"]) == (created["category_identifier"], True)
    assert step["observation"]["kind"] == "consent"
