"""Log lines: structlog for our own, and the libraries' lines in the same form. Written to stderr.

Nothing personal belongs into a log line (DESIGN §8): ids of ours, codes, counts and durations only.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from oneself.settings import Settings

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure(settings: Settings) -> None:
    """Set up logging for this process; may be called again with other settings."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=SHARED, processors=_renderers(settings))
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for chatty in ("httpx", "httpcore", "asyncio", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    # It reports each attempt to reach a database that is away, with a traceback; we answer 503.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    # Start and stop are told by our own lines.
    logging.getLogger("uvicorn.error").setLevel(max(level, logging.WARNING))


def _renderers(settings: Settings) -> list[Any]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if settings.log_format == "json":
        return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The plain form: the pretty one prints local variables, passwords among them.
    plain = structlog.dev.plain_traceback
    return [drop, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
