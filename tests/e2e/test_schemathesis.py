"""Schemathesis checks a running service against its `/openapi.json`.

`schemathesis.toml` at the root configures the checks. This test runs few examples; run
`schemathesis run` by hand for more.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from conftest import NewDatabase, StartService
from oneself.auth.callers.permissions import CDS_PERMISSIONS
from support.service import RunningService

ROOT = Path(__file__).parents[2]
EXAMPLES = 8
SEED = 20260605


@pytest_asyncio.fixture
async def service(new_database: NewDatabase, start_service: StartService) -> RunningService:
    """A service of its own, because Schemathesis also removes permissions from applications."""
    return start_service(database_url=await new_database())


@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(service: RunningService, tmp_path: Path) -> None:
    form = {"grant_type": "client_credentials", "scope": " ".join(CDS_PERMISSIONS)}
    client = (service.client_id, service.client_secret)
    answer = httpx.post(
        f"{service.base_url}/t/{service.org}/oauth2/token", data=form, auth=client, timeout=30
    )
    token = answer.json()["access_token"]
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml"),
        "run", f"{service.base_url}/openapi.json", "--header", f"Authorization: Bearer {token}",
        "--max-examples", str(EXAMPLES), "--seed", str(SEED), "--no-color",
    ]  # fmt: skip
    completed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert completed.returncode == 0, completed.stdout[-20_000:] + completed.stderr[-5_000:]
