"""Log lines: structlog for our own, and the libraries' lines in the same form. Written to stderr.

Nothing personal belongs into a log line (DESIGN §8): ids of ours, codes, counts and durations only. What an
exception says may quote what somebody sent (`KeyError: 'ann@acme.example'`), so of an exception the log has
its kind and the way it came, never its words.
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
    # Libraries only warn: what they tell below that is theirs to choose, whole access tokens among it.
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("oneself").setLevel(level)
    # It reports each attempt to reach a database that is away, with a traceback; we answer 503.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)


def _renderers(settings: Settings) -> list[Any]:
    before = [_without_what_failed, structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if settings.log_format == "json":
        traces = structlog.processors.ExceptionRenderer(lambda exc_info: _trace(exc_info[1]))
        return [*before, traces, structlog.processors.JSONRenderer()]
    colours = sys.stderr.isatty()
    return [*before, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_print_trace)]


def _without_what_failed(_: Any, __: str, event: Any) -> Any:
    """The event loop describes a task that failed, its exception included, below its first line."""
    if event["_record"].name == "asyncio":
        event["event"] = str(event["event"]).partition("\n")[0]
    return event


def _print_trace(out: TextIO, exc_info: Any) -> None:
    out.write("\n" + _trace(exc_info[1]))


def _trace(error: BaseException | None) -> str:
    """The way an exception came and its kind; before it those that led to it, as Python tells them."""
    return "\n".join(_traces(error, set()))


def _traces(error: BaseException | None, seen: set[int]) -> Iterator[str]:
    if error is None or id(error) in seen:
        return
    seen.add(id(error))
    yield from _traces(error.__cause__ or (None if error.__suppress_context__ else error.__context__), seen)
    for cause in getattr(error, "exceptions", ()):
        yield from _traces(cause, seen)
    way = "".join(traceback.format_tb(error.__traceback__))
    yield f"Traceback (most recent call last):\n{way}{_kind(error)}"


def _kind(error: BaseException) -> str:
    """Its class; of what the database says also the code and the constraint, which tell most."""
    facts = (getattr(error, name, None) for name in ("sqlstate", "constraint_name"))
    return " ".join((f"{type(error).__module__}.{type(error).__qualname__}", *(str(f) for f in facts if f)))
