"""Lookup, deletion and audit calls of the event wire (docs/wire/interactions.md §3, §4)."""

from __future__ import annotations

import base64
import csv
import io
import time
from typing import Any

import httpx
import pytest

from oneself.auth.callers.permissions import PERMISSIONS
from oneself.service.by_hand.asked import SplitBrowser, Why
from oneself.service.context import Actor
from oneself.service.directory.accounts import Registration
from oneself.service.directory.applications import NewApplication
from oneself.service.ingest.trackers import new_tracker
from oneself.service.profiles.ids import AmbiguousId
from support.application import ORG, SECRET, SYSTEM
from support.caller import Cds
from support.interactions_harness import InteractionsHarness, customer, mail

X, Y = "0123456789abcdef", "fedcba9876543210"
EVENT_PERMISSION = ("internal_cds_event_create",)
DAY_MS = 24 * 3600 * 1000


def basic(name: str = SYSTEM, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


class LookupClient:
    """A caller of these routes, with Basic credentials."""

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
        """Create an application; its credentials."""
        new = NewApplication(name, permissions=permissions, client_id=name, client_secret=SECRET)
        await self.cds.services.directory.applications.create(self.cds.dataset_ref, new)
        return basic(name)


@pytest.fixture
async def client(cds: Cds) -> LookupClient:
    datasets = cds.services.schema.datasets
    await datasets.create(cds.dataset_ref, "web", {})
    dataset_ref = await datasets.get(cds.dataset_ref, "web")
    return LookupClient(
        cds, await InteractionsHarness(cds.services, dataset_ref).begin(classifications={"plan": "Sensitive"})
    )


def assert_error(answer: httpx.Response, status: int) -> str:
    """Assert an error of this wire and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"errorCode", "message"}
    assert body["errorCode"] == 5
    return str(body["message"])


# -- the record ---------------------------------------------------------------------------------------------


async def test_the_record_has_identity_attributes_and_times(client: LookupClient) -> None:
    harness, started = client.harness, time.time() * 1000
    await harness.event(device=X)
    await harness.event(mail("Ann@acme.example"), device=X, values={"traits": {"plan": "gold"}})
    await harness.event(device=Y)
    last = await harness.event(mail("ann@acme.example"), device=Y, trust="server")
    for text in (X, Y, last.survivor.primary_id, str(last.survivor.profile_id)):
        user = await client.user(text)
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


async def test_the_id_of_an_anonymous_user_is_the_anonymous_id(client: LookupClient) -> None:
    await client.harness.event(device=X)
    user = await client.user(X)
    assert (user["id"], user["isAnonymous"], user["anonAliases"]) == (X, True, [])
    assert user["attributes"] == {}


async def test_a_regular_application_sees_no_user_attributes(client: LookupClient) -> None:
    await client.harness.event(mail("ann@acme.example"), device=X, values={"traits": {"plan": "gold"}})
    partner = await client.application("partner", *EVENT_PERMISSION)
    answer = await client.get(f"/api/dataset/web/user/{X}", headers=partner)
    assert answer.status_code == 200
    assert "plan" not in answer.json()["attributes"]


async def test_without_a_default_organisation_the_path_must_name_one(client: LookupClient) -> None:
    await client.harness.event(device=X)
    assert client.cds.services.settings.organisation is None
    assert_error(await client.http.get(f"/api/dataset/web/user/{X}", headers=basic()), 401)


# -- lists --------------------------------------------------------------------------------------------------


async def test_users_are_listed_page_by_page(client: LookupClient) -> None:
    created = [(await client.harness.event(customer(f"c-{n}"))).survivor.primary_id for n in range(5)]
    await client.harness.event(customer("c-0"), device=X)
    found: list[str] = []
    for page in (1, 2, 3):
        body = (await client.get("/api/dataset/web/users.json", pageSize=2, page=page)).json()
        found += [user["id"] for user in body["users"]]
        assert (body["page"], body["pageSize"], body["hasMore"]) == (page, 2, page < 3)
    assert found == created[::-1]
    first = (await client.get("/api/dataset/web/users.json", pageSize=2, page=0)).json()
    assert [user["id"] for user in first["users"]] == found[:2]


async def test_users_are_listed_as_csv(client: LookupClient) -> None:
    await client.harness.event(
        mail('ann"; drop@acme.example'), device=X, values={"traits": {"plan": "a,b\nc"}}
    )
    answer = await client.get("/api/dataset/web/users.csv")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["emailAddress"] == 'ann"; drop@acme.example'
    assert row["plan"] == "a,b\nc"
    assert row["isAnonymous"] == "false"
    assert row["customerId"] == ""


@pytest.mark.parametrize(
    ("params", "message"),
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
    client: LookupClient, params: dict[str, str], message: str
) -> None:
    for kind in ("json", "csv"):
        assert message in assert_error(await client.get(f"/api/dataset/web/users.{kind}", **params), 400)


# -- deletion -----------------------------------------------------------------------------------------------


async def test_users_are_erased_by_any_id(client: LookupClient) -> None:
    harness = client.harness
    await harness.event(device=X)
    ann = await harness.event(mail("ann@acme.example"), device=X)
    bob = await harness.event(customer("bob"))
    remaining = await harness.event(customer("kept"))
    rows = ["note,name", f'"a, b",{X}', f"x,{ann.survivor.primary_id}", f"y,{bob.survivor.profile_id}"]
    answer = await client.delete("\r\n".join([*rows, "z,unknown", "short", ""]))
    assert (answer.status_code, answer.text) == (200, "Deleted 2 users (4 requested)")
    assert answer.headers["content-type"].startswith("text/plain")
    for text in (X, ann.survivor.primary_id, bob.survivor.primary_id):
        assert_error(await client.get(f"/api/dataset/web/user/{text}"), 404)
    listed = (await client.get("/api/dataset/web/users.json")).json()["users"]
    assert [user["id"] for user in listed] == [remaining.survivor.primary_id]
    audits = (await client.get("/api/audit/list")).json()["audits"]
    erasures = [entry for entry in audits if entry["action"] == "erase"]
    assert [(erasure["user"], erasure["dataset"]) for erasure in erasures] == [(SYSTEM, "web")] * 2


@pytest.mark.parametrize(
    "content", ["", "id\nx", b"\xff\xfe", "name\n" + "x\n" * 100_001, 'name\n"' + "a" * 200_000]
)
async def test_an_invalid_file_is_rejected(client: LookupClient, content: bytes | str) -> None:
    await client.harness.event(device=X)
    assert_error(await client.delete(content), 400)
    assert (await client.user(X))["id"] == X


async def test_a_request_without_a_file_is_rejected(client: LookupClient) -> None:
    path = f"/t/{ORG}/api/dataset/web/users/delete"
    kinds: list[dict[str, Any]] = [{"json": {}}, {"data": {"file": "name\nx"}}, {"content": b""}]
    for body in kinds:
        assert_error(await client.http.post(path, headers=basic(), **body), 400)
    assert_error(await client.delete("name\nx", name="files"), 400)
    assert_error(await client.delete("name\n" + "x" * 17_000_000), 413)


async def test_an_anonymous_id_of_two_users_deletes_neither(client: LookupClient) -> None:
    """The id that one user began with, on a browser that another one uses now."""
    await client.harness.event(device=X)
    users = [(await client.harness.event(customer(name), device=X)).survivor for name in ("c-1", "c-2")]
    assert len({user.profile_id for user in users}) == 2
    assert (await client.delete(f"name\n{X}\n")).text == "Deleted 0 users (1 requested)"
    for user in users:
        assert (await client.user(user.primary_id))["id"] == user.primary_id
    persons, ref = client.cds.services.privacy.persons, client.harness.dataset_ref
    for act in (persons.preview_erasure(ref, X, "all"), persons.erase(ref, Actor("cli"), X, "all")):
        with pytest.raises(AmbiguousId) as refused:
            await act
        assert all(str(user.profile_id) in refused.value.description for user in users)
    assert (await client.delete(f"name\n{users[0].primary_id}\n")).text == "Deleted 1 users (1 requested)"
    assert (await client.delete(f"name\n{X}\n")).text == "Deleted 1 users (1 requested)"


async def test_an_id_that_the_service_made_is_deleted_whatever_browsers_send(client: LookupClient) -> None:
    profiles, ref = client.cds.services.profiles.profiles, client.harness.dataset_ref
    made = (await profiles.create(ref, Actor("cds"), {}, tracker=new_tracker())).survivor
    for name in ("c-1", "c-2"):
        await client.harness.event(customer(name), device=made.primary_id)
    assert (await client.delete(f"name\n{made.primary_id}\n")).text == "Deleted 1 users (1 requested)"
    assert await profiles.find(ref, made.profile_id) is None


# -- the audit log ------------------------------------------------------------------------------------------


async def test_the_audit_log_lists_changes_without_values(client: LookupClient) -> None:
    await client.cds.services.profiles.refusals.protect(
        client.harness.dataset_ref, blocked_values=("a secret word",)
    )
    answer = await client.get("/api/audit/list", pageSize=2000)
    body = answer.json()
    newest = body["audits"][0]
    assert (newest["dataset"], newest["action"]) == ("web", "configure")
    assert "put_blocked" in newest["details"]["changes"]
    assert {
        "subject": "blocked values",
        "name": "values",
        "before": 0,
        "after": 1,
    } in newest["changed"]
    assert {entry["dataset"] for entry in body["audits"]} == {"", "default", "web"}
    assert {entry["action"] for entry in body["audits"] if not entry["dataset"]} >= {"application"}
    assert "a secret word" not in answer.text
    assert body["hasMore"] is False
    pages = [
        entry
        for page in range(1, len(body["audits"]) + 1)
        for entry in (await client.get("/api/audit/list", pageSize=1, page=page)).json()["audits"]
    ]
    assert pages == body["audits"]
    now = int(time.time() * 1000)
    old = await client.get("/api/audit/list", start=now - 40 * DAY_MS, end=now - 20 * DAY_MS)
    assert old.json()["audits"] == []


async def test_the_audit_log_names_decisions_and_no_reason(client: LookupClient) -> None:
    harness, decisions = client.harness, client.cds.services.decisions
    for device in ("one", "two"):
        await harness.event(device=device)
    actor, why = Actor("admin", SYSTEM), Why("all", "a secret word")
    await decisions.merge(harness.dataset_ref, actor, "one", "two", why)
    await decisions.split(harness.dataset_ref, actor, "one", SplitBrowser("two"), why)
    answer = await client.get("/api/audit/list")
    split, merge = answer.json()["audits"][:2]
    assert [split["action"], merge["action"]] == ["split", "merge"]
    assert (split["user"], split["details"]["parts"], split["dataset"]) == (SYSTEM, 2, "web")
    assert "a secret word" not in answer.text


async def test_the_audit_log_names_verified_claims_and_no_address(client: LookupClient) -> None:
    directory, dataset_ref = client.cds.services.directory, client.cds.dataset_ref
    form = Registration("vera@acme.example", "a long enough password", "Vera", "Vogel")
    account = await directory.accounts.register(dataset_ref, form)
    await directory.users.change(
        dataset_ref, Actor("admin", SYSTEM), account.user_id, {}, {"emailaddress": True}
    )
    answer = await client.get("/api/audit/list")
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
async def test_invalid_audit_queries_are_rejected(client: LookupClient, params: dict[str, str]) -> None:
    assert_error(await client.get("/api/audit/list", **params), 400)


# -- authentication -----------------------------------------------------------------------------------------

PATHS = [
    f"/api/dataset/web/user/{X}",
    "/api/dataset/web/users.json",
    "/api/dataset/web/users.csv",
    "/api/audit/list",
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_lookup_needs_credentials(client: LookupClient, stranger: Cds, path: str) -> None:
    await client.harness.event(device=X)
    invalid = [
        basic(SYSTEM, "wrong"),
        basic("unknown"),
        {"Authorization": "Bearer x"},
        basic("theirs", "another secret"),
    ]
    for headers in (*invalid, {"Authorization": "Basic %%%"}, {"Authorization": ""}):
        answer = await client.get(path, headers=headers)
        assert_error(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic")
    others = [name for name in PERMISSIONS if name not in EVENT_PERMISSION]
    assert_error(await client.get(path, headers=await client.application("others", *others)), 403)
    assert (
        await client.get(path, headers=await client.application("events", *EVENT_PERMISSION))
    ).status_code == 200


async def test_deletion_needs_credentials(client: LookupClient) -> None:
    await client.harness.event(device=X)
    assert_error(await client.delete(f"name\n{X}", headers=basic(SYSTEM, "wrong")), 401)
    assert (await client.user(X))["id"] == X


async def test_users_of_other_organisations_and_datasets_are_not_found(
    client: LookupClient, stranger: Cds
) -> None:
    await client.harness.event(device=X)
    other_credentials = basic("theirs", "another secret")
    assert_error(
        await client.get(
            f"/api/dataset/web/user/{X}", org=stranger.dataset_ref.handle, headers=other_credentials
        ),
        404,
    )
    assert_error(await client.get(f"/api/dataset/default/user/{X}"), 404)
    assert_error(await client.get(f"/api/dataset/nothing/user/{X}"), 404)
    assert_error(await client.get(f"/api/dataset/web/user/{X}", org="unknown"), 401)
    audits = await client.get("/api/audit/list", org=stranger.dataset_ref.handle, headers=other_credentials)
    assert "web" not in {entry["dataset"] for entry in audits.json()["audits"]}


@pytest.mark.parametrize("text", ["%00", "%F0%9F%92%A9", "a" * 3000, "..%2F..", "'--"])
async def test_unknown_ids_find_no_profile(client: LookupClient, text: str) -> None:
    answer = await client.get(f"/api/dataset/web/user/{text}")
    assert answer.status_code == 404
    assert "Traceback" not in answer.text
