"""`oneself demo` as a newcomer sees it."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.service import clean_environment, run_command

if TYPE_CHECKING:
    from e2e.conftest import RunningDemo

pytestmark = pytest.mark.xdist_group("demo")

CHAPTERS = 14


def test_the_story_runs_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    told = run_command("demo", "--once", "--data-dir", str(folder))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "\n10. The proof" in told.stdout
    assert '"reason":"system:user_id_match"' in told.stdout
    assert f"\n{CHAPTERS}. Scenario 3" in told.stdout
    assert '"reason":"identity:webId"' in told.stdout
    assert "✗" not in told.stdout
    assert _waits_for_nobody(folder)


def test_a_second_run_empties_the_folder_of_the_first_and_no_other(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years of work")
    refused = run_command("demo", "--once", "--data-dir", str(kept))
    assert refused.returncode != 0
    assert "is not empty and no demo made it" in refused.stderr
    assert (kept / "thesis.txt").exists()


def test_no_setting_of_the_surroundings_reaches_it(tmp_path: Path) -> None:
    surroundings = {**clean_environment(), "ONESELF_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    told = run_command(
        "demo", "--once", "--data-dir", str(tmp_path / "demo"), environment={"COLUMNS": "120", **surroundings}
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_lines_it_prints_work_when_they_are_copied(demo: RunningDemo) -> None:
    script = "set -euo pipefail\n" + demo.curl_lines
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert '"ann@shop.example"' in done.stdout
    made, found = (json.loads(line) for line in done.stdout.strip().splitlines()[-2:])
    assert made["traits"] == {"interests": ["cooking"]}
    assert made["anonymous_profile_tracker"]
    assert [profile["user_id"] for profile in found["profiles"]]


def test_the_scenarios_of_events_exist_in_every_spelling(demo: RunningDemo) -> None:
    told = demo.output.partition("11. ")[2]
    for number, spellings in (("1", 5), ("2", 3), ("3", 3)):
        scenario = told.partition(f"Scenario {number}: ")[2].partition("Scenario ")[0]
        sent = re.findall(r'\{"anon(?:ymousId|Id)":"0123456789abcdef",[^\n]*(?:abc123|ann@acme)', scenario)
        assert len(sent) == spellings, scenario
    (resolved,) = re.findall(r"\$ oneself resolve [^\n]*\n  ([0-9a-f]{24})\n", told)
    command = ["resolve", "--data-dir", str(demo.folder), "--dataset", "web", "webId=abc123"]
    assert run_command(*command).stdout.strip() == resolved


def test_it_can_be_verified_while_it_runs(demo: RunningDemo) -> None:
    found = run_command("verify", "--data-dir", str(demo.folder))
    assert found.returncode == 0, found.stdout + found.stderr


def test_its_folder_is_a_temporary_one(demo: RunningDemo) -> None:
    assert demo.folder.parent == Path(tempfile.gettempdir())


def _waits_for_nobody(folder: Path) -> bool:
    """Nothing that the demo started is still there."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return str(folder) not in listed
