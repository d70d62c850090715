"""From request errors to HTTP statuses: the one table. `oneself.errors` draws the tree."""

from __future__ import annotations

from oneself.errors import (
    Conflict,
    Expired,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    RequestError,
    Unauthenticated,
)

STATUSES: dict[type[RequestError], int] = {
    InvalidInput: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Expired: 410,
    PreconditionFailed: 412,
    RequestError: 400,
}


def status_of(error: RequestError) -> int:
    """The status of the error's class, else of its nearest base class."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
