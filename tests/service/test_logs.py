"""Log lines contain the type and traceback of an exception, never its message."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import sys
from collections.abc import Iterator

import asyncpg
import pytest
import structlog

from oneself import logs
from oneself.errors import Contended
from oneself.services import Services
from oneself.settings import Settings
from oneself.store import working_set
from support.interactions_harness import InteractionsHarness, mail

MARK = "ann.marked@acme.example"


@pytest.fixture(params=["json", "text"])
def log_output(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The log output of a service at the level debug."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level, oneself_level = list(root.handlers), root.level, logging.getLogger("oneself").level
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", stream)
        logs.configure(Settings(log_format=request.param, log_level="debug"))
    yield stream
    root.handlers = handlers
    root.setLevel(level)
    logging.getLogger("oneself").setLevel(oneself_level)
    structlog.reset_defaults()


def fail() -> None:
    try:
        {}[MARK]
    except KeyError as error:
        raise ExceptionGroup(MARK, [ValueError(MARK)]) from error


def test_an_exception_is_logged_without_its_message(log_output: io.StringIO) -> None:
    try:
        fail()
    except ExceptionGroup as error:
        structlog.get_logger("oneself.test").error("failed", exc_info=error)
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)
    output = log_output.getvalue()
    assert MARK not in output
    assert output.count("Traceback (most recent call last)") == 6
    for word in ("builtins.KeyError", "builtins.ValueError", "builtins.ExceptionGroup", "in fail"):
        assert word in output


async def test_the_failure_of_an_abandoned_task_is_logged_without_its_text(log_output: io.StringIO) -> None:
    async def broken() -> None:
        raise ValueError(MARK)

    task = asyncio.create_task(broken())
    await asyncio.wait([task])
    del task
    gc.collect()
    output = log_output.getvalue()
    assert "Task exception was never retrieved" in output
    assert "builtins.ValueError" in output
    assert MARK not in output


async def test_a_constraint_violation_is_logged_without_its_values(
    services: Services, log_output: io.StringIO
) -> None:
    columns = "dataset_id, key, seq, profile_id"
    insert = f"INSERT INTO idempotency_record ({columns}) VALUES (1, $1, 1, gen_random_uuid())"
    with pytest.raises(asyncpg.NotNullViolationError, match=MARK) as caught:
        await services.database.execute(insert, MARK)
    structlog.get_logger("oneself.test").error("failed", exc_info=caught.value)
    output = log_output.getvalue()
    assert "NotNullViolationError 23502" in output
    assert MARK not in output


def test_libraries_log_only_warnings(log_output: io.StringIO) -> None:
    """At the level debug, Authlib would log the tokens that it issues."""
    logging.getLogger("authlib.oauth2.rfc6749").debug("Issue token %r", {"access_token": MARK})
    logging.getLogger("authlib.oauth2.rfc6749").info(MARK)
    structlog.get_logger("oneself.test").debug("own line")
    assert "own line" in log_output.getvalue()
    assert MARK not in log_output.getvalue()


async def test_a_lost_race_is_logged_without_its_values(
    services: Services, log_output: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await InteractionsHarness(services).begin()
    gather, attempts = working_set.gather, []

    async def lose_once(*arguments: object) -> object:
        attempts.append(1)
        if len(attempts) == 1:
            raise Contended(MARK)
        return await gather(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(working_set, "gather", lose_once)
    await harness.event(mail(MARK), name=MARK, body={"user": MARK})
    output = log_output.getvalue()
    assert "lost_race" in output
    assert "Contended" in output
    assert MARK not in output
