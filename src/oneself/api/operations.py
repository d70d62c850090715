"""Health, readiness and metrics of the process, for operators. No authentication, no secrets."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from litestar import Request, Response, get
from litestar.enums import MediaType
from msgspec import Struct

from oneself.api.http.metrics import CONTENT_TYPE
from oneself.api.http.openapi import Described
from oneself.errors import ServiceError

AnyRequest = Request[Any, Any, Any]
#: Shorter than the interval of a load balancer, which has to learn of a stuck database.
READY_TIMEOUT_S = 2.0


class HealthDocument(Struct, frozen=True):
    """The process is up."""

    status: Literal["healthy"] = "healthy"


class ReadyDocument(Struct, frozen=True, omit_defaults=True):
    """Whether the service can answer requests: whether its database answers."""

    status: Literal["ready", "not ready"]
    error: str = ""


@get(["/cds/api/v1/health", "/health"], tags=["Operations"], operation_class=Described)
async def health() -> HealthDocument:
    """Check that the process answers."""
    return HealthDocument()


@get(["/cds/api/v1/ready", "/ready"], tags=["Operations"], operation_class=Described)
async def ready(request: AnyRequest) -> Response[ReadyDocument]:
    """Check that the service can answer requests: that its database answers."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await request.app.state.services.database.fetchval("SELECT 1")
    except (ServiceError, TimeoutError):
        return Response(ReadyDocument("not ready", "The database does not answer."), status_code=503)
    return Response(ReadyDocument("ready"))


@get("/metrics", media_type=MediaType.TEXT, tags=["Operations"], operation_class=Described)
async def metrics(request: AnyRequest) -> Response[bytes]:
    """Read the metrics of all worker processes, in the Prometheus text format."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE)
