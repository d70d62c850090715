"""The command `oneself demo`."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from support.commands import clean_environment, run_command

if TYPE_CHECKING:
    from e2e.conftest import RunningDemo

pytestmark = pytest.mark.xdist_group("demo")

CHAPTERS = 15


def test_the_story_runs_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    completed = run_command("demo", "--once", "--data-dir", str(folder))
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "\n11. The proof" in completed.stdout
    assert '"reason":"system:user_id_match"' in completed.stdout
    assert f"\n{CHAPTERS}. Scenario 3" in completed.stdout
    assert '"reason":"identity:webId"' in completed.stdout
    assert "✗" not in completed.stdout
    assert _has_no_process(folder)


def test_a_folder_that_no_demo_created_is_refused_and_unchanged(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    refused = run_command("demo", "--once", "--data-dir", str(folder))
    assert refused.returncode != 0
    assert "is not empty and no demo made it" in refused.stderr
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_the_demo_ignores_settings_in_the_environment(tmp_path: Path) -> None:
    environment = {**clean_environment(), "ONESELF_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    completed = run_command(
        "demo", "--once", "--data-dir", str(tmp_path / "demo"), environment={"COLUMNS": "120", **environment}
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def test_the_printed_commands_work_when_copied(demo: RunningDemo) -> None:
    script = "set -euo pipefail\n" + demo.curl_lines
    completed = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert completed.returncode == 0, completed.stderr
    assert '"ann@shop.example"' in completed.stdout
    created, found = (json.loads(line) for line in completed.stdout.strip().splitlines()[-2:])
    assert created["traits"] == {"interests": ["cooking"]}
    assert created["anonymous_profile_tracker"]
    assert [profile["user_id"] for profile in found["profiles"]]


def test_the_scenarios_of_events_exist_in_every_spelling(demo: RunningDemo) -> None:
    output = demo.output.partition("11. ")[2]
    for number, spellings in (("1", 5), ("2", 3), ("3", 3)):
        scenario = output.partition(f"Scenario {number}: ")[2].partition("Scenario ")[0]
        sent = re.findall(r'\{"anon(?:ymousId|Id)":"0123456789abcdef",[^\n]*(?:abc123|ann@acme)', scenario)
        assert len(sent) == spellings, scenario
    (resolved,) = re.findall(r"\$ oneself resolve [^\n]*\n  ([0-9a-f]{24})\n", output)
    command = ["resolve", "--data-dir", str(demo.folder), "--dataset", "web", "webId=abc123"]
    assert run_command(*command).stdout.strip() == resolved


def test_the_printed_password_opens_the_console(demo: RunningDemo) -> None:
    found = re.search(r"^  console +(\S+) +sign in as admin, password: (\S+)", demo.output, re.MULTILINE)
    assert found, demo.output
    with httpx.Client(follow_redirects=True, timeout=60) as http:
        page = http.get(found[1])
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf, page.text
        form = {"csrf": csrf[1], "username": "admin", "password": found[2]}
        assert http.post(page.url, data=form).url.path == "/console/o/bookshop"


def test_the_demo_can_be_verified_while_it_runs(demo: RunningDemo) -> None:
    verified = run_command("verify", "--data-dir", str(demo.folder))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_demo_uses_a_temporary_folder(demo: RunningDemo) -> None:
    assert demo.folder.parent == Path(tempfile.gettempdir())


def _has_no_process(folder: Path) -> bool:
    """Whether no process that the demo started is still running."""
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return str(folder) not in processes
