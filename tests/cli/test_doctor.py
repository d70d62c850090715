"""`oneself doctor` finds what is wrong and says what to do."""

from __future__ import annotations

import subprocess
from pathlib import Path

from conftest import NewDatabase
from support.databases import Databases
from support.service import SECRET_KEY, RunningService, clean_environment, run_command


async def test_a_good_installation_is_called_good(new_database: NewDatabase, data_dir: Path) -> None:
    result = _doctor(data_dir, ONESELF_DATABASE_URL=await new_database(), ONESELF_SECRET_KEY=SECRET_KEY)
    assert "✓ migrations   up to date" in result.stdout
    # The databases of tests do not wait for the disk.
    assert [line for line in result.stdout.splitlines() if line.startswith("✗")] == [
        "✗ durability   The database answers before data is on disk."
    ]


async def test_it_tells_what_to_do(made_databases: Databases, data_dir: Path) -> None:
    url = await made_databases.empty_one()
    result = _doctor(data_dir, ONESELF_DATABASE_URL=url, ONESELF_SECRET_KEY="short", ONESELF_PROT="1")
    assert "! migrations   to be applied: 0001_directory" in result.stdout
    assert "ONESELF_SECRET_KEY is shorter than" in result.stdout
    assert "ONESELF_PROT is set, but is no setting." in result.stdout


def test_a_database_that_is_away_is_bad(data_dir: Path) -> None:
    result = _doctor(data_dir, ONESELF_DATABASE_URL="postgresql://u@127.0.0.1:1/none")
    assert result.returncode == 1
    assert "✗ database     The database cannot be reached." in result.stdout


def test_another_secret_key_than_before_is_bad(service: RunningService) -> None:
    assert "✓ stored keys  open; organisations:" in service.command("doctor").stdout
    other = service.command("doctor", "--secret-key", "x" * 40)
    assert other.returncode == 1
    assert "✗ stored keys  ONESELF_SECRET_KEY is not the one" in other.stdout


def test_a_key_that_others_can_read_is_bad(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "secret.key").write_text("x" * 48)
    (data_dir / "secret.key").chmod(0o644)
    result = _doctor(data_dir, ONESELF_DATABASE_URL="postgresql://u@127.0.0.1:1/none")
    assert f"chmod 600 {data_dir / 'secret.key'}" in result.stdout.replace("\n", "")


def _doctor(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**clean_environment(), "COLUMNS": "300", "ONESELF_DATA_DIR": str(data_dir), **environment}
    return run_command("doctor", environment=given)
