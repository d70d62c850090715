"""`…/profiles/{id}/explain`: why a profile is one person, and how two ids belong together.

`support/view_stage.py` explains how a story is written.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from oneself.core.identity.identifier import tracker_digest
from support.application import ORG
from support.view_stage import Stage

PLAIN = ("profile_view",)
#: Ann has a browser and two records of servers, one of which names her verified address.
ANN = """
    post A TA
    registers ann TA
    verifies ann
    post S card=c1
    post R card=c1
    server mail=ann@ card=c1
"""


async def ask(stage: Stage, name: str, *permissions: str, path: str = "", **params: str) -> httpx.Response:
    """The answer to an application; without permissions, to one that has them all. `name`: of a profile."""
    headers = {"Authorization": f"Bearer {await stage.cds.token(*permissions)}"}
    names = {key: name_or_id(stage, value) if key == "with" else value for key, value in params.items()}
    path = f"/t/{ORG}/api/v1{path}/profiles/{name_or_id(stage, name)}/explain"
    return await stage.cds.http.get(path, headers=headers, params=names)


def name_or_id(stage: Stage, name: str) -> str:
    try:
        return stage.profile_id(name)
    except KeyError:
        return name


async def explained(stage: Stage, name: str, *permissions: str, **params: str) -> dict[str, Any]:
    answer = await ask(stage, name, *permissions, **params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def causes(stage: Stage, one: str, other: str, *permissions: str, **params: str) -> list[Any]:
    found = await explained(stage, one, *permissions, **{"with": other, **params})
    assert (found["one_profile"], "path" in found) == (False, False)
    return list(found["causes"])


def reasons(joins: list[Any]) -> list[tuple[str, str]]:
    return [(join["reason"], join["evidence"]) for join in joins]


async def test_every_join_says_who_said_it_and_when(stage: Stage) -> None:
    await stage.play(ANN)
    found = await explained(stage, "A")
    assert (found["profile_id"], found["view"]) == (stage.profile_id("A"), "proven")
    assert reasons(found["joins"])[0] == ("system:user_id_match", "same_user")
    by_card = [join for join in found["joins"] if join["reason"] == "identity:card"]
    assert by_card
    for join in by_card:
        assert join["identifier"] == {"namespace": "card", "value": "c1"}
        for side in join["sides"]:
            assert side["evidence"] == "proven"
            assert side["observation"]["kind"] in ("event", "write")
            assert side["observation"]["application"] == "crm"
            assert len(side["observation"]["event_id"]) == 24
    browsers = {side["part"].get("browser") for join in found["joins"] for side in join["sides"]}
    assert browsers == {None, tracker_digest(stage.tracker("TA"))}
    assert stage.tracker("TA") not in str(found)
    kinds = {side["part"]["kind"] for join in found["joins"] for side in join["sides"]}
    assert kinds == {"application", "server", "user"}


async def test_what_a_user_has_verified_goes_before_what_servers_said(stage: Stage) -> None:
    await stage.play(ANN)
    evidence = [join["evidence"] for join in (await explained(stage, "A"))["joins"]]
    order = ["same_user", "verified", "proven"]
    assert evidence == sorted(evidence, key=order.index)
    assert set(evidence) == set(order)


async def test_pages_have_each_join_once(stage: Stage) -> None:
    await stage.play(ANN)
    whole = (await explained(stage, "A"))["joins"]
    paged, cursor = [], ""
    while True:
        page = await explained(stage, "A", page_size="1", **({"cursor": cursor} if cursor else {}))
        paged += page["joins"]
        if not (cursor := page["pagination"].get("next_cursor", "")):
            break
    assert paged == whole
    assert len(whole) > 2


async def test_a_path_leads_from_one_part_to_the_other(stage: Stage) -> None:
    await stage.play(ANN)
    found = await explained(stage, "A", **{"with": "S"})
    assert found["one_profile"] is True
    ends = [{side["part"]["id"] for side in join["sides"]} for join in found["path"]]
    assert stage.profile_id("A") in ends[0]
    assert stage.profile_id("S") in ends[-1]
    assert "causes" not in found
    same = await explained(stage, "A", **{"with": "A"})
    assert (same["one_profile"], same["path"]) == (True, [])


async def test_an_identifier_means_the_part_that_has_it(stage: Stage) -> None:
    await stage.play(ANN)
    found = await explained(stage, "A", **{"with": "card:c1"})
    assert found["with"] != found["profile_id"]
    assert found["one_profile"] is True


async def test_two_users_are_two_people(stage: Stage) -> None:
    await stage.play(
        "post V TV\nregisters vera TV\npost B TB\nregisters ben TB\npatch V card=c1\npatch B card=c1"
    )
    (cause,) = await causes(stage, "V", "B")
    assert (cause["code"], cause["identifier"]["value"], len(cause["parts"])) == ("different_user", "c1", 2)
    (cause,) = await causes(stage, "V", "B", view="own")
    assert cause == {"code": "different_user"}


async def test_two_users_without_anything_in_common(stage: Stage) -> None:
    await stage.play("post V TV\nregisters vera TV\npost B TB\nregisters ben TB")
    assert [item["code"] for item in await causes(stage, "V", "B")] == ["different_user"]


async def test_nothing_in_common(stage: Stage) -> None:
    await stage.play("post P card=c1\npost Q card=c2")
    found = await explained(stage, "P", **{"with": "Q"})
    assert (found["causes"], found["one_in"]) == ([{"code": "nothing_in_common"}], [])
    assert await causes(stage, "P", "Q", view="own") == [{"code": "not_same_owner"}]


async def test_what_only_pages_said_is_no_reason_in_proven(stage: Stage) -> None:
    """A caller without the permission learns nothing of what a page says, not even that it is a reason."""
    await stage.play("post P TP\npost Q card=c1")
    before = await explained(stage, "P", *PLAIN, **{"with": "Q"})
    await stage.play("page TP card=c1")
    after = await explained(stage, "P", *PLAIN, **{"with": "Q"})
    assert before == after
    assert after["causes"] == [{"code": "nothing_in_common"}]
    assert (await explained(stage, "P", **{"with": "Q"}))["one_in"] == ["all"]
    believed = await explained(stage, "P", view="all", **{"with": "Q"})
    assert reasons(believed["path"]) == [("identity:card", "asserted")]


async def test_the_joins_of_the_view_all_are_its_merges(stage: Stage) -> None:
    await stage.play("post P TP\npost Q card=c1\npage TP card=c1")
    found = await explained(stage, "P", view="all")
    (join,) = found["joins"]
    assert (join["reason"], join["evidence"]) == ("identity:card", "asserted")
    assert join["identifier"] == {"namespace": "card", "value": "c1"}
    assert {side["part"]["id"] for side in join["sides"]} == {stage.profile_id("P"), stage.profile_id("Q")}
    assert {side["observation"]["face"] for side in join["sides"]} == {"cds", "interactions"}
    assert {side["evidence"] for side in join["sides"]} == {"proven", "asserted"}


async def test_a_refusal_of_the_view_all_says_what_was_recorded(stage: Stage) -> None:
    await stage.play("post P card=c1\npost Q mail=q@\npage TN mail=q@ card=c1\npage TN mail=q@ card=c1")
    (cause,) = await causes(stage, "P", "Q", view="all")
    assert (cause["code"], cause["namespace"], cause["times"]) == ("untrusted_evidence", "card", 2)
    assert {part["id"] for part in cause["parts"]} == {stage.profile_id("P"), stage.profile_id("Q")}


async def test_different_customer_numbers_keep_people_apart(stage: Stage) -> None:
    await stage.play("post P number=n1 card=c1\npost Q number=n2 card=c1")
    answers = [await causes(stage, "P", "Q"), await causes(stage, "P", "Q", view="all")]
    for found in answers:
        assert found[0]["code"] == "conflicting_identity", found
        assert found[0]["namespace"] == "customerId"
    assert answers[0][0]["identifier"] == {"namespace": "card", "value": "c1"}


async def test_a_limit_keeps_people_apart(stage: Stage) -> None:
    await stage.play(
        "protect profiles_per_merge_max=1\npost P card=c1\npost Q phone=+4915112345678\n"
        "post R mail=r@\nserver mail=r@ phone=+4915112345678 card=c1"
    )
    for view in ("proven", "all"):
        (cause,) = await causes(stage, "P", "Q", view=view)
        assert (cause["code"], cause["identifier"]["namespace"]) == ("limit_exceeded", "mobileNumber")


async def test_a_rule_that_is_off_is_named(stage: Stage) -> None:
    rule = {"rule_name": "by plan", "property_name": "traits.plan", "priority": 7, "is_active": False}
    assert (await stage.cds("POST", "/unification-rules", json=rule)).status_code == 201
    await stage.play("post P plan=gold\npost Q plan=gold")
    (cause,) = await causes(stage, "P", "Q")
    assert cause == {
        "code": "rule_inactive",
        "rule": "by plan",
        "namespace": "traits.plan",
        "identifier": {"namespace": "traits.plan", "value": "gold"},
    }
    (cause,) = await causes(stage, "P", "Q", view="all")
    assert cause["code"] == "rule_inactive"


async def test_a_type_that_does_not_match_is_named(stage: Stage) -> None:
    await stage.admin(
        "POST", "/identity-types", json={"id": "plan", "label": "plan", "uniqueness": "Not Unique"}
    )
    bound = (await stage.admin("GET", "/datasets/default/identity-attributes")).json()["identity_attributes"]
    new = [*bound, {"name": "plan", "identity_type": "plan", "attribute": "traits.plan"}]
    await stage.admin("PUT", "/datasets/default/identity-attributes", json=new)
    await stage.play("post P plan=gold\npost Q plan=gold")
    (cause,) = await causes(stage, "P", "Q")
    assert (cause["code"], cause["rule"]) == ("type_not_unique", "plan")


@pytest.mark.parametrize("value", ["123456", "unknown"])
async def test_a_placeholder_is_named(stage: Stage, value: str) -> None:
    await stage.play(f"post P card={value}\npost Q card={value}")
    (cause,) = await causes(stage, "P", "Q")
    assert (cause["code"], cause["identifier"]) == ("blocked_value", {"namespace": "card", "value": value})
    assert (await causes(stage, "P", "Q", view="all"))[0]["code"] == "blocked_value"


async def test_an_identifier_that_changed_hands_joins_no_one(stage: Stage) -> None:
    await stage.play(
        "post P mail=ann@\npost A TA\nregisters ann TA\nverifies ann\npost B TB\nreport ben TB mail!=ben@\n"
        "claims ben mail!=ann@\nserver mail=ann@ plan=x\nfind S plan=x"
    )
    found = await causes(stage, "P", "S")
    assert [item["code"] for item in found] == ["different_user", "changed_hands"]
    assert found[1]["identifier"]["value"] == "ann@acme.example"


async def test_a_merge_that_a_verification_made_is_proven_in_the_view_all(stage: Stage) -> None:
    await stage.play("post P mail=ann@\npost A TA\nregisters ann TA\nverifies ann")
    (join,) = (await explained(stage, "A", view="all"))["joins"]
    assert (join["reason"], join["evidence"]) == ("identity:emailAddress", "proven")
    assert {side["observation"]["kind"] for side in join["sides"]} == {"write", "claims"}


async def test_a_value_that_was_given_up_before_joins_no_one(stage: Stage) -> None:
    await stage.play("post P card=c1\npatch P card=c2\npost Q card=c1")
    (cause,) = await causes(stage, "P", "Q")
    assert (cause["code"], cause["identifier"]["value"]) == ("not_at_one_time", "c1")


async def test_the_default_view_is_that_of_the_dataset_as_far_as_the_caller_may(stage: Stage) -> None:
    await stage.admin("PATCH", "/datasets/default", json={"default_view": "all"})
    await stage.play("post P TP\npost Q card=c1\npage TP card=c1")
    assert (await explained(stage, "P"))["view"] == "all"
    assert (await explained(stage, "P", *PLAIN))["view"] == "proven"
    refused = await ask(stage, "P", *PLAIN, view="all")
    assert (refused.status_code, "internal_cds_profile_view_all" in refused.text) == (403, True)


@pytest.mark.parametrize("dataset", ["", "/datasets/default"])
async def test_ids_that_mean_no_one_are_404(stage: Stage, dataset: str) -> None:
    await stage.play("post P card=c1")
    for name, params in (("unknown", {}), ("P", {"with": "unknown"}), ("P", {"with": "card:c9"})):
        for view in ("own", "proven", "all"):
            answer = await ask(stage, name, path=dataset, view=view, **params)
            assert (answer.status_code, answer.json()["code"]) == (404, "CDS-11001")
    assert (await ask(stage, "P", path="/datasets/other")).status_code == 404


@pytest.mark.parametrize("params", [{"view": "some"}, {"page_size": "0"}, {"cursor": "x"}])
async def test_bad_parameters_are_400(stage: Stage, params: dict[str, str]) -> None:
    await stage.play("post P card=c1")
    answer = await ask(stage, "P", **params)
    assert (answer.status_code, answer.json()["code"]) == (400, "CDS-10001")


async def test_it_takes_the_permission_to_view_profiles(stage: Stage) -> None:
    await stage.play("post P card=c1")
    assert (await ask(stage, "P", "profile_update")).status_code == 403
