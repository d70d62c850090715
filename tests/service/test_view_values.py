"""The values of joined profiles in the view `proven`, as docs/concepts/merging.md says.

`support/view_stage.py` explains how a story is written. Of two profiles without a user the one survives that
was active more recently before the write that joins them.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.application import SYSTEM
from support.view_stage import Stage

pytestmark = pytest.mark.postgres

STORIES: dict[str, str] = {
    "the absorbed profile's value replaces the survivor's, and a later write both": """
        post A TA plan=gold
        post B TB plan=trial
        patch A card=1
        patch B card=1
        A = A < B card=1 plan=trial
        patch A plan=c
        A = A < B card=1 plan=c
        B = B > A card=1 plan=c
    """,
    "what is absorbed last replaces, however old it is": """
        post C TC plan=silver
        post A TA plan=gold
        post B TB plan=trial
        patch A card=1
        patch B card=1
        patch A phone=2
        patch C phone=2
        A = A < B C card=1 phone=2 plan=silver
    """,
    "a write to a survivor that is absorbed later": """
        post B TB plan=b
        post C TC plan=c
        patch B card=1
        patch C card=1
        B = B < C card=1 plan=c
        patch B plan=b2
        post A TA plan=a
        patch A phone=2
        patch B phone=2
        A = A < B C card=1 phone=2 plan=b2
    """,
    "a write to a survivor that is absorbed by a profile without the value": """
        post A TA plan=a
        post B TB plan=b
        patch A card=1
        patch B card=1
        patch A plan=c
        post D TD
        patch D phone=2
        patch A phone=2
        D = D < A B card=1 phone=2 plan=c
    """,
    "lists are combined, and a write replaces the list": """
        post A TA interests=a
        post B TB interests=b
        patch A card=1
        patch B card=1
        A = A < B card=1 interests=a+b
        patch A interests=c
        A = A < B card=1 interests=c
    """,
    "equal elements of lists are there once, the survivor's first": """
        post A TA interests=a+b
        post B TB interests=b+c
        patch A card=1
        patch B card=1
        A = A < B card=1 interests=a+b+c
    """,
    "a value that was removed replaces nothing": """
        post A TA plan=a
        post B TB plan=b
        patch B plan=-
        patch A card=1
        patch B card=1
        A = A < B card=1 plan=a
    """,
    "the value of the less active profile, which is absorbed, stands": """
        post A TA plan=as
        post B TB plan=bs
        patch A card=1
        patch B mood=active
        patch A mood=-
        patch B phone=2
        patch A phone=2
        B = B < A card=1 mood=active phone=2 plan=as
    """,
    "a write that joins is stored first, and then unified": """
        server mail=k@ plan=y
        find A mail=k@
        post B TB card=1
        patch B mail=k@ plan=z
        B = B < A card=1 mail=k@ plan=y
    """,
    "an identity has the latest value by its own time": """
        server mail=a@ phone=10 at=1000010000000
        find A mail=a@
        server mail=b@ phone=5 at=1000005000000
        find B mail=b@
        server mail=b@ card=1
        server mail=a@ card=1
        list card=1 = B
        B = B < A card=1 mail=a@ phone=10
    """,
    "what two profiles share besides keeps them together, and changes no value": """
        post F TF mail=k@
        post G TG plan=g
        patch F mood=active
        patch G mail=k@
        F = F < G mail=k@ mood=active plan=g
        patch F plan=f4
        patch F phone=9
        patch G phone=9
        patch G mail=n@
        F = F < G mail=n@ mood=active phone=9 plan=f4
    """,
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_the_values_of_joined_profiles(stage: Stage, story: str) -> None:
    await stage.play(story)


async def _patch(stage: Stage, name: str, **body: Any) -> None:
    answer = await stage.cds("PATCH", f"/profiles/{stage.profile_id(name)}", json=body)
    assert answer.status_code == 200, answer.text


async def _read(stage: Stage, name: str) -> dict[str, Any]:
    params = {"includeApplicationData": "true"}
    answer = await stage.cds("GET", f"/profiles/{stage.profile_id(name)}", params=params)
    return dict(answer.json())


async def _define(stage: Stage, application: str, key: str, **more: Any) -> dict[str, Any]:
    draft = {"attribute_name": f"application_data.{key}", "application_identifier": application, **more}
    return (await stage.cds.define("application_data", draft))[0]


async def test_a_write_of_a_user_replaces_an_object_that_the_browser_has(stage: Stage) -> None:
    """The key of an application is written as one, in whatever part of the profile it stood."""
    parts = [await _define(stage, SYSTEM, f"top.{key}") for key in ("a", "b")]
    subs = [
        {"attribute_id": part["attribute_id"], "attribute_name": part["attribute_name"]} for part in parts
    ]
    await _define(stage, SYSTEM, "top", value_type="complex", sub_attributes=subs)
    await stage.play("post A TA")
    await _patch(stage, "A", application_data={SYSTEM: {"top": {"a": "1", "b": "2"}}})
    await stage.play("registers ann TA")
    await _patch(stage, "A", application_data={SYSTEM: {"top": {"b": "3"}}})
    assert (await _read(stage, "A"))["application_data"] == {SYSTEM: {"top": {"b": "3"}}}


async def test_the_data_of_two_applications_stay_apart(stage: Stage) -> None:
    for application in (SYSTEM, "spa"):
        await _define(stage, application, "score")
    await stage.play("post A TA\npost B TB")
    await _patch(stage, "A", application_data={SYSTEM: {"score": "1"}})
    await _patch(stage, "B", application_data={"spa": {"score": "2"}})
    await stage.play("patch A card=1\npatch B card=1\nA = A < B card=1")
    assert (await _read(stage, "A"))["application_data"] == {SYSTEM: {"score": "1"}, "spa": {"score": "2"}}


async def test_the_provider_owns_the_name_of_a_person(stage: Stage) -> None:
    await stage.play("post F TF mail=ann@")
    await _patch(stage, "F", identity_attributes={"givenname": "Annie"})
    assert (await _read(stage, "F"))["identity_attributes"]["givenname"] == "Annie"
    await stage.play("post P TP\nregisters ann TP\nverifies ann\nF = F > P ann mail=ann@")
    assert (await _read(stage, "F"))["identity_attributes"]["givenname"] == "Ann"


async def test_what_is_written_once_is_judged_by_what_the_caller_sees(stage: Stage) -> None:
    """A stranger's page cannot keep a value out, and what the caller sees is not written twice."""
    once = {"attribute_name": "traits.once", "mutability": "writeOnce"}
    await stage.cds.define("traits", once)
    await stage.play("server mail=vera@ plan=hers\nfind V mail=vera@\npost P TM")
    await _patch(stage, "P", traits={"once": "his"})
    await stage.play("page TM mail=vera@")
    believed = await stage.cds("GET", f"/profiles/{stage.profile_id('V')}", params={"view": "all"})
    assert believed.json()["traits"]["once"] == "his"

    await _patch(stage, "V", traits={"once": "hers"})
    assert (await _read(stage, "V"))["traits"] == {"once": "hers", "plan": "hers"}
    for view, value in (("proven", "other"), ("all", "third")):
        path, body = f"/profiles/{stage.profile_id('V')}", {"traits": {"once": value}}
        refused = await stage.cds("PATCH", path, params={"view": view}, json=body)
        assert refused.status_code == 400, refused.text
    assert (await _read(stage, "V"))["traits"] == {"once": "hers", "plan": "hers"}


async def test_what_is_written_once_cannot_be_guessed_by_tracker(stage: Stage) -> None:
    """What the tracker does not show forbids nothing and tells nothing."""
    await stage.cds.define("traits", {"attribute_name": "traits.once", "mutability": "writeOnce"})
    await stage.play("post A TA\nregisters ann TA")
    await _patch(stage, "A", traits={"once": "secret"})
    for guess in ("wrong", "secret"):
        body, cookie = {"traits": {"once": guess}}, {"Cookie": f"cds_profile={stage.tracker('TA')}"}
        answer = await stage.cds("PATCH", "/profiles/Me", headers=cookie, json=body)
        assert answer.status_code == 200, answer.text
        assert "once" not in answer.json().get("traits", {})
