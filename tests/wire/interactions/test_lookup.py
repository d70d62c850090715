"""Lookups by any ID of a user, and deletion (docs/wire/interactions.md §4, §9.3, §9.5)."""

from __future__ import annotations

import pytest

from wire.client import fresh
from wire.interactions.client import PRIMARY, Dataset, now_ms

USERS = 3


def _delete(web: Dataset, *names: str) -> str:
    path = f"/t/{web.org.org}/api/dataset/{web.name}/users/delete"
    content = "\n".join(["name", *names, ""])
    answer = web.request("POST", path, files={"file": ("users.csv", content, "text/csv")}, auth=web.basic)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_record_has_the_fields_of_the_contract(web: Dataset) -> None:
    before, web_id = now_ms(), fresh("w")
    user = web.identify(webId=web_id)
    record = web.record(user)
    assert {
        "id", "isAnonymous", "displayName", "attributes", "anonAliases", "anonMergeTimes", "profileObjects",
        "firstActivity", "lastActivity", "created", "updated", "visitHistory", "orderHistory",
        "segmentMembership", "originatingReferrer", "location", "pageLocale", "engagement",
    } <= set(record)  # fmt: skip
    for field in ("firstActivity", "lastActivity", "created", "updated"):
        assert before - 2 <= record[field] <= now_ms() + 2, field
    metadata = record["attributes"]["webId"]["metadata"]
    assert (metadata["origin"], metadata["classification"]) == ("Web", "PersonallyIdentifiable")
    assert before - 2 <= metadata["lastUpdated"] <= now_ms() + 2


def test_a_user_is_found_by_primary_id_anonymous_id_and_alias(web: Dataset) -> None:
    page = web.page()
    page.send()
    user = page.send(id=fresh("w"))
    assert web.record(page.device) == web.record(user)
    assert web.profile(page.device) == web.profile(user) == web.profile(web.profile(user)["profile_id"])


@pytest.mark.parametrize("user_id", ["unknown", "f" * 24, "f" * 16, "%00", "a" * 300, "a b"])
def test_an_unknown_id_finds_no_user(web: Dataset, user_id: str) -> None:
    assert web.user(user_id) is None


def test_an_identity_is_not_an_id(web: Dataset) -> None:
    web_id = fresh("w")
    web.identify(webId=web_id)
    assert web.user(web_id) is None


def test_the_csv_of_users_is_utf_8(web: Dataset) -> None:
    web.identify(emailAddress=f"{fresh('zoë')}@acme.example")
    path = f"/t/{web.org.org}/api/dataset/{web.name}/users.csv"
    answer = web.request("GET", path, auth=web.basic)
    assert answer.status_code == 200, answer.text
    content_type = answer.headers["content-type"].replace(" ", "").lower()
    assert content_type == "text/csv;charset=utf-8"
    assert "zoë" in answer.content.decode()


def test_resolve_changes_nothing(web: Dataset) -> None:
    web_id = fresh("w")
    for _ in range(2):
        assert web.resolve(webId=web_id) is None
    user = web.identify(webId=web_id)
    before = web.record(user)
    assert web.resolve(webId=f" {web_id.upper()} ") == user
    assert web.record(user) == before


def test_resolve_returns_the_user_that_an_event_would_resolve_to(web: Dataset) -> None:
    web_id, email, now = fresh("w"), f"{fresh('ann')}@acme.example", now_ms()
    older, newer = (
        web.identify(at=now - 90_000, webId=web_id),
        web.identify(at=now - 60_000, emailAddress=email),
    )
    assert web.resolve(webId=web_id, emailAddress=email) == newer
    assert web.survivor(older) == older
    assert web.identify(webId=web_id, emailAddress=email) == newer


def test_deleting_users_removes_them_and_returns_their_number(web: Dataset) -> None:
    pages = [web.page() for _ in range(USERS)]
    for page in pages:
        page.send()
    web_ids = [fresh("w") for _ in pages]
    users = [page.send(id=web_id) for page, web_id in zip(pages, web_ids, strict=True)]
    message = _delete(web, *users, "unknown")
    assert message == f"Deleted {USERS} users ({USERS + 1} requested)"
    for page, web_id, user in zip(pages, web_ids, users, strict=True):
        assert web.user(user) is None
        assert web.user(page.device) is None
        assert web.resolve(webId=web_id) is None
        assert page.send() == page.device
        new_user = page.send(id=web_id)
        assert PRIMARY.fullmatch(new_user)
        assert new_user != user
    assert _delete(web, *users) == f"Deleted 0 users ({USERS} requested)"


def test_an_absorbed_user_is_deleted_with_the_survivor(web: Dataset) -> None:
    web_id, email, now = fresh("w"), f"{fresh('ann')}@acme.example", now_ms()
    older, newer = (
        web.identify(at=now - 90_000, webId=web_id),
        web.identify(at=now - 60_000, emailAddress=email),
    )
    web.identify(webId=web_id, emailAddress=email)
    _delete(web, newer)
    assert web.user(older) is None
    assert web.resolve(webId=web_id) is None
    assert web.resolve(emailAddress=email) is None
