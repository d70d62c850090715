"""Query parameters that a route does not take.

Whoever misspells a parameter, or asks a route for something that another one can do, would get an answer to
another question than the one that was asked.

Source: docs/reference/rest.md; docs/wire/cds.md §1.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from oneself.api.http.errors import INVALID_REQUEST, wire_error

#: The parameter that names an instant of the past.
AT = "at"
#: How much of an unknown name an error repeats.
NAME_CHARS_MAX = 50


async def reject_unknown_parameters(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Guard of routes that take no other query parameters than those that they name. Raises WireError."""
    accepted = _accepted(handler)
    unknown = next((name for name in connection.query_params if name not in accepted), None)
    if unknown is not None:
        takes = f"It takes {', '.join(sorted(accepted))}." if accepted else "It takes none."
        named = ascii(unknown[:NAME_CHARS_MAX])
        raise wire_error(INVALID_REQUEST, f"This operation takes no query parameter {named}. {takes}")


async def reject_instant(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard of routes that answer of now alone: an answer that ignored `at` would pass for one of the past.

    Raises WireError.
    """
    if AT in connection.query_params:
        raise wire_error(
            INVALID_REQUEST,
            "at: this operation answers of now. Read the past at /t/{org}/api/v1/datasets/default/profiles.",
        )


@cache
def _accepted(handler: BaseRouteHandler) -> frozenset[str]:
    fields = handler.parsed_fn_signature.parameters.values()
    return frozenset(
        field.kwarg_definition.name or field.name
        for field in fields
        if isinstance(field.kwarg_definition, QueryParameter)
    )
