"""The upgrade of the database at the start of the service, reported by log lines and a progress bar."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import structlog

from oneself.service.log.verify import Progress
from oneself.service.setup.upgrade import upgrade

#: Takes a title; yields a function that draws `(done, total)`. Draws nothing without a terminal.
ProgressBar = Callable[[str], AbstractContextManager[Progress]]

# Often enough to see that it goes on, rarely enough for the log of an hour.
PROGRESS_LOG_INTERVAL_S = 10.0

log = structlog.get_logger("oneself.processes.upgrade")


async def upgrade_database(url: str, progress_bar: ProgressBar) -> None:
    """Apply migrations and rebuild outdated state. Raises UnsupportedDatabase if that is impossible."""
    done = await upgrade(url, lambda: _report_rebuild(progress_bar), _report_wait)
    for name in done.migrations:
        log.debug("migrated", migration=name)
    if done.rebuilt:
        rows = sum(done.rebuilt.corrected.values())
        log.info(
            "state_rebuilt", entries=done.rebuilt.entries, profiles=done.rebuilt.profiles, rows_corrected=rows
        )


def _report_wait() -> None:
    log.info("waiting_for_upgrade", cause="another process upgrades the database")


@contextmanager
def _report_rebuild(progress_bar: ProgressBar) -> Iterator[Progress]:
    log.info("state_rebuild_started", cause="an earlier version wrote the state")
    with progress_bar("Rebuilding the state from the log") as draw:
        yield draw if sys.stderr.isatty() else _progress_log()


def _progress_log() -> Progress:
    """Logs progress, at most once in PROGRESS_LOG_INTERVAL_S."""
    due_s = time.monotonic() + PROGRESS_LOG_INTERVAL_S

    def report(done: int, total: int) -> None:
        nonlocal due_s
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + PROGRESS_LOG_INTERVAL_S
            log.info("state_rebuild_progress", entries=done, total=total)

    return report
