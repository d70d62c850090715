"""The API description and its page: `/openapi.json`, `/docs`. Nothing is loaded from other hosts.

The page is Swagger UI, shipped in the package (`tools/vendor-swagger-ui`). Its content security policy
allows this service only.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme, Server
from litestar.params import FromPath
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

from oneself import __version__
from oneself.api.cds.routes import SECURITY_SCHEME
from oneself.api.cds.sync import SECURITY_SCHEME as BASIC_SCHEME
from oneself.web.assets import revalidated, static_file
from oneself.web.csp import page_headers, scripted_policy

AnyRequest = Request[Any, Any, Any]
MEDIA_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
}
PAGE_HEADERS = page_headers(scripted_policy(form_action="'none'"))
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Oneself: API reference</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<main id="reference"><noscript>The reference needs JavaScript; the description itself is at
<a href="/openapi.json">/openapi.json</a>.</noscript></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  validatorUrl: null,
  syntaxHighlight: {activated: true, theme: "agate"},
});
"""


def openapi_config(public_url: str | None) -> OpenAPIConfig:
    """How the description is generated from the routes. `public_url`: the address of the service."""
    bearer = SecurityScheme(
        type="http",
        scheme="bearer",
        bearer_format="JWT",
        description="An access token of the organisation: `POST /t/{org}/oauth2/token`.",
    )
    basic = SecurityScheme(
        type="http",
        scheme="basic",
        description="Of the identity server: `ONESELF_SYNC_USERNAME` and `ONESELF_SYNC_PASSWORD`.",
    )
    return OpenAPIConfig(
        title="Oneself",
        version=__version__,
        summary="One profile for every person, however they arrive.",
        components=Components(security_schemes={SECURITY_SCHEME: bearer, BASIC_SCHEME: basic}),
        servers=[Server(url=public_url.rstrip("/") if public_url else "/")],
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        create_examples=False,
        path=None,
        render_plugins=[],
    )


def _operation_id(handler: HTTPRouteHandler, _: Method, path: list[str | PathParameterDefinition]) -> str:
    """The name of the handler; health and readiness have two paths."""
    return f"cds_{handler.handler_name}" if path[0] == "cds" else handler.handler_name


@get("/openapi.json", include_in_schema=False)
async def description(request: AnyRequest) -> Response[bytes]:
    """The API description, OpenAPI 3.1."""
    return revalidated(request, _description(request.app), "application/json")


@get("/docs", include_in_schema=False)
async def page() -> Response[str]:
    """The reference page."""
    return Response(PAGE, media_type=MediaType.HTML, headers=PAGE_HEADERS)


@get("/docs/{name:str}", include_in_schema=False)
async def asset(request: AnyRequest, name: FromPath[str]) -> Response[bytes]:
    """A file of the reference page."""
    if name not in MEDIA_TYPES:
        raise NotFoundException
    return revalidated(request, _asset(name), MEDIA_TYPES[name])


reference_routes = Router("/", route_handlers=[description, page, asset])


@cache
def _description(app: Any) -> bytes:
    return msgspec.json.encode(app.openapi_schema.to_schema())


@cache
def _asset(name: str) -> bytes:
    if name == "start.js":
        return START.encode()
    return static_file("swagger-ui", name)
