"""The HTTP application: raw endpoints beside the framework, and every REST wire on one router in it.

    Dispatch ─┬─ EventEndpoint                                            (raw: no framework)
              └─ Transport ─▶ router ─▶ guard ─▶ handler                  (the framework)
                                └─ errors ─▶ error_handlers.TABLE

Assembly only. Every wire is a list of routes, a router or a raw endpoint here.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from oneself.api.admin.routes import admin_routes
from oneself.api.cds.routes import organisation_routes
from oneself.api.cds.sync import sync_routes
from oneself.api.dispatch import Dispatch
from oneself.api.error_handlers import TABLE
from oneself.api.http.json_body import BODY_BYTES_MAX
from oneself.api.http.metrics import Metrics
from oneself.api.http.transport import Transport
from oneself.api.interactions.endpoint import PATTERNS, EventEndpoint
from oneself.api.interactions.lookups import lookup_routes
from oneself.api.operations import health, ready
from oneself.api.operations import metrics as metrics_route
from oneself.api.reference import openapi_config, reference_routes
from oneself.api.sdk import sdk_file
from oneself.auth.provider.routes import ROUTES as SIGN_IN
from oneself.console.routes import ROUTES as CONSOLE
from oneself.settings import Settings

if TYPE_CHECKING:
    from oneself.services import Services

ROUTES: tuple[ControllerRouterHandler, ...] = (
    health,
    ready,
    metrics_route,
    *SIGN_IN,
    *CONSOLE,
    organisation_routes,
    admin_routes,
    sync_routes,
    reference_routes,
    sdk_file,
    lookup_routes,
)


def create_app(services: Services, settings: Settings, metrics: Metrics | None = None) -> Dispatch:
    """The ASGI application of one process."""
    metrics = metrics or Metrics()
    framework = create_framework(settings, {"services": services, "metrics": metrics})
    events = EventEndpoint(services, metrics, settings.events_per_address_s)
    return Dispatch(
        dict.fromkeys(PATTERNS, events.endpoint),
        Transport(framework, origins=settings.cors_origins, metrics=metrics),
    )


def create_framework(settings: Settings, state: Mapping[str, Any]) -> Litestar:
    """Every route that the framework answers. `state`: what handlers find there: `services` and `metrics`.

    An empty state describes the routes without answering any.
    """
    framework = copy.copy(_routes(settings.public_url))
    framework.state = State({"settings": settings, **state})
    return framework


@lru_cache(maxsize=8)
def _routes(public_url: str | None) -> Litestar:
    """The routes without a state. To register them takes a third of a second, so applications share them."""
    return Litestar(
        route_handlers=ROUTES,
        exception_handlers=TABLE,
        openapi_config=openapi_config(public_url),
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
        debug=False,
    )
