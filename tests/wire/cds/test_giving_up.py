"""One of two accounts is given up, so that their profiles are merged (docs/guides/undo-a-wrong-merge.md)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from wire.browser import Browser, WebApplication, new_person, register, sign_in
from wire.client import Cds, assert_error, fresh
from wire.person import is_one_person, wait_until_applied


class Customer:
    """Somebody with an account of the embedded directory, a browser and a profile."""

    def __init__(self, cds: Cds, app: WebApplication, word: str, **traits: str) -> None:
        self._cds, self._app = cds, app
        self.person = new_person(fresh(word))
        visit = cds.create({"traits": traits})
        self.tracker = visit["anonymous_profile_tracker"]
        self.browser = Browser(cds.base_url)
        self.tokens = register(self.browser, app, self.person, anonymous_profile_tracker=self.tracker)
        me = self.me().json()
        self.profile_id, self.user_id = me["profile_id"], me["user_id"]

    def me(self) -> httpx.Response:
        return self._cds.get("/profiles/Me", token=self.tokens["access_token"])


@pytest.fixture
def pair(cds: Cds, web_app: WebApplication) -> Iterator[tuple[Customer, Customer]]:
    plan, size = cds.trait(), cds.trait()
    found = (
        Customer(cds, web_app, "first", **{plan: "gold"}),
        Customer(cds, web_app, "second", **{size: "xl"}),
    )
    yield found
    for customer in found:
        customer.browser.close()


def merge(cds: Cds, kept: Customer, other: Customer, query: str = "", **body: Any) -> httpx.Response:
    return cds.admin("POST", f"/profiles/{kept.profile_id}/merge{query}", {"with": other.profile_id, **body})


def test_two_accounts_become_one(cds: Cds, web_app: WebApplication, pair: tuple[Customer, Customer]) -> None:
    kept, other = pair
    before = kept.me().json()
    assert merge(cds, kept, other).status_code == 409
    dry = merge(cds, kept, other, "?dry_run=true", give_up_account=other.user_id)
    assert dry.status_code == 200, dry.text
    assert other.me().status_code == 200, "a dry run ends nothing"
    done = merge(cds, kept, other, give_up_account=other.user_id, reason="registered twice")
    assert done.status_code == 200, done.text
    document = done.json()
    assert document["given_up"] == dry.json()["given_up"]
    assert document["given_up"] == {
        "user_id": other.user_id,
        "browsers": 1,
        "verified": [],
        "account_deleted": True,
    }
    (profile,) = document["profiles"]
    assert profile["user_id"] == kept.user_id
    assert profile == dry.json()["profiles"][0]
    for view in ("proven", "all"):
        merged = cds.read(other.profile_id, view=view)
        survivor = cds.read(kept.profile_id, view=view)
        assert merged["merged_to"]["profile_id"] == survivor["profile_id"], view
        assert sorted(survivor["traits"].values()) == ["gold", "xl"], view
    steps = cds.admin("GET", f"/datasets/default/profiles/{kept.profile_id}/history").json()["history"]
    (decided,) = [step for step in steps if step["kind"] == "manual_merge"]
    assert (decided["given_up_account"], decided["reason"]) == (other.user_id, "registered twice")
    # The account is gone, and nobody reads anything by what was its own.
    assert other.me().status_code == 401
    assert cds.get("/profiles/Me", tracker=other.tracker).status_code == 401
    # The other person goes on, and reads what they own.
    after = kept.me().json()
    assert (after["profile_id"], after.get("traits")) == (before["profile_id"], before.get("traits"))
    assert "xl" not in str(after)
    with pytest.raises(AssertionError, match="still at"):
        sign_in(Browser(cds.base_url), web_app, other.person)


def test_whoever_uses_the_browser_next_begins_anew(
    cds: Cds, web_app: WebApplication, pair: tuple[Customer, Customer]
) -> None:
    kept, other = pair
    assert merge(cds, kept, other, give_up_account=other.user_id).status_code == 200
    merged = cds.read(kept.profile_id)
    for person, signs in ((new_person(fresh("stranger")), register), (kept.person, sign_in)):
        tokens = signs(Browser(cds.base_url), web_app, person, anonymous_profile_tracker=other.tracker)
        me = cds.get("/profiles/Me", token=tokens["access_token"]).json()
        assert other.profile_id not in {
            me["profile_id"],
            *(p["profile_id"] for p in me.get("merged_from", [])),
        }
        assert "xl" not in str(me)
    assert cds.read(kept.profile_id)["traits"] == merged["traits"]


def test_a_user_of_another_provider_who_gave_up_begins_anew(cds: Cds) -> None:
    key, one, other = cds.trait(), fresh("one"), fresh("other")
    first, second = (cds.create({"user_id": user, "traits": {key: user}}) for user in (one, other))
    body = {"with": second["profile_id"], "give_up_account": other}
    done = cds.admin("POST", f"/profiles/{first['profile_id']}/merge", body)
    assert done.status_code == 200, done.text
    assert done.json()["given_up"]["account_deleted"] is False
    again = cds.create({"user_id": other})
    assert again["user_id"] == other
    assert "merged_to" not in again
    for view in ("own", "proven", "all"):
        found = cds.read(again["profile_id"], view=view)
        assert (found["user_id"], found.get("traits"), "merged_to" in found) == (other, None, False), view


def test_a_split_takes_the_merge_back_but_not_the_account(cds: Cds) -> None:
    key, one, other = cds.trait(), fresh("one"), fresh("other")
    first, second = (cds.create({"user_id": user, "traits": {key: user}}) for user in (one, other))
    body = {"with": second["profile_id"], "give_up_account": other}
    assert cds.admin("POST", f"/profiles/{first['profile_id']}/merge", body).status_code == 200
    split = cds.admin("POST", f"/profiles/{first['profile_id']}/split", {"profile_id": second["profile_id"]})
    assert split.status_code == 200, split.text
    assert {item["user_id"] for item in split.json()["profiles"]} == {one, None}
    for view in ("proven", "all"):
        assert cds.read(first["profile_id"], view=view)["traits"] == {key: one}
        parted = cds.read(second["profile_id"], view=view)
        assert (parted["traits"], parted.get("user_id")) == ({key: other}, None)


def test_only_an_administrator_gives_an_account_up(cds: Cds) -> None:
    first, second = (cds.create({"user_id": fresh("user")}) for _ in range(2))
    body = {"with": second["profile_id"], "give_up_account": second["user_id"]}
    path = f"/profiles/{first['profile_id']}/merge"
    answer = cds.admin("POST", path, body, token=cds.token("profile_merge", "profile_view"))
    assert_error(answer, 403, "CDS-10003")
    assert "merged_to" not in cds.read(second["profile_id"])


def test_an_account_that_nobody_has_is_not_given_up(cds: Cds) -> None:
    first, second, visit = (
        cds.create({"user_id": fresh("a")}),
        cds.create({"user_id": fresh("b")}),
        cds.create(),
    )
    path = f"/profiles/{first['profile_id']}/merge"
    for other, user in ((second, fresh("c")), (second, ""), (visit, first["user_id"]), (second, "x" * 9000)):
        body = {"with": other["profile_id"], "give_up_account": user}
        assert_error(cds.admin("POST", path, body), 400, "CDS-10001")
    assert "merged_to" not in cds.read(second["profile_id"])


def test_a_value_that_a_rule_read_only_later_begins_anew_as_well(
    cds: Cds, web_app: WebApplication, pair: tuple[Customer, Customer]
) -> None:
    """Whoever verifies the number of an account that was given up gets nothing that was said of it before."""
    number, (kept, given) = f"+49151{secrets.randbelow(10**7):07d}", pair
    _verify_mobile(cds, given, number)
    key = cds.trait()
    record = {"identity_attributes": {"mobile": number}, "traits": {key: "secret"}}
    said = cds.create(record, params={"tracker": "false"})
    rule = cds.rule("identity_attributes.mobile")
    try:
        wait_until_applied(cds, rule)
        assert is_one_person(cds, {"profile_id": given.profile_id}, said)
        done = merge(cds, kept, given, give_up_account=given.user_id)
        assert done.status_code == 200, done.text
        assert done.json()["given_up"]["verified"] == ["mobile"]
        later = Customer(cds, web_app, "later")
        _verify_mobile(cds, later, number)
        for view in ("own", "proven", "all"):
            found = cds.read(later.profile_id, view=view)
            assert (found["user_id"], "secret" in str(found)) == (later.user_id, False), view
        assert is_one_person(cds, {"profile_id": kept.profile_id}, said)
    finally:
        assert cds.delete(f"/unification-rules/{rule['rule_id']}").status_code == 204


def _verify_mobile(cds: Cds, customer: Customer, number: str) -> None:
    body = {"mobile": number, "mobile_verified": True}
    answer = cds.admin("PATCH", f"/users/{customer.user_id}", body)
    assert answer.status_code == 200, answer.text


def test_an_earlier_merge_with_another_user_is_no_way_to_the_account(cds: Cds) -> None:
    key = cds.trait()
    kept, given = (cds.create({"user_id": fresh("user"), "traits": {key: f"w{n}"}}) for n in range(2))
    visit, other = cds.create(), fresh("other")
    path = f"/profiles/{given['profile_id']}/merge"
    assert cds.admin("POST", path, {"with": visit["profile_id"]}).status_code == 200
    link = {"profile_id": visit["profile_id"], "user_id": other}
    assert cds.post("/profiles/link", link).status_code == 200
    body = {"with": given["profile_id"], "give_up_account": given["user_id"]}
    for query in ("?dry_run=true", ""):
        answer = cds.admin("POST", f"/profiles/{kept['profile_id']}/merge{query}", body)
        assert (answer.status_code, "Split" in answer.text) == (409, True), answer.text
    assert cds.read(given["profile_id"])["user_id"] == given["user_id"]
    assert cds.read(given["profile_id"])["traits"] == {key: "w1"}


def test_the_id_of_a_user_who_gave_up_still_means_what_it_meant_then(cds: Cds) -> None:
    kept, given = (cds.create({"user_id": fresh("user")}) for _ in range(2))
    before = cds.read(given["profile_id"])["meta"]["updated_at"]
    body = {"with": given["profile_id"], "give_up_account": given["user_id"]}
    assert cds.admin("POST", f"/profiles/{kept['profile_id']}/merge", body).status_code == 200
    path = f"/datasets/default/profiles/user_id:{given['user_id']}"
    answer = cds.admin("GET", path, params={"at": before})
    assert (answer.status_code, answer.json().get("user_id")) == (200, given["user_id"]), answer.text
    assert cds.admin("GET", path).status_code == 404
