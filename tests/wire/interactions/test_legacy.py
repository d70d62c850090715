"""A dataset without identity resolution (docs/wire/interactions.md §11)."""

from __future__ import annotations

import pytest

from support.service import RunningService
from support.waiting import until
from wire.client import fresh
from wire.interactions.client import (
    MINUTE_MS,
    PRIMARY,
    Dataset,
    Page,
    altered,
    new_device,
    now_ms,
    token_of,
    warnings_of,
)
from wire.interactions.conftest import NewDataset


@pytest.fixture(scope="module")
def legacy(new_dataset: NewDataset) -> Dataset:
    return new_dataset(pipeline_identity_resolution=False)


def test_user_id_is_the_primary_id(legacy: Dataset) -> None:
    name = fresh("Ann Archer")
    page = legacy.page()
    assert page.send(id=f"  {name} ") == name
    assert legacy.record(name)["id"] == name
    assert legacy.record(name)["isAnonymous"] is False
    assert page.send(id=name) == name


def test_user_ids_are_case_sensitive(legacy: Dataset) -> None:
    name = fresh("Ann")
    assert legacy.page().send(id=name) == name
    assert legacy.page().send(id=name.lower()) == name.lower()
    assert legacy.survivor(name) == name
    assert legacy.survivor(name.lower()) == name.lower()


def test_the_anonymous_id_is_a_temporary_primary_id(legacy: Dataset) -> None:
    page = legacy.page()
    assert page.send() == page.device
    assert "persistedUserId" not in page.answer
    assert legacy.record(page.device)["isAnonymous"] is True


def test_the_anonymous_profile_is_merged_into_the_named_one(legacy: Dataset) -> None:
    page, name = legacy.page(), fresh("n")
    page.send()
    assert page.send(id=name) == name
    assert legacy.survivor(page.device) == name
    assert legacy.record(name)["anonAliases"] == [page.device]
    assert len(legacy.events(name)) == 2


def test_the_token_is_only_in_the_first_response_of_the_visit_with_user_id(legacy: Dataset) -> None:
    page, name = legacy.page(), fresh("n")
    page.send(id=name)
    assert token_of(page.answer)
    for fields in ({"id": name}, {}, {"id": name}):
        assert page.send(**fields) == name
        assert "persistedUserId" not in page.answer


def test_the_token_identifies_the_user_during_the_visit(legacy: Dataset) -> None:
    page, name = legacy.page(), fresh("n")
    page.send(id=name)
    assert (
        legacy.send({"user": {"anonymousId": new_device(), "encryptedId": page.token}})["resolvedUserId"]
        == name
    )


def test_another_user_id_gets_a_new_token(legacy: Dataset) -> None:
    page, one, two = legacy.page(), fresh("n"), fresh("n")
    page.send(id=one)
    first = page.token
    assert page.send(id=two) == two
    assert token_of(page.answer) != first
    assert page.send() == two


def test_a_page_that_does_not_send_the_token_gets_it_once_per_visit(legacy: Dataset) -> None:
    user, now = {"anonymousId": new_device(), "id": fresh("n")}, now_ms()
    visits = (90, 80, 70, 20, 10)
    answers = [legacy.send({"user": user, "source": {"time": now - at * MINUTE_MS}}) for at in visits]
    assert {answer["resolvedUserId"] for answer in answers} == {user["id"]}
    assert ["persistedUserId" in answer for answer in answers] == [True, False, False, True, False]


def test_each_browser_of_a_user_gets_a_token(legacy: Dataset) -> None:
    name = fresh("n")
    for device in (new_device(), new_device()):
        user = {"anonymousId": device, "id": name}
        answers = [legacy.send({"user": user}) for _ in range(3)]
        assert ["persistedUserId" in answer for answer in answers] == [True, False, False]


def test_another_user_id_on_a_browser_gets_a_token_without_a_token_in_the_request(legacy: Dataset) -> None:
    device, names = new_device(), [fresh("n"), fresh("n")]
    for name in (*names, names[0]):
        user = {"anonymousId": device, "id": name}
        answers = [legacy.send({"user": user}) for _ in range(2)]
        assert [answer["resolvedUserId"] for answer in answers] == [name, name]
        assert ["persistedUserId" in answer for answer in answers] == [True, False]


@pytest.mark.parametrize("channel", ["Mobile App", "web"])
@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_an_unknown_channel_ignores_the_user_id(legacy: Dataset, endpoint: str, channel: str) -> None:
    device, name = new_device(), fresh("n")
    event = {"user": {"anonymousId": device, "id": name}, "source": {"channel": channel}, "explain": True}
    answer = legacy.send(event, endpoint=endpoint)
    assert answer["resolvedUserId"] == device
    assert "persistedUserId" not in answer
    assert legacy.user(name) is None
    assert legacy.record(device)["isAnonymous"] is True
    if endpoint == "authevent":
        assert "channel_unknown" in warnings_of(answer)


def test_identity_types_are_ignored(legacy: Dataset) -> None:
    email = f"{fresh('ann')}@acme.example"
    one, two, three = fresh("n"), fresh("n"), legacy.page()
    assert legacy.page().send(id=one, attributes={"emailAddress": email}) == one
    assert legacy.page().send(id=two, attributes={"emailAddress": email}) == two
    assert three.send(identities={"emailAddress": email}) == three.device
    assert three.send(attributes={"emailAddress": email, "webId": one}) == three.device


def test_named_users_are_never_merged_with_each_other(legacy: Dataset) -> None:
    page, one, two = legacy.page(), fresh("n"), fresh("n")
    page.send()
    page.send(id=one)
    page.send(id=two)
    page.send(id=one)
    assert legacy.survivor(one) == one
    assert legacy.survivor(two) == two


def test_with_follow_a_device_resolves_to_its_user(legacy: Dataset) -> None:
    page, name = legacy.page(), fresh("n")
    page.send()
    page.send(id=name)
    assert legacy.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == name


def test_with_fresh_a_device_is_anonymous_again(new_dataset: NewDataset) -> None:
    legacy = new_dataset(pipeline_identity_resolution=False, merged_anonymous="fresh")
    page, name = legacy.page(), fresh("n")
    page.send()
    page.send(id=name)
    assert legacy.send({"user": {"anonymousId": page.device}})["resolvedUserId"] == page.device
    assert len(legacy.events(name)) == 2


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "a b/c?d#e",
        "☕",
        "0123456789abcdef01234567",
        "0123456789abcdef",
        "1",
        "12345",
        "nulls",
        "xy" * 100,
    ],
    ids=lambda name: name[:24],
)
def test_a_user_id_can_have_any_form(legacy: Dataset, name: str) -> None:
    page = legacy.page()
    page.send()
    assert page.send(id=name) == name
    assert page.answer["errorCode"] == 0
    assert page.send() == name


@pytest.mark.parametrize(
    "name", ["null", "0", "-1", "undefined", "Guest", "{{user.id}}", "123456", "x" * 200]
)
def test_a_placeholder_identifies_no_user(legacy: Dataset, name: str) -> None:
    page = legacy.page()
    page.send()
    assert page.send(id=name) == page.device
    assert "persistedUserId" not in page.answer
    assert {"value_blocked", "user_id_unusable"} <= legacy.warnings({"id": name})
    assert legacy.user(name) is None


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a/b c", "a%2Fb%20c"),
        ("a/b/c", "a%2Fb%2Fc"),
        ("a/../b", "a%2F..%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a/", "a%2F"),
        ("é/ü/", "%C3%A9%2F%C3%BC%2F"),
    ],
)
def test_a_user_id_with_a_slash_can_be_looked_up(legacy: Dataset, name: str, escaped: str) -> None:
    assert legacy.page().send(id=name.rstrip("/")) == name.rstrip("/"), "another user"
    assert legacy.page().send(id=name) == name
    assert legacy.record(escaped)["id"] == name


def test_a_user_id_of_more_than_200_bytes_is_ignored(legacy: Dataset) -> None:
    for name in ("x" * 201, "é" * 101):
        page = legacy.page()
        assert page.send(id=name) == page.device


def test_a_user_id_equal_to_an_anonymous_id_is_another_user(legacy: Dataset) -> None:
    anonymous, named = legacy.page(), legacy.page()
    assert anonymous.send() == anonymous.device
    assert named.send(id=anonymous.device) == anonymous.device
    assert anonymous.send() == anonymous.device
    assert "persistedUserId" not in anonymous.answer
    third = legacy.page()
    assert third.send() == third.device


@pytest.mark.parametrize("blank", [None, "", "  "], ids=repr)
def test_a_blank_user_id_is_ignored(legacy: Dataset, blank: str | None) -> None:
    page, name = legacy.page(), fresh("n")
    assert page.send(id=blank) == page.device
    page.send(id=name)
    assert page.send(id=blank) == name


def test_a_broken_token_is_error_2(legacy: Dataset) -> None:
    page = legacy.page()
    page.send(id=fresh("n"))
    device = new_device()
    answer = legacy.send({"user": {"anonymousId": device, "encryptedId": altered(page.token, 40)}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (2, device)


def test_a_token_of_a_dataset_with_identity_resolution_is_invalid(legacy: Dataset, web: Dataset) -> None:
    page = web.page()
    page.send(id=fresh("w"))
    device = new_device()
    answer = legacy.send({"user": {"anonymousId": device, "encryptedId": page.token}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (2, device)


def test_an_invalid_anonymous_id_is_error_4(legacy: Dataset) -> None:
    answer = legacy.send({"user": {"anonymousId": "a b"}})
    assert answer["errorCode"] == 4
    assert answer["resolvedUserId"] == answer["anonymousId"]


def test_the_authenticated_endpoint_resolves_user_ids(legacy: Dataset) -> None:
    name = fresh("n")
    assert legacy.server_event(id=name)["resolvedUserId"] == name


def test_datasets_have_their_own_users(legacy: Dataset, new_dataset: NewDataset) -> None:
    name, other_dataset = fresh("n"), new_dataset(pipeline_identity_resolution=False)
    legacy.page().send(id=name)
    assert other_dataset.user(name) is None


# -- enabling identity resolution ---------------------------------------------------------------------------


@pytest.fixture
def migrated(new_dataset: NewDataset, service: RunningService) -> tuple[Dataset, Page, Page]:
    """A dataset whose identity resolution was just enabled, with pages of a named and an anonymous user."""
    web = new_dataset(pipeline_identity_resolution=False)
    named, anonymous = web.page(), web.page()
    named.send()
    named.send(id="ann 1")
    anonymous.send()
    command = ("dataset", "enable-identity", "--org", web.org.org, web.name)
    result = service.command(*command)
    assert result.returncode == 0, result.stdout + result.stderr
    assert web.survivor("ann 1") == "ann 1"  # without --apply nothing changes
    result = service.command(*command, "--apply")
    assert result.returncode == 0, result.stdout + result.stderr
    # Users are migrated in the background.
    until(lambda: PRIMARY.fullmatch(web.survivor("ann 1")), "no user was migrated")
    return web, named, anonymous


def test_enabling_identity_resolution_keeps_users_and_events(migrated: tuple[Dataset, Page, Page]) -> None:
    web, named, anonymous = migrated
    user = web.survivor("ann 1")
    assert PRIMARY.fullmatch(user)
    record = web.record(user)
    assert {"ann 1", named.device} <= set(record["anonAliases"])
    assert web.values(user) == {"webId": "ann 1"}
    assert web.resolve(webId="ANN 1") == user
    assert web.survivor(named.device) == user
    assert len(web.events(user)) == 2
    assert web.survivor(anonymous.device) == anonymous.device


def test_enabling_identity_resolution_invalidates_tokens(migrated: tuple[Dataset, Page, Page]) -> None:
    web, named, _ = migrated
    device = new_device()
    answer = web.send({"user": {"anonymousId": device, "encryptedId": named.token}})
    assert answer["resolvedUserId"] == device
    assert "persistedUserId" not in answer
    assert web.page().send(id="Ann 1", identities={"emailAddress": "ann@acme.example"}) == web.survivor(
        "ann 1"
    )


def test_events_are_accepted_while_a_dataset_is_migrated(
    new_dataset: NewDataset, service: RunningService
) -> None:
    web = new_dataset(pipeline_identity_resolution=False)
    pages = [web.page() for _ in range(20)]
    for number, page in enumerate(pages):
        page.send(id=f"user {number}")
    result = service.command("dataset", "enable-identity", "--org", web.org.org, web.name, "--apply")
    assert result.returncode == 0, result.stdout + result.stderr
    for number, page in enumerate(pages):
        page.send(id=f"User {number}", identities={"emailAddress": f"u{number}@acme.example"})
    names = [f"user {number}" for number in range(len(pages))]
    until(
        lambda: all(web.survivor(name) == web.resolve(webId=name) for name in names),
        "not all users were migrated",
    )
    for number in range(len(pages)):
        user = web.survivor(f"user {number}")
        assert web.resolve(emailAddress=f"u{number}@acme.example") == user
        assert len(web.events(user)) == 2


def test_identity_resolution_cannot_be_disabled(web: Dataset) -> None:
    answer = web.org.admin("PATCH", f"/datasets/{web.name}", {"pipeline_identity_resolution": False})
    assert answer.status_code == 409
    found = web.org.admin("GET", f"/datasets/{web.name}").json()
    assert found["pipeline_identity_resolution"] is True
