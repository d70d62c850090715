"""The persisted token (docs/wire/interactions.md §7).

`tests/service/test_interactions.py` tests its expiry, because it can create tokens in the past.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from wire.client import Cds, fresh
from wire.interactions.client import MINUTE_MS, PRIMARY, Dataset, altered, new_device, now_ms, token_of
from wire.interactions.conftest import NewDataset


def _email() -> str:
    return f"{fresh('ann')}@acme.example"


# -- an unchanged token -------------------------------------------------------------------------------------


def test_an_unchanged_token_is_returned_byte_for_byte(web: Dataset) -> None:
    page, email, web_id = web.page(), _email(), fresh("w")
    user = page.send(id=web_id, identities={"emailAddress": email})
    token = page.token
    for fields in (
        {},
        {"id": web_id},
        {"id": f" {web_id.upper()} "},
        {"identities": {"webId": web_id}},
        {"attributes": {"emailAddress": email.upper()}},
        {"attributes": {"emailAddress": email}, "id": web_id},
        {"id": None, "identities": {"emailAddress": ""}},
    ):
        assert page.send(**fields) == user
        assert token_of(page.answer) == token, fields


def test_the_token_is_in_every_response_after_identification(web: Dataset) -> None:
    page = web.page()
    page.send()
    assert "persistedUserId" not in page.answer
    page.send(id=fresh("w"))
    token_of(page.answer)
    for _ in range(2):
        page.send()
        token_of(page.answer)


def test_the_token_has_the_format_of_the_contract(web: Dataset) -> None:
    page, web_id = web.page(), fresh("web")
    user = page.send(id=web_id)
    assert len(page.token) <= 2048
    assert "=" not in page.token
    raw = base64.urlsafe_b64decode(page.token + "=" * (-len(page.token) % 4))
    assert raw[0] == 1
    assert (len(raw) - 3 - 12 - 16) % 32 == 0
    assert user.encode() not in raw
    assert web_id.encode() not in raw


def test_a_token_alone_identifies_the_user(web: Dataset) -> None:
    page = web.page()
    user = page.send(id=fresh("w"))
    answer = web.send({"user": {"encryptedId": page.token}})
    assert answer["resolvedUserId"] == user
    assert token_of(answer) == page.token


def test_a_token_alone_needs_no_anonymous_id(web: Dataset) -> None:
    page = web.page()
    page.send(id=fresh("w"))
    assert "anonymousId" not in web.send({"user": {"encryptedId": page.token}})


def test_a_token_with_another_anonymous_id_merges_its_profile(web: Dataset) -> None:
    page, second = web.page(), web.page()
    user = page.send(id=fresh("w"))
    second.send()
    assert (
        web.send({"user": {"anonymousId": second.device, "encryptedId": page.token}})["resolvedUserId"]
        == user
    )
    assert web.survivor(second.device) == user


# -- identities of a visit ----------------------------------------------------------------------------------


def test_identities_of_a_visit_accumulate(web: Dataset) -> None:
    page, email, loyalty = web.page(), _email(), fresh("L")
    user = page.send(attributes={"emailAddress": email})
    first = page.token
    assert page.send(attributes={"loyaltyId": loyalty}) == user
    assert page.token != first
    assert web.values(user) == {"emailAddress": email, "loyaltyId": loyalty}


def test_an_identity_of_another_user_merges_the_two(web: Dataset) -> None:
    email, loyalty = _email(), fresh("L")
    holder = web.identify(loyaltyId=loyalty)
    page = web.page()
    user = page.send(identities={"emailAddress": email})
    assert user != holder
    assert page.send(identities={"loyaltyId": loyalty}) in (user, holder)
    assert web.survivor(user) == web.survivor(holder) == web.resolve(emailAddress=email)


def test_a_new_value_of_a_non_default_type_replaces_the_old_one(web: Dataset) -> None:
    page, old, new = web.page(), _email(), _email()
    user = page.send(id=fresh("w"), identities={"emailAddress": old})
    assert page.send(identities={"emailAddress": new}) == user
    assert web.values(user)["emailAddress"] == new
    assert web.resolve(emailAddress=old) is None


def test_another_e_mail_address_without_other_identities_is_a_new_user(web: Dataset) -> None:
    page, old, new = web.page(), _email(), _email()
    first = page.send(identities={"emailAddress": old})
    second = page.send(identities={"emailAddress": new})
    assert second != first
    assert web.resolve(emailAddress=old) == first
    assert web.values(first) == {"emailAddress": old}


# -- a changed default identity -----------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["id", "identities", "attributes"])
def test_a_changed_default_identity_clears_the_token_in_every_spelling(web: Dataset, spelling: str) -> None:
    page, email, one, two = web.page(), _email(), fresh("w"), fresh("w")
    first = page.send(id=one, identities={"emailAddress": email})
    fields = {"id": two} if spelling == "id" else {spelling: {"webId": two}}
    second = page.send(**fields)
    assert second != first
    assert web.values(second) == {"webId": two}
    assert web.values(first) == {"webId": one, "emailAddress": email}
    loyalty = fresh("L")
    assert page.send(identities={"loyaltyId": loyalty}) == second
    assert web.resolve(loyaltyId=loyalty) == second


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": "  \t\n "},
        {"identities": {"webId": ""}},
        {"attributes": {"webId": None}},
        {"id": "undefined"},
        {"id": "000-000"},
    ],
    ids=str,
)
def test_a_missing_null_or_blank_default_identity_is_not_a_change(
    web: Dataset, fields: dict[str, Any]
) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"), identities={"emailAddress": email})
    token = page.token
    assert page.send(**fields) == user
    assert page.token == token
    loyalty = fresh("L")
    assert (
        page.send(**fields, **({} if "identities" in fields else {"identities": {"loyaltyId": loyalty}}))
        == user
    )


def test_a_default_identity_missing_from_the_token_is_not_a_change(web: Dataset) -> None:
    page, email, web_id = web.page(), _email(), fresh("w")
    user = page.send(identities={"emailAddress": email})
    assert page.send(id=web_id) == user
    assert web.values(user) == {"emailAddress": email, "webId": web_id}


def test_default_identities_are_compared_normalised(web: Dataset) -> None:
    page, web_id = web.page(), fresh("WeB")
    user = page.send(id=web_id, identities={"emailAddress": _email()})
    assert page.send(id=web_id.lower()) == user
    assert page.send(id=f"  {web_id.upper()}\n") == user


def test_changing_the_default_identity_back_resolves_to_the_first_user(web: Dataset) -> None:
    page, one, two = web.page(), fresh("w"), fresh("w")
    first = page.send(id=one)
    assert page.send(id=two) != first
    assert page.send(id=one) == first


# -- invalid tokens -----------------------------------------------------------------------------------------


def _broken(web: Dataset, new_dataset: NewDataset, other_tenant: Dataset) -> dict[str, str]:
    token = token_of(web.send({"user": {"anonymousId": new_device(), "id": fresh("w")}}))
    other_page = new_dataset().page()
    other_page.send(id=fresh("w"))
    tenant_page = other_tenant.page()
    tenant_page.send(id=fresh("w"))
    return {
        "dataset": other_page.token,
        "organisation": tenant_page.token,
        "version": altered(token, 0),
        "key id": altered(token, 3),
        "nonce": altered(token, 8),
        "ciphertext": altered(token, 60),
        "tag": altered(token, len(token) - 5),
        "truncated": token[:-3],
        "short": token[:20],
        "one": "A",
        "padded": token + "====",
        "no base64": "not a token!",
        "unicode": "☕" * 20,
        "long": "A" * 5000,
        "contract": "AQAHAAECAwQFBgcICQoLPCCjOf_H-i26dKS7iIgaDOC35QHFTm5OCVWE5nkKIp4jeYzG1ONl_RbtG8-"
        "ypUlajWhSvnirj_hLtRAoL9XF3sAM9krj4RZRYXSKTs-vLsgYqulCVkNzSN3dvuxY0Jmt9GdnDb5XzgKyr8df8hx25w",
    }


BROKEN = (
    "dataset", "organisation", "version", "key id", "nonce", "ciphertext", "tag", "truncated", "short", "one",
    "no base64", "unicode", "long", "contract",
)  # fmt: skip


@pytest.fixture(scope="module")
def broken(web: Dataset, new_dataset: NewDataset, other_tenant: Dataset) -> dict[str, str]:
    return _broken(web, new_dataset, other_tenant)


@pytest.mark.parametrize("kind", BROKEN)
def test_an_undecryptable_token_makes_the_event_anonymous_with_error_2(
    web: Dataset, broken: dict[str, str], kind: str
) -> None:
    device = new_device()
    answer = web.send({"user": {"anonymousId": device, "encryptedId": broken[kind]}})
    assert answer["errorCode"] == 2
    assert answer["resolvedUserId"] == device
    assert "persistedUserId" not in answer


@pytest.mark.parametrize("kind", BROKEN)
def test_an_undecryptable_token_with_an_identity_is_not_an_error(
    web: Dataset, broken: dict[str, str], kind: str
) -> None:
    web_id = fresh("w")
    user = web.identify(webId=web_id)
    answer = web.send({"user": {"anonymousId": new_device(), "encryptedId": broken[kind], "id": web_id}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, user)
    assert token_of(answer) != broken[kind]
    assert web.values(user) == {"webId": web_id}


def test_the_authenticated_endpoint_returns_error_2(web: Dataset) -> None:
    answer = web.send({"user": {"anonymousId": new_device(), "encryptedId": "x"}}, endpoint="authevent")
    assert answer["errorCode"] == 2


def test_error_4_takes_precedence_over_error_2(web: Dataset) -> None:
    answer = web.send({"user": {"anonymousId": "bad id", "encryptedId": "x"}})
    assert answer["errorCode"] == 4
    assert answer["resolvedUserId"] == answer["anonymousId"]


@pytest.mark.parametrize("absent", [None, ""], ids=repr)
def test_an_absent_token_is_not_an_error(web: Dataset, absent: str | None) -> None:
    device = new_device()
    answer = web.send({"user": {"anonymousId": device, "encryptedId": absent}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)


def test_a_token_in_the_account_field_is_ignored(web: Dataset) -> None:
    page = web.page()
    page.send(id=fresh("w"))
    device = new_device()
    answer = web.send({"user": {"anonymousId": device}, "account": {"encryptedId": page.token}})
    assert (answer["errorCode"], answer["resolvedUserId"]) == (0, device)


# -- merges, visits, erasure --------------------------------------------------------------------------------


def test_a_token_of_an_absorbed_user_is_updated(web: Dataset) -> None:
    now, one, email = now_ms(), fresh("w"), _email()
    page = web.page()
    absorbed = page.send(at=now - 9 * MINUTE_MS, id=one)
    survivor = web.identify(at=now - 5 * MINUTE_MS, emailAddress=email)
    assert web.identify(webId=one, emailAddress=email) == survivor
    old = page.token
    assert page.send() == survivor != absorbed
    assert page.token != old
    updated = page.token
    assert page.send() == survivor
    assert page.token == updated


def test_a_token_of_an_absorbed_user_still_accepts_identities(web: Dataset) -> None:
    now, one, email, loyalty = now_ms(), fresh("w"), _email(), fresh("L")
    page = web.page()
    page.send(at=now - 9 * MINUTE_MS, id=one)
    survivor = web.identify(at=now - 5 * MINUTE_MS, emailAddress=email)
    web.identify(webId=one, emailAddress=email)
    assert page.send(identities={"loyaltyId": loyalty}) == survivor
    assert web.values(survivor) == {"webId": one, "emailAddress": email, "loyaltyId": loyalty}


def test_an_identity_that_moved_to_another_user_is_removed_from_the_token(web: Dataset) -> None:
    page, email = web.page(), _email()
    user = page.send(id=fresh("w"), identities={"emailAddress": email})
    web.page().send(id=fresh("w"))
    replaced = _email()
    assert page.send(identities={"emailAddress": replaced}) == user
    other = web.identify(emailAddress=email)
    assert other != user
    other_page = web.page()
    other_page.send(id=fresh("w"))
    assert page.send(identities={"loyaltyId": fresh("L")}) == user
    assert web.survivor(other) == other


def test_an_old_token_does_not_take_an_identity_back(web: Dataset) -> None:
    first, email, web_id = web.page(), _email(), fresh("w")
    user = first.send(id=web_id, identities={"emailAddress": email})
    old = first.token
    web.identify(webId=web_id, emailAddress=_email())
    holder = web.identify(emailAddress=email)
    assert holder != user
    answer = web.send(
        {"user": {"anonymousId": first.device, "encryptedId": old, "identities": {"loyaltyId": fresh("L")}}}
    )
    assert answer["resolvedUserId"] == user
    assert web.survivor(holder) == holder
    assert web.values(holder) == {"emailAddress": email}


def test_an_event_identified_by_its_token_alone_gets_a_token(web: Dataset) -> None:
    """The only identity of the token was replaced; the token still identifies the user."""
    page, old, web_id = web.page(), _email(), fresh("w")
    user = page.send(identities={"emailAddress": old})
    assert web.identify(webId=web_id, emailAddress=old) == user
    assert web.identify(webId=web_id, emailAddress=_email()) == user
    assert page.send() == user
    assert "persistedUserId" in page.answer


def test_a_token_identifies_its_user_after_an_identity_was_replaced(web: Dataset) -> None:
    page, old, web_id = web.page(), _email(), fresh("w")
    user = page.send(id=web_id, identities={"emailAddress": old})
    assert web.identify(webId=web_id, emailAddress=_email()) == user
    assert page.send() == user
    assert page.send(identities={"loyaltyId": fresh("L")}) == user
    assert web.resolve(emailAddress=old) is None


def test_a_token_of_a_deleted_user_restores_nothing(web: Dataset) -> None:
    page, web_id = web.page(), fresh("w")
    user = page.send(id=web_id)
    answer = web.request(
        "POST",
        f"/t/{web.org.org}/api/dataset/{web.name}/users/delete",
        files={"file": ("users.csv", f"name\n{user}\n", "text/csv")},
        auth=web.basic,
    )
    assert (answer.status_code, answer.text) == (200, "Deleted 1 users (1 requested)")
    assert web.user(user) is None
    repeated = page.send()
    assert repeated == page.device
    assert page.answer["errorCode"] == 0
    assert "persistedUserId" not in page.answer
    new_user = page.send(id=web_id)
    assert PRIMARY.fullmatch(new_user)
    assert new_user != user


def test_a_token_is_unchanged_while_a_new_key_waits(new_tenant_dataset: Dataset) -> None:
    web = new_tenant_dataset
    page = web.page()
    user = page.send(id=fresh("w"))
    old = page.token
    answer = web.org.admin("POST", "/token-keys")
    assert answer.status_code == 201, answer.text
    assert page.send() == user
    assert page.token == old  # a new key decrypts only, until it is active


def test_a_token_has_at_most_2048_characters_and_keeps_the_default_identity(many_types: Dataset) -> None:
    web = many_types
    page, web_id = web.page(), "w1" * 100
    user = page.send(id=web_id)
    names = [f"type{number}" for number in range(20)]
    for name in names:
        assert page.send(identities={name: name + "é" * 110}) == user
        assert len(page.token) <= 2048
    assert page.send() == user
    assert page.send(id="another") != user


def test_the_oldest_identities_are_omitted_with_a_warning(many_types: Dataset) -> None:
    identities = {f"type{number}": f"other {number} " + "é" * 110 for number in range(20)}
    user = {"anonymousId": new_device(), "id": "another", "identities": identities}
    assert "token_full" in many_types.warnings(user)


@pytest.fixture(scope="module")
def many_types(new_org: Any, tenant: Any, new_dataset: NewDataset) -> Dataset:
    org: Cds = tenant()
    names = [f"type{number}" for number in range(20)]
    for name in names:
        body = {"id": name, "label": name, "uniqueness": "Identity Namespace"}
        assert org.admin("POST", "/identity-types", body).status_code == 201
    return new_dataset(org, names=("webId", *names), channels={"Web": "webId"})


@pytest.fixture(scope="module")
def new_tenant_dataset(tenant: Any, new_dataset: NewDataset) -> Dataset:
    return new_dataset(tenant())
