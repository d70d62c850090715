"""Everything that Oneself raises on purpose, one tree.

    OneselfError
    ├── Refusal                a normal answer to a request that cannot be granted; safe to show
    │   ├── InvalidInput       what was sent is wrong (400)
    │   ├── Unauthenticated    nobody we know (401)
    │   ├── Forbidden          somebody we know, without the permission (403)
    │   ├── NotFound           no such thing in this organisation (404)
    │   ├── Conflict           it exists already, or is taken (409)
    │   └── Stale              If-Match names another version (412)
    ├── WorldError             the world failed, nothing was changed; the same request may succeed later
    │   ├── Contended          lost too many races for the same rows (503 + Retry-After)
    │   └── Unavailable        the database is away (503 + Retry-After)
    ├── IdentityServerFailed   the identity server beside us did not answer as it should (500)
    └── Fatal                  the process cannot start; its sentence is printed, it exits with `exit_code`
        ├── SettingsError      a setting is missing or makes no sense
        ├── DataFolderBusy     another service works on this data folder
        └── DatabaseRefused    the database is too old, or its migrations are not ours

The one table from error to HTTP is in `api/`; the one from Fatal to exit code is here.
Anything else that is raised is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class OneselfError(Exception):
    """Root of the tree. `message` is one sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(OneselfError):
    """A request that cannot be granted, with what the wires say about it.

    `code` is a word or a wire code, `message` its short title, `description` the sentence that helps.
    """

    status: ClassVar[int] = 400
    default_code: ClassVar[str] = "invalid_request"
    default_message: ClassVar[str] = "Invalid request."

    def __init__(self, description: str = "", *, code: str | None = None, message: str | None = None) -> None:
        super().__init__(message or self.default_message)
        self.code = code or self.default_code
        self.description = description

    def __str__(self) -> str:
        return f"{self.code}: {self.description or self.message}"


class InvalidInput(RequestError):
    """What was sent is wrong: `InvalidInput(code, message, description)`."""

    def __init__(self, code: str, message: str, description: str = "") -> None:
        super().__init__(description, code=code, message=message)


class Unauthenticated(RequestError):
    status = 401
    default_code = "unauthenticated"
    default_message = "Unauthorized"


class Forbidden(RequestError):
    status = 403
    default_code = "forbidden"
    default_message = "Forbidden"


class NotFound(RequestError):
    status = 404
    default_code = "not_found"
    default_message = "Not found."


class Conflict(RequestError):
    status = 409
    default_code = "conflict"
    default_message = "Conflict."


class Stale(RequestError):
    """The caller's version of a thing is not the current one any more."""

    status = 412
    default_code = "stale"
    default_message = "The resource was changed in the meantime."


class ServiceError(OneselfError):
    """The world failed and nothing was changed. `retry_after_s` is when trying again makes sense."""

    retry_after_s: ClassVar[int] = 1


class Contended(ServiceError):
    """Bounded retries lost every race for the same rows (DESIGN §7)."""


class Unavailable(ServiceError):
    """The database cannot be reached, or broke off in the middle."""

    retry_after_s = 2


class IdentityServerFailed(OneselfError):
    """The organisation's identity server is away, refused us, or made no sense (wire/cds §11, §13)."""


class Fatal(OneselfError):
    """The process cannot go on. `exit_code` follows sysexits(3)."""

    exit_code: ClassVar[int] = 70


class SettingsError(Fatal):
    exit_code = 78


class DataFolderBusy(Fatal):
    exit_code = 75


class DatabaseRefused(Fatal):
    exit_code = 76
