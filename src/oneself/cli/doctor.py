"""`oneself doctor`: checks the requirements of a service and prints how to fix problems.

Exit code 0 if the service can run, even with warnings; 1 if a problem must be fixed first.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import msgspec
import typer

from oneself.cli.context import database_url, load_settings, out
from oneself.cli.doctor_mail import check_mail, waiting_mails
from oneself.cli.doctor_mobile import check_webhook, waiting_codes
from oneself.cli.doctor_nats import check_nats, check_published
from oneself.cli.finding import Finding
from oneself.cli.output import timestamp
from oneself.data_folder import unusable_reason
from oneself.errors import Fatal, OneselfError, SettingsError
from oneself.secrets_file import SECRET_KEY_CHARS_MIN, SECRET_KEY_FILE
from oneself.settings import Loaded, Settings

if TYPE_CHECKING:
    from oneself.service.context import DatasetRef
    from oneself.service.setup.secret_key import EncryptedValue
    from oneself.services import Services
    from oneself.store.tables.claim_sync import ClaimSyncProgress

app = typer.Typer()

CLOCK_DIFFERENCE_MAX_S = 2.0
FREE_BYTES_ADVISED = 1_000_000_000
# Enough to find typical problems. Encrypted values are checked for all organisations.
ORGANISATIONS_CHECKED_MAX = 20
# Limits the check to about the first million profiles; /unfit-values lists all invalid values.
INVALID_VALUE_PAGES_MAX = 200
FOLDER_SUBJECT = "data folder"
KEY_SUBJECT = "secret key"
MARKS = {"good": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


@app.command()
def doctor(
    mail: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Also send a mail to this address.")
    ] = None,
    mobile: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER",
            help="Also send a test code to this number, by the webhook of each organisation.",
        ),
    ] = None,
) -> None:
    """Check settings, data folder, database, keys, clock, mail and NATS, and print how to fix problems.

    Works with or without a running service. Starts the embedded database if it is not running.
    """
    loaded = load_settings()
    local = [*_settings(loaded), *_folder(loaded.settings), *_keys(loaded.settings)]
    local += check_mail(loaded.settings, mail) + check_nats(loaded.settings)
    is_usable = not any(finding.subject == FOLDER_SUBJECT and finding.state == "bad" for finding in local)
    used = _in_database(loaded.settings, mobile) if loaded.settings.database_url or is_usable else []
    # A finding from using the folder and the key replaces a finding from inspecting them.
    subjects = {finding.subject for finding in used}
    findings = [finding for finding in local if finding.state == "bad" or finding.subject not in subjects]
    findings += used
    for finding in findings:
        _print(finding)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _in_database(settings: Settings, mobile: str | None) -> list[Finding]:
    try:
        with database_url(settings) as url:
            # `check_mail` reports on mail, also if its settings are invalid.
            without_mail = msgspec.structs.replace(settings, smtp_url=None, mail_from=None)
            return asyncio.run(_collect(_database(url, without_mail, mobile)))
    except SettingsError as error:
        return [Finding(FOLDER_SUBJECT, "bad", error.message)]
    except Fatal as error:
        return [Finding("database", "bad", error.message, "Read postgres.log in the data folder.")]


def _settings(loaded: Loaded) -> list[Finding]:
    unknown = [
        Finding(
            "settings", "warning", f"{name} is set, but no setting has this name.", "Run: oneself settings."
        )
        for name in loaded.unknown_variables
    ]
    return [Finding("settings", "good", f"read; file: {loaded.file or 'none'}"), *unknown]


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.folder
    if reason := unusable_reason(folder):
        advice = "Choose a folder that this user may write, with --data-dir or ONESELF_DATA_DIR."
        return [Finding(FOLDER_SUBJECT, "bad", f"{folder} cannot be used: {reason}.", advice)]
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < FREE_BYTES_ADVISED:
        return [
            Finding(
                FOLDER_SUBJECT, "warning", f"{folder} has {free // 1_000_000} MB left.", "Free disk space."
            )
        ]
    return [Finding(FOLDER_SUBJECT, "good", str(folder))]


def _keys(settings: Settings) -> list[Finding]:
    if settings.secret_key and len(settings.secret_key) < SECRET_KEY_CHARS_MIN:
        sentence = f"ONESELF_SECRET_KEY is shorter than {SECRET_KEY_CHARS_MIN} characters."
        advice = "Existing databases keep it. A new database requires a longer key."
        return [Finding(KEY_SUBJECT, "warning", sentence, advice)]
    if settings.secret_key:
        return [Finding(KEY_SUBJECT, "good", "configured by ONESELF_SECRET_KEY")]
    path = settings.folder / SECRET_KEY_FILE
    if os.path.exists(path) and path.stat().st_mode & 0o077:
        return [Finding(KEY_SUBJECT, "bad", f"Other users can read {path}.", f"Run: chmod 600 {path}")]
    if settings.database_url and not os.path.exists(path):
        sentence = f"ONESELF_SECRET_KEY is not set and {path} does not exist."
        advice = "Set ONESELF_SECRET_KEY to the secret key of the service that uses this database."
        return [Finding(KEY_SUBJECT, "warning", sentence, advice)]
    if settings.database_url:
        sentence = "The key is in the data folder of this machine, but several machines may use the database."
        return [
            Finding(KEY_SUBJECT, "warning", sentence, f"Set ONESELF_SECRET_KEY to the content of {path}.")
        ]
    return [Finding(KEY_SUBJECT, "good", str(path) if os.path.exists(path) else f"{path} does not exist yet")]


async def _collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    collected: list[Finding] = []
    try:
        async for finding in findings:
            collected.append(finding)
    except SettingsError as error:
        advice = "Set ONESELF_SECRET_KEY to the key of this database. Commands fail until then."
        collected.append(Finding(KEY_SUBJECT, "bad", error.message, advice))
    except OneselfError as error:
        advice = "Check that it runs, and check address and password in ONESELF_DATABASE_URL."
        collected.append(Finding("database", "bad", error.message, advice))
    return collected


async def _database(url: str, settings: Settings, mobile: str | None) -> AsyncIterator[Finding]:
    from oneself.service.setup.secret_key import check_new_secret_key
    from oneself.store.database import connect, wait_until_ready
    from oneself.store.migrate import known, outdated_datasets, pending

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
            advice = "Turn fsync and synchronous_commit on."
            yield Finding(
                "durability", "bad", "The database confirms commits before data is on disk.", advice
            )
    finally:
        await connection.close()
    names = await pending(url)
    yield _migrations(names)
    if len(names) == len(known()):
        check_new_secret_key(settings)
    if not names:
        yield _state(await outdated_datasets(url))
        async for finding in _organisations(url, settings, mobile):
            yield finding


async def _organisations(url: str, settings: Settings, mobile: str | None) -> AsyncIterator[Finding]:
    from oneself.bootstrap import open_services
    from oneself.service.setup.secret_key import list_encrypted_values
    from oneself.store.directory import Directory

    async with open_services(settings, url) as services:
        overviews = await services.directory.organisations.list()
        tenants = [
            await services.directory.organisations.get(overview.handle)
            for overview in overviews[:ORGANISATIONS_CHECKED_MAX]
        ]
        for finding in _encrypted_values(services, await list_encrypted_values(Directory(services.database))):
            yield finding
        for finding in waiting_mails(await services.directory.postman.count_waiting("mail")):
            yield finding
        for finding in waiting_codes(await services.directory.postman.count_waiting("webhook")):
            yield finding
        async for finding in check_published(settings, Directory(services.database)):
            yield finding
        for dataset_ref in tenants:
            async for finding in _invalid_values(services, dataset_ref):
                yield finding
            async for finding in _identity_server(services, dataset_ref):
                yield finding
            async for finding in check_webhook(services, dataset_ref, mobile):
                yield finding
            async for finding in _token_keys(services, dataset_ref):
                yield finding
            async for finding in _configuration(services, dataset_ref):
                yield finding


def _encrypted_values(services: Services, values: list[EncryptedValue]) -> list[Finding]:
    """Check that the secret key decrypts the values in this database. The service runs without them."""
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
                f"Destroy it (rotate first if it is active): "
                f"oneself token-key destroy {value.key_id} --org {handle}."
            )
        case "identity_server":
            name = "the secrets of its identity server"
            advice = f"Configure it again: DELETE, then POST /t/{handle}/api/v1/identity-provider."
        case "code_webhook":
            name = "the secret of its webhook for codes"
            advice = (
                f"Set it again: oneself org delete-code-webhook {handle}, "
                f"then oneself org set-code-webhook {handle} URL."
            )
    sentence = f"{handle}: {name} cannot be decrypted: encrypted with another secret key, or damaged."
    return Finding("stored keys", "bad", sentence, advice)


async def _invalid_values(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Count the values that are hidden because their attribute was changed or deleted, by attribute."""
    from oneself.service.profiles.invalid_values import START

    counts: dict[tuple[str, str], int] = {}
    after: UUID | None = START
    for _ in range(INVALID_VALUE_PAGES_MAX):
        if after is None:
            break
        page = await services.profiles.invalid_values.page(dataset_ref, after)
        for invalid in page.found:
            key = (invalid.path, invalid.problem)
            counts[key] = counts.get(key, 0) + invalid.profiles
        after = page.last
    for (path, problem), profiles in sorted(counts.items()):
        sentence = (
            f"{dataset_ref.handle}: invalid values of {path} are hidden, profiles: {profiles}; {problem}."
        )
        advice = "Restore the previous type of the attribute, or ignore the values."
        yield Finding("values", "warning", sentence, advice)


async def _token_keys(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Warn if the active token key should be rotated."""
    from oneself.service.events.token_keys import ROTATE_AFTER_DAYS

    for key in await services.events.token_keys.list(dataset_ref):
        days = (time.time() - key.active_from / 1_000_000) / 86_400
        if key.state == "active" and days > ROTATE_AFTER_DAYS:
            sentence = (
                f"{dataset_ref.handle}: the token key {key.key_id} has been active for {days:.0f} days."
            )
            advice = f"Rotate it: oneself token-key rotate --org {dataset_ref.handle}."
            yield Finding("token keys", "warning", sentence, advice)


async def _configuration(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Warn of configuration that is unsafe or divides values, and of profiles that are too large."""
    from oneself.service.setup.unsafe_configuration import (
        check_applications,
        check_names,
        check_sign_in_dataset,
    )

    org = dataset_ref.handle
    config = await services.configurations.current(dataset_ref.dataset_id)
    unsafe = [
        *check_applications(org, await services.directory.applications.list(dataset_ref)),
        *check_sign_in_dataset(org, config),
    ]
    for warning in unsafe:
        yield Finding("security", "warning", warning.sentence, warning.advice)
    for dataset in await services.schema.datasets.list(dataset_ref):
        at = await services.schema.datasets.get(dataset_ref, dataset.name)
        config = await services.configurations.current(at.dataset_id)
        for warning in check_names(org, dataset.name, config):
            yield Finding("attributes", "warning", warning.sentence, warning.advice)
        large = await services.log.reconciler.count_too_large(at.dataset_id)
        if large and config.dataset.guards_asserted_merges:
            yield _too_large(org, dataset.name, large)


def _too_large(org: str, dataset: str, profiles: int) -> Finding:
    sentence = (
        f"{org}: in the dataset {dataset}, so many profiles were merged that the view all does not follow "
        f"later proof; profiles: {profiles}."
    )
    advice = "The views own and proven do. Block the value that they share: it is no one person's."
    return Finding("profiles", "warning", sentence, advice)


async def _identity_server(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Check whether claims of the external identity server are read, and whether reports were skipped."""
    try:
        server = await services.identity_provider.servers.find(dataset_ref)
    except SettingsError:
        sentence = f"{dataset_ref.handle}: not read: the secrets of its identity server cannot be decrypted."
        yield Finding("claims", "bad", sentence, "See the check of stored keys.")
        return
    if server is None:
        return
    yield _claims(dataset_ref, server.url, await services.identity_provider.claim_sync.progress(dataset_ref))
    if skipped := await services.identity_provider.rejected_claims.list(dataset_ref):
        times, last = sum(claim.times for claim in skipped), skipped[0]
        sentence = f"{dataset_ref.handle}: reports skipped: {times}; the last, {last.path}: {last.problem}."
        yield Finding("claims", "warning", sentence, "List all: oneself claims skipped.")


def _claims(dataset_ref: DatasetRef, url: str, progress: ClaimSyncProgress | None) -> Finding:
    """Report when the claims were last read, and why they are not."""
    if progress is None or (progress.succeeded_at is None and not progress.failures):
        sentence = f"{dataset_ref.handle}: the claims of {url} have not been read yet."
        return Finding(
            "claims", "warning", sentence, "A running service reads them. To read now: oneself claims sync."
        )
    read = "never" if progress.succeeded_at is None else f"at {timestamp(progress.succeeded_at)}"
    if not progress.failures:
        return Finding("claims", "good", f"{dataset_ref.handle}: the claims of {url} were last read {read}")
    sentence = (
        f"{dataset_ref.handle}: last read {read}; failures since: {progress.failures}; {progress.failure}"
    )
    advice = f"Check that {url} runs and that the client may read claims. Then run: oneself claims sync."
    return Finding("claims", "warning", sentence, advice)


def _clock(database_time_us: int) -> Finding:
    # The log contains times of this machine.
    difference_s = abs(database_time_us / 1_000_000 - time.time())
    if difference_s > CLOCK_DIFFERENCE_MAX_S:
        sentence = f"The clocks of the database and this machine differ by {difference_s:.1f} s."
        return Finding("clock", "bad", sentence, "Synchronise both with a time server.")
    return Finding("clock", "good", "agrees with the clock of the database")


def _connections(limit: int, settings: Settings) -> Finding:
    needed = settings.workers * settings.database_connections
    if needed > limit - 5:
        sentence = f"The service can open {needed} connections; the server allows {limit}."
        return Finding(
            "connections", "bad", sentence, "Lower ONESELF_DATABASE_CONNECTIONS or ONESELF_WORKERS."
        )
    return Finding("connections", "good", f"up to {needed} of {limit}")


def _migrations(names: list[str]) -> Finding:
    if names:
        return Finding(
            "migrations", "warning", f"pending: {', '.join(names)}", "The next start applies them."
        )
    return Finding("migrations", "good", "up to date")


def _state(outdated: list[int]) -> Finding:
    if outdated:
        sentence = f"written by an earlier version in datasets: {len(outdated)}; to be rebuilt from the log."
        return Finding("state", "warning", sentence, "The next start does it. Now: oneself upgrade.")
    return Finding("state", "good", "folded by this version")


def _print(finding: Finding) -> None:
    out.print(f"{MARKS[finding.state]} {finding.subject:<12} {finding.sentence}")
    if finding.advice and finding.state != "good":
        out.print(f"  {'':<12} [bold]{finding.advice}[/]")
