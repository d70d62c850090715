"""A database that an earlier version wrote is upgraded by a start of the service, verified and used.

Source of the database: `upgrade/README.md`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio

from oneself.core.identity.identifier import TRACKER, tracker_digest
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.migrate import known, migrate, pending
from oneself.store.tables.log import BEGINNING
from oneself.store.transaction import Tables
from support.databases import Databases
from support.earlier_version import DATASETS, FOLDER, SECRET_KEY, restore_database
from support.service import RunningService
from support.waiting import until_async
from wire.browser import Browser, WebApplication, sign_in

pytestmark = pytest.mark.xdist_group("upgrade")

EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text("utf-8"))
QUESTIONS = [f"{entry['application']} {entry['path']}" for entry in EXPECTED["answers"]]
ORG = f"/t/{EXPECTED['organisation']}"
PROFILES = f"{ORG}/cds/api/v1/profiles"
SYSTEM = "acme-backend"
VENDOR = f"{ORG}/api/dataset/"
PEOPLE = f"{ORG}/api/v1/datasets/"


class Upgraded(NamedTuple):
    """A service on the upgraded database, and its answers before any test wrote to it."""

    service: RunningService
    http: httpx.Client
    tokens: dict[str, str]
    answers: list[tuple[int, Any]]

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        content_type = {"Content-Type": "application/json"}
        headers = {**self.bearer(SYSTEM), **content_type, **headers}
        return self.http.post(path, content=json.dumps(body), headers=headers)

    def read(self, profile_id: str) -> dict[str, Any]:
        answer = self.http.get(f"{PROFILES}/{profile_id}", headers=self.bearer(SYSTEM))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def bearer(self, client_id: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[client_id]}"}


@pytest_asyncio.fixture(scope="module")
async def earlier(made_databases: Databases) -> str:
    return await restore_database(made_databases)


@pytest.fixture(scope="module")
def upgraded(earlier: str, run_folder: Path) -> Iterator[Upgraded]:
    environment = {"ONESELF_SECRET_KEY": SECRET_KEY}
    service = RunningService(run_folder / "upgraded", earlier, environment, bootstrap=False).start()
    with service.client() as http:
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        tokens = {client_id: _token(http, client_id) for client_id in (SYSTEM, "shop")}
        running = Upgraded(service, http, tokens, [])
        running.answers.extend(_ask(running, entry) for entry in EXPECTED["answers"])
        yield running
    service.stop()


def _token(http: httpx.Client, client_id: str) -> str:
    """An access token, requested with the client secret that the earlier version stored."""
    scope = f"{EXPECTED['applications'][client_id]['scope']} internal_cds_profile_view_all"
    form = {"grant_type": "client_credentials", "scope": scope}
    answer = http.post(f"{ORG}/oauth2/token", data=form, auth=_credentials(client_id))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def _credentials(client_id: str) -> tuple[str, str]:
    return client_id, EXPECTED["applications"][client_id]["secret"]


def _ask(running: Upgraded, entry: dict[str, Any]) -> tuple[int, Any]:
    client_id, path = entry["application"], entry["path"]
    if path.startswith(VENDOR):
        answer = running.http.get(path, auth=_credentials(client_id))
    else:
        # Earlier versions had one view of a person, and of what was refused.
        params = {"view": "all"} if path.startswith(PEOPLE) and "/profiles/" in path else None
        path += "&view=all" if "/refusals?" in path else ""
        headers = running.bearer(client_id) if client_id else {}
        answer = running.http.get(path, headers=headers, params=params)
    return answer.status_code, answer.json() if answer.status_code == 200 else None


def _as_before(body: dict[str, Any]) -> dict[str, Any]:
    """A history without the kinds of steps and the observations that earlier versions did not list."""
    kinds = ("merge", "promotion", "refusal", "verification")
    steps = [step for step in body["history"] if step["kind"] in kinds]
    for step in steps:
        step.pop("observation", None)
    return {**body, "history": steps, "pagination": {**body["pagination"], "count": len(steps)}}


async def test_pending_migrations_are_applied_once(made_databases: Databases) -> None:
    url = await restore_database(made_databases)
    expected = [migration.name for migration in known() if migration.name > "0008_events"]
    assert await migrate(url) == expected
    assert await pending(url) == []


async def test_joins_are_judged_again(made_databases: Databases) -> None:
    """Guards that were changed before hold for what was stored then."""
    url = await restore_database(made_databases)
    await migrate(url)
    connection = await asyncpg.connect(url)
    listed = await connection.fetch("SELECT dataset_id, seq FROM oneself.join_review")
    outdated = await connection.fetch("SELECT dataset_id FROM oneself.pending_rebuild")
    await connection.close()
    assert len(listed) == len(outdated) == DATASETS


async def test_a_start_judges_joins_again(upgraded: Upgraded, earlier: str) -> None:
    connection = await asyncpg.connect(earlier)

    async def is_done() -> bool:
        return await connection.fetchval("SELECT count(*) FROM oneself.join_review") == 0

    await until_async(is_done, "the joins of the upgraded database are not judged again")
    await connection.close()


async def test_no_dataset_of_before_is_sample_data(made_databases: Databases) -> None:
    url = await restore_database(made_databases)
    await migrate(url)
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM oneself.dataset") > 0
        assert await connection.fetchval("SELECT count(*) FROM oneself.sample_dataset") == 0
    finally:
        await connection.close()


async def test_who_could_export_still_can(made_databases: Databases) -> None:
    """Applications that act for themselves, and issuers; a browser application has persons' tokens alone."""
    url = await restore_database(made_databases)
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        INSERT INTO oneself.application
        VALUES (1, 'spa', 'spa', 'browser', NULL, '{}', '{}', '{internal_cds_profile_view}', now(), now()),
               (1, 'writer', 'writer', 'machine', 'hash', '{}', '{}', '{internal_cds_profile_update}', now(),
                now());
        INSERT INTO oneself.trusted_issuer
        VALUES (1, gen_random_uuid(), 'https://login.example', 'iam-cds', NULL, '{internal_cds_profile_view}',
                now(), now())
        """
    )
    await migrate(url)
    statement = "SELECT {} FROM oneself.{} WHERE 'internal_cds_privacy_export' = ANY (permissions)"
    applications = await connection.fetch(statement.format("client_id", "application"))
    issuers = await connection.fetch(statement.format("issuer, verified_claims", "trusted_issuer"))
    await connection.close()
    assert {row["client_id"] for row in applications} == {SYSTEM, "shop", "portal"}
    # Its tokens verify what they say is verified.
    assert [tuple(row) for row in issuers] == [("https://login.example", "as_stated")]


async def test_who_was_an_administrator_still_is(made_databases: Databases) -> None:
    """Console users are of the deployment; where organisations share a name, the first one keeps it."""
    url = await restore_database(made_databases)
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        DELETE FROM oneself.administrator;
        INSERT INTO oneself.organisation (handle, name, created_at) VALUES ('zenith', 'Zenith', now());
        INSERT INTO oneself.administrator
        SELECT org_id, 'admin', 'hash of ' || handle, now(), now() FROM oneself.organisation;
        INSERT INTO oneself.administrator VALUES (1, 'eve', 'hash', now(), now())
        """
    )
    handles = [
        row["handle"]
        for row in await connection.fetch("SELECT handle FROM oneself.organisation ORDER BY org_id")
    ]
    await migrate(url)
    found = await connection.fetch(
        """
        SELECT username, password_hash, handle, role
        FROM oneself.console_user JOIN oneself.console_role USING (console_user_id)
        JOIN oneself.organisation USING (org_id)
        """
    )
    await connection.close()
    named = {handle: "admin" if number == 0 else f"admin@{handle}" for number, handle in enumerate(handles)}
    assert {tuple(row) for row in found} == {
        ("eve", "hash", handles[0], "administrator"),
        *((name, f"hash of {handle}", handle, "administrator") for handle, name in named.items()),
    }


async def test_changes_of_before_stay_in_the_audit_log(made_databases: Databases) -> None:
    """They are entries of the log without what they changed. Those of no dataset have a table now."""
    url = await restore_database(made_databases)
    connection = await asyncpg.connect(url)
    before = await connection.fetchval("SELECT count(*) FROM oneself.log WHERE kind = 'configure'")
    await connection.close()
    await migrate(url)
    async with await Database.open(url, max_size=1) as database:
        organisation = await Directory(database).organisations.find(EXPECTED["organisation"], "default")
        assert organisation is not None
        audit = Directory(database).of(organisation.org_id).audit
        found = await audit.list(0, 2**62, limit=10_000, offset=0)
        listed = [entry for entry in found if entry.kind == "configure"]
        assert before > 0
        assert listed
        assert not any("difference" in entry.content for entry in listed)
        await audit.put(1, UUID(int=1), "webhook", {"face": "cli"})
        assert (await audit.list(0, 1, limit=1, offset=0))[0].content == {"face": "cli"}


async def test_blocked_values_are_put_in_order(made_databases: Databases) -> None:
    """A log that is folded writes them in that order."""
    url = await restore_database(made_databases)
    connection = await asyncpg.connect(url)
    await connection.execute(
        """
        UPDATE oneself.config
        SET document = jsonb_set(
            document, '{blocked}', '{"values": ["é", "c1", "Z", "1"], "patterns": ["b", "a"]}'
        )
        WHERE dataset_id = 1
        """
    )
    before = await _blocked(connection)
    await migrate(url)
    after = await _blocked(connection)
    await connection.close()
    assert after == {**before, 1: {"values": ["1", "Z", "c1", "é"], "patterns": ["b", "a"]}}


async def _blocked(connection: asyncpg.Connection[asyncpg.Record]) -> dict[int, Any]:
    rows = await connection.fetch("SELECT dataset_id, document -> 'blocked' AS blocked FROM oneself.config")
    return {row["dataset_id"]: json.loads(row["blocked"]) for row in rows}


async def test_what_was_dropped_before_the_upgrade_can_be_read_again(made_databases: Databases) -> None:
    url = await restore_database(made_databases)
    connection = await asyncpg.connect(url)
    dropped = """{"dropped": [{"namespace": "customerId", "code": "blocked_value"}]}"""
    row = await connection.fetchrow(
        """
        UPDATE oneself.log SET plan = plan || $1::text::jsonb
        WHERE (dataset_id, seq) = (
            SELECT dataset_id, min(seq) FROM oneself.log
            WHERE kind = 'event' AND plan IS NOT NULL GROUP BY dataset_id LIMIT 1
        )
        RETURNING dataset_id, seq, observation_id
        """,
        dropped,
    )
    assert row is not None
    await connection.close()
    await migrate(url)
    async with await Database.open(url, max_size=1) as database:
        found = await Tables(database, row["dataset_id"]).dropped_values.list_after(BEGINNING, 1_000)
        keys = [(entry.seq, entry.observation_id, entry.admitted_by) for entry, _ in found]
        assert (row["seq"], row["observation_id"], ()) in keys


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=QUESTIONS)
def test_every_answer_is_the_same_as_before(upgraded: Upgraded, number: int) -> None:
    before = EXPECTED["answers"][number]
    status, body = upgraded.answers[number]
    for dataset in body.get("datasets", ()) if isinstance(body, dict) else ():
        # The setting is new; what it says is what earlier versions did.
        assert dataset.pop("channel_identity_conflict") == "replace"
        assert dataset.pop("default_view") == "proven"
        assert dataset.pop("asserted_merges") == "unrestricted"
        assert dataset.pop("report_joins") == "at_once"
    if "/history" in QUESTIONS[number] and status == 200:
        body = _as_before(body)
    for identity_type in body.get("identity_types", ()) if isinstance(body, dict) else ():
        assert identity_type.pop("proves_identity") is False
    assert (status, body) == (before["status"], _with_digests(before["body"]))


def _with_digests(body: Any) -> Any:
    """An answer of the earlier version with digests in the place of its trackers, which are 36 characters."""
    if not isinstance(body, dict):
        return body
    devices = [tracker_digest(item) if len(item) == 36 else item for item in body.get("devices", ())]
    listed = [
        {**item, "value": tracker_digest(item["value"])} if item["namespace"] == TRACKER else item
        for item in body.get("identifiers", ())
    ]
    found = {"devices": devices, "identifiers": listed}
    return {**body, **{name: value for name, value in found.items() if name in body}}


def test_the_log_still_folds_to_the_state(upgraded: Upgraded) -> None:
    verified = upgraded.service.command("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_rule_that_was_active_still_matches(upgraded: Upgraded) -> None:
    created = upgraded.post(PROFILES, {"traits": {"loyalty": "L-1"}}).json()
    survivor = upgraded.read(created["profile_id"])["merged_to"]
    assert survivor == {"profile_id": EXPECTED["people"]["ann"], "reason": "same loyalty card"}


def test_merges_of_before_are_explained(upgraded: Upgraded) -> None:
    """The new order of indexes, and what the log of an earlier version says of the joins."""
    people = EXPECTED["people"]
    address = f"{ORG}/api/v1/profiles/{people['ann']}/explain"
    listed = upgraded.http.get(address, headers=upgraded.bearer(SYSTEM))
    assert {"same loyalty card", "same phone"} <= {join["reason"] for join in listed.json()["joins"]}
    params = {"with": people["ann by card"]}
    path = upgraded.http.get(address, params=params, headers=upgraded.bearer(SYSTEM)).json()["path"]
    assert {side["observation"]["kind"] for join in path for side in join["sides"]} == {"write"}


def test_a_rule_that_was_inactive_matches_nothing(upgraded: Upgraded) -> None:
    for _ in range(2):
        created = upgraded.post(PROFILES, {"traits": {"member": "M-1"}}).json()
        assert "merged_to" not in upgraded.read(created["profile_id"])


def test_an_old_tracker_still_finds_its_profile(upgraded: Upgraded) -> None:
    answer = upgraded.post(PROFILES, {}, Cookie=f"cds_profile={EXPECTED['trackers']['eve']}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["profile_id"] == EXPECTED["people"]["eve"]


def test_an_old_persisted_token_resolves_to_the_same_user(upgraded: Upgraded) -> None:
    persisted_token = EXPECTED["persisted_token"]
    event = {"interaction": {"name": "View"}, "user": {"encryptedId": persisted_token["token"]}}
    answer = upgraded.http.post(f"{ORG}/api2/event/{persisted_token['dataset']}", json=event).json()
    assert answer["errorCode"] == 0
    assert answer["resolvedUserId"] == persisted_token["resolves_to"]


@pytest.mark.parametrize("value", ["{{user.id}}", "123456", "guest"])
def test_new_placeholders_identify_nobody_from_now_on(upgraded: Upgraded, value: str) -> None:
    user = {"anonymousId": "00000000000000aa", "identities": {"emailAddress": value}}
    event = {"interaction": {"name": "View"}, "user": user}
    answer = upgraded.http.post(f"{ORG}/api2/event/web", json=event).json()
    assert answer["resolvedUserId"] == user["anonymousId"]


def test_a_repeated_request_gets_its_first_answer(upgraded: Upgraded) -> None:
    first = EXPECTED["idempotency"]
    answer = upgraded.post(PROFILES, first["request"], **{"Idempotency-Key": first["key"]})
    assert (answer.status_code, answer.json()) == (first["status"], first["answer"])


def test_an_old_password_still_signs_in(upgraded: Upgraded) -> None:
    account, base_url = EXPECTED["account"], upgraded.service.base_url
    app = WebApplication(base_url, EXPECTED["organisation"], *_credentials(account["application"]))
    browser = Browser(base_url)
    token = sign_in(browser, app, account)["access_token"]
    browser.close()
    me = upgraded.http.get(f"{PROFILES}/Me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["profile_id"], me["user_id"]) == (account["profile_id"], account["user_id"])


def test_an_erased_profile_stays_erased(upgraded: Upgraded) -> None:
    erased = EXPECTED["erased"]
    found = upgraded.http.get(f"{PROFILES}/{erased['profile_id']}", headers=upgraded.bearer(SYSTEM))
    assert found.status_code == 404
    again = upgraded.post(PROFILES, {}, Cookie=f"cds_profile={erased['tracker']}")
    assert again.status_code == 201, again.text
    assert again.json()["profile_id"] != erased["profile_id"]
    assert again.json()["anonymous_profile_tracker"] != erased["tracker"]


def test_a_late_event_does_not_restore_an_erased_user(upgraded: Upgraded) -> None:
    erased = EXPECTED["erased"]["web"]
    user = {"identities": {"emailAddress": erased["emailAddress"]}, "anonymousId": erased["anonymousId"]}
    event = {"interaction": {"name": "View"}, "user": user, "source": {"time": erased["happened_at"]}}
    answer = upgraded.http.post(f"{ORG}/api2/event/web", json=event)
    assert answer.status_code == 200, answer.text
    assert "resolvedUserId" not in answer.json()
    found = upgraded.http.get(f"{VENDOR}web/user/{erased['user']}", auth=_credentials(SYSTEM))
    assert found.status_code == 404


def test_erased_identities_start_a_new_user(upgraded: Upgraded) -> None:
    erased = EXPECTED["erased"]["web"]
    user = {"identities": {"emailAddress": erased["emailAddress"]}}
    event = {"interaction": {"name": "View"}, "user": user, "source": {"time": int(time.time() * 1000)}}
    answer = upgraded.http.post(f"{ORG}/api2/event/web", json=event).json()
    assert answer["resolvedUserId"] not in ("", erased["user"])


def test_changes_are_followed_from_the_upgrade_on(upgraded: Upgraded) -> None:
    def changes(**params: str) -> Any:
        path = f"{ORG}/api/v1/changes"
        return upgraded.http.get(path, params=params, headers=upgraded.bearer(SYSTEM)).json()

    start = changes(start="now")
    made = upgraded.post(PROFILES, {}).json()["profile_id"]
    (created,) = changes(cursor=start["cursor"])["changes"]
    assert (created["type"], created["after"]) == ("profile.created", [made])


def test_what_is_stored_from_before_can_be_merged_and_parted_by_hand(upgraded: Upgraded) -> None:
    """Profiles of an earlier version: their fragments were folded when the database was migrated."""
    one, other = EXPECTED["account"]["profile_id"], upgraded.post(PROFILES, {}).json()["profile_id"]

    def decide(*arguments: str) -> list[dict[str, Any]]:
        options = ("--org", EXPECTED["organisation"], "--view", "proven", "--yes", "--json")
        result = upgraded.service.command("person", *arguments, *options)
        assert result.returncode == 0, result.stderr
        return list(json.loads(result.stdout)["profiles"])

    (merged,) = decide("merge", one, other)
    parted = decide("split", merged["profile_id"], "--fragment", other)
    assert {item["profile_id"] for item in parted} == {one, other}
