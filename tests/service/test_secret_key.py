"""Each database has one secret key: generated once, and checked before anything is encrypted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from conftest import NewDatabase
from oneself.bootstrap import build_services, open_services
from oneself.errors import SettingsError
from oneself.secrets_file import SECRET_KEY_CHARS_MIN
from oneself.service.context import DatasetRef
from oneself.service.crypto import SecretBox
from oneself.service.setup.secret_key import confirmed_secret_key
from oneself.services import Services
from oneself.settings import Settings
from oneself.store.database import Database
from support.service import SECRET_KEY

OTHER_KEY = "another secret key that is long enough"


@pytest.fixture
async def acme(services: Services) -> DatasetRef:
    """An organisation with a signing key and a token key, but without a check value."""
    created = await services.setup.provisioning.create("acme")
    await services.events.token_keys.key_ring(created.dataset_ref)
    return created.dataset_ref


def _with_key(services: Services, secret_key: str | None) -> Settings:
    return msgspec.structs.replace(services.settings, secret_key=secret_key)


async def _make_older(database: Database) -> None:
    """Make existing keys older than keys that the test creates later."""
    await database.execute("UPDATE signing_key SET created_at = created_at - interval '1 day'")
    await database.execute(
        "UPDATE token_key SET created_at = created_at - interval '1 day',"
        " active_from = active_from - interval '1 day'"
    )


async def _check_values(database: Database) -> list[bytes]:
    return [row["check_value"] for row in await database.fetch("SELECT check_value FROM secret_key_check")]


async def test_a_new_database_accepts_only_its_first_key(services: Services) -> None:
    database, settings = services.database, services.settings
    assert await confirmed_secret_key(database, settings) == SECRET_KEY
    check_values = await _check_values(database)
    assert await confirmed_secret_key(database, settings) == SECRET_KEY
    with pytest.raises(SettingsError, match="ONESELF_SECRET_KEY is not the secret key") as caught:
        await confirmed_secret_key(database, _with_key(services, OTHER_KEY))
    assert caught.value.exit_code == 78
    assert OTHER_KEY not in caught.value.message
    assert SECRET_KEY not in caught.value.message
    assert await _check_values(database) == check_values


async def test_a_new_database_rejects_a_short_key(services: Services) -> None:
    short = _with_key(services, "x" * (SECRET_KEY_CHARS_MIN - 1))
    with pytest.raises(SettingsError, match="has 31 characters; a new database needs at least 32") as caught:
        await confirmed_secret_key(services.database, short)
    assert caught.value.exit_code == 78
    assert "openssl rand" in caught.value.message
    assert await _check_values(services.database) == []
    enough = _with_key(services, "x" * SECRET_KEY_CHARS_MIN)
    assert await confirmed_secret_key(services.database, enough) == "x" * SECRET_KEY_CHARS_MIN


async def test_a_short_key_in_the_data_folder_is_rejected_for_a_new_database(services: Services) -> None:
    services.settings.folder.mkdir(exist_ok=True)
    (services.settings.folder / "secret.key").write_text("short")
    with pytest.raises(SettingsError, match=r"secret\.key has 5 characters"):
        await confirmed_secret_key(services.database, _with_key(services, None))


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_an_existing_database_keeps_its_short_key(services: Services, is_recorded: bool) -> None:
    short = _with_key(services, "short")
    await build_services(short, services.database).setup.provisioning.create("acme")
    if is_recorded:
        check_value = SecretBox("short").check_value
        await services.database.execute("INSERT INTO secret_key_check (check_value) VALUES ($1)", check_value)
    assert await confirmed_secret_key(services.database, short) == "short"


async def test_a_key_is_generated_with_a_new_database_and_never_again(services: Services) -> None:
    database, unset = services.database, _with_key(services, None)
    generated = await confirmed_secret_key(database, unset)
    file = services.settings.folder / "secret.key"
    assert file.read_text().strip() == generated
    assert await confirmed_secret_key(database, unset) == generated
    file.unlink()
    with pytest.raises(SettingsError, match="is missing"):
        await confirmed_secret_key(database, unset)
    assert not file.exists()


async def test_processes_that_start_together_on_one_folder_have_one_key(services: Services) -> None:
    unset = _with_key(services, None)
    keys = await asyncio.gather(*(confirmed_secret_key(services.database, unset) for _ in range(6)))
    assert len(set(keys)) == 1
    assert len(await _check_values(services.database)) == 1


async def test_one_of_several_starting_machines_creates_the_key(services: Services, tmp_path: Path) -> None:
    machines = [Settings(data_dir=tmp_path / name) for name in "abcdef"]
    starts = (confirmed_secret_key(services.database, machine) for machine in machines)
    answers = await asyncio.gather(*starts, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["SettingsError"] * 5 + ["str"]
    assert sum((machine.folder / "secret.key").exists() for machine in machines) == 1
    assert len(await _check_values(services.database)) == 1


async def test_a_start_that_failed_after_writing_the_key_is_resumed(services: Services) -> None:
    unset = _with_key(services, None)
    generated = await confirmed_secret_key(services.database, unset)
    await services.database.execute("DELETE FROM secret_key_check")
    assert await confirmed_secret_key(services.database, unset) == generated


@pytest.mark.usefixtures("acme")
async def test_an_older_database_accepts_only_the_key_that_decrypts_it(services: Services) -> None:
    database = services.database
    with pytest.raises(SettingsError, match="is not the secret key"):
        await confirmed_secret_key(database, _with_key(services, OTHER_KEY))
    with pytest.raises(SettingsError, match="is missing"):
        await confirmed_secret_key(database, _with_key(services, None))
    assert not (services.settings.folder / "secret.key").exists()
    assert await _check_values(database) == []
    assert await confirmed_secret_key(database, services.settings) == SECRET_KEY


async def test_a_key_encrypted_later_with_another_secret_is_ignored(
    services: Services, acme: DatasetRef
) -> None:
    await _make_older(services.database)
    misconfigured = build_services(_with_key(services, OTHER_KEY), services.database)
    await misconfigured.events.token_keys.rotate(acme)
    await misconfigured.directory.signing_keys.rotate(acme)
    with pytest.raises(SettingsError, match="is not the secret key"):
        await confirmed_secret_key(services.database, _with_key(services, OTHER_KEY))
    assert await confirmed_secret_key(services.database, services.settings) == SECRET_KEY


async def test_services_do_not_start_with_another_key(new_database: NewDatabase, tmp_path: Path) -> None:
    url = await new_database()
    async with open_services(Settings(data_dir=tmp_path, secret_key=SECRET_KEY), url) as services:
        assert services.settings.secret_key == SECRET_KEY
    with pytest.raises(SettingsError, match="is not the secret key"):
        async with open_services(Settings(data_dir=tmp_path, secret_key=OTHER_KEY), url):
            pass


async def test_an_empty_or_unreadable_key_file_is_reported(services: Services) -> None:
    unset = _with_key(services, None)
    file = services.settings.folder / "secret.key"
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        await confirmed_secret_key(services.database, unset)
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        await confirmed_secret_key(services.database, unset)
