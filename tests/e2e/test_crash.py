"""kill -9 under load: every acknowledged write is stored, and none is stored twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from conftest import StartService
from support.service import RunningService

from .load import ADMIN, PERMISSIONS, Visitors, Writers, client, define, stored, stored_events

WRITERS = 16
BETWEEN_KILLS = 60

Kill = Callable[[RunningService], Awaitable[None]]


async def _kill_service(service: RunningService) -> None:
    """Kill only the service. The embedded server keeps running, and the next start uses it."""
    service.kill()
    await asyncio.to_thread(service.start)


async def _kill_postgres(service: RunningService) -> None:
    """Kill the postmaster; its children then exit. The service starts the server again."""
    os.kill(_postmaster(service), signal.SIGKILL)


async def _kill_both(service: RunningService) -> None:
    """Kill service and server, as a power cut would."""
    os.kill(_postmaster(service), signal.SIGKILL)
    service.kill()
    await asyncio.to_thread(service.start)


def _postmaster(service: RunningService) -> int:
    return int((service.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


@pytest.mark.parametrize(
    "kill", [_kill_service, _kill_postgres, _kill_both], ids=["service", "postgres", "both"]
)
async def test_no_acknowledged_write_is_lost_or_doubled(start_service: StartService, kill: Kill) -> None:
    await _survive(await asyncio.to_thread(start_service), kill, times=2)


@pytest.mark.parametrize(
    "kill", [_kill_service, _kill_postgres, _kill_both], ids=["service", "postgres", "both"]
)
async def test_every_answered_event_is_stored_once(start_service: StartService, kill: Kill) -> None:
    """Two browsers share each e-mail address, so that events arrive while profiles merge."""
    service = await asyncio.to_thread(start_service)
    async with client(service, service.token(*PERMISSIONS)) as http:
        http.base_url = service.base_url
        bound = await http.put(
            f"{ADMIN}/datasets/default/identity-attributes",
            json=[{"name": "emailAddress", "identity_type": "emailAddress"}],
        )
        assert bound.status_code == 200, bound.text
        visitors = Visitors(http, WRITERS)
        running = asyncio.create_task(visitors.run())
        for _ in range(2):
            await visitors.wait_for_more(BETWEEN_KILLS)
            await kill(service)
        await visitors.wait_for_more(BETWEEN_KILLS)
        visitors.stop()
        await running
        found = await stored_events(http, WRITERS)
    assert set(found.values()) == {1}, "an event was stored twice"
    assert visitors.acknowledged.items() <= dict(found).keys(), "an event was lost"
    assert {name for name, _ in found} <= visitors.acknowledged.keys() | set(visitors.unanswered)
    verified = await asyncio.to_thread(service.command, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.soak
@pytest.mark.parametrize(
    "kill", [_kill_service, _kill_postgres, _kill_both], ids=["service", "postgres", "both"]
)
async def test_forty_crashes_in_a_row_lose_no_write(start_service: StartService, kill: Kill) -> None:
    await _survive(await asyncio.to_thread(start_service), kill, times=40)


async def _survive(service: RunningService, kill: Kill, *, times: int) -> None:
    async with client(service, service.token(*PERMISSIONS)) as http:
        await define(http, "n")
        writers = Writers(http, WRITERS)
        running = asyncio.create_task(writers.run())
        for _ in range(times):
            await writers.wait_for_more(BETWEEN_KILLS)
            await kill(service)
        await writers.wait_for_more(BETWEEN_KILLS)
        writers.stop()
        await running
        found = await stored(http, "n")
    assert {value: profile_id for profile_id, value in found.items()} == writers.acknowledged
    assert len(found) == len(writers.acknowledged), "a write created two profiles"
    verified = await asyncio.to_thread(service.command, "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
