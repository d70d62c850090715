"""Every command with which an operator changes something is audited."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from audited.recorder import Reasons, Recorder, all_commands, assert_listed
from oneself.bootstrap import build_services
from oneself.cli.main import app
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from oneself.tunables import Tunables
from support.caller import Cds
from support.service import SECRET_KEY

MANIFEST = "identity_types: {household: {label: Household}}\n"
SECRETS = ("a password of ann", "another one of ann", "a password of eve", "another one of eve")


class Change(msgspec.Struct, frozen=True):
    """A command that changes something, and the rest of its line. In braces: what earlier commands printed.

    `names_org`: it names the organisation itself, or none. `remembers`: name → field that it prints.
    """

    command: str
    arguments: str
    kind: str = "configure"
    remembers: dict[str, str] = {}
    names_org: bool = False


def of_organisation(command: str, arguments: str, kind: str = "configure") -> Change:
    return Change(command, arguments, kind, names_org=True)


#: In an order in which each finds what it changes.
CHANGES = (
    of_organisation("org change", "acme --verified-address-first"),
    of_organisation("org rotate-keys", "acme", "signing_key"),
    of_organisation("org set-code-webhook", "acme https://sms.example/codes", "code_webhook"),
    of_organisation("org delete-code-webhook", "acme --yes", "code_webhook"),
    Change("app create", "Shop --system", "application", {"client_id": "client_id"}),
    Change("app rotate-secret", "{client_id}", "application"),
    Change("app delete", "{client_id} --yes", "application"),
    Change(
        "user create",
        f"ann@x.example --given-name Ann --last-name Lee --password '{SECRETS[0]}'",
        "account",
        {"user_id": "user_id"},
    ),
    Change("user verify", "{user_id} emailaddress", "account"),
    Change("user unverify", "{user_id} emailaddress", "account"),
    Change("user set-password", f"{{user_id}} --password '{SECRETS[1]}'", "account"),
    Change("user delete", "{user_id} --yes", "account"),
    Change("console-user create", f"eve --role analyst --password '{SECRETS[2]}'", "console_user"),
    Change("console-user role", "eve administrator", "console_user"),
    Change("console-user password", f"eve --password '{SECRETS[3]}'", "console_user", names_org=True),
    Change("console-user delete", "eve --yes", "console_user", names_org=True),
    Change("issuer add", "https://login.example", "issuer", {"issuer_id": "issuer_id"}),
    Change("issuer change", "{issuer_id} --verified-claims never", "issuer"),
    Change("issuer remove", "{issuer_id} --yes", "issuer"),
    Change("webhook add", "https://crm.example", "webhook", {"webhook_id": "id"}),
    Change("webhook change", "{webhook_id} --view all", "webhook"),
    Change("webhook remove", "{webhook_id} --yes", "webhook"),
    Change("token-key rotate", "", "token_key", {"key_id": "key_id"}),
    Change("token-key destroy", "{key_id} --yes", "token_key"),
    Change("claims add", "shoeSize"),
    Change("claims change", "shoeSize --display-name Size"),
    Change("claims delete", "shoeSize --yes"),
    Change("dataset create", "web --label Web", "dataset"),
    Change("dataset change", "web --label Website"),
    Change("dataset write-key create", "web Shop --kind server", remembers={"write_key": "key_id"}),
    Change("dataset write-key delete", "web {write_key} --yes"),
    Change("dataset delete", "web --yes", "dataset"),
    Change("dataset create", "legacy --legacy", "dataset"),
    Change("dataset attributes", "legacy --bind customerId=customerId --yes"),
    Change("dataset enable-identity", "legacy --attribute customerId --apply"),
    Change("identity-type create", "loyalty"),
    Change("identity-type change", "loyalty --label Loyalty"),
    Change("dataset attributes", "default --bind loyalty=loyalty --yes"),
    Change("dataset channels", "default --set Web=loyalty --yes"),
    Change("dataset channels", "default --set Web= --yes"),
    Change("dataset attributes", "default --unbind loyalty --yes"),
    Change("identity-type delete", "loyalty --yes"),
    Change("identity apply", "{manifest} --yes"),
    Change("protection change", "--profiles-per-merge-max 7"),
    Change("rule create", "identity_attributes.mobile --name Mobile", remembers={"rule_id": "rule_id"}),
    Change("rule deactivate", "{rule_id}"),
    Change("rule activate", "{rule_id}"),
    Change("rule change", "{rule_id} --proves-identity"),
    Change("rule delete", "{rule_id} --yes"),
    Change("person merge", "{one} {other} --yes", "merge"),
    Change("person split", "{one} --all --yes", "split"),
    Change("person erase", "{one} --yes", "erase"),
)
NO_ENTRY: Reasons = {
    "It begins an audit log of its own; test_a_new_organisation_begins_its_audit_log carries it out.": (
        "org create",
    ),
    "It reads.": (
        *("settings", "org list", "org show", "app list", "app show", "app permissions", "user list"),
        *("user show", "console-user list", "issuer list", "webhook list", "webhook deliveries"),
        *("token-key list", "claims list", "claims skipped", "dataset list", "dataset show"),
        *("dataset write-key list", "identity-type list", "identity export", "identity diff", "rule list"),
        *("rule preview", "rule progress", "protection show", "person why", "person export"),
        *("person receipts", "resolve", "events", "sdk", "doctor", "verify"),
    ),
    "It sends what was to be sent, and changes no setting.": ("webhook test", "webhook send-again"),
    "It reads claims of an identity server; each that differs has an entry of the kind configure.": (
        "claims sync",
    ),
    "It runs the service, or computes the stored state again.": ("serve", "upgrade", "rebuild", "demo"),
}


@pytest.fixture
def in_this_process(
    database_url: str, tunables: Tunables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands of this process use the database of the test."""

    @asynccontextmanager
    async def open_services_of(_: Settings) -> AsyncIterator[Services]:
        async with await Database.open(database_url, max_size=2) as database:
            yield build_services(
                Settings(data_dir=tmp_path, secret_key=SECRET_KEY), database, tunables=tunables
            )

    monkeypatch.setattr("oneself.cli.context.open_services_of", open_services_of)


async def run(line: str) -> str:
    """Run a command; returns what it prints."""
    result = await asyncio.to_thread(CliRunner().invoke, app, line)
    assert result.exit_code == 0, (line, result.output, result.exception)
    return result.stdout


def test_every_command_is_audited_or_has_a_reason() -> None:
    assert_listed(all_commands(), {change.command for change in CHANGES}, NO_ENTRY)


@pytest.mark.usefixtures("in_this_process")
async def test_every_change_has_an_entry_of_the_command_line_and_no_secret(cds: Cds, tmp_path: Path) -> None:
    manifest = tmp_path / "identity.yaml"
    manifest.write_text(MANIFEST)
    one, other = [(await cds.create(traits={}))["profile_id"] for _ in range(2)]
    recorder = Recorder(cds.services, cds.dataset_ref)
    known = {"manifest": str(manifest), "one": one, "other": other}
    secrets = list(SECRETS)
    await recorder.new()
    for change in CHANGES:
        org = "" if change.names_org else " --org acme"
        as_json = " --json" if change.remembers else ""
        printed = await run(f"{change.command} {change.arguments.format(**known)}{org}{as_json}")
        if change.remembers:
            document = json.loads(printed)
            known |= {name: str(document[field]) for name, field in change.remembers.items()}
            secrets += [document[name] for name in ("client_secret", "secret", "key") if document.get(name)]
        await recorder.assert_recorded(
            change.command, change.kind, interface="cli", application=None, console_user=None
        )
    stored = await recorder.stored()
    assert len(secrets) > len(SECRETS)
    assert [secret for secret in secrets if secret in stored] == []
    assert known["user_id"] not in stored


@pytest.mark.usefixtures("in_this_process")
async def test_a_new_organisation_begins_its_audit_log(services: Services) -> None:
    await run("org create zenith")
    dataset_ref = await services.directory.organisations.get("zenith")
    await Recorder(services, dataset_ref).assert_recorded("org create", "organisation", interface="cli")
