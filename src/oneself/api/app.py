"""The HTTP application: every face on one router, in one transport (DESIGN §12).

    EventDoor ─▶ Transport ─▶ router ─▶ door (who, may they) ─▶ handler (decode, one use-case, render)
        └─ events                └─ errors ─▶ failures.TABLE

Assembly only. Every face is a list of routes or a router here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp

from oneself.api.admin.routes import admin_routes
from oneself.api.cds.routes import organisation_routes
from oneself.api.cds.sync import sync_routes
from oneself.api.error_handlers import TABLE
from oneself.api.http.json_body import BODY_BYTES_MAX
from oneself.api.http.metrics import Metrics
from oneself.api.http.transport import Transport
from oneself.api.interactions.endpoint import EventEndpoint
from oneself.api.interactions.lookups import lookup_routes
from oneself.api.operations import health, ready
from oneself.api.operations import metrics as metrics_route
from oneself.api.reference import openapi_config, reference_routes
from oneself.auth.provider.routes import ROUTES as SIGN_IN
from oneself.settings import Settings

if TYPE_CHECKING:
    from oneself.services import Services

OPERATIONS = (health, ready, metrics_route)


def create_app(services: Services, settings: Settings, metrics: Metrics | None = None) -> Litestar:
    """The ASGI application of one process; routes find `services` in its state."""
    metrics = metrics or Metrics()
    app = Litestar(
        route_handlers=[
            *OPERATIONS,
            *SIGN_IN,
            organisation_routes,
            admin_routes,
            sync_routes,
            reference_routes,
            lookup_routes,
        ],
        exception_handlers=TABLE,
        openapi_config=openapi_config(settings),
        request_max_body_size=BODY_BYTES_MAX,
        state=State({"services": services, "settings": settings, "metrics": metrics}),
        logging_config=None,
        debug=False,
    )
    transport = Transport(app.asgi_handler, origins=settings.cors_origins, metrics=metrics)
    app.asgi_handler = cast(
        "ASGIApp", EventEndpoint(services, transport, metrics, settings.events_per_address_s)
    )
    return app
