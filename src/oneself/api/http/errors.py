"""The errors that the REST wires share: codes, titles, and the shapes in which they are sent.

    WireError(status, document)
      shape A   {"code", "message", "description"}                    nearly everything
      shape B   {"error_code", "error_message", "error_description"}  schema scopes, undecodable definitions
      a line    text/plain                                            the places that §4 names

This module has the codes that all REST interfaces use. `api.documents.rejections` has those for attributes
and rules, `api.cds.errors` those of the customer data service. Source: docs/wire/cds.md §4.
"""

from __future__ import annotations

import msgspec


class ErrorCode(msgspec.Struct, frozen=True):
    """An error code. `number`: without the prefix `CDS-`. `message`: the title that is sent with it."""

    number: str
    message: str


#: Also the code for statuses without a code of their own (409, 412, 415, 422, 503).
INVALID_REQUEST = ErrorCode("10001", "Invalid request.")
UNAUTHORIZED = ErrorCode("10002", "Unauthorized")
FORBIDDEN = ErrorCode("10003", "Forbidden")
PROFILE_NOT_FOUND = ErrorCode("11001", "Profile not found.")
SERVICE_DISABLED = ErrorCode("16001", "Not enabled.")

UNAUTHENTICATED = "Missing or invalid Authorization header"
NO_PERMISSION = "Do not have permission to perform this operation"
BEYOND_REACH = (
    "A person's token reaches the person's own profile only. Call this with the token of an application "
    "(client credentials)."
)
NOT_ENABLED = "Customer data service is not enabled for the organization"
PROFILE_UNKNOWN = "No user profile record found for the given profile_id"


class ErrorDocument(msgspec.Struct, frozen=True):
    """Shape A."""

    code: str
    message: str
    description: str


class SchemaErrorDocument(msgspec.Struct, frozen=True):
    """Shape B."""

    error_code: str
    error_message: str
    error_description: str


class FailureDocument(msgspec.Struct, frozen=True):
    """An internal error (500)."""

    error: str = "Internal server error"


class WireError(Exception):
    """A response that is not a success. `document`: shape A, shape B, or one line of text."""

    def __init__(
        self,
        status: int,
        document: ErrorDocument | SchemaErrorDocument | str,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(document)
        self.status = status
        self.document = document
        self.headers = headers or {}


def wire_error(
    code: ErrorCode,
    description: str,
    status: int = 400,
    *,
    shape: str = "A",
    headers: dict[str, str] | None = None,
) -> WireError:
    """Return an error in shape A or B."""
    kind = SchemaErrorDocument if shape == "B" else ErrorDocument
    return WireError(status, kind(f"CDS-{code.number}", code.message, description), headers)


def line(status: int, text: str) -> WireError:
    """An error that is one line of plain text."""
    return WireError(status, text)


def unauthenticated() -> WireError:
    """401: the caller is unknown (docs/wire/cds.md §2)."""
    return wire_error(UNAUTHORIZED, UNAUTHENTICATED, 401, headers={"WWW-Authenticate": "Bearer"})


def forbidden(description: str = NO_PERMISSION) -> WireError:
    """403: the caller is known and lacks the permission (docs/wire/cds.md §2)."""
    return wire_error(FORBIDDEN, description, 403)


def profile_unknown(description: str = PROFILE_UNKNOWN) -> WireError:
    """404: no such profile in this organisation."""
    return wire_error(PROFILE_NOT_FOUND, description, 404)
