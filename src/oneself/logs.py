"""Log lines on standard error: structlog for Oneself, and the libraries' lines in the same format.

Invariants: a log line contains no personal data, only internal ids, codes, counts and durations. The text of
an exception may quote a request (`KeyError: 'ann@acme.example'`), so the log contains its class and traceback
only.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

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
    # Libraries log warnings only: their other lines may contain access tokens.
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("oneself").setLevel(level)
    # asyncpg logs a traceback for each failed connection; requests are answered by 503 anyway.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)


def _renderers(settings: Settings) -> list[Any]:
    before = [_without_what_failed, structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if settings.log_format == "json":
        traces = structlog.processors.ExceptionRenderer(lambda exc_info: _trace(exc_info[1]))
        return [*before, traces, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty()
    return [*before, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_print_trace)]


def _without_what_failed(_: Any, __: str, event: Any) -> Any:
    """Drop the lines in which the event loop describes a failed task, because they quote its exception."""
    if event["_record"].name == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _print_trace(out: TextIO, exc_info: Any) -> None:
    out.write("\n" + _trace(exc_info[1]))


def _trace(error: BaseException | None) -> str:
    """Traceback and class of an exception, after those of its causes, in Python's order."""
    return "\n".join(_traces(error, set()))


def _traces(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield from _traces(error.__cause__ or (None if error.__suppress_context__ else error.__context__), seen)
    for cause in getattr(error, "exceptions", ()):
        yield from _traces(cause, seen)
    frames = "".join(traceback.format_tb(error.__traceback__))
    yield f"Traceback (most recent call last):\n{frames}{_kind(error)}"


def _kind(error: BaseException) -> str:
    """The class; for a database error also the code and the constraint."""
    facts = (getattr(error, name, None) for name in ("sqlstate", "constraint_name"))
    return " ".join((f"{type(error).__module__}.{type(error).__qualname__}", *(str(f) for f in facts if f)))
