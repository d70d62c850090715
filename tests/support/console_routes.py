"""The routes of the console, for tests that look at each of them."""

from __future__ import annotations

from typing import Any

from litestar.routes import HTTPRoute

from oneself.api.app import create_framework
from oneself.settings import Settings

#: The path of an organisation's pages, as routes have it.
ORGANISATION = "/console/o/{org:str}"


def console_routes() -> list[tuple[str, str, Any]]:
    """Method, path and handler of each route."""
    framework = create_framework(Settings(), {})
    return [
        (method, route.path, route.route_handler_map[method][0])
        for route in framework.routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/console")
        for method in sorted(set(route.route_handler_map) - {"OPTIONS", "HEAD"})
    ]
