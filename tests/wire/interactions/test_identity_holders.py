"""The attribute that an identity type is bound to, and its trust (docs/wire/interactions.md §3, §9.6).

The trait `card` is bound to the type `cardNo` under the event name `loyG`. Tests that change a type or a name
use a new organisation, because all datasets of an organisation share its types.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import until
from wire.client import Cds, fresh
from wire.interactions.client import Dataset, new_device
from wire.interactions.conftest import NewDataset, configure

NAMES = ("webId", "emailAddress", "customerId")
TYPE = {"id": "cardNo", "label": "Card", "uniqueness": "Identity Namespace", "blocked_values": ["desk"]}
OPT_OUT = {"consents": [{"purpose": "Personalization", "provider": "site", "status": "Opt Out"}]}


def _email(word: str = "Ann") -> str:
    return f"{fresh(word)}@x.example"


@pytest.fixture(scope="module")
def create_dataset(tenant: Callable[[], Cds], new_dataset: NewDataset) -> Callable[[], Dataset]:
    """Creates datasets, each in a new organisation, with a user attribute `card`."""

    def create() -> Dataset:
        org = tenant()
        answer = org.admin("POST", "/identity-types", TYPE)
        assert answer.status_code == 201, answer.text
        return new_dataset(
            org=org, names=NAMES, user_attributes={"card": {}}, channel_identity_conflict="replace"
        )

    return create


@pytest.fixture(scope="module")
def web(create_dataset: Callable[[], Dataset]) -> Dataset:
    """A shared dataset whose `card` is bound; tests do not change it and use unique values."""
    web = create_dataset()
    _bind(web)
    return web


@pytest.fixture
def unbound(create_dataset: Callable[[], Dataset]) -> Dataset:
    """A new dataset whose `card` is not bound yet."""
    return create_dataset()


@pytest.fixture
def guarded(unbound: Dataset) -> Dataset:
    """A new dataset whose `card` is not bound yet; the type is `trusted_only`."""
    _change(unbound, "cardNo", trusted_only=True)
    return unbound


def _bind(web: Dataset, name: str = "loyG") -> int:
    """Bind `card` under this name and wait for indexing; the number of absorbed profiles."""
    path = f"/datasets/{web.name}/identity-attributes"
    bindings = [{"name": attribute, "identity_type": attribute} for attribute in NAMES]
    bindings.append({"name": name, "identity_type": "cardNo", "attribute": "traits.card"})
    answer, absorbed = web.org.admin("PUT", path, bindings), 0
    if answer.status_code == 409:
        absorbed = answer.json()["preview"]["counts"]["absorbed"]
        confirmed = {"confirmation": answer.json()["confirmation"]}
        answer = web.org.admin("PUT", path, bindings, params=confirmed)
    assert answer.status_code == 200, answer.text
    _wait_until_indexed(web)
    return absorbed


def _change(web: Dataset, type_id: str, **options: Any) -> None:
    """Change a type and wait for indexing."""
    answer = web.org.admin("PATCH", f"/identity-types/{type_id}", options)
    assert answer.status_code == 200, answer.text
    _wait_until_indexed(web)


def _wait_until_indexed(web: Dataset) -> None:
    def is_done() -> bool:
        answer = web.org.admin("GET", "/unification-rules/progress", params={"dataset": web.name})
        return all(job["state"] != "running" for job in answer.json()["progress"])

    until(is_done, "indexing did not end")


def _user_with_card(web: Dataset, *, by: str, card: str) -> str:
    """A user whose `card` a browser or a server wrote before the attribute was bound."""
    web_id, card_attribute = fresh("w"), {"card": card}
    user = web.identify(webId=web_id)
    if by == "server":
        assert (
            web.server_event(identities={"webId": web_id}, attributes=card_attribute)["resolvedUserId"]
            == user
        )
    else:
        assert web.page().send(id=web_id, attributes=card_attribute) == user
    assert web.values(user)["card"] == card
    return user


# -- the key of the attribute -------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["Web", "Server", "Mobile", "OpenTimeEmail", "Mobile App"])
@pytest.mark.parametrize("key", ["card", "CARD"])
def test_a_bound_attribute_cannot_be_written_under_its_key(web: Dataset, channel: str, key: str) -> None:
    card, device = fresh("c"), new_device()
    holder = web.identify(loyG=card)
    warnings = web.warnings({"anonymousId": device, "attributes": {key: card}}, channel)
    assert "attribute_unknown" in warnings
    assert web.record(device)["isAnonymous"] is True
    assert web.values(device) == {}
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


@pytest.mark.parametrize("channel", ["Web", "Mobile", "Mobile App"])
def test_a_browser_cannot_write_a_bound_attribute_under_its_key(web: Dataset, channel: str) -> None:
    card, device = fresh("c"), new_device()
    event = {
        "user": {"anonymousId": device, "attributes": {"card": card}},
        "source": {"channel": channel},
    }
    assert web.send(event)["resolvedUserId"] == device
    assert web.values(device) == {}
    assert web.resolve(loyG=card) is None


def test_a_value_under_the_attribute_key_does_not_match(web: Dataset) -> None:
    card, web_id = fresh("c"), fresh("w")
    holder = web.identify(loyG=card)
    user = web.identify(webId=web_id)
    for _ in range(2):
        assert web.page().send(id=web_id, attributes={"card": card}) == user
        assert (
            web.server_event(identities={"webId": web_id}, attributes={"card": card})["resolvedUserId"]
            == user
        )
    assert web.values(user) == {"webId": web_id}
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


def test_a_value_under_the_attribute_key_replaces_no_identity(web: Dataset) -> None:
    card, web_id = fresh("c"), fresh("w")
    user = web.identify(webId=web_id, loyG=card)
    web.page().send(id=web_id, attributes={"card": fresh("c")})
    web.server_event(identities={"webId": web_id}, attributes={"card": fresh("c")})
    assert web.values(user) == {"webId": web_id, "loyG": card}
    assert web.resolve(loyG=card) == user


def test_an_opt_out_applies_to_the_attribute_key(web: Dataset) -> None:
    card, page = fresh("c"), web.page()
    holder = web.identify(loyG=card)
    for value in (card, fresh("c")):
        page.send(event=OPT_OUT, attributes={"card": value})
        assert web.values(page.device) == {}
    assert web.survivor(page.device) == page.device
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


@pytest.mark.parametrize("value", ["undefined", "Desk"])
def test_a_blocked_value_is_not_written_under_the_attribute_key(web: Dataset, value: str) -> None:
    device = new_device()
    for name in ("card", "loyG"):
        web.send({"user": {"anonymousId": device, "attributes": {name: value}}})
    assert web.values(device) == {}
    assert web.resolve(loyG=value) is None


def test_after_a_binding_is_renamed_the_old_name_is_ignored(unbound: Dataset) -> None:
    web = unbound
    _bind(web)
    card, device = fresh("c"), new_device()
    holder = web.identify(loyG=card)
    _bind(web, "loyH")
    warnings = web.warnings({"anonymousId": device, "attributes": {"loyG": card, "card": card}})
    assert "attribute_unknown" in warnings
    assert "identity_unknown" in web.warnings({"anonymousId": device, "identities": {"loyG": card}})
    assert web.values(device) == {}
    assert web.survivor(holder) == web.identify(loyH=card) == holder
    assert web.values(holder) == {"loyH": card}


def test_a_binding_can_have_the_name_of_the_attribute_key(unbound: Dataset) -> None:
    _bind(unbound, "card")
    card = fresh("c")
    user = unbound.identify(card=card)
    assert unbound.page().send(attributes={"card": card}) == user
    assert unbound.values(user) == {"card": card}


# -- values from before the binding -------------------------------------------------------------------------


def test_old_browser_values_do_not_match_a_trusted_only_type(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_user_with_card(guarded, by="browser", card=card) for _ in range(2)]
    assert _bind(guarded) == 0
    assert [guarded.survivor(user) for user in users] == users
    assert guarded.resolve(loyG=card) is None
    assert all("loyG" not in guarded.values(user) for user in users), "the value is not shown as an identity"
    assert guarded.server_event(identities={"loyG": card})["resolvedUserId"] not in users


def test_old_server_values_match_a_trusted_only_type(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_user_with_card(guarded, by="server", card=card) for _ in range(2)]
    assert _bind(guarded) == 1
    assert len({guarded.survivor(user) for user in users}) == 1
    assert guarded.resolve(loyG=card) == guarded.survivor(users[0])
    assert guarded.values(users[0])["loyG"] == card


def test_an_old_browser_value_does_not_match_an_old_server_value(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_user_with_card(guarded, by=by, card=card) for by in ("server", "browser")]
    assert _bind(guarded) == 0
    assert [guarded.survivor(user) for user in users] == users
    assert guarded.resolve(loyG=card) == users[0]


def test_old_browser_values_match_a_type_that_is_not_trusted_only(unbound: Dataset) -> None:
    card = fresh("c")
    users = [_user_with_card(unbound, by="browser", card=card) for _ in range(2)]
    assert _bind(unbound) == 1
    assert len({unbound.survivor(user) for user in users}) == 1


def test_changing_trusted_only_reindexes_stored_values(guarded: Dataset) -> None:
    shared, own = fresh("c"), fresh("c")
    pair = [_user_with_card(guarded, by="browser", card=shared) for _ in range(2)]
    single = _user_with_card(guarded, by="browser", card=own)
    from_server = _user_with_card(guarded, by="server", card=fresh("c"))
    _bind(guarded)
    _change(guarded, "cardNo", trusted_only=False)
    assert len({guarded.survivor(user) for user in pair}) == 1
    assert guarded.resolve(loyG=own) == single
    _change(guarded, "cardNo", trusted_only=True)
    assert guarded.resolve(loyG=own) is None
    assert guarded.resolve(loyG=shared) is None
    assert guarded.resolve(loyG=guarded.values(from_server)["loyG"]) == from_server
    assert guarded.server_event(identities={"loyG": own})["resolvedUserId"] != single


def test_changing_blocked_values_does_not_merge_untrusted_values(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_user_with_card(guarded, by="browser", card=card) for _ in range(2)]
    _bind(guarded)
    for blocked in ([card], [fresh("c")], []):
        _change(guarded, "cardNo", blocked_values=blocked)
        assert [guarded.survivor(user) for user in users] == users
        assert guarded.resolve(loyG=card) is None


# -- another spelling ---------------------------------------------------------------------------------------


def _merge_event(web: Dataset, web_id: str, **more_identities: str) -> str:
    """Send a page event with these identities that merges a user into the user of `web_id`; the survivor.

    The merge decides again about all identities of both users, not only about those of the event.
    """
    customer = fresh("c")
    other = web.identify(customerId=customer)
    user = web.page().send(id=web_id, identities={"customerId": customer, **more_identities})
    assert web.survivor(other) == user
    assert web.values(user)["customerId"] == customer
    return user


def test_a_browser_cannot_change_the_spelling_of_a_trusted_only_value(unbound: Dataset) -> None:
    web = unbound
    _change(web, "emailAddress", trusted_only=True)
    web_id, email = fresh("w"), _email()
    user = web.server_event(identities={"webId": web_id, "emailAddress": email})["resolvedUserId"]
    before = web.record(user)["attributes"]["emailAddress"]
    assert before["metadata"]["origin"] == "Server"
    assert web.page().send(id=web_id, identities={"emailAddress": email.upper()}) == user
    assert web.record(user)["attributes"]["emailAddress"] == before
    for spelling in (email.upper(), email):
        user = _merge_event(web, web_id, emailAddress=spelling)
        assert web.record(user)["attributes"]["emailAddress"] == before
    web.server_event(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.values(user)["emailAddress"] == email.lower()
    assert web.resolve(emailAddress=email) == user


def test_a_value_blocked_by_its_type_keeps_its_spelling(unbound: Dataset) -> None:
    web = unbound
    web_id, email = fresh("w"), _email("Desk")
    user = web.identify(webId=web_id, emailAddress=email)
    before = web.record(user)["attributes"]["emailAddress"]
    _change(web, "emailAddress", blocked_values=[email])
    assert web.page().send(id=web_id, identities={"emailAddress": email.upper()}) == user
    user = _merge_event(web, web_id, emailAddress=email.upper())
    web.server_event(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.record(user)["attributes"]["emailAddress"] == before


def test_a_value_blocked_by_protection_keeps_its_spelling(create_dataset: Callable[[], Dataset]) -> None:
    web = configure(create_dataset().org, "default", NAMES)
    _wait_until_indexed(web)  # a reindex that is still running would remove the value by itself
    web_id, email = fresh("w"), _email("Desk")
    user = web.identify(webId=web_id, emailAddress=email)
    before = web.record(user)["attributes"]["emailAddress"]
    answer = web.org.admin("PATCH", "/protection", {"blocked_values": [email]})
    assert answer.status_code == 200, answer.text
    _wait_until_indexed(web)
    user = _merge_event(web, web_id, emailAddress=email.upper())
    web.server_event(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.record(user)["attributes"]["emailAddress"] == before


# -- invalid attributes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["traits.x'y", "traits.a.b", "traits.a b", "identity_attributes.x'y"])
def test_an_invalid_attribute_name_changes_nothing(unbound: Dataset, attribute: str) -> None:
    path = f"/datasets/{unbound.name}/identity-attributes"
    before = unbound.org.admin("GET", path).json()
    shown = unbound.org.admin("GET", f"/datasets/{unbound.name}").json()
    entry = {"name": "loyG", "identity_type": "cardNo", "attribute": attribute}
    answer = unbound.org.admin("PUT", path, [*before["identity_attributes"], entry])
    assert answer.status_code == 400, answer.text
    assert attribute in answer.json()["description"].replace('"', "")
    assert unbound.org.admin("GET", path).json() == before
    assert unbound.org.admin("GET", f"/datasets/{unbound.name}").json() == shown
