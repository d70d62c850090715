"""Checks that the log of a database folds to its state (docs/concepts/log-and-fold.md)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from oneself.core.fold.replay import Diverged
from oneself.service.log import verify
from oneself.store.database import Database
from support.service import RunningService


async def assert_log_folds(url: str) -> None:
    """Raises AssertionError with the first difference between the folded log and the live state."""
    async with await Database.open(url) as database:
        try:
            report = await verify.verify(database, lambda done, total: None)
        except Diverged as error:
            raise AssertionError(f"{_name(url)}: {error}") from error
    assert report.difference is None, f"{_name(url)}: {report.difference}"


def assert_log_of_service_folds(service: RunningService) -> None:
    """Check the database of a service, embedded or not, running or stopped."""
    if service.database_url is None:
        verified = service.command("verify", deadline_s=300)
        assert verified.returncode == 0, verified.stdout[-2000:] + verified.stderr[-2000:]
        return
    # The thread of the tests has an event loop already, and `asyncio.run` needs one without.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, assert_log_folds(service.database_url)).result()


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")
