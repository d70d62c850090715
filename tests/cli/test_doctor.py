"""`oneself doctor` finds problems and says how to solve them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import UUID

from adapters.identity_server.stand_in import CLIENT, IdentityServer
from conftest import NewDatabase
from oneself.adapters.identity_server.connection import Connection
from oneself.bootstrap import build_services
from oneself.core.fold.profile_changes import ProfileChange
from oneself.core.values.reported_claims import RejectedClaimValue
from oneself.service.crypto import SecretBox
from oneself.service.identity_provider.settings import OwnIdentityServer
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.store.directory import Directory
from oneself.store.tables.profile_change import BEGINNING, StoredChange
from oneself.store.transaction import Tables
from support.code_receiver import CodeReceiver
from support.commands import clean_environment, run_command
from support.databases import Databases
from support.nats_server import NatsServer
from support.service import SECRET_KEY, RunningService
from support.smtp import MailServer


async def test_a_valid_installation_passes(new_database: NewDatabase, data_dir: Path) -> None:
    result = _doctor(data_dir, ONESELF_DATABASE_URL=await new_database(), ONESELF_SECRET_KEY=SECRET_KEY)
    assert "✓ migrations   up to date" in result.stdout
    # Databases of tests run with fsync off, which doctor reports.
    assert [line for line in result.stdout.splitlines() if line.startswith("✗")] == [
        "✗ durability   The database confirms commits before data is on disk."
    ]


async def test_problems_are_reported_with_their_setting(made_databases: Databases, data_dir: Path) -> None:
    url = await made_databases.empty_one()
    result = _doctor(data_dir, ONESELF_DATABASE_URL=url, ONESELF_SECRET_KEY="short", ONESELF_PROT="1")
    assert "! migrations   pending: 0001_directory" in result.stdout
    assert _lines(result.stdout, "secret key") == [
        "✗ secret key   ONESELF_SECRET_KEY has 5 characters; a new database needs at least 32. "
        "Make one with: openssl rand -base64 48"
    ]
    assert "ONESELF_PROT is set, but no setting has this name." in result.stdout


def test_an_unreachable_database_is_an_error(data_dir: Path) -> None:
    result = _doctor(data_dir, ONESELF_DATABASE_URL="postgresql://u@127.0.0.1:1/none")
    assert result.returncode == 1
    assert "✗ database     The database cannot be reached." in result.stdout


def test_another_secret_key_is_an_error(service: RunningService) -> None:
    assert "can be decrypted" in service.command("doctor").stdout
    result = service.command("doctor", "--secret-key", "x" * 40)
    assert result.returncode == 1
    (line,) = _lines(result.stdout, "secret key")
    assert line.startswith("✗ secret key   ONESELF_SECRET_KEY is not the secret key that this database")


async def test_a_short_secret_key_of_an_existing_database_is_a_warning(
    new_database: NewDatabase, data_dir: Path
) -> None:
    url = await new_database()
    async with await Database.open(url) as database:
        check_value = SecretBox("short").check_value
        await database.execute("INSERT INTO secret_key_check (check_value) VALUES ($1)", check_value)
    environment = {"ONESELF_DATABASE_URL": url, "ONESELF_SECRET_KEY": "short"}
    assert _run(data_dir, environment, "org", "create", "acme").returncode == 0
    assert _lines(_doctor(data_dir, **environment).stdout, "secret key") == [
        "! secret key   ONESELF_SECRET_KEY is shorter than 32 characters."
    ]


async def test_a_missing_secret_key_is_one_line(service: RunningService, data_dir: Path) -> None:
    found = _doctor(data_dir, ONESELF_DATABASE_URL=str(service.database_url))
    (line,) = _lines(found.stdout, "secret key")
    assert line.startswith("✗ secret key   The secret key of this database is missing")


async def test_every_stored_key_that_cannot_be_opened_is_reported(
    new_database: NewDatabase, data_dir: Path
) -> None:
    environment = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    assert _run(data_dir, environment, "org", "create", "acme").returncode == 0
    assert _run(data_dir, environment, "token-key", "rotate").returncode == 0
    assert "✓ stored keys  all 3 can be decrypted" in _doctor(data_dir, **environment).stdout
    async with await Database.open(environment["ONESELF_DATABASE_URL"]) as database:
        other_services = build_services(Settings(data_dir=data_dir, secret_key="x" * 40), database)
        dataset_ref = await other_services.directory.organisations.get("acme")
        await other_services.events.token_keys.rotate(dataset_ref)
        key_id = await other_services.directory.signing_keys.rotate(dataset_ref)
        connection = Connection("https://id.example", "client", "secret")
        await other_services.identity_provider.servers.create(dataset_ref, OwnIdentityServer(connection))
    found = _doctor(data_dir, **environment)
    assert found.returncode == 1
    reported = [line for line in found.stdout.splitlines() if line.startswith("✗ stored keys")]
    assert [line.split("acme: ")[1].split(" cannot be decrypted")[0] for line in reported] == [
        "token key 3",
        f"signing key {key_id}",
        "the secrets of its identity server",
    ]
    assert "oneself token-key destroy 3 --org acme" in found.stdout
    assert "oneself org rotate-keys acme" in found.stdout


def test_a_secret_key_readable_by_others_is_an_error(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "secret.key").write_text("x" * 48)
    (data_dir / "secret.key").chmod(0o644)
    result = _doctor(data_dir, ONESELF_DATABASE_URL="postgresql://u@127.0.0.1:1/none")
    assert f"chmod 600 {data_dir / 'secret.key'}" in result.stdout.replace("\n", "")


async def test_mirrored_claims_are_reported_when_their_server_is_unreachable(
    new_database: NewDatabase, data_dir: Path
) -> None:
    server = IdentityServer().start()
    try:
        server.add("emailaddress", scim="emails")
        environment = {
            "ONESELF_DATABASE_URL": await new_database(),
            "ONESELF_SECRET_KEY": SECRET_KEY,
            "ONESELF_IDENTITY_SERVER_URL": server.base_url,
            "ONESELF_IDENTITY_SERVER_CLIENT_ID": CLIENT[0],
            "ONESELF_IDENTITY_SERVER_CLIENT_SECRET": CLIENT[1],
        }
        assert _run(data_dir, environment, "org", "create", "acme").returncode == 0
        url = server.base_url
        assert f"! claims       acme: the claims of {url} have not been read yet." in _claims(
            data_dir, environment
        )
        assert _run(data_dir, environment, "claims", "sync").returncode == 0
        assert f"✓ claims       acme: the claims of {url} were last read at 2" in _claims(
            data_dir, environment
        )
    finally:
        server.stop()
    failed = _run(data_dir, environment, "claims", "sync")
    assert failed.returncode != 0
    found = _doctor(data_dir, **environment)
    assert "! claims       acme: last read at 2" in found.stdout
    assert "; failures since: 1; " in found.stdout
    assert "cannot be reached" in found.stdout


async def test_rejected_claim_values_are_reported(new_database: NewDatabase, data_dir: Path) -> None:
    environment = {
        "ONESELF_DATABASE_URL": await new_database(),
        "ONESELF_SECRET_KEY": SECRET_KEY,
    }
    assert _run(data_dir, environment, "org", "create", "acme").returncode == 0
    assert "claims" not in _claims(data_dir, environment), "the embedded directory has no claims to read"
    settings = Settings(data_dir=data_dir, secret_key=SECRET_KEY)
    async with await Database.open(environment["ONESELF_DATABASE_URL"]) as database:
        services = build_services(settings, database)
        dataset_ref = await services.directory.organisations.get("acme")
        services.identity_provider.rejected_claims.count(
            dataset_ref, [RejectedClaimValue("identity_attributes.odd", "unknown")]
        )
        await services.identity_provider.rejected_claims.flush()
    with_server = {
        **environment,
        "ONESELF_IDENTITY_SERVER_URL": "http://127.0.0.1:1",
        "ONESELF_IDENTITY_SERVER_CLIENT_ID": CLIENT[0],
        "ONESELF_IDENTITY_SERVER_CLIENT_SECRET": CLIENT[1],
    }
    expected = "! claims       acme: reports skipped: 1; the last, identity_attributes.odd: unknown."
    assert expected in _claims(data_dir, with_server)


async def test_doctor_reports_an_old_token_key(new_database: NewDatabase, data_dir: Path) -> None:
    environment = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    assert _run(data_dir, environment, "org", "create", "acme").returncode == 0
    assert _run(data_dir, environment, "token-key", "rotate").returncode == 0
    assert "token keys" not in _doctor(data_dir, **environment).stdout, "new keys are not reported"
    async with await Database.open(environment["ONESELF_DATABASE_URL"]) as database:
        await database.execute("UPDATE token_key SET active_from = active_from - interval '31 days 1 hour'")
    expected = "! token keys   acme: the token key 2 has been active for 31 days."
    assert expected in _doctor(data_dir, **environment).stdout


async def test_doctor_reports_unsafe_configuration(new_database: NewDatabase, data_dir: Path) -> None:
    given = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    assert _run(data_dir, given, "org", "create", "acme").returncode == 0
    assert _lines(_doctor(data_dir, **given).stdout, "security") == []
    for command in (
        "app create Shop --kind browser -r https://shop.example/ --client-id shop "
        "-p internal_cds_profile_delete",
        "dataset attributes default --bind emailAddress",
    ):
        completed = _run(data_dir, given, *command.split())
        assert completed.returncode == 0, completed.stderr
    application, address, event = _lines(_doctor(data_dir, **given).stdout, "security")
    assert "shop has permissions that no person needs: internal_cds_profile_delete." in application
    assert "emailAddress matches identity_attributes.emailaddress, which nobody verifies" in address
    assert "an event without credentials that names emailAddress" in event


async def test_doctor_sends_a_mail_and_says_what_failed(new_database: NewDatabase, data_dir: Path) -> None:
    given = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    (line,) = _lines(_doctor(data_dir, **given).stdout, "mail")
    assert line.startswith("✓ mail         No mail server is set up: mails go to the development outbox")
    (line,) = _lines(_doctor(data_dir, **given, ONESELF_PUBLIC_URL="https://id.acme.example").stdout, "mail")
    assert line.startswith("! mail")

    def lines(server: MailServer, *arguments: str) -> list[str]:
        mail = {"ONESELF_SMTP_URL": f"smtp://127.0.0.1:{server.port}", "ONESELF_MAIL_FROM": "us@acme.example"}
        return _lines(_run(data_dir, {**given, **mail}, "doctor", *arguments).stdout, "mail")

    for behaviour, expected in (
        ("accepts", "✓ mail         The server took a mail to vera@acme.example."),
        ("refuses", "✗ mail         550 5.1.1 There is no such mailbox"),
        ("greylists", "✗ mail         451 4.7.1 Greylisted, try again later"),
    ):
        server = MailServer(behaviour)
        try:
            (line,) = lines(server, "--mail", "vera@acme.example")
            assert line.startswith(expected)
            assert len(server.received) == (behaviour == "accepts")
        finally:
            server.stop()


async def test_doctor_tries_the_webhook_and_says_what_failed(
    new_database: NewDatabase, data_dir: Path
) -> None:
    given = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    assert _run(data_dir, given, "org", "create", "acme").returncode == 0
    assert _lines(_doctor(data_dir, **given).stdout, "codes") == []

    def line(*arguments: str) -> str:
        (found,) = _lines(_run(data_dir, given, "doctor", *arguments).stdout, "codes")
        return found

    assert line("--mobile", "+447700900123").startswith("! codes        acme: no webhook sends codes.")
    receiver = CodeReceiver()
    try:
        set_up = _run(data_dir, given, "org", "set-code-webhook", "acme", receiver.url)
        assert set_up.returncode == 0, set_up.stderr
        assert line().startswith("✓ codes        acme: sent to a webhook")
        assert receiver.received == []
        assert line("--mobile", "07700 900123").startswith("✗ codes        No code can be sent")
        expected = "✓ codes        acme: the webhook accepted the code 000000."
        assert line("--mobile", "+44 7700 900123").startswith(expected)
        (request,) = receiver.received
        assert (request.document["mobile"], request.document["purpose"]) == ("+447700900123", "test")
        receiver.behaviour = "refuses"
        assert line("--mobile", "+447700900123").startswith("✗ codes        acme: The webhook answered 401.")
        receiver.behaviour = "fails"
        assert line("--mobile", "+447700900123").startswith("✗ codes        acme: The webhook answered 500.")
    finally:
        receiver.stop()


async def test_doctor_says_whether_changes_are_published(
    new_database: NewDatabase, data_dir: Path, tmp_path: Path
) -> None:
    given = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    assert _lines(_doctor(data_dir, **given).stdout, "nats") == []
    server = NatsServer(tmp_path / "nats").start()
    given["ONESELF_NATS_URL"] = server.url
    try:
        expected = "✓ nats         answers; the service will make the stream"
        assert _lines(_doctor(data_dir, **given).stdout, "nats") == [expected]
        async with await Database.open(given["ONESELF_DATABASE_URL"]) as database:
            services = build_services(Settings(data_dir=data_dir, secret_key=SECRET_KEY), database)
            at = (await services.setup.provisioning.create("acme")).dataset_ref
            await services.configurations.current(at.dataset_id)
            table, holder = Directory(database).broker, UUID(int=1)
            change = [StoredChange(7, ProfileChange(kind="created", profile_id=UUID(int=2)))]
            await Tables(database, at.dataset_id).profile_changes.put({(0, UUID(int=3)): change})
            await database.execute("UPDATE profile_change SET recorded_at = recorded_at - 100000000")
            await table.lease(holder, 60.0)
            await table.put_failure(holder, "The NATS server did not answer in time.")
            await table.advance(holder, at.dataset_id, "all", BEGINNING, lost_at=1_770_000_000_000_000)
        lines = _lines(_doctor(data_dir, **given).stdout, "nats")
        assert [line[:2] for line in lines] == ["! ", "! ", "! "]
        assert lines[0].endswith(": The NATS server did not answer in time.")
        assert "acme/default, view proven." in lines[1]
        assert "acme/default, view all: changes were deleted unpublished at 2026-02-02" in lines[2]
    finally:
        server.stop()
    away = _lines(_doctor(data_dir, **given).stdout, "nats")
    assert away[0] == "✗ nats         The NATS server cannot be reached: ConnectionRefusedError."


async def test_invalid_settings_of_mail_are_reported(new_database: NewDatabase, data_dir: Path) -> None:
    given = {"ONESELF_DATABASE_URL": await new_database(), "ONESELF_SECRET_KEY": SECRET_KEY}
    report = _doctor(data_dir, **given, ONESELF_SMTP_URL="http://mx", ONESELF_MAIL_FROM="us@acme.example")
    (line,) = _lines(report.stdout, "mail")
    assert line.startswith("✗ mail         ONESELF_SMTP_URL is not valid: it must be like smtp://user")
    (line,) = _lines(report.stdout, "secret key")
    assert line.startswith("✓")


def _lines(text: str, subject: str) -> list[str]:
    """The lines of the report about a subject."""
    return [line for line in text.splitlines() if line[2:].startswith(subject)]


def _claims(data_dir: Path, environment: dict[str, str]) -> str:
    """The lines about claims."""
    lines = _doctor(data_dir, **environment).stdout.splitlines()
    return "\n".join(line for line in lines if line[2:].startswith("claims "))


def _run(data_dir: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    base = {**clean_environment(), "COLUMNS": "300", "ONESELF_DATA_DIR": str(data_dir)}
    return run_command(*arguments, environment={**base, **environment})


def _doctor(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return _run(data_dir, environment, "doctor")
