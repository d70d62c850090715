"""Every exception that Oneself raises on purpose, as one tree.

    OneselfError
    ├── RequestError            a request that cannot be granted; its sentence may be shown to the caller
    │   ├── InvalidInput        the request is invalid
    │   ├── Unauthenticated     the caller is unknown
    │   ├── Forbidden           the caller is known and lacks the permission
    │   ├── NotFound            the organisation has no such thing
    │   ├── Conflict            the thing exists, or the name is in use
    │   ├── PreconditionFailed  If-Match names another version
    │   └── Expired             what is asked for was deleted because it was too old
    ├── ServiceError            nothing was changed; the same request may succeed later
    │   ├── Contended           the request lost too many races for the same rows
    │   │   └── Occupied        a decision about very many profiles is being made
    │   └── Unavailable         the database does not answer
    ├── IdentityServerFailed    an identity server or token issuer did not answer as it should
    ├── DeliveryDeferred        a mail or message cannot be sent now; a later attempt may succeed
    ├── DeliveryRejected        a mail or message is not accepted, whenever it is sent
    ├── BrokerFailed            the message broker does not answer, or does not accept a message
    └── Fatal                   the process cannot start; it prints the sentence and exits with `exit_code`
        ├── SettingsError       a setting is missing or invalid
        ├── DataFolderInUse     another service uses the data folder
        └── UnsupportedDatabase the database is too old, refuses the role, or has unknown content

The table from error to HTTP status is in `api.http.errors`. The table from Fatal to exit code is here.
Any other exception is a bug.
"""

from __future__ import annotations

from typing import ClassVar


class OneselfError(Exception):
    """Root of the tree. `message` is one sentence for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RequestError(OneselfError):
    """A request that cannot be granted.

    `code`: a word, or the code of an interface. `message`: a short title. `description`: what is wrong and
    what to do.
    """

    default_code: ClassVar[str] = "invalid_request"
    default_message: ClassVar[str] = "Invalid request."

    def __init__(self, description: str = "", *, code: str | None = None, message: str | None = None) -> None:
        super().__init__(message or self.default_message)
        self.code = code or self.default_code
        self.description = description

    def __str__(self) -> str:
        return f"{self.code}: {self.description or self.message}"


class InvalidInput(RequestError):
    """The request is invalid. `field`: what is invalid in it, the code of the error."""

    def __init__(self, field: str, description: str, *, message: str | None = None) -> None:
        super().__init__(description, code=field, message=message)


class Unauthenticated(RequestError):
    """The caller is unknown."""

    default_code = "unauthenticated"
    default_message = "Unauthorized"


class Forbidden(RequestError):
    """The caller is known and lacks the permission."""

    default_code = "forbidden"
    default_message = "Forbidden"


class NotFound(RequestError):
    """The organisation has no such thing."""

    default_code = "not_found"
    default_message = "Not found."


class Conflict(RequestError):
    """The thing exists, or the name is in use."""

    default_code = "conflict"
    default_message = "Conflict."


class PreconditionFailed(RequestError):
    """The version that the caller names is not the current one."""

    default_code = "stale"
    default_message = "The resource was changed in the meantime."


class Expired(RequestError):
    """What is asked for was deleted because it was too old."""

    default_code = "expired"
    default_message = "Expired."


class ServiceError(OneselfError):
    """Nothing was changed; the same request may succeed later. `retry_after_s`: when to retry, in seconds."""

    retry_after_s: ClassVar[int] = 1


class Contended(ServiceError):
    """The request lost every race for the same rows; the number of retries is bounded."""


class Occupied(Contended):
    """A decision about very many profiles has locked what is named. `names`: which of it, as hashes."""

    def __init__(self, names: frozenset[int] = frozenset()) -> None:
        super().__init__("A decision about very many profiles is being made.")
        self.names = names


class Unavailable(ServiceError):
    """The database does not answer, or the connection broke."""

    retry_after_s = 2


class IdentityServerFailed(OneselfError):
    """An identity server or token issuer does not answer, or its answer is invalid."""


class _NotDelivered(OneselfError):
    """`cause`: why, for the log: a reply code or a word. What the server said may name the recipient."""

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class DeliveryDeferred(_NotDelivered):
    """The server cannot accept what is sent now; a later attempt may succeed."""


class DeliveryRejected(_NotDelivered):
    """The server does not accept this, whenever it is sent."""


class BrokerFailed(_NotDelivered):
    """The message broker does not answer, or does not accept a message; a later attempt may succeed."""


class Fatal(OneselfError):
    """The process cannot continue. `exit_code` follows sysexits(3)."""

    exit_code: ClassVar[int] = 70


class SettingsError(Fatal):
    """A setting is missing or invalid."""

    exit_code = 78


class DataFolderInUse(Fatal):
    """Another service uses the data folder."""

    exit_code = 75


class UnsupportedDatabase(Fatal):
    """The database is too old, refuses the role, has unknown migrations, or a log that cannot be folded."""

    exit_code = 76
