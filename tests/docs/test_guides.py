"""The guides work when they are typed: every `sh` block of first-steps.md, in order, on a running service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartService

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "first-steps.md"


@pytest.fixture
def typed(start_service: StartService) -> str:
    """What the reader sees after having typed everything."""
    service = start_service(bootstrap=False)
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    script = "set -euo pipefail\n" + "\necho\n".join(blocks)
    script = script.replace("http://localhost:8700", service.base_url)
    script = script.replace(".venv/bin/oneself", f"{sys.executable} -m oneself")
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "ONESELF_DATA_DIR": str(service.data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_steps_lead_where_they_say(typed: str) -> None:
    assert "client secret" in typed
    assert '"traits.interests": [' in typed, "with the source of each value"
    assert '"reason": "system:user_id_match"' in typed
    read_back = typed[typed.rindex('"interests"') :]
    assert re.match(r'"interests": \[\s*"chess",\s*"go",\s*"tea"\s*\]', read_back)
    assert "entries fold to the same 2 profiles." in typed
