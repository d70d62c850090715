"""`/t/{org}/api/v1`: split a profile, merge two (docs/guides/undo-a-wrong-merge.md)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from wire.client import UNKNOWN_ID, Cds, assert_error, fresh

SHARED = {"emailAddress": "info@acme.example"}


@pytest.fixture(scope="module")
def org(new_org: Callable[[], Cds]) -> Cds:
    return new_org()


class Site:
    """A dataset that receives events of pages."""

    def __init__(self, org: Cds) -> None:
        self.org, self.name = org, fresh("site").replace("_", "-")
        token = org.token("identity_update")
        assert org.admin("POST", "/datasets", {"name": self.name}, token=token).status_code == 201
        bound = [{"name": "emailAddress", "identity_type": "emailAddress"}]
        answer = org.admin("PUT", f"/datasets/{self.name}/identity-attributes", bound, token=token)
        assert answer.status_code == 200, answer.text

    def visit(self, browser: str, identities: dict[str, str] | None = None) -> None:
        event = {"user": {"anonymousId": browser}, "interaction": {"name": "Look"}}
        if identities:
            event["user"] = {"anonymousId": browser, "identities": identities}  # type: ignore[dict-item]
        answer = self.org.http.post(f"/t/{self.org.org}/api2/event/{self.name}", json=event)
        assert answer.status_code == 200, answer.text

    def ask(self, method: str, path: str, body: Any = None, **kwargs: Any) -> httpx.Response:
        return self.org.admin(method, f"/datasets/{self.name}/profiles/{path}", body, **kwargs)

    def profile_id(self, text: str) -> str:
        answer = self.ask("GET", text)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["profile_id"])


@pytest.fixture
def site(org: Cds) -> Site:
    site = Site(org)
    for browser in ("one", "two"):
        site.visit(browser, SHARED)
    assert site.profile_id("one") == site.profile_id("two")
    return site


def test_a_shared_address_is_undone(site: Site) -> None:
    body = {"identifier": "emailAddress:info@acme.example", "reason": "everybody's address"}
    dry = site.ask("POST", "one/split?dry_run=true", body)
    assert dry.status_code == 200, dry.text
    assert dry.json()["decision_id"] is None
    assert site.profile_id("one") == site.profile_id("two"), "a dry run changes nothing"
    done = site.ask("POST", "one/split", body)
    assert done.status_code == 200, done.text
    document = done.json()
    assert document.pop("decision_id")
    assert document == {key: value for key, value in dry.json().items() if key != "decision_id"}
    assert document["view"] == "all"
    one, two = document["profiles"]
    assert [one["profile_id"], two["profile_id"]] == [site.profile_id("one"), site.profile_id("two")]
    assert (one["events"], two["events"], len(one["fragments"])) == (1, 1, 1)
    assert {item["namespace"] for item in one["identifiers"]} == {"anonymous_id", "emailAddress"}
    for browser in ("two", "one"):
        site.visit(browser, SHARED)
        site.visit(browser)
    assert [one["profile_id"], two["profile_id"]] == [site.profile_id("one"), site.profile_id("two")]
    explained = site.ask("GET", "one/explain?with=two").json()
    assert "split_kept_apart" in {cause["code"] for cause in explained["causes"]}, explained
    merged = site.ask("POST", "two/merge", {"with": one["profile_id"], "reason": "one household"})
    assert merged.status_code == 200, merged.text
    (profile,) = merged.json()["profiles"]
    assert profile["events"] == 6
    steps = site.ask("GET", "one/history").json()["history"]
    decided = [step for step in steps if step["kind"] in ("split", "manual_merge")]
    assert [step["reason"] for step in decided] == ["everybody's address", "one household"]
    assert [step["parts"] for step in decided] == [2, 2]
    assert decided[0]["observation"]["application"] == site.org.client_id
    assert site.profile_id("one") == site.profile_id("two") == profile["profile_id"]


def test_a_merge_that_is_taken_back_leaves_the_old_ids(site: Site) -> None:
    site.visit("three")
    before = site.profile_id("one"), site.profile_id("three")
    assert site.ask("POST", "one/merge", {"with": "three"}).status_code == 200
    survivor = site.profile_id("three")
    assert site.profile_id("one") == survivor
    (absorbed,) = set(before) - {survivor}
    assert site.ask("GET", absorbed).json()["merged_to"]["profile_id"] == survivor
    assert site.ask("POST", f"{survivor}/split", {"profile_id": absorbed}).status_code == 200
    assert (site.profile_id("one"), site.profile_id("three")) == before
    assert "merged_to" not in site.ask("GET", absorbed).json()


@pytest.mark.parametrize("query", ["dry_run=1", "dry_run=yes", "dry_run=", "dry_run=true&dry_run=false"])
def test_a_dry_run_that_is_not_plainly_asked_for_changes_nothing(site: Site, query: str) -> None:
    site.visit("three")
    for word, body in (("split", {"all": True}), ("merge", {"with": "three"})):
        assert_error(site.ask("POST", f"one/{word}?{query}", body), 400, "CDS-10001")
    profile = site.profile_id("one")
    assert_error(site.org.admin("POST", f"/profiles/{profile}/erase?{query}"), 400, "CDS-10001")
    assert_error(site.org.request("DELETE", f"/profiles/{profile}?{query}"), 400, "CDS-10001")
    assert site.profile_id("two") == profile != site.profile_id("three")


@pytest.mark.parametrize("view", ["all", "proven"])
def test_a_merge_by_hand_is_explained_by_who_made_it(site: Site, view: str) -> None:
    site.visit("three")
    assert site.ask("POST", f"one/merge?view={view}", {"with": "three"}).status_code == 200
    explained = site.ask("GET", f"one/explain?view={view}&with=three").json()
    assert explained.get("path"), explained
    (join,) = [item for item in explained["path"] if item["reason"] == "manual"]
    assert join["evidence"] == "proven"
    assert {side["observation"]["application"] for side in join["sides"]} == {site.org.client_id}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": "why"},
        {"all": False},
        {"fragments": []},
        {"fragments": ["nothing"]},
        {"fragments": [UNKNOWN_ID]},
        {"profile_id": "nothing"},
        {"profile_id": UNKNOWN_ID},
        {"browser": "unknown"},
        {"identifier": "emailAddress"},
        {"identifier": "nothing:at all"},
        {"identifier": "emailAddress:nobody@acme.example"},
        {"all": True, "browser": "two"},
        {"all": True, "reason": "x" * 501},
        {"all": True, "reason": "x\x00"},
        {"all": "yes"},
        {"all": True, "other": 1},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_an_invalid_split_changes_nothing(site: Site, body: dict[str, Any]) -> None:
    assert_error(site.ask("POST", "one/split", body), 400, "CDS-10001")
    assert site.profile_id("one") == site.profile_id("two")


def test_an_invalid_merge_changes_nothing(site: Site) -> None:
    for body in ({}, {"with": "two"}, {"with": 5}, {"with": "one"}, {"with": None}):
        assert_error(site.ask("POST", "one/merge", body), 400, "CDS-10001")
    assert_error(site.ask("POST", "one/merge?view=own", {"with": "unknown"}), 400, "CDS-10001")
    for other in ("unknown", UNKNOWN_ID):
        assert_error(site.ask("POST", "one/merge", {"with": other}), 404, "CDS-11001")
    assert_error(site.ask("POST", "unknown/merge", {"with": "one"}), 404, "CDS-11001")
    assert_error(site.ask("POST", "unknown/split", {"all": True}), 404, "CDS-11001")


@pytest.mark.parametrize("view", ["proven", "all"])
def test_an_export_has_the_decisions_without_their_reasons(org: Cds, view: str) -> None:
    one, other = (org.create()["profile_id"] for _ in range(2))
    body = {"with": other, "reason": "they live with Zoe"}
    assert org.admin("POST", f"/profiles/{one}/merge", body).status_code == 200
    answer = org.admin("GET", f"/profiles/{one}/export?view={view}")
    assert answer.status_code == 200, answer.text
    (decided,) = answer.json()["decisions"]
    assert (decided["decision"], decided["interface"], decided["parts"]) == ("merge", "admin", 2)
    assert decided["decided_at"] >= answer.json()["profile"]["created_at"]
    assert "Zoe" not in answer.text


def test_two_users_are_never_merged(org: Cds) -> None:
    one, other = (org.create({"user_id": fresh("u")})["profile_id"] for _ in range(2))
    answer = org.admin("POST", f"/profiles/{one}/merge", {"with": other})
    assert answer.status_code == 409
    assert "user" in answer.json()["description"]


def test_records_of_an_application_are_parted_in_its_view(org: Cds) -> None:
    key = org.trait_with_rule()
    one = org.create({"traits": {key: "a1"}})["profile_id"]
    other = org.create({"traits": {key: "a1"}})["profile_id"]
    assert org.read(other)["merged_to"]["profile_id"] == one
    answer = org.admin("POST", f"/profiles/{one}/split", {"fragments": [other]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["view"] == "proven"
    assert "merged_to" not in org.read(other)
    org.write(other, {"traits": {key: "a1"}})
    assert "merged_to" not in org.read(other), "what is written again joins nobody"
    third = org.create({"traits": {key: "a1"}})["profile_id"]
    assert org.read(third)["merged_to"]["profile_id"] == one
    assert "merged_to" not in org.read(other)


def test_whoever_may_not_read_profiles_reads_none_here(site: Site) -> None:
    token = site.org.token("profile_merge", "profile_view_all")
    answer = site.ask("POST", "one/split?dry_run=true&view=all", {"all": True}, token=token)
    assert answer.status_code == 200, answer.text
    assert SHARED["emailAddress"] not in answer.text
    for profile in answer.json()["profiles"]:
        assert (profile["values"], profile["identifiers"], profile["consents"]) == ({}, [], [])
