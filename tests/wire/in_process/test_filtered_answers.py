"""Consent and application filters in every answer that contains values (docs/wire/cds.md §5.3).

Ann has a plan, which a category discloses, a size, which none does, and data of two applications. Readers are
the shop, which is not a system application, and Ann herself in the shop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from oneself.api.http.timestamps import rfc3339
from support.application import ORG
from support.caller import Cds

SCOPES = ("identity_attributes", "traits", "application_data")
IDENTITY = {"givenname": "Ann"}


class Filtered(NamedTuple):
    """Ann's profile, a regular application, and the category that discloses plan and score."""

    cds: Cds
    shop: Cds
    ann_id: str
    tracker: str
    category: str

    @property
    def cookie(self) -> dict[str, str]:
        return {"Cookie": f"cds_profile={self.tracker}"}

    @property
    def asked(self) -> dict[str, str]:
        return {"consentCategoryId": self.category}

    async def consent(self, is_consented: bool) -> None:
        choices = [{"category_identifier": self.category, "is_consented": is_consented}]
        answer = await self.cds("PUT", f"/profiles/{self.ann_id}/consents", json=choices)
        assert answer.status_code == 200, answer.text

    async def listed(self, caller: Cds, **params: Any) -> list[dict[str, Any]]:
        """The items of a list, narrowed to the scopes."""
        found = await caller.listed(attributes=",".join(SCOPES), **params)
        return [scopes_of(item) for item in found["profiles"]]


def scopes_of(document: dict[str, Any]) -> dict[str, Any]:
    return {scope: document[scope] for scope in SCOPES if scope in document}


SHOWN = {
    "identity_attributes": IDENTITY,
    "traits": {"plan": "gold"},
    "application_data": {"shop": {"score": 1}},
}


@pytest_asyncio.fixture
async def filtered(cds: Cds, regular: Cds) -> Filtered:
    secret = {"attribute_name": "traits.secret", "mutability": "writeOnly"}
    await cds.define("traits", {"attribute_name": "traits.plan"}, {"attribute_name": "traits.size"}, secret)
    entries = []
    for application in ("shop", "crm"):
        entry = {"attribute_name": "application_data.score", "application_identifier": application}
        await cds.define("application_data", {**entry, "value_type": "integer"})
        entries.append(entry)
    body = {"category_name": "Offers", "purpose": "personalization"}
    body["attributes"] = [{"attribute_name": "traits.plan"}, {"attribute_name": "traits.secret"}, *entries]
    category = await cds("POST", "/consent-categories", json=body)
    assert category.status_code == 201, category.text
    ann = await cds.create(
        identity_attributes=IDENTITY,
        traits={"plan": "gold", "size": "m", "secret": "x"},
        application_data={"shop": {"score": 1}, "crm": {"score": 2}},
    )
    return Filtered(
        cds,
        regular,
        ann["profile_id"],
        ann["anonymous_profile_tracker"],
        category.json()["category_identifier"],
    )


WRITES = [
    ("PATCH", "/profiles/{id}"),
    ("PATCH", "/profiles/Me"),
    ("GET", "/profiles/Me"),
    ("POST", "/profiles"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
async def test_an_answer_shows_what_the_person_consented_to(
    filtered: Filtered, method: str, path: str
) -> None:
    async def answered(caller: Cds, **params: str) -> dict[str, Any]:
        request: dict[str, Any] = {} if method == "GET" else {"json": {}}
        answer = await caller(
            method, path.format(id=filtered.ann_id), params=params, headers=filtered.cookie, **request
        )
        assert answer.status_code == 200, answer.text
        return scopes_of(answer.json())

    assert await answered(filtered.shop, **filtered.asked) == {"identity_attributes": IDENTITY}
    await filtered.consent(True)
    assert await answered(filtered.shop) == {"identity_attributes": IDENTITY}
    assert await answered(filtered.shop, **filtered.asked) == SHOWN
    await filtered.consent(False)
    assert await answered(filtered.shop, **filtered.asked) == {"identity_attributes": IDENTITY}
    everything = await answered(filtered.cds)
    assert everything["traits"] == {"plan": "gold", "size": "m"}
    assert set(everything["application_data"]) == {"shop", "crm"}


async def test_a_new_profile_is_answered_filtered(filtered: Filtered) -> None:
    body = {"traits": {"plan": "trial"}, "identity_attributes": IDENTITY}
    answer = await filtered.shop("POST", "/profiles", json=body, params=filtered.asked)
    assert (answer.status_code, scopes_of(answer.json())) == (201, {"identity_attributes": IDENTITY})


async def test_a_person_reads_by_the_consents_that_their_application_has(filtered: Filtered) -> None:
    link = {"profile_id": filtered.ann_id, "user_id": "ann"}
    assert (await filtered.cds("POST", "/profiles/link", json=link)).status_code == 200
    token = await filtered.shop.token(subject="ann")
    me = await filtered.shop("GET", "/profiles/Me", token=token, headers=filtered.cookie)
    assert scopes_of(me.json()) == {"identity_attributes": IDENTITY}
    await filtered.consent(True)
    for method, extra in (("GET", {}), ("PATCH", {"json": {}})):
        answer = await filtered.shop(method, "/profiles/Me", token=token, params=filtered.asked, **extra)
        assert scopes_of(answer.json()) == SHOWN
    posted = await filtered.shop("POST", "/profiles", token=token, json={}, params=filtered.asked)
    assert scopes_of(posted.json()) == SHOWN


async def test_by_tracker_the_consents_of_the_owner_hold(filtered: Filtered) -> None:
    """Ann consents before she signs in, and withdraws it as a user, in her own part of the profile."""
    await filtered.consent(True)
    link = {"profile_id": filtered.ann_id, "user_id": "ann"}
    assert (await filtered.cds("POST", "/profiles/link", json=link)).status_code == 200
    token = await filtered.shop.token(subject="ann")
    await filtered.shop("GET", "/profiles/Me", token=token, headers=filtered.cookie)
    shown = await filtered.shop("GET", "/profiles/Me", params=filtered.asked, headers=filtered.cookie)
    assert scopes_of(shown.json()) == SHOWN
    await filtered.consent(False)
    hidden = await filtered.shop("GET", "/profiles/Me", params=filtered.asked, headers=filtered.cookie)
    assert scopes_of(hidden.json()) == {"identity_attributes": IDENTITY}


@pytest.mark.parametrize("view", ["proven", "all"])
@pytest.mark.parametrize("is_unified", [False, True], ids=["one part", "two parts"])
async def test_a_list_shows_and_finds_what_the_person_consented_to(
    filtered: Filtered, view: str, is_unified: bool
) -> None:
    if is_unified:
        await filtered.cds("PATCH", f"/profiles/{filtered.ann_id}", json={"user_id": "ann"})
        await filtered.cds.create(user_id="ann")
    ask = {"view": view, **filtered.asked}
    conditions = ["traits.plan eq gold", "traits.plan sw go", "application_data.shop.score eq 1"]

    async def check(expected: list[dict[str, Any]]) -> None:
        for condition in conditions:
            assert await filtered.listed(filtered.shop, filter=condition, **ask) == expected, condition
        shown = expected or [{"identity_attributes": IDENTITY}]
        assert (
            await filtered.listed(filtered.shop, filter="identity_attributes.givenname eq Ann", **ask)
            == shown
        )

    await check([])
    await filtered.consent(True)
    await check([SHOWN])
    assert await filtered.listed(filtered.shop, filter="traits.plan eq gold", view=view) == []
    for hidden in ("traits.size eq m", "application_data.score eq 2", "application_data.crm.score eq 2"):
        assert await filtered.listed(filtered.shop, filter=hidden, **ask) == [], hidden
        assert len(await filtered.listed(filtered.cds, filter=hidden, view=view)) == 1
    await filtered.consent(False)
    await check([])


async def test_a_hidden_value_is_found_by_none_of_several_conditions(filtered: Filtered) -> None:
    condition = "identity_attributes.givenname eq Ann and traits.plan eq gold"
    assert await filtered.listed(filtered.shop, filter=condition, **filtered.asked) == []
    await filtered.consent(True)
    assert await filtered.listed(filtered.shop, filter=condition, **filtered.asked) == [SHOWN]


async def test_a_write_only_value_is_in_no_answer(filtered: Filtered) -> None:
    await filtered.consent(True)
    path, patch = f"/profiles/{filtered.ann_id}", {"traits": {"secret": "y"}}
    answer = await filtered.cds("PATCH", path, json=patch, params={"view": "all"})
    assert "secret" not in answer.text
    for view in ("proven", "all"):
        assert all("secret" not in item["traits"] for item in await filtered.listed(filtered.cds, view=view))


async def test_a_consent_that_was_withdrawn_since_hides_what_was_shown(filtered: Filtered) -> None:
    """As of an instant, an application reads what it could read then and may read today."""
    await filtered.consent(True)
    seq = await filtered.cds.services.database.fetchval("SELECT max(seq) FROM log")
    path = f"/t/{ORG}/api/v1/datasets/default/profiles/{filtered.ann_id}"
    headers = {"Authorization": f"Bearer {await filtered.shop.token()}"}

    async def read() -> dict[str, Any]:
        asked = {**filtered.asked, "includeApplicationData": "true", "at": rfc3339(seq)}
        answer = await filtered.shop.http.get(path, headers=headers, params=asked)
        assert answer.status_code == 200, answer.text
        return scopes_of(answer.json())

    assert await read() == SHOWN
    await filtered.consent(False)
    assert await read() == {"identity_attributes": IDENTITY}
    await filtered.consent(True)
    assert await read() == SHOWN
