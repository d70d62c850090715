"""The vendor's look-up and delete calls (docs/wire/interactions.md §3, §4)."""

from __future__ import annotations

import base64
import csv
import io
import json
import time
from typing import Any

import httpx
import pytest

from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.context import Actor
from oneself.service.directory.accounts import Registration
from oneself.service.directory.applications import NewApplication
from support.application import ORG, SECRET, SYSTEM
from support.caller import Cds
from support.interactions_harness import InteractionsHarness, customer, mail

X, Y = "0123456789abcdef", "fedcba9876543210"
ONLY_EVENTS = ("internal_cds_event_create",)
DAY_MS = 24 * 3600 * 1000


def basic(name: str = SYSTEM, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


class Vendor:
    """A caller of these addresses with Basic credentials."""

    def __init__(self, cds: Cds, harness: InteractionsHarness) -> None:
        self.cds, self.harness, self.http = cds, harness, cds.http

    async def get(self, path: str, *, org: str = ORG, headers: Any = None, **params: Any) -> httpx.Response:
        return await self.http.get(f"/t/{org}{path}", params=params, headers=headers or basic())

    async def user(self, text: str) -> dict[str, Any]:
        answer = await self.get(f"/api/dataset/web/user/{text}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def delete(self, content: bytes | str, name: str = "file", **more: Any) -> httpx.Response:
        return await self.http.post(
            f"/t/{ORG}/api/dataset/web/users/delete",
            files={name: ("users.csv", content, "text/csv")},
            headers=more.get("headers") or basic(),
        )

    async def application(self, name: str, *permissions: str) -> dict[str, str]:
        """Credentials of a further application."""
        new = NewApplication(name, permissions=permissions, client_id=name, client_secret=SECRET)
        await self.cds.services.directory.applications.create(self.cds.dataset_ref, new)
        return basic(name)


@pytest.fixture
async def vendor(cds: Cds) -> Vendor:
    datasets = cds.services.schema.datasets
    await datasets.create(cds.dataset_ref, "web", {})
    at = await datasets.get(cds.dataset_ref, "web")
    return Vendor(
        cds, await InteractionsHarness(cds.services, at).begin(classifications={"plan": "Sensitive"})
    )


def said(answer: httpx.Response, status: int) -> str:
    """Assert the error of this wire and return its sentence."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"errorCode", "message"}
    assert body["errorCode"] == 5
    return str(body["message"])


# -- the record ---------------------------------------------------------------------------------------------


async def test_the_record_of_a_user(vendor: Vendor) -> None:
    harness, started = vendor.harness, time.time() * 1000
    await harness.event(device=X)
    await harness.event(mail("Ann@acme.example"), device=X, values={"traits": {"plan": "gold"}})
    await harness.event(device=Y)
    last = await harness.event(mail("ann@acme.example"), device=Y, trust="server")
    for text in (X, Y, last.survivor.primary_id, str(last.survivor.profile_id)):
        user = await vendor.user(text)
        assert user["id"] == last.survivor.primary_id
    assert user["isAnonymous"] is False
    assert user["displayName"] is None
    assert user["anonAliases"] == [X, Y]
    assert user["anonMergeTimes"] == sorted(user["anonMergeTimes"])
    assert len(user["anonMergeTimes"]) == 2
    email = user["attributes"]["emailAddress"]
    assert email["value"] == "ann@acme.example"
    assert email["metadata"]["origin"] == "Server"
    assert email["metadata"]["classification"] == "PersonallyIdentifiable"
    plan = user["attributes"]["plan"]
    assert plan["value"] == "gold"
    assert plan["metadata"]["origin"] == "Web"
    assert plan["metadata"]["classification"] == "Sensitive"
    for instant in ("firstActivity", "lastActivity", "created", "updated"):
        assert started - 1000 <= user[instant] <= time.time() * 1000 + 1000
    assert started - 1000 <= email["metadata"]["lastUpdated"] <= time.time() * 1000 + 1000
    assert [visit["visitIndex"] for visit in user["visitHistory"]] == [1]
    assert user["orderHistory"] == user["segmentMembership"] == []


async def test_an_anonymous_user_is_called_as_the_browser(vendor: Vendor) -> None:
    await vendor.harness.event(device=X)
    user = await vendor.user(X)
    assert (user["id"], user["isAnonymous"], user["anonAliases"]) == (X, True, [])
    assert user["attributes"] == {}


async def test_an_application_sees_what_the_law_of_disclosure_lets_it_see(vendor: Vendor) -> None:
    await vendor.harness.event(mail("ann@acme.example"), device=X, values={"traits": {"plan": "gold"}})
    partner = await vendor.application("partner", *ONLY_EVENTS)
    answer = await vendor.get(f"/api/dataset/web/user/{X}", headers=partner)
    assert answer.status_code == 200
    assert "plan" not in answer.json()["attributes"]


async def test_without_an_organisation_the_default_one_is_meant(vendor: Vendor) -> None:
    await vendor.harness.event(device=X)
    path = f"/api/dataset/web/user/{X}"
    unnamed = await vendor.http.get(path, headers=basic())
    if vendor.cds.services.settings.organisation == ORG:
        assert unnamed.status_code == 200
    else:
        said(unnamed, 401)


# -- lists --------------------------------------------------------------------------------------------------


async def test_users_are_listed_page_by_page(vendor: Vendor) -> None:
    made = [(await vendor.harness.event(customer(f"c-{n}"))).survivor.primary_id for n in range(5)]
    await vendor.harness.event(customer("c-0"), device=X)
    found: list[str] = []
    for page in (1, 2, 3):
        body = (await vendor.get("/api/dataset/web/users.json", pageSize=2, page=page)).json()
        found += [user["id"] for user in body["users"]]
        assert (body["page"], body["pageSize"], body["hasMore"]) == (page, 2, page < 3)
    assert found == made[::-1]
    first = (await vendor.get("/api/dataset/web/users.json", pageSize=2, page=0)).json()
    assert [user["id"] for user in first["users"]] == found[:2]


async def test_users_as_csv(vendor: Vendor) -> None:
    await vendor.harness.event(
        mail('ann"; drop@acme.example'), device=X, values={"traits": {"plan": "a,b\nc"}}
    )
    answer = await vendor.get("/api/dataset/web/users.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["emailAddress"] == 'ann"; drop@acme.example'
    assert row["plan"] == "a,b\nc"
    assert row["isAnonymous"] == "false"
    assert row["customerId"] == ""


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"filter": "ann"}, "filter is not supported"),
        ({"start": "1"}, "not by activity"),
        ({"end": "1"}, "not by activity"),
        ({"segmentId": "1"}, "no segments"),
        ({"segmentationId": "1"}, "no segments"),
        ({"pageSize": "1001"}, "between 1 and 1000"),
        ({"pageSize": "0"}, "between 1 and 1000"),
        ({"pageSize": "-1"}, "whole number"),
        ({"page": "x"}, "whole number"),
        ({"page": "999999999999999"}, "cursors beyond"),
        ({"page": "101", "pageSize": "1000"}, "cursors beyond"),
    ],
)
async def test_invalid_list_parameters_are_rejected(
    vendor: Vendor, params: dict[str, str], sentence: str
) -> None:
    for kind in ("json", "csv"):
        assert sentence in said(await vendor.get(f"/api/dataset/web/users.{kind}", **params), 400)


# -- deletion -----------------------------------------------------------------------------------------------


async def test_users_are_erased_by_whatever_id(vendor: Vendor) -> None:
    harness = vendor.harness
    await harness.event(device=X)
    ann = await harness.event(mail("ann@acme.example"), device=X)
    bob = await harness.event(customer("bob"))
    kept = await harness.event(customer("kept"))
    rows = ["note,name", f'"a, b",{X}', f"x,{ann.survivor.primary_id}", f"y,{bob.survivor.profile_id}"]
    answer = await vendor.delete("\r\n".join([*rows, "z,nobody", "short", ""]))
    assert (answer.status_code, answer.text) == (200, "Deleted 2 users (4 requested)")
    assert answer.headers["content-type"].startswith("text/plain")
    for text in (X, ann.survivor.primary_id, bob.survivor.primary_id):
        said(await vendor.get(f"/api/dataset/web/user/{text}"), 404)
    listed = (await vendor.get("/api/dataset/web/users.json")).json()["users"]
    assert [user["id"] for user in listed] == [kept.survivor.primary_id]
    audits = (await vendor.get("/api/audit/list")).json()["audits"]
    erasures = [each for each in audits if each["action"] == "erase"]
    assert [(each["user"], each["dataset"]) for each in erasures] == [(SYSTEM, "web")] * 2


@pytest.mark.parametrize(
    "content", ["", "id\nx", b"\xff\xfe", "name\n" + "x\n" * 100_001, 'name\n"' + "a" * 200_000]
)
async def test_a_file_that_is_none(vendor: Vendor, content: bytes | str) -> None:
    await vendor.harness.event(device=X)
    said(await vendor.delete(content), 400)
    assert (await vendor.user(X))["id"] == X


async def test_a_request_without_a_file(vendor: Vendor) -> None:
    path = f"/t/{ORG}/api/dataset/web/users/delete"
    kinds: list[dict[str, Any]] = [{"json": {}}, {"data": {"file": "name\nx"}}, {"content": b""}]
    for sent in kinds:
        said(await vendor.http.post(path, headers=basic(), **sent), 400)
    said(await vendor.delete("name\nx", name="files"), 400)
    said(await vendor.delete("name\n" + "x" * 17_000_000), 413)


# -- the audit log ------------------------------------------------------------------------------------------


async def test_the_audit_log_tells_what_was_done_and_no_values(vendor: Vendor) -> None:
    await vendor.cds.services.profiles.refusals.protect(
        vendor.harness.dataset_ref, blocked_values=("a secret word",)
    )
    answer = await vendor.get("/api/audit/list", pageSize=2000)
    body = answer.json()
    newest = body["audits"][0]
    assert (newest["dataset"], newest["action"]) == ("web", "configure")
    assert "put_blocked" in newest["details"]["changes"]
    assert {each["dataset"] for each in body["audits"]} == {"default", "web"}
    assert "a secret word" not in answer.text
    assert body["hasMore"] is False
    pages = [
        each
        for page in range(1, len(body["audits"]) + 1)
        for each in (await vendor.get("/api/audit/list", pageSize=1, page=page)).json()["audits"]
    ]
    assert pages == body["audits"]
    now = int(time.time() * 1000)
    old = await vendor.get("/api/audit/list", start=now - 40 * DAY_MS, end=now - 20 * DAY_MS)
    assert old.json()["audits"] == []


async def test_the_audit_log_names_verified_claims_and_no_address(vendor: Vendor) -> None:
    directory, at = vendor.cds.services.directory, vendor.cds.dataset_ref
    form = Registration("vera@acme.example", "a long enough password", "Vera", "Vogel")
    account = await directory.accounts.register(at, form)
    await directory.users.change(at, Actor("admin", SYSTEM), account.user_id, {}, {"emailaddress": True})
    answer = await vendor.get("/api/audit/list")
    newest = answer.json()["audits"][0]
    assert (newest["dataset"], newest["action"], newest["user"]) == ("default", "verify", SYSTEM)
    assert newest["details"]["claims"] == {"emailaddress": True}
    assert "vera@" not in answer.text


@pytest.mark.parametrize(
    "params",
    [
        {"start": "0"},
        {"start": "0", "end": str(51 * DAY_MS)},
        {"pageSize": "2001"},
        {"start": "yesterday"},
        {"end": "1" * 16},
    ],
)
async def test_invalid_audit_queries_are_rejected(vendor: Vendor, params: dict[str, str]) -> None:
    said(await vendor.get("/api/audit/list", **params), 400)


# -- who may ------------------------------------------------------------------------------------------------

PATHS = [
    f"/api/dataset/web/user/{X}",
    "/api/dataset/web/users.json",
    "/api/dataset/web/users.csv",
    "/api/audit/list",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_lookup_needs_credentials(vendor: Vendor, stranger: Cds, path: str) -> None:
    await vendor.harness.event(device=X)
    wrong = [
        basic(SYSTEM, "wrong"),
        basic("nobody"),
        {"Authorization": "Bearer x"},
        basic("theirs", "another secret"),
    ]
    for headers in (*wrong, {"Authorization": "Basic %%%"}, {"Authorization": ""}):
        answer = await vendor.get(path, headers=headers)
        said(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic")
    others = [name for name in PERMISSIONS if name not in ONLY_EVENTS]
    said(await vendor.get(path, headers=await vendor.application("others", *others)), 403)
    assert (
        await vendor.get(path, headers=await vendor.application("events", *ONLY_EVENTS))
    ).status_code == 200


async def test_deletion_needs_the_same(vendor: Vendor) -> None:
    await vendor.harness.event(device=X)
    said(await vendor.delete(f"name\n{X}", headers=basic(SYSTEM, "wrong")), 401)
    assert (await vendor.user(X))["id"] == X


async def test_other_organisations_and_datasets_see_nothing(vendor: Vendor, stranger: Cds) -> None:
    await vendor.harness.event(device=X)
    theirs = basic("theirs", "another secret")
    said(await vendor.get(f"/api/dataset/web/user/{X}", org=stranger.dataset_ref.handle, headers=theirs), 404)
    said(await vendor.get(f"/api/dataset/default/user/{X}"), 404)
    said(await vendor.get(f"/api/dataset/nothing/user/{X}"), 404)
    said(await vendor.get(f"/api/dataset/web/user/{X}", org="nobody"), 401)
    audits = await vendor.get("/api/audit/list", org=stranger.dataset_ref.handle, headers=theirs)
    assert "web" not in {each["dataset"] for each in audits.json()["audits"]}


@pytest.mark.parametrize("text", ["%00", "%F0%9F%92%A9", "a" * 3000, "..%2F..", "'--"])
async def test_unknown_ids_find_no_profile(vendor: Vendor, text: str) -> None:
    answer = await vendor.get(f"/api/dataset/web/user/{text}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
    assert json.dumps(answer.text)
