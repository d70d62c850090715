"""The command line as a whole: help, and errors as one sentence and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from oneself import __version__
from oneself.cli.main import COMMANDS
from support.commands import clean_environment, run_command

NAMES = [command.name for command in COMMANDS]


def test_help_lists_every_command_with_a_sentence() -> None:
    result = run_command("--help")
    assert result.returncode == 0
    for name in NAMES:
        assert any(line.strip(" │").startswith(f"{name} ") for line in result.stdout.splitlines()), name


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str) -> None:
    result = run_command(name, "--help")
    assert result.returncode == 0
    assert f"Usage: oneself {name}" in result.stdout


def test_without_a_command_the_help_is_printed() -> None:
    result = run_command()
    assert "Usage: oneself" in result.stdout + result.stderr


def test_the_version_is_printed() -> None:
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


UNDECODABLE = os.fsdecode(b"a secret \xff")


@pytest.mark.parametrize(
    "arguments",
    [
        ("person", "export", UNDECODABLE),
        ("org", "create", "acme", "--client-secret", UNDECODABLE),
        ("resolve", f"emailAddress={UNDECODABLE}"),
        ("settings", "--data-dir", UNDECODABLE),
        ("settings", f"--secret-key={UNDECODABLE}"),
        (UNDECODABLE,),
    ],
    ids=repr,
)
def test_an_undecodable_argument_is_a_sentence(arguments: tuple[str, ...]) -> None:
    result = run_command(*arguments)
    assert result.returncode == 2
    sentence = f"oneself: Argument {len(arguments)} is not valid UTF-8. Write every argument in UTF-8."
    assert result.stderr.splitlines() == [sentence]


@pytest.mark.parametrize("name", ["ONESELF_BOOTSTRAP_ORG", "ONESELF_DATA_DIR", "ONESELF_CORS_ORIGINS"])
def test_an_undecodable_setting_is_a_sentence(name: str) -> None:
    result = run_command("settings", environment={**clean_environment(), name: UNDECODABLE})
    assert result.returncode == 78
    assert result.stderr.startswith(f"oneself: {name} (--")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"identity_types: {a\xff: {}}", "Standard input is not valid UTF-8."),
        (b"identity_types: {a\0: {}}", "Standard input has a NUL character."),
        (
            b'identity_types: {a: {label: "\\0"}}',
            "Standard input has a NUL character or half",
        ),
        (b'identity_types: {"\\ud800": {}}', "Standard input has a NUL character or half"),
        (b"datasets: &all {web: *all}", "Standard input is nested more than 50 levels deep."),
    ],
    ids=repr,
)
def test_standard_input_that_is_no_text_is_a_sentence(content: bytes, sentence: str, locale: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "oneself", "identity", "apply", "-"],
        env={**clean_environment(), "LC_ALL": locale},
        input=content,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr.decode().startswith(f"oneself: {sentence}")
    assert len(result.stderr.splitlines()) == 1


def test_an_undecodable_answer_is_a_sentence() -> None:
    environment = {**clean_environment(), "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    result = subprocess.run(
        [sys.executable, "-m", "oneself", "user", "delete", "ann@acme.example"],
        env=environment,
        input=b"\xff\n",
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 1
    assert b"oneself: Standard input is not valid UTF-8." in result.stderr
    assert b"Traceback" not in result.stderr
