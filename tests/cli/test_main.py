"""The command line as a whole: help, and errors as one sentence and an exit code."""

from __future__ import annotations

import pytest

from oneself import __version__
from oneself.cli.main import COMMANDS
from support.service import run_command

NAMES = [command.name for command in COMMANDS]


def test_help_lists_every_command_with_a_sentence() -> None:
    result = run_command("--help")
    assert result.returncode == 0
    for name in NAMES:
        assert any(line.strip(" │").startswith(f"{name} ") for line in result.stdout.splitlines()), name


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_and_takes_the_shared_settings(name: str) -> None:
    result = run_command(name, "--help")
    assert result.returncode == 0
    assert f"Usage: oneself {name}" in result.stdout


def test_without_a_command_it_explains_itself() -> None:
    result = run_command()
    assert "Usage: oneself" in result.stdout + result.stderr


def test_it_knows_its_version() -> None:
    assert run_command("--version").stdout.strip() == f"oneself {__version__}"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["no-such-command"], 2),
        (["settings", "--no-such-flag"], 2),
        (["settings", "--port", "x"], 78),
        (["settings", "--settings", "/no/such/file"], 78),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(arguments: list[str], code: int) -> None:
    result = run_command(*arguments)
    assert result.returncode == code
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr
