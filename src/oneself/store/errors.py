"""What a database error means. Constraints are recognised by name, races by SQLSTATE, never by text.

kind          SQLSTATE / class                              what the caller does
contended     40001 40P01 55P03                             roll back, repeat, bounded
unavailable   08… 53… 57P0…, broken or closed connection    answer 503
constraint    23…                                           in RACES: as contended; else by its name
bug           everything else                               raise it unchanged
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import asyncpg

from oneself.errors import Contended, Unavailable

Kind = Literal["contended", "unavailable", "constraint", "bug"]

# serialization_failure, deadlock_detected, lock_not_available
CONTENDED = frozenset({"40001", "40P01", "55P03"})
# connection_exception, insufficient_resources, admin_shutdown / crash_shutdown / cannot_connect_now …
UNAVAILABLE = ("08", "53", "57P0")
#: Unique constraints that concurrent batches can violate although each is right by itself. An observation
#: that names a user locks the user's identifier; one that reaches the profile in another way does not, so
#: the index has the last word. So it has where two batches begin the same fragment or browser. No other
#: constraint of the write path can race: request keys are locked before their records are read; claims,
#: merges and log entries have a seq that is taken under the profile's lock, or an id of their own; profiles
#: and refusals are written with ON CONFLICT.
RACES = frozenset({"profile_user_once", "fragment_key", "fragment_exact", "fragment_of_user", "browser_key"})
#: An organisation trusts an issuer once.
ISSUER_CONSTRAINT = "trusted_issuer_once"


def classify(error: BaseException) -> Kind:
    """The kind of an exception that came out of asyncpg; see the table above."""
    if isinstance(error, asyncpg.PostgresError):
        return _classify_sqlstate(getattr(error, "sqlstate", None) or "")
    if isinstance(error, OSError | TimeoutError):
        return "unavailable"
    if isinstance(error, asyncpg.InterfaceError) and _is_about_connection(error):
        return "unavailable"
    # What asyncpg raises when a pooled connection's server was killed between two statements: its protocol
    # still waits for the answer to the first.
    if isinstance(error, asyncpg.InternalClientError):
        return "unavailable"
    return "bug"


def constraint_of(error: BaseException) -> str | None:
    """The name of the violated constraint or unique index, if that is what `error` is about."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return error.constraint_name
    return None


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn lost races into `Contended` and lost connections into `Unavailable`; others pass unchanged."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        match classify(error):
            case "constraint" if constraint_of(error) in RACES:
                raise Contended("Lost a race for the same profile.") from error
            case "contended":
                raise Contended("Lost a race for the same rows.") from error
            case "unavailable":
                raise Unavailable("The database cannot be reached.") from error
            case _:
                raise


def _classify_sqlstate(sqlstate: str) -> Kind:
    if sqlstate in CONTENDED:
        return "contended"
    if sqlstate.startswith(UNAVAILABLE):
        return "unavailable"
    return "constraint" if sqlstate.startswith("23") else "bug"


def _is_about_connection(error: asyncpg.InterfaceError) -> bool:
    # asyncpg reports use of a dead connection or a closing pool as a bare InterfaceError; a wrong
    # argument is its subclass DataError.
    return type(error) is asyncpg.InterfaceError
