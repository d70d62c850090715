"""The identities that each channel reads (docs/wire/interactions.md §4)."""

from __future__ import annotations

from typing import Any

import pytest

from wire.client import fresh
from wire.interactions.client import PRIMARY, Dataset, new_device, warnings_of
from wire.interactions.conftest import NewDataset


def _send(web: Dataset, channel: Any, endpoint: str = "event", **user: Any) -> dict[str, Any]:
    source = {} if channel == "missing" else {"channel": channel}
    event = {
        "user": {"anonymousId": new_device(), **user},
        "source": source,
        "explain": endpoint == "authevent",
    }
    return web.send(event, endpoint=endpoint)


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


@pytest.mark.parametrize("channel", ["Web", "missing", None, ""], ids=repr)
@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_web_or_no_channel_reads_all_identities(web: Dataset, endpoint: str, channel: Any) -> None:
    web_id, email, loyalty = fresh("w"), _email(), fresh("L")
    user = _send(
        web,
        channel,
        endpoint,
        id=web_id,
        identities={"emailAddress": email},
        attributes={"loyaltyId": loyalty},
    )["resolvedUserId"]
    assert web.values(user) == {"webId": web_id, "emailAddress": email, "loyaltyId": loyalty}


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_server_reads_the_id_and_identities(web: Dataset, endpoint: str) -> None:
    customer, email = fresh("c"), _email()
    user = _send(web, "Server", endpoint, id=customer, identities={"emailAddress": email})["resolvedUserId"]
    assert web.values(user) == {"customerId": customer, "emailAddress": email}
    without = _send(web, "Server", endpoint, attributes={"emailAddress": email})["resolvedUserId"]
    assert without == user


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_mobile_reads_its_channel_identity_only(web: Dataset, endpoint: str) -> None:
    customer, email = fresh("c"), _email()
    user = _send(web, "Mobile", endpoint, id=customer, identities={"emailAddress": email, "webId": "x"})[
        "resolvedUserId"
    ]
    assert web.resolve(customerId=customer) == user
    assert web.resolve(emailAddress=email) is None
    alone = _send(web, "Mobile", endpoint, identities={"emailAddress": email})
    assert not PRIMARY.fullmatch(alone["resolvedUserId"])


@pytest.mark.parametrize("field", ["identities", "attributes"])
def test_the_channel_identity_is_read_from_every_field(web: Dataset, field: str) -> None:
    for channel, name, value in (
        ("Mobile", "customerId", fresh("c")),
        ("OpenTimeEmail", "emailAddress", _email()),
    ):
        user = _send(web, channel, id=value)["resolvedUserId"]
        assert _send(web, channel, **{field: {name: value}})["resolvedUserId"] == user


@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_open_time_email_reads_the_e_mail_address_only(web: Dataset, endpoint: str) -> None:
    email = _email()
    user = _send(web, "OpenTimeEmail", endpoint, id=email, identities={"webId": fresh("w")})["resolvedUserId"]
    assert web.values(user) == {"emailAddress": email}


def test_open_time_email_needs_at_least_four_characters(web: Dataset) -> None:
    assert not PRIMARY.fullmatch(_send(web, "OpenTimeEmail", id="a@b")["resolvedUserId"])
    assert PRIMARY.fullmatch(_send(web, "OpenTimeEmail", id="a@bc")["resolvedUserId"])


@pytest.mark.parametrize("channel", ["Mobile App", "web", "WEB", "server", " Web", "Email"])
@pytest.mark.parametrize("endpoint", ["event", "authevent"])
def test_an_unknown_channel_reads_no_identities(web: Dataset, endpoint: str, channel: str) -> None:
    web_id, email = fresh("w"), _email()
    answer = _send(
        web,
        channel,
        endpoint,
        id=web_id,
        identities={"emailAddress": email},
        attributes={"emailAddress": email},
    )
    assert not PRIMARY.fullmatch(answer["resolvedUserId"])
    assert "persistedUserId" not in answer
    assert web.resolve(webId=web_id) is None
    assert web.resolve(emailAddress=email) is None
    assert web.values(answer["resolvedUserId"]) == {}
    if endpoint == "authevent":
        assert "channel_unknown" in warnings_of(answer)


def test_a_channel_without_an_identity_type_ignores_user_id(new_dataset: NewDataset) -> None:
    web = new_dataset(names=("emailAddress", "loyaltyId"), channels={})
    email = _email()
    answer = web.send(
        {"user": {"id": "abc123", "identities": {"emailAddress": email}}, "explain": True},
        endpoint="authevent",
    )
    assert "user_id_unusable" in warnings_of(answer)
    assert web.values(answer["resolvedUserId"]) == {"emailAddress": email}


def test_without_a_channel_identity_another_user_id_changes_nothing(
    new_dataset: NewDataset,
) -> None:
    web = new_dataset(names=("emailAddress", "loyaltyId"), channels={})
    page, email = web.page(), _email()
    user = page.send(id="one", identities={"emailAddress": email})
    assert page.send(id="two") == user


def test_all_channels_resolve_to_one_user(web: Dataset) -> None:
    email, customer, web_id = _email(), fresh("c"), fresh("w")
    user = web.page().send(id=web_id, identities={"customerId": customer})
    assert _send(web, "Mobile", id=customer)["resolvedUserId"] == user
    assert (
        _send(web, "Server", "authevent", id=customer, identities={"emailAddress": email})["resolvedUserId"]
        == user
    )
    assert _send(web, "OpenTimeEmail", id=email)["resolvedUserId"] == user


def test_a_changed_default_identity_depends_on_the_channel(web: Dataset) -> None:
    page, email = web.page(), _email()
    page.send(id=fresh("w"), identities={"emailAddress": email, "customerId": fresh("c")})
    token, first = page.token, page.answer["resolvedUserId"]
    customer = fresh("c")
    answer = _send(web, "Server", "event", id=customer, encryptedId=token)
    assert answer["resolvedUserId"] != first
    assert web.values(answer["resolvedUserId"]) == {"customerId": customer}
