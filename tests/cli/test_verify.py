"""`oneself verify` and `oneself rebuild` beside a running service: output and exit codes."""

from __future__ import annotations

import asyncio

import pytest

from conftest import StartService
from oneself.store.database import connect
from support.service import RunningService

pytestmark = pytest.mark.postgres


@pytest.fixture
async def running(start_service: StartService, new_database: object) -> RunningService:
    """A service with two profiles, on a new database."""
    running = start_service(database_url=await new_database())  # type: ignore[operator]
    token = running.token("internal_cds_profile_create")
    headers = {"Authorization": f"Bearer {token}"}
    with running.client(headers=headers) as client:
        for _ in range(2):
            client.cookies.clear()
            assert client.post(f"/t/{running.org}/cds/api/v1/profiles", json={}).status_code == 201
    return running


async def _damage(running: RunningService, sql: str) -> None:
    connection = await connect(running.database_url or "")
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_verify_finds_damage_and_rebuild_repairs_it(running: RunningService) -> None:
    found = await asyncio.to_thread(running.command, "verify")
    assert found.returncode == 0, found.stderr
    assert "entries fold to the same 2 profiles." in found.stdout

    await _damage(running, "DELETE FROM claim")
    found = await asyncio.to_thread(running.command, "verify")
    assert found.returncode == 1
    assert "claim (dataset_id=" in found.stderr
    assert "only in the folded state" in found.stderr

    unconfirmed = await asyncio.to_thread(running.command, "rebuild")
    assert unconfirmed.returncode == 1, "not confirmed"
    found = await asyncio.to_thread(running.command, "rebuild", "--yes")
    assert found.returncode == 0, found.stderr
    assert "Rows corrected: 2 in claim." in found.stdout
    found = await asyncio.to_thread(running.command, "verify")
    assert found.returncode == 0, found.stderr


@pytest.mark.damages_database
async def test_verify_reports_profiles_whose_log_entries_are_missing(running: RunningService) -> None:
    await _damage(running, "DELETE FROM log WHERE kind = 'write'")
    found = await asyncio.to_thread(running.command, "verify")
    assert found.returncode == 1
    assert "only in the live state" in found.stderr


def test_verify_works_on_the_embedded_database(start_service: StartService) -> None:
    running = start_service()
    found = running.command("verify")
    assert found.returncode == 0, found.stderr
    assert "entries fold to the same 0 profiles." in found.stdout
