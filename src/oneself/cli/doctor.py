"""`oneself doctor`: checks everything that the service needs, and prints what to do about each problem.

Exit code 0 if the service can run, warnings included; 1 if a problem must be solved first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Literal
from uuid import UUID

import msgspec
import typer

from oneself.cli.context import database_url, load_settings, out
from oneself.cli.output import timestamp
from oneself.errors import Fatal, OneselfError, SettingsError
from oneself.secrets_file import SECRET_KEY_CHARS_ADVISED, SECRET_KEY_FILE
from oneself.settings import Loaded, Settings

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.setup.secret_key import EncryptedValue
    from oneself.services import Services
    from oneself.store.tables.claim_sync import ClaimSyncProgress

app = typer.Typer()

CLOCK_OFF_S = 2.0
FREE_BYTES_ADVISED = 1_000_000_000
# Enough to find systematic problems; stored keys are checked for every organisation.
ORGANISATIONS_LOOKED_AT_MAX = 20
# One million profiles are enough to find a wrong schema; the endpoint /unfit-values lists all.
INVALID_PAGES_MAX = 200
MARKS = {"good": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


class Finding(msgspec.Struct, frozen=True):
    """A check's subject, its state, what was found, and what to do about it."""

    subject: str
    state: Literal["good", "warning", "bad"]
    sentence: str
    advice: str = ""


@app.command()
def doctor() -> None:
    """Check settings, data folder, database, migrations, keys and clock, and print what to do.

    The service may run meanwhile. If it does not, the embedded database is started for the check.
    """
    loaded = load_settings()
    findings = [*_settings(loaded), *_folder(loaded.settings), *_keys(loaded.settings)]
    try:
        with database_url(loaded.settings) as url:
            findings += asyncio.run(_collect(_database(url, loaded.settings)))
    except Fatal as error:
        findings.append(
            Finding("database", "bad", error.message, "Read its log: postgres.log in the data folder.")
        )
    for finding in findings:
        _print(finding)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _settings(loaded: Loaded) -> list[Finding]:
    unknown = [
        Finding(
            "settings",
            "warning",
            f"{name} is set, but it is not a setting.",
            "List the settings: oneself settings.",
        )
        for name in loaded.unknown_variables
    ]
    return [Finding("settings", "good", f"read; file: {loaded.file or 'none'}"), *unknown]


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.folder
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(parent, os.W_OK):
        advice = f"Make {parent} writable for this user, or set another folder with --data-dir."
        return [Finding("data folder", "bad", f"{folder} is not writable.", advice)]
    free = shutil.disk_usage(parent).free
    if free < FREE_BYTES_ADVISED:
        return [
            Finding(
                "data folder", "warning", f"{folder} has {free // 1_000_000} MB free.", "Free disk space."
            )
        ]
    return [Finding("data folder", "good", str(folder))]


def _keys(settings: Settings) -> list[Finding]:
    if settings.secret_key and len(settings.secret_key) < SECRET_KEY_CHARS_ADVISED:
        sentence = f"ONESELF_SECRET_KEY is shorter than {SECRET_KEY_CHARS_ADVISED} characters."
        return [Finding("secret key", "warning", sentence, "Use a longer key for a new installation.")]
    if settings.secret_key:
        return [Finding("secret key", "good", "from ONESELF_SECRET_KEY")]
    path = settings.folder / SECRET_KEY_FILE
    if path.exists() and path.stat().st_mode & 0o077:
        return [Finding("secret key", "bad", f"{path} is readable by other users.", f"chmod 600 {path}")]
    if settings.database_url and not path.exists():
        sentence = f"ONESELF_SECRET_KEY is not set and {path} does not exist."
        advice = "Set ONESELF_SECRET_KEY to the secret key of the service that uses this database."
        return [Finding("secret key", "warning", sentence, advice)]
    if settings.database_url:
        sentence = "It is in the data folder of this machine, but other machines may use the database."
        return [
            Finding("secret key", "warning", sentence, f"Set ONESELF_SECRET_KEY to the content of {path}.")
        ]
    return [Finding("secret key", "good", str(path) if path.exists() else f"{path} does not exist yet")]


async def _collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    collected: list[Finding] = []
    try:
        async for finding in findings:
            collected.append(finding)
    except SettingsError as error:
        advice = "No command writes with this key. Restore the key that the database was created with."
        collected.append(Finding("secret key", "bad", error.message, advice))
    except OneselfError as error:
        advice = "Check that it runs, and the address and password in ONESELF_DATABASE_URL."
        collected.append(Finding("database", "bad", error.message, advice))
    return collected


async def _database(url: str, settings: Settings) -> AsyncIterator[Finding]:
    from oneself.store.database import connect, wait_until_ready
    from oneself.store.migrate import pending

    await wait_until_ready(url)
    connection = await connect(url)
    try:
        version = await connection.fetchval("show server_version")
        kind = "external" if settings.database_url else "embedded"
        yield Finding("database", "good", f"{kind}, PostgreSQL {version}")
        yield _clock(await connection.fetchval("select clock_timestamp()"))
        limit = int(await connection.fetchval("show max_connections"))
        yield _connections(limit, settings)
        durable = await connection.fetchval(
            "select current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off'"
        )
        if not durable:
            advice = "Turn on fsync and synchronous_commit in PostgreSQL."
            yield Finding(
                "durability", "bad", "The database confirms writes before they are on disk.", advice
            )
    finally:
        await connection.close()
    names = await pending(url)
    yield _migrations(names)
    if not names:
        async for finding in _organisations(url, settings):
            yield finding


async def _organisations(url: str, settings: Settings) -> AsyncIterator[Finding]:
    from oneself.bootstrap import open_services
    from oneself.service.setup.secret_key import list_encrypted_values
    from oneself.store.directory import Directory

    async with open_services(settings, url) as services:
        overviews = await services.directory.organisations.list()
        datasets = [
            await services.directory.organisations.get(overview.handle)
            for overview in overviews[:ORGANISATIONS_LOOKED_AT_MAX]
        ]
        for finding in _stored_keys(services, await list_encrypted_values(Directory(services.database))):
            yield finding
        for dataset_ref in datasets:
            async for finding in _invalid_values(services, dataset_ref):
                yield finding
            async for finding in _provider_claims(services, dataset_ref):
                yield finding
            async for finding in _token_keys(services, dataset_ref):
                yield finding


def _stored_keys(services: Services, values: list[EncryptedValue]) -> list[Finding]:
    """The encrypted values in this database that cannot be decrypted; the service works without them."""
    unreadable = [value for value in values if not value.opens_with(services.secret_box)]
    if not unreadable:
        return [Finding("stored keys", "good", f"all {len(values)} can be decrypted")]
    return [_unreadable(value) for value in unreadable]


def _unreadable(value: EncryptedValue) -> Finding:
    handle = value.organisation
    match value.kind:
        case "signing_key":
            name, advice = f"signing key {value.key_id}", f"Replace it: oneself org rotate-keys {handle}."
        case "token_key":
            name = f"token key {value.key_id}"
            advice = (
                f"Destroy it; if it is active, run `token-key rotate` first: "
                f"oneself token-key destroy {value.key_id} --org {handle}."
            )
        case "identity_server":
            name = "the secrets of its identity server"
            advice = f"Store them again: PUT /t/{handle}/api/v1/identity-provider."
    sentence = (
        f"{handle}: {name} cannot be decrypted: it was encrypted with another secret key, or it is damaged."
    )
    return Finding("stored keys", "bad", sentence, advice)


async def _invalid_values(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Stored values that the schema no longer allows, by attribute."""
    from oneself.service.profiles.invalid_values import START

    counted: dict[tuple[str, str], int] = {}
    after: UUID | None = START
    for _ in range(INVALID_PAGES_MAX):
        if after is None:
            break
        page = await services.profiles.invalid_values.page(dataset_ref, after)
        for invalid in page.found:
            counted[invalid.path, invalid.problem] = (
                counted.get((invalid.path, invalid.problem), 0) + invalid.profiles
            )
        after = page.last
    for (path, problem), profiles in sorted(counted.items()):
        sentence = f"{dataset_ref.handle}: {path} of {profiles} profiles is stored and hidden: {problem}."
        advice = "Restore the attribute's former type, or leave the values hidden."
        yield Finding("values", "warning", sentence, advice)


async def _token_keys(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """A warning for each active token key that should be rotated."""
    from oneself.service.events.token_keys import ROTATE_AFTER_DAYS

    for key in await services.events.token_keys.list(dataset_ref):
        days = (time.time() - key.active_from / 1_000_000) / 86_400
        if key.state == "active" and days > ROTATE_AFTER_DAYS:
            sentence = f"{dataset_ref.handle}: key {key.key_id} has encrypted tokens for {days:.0f} days."
            advice = f"Rotate it: oneself token-key rotate --org {dataset_ref.handle}."
            yield Finding("token keys", "warning", sentence, advice)


async def _provider_claims(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Whether the claims of an external identity server are read, and which reported values were rejected."""
    try:
        server = await services.identity_provider.servers.find(dataset_ref)
    except SettingsError:
        sentence = f"{dataset_ref.handle}: not read: the secrets of the identity server cannot be decrypted."
        yield Finding("claims", "bad", sentence, "See the finding `stored keys`.")
        return
    if server is None:
        return
    yield _claims(dataset_ref, server.url, await services.identity_provider.claim_sync.progress(dataset_ref))
    if rejected := await services.identity_provider.rejected_claims.list(dataset_ref):
        times, last = sum(rejection.times for rejection in rejected), rejected[0]
        handle = dataset_ref.handle
        sentence = f"{handle}: rejected values: {times}; the last one: {last.path}: {last.problem}."
        yield Finding("claims", "warning", sentence, "List them: oneself claims skipped.")


def _claims(dataset_ref: DatasetRef, url: str, progress: ClaimSyncProgress | None) -> Finding:
    """When the claims were read, or why they were not."""
    if progress is None or (progress.succeeded_at is None and not progress.failures):
        sentence = f"{dataset_ref.handle}: the claims of {url} have not been read."
        return Finding(
            "claims",
            "warning",
            sentence,
            "A running service reads them. To read them now: oneself claims sync.",
        )
    read = "never" if progress.succeeded_at is None else f"at {timestamp(progress.succeeded_at)}"
    if not progress.failures:
        return Finding("claims", "good", f"{dataset_ref.handle}: the claims of {url} were read {read}")
    sentence = (
        f"{dataset_ref.handle}: last read {read}; failures since: {progress.failures}; {progress.failure}"
    )
    advice = f"Check that {url} runs and that the client may read claims. Try it: oneself claims sync."
    return Finding("claims", "warning", sentence, advice)


def _clock(theirs_us: int) -> Finding:
    # Both clocks are read within milliseconds. The times in the log come from this machine's clock.
    off_s = abs(theirs_us / 1_000_000 - time.time())
    if off_s > CLOCK_OFF_S:
        sentence = f"The database's clock and this machine's differ by {off_s:.1f} s."
        return Finding("clock", "bad", sentence, "Synchronise both clocks with a time server.")
    return Finding("clock", "good", "equal to the database's clock")


def _connections(limit: int, settings: Settings) -> Finding:
    opened = settings.workers * settings.database_connections
    if opened > limit - 5:
        sentence = f"{opened} connections are configured, the server allows {limit}."
        return Finding(
            "connections", "bad", sentence, "Lower ONESELF_DATABASE_CONNECTIONS or ONESELF_WORKERS."
        )
    return Finding("connections", "good", f"up to {opened} of {limit}")


def _migrations(names: list[str]) -> Finding:
    if names:
        return Finding(
            "migrations",
            "warning",
            f"pending: {', '.join(names)}",
            "The next start of the service applies them.",
        )
    return Finding("migrations", "good", "up to date")


def _print(finding: Finding) -> None:
    out.print(f"{MARKS[finding.state]} {finding.subject:<12} {finding.sentence}")
    if finding.advice and finding.state != "good":
        out.print(f"  {'':<12} [bold]{finding.advice}[/]")
