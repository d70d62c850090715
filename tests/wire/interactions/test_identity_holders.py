"""The attribute that a type is bound to, and whose word about it counts (docs/wire/interactions.md §3, §9.6).

The trait `card` holds the type `cardNo`, which events call `loyG`. What changes a type or a name has an
organisation of its own, because a type is the same in all datasets of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from support.waiting import until
from wire.client import Cds, fresh
from wire.interactions.client import Dataset, new_device
from wire.interactions.conftest import NewDataset, configure

PLAIN = ("webId", "emailAddress", "customerId")
TYPE = {"id": "cardNo", "label": "Card", "uniqueness": "Identity Namespace", "blocked_values": ["desk"]}
OPT_OUT = {"consents": [{"purpose": "Personalization", "provider": "site", "status": "Opt Out"}]}


def _email(word: str = "Ann") -> str:
    return f"{fresh(word)}@x.example"


@pytest.fixture(scope="module")
def make(tenant: Callable[[], Cds], new_dataset: NewDataset) -> Callable[[], Dataset]:
    """A maker of datasets, each of its own organisation, with a plain attribute `card`."""

    def made() -> Dataset:
        org = tenant()
        answer = org.admin("POST", "/identity-types", TYPE)
        assert answer.status_code == 201, answer.text
        return new_dataset(
            org=org, names=PLAIN, user_attributes={"card": {}}, channel_identity_conflict="replace"
        )

    return made


@pytest.fixture(scope="module")
def web(make: Callable[[], Dataset]) -> Dataset:
    """A dataset whose `card` is bound; it stays as it is, and each test uses values of its own."""
    web = make()
    _bind(web)
    return web


@pytest.fixture
def unbound(make: Callable[[], Dataset]) -> Dataset:
    """A dataset of the test's own, with nothing bound to `card` yet."""
    return make()


@pytest.fixture
def guarded(unbound: Dataset) -> Dataset:
    """A dataset whose `card` is not bound yet, to a type that takes the word of servers alone."""
    _change(unbound, "cardNo", trusted_only=True)
    return unbound


def _bind(web: Dataset, name: str = "loyG") -> int:
    """Bind `card` under this name, confirmed if need be, and await the indexing; how many it absorbs."""
    path = f"/datasets/{web.name}/identity-attributes"
    bound = [{"name": each, "identity_type": each} for each in PLAIN]
    bound.append({"name": name, "identity_type": "cardNo", "attribute": "traits.card"})
    answer, absorbed = web.org.admin("PUT", path, bound), 0
    if answer.status_code == 409:
        absorbed = answer.json()["preview"]["counts"]["absorbed"]
        confirmed = {"confirmation": answer.json()["confirmation"]}
        answer = web.org.admin("PUT", path, bound, params=confirmed)
    assert answer.status_code == 200, answer.text
    _indexed(web)
    return absorbed


def _change(web: Dataset, type_id: str, **options: Any) -> None:
    """Change a type and await the indexing."""
    answer = web.org.admin("PATCH", f"/identity-types/{type_id}", options)
    assert answer.status_code == 200, answer.text
    _indexed(web)


def _indexed(web: Dataset) -> None:
    def is_done() -> bool:
        answer = web.org.admin("GET", "/unification-rules/progress", params={"dataset": web.name})
        return all(work["state"] != "running" for work in answer.json()["progress"])

    until(is_done, "indexing did not end")


def _written(web: Dataset, *, by: str, card: str) -> str:
    """A user of whom a browser or a server wrote this card, by its own key, while nothing was bound."""
    web_id, said = fresh("w"), {"card": card}
    user = web.named(webId=web_id)
    if by == "server":
        assert web.server(identities={"webId": web_id}, attributes=said)["resolvedUserId"] == user
    else:
        assert web.page().send(id=web_id, attributes=said) == user
    assert web.values(user)["card"] == card
    return user


# -- its own key --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["Web", "Server", "Mobile", "OpenTimeEmail", "Mobile App"])
@pytest.mark.parametrize("key", ["card", "CARD"])
def test_an_identity_is_not_an_attribute_of_its_own_key(web: Dataset, channel: str, key: str) -> None:
    card, device = fresh("c"), new_device()
    holder = web.named(loyG=card)
    warned = web.warnings({"anonymousId": device, "attributes": {key: card}}, channel)
    assert "attribute_unknown" in warned
    assert web.record(device)["isAnonymous"] is True
    assert web.values(device) == {}
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


@pytest.mark.parametrize("channel", ["Web", "Mobile", "Mobile App"])
def test_under_its_own_key_a_browser_writes_nothing_either(web: Dataset, channel: str) -> None:
    card, device = fresh("c"), new_device()
    event = {
        "user": {"anonymousId": device, "attributes": {"card": card}},
        "source": {"channel": channel},
    }
    assert web.send(event)["resolvedUserId"] == device
    assert web.values(device) == {}
    assert web.resolve(loyG=card) is None


def test_a_value_under_the_attribute_key_finds_and_merges_nothing(web: Dataset) -> None:
    card, web_id = fresh("c"), fresh("w")
    holder = web.named(loyG=card)
    user = web.named(webId=web_id)
    for _ in range(2):
        assert web.page().send(id=web_id, attributes={"card": card}) == user
        assert web.server(identities={"webId": web_id}, attributes={"card": card})["resolvedUserId"] == user
    assert web.values(user) == {"webId": web_id}
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


def test_under_its_own_key_it_replaces_no_identity(web: Dataset) -> None:
    card, web_id = fresh("c"), fresh("w")
    user = web.named(webId=web_id, loyG=card)
    web.page().send(id=web_id, attributes={"card": fresh("c")})
    web.server(identities={"webId": web_id}, attributes={"card": fresh("c")})
    assert web.values(user) == {"webId": web_id, "loyG": card}
    assert web.resolve(loyG=card) == user


def test_an_opt_out_is_not_gone_around_by_its_own_key(web: Dataset) -> None:
    card, page = fresh("c"), web.page()
    holder = web.named(loyG=card)
    for value in (card, fresh("c")):
        page.send(event=OPT_OUT, attributes={"card": value})
        assert web.values(page.device) == {}
    assert web.survivor(page.device) == page.device
    assert web.survivor(holder) == web.resolve(loyG=card) == holder


@pytest.mark.parametrize("value", ["undefined", "Desk"])
def test_a_blocked_value_is_not_written_by_its_own_key(web: Dataset, value: str) -> None:
    device = new_device()
    for name in ("card", "loyG"):
        web.send({"user": {"anonymousId": device, "attributes": {name: value}}})
    assert web.values(device) == {}
    assert web.resolve(loyG=value) is None


def test_under_another_name_the_former_one_does_nothing(unbound: Dataset) -> None:
    web = unbound
    _bind(web)
    card, device = fresh("c"), new_device()
    holder = web.named(loyG=card)
    _bind(web, "loyH")
    warned = web.warnings({"anonymousId": device, "attributes": {"loyG": card, "card": card}})
    assert "attribute_unknown" in warned
    assert "identity_unknown" in web.warnings({"anonymousId": device, "identities": {"loyG": card}})
    assert web.values(device) == {}
    assert web.survivor(holder) == web.named(loyH=card) == holder
    assert web.values(holder) == {"loyH": card}


def test_a_name_that_is_the_key_is_the_identity(unbound: Dataset) -> None:
    _bind(unbound, "card")
    card = fresh("c")
    user = unbound.named(card=card)
    assert unbound.page().send(attributes={"card": card}) == user
    assert unbound.values(user) == {"card": card}


# -- what had been written before ---------------------------------------------------------------------------


def test_old_browser_values_do_not_match_a_trusted_only_type(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_written(guarded, by="browser", card=card) for _ in range(2)]
    assert _bind(guarded) == 0
    assert [guarded.survivor(each) for each in users] == users
    assert guarded.resolve(loyG=card) is None
    assert all("loyG" not in guarded.values(each) for each in users), "nor is it shown as one"
    assert guarded.server(identities={"loyG": card})["resolvedUserId"] not in users


def test_values_that_servers_wrote_before_match(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_written(guarded, by="server", card=card) for _ in range(2)]
    assert _bind(guarded) == 1
    assert len({guarded.survivor(each) for each in users}) == 1
    assert guarded.resolve(loyG=card) == guarded.survivor(users[0])
    assert guarded.values(users[0])["loyG"] == card


def test_a_browser_that_wrote_what_a_server_wrote_is_not_joined_to_it(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_written(guarded, by=by, card=card) for by in ("server", "browser")]
    assert _bind(guarded) == 0
    assert [guarded.survivor(each) for each in users] == users
    assert guarded.resolve(loyG=card) == users[0]


def test_the_same_of_browsers_counts_for_a_type_that_takes_any_word(unbound: Dataset) -> None:
    card = fresh("c")
    users = [_written(unbound, by="browser", card=card) for _ in range(2)]
    assert _bind(unbound) == 1
    assert len({unbound.survivor(each) for each in users}) == 1


def test_turning_the_switch_reindexes_stored_values(guarded: Dataset) -> None:
    shared, own = fresh("c"), fresh("c")
    pair = [_written(guarded, by="browser", card=shared) for _ in range(2)]
    single = _written(guarded, by="browser", card=own)
    server_s = _written(guarded, by="server", card=fresh("c"))
    _bind(guarded)
    _change(guarded, "cardNo", trusted_only=False)
    assert len({guarded.survivor(each) for each in pair}) == 1
    assert guarded.resolve(loyG=own) == single
    _change(guarded, "cardNo", trusted_only=True)
    assert guarded.resolve(loyG=own) is None
    assert guarded.resolve(loyG=shared) is None
    assert guarded.resolve(loyG=guarded.values(server_s)["loyG"]) == server_s
    assert guarded.server(identities={"loyG": own})["resolvedUserId"] != single


def test_rereading_a_blocked_value_merges_nothing_by_an_untrusted_one(guarded: Dataset) -> None:
    card = fresh("c")
    users = [_written(guarded, by="browser", card=card) for _ in range(2)]
    _bind(guarded)
    for blocked in ([card], [fresh("c")], []):
        _change(guarded, "cardNo", blocked_values=blocked)
        assert [guarded.survivor(each) for each in users] == users
        assert guarded.resolve(loyG=card) is None


# -- another spelling ---------------------------------------------------------------------------------------


def _joins(web: Dataset, web_id: str, **said: str) -> str:
    """Whom a browser's event went to that says this and joins somebody to the holder of `web_id`.

    What those hold who meet is before the judge then, though the event may not have asked for it.
    """
    customer = fresh("c")
    other = web.named(customerId=customer)
    user = web.page().send(id=web_id, identities={"customerId": customer, **said})
    assert web.survivor(other) == user
    assert web.values(user)["customerId"] == customer
    return user


def test_a_browser_does_not_respell_what_servers_alone_say(unbound: Dataset) -> None:
    web = unbound
    _change(web, "emailAddress", trusted_only=True)
    web_id, email = fresh("w"), _email()
    user = web.server(identities={"webId": web_id, "emailAddress": email})["resolvedUserId"]
    before = web.record(user)["attributes"]["emailAddress"]
    assert before["metadata"]["origin"] == "Server"
    assert web.page().send(id=web_id, identities={"emailAddress": email.upper()}) == user
    assert web.record(user)["attributes"]["emailAddress"] == before
    for spelling in (email.upper(), email):
        user = _joins(web, web_id, emailAddress=spelling)
        assert web.record(user)["attributes"]["emailAddress"] == before
    web.server(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.values(user)["emailAddress"] == email.lower()
    assert web.resolve(emailAddress=email) == user


def test_a_value_blocked_after_its_claim_is_unchanged(unbound: Dataset) -> None:
    web = unbound
    web_id, email = fresh("w"), _email("Desk")
    user = web.named(webId=web_id, emailAddress=email)
    before = web.record(user)["attributes"]["emailAddress"]
    _change(web, "emailAddress", blocked_values=[email])
    assert web.page().send(id=web_id, identities={"emailAddress": email.upper()}) == user
    user = _joins(web, web_id, emailAddress=email.upper())
    web.server(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.record(user)["attributes"]["emailAddress"] == before


def test_a_value_blocked_everywhere_after_its_claim_is_unchanged(make: Callable[[], Dataset]) -> None:
    web = configure(make().org, "default", PLAIN)
    _indexed(web)  # what is read anew later would let go of the value by itself
    web_id, email = fresh("w"), _email("Desk")
    user = web.named(webId=web_id, emailAddress=email)
    before = web.record(user)["attributes"]["emailAddress"]
    answer = web.org.admin("PATCH", "/protection", {"blocked_values": [email]})
    assert answer.status_code == 200, answer.text
    _indexed(web)
    user = _joins(web, web_id, emailAddress=email.upper())
    web.server(identities={"webId": web_id, "emailAddress": email.lower()})
    assert web.record(user)["attributes"]["emailAddress"] == before


# -- what cannot hold one -----------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["traits.x'y", "traits.a.b", "traits.a b", "identity_attributes.x'y"])
def test_an_attribute_that_cannot_be_made_changes_nothing(unbound: Dataset, attribute: str) -> None:
    path = f"/datasets/{unbound.name}/identity-attributes"
    before = unbound.org.admin("GET", path).json()
    shown = unbound.org.admin("GET", f"/datasets/{unbound.name}").json()
    entry = {"name": "loyG", "identity_type": "cardNo", "attribute": attribute}
    answer = unbound.org.admin("PUT", path, [*before["identity_attributes"], entry])
    assert answer.status_code == 400, answer.text
    assert attribute in answer.json()["description"].replace('"', "")
    assert unbound.org.admin("GET", path).json() == before
    assert unbound.org.admin("GET", f"/datasets/{unbound.name}").json() == shown
