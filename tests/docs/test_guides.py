"""The commands of the guides work as written, on a running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from conftest import StartService
from support.service import RunningService

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"


def typed(guide: str, service: RunningService, folder: Path) -> str:
    """What the reader sees after having typed every `sh` block of a guide, in order."""
    text = (GUIDES / guide).read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    script = "set -euo pipefail\n" + "\necho\n".join(blocks)
    script = script.replace("http://localhost:8700", service.base_url)
    script = script.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "ONESELF_DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_steps_lead_where_they_say(start_service: StartService, tmp_path: Path) -> None:
    told = typed("first-steps.md", start_service(bootstrap=False), tmp_path)
    assert "client secret" in told
    assert '"traits.interests": [' in told, "with the source of each value"
    assert '"reason": "system:user_id_match"' in told
    read_back = told[told.rindex('"interests"') :]
    assert re.match(r'"interests": \[\s*"chess",\s*"go",\s*"tea"\s*\]', read_back)
    assert "entries fold to the same 2 profiles." in told


def test_a_backup_works_while_the_service_runs(start_service: StartService, tmp_path: Path) -> None:
    typed("production.md", start_service(), tmp_path)
    assert (tmp_path / "oneself.dump").read_bytes().startswith(b"PGDMP")


def test_events_are_sent_as_the_guide_says(start_service: StartService, tmp_path: Path) -> None:
    told = typed("send-events.md", start_service(bootstrap=False), tmp_path)
    answers = [json.loads(line) for line in re.findall(r"^\{.*\}$", told.replace("}{", "}\n{"), re.MULTILINE)]
    assert [answer["errorCode"] for answer in answers] == [0] * 8
    *encodings, by_server, by_server_key, by_page_key, in_legacy = answers
    (user_id,) = {answer["resolvedUserId"] for answer in encodings}
    for answer in (by_server, by_server_key, by_page_key):
        assert answer["resolvedUserId"] == user_id
    assert set(by_server["eventDetails"]["identities"]) == {"webId", "emailAddress"}
    assert f"\n{user_id}\n" in told, "oneself resolve"
    assert in_legacy["resolvedUserId"] == "ann"
    assert "Identity resolution is on in old." in told
