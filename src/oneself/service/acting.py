"""Who acts in this task, for the audit log: each interface says so once, when it has found out who asks.

Invariants: it grants nothing. An actor with a name that a use-case was told goes first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from oneself.service.context import Actor

_ACTING: ContextVar[Actor | None] = ContextVar("acting", default=None)


def act_as(actor: Actor | None) -> None:
    """Say who acts from now on, until this task ends. None: it is not known."""
    _ACTING.set(actor)


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """Say who acts in a block."""
    token = _ACTING.set(actor)
    try:
        yield
    finally:
        _ACTING.reset(token)


def administrator() -> Actor | None:
    """Who acts in this task, if an interface for administrators said so; None: people act for themselves."""
    return _ACTING.get()


def named_or_acting(actor: Actor) -> Actor:
    """The actor if it has a name; else who acts in this task, if that is known."""
    known = _ACTING.get()
    is_named = actor.application is not None or actor.console_user is not None
    return actor if is_named or known is None else known
