"""The errors that the REST wires share: codes, titles, and the shapes in which they are sent.

    WireError(status, document)
      shape A   {"code", "message", "description"}                    nearly everything
      shape B   {"error_code", "error_message", "error_description"}  schema scopes, undecodable definitions
      a line    text/plain                                            the places that §4 names

A code is written without its prefix: `wire_error("11011", …)`. The errors for the reasons of `core` are in
`api.documents.rejections`.
Source: docs/wire/cds.md §4.
"""

from __future__ import annotations

import msgspec

MESSAGES = {
    "10001": "Invalid request.",
    "10002": "Unauthorized",
    "10003": "Forbidden",
    "11001": "Profile not found.",
    "11002": "Profile addition failed.",
    "11003": "Fetching profile(s) failed.",
    "11010": "Filtering profiles failed.",
    "11011": "Profile update failed.",
    "11012": "Profile deletion failed.",
    "11017": "Profile already linked.",
    "11004": "Fetching profile consent failed.",
    "12001": "No unification rule found.",
    "12002": "Validation failed for unification rule update.",
    "12003": "Unification rule with same attribute already exists.",
    "12004": "Unification rule priority already taken.",
    "12005": "Unification rule Id is required.",
    "13001": "Invalid request payload.",
    "13002": "Invalid attribute.",
    "13003": "Schema attribute already exists.",
    "13004": "Attribute not found.",
    "13005": "Invalid application identifier.",
    "13006": "Attribute add/update not supported.",
    "14001": "Consent category validation failed",
    "14002": "Consent category already exist.",
    "14003": "Consent category not found.",
    "14004": "Consent category Id is required.",
    "14005": "Invalid request payload for updating consent category.",
    "14006": "Consent category is mandatory and cannot be modified or deleted.",
    "15102": "Invalid schema filter.",
    "15104": "Attribute deletion failed.",
    "15201": "Unification rule is not allowed.",
    "15302": "Invalid request payload for consent category.",
    "16001": "Not enabled.",
    "16002": "Invalid request payload for updating admin configuration.",
}
#: The code for statuses without one on the wire (409, 412, 415, 422, 503).
UNPROCESSABLE = "10001"

UNAUTHENTICATED = "Missing or invalid Authorization header"
NO_PERMISSION = "Do not have permission to perform this operation"
BEYOND_REACH = (
    "A person's token reaches the person's own profile only. Call this with the token of an application "
    "(client credentials)."
)
NOT_ENABLED = "Customer data service is not enabled for the organization"
USER_ID_WRITE_ONCE = "user_id: write-once field cannot be changed after being set"
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
    code: str, description: str, status: int = 400, *, shape: str = "A", headers: dict[str, str] | None = None
) -> WireError:
    """The error `CDS-<code>` in shape A or B."""
    kind = SchemaErrorDocument if shape == "B" else ErrorDocument
    return WireError(status, kind(f"CDS-{code}", MESSAGES[code], description), headers)


def line(status: int, text: str) -> WireError:
    """An error that is one line of plain text."""
    return WireError(status, text)


def unauthenticated() -> WireError:
    """401: the caller is unknown (docs/wire/cds.md §2)."""
    return wire_error("10002", UNAUTHENTICATED, 401, headers={"WWW-Authenticate": "Bearer"})


def forbidden(description: str = NO_PERMISSION) -> WireError:
    """403: the caller is known and lacks the permission (docs/wire/cds.md §2)."""
    return wire_error("10003", description, 403)


def profile_unknown(description: str = PROFILE_UNKNOWN) -> WireError:
    """404: no such profile in this organisation."""
    return wire_error("11001", description, 404)
