"""`oneself doctor`: looks at everything a service needs and says what to do about what is wrong.

Exit code 0 when it may run (warnings included), 1 when something must be done first.
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

CLOCK_OFF_S = 2.0
FREE_BYTES_ADVISED = 1_000_000_000
# Enough to see what is wrong; stored keys are opened for every organisation.
ORGANISATIONS_LOOKED_AT_MAX = 20
# The first million profiles tell what is wrong with the schema; /unfit-values lists all.
INVALID_VALUE_PAGES_MAX = 200
FOLDER_SUBJECT = "data folder"
KEY_SUBJECT = "secret key"
MARKS = {"good": "[green]✓[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, what was found, and what to do if it is not good."""

    subject: str
    state: Literal["good", "warning", "bad"]
    sentence: str
    advice: str = ""


@app.command()
def doctor() -> None:
    """Check settings, data folder, database, migrations, keys and clock, and say what to do.

    Works beside a running service; without one it starts the embedded database for the occasion.
    """
    found = load_settings()
    local = [*_settings(found), *_folder(found.settings), *_keys(found.settings)]
    is_usable = not any(f.subject == FOLDER_SUBJECT and f.state == "bad" for f in local)
    deeper = _in_database(found.settings) if found.settings.database_url or is_usable else []
    # Whoever used the folder and the key knows more about them than a look at them says.
    subjects = {finding.subject for finding in deeper}
    findings = [f for f in local if f.state == "bad" or f.subject not in subjects] + deeper
    for finding in findings:
        _print(finding)
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def _in_database(settings: Settings) -> list[Finding]:
    try:
        with database_url(settings) as url:
            return asyncio.run(_collect(_database(url, settings)))
    except SettingsError as error:
        return [Finding(FOLDER_SUBJECT, "bad", error.message)]
    except Fatal as error:
        return [Finding("database", "bad", error.message, "Its log is in the data folder: postgres.log.")]


def _settings(found: Loaded) -> list[Finding]:
    unknown = [
        Finding("settings", "warning", f"{name} is set, but is no setting.", "See: oneself settings.")
        for name in found.unknown_variables
    ]
    return [Finding("settings", "good", f"read; file: {found.file or 'none'}"), *unknown]


def _folder(settings: Settings) -> list[Finding]:
    folder = settings.folder
    if reason := unusable_reason(folder):
        advice = "Give this user a folder that it may write, with --data-dir or ONESELF_DATA_DIR."
        return [Finding(FOLDER_SUBJECT, "bad", f"{folder} cannot be used: {reason}.", advice)]
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    if free < FREE_BYTES_ADVISED:
        return [
            Finding(FOLDER_SUBJECT, "warning", f"{folder} has {free // 1_000_000} MB left.", "Make room.")
        ]
    return [Finding(FOLDER_SUBJECT, "good", str(folder))]


def _keys(settings: Settings) -> list[Finding]:
    if settings.secret_key and len(settings.secret_key) < SECRET_KEY_CHARS_MIN:
        sentence = f"ONESELF_SECRET_KEY is shorter than {SECRET_KEY_CHARS_MIN} characters."
        advice = "This database keeps it; a new database needs a longer one."
        return [Finding(KEY_SUBJECT, "warning", sentence, advice)]
    if settings.secret_key:
        return [Finding(KEY_SUBJECT, "good", "given by ONESELF_SECRET_KEY")]
    path = settings.folder / SECRET_KEY_FILE
    if os.path.exists(path) and path.stat().st_mode & 0o077:
        return [Finding(KEY_SUBJECT, "bad", f"{path} can be read by others.", f"chmod 600 {path}")]
    if settings.database_url and not os.path.exists(path):
        sentence = f"ONESELF_SECRET_KEY is not set and {path} does not exist."
        advice = "Set ONESELF_SECRET_KEY to the secret key of the service that uses this database."
        return [Finding(KEY_SUBJECT, "warning", sentence, advice)]
    if settings.database_url:
        sentence = "It is in the data folder of this machine, but the database may be used by several."
        return [Finding(KEY_SUBJECT, "warning", sentence, f"Set ONESELF_SECRET_KEY to what {path} holds.")]
    return [Finding(KEY_SUBJECT, "good", str(path) if os.path.exists(path) else f"{path} does not exist yet")]


async def _collect(findings: AsyncIterator[Finding]) -> list[Finding]:
    collected: list[Finding] = []
    try:
        async for finding in findings:
            collected.append(finding)
    except SettingsError as error:
        advice = "No command changes anything with this key."
        collected.append(Finding(KEY_SUBJECT, "bad", error.message, advice))
    except OneselfError as error:
        advice = "Is it running, and are address and password right? See ONESELF_DATABASE_URL."
        collected.append(Finding("database", "bad", error.message, advice))
    return collected


async def _database(url: str, settings: Settings) -> AsyncIterator[Finding]:
    from oneself.service.setup.secret_key import check_new_secret_key
    from oneself.store.database import connect, wait_until_ready
    from oneself.store.migrate import known, outdated_datasets, pending

    await wait_until_ready(url)
    connection = await connect(url)
    try:
        version = await connection.fetchval("show server_version")
        kind = "given" if settings.database_url else "embedded"
        yield Finding("database", "good", f"{kind}, PostgreSQL {version}")
        yield _clock(await connection.fetchval("select clock_timestamp()"))
        limit = int(await connection.fetchval("show max_connections"))
        yield _connections(limit, settings)
        durable = await connection.fetchval(
            "select current_setting('fsync') = 'on' and current_setting('synchronous_commit') <> 'off'"
        )
        if not durable:
            advice = "Turn fsync and synchronous_commit on."
            yield Finding("durability", "bad", "The database answers before data is on disk.", advice)
    finally:
        await connection.close()
    names = await pending(url)
    yield _migrations(names)
    if len(names) == len(known()):
        check_new_secret_key(settings)
    if not names:
        yield _state(await outdated_datasets(url))
        async for finding in _organisations(url, settings):
            yield finding


async def _organisations(url: str, settings: Settings) -> AsyncIterator[Finding]:
    from oneself.bootstrap import open_services
    from oneself.service.setup.secret_key import list_encrypted_values
    from oneself.store.directory import Directory

    async with open_services(settings, url) as services:
        overviews = await services.directory.organisations.list()
        tenants = [
            await services.directory.organisations.get(overview.handle)
            for overview in overviews[:ORGANISATIONS_LOOKED_AT_MAX]
        ]
        for finding in _stored_keys(services, await list_encrypted_values(Directory(services.database))):
            yield finding
        for dataset_ref in tenants:
            async for finding in _invalid_values(services, dataset_ref):
                yield finding
            async for finding in _mirrored(services, dataset_ref):
                yield finding
            async for finding in _token_keys(services, dataset_ref):
                yield finding


def _stored_keys(services: Services, values: list[EncryptedValue]) -> list[Finding]:
    """Which of the values sealed in this database cannot be opened; the service works without them."""
    closed = [value for value in values if not value.opens_with(services.secret_box)]
    if not closed:
        return [Finding("stored keys", "good", f"all {len(values)} can be opened")]
    return [_closed(value) for value in closed]


def _closed(value: EncryptedValue) -> Finding:
    handle = value.organisation
    match value.kind:
        case "signing_key":
            name, advice = f"signing key {value.key_id}", f"Replace it: oneself org rotate-keys {handle}."
        case "token_key":
            name = f"token key {value.key_id}"
            advice = (
                f"Destroy it, the active one after `token-key rotate`: "
                f"oneself token-key destroy {value.key_id} --org {handle}."
            )
        case "identity_server":
            name = "the secrets of its identity server"
            advice = f"Configure it again: DELETE, then POST /t/{handle}/api/v1/identity-provider."
    sentence = f"{handle}: {name} cannot be opened: sealed with another secret key, or damaged."
    return Finding("stored keys", "bad", sentence, advice)


async def _invalid_values(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """What is kept although its attribute changed or is gone, by attribute."""
    from oneself.service.profiles.invalid_values import START

    counted: dict[tuple[str, str], int] = {}
    after: UUID | None = START
    for _ in range(INVALID_VALUE_PAGES_MAX):
        if after is None:
            break
        page = await services.profiles.invalid_values.page(dataset_ref, after)
        for invalid in page.found:
            counted[invalid.path, invalid.problem] = (
                counted.get((invalid.path, invalid.problem), 0) + invalid.profiles
            )
        after = page.last
    for (path, problem), profiles in sorted(counted.items()):
        sentence = f"{dataset_ref.handle}: {path} of {profiles} profiles is kept and hidden: {problem}."
        advice = "Give the attribute back the type that fits, or let the values be."
        yield Finding("values", "warning", sentence, advice)


async def _token_keys(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Whether it is time for another token key; says nothing where it is not."""
    from oneself.service.events.token_keys import ROTATE_AFTER_DAYS

    for key in await services.events.token_keys.list(dataset_ref):
        days = (time.time() - key.active_from / 1_000_000) / 86_400
        if key.state == "active" and days > ROTATE_AFTER_DAYS:
            sentence = f"{dataset_ref.handle}: key {key.key_id} has been sealing tokens for {days:.0f} days."
            advice = f"Take another: oneself token-key rotate --org {dataset_ref.handle}."
            yield Finding("token keys", "warning", sentence, advice)


async def _mirrored(services: Services, dataset_ref: DatasetRef) -> AsyncIterator[Finding]:
    """Whether the claims of an identity server outside are read, and what of its reports nobody took."""
    try:
        server = await services.identity_provider.servers.find(dataset_ref)
    except SettingsError:
        sentence = f"{dataset_ref.handle}: not read: the secrets of its identity server cannot be opened."
        yield Finding("claims", "bad", sentence, "See stored keys.")
        return
    if server is None:
        return
    yield _claims(dataset_ref, server.url, await services.identity_provider.claim_sync.progress(dataset_ref))
    if skipped := await services.identity_provider.rejected_claims.list(dataset_ref):
        times, last = sum(claim.times for claim in skipped), skipped[0]
        sentence = f"{dataset_ref.handle}: reports not taken: {times}; the last, {last.path}: {last.problem}."
        yield Finding("claims", "warning", sentence, "See all: oneself claims skipped.")


def _claims(dataset_ref: DatasetRef, url: str, progress: ClaimSyncProgress | None) -> Finding:
    """When they were read, and in words why they are not."""
    if progress is None or (progress.succeeded_at is None and not progress.failures):
        sentence = f"{dataset_ref.handle}: the claims of {url} were not read yet."
        return Finding(
            "claims", "warning", sentence, "A running service reads them; now: oneself claims sync."
        )
    read = "never" if progress.succeeded_at is None else f"at {timestamp(progress.succeeded_at)}"
    if not progress.failures:
        return Finding("claims", "good", f"{dataset_ref.handle}: those of {url} read {read}")
    sentence = (
        f"{dataset_ref.handle}: last read {read}; failures since: {progress.failures}; {progress.failure}"
    )
    advice = f"Is {url} up, and may the client read claims? Try it: oneself claims sync."
    return Finding("claims", "warning", sentence, advice)


def _clock(theirs_us: int) -> Finding:
    # Both clocks are read within milliseconds; the instants of the log come from ours.
    off_s = abs(theirs_us / 1_000_000 - time.time())
    if off_s > CLOCK_OFF_S:
        sentence = f"The database's clock and this machine's differ by {off_s:.1f} s."
        return Finding("clock", "bad", sentence, "Let both follow a time server.")
    return Finding("clock", "good", "agrees with the database's")


def _connections(limit: int, settings: Settings) -> Finding:
    needed = settings.workers * settings.database_connections
    if needed > limit - 5:
        sentence = f"{needed} connections may be opened here, the server allows {limit}."
        return Finding(
            "connections", "bad", sentence, "Lower ONESELF_DATABASE_CONNECTIONS or ONESELF_WORKERS."
        )
    return Finding("connections", "good", f"up to {needed} of {limit}")


def _migrations(names: list[str]) -> Finding:
    if names:
        return Finding(
            "migrations", "warning", f"to be applied: {', '.join(names)}", "The next start does it."
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
