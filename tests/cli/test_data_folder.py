"""A data folder that cannot be used: one message with the folder, the reason and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneself.data_folder import make_data_folder, unusable_reason
from oneself.errors import SettingsError
from support.commands import clean_environment, run_command
from support.databases import Databases

ADVICE = "Give this user a folder that it may write, with --data-dir or ONESELF_DATA_DIR."
UNUSABLE = ("a file", "below a file", "a link to nothing", "no place for files")


@pytest.fixture(params=UNUSABLE)
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    match request.param:
        case "a file":
            (tmp_path / "file").touch()
            return tmp_path / "file"
        case "below a file":
            (tmp_path / "file").touch()
            return tmp_path / "file" / "data"
        case "a link to nothing":
            (tmp_path / "link").symlink_to(tmp_path / "nothing")
            return tmp_path / "link"
    # Even root cannot create folders here.
    return Path("/proc/oneself")


@pytest.mark.parametrize("command", [("org", "list"), ("serve", "--port", "0")], ids=" ".join)
def test_a_command_exits_with_78(unusable: Path, command: tuple[str, ...]) -> None:
    result = run_command(*command, "--data-dir", str(unusable))
    assert result.returncode == 78
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"oneself: The data folder {unusable} cannot be used: ")
    assert line.endswith(ADVICE)


async def test_a_secret_key_that_cannot_be_stored_is_not_a_database_error(
    made_databases: Databases,
) -> None:
    folder = "/proc/oneself"
    given = {**clean_environment(), "ONESELF_DATABASE_URL": await made_databases.empty_one()}
    result = run_command("org", "list", "--data-dir", folder, environment=given)
    assert result.returncode == 78
    assert f"The data folder {folder} cannot be used" in result.stderr


def test_the_doctor_reports_it_once(unusable: Path) -> None:
    result = run_command("doctor", "--data-dir", str(unusable))
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("✗")]
    assert [line for line in lines if line[2:].startswith("data folder")] == [line]
    assert "postgres.log" not in result.stdout


def test_a_folder_without_permission_is_reported_before_anything_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data" / "deeper"
    assert unusable_reason(folder) is None
    monkeypatch.setattr("os.access", lambda *_: False)
    assert unusable_reason(folder) == f"this user may not write in {tmp_path}"
    with pytest.raises(SettingsError, match="may not write"):
        make_data_folder(folder)
    assert not (tmp_path / "data").exists()
